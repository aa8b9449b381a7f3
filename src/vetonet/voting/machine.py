"""The life of one proposal as one transition table: ``step(state, event, now) -> (state, effects)``.

The table below is the whole protocol of a vote. ``vetonet.voting.diagram`` draws the picture in the docs
from it, and ``step`` refuses to reach a phase that the row does not declare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from vetonet.crypto.statement import Signed
from vetonet.errors import EquivocationError, ExpiredError, RefusedError, UnexpectedEventError
from vetonet.policy.ballot import verify_ballot_for
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.matter import Matter, describe_sponsor, open_matter
from vetonet.policy.motion import SUSPENDING, Resolution, derive_resolution, open_resolution
from vetonet.policy.proposal import Proposal, verify_band
from vetonet.policy.quorum import Decision
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds
from vetonet.voting.signing import (
    Blame,
    Signing,
    Stage,
    begin_signing,
    pass_time,
    take_commitments,
    take_shares,
)
from vetonet.voting.state import (
    EFFECTS_NONE,
    AppendLeaf,
    BallotReceived,
    CommitmentsReceived,
    Conclude,
    Effect,
    Event,
    LoggedBallot,
    NameCulprits,
    OutcomeLogged,
    Phase,
    RequestCommitments,
    RequestShares,
    SharesReceived,
    TimePassed,
    Voting,
)

Outcome: TypeAlias = tuple[Voting, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: in ``phase``, ``event`` leads by ``function`` to ``targets``; ``label`` is for the picture."""

    phase: Phase
    event: type[Event]
    function: Callable[[Voting, Any, Milliseconds], Outcome]
    targets: frozenset[Phase]
    label: str


def begin(
    data: bytes,
    leaf_index: int,
    treaty: Signed[Treaty],
    licensed: Mapping[bytes, Proposal],
    now: Milliseconds,
) -> Outcome:
    """Return the open vote on a proposal or motion and the leaf to append (VN-5).

    Args:
        data: the signed proposal or motion as received.
        leaf_index: where it would be logged.
        treaty: the treaty in force.
        licensed: proposals that hold a licence by now, by digest.
        now: the time of arrival.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: nothing to vote on here.
        ExpiredError: its window is not open.
        RefusedError: its window is too long, its band forbidden, or its subject holds no licence.
    """
    matter = open_matter(data, treaty)
    asked = matter.statement
    if not asked.is_open_at(now):
        msg = f"a {asked.TYPE} at {now} whose voting window runs from {asked.opens_ms} to {asked.closes_ms}"
        raise ExpiredError(msg, culprit=describe_sponsor(asked), clause="VN-5.3")
    _verify_subject(asked, treaty.statement, licensed)
    state = Voting(treaty=treaty, matter=matter, leaf_index=leaf_index)
    return state, (AppendLeaf(data=data, leaf_index=leaf_index),)


def _verify_subject(asked: Matter, treaty: Treaty, licensed: Mapping[bytes, Proposal]) -> None:
    """A run lies in a band that can be licensed; what is to be stopped holds a licence (VN-5.4 to VN-5.6)."""
    if isinstance(asked, Proposal):
        verify_band(asked, treaty, licensed)
    elif asked.action in SUSPENDING and asked.subject_digest not in licensed:
        msg = f"a {asked.action} of {asked.subject_digest.hex()[:16]}, which holds no licence"
        raise RefusedError(msg, culprit=asked.mover, clause="VN-5.6")


def step(state: Voting, event: Event, now: Milliseconds) -> Outcome:
    """Return the next state and what a driver must carry out, in order, before the state counts.

    Raises:
        UnexpectedEventError: the phase has no transition for this event.
        ProtocolError: the event breaks a rule; the state stays as it was and ``culprit`` names who broke it.
    """
    row = TABLE.get((state.phase, type(event)))
    if row is None:
        msg = f"a proposal in phase {state.phase} takes no {type(event).__name__}"
        raise UnexpectedEventError(msg)
    following, effects = row.function(state, event, now)
    if following.phase not in row.targets:
        msg = f"the row {row.label!r} does not declare phase {following.phase}"
        raise ValueError(msg)
    return following, effects


def _count_ballot(state: Voting, event: BallotReceived, now: Milliseconds) -> Outcome:
    """One party, one counted ballot; the same again is no news, another one is equivocation (VN-6.4)."""
    party_id = state.treaty.statement.find_party(event.ballot.signer).party_id
    verify_ballot_for(event.ballot, state.matter, party_id)
    if now >= state.matter.statement.closes_ms:
        return _refuse_late(state, event, now)
    earlier = state.find_ballot(party_id)
    if earlier is not None:
        return _compare_ballots(state, earlier, event)
    logged = LoggedBallot(party_id=party_id, leaf_index=event.leaf_index, ballot=event.ballot)
    append = AppendLeaf(data=event.ballot.data, leaf_index=event.leaf_index)
    return replace(state, ballots=(*state.ballots, logged)), (append,)


def _compare_ballots(state: Voting, earlier: LoggedBallot, event: BallotReceived) -> Outcome:
    if earlier.ballot.payload_digest == event.ballot.payload_digest:
        return state, EFFECTS_NONE
    msg = (
        f"{earlier.party_id} voted {earlier.ballot.statement.choice} in leaf {earlier.leaf_index} "
        f"and now signs a different ballot ({event.ballot.statement.choice}) on the same proposal"
    )
    raise EquivocationError(msg, culprit=earlier.party_id, clause="VN-6.4")


def _refuse_late(state: Voting, event: BallotReceived, now: Milliseconds) -> Outcome:
    """After the close every ballot is late, whatever time it states (VN-6.3)."""
    party_id = state.treaty.statement.find_party(event.ballot.signer).party_id
    earlier = state.find_ballot(party_id)
    if earlier is not None and earlier.ballot.payload_digest == event.ballot.payload_digest:
        return state, EFFECTS_NONE
    msg = f"a ballot of {party_id} at {now}, after the vote closed at {state.matter.statement.closes_ms}"
    raise ExpiredError(msg, culprit=party_id, clause="VN-6.3")


def _close_when_due(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    """At the close the quorum decides; a grant goes on to signing (VN-4.4)."""
    decision = decide(state, now)
    if decision is Decision.PENDING:
        return state, EFFECTS_NONE
    if decision is Decision.GRANTED and _is_band_open(state, event.licensed):
        treaty = state.treaty.statement
        signing = begin_signing(treaty, state.action, derive(state), list_granting(state), now)
        return _follow(state, signing, Blame(), leaf_index=None)
    return _end(state, Decision.VETOED if decision is Decision.VETOED else Decision.EXPIRED)


def _end(state: Voting, decision: Decision) -> Outcome:
    """The proposal has ended without a licence."""
    return replace(state, phase=Phase(decision.value), signing=None), (Conclude(decision=decision),)


def decide(state: Voting, now: Milliseconds) -> Decision:
    """Return what the counted ballots amount to at ``now`` (the truth table VN-4.4)."""
    is_closed = now >= state.matter.statement.closes_ms
    return state.quorum.decide(state.choices, recused=state.recused, is_closed=is_closed)


def _is_band_open(state: Voting, licensed: Mapping[bytes, Proposal]) -> bool:
    """Linked runs licensed while this vote was open or being signed count too (VN-5.4)."""
    try:
        if state.run is not None:
            verify_band(state.run, state.treaty.statement, licensed)
    except RefusedError:
        return False
    return True


def derive(state: Voting) -> Licence | Resolution:
    """Return the one licence or resolution that this state's ballots give (VN-7.1)."""
    indices = [logged.leaf_index for logged in state.ballots]
    matter = state.matter
    if isinstance(matter.statement, Proposal):
        return derive_licence(state.treaty, matter, state.leaf_index, indices)
    return derive_resolution(state.treaty, matter, state.leaf_index, indices)


def list_granting(state: Voting) -> tuple[str, ...]:
    """Return the parties whose grant counts, in roster order."""
    granting = state.quorum.list_granting(state.choices, state.recused)
    roster = (party.party_id for party in state.treaty.statement.parties)
    return tuple(party for party in roster if party in granting)


def _collect_commitments(state: Voting, event: CommitmentsReceived, now: Milliseconds) -> Outcome:
    """Keep commitments; with enough of them the shares are asked for (VN-7.2)."""
    signing = take_commitments(_signing_of(state), event.party_id, event.commitments, now)
    return _follow(state, signing, Blame(), leaf_index=None)


def _collect_shares(state: Voting, event: SharesReceived, now: Milliseconds) -> Outcome:
    """Keep a signer's shares; the last ones complete the signature or name who spoilt it (VN-7.4)."""
    signing = _signing_of(state)
    if signing.stage is not Stage.SIGNING:
        msg = f"shares of {event.party_id} for attempt {event.attempt}, but none is under way"
        raise RefusedError(msg, culprit=event.party_id, clause="VN-7.4")
    following, blame = take_shares(signing, event.party_id, event.attempt, event.shares, now)
    if following.stage is Stage.SIGNED and not _is_band_open(state, event.licensed):
        return _end(state, Decision.EXPIRED)
    return _follow(state, following, blame, leaf_index=event.leaf_index)


def _pass_over_the_silent(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    """After the deadline of an attempt the next begins without the silent (VN-7.5).

    Where a linked run closed the band meanwhile, they were right not to sign, and nobody is named.
    """
    signing = _signing_of(state)
    following, blame = pass_time(signing, now)
    if following is signing:
        return state, EFFECTS_NONE
    if not _is_band_open(state, event.licensed):
        return _end(state, Decision.EXPIRED)
    return _follow(state, following, blame, leaf_index=None)


def _follow(state: Voting, signing: Signing, blame: Blame, *, leaf_index: int | None) -> Outcome:
    """Turn what the making of the signature has come to into the next state and its effects."""
    named = (NameCulprits(party_ids=blame.party_ids, reason=blame.reason),) if blame.party_ids else ()
    if signing.stage is Stage.FAILED:
        following, effects = _end(state, Decision.EXPIRED)
        return following, (*named, *effects)
    if signing.stage is Stage.SIGNED:
        return _adopt_signed(state, signing, leaf_index)
    following = replace(state, phase=Phase.SIGNING, signing=signing)
    return following, (*named, *_list_requests(state.signing, signing))


def _list_requests(before: Signing | None, signing: Signing) -> tuple[Effect, ...]:
    """What signers are asked for now that they were not asked for before."""
    is_new = before is None or before.attempt != signing.attempt
    if signing.stage is Stage.SIGNING and (is_new or before is None or before.stage is Stage.GATHERING):
        return (RequestShares(round=signing.under_way),)
    if signing.stage is Stage.GATHERING and is_new:
        asked = RequestCommitments(
            attempt=signing.attempt, party_ids=signing.awaited, deadline_ms=signing.deadline_ms
        )
        return (asked,)
    return EFFECTS_NONE


def _adopt_signed(state: Voting, signing: Signing, leaf_index: int | None) -> Outcome:
    if leaf_index is None:
        raise ValueError("a signature that is complete has a leaf to go to")
    outcome = open_outcome(signing.data, state)
    licensed = replace(state, phase=Phase.LICENSED, outcome=outcome, signing=None)
    append = AppendLeaf(data=signing.data, leaf_index=leaf_index)
    return licensed, (append, Conclude(decision=Decision.GRANTED))


def open_outcome(data: bytes, state: Voting) -> Signed[Licence] | Signed[Resolution]:
    """Return the licence or resolution that the quorum of this vote signed.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: it did not.
    """
    if state.run is not None:
        return open_licence(data, state.treaty)
    return open_resolution(data, state.treaty, state.action)


def _accept_logged_outcome(state: Voting, event: OutcomeLogged, now: Milliseconds) -> Outcome:
    """What is in the log must be the one that the ballots before it give (VN-7.1, VN-7.6)."""
    del now
    close = state.matter.statement.closes_ms
    if decide(state, close) is not Decision.GRANTED or event.outcome.statement != derive(state):
        what = event.outcome.statement.TYPE
        msg = f"a {what} that does not follow from the {len(state.ballots)} ballots logged before it"
        raise RefusedError(msg, clause="VN-7.6")
    if state.run is not None:
        verify_band(state.run, state.treaty.statement, event.licensed)
    return replace(state, phase=Phase.LICENSED, outcome=event.outcome, signing=None), EFFECTS_NONE


def _ignore_time(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    del event, now
    return state, EFFECTS_NONE


def _signing_of(state: Voting) -> Signing:
    if state.signing is None:
        msg = f"a proposal in phase {state.phase} is not being signed"
        raise ValueError(msg)
    return state.signing


_ROUND: Final = frozenset({Phase.SIGNING, Phase.EXPIRED})
_ROWS: Final = (
    Transition(
        phase=Phase.OPEN,
        event=BallotReceived,
        function=_count_ballot,
        targets=frozenset({Phase.OPEN}),
        label="ballot counted",
    ),
    Transition(
        phase=Phase.OPEN,
        event=TimePassed,
        function=_close_when_due,
        targets=frozenset({Phase.OPEN, Phase.SIGNING, Phase.VETOED, Phase.EXPIRED}),
        label="window closes",
    ),
    Transition(
        phase=Phase.OPEN,
        event=OutcomeLogged,
        function=_accept_logged_outcome,
        targets=frozenset({Phase.LICENSED}),
        label="licence read from the log",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=CommitmentsReceived,
        function=_collect_commitments,
        targets=frozenset({Phase.SIGNING}),
        label="nonces committed",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=SharesReceived,
        function=_collect_shares,
        targets=_ROUND | {Phase.LICENSED},
        label="signature shares",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=TimePassed,
        function=_pass_over_the_silent,
        targets=_ROUND,
        label="signer silent",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=OutcomeLogged,
        function=_accept_logged_outcome,
        targets=frozenset({Phase.LICENSED}),
        label="licence read from the log",
    ),
    *(
        Transition(
            phase=phase, event=BallotReceived, function=_refuse_late, targets=frozenset({phase}), label=""
        )
        for phase in (Phase.SIGNING, Phase.LICENSED, Phase.VETOED, Phase.EXPIRED)
    ),
    *(
        Transition(phase=phase, event=TimePassed, function=_ignore_time, targets=frozenset({phase}), label="")
        for phase in (Phase.LICENSED, Phase.VETOED, Phase.EXPIRED)
    ),
)
TABLE: Final[Mapping[tuple[Phase, type[Event]], Transition]] = {(row.phase, row.event): row for row in _ROWS}
