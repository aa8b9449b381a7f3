"""What a proposal's life is made of: phases, state, the events that move it, the effects it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from vetonet.crypto.statement import Signed
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot
from vetonet.policy.licence import Licence
from vetonet.policy.matter import find_action, find_recused
from vetonet.policy.motion import Motion, Resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision, Quorum
from vetonet.policy.treaty import Treaty
from vetonet.voting.signing import (
    GroupCommitments,
    GroupShare,
    RequestCommitments,
    RequestShares,
    Signing,
)


class Phase(StrEnum):
    """Where a proposal stands; LICENSED, VETOED and EXPIRED are ends.

    LICENSED means that the quorum's signature is in the log: for a run a licence, for a motion a resolution.
    """

    OPEN = "open"
    SIGNING = "signing"
    LICENSED = "licensed"
    VETOED = "vetoed"
    EXPIRED = "expired"


DECISIONS: Mapping[Phase, Decision] = {
    Phase.OPEN: Decision.PENDING,
    Phase.SIGNING: Decision.GRANTED,
    Phase.LICENSED: Decision.GRANTED,
    Phase.VETOED: Decision.VETOED,
    Phase.EXPIRED: Decision.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedBallot:
    """A counted ballot and the leaf that holds it."""

    party_id: str
    leaf_index: int
    ballot: Signed[Ballot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voting:
    """One matter's life so far; all of it follows from the log but the making of the signature.

    Attributes:
        matter: the proposal or motion.
        leaf_index: where the log holds it.
        signing: how the quorum's signature is coming along, in SIGNING.
        outcome: the licence or the resolution, once it exists.
    """

    treaty: Signed[Treaty] = field(repr=False)
    matter: Signed[Proposal] | Signed[Motion]
    leaf_index: int
    phase: Phase = Phase.OPEN
    ballots: tuple[LoggedBallot, ...] = ()
    signing: Signing | None = None
    outcome: Signed[Licence] | Signed[Resolution] | None = None

    @property
    def digest(self) -> bytes:
        """The identity of what is voted on."""
        return self.matter.payload_digest

    @property
    def proposal(self) -> Signed[Proposal]:
        """The proposal of a run.

        Raises:
            ValueError: the vote is on a motion.
        """
        if isinstance(self.matter.statement, Proposal):
            return self.matter
        raise ValueError("a vote on a motion has no proposal of a run")

    @property
    def run(self) -> Proposal | None:
        """The run that is proposed; None where the vote is on a motion."""
        return self.matter.statement if isinstance(self.matter.statement, Proposal) else None

    @property
    def licence(self) -> Signed[Licence] | None:
        """The licence, once there is one."""
        found = self.outcome
        return found if found is not None and isinstance(found.statement, Licence) else None

    @property
    def resolution(self) -> Signed[Resolution] | None:
        """The resolution, once there is one."""
        found = self.outcome
        return found if found is not None and isinstance(found.statement, Resolution) else None

    @property
    def action(self) -> ActionClass:
        """Which class of action it is."""
        return find_action(self.matter.statement)

    @property
    def quorum(self) -> Quorum:
        """What it takes."""
        return self.treaty.statement.find_quorum(self.action)

    @property
    def decision(self) -> Decision:
        """What the vote amounts to at present."""
        return DECISIONS[self.phase]

    @property
    def choices(self) -> Mapping[str, Choice]:
        """Each party's choice."""
        return {logged.party_id: logged.ballot.statement.choice for logged in self.ballots}

    @property
    def recused(self) -> frozenset[str]:
        """The operator's own party (VN-4.5)."""
        return find_recused(self.matter.statement, self.treaty.statement)

    def find_ballot(self, party_id: str) -> LoggedBallot | None:
        """Return a party's counted ballot, or None where it has not voted."""
        return next((logged for logged in self.ballots if logged.party_id == party_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotReceived:
    """A ballot whose signature holds came in; ``leaf_index`` is where it would be logged."""

    ballot: Signed[Ballot]
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """Somebody looked at the clock.

    Attributes:
        licensed: proposals that hold a licence by now, by digest: they count into the band.
        epoch: of the treaty in force; a vote under an older one is over (VN-16.8).
    """

    licensed: Mapping[bytes, Proposal]
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentsReceived:
    """A signer committed to nonces for the next attempt, with all its seats."""

    party_id: str
    commitments: tuple[GroupCommitments, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesReceived:
    """A signer answered.

    Attributes:
        leaf_index: where the outcome would be logged if this completes it.
        licensed: proposals that hold a licence by now, by digest: they count into the band.
    """

    party_id: str
    attempt: int
    shares: tuple[GroupShare, ...]
    leaf_index: int
    licensed: Mapping[bytes, Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLogged:
    """The log holds the licence or resolution: a replay, or another coordinator's work."""

    outcome: Signed[Licence] | Signed[Resolution]
    licensed: Mapping[bytes, Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendLeaf:
    """Append these bytes to the log at this index, durably, before the new state counts."""

    data: bytes = field(repr=False)
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCulprits:
    """Tell everybody who spoilt an attempt, and how."""

    party_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Tell everybody how it ended."""

    decision: Decision


Event: TypeAlias = BallotReceived | TimePassed | CommitmentsReceived | SharesReceived | OutcomeLogged
Effect: TypeAlias = AppendLeaf | RequestCommitments | RequestShares | NameCulprits | Conclude
EFFECTS_NONE: tuple[Effect, ...] = ()
