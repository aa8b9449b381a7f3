"""Points and scalars of secp256k1: the one door to libsecp256k1.

A point is 33 bytes, compressed (SEC 1 version 2.0 section 2.3.3); the point at infinity has no such spelling
and is None. A scalar is 32 bytes, big-endian, in [1, n-1]. Multiplication is in constant time: of the
generator by ``secp256k1_ec_pubkey_create``, of other points by the code of ECDH.

Whoever computes with many points keeps them parsed (``Point``): a parse is a square root in the field, and a
sixth of a multiplication. Scalars are Python integers there, which are variable-time, and each function says
whether the multiplication itself is. A ``Point`` only ever comes from a function of this module that
succeeded, which is what libsecp256k1 demands of whoever hands it a parsed key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NewType

from btclib_secp256k1 import ecdh, ffi, keys, lib
from btclib_secp256k1.context import ctx

from vetonet.errors import EncodingError

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The number n of points (SEC 2 version 2.0 section 2.4.1)."""

POINT_BYTES: Final = 33
SCALAR_BYTES: Final = 32

GENERATOR: Final = keys.pubkey_from_prvkey(1)
"""The base point G (SEC 2 version 2.0 section 2.4.1)."""

Point = NewType("Point", object)
"""A parsed point other than infinity; nobody but this module looks inside."""

_PARSED: Final = ffi.typeof("secp256k1_pubkey *")
_PARSED_LIST: Final = ffi.typeof("secp256k1_pubkey *[]")
_COORDINATES: Final = ffi.typeof("unsigned char[64]")
_UNCOMPRESSED: Final = b"\x04"


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


def negate_point(point: bytes) -> bytes:
    """Return the point that cancels this one out.

    Raises:
        ValueError: not a point.
    """
    return keys.pubkey_negate(point)


def parse(data: bytes) -> Point:
    """Return the point that 33 untrusted bytes spell.

    Raises:
        EncodingError: another length or prefix, a coordinate not below the field prime, or no such point.
    """
    if len(data) != POINT_BYTES:
        msg = f"expected a compressed point of {POINT_BYTES} bytes, got {len(data)}"
        raise EncodingError(msg)
    try:
        return Point(keys.parse(data))
    except ValueError as error:
        msg = "expected a point of secp256k1, got bytes that spell none"
        raise EncodingError(msg) from error


def serialize(point: Point) -> bytes:
    """Return the 33 bytes of a parsed point."""
    return keys.serialize(point)


def negate(point: Point) -> Point:
    """Return the parsed point that cancels this one out."""
    result = _copy(point)
    _demand(lib.secp256k1_ec_pubkey_negate(ctx, result))
    return Point(result)


def add(points: Sequence[Point]) -> Point | None:
    """Return the sum of parsed points; None where that is the point at infinity, as for no points."""
    if len(points) < 2:  # noqa: PLR2004 - nothing to add
        return points[0] if points else None
    result = ffi.new(_PARSED)
    summed = lib.secp256k1_ec_pubkey_combine(ctx, result, ffi.new(_PARSED_LIST, points), len(points))
    return Point(result) if summed else None


def multiply(point: Point, scalar: int) -> Point:
    """Return scalar * point, in a time that depends on the scalar: for public scalars only.

    Raises:
        ValueError: the scalar is not in [1, n-1].
    """
    result = _copy(point)
    _demand(lib.secp256k1_ec_pubkey_tweak_mul(ctx, result, scalar.to_bytes(SCALAR_BYTES, "big")))
    return Point(result)


def multiply_secretly(point: Point, scalar: int) -> Point:
    """Return scalar * point, the multiplication in constant time; a third dearer than ``multiply``.

    Raises:
        ValueError: the scalar is not in [1, n-1].
    """
    copied = lib.btclib_secp256k1_ecdh_hash_function_xy  # hands both coordinates out instead of a hash
    spelled = scalar.to_bytes(SCALAR_BYTES, "big")
    coordinates = ffi.new(_COORDINATES)
    _demand(lib.secp256k1_ecdh(ctx, coordinates, point, spelled, copied, ffi.NULL))
    return Point(keys.parse(_UNCOMPRESSED + ffi.buffer(coordinates)[:]))


def multiply_generator_secretly(scalar: int) -> Point:
    """Return scalar * G, the multiplication in constant time.

    Raises:
        ValueError: the scalar is not in [1, n-1].
    """
    result = ffi.new(_PARSED)
    _demand(lib.secp256k1_ec_pubkey_create(ctx, result, scalar.to_bytes(SCALAR_BYTES, "big")))
    return Point(result)


def _copy(point: Any) -> Any:
    """Return a parsed point of its own, as libsecp256k1 computes in place."""
    return ffi.new(_PARSED, point[0])


def _demand(accepted: int) -> None:
    if not accepted:
        msg = "a scalar is a number in [1, n-1]"
        raise ValueError(msg)
