"""What a daemon says of what it knows: the public record as it read it, and to itself alone a little more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.errors import EncodingError
from vetonet.policy.action import ActionClass
from vetonet.policy.quorum import Decision
from vetonet.policy.shortfall import count_missing_ballots, list_shortfalls
from vetonet.units import Milliseconds
from vetonet.v1 import party_pb2, resources_pb2
from vetonet.voting.machine import decide
from vetonet.voting.state import Phase, Voting
from vetonet.voting.tenure import find_obstacle
from vetonet.voting.tenure_state import Tenure
from vetonet.wire import convert

_PHASES: Final = {
    Decision.PENDING: Phase.OPEN,
    Decision.GRANTED: Phase.SIGNING,
    Decision.VETOED: Phase.VETOED,
    Decision.EXPIRED: Phase.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A signature share, or a commitment to one, that the party did not give.

    Attributes:
        at_ms: when, by the party's own clock.
        name: the proposal's resource name, as asked for.
        attempt: which signing attempt.
        reason: the error's stable code.
        why: one line for people.
        lease: the number of the lease that was to be signed, 0 for the licence or resolution itself.
    """

    at_ms: Milliseconds
    name: str
    attempt: int
    reason: str
    why: str
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallView:
    """A threshold that does not hold yet.

    Attributes:
        min_grants, seat_count: the threshold: so many of so many seats.
        missing_seats: how many more of them must grant.
        parties: who has not voted and whose grant would count.
    """

    min_grants: int
    seat_count: int
    missing_seats: int
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalStatus:
    """One proposal or motion as a party read it from the log itself.

    Attributes:
        missing: parties whose ballots the log does not hold.
        unlogged_ballots: ballots that reached the party but are not in the log.
        action: the class of action.
        closes_ms: when the vote closes.
        may_vote: who may still vote by the party's clock, of those whose ballots can matter.
        short: what keeps the quorum's expression from holding.
        missing_ballots: how many more ballots must be cast at all.
        statement: what is voted on, signed; empty where another party asks.
    """

    name: str
    decision: Decision
    phase: Phase
    missing: tuple[str, ...]
    unlogged_ballots: int
    action: str = ActionClass.RUN_GRANT.value
    closes_ms: Milliseconds = 0
    may_vote: tuple[str, ...] = ()
    short: tuple[ShortfallView, ...] = ()
    missing_ballots: int = 0
    statement: bytes = field(default=b"", repr=False)

    @property
    def phase_word(self) -> str:
        """The phase in a word for people."""
        return spell_phase(self.phase, self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceStatus:
    """One licence as a party read it from the log itself.

    Attributes:
        name: its proposal's.
        lease: the number of the newest lease, 0 before the first.
        lease_ends_ms: when that ends.
        obstacle: why no lease can be signed now, or empty.
    """

    licence_id: int
    name: str
    expires_ms: Milliseconds
    lease: int
    lease_ends_ms: Milliseconds
    obstacle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyStatus:
    """What a party's daemon knows.

    Attributes:
        checkpoint: the newest signed checkpoint that it verified, or empty.
        proposals: in the order of the log.
        licences: in the order of their proposals.
        undelivered: peers that could not be told of a ballot or withdrawal yet; for the party itself alone.
        refusals: the newest shares that were not given, oldest first; likewise.
    """

    party_id: str
    epoch: int
    checkpoint: bytes = field(repr=False)
    proposals: tuple[ProposalStatus, ...]
    licences: tuple[LicenceStatus, ...] = ()
    undelivered: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def for_others(self) -> PartyStatus:
        """Return what another party may see: what the log shows everybody."""
        public = tuple(replace(entry, statement=b"") for entry in self.proposals)
        return replace(self, proposals=public, undelivered=(), refusals=())


def spell_phase(phase: Phase, action: str) -> str:
    """Return a phase in a word for people: a motion that a quorum signed is adopted, not licensed."""
    is_adopted = phase is Phase.LICENSED and action != ActionClass.RUN_GRANT.value
    return "adopted" if is_adopted else phase.value


def describe_vote(vote: Voting, now: Milliseconds, *, unlogged_ballots: int = 0) -> ProposalStatus:
    """Return how a vote stands, by a party's own clock."""
    decision = Decision.GRANTED if vote.outcome is not None else decide(vote, now)
    quorum, choices, recused = vote.quorum, vote.choices, vote.recused
    is_open = vote.outcome is None and vote.matter.statement.is_open_at(now)
    return ProposalStatus(
        name=convert.proposal_name(vote.digest),
        decision=decision,
        phase=Phase.LICENSED if vote.outcome is not None else _PHASES[decision],
        missing=tuple(p.party_id for p in vote.treaty.statement.parties if p.party_id not in choices),
        unlogged_ballots=unlogged_ballots,
        action=vote.action.value,
        closes_ms=vote.matter.statement.closes_ms,
        may_vote=tuple(p for p in quorum.parties if is_open and p not in choices),
        short=tuple(
            ShortfallView(
                min_grants=lacking.leaf.min_grants,
                seat_count=lacking.leaf.seat_count,
                missing_seats=lacking.seats,
                parties=lacking.parties if is_open else (),
            )
            for lacking in list_shortfalls(quorum, choices, recused)
        ),
        missing_ballots=count_missing_ballots(quorum, choices, recused),
        statement=vote.matter.data,
    )


def describe_tenure(tenure: Tenure, now: Milliseconds) -> LicenceStatus:
    """Return how a licence stands, by a party's own clock."""
    licence, lease = tenure.licence.statement, tenure.lease
    is_over = now >= licence.expires_ms
    return LicenceStatus(
        licence_id=licence.licence_id,
        name=convert.proposal_name(tenure.digest),
        expires_ms=licence.expires_ms,
        lease=0 if lease is None else lease.statement.number,
        lease_ends_ms=0 if lease is None else lease.statement.ends_ms,
        obstacle="the run is over" if is_over else find_obstacle(tenure, now) or "",
    )


def status_message(status: PartyStatus) -> party_pb2.PartyStatus:
    """Return what a daemon tells of what it knows."""
    return party_pb2.PartyStatus(
        party_id=status.party_id,
        epoch=status.epoch,
        checkpoint=status.checkpoint,
        proposals=map(_proposal_message, status.proposals),
        licences=[
            party_pb2.LicenceStatus(
                licence_id=entry.licence_id,
                name=entry.name,
                expires_ms=entry.expires_ms,
                lease=entry.lease,
                lease_ends_ms=entry.lease_ends_ms,
                obstacle=entry.obstacle,
            )
            for entry in status.licences
        ],
        undelivered=status.undelivered,
        refusals=[
            party_pb2.RefusalStatus(
                at_ms=entry.at_ms,
                name=entry.name,
                attempt=entry.attempt,
                reason=entry.reason,
                why=entry.why,
                lease=entry.lease,
            )
            for entry in status.refusals
        ],
    )


def read_status(message: party_pb2.PartyStatus) -> PartyStatus:
    """Return what a daemon says it knows.

    Raises:
        EncodingError: a malformed field.
    """
    return PartyStatus(
        party_id=message.party_id,
        epoch=message.epoch,
        checkpoint=message.checkpoint,
        proposals=tuple(map(_read_proposal, message.proposals)),
        licences=tuple(map(_read_licence, message.licences)),
        undelivered=tuple(message.undelivered),
        refusals=tuple(
            Refusal(at_ms=e.at_ms, name=e.name, attempt=e.attempt, reason=e.reason, why=e.why, lease=e.lease)
            for e in message.refusals
        ),
    )


def _proposal_message(entry: ProposalStatus) -> party_pb2.ProposalStatus:
    return party_pb2.ProposalStatus(
        name=entry.name,
        decision=convert.DECISIONS[entry.decision],
        phase=convert.PHASES[entry.phase],
        missing=entry.missing,
        unlogged_ballots=entry.unlogged_ballots,
        action=entry.action,
        closes_ms=entry.closes_ms,
        may_vote=entry.may_vote,
        short=[
            party_pb2.Shortfall(
                min_grants=lacking.min_grants,
                seat_count=lacking.seat_count,
                missing_seats=lacking.missing_seats,
                parties=lacking.parties,
            )
            for lacking in entry.short
        ],
        missing_ballots=entry.missing_ballots,
        statement=entry.statement,
    )


def _read_proposal(message: party_pb2.ProposalStatus) -> ProposalStatus:
    shown = resources_pb2.Proposal(decision=message.decision, phase=message.phase)
    return ProposalStatus(
        name=message.name,
        decision=convert.read_decision(shown),
        phase=convert.read_phase(shown),
        missing=tuple(message.missing),
        unlogged_ballots=message.unlogged_ballots,
        action=_read_action(message.action),
        closes_ms=message.closes_ms,
        may_vote=tuple(message.may_vote),
        short=tuple(
            ShortfallView(
                min_grants=lacking.min_grants,
                seat_count=lacking.seat_count,
                missing_seats=lacking.missing_seats,
                parties=tuple(lacking.parties),
            )
            for lacking in message.short
        ),
        missing_ballots=message.missing_ballots,
        statement=message.statement,
    )


def _read_licence(message: party_pb2.LicenceStatus) -> LicenceStatus:
    return LicenceStatus(
        licence_id=message.licence_id,
        name=message.name,
        expires_ms=message.expires_ms,
        lease=message.lease,
        lease_ends_ms=message.lease_ends_ms,
        obstacle=message.obstacle,
    )


def _read_action(text: str) -> str:
    try:
        return ActionClass(text).value
    except ValueError as error:
        raise EncodingError(f"expected a class of action, got {text[:64]!r}") from error
