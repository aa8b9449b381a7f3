"""Scalars and elements: one spelling each, and only the prime-order group."""

from __future__ import annotations

import hashlib

import pytest
from nacl import bindings

from vetonet.crypto.frost.group import (
    CONTEXT_STRING,
    ORDER,
    Element,
    generate_bytes,
    generate_scalar,
    h1,
    h2,
    h3,
    h4,
    h5,
    multiply,
    multiply_base,
    nonzero_scalar_from_bytes,
    scalar_from_bytes,
    scalar_to_bytes,
    sum_elements,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProtocolError

P = 2**255 - 19
IDENTITY = (1).to_bytes(32, "little")
SMALL_ORDER = [
    bytes(32),
    bytes(31) + b"\x80",
    IDENTITY,
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.parametrize("encoded", SMALL_ORDER, ids=lambda encoded: encoded.hex()[:8])
def test_small_order_element_is_refused(encoded: bytes) -> None:
    with pytest.raises(EncodingError):
        Element.from_bytes(encoded)


@pytest.mark.parametrize("torsion", [t for t in SMALL_ORDER if t != IDENTITY], ids=lambda t: t.hex()[:8])
def test_mixed_order_element_is_refused_though_libsodium_adds_it(torsion: bytes) -> None:
    mixed = bindings.crypto_core_ed25519_add(multiply_base(7).encoded, torsion)
    with pytest.raises(EncodingError):
        Element.from_bytes(mixed)


@pytest.mark.parametrize("excess", range(19))
@pytest.mark.parametrize("sign", [0, 2**255])
def test_non_canonical_coordinate_is_refused(excess: int, sign: int) -> None:
    with pytest.raises(EncodingError):
        Element.from_bytes((P + excess + sign).to_bytes(32, "little"))


def test_point_off_the_curve_is_refused() -> None:
    with pytest.raises(EncodingError):
        Element.from_bytes((2).to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_element_of_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(EncodingError):
        Element.from_bytes(bytes(size))


def test_element_survives_the_round_trip() -> None:
    encoded = multiply_base(12345).to_bytes()
    assert Element.from_bytes(encoded).to_bytes() == encoded


def test_generator_is_that_of_rfc_8032() -> None:
    assert multiply_base(1).encoded == (4 * pow(5, -1, P) % P).to_bytes(32, "little")


@pytest.mark.parametrize("value", [ORDER, ORDER + 1, 2**253, 2**256 - 1])
def test_unreduced_scalar_is_refused(value: int) -> None:
    with pytest.raises(EncodingError):
        scalar_from_bytes(value.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_scalar_of_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(EncodingError):
        scalar_from_bytes(bytes(size))


def test_zero_scalar_is_read_only_where_zero_is_allowed() -> None:
    assert scalar_from_bytes(bytes(32)) == 0
    with pytest.raises(EncodingError):
        nonzero_scalar_from_bytes(bytes(32))


def test_largest_scalar_survives_the_round_trip() -> None:
    assert scalar_from_bytes(scalar_to_bytes(ORDER - 1)) == ORDER - 1


@pytest.mark.parametrize("scalar", [0, ORDER, -1, 2**255])
def test_multiplier_out_of_range_is_refused(scalar: int) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        multiply_base(scalar)
    with pytest.raises(ValueError, match="multiplier"):
        multiply(scalar, multiply_base(1))


def test_sum_that_cancels_out_is_refused() -> None:
    with pytest.raises(ProtocolError):
        sum_elements((multiply_base(5), multiply_base(ORDER - 5)))


def test_sum_may_pass_through_the_identity() -> None:
    terms = (multiply_base(5), multiply_base(ORDER - 5), multiply_base(9))
    assert sum_elements(terms) == multiply_base(9)


def test_multiplication_follows_the_scalars() -> None:
    assert multiply(6, multiply_base(7)) == multiply_base(42)
    assert sum_elements((multiply_base(20), multiply_base(22))) == multiply_base(42)


def test_source_of_randomness_that_falls_short_is_refused() -> None:
    with pytest.raises(ValueError, match="randomness"):
        generate_bytes(lambda size: bytes(size - 1), 32)


def test_random_scalar_is_never_zero() -> None:
    answers = iter((bytes(48), b"\x01" + bytes(47)))
    assert generate_scalar(lambda _size: next(answers)) == 1


def test_random_scalars_differ(rng: SeededRng) -> None:
    assert len({generate_scalar(rng) for _ in range(20)}) == 20


def test_hashes_are_those_of_rfc_9591_section_6_1() -> None:
    def sha512(*parts: bytes) -> bytes:
        return hashlib.sha512(b"".join(parts)).digest()

    def reduced(*parts: bytes) -> int:
        return int.from_bytes(sha512(*parts), "little") % ORDER

    assert CONTEXT_STRING == b"FROST-ED25519-SHA512-v1"
    assert h1(b"m") == reduced(CONTEXT_STRING, b"rho", b"m")
    assert h2(b"m") == reduced(b"m")
    assert h3(b"m") == reduced(CONTEXT_STRING, b"nonce", b"m")
    assert h4(b"m") == sha512(CONTEXT_STRING, b"msg", b"m")
    assert h5(b"m") == sha512(CONTEXT_STRING, b"com", b"m")
