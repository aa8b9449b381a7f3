"""Range proofs over Pedersen commitments on secp256k1: what the rest of vetonet calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs import prover, verifier
from vetonet.crypto.bulletproofs.curve import Secp256k1Group
from vetonet.crypto.bulletproofs.layout import compute_size, require_shape
from vetonet.crypto.bulletproofs.prover import Witness
from vetonet.crypto.bulletproofs.transcript import Transcript
from vetonet.crypto.bulletproofs.verifier import Statement
from vetonet.crypto.pedersen import Commitment, Opening
from vetonet.crypto.secp256k1 import Point
from vetonet.units import Rng

_GROUP: Final = Secp256k1Group()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RangeClaim:
    """That each commitment is to a value in [0, 2**bits), and what is to prove it.

    Attributes:
        proof: untrusted bytes.
        commitments: 1, 2, 4 and so on up to 64, in the order of the openings.
        bits: 8, 16, 32 or 64.
        transcript: it has heard what the proof is for, as the prover's had; the claim keeps a copy.
    """

    proof: bytes
    commitments: tuple[Commitment, ...]
    bits: int
    transcript: Transcript

    def __post_init__(self) -> None:
        """Refuse a shape that no proof has.

        Raises:
            ValueError: no such shape.
        """
        require_shape(self.bits, len(self.commitments))
        object.__setattr__(self, "transcript", self.transcript.copy())


def compute_proof_bytes(bits: int, count: int) -> int:
    """Return the length of a proof over so many values of so many bits.

    Raises:
        ValueError: no such shape.
    """
    require_shape(bits, count)
    return compute_size(_GROUP, bits, count)


def prove_range(openings: Sequence[Opening], *, bits: int, transcript: Transcript, rng: Rng) -> bytes:
    """Return a proof that every opened value lies in [0, 2**bits).

    It says nothing else about them (it is zero-knowledge in the random oracle model).

    Args:
        openings: 1, 2, 4 and so on up to 64.
        bits: 8, 16, 32 or 64.
        transcript: it has heard what the proof is for; it does not change.
        rng: the source of 32 random bytes.

    Raises:
        ValueError: no such shape, or a value that has more bits.
    """
    witnesses = [
        Witness(value=opening.value, blinding=int.from_bytes(opening.blinding, "big")) for opening in openings
    ]
    return prover.prove(_GROUP, witnesses, bits=bits, transcript=transcript, rng=rng)


def verify_range(claim: RangeClaim) -> None:
    """The claim is proven.

    Raises:
        ProofError: the bytes are no proof, or it is false, or about something else.
    """
    verify_ranges((claim,))


def verify_ranges(claims: Sequence[RangeClaim]) -> None:
    """All claims are proven; together they cost a fraction of one after the other.

    Raises:
        ProofError: there are none, or at least one is not proven; ``find_false`` says which.
    """
    verifier.verify(_GROUP, [_parse(claim) for claim in claims])


def find_false(claims: Sequence[RangeClaim], most: int | None = None) -> tuple[int, ...]:
    """Return the places of all claims that are not proven, or of the first ``most`` of them, rising."""
    return verifier.find_false(_GROUP, [_parse(claim) for claim in claims], most)


def _parse(claim: RangeClaim) -> Statement[Point]:
    return Statement(
        proof=claim.proof,
        commitments=tuple(secp256k1.parse(commitment.point) for commitment in claim.commitments),
        bits=claim.bits,
        transcript=claim.transcript,
    )
