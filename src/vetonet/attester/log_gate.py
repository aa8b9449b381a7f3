"""The gate for what the log must show: a chip believes a log that extends the one it knows, and no other."""

from __future__ import annotations

from typing import TypeAlias

from vetonet.attester.clock import compute_proven_ms
from vetonet.attester.state import (
    ChipState,
    FirmwareOffered,
    LeaseOffered,
    LicenceOffered,
    Refused,
    Sighting,
    TreatyAmended,
)
from vetonet.crypto.merkle import (
    ConsistencyProof,
    InclusionProof,
    compute_leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, WitnessQuorumError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.policy import verify_cosigned
from vetonet.tlog.proof import LogProof

Offer: TypeAlias = LicenceOffered | LeaseOffered | TreatyAmended | FirmwareOffered
"""What is handed in with the proof that it is logged."""


def judge_logged(state: ChipState, offer: Offer, *, after: int) -> Sighting | Refused:
    """Return the sighting that shows an offer to be in the log behind a leaf, or why none does.

    Of a treaty it shows the resolution, and behind that the treaty: that one was decided is not yet that the
    log took it. Of firmware it shows the reference values before the resolution: what nobody could look at
    there, nobody approved.
    """
    sighting = _judge_signatures(state, offer.log_proof.checkpoint)
    if isinstance(sighting, Refused):
        return sighting
    shown = sighting.checkpoint
    try:
        _verify_placed(offer.data, offer.log_proof, shown, after=after)
        if isinstance(offer, TreatyAmended):
            _verify_placed(offer.treaty, offer.inclusion, shown, after=offer.log_proof.leaf_index)
        if isinstance(offer, FirmwareOffered):
            _verify_placed(offer.reference, offer.inclusion, shown, after=0)
            _verify_looked_at(offer)
    except ProofError as error:
        return Refused(reason="not-in-log", detail=str(error))
    return _judge_extension(state, sighting, offer.consistency)


def _verify_placed(
    leaf: bytes, proof: LogProof | InclusionProof, checkpoint: Checkpoint, *, after: int
) -> None:
    """The only size of the tree that counts is the checkpoint's: a proof does not bind its own."""
    verify_inclusion(
        leaf_hash=compute_leaf_hash(leaf),
        leaf_index=proof.leaf_index,
        tree_size=checkpoint.tree_size,
        proof=proof.hashes,
        root_hash=checkpoint.root_hash,
    )
    if proof.leaf_index <= after:
        raise ProofError(f"it stands at leaf {proof.leaf_index}, not after leaf {after}, on which it rests")


def _verify_looked_at(offer: FirmwareOffered) -> None:
    reference, resolution = offer.inclusion.leaf_index, offer.log_proof.leaf_index
    if reference >= resolution:
        raise ProofError(f"the reference values stand at leaf {reference}, the resolution at {resolution}")


def judge_checkpoint(
    state: ChipState, data: bytes, consistency: ConsistencyProof | None
) -> Sighting | Refused:
    """Return what a checkpoint shows that extends the newest one the chip knows, or why it shows nothing.

    A chip that knows none believes the first it sees: whoever starts to follow a log has nothing to compare.
    """
    sighting = _judge_signatures(state, data)
    return sighting if isinstance(sighting, Refused) else _judge_extension(state, sighting, consistency)


def _judge_signatures(state: ChipState, data: bytes) -> Sighting | Refused:
    """Whom a chip obeys, no one log can show another history: enough witnesses vouch for it (VN-11.5)."""
    try:
        cosigned = verify_cosigned(data, state.log_policy)
    except EncodingError as error:
        return Refused(reason="checkpoint-malformed", detail=str(error))
    except InvalidSignatureError as error:
        return Refused(reason="checkpoint-forged", detail=str(error))
    except WitnessQuorumError as error:
        return Refused(reason="checkpoint-unwitnessed", detail=str(error))
    proven_ms = compute_proven_ms(cosigned, state.log_policy)
    return Sighting(checkpoint=cosigned.checkpoint, proven_ms=proven_ms)


def _judge_extension(
    state: ChipState, sighting: Sighting, consistency: ConsistencyProof | None
) -> Sighting | Refused:
    known, checkpoint = state.checkpoint, sighting.checkpoint
    if known is not None and checkpoint.tree_size < known.tree_size:
        detail = f"a checkpoint of size {checkpoint.tree_size}, known is {known.tree_size}"
        return Refused(reason="checkpoint-stale", detail=detail)
    try:
        _verify_extension(known, checkpoint, consistency)
    except ProofError as error:
        return Refused(reason="log-fork", detail=str(error))
    return sighting


def _verify_extension(
    known: Checkpoint | None, checkpoint: Checkpoint, consistency: ConsistencyProof | None
) -> None:
    if known is None or known == checkpoint or known.tree_size == 0:
        return
    if known.tree_size < checkpoint.tree_size and consistency is None:
        raise ProofError(f"no proof that size {checkpoint.tree_size} extends size {known.tree_size}")
    verify_consistency(
        old_size=known.tree_size,
        old_root=known.root_hash,
        new_size=checkpoint.tree_size,
        new_root=checkpoint.root_hash,
        proof=consistency.hashes if consistency else (),
    )
