"""Range proofs: what is proven, and everything that has to be refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.range_claims import alter, flip, list_fields, make_claim, make_opening, make_transcript
from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs import (
    RangeClaim,
    Transcript,
    compute_proof_bytes,
    find_false,
    prove_range,
    verifier,
    verify_range,
    verify_ranges,
)
from vetonet.crypto.bulletproofs.range_proof import _GROUP, _parse
from vetonet.crypto.pedersen import (
    MAX_VALUE,
    VALUE_GENERATOR,
    Commitment,
    Opening,
    commit,
    compute_remainder,
    compute_remainder_opening,
    sum_commitments,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ProofError

ORDER = secp256k1.ORDER
GROUP_ORDER_BYTES = ORDER.to_bytes(32, "big")


@pytest.fixture(scope="module")
def claim() -> RangeClaim:
    return make_claim([200])


@pytest.fixture(scope="module")
def large() -> RangeClaim:
    return make_claim([MAX_VALUE - 1], bits=64)


@pytest.fixture(scope="module")
def four() -> RangeClaim:
    return make_claim([1, 2, 3, 4])


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_the_least_and_the_largest_value_of_a_range_are_proven(bits: int) -> None:
    verify_ranges([make_claim([value], bits=bits) for value in (0, 2**bits - 1)])


def test_the_most_values_are_proven_together_and_one_may_occur_often() -> None:
    """So a list that is no power of two long is filled up with its last value."""
    verify_range(make_claim([1, 2, 3, *[255] * 61]))


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_several_values_are_proven_together(count: int) -> None:
    verify_range(make_claim(range(250, 250 + count), bits=16))


@pytest.mark.parametrize(
    ("bits", "count", "size"),
    [(64, 1, 688), (8, 1, 490), (64, 2, 754), (64, 4, 820), (64, 64, 1084), (32, 1, 622)],
)
def test_a_proof_has_the_length_of_its_shape(bits: int, count: int, size: int) -> None:
    """Nine elements and two for each halving (section 4.1 of the paper): 2 * log2(64) + 9 are 21."""
    assert compute_proof_bytes(bits, count) == size


def test_a_proof_of_64_bits_has_688_bytes(large: RangeClaim) -> None:
    assert len(large.proof) == 688


def test_what_is_left_of_a_limit_is_proven_without_its_opening_being_shown() -> None:
    used = make_opening(999)
    left = compute_remainder_opening(1000, used)
    assert commit(left) == compute_remainder(1000, commit(used))
    transcript = make_transcript()
    proof = prove_range([left], bits=64, transcript=transcript, rng=SeededRng(b"prover"))
    verify_range(
        RangeClaim(
            proof=proof,
            commitments=(compute_remainder(1000, commit(used)),),
            bits=64,
            transcript=transcript,
        )
    )


def test_a_flipped_bit_anywhere_is_refused(claim: RangeClaim) -> None:
    for place in range(len(claim.proof)):
        with pytest.raises(ProofError):
            verify_range(alter(claim, proof=flip(claim.proof, place, 1 << place % 8)))


def test_a_flipped_bit_in_any_field_of_a_long_proof_is_refused(large: RangeClaim) -> None:
    for field in list_fields(large.proof).values():
        with pytest.raises(ProofError):
            verify_range(alter(large, proof=flip(large.proof, field.stop - 1)))


@pytest.mark.parametrize("name", ["A", "S", "T1", "T2", "L0", "R2"])
@pytest.mark.parametrize(
    "spelling",
    [
        bytes(33),
        b"\x02" + b"\xff" * 32,
        b"\x02" + bytes(31) + b"\x05",
        b"\x05" + bytes(31) + b"\x01",
        b"\x04" + bytes(32),
    ],
    ids=["infinity", "beyond the prime", "not on the curve", "unknown prefix", "uncompressed"],
)
def test_a_point_that_is_none_is_refused(claim: RangeClaim, name: str, spelling: bytes) -> None:
    place = list_fields(claim.proof)[name]
    proof = claim.proof[: place.start] + spelling + claim.proof[place.stop :]
    with pytest.raises(ProofError, match="not the spelling of any: expected a point"):
        verify_range(alter(claim, proof=proof))


@pytest.mark.parametrize("name", ["t", "tau", "mu", "a", "b"])
def test_a_scalar_spelled_in_a_second_way_is_refused(claim: RangeClaim, name: str) -> None:
    place = list_fields(claim.proof)[name]
    scalar = int.from_bytes(claim.proof[place], "big")
    for spelling in (GROUP_ORDER_BYTES, b"\xff" * 32, (scalar + ORDER).to_bytes(33, "big")[-32:]):
        proof = claim.proof[: place.start] + spelling + claim.proof[place.stop :]
        with pytest.raises(ProofError):
            verify_range(alter(claim, proof=proof))


@pytest.mark.parametrize("name", ["A", "S", "T1", "T2", "L0", "R2"])
def test_a_negated_point_is_refused(claim: RangeClaim, name: str) -> None:
    place = list_fields(claim.proof)[name]
    negated = secp256k1.negate_point(claim.proof[place])
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(claim, proof=claim.proof[: place.start] + negated + claim.proof[place.stop :]))


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + b"\0", lambda p: p[:0], lambda p: p + p])
def test_a_proof_of_another_length_is_refused(claim: RangeClaim, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ProofError, match="has 490 bytes, not"):
        verify_range(alter(claim, proof=change(claim.proof)))


@pytest.mark.parametrize("shift", [1, 2**64 % ORDER, ORDER - 1])
def test_a_proof_is_not_about_a_shifted_commitment(claim: RangeClaim, shift: int) -> None:
    step = Commitment(point=secp256k1.multiply_point(VALUE_GENERATOR, shift.to_bytes(32, "big")))
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(claim, commitments=(claim.commitments[0].add(step),)))


def test_a_proof_is_not_about_the_same_value_under_another_blinding(claim: RangeClaim) -> None:
    other = commit(make_opening(200, b"another blinding"))
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(claim, commitments=(other,)))


def test_a_proof_is_not_about_its_negated_commitment(claim: RangeClaim) -> None:
    negated = Commitment(point=secp256k1.negate_point(claim.commitments[0].point))
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(claim, commitments=(negated,)))


def test_swapped_commitments_are_refused(four: RangeClaim) -> None:
    first, second, *rest = four.commitments
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(four, commitments=(second, first, *rest)))


@pytest.mark.parametrize("place", range(4))
def test_one_bad_commitment_among_several_is_refused(four: RangeClaim, place: int) -> None:
    commitments = list(four.commitments)
    commitments[place] = commit(make_opening(77))
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(four, commitments=tuple(commitments)))


def test_fewer_or_more_commitments_than_proven_are_refused(four: RangeClaim) -> None:
    for commitments in (four.commitments[:2], four.commitments * 2):
        with pytest.raises(ProofError, match="bytes, not"):
            verify_range(alter(four, commitments=commitments))


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_a_proof_of_fewer_bits_is_not_one_of_more(claim: RangeClaim, bits: int) -> None:
    with pytest.raises(ProofError, match="bytes, not 490"):
        verify_range(alter(claim, bits=bits))


def test_a_proof_of_other_bits_and_another_count_is_refused_though_it_has_the_length(
    four: RangeClaim,
) -> None:
    """Four values of 8 bits and one of 32 have as many halvings; the shape is in the transcript."""
    assert len(four.proof) == compute_proof_bytes(32, 1)
    with pytest.raises(ProofError, match="is false"):
        verify_range(alter(four, bits=32, commitments=four.commitments[:1]))


def test_a_proof_made_for_another_statement_is_refused(claim: RangeClaim) -> None:
    longer = make_transcript()
    longer.append(b"context", b"")
    for transcript in (make_transcript(b"another statement"), Transcript(b"vetonet/tests/range"), longer):
        with pytest.raises(ProofError, match="is false"):
            verify_range(alter(claim, transcript=transcript))


def test_a_claim_keeps_what_its_transcript_had_heard() -> None:
    transcript = make_transcript()
    proof = prove_range([make_opening(7)], bits=8, transcript=transcript, rng=SeededRng(b"prover"))
    claim = RangeClaim(proof=proof, commitments=(commit(make_opening(7)),), bits=8, transcript=transcript)
    transcript.append(b"later", b"words")
    verify_range(claim)
    verify_range(claim)


@pytest.mark.parametrize(("value", "bits"), [(256, 8), (2**16, 16), (2**32, 32), (MAX_VALUE, 32)])
def test_a_value_outside_the_range_cannot_be_proven(value: int, bits: int) -> None:
    with pytest.raises(ValueError, match=f"not in the range of {bits} bits"):
        prove_range(
            [make_opening(1), make_opening(value)],
            bits=bits,
            transcript=make_transcript(),
            rng=SeededRng(b"prover"),
        )


@pytest.mark.parametrize(("bits", "count"), [(0, 1), (7, 1), (65, 1), (128, 1), (8, 0), (8, 3), (8, 128)])
def test_a_shape_that_no_proof_has_is_refused(bits: int, count: int) -> None:
    openings = [make_opening(1)] * count
    commitments = tuple(commit(opening) for opening in openings)
    transcript = make_transcript()
    with pytest.raises(ValueError, match=r"bits, not|values, not"):
        compute_proof_bytes(bits, count)
    with pytest.raises(ValueError, match=r"bits, not|values, not"):
        prove_range(openings, bits=bits, transcript=transcript, rng=SeededRng(b"prover"))
    with pytest.raises(ValueError, match=r"bits, not|values, not"):
        RangeClaim(proof=b"", commitments=commitments, bits=bits, transcript=transcript)


def test_a_source_of_randomness_that_gives_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="wrong number of bytes"):
        prove_range([make_opening(1)], bits=8, transcript=make_transcript(), rng=lambda size: bytes(size - 1))


def test_a_batch_of_different_shapes_is_verified_at_once(claim: RangeClaim, four: RangeClaim) -> None:
    verify_ranges([claim, four, make_claim([5], bits=64), make_claim([1, 2], bits=32), claim])


def test_an_empty_batch_proves_nothing() -> None:
    with pytest.raises(ProofError, match="no proofs"):
        verify_ranges([])
    assert find_false([]) == ()


def test_one_false_claim_spoils_a_batch_and_is_found(claim: RangeClaim, four: RangeClaim) -> None:
    false = alter(claim, commitments=(commit(make_opening(5)),))
    batch = [claim, four, false, claim, four]
    with pytest.raises(ProofError, match="of the batch is false"):
        verify_ranges(batch)
    assert find_false(batch) == (2,)


def test_a_malformed_proof_spoils_a_batch_and_is_found(claim: RangeClaim) -> None:
    batch = [alter(claim, proof=b""), claim, alter(claim, proof=bytes(490)), claim]
    with pytest.raises(ProofError):
        verify_ranges(batch)
    assert find_false(batch) == (0, 2)


def test_a_true_batch_has_nothing_false(claim: RangeClaim, four: RangeClaim) -> None:
    assert find_false([claim, four]) == ()


def test_errors_in_two_proofs_do_not_cancel_out(claim: RangeClaim) -> None:
    """One claim is a step too high and one a step too low: their equations would cancel without weights."""
    step = Commitment(point=VALUE_GENERATOR)
    back = Commitment(point=secp256k1.negate_point(VALUE_GENERATOR))
    (commitment,) = claim.commitments
    batch = [
        alter(claim, commitments=(sum_commitments((commitment, step)),)),
        alter(claim, commitments=(sum_commitments((commitment, back)),)),
    ]
    with pytest.raises(ProofError):
        verify_ranges(batch)
    assert find_false(batch) == (0, 1)


def test_shifted_scalars_of_one_proof_twice_do_not_cancel_out(claim: RangeClaim) -> None:
    """The last scalar is answered by no challenge; only the weights depend on it."""
    place = list_fields(claim.proof)["b"]
    scalar = int.from_bytes(claim.proof[place], "big")
    batch = [
        alter(claim, proof=claim.proof[: place.start] + ((scalar + step) % ORDER).to_bytes(32, "big"))
        for step in (1, ORDER - 1)
    ]
    with pytest.raises(ProofError):
        verify_ranges(batch)


def test_the_weights_of_a_batch_depend_on_every_field_of_every_proof(claim: RangeClaim) -> None:
    """A prover that knew them beforehand could make two false equations cancel out."""
    seen = set()
    for name, place in list_fields(claim.proof).items():
        for change in ("none", name):
            proof = claim.proof if change == "none" else _alter_field(claim.proof, place)
            batch = [_parse(alter(claim, proof=proof)), _parse(claim)]
            replays = [verifier._replay(_GROUP, statement) for statement in batch]
            weights = verifier._compute_weights(replays, ORDER)
            assert len({number for w in weights for number in (w.vectors, w.evaluation)}) == 4
            seen.add(tuple((w.vectors, w.evaluation) for w in weights))
    assert len(seen) == 1 + len(list_fields(claim.proof))


def _alter_field(proof: bytes, place: slice) -> bytes:
    """Negate a point, or add one to a scalar."""
    field = proof[place]
    if len(field) == secp256k1.POINT_BYTES:
        altered = secp256k1.negate_point(field)
    else:
        altered = ((int.from_bytes(field, "big") + 1) % ORDER).to_bytes(32, "big")
    return proof[: place.start] + altered + proof[place.stop :]


def test_the_weights_of_a_batch_depend_on_its_order(claim: RangeClaim, four: RangeClaim) -> None:
    replays = [verifier._replay(_GROUP, _parse(item)) for item in (claim, four)]
    forth, back = (verifier._compute_weights(order, ORDER) for order in (replays, replays[::-1]))
    assert not {weights.vectors for weights in forth} & {weights.vectors for weights in back}


def test_a_proof_says_the_same_to_everybody_and_every_time(claim: RangeClaim) -> None:
    again = make_claim([200])
    assert again.proof == claim.proof
    for _ in range(3):
        verify_range(claim)


def test_no_error_repeats_a_secret() -> None:
    secret = Opening(value=4711, blinding=(815 * 10**60).to_bytes(32, "big"))
    with pytest.raises(ValueError, match="range of 8 bits") as caught:
        prove_range([secret], bits=8, transcript=make_transcript(), rng=SeededRng(b"prover"))
    assert "4711" not in str(caught.value)
    assert "815" not in str(caught.value)
