"""The proof that travels with a statement: its place in the log and the checkpoint that covers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vetonet.crypto.merkle import HASH_BYTES, MAX_TREE_SIZE, compute_leaf_hash, verify_inclusion
from vetonet.crypto.merkle.proofs import MAX_INCLUSION_HASHES
from vetonet.encoding.record import Record, bstr, many, member, uint
from vetonet.errors import RefusedError
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.log import Log
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof(Record):
    """Everything a verifier needs to place a leaf in a log, offline.

    The tree size is not repeated: an inclusion proof does not bind it, so the only one that counts is
    the one signed in the checkpoint.

    Attributes:
        leaf_index: position of the leaf, from 0.
        hashes: the sibling hashes up to the root, lowest first.
        checkpoint: a signed and cosigned checkpoint of the log, as it was received.
    """

    MAX_BYTES: ClassVar[int] = MAX_NOTE_BYTES + 4096

    leaf_index: int = member(1, uint(MAX_TREE_SIZE - 1))
    hashes: tuple[bytes, ...] = member(2, many(bstr(HASH_BYTES), maximum=MAX_INCLUSION_HASHES))
    checkpoint: bytes = member(3, bstr(1, MAX_NOTE_BYTES))


def compute_log_proof(log: Log, leaf_index: int, checkpoint: bytes) -> LogProof:
    """Return the proof that a leaf of this log is covered by a checkpoint that was signed for it.

    Raises:
        EncodingError: the bytes are not a signed checkpoint.
        RefusedError: the checkpoint is not one of this log, or does not reach the leaf.
    """
    covered = SignedCheckpoint.from_bytes(checkpoint).checkpoint
    if covered != log.checkpoint(covered.tree_size):
        msg = f"the checkpoint of size {covered.tree_size} is not one of log {log.origin!r}"
        raise RefusedError(msg)
    inclusion = log.inclusion_proof(leaf_index, covered.tree_size)
    return LogProof(leaf_index=leaf_index, hashes=inclusion.hashes, checkpoint=checkpoint)


def verify_log_proof(leaf: bytes, proof: LogProof, policy: LogPolicy) -> CosignedCheckpoint:
    """Return the checkpoint under which this leaf is in the log; enough witnesses vouch for it (VN-11.5).

    Also a log of a single leaf is measured against its signed root, though its path is empty.

    Args:
        leaf: the leaf, byte for byte.
        proof: where the leaf is, and the checkpoint that covers it.
        policy: which log and which witnesses count.

    Raises:
        EncodingError: the checkpoint is not spelled in its one way.
        InvalidSignatureError: the checkpoint is of another log, is not signed by its key, or carries
            lines that nothing covers.
        WitnessQuorumError: too few witnesses cosigned it.
        ProofError: the leaf is not at this place of the tree that the checkpoint commits to.
    """
    cosigned = verify_cosigned(proof.checkpoint, policy)
    verify_inclusion(
        leaf_hash=compute_leaf_hash(leaf),
        leaf_index=proof.leaf_index,
        tree_size=cosigned.checkpoint.tree_size,
        proof=proof.hashes,
        root_hash=cosigned.checkpoint.root_hash,
    )
    return cosigned
