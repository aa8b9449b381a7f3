"""Looks for blindings that were used twice: the difference of two such commitments is a small multiple of H.

C - C' = (v - v')*H + (r - r')*G, so with one blinding for both only the first term is left, and whoever
counts up to |v - v'| sees it. Counts are small, so counting is cheap: with a table of the first multiples of
H, a few steps of the table's length are enough (baby steps and giant steps; Shanks 1971).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Final

from vetonet.crypto import secp256k1
from vetonet.crypto.pedersen import VALUE_GENERATOR

TABLE_SIZE: Final = 1 << 12
GIANT_STEPS: Final = 16
REACH: Final = TABLE_SIZE * (2 * GIANT_STEPS + 1)
"""Differences of values up to about this many units are found: as much as a chip computes in two days."""


def find_reused(commitments: Sequence[bytes]) -> Iterator[tuple[int, int, int]]:
    """Yield which two commitments share a blinding, and by how much their values differ (without the sign).

    Args:
        commitments: points, compressed.
    """
    for (left, first), (right, second) in combinations(enumerate(commitments), 2):
        difference = count_multiple(first, second)
        if difference is not None:
            yield left, right, difference


def count_multiple(first: bytes, second: bytes) -> int | None:
    """Return |k| where the points differ by k*H and k is within reach, or None."""
    if first == second:
        return 0
    if first[1:] == second[1:]:  # opposite points: their difference is twice one of them
        return None
    table = _make_table()
    place = secp256k1.add_points((first, secp256k1.negate_point(second)))
    for point, offset in _walk_giants(place):
        if point is None:
            return abs(offset)
        if point[1:] in table:
            return _choose(table[point[1:]], offset, place)
    return None


def _walk_giants(place: bytes | None) -> Iterator[tuple[bytes | None, int]]:
    """Yield D + j*s*H with j*s, for a stride s and j = 0, 1, -1, 2, -2 and so on."""
    stride = 2 * TABLE_SIZE
    yield place, 0
    for number in range(1, GIANT_STEPS + 1):
        for offset in (number * stride, -number * stride):
            yield _add(place, _multiply(offset)), offset


def _choose(multiple: int, offset: int, place: bytes | None) -> int:
    """Return |k| for D = k*H, where D + offset*H is ``multiple``*H up to its sign."""
    for value in (multiple - offset, -multiple - offset):
        if _multiply(value) == place:
            return abs(value)
    raise AssertionError("a point of the table is no multiple of H")


@cache
def _make_table() -> Mapping[bytes, int]:
    """Return the x-coordinates of H, 2*H and so on; a point and its opposite have one x-coordinate."""
    table, point = {VALUE_GENERATOR[1:]: 1}, VALUE_GENERATOR
    for multiple in range(2, TABLE_SIZE + 1):
        point = _add(point, VALUE_GENERATOR) or point
        table[point[1:]] = multiple
    return table


@cache
def _multiply(value: int) -> bytes:
    scalar = abs(value).to_bytes(secp256k1.SCALAR_BYTES, "big")
    point = secp256k1.multiply_point(VALUE_GENERATOR, scalar)
    return point if value > 0 else secp256k1.negate_point(point)


def _add(first: bytes | None, second: bytes | None) -> bytes | None:
    return secp256k1.add_points([point for point in (first, second) if point is not None])
