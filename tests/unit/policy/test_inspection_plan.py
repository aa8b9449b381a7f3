"""Equation 1 of Shavit: his table, his footnote, his appendix C, and figures of which it says nothing."""

from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import expm1, log1p
from pathlib import Path

import pytest

from vetonet.policy.inspection_plan import (
    LEAST,
    InspectionPlan,
    compute_detection,
    compute_samples_per_year,
)
from vetonet.units import MAX_COUNT, MAX_FLOP, parse_flop

PLAN = InspectionPlan(
    run_flop=parse_flop("9.9e24"),
    chips=10**5,
    peak_flop_per_day=10**15 * 86_400,
    horizon_days=Fraction(365),
    window_days=Fraction(30),
    snapshots_per_day=Fraction(1, 10),
    detection=Fraction(9, 10),
)
"""Of Table 1, with T of a year: its caption names only the window."""


def find_exact_samples(plan: InspectionPlan) -> float:
    """Return the samples a year before they are rounded up, straight from the equation."""
    caught = float(plan.share) * -expm1(-float(plan.snapshots_per_day * plan.window_days))
    return log1p(-float(plan.detection)) / log1p(-caught) * 365 / float(plan.horizon_days)


def test_all_cells_of_table_1_are_reproduced_to_three_figures(shared: Path) -> None:
    text = (shared / "data/reference-targets/shavit2023_table1.csv").read_text("utf-8")
    columns = {"samples_per_yr_C1e3": 10**3, "samples_per_yr_C1e5": 10**5, "samples_per_yr_C1e7": 10**7}
    filled = 0
    for row in csv.DictReader(text.splitlines()):
        for column, chips in columns.items():
            ours = compute_samples_per_year(replace(PLAN, run_flop=parse_flop(row["H_flop"]), chips=chips))
            if not row[column]:
                assert ours is None, f"{row['model']}, {chips} chips: the table has a dash"
                continue
            assert ours is not None
            assert float(f"{ours:.3g}") == float(row[column]), f"{row['model']}, {chips} chips"
            filled += 1
    assert filled == 15


def test_footnote_5_is_reproduced() -> None:
    """About 232,000 samples a year of 10^7 chips of 3e15 FLOP/s; 1,000 chips are a year of one inspector."""
    world = replace(PLAN, chips=10**7, peak_flop_per_day=3 * 10**15 * 86_400)
    assert compute_samples_per_year(world) == 231_572
    assert compute_samples_per_year(replace(world, run_flop=10**25)) == 229_256


def test_a_run_that_the_chips_cannot_compute_has_no_plan() -> None:
    most = PLAN.peak_flop_per_day * 365 * PLAN.chips
    assert compute_samples_per_year(replace(PLAN, run_flop=most)) == 1
    assert compute_samples_per_year(replace(PLAN, run_flop=most + 1)) is None


def test_chips_that_never_save_anything_have_no_plan() -> None:
    assert compute_samples_per_year(replace(PLAN, snapshots_per_day=Fraction(0))) is None
    assert compute_detection(replace(PLAN, snapshots_per_day=Fraction(0)), 10**6) == 0


@pytest.mark.parametrize("detection", ["1e-12", "0.5", "0.999999999999999999999999999999"])
@pytest.mark.parametrize("rate", ["1e-12", "0.1", "1e6"])
@pytest.mark.parametrize("chips", [3_200, 10**18])
def test_one_sample_fewer_than_planned_is_too_few(detection: str, rate: str, chips: int) -> None:
    plan = replace(PLAN, chips=chips, detection=Fraction(detection), snapshots_per_day=Fraction(rate))
    samples = compute_samples_per_year(plan)
    assert samples is not None
    wanted = float(plan.detection)
    assert compute_detection(plan, samples) >= wanted * (1 - 1e-12)
    fewer = max(0.0, samples * (1 - 1e-9) - 1)
    assert compute_detection(plan, fewer) < wanted or wanted == 1


def test_a_run_that_keeps_all_chips_busy_is_caught_by_the_chips_that_saved_something() -> None:
    """There 1 - x is e^-3 exactly: six windows of it leave less than 10^-7, five do not."""
    most = PLAN.peak_flop_per_day * 365 * PLAN.chips
    plan = replace(PLAN, run_flop=most, detection=1 - Fraction(1, 10**7))
    assert compute_samples_per_year(plan) == 6
    assert compute_samples_per_year(replace(plan, snapshots_per_day=Fraction(10**6))) == 1


def test_half_the_horizon_needs_twice_the_samples_a_year() -> None:
    """The run then needs twice the chips, so that each sample is worth more; a little less than twice."""
    whole, half = find_exact_samples(PLAN), find_exact_samples(replace(PLAN, horizon_days=Fraction(365, 2)))
    assert 0.99 < half / whole < 1


def test_a_longer_run_on_fewer_chips_loses_at_most_three_percent() -> None:
    """Appendix C.1, figure 2: over b in (0, 0.2] and k in 1 to 100 the paper says under 5 %; it is 0.970."""
    lowest = 1.0
    for step in range(1, 41):
        caught = Fraction(step, 200)
        share = caught / Fraction(-expm1(-3.0))
        plan = replace(PLAN, run_flop=int(share * PLAN.peak_flop_per_day * 365 * PLAN.chips))
        samples = find_exact_samples(plan)
        ratios = [compute_detection(plan, samples, longer=Fraction(k)) / 0.9 for k in range(1, 101)]
        assert ratios == sorted(ratios, reverse=True)
        lowest = min(lowest, *ratios)
    assert 0.970 <= lowest < 0.971


def test_moving_over_more_chips_never_lowers_the_detection() -> None:
    """Appendix C.2, theorem 1."""
    for rate in ("0.001", "0.1", "10"):
        plan = replace(PLAN, snapshots_per_day=Fraction(rate))
        caught = [compute_detection(plan, 500, wider=wider) for wider in range(1, 200)]
        assert all(after >= before * (1 - 1e-12) for before, after in pairwise(caught))
        assert caught[-1] > caught[0] or rate == "0.001"


def test_a_shorter_run_on_more_chips_is_caught_more_surely() -> None:
    plan, samples = replace(PLAN, chips=1_000), 7
    assert compute_detection(plan, samples, longer=Fraction(1, 2)) > compute_detection(plan, samples) >= 0.9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_flop", 0),
        ("run_flop", 2**127 + 1),
        ("peak_flop_per_day", -1),
        ("chips", 0),
        ("horizon_days", Fraction(0)),
        ("window_days", Fraction(-1)),
        ("window_days", Fraction(10**6 + 1)),
        ("snapshots_per_day", Fraction(-1, 10)),
        ("snapshots_per_day", Fraction(1, 10**30 + 1)),
        ("window_days", Fraction(1, 10**30 + 1)),
        ("horizon_days", Fraction(1, 10**129)),
        ("detection", Fraction(0)),
        ("detection", Fraction(1)),
    ],
)
def test_figures_of_which_the_equation_says_nothing_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(PLAN, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("detection", [Fraction(1, 10**129), Fraction(1, 2), 1 - Fraction(1, 10**129)])
def test_the_least_and_the_most_of_everything_give_a_number(detection: Fraction) -> None:
    # No logarithm may fall to nought: an infinite number of samples is no number.
    plan = InspectionPlan(
        run_flop=1,
        chips=MAX_COUNT,
        peak_flop_per_day=MAX_FLOP,
        horizon_days=Fraction(10**6),
        window_days=LEAST,
        snapshots_per_day=LEAST,
        detection=detection,
    )
    samples = compute_samples_per_year(plan)
    assert samples is not None
    assert samples >= 1


def test_a_run_on_more_chips_than_there_are_has_no_detection() -> None:
    with pytest.raises(ValueError, match="fits"):
        compute_detection(replace(PLAN, chips=1_000), 7, wider=4)
    with pytest.raises(ValueError, match="expected some samples"):
        compute_detection(PLAN, -1)
