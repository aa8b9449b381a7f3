"""Range claims for tests, and the field of a proof that each byte of it is in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from vetonet.crypto.bulletproofs import RangeClaim, Transcript, prove_range
from vetonet.crypto.pedersen import Opening, commit, generate_blinding
from vetonet.crypto.rng import SeededRng

POINT_BYTES, SCALAR_BYTES = 33, 32


def make_opening(value: int, seed: bytes = b"blinding") -> Opening:
    return Opening(value=value, blinding=generate_blinding(SeededRng(seed + value.to_bytes(8, "big"))))


def make_transcript(context: bytes = b"a statement") -> Transcript:
    transcript = Transcript(b"vetonet/tests/range")
    transcript.append(b"context", context)
    return transcript


def make_claim(values: Sequence[int], *, bits: int = 8, context: bytes = b"a statement") -> RangeClaim:
    openings = [make_opening(value) for value in values]
    transcript = make_transcript(context)
    proof = prove_range(openings, bits=bits, transcript=transcript, rng=SeededRng(b"prover"))
    commitments = tuple(commit(opening) for opening in openings)
    return RangeClaim(proof=proof, commitments=commitments, bits=bits, transcript=transcript)


def alter(claim: RangeClaim, **changes: object) -> RangeClaim:
    return dataclasses.replace(claim, **changes)  # type: ignore[arg-type]


def flip(data: bytes, place: int, mask: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def list_fields(proof: bytes) -> dict[str, slice]:
    """Return where each point and scalar of a proof is, by the names of the paper."""
    halvings = (len(proof) - 4 * POINT_BYTES - 5 * SCALAR_BYTES) // (2 * POINT_BYTES)
    crosses = [f"{side}{index}" for index in range(halvings) for side in "LR"]
    points, scalars = dict.fromkeys(["A", "S", "T1", "T2"], POINT_BYTES), ["t", "tau", "mu"]
    sizes = {
        **points,
        **dict.fromkeys(scalars, SCALAR_BYTES),
        **dict.fromkeys(crosses, POINT_BYTES),
        **dict.fromkeys(["a", "b"], SCALAR_BYTES),
    }
    fields, start = {}, 0
    for name, size in sizes.items():
        fields[name] = slice(start, start + size)
        start += size
    assert start == len(proof)
    return fields
