"""Laws of FROST: quorums sign whatever the draw, bytes have one spelling, and any bytes get an answer."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.crypto import frost
from vetonet.crypto.frost.group import ORDER, multiply_base
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient, evaluate
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, VetonetError

KINDS = (
    frost.Element,
    frost.GroupPublicKey,
    frost.KeyShare,
    frost.PublicKeyPackage,
    frost.RepairCommitment,
    frost.RepairSum,
    frost.RepairSummand,
    frost.Round1Package,
    frost.Round2Package,
    frost.SignatureShare,
    frost.SigningCommitments,
)
scalars = st.integers(min_value=0, max_value=ORDER - 1).map(frost.Scalar)


@cache
def generate_group(k: int, n: int) -> tuple[tuple[frost.KeyShare, ...], frost.PublicKeyPackage]:
    """Run key generation among n honest participants."""
    started = [
        frost.generate_round1(
            identifier=frost.Identifier(number),
            min_signers=k,
            max_signers=n,
            context=b"laws",
            rng=SeededRng(bytes([k, n, number])),
        )
        for number in range(1, n + 1)
    ]
    packages = [package for _, package in started]
    continued = [frost.generate_round2(secret, packages) for secret, _ in started]
    results = [
        frost.finish(
            kept,
            [sent[kept.identifier] for other, sent in continued if other.identifier != kept.identifier],
        )
        for kept, _ in continued
    ]
    return tuple(share for share, _ in results), results[0][1]


@cache
def spell_examples() -> tuple[tuple[type, bytes], ...]:
    """Return a valid spelling of each kind."""
    shares, public = generate_group(2, 3)
    nonces, commitments = frost.commit(shares[0], SeededRng(b"n"))
    other = frost.commit(shares[1], SeededRng(b"m"))[1]
    package = frost.SigningPackage(message=b"", commitments=(commitments, other))
    secret, round1 = frost.generate_round1(
        identifier=frost.Identifier(1), min_signers=1, max_signers=1, context=b"x", rng=SeededRng(b"y")
    )
    pair = {"sender": frost.Identifier(1), "receiver": frost.Identifier(2)}
    values = (
        public.group_public_key.element,
        public.group_public_key,
        shares[0],
        public,
        frost.RepairCommitment(identifier=frost.Identifier(1), summands=public.vss_commitment),
        frost.RepairSum(**pair, share=secret.coefficients[0]),
        frost.RepairSummand(**pair, share=secret.coefficients[0]),
        round1,
        frost.Round2Package(**pair, share=secret.coefficients[0]),
        frost.sign(package, nonces, shares[0]),
        commitments,
    )
    return tuple((type(value), value.to_bytes()) for value in values)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_quorum_of_a_generated_group_signs_any_message(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5))
    k = data.draw(st.integers(1, n))
    shares, public = generate_group(k, n)
    signers = data.draw(st.lists(st.sampled_from(shares), min_size=k, max_size=n, unique=True))
    message = data.draw(st.binary(max_size=64))
    rng = SeededRng(data.draw(st.binary(max_size=8)))
    committed = [frost.commit(share, rng) for share in signers]
    package = frost.SigningPackage(message=message, commitments=tuple(item for _, item in committed))
    signed = [frost.sign(package, nonces, who) for (nonces, _), who in zip(committed, signers, strict=True)]
    signature = frost.aggregate(package, signed, public)
    public.group_public_key.verify_signature(message, signature)
    with pytest.raises(InvalidSignatureError):
        public.group_public_key.verify_signature(message + b".", signature)


@given(st.lists(scalars, min_size=1, max_size=6), st.data())
@settings(max_examples=50, deadline=None)
def test_as_many_points_as_coefficients_give_the_secret(
    coefficients: list[frost.Scalar], data: st.DataObject
) -> None:
    size = len(coefficients)
    numbers = data.draw(st.lists(st.integers(1, 65535), min_size=size, max_size=size, unique=True))
    terms = (compute_lagrange_coefficient(numbers, x) * evaluate(coefficients, x) for x in numbers)
    assert sum(terms) % ORDER == coefficients[0]


@given(st.lists(scalars, min_size=1, max_size=6), st.data())
@settings(max_examples=50, deadline=None)
def test_as_many_points_as_coefficients_give_every_other_point(
    coefficients: list[frost.Scalar], data: st.DataObject
) -> None:
    size = len(coefficients)
    at, *numbers = data.draw(
        st.lists(st.integers(0, 65535), min_size=size + 1, max_size=size + 1, unique=True)
    )
    terms = (compute_lagrange_coefficient(numbers, x, at) * evaluate(coefficients, x) for x in numbers)
    assert sum(terms) % ORDER == evaluate(coefficients, at)


@given(st.sampled_from(KINDS), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_value_or_an_encoding_error(kind: type, data: bytes) -> None:
    try:
        value = kind.from_bytes(data)  # type: ignore[attr-defined]
    except EncodingError:
        return
    assert value.to_bytes() == data


@given(st.sampled_from(range(len(KINDS))), st.data())
@settings(max_examples=200, deadline=None)
def test_changed_byte_gives_another_value_or_an_encoding_error(index: int, data: st.DataObject) -> None:
    kind, encoded = spell_examples()[index]
    offset = data.draw(st.integers(0, len(encoded) - 1))
    changed = bytearray(encoded)
    changed[offset] ^= data.draw(st.integers(1, 255))
    try:
        value = kind.from_bytes(bytes(changed))  # type: ignore[attr-defined]
    except EncodingError:
        return
    assert value != kind.from_bytes(encoded)  # type: ignore[attr-defined]
    assert value.to_bytes() == changed


@given(st.integers(0, 2), st.integers(1, ORDER - 1))
@settings(max_examples=25, deadline=None)
def test_whatever_a_signer_adds_to_its_share_it_alone_is_named(index: int, difference: int) -> None:
    shares, public = generate_group(3, 5)
    rng = SeededRng(b"cheat")
    committed = [frost.commit(share, rng) for share in shares[1:4]]
    package = frost.SigningPackage(message=b"m", commitments=tuple(item for _, item in committed))
    signed = [
        frost.sign(package, nonces, who) for (nonces, _), who in zip(committed, shares[1:4], strict=True)
    ]
    bad = signed[index]
    signed[index] = frost.SignatureShare(
        identifier=bad.identifier, share=frost.Scalar((bad.share + difference) % ORDER)
    )
    with pytest.raises(VetonetError) as caught:
        frost.aggregate(package, signed, public)
    assert isinstance(caught.value, InvalidSignatureError)
    assert caught.value.culprits == (str(bad.identifier),)


@given(st.integers(1, ORDER - 1))
@settings(max_examples=50, deadline=None)
def test_every_multiple_of_the_generator_is_an_element(scalar: int) -> None:
    element = multiply_base(scalar)
    assert frost.Element.from_bytes(element.to_bytes()) == element
