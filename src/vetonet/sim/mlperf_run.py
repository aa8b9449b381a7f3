"""One MLPerf Training run as a value, and what the rules fix about its benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vetonet.errors import ConfigError
from vetonet.sim.mlperf_power import PowerReading
from vetonet.sim.numbers_exact import show
from vetonet.units import Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What the rules fix about one benchmark, and a log therefore does not repeat.

    Attributes:
        name: as in ``submission_benchmark``.
        parameters: N, the parameters that take part in every token.
        flop_per_parameter_token: 6 for pre-training (2 forward, 4 backward); 4 for LoRA, whose frozen weights
            need no weight gradient.
        counts_tokens: ``epoch_num`` and ``train_samples`` count tokens instead of sequences.
        source: where N comes from.

    """

    name: str
    parameters: int
    flop_per_parameter_token: int = 6
    counts_tokens: bool = False
    source: str


BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    Benchmark(
        name="gpt3",
        parameters=175 * 10**9,
        counts_tokens=True,
        source="Brown et al. 2020, arXiv 2005.14165, table 2.1",
    ),
    Benchmark(
        name="llama31_405b", parameters=405 * 10**9, source="Llama team 2024, arXiv 2407.21783, section 3.2"
    ),
    Benchmark(
        name="llama2_70b_lora",
        parameters=70 * 10**9,
        flop_per_parameter_token=4,
        source="Touvron et al. 2023, arXiv 2307.09288; Hu et al. 2021, arXiv 2106.09685",
    ),
)


def find_benchmark(name: str) -> Benchmark:
    """Return the facts of a benchmark by its MLPerf name.

    Raises:
        ConfigError: the table does not have it, so the caller must state the parameter count.

    """
    for benchmark in BENCHMARKS:
        if benchmark.name == name:
            return benchmark
    known = ", ".join(benchmark.name for benchmark in BENCHMARKS)
    raise ConfigError(
        f"the parameter count of benchmark {show(name)} is not known (known: {known}); state it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfStep:
    """Training between two points in time.

    Attributes:
        start_ms: when it began, since the Unix epoch.
        end_ms: when it ended.
        samples: the sequences trained in it, normally one global batch.
        is_measured: it ends at a time stamp of its own; otherwise it is an even share of a block.
        line: the line of the log that ends it.

    """

    start_ms: Milliseconds
    end_ms: Milliseconds
    samples: int
    is_measured: bool
    line: int

    def __post_init__(self) -> None:
        """Refuse a step without duration or samples.

        Raises:
            ValueError: the step is empty or backwards.

        """
        if self.end_ms <= self.start_ms or self.samples <= 0:
            raise ValueError("a step takes time and trains samples")

    @property
    def duration_ms(self) -> Milliseconds:
        """How long the step took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the run: training where ``samples`` is positive, else evaluation and overhead."""

    start_ms: Milliseconds
    end_ms: Milliseconds
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfRun:
    """One successful training run.

    Attributes:
        name: the file it was read from.
        benchmark: as in ``submission_benchmark``.
        submitter: who submitted it, None where the log does not say.
        platform: the system as the submitter names it, None where the log does not say.
        seed: the run's seed, None where the log does not say.
        start_ms: ``run_start`` in milliseconds since the Unix epoch.
        stop_ms: ``run_stop``.
        global_batch_size: sequences per optimiser step.
        max_sequence_length: tokens per sequence.
        samples: sequences trained, equal to the sum over the steps.
        steps: the training, in order, without overlap.
        power: readings inside the log, where it has any.

    """

    name: str
    benchmark: str
    submitter: str | None
    platform: str | None
    seed: int | None
    start_ms: Milliseconds
    stop_ms: Milliseconds
    global_batch_size: int
    max_sequence_length: int
    samples: int
    steps: tuple[MlperfStep, ...]
    power: tuple[PowerReading, ...] = ()

    def __post_init__(self) -> None:
        """Refuse steps that overlap, leave the run, or do not add up to its samples.

        Raises:
            ValueError: one of those.

        """
        edges = [
            self.start_ms,
            *(t for step in self.steps for t in (step.start_ms, step.end_ms)),
            self.stop_ms,
        ]
        if any(later < earlier for earlier, later in pairwise(edges)):
            raise ValueError("steps overlap or leave the run")
        if self.samples <= 0 or sum(step.samples for step in self.steps) != self.samples:
            raise ValueError("the steps do not add up to the samples")

    @property
    def duration_ms(self) -> Milliseconds:
        """From ``run_start`` to ``run_stop``, which is MLPerf's time to train."""
        return self.stop_ms - self.start_ms

    @property
    def training_ms(self) -> Milliseconds:
        """The part of the duration inside steps."""
        return sum(step.duration_ms for step in self.steps)

    @property
    def tokens(self) -> int:
        """D, the tokens trained, every sequence counted at its full length."""
        return self.samples * self.max_sequence_length

    def iter_phases(self) -> Iterator[Phase]:
        """Yield the run without a hole: steps, and what lies between them, from start to stop."""
        reached = self.start_ms
        for step in self.steps:
            if step.start_ms > reached:
                yield Phase(start_ms=reached, end_ms=step.start_ms, samples=0)
            yield Phase(start_ms=step.start_ms, end_ms=step.end_ms, samples=step.samples)
            reached = step.end_ms
        if self.stop_ms > reached:
            yield Phase(start_ms=reached, end_ms=self.stop_ms, samples=0)
