"""Who has how much say where there are too many different parties to count: an estimate with its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Final, TypeAlias

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Quorum
from vetonet.units import Rng

SAMPLES: Final = 10_000
KEY_BYTES: Final = 8
"""Of a random sort key; in less than one of 2^50 orders two are equal, and the earlier party goes first."""

_Rule: TypeAlias = Callable[[int], bool]
"""Whether a coalition, one bit for each party, wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A sampled value.

    Attributes:
        value: the estimate.
        error: its standard error.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedPartyPower:
    """The say of one party, sampled.

    Attributes:
        party: its id.
        banzhaf: its share of all swings, or None where no sampled coalition had any.
        shapley_shubik: its share of all orders in which it is pivotal.
        can_block_alone: whether all the others together lose without it; this is exact.
    """

    party: str
    banzhaf: Estimate | None
    shapley_shubik: Estimate
    can_block_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedPower:
    """Who has about how much say in a quorum.

    Attributes:
        parties: the say of each, in the order of the quorum.
        samples: how many coalitions, and how many orders, were drawn.
    """

    parties: tuple[EstimatedPartyPower, ...]
    samples: int


def estimate_power(quorum: Quorum, rng: Rng, samples: int = SAMPLES) -> EstimatedPower:
    """Return the power of every party as random coalitions and random orders show it.

    Raises:
        ValueError: fewer than two samples.
    """
    if samples < 2:  # noqa: PLR2004 - one sample has no error
        raise ValueError(f"expected at least 2 samples, got {samples}")
    parties, wins = quorum.parties, _build_rule(quorum)
    everybody = (1 << len(parties)) - 1
    banzhaf = _estimate_banzhaf(wins, len(parties), rng, samples)
    shapley_shubik = _estimate_shapley_shubik(wins, len(parties), rng, samples)
    return EstimatedPower(
        parties=tuple(
            EstimatedPartyPower(
                party=party,
                banzhaf=banzhaf[i] if banzhaf else None,
                shapley_shubik=shapley_shubik[i],
                can_block_alone=not wins(everybody ^ 1 << i),
            )
            for i, party in enumerate(parties)
        ),
        samples=samples,
    )


def _estimate_banzhaf(wins: _Rule, n: int, rng: Rng, samples: int) -> list[Estimate] | None:
    """Return the share of each party in the swings of random coalitions, or None where there were none.

    With x the swings of one party in a sample and y those of all parties, the share is the ratio b of their
    sums, and the delta method gives its error: the root of the sum of (x - b y)^2, over the sum of y. It is
    never said to be smaller than what one swing more or less would change.
    """
    swings, products, total, squares = [0] * n, [0] * n, 0, 0
    for _ in range(samples):
        coalition = int.from_bytes(rng((n + 7) // 8), "big") & ((1 << n) - 1)
        has_won = wins(coalition)
        # Only a member can lose what is won, and only an outsider can win what is lost.
        changing = [
            i for i in range(n) if (coalition >> i & 1) == has_won and wins(coalition ^ 1 << i) != has_won
        ]
        for i in changing:
            swings[i] += 1
            products[i] += len(changing)
        total += len(changing)
        squares += len(changing) ** 2
    if not total:
        return None
    shares = [(x, xy, x / total) for x, xy in zip(swings, products, strict=True)]
    return [
        Estimate(value=share, error=max(1.0, sqrt(max(0.0, x - 2 * share * xy + share**2 * squares))) / total)
        for x, xy, share in shares
    ]


def _estimate_shapley_shubik(wins: _Rule, n: int, rng: Rng, samples: int) -> list[Estimate]:
    """Return how often each party is pivotal in random orders.

    The error is that of a proportion, never said to be smaller than what one order more or less would change.
    """
    pivots = [0] * n
    for _ in range(samples):
        pivots[_find_pivot(wins, _draw_order(n, rng))] += 1
    return [
        Estimate(value=count / samples, error=max(1.0, sqrt(count * (samples - count) / samples)) / samples)
        for count in pivots
    ]


def _draw_order(n: int, rng: Rng) -> list[int]:
    drawn = rng(KEY_BYTES * n)
    return sorted(range(n), key=lambda i: drawn[KEY_BYTES * i : KEY_BYTES * (i + 1)])


def _find_pivot(wins: _Rule, order: list[int]) -> int:
    """Return the party with which those before it begin to win; halving finds it, for a win is never lost."""
    losing, winning = 0, len(order)
    while winning - losing > 1:
        middle = (losing + winning) // 2
        if wins(sum(1 << i for i in order[:middle])):
            winning = middle
        else:
            losing = middle
    return order[winning - 1]


def _build_rule(quorum: Quorum) -> _Rule:
    """Return the rule of docs/power.md: the expression, every veto holder, and enough ballots."""
    places = {party: i for i, party in enumerate(quorum.parties)}
    holders = sum(1 << places[holder] for holder in quorum.veto_holders)
    holds, min_ballots = _build_expression(quorum.expression, places), quorum.min_ballots
    return lambda coalition: (
        coalition & holders == holders and coalition.bit_count() >= min_ballots and holds(coalition)
    )


def _build_expression(expression: Expression, places: dict[str, int]) -> _Rule:
    match expression:
        case Threshold():
            return _build_threshold(expression, places)
        case AllOf():
            every = [_build_expression(part, places) for part in expression.parts]
            return lambda coalition: all(part(coalition) for part in every)
        case AnyOf():
            some = [_build_expression(part, places) for part in expression.parts]
            return lambda coalition: any(part(coalition) for part in some)


def _build_threshold(leaf: Threshold, places: dict[str, int]) -> _Rule:
    by_weight: dict[int, int] = {}
    for party, weight in zip(leaf.electorate, leaf.weights or (1,) * len(leaf.electorate), strict=True):
        by_weight[weight] = by_weight.get(weight, 0) | 1 << places[party]
    groups, needed = tuple(by_weight.items()), leaf.min_grants
    return lambda coalition: sum(w * (coalition & mask).bit_count() for w, mask in groups) >= needed
