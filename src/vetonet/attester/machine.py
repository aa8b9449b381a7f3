"""The life of one chip as one transition table: ``step(state, event, now) -> (state, effects)`` (VN-12).

A chip never fails: what it does not accept it answers with ``Refused`` and stays as it was. Nothing here
reads a clock; ``now`` comes from whoever drives the chip, and must not run backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.report import MAX_TAMPERS, compute_report_digest
from vetonet.attester.firmware_gate import blow_fuses, judge_start, judge_update
from vetonet.attester.gate import judge_licence
from vetonet.attester.holdings import LicenceInUse
from vetonet.attester.interlock import TrafficRequested
from vetonet.attester.lease_gate import judge_lease
from vetonet.attester.log_gate import judge_checkpoint
from vetonet.attester.phases import compute_phase, settle
from vetonet.attester.reporting import build_report, find_opening, vouch_for_boot, vouch_for_report
from vetonet.attester.state import (
    AliasEndorsed,
    CheckpointSeen,
    CheckpointTrusted,
    ChipState,
    Event,
    FirmwareApproved,
    FirmwareOffered,
    IntervalEnded,
    LeaseAccepted,
    LeaseOffered,
    LicenceAccepted,
    LicenceOffered,
    Outcome,
    Phase,
    PowerCycled,
    Refused,
    ReportSigned,
    TreatyAdopted,
    TreatyAmended,
    WorkRequested,
)
from vetonet.attester.tamper import TamperCounted, TamperDetected
from vetonet.attester.treaty_gate import judge_amendment
from vetonet.attester.working import run_work
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.errors import UnexpectedEventError
from vetonet.units import Milliseconds


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
    """Each start has its own alias key, endorsed with what was measured; all else stays (VN-8.4, VN-17.5)."""
    is_first = state.phase is Phase.OFF
    firmware = event.firmware or state.firmware
    refusal = judge_start(state, firmware)
    if refusal is not None:
        return state, (refusal,)
    alias_key = state.secure_element.start(firmware.digest, event.seed)
    following = replace(
        state,
        phase=compute_phase(state, now) if is_first else state.phase,
        alias_key=alias_key,
        boot_count=state.boot_count + 1,
        firmware=firmware,
        fuses=blow_fuses(state.fuses, firmware),
        snapshots=state.snapshots.begin(now, state.secret),
        window_start_ms=now if is_first else state.window_start_ms,
        latest_ms=now,
    )
    endorsement = AliasEndorsement(
        ueid=state.ueid,
        alias=alias_key.public_key,
        boot_count=following.boot_count,
        firmware=firmware,
    )
    vouched = vouch_for_boot(endorsement, state.secure_element)
    return following, (AliasEndorsed(data=sign(vouched, state.secure_element)),)


def _take_firmware(state: ChipState, event: FirmwareOffered, now: Milliseconds) -> Outcome:
    """The chip may start with it from now on; it runs what it runs until then (VN-17.8)."""
    judged = judge_update(state, event)
    if isinstance(judged, Refused):
        return state, (judged,)
    values, sighting = judged
    digest = values.firmware.digest
    following = replace(state.with_sighting(sighting, now), approved=state.approved | {digest})
    return following, (CheckpointTrusted(checkpoint=sighting.checkpoint), FirmwareApproved(digest=digest))


def _follow_log(state: ChipState, event: CheckpointSeen, now: Milliseconds) -> Outcome:
    """A newer checkpoint counts when it extends the newest one known."""
    judged = judge_checkpoint(state, event.data, event.consistency)
    if isinstance(judged, Refused):
        return state, (judged,)
    return state.with_sighting(judged, now), (CheckpointTrusted(checkpoint=judged.checkpoint),)


def _take_licence(state: ChipState, event: LicenceOffered, now: Milliseconds) -> Outcome:
    """A licence is accepted once, by a chip of its set, when the log shows it (VN-12.2)."""
    judged = judge_licence(state, event, now)
    if isinstance(judged, Refused):
        return state, (judged,)
    signed, sighting = judged
    licence, licence_id = signed.statement, signed.statement.licence_id
    lasting = {digest: ends_ms for digest, ends_ms in state.accepted.items() if ends_ms > now}
    following = replace(
        state.with_sighting(sighting, now),
        phase=Phase.LICENSED,
        licence=LicenceInUse(signed=signed),
        last_licence_id=licence_id,
        accepted=lasting | {licence.proposal_digest: licence.expires_ms},
    )
    trusted = CheckpointTrusted(checkpoint=sighting.checkpoint)
    return following, (trusted, LicenceAccepted(licence_id=licence_id))


def _take_lease(state: ChipState, event: LeaseOffered, now: Milliseconds) -> Outcome:
    """Each lease of the licence in use is accepted once, when the log shows it (VN-12.6)."""
    judged = judge_lease(state, event, now)
    if isinstance(judged, Refused):
        return state, (judged,)
    used, sighting = judged
    shown = replace(state.with_sighting(sighting, now), licence=used)
    following = settle(shown, shown.latest_ms)
    accepted = LeaseAccepted(licence_id=used.licence.licence_id, number=used.newest_number)
    return following, (CheckpointTrusted(checkpoint=sighting.checkpoint), accepted)


def _take_treaty(state: ChipState, event: TreatyAmended, now: Milliseconds) -> Outcome:
    """The next epoch begins for this chip; its licence stays in use, and needs leases of it (VN-12.7)."""
    judged = judge_amendment(state, event)
    if isinstance(judged, Refused):
        return state, (judged,)
    treaty, sighting = judged
    following = state.with_treaty(treaty, event.inclusion.leaf_index).with_sighting(sighting, now)
    adopted = TreatyAdopted(epoch=treaty.statement.epoch)
    return following, (CheckpointTrusted(checkpoint=sighting.checkpoint), adopted)


def _report(state: ChipState, event: IntervalEnded, now: Milliseconds) -> Outcome:
    """Every interval is reported, also an idle one; a licensed one ends with its lease (VN-12.4)."""
    lease = None if state.job is None else state.job.lease
    end_ms = now if lease is None else min(now, lease.ends_ms)
    if end_ms <= state.window_start_ms:
        return _refuse(state, "interval-empty", f"the interval began at {state.window_start_ms}")
    snapshots, taken = state.snapshots.take_until(end_ms, state.secret)
    interlock, told_bytes = state.interlock.report(end_ms - state.window_start_ms)
    opening = find_opening(state)
    told = build_report(
        state, event, end_ms, snapshots=snapshots.taken, out_of_set_bytes=told_bytes, opening=opening
    )
    data = sign(vouch_for_report(told, state.secure_element), _alias_key_of(state))
    following = replace(
        settle(state, now),
        snapshots=snapshots.hand_out(),
        interlock=interlock,
        counter=state.counter + 1,
        previous_digest=compute_report_digest(data),
        window_start_ms=end_ms,
        latest_ms=now,
        job=None,
        interval_flop=0,
    )
    openings = () if opening is None else (opening,)
    return following, (*taken, *openings, ReportSigned(data=data))


def _send(state: ChipState, event: TrafficRequested, now: Milliseconds) -> Outcome:
    """Links carry what their rates allow, and all that goes outside is counted (VN-17.12)."""
    interlock, carried = state.interlock.send(event, now)
    return replace(state, interlock=interlock, latest_ms=now), (carried,)


def _count_tampering(state: ChipState, event: TamperDetected, now: Milliseconds) -> Outcome:
    """From now on the floor rate, whatever licence is held; reports go on and say why (VN-17.13)."""
    del event
    count = min(state.tamper_count + 1, MAX_TAMPERS)
    is_off = state.phase is Phase.OFF
    phase = Phase.OFF if is_off else Phase.TAMPERED
    following = replace(state, phase=phase, tamper_count=count, latest_ms=now)
    return following, (TamperCounted(tamper_count=count),)


def _refuse_tampered(state: ChipState, event: LicenceOffered | LeaseOffered, now: Milliseconds) -> Outcome:
    """Nobody should trust a chip with a licence that somebody opened (VN-17.13)."""
    del event, now
    return _refuse(state, "tampered", f"this chip noticed tampering {state.tamper_count} times")


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
_PAUSED, _TAMPERED = frozenset({Phase.PAUSED}), frozenset({Phase.TAMPERED})
_OFF: Final = frozenset({Phase.OFF})
_ROWS: Final = (
    *_rows_of(
        Phase.OFF,
        (PowerCycled, _start, _OFF | _UNLICENSED | _TAMPERED, "first start"),
        (TamperDetected, _count_tampering, _OFF, ""),
    ),
    *_rows_of(
        Phase.UNLICENSED,
        (LicenceOffered, _take_licence, _UNLICENSED | _LICENSED, "licence judged"),
        (LeaseOffered, _take_lease, _UNLICENSED, ""),
        (WorkRequested, run_work, _UNLICENSED, "small work"),
        (IntervalEnded, _report, _UNLICENSED, "report"),
        (TreatyAmended, _take_treaty, _UNLICENSED, ""),
        (CheckpointSeen, _follow_log, _UNLICENSED, ""),
        (FirmwareOffered, _take_firmware, _UNLICENSED, ""),
        (PowerCycled, _start, _UNLICENSED, ""),
        (TrafficRequested, _send, _UNLICENSED, ""),
        (TamperDetected, _count_tampering, _TAMPERED, "tampering noticed"),
    ),
    *_rows_of(
        Phase.LICENSED,
        (LicenceOffered, _take_licence, _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _LICENSED | _LEASED | _PAUSED, "lease judged"),
        (WorkRequested, run_work, _LICENSED | _LEASED | _PAUSED | _SPENT, "small work, or its time has come"),
        (IntervalEnded, _report, _LICENSED | _LEASED | _PAUSED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _LICENSED, ""),
        (CheckpointSeen, _follow_log, _LICENSED, ""),
        (FirmwareOffered, _take_firmware, _LICENSED, ""),
        (PowerCycled, _start, _LICENSED, ""),
        (TrafficRequested, _send, _LICENSED, ""),
        (TamperDetected, _count_tampering, _TAMPERED, "tampering noticed"),
    ),
    *_rows_of(
        Phase.LEASED,
        (LicenceOffered, _take_licence, _LEASED | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _LEASED | _PAUSED, "next lease judged"),
        (WorkRequested, run_work, _LEASED | _PAUSED | _SPENT, "work until lease, budget or time is over"),
        (IntervalEnded, _report, _LEASED | _PAUSED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _LEASED, ""),
        (CheckpointSeen, _follow_log, _LEASED, ""),
        (FirmwareOffered, _take_firmware, _LEASED, ""),
        (PowerCycled, _start, _LEASED, ""),
        (TrafficRequested, _send, _LEASED, ""),
        (TamperDetected, _count_tampering, _TAMPERED, "tampering noticed"),
    ),
    *_rows_of(
        Phase.PAUSED,
        (LicenceOffered, _take_licence, _PAUSED | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _PAUSED | _LEASED, "next lease judged"),
        (WorkRequested, run_work, _PAUSED | _LEASED | _SPENT, "floor rate, until its next lease begins"),
        (IntervalEnded, _report, _PAUSED | _LEASED | _SPENT, "report"),
        (TreatyAmended, _take_treaty, _PAUSED, ""),
        (CheckpointSeen, _follow_log, _PAUSED, ""),
        (FirmwareOffered, _take_firmware, _PAUSED, ""),
        (PowerCycled, _start, _PAUSED, ""),
        (TrafficRequested, _send, _PAUSED, ""),
        (TamperDetected, _count_tampering, _TAMPERED, "tampering noticed"),
    ),
    *_rows_of(
        Phase.SPENT,
        (LicenceOffered, _take_licence, _SPENT | _LICENSED, "newer licence judged"),
        (LeaseOffered, _take_lease, _SPENT, ""),
        (WorkRequested, run_work, _SPENT, "floor rate"),
        (IntervalEnded, _report, _SPENT, "report"),
        (TreatyAmended, _take_treaty, _SPENT, ""),
        (CheckpointSeen, _follow_log, _SPENT, ""),
        (FirmwareOffered, _take_firmware, _SPENT, ""),
        (PowerCycled, _start, _SPENT, ""),
        (TrafficRequested, _send, _SPENT, ""),
        (TamperDetected, _count_tampering, _TAMPERED, "tampering noticed"),
    ),
    *_rows_of(
        Phase.TAMPERED,
        (LicenceOffered, _refuse_tampered, _TAMPERED, ""),
        (LeaseOffered, _refuse_tampered, _TAMPERED, ""),
        (WorkRequested, run_work, _TAMPERED, "floor rate"),
        (IntervalEnded, _report, _TAMPERED, "report"),
        (TreatyAmended, _take_treaty, _TAMPERED, ""),
        (CheckpointSeen, _follow_log, _TAMPERED, ""),
        (FirmwareOffered, _take_firmware, _TAMPERED, ""),
        (PowerCycled, _start, _TAMPERED, ""),
        (TrafficRequested, _send, _TAMPERED, ""),
        (TamperDetected, _count_tampering, _TAMPERED, ""),
    ),
)
TABLE: Final[Mapping[tuple[Phase, type[Event]], Transition]] = {(row.phase, row.event): row for row in _ROWS}
