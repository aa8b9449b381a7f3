"""What a range proof gives away and what a lying prover gets by with: nothing; and where masks come from."""

from __future__ import annotations

from collections import Counter

import pytest

from support.range_claims import list_fields, make_opening, make_transcript
from support.range_provers import GROUP, ProgrammedTranscript, hash_to_scalar, prove_falsely, simulate
from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs import Transcript, curve, nonces, prove_range, prover, verifier
from vetonet.crypto.bulletproofs.challenges import announce_range
from vetonet.crypto.bulletproofs.prover import Witness
from vetonet.crypto.bulletproofs.verifier import Statement
from vetonet.crypto.pedersen import VALUE_GENERATOR, Opening, commit
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.secp256k1 import ORDER, Point
from vetonet.errors import ProofError

BITS = 8
BLINDING = 31337


def commit_to(value: int, blinding: int = BLINDING) -> bytes:
    """Commit to any number modulo the order, which an opening would not hold."""
    return GROUP.encode_point(prover._commit(GROUP, Witness(value=value % ORDER, blinding=blinding)))


def state(proof: bytes, commitment: bytes, transcript: Transcript | ProgrammedTranscript) -> Statement[Point]:
    return Statement(
        proof=proof, commitments=(GROUP.decode_point(commitment),), bits=BITS, transcript=transcript
    )


def spread(value: int, bits: int = BITS) -> list[int]:
    return [value >> place & 1 for place in range(bits)]


def prove_with_dead_source(opening: Opening, transcript: Transcript) -> bytes:
    return prove_range([opening], bits=BITS, transcript=transcript, rng=bytes)


@pytest.mark.parametrize(
    "commitment",
    [commit_to(200), commit_to(256), commit_to(-1), commit_to(2**200), VALUE_GENERATOR],
    ids=["in the range", "just above it", "negative", "far above it", "the generator itself"],
)
def test_who_knows_the_challenges_beforehand_proves_anything_about_a_point_it_cannot_open(
    commitment: bytes,
) -> None:
    """So a proof contains nothing that could not be had without the secret: it is zero-knowledge."""
    transcript = ProgrammedTranscript(b"challenges")
    proof = simulate(commitment, bits=BITS, seed=b"simulator", transcript=transcript)
    verifier.verify(GROUP, [state(proof, commitment, transcript)])


def test_a_point_that_nobody_can_open_is_proven_with_such_challenges_too() -> None:
    commitment = GROUP.encode_point(curve.hash_to_point(b"nobody", 0, 0))
    transcript = ProgrammedTranscript(b"challenges")
    proof = simulate(commitment, bits=BITS, seed=b"simulator", transcript=transcript)
    verifier.verify(GROUP, [state(proof, commitment, transcript)])


def test_a_simulated_proof_is_refused_where_the_transcript_listens() -> None:
    transcript = ProgrammedTranscript(b"challenges")
    proof = simulate(commit_to(200), bits=BITS, seed=b"simulator", transcript=transcript)
    for listening in (make_transcript(), ProgrammedTranscript(b"other challenges")):
        with pytest.raises(ProofError, match="is false"):
            verifier.verify(GROUP, [state(proof, commit_to(200), listening)])


def test_an_honest_prover_with_programmed_challenges_sends_as_many_bytes_as_the_simulator() -> None:
    transcript = ProgrammedTranscript(b"challenges")
    witness = Witness(value=200, blinding=BLINDING)
    honest = prover.prove(GROUP, [witness], bits=BITS, transcript=transcript, rng=SeededRng(b"prover"))
    verifier.verify(GROUP, [state(honest, commit_to(200), transcript)])
    simulated = simulate(commit_to(200), bits=BITS, seed=b"simulator", transcript=transcript)
    assert len(honest) == len(simulated)


def test_binary_digits_that_spell_the_value_are_all_that_passes() -> None:
    transcript = make_transcript()
    digits = spread(200)
    honest = prove_falsely(
        Witness(value=200, blinding=BLINDING), digits, [digit - 1 for digit in digits], transcript
    )
    verifier.verify(GROUP, [state(honest, commit_to(200), transcript)])


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (256, spread(0)),
        (256 + 44, spread(44)),
        (-1, spread(255)),
        (-5, spread(-5)),
        (ORDER - 1, spread(0)),
        (200, spread(201)),
        (256, [2, 1, 1, 1, 1, 1, 1, 1]),
        (256, [0, 0, 0, 0, 0, 0, 0, 2]),
        (-1, [-1, 0, 0, 0, 0, 0, 0, 0]),
        (2**200, [2**200, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=[
        "value above the range",
        "higher bits dropped",
        "minus one as all ones",
        "negative remainder in two's complement",
        "negative remainder dropped",
        "digits of another value",
        "a digit of two carries",
        "a high digit of two",
        "a negative digit",
        "one digit is the value",
    ],
)
def test_a_prover_with_wrong_digits_is_refused(value: int, digits: list[int]) -> None:
    transcript = make_transcript()
    witness = Witness(value=value % ORDER, blinding=BLINDING)
    proof = prove_falsely(witness, digits, [digit - 1 for digit in digits], transcript)
    with pytest.raises(ProofError, match="is false"):
        verifier.verify(GROUP, [state(proof, commit_to(value), transcript)])


def test_a_prover_whose_complements_do_not_belong_to_its_digits_is_refused() -> None:
    transcript = make_transcript()
    proof = prove_falsely(Witness(value=256, blinding=BLINDING), [2] + [0] * 6 + [1], [0] * 8, transcript)
    with pytest.raises(ProofError, match="is false"):
        verifier.verify(GROUP, [state(proof, commit_to(256), transcript)])


def test_a_negative_remainder_has_no_witness() -> None:
    with pytest.raises(ValueError, match="not in the range of 64 bits"):
        prover.prove(
            GROUP,
            [Witness(value=ORDER - 5, blinding=BLINDING)],
            bits=64,
            transcript=make_transcript(),
            rng=SeededRng(b"prover"),
        )


def test_with_a_dead_source_of_randomness_no_field_occurs_in_two_proofs() -> None:
    """Two proofs under the same masks would be two equations for one unknown."""
    openings = [make_opening(value) for value in range(8)]
    openings += [make_opening(1, seed) for seed in (b"another", b"a third")]
    transcripts = [make_transcript(name) for name in (b"first", b"second", b"third")]
    seen: Counter[bytes] = Counter()
    for opening in openings:
        for transcript in transcripts:
            proof = prove_with_dead_source(opening, transcript)
            seen.update(proof[place] for place in list_fields(proof).values())
    assert set(seen.values()) == {1}


def test_masks_differ_where_only_the_blinding_the_value_or_the_randomness_does() -> None:
    transcript = make_transcript()
    proofs = {
        prove_range([opening], bits=BITS, transcript=transcript, rng=rng)
        for opening in (make_opening(3), make_opening(4), make_opening(3, b"another"))
        for rng in (bytes, SeededRng(b"prover"))
    }
    assert len(proofs) == 6
    assert len({proof[33:66] for proof in proofs}) == 6  # S is made of masks alone


def test_with_a_dead_source_the_masks_are_found_by_whoever_knows_the_blinding_and_by_nobody_else() -> None:
    transcript, witness = make_transcript(), Witness(value=200, blinding=BLINDING)
    proof = prover.prove(GROUP, [witness], bits=BITS, transcript=transcript, rng=bytes)
    said = transcript.copy()
    announce_range(said, bits=BITS, count=1, commitments=[commit_to(200)])
    setting = prover._Setting(group=GROUP, generators=GROUP.compute_generators(BITS, 1), bits=BITS)

    def commit_masks(secret: bytes) -> bytes:
        masks = nonces.draw_masks(ORDER, bytes, secret=secret, transcript=said, length=BITS)
        return GROUP.encode_point(prover._commit_masks(setting, masks))

    known = [GROUP.encode_scalar(number) for number in (witness.value, witness.blinding)]
    guessed = [b"", known[0], known[0] + bytes(32), bytes(32) + known[1]]
    sent = proof[list_fields(proof)["S"]]
    assert commit_masks(b"".join(known)) == sent
    assert sent not in {commit_masks(secret) for secret in guessed}
    assert len({commit_masks(secret) for secret in guessed}) == len(guessed)


def test_masks_are_spread_evenly() -> None:
    """Bits of 4,096 numbers: each is set in half of them, within six standard deviations of 32."""
    masks = nonces.draw_masks(ORDER, bytes, secret=b"secret", transcript=make_transcript(), length=2048)
    numbers = masks.left + masks.right
    assert len(set(numbers)) == 4096
    assert all(0 < number < ORDER for number in numbers)
    for place in range(255):
        assert abs(sum(number >> place & 1 for number in numbers) - 2048) < 6 * 32


def test_the_numbers_of_proofs_of_one_value_say_nothing_of_it() -> None:
    """The bits of the scalars in 40 proofs, of zero and of 255: in both half of them are set."""
    for value in (0, 255):
        bits = 0
        for number in range(40):
            transcript = make_transcript(bytes([number]))
            proof = prove_with_dead_source(make_opening(value), transcript)
            places = list_fields(proof)
            bits += sum(
                int.from_bytes(proof[places[name]], "big").bit_count()
                for name in ("t", "tau", "mu", "a", "b")
            )
        total = 40 * 5 * 256
        assert abs(bits - total / 2) < 6 * (total / 4) ** 0.5


@pytest.mark.parametrize(
    "secret",
    [
        Witness(value=4711, blinding=815815),
        nonces.draw_masks(ORDER, bytes, secret=b"", transcript=make_transcript(), length=8),
        prover._Polynomials(l0=[4711], l1=[], r0=[815815], r1=[]),
    ],
    ids=["witness", "masks", "polynomials"],
)
def test_what_the_prover_knows_is_in_no_repr(secret: object) -> None:
    assert not any(digits in repr(secret) for digits in ("4711", "815815", "left=", "value="))


def test_challenges_of_the_programmed_transcript_are_as_expected() -> None:
    """The double itself: the n-th challenge under a label is the n-th number of the seed."""
    transcript = ProgrammedTranscript(b"seed")
    first = transcript.compute_challenge(b"u")
    assert first == hash_to_scalar(b"seed", b"u", 1)
    assert transcript.copy().compute_challenge(b"u") == transcript.compute_challenge(b"u") != first


def test_commitments_with_one_blinding_give_the_difference_of_their_values_away() -> None:
    """Why a blinding is for one value only: no range proof can mend this."""
    blinding = make_opening(0).blinding
    high, low = (commit(Opening(value=value, blinding=blinding)).point for value in (1000, 300))
    difference = secp256k1.add_points((high, secp256k1.negate_point(low)))
    assert difference == secp256k1.multiply_point(VALUE_GENERATOR, (700).to_bytes(32, "big"))
