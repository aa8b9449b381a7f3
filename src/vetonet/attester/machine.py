"""The life of one chip as one transition table: ``step(state, event, now) -> (state, effects)`` (VN-12).

A chip never fails: what it does not accept it answers with ``Refused`` and stays as it was. Nothing here
reads a clock; ``now`` comes from whoever drives the chip, and must not run backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.report import EAT_PROFILE, NO_DIGEST, ComputeReport, compute_report_digest
from vetonet.attester.gate import find_allowance, judge_checkpoint, judge_licence, judge_work
from vetonet.attester.metering import (
    Work,
    compute_energy_j,
    compute_licensed_work,
    compute_unlicensed_work,
)
from vetonet.attester.state import (
    AliasEndorsed,
    CheckpointSeen,
    CheckpointTrusted,
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    Job,
    LicenceAccepted,
    LicenceInUse,
    LicenceOffered,
    Outcome,
    Phase,
    PowerCycled,
    Refused,
    ReportSigned,
    Throttled,
    WorkDone,
    WorkRequested,
)
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.errors import UnexpectedEventError
from vetonet.policy.licence import Licence
from vetonet.units import Flop, Milliseconds, WorkloadClass


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


def _start(state: ChipState, event: PowerCycled, now: Milliseconds) -> Outcome:
    """Each start has its own alias key, endorsed with what was measured; all else is kept (VN-8.4)."""
    is_first = state.phase is Phase.OFF
    following = replace(
        state,
        phase=Phase.UNLICENSED if is_first else state.phase,
        alias_key=event.alias_key,
        boot_count=state.boot_count + 1,
        firmware_digest=event.firmware_digest or state.firmware_digest,
        window_start_ms=now if is_first else state.window_start_ms,
        latest_ms=now,
    )
    endorsement = AliasEndorsement(
        ueid=state.ueid,
        alias=event.alias_key.public_key,
        boot_count=following.boot_count,
        firmware_digest=following.firmware_digest,
    )
    return following, (AliasEndorsed(data=sign(endorsement, state.device_key)),)


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


def _work(state: ChipState, event: WorkRequested, now: Milliseconds) -> Outcome:
    """Whatever is computed is metered, throttled or not (VN-12.3)."""
    refusal = judge_work(state, event, now)
    if refusal is not None:
        return state, (refusal,)
    if event.licence_id is None or state.licence is None:
        return _work_unlicensed(state, event, now)
    return _work_licensed(state, state.licence, event, now)


def _work_licensed(state: ChipState, used: LicenceInUse, event: WorkRequested, now: Milliseconds) -> Outcome:
    """At the end of its share or of its time licensed work stops, also within a request."""
    left_ms = max(0, used.licence.expires_ms - now)
    work = compute_licensed_work(
        event.flop,
        event.duration_ms,
        peak=state.model.peak_at(event.precision),
        left_flop=used.left_flop,
        left_ms=left_ms,
    )
    used = replace(used, used_flop=used.used_flop + work.flop)
    is_over = work.is_cut or not used.left_flop or work.duration_ms >= left_ms
    following = replace(state, licence=used, phase=Phase.SPENT if is_over else Phase.LICENSED)
    reason = "licence-ended" if used.left_flop else "budget-spent"
    return _meter(following, event, work, reason, used.licence, now=now)


def _work_unlicensed(state: ChipState, event: WorkRequested, now: Milliseconds) -> Outcome:
    """After a licence is spent or over, or the allowance of a life, only the floor rate is left (VN-12.3).

    Work that would run past the end of a licence stops there, so that what follows is at the floor rate.
    """
    is_spent = state.phase is Phase.SPENT or _is_over(state, now)
    work = compute_unlicensed_work(
        event.flop,
        event.duration_ms,
        peak=state.model.peak_at(event.precision),
        left_flop=0 if is_spent else _compute_left_allowance(state),
        left_ms=None if is_spent or state.licence is None else state.licence.licence.expires_ms - now,
    )
    is_over = is_spent or _is_over(state, now + work.duration_ms)
    reason = "licence-spent" if is_spent else "licence-ended" if is_over else "allowance-spent"
    following = replace(
        state,
        phase=Phase.SPENT if is_over else state.phase,
        unlicensed_flop=state.unlicensed_flop + work.flop,
    )
    return _meter(following, event, work, reason, None, now=now)


def _compute_left_allowance(state: ChipState) -> Flop | None:
    allowance = find_allowance(state.treaty.statement)
    return None if allowance is None else max(0, allowance - 1 - state.unlicensed_flop)


def _meter(
    state: ChipState,
    event: WorkRequested,
    work: Work,
    reason: str,
    licence: Licence | None,
    *,
    now: Milliseconds,
) -> Outcome:
    """Count the work into the life and the interval, and tell where less was done than asked."""
    job = Job(workload=event.workload, precision=event.precision, licence=licence)
    following = replace(
        state,
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
    """Every interval is reported, also an idle one; a licensed one ends with its licence (VN-12.4)."""
    licence = None if state.job is None else state.job.licence
    end_ms = now if licence is None else min(now, licence.expires_ms)
    if end_ms <= state.window_start_ms:
        return _refuse(state, "interval-empty", f"the interval began at {state.window_start_ms}")
    data = sign(_build_report(state, event, end_ms), _alias_key_of(state))
    following = replace(
        state,
        phase=Phase.SPENT if _is_over(state, now) else state.phase,
        counter=state.counter + 1,
        previous_digest=compute_report_digest(data),
        window_start_ms=end_ms,
        latest_ms=now,
        job=None,
        interval_flop=0,
    )
    return following, (ReportSigned(data=data),)


def _build_report(state: ChipState, event: IntervalEnded, end_ms: Milliseconds) -> ComputeReport:
    seen = NO_DIGEST if state.checkpoint is None else state.checkpoint.digest
    challenge = event.challenge or compute_challenge(state.treaty.payload_digest, seen, state.window_start_ms)
    job = state.job or Job(workload=WorkloadClass.TRAINING, precision=state.model.precisions[0], licence=None)
    peak = state.model.peak_at(job.precision)
    return ComputeReport(
        nonces=(challenge, seen),
        ueid=state.ueid,
        hw_model=state.model.name.encode("ascii"),
        debug_status=int(state.debug_status),
        profile=EAT_PROFILE,
        boot_count=state.boot_count,
        counter=state.counter + 1,
        previous_digest=state.previous_digest,
        window_start_ms=state.window_start_ms,
        window_end_ms=end_ms,
        licence_id=job.licence_id,
        proposal_digest=None if job.licence is None else job.licence.proposal_digest,
        workload=job.workload,
        precision=job.precision,
        cumulative_flop=state.cumulative_flop,
        energy_j=compute_energy_j(state.interval_flop, peak=peak, tdp_w=state.model.tdp_w),
        out_of_set_bytes=event.out_of_set_bytes,
        firmware_digest=state.firmware_digest,
    )


def _is_over(state: ChipState, now: Milliseconds) -> bool:
    licence = state.licence
    return licence is not None and (now >= licence.licence.expires_ms or not licence.left_flop)


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


_LICENSED, _SPENT = frozenset({Phase.LICENSED}), frozenset({Phase.SPENT})
_UNLICENSED = frozenset({Phase.UNLICENSED})
_ROWS: Final = (
    *_rows_of(Phase.OFF, (PowerCycled, _start, _UNLICENSED, "first start")),
    *_rows_of(
        Phase.UNLICENSED,
        (LicenceOffered, _take_licence, _UNLICENSED | _LICENSED, "licence judged"),
        (WorkRequested, _work, _UNLICENSED, "small work"),
        (IntervalEnded, _report, _UNLICENSED, "report"),
        (CheckpointSeen, _follow_log, _UNLICENSED, ""),
        (PowerCycled, _start, _UNLICENSED, ""),
    ),
    *_rows_of(
        Phase.LICENSED,
        (LicenceOffered, _take_licence, _LICENSED, "newer licence judged"),
        (WorkRequested, _work, _LICENSED | _SPENT, "work until budget or time is over"),
        (IntervalEnded, _report, _LICENSED | _SPENT, "report"),
        (CheckpointSeen, _follow_log, _LICENSED, ""),
        (PowerCycled, _start, _LICENSED, ""),
    ),
    *_rows_of(
        Phase.SPENT,
        (LicenceOffered, _take_licence, _SPENT | _LICENSED, "newer licence judged"),
        (WorkRequested, _work, _SPENT, "floor rate"),
        (IntervalEnded, _report, _SPENT, "report"),
        (CheckpointSeen, _follow_log, _SPENT, ""),
        (PowerCycled, _start, _SPENT, ""),
    ),
)
TABLE: Final[Mapping[tuple[Phase, type[Event]], Transition]] = {(row.phase, row.event): row for row in _ROWS}
