"""The judge of the pairs is judged: it finds what is planted, and in noise it finds nothing."""

from __future__ import annotations

import numpy as np
import pytest

from support.distinguisher import CLASSIFIERS, Score, compute_interval, compute_shape, distinguish, read_parts
from vetonet.compliance.bundle import assemble_bundle

PAIRS = 400


def make_pairs(shift: float, *, noise: int = 40) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Pairs of noise, in which one feature of the second is larger by so many of its deviations."""
    draw = np.random.default_rng(5)

    def make(by: float) -> dict[str, float]:
        values = draw.normal(size=noise)
        values[7] += by
        return {f"feature {index}": float(value) for index, value in enumerate(values)}

    return [(make(0.0), make(shift)) for _ in range(PAIRS)]


def test_noise_is_told_apart_no_better_than_by_chance() -> None:
    scores = distinguish(make_pairs(0.0))
    assert [score.classifier for score in scores] == list(CLASSIFIERS)
    assert all(score.is_chance and score.pairs == PAIRS // 2 for score in scores), list(map(str, scores))


def test_every_classifier_finds_a_feature_that_differs() -> None:
    assert not any(score.is_chance for score in distinguish(make_pairs(4.0)))


def test_a_small_difference_is_found_by_the_best_of_them() -> None:
    assert not all(score.is_chance for score in distinguish(make_pairs(1.0)))


def test_a_feature_that_only_one_side_has_is_found() -> None:
    pairs = [(first, second | {"extra": 1.0}) for first, second in make_pairs(0.0)]
    assert not all(score.is_chance for score in distinguish(pairs))


def test_equal_bundles_are_told_apart_by_nobody() -> None:
    same = [({"length": 7.0}, {"length": 7.0})] * PAIRS
    assert all(score.is_chance for score in distinguish(same))


@pytest.mark.parametrize(
    ("right", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0), (50, 100, 0.3983, 0.6017)],
)
def test_the_interval_is_that_of_clopper_and_pearson(
    right: int, trials: int, low: float, high: float
) -> None:
    assert compute_interval(right, trials, alpha=0.05) == pytest.approx((low, high), abs=2e-4)


def test_a_score_is_chance_where_its_interval_holds_one_half() -> None:
    assert Score(classifier="tree", right=270, pairs=500).is_chance
    assert not Score(classifier="tree", right=300, pairs=500).is_chance
    assert not Score(classifier="tree", right=200, pairs=500).is_chance


def test_the_shape_of_a_bundle_is_kind_and_length_of_every_part() -> None:
    bundle = assemble_bundle((b"treaty", bytes(300)), bytes(70_000), (), (b"report",)).to_bytes()
    assert compute_shape(bundle)[1:5] == ((1, 6), (1, 300), (2, 70_000), (4, 6))
    assert [content for kind, content in read_parts(bundle) if kind == 4] == [b"report"]
