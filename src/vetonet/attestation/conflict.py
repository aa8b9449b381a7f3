"""Two signed things about chips that cannot both be true: a proof against whoever signed both (VN-17.4).

A conflict is unsigned and needs no signature: whoever hands it in is not trusted. It carries every statement
that its judgement takes, except the keys of the makers and operators, which are the treaty's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, NoReturn

from vetonet.attestation.enrolment import AliasEndorsement, EnrolledDevice, open_alias, open_enrolment
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Signed
from vetonet.encoding.record import MAX_STATEMENT_BYTES, Record, bstr, many, member, one_of
from vetonet.errors import EquivocationError, Problem, ProofError

_STATEMENT: Final = bstr(1, MAX_STATEMENT_BYTES)


class ConflictKind(StrEnum):
    """What cannot both be true."""

    TWO_KEYS = "two-keys"
    """A maker enrolled two keys under one serial."""
    TWO_OWNERS = "two-owners"
    """A maker enrolled one key for two owners."""
    TWO_BOOTS = "two-boots"
    """A chip endorsed two alias keys for one boot."""
    TWO_REPORTS = "two-reports"
    """A chip signed two reports with one counter."""

    @property
    def is_of_maker(self) -> bool:
        """Whether it convicts the maker; else a chip."""
        return self in {ConflictKind.TWO_KEYS, ConflictKind.TWO_OWNERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict(Record):
    """Two signed statements and what else is needed to judge them; ``verify_conflict`` does.

    Attributes:
        kind: what cannot both be true.
        first, second: the two, as signed; the first is the lower as bytes.
        aliases: for reports, the endorsements of the keys that signed them, rising and each one needed.
        enrolment: of the chip, where the two are no enrolments themselves.
    """

    MAX_BYTES: ClassVar[int] = 2**16 - 1  # what fits into one leaf

    kind: ConflictKind = member(1, one_of(ConflictKind))
    first: bytes = member(2, _STATEMENT)
    second: bytes = member(3, _STATEMENT)
    aliases: tuple[bytes, ...] | None = member(4, many(_STATEMENT, minimum=1, maximum=2), optional=True)
    enrolment: bytes | None = member(5, _STATEMENT, optional=True)

    def __post_init__(self) -> None:
        """Refuse another order, and too little or too much beside the two."""
        if self.first >= self.second or list(self.aliases or ()) != sorted(set(self.aliases or ())):
            raise ValueError("expected two different statements and their aliases in rising order")
        if (self.aliases is None) != (self.kind is not ConflictKind.TWO_REPORTS):
            raise ValueError("expected aliases exactly with two reports")
        if (self.enrolment is None) != self.kind.is_of_maker:
            raise ValueError("expected an enrolment exactly where the two are none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conviction:
    """Who is convicted of what; only ``verify_conflict`` makes one.

    Attributes:
        kind: what cannot both be true.
        endorser_id: the maker of the chip; it is the culprit where ``kind.is_of_maker``.
        serial: what the maker calls the chip.
        ueids: of the chip, or of both that bear one serial, rising.
        detail: one line for people.
    """

    kind: ConflictKind
    endorser_id: str
    serial: str
    ueids: tuple[bytes, ...]
    detail: str

    @property
    def culprit(self) -> str:
        """The maker, by its name, or the chip, by its ueid in hexadecimal."""
        return self.endorser_id if self.kind.is_of_maker else self.ueids[0].hex()

    @property
    def subject(self) -> tuple[bool, str, bytes]:
        """What it is about: a second proof of the same tells nothing new."""
        serial = self.serial.encode() if self.kind is ConflictKind.TWO_KEYS else b""
        return self.kind.is_of_maker, self.endorser_id, serial or self.ueids[0]


class DeviceConflictError(EquivocationError):
    """A maker or a chip signed two things that cannot both be true.

    Attributes:
        conflict: the proof.
    """

    def __init__(self, message: str, *, culprit: str, clause: str, conflict: Conflict) -> None:
        super().__init__(message, culprit=culprit, clause=clause)
        self.conflict: Final = conflict


def find_enrolment_conflict(one: EnrolledDevice, other: EnrolledDevice) -> Conflict | None:
    """Return the proof that one maker enrolled one serial or key twice, or None where two makers did.

    Two statements for one owner about one key are refused, but convict nobody: who corrects a site has not
    given a chip away twice.
    """
    kind = _compare_enrolments(one, other)
    if kind is None:
        return None
    first, second = sorted((one.signed.data, other.signed.data))
    return Conflict(kind=kind, first=first, second=second)


def build_boot_conflict(
    device: EnrolledDevice, one: Signed[AliasEndorsement], other: Signed[AliasEndorsement]
) -> Conflict:
    """Return the proof that a chip endorsed two keys for one boot.

    Raises:
        ValueError: one and the same.
    """
    first, second = sorted((one.data, other.data))
    enrolment = device.signed.data
    return Conflict(kind=ConflictKind.TWO_BOOTS, first=first, second=second, enrolment=enrolment)


def build_report_conflict(
    device: EnrolledDevice,
    one: tuple[Signed[ComputeReport], Signed[AliasEndorsement]],
    other: tuple[Signed[ComputeReport], Signed[AliasEndorsement]],
) -> Conflict:
    """Return the proof that a chip signed two reports with one counter, each given with its alias.

    Raises:
        ValueError: one and the same.
    """
    first, second = sorted((one[0].data, other[0].data))
    return Conflict(
        kind=ConflictKind.TWO_REPORTS,
        first=first,
        second=second,
        aliases=tuple(sorted({one[1].data, other[1].data})),
        enrolment=device.signed.data,
    )


def verify_conflict(
    conflict: Conflict,
    *,
    endorser_keys: Mapping[str, PublicKey],
    operator_keys: Mapping[str, PublicKey],
) -> Conviction:
    """Return who is convicted of what; nothing but these bytes and keys is needed.

    Args:
        conflict: what somebody shows.
        endorser_keys: root keys of the treaty's makers by id.
        operator_keys: keys of the treaty's operators by id.

    Raises:
        EncodingError: a part is not the statement that it must be.
        UnknownPartyError, InvalidSignatureError, AppraisalError, RefusedError: a part is not signed by
            whom it must be, or an enrolment does not hold.
        ProofError: all is signed, and can well be true.
    """

    def enrolled(data: bytes) -> EnrolledDevice:
        return open_enrolment(data, endorser_keys=endorser_keys, operator_keys=operator_keys)

    if conflict.kind.is_of_maker:
        return _judge_enrolments(conflict.kind, enrolled(conflict.first), enrolled(conflict.second))
    device = enrolled(conflict.enrolment or b"")
    pair = (conflict.first, conflict.second)
    if conflict.kind is ConflictKind.TWO_BOOTS:
        return _judge_boots(device, [open_alias(data, device) for data in pair])
    return _judge_reports(device, pair, [open_alias(data, device) for data in conflict.aliases or ()])


def _compare_enrolments(one: EnrolledDevice, other: EnrolledDevice) -> ConflictKind | None:
    left, right = one.enrolment, other.enrolment
    if left.endorser_id != right.endorser_id:
        return None
    if one.ueid == other.ueid:
        return ConflictKind.TWO_OWNERS if left.owner != right.owner else None
    return ConflictKind.TWO_KEYS if left.serial == right.serial else None


def _judge_enrolments(kind: ConflictKind, one: EnrolledDevice, other: EnrolledDevice) -> Conviction:
    if _compare_enrolments(one, other) is not kind:
        _refuse(f"the two enrolments are no {kind}")
    maker, serial = one.enrolment.endorser_id, one.enrolment.serial
    if kind is ConflictKind.TWO_KEYS:
        keys = f"{one.ueid.hex()[:16]} and {other.ueid.hex()[:16]}"
        detail = f"maker {maker!r} enrolled the serial {serial!r} under two keys, {keys}"
    else:
        owners = f"{one.enrolment.owner!r} and {other.enrolment.owner!r}"
        detail = f"maker {maker!r} enrolled the key {one.ueid.hex()[:16]} for two owners, {owners}"
    ueids = tuple(sorted({one.ueid, other.ueid}))
    return Conviction(kind=kind, endorser_id=maker, serial=serial, ueids=ueids, detail=detail)


def _judge_boots(device: EnrolledDevice, aliases: Sequence[Signed[AliasEndorsement]]) -> Conviction:
    one, other = (alias.statement for alias in aliases)
    if one.boot_count != other.boot_count or one.alias == other.alias:
        _refuse("the two endorsements are of two boots, or of one key")
    return _convict(ConflictKind.TWO_BOOTS, device, f"two alias keys for boot {one.boot_count}")


def _judge_reports(
    device: EnrolledDevice, pair: tuple[bytes, bytes], aliases: Sequence[Signed[AliasEndorsement]]
) -> Conviction:
    keys = {alias.statement.alias.key_id: alias.statement.alias for alias in aliases}
    one, other = (open_report(data, keys) for data in pair)
    if {one.signer.key_id, other.signer.key_id} != set(keys) or len(keys) != len(aliases):
        _refuse("the alias endorsements are not exactly those of the two reports")
    if {one.statement.ueid, other.statement.ueid} != {device.ueid}:
        _refuse("a report is about another chip than the one enrolled")
    if one.statement.counter != other.statement.counter or one.payload == other.payload:
        _refuse("the two reports have two counters, or say the same")
    return _convict(ConflictKind.TWO_REPORTS, device, f"two reports with counter {one.statement.counter}")


def _convict(kind: ConflictKind, device: EnrolledDevice, what: str) -> Conviction:
    enrolment, name = device.enrolment, device.ueid.hex()[:16]
    detail = f"chip {name}, serial {enrolment.serial!r} of {enrolment.endorser_id!r}, signed {what}"
    return Conviction(
        kind=kind,
        endorser_id=enrolment.endorser_id,
        serial=enrolment.serial,
        ueids=(device.ueid,),
        detail=f"{detail}: its key was cloned or its state rolled back",
    )


def _refuse(detail: str) -> NoReturn:
    raise ProofError(f"no conflict: {detail}", problems=(Problem(reason="no-conflict", detail=detail),))
