"""The inner product argument (Buenz et al. 2018, section 3), the prover's side.

The vectors l and r that it is about carry no secret any more: in the protocol of section 4.1 the prover would
send them in the clear. So everything here may take variable time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from vetonet.crypto.bulletproofs.challenges import announce_inner_product, challenge_halving
from vetonet.crypto.bulletproofs.group import (
    Group,
    PointT,
    ProofTranscript,
    VectorGenerators,
    require_point,
)
from vetonet.crypto.bulletproofs.layout import InnerProductProof
from vetonet.crypto.bulletproofs.scalars import compute_inner_product, compute_powers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vectors(Generic[PointT]):
    """Two vectors and their generators, as far as they are halved.

    The generators of the paper are ``g_factor * g[i]`` and ``h_factor * powers[i] * h[i]``. With the factors
    kept apart, a halving multiplies one point of each pair that it joins, not both.

    Attributes:
        powers: y**-i, at least as many as there are elements.
    """

    a: Sequence[int]
    b: Sequence[int]
    g: Sequence[PointT]
    h: Sequence[PointT]
    g_factor: int
    h_factor: int
    powers: Sequence[int]


def prove_inner_product(
    group: Group[PointT],
    transcript: ProofTranscript,
    generators: VectorGenerators[PointT],
    *,
    left: Sequence[int],
    right: Sequence[int],
    y: int,
    w: int,
) -> InnerProductProof[PointT]:
    """Return a proof of the inner product of two vectors (protocols 1 and 2 of the paper).

    Args:
        group: where the generators are from.
        transcript: it has heard the commitment to both vectors, and changes.
        generators: the vectors g and h; the commitment is over ``g[i]`` and ``y**-i * h[i]``.
        left: the vector l; its length is a power of two.
        right: the vector r, of the same length.
        y: the challenge of the range proof.
        w: the challenge that ties the product to the vectors.
    """
    announce_inner_product(transcript, length=len(left))
    vectors = _Vectors(
        a=left,
        b=right,
        g=generators.left,
        h=generators.right,
        g_factor=1,
        h_factor=1,
        powers=compute_powers(pow(y, -1, group.order), len(left), group.order),
    )
    cross_terms = []
    while len(vectors.a) > 1:
        pair = _compute_left_cross(group, vectors, w), _compute_right_cross(group, vectors, w)
        u = challenge_halving(transcript, left=group.encode_point(pair[0]), right=group.encode_point(pair[1]))
        cross_terms.append(pair)
        vectors = _halve(group, vectors, u)
    return InnerProductProof(cross_terms=tuple(cross_terms), left=vectors.a[0], right=vectors.b[0])


def _compute_left_cross(group: Group[PointT], vectors: _Vectors[PointT], w: int) -> PointT:
    """Return L: the first half of a over the second of g, the second of b over the first of h (23)."""
    half, order = len(vectors.a) // 2, group.order
    a, b = vectors.a[:half], vectors.b[half:]
    scalars = [value * vectors.g_factor % order for value in a]
    scalars += [
        value * power % order * vectors.h_factor % order
        for value, power in zip(b, vectors.powers[:half], strict=True)
    ]
    scalars.append(w * compute_inner_product(a, b, order) % order)
    points = (*vectors.g[half:], *vectors.h[:half], group.value_generator)
    return require_point(group.multiply_public(scalars, points))


def _compute_right_cross(group: Group[PointT], vectors: _Vectors[PointT], w: int) -> PointT:
    """Return R: the second half of a over the first of g, the first of b over the second of h (24)."""
    half, order = len(vectors.a) // 2, group.order
    a, b = vectors.a[half:], vectors.b[:half]
    scalars = [value * vectors.g_factor % order for value in a]
    scalars += [
        value * power % order * vectors.h_factor % order
        for value, power in zip(b, vectors.powers[half : 2 * half], strict=True)
    ]
    scalars.append(w * compute_inner_product(a, b, order) % order)
    points = (*vectors.g[:half], *vectors.h[half:], group.value_generator)
    return require_point(group.multiply_public(scalars, points))


def _halve(group: Group[PointT], vectors: _Vectors[PointT], u: int) -> _Vectors[PointT]:
    """Return vectors and generators of half the length, joined by the challenge (protocol 2).

    ``g = g_low / u + g_high * u`` is ``(g_low + g_high * u**2) / u``; likewise h, whose powers of y differ by
    the same factor in every pair.
    """
    half, order = len(vectors.a) // 2, group.order
    inverse = pow(u, -1, order)
    return _Vectors(
        a=_join(vectors.a, u, inverse, order),
        b=_join(vectors.b, inverse, u, order),
        g=_join_points(group, vectors.g, u * u % order),
        h=_join_points(group, vectors.h, inverse * inverse % order * vectors.powers[half] % order),
        g_factor=vectors.g_factor * inverse % order,
        h_factor=vectors.h_factor * u % order,
        powers=vectors.powers,
    )


def _join(values: Sequence[int], low_factor: int, high_factor: int, order: int) -> list[int]:
    half = len(values) // 2
    return [
        (low * low_factor + high * high_factor) % order
        for low, high in zip(values[:half], values[half:], strict=True)
    ]


def _join_points(group: Group[PointT], points: Sequence[PointT], factor: int) -> Sequence[PointT]:
    """Return each point of the first half plus the factor times its partner in the second."""
    half = len(points) // 2
    if half == 1:  # the last pair is in no equation any more
        return points[:1]
    return [
        require_point(group.add([low, require_point(group.multiply_public([factor], [high]))]))
        for low, high in zip(points[:half], points[half:], strict=True)
    ]
