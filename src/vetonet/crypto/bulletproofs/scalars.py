"""Sums and vectors of numbers modulo the group order (Python integers, so variable-time)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul


def compute_powers(base: int, count: int, order: int) -> list[int]:
    """Return base**0 to base**(count - 1)."""
    return list(accumulate([base] * (count - 1), lambda power, factor: power * factor % order, initial=1))


def compute_inner_product(left: Sequence[int], right: Sequence[int], order: int) -> int:
    """Return the sum of the products of two vectors of one length."""
    total: int = sum(map(mul, left, right))
    return total % order


def invert_all(scalars: Sequence[int], order: int) -> list[int]:
    """Return the inverses, at the price of one inversion (Montgomery's trick).

    Raises:
        ValueError: one of the scalars is zero.
    """
    products = list(accumulate(scalars, lambda product, scalar: product * scalar % order, initial=1))
    inverse = pow(products.pop(), -1, order)
    inverses = []
    for scalar, product in zip(reversed(scalars), reversed(products), strict=True):
        inverses.append(inverse * product % order)
        inverse = inverse * scalar % order
    return inverses[::-1]
