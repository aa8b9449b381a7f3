"""Round two of signing: one participant's signature share (RFC 9591, sections 4.3 to 4.6 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from vetonet.crypto.frost.group import (
    ORDER,
    Element,
    Scalar,
    h1,
    h2,
    h4,
    h5,
    multiply,
    multiply_base,
    scalar_to_bytes,
    sum_elements,
)
from vetonet.crypto.frost.keys import GroupPublicKey, Identifier, KeyShare
from vetonet.crypto.frost.layout import LayoutReader, count_to_bytes, refuse_malformed
from vetonet.crypto.frost.nonces import SigningCommitments, SigningNonces
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.errors import ProtocolError, UnknownPartyError


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPackage:
    """What every signer of one signature must see alike: the message and all commitments.

    Attributes:
        message: the bytes to sign.
        commitments: one for each signer; kept in ascending order of identifier, however given.
    """

    message: bytes
    commitments: tuple[SigningCommitments, ...]

    def __post_init__(self) -> None:
        """Sort the commitments.

        Raises:
            ProtocolError: there are none, or a participant has two.
        """
        ordered = tuple(sorted(self.commitments, key=attrgetter("identifier")))
        if not ordered:
            raise ProtocolError("a signing package needs signers")
        for left, right in pairwise(ordered):
            if left.identifier == right.identifier:
                raise ProtocolError("a signer has two commitments", culprit=str(left.identifier))
        object.__setattr__(self, "commitments", ordered)

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The signers in ascending order."""
        return tuple(commitments.identifier for commitments in self.commitments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureShare:
    """One signer's part of a signature; harmless alone."""

    identifier: Identifier
    share: Scalar

    @classmethod
    def from_bytes(cls, data: bytes) -> SignatureShare:
        """Return the share that these 34 bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a share.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            identifier = Identifier(reader.take_count())
        share = reader.take_scalar()
        reader.finish()
        return cls(identifier=identifier, share=share)

    def to_bytes(self) -> bytes:
        """Return identifier and share."""
        return count_to_bytes(self.identifier) + scalar_to_bytes(self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingFactor:
    """The scalar that ties one signer's binding nonce to the message and to all commitments."""

    identifier: Identifier
    factor: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningTranscript:
    """What follows from a signing package alone, the same for each signer and for the coordinator.

    Attributes:
        binding_factors: one for each signer, in the order of the package.
        group_commitment: the R of the signature.
        challenge: the Ed25519 challenge.
    """

    binding_factors: tuple[BindingFactor, ...]
    group_commitment: Element
    challenge: Scalar

    def get_factor(self, identifier: Identifier) -> Scalar:
        """Return one signer's binding factor.

        Raises:
            UnknownPartyError: it is none of the signers.
        """
        for entry in self.binding_factors:
            if entry.identifier == identifier:
                return entry.factor
        raise UnknownPartyError("not a signer of this package", culprit=str(identifier))


def sign(package: SigningPackage, nonces: SigningNonces, key_share: KeyShare) -> SignatureShare:
    """Return the participant's signature share; the nonces are spent (RFC 9591, section 5.2).

    A refused package leaves the nonces unspent.

    Args:
        package: the message and commitments as the coordinator sent them.
        nonces: what ``commit`` returned together with the participant's commitments.
        key_share: the participant's own share.

    Raises:
        ProtocolError: too few or too many signers, or the participant's own commitments are missing or
            altered.
        RefusedError: the nonces were used before.
    """
    _require_signable(package, nonces, key_share)
    identifier, group_public_key = key_share.identifier, key_share.group_public_key
    factors = compute_binding_factors(package, group_public_key)
    factor = next(entry.factor for entry in factors if entry.identifier == identifier)
    hiding, binding = nonces.take()
    nonce = (hiding + binding * factor) % ORDER
    # The signer knows its own term's logarithm: one cheap multiplication instead of a full one.
    others = _bind_commitments(package, factors, without=identifier)
    group_commitment = sum_elements((multiply_base(nonce), *others))
    challenge = _compute_challenge(package, group_public_key, group_commitment)
    weight = compute_lagrange_coefficient(package.identifiers, identifier) * challenge % ORDER
    share = (nonce + weight * key_share.signing_share) % ORDER
    return SignatureShare(identifier=identifier, share=Scalar(share))


def compute_transcript(package: SigningPackage, group_public_key: GroupPublicKey) -> SigningTranscript:
    """Return the binding factors, group commitment and challenge of a package.

    Raises:
        ProtocolError: the commitments cancel out to the identity.
    """
    factors = compute_binding_factors(package, group_public_key)
    group_commitment = compute_group_commitment(package, factors)
    return SigningTranscript(
        binding_factors=factors,
        group_commitment=group_commitment,
        challenge=_compute_challenge(package, group_public_key, group_commitment),
    )


def compute_binding_factors(
    package: SigningPackage, group_public_key: GroupPublicKey
) -> tuple[BindingFactor, ...]:
    """Return each signer's binding factor (compute_binding_factors, section 4.4)."""
    inputs = compute_binding_factor_inputs(package, group_public_key)
    return tuple(
        BindingFactor(identifier=identifier, factor=h1(data))
        for identifier, data in zip(package.identifiers, inputs, strict=True)
    )


def compute_binding_factor_inputs(
    package: SigningPackage, group_public_key: GroupPublicKey
) -> tuple[bytes, ...]:
    """Return what each signer's binding factor is the hash of (section 4.4, rho_input)."""
    prefix = group_public_key.to_bytes() + h4(package.message) + h5(encode_commitments(package))
    return tuple(prefix + scalar_to_bytes(identifier) for identifier in package.identifiers)


def encode_commitments(package: SigningPackage) -> bytes:
    """Return the commitments as one string (encode_group_commitment_list, section 4.3)."""
    return b"".join(
        scalar_to_bytes(item.identifier) + item.hiding.encoded + item.binding.encoded
        for item in package.commitments
    )


def compute_group_commitment(package: SigningPackage, factors: tuple[BindingFactor, ...]) -> Element:
    """Return the sum of hiding commitments and bound binding commitments (section 4.5).

    Raises:
        ProtocolError: they cancel out to the identity.
    """
    return sum_elements(_bind_commitments(package, factors))


def _bind_commitments(
    package: SigningPackage, factors: tuple[BindingFactor, ...], *, without: Identifier | None = None
) -> Iterator[Element]:
    """Yield D and rho E of every signer, or of every signer but one."""
    for entry, item in zip(factors, package.commitments, strict=True):
        if item.identifier != without:
            yield item.hiding
            yield multiply(entry.factor, item.binding)


def _compute_challenge(
    package: SigningPackage, group_public_key: GroupPublicKey, group_commitment: Element
) -> Scalar:
    """Return the challenge of Ed25519 (compute_challenge, section 4.6)."""
    return h2(group_commitment.encoded + group_public_key.to_bytes() + package.message)


def _require_signable(package: SigningPackage, nonces: SigningNonces, key_share: KeyShare) -> None:
    """Hold when the package has room for this signer and repeats its commitments unaltered."""
    if not key_share.min_signers <= len(package.commitments) <= key_share.max_signers:
        raise ProtocolError("the package has fewer signers than the quorum, or more than the group")
    if nonces.commitments.identifier != key_share.identifier:
        raise ValueError("the nonces belong to another participant than the key share")
    if nonces.commitments not in package.commitments:
        raise ProtocolError("the package does not have this signer's own commitments")
