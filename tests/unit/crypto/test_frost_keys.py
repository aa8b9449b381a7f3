"""Key material: valid or not there at all, one spelling, and secrets that stay out of sight."""

from __future__ import annotations

import dataclasses

import pytest

from vetonet.crypto.frost import (
    Element,
    GroupPublicKey,
    Identifier,
    KeyShare,
    PublicKeyPackage,
    Scalar,
)
from vetonet.crypto.frost.group import ORDER, multiply_base, scalar_to_bytes
from vetonet.crypto.frost.polynomial import (
    compute_lagrange_coefficient,
    evaluate,
    evaluate_commitment,
)
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError

COEFFICIENTS = (Scalar(11), Scalar(ORDER - 7), Scalar(123456789))
SECRET = 987654321987654321


def make_key_share(**changes: object) -> KeyShare:
    values: dict[str, object] = {
        "identifier": Identifier(2),
        "signing_share": Scalar(SECRET),
        "group_public_key": GroupPublicKey(element=multiply_base(11)),
        "min_signers": 2,
        "max_signers": 3,
    }
    return KeyShare.from_signing_share(**(values | changes))  # type: ignore[arg-type]


def make_package() -> PublicKeyPackage:
    return PublicKeyPackage(
        vss_commitment=tuple(map(multiply_base, COEFFICIENTS)),
        identifiers=tuple(map(Identifier, (1, 2, 5, 9))),
    )


@pytest.mark.parametrize("value", [0, -1, 65536, True, 1.0, "1"])
def test_identifier_out_of_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="identifier"):
        Identifier(value)  # type: ignore[arg-type]


def test_identifier_reads_as_its_number() -> None:
    assert f"{Identifier(65535)}" == "65535"
    assert Identifier(3) < Identifier(10)


@pytest.mark.parametrize(("low", "high"), [(0, 3), (4, 3), (1, 65536), (-1, 1)])
def test_impossible_thresholds_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="min_signers"):
        make_key_share(min_signers=low, max_signers=high)


@pytest.mark.parametrize("share", [0, ORDER])
def test_signing_share_out_of_range_is_refused(share: int) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        make_key_share(signing_share=Scalar(share))


def test_verifying_share_of_another_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="verifying share"):
        dataclasses.replace(make_key_share(), verifying_share=multiply_base(1))


def test_key_share_hides_its_secret() -> None:
    assert str(SECRET) not in repr(make_key_share())
    assert scalar_to_bytes(SECRET).hex() not in repr(make_key_share())


def test_key_shares_compare_by_value() -> None:
    assert make_key_share() == make_key_share()
    assert hash(make_key_share()) == hash(make_key_share())
    assert make_key_share() != make_key_share(signing_share=Scalar(SECRET + 1))
    assert make_key_share() != "a key share"


def test_key_share_survives_the_round_trip() -> None:
    encoded = make_key_share().to_bytes()
    assert len(encoded) == 70
    assert KeyShare.from_bytes(encoded) == make_key_share()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda _data: b"",
        lambda data: b"\x00\x00" + data[2:],
        lambda data: b"\x00\x09" + data[2:],
        lambda data: data[:4] + b"\x00\x00" + data[6:],
        lambda data: data[:6] + bytes(32) + data[38:],
        lambda data: data[:6] + ORDER.to_bytes(32, "little") + data[38:],
        lambda data: data[:38] + (1).to_bytes(32, "little"),
    ],
    ids=["short", "long", "empty", "zero-min", "min-over-max", "zero-id", "zero", "unreduced", "identity"],
)
def test_malformed_key_share_is_refused(change: object) -> None:
    with pytest.raises(EncodingError):
        KeyShare.from_bytes(change(make_key_share().to_bytes()))  # type: ignore[operator]


def test_public_key_package_derives_what_rfc_9591_c_2_derives() -> None:
    package = make_package()
    assert (package.min_signers, package.max_signers) == (3, 4)
    assert package.group_public_key.element == multiply_base(11)
    for identifier in package.identifiers:
        share = package.compute_verifying_share(identifier)
        assert share == multiply_base(evaluate(COEFFICIENTS, identifier))


def test_verifying_share_of_a_stranger_is_refused() -> None:
    with pytest.raises(UnknownPartyError) as caught:
        make_package().compute_verifying_share(Identifier(3))
    assert caught.value.culprit == "3"


@pytest.mark.parametrize("numbers", [(1, 1, 2), (2, 1, 3), (1, 2), ()])
def test_identifiers_twice_out_of_order_or_too_few_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"identifiers|min_signers"):
        dataclasses.replace(make_package(), identifiers=tuple(map(Identifier, numbers)))


def test_package_without_a_commitment_is_refused() -> None:
    with pytest.raises(ValueError, match="min_signers"):
        dataclasses.replace(make_package(), vss_commitment=())


def test_public_key_package_survives_the_round_trip() -> None:
    encoded = make_package().to_bytes()
    assert PublicKeyPackage.from_bytes(encoded) == make_package()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda _data: b"",
        lambda data: b"\x00\x00" + data[2:],
        lambda data: data[:-32],
        lambda data: b"\xff\xff" + data[2:],
        lambda data: data[:4] + data[6:8] + data[4:6] + data[8:],
        lambda data: data[:4] + bytes(2) + data[6:],
        lambda data: data[:-32] + bytes(32),
    ],
    ids=[
        "short",
        "long",
        "empty",
        "no-min",
        "one-element-short",
        "huge-min",
        "unsorted",
        "zero-id",
        "small-order",
    ],
)
def test_malformed_public_key_package_is_refused(change: object) -> None:
    with pytest.raises(EncodingError):
        PublicKeyPackage.from_bytes(change(make_package().to_bytes()))  # type: ignore[operator]


def test_group_public_key_of_small_order_is_refused() -> None:
    with pytest.raises(EncodingError):
        GroupPublicKey.from_bytes(bytes(32))


@pytest.mark.parametrize("size", [0, 63, 64, 65])
def test_signature_of_zeros_or_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidSignatureError):
        GroupPublicKey(element=multiply_base(11)).verify_signature(b"message", bytes(size))


@pytest.mark.parametrize(("numbers", "asked"), [((1, 2, 2), 1), ((1, 2), 3), ((), 1)])
def test_interpolation_over_a_wrong_set_is_refused(numbers: tuple[int, ...], asked: int) -> None:
    with pytest.raises(ValueError, match="distinct"):
        compute_lagrange_coefficient(numbers, asked)


def test_interpolation_at_zero_gives_the_constant_term() -> None:
    numbers = (2, 5, 9)
    terms = (compute_lagrange_coefficient(numbers, x) * evaluate(COEFFICIENTS, x) for x in numbers)
    assert sum(terms) % ORDER == COEFFICIENTS[0]


def test_interpolation_elsewhere_gives_the_value_there() -> None:
    numbers = (2, 5, 9)
    terms = (compute_lagrange_coefficient(numbers, x, 7) * evaluate(COEFFICIENTS, x) for x in numbers)
    assert sum(terms) % ORDER == evaluate(COEFFICIENTS, 7)


def test_interpolation_at_one_of_the_points_is_refused() -> None:
    with pytest.raises(ValueError, match="no interpolation"):
        compute_lagrange_coefficient((2, 5, 9), 2, 5)


def test_commitment_to_a_polynomial_opens_everywhere() -> None:
    commitment: tuple[Element, ...] = tuple(map(multiply_base, COEFFICIENTS))
    for x in (1, 2, 77, 65535):
        assert evaluate_commitment(commitment, x) == multiply_base(evaluate(COEFFICIENTS, x))
