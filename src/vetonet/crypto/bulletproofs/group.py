"""What a range proof needs of a group, and of a transcript; the proofs know no curve beside this.

The protocol runs on secp256k1 (``curve.py``). Over a second group, with another transcript, the test suite
has the same code verify proofs that other people published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from vetonet.errors import ProofError

PointT = TypeVar("PointT")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorGenerators(Generic[PointT]):
    """The generators of the bits: one pair for each bit of each value.

    Attributes:
        left: the vector g of the paper, all bits of the first value first.
        right: the vector h.
    """

    left: tuple[PointT, ...]
    right: tuple[PointT, ...]


class Group(Protocol[PointT]):
    """A group of prime order in which discrete logarithms are hard, with generators nobody chose.

    Points are opaque. None stands for the neutral element, which is never a point of a proof.
    """

    @property
    def order(self) -> int:
        """The number of elements, a prime."""

    @property
    def point_bytes(self) -> int:
        """The length of a point's one spelling."""

    @property
    def scalar_bytes(self) -> int:
        """The length of a scalar's one spelling."""

    @property
    def value_generator(self) -> PointT:
        """What a commitment multiplies by the value (g in the paper)."""

    @property
    def blinding_generator(self) -> PointT:
        """What a commitment multiplies by the blinding (h in the paper)."""

    def compute_generators(self, bits: int, count: int) -> VectorGenerators[PointT]:
        """Return the generators for ``count`` values of ``bits`` bits."""

    def decode_point(self, data: bytes) -> PointT:
        """Return the point that untrusted bytes spell.

        Raises:
            EncodingError: they are not its one spelling, or it is the neutral element.
        """

    def encode_point(self, point: PointT) -> bytes:
        """Return the one spelling of a point."""

    def decode_scalar(self, data: bytes) -> int:
        """Return the number below the order that untrusted bytes spell.

        Raises:
            EncodingError: another length, or not below the order.
        """

    def encode_scalar(self, scalar: int) -> bytes:
        """Return the one spelling of a number below the order."""

    def negate(self, point: PointT) -> PointT:
        """Return the inverse of a point."""

    def add(self, points: Sequence[PointT]) -> PointT | None:
        """Return the sum of points."""

    def multiply_public(self, scalars: Sequence[int], points: Sequence[PointT]) -> PointT | None:
        """Return the sum of all products, in a time that may depend on the scalars."""

    def multiply_secret(self, scalars: Sequence[int], points: Sequence[PointT]) -> PointT | None:
        """Return the sum of all products; each multiplication in constant time where the group can."""


class ProofTranscript(Protocol):
    """What a proof asks of a transcript; ``Transcript`` is ours."""

    def append(self, label: bytes, data: bytes) -> None:
        """From here on, every challenge depends on this message."""

    def compute_challenge(self, label: bytes) -> int:
        """Return a scalar that depends on all before."""

    def copy(self) -> ProofTranscript:
        """Return a transcript that has heard the same and goes its own way from here."""


def require_point(point: PointT | None) -> PointT:
    """Return a sum that a proof contains.

    Raises:
        ProofError: it is the neutral element, which has no spelling; by chance that does not happen.
    """
    if point is None:
        msg = "a point of the proof is the neutral element"
        raise ProofError(msg)
    return point
