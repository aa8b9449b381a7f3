"""What a chip does of the work that it is asked for, and how it is metered (VN-12.3, VN-12.5, VN-17.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vetonet.attester.gate import find_allowance, find_lease, judge_work
from vetonet.attester.holdings import Job, LeaseInUse, LicenceInUse
from vetonet.attester.metering import Work, compute_licensed_work, compute_unlicensed_work
from vetonet.attester.phases import compute_phase, settle
from vetonet.attester.state import ChipState, Effect, Outcome, Phase, Throttled, WorkDone, WorkRequested
from vetonet.policy.lease import Lease
from vetonet.units import Flop, Milliseconds


def run_work(state: ChipState, event: WorkRequested, now: Milliseconds) -> Outcome:
    """Whatever is computed is metered, throttled or not (VN-12.3)."""
    settled = settle(state, now)
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
    following = replace(state, meter=state.meter.count_unlicensed(work))
    reason = _STOP_REASONS.get(compute_phase(following, now + work.duration_ms), "allowance-spent")
    return _meter(following, event, work, floor_reason or reason, None, now=now)


_FLOOR_REASONS: Final[Mapping[Phase, str]] = {
    Phase.PAUSED: "lease-lapsed",
    Phase.SPENT: "licence-spent",
    Phase.TAMPERED: "tampered",
}
"""Why a chip runs at the floor rate."""

_STOP_REASONS: Final[Mapping[Phase, str]] = {Phase.PAUSED: "lease-ended", Phase.SPENT: "licence-ended"}
"""Why work without a licence was cut, by where that led."""


def _compute_left_allowance(state: ChipState) -> Flop | None:
    allowance = find_allowance(state.treaty.statement)
    return None if allowance is None else max(0, allowance - 1 - state.meter.unlicensed_flop)


def _meter(
    state: ChipState,
    event: WorkRequested,
    work: Work,
    reason: str,
    lease: Lease | None,
    *,
    now: Milliseconds,
) -> Outcome:
    """Count the work into the life and the interval, and tell where less was done than asked.

    Snapshots that were due until it began are of what the chip held before.
    """
    booked = (
        state.meter.unlicensed_flop if lease is None or state.licence is None else state.licence.used_flop
    )
    job = Job(workload=event.workload, precision=event.precision, lease=lease, account_flop=booked)
    idle, before = state.snapshots.take_until(now, state.secret)
    busy, meanwhile = idle.hold(event.memory_digest).take_until(now + work.duration_ms, state.secret)
    following = replace(
        state,
        phase=compute_phase(state, now + work.duration_ms),
        snapshots=busy,
        meter=state.meter.count(work, event.precision, event.compute_tokens(work.flop)),
        interval_flop=state.interval_flop + work.flop,
        job=job if work.flop else state.job,
        latest_ms=now + work.duration_ms,
    )
    effects: tuple[Effect, ...] = (*before, WorkDone(flop=work.flop, end_ms=following.latest_ms), *meanwhile)
    if work.flop < event.flop:
        why = reason if work.is_cut else "above-peak"
        effects += (Throttled(reason=why, asked_flop=event.flop, allowed_flop=work.flop),)
    return following, effects
