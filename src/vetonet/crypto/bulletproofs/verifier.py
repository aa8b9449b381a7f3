"""Verifying range proofs, one or many, by a single multi-exponentiation (Buenz et al. 2018, section 6).

A proof is two equations between points (65, 66 to 68; for several values 72): t(x) is committed to by the
commitments, T1 and T2; and A + x*S commits to vectors whose inner product is t(x), to which the halvings of
section 3 are unrolled. All equations of all proofs are added, each times a weight of its own: if any was
false, the sum is neutral for one weight in about 2**256. The weights are hashed from everything that was to
be verified, so a prover cannot choose a proof after them, no randomness is needed, and everybody comes to the
same verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic

from vetonet.crypto.bulletproofs.challenges import (
    announce_inner_product,
    announce_range,
    challenge_bits,
    challenge_halving,
    challenge_point,
    challenge_product,
    challenge_weight,
)
from vetonet.crypto.bulletproofs.group import Group, PointT, ProofTranscript
from vetonet.crypto.bulletproofs.layout import RangeProof, decode_proof
from vetonet.crypto.bulletproofs.scalars import compute_powers, invert_all
from vetonet.errors import ProofError

_WEIGHT_TAG: Final = b"vetonet/bulletproofs/weights/v1"
_NUMBER_BYTES: Final = 8
_CHALLENGE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Generic[PointT]):
    """What one proof is to show: that each commitment is to a value of so many bits.

    Attributes:
        proof: untrusted bytes.
        commitments: points other than the neutral one.
        bits: 8, 16, 32 or 64.
        transcript: it has heard what the proof is for; it does not change.
    """

    proof: bytes
    commitments: tuple[PointT, ...]
    bits: int
    transcript: ProofTranscript


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replay(Generic[PointT]):
    """A parsed proof with every challenge that the transcript answers to it."""

    statement: Statement[PointT]
    proof: RangeProof[PointT]
    y: int
    z: int
    x: int
    w: int
    halvings: tuple[int, ...]
    digest: bytes

    @property
    def length(self) -> int:
        """How many bits all values have together."""
        return self.statement.bits * len(self.statement.commitments)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """What one proof's equations are multiplied by in the sum.

    Attributes:
        vectors: the equation of the inner product.
        evaluation: the equation of t(x), on top of the other weight.
    """

    vectors: int
    evaluation: int


class _Sum(Generic[PointT]):
    """The sum of weighted equations: what each point is multiplied by.

    The generators occur in every proof, so their factors are added up and each is multiplied once; the
    generators of fewer values are the first ones of more values.
    """

    __slots__ = ("_blinding", "_group", "_left", "_points", "_right", "_scalars", "_value")

    def __init__(self, group: Group[PointT]) -> None:
        self._group = group
        self._value = self._blinding = 0
        self._left: dict[int, list[int]] = {}
        self._right: dict[int, list[int]] = {}
        self._scalars: list[int] = []
        self._points: list[PointT] = []

    def add(self, replay: _Replay[PointT], weights: _Weights) -> None:
        """The equations of one proof are in the sum."""
        proof, order, rho = replay.proof, self._group.order, weights.vectors
        inner = proof.inner_product
        y_inverse, *u_inverses = invert_all((replay.y, *replay.halvings), order)
        self._add_vectors(replay, rho, y_inverse, u_inverses)
        self._add_cross_terms(replay, rho, u_inverses)
        self._add_evaluation(replay, rho * weights.evaluation % order)
        self._add_point(proof.bit_commitment, rho)
        self._add_point(proof.mask_commitment, rho * replay.x)
        self._value += rho * replay.w * (proof.evaluation - inner.left * inner.right)
        self._blinding -= rho * proof.vector_blinding

    def is_neutral(self) -> bool:
        """Return whether all points cancel out, each times its factor."""
        group = self._group
        scalars = [self._value, self._blinding, *self._scalars]
        points = [group.value_generator, group.blinding_generator, *self._points]
        for bits, left in self._left.items():
            generators = group.compute_generators(bits, len(left) // bits)
            scalars += left + self._right[bits]
            points += [*generators.left, *generators.right]
        return group.multiply_public([scalar % group.order for scalar in scalars], points) is None

    def _add_vectors(
        self, replay: _Replay[PointT], rho: int, y_inverse: int, u_inverses: Sequence[int]
    ) -> None:
        """Add what multiplies g and h: (66) less (67), with the halvings unrolled (section 3.1)."""
        order, inner = self._group.order, replay.proof.inner_product
        a = _unroll(rho * inner.left, u_inverses, replay.halvings, order)
        b = _unroll(rho * inner.right, replay.halvings, u_inverses, order)
        y_powers = compute_powers(y_inverse, replay.length, order)
        z_powers = compute_powers(replay.z, len(replay.statement.commitments) + 2, order)[2:]
        weights = [rho * power % order for power in z_powers]
        shift = rho * replay.z % order
        doubled = [weight << place for weight in weights for place in range(replay.statement.bits)]
        _accumulate(self._left, replay.statement.bits, [-shift - element for element in a])
        _accumulate(
            self._right,
            replay.statement.bits,
            [
                shift + power * (weight - element)
                for power, weight, element in zip(y_powers, doubled, b, strict=True)
            ],
        )

    def _add_cross_terms(self, replay: _Replay[PointT], rho: int, u_inverses: Sequence[int]) -> None:
        """Add L times u squared and R divided by it, for each halving."""
        pairs = zip(replay.proof.inner_product.cross_terms, replay.halvings, u_inverses, strict=True)
        for (left, right), u, inverse in pairs:
            self._add_point(left, rho * u * u)
            self._add_point(right, rho * inverse * inverse)

    def _add_evaluation(self, replay: _Replay[PointT], weight: int) -> None:
        """Add the equation of t(x): (65), for several values (72)."""
        proof, z, x, order = replay.proof, replay.z, replay.x, self._group.order
        self._add_point(proof.first_commitment, weight * x)
        self._add_point(proof.second_commitment, weight * x * x)
        self._value += weight * (_compute_delta(replay, order) - proof.evaluation)
        self._blinding -= weight * proof.evaluation_blinding
        power = z * z % order
        for commitment in replay.statement.commitments:
            self._add_point(commitment, weight * power)
            power = power * z % order

    def _add_point(self, point: PointT, scalar: int) -> None:
        self._points.append(point)
        self._scalars.append(scalar)


def verify(group: Group[PointT], statements: Sequence[Statement[PointT]]) -> None:
    """Every statement is proven.

    Raises:
        ProofError: there are none, the bytes of one are no proof, or at least one is false.
    """
    if not statements:
        msg = "a batch of no proofs proves nothing"
        raise ProofError(msg)
    replays = [_replay(group, statement) for statement in statements]
    total = _Sum(group)
    for replay, weights in zip(replays, _compute_weights(replays, group.order), strict=True):
        total.add(replay, weights)
    if not total.is_neutral():
        msg = "the range proof is false" if len(statements) == 1 else "a range proof of the batch is false"
        raise ProofError(msg)


def find_false(
    group: Group[PointT], statements: Sequence[Statement[PointT]], most: int | None = None
) -> tuple[int, ...]:
    """Return the places of all statements that are not proven, rising; judged by halves and their halves.

    Args:
        group: where the points are from.
        statements: any number.
        most: stop after so many, at least 1: each costs more than a whole batch of true ones for a few.
    """
    if not statements:
        return ()
    try:
        verify(group, statements)
    except ProofError:
        if len(statements) == 1:
            return (0,)
        middle = len(statements) // 2
        earlier = find_false(group, statements[:middle], most)
        left = None if most is None else most - len(earlier)
        later = () if left == 0 else find_false(group, statements[middle:], left)
        return (*earlier, *(middle + place for place in later))
    return ()


def _replay(group: Group[PointT], statement: Statement[PointT]) -> _Replay[PointT]:
    """Parse a proof and hear everything that the transcript answers to it.

    Raises:
        ProofError: the bytes are no proof.
    """
    count = len(statement.commitments)
    proof = decode_proof(group, statement.proof, bits=statement.bits, count=count)
    said, encode, inner = statement.transcript.copy(), group.encode_point, proof.inner_product
    spelled = [encode(commitment) for commitment in statement.commitments]
    announce_range(said, bits=statement.bits, count=count, commitments=spelled)
    challenges = challenge_bits(said, bits=encode(proof.bit_commitment), masks=encode(proof.mask_commitment))
    x = challenge_point(said, first=encode(proof.first_commitment), second=encode(proof.second_commitment))
    scalars = (proof.evaluation, proof.evaluation_blinding, proof.vector_blinding)
    w = challenge_product(said, scalars=[group.encode_scalar(scalar) for scalar in scalars])
    announce_inner_product(said, length=statement.bits * count)
    halvings = tuple(
        challenge_halving(said, left=encode(left), right=encode(right)) for left, right in inner.cross_terms
    )
    last = [group.encode_scalar(scalar) for scalar in (inner.left, inner.right)]
    digest = challenge_weight(said, left=last[0], right=last[1]).to_bytes(_CHALLENGE_BYTES, "big")
    return _Replay(
        statement=statement,
        proof=proof,
        y=challenges.y,
        z=challenges.z,
        x=x,
        w=w,
        halvings=halvings,
        digest=digest,
    )


def _compute_weights(replays: Sequence[_Replay[PointT]], order: int) -> list[_Weights]:
    """Return weights that depend on every byte of every proof and of what it is about."""
    seed = hashlib.sha512(_WEIGHT_TAG + b"".join(replay.digest for replay in replays)).digest()
    return [
        _Weights(
            vectors=_hash_weight(seed, 2 * index, order),
            evaluation=_hash_weight(seed, 2 * index + 1, order),
        )
        for index in range(len(replays))
    ]


def _hash_weight(seed: bytes, index: int, order: int) -> int:
    wide = hashlib.sha512(seed + index.to_bytes(_NUMBER_BYTES, "big")).digest()
    return int.from_bytes(wide, "big") % (order - 1) + 1


def _unroll(start: int, lows: Sequence[int], highs: Sequence[int], order: int) -> list[int]:
    """Return what the last element is multiplied by for each generator (the vector s of section 3.1).

    A generator in the lower half of a halving takes the low factor, one in the upper half the high one.
    """
    for low in lows:
        start = start * low % order
    elements = [start]
    # From low to high is twice the high factor, as each low factor is the inverse of the high one.
    for high in reversed(highs):
        ratio = high * high % order
        elements += [element * ratio % order for element in elements]
    return elements


def _accumulate(sums: dict[int, list[int]], bits: int, terms: Sequence[int]) -> None:
    """Add terms to the sums of the first generators of so many bits."""
    present = sums.setdefault(bits, [])
    present += [0] * (len(terms) - len(present))
    for index, term in enumerate(terms):
        present[index] += term


def _compute_delta(replay: _Replay[PointT], order: int) -> int:
    """Return delta(y, z): what t(x) has beside the values (39), for several values as in section 4.3."""
    z, bits = replay.z, replay.statement.bits
    z_sum = sum(compute_powers(z, len(replay.statement.commitments) + 3, order)[3:])
    return ((z - z * z) * _sum_powers(replay.y, replay.length, order) - z_sum * ((1 << bits) - 1)) % order


def _sum_powers(base: int, count: int, order: int) -> int:
    """Return base**0 + ... + base**(count - 1), for a power of two: (1 + y)(1 + y**2)(1 + y**4) and on."""
    total, power = 1, base
    while count > 1:
        total, power, count = total * (1 + power) % order, power * power % order, count // 2
    return total
