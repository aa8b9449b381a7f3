"""The gate for firmware: what a chip may start with, and whose word changes that (VN-17.7, VN-17.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vetonet.attestation.firmware import Firmware
from vetonet.attestation.identity import verify_device_certificate
from vetonet.attestation.reference_values import ReferenceValues, open_reference_values
from vetonet.attester.log_gate import judge_logged
from vetonet.attester.state import ChipState, FirmwareOffered, Refused, Sighting
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Keys
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Resolution, open_resolution

_OPENING_REFERENCE: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "reference-malformed",
    UnknownPartyError: "reference-forged",
    InvalidSignatureError: "reference-forged",
}
_OPENING: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "resolution-malformed",
    UnknownPartyError: "resolution-forged",
    InvalidSignatureError: "resolution-forged",
    EpochError: "wrong-epoch",
    RefusedError: "other-resolution",
}


def judge_start(state: ChipState, firmware: Firmware) -> Refused | None:
    """Return why a chip does not start with this firmware, or None where it does.

    What it was made with it may run, and what the parties approved; none of it once a fuse says that an older
    version must not run any more.
    """
    if firmware.digest not in state.approved:
        detail = (
            f"firmware {firmware.digest.hex()[:16]}, which neither the maker put in nor the parties approved"
        )
        return Refused(reason="firmware-unapproved", detail=detail)
    for component in firmware.components:
        fuse = state.fuses.get(component.name, 0)
        if component.svn < fuse:
            detail = f"{component.name} with svn {component.svn}, the fuse stands at {fuse}"
            return Refused(reason="firmware-rolled-back", detail=detail)
    return None


def blow_fuses(fuses: Mapping[str, int], firmware: Firmware) -> Mapping[str, int]:
    """Return the fuses after a start with this firmware: each as high as any version that ever ran."""
    return {
        **fuses,
        **{
            component.name: max(component.svn, fuses.get(component.name, 0))
            for component in firmware.components
        },
    }


def judge_update(state: ChipState, event: FirmwareOffered) -> tuple[ReferenceValues, Sighting] | Refused:
    """Return the reference values that the parties approved and the checkpoint that shows it, or why not.

    The maker alone changes no firmware, and neither do the parties alone: it takes the maker's signature, the
    resolution of the class of action that the update is of, and the log that shows it (RFD 025).
    """
    try:
        signed = open_reference_values(event.reference, _find_maker(state))
    except tuple(_OPENING_REFERENCE) as error:
        return Refused(reason=_OPENING_REFERENCE[type(error)], detail=str(error))
    values = signed.statement
    if values.model != state.model.name:
        return Refused(
            reason="other-model", detail=f"firmware for {values.model}, this is a {state.model.name}"
        )
    try:
        resolution = open_resolution(event.data, state.treaty, ActionClass(values.purpose)).statement
        _verify_subject(resolution, signed.payload_digest)
    except tuple(_OPENING) as error:
        return Refused(reason=_OPENING[type(error)], detail=str(error))
    sighting = judge_logged(state, event, after=resolution.ballot_leaf_indices[-1])
    return sighting if isinstance(sighting, Refused) else (values, sighting)


def _find_maker(state: ChipState) -> Keys:
    """Return the one root key whose word on firmware counts here: the one that certified this chip.

    Another maker of the treaty may have a model of the same name; it has no say about this chip.
    """
    roots = (maker.root_key for maker in state.treaty.statement.endorsers)
    return {root.key_id: root for root in roots if _has_certified(root, state.certificate)}


def _has_certified(root: PublicKey, certificate: bytes) -> bool:
    try:
        verify_device_certificate(certificate, root)
    except InvalidSignatureError:
        return False
    return True


def _verify_subject(resolution: Resolution, digest: bytes) -> None:
    if resolution.subject_digest != digest:
        detail = f"the resolution approves something else than reference values {digest.hex()[:16]}"
        raise RefusedError(detail, clause="VN-17.8")
