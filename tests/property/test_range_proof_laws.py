"""Laws of range proofs: what is in the range passes, nothing else does, a batch judges like its proofs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.range_claims import alter, flip, make_claim, make_opening, make_transcript
from support.range_provers import GROUP, prove_falsely
from vetonet.crypto.bulletproofs import RangeClaim, find_false, verifier, verify_range, verify_ranges
from vetonet.crypto.bulletproofs.prover import Witness
from vetonet.crypto.bulletproofs.scalars import compute_inner_product, compute_powers, invert_all
from vetonet.crypto.bulletproofs.verifier import Statement
from vetonet.crypto.pedersen import commit
from vetonet.crypto.secp256k1 import ORDER
from vetonet.errors import ProofError

CLAIM = make_claim([77])
scalars = st.integers(1, ORDER - 1)


def is_proven(claim: RangeClaim) -> bool:
    try:
        verify_range(claim)
    except ProofError:
        return False
    return True


@given(
    values=st.sampled_from([1, 2, 4]).flatmap(lambda n: st.lists(st.integers(0, 255), min_size=n, max_size=n))
)
@settings(max_examples=25, deadline=None)
def test_values_in_the_range_are_proven(values: Sequence[int]) -> None:
    verify_range(make_claim(values))


@given(value=st.integers(0, 2**64 - 1), context=st.binary(max_size=40))
@settings(max_examples=8, deadline=None)
def test_any_count_is_proven_for_any_statement(value: int, context: bytes) -> None:
    verify_range(make_claim([value], bits=64, context=context))


@given(value=st.one_of(st.integers(256, 2**64), st.integers(ORDER - 2**64, ORDER - 1)))
@settings(max_examples=25, deadline=None)
def test_no_value_outside_the_range_passes_with_its_lowest_bits(value: int) -> None:
    digits = [value >> place & 1 for place in range(8)]
    transcript = make_transcript()
    witness = Witness(value=value % ORDER, blinding=5)
    proof = prove_falsely(witness, digits, [digit - 1 for digit in digits], transcript)
    point = GROUP.multiply_secret((witness.value, 5), (GROUP.value_generator, GROUP.blinding_generator))
    assert point is not None
    with pytest.raises(ProofError, match="is false"):
        verifier.verify(GROUP, [Statement(proof=proof, commitments=(point,), bits=8, transcript=transcript)])


@given(place=st.integers(0, len(CLAIM.proof) - 1), mask=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_an_altered_byte_is_refused(place: int, mask: int) -> None:
    assert not is_proven(alter(CLAIM, proof=flip(CLAIM.proof, place, mask)))


@given(proof=st.one_of(st.binary(max_size=600), st.binary(min_size=490, max_size=490)))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_no_proof(proof: bytes) -> None:
    with pytest.raises(ProofError):
        verify_range(alter(CLAIM, proof=proof))


@given(spoilt=st.lists(st.booleans(), min_size=1, max_size=9))
@settings(max_examples=20, deadline=None)
def test_a_batch_is_proven_where_every_claim_is(spoilt: Sequence[bool]) -> None:
    wrong = alter(CLAIM, commitments=(commit(make_opening(78)),))
    batch = [wrong if bad else CLAIM for bad in spoilt]
    places = tuple(place for place, claim in enumerate(batch) if not is_proven(claim))
    assert find_false(batch) == places
    if places:
        with pytest.raises(ProofError):
            verify_ranges(batch)
    else:
        verify_ranges(batch)


@given(numbers=st.lists(scalars, min_size=1, max_size=12))
def test_each_number_times_its_inverse_is_one(numbers: Sequence[int]) -> None:
    inverses = invert_all(numbers, ORDER)
    assert [number * inverse % ORDER for number, inverse in zip(numbers, inverses, strict=True)] == [1] * len(
        numbers
    )


@given(numbers=st.lists(scalars, max_size=5), place=st.integers(0, 5))
def test_zero_has_no_inverse(numbers: list[int], place: int) -> None:
    numbers.insert(place, 0)
    with pytest.raises(ValueError, match="invertible"):
        invert_all(numbers, ORDER)


@given(base=st.integers(0, ORDER - 1), count=st.integers(1, 20))
def test_powers_are_powers(base: int, count: int) -> None:
    assert compute_powers(base, count, ORDER) == [pow(base, exponent, ORDER) for exponent in range(count)]


@given(base=st.integers(0, ORDER - 1), rounds=st.integers(0, 7))
def test_the_sum_of_powers_is_their_sum(base: int, rounds: int) -> None:
    powers = compute_powers(base, 2**rounds, ORDER)
    assert verifier._sum_powers(base, 2**rounds, ORDER) == sum(powers) % ORDER
    assert compute_inner_product(powers, [1] * len(powers), ORDER) == sum(powers) % ORDER
