"""From a run to metered intervals: the FLOP add up to the last one, and impossible runs are refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.attester.models import find_chip_model
from vetonet.errors import ConfigError
from vetonet.sim.mlperf import (
    MlperfRun,
    MlperfStep,
    MlperfSystem,
    WorkloadInterval,
    derive_workload,
    find_benchmark,
    find_plausible_precision,
    iter_intervals,
    parse_mlperf_log,
    parse_system,
    percent,
)
from vetonet.units import Precision

T0 = 1_700_000_000_000
SYSTEM = MlperfSystem(
    name="s.json", system_name="S", nodes=1, accelerators_per_node=7, chip=find_chip_model("H100")
)


def run_of(
    durations_ms: list[int], *, batch: int = 8, gap_ms: int = 3, benchmark: str = "llama31_405b"
) -> MlperfRun:
    """A run with one step per duration and a gap after each."""
    steps, at = [], T0
    for line, duration in enumerate(durations_ms, start=1):
        steps.append(
            MlperfStep(start_ms=at, end_ms=at + duration, samples=batch, is_measured=True, line=line)
        )
        at += duration + gap_ms
    return MlperfRun(
        name="run.mllog",
        benchmark=benchmark,
        submitter=None,
        platform=None,
        seed=None,
        start_ms=T0,
        stop_ms=at,
        global_batch_size=batch,
        max_sequence_length=16,
        samples=batch * len(steps),
        steps=tuple(steps),
    )


def test_flop_are_six_per_parameter_and_token() -> None:
    workload = derive_workload(run_of([10, 10]), SYSTEM, parameters=1_000, precision=Precision.BF16)
    assert workload.tokens == 2 * 8 * 16
    assert workload.flop == 6 * 1_000 * workload.tokens
    assert [step.flop for step in workload.steps] == [workload.flop // 2] * 2
    assert workload.assumption.startswith("FLOP = 6 x 1,000 parameters x 256 tokens; attention")


def test_frozen_weights_of_lora_count_four() -> None:
    run = run_of([10], benchmark="llama2_70b_lora")
    workload = derive_workload(run, SYSTEM, parameters=1_000, precision=Precision.BF16)
    assert workload.flop == 4 * 1_000 * workload.tokens
    assert "frozen weights need no weight gradient" in workload.assumption


def test_utilisation_is_exact() -> None:
    workload = derive_workload(run_of([10], gap_ms=0), SYSTEM, parameters=1_000, precision=Precision.FP8)
    assert workload.utilisation == Fraction(6 * 1_000 * 128 * 1_000, 7 * 1_979 * 10**12 * 10)
    assert workload.utilisation == dict(workload.utilisations)[Precision.FP8]


@given(
    durations=st.lists(st.integers(1, 5_000), min_size=1, max_size=12),
    gap_ms=st.integers(0, 700),
    interval_ms=st.integers(1, 9_000),
    parameters=st.integers(1, 10**9),
    chips=st.integers(1, 40),
)
@settings(max_examples=60)
def test_no_flop_is_lost_or_made_whatever_the_interval(
    durations: list[int], gap_ms: int, interval_ms: int, parameters: int, chips: int
) -> None:
    run = run_of(durations, gap_ms=gap_ms)
    system = replace(SYSTEM, accelerators_per_node=chips)
    workload = derive_workload(run, system, parameters=parameters, precision=Precision.BF16)
    intervals = list(iter_intervals(workload, max(interval_ms, run.duration_ms // 200)))
    per_chip = [interval.flop_per_chip for interval in intervals]
    assert sum(map(sum, per_chip)) == workload.flop
    assert all(sum(flop) == interval.flop for flop, interval in zip(per_chip, intervals, strict=True))
    assert min(map(min, per_chip)) >= 0
    totals = [sum(flop[chip] for flop in per_chip) for chip in range(chips)]
    assert max(totals) - min(totals) <= 1
    assert (intervals[0].start_ms, intervals[-1].end_ms) == (run.start_ms, run.stop_ms)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(intervals))


def test_an_interval_inside_an_evaluation_has_no_flop() -> None:
    workload = derive_workload(run_of([10], gap_ms=100), SYSTEM, parameters=1, precision=Precision.BF16)
    assert [interval.flop for interval in iter_intervals(workload, 50)] == [workload.flop, 0, 0]


def test_an_interval_asked_for_a_chip_it_lacks_is_misuse() -> None:
    interval = WorkloadInterval(start_ms=0, end_ms=1, chips=2, flop_before=0, flop_after=3)
    assert interval.flop_per_chip == (1, 2)
    with pytest.raises(ValueError, match="no chip 2"):
        interval.flop_of(2)


@pytest.mark.parametrize(
    ("anchor_ms", "edges"), [(0, [0, 50, 100, 110]), (-30, [0, 20, 70, 110]), (-50, [0, 50, 100, 110])]
)
def test_intervals_can_be_counted_from_before_the_run(anchor_ms: int, edges: list[int]) -> None:
    run = run_of([10], gap_ms=100)
    workload = derive_workload(run, SYSTEM, parameters=1, precision=Precision.BF16)
    intervals = list(iter_intervals(workload, 50, anchor_ms=run.start_ms + anchor_ms))
    bounds = [interval.start_ms for interval in intervals] + [intervals[-1].end_ms]
    assert [bound - run.start_ms for bound in bounds] == edges
    assert sum(interval.flop for interval in intervals) == workload.flop


@pytest.mark.parametrize("interval_ms", [0, -1])
def test_an_interval_without_duration_is_misuse(interval_ms: int) -> None:
    workload = derive_workload(run_of([10]), SYSTEM, parameters=1, precision=Precision.BF16)
    with pytest.raises(ValueError, match="takes time"):
        iter_intervals(workload, interval_ms)


def test_a_run_beyond_the_peak_at_every_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"run.mllog: .* is impossible on 7 x NVIDIA H100 .* even at fp8"):
        derive_workload(run_of([10]), SYSTEM, parameters=10**15, precision=Precision.BF16)


def test_a_run_beyond_the_peak_at_the_stated_precision_is_refused_at_its_step() -> None:
    run = run_of([1_000, 10])
    parameters = 12 * 10**13 // (6 * 8 * 16)
    derive_workload(run, SYSTEM, parameters=parameters, precision=Precision.FP8)
    with pytest.raises(
        ConfigError, match=r"run.mllog:2: expected a step within the peak .* at bf16, got '173"
    ):
        derive_workload(run, SYSTEM, parameters=parameters, precision=Precision.BF16)


def test_a_precision_the_chip_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no known peak rate at fp4"):
        derive_workload(run_of([10]), SYSTEM, parameters=1, precision=Precision.FP4)


@pytest.mark.parametrize("parameters", [0, -1, 10**19, 10**40])
def test_an_absurd_parameter_count_is_refused(parameters: int) -> None:
    with pytest.raises(ConfigError, match="a parameter count of"):
        derive_workload(run_of([10]), SYSTEM, parameters=parameters, precision=Precision.BF16)
    with pytest.raises(ConfigError, match="a parameter count of"):
        find_plausible_precision(run_of([10]), SYSTEM, parameters=parameters)


def test_a_workload_that_does_not_add_up_cannot_exist() -> None:
    workload = derive_workload(run_of([10]), SYSTEM, parameters=1, precision=Precision.BF16)
    with pytest.raises(ValueError, match="not factor x N x D"):
        replace(workload, flop=workload.flop + 1)
    with pytest.raises(ValueError, match="do not sum"):
        replace(workload, steps=())
    with pytest.raises(ValueError, match="has chips"):
        replace(workload, chips=0)


def test_percentages_are_rounded_without_floats() -> None:
    assert [percent(Fraction(785, 1000)), percent(Fraction(1, 3)), percent(Fraction(2))] == [
        "78.5 %",
        "33.3 %",
        "200.0 %",
    ]


REAL_RUNS = {
    ("v5.0-h100x512-llama31_405b", "v5.0-h100x512"): (
        5_503_765_708_800_000_000_000,
        {Precision.BF16: "78.5 %", Precision.FP8: "39.3 %"},
        Precision.FP8,
    ),
    ("v4.0-h100x512-gpt3", "v4.0-h100x512"): (
        1_307_993_702_400_000_000_000,
        {Precision.BF16: "82.0 %", Precision.FP8: "41.0 %"},
        Precision.FP8,
    ),
    ("v4.0-tpuv5p1024-gpt3", "v4.0-tpuv5p1024"): (
        1_268_357_529_600_000_000_000,
        {Precision.BF16: "78.4 %", Precision.INT8: "39.2 %"},
        Precision.INT8,
    ),
}


@pytest.mark.parametrize(("log", "system"), REAL_RUNS)
def test_real_runs_have_the_expected_flop_and_utilisation(shared: Path, log: str, system: str) -> None:
    flop, shares, plausible = REAL_RUNS[log, system]
    folder = shared / "data" / "mlperf"
    run = parse_mlperf_log((folder / f"{log}.mllog").read_text(encoding="utf-8"), name=log)
    machine = parse_system((folder / f"{system}.system.json").read_text(encoding="utf-8"), name=system)
    parameters = find_benchmark(run.benchmark).parameters
    assert find_plausible_precision(run, machine, parameters=parameters) is plausible
    workload = derive_workload(run, machine, parameters=parameters, precision=plausible)
    assert workload.flop == flop
    assert workload.chips == 512
    assert {precision: percent(workload.utilisation_at(precision)) for precision in shares} == shares
    intervals = list(iter_intervals(workload, 600_000))
    assert sum(interval.flop_of(chip) for interval in intervals for chip in range(512)) == flop
