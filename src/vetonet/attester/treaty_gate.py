"""The gate for another treaty: a chip takes what its own quorum put in force, and no other (VN-12.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from vetonet.attester.log_gate import judge_logged
from vetonet.attester.state import ChipState, Refused, Sighting, TreatyAmended
from vetonet.crypto.statement import Signed, read_unverified
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.motion import AMENDING, Resolution, open_resolution
from vetonet.policy.succession import verify_succession
from vetonet.policy.treaty import Treaty, open_treaty

TreatyRule: TypeAlias = Callable[[ChipState, Resolution, Signed[Treaty]], None]

_OPENING: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "resolution-malformed",
    UnknownPartyError: "resolution-forged",
    InvalidSignatureError: "resolution-forged",
    EpochError: "wrong-epoch",
    RefusedError: "other-resolution",
}
_OPENING_TREATY: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "treaty-malformed",
    InvalidSignatureError: "treaty-unsigned",
}


def judge_amendment(state: ChipState, event: TreatyAmended) -> tuple[Signed[Treaty], Sighting] | Refused:
    """Return the treaty that is in force from now on and the checkpoint that shows it, or why it is not.

    Whether its resolution had lapsed is judged where the log takes a treaty: what the log holds is in force,
    however late a chip hears of it (VN-16.7).
    """
    try:
        resolution = _open_resolution(event.data, state.treaty).statement
    except tuple(_OPENING) as error:
        return Refused(reason=_OPENING[type(error)], detail=str(error))
    try:
        amended = open_treaty(event.treaty)
    except tuple(_OPENING_TREATY) as error:
        return Refused(reason=_OPENING_TREATY[type(error)], detail=str(error))
    for reason, rule in TREATY_RULES:
        try:
            rule(state, resolution, amended)
        except RefusedError as error:
            return Refused(reason=reason, detail=str(error))
    sighting = judge_logged(state, event, after=resolution.ballot_leaf_indices[-1])
    return sighting if isinstance(sighting, Refused) else (amended, sighting)


def _open_resolution(data: bytes, treaty: Signed[Treaty]) -> Signed[Resolution]:
    """Return the resolution, signed by the quorum for the class of action that it says it is."""
    action = read_unverified(data, Resolution).action
    if action not in AMENDING:
        raise RefusedError(f"a resolution on {action} changes no treaty", clause="VN-12.7")
    return open_resolution(data, treaty, action)


def _verify_subject(state: ChipState, resolution: Resolution, amended: Signed[Treaty]) -> None:
    del state
    if resolution.subject_digest != amended.payload_digest:
        detail = f"the resolution puts another treaty in force than {amended.payload_digest.hex()[:16]}"
        raise RefusedError(detail, clause="VN-12.7")


def _verify_next_epoch(state: ChipState, resolution: Resolution, amended: Signed[Treaty]) -> None:
    del resolution
    epoch, present = amended.statement.epoch, state.treaty.statement.epoch
    if epoch != present + 1:
        raise RefusedError(f"a treaty of epoch {epoch} after epoch {present}", clause="VN-12.7")


def _verify_same_log(state: ChipState, resolution: Resolution, amended: Signed[Treaty]) -> None:
    """What the chip believes of the log stays true only where the log and its witnesses stay."""
    del resolution
    if _describe_log(state.treaty.statement) != _describe_log(amended.statement):
        raise RefusedError("a treaty with another log, or other witnesses of it", clause="VN-12.7")


def _verify_succession(state: ChipState, resolution: Resolution, amended: Signed[Treaty]) -> None:
    """A quorum may change what its class of action may change, for chips as for the log (VN-16)."""
    history = [*(past.signed.statement for past in state.past), state.treaty.statement]
    verify_succession(history, amended.statement, resolution.action)


def _describe_log(treaty: Treaty) -> tuple[object, ...]:
    witnesses = tuple((witness.name, witness.key.key_id) for witness in treaty.witnesses)
    return treaty.log_origin, treaty.log_key.key_id, witnesses, treaty.witness_quorum


TREATY_RULES: Final[tuple[tuple[str, TreatyRule], ...]] = (
    ("other-resolution", _verify_subject),
    ("epoch-skipped", _verify_next_epoch),
    ("log-replaced", _verify_same_log),
    ("no-successor", _verify_succession),
)
"""What another treaty must satisfy once all signatures hold, in this order; then, the log must show it."""
