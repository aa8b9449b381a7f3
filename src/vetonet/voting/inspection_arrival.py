"""What is asked of a statement about inspections as it arrives: who hands it in, and when (VN-19.3, VN-19.9).

A log shows neither, so only whoever logs it can hold this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vetonet.crypto.statement import Statement, read_kind, read_unverified
from vetonet.errors import EncodingError, ExpiredError
from vetonet.policy.disclosure import DisclosureAnswer, DisclosureChallenge
from vetonet.policy.joint_randomness import RandomnessCommitment, RandomnessReveal, RandomnessRound
from vetonet.policy.transcript import SegmentChallenge, SegmentFinding, TranscriptCommitment
from vetonet.units import Milliseconds

MAX_SKEW_MS: Final = 60_000
"""What a challenge may be dated apart from its arrival, as the clocks of witnesses may be."""


def verify_arrival(data: bytes, now: Milliseconds) -> None:
    """Hold that a challenge or a round is dated as of now, as whoever logs it sees it (VN-19.3, VN-19.9).

    Raises:
        EncodingError: not a statement about inspections.
        ExpiredError: it is not.
    """
    kind = read_kind(data)
    dated = _DATED.get(kind)
    if dated is None:
        return
    stated_ms = read_unverified(data, dated).stated_ms
    if abs(stated_ms - now) > MAX_SKEW_MS:
        clause = "VN-19.9" if dated is RandomnessRound else "VN-19.3"
        msg = f"a {kind} dated {stated_ms} that came at {now}"
        raise ExpiredError(msg, culprit=find_submitter(data)[1], clause=clause)


def find_submitter(data: bytes) -> tuple[bool, str]:
    """Return whether a party may hand a statement in, else an operator, and its id, as the statement says.

    Raises:
        EncodingError: not a statement about inspections.
    """
    kind = read_kind(data)
    submitter = _SUBMITTERS.get(kind)
    if submitter is None:
        raise EncodingError(f"expected a statement about inspections, got a {kind[:64]!r}")
    statement, member = read_unverified(data, submitter[0]), submitter[1]
    return member != "operator_id", str(getattr(statement, member))


_DATED: Final[Mapping[str, type[DisclosureChallenge | SegmentChallenge | RandomnessRound]]] = {
    DisclosureChallenge.TYPE: DisclosureChallenge,
    SegmentChallenge.TYPE: SegmentChallenge,
    RandomnessRound.TYPE: RandomnessRound,
}

_SUBMITTERS: Final[Mapping[str, tuple[type[Statement], str]]] = {
    DisclosureChallenge.TYPE: (DisclosureChallenge, "challenger"),
    DisclosureAnswer.TYPE: (DisclosureAnswer, "operator_id"),
    TranscriptCommitment.TYPE: (TranscriptCommitment, "operator_id"),
    SegmentChallenge.TYPE: (SegmentChallenge, "challenger"),
    SegmentFinding.TYPE: (SegmentFinding, "party_id"),
    RandomnessRound.TYPE: (RandomnessRound, "opener"),
    RandomnessCommitment.TYPE: (RandomnessCommitment, "party_id"),
    RandomnessReveal.TYPE: (RandomnessReveal, "party_id"),
}
"""Which field of each says whose it is."""
