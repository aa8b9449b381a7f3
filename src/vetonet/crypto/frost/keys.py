"""Key material of one FROST group: a participant's share, and what everybody may know of the group."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from vetonet.crypto.frost.group import (
    Element,
    Scalar,
    multiply_base,
    scalar_to_bytes,
)
from vetonet.crypto.frost.layout import (
    MAX_COUNT,
    LayoutReader,
    count_to_bytes,
    refuse_malformed,
)
from vetonet.crypto.frost.polynomial import evaluate_commitment
from vetonet.crypto.keys import verify_ed25519
from vetonet.errors import UnknownPartyError


class Identifier(int):
    """A participant's number within its group, 1 to 65535; the point where its polynomials are evaluated.

    Zero is refused: the polynomial's value there is the group's secret.
    """

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Return the identifier of this number.

        Raises:
            ValueError: out of range, or not an integer.
        """
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_COUNT:
            raise ValueError("an identifier is an integer from 1 to 65535")
        return super().__new__(cls, value)


def require_thresholds(*, min_signers: int, max_signers: int) -> None:
    """Hold when a group of these numbers can exist.

    Raises:
        ValueError: not 1 <= min_signers <= max_signers <= 65535.
    """
    if not 1 <= min_signers <= max_signers <= MAX_COUNT:
        raise ValueError("a group needs 1 <= min_signers <= max_signers <= 65535")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPublicKey:
    """The key that the group's signatures verify under; to everyone else an ordinary Ed25519 key."""

    element: Element

    @classmethod
    def from_bytes(cls, data: bytes) -> GroupPublicKey:
        """Return the key that these 32 bytes spell.

        Raises:
            EncodingError: they are not an element of the prime-order group.
        """
        return cls(element=Element(encoded=data))

    def to_bytes(self) -> bytes:
        """Return the 32 bytes of the Ed25519 public key."""
        return self.element.encoded

    def verify_signature(self, message: bytes, signature: bytes) -> None:
        """Hold when the group signed the message (RFC 8032, section 5.1.7).

        Raises:
            InvalidSignatureError: it did not.
        """
        verify_ed25519(self.element.encoded, message, signature)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyShare:
    """One participant's share of the group's signing key; secret.

    Attributes:
        identifier: whose share it is.
        signing_share: the secret scalar.
        verifying_share: the generator times the secret scalar.
        group_public_key: the key that the group signs under.
        min_signers: how many participants it takes to sign.
        max_signers: how many participants the group has.
    """

    identifier: Identifier
    signing_share: Scalar = field(repr=False)
    verifying_share: Element
    group_public_key: GroupPublicKey
    min_signers: int
    max_signers: int

    def __post_init__(self) -> None:
        """Refuse impossible thresholds and a verifying share of another secret.

        Raises:
            ValueError: the fields do not belong together.
        """
        require_thresholds(min_signers=self.min_signers, max_signers=self.max_signers)
        if multiply_base(self.signing_share) != self.verifying_share:
            raise ValueError("the verifying share is not that of the signing share")

    @classmethod
    def from_signing_share(
        cls,
        *,
        identifier: Identifier,
        signing_share: Scalar,
        group_public_key: GroupPublicKey,
        min_signers: int,
        max_signers: int,
    ) -> KeyShare:
        """Return the key share with its verifying share derived.

        Raises:
            ValueError: the share is zero, or the thresholds are impossible.
        """
        return cls(
            identifier=identifier,
            signing_share=signing_share,
            verifying_share=multiply_base(signing_share),
            group_public_key=group_public_key,
            min_signers=min_signers,
            max_signers=max_signers,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyShare:
        """Return the key share that these 70 bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a key share.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            share = cls.from_signing_share(
                min_signers=reader.take_count(),
                max_signers=reader.take_count(),
                identifier=Identifier(reader.take_count()),
                signing_share=reader.take_nonzero_scalar(),
                group_public_key=GroupPublicKey(element=reader.take_elements(1)[0]),
            )
        reader.finish()
        return share

    def to_bytes(self) -> bytes:
        """Return the secret bytes: min_signers, max_signers, identifier, signing share, group public key."""
        counts = (self.min_signers, self.max_signers, self.identifier)
        return (
            b"".join(map(count_to_bytes, counts))
            + scalar_to_bytes(self.signing_share)
            + self.group_public_key.to_bytes()
        )

    def __eq__(self, other: object) -> bool:
        """Return True for the same share, in time that does not depend on where two shares differ."""
        if not isinstance(other, KeyShare):
            return NotImplemented
        return hmac.compare_digest(self.to_bytes(), other.to_bytes())

    def __hash__(self) -> int:
        """Return a hash of the public fields only."""
        return hash((self.identifier, self.verifying_share, self.group_public_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeyPackage:
    """What anybody may know of a group: who is in it, and the commitment to its polynomial.

    The commitment determines the group public key and every verifying share (RFC 9591, C.2,
    derive_group_info), so a package whose shares contradict each other cannot be written down.

    Attributes:
        vss_commitment: min_signers elements, the commitment to the constant term first.
        identifiers: every participant, in ascending order.
    """

    vss_commitment: tuple[Element, ...]
    identifiers: tuple[Identifier, ...]

    def __post_init__(self) -> None:
        """Refuse impossible thresholds, and participants out of order or twice.

        Raises:
            ValueError: for any of these.
        """
        require_thresholds(min_signers=self.min_signers, max_signers=self.max_signers)
        if any(left >= right for left, right in pairwise(self.identifiers)):
            raise ValueError("identifiers are distinct and in ascending order")

    @property
    def min_signers(self) -> int:
        """How many participants it takes to sign."""
        return len(self.vss_commitment)

    @property
    def max_signers(self) -> int:
        """How many participants the group has."""
        return len(self.identifiers)

    @property
    def group_public_key(self) -> GroupPublicKey:
        """The key that the group signs under: the commitment to the polynomial at zero."""
        return GroupPublicKey(element=self.vss_commitment[0])

    def compute_verifying_share(self, identifier: Identifier) -> Element:
        """Return the generator times this participant's signing share.

        Raises:
            UnknownPartyError: the group has no such participant.
            ProtocolError: the share would be the identity.
        """
        if identifier not in self.identifiers:
            raise UnknownPartyError("the group has no such participant", culprit=str(identifier))
        return evaluate_commitment(self.vss_commitment, identifier)

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKeyPackage:
        """Return the package that the bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a package.
        """
        reader = LayoutReader(data)
        min_signers, max_signers = reader.take_count(), reader.take_count()
        with refuse_malformed():
            identifiers = tuple(Identifier(reader.take_count()) for _ in range(max_signers))
            package = cls(
                vss_commitment=reader.take_elements(min_signers),
                identifiers=identifiers,
            )
        reader.finish()
        return package

    def to_bytes(self) -> bytes:
        """Return min_signers, max_signers, the identifiers, then the commitment."""
        counts = (self.min_signers, self.max_signers, *self.identifiers)
        elements = (element.encoded for element in self.vss_commitment)
        return b"".join(map(count_to_bytes, counts)) + b"".join(elements)
