"""An MLPerf Training result as a value: what was trained, in which steps, on which system.

Two things in the logs mislead and are settled here once:

* ``tracked_stats`` comes in two kinds. With a loss or alone, ``train_step_time`` is one step's; beside
  ``throughput`` it is the average of a block and is skipped, or every block would count one step more.
* ``train_samples`` before the run is the size of the data set; only ``samples_count``, or ``train_samples``
  after ``run_stop``, says what was trained.

Step boundaries are the time stamps of the log, not the reported durations: the stamps add up to the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.sim.mlperf_events import MlperfEvent, find_single, read_events, require_single
from vetonet.sim.mlperf_power import iter_readings
from vetonet.sim.mlperf_run import BENCHMARKS, MlperfRun, MlperfStep
from vetonet.sim.numbers_exact import Place, fraction_from, integer_from
from vetonet.units import MS_PER_S, Milliseconds

MAX_STEPS: Final = 1_000_000
MAX_COUNT: Final = 10**15
MAX_RUN_MS: Final = 10 * 366 * 86_400 * MS_PER_S

_MAX_BATCH: Final = 10**9
_MAX_SEQUENCE: Final = 10**9
_MAX_SEED: Final = 2**64
_STEP_TIME: Final = "train_step_time"
_BLOCK_AVERAGE_SIGN: Final = "throughput"


def parse_mlperf_log(text: str, *, name: str) -> MlperfRun:
    """Return the successful run that a result log records.

    Args:
        text: the whole log.
        name: the file's name, for messages.

    Raises:
        ConfigError: malformed, truncated, aborted or impossible; the line is named.

    """
    events = read_events(text, name=name)
    start = _require_run_start(events)
    stop = require_single(events, "run_stop")
    _require_success(start, stop)
    first, last = events.index(start), events.index(stop)
    facts = _read_facts(events)
    steps = tuple(_iter_steps(events[first : last + 1], facts))
    samples = _reconcile_samples(steps, events, last, facts)
    return MlperfRun(
        name=name,
        benchmark=facts.benchmark,
        submitter=_text_value(events, "submission_org"),
        platform=_text_value(events, "submission_platform"),
        seed=_count_value(events, "seed", low=0, high=_MAX_SEED),
        start_ms=start.time_ms,
        stop_ms=stop.time_ms,
        global_batch_size=facts.batch,
        max_sequence_length=facts.sequence,
        samples=samples,
        steps=steps,
        power=tuple(iter_readings(events)),
    )


def _require_run_start(events: Sequence[MlperfEvent]) -> MlperfEvent:
    """Return ``run_start``, or say what a log without one is."""
    if find_single(events, "run_start") is None and any(event.key == "power_reading" for event in events):
        raise events[-1].place.refuse(expected="run_start", got="a power log, which holds no run")
    return require_single(events, "run_start")


def _require_success(start: MlperfEvent, stop: MlperfEvent) -> None:
    """Refuse a run that stopped before it started, took absurdly long, or did not succeed."""
    if not 0 < stop.time_ms - start.time_ms <= MAX_RUN_MS or stop.place.line < start.place.line:
        raise stop.place.refuse(
            expected=f"run_stop after run_start ({start.time_ms}) and within ten years of it",
            got=stop.time_ms,
        )
    status = stop.metadata.get("status")
    if status != "success":
        raise stop.place.refuse(expected="run_stop with status 'success'", got=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the head of the log fixes for the whole run."""

    benchmark: str
    batch: int
    sequence: int
    counts_tokens: bool


def _read_facts(events: Sequence[MlperfEvent]) -> _Facts:
    """Return the head of the log."""
    benchmark = _text_value(events, "submission_benchmark")
    batch = _count_value(events, "global_batch_size", low=1, high=_MAX_BATCH)
    sequence = _count_value(events, "max_sequence_length", low=1, high=_MAX_SEQUENCE)
    for key, value in (
        ("submission_benchmark", benchmark),
        ("global_batch_size", batch),
        ("max_sequence_length", sequence),
    ):
        if value is None:
            raise events[-1].place.refuse(expected=f"{key} in the log", got="the end without it")
    known = {found.name: found for found in BENCHMARKS}.get(benchmark or "")
    return _Facts(
        benchmark=benchmark or "",
        batch=batch or 0,
        sequence=sequence or 0,
        counts_tokens=known is not None and known.counts_tokens,
    )


def _text_value(events: Sequence[MlperfEvent], key: str) -> str | None:
    """Return the text of a key that comes at most once."""
    event = find_single(events, key)
    if event is None:
        return None
    if not isinstance(event.value, str):
        raise event.place.refuse(expected=f"{key} as text", got=event.value)
    return event.value


def _count_value(events: Sequence[MlperfEvent], key: str, *, low: int, high: int) -> int | None:
    """Return the whole number of a key that comes at most once."""
    event = find_single(events, key)
    return None if event is None else integer_from(event.value, event.place, key, low=low, high=high)


@dataclass(slots=True, kw_only=True)
class _Block:
    """Training between two evaluations while it is being read.

    Attributes:
        start: the event that opened it.
        marks: (event, samples trained in all so far) of every per-step line.
        stop: ``block_stop``, None while open.
        total: (event, samples trained in all) of the evaluation after it.

    """

    start: MlperfEvent
    marks: list[tuple[MlperfEvent, int]] = field(default_factory=list)
    stop: MlperfEvent | None = None
    total: tuple[MlperfEvent, int] | None = None


def _iter_blocks(events: Sequence[MlperfEvent], facts: _Facts) -> Iterator[_Block]:
    """Yield the blocks of a run; the first ``block_start`` and the last ``block_stop`` may be missing."""
    block = _Block(start=events[0])
    for event in events[1:]:
        if event.key == "block_start":
            if block.marks and block.stop is None:
                raise event.place.refuse(expected="block_stop before the next block_start", got="block_start")
            if block.stop is not None:
                yield block
            block = _Block(start=event)
        else:
            _continue_block(block, event, facts)
    if block.stop is None and (block.marks or block.total):
        block.stop = events[-1]
    if block.stop is not None:
        yield block


def _continue_block(block: _Block, event: MlperfEvent, facts: _Facts) -> None:
    """Note in a block what an event says about it: a step, its stop, or a count of samples."""
    match event.key:
        case "block_stop":
            if block.stop is not None:
                raise event.place.refuse(expected="block_start before the next block_stop", got="block_stop")
            block.stop = event
        case "tracked_stats" if _is_single_step(event):
            block.marks.append((event, _samples_so_far(event, "step", facts)))
        case "eval_start" | "eval_accuracy" | "run_stop":
            _count_block(block, _evaluated_total(event, facts))


def _count_block(block: _Block, found: tuple[MlperfEvent, int] | None) -> None:
    """Note the samples counted at the end of a block; two counts of one closed block must agree."""
    if found is None:
        return
    event, total = found
    if block.stop is not None and block.total is not None and block.total[1] != total:
        raise event.place.refuse(expected=f"the {block.total[1]} samples counted before", got=total)
    if block.marks and total < block.marks[-1][1]:
        raise event.place.refuse(expected=f"samples not below {block.marks[-1][1]}, those so far", got=total)
    block.total = found


def _is_single_step(event: MlperfEvent) -> bool:
    """Tell the statistics of one step from the averages of a block and from other statistics."""
    if not isinstance(event.value, dict):
        raise event.place.refuse(expected="tracked_stats as an object", got=event.value)
    if _STEP_TIME not in event.value:
        return False
    seconds = fraction_from(event.value[_STEP_TIME], event.place, _STEP_TIME)
    if not 0 < seconds * MS_PER_S <= MAX_RUN_MS:
        raise event.place.refuse(expected=f"{_STEP_TIME} as positive seconds", got=event.value[_STEP_TIME])
    return _BLOCK_AVERAGE_SIGN not in event.value


def _samples_so_far(event: MlperfEvent, member: str, facts: _Facts) -> int:
    """Return the sequences trained by the time of an event."""
    what = f"{member} as the samples so far"
    samples = integer_from(event.metadata.get(member), event.place, what, low=0, high=MAX_COUNT)
    if member == "step" and samples % facts.batch:
        raise event.place.refuse(
            expected=f"step as samples, a multiple of global_batch_size {facts.batch}", got=samples
        )
    return samples


def _evaluated_total(event: MlperfEvent, facts: _Facts) -> tuple[MlperfEvent, int] | None:
    """Return what an evaluation or the stop says was trained until then, or None where it says nothing."""
    if "samples_count" in event.metadata:
        return event, _samples_so_far(event, "samples_count", facts)
    if "epoch_num" not in event.metadata:
        return None
    return event, _sequences_of_epoch_count(event, event.metadata["epoch_num"], facts)


def _sequences_of_epoch_count(event: MlperfEvent, value: object, facts: _Facts) -> int:
    """Return sequences from a count whose unit depends on the benchmark."""
    if not facts.counts_tokens:
        raise event.place.refuse(
            expected="samples_count (the unit of epoch_num is not known here)", got=value
        )
    tokens = integer_from(value, event.place, "tokens so far", low=0, high=MAX_COUNT)
    if tokens % facts.sequence:
        raise event.place.refuse(expected=f"tokens in whole sequences of {facts.sequence}", got=tokens)
    return tokens // facts.sequence


def _iter_steps(events: Sequence[MlperfEvent], facts: _Facts) -> Iterator[MlperfStep]:
    """Yield the steps of a run in order, without overlap."""
    samples, reached = 0, events[0].time_ms
    count = 0
    for block in _iter_blocks(events, facts):
        reached = max(reached, block.start.time_ms)
        for step in _iter_steps_of_block(block, samples, reached, facts):
            _require_inside(step, events[-1], block.start.place.name)
            samples, reached, count = samples + step.samples, step.end_ms, count + 1
            if count > MAX_STEPS:
                raise block.start.place.refuse(expected=f"at most {MAX_STEPS} steps", got="more")
            yield step


def _require_inside(step: MlperfStep, stop: MlperfEvent, name: str) -> None:
    """Refuse a step that ends after the run."""
    if step.end_ms > stop.time_ms:
        place = Place(name=name, line=step.line)
        raise place.refuse(expected=f"a step that ends by run_stop ({stop.time_ms})", got=step.end_ms)


def _iter_steps_of_block(
    block: _Block, samples: int, reached: Milliseconds, facts: _Facts
) -> Iterator[MlperfStep]:
    """Yield the measured steps of a block, then an even split of what the evaluation counts beyond."""
    for event, total in block.marks:
        yield _step_until(event, total - samples, reached)
        samples, reached = total, event.time_ms
    if block.stop is None:
        return
    if block.total is None:
        if not block.marks:
            raise block.stop.place.refuse(expected="a count of samples after block_stop", got=None)
        return
    event, total = block.total
    if total < samples:
        raise event.place.refuse(expected=f"samples not below the {samples} trained before", got=total)
    yield from _iter_even_steps(block.stop, total - samples, reached, facts.batch)


def _step_until(event: MlperfEvent, samples: int, reached: Milliseconds) -> MlperfStep:
    """Return the step that a per-step line ends."""
    if samples <= 0:
        raise event.place.refuse(
            expected="more samples than at the step before", got=event.metadata.get("step")
        )
    if event.time_ms <= reached:
        raise event.place.refuse(expected=f"a step that ends after {reached}", got=event.time_ms)
    return MlperfStep(
        start_ms=reached, end_ms=event.time_ms, samples=samples, is_measured=True, line=event.place.line
    )


def _iter_even_steps(
    stop: MlperfEvent, samples: int, reached: Milliseconds, batch: int
) -> Iterator[MlperfStep]:
    """Yield steps of one batch each that share the time up to ``stop`` in proportion to their samples."""
    span = stop.time_ms - reached
    count = -(-samples // batch)
    if count > MAX_STEPS or (samples and span < count):
        raise stop.place.refuse(
            expected=f"time for {count} steps since {reached}, at most {MAX_STEPS}", got=span
        )
    for index in range(count):
        before, after = index * batch, min((index + 1) * batch, samples)
        start, end = reached + span * before // samples, reached + span * after // samples
        if end <= start:
            raise stop.place.refuse(expected=f"time for {count} steps since {reached}", got=span)
        yield MlperfStep(
            start_ms=start, end_ms=end, samples=after - before, is_measured=False, line=stop.place.line
        )


def _reconcile_samples(
    steps: Sequence[MlperfStep], events: Sequence[MlperfEvent], last: int, facts: _Facts
) -> int:
    """Return the samples of the steps after comparing them with what the log states at its end."""
    samples = sum(step.samples for step in steps)
    stop = events[last]
    if samples == 0:
        raise stop.place.refuse(expected="steps or sample counts before run_stop", got="none")
    for event in (stop, *events[last + 1 :]):
        stated = _stated_total(event, facts)
        if stated is not None and stated != samples:
            raise event.place.refuse(expected=f"the {samples} samples of the steps", got=stated)
    return samples


def _stated_total(event: MlperfEvent, facts: _Facts) -> int | None:
    """Return the total that the end of a log states, or None where the event states none."""
    if event.key == "run_stop":
        found = _evaluated_total(event, facts)
        return None if found is None else found[1]
    if event.key not in {"train_samples", "trained_samples"}:
        return None
    if facts.counts_tokens:
        return _sequences_of_epoch_count(event, event.value, facts)
    return integer_from(event.value, event.place, event.key, low=0, high=MAX_COUNT)
