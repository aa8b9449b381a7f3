"""How many chips inspectors must look at a year to catch a large undeclared run.

Equation 1 of Shavit, "What does it take to catch a Chinchilla?" (arXiv 2303.11341, section 3.2, appendices B
and C). Chips save their weights at random times. At the end of each window inspectors draw chips at random
from all there are and read what those saved; a snapshot that belongs to no declared run incriminates. The
first H FLOP of a run prove nothing, for a run of up to H is allowed, so only one of 2H is caught as promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp, expm1, inf, log, log1p
from typing import Final

from vetonet.units import MAX_COUNT, MAX_FLOP, Flop

DAYS_PER_YEAR: Final = 365
MAX_DAYS: Final = 10**6
MAX_SNAPSHOTS_PER_DAY: Final = 10**6
LEAST: Final = Fraction(1, 10**30)
"""Shorter and rarer than that floats could not tell the chance of a sample from none."""

_HALF: Final = Fraction(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionPlan:
    """What inspectors want to catch, where, and how surely; its symbols are those of Equation 1.

    Attributes:
        run_flop: H; a run of twice this is caught.
        chips: C, all chips from which the inspectors draw.
        peak_flop_per_day: a, the most that one chip computes in a day.
        horizon_days: T, by when the run is to be caught; it lasts no longer.
        window_days: Tm, from one inspection to the next.
        snapshots_per_day: f, how often a chip saves its weights on average, at times that nobody can foresee.
        detection: p, the least probability with which the run is caught.
    """

    run_flop: Flop
    chips: int
    peak_flop_per_day: Flop
    horizon_days: Fraction
    window_days: Fraction
    snapshots_per_day: Fraction
    detection: Fraction

    def __post_init__(self) -> None:
        """Refuse figures of which Equation 1 says nothing.

        Raises:
            ValueError: a figure that is not positive or absurdly large, or a probability of 0 or 1; its
                message begins with the attribute's name and a colon.
        """
        for name, flop in (("run_flop", self.run_flop), ("peak_flop_per_day", self.peak_flop_per_day)):
            if not 0 < flop <= MAX_FLOP:
                raise ValueError(f"{name}: expected 1 to {MAX_FLOP} FLOP")
        if not 0 < self.chips <= MAX_COUNT:
            raise ValueError(f"chips: expected 1 to {MAX_COUNT} chips, got {self.chips}")
        for name, days in (("horizon_days", self.horizon_days), ("window_days", self.window_days)):
            if not LEAST <= days <= MAX_DAYS:
                raise ValueError(f"{name}: expected above 0 and at most {MAX_DAYS} days, got {_show(days)}")
        if self.snapshots_per_day and not LEAST <= self.snapshots_per_day <= MAX_SNAPSHOTS_PER_DAY:
            got = _show(self.snapshots_per_day)
            most = MAX_SNAPSHOTS_PER_DAY
            raise ValueError(f"snapshots_per_day: expected 0 to {most} snapshots a day, got {got}")
        if not 0 < self.detection < 1:
            raise ValueError(f"detection: expected above 0 and below 1, got {_show(self.detection)}")

    @property
    def share(self) -> Fraction:
        """H/(a T C): which part of all chips H FLOP keep busy at their peak for the whole horizon."""
        return Fraction(self.run_flop) / (self.peak_flop_per_day * self.horizon_days * self.chips)

    @property
    def is_possible(self) -> bool:
        """Whether these chips can compute H within the horizon at all."""
        return self.share <= 1


def compute_samples_per_year(plan: InspectionPlan) -> int | None:
    """Return the least whole number of chips to inspect a year, or None where no number is enough.

    None is enough where the chips cannot compute H within the horizon, so that there is no such run to catch,
    and where chips never save anything. Equation 1 gives the samples of one window as
    log(1-p) / log(1-(H/(aTC))(1-e^(-f Tm))) * Tm/T; there are 365/Tm windows in a year. A number beyond 10^15
    is exact to some fifteen digits, as floats are.
    """
    if not plan.is_possible or not plan.snapshots_per_day:
        return None
    samples = _log_rest(plan.detection) / _compute_log_miss(plan.share, _count_snapshots(plan))
    # Where one sample misses with a probability that no float can hold, one is still needed.
    return max(1, ceil(samples * float(DAYS_PER_YEAR / plan.horizon_days)))


def compute_detection(
    plan: InspectionPlan, samples_per_year: float, *, longer: Fraction = Fraction(1), wider: int = 1
) -> float:
    """Return the probability with which inspectors who draw so many chips a year catch the run.

    Args:
        plan: the run and the chips; its own ``detection`` is not used.
        samples_per_year: how many chips they draw, spread evenly over the windows.
        longer: the run takes so many times the horizon, on so many times fewer chips (appendix C.1).
        wider: in each window it moves over so many times as many chips (appendix C.2).

    Raises:
        ValueError: no samples, or a run that needs more chips than there are.
    """
    share = plan.share * wider / longer
    if samples_per_year < 0 or longer <= 0 or wider < 1 or share > 1:
        raise ValueError("expected some samples, and a run that fits on the chips there are")
    drawn = samples_per_year * float(plan.horizon_days * longer / DAYS_PER_YEAR)
    return -expm1(drawn * _compute_log_miss(share, _count_snapshots(plan) / wider)) if drawn else 0.0


def _count_snapshots(plan: InspectionPlan) -> Fraction:
    """Return f Tm: how often a chip that works through a window saves its weights on average."""
    return plan.snapshots_per_day * plan.window_days


def _compute_log_miss(share: Fraction, snapshots: Fraction) -> float:
    """Return log(1 - share (1 - e^-snapshots)): how one drawn chip shows nothing, without cancellation."""
    mean = float(snapshots)
    caught = float(share) * -expm1(-mean)
    if caught < _HALF:
        return log1p(-caught)
    missed = float(1 - share) + float(share) * exp(-mean)
    return log(missed) if missed else -inf


def _log_rest(probability: Fraction) -> float:
    """Return log(1 - probability), exact to a float's digits near 0 and near 1."""
    return log1p(-float(probability)) if probability < _HALF else log(1 - probability)


def _show(value: Fraction) -> str:
    return f"{float(value):.15g}"
