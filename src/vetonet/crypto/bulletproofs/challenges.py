"""What prover and verifier say into the transcript, in one place so that they cannot differ.

The labels and their order are those of dalek-cryptography's Bulletproofs, so that its published proofs are
verified by this code. Numbers have eight bytes, little-endian, as there.

Numbers in brackets are those of the paper's equations (Buenz et al. 2018, IACR ePrint 2017/1066).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.bulletproofs.group import ProofTranscript

_DOMAIN: Final = b"dom-sep"
_SCALAR_LABELS: Final = (b"t_x", b"t_x_blinding", b"e_blinding")
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BitChallenges:
    """The challenges y and z: what makes one equation of all bits of all values."""

    y: int
    z: int


def announce_range(
    transcript: ProofTranscript, *, bits: int, count: int, commitments: Sequence[bytes]
) -> None:
    """The statement is in the transcript: the shape of the proof and every commitment that it is about."""
    transcript.append(_DOMAIN, b"rangeproof v1")
    transcript.append(b"n", _spell(bits))
    transcript.append(b"m", _spell(count))
    for commitment in commitments:
        transcript.append(b"V", commitment)


def challenge_bits(transcript: ProofTranscript, *, bits: bytes, masks: bytes) -> BitChallenges:
    """Return the challenges that follow A and S (48 to 50)."""
    transcript.append(b"A", bits)
    transcript.append(b"S", masks)
    return BitChallenges(y=transcript.compute_challenge(b"y"), z=transcript.compute_challenge(b"z"))


def challenge_point(transcript: ProofTranscript, *, first: bytes, second: bytes) -> int:
    """Return the challenge x that follows T1 and T2 (54 to 56)."""
    transcript.append(b"T_1", first)
    transcript.append(b"T_2", second)
    return transcript.compute_challenge(b"x")


def challenge_product(transcript: ProofTranscript, *, scalars: Sequence[bytes]) -> int:
    """Return the challenge w that follows t(x), tau and mu, and ties the product to the vectors (63)."""
    for label, scalar in zip(_SCALAR_LABELS, scalars, strict=True):
        transcript.append(label, scalar)
    return transcript.compute_challenge(b"w")


def announce_inner_product(transcript: ProofTranscript, *, length: int) -> None:
    """The length of both vectors is in the transcript."""
    transcript.append(_DOMAIN, b"ipp v1")
    transcript.append(b"n", _spell(length))


def challenge_halving(transcript: ProofTranscript, *, left: bytes, right: bytes) -> int:
    """Return the challenge u of one halving (protocol 2)."""
    transcript.append(b"L", left)
    transcript.append(b"R", right)
    return transcript.compute_challenge(b"u")


def challenge_weight(transcript: ProofTranscript, *, left: bytes, right: bytes) -> int:
    """Return a number that depends on the whole proof, its last two scalars included.

    Nothing in the proof answers it; the verifier makes the weights of its equations from it.
    """
    transcript.append(b"a", left)
    transcript.append(b"b", right)
    return transcript.compute_challenge(b"weight")


def _spell(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "little")
