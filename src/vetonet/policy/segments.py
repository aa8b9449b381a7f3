"""The segments of a training transcript: committed to, shown to a challenger, computed again (VN-19).

An operator cuts a run into segments and commits to each: the state it began with, the data it took, the
state it ended with. Contents stay with it until a challenger is shown some of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vetonet.crypto.merkle import InclusionProof, Tree, compute_leaf_hash, verify_inclusion
from vetonet.encoding.record import DIGEST, DIGEST_BYTES, Record, member, uint
from vetonet.errors import EncodingError, Problem, ProofError, VerificationError
from vetonet.policy.transcript import MAX_SEGMENTS, TranscriptCommitment
from vetonet.units import Rng

WHOLE_WAY: Final = 10**9
"""What the data of a segment changed, in the parts in which distances are told."""

_STATE: Final = b"vetonet transcript state 1\n"
_BATCH: Final = b"vetonet transcript batch 1\n"
_SEGMENT: Final = b"vetonet transcript segment 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Record):
    """One leaf of a transcript.

    Attributes:
        index: which segment, from 0.
        start, end: the salted digests of the states before and after; one's end is the next one's start.
        batch: the salted digest of the data that was taken, in the order in which it was.
    """

    index: int = member(1, uint(MAX_SEGMENTS))
    start: bytes = member(2, DIGEST)
    batch: bytes = member(3, DIGEST)
    end: bytes = member(4, DIGEST)

    def compute_leaf_hash(self) -> bytes:
        """Return the hash of this leaf in the tree of its transcript."""
        return compute_leaf_hash(_SEGMENT + self.to_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Salted:
    """Private bytes of a run and the salt under which a transcript holds them; goes to a challenger alone."""

    content: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def compute_state_digest(self) -> bytes:
        """Return what a segment says of it as a state."""
        return _digest(_STATE, self)

    def compute_batch_digest(self) -> bytes:
        """Return what a segment says of it as a batch of data."""
        return _digest(_BATCH, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedSegment:
    """What an operator shows of one segment, to one challenger and not in the log.

    Attributes:
        segment: the leaf, and ``proof`` that it is one.
        following: the next leaf with its proof, None for the last: it has to begin where this one ends.
        start, batch, end: what the leaf is about.
    """

    segment: Segment
    proof: InclusionProof
    following: tuple[Segment, InclusionProof] | None
    start: Salted
    batch: Salted
    end: Salted


Replay: TypeAlias = Callable[[bytes, bytes], bytes]
"""A segment computed again: state and batch in, state out."""

Measure: TypeAlias = Callable[[bytes, bytes, bytes], int]
"""How far two states after the same one are apart, in parts per billion of what the segment's data changed.

Its arguments are the state at the start, the one that is claimed and the one that was computed again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a segment that was computed again may be off.

    Floating-point sums depend on their order, so another machine does not give the same bits. Whatever the
    tolerance lets pass is also what an operator may hide: a share of each update, its covert channel.

    Attributes:
        max_parts: the largest distance, in parts per billion of what the segment's data changed.
    """

    max_parts: int

    def __post_init__(self) -> None:
        """Refuse what would let a segment pass that did nothing, or something else entirely."""
        if not 0 <= self.max_parts < WHOLE_WAY:
            raise ValueError(f"expected a tolerance from 0 to below {WHOLE_WAY} parts per billion")


def build_transcript(
    states: Sequence[bytes], batches: Sequence[bytes], rng: Rng, *, continues: Transcript | None = None
) -> Transcript:
    """Return the transcript of a run, or of a part of it, through these states, one more than batches.

    Args:
        states: in order.
        batches: in order.
        rng: for the salts.
        continues: the part before; this one begins with its last state, under the same salt.

    Raises:
        ValueError: another number of states, or another first state than the part before ended with.
    """
    if len(states) != len(batches) + 1 or not batches:
        raise ValueError("expected at least one batch, and one state more than batches")
    first = Salted(content=states[0], salt=rng(DIGEST_BYTES)) if continues is None else continues.states[-1]
    if first.content != states[0]:
        raise ValueError("expected a part to begin with the state that the part before it ended with")
    return Transcript(
        states=(first, *(Salted(content=state, salt=rng(DIGEST_BYTES)) for state in states[1:])),
        batches=tuple(Salted(content=batch, salt=rng(DIGEST_BYTES)) for batch in batches),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What an operator keeps of a run: every state and every batch, with their salts; secret."""

    states: tuple[Salted, ...] = field(repr=False)
    batches: tuple[Salted, ...] = field(repr=False)

    def list_segments(self) -> tuple[Segment, ...]:
        """Return the leaves in order."""
        digests = [state.compute_state_digest() for state in self.states]
        return tuple(
            Segment(
                index=index,
                start=digests[index],
                batch=batch.compute_batch_digest(),
                end=digests[index + 1],
            )
            for index, batch in enumerate(self.batches)
        )

    def compute_root(self) -> bytes:
        """Return what the commitment states."""
        return build_segment_tree(self.list_segments()).root_hash()

    def reveal(self, index: int) -> RevealedSegment:
        """Return what a challenger has to be shown of one segment.

        Raises:
            ValueError: there is no such segment.
        """
        segments = self.list_segments()
        return self.reveal_from(segments, build_segment_tree(segments), index)

    def reveal_from(self, segments: Sequence[Segment], tree: Tree, index: int) -> RevealedSegment:
        """Return the same, where the leaves and their tree are at hand, whatever the leaves are said to be.

        Raises:
            ValueError: there is no such segment.
        """
        has_next = index + 1 < len(segments)
        return RevealedSegment(
            segment=segments[index],
            proof=tree.inclusion_proof(index),
            following=(segments[index + 1], tree.inclusion_proof(index + 1)) if has_next else None,
            start=self.states[index],
            batch=self.batches[index],
            end=self.states[index + 1],
        )


def build_segment_tree(segments: Iterable[Segment]) -> Tree:
    """Return the tree whose root a commitment states."""
    return Tree(segment.compute_leaf_hash() for segment in segments)


def verify_segment(
    transcript: TranscriptCommitment,
    index: int,
    revealed: RevealedSegment,
    *,
    replay: Replay,
    measure: Measure,
    tolerance: Tolerance,
) -> None:
    """Hold that a segment is what the operator committed to, and what computing it again gives (VN-19.8).

    Raises:
        ProofError: what is shown is not the committed segment, or the next one begins elsewhere.
        VerificationError: it cannot be computed again, or that ends too far away.
    """
    _verify_leaf(transcript, revealed.segment, revealed.proof, index)
    leaf = revealed.segment
    _verify_ends(transcript, leaf)
    shown = (
        revealed.start.compute_state_digest(),
        revealed.batch.compute_batch_digest(),
        revealed.end.compute_state_digest(),
    )
    if shown != (leaf.start, leaf.batch, leaf.end):
        raise ProofError(f"what is shown of segment {index} is not what was committed to")
    _verify_following(transcript, revealed, index)
    start, claimed = revealed.start.content, revealed.end.content
    try:
        parts = measure(start, claimed, replay(start, revealed.batch.content))
    except EncodingError as error:
        raise _refuse(transcript, f"segment {index} holds what cannot be computed again: {error}") from error
    if parts > tolerance.max_parts:
        detail = f"segment {index} ends {parts} parts per billion away, more than {tolerance.max_parts}"
        raise _refuse(transcript, detail)


def _verify_ends(transcript: TranscriptCommitment, leaf: Segment) -> None:
    """Without this, parts that are each one run need not be one together."""
    is_first, is_last = leaf.index == 0, leaf.index + 1 == transcript.segment_count
    if (is_first and leaf.start != transcript.start) or (is_last and leaf.end != transcript.end):
        raise ProofError(f"segment {leaf.index} does not begin or end where its part is said to")


def _refuse(transcript: TranscriptCommitment, detail: str) -> VerificationError:
    problem = Problem(reason="spot-check-failed", detail=detail, culprit=transcript.operator_id)
    return VerificationError(detail, problems=(problem,))


def _verify_following(transcript: TranscriptCommitment, revealed: RevealedSegment, index: int) -> None:
    """Without this, segments that are each computed well need not be one run."""
    is_last = index + 1 == transcript.segment_count
    if is_last != (revealed.following is None):
        raise ProofError(f"expected segment {index} with the one behind it, and the last with none")
    if revealed.following is not None:
        following, proof = revealed.following
        _verify_leaf(transcript, following, proof, index + 1)
        if following.start != revealed.segment.end:
            raise ProofError(f"segment {index + 1} does not begin where segment {index} ends")


def _verify_leaf(
    transcript: TranscriptCommitment, segment: Segment, proof: InclusionProof, index: int
) -> None:
    if segment.index != index or proof.leaf_index != index:
        raise ProofError(f"expected segment {index}, got {segment.index} at place {proof.leaf_index}")
    verify_inclusion(
        leaf_hash=segment.compute_leaf_hash(),
        leaf_index=index,
        tree_size=transcript.segment_count,
        proof=proof.hashes,
        root_hash=transcript.root,
    )


def _digest(tag: bytes, salted: Salted) -> bytes:
    return hashlib.sha256(tag + salted.salt + hashlib.sha256(salted.content).digest()).digest()
