"""The life of one licence as one transition table: leases follow one another while consent is kept (VN-14).

``step(state, event, now) -> (state, effects)`` as in ``machine``, which ends where this begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from vetonet.errors import EquivocationError, RefusedError, UnexpectedEventError
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import (
    compute_lead_ms,
    compute_signable_ms,
    count_leases,
    derive_lease,
    find_number_at,
    open_lease,
)
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.standing import Standing
from vetonet.units import Milliseconds, format_time
from vetonet.voting.signing import (
    Blame,
    Signing,
    Stage,
    begin_signing,
    list_requests,
    pass_time,
    take_commitments,
    take_shares,
)
from vetonet.voting.state import EFFECTS_NONE, AppendLeaf, NameCulprits
from vetonet.voting.tenure_state import (
    ClockRead,
    ConsentStated,
    LeaseCommitted,
    LeaseLogged,
    LeaseShared,
    Suspension,
    SuspensionLogged,
    Tenure,
    TenureEvent,
    TenureOutcome,
    TenurePhase,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenureTransition:
    """One row: in ``phase``, ``event`` leads by ``function`` to ``targets``; ``label`` is for the picture."""

    phase: TenurePhase
    event: type[TenureEvent]
    function: Callable[[Tenure, Any, Milliseconds], TenureOutcome]
    targets: frozenset[TenurePhase]
    label: str


def step(state: Tenure, event: TenureEvent, now: Milliseconds) -> TenureOutcome:
    """Return the next state and what a driver must carry out, in order, before the state counts.

    Raises:
        UnexpectedEventError: the phase has no transition for this event.
        ProtocolError: the event breaks a rule; the state stays as it was and ``culprit`` names who broke it.
    """
    row = TENURE_TABLE.get((state.phase, type(event)))
    if row is None:
        raise UnexpectedEventError(f"a licence that is {state.phase} takes no {type(event).__name__}")
    following, effects = row.function(state, event, now)
    if following.phase not in row.targets:
        raise ValueError(f"the row {row.label!r} does not declare phase {following.phase}")
    return following, effects


def list_standing(state: Tenure) -> Mapping[str, Choice]:
    """Return where each party stands now: what it granted counts until it withdraws, as a veto after that."""
    said = {
        party: Choice.GRANT if signed.statement.standing is Standing.GIVEN else Choice.VETO
        for party, signed in state.standings.items()
    }
    granted = {party: choice for party, choice in state.granted.items() if choice is Choice.GRANT}
    return {**granted, **said}


def list_consenting(state: Tenure) -> tuple[str, ...]:
    """Return the parties that may sign the next lease, in roster order."""
    terms = state.treaty.statement
    quorum = terms.find_quorum(ActionClass.LEASE_RENEWAL)
    consenting = quorum.list_granting(list_standing(state), state.recused)
    return tuple(party.party_id for party in terms.parties if party.party_id in consenting)


def find_obstacle(state: Tenure, now: Milliseconds) -> str | None:
    """Return why no lease may be signed at ``now``, in one line, or None where one may (VN-14.3, VN-14.4)."""
    if not state.has_operator:
        return f"{state.proposal.statement.operator_id} is no operator of the treaty in force"
    if not _is_consent_kept(state):
        withdrawn = [p for p, s in state.standings.items() if s.statement.standing is Standing.WITHDRAWN]
        return f"consent is not kept: {', '.join(sorted(withdrawn)) or 'nobody'} withdrew"
    stopped = [s for s in state.suspensions if s.starts_ms <= now < s.ends_ms]
    if stopped:
        return f"the run is suspended until {format_time(max(s.ends_ms for s in stopped))}"
    return None


def _is_consent_kept(state: Tenure) -> bool:
    """Return whether the quorum for renewals grants, also if whoever withdrew had never voted.

    A withdrawal is a ballot too: where a quorum asks for so many ballots, it must not complete them.
    """
    quorum, standing = state.treaty.statement.find_quorum(ActionClass.LEASE_RENEWAL), list_standing(state)
    silent = {party: choice for party, choice in standing.items() if choice is not Choice.VETO}
    return all(
        quorum.decide(choices, recused=state.recused, is_closed=True) is Decision.GRANTED
        for choices in (standing, silent)
    )


def find_due_number(state: Tenure, now: Milliseconds) -> int | None:
    """Return the number of the lease that may be signed at ``now`` and is not yet, or None (VN-14.1)."""
    licence = state.licence.statement
    ahead = find_number_at(licence, now + compute_lead_ms(licence.lease_ms))
    present = find_number_at(licence, now)
    last = 0 if state.lease is None else state.lease.statement.number
    return next((n for n in (present, ahead) if n is not None and n > last), None)


def _state_consent(state: Tenure, event: ConsentStated, now: Milliseconds) -> TenureOutcome:
    """One party's statements are numbered without a gap; the same again is no news (VN-14.2)."""
    said = event.consent.statement
    party_id = state.treaty.statement.find_party(event.consent.signer).party_id
    earlier = state.standings.get(party_id)
    if earlier is not None and earlier.payload_digest == event.consent.payload_digest:
        return state, EFFECTS_NONE
    last = 0 if earlier is None else earlier.statement.number
    if said.number == last:
        msg = f"{party_id} signs two different statements {said.number} on its consent to the same run"
        raise EquivocationError(msg, culprit=party_id, clause="VN-14.2")
    if said.number != last + 1:
        msg = f"statement {said.number} of {party_id} on its consent, expected {last + 1}"
        raise RefusedError(msg, culprit=party_id, clause="VN-14.2")
    following = replace(state, standings={**state.standings, party_id: event.consent})
    append = AppendLeaf(data=event.consent.data, leaf_index=event.leaf_index)
    return _drop_if_obstructed(following, now), (append,)


def _suspend(state: Tenure, event: SuspensionLogged, now: Milliseconds) -> TenureOutcome:
    decided = event.resolution.statement
    stop = Suspension(
        starts_ms=decided.issued_ms,
        ends_ms=decided.ends_ms,
        is_emergency=decided.action is ActionClass.EMERGENCY_SUSPENSION,
    )
    if stop.is_emergency and state.is_emergency_spent:
        return (
            state,
            EFFECTS_NONE,
        )  # two motions were open at once; else emergencies in a row need no confirmation
    following = replace(state, suspensions=(*state.suspensions, stop))
    return _drop_if_obstructed(following, now), EFFECTS_NONE


def _drop_if_obstructed(state: Tenure, now: Milliseconds) -> Tenure:
    """A lease that must not be signed any more is not."""
    if state.signing is None:
        return state
    consenting = frozenset(list_consenting(state))
    if find_obstacle(state, now) is None and set(state.signing.consenting) <= consenting:
        return state
    return replace(state, phase=TenurePhase.WAITING, signing=None, number=0)


def _let_time_pass(state: Tenure, event: ClockRead, now: Milliseconds) -> TenureOutcome:
    """A lease that is due is begun; the silent are passed over; after the run it is over."""
    del event
    if now >= state.licence.statement.expires_ms:
        return replace(state, phase=TenurePhase.ENDED, signing=None, number=0), EFFECTS_NONE
    if state.signing is not None:
        return _go_on(state, state.signing, now)
    number = find_due_number(state, now)
    if number is None or now < state.retry_ms or find_obstacle(state, now) is not None:
        return state, EFFECTS_NONE
    terms, lease = state.treaty.statement, derive_lease(state.treaty, state.licence, number)
    signing = begin_signing(terms, ActionClass.LEASE_RENEWAL, lease, list_consenting(state), now)
    begun = replace(state, phase=TenurePhase.RENEWING, number=number)
    return _follow(begun, None, signing, Blame(), now)


def _go_on(state: Tenure, signing: Signing, now: Milliseconds) -> TenureOutcome:
    dropped = _drop_if_obstructed(state, now)
    if dropped.signing is None or find_due_number(state, now) != state.number:
        return replace(dropped, phase=TenurePhase.WAITING, signing=None, number=0), EFFECTS_NONE
    following, blame = pass_time(signing, now)
    return (state, EFFECTS_NONE) if following is signing else _follow(state, signing, following, blame, now)


def _collect_commitments(state: Tenure, event: LeaseCommitted, now: Milliseconds) -> TenureOutcome:
    signing = _signing_of(state, event.number, event.party_id)
    following = take_commitments(signing, event.party_id, event.commitments, now)
    return _follow(state, signing, following, Blame(), now)


def _collect_shares(state: Tenure, event: LeaseShared, now: Milliseconds) -> TenureOutcome:
    signing = _signing_of(state, event.number, event.party_id)
    if signing.stage is not Stage.SIGNING:
        msg = f"shares of {event.party_id} for attempt {event.attempt}, but none is under way"
        raise RefusedError(msg, culprit=event.party_id, clause="VN-7.4")
    following, blame = take_shares(signing, event.party_id, event.attempt, event.shares, now)
    if following.stage is not Stage.SIGNED:
        return _follow(state, signing, following, blame, now)
    lease = open_lease(following.data, state.treaty)
    append = AppendLeaf(data=following.data, leaf_index=event.leaf_index)
    renewed = replace(state, phase=TenurePhase.WAITING, signing=None, number=0, lease=lease)
    return renewed, (append,)


def _follow(
    state: Tenure, before: Signing | None, signing: Signing, blame: Blame, now: Milliseconds
) -> TenureOutcome:
    """Turn what the making of the signature has come to into the next state and its effects."""
    named = (NameCulprits(party_ids=blame.party_ids, reason=blame.reason),) if blame.party_ids else ()
    if signing.stage is Stage.FAILED:
        retry_ms = now + state.treaty.statement.signing_ms
        failed = replace(state, phase=TenurePhase.WAITING, signing=None, number=0, retry_ms=retry_ms)
        return failed, named
    following = replace(state, phase=TenurePhase.RENEWING, signing=signing)
    return following, (*named, *list_requests(before, signing))


def _accept_logged_lease(state: Tenure, event: LeaseLogged, now: Milliseconds) -> TenureOutcome:
    """A lease in the log is the one that its number gives, newer than the last, by kept consent (VN-14.5)."""
    del now
    lease, licence = event.lease.statement, state.licence.statement
    last = 0 if state.lease is None else state.lease.statement.number
    is_next = last < lease.number <= count_leases(licence)
    if not is_next or lease != derive_lease(state.treaty, state.licence, lease.number):
        msg = f"lease {lease.number} of licence {lease.licence_id}, which does not follow lease {last}"
        raise RefusedError(msg, clause="VN-14.5")
    signable_ms = compute_signable_ms(licence, lease.number)
    covering = tuple(
        s for s in state.suspensions if s.starts_ms <= signable_ms and s.ends_ms >= lease.ends_ms
    )
    judged = find_obstacle(replace(state, suspensions=covering), signable_ms)
    if judged is not None:
        raise RefusedError(f"lease {lease.number} of licence {lease.licence_id}: {judged}", clause="VN-14.5")
    return replace(state, phase=TenurePhase.WAITING, signing=None, number=0, lease=event.lease), EFFECTS_NONE


def _stay(state: Tenure, event: TenureEvent, now: Milliseconds) -> TenureOutcome:
    del event, now
    return state, EFFECTS_NONE


def _signing_of(state: Tenure, number: int, party_id: str) -> Signing:
    if state.signing is None or number != state.number:
        msg = f"lease {number} is not being signed, {state.number or 'none'} is"
        raise RefusedError(msg, culprit=party_id, clause="VN-7.4")
    return state.signing


_Row: TypeAlias = tuple[
    type[TenureEvent],
    Callable[[Tenure, Any, Milliseconds], TenureOutcome],
    frozenset[TenurePhase],
    str,
]


def _rows_of(phase: TenurePhase, *rows: _Row) -> tuple[TenureTransition, ...]:
    return tuple(
        TenureTransition(phase=phase, event=event, function=function, targets=targets, label=label)
        for event, function, targets, label in rows
    )


_WAITING, _ENDED = frozenset({TenurePhase.WAITING}), frozenset({TenurePhase.ENDED})
_OPEN: Final = _WAITING | {TenurePhase.RENEWING}
_TENURE_ROWS: Final = (
    *_rows_of(
        TenurePhase.WAITING,
        (ConsentStated, _state_consent, _WAITING, "consent withdrawn or given"),
        (SuspensionLogged, _suspend, _WAITING, "suspended"),
        (LeaseLogged, _accept_logged_lease, _WAITING, "lease read from the log"),
        (ClockRead, _let_time_pass, _OPEN | _ENDED, "lease due, or run over"),
    ),
    *_rows_of(
        TenurePhase.RENEWING,
        (ConsentStated, _state_consent, _OPEN, "consent withdrawn or given"),
        (SuspensionLogged, _suspend, _OPEN, "suspended"),
        (LeaseLogged, _accept_logged_lease, _WAITING, "lease read from the log"),
        (LeaseCommitted, _collect_commitments, frozenset({TenurePhase.RENEWING}), "nonces committed"),
        (LeaseShared, _collect_shares, _OPEN, "lease signed"),
        (ClockRead, _let_time_pass, _OPEN | _ENDED, "signer silent, or run over"),
    ),
    *_rows_of(
        TenurePhase.ENDED,
        (ConsentStated, _state_consent, _ENDED, ""),
        (SuspensionLogged, _suspend, _ENDED, ""),
        (LeaseLogged, _accept_logged_lease, _WAITING, ""),
        (ClockRead, _stay, _ENDED, ""),
    ),
)
TENURE_TABLE: Final[Mapping[tuple[TenurePhase, type[TenureEvent]], TenureTransition]] = {
    (row.phase, row.event): row for row in _TENURE_ROWS
}
