"""What a vote still lacks: which thresholds are short of how many seats, and who could fill them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from vetonet.policy.expression import Expression, Threshold
from vetonet.policy.quorum import Choice, Quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A threshold that does not hold yet.

    Attributes:
        leaf: the threshold.
        seats: how many more of its seats must grant.
        parties: who has not voted and whose grant would count, in the order of the electorate.
    """

    leaf: Threshold
    seats: int
    parties: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a shortfall of nothing, and strangers."""
        if self.seats < 1 or not set(self.parties) <= set(self.leaf.electorate):
            raise ValueError("expected at least one seat that is missing, and parties of the electorate")


def list_shortfalls(
    quorum: Quorum, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()
) -> tuple[Shortfall, ...]:
    """Return what keeps a quorum's expression from holding; nothing where it holds (VN-4.2).

    Under ``AllOf`` each of them must be made good, under ``AnyOf`` one of its parts. A grant of a recused
    party never counts, so it can fill nothing (VN-4.5).

    Args:
        quorum: what it takes.
        choices: one for each party that voted.
        recused: parties whose grants do not count.
    """
    granting = frozenset(quorum.list_granting(choices, recused))
    silent = frozenset(quorum.parties) - frozenset(choices) - recused
    lacking = dict.fromkeys(_list_lacking(quorum.expression, granting))
    return tuple(_measure(leaf, granting, silent) for leaf in lacking)


def count_missing_ballots(
    quorum: Quorum, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()
) -> int:
    """Return how many more ballots must be cast at all, whatever they say (VN-4.2)."""
    return max(0, quorum.min_ballots - quorum.count_ballots(choices, recused))


def _list_lacking(expression: Expression, granting: AbstractSet[str]) -> tuple[Threshold, ...]:
    if expression.select(granting) is not None:
        return ()
    if isinstance(expression, Threshold):
        return (expression,)
    # No part of an AnyOf holds here; of an AllOf those that hold add nothing.
    return tuple(leaf for part in expression.parts for leaf in _list_lacking(part, granting))


def _measure(leaf: Threshold, granting: AbstractSet[str], silent: AbstractSet[str]) -> Shortfall:
    return Shortfall(
        leaf=leaf,
        seats=leaf.min_grants - leaf.count_seats(granting),
        parties=tuple(party for party in leaf.electorate if party in silent),
    )
