"""One chip's life: throttling, metering, reports, power, and the table that holds it all (VN-12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.firmware import FIRMWARE
from support.fleet import MODEL, PEAK, drive, make_fleet, tell
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.report import NO_DIGEST, DebugStatus
from vetonet.attester import machine
from vetonet.attester.diagram import draw_states
from vetonet.attester.machine import TABLE, Transition, step
from vetonet.attester.manufacture import manufacture
from vetonet.attester.meter import Meter
from vetonet.attester.metering import compute_energy_j, compute_licensed_work, compute_unlicensed_work
from vetonet.attester.state import (
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    Phase,
    PowerCycled,
    ReportSigned,
    Throttled,
    WorkDone,
)
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import UnexpectedEventError
from vetonet.units import MS_PER_HOUR, Precision

SMALL_SHARE = 2 * 10**18
FLEET = make_fleet(per_device_flop=SMALL_SHARE)
CHIP = FLEET.chips[0]
LICENCE = FLEET.licence.statement
LEASED = FLEET.lease(CHIP)
FLOOR = PEAK // 100
NEVER_STARTED = manufacture(MODEL, FLEET.maker, FLEET.council.treaty, SeededRng(b"new"), firmware=FIRMWARE)


def test_a_chip_without_power_does_nothing() -> None:
    for event in (FLEET.offer(CHIP.ueid), FLEET.free_request(), IntervalEnded()):
        with pytest.raises(UnexpectedEventError):
            step(NEVER_STARTED, event, 0)


def test_work_within_the_licence_is_done_and_metered_exactly() -> None:
    request = FLEET.request(flop=10**18 + 7, duration_ms=MS_PER_HOUR, total_flop=LICENCE.total_flop)
    chip, effects = step(LEASED, request, LEASED.latest_ms)
    assert effects == (WorkDone(flop=10**18 + 7, end_ms=LEASED.latest_ms + MS_PER_HOUR),)
    assert (chip.cumulative_flop, chip.interval_flop) == (10**18 + 7,) * 2
    assert chip.licence is not None
    assert chip.licence.left_flop == SMALL_SHARE - 10**18 - 7


def test_licensed_work_stops_when_the_share_is_used_up() -> None:
    # VN-12.3; at an even rate the share lasts two thirds of the hour
    request = FLEET.request(flop=3 * 10**18)
    chip, effects = step(LEASED, request, LEASED.latest_ms)
    end_ms = LEASED.latest_ms + MS_PER_HOUR * 2 // 3
    assert effects == (
        WorkDone(flop=SMALL_SHARE, end_ms=end_ms),
        Throttled(reason="budget-spent", asked_flop=3 * 10**18, allowed_flop=SMALL_SHARE),
    )
    assert (chip.phase, chip.latest_ms) == (Phase.SPENT, end_ms)


def test_a_share_used_to_the_last_flop_is_spent() -> None:
    chip, effects = step(LEASED, FLEET.request(flop=SMALL_SHARE), LEASED.latest_ms)
    assert (tell(effects), chip.phase) == ([], Phase.SPENT)


def test_licensed_work_stops_when_the_licence_ends() -> None:
    request = FLEET.request(flop=10**18)
    chip, effects = step(LEASED, request, LICENCE.expires_ms - MS_PER_HOUR // 4)
    assert effects == (
        WorkDone(flop=10**18 // 4, end_ms=LICENCE.expires_ms),
        Throttled(reason="licence-ended", asked_flop=10**18, allowed_flop=10**18 // 4),
    )
    assert chip.phase is Phase.SPENT


@pytest.mark.parametrize("late_ms", [0, 1, MS_PER_HOUR])
def test_at_the_end_of_a_licence_nothing_licensed_is_done(late_ms: int) -> None:
    chip, effects = step(LEASED, FLEET.request(flop=10**18), LICENCE.expires_ms + late_ms)
    assert tell(effects) == ["licence-spent"]
    assert chip is LEASED


def test_a_spent_chip_runs_at_one_percent_and_meters_it() -> None:
    # VN-12.3, RFD 032
    chip, _ = step(LEASED, FLEET.request(flop=SMALL_SHARE), LEASED.latest_ms)
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    chip, effects = step(chip, FLEET.free_request(), chip.latest_ms)
    assert tell(effects) == ["licence-spent"]
    assert isinstance(effects[0], WorkDone)
    assert effects[0].flop == FLOOR * 3600
    assert chip.cumulative_flop == SMALL_SHARE + FLOOR * 3600
    assert chip.meter.unlicensed_flop == FLOOR * 3600


@pytest.mark.parametrize("late_ms", [0, 1, MS_PER_HOUR])
def test_a_chip_whose_licence_ran_out_unnoticed_runs_at_one_percent(late_ms: int) -> None:
    """VN-12.3: no report and no licensed request came since, and none is needed."""
    chip, effects = step(LEASED, FLEET.free_request(), LICENCE.expires_ms + late_ms)
    assert tell(effects) == ["licence-spent"]
    assert chip.meter.unlicensed_flop == FLOOR * 3600
    assert chip.phase is Phase.SPENT


def test_work_without_a_licence_is_at_the_full_rate_only_until_a_held_licence_ends() -> None:
    """VN-12.3: a long request begun just before the end carries no full rate over it."""
    chip, effects = step(LEASED, FLEET.free_request(flop=10**18), LICENCE.expires_ms - MS_PER_HOUR // 4)
    assert effects == (
        WorkDone(flop=10**18 // 4, end_ms=LICENCE.expires_ms),
        Throttled(reason="licence-ended", asked_flop=10**18, allowed_flop=10**18 // 4),
    )
    assert chip.phase is Phase.SPENT
    assert tell(step(chip, FLEET.free_request(), chip.latest_ms)[1]) == ["licence-spent"]


def test_work_without_a_licence_that_is_done_before_a_held_one_ends_changes_nothing() -> None:
    chip, effects = step(LEASED, FLEET.free_request(flop=10**18), LICENCE.expires_ms - MS_PER_HOUR - 1)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)


def test_work_below_the_floor_rate_is_never_throttled() -> None:
    chip, _ = step(LEASED, FLEET.request(flop=SMALL_SHARE), LEASED.latest_ms)
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    assert tell(step(chip, FLEET.free_request(flop=FLOOR * 3600), chip.latest_ms)[1]) == []


def test_unlicensed_work_slows_down_when_the_allowance_of_a_life_is_used_up() -> None:
    # VN-12.1
    nearly = replace(CHIP, meter=Meter(unlicensed_flop=10**24 - 1 - 10**18))
    chip, effects = step(nearly, FLEET.free_request(flop=2 * 10**18), CHIP.latest_ms)
    assert tell(effects) == ["allowance-spent"]
    assert chip.cumulative_flop == 10**18 + FLOOR * 1800
    assert chip.phase is Phase.UNLICENSED


def test_a_meter_cannot_count_more_than_physics_allows() -> None:
    chip, effects = step(CHIP, FLEET.free_request(flop=PEAK * 7200, total_flop=PEAK * 7200), CHIP.latest_ms)
    assert tell(effects) == ["above-peak"]
    assert chip.cumulative_flop == PEAK * 3600


def test_licensed_work_above_peak_is_cut_to_peak() -> None:
    chip, effects = step(LEASED, FLEET.request(flop=PEAK * 2, duration_ms=1000), LEASED.latest_ms)
    assert tell(effects) == ["above-peak"]
    assert (chip.cumulative_flop, chip.phase) == (PEAK, Phase.LEASED)


def test_peak_depends_on_the_precision() -> None:
    request = FLEET.free_request(flop=PEAK * 9000, precision=Precision.FP8)
    assert step(CHIP, request, CHIP.latest_ms)[0].cumulative_flop == MODEL.peak_at(Precision.FP8) * 3600


def report_of(chip: ChipState, now: int, event: IntervalEnded | None = None) -> tuple[ChipState, bytes]:
    chip, effects = step(chip, event or IntervalEnded(), now)
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return chip, data


def test_a_report_tells_what_the_interval_was() -> None:
    chip, _ = step(LEASED, FLEET.request(flop=10**18), LEASED.latest_ms)
    chip, data = report_of(chip, chip.latest_ms, IntervalEnded())
    claims = FLEET.open(data).statement
    assert (claims.licence_id, claims.proposal_digest) == (LICENCE.licence_id, LICENCE.proposal_digest)
    assert (claims.counter, claims.cumulative_flop, claims.out_of_set_bytes) == (2, 10**18, 0)
    assert claims.checkpoint_digest == FLEET.log.checkpoint().digest
    assert claims.challenge == compute_challenge(
        FLEET.council.treaty.payload_digest, claims.checkpoint_digest, claims.window_start_ms
    )
    assert (chip.job, chip.interval_flop, chip.counter) == (None, 0, 2)


def test_a_verifiers_own_challenge_is_answered() -> None:
    _, data = report_of(CHIP, CHIP.latest_ms + 1, IntervalEnded(challenge=b"c" * 32))
    claims = FLEET.open(data).statement
    assert (claims.challenge, claims.checkpoint_digest) == (b"c" * 32, NO_DIGEST)


def test_an_idle_interval_is_reported_too() -> None:
    # VN-12.4
    _, data = report_of(LEASED, LEASED.latest_ms + MS_PER_HOUR)
    claims = FLEET.open(data).statement
    assert (claims.licence_id, claims.cumulative_flop, claims.energy_j) == (None, 0, 0)


def test_a_licensed_interval_ends_with_its_licence() -> None:
    chip, _ = step(LEASED, FLEET.request(flop=10**18), LEASED.latest_ms)
    chip, data = report_of(chip, LICENCE.expires_ms + 77)
    assert FLEET.open(data).statement.window_end_ms == LICENCE.expires_ms
    assert (chip.phase, chip.window_start_ms) == (Phase.SPENT, LICENCE.expires_ms)
    _, rest = report_of(chip, chip.latest_ms)
    assert FLEET.open(rest).statement.window_start_ms == LICENCE.expires_ms


def test_an_empty_interval_is_not_reported() -> None:
    chip, effects = step(LEASED, IntervalEnded(), LEASED.latest_ms)
    assert tell(effects) == ["interval-empty"]
    assert chip is LEASED


def test_a_chip_that_is_being_debugged_says_so() -> None:
    _, data = report_of(replace(CHIP, debug_status=DebugStatus.ENABLED), CHIP.latest_ms + 1)
    assert FLEET.open(data).statement.debug_status == 0


def test_power_loss_keeps_everything_but_the_alias_key() -> None:
    chip, _ = step(LEASED, FLEET.request(flop=10**18), LEASED.latest_ms)
    alias = generate_ed25519(SeededRng(b"boot"))
    again, effects = step(chip, PowerCycled(seed=alias.seed), chip.latest_ms + 5)
    assert again == replace(chip, alias_key=again.alias_key, boot_count=2, latest_ms=chip.latest_ms + 5)
    assert len(effects) == 1
    assert tell(step(again, FLEET.offer(CHIP.ueid), again.latest_ms)[1]) == ["licence-replayed"]


def test_no_secret_shows_in_the_repr_of_a_chip() -> None:
    shown = repr(LEASED)
    for key in (LEASED.alias_key, LEASED.secure_element):
        assert key is not None
        assert repr(key) not in shown
    assert "SigningKey" not in shown


def test_two_runs_from_one_seed_are_equal() -> None:
    first, reports = FLEET.run(CHIP)
    second, again = FLEET.run(CHIP)
    assert [report.data for report in reports] == [report.data for report in again]
    assert first == second


@pytest.mark.parametrize(
    ("flop", "left_flop", "left_ms", "expected"),
    [
        (1000, 10**9, 1000, (1000, 1000)),
        (1000, 500, 1000, (500, 500)),
        (1000, 10**9, 250, (250, 250)),
        (1000, 100, 250, (100, 100)),
        (1000, 333, 1000, (333, 333)),
        (999, 1, 1000, (1, 2)),
        (1000, 0, 1000, (0, 0)),
        (1000, 10, 0, (0, 0)),
        (5000, 10**9, 1000, (2000, 1000)),
    ],
)
def test_licensed_work_by_hand(flop: int, left_flop: int, left_ms: int, expected: tuple[int, int]) -> None:
    work = compute_licensed_work(flop, 1000, peak=2000, left_flop=left_flop, left_ms=left_ms)
    assert (work.flop, work.duration_ms) == expected


@pytest.mark.parametrize(
    ("flop", "left_flop", "expected"),
    [
        (1000, None, 1000),
        (1000, 1000, 1000),
        (1000, 0, 20),
        (1000, 500, 510),
        (10, 0, 10),
        (9000, None, 2000),
    ],
)
def test_unlicensed_work_by_hand(flop: int, left_flop: int | None, expected: int) -> None:
    assert compute_unlicensed_work(flop, 1000, peak=2000, left_flop=left_flop).flop == expected


@pytest.mark.parametrize(
    ("flop", "left_flop", "left_ms", "expected"),
    [
        (1000, None, 1000, (1000, 1000)),
        (1000, None, 250, (250, 250)),
        (1000, 100, 250, (103, 250)),
        (1, 100, 250, (0, 250)),
        (1000, 0, 250, (5, 250)),
    ],
)
def test_unlicensed_work_until_a_licence_ends_by_hand(
    flop: int, left_flop: int | None, left_ms: int, expected: tuple[int, int]
) -> None:
    work = compute_unlicensed_work(flop, 1000, peak=2000, left_flop=left_flop, left_ms=left_ms)
    assert (work.flop, work.duration_ms) == expected


@pytest.mark.parametrize(
    ("flop", "tdp_w", "expected_j"),
    [(0, 700, 0), (1, 700, 1000), (10, 700, 7000), (11, 700, 8000), (5, None, 0)],
)
def test_energy_is_rounded_up_to_kilojoules(flop: int, tdp_w: int | None, expected_j: int) -> None:
    assert compute_energy_j(flop, peak=1, tdp_w=tdp_w) == expected_j


def test_step_refuses_a_phase_that_the_row_does_not_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    def leap(state: ChipState, event: Event, now: int) -> tuple[ChipState, tuple[Effect, ...]]:
        del event, now
        return replace(state, phase=Phase.LICENSED), ()

    row = TABLE[Phase.UNLICENSED, IntervalEnded]
    lying = {**TABLE, (row.phase, row.event): replace(row, function=leap)}
    monkeypatch.setattr(machine, "TABLE", lying)
    with pytest.raises(ValueError, match="does not declare"):
        step(CHIP, IntervalEnded(), CHIP.latest_ms)


def list_ways_into(phase: Phase) -> set[tuple[Phase, str]]:
    rows: tuple[Transition, ...] = tuple(TABLE.values())
    return {
        (row.phase, row.event.__name__) for row in rows if row.phase is not phase and phase in row.targets
    }


def test_only_a_judged_licence_leads_to_the_licensed_phase() -> None:
    assert {event for _, event in list_ways_into(Phase.LICENSED)} == {"LicenceOffered"}


def test_nothing_but_a_lease_leads_from_no_licence_or_a_spent_one_to_licensed_work() -> None:
    """VN-12.5: also the licence itself leads only to the phase in which a lease is awaited."""
    sources = {phase for phase, _ in list_ways_into(Phase.LEASED)}
    assert sources == {Phase.LICENSED, Phase.PAUSED}


def test_the_diagram_shows_every_labelled_row() -> None:
    drawn = draw_states()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> off: manufactured\n")
    assert "    leased --> paused: WorkRequested (work until lease, budget or time is over)" in drawn
    assert "    paused --> leased: LeaseOffered (next lease judged)" in drawn
    assert "    spent --> licensed: LicenceOffered (newer licence judged)" in drawn


def test_every_event_has_a_row_in_every_phase_with_power() -> None:
    events = {row.event for row in TABLE.values()}
    for phase in set(Phase) - {Phase.OFF}:
        assert {event for known, event in TABLE if known is phase} == events


def test_nothing_happens_twice_when_an_event_is_refused() -> None:
    chip, effects = drive(CHIP, (FLEET.request(), CHIP.latest_ms), (FLEET.request(), CHIP.latest_ms))
    assert chip is CHIP
    assert tell(effects) == ["no-licence"] * 2
