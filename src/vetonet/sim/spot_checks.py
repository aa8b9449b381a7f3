"""How often spot checks find made-up segments: the real protocol, many draws, the formulas beside it.

A share q of false segments is caught by m samples with probability 1 - (1 - q)^m (Choi, Shavit and Duvenaud
2023; Jia et al. 2021). That is for samples with replacement; ours are without, so the exact probability is
the hypergeometric one, which is never lower. NumPy is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from vetonet.errors import VerificationError
from vetonet.policy.joint_randomness import compute_joint_output
from vetonet.policy.segments import WHOLE_WAY, Replay, build_segment_tree, build_transcript, verify_segment
from vetonet.policy.transcript import TranscriptCommitment, choose_segments
from vetonet.sim.training import (
    TOLERANCE,
    Behaviour,
    Course,
    Trace,
    measure_distance,
    replay_segment,
    run_training,
)
from vetonet.units import Rng

PARTIES: Final = ("P1", "P2", "P3", "P4", "P5")
CONFIDENCE: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRate:
    """How often draws found at least one false segment of one operator.

    Attributes:
        false, segments: how many segments are made up, and how many there are.
        samples: how many each draw chooses.
        detected, draws: how many draws found one, and how many there were.
    """

    behaviour: Behaviour
    false: int
    segments: int
    samples: int
    detected: int
    draws: int

    @property
    def rate(self) -> float:
        """The share of draws that found one."""
        return self.detected / self.draws

    @property
    def expected(self) -> float:
        """The formula of the literature: 1 - (1 - q)^m."""
        return 1 - (1 - self.false / self.segments) ** self.samples

    @property
    def exact(self) -> float:
        """The probability without replacement: 1 - C(n - f, m) / C(n, m)."""
        missed = math.comb(self.segments - self.false, self.samples)
        return 1 - missed / math.comb(self.segments, self.samples)

    def compute_interval(self, rows: int = 1) -> tuple[float, float]:
        """Return the confidence interval of the rate, so wide that it holds for all rows at once."""
        return compute_interval(self.detected, self.draws, 1 - (1 - CONFIDENCE) / rows)


def compute_interval(hits: int, draws: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided score interval of a binomial proportion (Wilson 1927).

    Raises:
        ValueError: more hits than draws, or no draw.
    """
    if not 0 <= hits <= draws or not draws:
        raise ValueError(f"expected 0 to {draws} hits of at least one draw, got {hits}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = hits / draws, z * z / draws
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / draws + spread / (4 * draws))
    return max(0.0, centre - half), min(1.0, centre + half)


def find_refused_segments(trace: Trace, rng: Rng) -> frozenset[int]:
    """Return which segments of a trace a challenger refuses, when it is shown each of them (VN-19.8).

    The operator commits to what it tells, and opens what it committed to: none is refused for its proof.
    """
    transcript = build_transcript(trace.states, trace.batches, rng)
    segments = transcript.list_segments()
    tree = build_segment_tree(segments)
    committed = TranscriptCommitment(
        treaty_digest=bytes(32),
        epoch=1,
        operator_id="operator",
        licence_id=1,
        number=1,
        segment_count=len(trace.batches),
        root=tree.root_hash(),
        start=segments[0].start,
        end=segments[-1].end,
    )
    refused = set[int]()
    for index in range(len(trace.batches)):
        try:
            verify_segment(
                committed,
                index,
                transcript.reveal_from(segments, tree, index),
                replay=replay_segment,
                measure=measure_distance,
                tolerance=TOLERANCE,
            )
        except VerificationError:
            refused.add(index)
    return frozenset(refused)


def choose_made_up(segments: int, share: float, rng: Rng) -> tuple[int, ...]:
    """Return which segments an operator makes up: a share of them, by its own chance."""
    return choose_segments(rng(64), segments, round(share * segments))


def count_detections(refused: frozenset[int], *, segments: int, samples: int, draws: int, rng: Rng) -> int:
    """Return in how many draws of joint randomness at least one refused segment was chosen."""
    return sum(not refused.isdisjoint(choose_segments(_draw(rng), segments, samples)) for _ in range(draws))


def measure_detection(
    course: Course, behaviour: Behaviour, share: float, *, samples: Iterable[int], draws: int, rng: Rng
) -> Iterator[DetectionRate]:
    """Yield how often one operator is found out, for each number of samples."""
    made_up = choose_made_up(course.segments, share, rng)
    trace = run_training(course, behaviour, made_up)
    refused = find_refused_segments(trace, rng)
    for count in samples:
        yield DetectionRate(
            behaviour=behaviour,
            false=len(trace.false),
            segments=course.segments,
            samples=count,
            detected=count_detections(refused, segments=course.segments, samples=count, draws=draws, rng=rng),
            draws=draws,
        )


def measure_distances(trace: Trace, replay: Replay) -> tuple[float, ...]:
    """Return how far each segment is from its replay, as a share of what its data changed."""
    ends = zip(trace.states, trace.states[1:], trace.batches, strict=False)
    return tuple(measure_distance(start, end, replay(start, batch)) / WHOLE_WAY for start, end, batch in ends)


def _draw(rng: Rng) -> bytes:
    """Return what a round of joint randomness gives in which everybody takes part."""
    return compute_joint_output(rng(32), PARTIES, {name: rng(32) for name in PARTIES})
