"""Bytes to a point whose logarithm nobody knows: edwards25519_XMD:SHA-512_ELL2_RO_ of RFC 9380.

libsodium's ``from_uniform`` is one half of this: it maps 32 bytes once, which gives about half of all points,
and leaves the hashing to its caller. Inputs are public, so that Python's integers are variable-time tells
nobody anything.
"""

from __future__ import annotations

import hashlib
from typing import Final

from vetonet.crypto.frost.group import ELEMENT_BYTES, Element

P: Final = 2**255 - 19
MAX_TAG_BYTES: Final = 255

_A: Final = 486662  # of curve25519 (RFC 7748 section 4.1)
_D: Final = -121665 * pow(121666, -1, P) % P  # of edwards25519 (RFC 8032 section 5.1)
_SQRT_M1: Final = pow(2, (P - 1) // 4, P)
_FIELD_BYTES: Final = 48  # L = ceil((255 + 128) / 8), RFC 9380 section 8.5
_BLOCK_BYTES: Final = 128  # of SHA-512
_DIGEST_BYTES: Final = 64
_COFACTOR_DOUBLINGS: Final = 3

_Point = tuple[int, int]


def hash_to_curve(message: bytes, tag: bytes) -> Element:
    """Return the point of the prime-order group that a message gives under a tag (RFC 9380 section 3).

    Args:
        message: public bytes.
        tag: the domain separation tag, 1 to 255 bytes.

    Raises:
        ValueError: the tag is empty or too long.
        EncodingError: the point is the identity, which no input anybody can find gives.
    """
    uniform = expand_message(message, tag, 2 * _FIELD_BYTES)
    left, right = (
        _map_to_curve(int.from_bytes(uniform[start : start + _FIELD_BYTES], "big") % P)
        for start in (0, _FIELD_BYTES)
    )
    point = _add(left, right)
    for _ in range(_COFACTOR_DOUBLINGS):
        point = _add(point, point)
    return Element.from_bytes(_encode(point))


def expand_message(message: bytes, tag: bytes, size: int) -> bytes:
    """Return ``size`` uniform bytes that follow from a message under a tag (expand_message_xmd, 5.3.1).

    Raises:
        ValueError: the tag is empty or too long, or no bytes or too many are wanted.
    """
    rounds = -(-size // _DIGEST_BYTES)
    if not 1 <= len(tag) <= MAX_TAG_BYTES or not 1 <= rounds <= MAX_TAG_BYTES:
        raise ValueError("expected a tag of 1 to 255 bytes, and at most 255 blocks")
    suffix = tag + bytes([len(tag)])
    padded = bytes(_BLOCK_BYTES) + message + size.to_bytes(2, "big") + b"\x00" + suffix
    first = hashlib.sha512(padded).digest()
    block = hashlib.sha512(first + b"\x01" + suffix).digest()
    blocks = [block]
    for number in range(2, rounds + 1):
        mixed = bytes(a ^ b for a, b in zip(first, block, strict=True))
        block = hashlib.sha512(mixed + bytes([number]) + suffix).digest()
        blocks.append(block)
    return b"".join(blocks)[:size]


def _map_to_curve(u: int) -> _Point:
    """Return the point of edwards25519 that a field element gives (Elligator 2, sections 6.7.1 and 6.8.2)."""
    x1 = -_A * pow(1 + 2 * u * u, -1, P) % P  # 1 + 2u^2 is never 0: -1/2 is no square
    gx1 = (x1 * x1 * x1 + _A * x1 * x1 + x1) % P
    x2 = (-x1 - _A) % P
    gx2 = (x2 * x2 * x2 + _A * x2 * x2 + x2) % P
    is_first = _is_square(gx1)
    s, square = (x1, gx1) if is_first else (x2, gx2)
    t = _square_root(square)
    if (t & 1) != is_first:  # section 6.7.1, steps 8 and 9: the sign of t is 1 for x1 and 0 for x2
        t = -t % P
    return _from_montgomery(s, t)


def _from_montgomery(s: int, t: int) -> _Point:
    """Return the point of edwards25519 that is one of curve25519 (appendix D.1)."""
    below = t * (s + 1) % P
    if below == 0:
        return 0, 1
    x = s * _SQRT_MINUS_486664 * pow(t, -1, P) % P
    y = (s - 1) * pow(s + 1, -1, P) % P
    return x, y


def _add(left: _Point, right: _Point) -> _Point:
    """Return the sum of two points; complete, as d is no square (RFC 8032 section 5.1.4, affine)."""
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def _encode(point: _Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(ELEMENT_BYTES, "little")


def _is_square(value: int) -> bool:
    return pow(value, (P - 1) // 2, P) in {0, 1}


def _square_root(value: int) -> int:
    """Return a square root of a square (RFC 8032 section 5.1.3)."""
    root = pow(value, (P + 3) // 8, P)
    return root if root * root % P == value % P else root * _SQRT_M1 % P


def _find_scale() -> int:
    """Return the root of -486664 whose sign is 0, by which the curves map to each other (appendix D.1)."""
    root = _square_root(-(_A + 2) % P)
    return root if root & 1 == 0 else -root % P


_SQRT_MINUS_486664: Final = _find_scale()
