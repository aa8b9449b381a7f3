"""What a licence's life is made of once it is granted: phases, state, the events that move it (VN-14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from vetonet.crypto.statement import Signed
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.matter import find_recused
from vetonet.policy.motion import Resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds
from vetonet.voting.signing import GroupCommitments, GroupShare, Signing
from vetonet.voting.state import Effect


class TenurePhase(StrEnum):
    """Where a licence stands: its next lease is not due, or is being signed, or its run is over."""

    WAITING = "waiting"
    RENEWING = "renewing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """That a resolution stops the run from one time to another."""

    starts_ms: Milliseconds
    ends_ms: Milliseconds
    is_emergency: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """One licence's life so far; all of it follows from the log but the making of the next lease.

    Attributes:
        treaty: in force.
        proposal: what was licensed.
        licence: the licence.
        granted: what each party voted.
        standings: what each party said of its consent since, newest only.
        suspensions: every resolution that stops the run for a time.
        lease: the newest lease, or None before the first.
        number: of the lease that is being signed, in RENEWING.
        signing: how its signature is coming along.
        retry_ms: not before then is a lease tried again that failed.
    """

    treaty: Signed[Treaty] = field(repr=False)
    proposal: Signed[Proposal] = field(repr=False)
    licence: Signed[Licence]
    granted: Mapping[str, Choice]
    phase: TenurePhase = TenurePhase.WAITING
    standings: Mapping[str, Signed[Consent]] = field(default_factory=dict)
    suspensions: tuple[Suspension, ...] = ()
    lease: Signed[Lease] | None = None
    number: int = 0
    signing: Signing | None = None
    retry_ms: Milliseconds = 0

    @property
    def digest(self) -> bytes:
        """The identity of the run: its proposal's."""
        return self.proposal.payload_digest

    @property
    def has_operator(self) -> bool:
        """Whether the treaty in force still knows who runs it: an amendment may have taken it out."""
        operators = self.treaty.statement.operators
        return any(operator.operator_id == self.proposal.statement.operator_id for operator in operators)

    @property
    def recused(self) -> frozenset[str]:
        """The operator's own party."""
        if not self.has_operator:
            return frozenset()
        return find_recused(self.proposal.statement, self.treaty.statement)

    @property
    def is_emergency_spent(self) -> bool:
        """Whether the newest suspension was an emergency's: nobody confirmed it since (VN-14.4)."""
        return bool(self.suspensions) and self.suspensions[-1].is_emergency

    def with_treaty(self, treaty: Signed[Treaty]) -> Tenure:
        """Return the same life under another treaty; a lease in the making is begun anew (VN-16.8)."""
        phase = TenurePhase.WAITING if self.phase is TenurePhase.RENEWING else self.phase
        return replace(self, treaty=treaty, phase=phase, number=0, signing=None, retry_ms=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentStated:
    """A party's word on its consent came in; ``leaf_index`` is where it would be logged."""

    consent: Signed[Consent]
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionLogged:
    """The log holds a resolution that stops this run."""

    resolution: Signed[Resolution]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLogged:
    """The log holds a lease of this licence: a replay, or another coordinator's work."""

    lease: Signed[Lease]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRead:
    """Somebody looked at the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCommitted:
    """A signer committed to nonces for the lease of this number."""

    number: int
    party_id: str
    commitments: tuple[GroupCommitments, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseShared:
    """A signer signed the lease of this number; ``leaf_index`` is where it would be logged."""

    number: int
    party_id: str
    attempt: int
    shares: tuple[GroupShare, ...]
    leaf_index: int


TenureEvent: TypeAlias = (
    ConsentStated | SuspensionLogged | LeaseLogged | ClockRead | LeaseCommitted | LeaseShared
)
TenureOutcome: TypeAlias = tuple[Tenure, tuple[Effect, ...]]
