"""The gate for what the log must show: a chip believes a log that extends the one it knows, and no other."""

from __future__ import annotations

from typing import TypeAlias

from vetonet.attester.state import ChipState, LeaseOffered, LicenceOffered, Refused, TreatyAmended
from vetonet.crypto.merkle import ConsistencyProof, compute_leaf_hash, verify_consistency, verify_inclusion
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, WitnessQuorumError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.policy import verify_cosigned

Offer: TypeAlias = LicenceOffered | LeaseOffered | TreatyAmended
"""What is handed in with the proof that it is logged."""


def judge_logged(state: ChipState, offer: Offer, *, after: int) -> Checkpoint | Refused:
    """Return the checkpoint that shows an offer to be in the log behind a leaf, or why none does."""
    checkpoint = _judge_signatures(state, offer.log_proof.checkpoint)
    if isinstance(checkpoint, Refused):
        return checkpoint
    proof = offer.log_proof
    try:
        verify_inclusion(
            leaf_hash=compute_leaf_hash(offer.data),
            leaf_index=proof.leaf_index,
            tree_size=checkpoint.tree_size,
            proof=proof.hashes,
            root_hash=checkpoint.root_hash,
        )
    except ProofError as error:
        return Refused(reason="not-in-log", detail=str(error))
    if proof.leaf_index <= after:
        detail = f"it stands at leaf {proof.leaf_index}, not after leaf {after}, on which it rests"
        return Refused(reason="not-in-log", detail=detail)
    return _judge_extension(state, checkpoint, offer.consistency)


def judge_checkpoint(
    state: ChipState, data: bytes, consistency: ConsistencyProof | None
) -> Checkpoint | Refused:
    """Return a checkpoint of the treaty's log that extends the newest one the chip knows, or why it is none.

    A chip that knows none believes the first it sees: whoever starts to follow a log has nothing to compare.
    """
    checkpoint = _judge_signatures(state, data)
    return checkpoint if isinstance(checkpoint, Refused) else _judge_extension(state, checkpoint, consistency)


def _judge_signatures(state: ChipState, data: bytes) -> Checkpoint | Refused:
    """Whom a chip obeys, no one log can show another history: enough witnesses vouch for it (VN-11.5)."""
    try:
        return verify_cosigned(data, state.log_policy).checkpoint
    except EncodingError as error:
        return Refused(reason="checkpoint-malformed", detail=str(error))
    except InvalidSignatureError as error:
        return Refused(reason="checkpoint-forged", detail=str(error))
    except WitnessQuorumError as error:
        return Refused(reason="checkpoint-unwitnessed", detail=str(error))


def _judge_extension(
    state: ChipState, checkpoint: Checkpoint, consistency: ConsistencyProof | None
) -> Checkpoint | Refused:
    known = state.checkpoint
    if known is not None and checkpoint.tree_size < known.tree_size:
        detail = f"a checkpoint of size {checkpoint.tree_size}, known is {known.tree_size}"
        return Refused(reason="checkpoint-stale", detail=detail)
    try:
        _verify_extension(known, checkpoint, consistency)
    except ProofError as error:
        return Refused(reason="log-fork", detail=str(error))
    return checkpoint


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
