"""What besides votes may enter the log: what makers, owners and chips sign, and proofs against them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment, DeviceRetirement
from vetonet.attestation.reference_values import ReferenceValues
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ReportBatch
from vetonet.attestation.revocation import RevocationList
from vetonet.crypto.statement import CONFLICT, read_kind, read_unverified
from vetonet.errors import EncodingError, RefusedError
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A statement that comes in.

    Attributes:
        data: as signed.
        now: the time of arrival.
        leaf_index: where it will stand in the log.
    """

    data: bytes
    now: Milliseconds
    leaf_index: int


class Admission:
    """The chips that the log knows so far, and the rules for those to come.

    Attributes:
        treaty: whose makers and operators count; replaced where another comes into force.
        registry: the chips and their alias keys; grows in place, because fleets are large.
    """

    __slots__ = ("_is_staged", "registry", "treaty")

    def __init__(self, treaty: Treaty, registry: Registry, *, is_staged: bool = False) -> None:
        """Know these chips; a staged one copies the registry before it grows."""
        self.treaty = treaty
        self.registry = registry
        self._is_staged = is_staged

    def stage(self) -> Admission:
        """Return an admission that grows without this one: for what is not durable yet."""
        return Admission(self.treaty, self.registry, is_staged=True)

    def admit(self, data: bytes, *, now: Milliseconds, leaf_index: int) -> str | None:
        """Take a statement in; return the id of the operator who may submit it, or None where any may.

        Args:
            data: the signed statement.
            now: the time of arrival.
            leaf_index: where it will stand in the log.

        Raises:
            EncodingError: not a statement, or of a type that has no place here.
            ProtocolError, VerificationError: the rules of VN-8 and VN-9 say no.
        """
        kind = read_kind(data)
        rule = RULES.get(kind)
        if rule is None:
            raise EncodingError(f"expected one of {', '.join(sorted(RULES))}, got a {kind[:64]!r}")
        return rule(self, Arrival(data=data, now=now, leaf_index=leaf_index))

    def admit_enrolment(self, arrival: Arrival) -> str:
        """One device key, one owner, once, under a certificate that is valid on arrival (VN-8.2, VN-8.3)."""
        device = self._own_registry().read_enrolment(arrival.data, self.treaty)
        device.certificate.verify_validity(arrival.now)
        return device.enrolment.owner

    def admit_retirement(self, arrival: Arrival) -> str:
        """Of a chip that is in service, by its maker and its owner (VN-8.5)."""
        return self._own_registry().read_retirement(arrival.data, self.treaty).statement.owner

    def admit_alias(self, arrival: Arrival) -> str:
        """Of a chip that is enrolled, and of a later boot than any before (VN-8.4)."""
        alias = self._own_registry().read_alias(arrival.data)
        return self.registry.find_device(alias.statement.ueid).enrolment.owner

    def admit_batch(self, arrival: Arrival) -> str:
        """Signed by the operator it names, and the only one for its window (VN-9.4)."""
        return self._own_registry().read_batch(arrival.data, self.treaty).statement.operator_id

    def admit_reference(self, arrival: Arrival) -> None:
        """Signed by the maker it names, and the next of its model (VN-17.6)."""
        self._own_registry().read_reference(arrival.data, self.treaty, arrival.leaf_index)

    def admit_revocation_list(self, arrival: Arrival) -> None:
        """Signed by the maker it names, the next of its numbers, and in force on arrival (VN-17.3)."""
        registry = self._own_registry()
        listed = read_unverified(arrival.data, RevocationList)
        if not listed.is_current(arrival.now):
            msg = f"revocation list {listed.number} is not in force on arrival"
            raise RefusedError(msg, culprit=listed.endorser_id, clause="VN-17.3")
        registry.read_revocation_list(arrival.data, self.treaty, arrival.leaf_index)

    def admit_conflict(self, arrival: Arrival) -> None:
        """Convicting somebody whom no conflict in the log convicts of it yet; from anybody (VN-17.4)."""
        self._own_registry().read_conflict(arrival.data, self.treaty, arrival.leaf_index)

    def _own_registry(self) -> Registry:
        """Return the registry that may grow: a copy where this admission is staged."""
        if self._is_staged:
            self.registry, self._is_staged = self.registry.copy(), False
        return self.registry


Rule: TypeAlias = Callable[[Admission, Arrival], str | None]

RULES: Final[Mapping[str, Rule]] = {
    DeviceEnrolment.TYPE: Admission.admit_enrolment,
    DeviceRetirement.TYPE: Admission.admit_retirement,
    AliasEndorsement.TYPE: Admission.admit_alias,
    ReportBatch.TYPE: Admission.admit_batch,
    ReferenceValues.TYPE: Admission.admit_reference,
    RevocationList.TYPE: Admission.admit_revocation_list,
    CONFLICT: Admission.admit_conflict,
}
"""What each type of statement has to fulfil; a type that is not here is refused."""

PLACED: Final = frozenset({ReferenceValues.TYPE, RevocationList.TYPE, CONFLICT})
"""The types of which it counts where in the log they stand."""
