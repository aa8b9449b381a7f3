"""The life of one chip as one transition table: ``step(state, event, now) -> (state, effects)`` (VN-12).

A chip never fails: what it does not accept it answers with ``Refused`` and stays as it was. Nothing here
reads a clock; ``now`` comes from whoever drives the chip, and must not run backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.report import compute_report_digest
from vetonet.attester.gate import find_allowance, find_lease, judge_licence, judge_work
from vetonet.attester.lease_gate import judge_lease
from vetonet.attester.log_gate import judge_checkpoint
from vetonet.attester.metering import (
    Work,
    compute_licensed_work,
    compute_unlicensed_work,
)
from vetonet.attester.reporting import build_report, vouch_for_boot, vouch_for_report
from vetonet.attester.state import (
    AliasEndorsed,
    CheckpointSeen,
    CheckpointTrusted,
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    Job,
    LeaseAccepted,
    LeaseInUse,
    LeaseOffered,
    LicenceAccepted,
    LicenceInUse,
    LicenceOffered,
    Outcome,
    Phase,
    PowerCycled,
    Refused,
    ReportSigned,
    Throttled,
    TreatyAdopted,
    TreatyAmended,
    WorkDone,
    WorkRequested,
)
from vetonet.attester.treaty_gate import judge_amendment
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.errors import UnexpectedEventError
from vetonet.policy.lease import Lease
from vetonet.units import Flop, Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: in ``phase``, ``event`` leads by ``function`` to ``targets``; ``label`` is for the picture."""

    phase: Phase
    event: type[Event]
    function: Callable[[ChipState, Any, Milliseconds], Outcome]
    targets: frozenset[Phase]
    label: str


def step(state: ChipState, event: Event, now: Milliseconds) -> Outcome:
    """Return the next state and what a driver must carry out, in order.

    Raises:
        UnexpectedEventError: the phase has no transition for this event: the chip has no power.
    """
    row = TABLE.get((state.phase, type(event)))
    if row is None:
        raise UnexpectedEventError(f"a chip in phase {state.phase} takes no {type(event).__name__}")
    if now < state.latest_ms:
        return _refuse(state, "clock-behind", f"it is {now}, but it has been {state.latest_ms} already")
    following, effects = row.function(state, event, now)
    if following.phase not in row.targets:
        raise ValueError(f"the row {row.label!r} does not declare phase {following.phase}")
    return following, effects


def compute_phase(state: ChipState, now: Milliseconds) -> Phase:
    """Return the phase that a chip with power is in at ``now``: it follows from its licence and leases."""
    used = state.licence
    if used is None:
        return Phase.UNLICENSED
    if used.is_over(now):
        return Phase.SPENT
    lease = used.find_lease(now)
    if lease is not None and lease.left_flop:
        return Phase.LEASED
    is_lapsed = used.leased_from_ms is not None and used.leased_from_ms <= now
    return Phase.PAUSED if is_lapsed else Phase.LICENSED


def _settle(state: ChipState, now: Milliseconds) -> ChipState:
    """Time alone ends leases and licences, and begins leases; what is over is let go."""
    if state.licence is None:
        return state
    lasting = tuple(used for used in state.licence.leases if used.lease.ends_ms > now)
    settled = replace(state, licence=replace(state.licence, leases=lasting))
    return replace(settled, phase=compute_phase(settled, now))


def _start(state: ChipState, event: PowerCycled, now: Milliseconds) -> Outcome:
    """Each start has its own alias key, endorsed with what was measured; all else is kept (VN-8.4)."""
    is_first = state.phase is Phase.OFF
    firmware_digest = event.firmware_digest or state.firmware_digest
    alias_key = state.secure_element.start(firmware_digest, event.seed)
    following = replace(
        state,
        phase=Phase.UNLICENSED if is_first else state.phase,
        alias_key=alias_key,
        boot_count=state.boot_count + 1,
        firmware_digest=firmware_digest,
        window_start_ms=now if is_first else state.window_start_ms,
        latest_ms=now,
    )
    endorsement = AliasEndorsement(
        ueid=state.ueid,
        alias=alias_key.public_key,
        boot_count=following.boot_count,
        firmware_digest=following.firmware_digest,
    )
    vouched = vouch_for_boot(endorsement, state.secure_element)
    return following, (AliasEndorsed(data=sign(vouched, state.secure_element)),)


def _follow_log(state: ChipState, event: CheckpointSeen, now: Milliseconds) -> Outcome:
    """A newer checkpoint counts when it extends the newest one known."""
    judged = judge_checkpoint(state, event.data, event.consistency)
    if isinstance(judged, Refused):
        return state, (judged,)
    return replace(state, checkpoint=judged, latest_ms=now), (CheckpointTrusted(checkpoint=judged),)


def _take_licence(state: ChipState, event: LicenceOffered, now: Milliseconds) -> Outcome:
    """A licence is accepted once, by a chip of its set, when the log shows it (VN-12.2)."""
    judged = judge_licence(state, event, now)
    if isinstance(judged, Refused):
        return state, (judged,)
    signed, checkpoint = judged
    licence, licence_id = signed.statement, signed.statement.licence_id
    lasting = {digest: ends_ms for digest, ends_ms in state.accepted.items() if ends_ms > now}
    following = replace(
        state,
        phase=Phase.LICENSED,
        licence=LicenceInUse(signed=signed),
        last_licence_id=licence_id,
        accepted=lasting | {licence.proposal_digest: licence.expires_ms},
        checkpoint=checkpoint,
        latest_ms=now,
    )
    return following, (CheckpointTrusted(checkpoint=checkpoint), LicenceAccepted(licence_id=licence_id))


def _take_lease(state: ChipState, event: LeaseOffered, now: Milliseconds) -> Outcome:
    """Each lease of the licence in use is accepted once, when the log shows it (VN-12.6)."""
    judged = judge_lease(state, event, now)
    if isinstance(judged, Refused):
        return state, (judged,)
    used, checkpoint = judged
    following = _settle(replace(state, licence=used, checkpoint=checkpoint, latest_ms=now), now)
    accepted = LeaseAccepted(licence_id=used.licence.licence_id, number=used.newest_number)
    return following, (CheckpointTrusted(checkpoint=checkpoint), accepted)


def _take_treaty(state: ChipState, event: TreatyAmended, now: Milliseconds) -> Outcome:
    """The next epoch begins for this chip; its licence stays in use, and needs leases of it (VN-12.7)."""
    judged = judge_amendment(state, event)
    if isinstance(judged, Refused):
        return state, (judged,)
    treaty, checkpoint = judged
    amended = state.with_treaty(treaty, event.inclusion.leaf_index)
    following = replace(amended, checkpoint=checkpoint, latest_ms=now)
    adopted = TreatyAdopted(epoch=treaty.statement.epoch)
    return following, (CheckpointTrusted(checkpoint=checkpoint), adopted)


def _work(state: ChipState, event: WorkRequested, now: Milliseconds) -> Outcome:
    """Whatever is computed is metered, throttled or not (VN-12.3)."""
    settled = _settle(state, now)
    refusal = judge_work(settled, event, now)
    if refusal is not None:
        return state, (refusal,)
    lease = None if event.licence_id is None else find_lease(settled, now)
    if lease is None or settled.licence is None:
        return _work_unlicensed(settled, event, now)
    return _work_licensed(settled, settled.licence, lease, event, now=now)


def _work_licensed(
    state: ChipState, used: LicenceInUse, leased: LeaseInUse, event: WorkRequested, *, now: Milliseconds
) -> Outcome:
    """It stops at the end of its lease or its share, by time and by count, also in a request (VN-12.5)."""
    work = compute_licensed_work(
        event.flop,
        event.duration_ms,
        peak=state.model.peak_at(event.precision),
        left_flop=min(used.left_flop, leased.left_flop),
        left_ms=leased.lease.ends_ms - now,
    )
    counted = replace(leased, used_flop=leased.used_flop + work.flop)
    used = replace(
        used,
        used_flop=used.used_flop + work.flop,
        leases=tuple(counted if other is leased else other for other in used.leases),
    )
    following = replace(state, licence=used)
    reason = _tell_limit(used, counted, now + work.duration_ms)
    return _meter(following, event, work, reason, leased.lease, now=now)


def _tell_limit(used: LicenceInUse, leased: LeaseInUse, end_ms: Milliseconds) -> str:
    """Return what licensed work came up against, if anything: the licence's limits before the lease's."""
    if not used.left_flop:
        return "budget-spent"
    if end_ms >= used.licence.expires_ms:
        return "licence-ended"
    return "lease-ended" if leased.left_flop else "lease-spent"


def _work_unlicensed(state: ChipState, event: WorkRequested, now: Milliseconds) -> Outcome:
    """Between leases, after a licence or the allowance of a life, only the floor rate is left (VN-12.3).

    Work that would run past the end of a licence or of its leases stops there, so that what follows is at
    the floor rate.
    """
    floor_reason = _FLOOR_REASONS.get(state.phase)
    work = compute_unlicensed_work(
        event.flop,
        event.duration_ms,
        peak=state.model.peak_at(event.precision),
        left_flop=0 if floor_reason else _compute_left_allowance(state),
        left_ms=None if floor_reason or state.licence is None else state.licence.compute_lapse_ms() - now,
    )
    following = replace(state, unlicensed_flop=state.unlicensed_flop + work.flop)
    reason = _STOP_REASONS.get(compute_phase(following, now + work.duration_ms), "allowance-spent")
    return _meter(following, event, work, floor_reason or reason, None, now=now)


_FLOOR_REASONS: Final[Mapping[Phase, str]] = {Phase.PAUSED: "lease-lapsed", Phase.SPENT: "licence-spent"}
"""Why a chip runs at the floor rate."""

_STOP_REASONS: Final[Mapping[Phase, str]] = {Phase.PAUSED: "lease-ended", Phase.SPENT: "licence-ended"}
"""Why work without a licence was cut, by where that led."""


def _compute_left_allowance(state: ChipState) -> Flop | None:
    allowance = find_allowance(state.treaty.statement)
    return None if allowance is None else max(0, allowance - 1 - state.unlicensed_flop)


def _meter(
    state: ChipState,
    event: WorkRequested,
    work: Work,
    reason: str,
    lease: Lease | None,
    *,
    now: Milliseconds,
) -> Outcome:
    """Count the work into the life and the interval, and tell where less was done than asked."""
    job = Job(workload=event.workload, precision=event.precision, lease=lease)
    following = replace(
        state,
        phase=compute_phase(state, now + work.duration_ms),
        cumulative_flop=state.cumulative_flop + work.flop,
        interval_flop=state.interval_flop + work.flop,
        job=job if work.flop else state.job,
        latest_ms=now + work.duration_ms,
    )
    effects: tuple[Effect, ...] = (WorkDone(flop=work.flop, end_ms=following.latest_ms),)
    if work.flop < event.flop:
        why = reason if work.is_cut else "above-peak"
        effects += (Throttled(reason=why, asked_flop=event.flop, allowed_flop=work.flop),)
    return following, effects


def _report(state: ChipState, event: IntervalEnded, now: Milliseconds) -> Outcome:
    """Every interval is reported, also an idle one; a licensed one ends with its lease (VN-12.4)."""
    lease = None if state.job is None else state.job.lease
    end_ms = now if lease is None else min(now, lease.ends_ms)
    if end_ms <= state.window_start_ms:
        return _refuse(state, "interval-empty", f"the interval began at {state.window_start_ms}")
    claims = vouch_for_report(build_report(state, event, end_ms), state.secure_element)
    data = sign(claims, _alias_key_of(state))
    following = replace(
        _settle(state, now),
        counter=state.counter + 1,
        previous_digest=compute_report_digest(data),
        window_start_ms=end_ms,
        latest_ms=now,
        job=None,
        interval_flop=0,
    )
    return following, (ReportSigned(data=data),)


def _alias_key_of(state: ChipState) -> SigningKey:
    if state.alias_key is None:
        raise ValueError("a chip that never started has no alias key")
    return state.alias_key


def _refuse(state: ChipState, reason: str, detail: str) -> Outcome:
    return state, (Refused(reason=reason, detail=detail),)


_Row = tuple[type[Event], Callable[[ChipState, Any, Milliseconds], Outcome], frozenset[Phase], str]


def _rows_of(phase: Phase, *rows: _Row) -> tuple[Transition, ...]:
    return tuple(
        Transition(phase=phase, event=event, function=function, targets=targets, label=label)
        for event, function, targets, label in rows
    )


_UNLICENSED, _SPENT = frozenset({Phase.UNLICENSED}), frozenset({Phase.SPENT})
_LICENSED, _LEASED = frozenset({Phase.LICENSED}), frozenset({Phase.LEASED})
_PAUSED: Final = frozenset({Phase.PAUSED})
_ROWS: Final = (
    *_rows_of(Phase.OFF, (PowerCycled, _start, _UNLICENSED, "first start")),
    *_rows_of(
        Phase.UNLICENSED,
        (LicenceOffered, _take_licence, _UNLICENSED | _LICENSED, "licence judged"),
        (LeaseOffered, _take_lease, _UNLICENSED, ""),
        (WorkRequested, _work, _UNLICENSED, "small work"),
        (IntervalEnded, _report, _UNLICENSED, "report"),
        (TreatyAmended, _take_treaty, _UNLICENSED, ""),
        (CheckpointSeen, _follow_log, _UNLICENSED, ""),
        (PowerCycled, _start, _UNLICENSED, ""),
    ),
    *_rows_of(
        Phase.LICENSED,
        (LicenceOffered, _take_licence, _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _LICENSED | _LEASED | _PAUSED, "lease judged"),
        (WorkRequested, _work, _LICENSED | _LEASED | _PAUSED | _SPENT, "small work, or its time has come"),
        (IntervalEnded, _report, _LICENSED | _LEASED | _PAUSED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _LICENSED, ""),
        (CheckpointSeen, _follow_log, _LICENSED, ""),
        (PowerCycled, _start, _LICENSED, ""),
    ),
    *_rows_of(
        Phase.LEASED,
        (LicenceOffered, _take_licence, _LEASED | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _LEASED | _PAUSED, "next lease judged"),
        (WorkRequested, _work, _LEASED | _PAUSED | _SPENT, "work until lease, budget or time is over"),
        (IntervalEnded, _report, _LEASED | _PAUSED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _LEASED, ""),
        (CheckpointSeen, _follow_log, _LEASED, ""),
        (PowerCycled, _start, _LEASED, ""),
    ),
    *_rows_of(
        Phase.PAUSED,
        (LicenceOffered, _take_licence, _PAUSED | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _PAUSED | _LEASED, "next lease judged"),
        (WorkRequested, _work, _PAUSED | _LEASED | _SPENT, "floor rate, until its next lease begins"),
        (IntervalEnded, _report, _PAUSED | _LEASED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _PAUSED, ""),
        (CheckpointSeen, _follow_log, _PAUSED, ""),
        (PowerCycled, _start, _PAUSED, ""),
    ),
    *_rows_of(
        Phase.SPENT,
        (LicenceOffered, _take_licence, _SPENT | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _SPENT, ""),
        (WorkRequested, _work, _SPENT, "floor rate"),
        (IntervalEnded, _report, _SPENT, "report"),
        (TreatyAmended, _take_treaty, _SPENT, ""),
        (CheckpointSeen, _follow_log, _SPENT, ""),
        (PowerCycled, _start, _SPENT, ""),
    ),
)
TABLE: Final[Mapping[tuple[Phase, type[Event]], Transition]] = {(row.phase, row.event): row for row in _ROWS}
