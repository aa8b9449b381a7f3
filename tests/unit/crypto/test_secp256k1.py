"""Parsed points: they compute what points as bytes do, and nothing gets in unparsed."""

from __future__ import annotations

import pytest

from vetonet.crypto import secp256k1
from vetonet.errors import EncodingError

ORDER = secp256k1.ORDER
SCALARS = [1, 2, 3, 2**128 + 5, ORDER - 1]


def spell(number: int) -> bytes:
    return number.to_bytes(32, "big")


def point(number: int) -> secp256k1.Point:
    return secp256k1.parse(secp256k1.multiply_generator(spell(number)))


def test_the_generator_is_the_one_of_the_standard() -> None:
    """SEC 2 version 2.0, section 2.4.1."""
    assert secp256k1.GENERATOR.hex() == "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


@pytest.mark.parametrize("scalar", SCALARS)
def test_every_multiplication_gives_the_same_point(scalar: int) -> None:
    expected = secp256k1.multiply_point(secp256k1.serialize(point(7)), spell(scalar))
    assert secp256k1.serialize(secp256k1.multiply(point(7), scalar)) == expected
    assert secp256k1.serialize(secp256k1.multiply_secretly(point(7), scalar)) == expected
    base = secp256k1.serialize(secp256k1.multiply_generator_secretly(scalar))
    assert base == secp256k1.multiply_generator(spell(scalar))


def test_multiplication_and_negation_leave_their_operand_alone() -> None:
    operand = point(7)
    before = secp256k1.serialize(operand)
    secp256k1.multiply(operand, 5)
    secp256k1.multiply_secretly(operand, 5)
    secp256k1.negate(operand)
    secp256k1.add([operand, operand])
    assert secp256k1.serialize(operand) == before


@pytest.mark.parametrize("scalar", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_scalar_outside_one_to_n_minus_one_is_refused(scalar: int) -> None:
    for multiply in (secp256k1.multiply, secp256k1.multiply_secretly):
        with pytest.raises(ValueError, match=r"a number in \[1, n-1\]"):
            multiply(point(7), scalar)
    with pytest.raises(ValueError, match=r"a number in \[1, n-1\]"):
        secp256k1.multiply_generator_secretly(scalar)


def test_a_sum_of_parsed_points_is_the_sum_of_their_bytes() -> None:
    numbers = [1, 2, 3, 500]
    expected = secp256k1.add_points([secp256k1.serialize(point(number)) for number in numbers])
    total = secp256k1.add([point(number) for number in numbers])
    assert total is not None
    assert secp256k1.serialize(total) == expected == secp256k1.serialize(point(506))


def test_points_that_cancel_out_or_are_none_sum_to_infinity() -> None:
    assert secp256k1.add([]) is None
    assert secp256k1.add([point(3), point(4), secp256k1.negate(point(7))]) is None


def test_a_negated_point_has_the_other_y() -> None:
    spelled = secp256k1.serialize(point(7))
    negated = secp256k1.negate_point(spelled)
    assert negated == secp256k1.serialize(secp256k1.negate(point(7))) == secp256k1.serialize(point(ORDER - 7))
    assert negated[1:] == spelled[1:]
    assert secp256k1.negate_point(negated) == spelled


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(33),
        bytes(32),
        b"\x02" + b"\xff" * 32,
        b"\x02" + bytes(31) + b"\x05",
        b"\x06" + secp256k1.GENERATOR[1:],
        secp256k1.GENERATOR + b"\0",
        b"\x04" + bytes(64),
    ],
)
def test_bytes_that_spell_no_point_are_not_parsed(data: bytes) -> None:
    with pytest.raises(EncodingError, match="expected a"):
        secp256k1.parse(data)
