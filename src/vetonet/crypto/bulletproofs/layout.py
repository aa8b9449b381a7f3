"""The bytes of a range proof, in one order and one length: A, S, T1, T2, t, tau, mu, all L and R, a, b.

The order is that of the Bulletproofs of dalek-cryptography (``RangeProof::to_bytes``). With secp256k1 a proof
of 64 bits has 688 bytes; each doubling of the number of values adds two points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic

from vetonet.crypto.bulletproofs.group import Group, PointT
from vetonet.errors import EncodingError, ProofError

BITS: Final = (8, 16, 32, 64)
COUNTS: Final = (1, 2, 4, 8, 16, 32, 64)

_FIRST_POINTS: Final = 4
_FIRST_SCALARS: Final = 3
_LAST_SCALARS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerProductProof(Generic[PointT]):
    """That two committed vectors have a committed inner product (section 3 of the paper).

    Attributes:
        cross_terms: the points L and R of each halving, first halving first.
        left: what is left of the first vector, a.
        right: what is left of the second vector, b.
    """

    cross_terms: tuple[tuple[PointT, PointT], ...]
    left: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeProof(Generic[PointT]):
    """That each of several committed values has at most so many bits (sections 4.1 and 4.3 of the paper).

    Attributes:
        bit_commitment: A, to the bits of the values.
        mask_commitment: S, to the vectors that mask the bits.
        first_commitment: T1, to the coefficient of X in t(X).
        second_commitment: T2, to the coefficient of X squared.
        evaluation: t(X) at the challenge x.
        evaluation_blinding: tau_x, the blinding of t(x).
        vector_blinding: mu, the blinding of A + x*S.
        inner_product: that t(x) is the inner product of l(x) and r(x).
    """

    bit_commitment: PointT
    mask_commitment: PointT
    first_commitment: PointT
    second_commitment: PointT
    evaluation: int
    evaluation_blinding: int
    vector_blinding: int
    inner_product: InnerProductProof[PointT]


def require_shape(bits: int, count: int) -> None:
    """There are range proofs of so many bits over so many values.

    Raises:
        ValueError: there are not.
    """
    if bits not in BITS:
        msg = f"a range has {', '.join(map(str, BITS))} bits, not {bits}"
        raise ValueError(msg)
    if count not in COUNTS:
        msg = f"a range proof is about {', '.join(map(str, COUNTS))} values, not {count}"
        raise ValueError(msg)


def compute_rounds(bits: int, count: int) -> int:
    """Return how often the vectors of so many bits are halved."""
    return (bits * count).bit_length() - 1


def compute_size(group: Group[PointT], bits: int, count: int) -> int:
    """Return the length of a proof in bytes."""
    points = _FIRST_POINTS + 2 * compute_rounds(bits, count)
    return points * group.point_bytes + (_FIRST_SCALARS + _LAST_SCALARS) * group.scalar_bytes


def encode_proof(group: Group[PointT], proof: RangeProof[PointT]) -> bytes:
    """Return the one spelling of a proof."""
    inner = proof.inner_product
    first = (proof.bit_commitment, proof.mask_commitment, proof.first_commitment, proof.second_commitment)
    scalars = (proof.evaluation, proof.evaluation_blinding, proof.vector_blinding)
    return b"".join(
        [
            *map(group.encode_point, first),
            *map(group.encode_scalar, scalars),
            *(group.encode_point(point) for pair in inner.cross_terms for point in pair),
            *map(group.encode_scalar, (inner.left, inner.right)),
        ]
    )


def decode_proof(group: Group[PointT], data: bytes, *, bits: int, count: int) -> RangeProof[PointT]:
    """Return the proof that untrusted bytes spell.

    Raises:
        ProofError: another length, a scalar not below the order, or a point that is none or neutral.
    """
    expected = compute_size(group, bits, count)
    if len(data) != expected:
        msg = f"a proof of {bits} bits over {count} values has {expected} bytes, not {len(data)}"
        raise ProofError(msg)
    try:
        return _read_proof(group, data, rounds=compute_rounds(bits, count))
    except EncodingError as error:
        msg = f"a range proof is not the spelling of any: {error}"
        raise ProofError(msg) from error


def _read_proof(group: Group[PointT], data: bytes, *, rounds: int) -> RangeProof[PointT]:
    points_end = _FIRST_POINTS * group.point_bytes
    scalars_end = points_end + _FIRST_SCALARS * group.scalar_bytes
    crosses_end = scalars_end + 2 * rounds * group.point_bytes
    first = _read_points(group, data[:points_end])
    scalars = _read_scalars(group, data[points_end:scalars_end])
    crosses = _read_points(group, data[scalars_end:crosses_end])
    last = _read_scalars(group, data[crosses_end:])
    return RangeProof(
        bit_commitment=first[0],
        mask_commitment=first[1],
        first_commitment=first[2],
        second_commitment=first[3],
        evaluation=scalars[0],
        evaluation_blinding=scalars[1],
        vector_blinding=scalars[2],
        inner_product=InnerProductProof(
            cross_terms=tuple(zip(crosses[::2], crosses[1::2], strict=True)), left=last[0], right=last[1]
        ),
    )


def _read_points(group: Group[PointT], data: bytes) -> list[PointT]:
    step = group.point_bytes
    return [group.decode_point(data[start : start + step]) for start in range(0, len(data), step)]


def _read_scalars(group: Group[PointT], data: bytes) -> list[int]:
    step = group.scalar_bytes
    return [group.decode_scalar(data[start : start + step]) for start in range(0, len(data), step)]
