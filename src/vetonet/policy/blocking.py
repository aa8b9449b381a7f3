"""Who can stop what: the strength of each veto, counted from the expression alone.

A veto by rule binds signers who keep to it: enough parties that ignore it still have the shares. A veto by
key binds everybody, because without the holder's own share no signature comes about.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import accumulate

from vetonet.policy.expression import AllOf, Expression, Threshold, list_parties


def list_key_vetoes(expression: Expression) -> tuple[str, ...]:
    """Return the parties without whose shares nobody signs, even if all the others collude."""
    everybody = frozenset(list_parties(expression))
    return tuple(
        party for party in list_parties(expression) if expression.select(everybody - {party}) is None
    )


def compute_fewest_signers(expression: Expression, without: AbstractSet[str] = frozenset()) -> int | None:
    """Return how many parties it takes at least to sign, or None where no number of them is enough.

    Exact for one threshold; where several must hold, the greatest of their numbers, as the same parties may
    stand in all of them: never more than it takes.

    Args:
        expression: who must grant.
        without: parties that do not take part.
    """
    if isinstance(expression, Threshold):
        return _count_largest(expression, without)
    counts = [compute_fewest_signers(part, without) for part in expression.parts]
    found = [count for count in counts if count is not None]
    if isinstance(expression, AllOf):
        return max(found) if len(found) == len(counts) else None
    return min(found, default=None)


def _count_largest(leaf: Threshold, without: AbstractSet[str]) -> int | None:
    """Return how many parties reach the threshold if those with most seats come first."""
    weights = leaf.weights or (1,) * len(leaf.electorate)
    seats = (w for party, w in zip(leaf.electorate, weights, strict=True) if party not in without)
    totals = accumulate(sorted(seats, reverse=True))
    return next((count for count, total in enumerate(totals, start=1) if total >= leaf.min_grants), None)
