"""A real training run, the cheats in its trace, and how often spot checks find them (VN-19.8)."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="the extra sim is not installed")

from vetonet.crypto.rng import SeededRng  # noqa: E402 (after the skip)
from vetonet.errors import EncodingError  # noqa: E402
from vetonet.policy.segments import WHOLE_WAY, Tolerance  # noqa: E402
from vetonet.sim.spot_checks import (  # noqa: E402
    DetectionRate,
    compute_interval,
    count_detections,
    find_refused_segments,
    measure_detection,
    measure_distances,
)
from vetonet.sim.training import (  # noqa: E402
    STATE_BYTES,
    TOLERANCE,
    Behaviour,
    Course,
    Trace,
    build_partial_replay,
    build_reordered_replay,
    count_hidden_bits,
    make_spirals,
    measure_accuracy,
    measure_distance,
    replay_segment,
    run_training,
)

COURSE = Course(seed=3, segments=240, steps=2)
CHEATS = [behaviour for behaviour in Behaviour if behaviour is not Behaviour.HONEST]
FALSE = range(0, 240, 12)


@cache
def run(behaviour: Behaviour = Behaviour.HONEST) -> Trace:
    return run_training(COURSE, behaviour, FALSE)


def test_the_network_learns() -> None:
    points, states = make_spirals(np.random.default_rng(COURSE.seed)), run().states
    assert measure_accuracy(states[0], points) < 0.7
    assert measure_accuracy(states[-1], points) > 0.95


def test_a_segment_computed_again_on_the_same_machine_has_the_same_bits() -> None:
    trace = run()
    assert set(measure_distances(trace, replay_segment)) == {0.0}
    assert run_training(COURSE).states == trace.states


@pytest.mark.parametrize("is_double", [False, True])
def test_other_orders_of_the_same_sums_stay_well_within_the_tolerance(is_double: bool) -> None:  # noqa: FBT001
    trace = run()
    limit = TOLERANCE.max_parts / WHOLE_WAY
    for seed in range(3):
        distances = measure_distances(trace, build_reordered_replay(seed, is_double=is_double))
        assert 0 < max(distances) < limit / 2


@pytest.mark.parametrize("behaviour", CHEATS)
def test_what_is_made_up_ends_far_outside_the_tolerance(behaviour: Behaviour) -> None:
    trace = run(behaviour)
    distances = measure_distances(trace, replay_segment)
    assert min(distances[index] for index in trace.false) > 10 * TOLERANCE.max_parts / WHOLE_WAY
    assert all(distances[index] == 0 for index in range(COURSE.segments) if index not in trace.false)


@pytest.mark.parametrize("behaviour", CHEATS)
def test_exactly_what_is_made_up_is_refused(behaviour: Behaviour) -> None:
    # VN-19.8
    assert find_refused_segments(run(behaviour), SeededRng(b"salts")) == frozenset(FALSE)


def test_whoever_leaves_out_a_row_of_each_batch_is_found_in_every_segment() -> None:
    distances = measure_distances(run(), build_partial_replay(1))
    assert min(distances) > 1.5 * TOLERANCE.max_parts / WHOLE_WAY


@pytest.mark.parametrize("scale", [1e1, 1e2, 1e4])
def test_a_made_up_speed_does_not_hide_the_segments_that_coast_on_it(scale: float) -> None:
    # VN-19.8: as a share of the whole way, one false segment would have bought dozens that nobody computed.
    trace = run()
    numbers = np.frombuffer(trace.states[50], "<f4").copy()
    half = len(numbers) // 2
    numbers[half:] = scale * np.random.default_rng(1).standard_normal(half, np.float32)
    start = numbers.tobytes()
    speed = np.float32(0.9) * numbers[half:]
    coasted = np.concatenate([numbers[:half] + speed, speed]).astype("<f4").tobytes()
    batch = trace.batches[50][: len(trace.batches[50]) // COURSE.steps]
    parts = measure_distance(start, coasted, replay_segment(start, batch))
    assert parts > 10 * TOLERANCE.max_parts


def test_the_study_says_what_it_needs() -> None:
    study = Path(__file__).parents[3] / "simulations" / "spot-checks" / "run.py"
    bare = [sys.executable, "-I", "-S", str(study)]
    ended = subprocess.run(bare, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "needs vetonet and NumPy" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_that_was_added_to_or_left_out_of_a_batch_is_found() -> None:
    """Data addition and subtraction: what was trained on is not what was committed to (Choi et al. 2023)."""
    trace = run()
    limit = 10 * TOLERANCE.max_parts
    for index in range(0, COURSE.segments, 20):
        start, batch = trace.states[index], trace.batches[index]
        honest, half = replay_segment(start, batch), batch[: len(batch) // COURSE.steps]
        for taken in (batch + trace.batches[index - 1][: len(half)], half):
            assert measure_distance(start, replay_segment(start, taken), honest) > limit


def test_states_interpolated_between_first_and_last_are_found() -> None:
    """The spoof of Fang et al. 2023: a bought model, and a made-up way that leads to it."""
    trace, count = run(), COURSE.segments
    first, last = (np.frombuffer(trace.states[end], "<f4") for end in (0, -1))
    shares = np.linspace(0, 1, count + 1, dtype=np.float32)
    states = tuple((first + share * (last - first)).astype("<f4").tobytes() for share in shares)
    made_up = Trace(states=states, batches=trace.batches, false=frozenset(range(count)))
    assert find_refused_segments(made_up, SeededRng(b"salts")) == made_up.false


@pytest.mark.parametrize("batch", [b"", b"\x00" * 12, b"\xff" * 12 * 24 * 2])
def test_what_cannot_be_computed_again_does_not_hold(batch: bytes) -> None:
    # VN-19.8: an operator that committed to no data must not stop the party that looks.
    trace = run()
    made_up = Trace(
        states=trace.states, batches=(*trace.batches[:-1], batch), false=frozenset({COURSE.segments - 1})
    )
    assert find_refused_segments(made_up, SeededRng(b"salts")) == made_up.false


def test_an_honest_operator_is_never_accused() -> None:
    # VN-19.8
    refused = find_refused_segments(run(), SeededRng(b"salts"))
    assert refused == frozenset()
    assert count_detections(refused, segments=240, samples=40, draws=2000, rng=SeededRng(b"draws")) == 0


@pytest.mark.parametrize("behaviour", CHEATS)
def test_made_up_segments_are_found_as_often_as_the_formula_says(behaviour: Behaviour) -> None:
    """1 - (1 - q)^m lies in the 99 % interval of the rate, and so does the exact probability beside it."""
    course = Course(seed=4, segments=400, steps=1)
    rng = SeededRng(b"detection" + behaviour.encode())
    rates = measure_detection(course, behaviour, 0.05, samples=(4, 8, 16), draws=1500, rng=rng)
    for rate in rates:
        low, high = rate.compute_interval(9)
        assert (rate.false, rate.segments) == (20, 400)
        assert low <= rate.expected <= high
        assert low <= rate.exact <= high


def test_samples_without_replacement_find_more_and_never_less() -> None:
    for samples in (1, 2, 20, 100, 240):
        rate = DetectionRate(
            behaviour=Behaviour.SKIPPED, false=12, segments=240, samples=samples, detected=0, draws=1
        )
        assert rate.exact >= rate.expected - 1e-12
    assert rate.exact == 1


def test_an_interval_is_that_of_the_literature() -> None:
    # Brown, Cai and DasGupta 2001, section 3.1.1: 0 and 5 of 10 at 95 %.
    assert compute_interval(0, 10, 0.95) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert compute_interval(5, 10, 0.95) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    for hits, draws in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(ValueError, match="hits"):
            compute_interval(hits, draws)


def test_what_is_no_number_is_as_far_away_as_can_be() -> None:
    """A comparison with it is never true, so an operator could pass by it."""
    start, end = run().states[:2]
    odd = np.full(STATE_BYTES // 4, np.nan, "<f4").tobytes()
    infinite = np.full(STATE_BYTES // 4, np.inf, "<f4").tobytes()
    for claimed in (odd, infinite, b"", end[:-4]):
        assert measure_distance(start, claimed, end) == WHOLE_WAY


def test_a_segment_that_goes_nowhere_matches_only_itself() -> None:
    start, end = run().states[:2]
    assert measure_distance(start, start, start) == 0
    assert measure_distance(start, end, start) == WHOLE_WAY
    assert measure_distance(start, start, end) == WHOLE_WAY


@pytest.mark.parametrize("data", [b"", bytes(4), bytes(4 * 3 * 24)[:-1]])
def test_what_is_no_state_or_no_data_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        replay_segment(data, run().batches[0])
    with pytest.raises(EncodingError):
        replay_segment(run().states[0], data)


def test_labels_of_no_class_are_refused() -> None:
    rows = np.full((24, 3), 7, "<f4").tobytes()
    with pytest.raises(EncodingError, match="labels"):
        replay_segment(run().states[0], rows)


def test_a_wider_tolerance_leaves_a_wider_covert_channel() -> None:
    start, end = next(pairwise(run().states))
    narrow, wide = (count_hidden_bits(start, end, Tolerance(max_parts=parts)) for parts in (10**5, 10**7))
    assert 0 < narrow < wide < 8 * STATE_BYTES
    assert count_hidden_bits(start, end, Tolerance(max_parts=0)) == 0
