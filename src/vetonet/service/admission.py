"""Which statements besides votes may enter the log: enrolments, alias endorsements and report batches."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, Self, TypeAlias

from vetonet.attestation.enrolment import (
    AliasEndorsement,
    DeviceEnrolment,
    EnrolledDevice,
    open_alias,
    open_enrolment,
)
from vetonet.attestation.report import ReportBatch
from vetonet.crypto.statement import open_statement, peek, read_unverified
from vetonet.errors import EncodingError, RefusedError, UnknownPartyError
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds


class Admission:
    """The chips that the log knows so far; grows in place, because fleets are large."""

    __slots__ = ("_boots", "_devices", "treaty")

    def __init__(
        self,
        treaty: Treaty,
        devices: MutableMapping[bytes, EnrolledDevice],
        boots: MutableMapping[bytes, int],
    ) -> None:
        """Know these chips, and the newest boot of each whose alias is endorsed, by ueid."""
        self.treaty: Final = treaty
        self._devices = devices
        self._boots = boots

    @classmethod
    def begin(cls, treaty: Treaty) -> Self:
        """Return what is known before the first enrolment."""
        return cls(treaty, {}, {})

    def stage(self) -> Self:
        """Return a copy that grows without this one, until ``adopt``."""
        return type(self)(self.treaty, ChainMap({}, self._devices), ChainMap({}, self._boots))

    def adopt(self, staged: Admission) -> None:
        """What a staged copy has learnt is known here too."""
        for mine, theirs in ((self._devices, staged._devices), (self._boots, staged._boots)):
            if isinstance(theirs, ChainMap):
                mine.update(theirs.maps[0])

    def admit(self, data: bytes, now: Milliseconds) -> str:
        """Take a statement in; return the id of the operator who may submit it.

        Args:
            data: the signed statement.
            now: the time of arrival.

        Raises:
            EncodingError: not a statement, or of a type that has no place here.
            ProtocolError, VerificationError: the rules of VN-8 and VN-9 say no.
        """
        kind = peek(data).kind
        rule = RULES.get(kind)
        if rule is None:
            raise EncodingError(f"expected one of {', '.join(sorted(RULES))}, got a {kind[:64]!r}")
        return rule(self, data, now)

    def admit_enrolment(self, data: bytes, now: Milliseconds) -> str:
        """One device key, one owner, once (VN-8.3)."""
        device = open_enrolment(
            data,
            endorser_keys={endorser.endorser_id: endorser.root_key for endorser in self.treaty.endorsers},
            operator_keys={operator.operator_id: operator.key for operator in self.treaty.operators},
            now=now,
        )
        owner = device.enrolment.owner
        if device.ueid in self._devices:
            msg = f"chip {device.ueid.hex()[:16]} is enrolled already"
            raise RefusedError(msg, culprit=owner, clause="VN-8.3")
        self._devices[device.ueid] = device
        return owner

    def admit_alias(self, data: bytes, now: Milliseconds) -> str:
        """Of a chip that is enrolled, and of a later boot than any before (VN-8.4)."""
        del now
        ueid = read_unverified(data, AliasEndorsement).ueid
        device = self._devices.get(ueid)
        if device is None:
            msg = f"an alias of chip {ueid.hex()[:16]}, which is not enrolled"
            raise UnknownPartyError(msg, culprit=ueid.hex(), clause="VN-8.4")
        boot_count, latest = open_alias(data, device).statement.boot_count, self._boots.get(ueid, -1)
        if boot_count <= latest:
            msg = f"boot {boot_count} of chip {ueid.hex()[:16]} after boot {latest}"
            raise RefusedError(msg, culprit=ueid.hex(), clause="VN-8.4")
        self._boots[ueid] = boot_count
        return device.enrolment.owner

    def admit_batch(self, data: bytes, now: Milliseconds) -> str:
        """Signed by the operator it names (VN-9.4)."""
        del now
        batch = open_statement(data, ReportBatch, self.treaty.operator_keys)
        operator_id = batch.statement.operator_id
        if self.treaty.find_operator(operator_id).key != batch.signer:
            msg = f"a report batch of {operator_id!r} signed by another operator"
            raise RefusedError(msg, culprit=operator_id, clause="VN-9.4")
        return operator_id


Rule: TypeAlias = Callable[[Admission, bytes, Milliseconds], str]

RULES: Final[Mapping[str, Rule]] = {
    DeviceEnrolment.TYPE: Admission.admit_enrolment,
    AliasEndorsement.TYPE: Admission.admit_alias,
    ReportBatch.TYPE: Admission.admit_batch,
}
"""What each type of statement has to fulfil; a type that is not here is refused."""
