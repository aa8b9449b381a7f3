"""The meter: FLOP by precision, cycles, tokens; training and inference alike (VN-17.10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.fleet import MODEL, PEAK, make_fleet, tell
from vetonet.attestation.appraise import appraise_chain
from vetonet.attestation.report import CYCLES_PER_MS, ComputeReport
from vetonet.attester.machine import step
from vetonet.attester.meter import Meter
from vetonet.attester.metering import FLOOR_DIVISOR, Work
from vetonet.attester.state import ChipState, IntervalEnded, PowerCycled, ReportSigned
from vetonet.crypto.statement import Signed
from vetonet.units import MS_PER_HOUR, Precision, WorkloadClass

FLEET = make_fleet()
CHIP = FLEET.chips[0]
INFERENCE = {"workload": WorkloadClass.INFERENCE}


def work(chip: ChipState, **changes: Any) -> ChipState:
    return step(chip, FLEET.free_request(**changes), chip.latest_ms)[0]


def report(chip: ChipState, later_ms: int = 0) -> tuple[ChipState, Signed[ComputeReport]]:
    chip, effects = step(chip, IntervalEnded(), chip.latest_ms + later_ms)
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return chip, FLEET.open(data)


def test_each_precision_has_its_counter_and_all_of_them_make_the_total() -> None:
    # Requirement 8
    chip, counted, reports = CHIP, 0, list[Signed[ComputeReport]]()
    for number, precision in enumerate((*MODEL.precisions, *MODEL.precisions), start=1):
        chip, signed = report(work(chip, precision=precision, flop=number * 10**15))
        counted += number * 10**15
        claims = signed.statement
        assert claims.precision_flop == chip.meter.count_in(precision)
        assert claims.cumulative_flop == counted == sum(chip.meter.flop.values())
        reports.append(signed)
    assert appraise_chain(reports) == ()


def test_cycles_count_the_time_at_work_and_no_other() -> None:
    chip, claims = report(work(CHIP, duration_ms=1_000, flop=1), later_ms=MS_PER_HOUR)
    assert claims.statement.cumulative_cycles == 1_000 * CYCLES_PER_MS == 10**9
    assert report(chip, later_ms=1)[1].statement.cumulative_cycles == 10**9


def test_inference_is_metered_in_flop_and_in_tokens() -> None:
    chip, claims = report(work(CHIP, **INFERENCE, flop=10**15, tokens=1_000))
    assert (claims.statement.workload, claims.statement.cumulative_tokens) == (WorkloadClass.INFERENCE, 1_000)
    assert claims.statement.cumulative_flop == 10**15
    _, claims = report(work(chip, **INFERENCE, flop=10**15, tokens=5))
    assert claims.statement.cumulative_tokens == 1_005


def test_tokens_of_work_that_was_cut_count_by_what_was_done_of_it() -> None:
    request = FLEET.free_request(**INFERENCE, flop=3 * PEAK, duration_ms=1_000, tokens=100)
    chip, effects = step(CHIP, request, CHIP.latest_ms)
    assert tell(effects) == ["above-peak"]
    assert chip.meter.tokens == 34  # a third, rounded up: the last token may have come out whole


def test_training_that_puts_out_tokens_is_our_own_mistake() -> None:
    for change in ({"tokens": 1}, {**INFERENCE, "tokens": -1}):
        with pytest.raises(ValueError, match="tokens of inference"):
            FLEET.free_request(**change)


def test_training_disguised_as_inference_is_metered_all_the_same() -> None:
    """Rahman and Tajdari; RFD 027: what a workload is called is advice, and buys not one FLOP."""
    honest = work(CHIP, flop=10**18)
    disguised = work(CHIP, **INFERENCE, flop=10**18, tokens=0)
    assert disguised.meter == honest.meter
    assert disguised.meter.unlicensed_flop == 10**18


def test_training_disguised_as_inference_needs_a_licence_all_the_same() -> None:
    _, effects = step(CHIP, FLEET.free_request(**INFERENCE, total_flop=10**25), CHIP.latest_ms)
    assert tell(effects) == ["licence-required"]


def test_training_disguised_as_inference_does_not_run_under_a_licence_for_the_other() -> None:
    chip = FLEET.lease(CHIP)
    _, effects = step(chip, FLEET.request(**INFERENCE), chip.latest_ms)
    assert tell(effects) == ["other-workload"]


def test_a_spent_budget_leaves_the_floor_of_one_percent() -> None:
    # Requirement 25 (RFD 032)
    fleet = make_fleet(per_device_flop=10**18)
    chip = fleet.lease(fleet.chips[0])
    chip, effects = step(chip, fleet.request(), chip.latest_ms)
    assert tell(effects) == ["budget-spent"]
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    before = chip.cumulative_flop
    chip, effects = step(chip, fleet.free_request(flop=PEAK * 3600), chip.latest_ms)
    assert FLOOR_DIVISOR == 100
    assert chip.cumulative_flop - before == PEAK * 3600 // FLOOR_DIVISOR


def test_no_counter_is_lost_with_the_power() -> None:
    busy = work(work(CHIP, flop=10**15), **INFERENCE, precision=Precision.FP8, flop=10**15, tokens=7)
    chip, _ = step(busy, PowerCycled(seed=b"b" * 32), busy.latest_ms)
    assert chip.meter == busy.meter


def test_what_does_nothing_counts_nothing() -> None:
    meter = Meter(flop={Precision.BF16: 5}, busy_ms=3, tokens=2)
    idle = Work(flop=0, duration_ms=1_000, is_cut=True)
    assert meter.count(idle, Precision.FP8, 0) == meter
    assert meter.count_unlicensed(idle) == meter


def test_a_meter_of_one_precision_says_nothing_of_another() -> None:
    meter = Meter().count(Work(flop=9, duration_ms=1, is_cut=False), Precision.FP8, 0)
    assert (meter.count_in(Precision.FP8), meter.count_in(Precision.BF16), meter.total_flop) == (9, 0, 9)
    assert replace(meter, tokens=1).cycles == CYCLES_PER_MS
