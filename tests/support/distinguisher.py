"""Guesses which of two bundles belongs to which secret, from everything that a stranger can count in them.

A pair is two runs that are equal in public claims and differ in what nobody may learn. The distinguisher is
trained on pairs with the answer and judged on others without: it is shown both bundles of a pair and says
which is which, so that what all pairs have in common helps it nowhere, and whoever only guesses is right once
in two.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vetonet.compliance.parts import PartKind
from vetonet.crypto import cose
from vetonet.encoding import cbor
from vetonet.encoding.record import MAX_STATEMENT_BYTES
from vetonet.errors import VetonetError

Vector: TypeAlias = npt.NDArray[np.float64]
Classifier: TypeAlias = Callable[[Vector, Vector], Callable[[Vector], Vector]]
"""From differences and their signs to what scores new ones: above zero, the first is the first."""

BYTE_VALUES: Final = 256
NEIGHBOURS: Final = 7
TREE_DEPTH: Final = 3
MIN_LEAF: Final = 8
_ROUNDS: Final = 200
_RATE: Final = 0.2
_SHRINKAGE: Final = 1e-2


# ---------------------------------------------------------------- what can be counted


def read_parts(bundle: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each part of a bundle, however many kinds there are."""
    data = bundle
    while data:
        item, size = _read_item(data)
        yield item
        data = data[size:]


def _read_item(data: bytes) -> tuple[tuple[int, bytes], int]:
    head = data[2]
    width = {0x58: 1, 0x59: 2, 0x5A: 4}.get(head, 0)
    size = int.from_bytes(data[3 : 3 + width], "big") if width else head - 0x40
    start = 3 + width
    return (data[1], data[start : start + size]), start + size


def compute_shape(bundle: bytes) -> tuple[tuple[int, int], ...]:
    """Return kind and length of every part, in order: bundles of one shape differ in contents alone."""
    return tuple((kind, len(content)) for kind, content in read_parts(bundle))


def compute_features(bundle: bytes) -> dict[str, float]:
    """Return whatever a stranger can count: lengths, bytes, bits, and every number that stands in a field."""
    features: dict[str, float] = {"bytes": len(bundle)}
    histograms: dict[int, Vector] = {}
    for place, (kind, content) in enumerate(read_parts(bundle)):
        features[f"length {place}"] = len(content)
        counts = np.bincount(np.frombuffer(content, dtype=np.uint8), minlength=BYTE_VALUES).astype(np.float64)
        histograms[kind] = histograms.get(kind, np.zeros(BYTE_VALUES)) + counts
        if kind in (PartKind.LEAF, PartKind.REPORT) or kind > PartKind.REPORT:
            features |= _count_fields(f"{place}", content)
    for kind, counts in histograms.items():
        features |= {f"byte {value} in kind {kind}": float(counts[value]) for value in range(BYTE_VALUES)}
    return {sys.intern(name): value for name, value in features.items()}  # of thousands of bundles, the same


def _count_fields(place: str, content: bytes) -> dict[str, float]:
    """Return the numbers in the fields of a signed statement, and the bits of its strings of bytes."""
    features: dict[str, float] = {}
    for field, value in _walk(place, _open(content)):
        match value:
            case bool() | int():
                features[f"number {field}"] = float(value)
            case bytes() if value:
                bits = np.unpackbits(np.frombuffer(value[:33], dtype=np.uint8))
                features[f"ones {field}"] = float(bits.mean())
                features[f"first {field}"] = float(value[0])
                features[f"last {field}"] = float(value[-1])
            case _:
                pass
    return features


def _open(content: bytes) -> cbor.Item:
    """Return a statement's payload, whoever signed it, or nothing where it is none."""
    for parse in (cose.parse_sign1, cose.parse_sign):
        try:
            return cbor.from_bytes(parse(content).payload, max_bytes=MAX_STATEMENT_BYTES)
        except VetonetError:
            continue
    return None


def _walk(place: str, item: cbor.Item) -> Iterator[tuple[str, cbor.Item]]:
    if isinstance(item, Mapping):
        for key, value in item.items():
            yield from _walk(f"{place}/{key}", value)
    elif isinstance(item, list | tuple):
        for index, value in enumerate(item):
            yield from _walk(f"{place}/{index}", value)
    else:
        yield place, item


# ---------------------------------------------------------------- how it is learnt


def learn_logistic(differences: Vector, signs: Vector) -> Callable[[Vector], Vector]:
    """Return the logistic regression of signs on differences, without a constant."""
    weights = np.zeros(differences.shape[1])
    for _ in range(_ROUNDS):
        slack = 1 / (1 + np.exp(np.clip(signs * (differences @ weights), -30, 30)))
        weights += _RATE * ((signs * slack) @ differences / len(signs) - _SHRINKAGE * weights)
    return lambda others: np.asarray(others @ weights)


def learn_discriminant(differences: Vector, signs: Vector) -> Callable[[Vector], Vector]:
    """Return Fisher's discriminant with every feature by itself: it trusts those that differ steadily."""
    turned = differences * signs[:, None]
    weights = turned.mean(axis=0) / (turned.var(axis=0) + _SHRINKAGE)
    return lambda others: np.asarray(others @ weights)


def learn_neighbours(differences: Vector, signs: Vector) -> Callable[[Vector], Vector]:
    """Return the vote of the nearest pairs, each also taken the other way round."""
    known, answers = np.vstack([differences, -differences]), np.concatenate([signs, -signs])
    sizes = (known**2).sum(axis=1)

    def score(others: Vector) -> Vector:
        distances = sizes - 2 * others @ known.T
        count = min(NEIGHBOURS, len(answers) - 1)
        nearest = np.argpartition(distances, count, axis=1)[:, :count]
        return np.asarray(answers[nearest].sum(axis=1))

    return score


def learn_tree(differences: Vector, signs: Vector) -> Callable[[Vector], Vector]:
    """Return a small tree: at each node the one feature and threshold that sort the pairs best."""
    tree = _grow(differences, signs, TREE_DEPTH)

    def score(others: Vector) -> Vector:
        return np.array([_descend(tree, row) for row in others])

    return score


_Tree: TypeAlias = "float | tuple[int, float, _Tree, _Tree]"


def _grow(rows: Vector, signs: Vector, depth: int) -> _Tree:
    if depth == 0 or len(signs) < MIN_LEAF or abs(signs.sum()) == len(signs):
        return float(signs.mean()) if len(signs) else 0.0
    feature, threshold = _find_split(rows, signs)
    is_left = rows[:, feature] <= threshold
    if is_left.all() or not is_left.any():
        return float(signs.mean())
    return (
        feature,
        threshold,
        _grow(rows[is_left], signs[is_left], depth - 1),
        _grow(rows[~is_left], signs[~is_left], depth - 1),
    )


def _find_split(rows: Vector, signs: Vector) -> tuple[int, float]:
    """Return the feature and threshold on whose two sides the signs differ most in sum."""
    order = np.argsort(rows, axis=0, kind="stable")
    values = np.take_along_axis(rows, order, axis=0)
    left = np.cumsum(signs[order], axis=0)[:-1]
    gain = np.abs(left) + np.abs(signs.sum() - left)
    gain[values[1:] == values[:-1]] = -1.0  # no threshold lies between equals
    place, feature = np.unravel_index(int(gain.argmax()), gain.shape)
    return int(feature), float((values[place, feature] + values[place + 1, feature]) / 2)


def _descend(tree: _Tree, row: Vector) -> float:
    while isinstance(tree, tuple):
        feature, threshold, left, right = tree
        tree = left if row[feature] <= threshold else right
    return tree


CLASSIFIERS: Final[Mapping[str, Classifier]] = {
    "logistic regression": learn_logistic,
    "discriminant": learn_discriminant,
    "nearest neighbours": learn_neighbours,
    "tree": learn_tree,
}


# ---------------------------------------------------------------- how it is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often a distinguisher was right on pairs that it had not seen.

    Attributes:
        classifier: which.
        right, pairs: how often, of how many.
    """

    classifier: str
    right: int
    pairs: int

    @property
    def rate(self) -> float:
        """The share of pairs told apart; one half is chance."""
        return self.right / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """The exact binomial interval that misses the true rate once in a thousand (Clopper, Pearson)."""
        return compute_interval(self.right, self.pairs, alpha=1e-3)

    @property
    def is_chance(self) -> bool:
        """Whether that interval holds one half."""
        low, high = self.interval
        return low <= 0.5 <= high

    def __str__(self) -> str:
        """Return one line with the interval."""
        low, high = self.interval
        return f"{self.classifier}: {self.right} of {self.pairs} ({self.rate:.3f}; {low:.3f} to {high:.3f})"


def distinguish(
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], *, seed: int = 1
) -> tuple[Score, ...]:
    """Return how well each classifier tells the pairs of the second half apart after learning on the first.

    Args:
        pairs: the features of two bundles each, that of the first kind of secret first.
        seed: of the order in which a pair's bundles are shown.
    """
    first, second = _tabulate(pairs)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=len(pairs))
    differences = (first - second) * signs[:, None]
    half = len(pairs) // 2
    scale = np.sqrt((differences[:half] ** 2).mean(axis=0))
    seen = scale > 0
    rows = differences[:, seen] / scale[seen]
    if not seen.any():
        rows = np.zeros((len(pairs), 1))
    return tuple(_judge(name, learn, rows, signs, half) for name, learn in CLASSIFIERS.items())


def _judge(name: str, learn: Classifier, rows: Vector, signs: Vector, half: int) -> Score:
    scores = learn(rows[:half], signs[:half])(rows[half:])
    coins = np.random.default_rng(2).choice([-1.0, 1.0], size=len(scores))  # who does not know, guesses
    guesses = np.where(scores == 0, coins, np.sign(scores))
    right = int((guesses == signs[half:]).sum())
    return Score(classifier=name, right=right, pairs=len(scores))


def _tabulate(
    pairs: Iterable[tuple[Mapping[str, float], Mapping[str, float]]],
) -> tuple[Vector, Vector]:
    """Return two tables, a row for each pair and a column for each feature that any bundle has."""
    kept = list(pairs)
    names = sorted({name for pair in kept for features in pair for name in features})
    tables = [
        [[features.get(name, -1.0) for name in names] for features in side]
        for side in zip(*kept, strict=True)
    ]
    return np.array(tables[0]), np.array(tables[1])


def compute_interval(right: int, trials: int, *, alpha: float) -> tuple[float, float]:
    """Return the exact interval of a rate (Clopper and Pearson, Biometrika 26, 1934)."""
    low = 0.0 if right == 0 else _solve(lambda rate: 1 - _compute_cdf(right - 1, trials, rate) - alpha / 2)
    high = 1.0 if right == trials else _solve(lambda rate: alpha / 2 - _compute_cdf(right, trials, rate))
    return low, high


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _compute_cdf(right: int, trials: int, rate: float) -> float:
    if not 0 < rate < 1:
        return float(rate <= 0 or right >= trials)
    terms = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(right + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))
