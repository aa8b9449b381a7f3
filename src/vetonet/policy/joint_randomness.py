"""Joint randomness: what parties sign to draw a number that none of them can steer (VN-19).

Each party of the treaty commits to 32 bytes of its own, and shows them once everybody has committed. Whoever
committed and does not show is named; nothing comes out then, and no other round takes its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from vetonet.crypto.statement import Signed
from vetonet.encoding.record import DIGEST, bstr, member, tstr, uint
from vetonet.policy.proposal import PartyStatement, open_own
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS, MS_PER_HOUR

CONTRIBUTION_BYTES: Final = 32
MAX_PHASE_MS: Final = 7 * 24 * MS_PER_HOUR

_COMMITMENT: Final = b"vetonet randomness commitment 1\n"
_SET: Final = b"vetonet randomness commitments 1\n"
_OUTPUT: Final = b"vetonet randomness output 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomnessRound(PartyStatement):
    """That a party asks all parties of the treaty to draw something together.

    Attributes:
        opener: the party; the signature must be its own.
        subject_digest: what the draw is for, such as a spot check's challenge.
        stated_ms: when the party says so.
        commits_end_ms: until when parties should commit.
        reveals_end_ms: until when they should show what they committed to.
        serial: makes two otherwise equal rounds different.
    """

    TYPE: ClassVar[str] = "randomness-round"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    opener: str = member(3, tstr(64))
    subject_digest: bytes = member(4, DIGEST)
    stated_ms: int = member(5, uint(MAX_TIME_MS))
    commits_end_ms: int = member(6, uint(MAX_TIME_MS))
    reveals_end_ms: int = member(7, uint(MAX_TIME_MS))
    serial: bytes = member(8, bstr(16))

    def __post_init__(self) -> None:
        """Refuse a round without time, or with so much that it keeps its subject for ever (VN-19.9)."""
        times = (self.commits_end_ms - self.stated_ms, self.reveals_end_ms - self.commits_end_ms)
        if not all(0 < time <= MAX_PHASE_MS for time in times):
            raise ValueError(f"expected 1 to {MAX_PHASE_MS} ms to commit and to show, got {times} ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomnessCommitment(PartyStatement):
    """That a party holds 32 bytes for a round, which nobody else can tell and it cannot change any more.

    Attributes:
        party_id: the party; the signature must be its own.
        round_digest: of the round.
        commitment: as ``compute_commitment`` gives it.
    """

    TYPE: ClassVar[str] = "randomness-commitment"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    party_id: str = member(3, tstr(64))
    round_digest: bytes = member(4, DIGEST)
    commitment: bytes = member(5, DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomnessReveal(PartyStatement):
    """What a party committed to, shown once it saw that everybody had committed.

    Attributes:
        party_id: the party; the signature must be its own.
        round_digest: of the round.
        commitments_digest: of all the commitments that it saw; with other ones the reveal counts for nothing.
        contribution: the 32 bytes.
    """

    TYPE: ClassVar[str] = "randomness-reveal"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    party_id: str = member(3, tstr(64))
    round_digest: bytes = member(4, DIGEST)
    commitments_digest: bytes = member(5, DIGEST)
    contribution: bytes = member(6, bstr(CONTRIBUTION_BYTES))


S = TypeVar("S", RandomnessCommitment, RandomnessReveal)

_CLAUSES: Final[Mapping[type[PartyStatement], str]] = {
    RandomnessCommitment: "VN-19.10",
    RandomnessReveal: "VN-19.11",
}


def compute_commitment(round_digest: bytes, party_id: str, contribution: bytes) -> bytes:
    """Return what a party publishes of its contribution.

    The round's digest names treaty and epoch, and the party its own name, so that no commitment is another
    party's, or of another round, treaty or epoch, taken over (VN-19.10). 32 random bytes hide themselves.
    """
    return hashlib.sha256(_COMMITMENT + round_digest + _spell(party_id) + contribution).digest()


def compute_commitments_digest(round_digest: bytes, commitments: Mapping[str, bytes]) -> bytes:
    """Return what names a set of commitments, by party, in whatever order they came."""
    pairs = b"".join(_spell(name) + commitments[name] for name in sorted(commitments))
    return hashlib.sha256(_SET + round_digest + pairs).digest()


def compute_joint_output(
    round_digest: bytes, roster: Sequence[str], contributions: Mapping[str, bytes]
) -> bytes:
    """Return the 64 bytes that a round gives: a hash over all contributions in the order of the roster.

    Raises:
        ValueError: somebody's contribution is missing, or there is one too many.
    """
    if set(roster) != set(contributions) or not roster:
        raise ValueError("expected exactly one contribution of each party on the roster")
    pairs = b"".join(_spell(name) + contributions[name] for name in roster)
    return hashlib.sha512(_OUTPUT + round_digest + pairs).digest()


def open_randomness_round(data: bytes, treaty: Signed[Treaty]) -> Signed[RandomnessRound]:
    """Return a round that a party of this treaty opened for itself (VN-19.9).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party as the opener.
    """
    return open_own(data, RandomnessRound, treaty, name=lambda stated: stated.opener, clause="VN-19.9")


def open_randomness(data: bytes, kind: type[S], treaty: Signed[Treaty]) -> Signed[S]:
    """Return a commitment or a reveal that a party of this treaty signed for itself (VN-19.10, VN-19.11).

    Raises:
        EncodingError: not a statement of this kind.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party.
    """
    return open_own(data, kind, treaty, name=lambda stated: stated.party_id, clause=_CLAUSES[kind])


def _spell(name: str) -> bytes:
    spelled = name.encode()
    return len(spelled).to_bytes(2, "big") + spelled
