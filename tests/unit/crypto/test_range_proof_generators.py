"""The generators of range proofs: nobody chose them, and a test derives them again without libsecp256k1."""

from __future__ import annotations

from hashlib import sha256

import pytest

from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs.curve import Secp256k1Group, hash_to_point
from vetonet.crypto.bulletproofs.group import require_point
from vetonet.crypto.pedersen import VALUE_GENERATOR
from vetonet.errors import EncodingError, ProofError

GROUP = Secp256k1Group()
PRIME = 2**256 - 2**32 - 977
TAG = b"vetonet/bulletproofs/generator/v1"


def derive(side: bytes, place: int, bit: int) -> bytes:
    """Try-and-increment in plain integers: the even point over the first x on the curve y*y = x**3 + 7."""
    for attempt in range(200):
        seed = TAG + side + b"".join(number.to_bytes(4, "big") for number in (place, bit, attempt))
        x = int.from_bytes(sha256(seed).digest(), "big")
        y = pow(x**3 + 7, (PRIME + 1) // 4, PRIME)
        if x < PRIME and (y * y - x**3 - 7) % PRIME == 0:
            return b"\x02" + x.to_bytes(32, "big")
    raise AssertionError


def encode_all(bits: int, count: int) -> tuple[list[bytes], list[bytes]]:
    generators = GROUP.compute_generators(bits, count)
    return [list(map(GROUP.encode_point, side)) for side in (generators.left, generators.right)]  # type: ignore[return-value]


@pytest.mark.parametrize(("side", "place", "bit"), [(b"g", 0, 0), (b"h", 0, 63), (b"g", 5, 7), (b"h", 63, 1)])
def test_a_generator_is_the_hash_of_its_place(side: bytes, place: int, bit: int) -> None:
    assert secp256k1.serialize(hash_to_point(side, place, bit)) == derive(side, place, bit)


def test_all_generators_of_two_values_are_derived_again() -> None:
    left, right = encode_all(64, 2)
    places = [(place, bit) for place in range(2) for bit in range(64)]
    assert left == [derive(b"g", *place) for place in places]
    assert right == [derive(b"h", *place) for place in places]


def test_no_generator_occurs_twice() -> None:
    left, right = encode_all(64, 4)
    fixed = [VALUE_GENERATOR, secp256k1.GENERATOR]
    assert len({*left, *right, *fixed}) == 2 * 256 + 2


def test_fewer_bits_have_the_first_generators_of_each_value() -> None:
    left, right = encode_all(8, 2)
    assert left == [derive(b"g", place, bit) for place in range(2) for bit in range(8)]
    assert right[8:] == [derive(b"h", 1, bit) for bit in range(8)]


def test_the_fixed_generators_are_those_of_commitments() -> None:
    assert GROUP.encode_point(GROUP.value_generator) == VALUE_GENERATOR
    assert GROUP.encode_point(GROUP.blinding_generator) == secp256k1.multiply_generator(
        (1).to_bytes(32, "big")
    )


def test_public_and_secret_multiplication_agree() -> None:
    points = [GROUP.value_generator, GROUP.blinding_generator, hash_to_point(b"g", 0, 0)]
    scalars = [3, secp256k1.ORDER - 2, 2**255 + 1]
    public, secret = GROUP.multiply_public(scalars, points), GROUP.multiply_secret(scalars, points)
    assert GROUP.encode_point(require_point(public)) == GROUP.encode_point(require_point(secret))


def test_a_sum_of_nothing_is_neutral_and_no_point_of_a_proof() -> None:
    point = GROUP.value_generator
    for nothing in (
        GROUP.multiply_public([], []),
        GROUP.multiply_public([0], [point]),
        GROUP.multiply_secret([0, 0], [point, point]),
        GROUP.add([point, GROUP.negate(point)]),
        GROUP.multiply_public([5, secp256k1.ORDER - 5], [point, point]),
    ):
        assert nothing is None
        with pytest.raises(ProofError, match="neutral"):
            require_point(nothing)


def test_as_many_scalars_as_points_are_demanded() -> None:
    for multiply in (GROUP.multiply_public, GROUP.multiply_secret):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            multiply([1, 2], [GROUP.value_generator])


@pytest.mark.parametrize(
    "data", [b"", bytes(31), bytes(33), b"\xff" * 32, secp256k1.ORDER.to_bytes(32, "big")]
)
def test_a_scalar_has_32_bytes_and_is_below_the_order(data: bytes) -> None:
    with pytest.raises(EncodingError, match="below the group order"):
        GROUP.decode_scalar(data)


def test_the_last_scalar_below_the_order_is_one() -> None:
    assert GROUP.decode_scalar(GROUP.encode_scalar(secp256k1.ORDER - 1)) == secp256k1.ORDER - 1
    assert GROUP.decode_scalar(bytes(32)) == 0
