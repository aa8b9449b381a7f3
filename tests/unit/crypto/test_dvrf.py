"""The beacon: one value for each input, whoever gives it; a bad part names its author; k - 1 know nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import pytest
from nacl import bindings

from support.world import deal_group
from vetonet.crypto import frost
from vetonet.crypto.dvrf import (
    CHALLENGE_TAG,
    OUTPUT_TAG,
    PARTIAL_BYTES,
    BeaconInput,
    PartialEvaluation,
    combine_partials,
    evaluate_partial,
    verify_partial,
)
from vetonet.crypto.frost.group import ORDER, Scalar, generate_scalar, multiply, multiply_base
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProtocolError, UnknownPartyError

RNG = SeededRng(b"dvrf")
N, K = 5, 3
PACKAGE, SHARES = deal_group(N, K, RNG)
OTHER_PACKAGE, OTHER_SHARES = deal_group(N, K, RNG)
ASKED = BeaconInput(group_public_key=PACKAGE.group_public_key, context=b"treaty 1", message=b"round 7")
PARTIALS = tuple(evaluate_partial(ASKED, share, RNG) for share in SHARES)
VALUE = combine_partials(ASKED, PARTIALS[:K], PACKAGE)


def sign(message: bytes, shares: tuple[frost.KeyShare, ...]) -> bytes:
    """Return a FROST signature of a message by these participants."""
    pairs = [frost.commit(share, RNG) for share in shares]
    package = frost.SigningPackage(message=message, commitments=tuple(public for _, public in pairs))
    parts = [frost.sign(package, nonces, share) for share, (nonces, _) in zip(shares, pairs, strict=True)]
    return frost.aggregate(package, parts, PACKAGE)


def test_a_frost_signature_is_no_beacon_because_one_message_has_many() -> None:
    # VN-19.13: whoever speaks last among the signers draws nonces until it likes the signature.
    first, second = sign(b"round 7", SHARES[:K]), sign(b"round 7", SHARES[:K])
    for signature in (first, second):
        PACKAGE.group_public_key.verify_signature(b"round 7", signature)
    assert first != second


@pytest.mark.parametrize("size", range(K, N + 1))
def test_every_coalition_gives_the_same_value(size: int) -> None:
    # VN-19.13
    for chosen in combinations(PARTIALS, size):
        assert combine_partials(ASKED, chosen, PACKAGE) == VALUE


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert {combine_partials(ASKED, chosen, PACKAGE).output for chosen in permutations(PARTIALS[:K])} == {
        VALUE.output
    }


def test_a_part_made_again_gives_the_same_value_with_another_proof() -> None:
    again = evaluate_partial(ASKED, SHARES[0], RNG)
    assert again.value == PARTIALS[0].value
    assert again.challenge != PARTIALS[0].challenge
    assert combine_partials(ASKED, (again, *PARTIALS[1:K]), PACKAGE) == VALUE


@pytest.mark.parametrize("changes", [{"message": b"round 8"}, {"context": b"treaty 2"}])
def test_another_message_or_context_gives_another_value(changes: dict[str, bytes]) -> None:
    other = replace(ASKED, **changes)  # type: ignore[arg-type]
    parts = [evaluate_partial(other, share, RNG) for share in SHARES[:K]]
    assert combine_partials(other, parts, PACKAGE).output != VALUE.output


def test_parts_of_an_input_are_told_apart() -> None:
    shifted = replace(ASKED, context=b"treaty 1r", message=b"ound 7")
    assert shifted.digest != ASKED.digest


@pytest.mark.parametrize("bad", [(0,), (2,), (0, 1)])
def test_every_bad_part_names_its_author(bad: tuple[int, ...]) -> None:
    # VN-19.13
    parts = [
        replace(part, value=PARTIALS[4].value) if index in bad else part
        for index, part in enumerate(PARTIALS[:K])
    ]
    with pytest.raises(InvalidSignatureError) as caught:
        combine_partials(ASKED, parts, PACKAGE)
    assert caught.value.culprits == tuple(str(index + 1) for index in bad)


def test_whoever_shifts_its_part_to_steer_the_value_is_named() -> None:
    # The last of a coalition sees the others' parts, and what it would have to give for another value.
    shifted = replace(PARTIALS[2], value=multiply(2, PARTIALS[2].value))
    with pytest.raises(InvalidSignatureError, match="3"):
        combine_partials(ASKED, (*PARTIALS[:2], shifted), PACKAGE)


@pytest.mark.parametrize(
    "part",
    [
        replace(PARTIALS[0], challenge=Scalar(0)),
        replace(PARTIALS[0], response=Scalar(0)),
        replace(PARTIALS[0], challenge=Scalar(0), response=Scalar(0)),
        replace(PARTIALS[0], response=Scalar((PARTIALS[0].response + 1) % ORDER)),
        replace(PARTIALS[0], identifier=frost.Identifier(2)),
    ],
)
def test_a_proof_that_proves_nothing_is_refused(part: PartialEvaluation) -> None:
    with pytest.raises(InvalidSignatureError):
        verify_partial(ASKED, part, PACKAGE)


def test_a_proof_whose_terms_cancel_out_is_refused() -> None:
    # With response = -challenge * 1 against a verifying share that is the generator itself.
    package, shares = deal_group(1, 1, bytes)
    assert shares[0].verifying_share == multiply_base(1)
    asked = replace(ASKED, group_public_key=package.group_public_key)
    part = evaluate_partial(asked, shares[0], RNG)
    with pytest.raises(InvalidSignatureError):
        verify_partial(asked, replace(part, challenge=Scalar(5), response=Scalar(ORDER - 5)), package)


def test_a_part_is_not_one_for_another_input_or_group() -> None:
    # VN-19.13: neither replayed over rounds or treaties, nor taken over from another group.
    for asked in (replace(ASKED, message=b"round 8"), replace(ASKED, context=b"treaty 2")):
        with pytest.raises(InvalidSignatureError):
            verify_partial(asked, PARTIALS[0], PACKAGE)
    with pytest.raises(ProtocolError, match="another group"):
        verify_partial(ASKED, PARTIALS[0], OTHER_PACKAGE)
    with pytest.raises(ProtocolError, match="another group"):
        evaluate_partial(ASKED, OTHER_SHARES[0], RNG)


def test_too_few_parts_twice_the_same_or_a_stranger_are_refused() -> None:
    with pytest.raises(ProtocolError, match="expected 3 parts"):
        combine_partials(ASKED, PARTIALS[: K - 1], PACKAGE)
    with pytest.raises(ProtocolError, match="two parts"):
        combine_partials(ASKED, (PARTIALS[0], *PARTIALS[:K]), PACKAGE)
    stranger = replace(PARTIALS[0], identifier=frost.Identifier(9))
    with pytest.raises(UnknownPartyError):
        combine_partials(ASKED, (*PARTIALS[:K], stranger), PACKAGE)


def test_fewer_than_the_quorum_cannot_tell_the_value_from_any_other() -> None:
    """For each value there is a missing part that gives it, and k - 1 parts do not say which is true."""
    identifiers = tuple(part.identifier for part in PARTIALS[:K])
    missing = compute_lagrange_coefficient(identifiers, identifiers[-1])
    weights = [compute_lagrange_coefficient(identifiers, identifier) for identifier in identifiers]
    known = frost.group.sum_elements(
        multiply(weight, part.value) for weight, part in zip(weights[:-1], PARTIALS, strict=False)
    )
    assert known != VALUE.value
    target = multiply_base(generate_scalar(RNG))
    needed = multiply(pow(missing, -1, ORDER), frost.group.sum_elements((target, multiply(ORDER - 1, known))))
    reached = frost.group.sum_elements((known, multiply(missing, needed)))
    assert reached == target


def test_a_part_has_one_spelling() -> None:
    data = PARTIALS[0].to_bytes()
    assert len(data) == PARTIAL_BYTES
    assert PartialEvaluation.from_bytes(data) == PARTIALS[0]
    for damaged in (data[:-1], data + b"\x00", b"\x00\x00" + data[2:], data[:2] + bytes(32) + data[34:]):
        with pytest.raises(EncodingError):
            PartialEvaluation.from_bytes(damaged)


@pytest.mark.parametrize("tag", [CHALLENGE_TAG, OUTPUT_TAG])
def test_no_hash_of_the_beacon_is_a_challenge_of_ed25519(tag: bytes) -> None:
    """Ed25519's challenge hashes a point first (RFC 8032 section 5.1.7); ours begin with what is none."""
    assert not bindings.crypto_core_ed25519_is_valid_point(tag[:32])


def test_a_nonce_does_not_repeat_where_randomness_does() -> None:
    """Two proofs with one nonce for two inputs would give the key share away."""

    def stuck(size: int) -> bytes:
        return bytes(size)

    def compute_nonce_point(asked: BeaconInput) -> bytes:
        part = evaluate_partial(asked, SHARES[0], stuck)
        return frost.group.sum_elements(
            (multiply_base(part.response), multiply(part.challenge, SHARES[0].verifying_share))
        ).to_bytes()

    assert compute_nonce_point(ASKED) != compute_nonce_point(replace(ASKED, message=b"round 8"))


def test_signing_and_evaluating_with_one_share_do_not_disturb_each_other() -> None:
    signature = sign(b"a licence", SHARES[:K])
    PACKAGE.group_public_key.verify_signature(b"a licence", signature)
    assert combine_partials(ASKED, PARTIALS[1 : K + 1], PACKAGE) == VALUE
