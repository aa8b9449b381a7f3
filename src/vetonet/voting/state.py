"""What a proposal's life is made of: phases, state, the events that move it, the effects it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.policy.ballot import Ballot
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds


class Phase(StrEnum):
    """Where a proposal stands; LICENSED, VETOED and EXPIRED are ends."""

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
class SigningRound:
    """One attempt at the threshold signature.

    Attributes:
        attempt: from 0; it chooses which of each grant's commitments are used, once.
        signers: the parties asked, in roster order.
        package: what they sign.
        licence: the same before it was encoded.
        deadline_ms: after this the silent are excluded and the next attempt begins.
        shares: what came so far, by party.
    """

    attempt: int
    signers: tuple[str, ...]
    package: frost.SigningPackage
    licence: Licence
    deadline_ms: Milliseconds
    shares: Mapping[str, frost.SignatureShare] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voting:
    """One proposal's life so far; all of it follows from the log but the attempts at a signature.

    Attributes:
        spent_attempts: how many signing attempts were requested before a restart; their nonces are burnt.
        excluded: parties left out of further signing attempts, because of a bad share or silence.
        licence: the licence, once it exists.
    """

    treaty: Signed[Treaty] = field(repr=False)
    proposal: Signed[Proposal]
    proposal_leaf_index: int
    phase: Phase = Phase.OPEN
    ballots: tuple[LoggedBallot, ...] = ()
    signing: SigningRound | None = None
    spent_attempts: int = 0
    excluded: frozenset[str] = frozenset()
    licence: Signed[Licence] | None = None

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
        """The operator's own party, whose grant does not count (VN-4.5)."""
        operator = self.treaty.statement.find_operator(self.proposal.statement.operator_id)
        return frozenset() if operator.party_id is None else frozenset({operator.party_id})

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
    """

    licensed: Mapping[bytes, Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReceived:
    """A signer answered.

    Attributes:
        leaf_index: where the licence would be logged if this completes it.
        licensed: proposals that hold a licence by now, by digest: they count into the band.
    """

    party_id: str
    attempt: int
    share: frost.SignatureShare
    leaf_index: int
    licensed: Mapping[bytes, Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceLogged:
    """The log holds a licence for this proposal: a replay, or another coordinator's work."""

    licence: Signed[Licence]
    licensed: Mapping[bytes, Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendLeaf:
    """Append these bytes to the log at this index, durably, before the new state counts."""

    data: bytes = field(repr=False)
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShares:
    """Ask the signers of this round for their shares."""

    signing: SigningRound


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCulprits:
    """Tell everybody who spoilt an attempt, and how."""

    party_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Tell everybody how it ended."""

    decision: Decision


Event: TypeAlias = BallotReceived | TimePassed | ShareReceived | LicenceLogged
Effect: TypeAlias = AppendLeaf | RequestShares | NameCulprits | Conclude
EFFECTS_NONE: tuple[Effect, ...] = ()
