"""Laws of a chip: whatever is asked of it, its meter is conserved, its chain holds, its licence binds."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.fleet import MODEL, PEAK, make_fleet
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.machine import step
from vetonet.attester.metering import FLOOR_DIVISOR, compute_licensed_work, compute_unlicensed_work
from vetonet.attester.phases import compute_phase
from vetonet.attester.state import (
    AliasEndorsed,
    CheckpointSeen,
    ChipState,
    Event,
    IntervalEnded,
    LeaseAccepted,
    PowerCycled,
    Refused,
    ReportSigned,
    WorkDone,
)
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.policy.lease import find_number_at
from vetonet.units import MS_PER_HOUR, MS_PER_S

SHARE = 3 * 10**18
FLEET = make_fleet(per_device_flop=SHARE, lease_flop=10**18, lease_ms=4 * MS_PER_HOUR)
CHIP = FLEET.chips[0]
LICENCE = FLEET.licence.statement
KEYS = [generate_ed25519(SeededRng(bytes([index]))) for index in range(40)]

flops = st.one_of(  # the first alone is nearly always far too little to meet a limit
    st.integers(min_value=1, max_value=2 * PEAK * 3600),
    st.integers(min_value=1, max_value=40).map(lambda tenths: tenths * 10**17),
)
durations = st.one_of(
    st.integers(min_value=1, max_value=3 * MS_PER_HOUR), st.sampled_from([MS_PER_HOUR, 3 * MS_PER_HOUR])
)
pauses = st.sampled_from([-1, 0, 0, 0, 1, MS_PER_HOUR, 5 * MS_PER_HOUR])
actions = st.one_of(
    st.tuples(st.just("licensed"), flops, durations),
    st.tuples(st.just("free"), flops, durations),
    st.sampled_from([("report",), ("report",), ("offer",), ("power",), ("checkpoint",)]),
    st.tuples(st.just("lease"), st.integers(0, len(FLEET.leases))),  # 0 is the one that holds at the time
)
lives = st.lists(st.tuples(actions, pauses), max_size=25)


def make_event(action: tuple[Any, ...], number: int, now: int) -> Event:
    match action:
        case "licensed", flop, duration_ms:
            return FLEET.request(flop=flop, duration_ms=duration_ms, total_flop=max(flop, LICENCE.total_flop))
        case "free", flop, duration_ms:
            return FLEET.free_request(flop=flop, duration_ms=duration_ms)
        case "lease", which:
            return FLEET.lease_offer(which or find_number_at(LICENCE, now) or 1)
        case ("report",):
            return IntervalEnded()
        case ("power",):
            return PowerCycled(seed=KEYS[number].seed)
    is_offer = action == ("offer",)
    return FLEET.offer(CHIP.ueid) if is_offer else CheckpointSeen(data=FLEET.sign_head())


def live(life: list[tuple[tuple[Any, ...], int]]) -> tuple[ChipState, list[Any]]:
    chip, effects = step(CHIP, FLEET.offer(CHIP.ueid), CHIP.latest_ms)
    chip, more = step(chip, IntervalEnded(), LICENCE.not_before_ms)
    chip, _ = step(chip, FLEET.lease_offer(), LICENCE.not_before_ms)
    found: list[Any] = [*effects, *more]
    for number, (action, pause_ms) in enumerate(life):
        now = chip.latest_ms + pause_ms
        chip, effects = step(chip, make_event(action, number, now), now)
        found += effects
    chip, effects = step(chip, IntervalEnded(), chip.latest_ms + 1)
    return chip, [*found, *effects]


def open_all(effects: list[Any]) -> tuple[Registry, list[Signed[ComputeReport]]]:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], FLEET.council.treaty.statement)
    registry.read_alias(FLEET.aliases[0])
    reports = []
    for effect in effects:
        if isinstance(effect, AliasEndorsed):
            registry.read_alias(effect.data)
        if isinstance(effect, ReportSigned):
            reports.append(open_report(effect.data, registry.aliases))
    return registry, reports


@settings(max_examples=60)
@given(lives)
def test_the_reports_of_any_life_are_genuine_and_chain(life: list[Any]) -> None:
    registry, reports = open_all(live(life)[1])
    assert appraise_chain(reports) == ()
    for report in reports:
        known = registry.find_alias(report.signer.key_id)
        assert appraise(report, known.device, known.alias, firmware=()) == ()


@settings(max_examples=60)
@given(lives)
def test_the_meter_counts_exactly_what_was_done(life: list[Any]) -> None:
    chip, effects = live(life)
    done = sum(effect.flop for effect in effects if isinstance(effect, WorkDone))
    _, reports = open_all(effects)
    assert chip.cumulative_flop == done
    assert reports[-1].statement.counters.flop + chip.interval_flop == done


@settings(max_examples=60)
@given(lives)
def test_licensed_work_stays_within_share_time_and_peak(life: list[Any]) -> None:
    _, reports = open_all(live(life)[1])
    before, used = 0, 0
    for report in reports:
        claims = report.statement
        flop, before = claims.counters.flop - before, claims.counters.flop
        peak = MODEL.peak_at(claims.precision)
        assert flop * MS_PER_S <= peak * (claims.window_end_ms - claims.window_start_ms)
        if claims.licence_id is not None:
            used += flop
            assert LICENCE.not_before_ms <= claims.window_start_ms
            assert claims.window_end_ms <= LICENCE.expires_ms
    assert used <= SHARE


@settings(max_examples=100)
@given(lives)
def test_licensed_work_lies_in_leases_that_were_accepted_and_within_what_each_allows(life: list[Any]) -> None:
    """VN-12.5, for whoever reads the reports (VN-10.6, steps 9 and 14)."""
    effects = live(life)[1]
    accepted = {effect.number for effect in effects if isinstance(effect, LeaseAccepted)} | {1}
    before, used = 0, Counter[int]()
    for report in open_all(effects)[1]:
        claims = report.statement
        flop, before = claims.counters.flop - before, claims.counters.flop
        number = find_number_at(LICENCE, claims.window_start_ms)
        if claims.licence_id is not None:
            assert number in accepted
            assert number == find_number_at(LICENCE, claims.window_end_ms - 1)
            used[number] += flop
    assert all(flop <= LICENCE.lease_flop for flop in used.values())


@settings(max_examples=60)
@given(lives)
def test_a_phase_is_what_licence_and_leases_say_at_that_time(life: list[Any]) -> None:
    chip = live(life)[0]
    assert chip.phase is compute_phase(chip, chip.latest_ms)


@settings(max_examples=40)
@given(lives, st.data())
def test_a_chain_without_one_report_is_never_whole(life: list[Any], data: st.DataObject) -> None:
    _, reports = open_all(live([*life, (("report",), 1)])[1])
    place = data.draw(st.integers(min_value=0, max_value=len(reports) - 2))
    found = appraise_chain(reports[:place] + reports[place + 1 :])
    assert [problem.reason for problem in found] == ["report-gap"]


@settings(max_examples=40)
@given(lives)
def test_a_refusal_changes_nothing(life: list[Any]) -> None:
    chip = CHIP
    for number, (action, pause_ms) in enumerate(life):
        now = chip.latest_ms + pause_ms
        following, effects = step(chip, make_event(action, number, now), now)
        if any(isinstance(effect, Refused) for effect in effects):
            assert following is chip
            assert len(effects) == 1
        chip = following


counts = st.integers(min_value=1, max_value=10**24)


@given(counts, st.integers(1, 10**9), st.integers(1, 10**16), st.integers(0, 10**24), st.integers(0, 10**9))
def test_licensed_work_never_exceeds_any_of_its_limits(
    flop: int, duration_ms: int, peak: int, left_flop: int, left_ms: int
) -> None:
    work = compute_licensed_work(flop, duration_ms, peak=peak, left_flop=left_flop, left_ms=left_ms)
    assert 0 <= work.flop <= min(flop, left_flop)
    assert 0 <= work.duration_ms <= min(duration_ms, left_ms)
    assert work.flop * MS_PER_S <= peak * work.duration_ms


@given(counts, st.integers(1, 10**9), st.integers(1, 10**16), st.integers(0, 10**24))
def test_throttled_work_is_the_allowance_and_a_hundredth_of_peak(
    flop: int, duration_ms: int, peak: int, left_flop: int
) -> None:
    work = compute_unlicensed_work(flop, duration_ms, peak=peak, left_flop=left_flop)
    floor = peak * duration_ms // MS_PER_S // FLOOR_DIVISOR
    assert min(flop, floor, peak * duration_ms // MS_PER_S) <= work.flop or left_flop
    assert work.flop <= min(flop, left_flop + floor)
    assert work.flop * MS_PER_S <= peak * duration_ms
