"""Spot checks of a training transcript: what is signed about them, and how chance chooses (VN-19).

An operator commits to the segments of a run (``policy.segments``). Which of them are computed again follows
from joint randomness that came later, so whoever made a share q of them up is caught with probability
1 - (1 - q)^m by m samples (Choi et al. 2023; Jia et al. 2021).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, bstr, member, one_of, tstr, uint
from vetonet.errors import RefusedError
from vetonet.policy.disclosure import verify_answer_time
from vetonet.policy.licence import MAX_LEAF_INDEX
from vetonet.policy.proposal import PartyStatement, open_own, verify_treaty_reference
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS

MAX_SEGMENTS: Final = 2**32
MAX_PARTS: Final = 4096
MAX_SAMPLES: Final = 4096

_SAMPLE: Final = b"vetonet transcript sample 1\n"
_SAMPLE_BYTES: Final = 8


class SegmentOutcome(StrEnum):
    """What a party found when it computed the segments of a spot check again."""

    PASSED = "passed"
    FAILED = "failed"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptCommitment(Statement):
    """That an operator holds the transcript of a run, or of one part of it.

    Attributes:
        operator_id: who ran it; the signature must be this operator's.
        licence_id: of the licence that the run had.
        number: from 1, one more with each part of the run.
        segment_count: how many segments it has.
        root: Merkle root over the segments, in order.
        start, end: the salted digests of the states before the first segment and after the last; a part
            starts where the one before it ended.
    """

    TYPE: ClassVar[str] = "transcript-commitment"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    operator_id: str = member(3, tstr(64))
    licence_id: int = member(4, uint(MAX_LEAF_INDEX))
    number: int = member(5, uint(MAX_PARTS))
    segment_count: int = member(6, uint(MAX_SEGMENTS))
    root: bytes = member(7, DIGEST)
    start: bytes = member(8, DIGEST)
    end: bytes = member(9, DIGEST)

    def __post_init__(self) -> None:
        """Refuse a transcript of nothing, and a number below 1 (VN-19.6)."""
        if not self.number or not self.segment_count:
            raise ValueError("expected parts to be numbered from 1, each with at least one segment")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChallenge(PartyStatement):
    """That a party wants some segments of a transcript computed again; chance will say which.

    Attributes:
        challenger: the party; the signature must be its own.
        transcript_digest: of the commitment, which has to be in the log before.
        sample_count: how many segments; said before anybody knows which.
        stated_ms: when the party says so.
        deadline_ms: until when it wants to have found something.
        serial: makes two otherwise equal challenges different.
    """

    TYPE: ClassVar[str] = "segment-challenge"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    challenger: str = member(3, tstr(64))
    transcript_digest: bytes = member(4, DIGEST)
    sample_count: int = member(5, uint(MAX_SAMPLES))
    stated_ms: int = member(6, uint(MAX_TIME_MS))
    deadline_ms: int = member(7, uint(MAX_TIME_MS))
    serial: bytes = member(8, bstr(16))

    def __post_init__(self) -> None:
        """Refuse a check of nothing, and a deadline as that of a disclosure (VN-19.7)."""
        if not self.sample_count:
            raise ValueError("expected at least one segment to compute again")
        verify_answer_time(self.stated_ms, self.deadline_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFinding(PartyStatement):
    """What a party found; its word alone, which proves nothing to others.

    Attributes:
        party_id: the party; the signature must be its own.
        challenge_digest: of the challenge.
        outcome: of all the segments that chance chose.
        segment: the first that failed or was withheld, else None.
    """

    TYPE: ClassVar[str] = "segment-finding"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    party_id: str = member(3, tstr(64))
    challenge_digest: bytes = member(4, DIGEST)
    outcome: SegmentOutcome = member(5, one_of(SegmentOutcome))
    segment: int | None = member(6, uint(MAX_SEGMENTS), optional=True)

    def __post_init__(self) -> None:
        """Refuse a doubt without the segment that gives rise to it, and a segment without doubt (VN-19.8)."""
        if (self.outcome is SegmentOutcome.PASSED) != (self.segment is None):
            raise ValueError("expected the segment that failed or was withheld, and only there")


def open_transcript(data: bytes, treaty: Signed[Treaty]) -> Signed[TranscriptCommitment]:
    """Return the commitment that an operator of this treaty signed for itself (VN-19.6).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is no operator of the treaty.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another operator.
    """
    signed = open_statement(data, TranscriptCommitment, treaty.statement.operator_keys)
    verify_treaty_reference(signed.statement, treaty)
    signer = treaty.statement.find_operator_by_key(signed.signer).operator_id
    if signer != signed.statement.operator_id:
        msg = f"a transcript of {signed.statement.operator_id!r} signed by {signer!r}"
        raise RefusedError(msg, culprit=signer, clause="VN-19.6")
    return signed


def open_segment_challenge(data: bytes, treaty: Signed[Treaty]) -> Signed[SegmentChallenge]:
    """Return a challenge that a party of this treaty signed for itself (VN-19.7).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party.
    """
    return open_own(data, SegmentChallenge, treaty, name=lambda stated: stated.challenger, clause="VN-19.7")


def open_segment_finding(data: bytes, treaty: Signed[Treaty]) -> Signed[SegmentFinding]:
    """Return a finding that a party of this treaty signed for itself (VN-19.8).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party.
    """
    return open_own(data, SegmentFinding, treaty, name=lambda stated: stated.party_id, clause="VN-19.8")


def choose_segments(output: bytes, segment_count: int, sample_count: int) -> tuple[int, ...]:
    """Return which segments a draw of joint randomness chooses: all alike, none twice, rising (VN-19.7).

    Floyd's algorithm over numbers without bias: those above the last whole multiple are drawn again.

    Args:
        output: what the round gave.
        segment_count: how many segments there are.
        sample_count: how many are wanted; all where there are fewer.
    """
    numbers, chosen = _draw(output), set[int]()
    wanted = min(sample_count, segment_count)
    for top in range(segment_count - wanted, segment_count):
        drawn = _below(top + 1, numbers)
        chosen.add(top if drawn in chosen else drawn)
    return tuple(sorted(chosen))


def _draw(output: bytes) -> Iterator[int]:
    """Yield numbers of 64 bits that follow from a draw."""
    counter = 0
    while True:
        block = hashlib.sha512(_SAMPLE + output + counter.to_bytes(8, "big")).digest()
        for start in range(0, len(block), _SAMPLE_BYTES):
            yield int.from_bytes(block[start : start + _SAMPLE_BYTES], "big")
        counter += 1


def _below(limit: int, numbers: Iterator[int]) -> int:
    """Return the next number below a limit, each with the same chance."""
    space = 1 << (8 * _SAMPLE_BYTES)
    top = space - space % limit
    return next(number for number in numbers if number < top) % limit
