"""Evidence of equivocation that verifies by itself: two checkpoints of one log that no single log has.

Two signed checkpoints of one size with different roots speak for themselves. For sizes a < b the evidence
adds a path: the nodes by which the root at b contains the root of its own first a leaves. If that root is
another than the one signed for a, then what was signed for b does not extend what was signed for a.

Why nobody honest can be accused. Which nodes a path has, and where each stands in the tree, follows from a
and b alone. Folding it gives the root at b by a chain of hashes, so as long as nobody finds a collision of
SHA-256, whoever knows *any* path that folds to a root knows the same nodes as everybody else, and with them
the same root of the first a leaves: a root commits to all of its prefixes. A log that only ever appended
knows a path between the two roots that it signed, and a witness verified one, in one step or in several,
before it cosigned the second; a path with another result to the same root would be a collision. Conversely
whoever holds the tree at b can always show its prefix. So evidence that holds convicts the log, and every
witness whose cosignature stands under both checkpoints; those of only one may have been deceived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Final, Protocol

from vetonet.crypto.merkle import (
    HASH_BYTES,
    ConsistencyProof,
    InclusionProof,
    fold_consistency,
    split_inclusion,
)
from vetonet.crypto.merkle.proofs import MAX_CONSISTENCY_HASHES
from vetonet.encoding.record import Record, bstr, many, member, one_of
from vetonet.errors import EquivocationError, InvalidSignatureError, ProofError, RefusedError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.note import MAX_NOTE_BYTES, SignedNote, verify_signature
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, assemble_cosigned, verify_cosigned

_NOTE: Final = bstr(1, MAX_NOTE_BYTES)


class EvidenceKind(StrEnum):
    """What evidence says of itself, so that a file of it is known as such."""

    FORK = "vetonet fork 1"


class PrefixSource(Protocol):
    """Whoever can prove things about the larger tree: ``Log``, ``Tree`` and ``TileReader`` are."""

    def inclusion_proof(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``."""
        ...

    def consistency_proof(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the tree of ``new_size`` leaves extends that of ``old_size``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkEvidence(Record):
    """Two signed checkpoints and what ties the first to the tree of the second; ``verify_fork`` judges it.

    Attributes:
        kind: always a fork.
        first: the signed checkpoint of the smaller tree; between equal sizes, the one with the lower root.
        second: the other.
        hashes: the path from the first size to the second root, as ``compute_prefix_path`` gives it.
    """

    MAX_BYTES: ClassVar[int] = 2 * MAX_NOTE_BYTES + 4096

    kind: EvidenceKind = member(1, one_of(EvidenceKind))
    first: bytes = member(2, _NOTE)
    second: bytes = member(3, _NOTE)
    hashes: tuple[bytes, ...] = member(4, many(bstr(HASH_BYTES), maximum=MAX_CONSISTENCY_HASHES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two histories that one log signed; only ``verify_fork`` makes one.

    Attributes:
        first, second: what the log committed to.
        prefix_root: the root that the first size has in the second history, other than ``first.root_hash``.
        witnesses: those whose cosignatures stand under both, which no honest witness makes.
    """

    first: Checkpoint
    second: Checkpoint
    prefix_root: bytes
    witnesses: tuple[WitnessKey, ...]

    @property
    def origin(self) -> str:
        """The log that forked."""
        return self.first.origin

    @property
    def culprits(self) -> tuple[str, ...]:
        """The names of everybody convicted, the log first."""
        return (self.origin, *(witness.name for witness in self.witnesses))


class LogForkedError(EquivocationError):
    """The log signed two histories (VN-11.4).

    Attributes:
        evidence: the two signed checkpoints, and what shows that no one log has both.
    """

    def __init__(self, first: Checkpoint, second: Checkpoint, evidence: ForkEvidence) -> None:
        message = (
            f"log {first.origin!r} signed two histories: "
            f"its checkpoint of {second.tree_size} leaves contradicts that of {first.tree_size}"
        )
        super().__init__(message, culprit=first.origin, clause="VN-11.4")
        self.evidence: Final = evidence


def verify_fork(evidence: ForkEvidence, policy: LogPolicy, *, allow_other_lines: bool = False) -> Fork:
    """Return the fork that evidence proves against a log of the policy.

    Nothing but the bytes and the keys in the policy is needed; its quorum is not, for the log's signature
    alone is a promise.

    Args:
        evidence: what somebody shows.
        policy: the keys of the log, and of the witnesses that may be convicted with it.
        allow_other_lines: pass over lines of unknown keys, for a reader who knows fewer of them than whoever
            wrote the evidence. Without it every line must be covered: one spelling for each policy.

    Raises:
        EncodingError: a checkpoint is not spelled in its one way.
        InvalidSignatureError: a checkpoint is of an unknown log, not signed by it, or carries a line that
            does not verify or is not allowed.
        ProofError: the two may well be of one history, or the evidence does not show otherwise.
    """
    keys_only = replace(policy, quorum=None)
    first, second = (
        verify_cosigned(data, keys_only, allow_other_lines=allow_other_lines)
        for data in (evidence.first, evidence.second)
    )
    _verify_pair(first.checkpoint, second.checkpoint)
    prefix_root = _compute_prefix_root(first.checkpoint, second.checkpoint, evidence.hashes)
    if prefix_root == first.checkpoint.root_hash:
        msg = f"no fork: the tree of {second.checkpoint.tree_size} leaves extends the one of "
        raise ProofError(f"{msg}{first.checkpoint.tree_size}, as it should")
    return Fork(
        first=first.checkpoint,
        second=second.checkpoint,
        prefix_root=prefix_root,
        witnesses=_select_both(first, second),
    )


def build_fork_evidence(one: bytes, other: bytes, hashes: Sequence[bytes], policy: LogPolicy) -> ForkEvidence:
    """Return evidence of a fork from two checkpoints as they were received, in either order.

    Lines that the policy does not cover are left out, and it is verified before it is returned: nobody is
    accused with what does not hold.

    Args:
        one: a signed checkpoint.
        other: another of the same log.
        hashes: ``compute_prefix_path`` in the larger tree, from the smaller size; none between equal sizes.
        policy: the keys of the log and its witnesses.

    Raises:
        EncodingError: no signed checkpoint.
        InvalidSignatureError: a checkpoint that no log of the policy signed.
        ProofError: the two are no fork, or the path does not show it.
    """
    covered = [_keep_covered(data, policy) for data in (one, other)]
    first, second = sorted(covered, key=lambda cosigned: _compute_order(cosigned.checkpoint))
    evidence = ForkEvidence(
        kind=EvidenceKind.FORK, first=first.data, second=second.data, hashes=tuple(hashes)
    )
    verify_fork(evidence, policy)
    return evidence


def find_fork(one: bytes, other: bytes, source: PrefixSource, policy: LogPolicy) -> ForkEvidence | None:
    """Return evidence if two checkpoints of one log cannot both be true, else None.

    Args:
        one: a signed checkpoint, as it was received.
        other: another of the same log.
        source: whoever holds the larger tree; nothing is asked of it between equal sizes.
        policy: the keys of the log and its witnesses.

    Raises:
        EncodingError, InvalidSignatureError: not a checkpoint of a log of the policy.
        ProofError: the source does not hold the tree of the larger checkpoint, so nobody can tell.
    """
    # The log's signatures decide alone; the witnesses' are verified only where they are evidence.
    signed = [_keep_log_line(SignedCheckpoint.from_bytes(data), policy) for data in (one, other)]
    first, second = sorted((bare.checkpoint for bare in signed), key=_compute_order)
    if first.tree_size == 0:
        return None
    hashes = compute_prefix_path(source, first.tree_size, second.tree_size)
    if _compute_prefix_root(first, second, hashes) == first.root_hash:
        return None
    return build_fork_evidence(one, other, hashes, policy)


def compute_prefix_path(source: PrefixSource, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """Return the nodes that show which root the first ``old_size`` leaves have in a tree of ``new_size``.

    It is the consistency proof with its first node always written out: a verifier of evidence cannot take the
    old root for it, since that root is what the evidence disputes. Nothing is needed between equal sizes.

    Args:
        source: the log, tree or reader of the history with ``new_size`` leaves.
        old_size: number of leaves of the smaller tree, at least 1.
        new_size: number of leaves of the larger tree.

    Raises:
        RefusedError: the source has no such sizes.
    """
    if old_size == new_size:
        return ()
    if not 1 <= old_size < new_size:
        msg = f"no path from size {old_size} to size {new_size}"
        raise RefusedError(msg)
    hashes = source.consistency_proof(old_size, new_size).hashes
    is_complete = old_size & (old_size - 1) == 0
    return (_find_left_node(source, old_size, new_size), *hashes) if is_complete else hashes


def _find_left_node(source: PrefixSource, size: int, tree_size: int) -> bytes:
    """Return the hash of the complete subtree of the first leaves: the next leaf has it as a sibling."""
    place = split_inclusion(size, tree_size).index((0, size))
    return source.inclusion_proof(size, tree_size).hashes[place]


def _verify_pair(first: Checkpoint, second: Checkpoint) -> None:
    """Both are of one log, and stand in the one order."""
    if first.origin != second.origin:
        msg = f"no fork: one checkpoint is of {first.origin!r}, the other of {second.origin!r}"
        raise ProofError(msg)
    if _compute_order(first) > _compute_order(second):
        msg = "expected the smaller checkpoint of the evidence first, and the lower root between equals"
        raise ProofError(msg)
    if first.tree_size == 0:
        msg = "no fork: every tree extends the empty one"
        raise ProofError(msg)


def _compute_prefix_root(first: Checkpoint, second: Checkpoint, hashes: Sequence[bytes]) -> bytes:
    if first.tree_size == second.tree_size:
        if hashes:
            msg = f"expected no path between two checkpoints of {first.tree_size} leaves, got {len(hashes)}"
            raise ProofError(f"{msg} hashes")
        return second.root_hash
    prefix_root, new_root = fold_consistency(hashes, old_size=first.tree_size, new_size=second.tree_size)
    if new_root != second.root_hash:
        msg = f"the path leads to the root {new_root.hex()}, expected the signed {second.root_hash.hex()}"
        raise ProofError(msg)
    return prefix_root


def _compute_order(checkpoint: Checkpoint) -> tuple[int, bytes]:
    return checkpoint.tree_size, checkpoint.root_hash


def _select_both(first: CosignedCheckpoint, second: CosignedCheckpoint) -> tuple[WitnessKey, ...]:
    """Return the witnesses of the second checkpoint that are also the first one's."""
    known = {cosignature.witness for cosignature in first.cosignatures}
    return tuple(entry.witness for entry in second.cosignatures if entry.witness in known)


def _keep_covered(data: bytes, policy: LogPolicy) -> CosignedCheckpoint:
    """Return a received checkpoint with the lines of the policy's keys that verify, in their one order."""
    signed = SignedCheckpoint.from_bytes(data)
    bare = _keep_log_line(signed, policy)
    return assemble_cosigned(bare, signed.note.signatures, replace(policy, quorum=None))


def _keep_log_line(signed: SignedCheckpoint, policy: LogPolicy) -> SignedCheckpoint:
    """Return a checkpoint with the log's own signature alone, verified.

    Raises:
        InvalidSignatureError: the policy knows no such log, or it did not sign this.
    """
    log_key = policy.find_log(signed)
    owner = (log_key.name, log_key.key_id)
    own = [line for line in signed.note.signatures if (line.name, line.key_id) == owner]
    if not own:
        msg = f"expected a signature by {log_key.name}+{log_key.key_id.hex()}, got none"
        raise InvalidSignatureError(msg)
    note = SignedNote(text=signed.note.text, signatures=(own[0],))
    verify_signature(note, log_key)
    return SignedCheckpoint(note=note)
