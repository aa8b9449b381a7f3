"""Equation 1 put to the test: inspections drawn at random, as ``policy.inspection_plan`` counts them.

Needs NumPy (the extra ``sim``), so whoever imports this does it when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vetonet.policy.inspection_plan import DAYS_PER_YEAR, InspectionPlan

MAX_DRAWS: Final = 2 * 10**9
"""Chips drawn in all trials together; more would take minutes."""

MAX_SAMPLES: Final = 10**7
"""Chips drawn in one trial: it is held in memory as a whole."""

_DRAWS_AT_ONCE: Final = 2 * 10**6
_Z_99: Final = 2.5758293035489004
"""A normal variable lies within so many standard deviations with a probability of 99 %."""

_Chips: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionTrial:
    """Inspections that are all alike, put to an operator that cheats and to one that does not.

    Attributes:
        plan: what is inspected, and how often chips save their weights.
        samples: how many chips are drawn while the run lasts, evenly over its windows.
        longer: the run takes so many times the horizon, on so many times fewer chips.
        wider: in each window it moves over so many times as many chips.
        mismatch: the probability with which a snapshot of declared work does not fit its declaration. With 0
            nobody honest is ever accused, by construction.
    """

    plan: InspectionPlan
    samples: int
    longer: Fraction = Fraction(1)
    wider: int = 1
    mismatch: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a trial in which nothing is drawn, or the run does not fit.

        Raises:
            ValueError: no samples, no snapshots, more chips than there are, or no probability.
        """
        if self.samples < 1 or self.longer <= 0 or self.wider < 1 or not 0 <= self.mismatch <= 1:
            raise ValueError("expected samples, a run that lasts, and a probability of a mismatch")
        if not self.plan.snapshots_per_day or self.chips_of_run > self.plan.chips:
            raise ValueError("expected chips that save snapshots, and a run that fits on them")

    @property
    def chips_of_run(self) -> Fraction:
        """On how many chips the run is; the part of a chip is a whole one in that part of the windows."""
        return self.plan.share * self.plan.chips * self.wider / self.longer

    @property
    def windows(self) -> int:
        """How many inspections there are while the run lasts, the last one perhaps of a shorter window."""
        return ceil(self.plan.horizon_days * self.longer / self.plan.window_days)

    @property
    def days_on_chip(self) -> float:
        """How long the run stays on one chip."""
        return float(self.plan.window_days / self.wider)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """How often the cheat was caught, and how often the honest operator was accused.

    Attributes:
        trials: how often each was inspected.
        detections: how often the run was caught.
        false_accusations: how often somebody was accused who had declared everything.
    """

    trials: int
    detections: int
    false_accusations: int

    @property
    def detection_interval(self) -> tuple[float, float]:
        """Where the probability of a detection lies with 99 % confidence."""
        return compute_interval(self.detections, self.trials)

    @property
    def false_accusation_interval(self) -> tuple[float, float]:
        """Where the probability of a false accusation lies with 99 % confidence."""
        return compute_interval(self.false_accusations, self.trials)


def compute_interval(successes: int, trials: int, z: float = _Z_99) -> tuple[float, float]:
    """Return the Wilson score interval of a probability of which so many trials succeeded.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"expected at most {trials} successes, and trials, got {successes}")
    rate, weight = successes / trials, z * z / trials
    middle = (rate + weight / 2) / (1 + weight)
    spread = z * sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def compute_samples(plan: InspectionPlan, samples_per_year: int, longer: Fraction = Fraction(1)) -> int:
    """Return how many chips are drawn while a run lasts, rounded down, but at least one."""
    return max(1, int(samples_per_year * plan.horizon_days * longer / DAYS_PER_YEAR))


def simulate_inspections(trial: InspectionTrial, *, trials: int, seed: int) -> TrialResult:
    """Return how inspections ended that were drawn at random; the same seed gives the same result.

    Every chip is drawn by its number, with replacement as Equation 1 has it; inspectors who never draw a chip
    twice in a window do a little better. A drawn chip on which the run was incriminates it if it saved a
    snapshot meanwhile, by an exponential waiting time.

    Raises:
        ValueError: no trials, or more draws than ``MAX_DRAWS`` or ``MAX_SAMPLES``.
    """
    if trial.samples > MAX_SAMPLES:
        raise ValueError(
            f"expected at most {MAX_SAMPLES} chips in a trial, got {trial.samples}; plan for fewer"
        )
    if trials < 1 or trials * trial.samples > MAX_DRAWS:
        raise ValueError(
            f"expected 1 to {MAX_DRAWS} draws, got {trials} trials of {trial.samples}; ask for fewer trials"
        )
    rng = np.random.default_rng(seed)
    caught = accused = 0
    for count in _iter_blocks(trials, trial.samples):
        caught += int(_inspect_cheat(trial, count, rng).any(axis=1).sum())
        accused += int(_inspect_honest(trial, count, rng).any(axis=1).sum())
    return TrialResult(trials=trials, detections=caught, false_accusations=accused)


def _iter_blocks(trials: int, samples: int) -> Iterator[int]:
    """Yield how many trials to draw at once, so that memory is bounded."""
    block = max(1, _DRAWS_AT_ONCE // samples)
    for start in range(0, trials, block):
        yield min(block, trials - start)


def _inspect_cheat(trial: InspectionTrial, count: int, rng: np.random.Generator) -> _Chips:
    """Return for each drawn chip of each trial whether it incriminates the run."""
    # Where there are more windows than samples, each sample has one to itself, and the others say nothing.
    spread = min(trial.windows, trial.samples)
    windows = np.arange(trial.samples) * spread // trial.samples
    whole, part = divmod(trial.chips_of_run, 1)
    sizes = int(whole) + (rng.random((count, spread)) < float(part))
    of_run = rng.integers(trial.plan.chips, size=(count, trial.samples)) < sizes[:, windows]
    waits = rng.exponential(1 / float(trial.plan.snapshots_per_day), int(of_run.sum()))
    of_run[of_run] = waits < trial.days_on_chip
    return of_run


def _inspect_honest(trial: InspectionTrial, count: int, rng: np.random.Generator) -> _Chips:
    """Return for each drawn chip of each trial whether its snapshot does not fit what was declared."""
    if not trial.mismatch:
        return np.zeros((count, 1), dtype=np.bool_)
    shape = (count, trial.samples)
    waits = rng.exponential(1 / float(trial.plan.snapshots_per_day), shape)
    return (waits < float(trial.plan.window_days)) & (rng.random(shape) < trial.mismatch)
