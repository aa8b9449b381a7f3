"""secp256k1 as the group of range proofs, with vector generators that nobody chose.

A commitment is value*H + blinding*G (``vetonet.crypto.pedersen``). The vectors are hashed to the curve by
try-and-increment: the x-coordinate is SHA-256 over a tag, ``g`` or ``h``, the value's place, the bit's place
and a counter, each of the three in four bytes; the first counter from 0 whose x-coordinate is on the curve
counts, with the even y-coordinate. To know a relation between any of them, or to H and G, is to compute a
discrete logarithm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import chain
from itertools import count as count_up
from typing import Final

from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs.group import VectorGenerators
from vetonet.crypto.pedersen import VALUE_GENERATOR
from vetonet.crypto.secp256k1 import Point
from vetonet.errors import EncodingError

GENERATOR_TAG: Final = b"vetonet/bulletproofs/generator/v1"
MOST_BITS: Final = 64
_EVEN: Final = b"\x02"


class Secp256k1Group:
    """The group of our commitments; it holds no state beside its two fixed generators, parsed once."""

    __slots__ = ("blinding_generator", "value_generator")

    order: Final = secp256k1.ORDER
    point_bytes: Final = secp256k1.POINT_BYTES
    scalar_bytes: Final = secp256k1.SCALAR_BYTES

    def __init__(self) -> None:
        """Parse H and G."""
        self.value_generator = secp256k1.parse(VALUE_GENERATOR)
        self.blinding_generator = secp256k1.parse(secp256k1.GENERATOR)

    def compute_generators(self, bits: int, count: int) -> VectorGenerators[Point]:
        """Return the generators for ``count`` values of ``bits`` bits."""
        return _compute_generators(bits, count)

    def decode_point(self, data: bytes) -> Point:
        """Return the point that 33 untrusted bytes spell.

        Raises:
            EncodingError: they spell none.
        """
        return secp256k1.parse(data)

    def encode_point(self, point: Point) -> bytes:
        """Return the 33 bytes of a point."""
        return secp256k1.serialize(point)

    def decode_scalar(self, data: bytes) -> int:
        """Return the number from 0 to n-1 that 32 bytes spell, big-endian.

        Raises:
            EncodingError: another length, or not below n.
        """
        scalar = int.from_bytes(data, "big")
        if len(data) != self.scalar_bytes or scalar >= self.order:
            msg = f"expected a scalar of {self.scalar_bytes} bytes below the group order"
            raise EncodingError(msg)
        return scalar

    def encode_scalar(self, scalar: int) -> bytes:
        """Return the 32 bytes of a scalar, big-endian."""
        return scalar.to_bytes(self.scalar_bytes, "big")

    def negate(self, point: Point) -> Point:
        """Return the point that cancels this one out."""
        return secp256k1.negate(point)

    def add(self, points: Sequence[Point]) -> Point | None:
        """Return the sum of points."""
        return secp256k1.add(points)

    def multiply_public(self, scalars: Sequence[int], points: Sequence[Point]) -> Point | None:
        """Return the sum of all products, in variable time.

        One multiplication for each point and one sum: libsecp256k1 keeps its multi-exponentiation to itself.
        """
        multiply = secp256k1.multiply
        pairs = zip(scalars, points, strict=True)
        return secp256k1.add([multiply(point, scalar) for scalar, point in pairs if scalar])

    def multiply_secret(self, scalars: Sequence[int], points: Sequence[Point]) -> Point | None:
        """Return the sum of all products, each in constant time but that a zero is left out."""
        pairs = zip(scalars, points, strict=True)
        return secp256k1.add([self._multiply_secretly(scalar, point) for scalar, point in pairs if scalar])

    def _multiply_secretly(self, scalar: int, point: Point) -> Point:
        if point is self.blinding_generator:
            return secp256k1.multiply_generator_secretly(scalar)
        return secp256k1.multiply_secretly(point, scalar)


@cache
def _compute_generators(bits: int, count: int) -> VectorGenerators[Point]:
    """Put the generators of several values in one row; a value of fewer bits has the first of its 64."""
    pairs = [_hash_value_generators(place) for place in range(count)]
    return VectorGenerators(
        left=tuple(chain.from_iterable(left[:bits] for left, _ in pairs)),
        right=tuple(chain.from_iterable(right[:bits] for _, right in pairs)),
    )


@cache
def _hash_value_generators(place: int) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    left = tuple(hash_to_point(b"g", place, bit) for bit in range(MOST_BITS))
    right = tuple(hash_to_point(b"h", place, bit) for bit in range(MOST_BITS))
    return left, right


def hash_to_point(side: bytes, place: int, bit: int) -> Point:
    """Return the generator of one bit of one value: ``g`` or ``h``, both places counted from 0."""
    seed = GENERATOR_TAG + side + place.to_bytes(4, "big") + bit.to_bytes(4, "big")
    for attempt in count_up():  # each has an even chance
        candidate = _EVEN + hashlib.sha256(seed + attempt.to_bytes(4, "big")).digest()
        try:
            return secp256k1.parse(candidate)
        except EncodingError:
            continue
    raise AssertionError  # pragma: no cover - the count has no end
