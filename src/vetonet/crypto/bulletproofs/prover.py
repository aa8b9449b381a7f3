"""Proving that committed values lie in [0, 2**bits) (Buenz et al. 2018, sections 4.1 and 4.3).

What hides the values is drawn by ``nonces.py``. Whatever is multiplied by a secret is multiplied in constant
time where the group can; the numbers themselves are Python's, which are not constant-time, and the bits of
the values choose which of two points are added. The threat model says who is let near a prover.

Numbers in brackets are those of the paper's equations (IACR ePrint 2017/1066).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from vetonet.crypto.bulletproofs.challenges import (
    BitChallenges,
    announce_range,
    challenge_bits,
    challenge_point,
    challenge_product,
)
from vetonet.crypto.bulletproofs.group import (
    Group,
    PointT,
    ProofTranscript,
    VectorGenerators,
    require_point,
)
from vetonet.crypto.bulletproofs.inner_product import prove_inner_product
from vetonet.crypto.bulletproofs.layout import RangeProof, encode_proof, require_shape
from vetonet.crypto.bulletproofs.nonces import Masks, draw_masks
from vetonet.crypto.bulletproofs.scalars import compute_inner_product, compute_powers
from vetonet.units import Rng


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Witness:
    """The secret behind one commitment: value and blinding."""

    value: int
    blinding: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Secrets:
    """What the prover knows.

    Attributes:
        witnesses: one for each commitment.
        bits: of the values, lowest bit of the first value first: aL.
        masks: what hides the bits.
    """

    witnesses: tuple[Witness, ...]
    bits: list[int]
    masks: Masks


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Polynomials:
    """The vectors l(X) = l0 + l1*X and r(X) = r0 + r1*X, which hold every bit behind a mask."""

    l0: list[int]
    l1: list[int]
    r0: list[int]
    r1: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting(Generic[PointT]):
    """What prover and verifier both know."""

    group: Group[PointT]
    generators: VectorGenerators[PointT]
    bits: int


def prove(
    group: Group[PointT],
    witnesses: Sequence[Witness],
    *,
    bits: int,
    transcript: ProofTranscript,
    rng: Rng,
) -> bytes:
    """Return a proof that every value has at most so many bits.

    Args:
        group: where the commitments are.
        witnesses: 1, 2, 4 and so on up to 64 values with their blindings.
        bits: 8, 16, 32 or 64.
        transcript: it has heard what the proof is for; it does not change.
        rng: the source of 32 random bytes.

    Raises:
        ValueError: no such shape, or a value of more bits: that nobody can prove.
    """
    count = len(witnesses)
    require_shape(bits, count)
    if not all(0 <= witness.value < 1 << bits for witness in witnesses):
        msg = f"a value is not in the range of {bits} bits"
        raise ValueError(msg)
    said = transcript.copy()
    commitments = [group.encode_point(_commit(group, witness)) for witness in witnesses]
    announce_range(said, bits=bits, count=count, commitments=commitments)
    setting = _Setting(group=group, generators=group.compute_generators(bits, count), bits=bits)
    secrets = _draw_secrets(setting, tuple(witnesses), said, rng)
    return encode_proof(group, _prove(setting, secrets, said))


def _draw_secrets(
    setting: _Setting[PointT], witnesses: tuple[Witness, ...], said: ProofTranscript, rng: Rng
) -> _Secrets:
    group, bits = setting.group, setting.bits
    numbers = [number for item in witnesses for number in (item.value, item.blinding)]
    masks = draw_masks(
        group.order,
        rng,
        secret=b"".join(map(group.encode_scalar, numbers)),
        transcript=said,
        length=bits * len(witnesses),
    )
    spread = [item.value >> place & 1 for item in witnesses for place in range(bits)]  # (41)
    return _Secrets(witnesses=witnesses, bits=spread, masks=masks)


def _prove(setting: _Setting[PointT], secrets: _Secrets, said: ProofTranscript) -> RangeProof[PointT]:
    group, encode = setting.group, setting.group.encode_point
    a, s = _commit_bits(setting, secrets), _commit_masks(setting, secrets.masks)
    challenges = challenge_bits(said, bits=encode(a), masks=encode(s))  # (48) to (50)
    polynomials = _compute_polynomials(setting, secrets, challenges)
    t1, t2 = (
        _commit(group, term) for term in _compute_terms(polynomials, secrets.masks, group.order)
    )  # (53)
    x = challenge_point(said, first=encode(t1), second=encode(t2))  # (54) to (56)

    left = _evaluate(polynomials.l0, polynomials.l1, x, group.order)  # (58)
    right = _evaluate(polynomials.r0, polynomials.r1, x, group.order)  # (59)
    t = compute_inner_product(left, right, group.order)  # (60)
    tau = _blind_evaluation(secrets, challenges.z, x, group.order)
    mu = (secrets.masks.bit_blinding + secrets.masks.mask_blinding * x) % group.order  # (62)
    scalars = [group.encode_scalar(scalar) for scalar in (t, tau, mu)]
    w = challenge_product(said, scalars=scalars)
    inner = prove_inner_product(group, said, setting.generators, left=left, right=right, y=challenges.y, w=w)
    return RangeProof(
        bit_commitment=a,
        mask_commitment=s,
        first_commitment=t1,
        second_commitment=t2,
        evaluation=t,
        evaluation_blinding=tau,
        vector_blinding=mu,
        inner_product=inner,
    )


def _commit(group: Group[PointT], witness: Witness) -> PointT:
    generators = (group.value_generator, group.blinding_generator)
    return require_point(group.multiply_secret((witness.value, witness.blinding), generators))


def _commit_bits(setting: _Setting[PointT], secrets: _Secrets) -> PointT:
    """Return A (44): g for a bit that is set, minus h for one that is not, and the blinding.

    The vector aR is aL minus one, so each bit puts in exactly one point, and nothing is multiplied.
    """
    group = setting.group
    pairs = zip(map(group.negate, setting.generators.right), setting.generators.left, strict=True)
    chosen = [pair[bit] for pair, bit in zip(pairs, secrets.bits, strict=True)]
    blinding = group.multiply_secret((secrets.masks.bit_blinding,), (group.blinding_generator,))
    return require_point(group.add([*chosen, require_point(blinding)]))


def _commit_masks(setting: _Setting[PointT], masks: Masks) -> PointT:
    """Return S (47)."""
    generators = setting.generators
    scalars = (masks.mask_blinding, *masks.left, *masks.right)
    points = (setting.group.blinding_generator, *generators.left, *generators.right)
    return require_point(setting.group.multiply_secret(scalars, points))


def _compute_polynomials(
    setting: _Setting[PointT], secrets: _Secrets, challenges: BitChallenges
) -> _Polynomials:
    """Return l(X) and r(X) of section 4.1; for several values with the powers of z of section 4.3."""
    order, y, z = setting.group.order, challenges.y, challenges.z
    y_powers = compute_powers(y, len(secrets.bits), order)
    z_powers = compute_powers(z, len(secrets.witnesses) + 2, order)[2:]
    weights = [power << place for power in z_powers for place in range(setting.bits)]
    return _Polynomials(
        l0=[bit - z for bit in secrets.bits],
        l1=list(secrets.masks.left),
        r0=[
            (y_power * (bit - 1 + z) + weight) % order
            for bit, y_power, weight in zip(secrets.bits, y_powers, weights, strict=True)
        ],
        r1=[y_power * mask % order for y_power, mask in zip(y_powers, secrets.masks.right, strict=True)],
    )


def _compute_terms(polynomials: _Polynomials, masks: Masks, order: int) -> tuple[Witness, Witness]:
    """Return the coefficients of X and of its square in t(X) = <l(X), r(X)>, with their blindings."""
    first = compute_inner_product(polynomials.l0, polynomials.r1, order)
    first += compute_inner_product(polynomials.l1, polynomials.r0, order)
    second = compute_inner_product(polynomials.l1, polynomials.r1, order)
    return (
        Witness(value=first % order, blinding=masks.first_blinding),
        Witness(value=second, blinding=masks.second_blinding),
    )


def _evaluate(constant: Sequence[int], linear: Sequence[int], x: int, order: int) -> list[int]:
    return [(low + high * x) % order for low, high in zip(constant, linear, strict=True)]


def _blind_evaluation(secrets: _Secrets, z: int, x: int, order: int) -> int:
    """Return the blinding of t(x) (61): those of T1 and T2, and of the commitments by powers of z."""
    total = (secrets.masks.first_blinding + secrets.masks.second_blinding * x) * x
    power = z * z
    for witness in secrets.witnesses:
        total += power * witness.blinding
        power = power * z % order
    return total % order
