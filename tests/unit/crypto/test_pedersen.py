"""Pedersen commitments: where H comes from, what opens and what does not."""

from __future__ import annotations

from hashlib import sha256

import pytest

from vetonet.crypto import secp256k1
from vetonet.crypto.pedersen import (
    MAX_VALUE,
    VALUE_GENERATOR,
    Commitment,
    Opening,
    commit,
    compute_blinding,
    compute_remainder,
    compute_remainder_opening,
    generate_blinding,
    sum_commitments,
    sum_openings,
    verify_opening,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProofError

PRIME = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GENERATOR = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

PINNED_BLINDING = "0a647c4aa23f2b57a96c42cc7b1261a80d82810e307961574904867ea83649da"


def scalar(number: int) -> bytes:
    return number.to_bytes(32, "big")


def opening(value: int, blinding: int = 7) -> Opening:
    return Opening(value=value, blinding=scalar(blinding))


def naive_add(left: tuple[int, int] | None, right: tuple[int, int] | None) -> tuple[int, int] | None:
    """Affine addition on y*y = x**3 + 7, from the textbook (SEC 1 version 2.0 section 2.2.1)."""
    if left is None or right is None:
        return left or right
    if left[0] == right[0] and (left[1] + right[1]) % PRIME == 0:
        return None
    if left == right:
        slope = 3 * left[0] ** 2 * pow(2 * left[1], -1, PRIME)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, PRIME)
    x = (slope**2 - left[0] - right[0]) % PRIME
    return x, (slope * (left[0] - x) - left[1]) % PRIME


def naive_multiply(point: tuple[int, int], number: int) -> tuple[int, int] | None:
    result, power = None, point
    while number:
        if number & 1:
            result = naive_add(result, power)
        doubled = naive_add(power, power)
        assert doubled is not None
        power, number = doubled, number >> 1
    return result


def derive_value_generator() -> tuple[int, int]:
    """The even point over SHA-256(04 || Gx || Gy), computed without libsecp256k1."""
    x = int.from_bytes(sha256(b"\x04" + scalar(GENERATOR[0]) + scalar(GENERATOR[1])).digest(), "big")
    y = pow(x**3 + 7, (PRIME + 1) // 4, PRIME)
    assert y * y % PRIME == (x**3 + 7) % PRIME
    return x, y if y % 2 == 0 else PRIME - y


def compress(point: tuple[int, int] | None) -> bytes:
    assert point is not None
    return bytes([2 + point[1] % 2]) + scalar(point[0])


def test_the_value_generator_is_the_hash_of_the_generator() -> None:
    assert compress(derive_value_generator()) == VALUE_GENERATOR


def test_the_value_generator_is_the_point_of_bip_341_and_libsecp256k1_zkp() -> None:
    """BIP 341 gives x as 0x5092..3ac0; secp256k1_generator_h of libsecp256k1-zkp adds y as 0x31d3..8904."""
    x, y = derive_value_generator()
    assert x == 0x50929B74C1A04954B78B4B6035E97A5E078A5A0F28EC96D547BFEE9ACE803AC0
    assert y == 0x31D3C6863973926E049E637CB1B5F40A36DAC28AF1766968C30C2313F3A38904


def test_the_order_is_that_of_the_standard() -> None:
    assert secp256k1.ORDER == ORDER
    assert naive_multiply(GENERATOR, ORDER) is None


@pytest.mark.parametrize(
    ("value", "blinding"),
    [(0, 1), (1, 1), (1, ORDER - 1), (5, 7), (MAX_VALUE, ORDER - 1), (38_000_000_000, 2**200 + 1)],
)
def test_a_commitment_is_the_textbook_one(value: int, blinding: int) -> None:
    valued, blinded = naive_multiply(derive_value_generator(), value), naive_multiply(GENERATOR, blinding)
    assert commit(opening(value, blinding)).point == compress(naive_add(valued, blinded))


@pytest.mark.parametrize("value", [0, 1, MAX_VALUE])
def test_an_opening_opens_its_commitment_and_is_drawn_anew_each_time(value: int) -> None:
    rng = SeededRng(b"blindings")
    first = Opening(value=value, blinding=generate_blinding(rng))
    second = Opening(value=value, blinding=generate_blinding(rng))
    verify_opening(commit(first), first)
    assert commit(first) != commit(second)


@pytest.mark.parametrize(("value", "blinding"), [(4, 7), (6, 7), (0, 7), (5, 8), (5, ORDER - 7), (7, 5)])
def test_another_value_or_blinding_does_not_open_it(value: int, blinding: int) -> None:
    with pytest.raises(ProofError, match="does not open commitment 0"):
        verify_opening(commit(opening(5)), opening(value, blinding))


def test_a_refusal_does_not_repeat_the_opening() -> None:
    with pytest.raises(ProofError) as caught:
        verify_opening(commit(opening(5)), opening(123_456_789, 42))
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize("value", [-1, MAX_VALUE + 1, ORDER + 5])
def test_a_value_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 18446744073709551615"):
        opening(value)


@pytest.mark.parametrize(
    "blinding", [b"", bytes(32), scalar(ORDER), b"\xff" * 32, bytes(31) + b"\x01\x00", b"\x01"]
)
def test_a_blinding_out_of_range_is_refused(blinding: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes that spell a number"):
        Opening(value=1, blinding=blinding)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(33),
        b"\x02" + bytes(32),  # x = 0 has no point
        b"\x02" + scalar(5),  # neither has x = 5
        b"\x02" + scalar(PRIME),
        b"\x02" + b"\xff" * 32,
        b"\x04" + VALUE_GENERATOR[1:],
        b"\x00" + VALUE_GENERATOR[1:],
        VALUE_GENERATOR[1:],
        VALUE_GENERATOR + b"\x00",
        b"\x04" + scalar(GENERATOR[0]) + scalar(GENERATOR[1]),
        b"\x06" + scalar(GENERATOR[0]) + scalar(GENERATOR[1]),
    ],
)
def test_bytes_that_spell_no_point_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        Commitment.from_bytes(data)


def test_a_commitment_is_read_back() -> None:
    commitment = commit(opening(5))
    assert Commitment.from_bytes(commitment.to_bytes()) == commitment
    assert len(commitment.to_bytes()) == 33


def test_sums_of_openings_open_sums_of_commitments() -> None:
    openings = [opening(value, value + 1) for value in (0, 0, 3, 2**40, 17)]
    total = sum_openings(openings)
    assert total.value == 2**40 + 20
    verify_opening(sum_commitments([commit(each) for each in openings]), total)


def test_the_sum_of_one_is_itself() -> None:
    assert sum_commitments([commit(opening(5))]) == commit(opening(5))
    assert sum_openings([opening(5)]) == opening(5)


def test_a_sum_of_nothing_is_refused() -> None:
    with pytest.raises(ProofError, match="no commitments"):
        sum_commitments([])
    with pytest.raises(ProofError, match="no openings"):
        sum_openings([])


def test_commitments_that_cancel_out_are_refused() -> None:
    commitment = commit(opening(5))
    negated = Commitment(point=bytes([commitment.point[0] ^ 1]) + commitment.point[1:])
    with pytest.raises(ProofError, match="point at infinity"):
        commitment.add(negated)


def test_blindings_that_cancel_out_are_refused() -> None:
    with pytest.raises(ProofError, match="blindings cancel out"):
        sum_openings([opening(1, 7), opening(2, ORDER - 7)])


def test_a_total_beyond_64_bits_is_refused() -> None:
    with pytest.raises(ProofError, match="more than 64 bits"):
        sum_openings([opening(MAX_VALUE), opening(1)])


def test_an_opening_never_shows_itself() -> None:
    secret = opening(123_456_789, 0xABCDEF)
    for shown in (repr(secret), str(secret), f"{secret}"):
        assert shown == "Opening(<redacted>)"


def test_openings_compare_by_content() -> None:
    assert opening(5) == opening(5)
    assert len({opening(5), opening(5), opening(6), opening(5, 8)}) == 3
    assert opening(5) != 5


def test_derived_blindings_differ_by_secret_and_context() -> None:
    secret, other = b"s" * 32, b"t" * 32
    blindings = {
        compute_blinding(secret, b"1"),
        compute_blinding(secret, b"2"),
        compute_blinding(secret, b""),
        compute_blinding(other, b"1"),
    }
    assert len(blindings) == 4
    assert all(secp256k1.is_scalar(blinding) for blinding in blindings)
    assert compute_blinding(secret, b"1") == compute_blinding(secret, b"1")


def test_a_derived_blinding_is_pinned() -> None:
    """A device that changes its derivation could no longer open what it committed to."""
    assert compute_blinding(b"s" * 32, b"report 1").hex() == PINNED_BLINDING


def test_a_short_blinding_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        compute_blinding(b"s" * 31, b"1")


def test_a_drawn_blinding_outside_the_range_is_drawn_again() -> None:
    draws = iter([bytes(32), b"\xff" * 32, scalar(ORDER), scalar(9)])
    assert generate_blinding(lambda _size: next(draws)) == scalar(9)


@pytest.mark.parametrize(
    ("limit", "value"), [(10, 0), (10, 3), (10, 10), (0, 0), (MAX_VALUE, 1), (MAX_VALUE, MAX_VALUE)]
)
def test_the_remainder_of_a_commitment_is_the_commitment_to_the_remainder(limit: int, value: int) -> None:
    used = opening(value, 2**200 + 7)
    left = compute_remainder_opening(limit, used)
    assert left.value == limit - value
    verify_opening(compute_remainder(limit, commit(used)), left)


def test_total_and_remainder_add_up_to_the_limit_without_a_blinding() -> None:
    """So whoever knows the limit can compute one from the other, and nobody can choose both."""
    used = opening(3)
    left = compute_remainder(10, commit(used))
    limited = secp256k1.multiply_point(VALUE_GENERATOR, scalar(10))
    assert left.add(commit(used)).point == limited


@pytest.mark.parametrize(("limit", "value"), [(0, 1), (9, 10), (MAX_VALUE - 1, MAX_VALUE)])
def test_a_value_above_the_limit_leaves_nothing_to_open(limit: int, value: int) -> None:
    with pytest.raises(ProofError, match="above the limit"):
        compute_remainder_opening(limit, opening(value))


def test_the_commitment_to_a_negative_remainder_opens_to_no_count() -> None:
    """It exists, as the number below the group order; no opening can hold that."""
    left = compute_remainder(9, commit(opening(10)))
    for value in (0, 1, MAX_VALUE):
        with pytest.raises(ProofError, match="does not open"):
            verify_opening(left, opening(value, ORDER - 7))


@pytest.mark.parametrize("limit", [-1, MAX_VALUE + 1, ORDER])
def test_a_limit_outside_64_bits_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="a limit lies between"):
        compute_remainder(limit, commit(opening(1)))


def test_a_total_committed_to_without_a_blinding_is_refused_where_it_meets_the_limit() -> None:
    bare = Commitment(point=secp256k1.multiply_point(VALUE_GENERATOR, scalar(10)))
    with pytest.raises(ProofError, match="cancel out"):
        compute_remainder(10, bare)


def test_the_opening_of_a_remainder_does_not_show_itself() -> None:
    assert repr(compute_remainder_opening(10, opening(3))) == "Opening(<redacted>)"
