"""Tampering: the chip tells, slows down for good, and destroys nothing (VN-17.13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.firmware import FIRMWARE
from support.fleet import MODEL, PEAK, make_fleet, tell
from support.world import NOW_MS
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.report import MAX_TAMPERS
from vetonet.attester.machine import TABLE, step
from vetonet.attester.manufacture import manufacture, power_on
from vetonet.attester.metering import FLOOR_DIVISOR
from vetonet.attester.state import (
    CheckpointSeen,
    ChipState,
    IntervalEnded,
    Phase,
    PowerCycled,
    ReportSigned,
    WorkDone,
)
from vetonet.attester.tamper import TamperCounted, TamperDetected
from vetonet.crypto.rng import SeededRng
from vetonet.units import MS_PER_HOUR

FLEET = make_fleet()
CHIP = FLEET.chips[0]
FLOOR = PEAK // FLOOR_DIVISOR
KNOWN = FLEET.registry.find_alias(FLEET.run(CHIP, hours=0)[1][0].signer.key_id)


def tamper(chip: ChipState) -> ChipState:
    chip, effects = step(chip, TamperDetected(), chip.latest_ms)
    assert effects == (TamperCounted(tamper_count=chip.tamper_count),)
    return chip


def leased() -> ChipState:
    return FLEET.lease(CHIP)


@pytest.mark.parametrize("phase", Phase)
def test_tampering_is_noticed_in_every_phase_also_before_the_first_start(phase: Phase) -> None:
    chip = tamper(replace(CHIP, phase=phase))
    assert chip.tamper_count == 1
    assert chip.phase is (Phase.OFF if phase is Phase.OFF else Phase.TAMPERED)


def test_a_chip_that_was_opened_before_its_first_start_starts_tampered() -> None:
    made = manufacture(MODEL, FLEET.maker, CHIP.treaty, SeededRng(b"opened"), firmware=FIRMWARE)
    chip, _ = power_on(tamper(made), SeededRng(b"on"), NOW_MS)
    assert chip.phase is Phase.TAMPERED


def test_a_tampered_chip_runs_at_one_percent_and_meters_it() -> None:
    chip, effects = step(tamper(leased()), FLEET.free_request(), LATER)
    assert tell(effects) == ["tampered"]
    assert chip.cumulative_flop == FLOOR * 3600 == chip.meter.unlicensed_flop


LATER = FLEET.licence.statement.not_before_ms


def test_nothing_licensed_runs_on_a_tampered_chip() -> None:
    # VN-17.13
    chip = tamper(leased())
    for event in (FLEET.request(), FLEET.offer(chip.ueid), FLEET.lease_offer()):
        following, effects = step(chip, event, chip.latest_ms)
        assert tell(effects) == ["tampered"]
        assert following is chip


def test_a_large_run_without_a_licence_is_refused_as_ever() -> None:
    _, effects = step(tamper(CHIP), FLEET.free_request(total_flop=10**26), CHIP.latest_ms)
    assert tell(effects) == ["licence-required"]


def test_no_event_leads_out_of_it() -> None:
    # VN-17.13: no message ends it, so nobody is worth bribing for one
    rows = [row for row in TABLE.values() if row.phase is Phase.TAMPERED]
    assert {row.event for row in rows} == {event for phase, event in TABLE if phase is Phase.LEASED}
    assert all(row.targets == {Phase.TAMPERED} for row in rows)


def test_neither_power_nor_time_nor_the_log_ends_it() -> None:
    chip = tamper(leased())
    events = (PowerCycled(seed=b"b" * 32), CheckpointSeen(data=FLEET.sign_head()), IntervalEnded())
    for event in events:
        chip, _ = step(chip, event, chip.latest_ms + 100 * MS_PER_HOUR)
        assert (chip.phase, chip.tamper_count) == (Phase.TAMPERED, 1)


def test_its_reports_go_on_chain_and_say_so() -> None:
    # Requirement 10: tamper evidence
    chip, reports = FLEET.run(CHIP)
    chip = tamper(tamper(chip))
    for _ in range(3):
        chip, effects = step(chip, FLEET.free_request(), chip.latest_ms)
        assert any(isinstance(effect, WorkDone) for effect in effects)
        chip, effects = step(chip, IntervalEnded(), chip.latest_ms)
        reports += [FLEET.open(effect.data) for effect in effects if isinstance(effect, ReportSigned)]
    assert appraise_chain(reports) == ()
    assert [report.statement.tamper_count for report in reports[-4:]] == [0, 2, 2, 2]
    assert reports[-1].statement.licence_id is None
    found = [problem.reason for problem in appraise(reports[-1], KNOWN.device, KNOWN.alias, firmware=())]
    assert found == ["tampered"]


def test_the_interval_in_which_it_was_noticed_is_reported_as_what_it_was() -> None:
    chip, _ = step(leased(), FLEET.request(), LATER)
    chip, effects = step(tamper(chip), IntervalEnded(), chip.latest_ms)
    (report,) = [FLEET.open(effect.data).statement for effect in effects if isinstance(effect, ReportSigned)]
    assert report.licence_id == FLEET.licence.statement.licence_id
    assert report.tamper_count == 1


def test_the_count_stops_where_a_report_can_say_no_more() -> None:
    assert tamper(replace(CHIP, tamper_count=MAX_TAMPERS)).tamper_count == MAX_TAMPERS
