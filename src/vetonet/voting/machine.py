"""The life of one proposal as one transition table: ``step(state, event, now) -> (state, effects)``.

The table below is the whole protocol of a vote. ``vetonet.voting.diagram`` draws the picture in the docs
from it, and ``step`` refuses to reach a phase that the row does not declare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, attach_signature, compute_signing_input
from vetonet.errors import (
    EquivocationError,
    ExpiredError,
    InvalidSignatureError,
    RefusedError,
    UnexpectedEventError,
)
from vetonet.policy.ballot import SIGNING_ATTEMPTS, verify_ballot_for
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.proposal import Proposal, open_proposal, verify_band
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds
from vetonet.voting.state import (
    EFFECTS_NONE,
    AppendLeaf,
    BallotReceived,
    Conclude,
    Effect,
    Event,
    LicenceLogged,
    LoggedBallot,
    NameCulprits,
    Phase,
    RequestShares,
    ShareReceived,
    SigningRound,
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
    """Return the open vote on a proposal and the leaf to append (VN-5).

    Args:
        data: the signed proposal as received.
        leaf_index: where it would be logged.
        treaty: the treaty in force.
        licensed: proposals that hold a licence by now, by digest.
        now: the time of arrival.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not a proposal under this treaty.
        ExpiredError: its window is not open.
        RefusedError: its window is too long or its band forbidden.
    """
    proposal = open_proposal(data, treaty)
    asked = proposal.statement
    if not asked.is_open_at(now):
        msg = f"a proposal at {now} whose voting window runs from {asked.opens_ms} to {asked.closes_ms}"
        raise ExpiredError(msg, culprit=asked.operator_id, clause="VN-5.3")
    verify_band(asked, treaty.statement, licensed)
    state = Voting(treaty=treaty, proposal=proposal, proposal_leaf_index=leaf_index)
    return state, (AppendLeaf(data=data, leaf_index=leaf_index),)


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
    verify_ballot_for(event.ballot, state.proposal, party_id)
    if now >= state.proposal.statement.closes_ms:
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
    msg = f"a ballot of {party_id} at {now}, after the vote closed at {state.proposal.statement.closes_ms}"
    raise ExpiredError(msg, culprit=party_id, clause="VN-6.3")


def _close_when_due(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    """At the close the quorum decides; a grant goes on to signing (VN-4.4)."""
    decision = decide(state, now)
    if decision is Decision.PENDING:
        return state, EFFECTS_NONE
    if decision is Decision.GRANTED and _is_band_open(state, event.licensed):
        return _begin_round(state, attempt=state.spent_attempts, now=now)
    return _end(state, Decision.VETOED if decision is Decision.VETOED else Decision.EXPIRED)


def _end(state: Voting, decision: Decision) -> Outcome:
    """The proposal has ended without a licence."""
    return replace(state, phase=Phase(decision.value), signing=None), (Conclude(decision=decision),)


def decide(state: Voting, now: Milliseconds) -> Decision:
    """Return what the counted ballots amount to at ``now`` (the truth table VN-4.4)."""
    is_closed = now >= state.proposal.statement.closes_ms
    return state.treaty.statement.quorum.decide(state.choices, recused=state.recused, is_closed=is_closed)


def _is_band_open(state: Voting, licensed: Mapping[bytes, Proposal]) -> bool:
    """Linked runs licensed while this vote was open or being signed count too (VN-5.4)."""
    try:
        verify_band(state.proposal.statement, state.treaty.statement, licensed)
    except RefusedError:
        return False
    return True


def derive(state: Voting) -> Licence:
    """Return the one licence that this state's ballots give (VN-7.1)."""
    indices = [logged.leaf_index for logged in state.ballots]
    return derive_licence(state.treaty, state.proposal, state.proposal_leaf_index, indices)


def build_package(
    state: Voting, licence: Licence, signers: tuple[str, ...], attempt: int
) -> frost.SigningPackage:
    """Return what these signers sign in this attempt: the licence and each one's commitments (VN-7.2)."""
    grants = [state.find_ballot(party_id) for party_id in signers]
    commitments = tuple(
        logged.ballot.statement.commitments[attempt] for logged in grants if logged is not None
    )
    message = compute_signing_input(licence, state.treaty.statement.group_key)
    return frost.SigningPackage(message=message, commitments=commitments)


def list_granting(state: Voting) -> tuple[str, ...]:
    """Return the parties whose grant counts, in roster order."""
    choices, recused = state.choices, state.recused
    roster = (party.party_id for party in state.treaty.statement.parties)
    return tuple(party for party in roster if choices.get(party) is Choice.GRANT and party not in recused)


def _begin_round(state: Voting, *, attempt: int, now: Milliseconds) -> Outcome:
    """Ask k of the granting parties that nobody has cause to leave out; with fewer left it ends (VN-7.5)."""
    treaty = state.treaty.statement
    eligible = [party for party in list_granting(state) if party not in state.excluded]
    if attempt >= SIGNING_ATTEMPTS or len(eligible) < treaty.quorum.min_grants:
        return _end(state, Decision.EXPIRED)
    signers, licence = tuple(eligible[: treaty.quorum.min_grants]), derive(state)
    signing = SigningRound(
        attempt=attempt,
        signers=signers,
        package=build_package(state, licence, signers, attempt),
        licence=licence,
        deadline_ms=now + treaty.signing_ms,
    )
    return replace(state, phase=Phase.SIGNING, signing=signing), (RequestShares(signing=signing),)


def _collect_share(state: Voting, event: ShareReceived, now: Milliseconds) -> Outcome:
    """Keep a share; the last one completes the licence or names who spoilt it (VN-7.4)."""
    signing = _round_of(state)
    if event.attempt != signing.attempt or event.party_id not in signing.signers:
        asked = f"one of {', '.join(signing.signers)} for attempt {signing.attempt}"
        msg = f"a share of {event.party_id} for attempt {event.attempt}, expected {asked}"
        raise RefusedError(msg, culprit=event.party_id, clause="VN-7.4")
    if event.share.identifier != state.treaty.statement.compute_identifier(event.party_id):
        msg = f"a share of {event.party_id} under another participant's identifier"
        raise RefusedError(msg, culprit=event.party_id, clause="VN-7.4")
    if signing.shares.get(event.party_id, event.share) != event.share:
        msg = f"{event.party_id} sent two different shares for attempt {signing.attempt}"
        raise EquivocationError(msg, culprit=event.party_id, clause="VN-7.4")
    signing = replace(signing, shares={**signing.shares, event.party_id: event.share})
    return _complete_when_whole(replace(state, signing=signing), event, now)


def _complete_when_whole(state: Voting, event: ShareReceived, now: Milliseconds) -> Outcome:
    signing = _round_of(state)
    if len(signing.shares) < len(signing.signers):
        return state, EFFECTS_NONE
    if not _is_band_open(state, event.licensed):
        return _end(state, Decision.EXPIRED)
    group = state.treaty.statement.group
    try:
        signature = frost.aggregate(signing.package, tuple(signing.shares.values()), group)
    except InvalidSignatureError as error:
        find = state.treaty.statement.find_participant
        culprits = tuple(find(int(identifier)).party_id for identifier in error.culprits)
        return _retry(state, culprits, "bad signature share", now)
    data = attach_signature(signing.licence, state.treaty.statement.group_key, signature)
    licensed = replace(state, phase=Phase.LICENSED, licence=open_licence(data, state.treaty), signing=None)
    append = AppendLeaf(data=data, leaf_index=event.leaf_index)
    return licensed, (append, Conclude(decision=Decision.GRANTED))


def _replace_silent_signers(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    """After the deadline of a round the silent are left out of the next (VN-7.5).

    Where a linked run closed the band meanwhile, they were right not to sign, and nobody is named.
    """
    signing = _round_of(state)
    if now < signing.deadline_ms:
        return state, EFFECTS_NONE
    if not _is_band_open(state, event.licensed):
        return _end(state, Decision.EXPIRED)
    silent = tuple(party for party in signing.signers if party not in signing.shares)
    return _retry(state, silent, "no signature share in time", now)


def _retry(state: Voting, culprits: tuple[str, ...], reason: str, now: Milliseconds) -> Outcome:
    blamed = NameCulprits(party_ids=culprits, reason=reason)
    left = replace(state, excluded=state.excluded | set(culprits))
    following, effects = _begin_round(left, attempt=_round_of(state).attempt + 1, now=now)
    return following, (blamed, *effects)


def _accept_logged_licence(state: Voting, event: LicenceLogged, now: Milliseconds) -> Outcome:
    """A licence in the log must be the one that the ballots before it give (VN-7.1, VN-7.6)."""
    del now
    close = state.proposal.statement.closes_ms
    if decide(state, close) is not Decision.GRANTED or event.licence.statement != derive(state):
        msg = f"a licence that does not follow from the {len(state.ballots)} ballots logged before it"
        raise RefusedError(msg, clause="VN-7.6")
    verify_band(state.proposal.statement, state.treaty.statement, event.licensed)
    return replace(state, phase=Phase.LICENSED, licence=event.licence, signing=None), EFFECTS_NONE


def _ignore_time(state: Voting, event: TimePassed, now: Milliseconds) -> Outcome:
    del event, now
    return state, EFFECTS_NONE


def _round_of(state: Voting) -> SigningRound:
    if state.signing is None:
        msg = f"a proposal in phase {state.phase} has no signing round"
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
        event=LicenceLogged,
        function=_accept_logged_licence,
        targets=frozenset({Phase.LICENSED}),
        label="licence read from the log",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=ShareReceived,
        function=_collect_share,
        targets=_ROUND | {Phase.LICENSED},
        label="signature share",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=TimePassed,
        function=_replace_silent_signers,
        targets=_ROUND,
        label="signer silent",
    ),
    Transition(
        phase=Phase.SIGNING,
        event=LicenceLogged,
        function=_accept_logged_licence,
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
