"""The group ristretto255 in plain Python (RFC 9496), and dalek's Bulletproofs' generators in it.

So that our prover and verifier run over a second group, and judge proofs that others published. Variable-time
and slow: for tests only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

from vetonet.crypto.bulletproofs.group import VectorGenerators
from vetonet.errors import EncodingError

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

# RFC 9496, section 4.1; the tests check the equations that define them.
D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
SQRT_M1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
ONE_MINUS_D_SQ = 1159843021668779879193775521855586647937357759715417654439879720876111806838
D_MINUS_ONE_SQ = 40440834346308536858101042469323190826248399146238708352240133220865137265952

Point = tuple[int, int, int, int]
"""X, Y, Z, T with x = X/Z, y = Y/Z, x*y = T/Z on -x*x + y*y = 1 + D*x*x*y*y."""

NEUTRAL: Point = (0, 1, 1, 0)


def is_negative(element: int) -> bool:
    return element % PRIME % 2 == 1


def absolute(element: int) -> int:
    return (-element if is_negative(element) else element) % PRIME


def sqrt_ratio(numerator: int, denominator: int) -> tuple[bool, int]:
    """SQRT_RATIO_M1 (section 4.2): whether the ratio is a square, and the root of it or of i times it."""
    root = numerator * denominator**3 * pow(numerator * denominator**7 % PRIME, (PRIME - 5) // 8, PRIME)
    check, negated = denominator * root * root % PRIME, -numerator % PRIME
    if check in {negated, negated * SQRT_M1 % PRIME}:
        root = root * SQRT_M1
    is_square = check in {numerator % PRIME, negated}
    return is_square, absolute(root)


def decode(data: bytes) -> Point:
    """Section 4.3.1.

    Raises:
        EncodingError: not an encoding.
    """
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= PRIME or is_negative(s):
        raise EncodingError("not an encoding of ristretto255")
    u1, u2 = 1 - s * s, 1 + s * s
    v = (-D * u1 * u1 - u2 * u2) % PRIME
    is_square, inverse = sqrt_ratio(1, v * u2 * u2)
    x = absolute(2 * s * inverse * u2)
    y = u1 * inverse * inverse * u2 * v % PRIME
    t = x * y % PRIME
    if not is_square or is_negative(t) or y == 0:
        raise EncodingError("not an encoding of ristretto255")
    return x, y, 1, t


def encode(point: Point) -> bytes:
    """Section 4.3.2."""
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % PRIME, x * y % PRIME
    _, inverse = sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = inverse * u1 % PRIME, inverse * u2 % PRIME
    z_inverse = den1 * den2 * t % PRIME
    if is_negative(t * z_inverse):
        x, y, den = y * SQRT_M1, x * SQRT_M1, den1 * INVSQRT_A_MINUS_D
    else:
        den = den2
    if is_negative(x * z_inverse):
        y = -y
    return absolute(den * (z - y)).to_bytes(32, "little")


def _map(t: int) -> Point:
    """MAP of section 4.3.4."""
    r = SQRT_M1 * t * t % PRIME
    u = (r + 1) * ONE_MINUS_D_SQ % PRIME
    v = (-1 - r * D) * (r + D) % PRIME
    was_square, s = sqrt_ratio(u, v)
    c = PRIME - 1
    if not was_square:
        s, c = -absolute(s * t) % PRIME, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % PRIME
    w0, w1, w2, w3 = 2 * s * v, n * SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
    return w0 * w3 % PRIME, w2 * w1 % PRIME, w1 * w3 % PRIME, w0 * w2 % PRIME


def derive(data: bytes) -> Point:
    """Return the element of 64 uniform bytes (section 4.3.4)."""
    halves = (int.from_bytes(data[start : start + 32], "little") % 2**255 for start in (0, 32))
    first, second = map(_map, halves)
    return add(first, second)


def add(left: Point, right: Point) -> Point:
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = t1 * t2 % PRIME * (2 * D), 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def negate(point: Point) -> Point:
    x, y, z, t = point
    return -x % PRIME, y, z, -t % PRIME


def is_neutral(point: Point) -> bool:
    """Return whether the point is one of the four that stand for the neutral element (section 4.3.3)."""
    return point[0] == 0 or point[1] == 0


def multiply_sum(scalars: Sequence[int], points: Sequence[Point]) -> Point:
    """Return the sum of products by Pippenger's buckets."""
    window = 3 if len(points) < 32 else 6
    total = NEUTRAL
    for start in reversed(range(0, 253, window)):
        for _ in range(window):
            total = add(total, total)
        buckets = [NEUTRAL] * (1 << window)
        for scalar, point in zip(scalars, points, strict=True):
            digit = scalar >> start & (1 << window) - 1
            if digit:
                buckets[digit] = add(buckets[digit], point)
        running = NEUTRAL
        for bucket in reversed(buckets[1:]):
            running = add(running, bucket)
            total = add(total, running)
    return total


BASE = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))


@cache
def _derive_chain(label: bytes) -> tuple[Point, ...]:
    """Return the 64 generators of dalek's GeneratorsChain of a label (its src/generators.rs)."""
    stream = hashlib.shake_256(b"GeneratorsChain" + label).digest(64 * 64)
    return tuple(derive(stream[start : start + 64]) for start in range(0, len(stream), 64))


class DalekGroup:
    """ristretto255 with the generators of dalek-cryptography's Bulletproofs."""

    order = ORDER
    point_bytes = scalar_bytes = 32
    value_generator = BASE
    blinding_generator = derive(hashlib.sha3_512(encode(BASE)).digest())

    def compute_generators(self, bits: int, count: int) -> VectorGenerators[Point]:
        places = [place.to_bytes(4, "little") for place in range(count)]
        return VectorGenerators(
            left=tuple(point for place in places for point in _derive_chain(b"G" + place)[:bits]),
            right=tuple(point for place in places for point in _derive_chain(b"H" + place)[:bits]),
        )

    def decode_point(self, data: bytes) -> Point:
        point = decode(data)
        if is_neutral(point):
            raise EncodingError("the neutral element")
        return point

    def encode_point(self, point: Point) -> bytes:
        return encode(point)

    def decode_scalar(self, data: bytes) -> int:
        scalar = int.from_bytes(data, "little")
        if len(data) != 32 or scalar >= ORDER:
            raise EncodingError("not a scalar of ristretto255")
        return scalar

    def encode_scalar(self, scalar: int) -> bytes:
        return scalar.to_bytes(32, "little")

    def negate(self, point: Point) -> Point:
        return negate(point)

    def add(self, points: Sequence[Point]) -> Point | None:
        total = NEUTRAL
        for point in points:
            total = add(total, point)
        return None if is_neutral(total) else total

    def multiply_public(self, scalars: Sequence[int], points: Sequence[Point]) -> Point | None:
        total = multiply_sum(scalars, points)
        return None if is_neutral(total) else total

    def multiply_secret(self, scalars: Sequence[int], points: Sequence[Point]) -> Point | None:
        return self.multiply_public(scalars, points)
