"""What key generation, resharing and repair send: to everybody, or to one participant in secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from vetonet.crypto.frost.group import Element, Scalar, scalar_to_bytes
from vetonet.crypto.frost.keys import Identifier
from vetonet.crypto.frost.layout import (
    MAX_COUNT,
    LayoutReader,
    count_to_bytes,
    refuse_malformed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOfKnowledge:
    """A Schnorr proof that the dealer knows the constant term of its polynomial."""

    commitment: Element
    response: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Round1Package:
    """What one participant broadcasts: the commitment to its polynomial and a proof of knowledge.

    Attributes:
        identifier: the participant that deals.
        vss_commitment: one element a coefficient, the constant term first (Feldman 1987).
        proof: that the dealer knows the constant term, so it cannot be a difference of others' (rogue key).
    """

    identifier: Identifier
    vss_commitment: tuple[Element, ...]
    proof: ProofOfKnowledge

    def __post_init__(self) -> None:
        """Refuse a commitment to nothing.

        Raises:
            ValueError: there is no coefficient, or more than can be written down.
        """
        if not 1 <= len(self.vss_commitment) <= MAX_COUNT:
            raise ValueError("a commitment has from 1 to 65535 coefficients")

    @classmethod
    def from_bytes(cls, data: bytes) -> Round1Package:
        """Return the package that the bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a package; identity, small order and the like
                among the commitments included.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            identifier = Identifier(reader.take_count())
            *coefficients, commitment = reader.take_elements(reader.take_count() + 1)
            proof = ProofOfKnowledge(commitment=commitment, response=reader.take_scalar())
            package = cls(identifier=identifier, vss_commitment=tuple(coefficients), proof=proof)
        reader.finish()
        return package

    def to_bytes(self) -> bytes:
        """Return identifier, number of coefficients, commitment, proof commitment, proof response."""
        return (
            count_to_bytes(self.identifier)
            + count_to_bytes(len(self.vss_commitment))
            + b"".join(element.encoded for element in self.vss_commitment)
            + self.proof.commitment.encoded
            + scalar_to_bytes(self.proof.response)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPackage:
    """A scalar for one receiver alone; secret.

    The subclass says what it is. On the wire they all look alike, so the channel has to say it there.
    """

    sender: Identifier
    receiver: Identifier
    share: Scalar = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the package that these 36 bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a package.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            sender, receiver = (
                Identifier(reader.take_count()),
                Identifier(reader.take_count()),
            )
        share = reader.take_scalar()
        reader.finish()
        return cls(sender=sender, receiver=receiver, share=share)

    def to_bytes(self) -> bytes:
        """Return the secret bytes: sender, receiver, share."""
        return count_to_bytes(self.sender) + count_to_bytes(self.receiver) + scalar_to_bytes(self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round2Package(SecretPackage):
    """The value of the sender's polynomial at the receiver, in key generation and in resharing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairSummand(SecretPackage):
    """One helper's random summand of its part of a lost share, for one helper (delta)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairSum(SecretPackage):
    """One helper's sum of the summands it got, for the participant that lost its share (sigma)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCommitment:
    """What one helper broadcasts: a commitment to each summand that it sends.

    Attributes:
        identifier: the helper.
        summands: the generator times each summand, in ascending order of the helper that gets it.
    """

    identifier: Identifier
    summands: tuple[Element, ...]

    def __post_init__(self) -> None:
        """Refuse a commitment to nothing.

        Raises:
            ValueError: there is no summand, or more than can be written down.
        """
        if not 1 <= len(self.summands) <= MAX_COUNT:
            raise ValueError("a helper commits to from 1 to 65535 summands")

    @classmethod
    def from_bytes(cls, data: bytes) -> RepairCommitment:
        """Return the commitment that the bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a commitment.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            identifier = Identifier(reader.take_count())
            commitment = cls(identifier=identifier, summands=reader.take_elements(reader.take_count()))
        reader.finish()
        return commitment

    def to_bytes(self) -> bytes:
        """Return identifier, number of summands, then their commitments."""
        counts = (self.identifier, len(self.summands))
        elements = (element.encoded for element in self.summands)
        return b"".join(map(count_to_bytes, counts)) + b"".join(elements)
