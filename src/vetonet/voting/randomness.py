"""A round of joint randomness as a value: who committed, who showed what, and what comes out (VN-19).

Every party of the treaty has to take part. So nothing that a coordinator leaves out, orders or holds back
makes another number than the one that all parties' contributions give, and one party that keeps its own to
itself until all have committed is enough to make that number unknown to everybody else.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vetonet.crypto.statement import Signed
from vetonet.errors import EquivocationError, ProofError, RefusedError, UnexpectedEventError
from vetonet.policy.joint_randomness import (
    CONTRIBUTION_BYTES,
    RandomnessCommitment,
    RandomnessReveal,
    RandomnessRound,
    compute_commitment,
    compute_commitments_digest,
    compute_joint_output,
)
from vetonet.units import Milliseconds, Rng


class RoundPhase(StrEnum):
    """How far a round is; it never goes back."""

    COMMITTING = "committing"
    REVEALING = "revealing"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAbort:
    """Why nothing came out of a round in time.

    Attributes:
        silent: who did not commit.
        withheld: who committed and did not show: it may have disliked what would have come out.
    """

    silent: tuple[str, ...]
    withheld: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """A party's own 32 bytes for one round; secret until everybody has committed."""

    party_id: str
    round_digest: bytes
    value: bytes = field(repr=False)

    @classmethod
    def generate(cls, party_id: str, round_digest: bytes, rng: Rng) -> Contribution:
        """Return fresh bytes; they have to be durable before the commitment leaves."""
        return cls(party_id=party_id, round_digest=round_digest, value=rng(CONTRIBUTION_BYTES))

    def commit(self, opened: Signed[RandomnessRound]) -> RandomnessCommitment:
        """Return what to sign and publish first.

        Raises:
            RefusedError: the bytes were drawn for another round.
        """
        _require_round(self.round_digest, opened.payload_digest, self.party_id)
        return RandomnessCommitment(
            treaty_digest=opened.statement.treaty_digest,
            epoch=opened.statement.epoch,
            party_id=self.party_id,
            round_digest=self.round_digest,
            commitment=compute_commitment(self.round_digest, self.party_id, self.value),
        )

    def reveal(self, state: RandomnessState) -> RandomnessReveal:
        """Return what to sign and publish, now that everybody has committed (VN-19.11).

        Args:
            state: as the party itself read it from the log under a cosigned checkpoint.

        Raises:
            UnexpectedEventError: not everybody has committed, so whoever has not could still choose.
            RefusedError: the round holds another commitment of this party, or is another one.
        """
        opened = state.opened.statement
        _require_round(self.round_digest, state.digest, self.party_id)
        if state.phase is RoundPhase.COMMITTING:
            missing = ", ".join(state.list_silent())
            raise UnexpectedEventError(f"nothing is shown before {missing} committed", clause="VN-19.11")
        own = compute_commitment(self.round_digest, self.party_id, self.value)
        if not hmac.compare_digest(state.commitments[self.party_id], own):
            raise RefusedError("the round holds another commitment of this party", clause="VN-19.11")
        return RandomnessReveal(
            treaty_digest=opened.treaty_digest,
            epoch=opened.epoch,
            party_id=self.party_id,
            round_digest=self.round_digest,
            commitments_digest=state.commitments_digest,
            contribution=self.value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomnessState:
    """One round as far as somebody knows it.

    Attributes:
        opened: the round as its opener signed it.
        roster: all parties of its treaty, in the treaty's order.
        commitments, contributions: by party.
    """

    opened: Signed[RandomnessRound]
    roster: tuple[str, ...]
    commitments: Mapping[str, bytes] = field(default_factory=dict)
    contributions: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """What names the round."""
        return self.opened.payload_digest

    @property
    def phase(self) -> RoundPhase:
        """What may come next."""
        if len(self.commitments) < len(self.roster):
            return RoundPhase.COMMITTING
        return RoundPhase.REVEALING if len(self.contributions) < len(self.roster) else RoundPhase.DONE

    @property
    def commitments_digest(self) -> bytes:
        """What names the commitments so far."""
        return compute_commitments_digest(self.digest, self.commitments)

    def list_silent(self) -> tuple[str, ...]:
        """Return who has not committed."""
        return tuple(name for name in self.roster if name not in self.commitments)

    def take_commitment(self, statement: RandomnessCommitment) -> RandomnessState:
        """Return the round with one more commitment, of which somebody verified who signed it (VN-19.10).

        Raises:
            RefusedError: it is of another round, or the party committed already.
            EquivocationError: the party committed to something else before.
        """
        name = statement.party_id
        _require_round(statement.round_digest, self.digest, name)
        earlier = self.commitments.get(name)
        if earlier is not None and earlier != statement.commitment:
            raise EquivocationError(f"{name} committed twice in one round", culprit=name, clause="VN-19.10")
        if earlier is not None:
            raise RefusedError(f"{name} has committed already", culprit=name, clause="VN-19.10")
        return replace(self, commitments={**self.commitments, name: statement.commitment})

    def take_reveal(self, statement: RandomnessReveal) -> RandomnessState:
        """Return the round with one more contribution (VN-19.11).

        Raises:
            UnexpectedEventError: not everybody has committed yet.
            RefusedError: it is of another round, of other commitments, or there already.
            ProofError: it is not what the party committed to.
        """
        name = statement.party_id
        _require_round(statement.round_digest, self.digest, name)
        if self.phase is RoundPhase.COMMITTING:
            raise UnexpectedEventError(f"{name} shows its part too early", culprit=name, clause="VN-19.11")
        if statement.commitments_digest != self.commitments_digest:
            raise RefusedError(
                f"{name} shows its part for other commitments", culprit=name, clause="VN-19.11"
            )
        if name in self.contributions:
            raise RefusedError(f"{name} has shown its part already", culprit=name, clause="VN-19.11")
        computed = compute_commitment(self.digest, name, statement.contribution)
        if computed != self.commitments[name]:
            raise ProofError(f"{name} shows something else than it committed to")
        return replace(self, contributions={**self.contributions, name: statement.contribution})

    def compute_output(self) -> bytes:
        """Return the 64 bytes that the round gives.

        Raises:
            UnexpectedEventError: somebody's contribution is still missing.
        """
        if self.phase is not RoundPhase.DONE:
            raise UnexpectedEventError("a round gives nothing before everybody has shown its part")
        return compute_joint_output(self.digest, self.roster, self.contributions)

    def find_abort(self, now: Milliseconds) -> RoundAbort | None:
        """Return who kept a round from ending, once its time is over (VN-19.12); None before, and at an end.

        Who is named did not speak in the log. Whether it was silent or was not let in, the log cannot tell.
        """
        times = self.opened.statement
        if self.phase is RoundPhase.COMMITTING and now >= times.commits_end_ms:
            return RoundAbort(silent=self.list_silent(), withheld=())
        if self.phase is RoundPhase.REVEALING and now >= times.reveals_end_ms:
            withheld = tuple(name for name in self.roster if name not in self.contributions)
            return RoundAbort(silent=(), withheld=withheld)
        return None


def begin_round(opened: Signed[RandomnessRound], roster: tuple[str, ...]) -> RandomnessState:
    """Return the round before anybody committed.

    Raises:
        ValueError: there is nobody to draw, or somebody stands on the roster twice.
    """
    if not roster or len(set(roster)) < len(roster):
        raise ValueError("expected a roster of at least one party, each once")
    return RandomnessState(opened=opened, roster=roster)


def _require_round(named: bytes, expected: bytes, party_id: str) -> None:
    if named != expected:
        msg = f"{party_id} speaks of round {named.hex()[:16]}, expected {expected.hex()[:16]}"
        raise RefusedError(msg, culprit=party_id, clause="VN-19.10")
