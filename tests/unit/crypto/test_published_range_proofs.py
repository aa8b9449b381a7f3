"""Our verifier over ristretto255 and Merlin accepts what dalek-cryptography published, and nothing else.

One code path: what is parameterised is the group (``support.ristretto255``) and the transcript
(``support.merlin``). So the equations, the order of messages and the bytes of a proof are the published ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cache
from pathlib import Path

import pytest

from support import ristretto255
from support.merlin import MerlinTranscript
from support.range_claims import flip
from support.ristretto255 import DalekGroup, Point
from vetonet.crypto.bulletproofs import prover, verifier
from vetonet.crypto.bulletproofs.layout import compute_size
from vetonet.crypto.bulletproofs.prover import Witness
from vetonet.crypto.bulletproofs.verifier import Statement
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProofError

PUBLISHED = Path(__file__).resolve().parents[2] / "support" / "dalek_range_proofs.txt"
LABEL = b"Deserialize-And-Verify Test"
GROUP = DalekGroup()
SHAPES = [(bits, count) for bits in (8, 16, 32, 64) for count in (1, 2, 4, 8)]


@cache
def read_published() -> tuple[tuple[bytes, ...], dict[tuple[int, int], bytes]]:
    commitments, proofs = [], {}
    for line in PUBLISHED.read_text(encoding="ascii").splitlines():
        match line.split():
            case ["V", commitment]:
                commitments.append(bytes.fromhex(commitment))
            case [bits, count, proof] if bits.isdecimal():
                proofs[int(bits), int(count)] = bytes.fromhex(proof)
    return tuple(commitments), proofs


def state(bits: int, count: int, *, label: bytes = LABEL) -> Statement[Point]:
    commitments, proofs = read_published()
    return Statement(
        proof=proofs[bits, count],
        commitments=tuple(map(GROUP.decode_point, commitments[:count])),
        bits=bits,
        transcript=MerlinTranscript(label, ristretto255.ORDER),
    )


def alter(statement: Statement[Point], **changes: object) -> Statement[Point]:
    return dataclasses.replace(statement, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "count"), SHAPES)
def test_a_published_proof_is_accepted(bits: int, count: int) -> None:
    statement = state(bits, count)
    assert len(statement.proof) == compute_size(GROUP, bits, count)
    verifier.verify(GROUP, [statement])


def test_published_proofs_are_accepted_as_a_batch() -> None:
    verifier.verify(GROUP, [state(bits, count) for bits, count in SHAPES if bits * count <= 64])


@pytest.mark.parametrize("element", range(15))
def test_a_published_proof_altered_in_any_element_is_refused(element: int) -> None:
    statement = state(8, 1)
    assert len(statement.proof) == 15 * 32
    with pytest.raises(ProofError):
        verifier.verify(GROUP, [alter(statement, proof=flip(statement.proof, 32 * element + 1, 2))])


def test_a_published_proof_is_about_its_label_and_its_commitments_only() -> None:
    statement = state(16, 2)
    first, second = statement.commitments
    for changed in (
        state(16, 2, label=b"Deserialize-And-Verify test"),
        alter(statement, commitments=(second, first)),
        alter(statement, commitments=(first, first)),
    ):
        with pytest.raises(ProofError, match="is false"):
            verifier.verify(GROUP, [changed])


def test_one_altered_proof_in_a_batch_of_published_ones_is_found() -> None:
    batch = [state(8, 1), state(8, 2), state(16, 1)]
    batch[1] = alter(batch[1], proof=batch[1].proof[:-1] + b"\x04")
    assert verifier.find_false(GROUP, batch) == (1,)


def test_our_prover_proves_over_that_group_what_our_verifier_accepts() -> None:
    witnesses = [Witness(value=value, blinding=10**70 + value) for value in (7, 255)]
    transcript = MerlinTranscript(b"ours", ristretto255.ORDER)
    proof = prover.prove(GROUP, witnesses, bits=8, transcript=transcript, rng=SeededRng(b"prover"))
    commitments = tuple(prover._commit(GROUP, witness) for witness in witnesses)
    statement = Statement(proof=proof, commitments=commitments, bits=8, transcript=transcript)
    verifier.verify(GROUP, [statement])
    with pytest.raises(ProofError, match="is false"):
        verifier.verify(GROUP, [alter(statement, commitments=commitments[::-1])])


def test_the_constants_of_ristretto255_are_what_their_names_say() -> None:
    """RFC 9496, section 4.1."""
    prime, d = ristretto255.PRIME, ristretto255.D
    assert (d * 121666 + 121665) % prime == 0
    assert (ristretto255.SQRT_M1**2 + 1) % prime == 0
    assert (ristretto255.SQRT_AD_MINUS_ONE**2 + d + 1) % prime == 0
    assert (ristretto255.INVSQRT_A_MINUS_D**2 * (-1 - d) - 1) % prime == 0
    assert (1 - d**2) % prime == ristretto255.ONE_MINUS_D_SQ
    assert (d - 1) ** 2 % prime == ristretto255.D_MINUS_ONE_SQ


@pytest.mark.parametrize(
    ("multiple", "encoded"),
    [
        (2, "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919"),
        (3, "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259"),
        (4, "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57"),
        (5, "e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e"),
        (15, "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e"),
    ],
)
def test_multiples_of_the_ristretto255_generator_are_those_of_the_rfc(multiple: int, encoded: str) -> None:
    """RFC 9496, appendix A.1."""
    point = ristretto255.multiply_sum([multiple], [ristretto255.BASE])
    assert ristretto255.encode(point).hex() == encoded
    assert ristretto255.encode(ristretto255.decode(bytes.fromhex(encoded))).hex() == encoded


@pytest.mark.parametrize(
    ("label", "encoded"),
    [
        (
            b"Ristretto is traditionally a short shot of espresso coffee",
            "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
        ),
        (
            b"made with the normal amount of ground coffee but extracted with",
            "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
        ),
        (
            b"about half the amount of water in the same amount of time",
            "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826",
        ),
    ],
)
def test_elements_derived_from_bytes_are_those_of_the_rfc(label: bytes, encoded: str) -> None:
    """RFC 9496, appendix A.3: its inputs are the SHA-512 of these sentences (ristretto.group)."""
    assert ristretto255.encode(ristretto255.derive(hashlib.sha512(label).digest())).hex() == encoded


@pytest.mark.parametrize(
    "encoded",
    [
        "00" * 32,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
        "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
    ],
)
def test_bytes_that_encode_no_element_of_a_proof_are_refused(encoded: str) -> None:
    """The neutral element, and examples of RFC 9496, appendix A.2."""
    with pytest.raises(EncodingError):
        GROUP.decode_point(bytes.fromhex(encoded))


def test_the_order_of_ristretto255_gives_the_neutral_element() -> None:
    assert GROUP.multiply_public([ristretto255.ORDER], [ristretto255.BASE]) is None
    assert GROUP.add([ristretto255.BASE, GROUP.negate(ristretto255.BASE)]) is None
