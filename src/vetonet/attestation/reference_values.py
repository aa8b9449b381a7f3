"""Reference values: a maker's word on the firmware of its chips, and what the parties made of it (VN-17.6).

The first of a model counts by the maker's word, like the chips that come with it. Each later one counts only
once the parties decided on it, by the class of action that it says it is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from vetonet.attestation.appraisal_policy import Found
from vetonet.attestation.corim import MAX_CORIM_BYTES, MAX_NUMBER, Corim
from vetonet.attestation.firmware import Firmware, FirmwareComponent
from vetonet.attestation.trust_anchors import Maker, MakerStatement, open_by_maker
from vetonet.crypto.statement import Keys, Signed, open_statement
from vetonet.encoding.record import member, one_of, parsed, uint
from vetonet.errors import EquivocationError, RefusedError

CORIM: Final = parsed(Corim.to_bytes, Corim.from_bytes, maximum=MAX_CORIM_BYTES)


class UpdatePurpose(StrEnum):
    """What a new firmware is for; the class of action by which the parties approve it (RFD 025)."""

    SECURITY_PATCH = "security-patch"
    NEW_GUARANTEE = "new-guarantee"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues(MakerStatement):
    """The firmware that chips of one model may run; signed by their maker's root key.

    Attributes:
        number: 1 for the first of a model, then one more each time.
        purpose: what it is for, and so who has to approve it; of the first it decides nothing.
        corim: the components, as a CoRIM.
    """

    TYPE: ClassVar[str] = "reference-values"

    number: int = member(2, uint(MAX_NUMBER))
    purpose: UpdatePurpose = member(3, one_of(UpdatePurpose))
    corim: Corim = member(4, CORIM)

    def __post_init__(self) -> None:
        """Refuse number 0, and a CoRIM that says otherwise."""
        if self.number < 1 or (self.corim.number, self.corim.vendor) != (self.number, self.endorser_id):
            raise ValueError("expected a number from 1, and a CoRIM of the same number and maker")

    @property
    def model(self) -> str:
        """The model that it is about."""
        return self.corim.model

    @property
    def firmware(self) -> Firmware:
        """All components of the firmware."""
        return self.corim.firmware


def open_reference_values(data: bytes, root_keys: Keys) -> Signed[ReferenceValues]:
    """Return reference values that one of these makers' root keys signed.

    Raises:
        EncodingError: not reference values.
        UnknownPartyError: none of the makers signed them.
        InvalidSignatureError: the signature does not verify.
    """
    return open_statement(data, ReferenceValues, root_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedReference:
    """Reference values as the log holds them.

    Attributes:
        signed: as the maker signed them.
        since: the leaf from which on they count, or None while nobody approved them.
    """

    signed: Signed[ReferenceValues]
    since: int | None


@dataclass(frozen=True, slots=True)
class ReferenceRegister:
    """All reference values of a log, by maker and model, in the order of their numbers."""

    known: Mapping[tuple[str, str], tuple[LoggedReference, ...]] = field(default_factory=dict)

    def read(self, data: bytes, makers: Sequence[Maker], leaf_index: int) -> ReferenceRegister:
        """Return the register with what a leaf holds.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_by_maker``.
            RefusedError: the number is not the next of its model.
            EquivocationError: the maker signed two of one number.
        """
        signed = open_by_maker(data, ReferenceValues, makers, "VN-17.6")
        values = signed.statement
        earlier = self.known.get((values.endorser_id, values.model), ())
        _verify_next(values, earlier)
        logged = LoggedReference(signed=signed, since=leaf_index if values.number == 1 else None)
        return ReferenceRegister({**self.known, (values.endorser_id, values.model): (*earlier, logged)})

    def approve(self, digest: bytes, action: str, leaf_index: int) -> ReferenceRegister:
        """Return the register after the parties decided on the statement of this digest by a class of action.

        A decision by another class than the one the statement says it is of changes nothing, and neither does
        one on what the log does not hold.
        """
        return ReferenceRegister(
            {
                place: tuple(_approve(logged, digest, action, leaf_index) for logged in entries)
                for place, entries in self.known.items()
            }
        )

    def list_accepted(self, endorser_id: str, model: str, leaf_index: int) -> tuple[ReferenceValues, ...]:
        """Return the reference values that counted for a boot which the log holds at this leaf."""
        entries = self.known.get((endorser_id, model), ())
        return tuple(
            entry.signed.statement
            for entry in entries
            if entry.since is not None and entry.since < leaf_index
        )


def find_firmware_problems(firmware: Firmware, references: Sequence[ReferenceValues]) -> Iterator[Found]:
    """Yield what is wrong with measured firmware, component by component, given what is accepted (VN-17.7).

    A component whose svn lies below the highest that is accepted for its name is outdated: raising the number
    says that what was before must not run any more. Components of different firmwares do not mix.
    """
    if not references:
        yield "reference-missing", "is by a chip for whose firmware there are no reference values"
        return
    found = [problem for component in firmware.components for problem in _judge(component, references)]
    newest = max(references, key=lambda reference: reference.number).firmware
    names = {component.name for component in firmware.components}
    found += [
        ("component-missing", f"did not measure {component.name}")
        for component in newest.components
        if component.name not in names
    ]
    is_whole = any(reference.firmware == firmware for reference in references)
    if not found and not is_whole:
        found.append(("component-mismatched", "measured components that no reference values hold together"))
    yield from found


def _judge(component: FirmwareComponent, references: Sequence[ReferenceValues]) -> Iterator[Found]:
    candidates = [reference.firmware.find_component(component.name) for reference in references]
    known = [candidate for candidate in candidates if candidate is not None]
    if not known:
        yield "component-unknown", f"measured {component.name}, of which there are no reference values"
        return
    floor = max(candidate.svn for candidate in known)
    if component not in known:
        measured, expected = component.digest.hex()[:16], known[-1].digest.hex()[:16]
        detail = f"{measured} svn {component.svn}, expected {expected} svn {known[-1].svn}"
        yield "component-mismatched", f"measured {component.name} as {detail}"
    elif component.svn < floor:
        yield "component-outdated", f"runs {component.name} with svn {component.svn}, expected {floor}"


def _verify_next(values: ReferenceValues, earlier: Sequence[LoggedReference]) -> None:
    if values.number <= len(earlier):
        known = earlier[values.number - 1].signed.statement
        what = f"reference values {values.number} of {values.model!r}"
        if known == values:
            raise RefusedError(f"{what} are logged already", culprit=values.endorser_id, clause="VN-17.6")
        raise EquivocationError(f"two {what}", culprit=values.endorser_id, clause="VN-17.6")
    if values.number != len(earlier) + 1:
        msg = f"reference values {values.number} of {values.model!r}, expected {len(earlier) + 1}"
        raise RefusedError(msg, culprit=values.endorser_id, clause="VN-17.6")


def _approve(logged: LoggedReference, digest: bytes, action: str, leaf_index: int) -> LoggedReference:
    is_meant = logged.since is None and logged.signed.payload_digest == digest
    if not is_meant or logged.signed.statement.purpose != action:
        return logged
    return LoggedReference(signed=logged.signed, since=leaf_index)
