"""Inspections drawn at random agree with Equation 1, also of runs that try to hide in time and in space."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

pytest.importorskip("numpy", reason="NumPy (the extra sim) is not installed")

from vetonet.policy.inspection_plan import InspectionPlan, compute_detection, compute_samples_per_year
from vetonet.sim.inspections import (
    MAX_DRAWS,
    MAX_SAMPLES,
    InspectionTrial,
    compute_interval,
    compute_samples,
    simulate_inspections,
)
from vetonet.units import parse_flop

PLAN = InspectionPlan(
    run_flop=parse_flop("3.14e23"),
    chips=1_000,
    peak_flop_per_day=10**15 * 86_400,
    horizon_days=Fraction(365),
    window_days=Fraction(30),
    snapshots_per_day=Fraction(1, 10),
    detection=Fraction(9, 10),
)
TRIALS = 20_000
CELLS = [
    ("3.14e23", 10**3),
    ("2.56e24", 10**3),
    ("9.9e24", 10**3),
    ("9.9e24", 10**5),
    ("1.27e26", 10**5),
    ("1.3e28", 10**7),
]


def make_trial(
    run_flop: str, chips: int, longer: Fraction = Fraction(1), wider: int = 1
) -> tuple[InspectionTrial, float]:
    """Return the inspections of a cell of Table 1, and how surely they catch by the equation."""
    plan = replace(PLAN, run_flop=parse_flop(run_flop), chips=chips)
    samples = compute_samples(plan, compute_samples_per_year(plan) or 0, longer)
    a_year = samples * 365 / float(plan.horizon_days * longer)
    trial = InspectionTrial(plan=plan, samples=samples, longer=longer, wider=wider)
    return trial, compute_detection(plan, a_year, longer=longer, wider=wider)


@pytest.mark.parametrize(("run_flop", "chips"), CELLS)
def test_what_is_drawn_agrees_with_the_equation(run_flop: str, chips: int) -> None:
    trial, expected = make_trial(run_flop, chips)
    result = simulate_inspections(trial, trials=TRIALS, seed=1)
    low, high = result.detection_interval
    assert low < expected < high
    assert high - low < 0.015
    assert high > 0.9, "at least what was asked for"
    assert result.false_accusations == 0


@pytest.mark.parametrize("longer", [Fraction(1, 2), Fraction(3)])
def test_a_run_that_is_stretched_in_time_is_caught_as_appendix_c_says(longer: Fraction) -> None:
    trial, expected = make_trial("2.56e24", 10**3, longer=longer)
    low, high = simulate_inspections(trial, trials=TRIALS, seed=2).detection_interval
    assert low < expected < high
    assert low > 0.970 * 0.9


def test_a_run_that_moves_over_more_chips_is_caught_no_less() -> None:
    still, _ = make_trial("2.56e24", 10**3)
    moving, expected = make_trial("2.56e24", 10**3, wider=3)
    low, high = simulate_inspections(moving, trials=TRIALS, seed=3).detection_interval
    assert low < expected < high
    assert low > simulate_inspections(still, trials=TRIALS, seed=3).detection_interval[1]


def test_windows_in_which_nobody_is_drawn_take_no_memory() -> None:
    # A second's window over a year, or 10^36 of them: what counts is the one in which a chip was drawn.
    for window_days in (Fraction(1, 86_400), Fraction(1, 10**30)):
        plan = replace(PLAN, window_days=window_days, snapshots_per_day=Fraction(10**6))
        trial = InspectionTrial(plan=plan, samples=60)
        assert simulate_inspections(trial, trials=1_000, seed=5).trials == 1_000


def test_more_chips_than_memory_holds_are_not_drawn_at_once() -> None:
    trial = InspectionTrial(plan=PLAN, samples=MAX_SAMPLES + 1)
    with pytest.raises(ValueError, match="fewer"):
        simulate_inspections(trial, trials=1, seed=5)


def test_the_honest_are_accused_only_where_their_snapshots_do_not_fit() -> None:
    """Beside every detection stands how often somebody was accused who had declared everything."""
    trial, _ = make_trial("2.56e24", 10**3)
    mistaken = replace(trial, mismatch=0.001)
    result = simulate_inspections(mistaken, trials=TRIALS, seed=4)
    per_sample = 0.001 * 0.950_212_931_6  # 1 - e^-3: of chips that saved anything in their window
    low, high = result.false_accusation_interval
    assert low < 1 - (1 - per_sample) ** trial.samples < high


def test_the_same_seed_gives_the_same_inspections_and_another_others() -> None:
    trial, _ = make_trial("3.14e23", 10**3)
    first = simulate_inspections(trial, trials=2_000, seed=5)
    assert simulate_inspections(trial, trials=2_000, seed=5) == first
    assert simulate_inspections(trial, trials=2_000, seed=6) != first


def test_more_than_minutes_of_draws_are_refused() -> None:
    trial, _ = make_trial("3.14e23", 10**3)
    with pytest.raises(ValueError, match="fewer trials"):
        simulate_inspections(trial, trials=MAX_DRAWS // trial.samples + 1, seed=1)
    with pytest.raises(ValueError, match="draws"):
        simulate_inspections(trial, trials=0, seed=1)


@pytest.mark.parametrize(
    ("field", "value"), [("samples", 0), ("wider", 0), ("longer", Fraction(0)), ("mismatch", 1.5)]
)
def test_a_trial_of_nothing_is_refused(field: str, value: object) -> None:
    trial, _ = make_trial("3.14e23", 10**3)
    with pytest.raises(ValueError, match="expected"):
        replace(trial, **{field: value})  # type: ignore[arg-type]


def test_a_run_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fits"):
        make_trial("9.9e24", 10**3, wider=4)
    with pytest.raises(ValueError, match="save"):
        InspectionTrial(plan=replace(PLAN, snapshots_per_day=Fraction(0)), samples=7)


def test_the_interval_holds_its_rate_and_knows_its_ends() -> None:
    assert compute_interval(0, 100)[0] == 0
    assert compute_interval(100, 100)[1] == 1
    low, high = compute_interval(90, 100)
    assert low < 0.9 < high
    for successes, trials in ((1, 0), (2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="successes"):
            compute_interval(successes, trials)
