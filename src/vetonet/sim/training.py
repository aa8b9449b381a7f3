"""A small real training run, told segment by segment, by an honest operator and by three that cheat.

A network of two layers learns to tell three interleaved spirals apart, in single precision, by stochastic
gradient descent with momentum: small enough to be run thousands of times, and real in what matters here. Its
states depend on all that went before, rounding depends on the order of sums, and what is made up differs.
NumPy is needed (the extra ``sim``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vetonet.errors import EncodingError
from vetonet.policy.segments import WHOLE_WAY, Replay, Tolerance

Floats: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[Any]
"""In single or double precision."""

CLASSES: Final = 3
INPUTS: Final = 2
HIDDEN: Final = 32
BATCH: Final = 24
POINTS: Final = 600
RATE: Final = np.float32(0.2)
MOMENTUM: Final = np.float32(0.9)
SHAPES: Final = ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
WEIGHT_COUNT: Final = sum(int(np.prod(shape)) for shape in SHAPES)
STATE_BYTES: Final = 2 * 4 * WEIGHT_COUNT
ROW: Final = INPUTS + 1

TOLERANCE: Final = Tolerance(max_parts=5_000_000)
"""A two-hundredth of what the data of a segment changed.

It is chosen from two measurements (simulations/spot-checks). Honest segments, summed in other orders or in
other precision, end at most a tenth of this away (a third with two steps a segment); those that leave out one
row of 24 at least 4 times as far (twice). Whatever it lets pass an operator may use: a two-hundredth of what
its data change, which need not be training.
"""


class Behaviour(StrEnum):
    """What an operator does in the segments that it makes up."""

    HONEST = "honest"
    SKIPPED = "skipped segments"
    WRONG_DATA = "wrong data"
    SUBSTITUTED = "substituted weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A run as its operator tells it.

    Attributes:
        states: before each segment and after the last; one more than ``batches``.
        batches: the data that each segment is said to have taken.
        false: which segments were made up; nobody but the operator knows.
    """

    states: tuple[bytes, ...] = field(repr=False)
    batches: tuple[bytes, ...] = field(repr=False)
    false: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How long a run is, and the seed of its first weights, its data and its order.

    Attributes:
        segments: how many there are; ``steps`` of descent in each.
    """

    seed: int
    segments: int
    steps: int = 2


def run_training(
    course: Course, behaviour: Behaviour = Behaviour.HONEST, made_up: Iterable[int] = ()
) -> Trace:
    """Return the trace of a run in which some segments were made up.

    What is skipped goes on by its momentum, what is trained on other data is trained, and what is substituted
    is a state of another honest run of the same task.
    """
    rng, false = np.random.default_rng(course.seed), frozenset(made_up)
    points = make_spirals(rng)
    state = _spell_state(_initialise(rng), np.zeros(WEIGHT_COUNT, np.float32))
    other = _run_other(course) if behaviour is Behaviour.SUBSTITUTED else ()
    states, batches = [state], list[bytes]()
    for index in range(course.segments):
        batches.append(_draw_batches(points, course.steps, rng))
        if index not in false:
            state = replay_segment(state, batches[-1])
        else:
            state = _make_up(behaviour, states, batches[-1], other)
        states.append(state)
    return Trace(
        states=tuple(states),
        batches=tuple(batches),
        false=false if behaviour is not Behaviour.HONEST else frozenset(),
    )


def _run_other(course: Course) -> tuple[bytes, ...]:
    """Return the states of another honest run, from other weights."""
    return run_training(Course(seed=course.seed + 1, segments=course.segments, steps=course.steps)).states


def _make_up(behaviour: Behaviour, states: list[bytes], batch: bytes, other: tuple[bytes, ...]) -> bytes:
    """Return the state with which a segment is said to have ended."""
    match behaviour:
        case Behaviour.SKIPPED:
            return _coast(states[-1])
        case Behaviour.WRONG_DATA:
            return replay_segment(states[-1], _relabel(batch))
        case Behaviour.SUBSTITUTED:
            return other[len(states)]
        case Behaviour.HONEST:
            return replay_segment(states[-1], batch)


def _coast(start: bytes) -> bytes:
    """Return where a state comes to by its momentum, without any gradient: it costs nothing."""
    state = _read_state(start)
    speed = MOMENTUM * state[WEIGHT_COUNT:]
    return _spell_state(state[:WEIGHT_COUNT] + speed, speed)


def _relabel(batch: bytes) -> bytes:
    """Return the same points under the labels of other data."""
    rows = _read_batch(batch).copy()
    rows[:, INPUTS] = (rows[:, INPUTS] + 1) % CLASSES
    return _spell(rows)


def make_spirals(rng: np.random.Generator) -> Floats:
    """Return points on three interleaved spirals: two coordinates and the number of the spiral."""
    label = np.arange(POINTS) % CLASSES
    radius = np.sqrt(rng.random(POINTS))
    angle = 4 * radius + 2 * np.pi * label / CLASSES + 0.1 * rng.standard_normal(POINTS)
    columns = (radius * np.cos(angle), radius * np.sin(angle), label)
    return np.stack(columns, axis=1).astype(np.float32)


def measure_accuracy(state: bytes, points: Floats) -> float:
    """Return which share of points the network tells right."""
    first, first_bias, second, second_bias = _split(_read_state(state)[:WEIGHT_COUNT])
    hidden = np.tanh(points[:, :INPUTS] @ first + first_bias)
    told = np.argmax(hidden @ second + second_bias, axis=1)
    return float(np.mean(told == points[:, INPUTS]))


def replay_segment(start: bytes, batch: bytes) -> bytes:
    """Return the state after the descent from a state over these data: the same bits on the same machine.

    Raises:
        EncodingError: not a state, or not data.
    """
    return _descend(start, batch, np.arange(HIDDEN), np.arange(BATCH), np.float32)


def build_reordered_replay(seed: int, *, is_double: bool = False) -> Replay:
    """Return how another machine computes a segment: the same sums in another order, or more precisely.

    Hidden units and rows of a batch are taken in another order, so every sum over them rounds differently;
    nothing else changes, and in exact arithmetic nothing would.
    """
    rng = np.random.default_rng(seed)
    units, rows = rng.permutation(HIDDEN), rng.permutation(BATCH)
    precision = np.float64 if is_double else np.float32
    return lambda start, batch: _descend(start, batch, units, rows, precision)


def build_partial_replay(left_out: int) -> Replay:
    """Return how an operator computes a segment that saves itself some rows of each batch."""
    rows = np.arange(BATCH - left_out)
    return lambda start, batch: _descend(start, batch, np.arange(HIDDEN), rows, np.float32)


def measure_distance(start: bytes, claimed: bytes, computed: bytes) -> int:
    """Return how far two states are apart, in parts per billion of what the data changed since the start.

    Where momentum alone leads to costs nothing and does not count. Else an operator could make up one state
    of huge speed and coast from it for dozens of segments: what it left out would be little beside that way.

    What is no state, or holds what is no number, is as far as can be: it must not pass by a comparison that
    is never true.
    """
    origin, target = _read_state(start).astype(np.float64), _read_state(computed).astype(np.float64)
    try:
        told = _read_state(claimed).astype(np.float64)
    except EncodingError:
        return WHOLE_WAY
    apart, way = float(np.linalg.norm(told - target)), _measure_way(origin, target)
    if apart == 0:
        return 0
    share = apart / way if way else 1.0
    return WHOLE_WAY if not np.isfinite(share) else min(WHOLE_WAY, int(np.ceil(share * WHOLE_WAY)))


def count_hidden_bits(start: bytes, end: bytes, tolerance: Tolerance) -> float:
    """Return how many bits a segment could carry unseen: the covert channel that a tolerance leaves open.

    Each number may move by its share of the tolerated distance, in steps of its own rounding; so many states
    pass, and choosing one of them says that many bits (at most, and only where no other check looks).
    """
    origin, target = _read_state(start), _read_state(end)
    way = _measure_way(origin.astype(np.float64), target.astype(np.float64))
    each = tolerance.max_parts / WHOLE_WAY * way / np.sqrt(target.size)
    return float(np.sum(np.log2(1 + 2 * each / np.spacing(np.abs(target)).astype(np.float64))))


def _measure_way(origin: Numbers, target: Numbers) -> float:
    """Return how far a segment goes aside from the direction of its speed, in weights and in speed."""
    speed, gone = origin[WEIGHT_COUNT:], target - origin
    halves = (gone[:WEIGHT_COUNT], gone[WEIGHT_COUNT:])
    square = float(speed @ speed)
    aside = halves if not square else [half - (half @ speed) / square * speed for half in halves]
    return float(np.linalg.norm(np.concatenate(aside)))


def _descend(
    start: bytes,
    batch: bytes,
    units: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    precision: type[np.float32 | np.float64],
) -> bytes:
    state: Numbers = _read_state(start).astype(precision)
    data: Numbers = _read_batch(batch).astype(precision)
    weights, speed = state[:WEIGHT_COUNT], state[WEIGHT_COUNT:]
    rate, momentum = state.dtype.type(RATE), state.dtype.type(MOMENTUM)
    for step in range(len(data) // BATCH):
        taken = data[step * BATCH : (step + 1) * BATCH][rows]
        speed = momentum * speed - rate * _compute_gradient(weights, taken, units)
        weights = weights + speed
    return _spell_state(weights.astype(np.float32), speed.astype(np.float32))


def _compute_gradient(weights: Numbers, taken: Numbers, units: npt.NDArray[np.int64]) -> Numbers:
    """Return the gradient of the mean cross-entropy, with the hidden units in a given order."""
    first, first_bias, second, second_bias = _split(weights)
    inputs, labels = taken[:, :INPUTS], taken[:, INPUTS].astype(np.int64)
    hidden = np.tanh(inputs @ first[:, units] + first_bias[units])
    scores = hidden @ second[units] + second_bias
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    error = scores / scores.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    error /= len(labels)
    back = (error @ second[units].T) * (1 - hidden * hidden)
    parts = [np.empty_like(first), np.empty_like(first_bias), np.empty_like(second), error.sum(axis=0)]
    parts[0][:, units], parts[1][units] = inputs.T @ back, back.sum(axis=0)
    parts[2][units] = hidden.T @ error
    return np.concatenate([part.ravel() for part in parts])


def _split(weights: Numbers) -> Iterator[Numbers]:
    place = 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        yield weights[place : place + size].reshape(shape)
        place += size


def _initialise(rng: np.random.Generator) -> Floats:
    scales = (1.0, 0.0, 1 / np.sqrt(HIDDEN), 0.0)
    drawn = [scale * rng.standard_normal(shape) for scale, shape in zip(scales, SHAPES, strict=True)]
    return np.concatenate([part.ravel() for part in drawn]).astype(np.float32)


def _draw_batches(points: Floats, steps: int, rng: np.random.Generator) -> bytes:
    return _spell(points[rng.integers(0, len(points), steps * BATCH)])


def _spell_state(weights: Floats, speed: Floats) -> bytes:
    return _spell(np.concatenate([weights, speed]))


def _spell(values: Floats) -> bytes:
    return values.astype("<f4").tobytes()


def _read_state(data: bytes) -> Floats:
    if len(data) != STATE_BYTES:
        raise EncodingError(f"expected a state of {STATE_BYTES} bytes, got {len(data)}")
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _read_batch(data: bytes) -> Floats:
    if not data or len(data) % (4 * ROW * BATCH):
        raise EncodingError(f"expected rows of {ROW} numbers, {BATCH} for each step, got {len(data)} bytes")
    rows = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(-1, ROW)
    if not np.isin(rows[:, INPUTS], np.arange(CLASSES)).all():
        raise EncodingError(f"expected labels from 0 to {CLASSES - 1}")
    return rows
