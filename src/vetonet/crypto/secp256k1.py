"""Points and scalars of secp256k1 as bytes: the one door to libsecp256k1.

A point is 33 bytes, compressed (SEC 1 version 2.0 section 2.3.3); the point at infinity has no such spelling
and is None. A scalar is 32 bytes, big-endian, in [1, n-1]. Multiplication is in constant time: of the
generator by ``secp256k1_ec_pubkey_create``, of other points by the code of ECDH.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from btclib_secp256k1 import ecdh, keys

from vetonet.errors import EncodingError

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The number n of points (SEC 2 version 2.0 section 2.4.1)."""

POINT_BYTES: Final = 33
SCALAR_BYTES: Final = 32


def is_scalar(data: bytes) -> bool:
    """Return whether these are 32 bytes that spell a number in [1, n-1]."""
    return keys.prvkey_verify(data)


def verify_point(data: bytes) -> None:
    """The bytes are the compressed spelling of a point on the curve.

    Raises:
        EncodingError: another length or prefix, a coordinate not below the field prime, or no such point.
    """
    if len(data) != POINT_BYTES:
        msg = f"expected a compressed point of {POINT_BYTES} bytes, got {len(data)}"
        raise EncodingError(msg)
    if not keys.pubkey_verify(data):
        msg = "expected a point of secp256k1, got bytes that spell none"
        raise EncodingError(msg)


def multiply_generator(scalar: bytes) -> bytes:
    """Return scalar * G, in constant time.

    Raises:
        ValueError: not a scalar.
    """
    return keys.pubkey_from_prvkey(scalar)


def multiply_point(point: bytes, scalar: bytes) -> bytes:
    """Return scalar * point, in constant time.

    Raises:
        ValueError: not a point, or not a scalar.
    """
    return ecdh.shared_point(point, scalar)


def add_points(points: Sequence[bytes]) -> bytes | None:
    """Return the sum of one or more points, or None where that is the point at infinity.

    Raises:
        ValueError: no points, or one that is none.
    """
    return keys.pubkey_sum(points)
