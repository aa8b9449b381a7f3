"""A measured run as work for simulated chips: how many FLOP each chip does in each reporting interval.

The count is 6ND: 6 FLOP per parameter and token, 2 forward and 4 backward (Kaplan et al. 2020,
arXiv 2001.08361, section 2.1). It leaves out attention over the context, evaluation and recomputation, so it
is a floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from vetonet.attester.models import ChipModel
from vetonet.errors import ConfigError
from vetonet.sim.mlperf_run import BENCHMARKS, MlperfRun, MlperfStep
from vetonet.sim.mlperf_system import MlperfSystem
from vetonet.sim.numbers_exact import Place
from vetonet.units import MAX_FLOP, MS_PER_S, Flop, Milliseconds, Precision

PLAUSIBLE_UTILISATION: Final = Fraction(72, 100)
"""The highest utilisation of 16-bit peak in Epoch AI's table (hardware utilisation of GPT3-2.7B with
FlashAttention-2); a run above it at some precision was most likely computed at a faster one."""

TRAINING_PRECISIONS: Final = (Precision.BF16, Precision.FP16, Precision.FP8, Precision.INT8, Precision.FP4)
"""What large runs are computed in, slowest first; the first plausible one is suggested."""

_PRE_TRAINING_FLOP: Final = 6
_MAX_PARAMETERS: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadStep:
    """One training step of the whole fleet."""

    start_ms: Milliseconds
    end_ms: Milliseconds
    flop: Flop


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadInterval:
    """What every chip computes in one reporting interval.

    The fleet's cumulative count F is spread so that chip i has done (F + i) // chips: over the chips that
    sums to F exactly (Hermite's identity), no chip is ever more than 1 FLOP ahead, and no count goes back.

    Attributes:
        start_ms: when it begins, since the Unix epoch.
        end_ms: when it ends.
        chips: the size of the fleet.
        flop_before: the fleet's cumulative FLOP at the start.
        flop_after: the same at the end.

    """

    start_ms: Milliseconds
    end_ms: Milliseconds
    chips: int
    flop_before: Flop
    flop_after: Flop

    @property
    def flop(self) -> Flop:
        """What the fleet computes in the interval."""
        return self.flop_after - self.flop_before

    @property
    def flop_per_chip(self) -> tuple[Flop, ...]:
        """What each chip computes in the interval, chip 0 first."""
        return tuple(self.flop_of(chip) for chip in range(self.chips))

    def flop_of(self, chip: int) -> Flop:
        """Return what one chip, counted from 0, computes in the interval.

        Raises:
            ValueError: the fleet has no such chip.

        """
        if not 0 <= chip < self.chips:
            raise ValueError(f"no chip {chip} in a fleet of {self.chips}")
        return (self.flop_after + chip) // self.chips - (self.flop_before + chip) // self.chips


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfWorkload:
    """A run with its FLOP.

    Attributes:
        name: the log it comes from.
        benchmark: as in the log.
        chip: the accelerator model.
        chips: how many.
        precision: the number format it is metered in.
        parameters: N.
        flop_per_parameter_token: 6, or 4 where most weights are frozen.
        tokens: D.
        flop: their product, equal to the sum over the steps.
        start_ms: start of the run, since the Unix epoch.
        stop_ms: its end.
        steps: training steps of the fleet, in order.
        utilisations: mean share of the dense peak over the whole run, for every precision the chip knows.

    """

    name: str
    benchmark: str
    chip: ChipModel
    chips: int
    precision: Precision
    parameters: int
    flop_per_parameter_token: int
    tokens: int
    flop: Flop
    start_ms: Milliseconds
    stop_ms: Milliseconds
    steps: tuple[WorkloadStep, ...]
    utilisations: tuple[tuple[Precision, Fraction], ...]

    def __post_init__(self) -> None:
        """Refuse a workload that does not add up.

        Raises:
            ValueError: the counts are not positive or the steps do not sum to the FLOP.

        """
        if self.chips <= 0 or self.stop_ms <= self.start_ms or not 0 < self.flop <= MAX_FLOP:
            raise ValueError("a workload has chips, a duration and FLOP")
        if self.flop != self.flop_per_parameter_token * self.parameters * self.tokens:
            raise ValueError("the FLOP are not factor x N x D")
        if sum(step.flop for step in self.steps) != self.flop:
            raise ValueError("the steps do not sum to the FLOP")

    @property
    def duration_ms(self) -> Milliseconds:
        """How long the run took."""
        return self.stop_ms - self.start_ms

    @property
    def utilisation(self) -> Fraction:
        """Mean share of the dense peak at the metered precision."""
        return self.utilisation_at(self.precision)

    def utilisation_at(self, precision: Precision) -> Fraction:
        """Return the mean share of the dense peak at a precision.

        Raises:
            ConfigError: the chip has no known rate at this precision.

        """
        rate = self.chip.peak_at(precision)
        return compute_utilisation(self.flop, chips=self.chips, flop_per_s=rate, duration_ms=self.duration_ms)

    @property
    def assumption(self) -> str:
        """How the FLOP were counted, in one line for people."""
        why = (
            ""
            if self.flop_per_parameter_token == _PRE_TRAINING_FLOP
            else " (frozen weights need no weight gradient)"
        )
        return (
            f"FLOP = {self.flop_per_parameter_token} x {self.parameters:,} parameters x "
            f"{self.tokens:,} tokens{why}; "
            "attention over the context, evaluation and recomputation are not counted"
        )


def compute_utilisation(flop: Flop, *, chips: int, flop_per_s: int, duration_ms: Milliseconds) -> Fraction:
    """Return the share of ``chips`` x ``flop_per_s`` x duration that ``flop`` is, exactly."""
    return Fraction(flop * MS_PER_S, chips * flop_per_s * duration_ms)


def find_plausible_precision(run: MlperfRun, system: MlperfSystem, *, parameters: int) -> Precision:
    """Return the slowest training precision at which the run stays within plausible utilisation.

    A log does not record its precision, so this is a suggestion for people, never evidence. Where nothing is
    plausible the fastest possible precision is returned.

    Raises:
        ConfigError: the run is impossible on the named system at any precision.

    """
    flop = _flop_factor(run) * _require_parameters(parameters, run) * run.tokens
    found = _utilisations(run, system, flop)
    _require_possible(run, system, flop, found)
    known = dict(found)
    for precision in TRAINING_PRECISIONS:
        if precision in known and known[precision] <= PLAUSIBLE_UTILISATION:
            return precision
    return min(known, key=lambda precision: known[precision])


def derive_workload(
    run: MlperfRun, system: MlperfSystem, *, parameters: int, precision: Precision
) -> MlperfWorkload:
    """Return the run's work: 6ND over its tokens, laid out over its measured steps.

    Assumes 6 FLOP per parameter and token, or 4 for a LoRA benchmark, whose frozen weights need no weight
    gradient (so 6ND would overstate it by half); see ``MlperfWorkload.assumption``.

    Args:
        run: the parsed log.
        system: the parsed description of the machine it ran on.
        parameters: N; ``find_benchmark`` knows it for the language benchmarks.
        precision: the number format to meter in; logs do not record it.

    Raises:
        ConfigError: the FLOP exceed the system's peak at every precision (impossible) or at the stated one.

    """
    factor = _flop_factor(run)
    flop = factor * _require_parameters(parameters, run) * run.tokens
    utilisations = _utilisations(run, system, flop)
    _require_possible(run, system, flop, utilisations)
    steps = tuple(_iter_workload_steps(run, factor * parameters * run.max_sequence_length))
    _require_steps_possible(run, system, steps, precision)
    return MlperfWorkload(
        name=run.name,
        benchmark=run.benchmark,
        chip=system.chip,
        chips=system.chips,
        precision=precision,
        parameters=parameters,
        flop_per_parameter_token=factor,
        tokens=run.tokens,
        flop=flop,
        start_ms=run.start_ms,
        stop_ms=run.stop_ms,
        steps=steps,
        utilisations=utilisations,
    )


def _flop_factor(run: MlperfRun) -> int:
    """Return the FLOP per parameter and token of the run's benchmark."""
    factors = {benchmark.name: benchmark.flop_per_parameter_token for benchmark in BENCHMARKS}
    return factors.get(run.benchmark, _PRE_TRAINING_FLOP)


def _require_parameters(parameters: int, run: MlperfRun) -> int:
    """Return a parameter count that is positive and keeps the FLOP within the meter's range."""
    if not 0 < parameters <= _MAX_PARAMETERS or _flop_factor(run) * parameters * run.tokens > MAX_FLOP:
        raise ConfigError(
            f"{run.name}: a parameter count of {parameters:.3g} does not fit a run of {run.tokens} tokens"
        )
    return parameters


def _utilisations(run: MlperfRun, system: MlperfSystem, flop: Flop) -> tuple[tuple[Precision, Fraction], ...]:
    """Return the mean utilisation for every precision the chip knows."""
    return tuple(
        (
            precision,
            compute_utilisation(flop, chips=system.chips, flop_per_s=rate, duration_ms=run.duration_ms),
        )
        for precision, rate in system.chip.peak_flop_per_s
    )


def _require_possible(
    run: MlperfRun, system: MlperfSystem, flop: Flop, utilisations: tuple[tuple[Precision, Fraction], ...]
) -> None:
    """Refuse a run that no precision of the named system could have computed in its time."""
    precision, lowest = min(utilisations, key=lambda found: found[1])
    if lowest > 1:
        raise ConfigError(
            f"{run.name}: {flop:.3e} FLOP in {run.duration_ms} ms is impossible on {system.chips} x "
            f"{system.chip.name} ({system.name}): {percent(lowest)} of the peak even at {precision}"
        )


def _require_steps_possible(
    run: MlperfRun, system: MlperfSystem, steps: tuple[WorkloadStep, ...], precision: Precision
) -> None:
    """Refuse a step faster than the fleet's peak at the stated precision; its line is named."""
    rate = system.chip.peak_at(precision)
    for measured, step in zip(run.steps, steps, strict=True):
        duration_ms = step.end_ms - step.start_ms
        share = compute_utilisation(step.flop, chips=system.chips, flop_per_s=rate, duration_ms=duration_ms)
        if share > 1:
            raise Place(name=run.name, line=measured.line).refuse(
                expected=f"a step within the peak of {system.chips} x {system.chip.name} at {precision}",
                got=percent(share),
            )


def percent(share: Fraction) -> str:
    """Return a share as a percentage with one decimal, rounded half to even, without a float."""
    tenths = round(share * MS_PER_S)
    return f"{tenths // 10}.{tenths % 10} %"


def _iter_workload_steps(run: MlperfRun, flop_per_sample: Flop) -> Iterator[WorkloadStep]:
    """Yield the run's steps with their FLOP."""
    for step in run.steps:
        yield _workload_step(step, flop_per_sample)


def _workload_step(step: MlperfStep, flop_per_sample: Flop) -> WorkloadStep:
    """Return one step with its FLOP."""
    return WorkloadStep(start_ms=step.start_ms, end_ms=step.end_ms, flop=step.samples * flop_per_sample)


def iter_intervals(
    workload: MlperfWorkload, interval_ms: Milliseconds, *, anchor_ms: Milliseconds | None = None
) -> Iterator[WorkloadInterval]:
    """Yield the run cut into reporting intervals; over chips and intervals the FLOP sum to the total exactly.

    Within a step the fleet computes at an even rate; a step that spans a boundary is cut there, rounded down,
    and the rest falls into the next interval. The last interval ends with the run and may be shorter.

    Args:
        workload: the run.
        interval_ms: how long an interval is.
        anchor_ms: from when intervals are counted, where that is not the start; the first is shorter then.

    Raises:
        ValueError: the interval is not positive.

    """
    if interval_ms <= 0:
        raise ValueError("a reporting interval takes time")
    anchor_ms = workload.start_ms if anchor_ms is None else anchor_ms
    first_ms = interval_ms - (workload.start_ms - anchor_ms) % interval_ms
    edges = range(workload.start_ms + first_ms, workload.stop_ms, interval_ms)
    return _iter_intervals(workload, (workload.start_ms, *edges, workload.stop_ms))


def _iter_intervals(workload: MlperfWorkload, edges: Sequence[Milliseconds]) -> Iterator[WorkloadInterval]:
    """Yield the intervals between these times; one pass over the steps."""
    steps, done, index, before = workload.steps, 0, 0, 0
    for start, end in pairwise(edges):
        while index < len(steps) and steps[index].end_ms <= end:
            done += steps[index].flop
            index += 1
        after = done + (_flop_until(steps[index], end) if index < len(steps) else 0)
        yield WorkloadInterval(
            start_ms=start, end_ms=end, chips=workload.chips, flop_before=before, flop_after=after
        )
        before = after


def _flop_until(step: WorkloadStep, time_ms: Milliseconds) -> Flop:
    """Return the FLOP of an unfinished step up to a point in time, rounded down."""
    elapsed = max(0, time_ms - step.start_ms)
    return step.flop * elapsed // (step.end_ms - step.start_ms)
