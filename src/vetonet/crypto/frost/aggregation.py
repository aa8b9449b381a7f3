"""The coordinator's part: signature shares to one Ed25519 signature, or the names of those who cheated.

RFC 9591, sections 5.3 and 5.4. The coordinator is trusted with nothing: it can fail to make a signature,
and cannot make one that the signers did not want.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vetonet.crypto.frost.group import (
    ORDER,
    multiply,
    multiply_base,
    scalar_to_bytes,
    sum_elements,
)
from vetonet.crypto.frost.keys import Identifier, PublicKeyPackage
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.crypto.frost.signing import (
    SignatureShare,
    SigningPackage,
    SigningTranscript,
    compute_transcript,
)
from vetonet.errors import InvalidSignatureError, ProtocolError, UnknownPartyError


def aggregate(
    package: SigningPackage,
    shares: Iterable[SignatureShare],
    public_key_package: PublicKeyPackage,
) -> bytes:
    """Return a signature that verifies under the group public key (RFC 9591, section 5.3).

    The signature is verified first; single shares are looked at only when it is bad.

    Args:
        package: what the signers signed.
        shares: one from each signer of the package, in any order.
        public_key_package: the group's public values.

    Returns:
        The 64 bytes of an Ed25519 signature.

    Raises:
        UnknownPartyError: a signer is not in the group, or a share not from a signer.
        ProtocolError: too few signers, or a signer's share is missing or there twice.
        InvalidSignatureError: shares are bad; ``culprits`` names every one of their signers.
    """
    verify_signers(package, public_key_package)
    by_identifier = _index_shares(package, shares)
    group_public_key = public_key_package.group_public_key
    transcript = compute_transcript(package, group_public_key)
    response = sum(share.share for share in by_identifier.values()) % ORDER
    signature = transcript.group_commitment.encoded + scalar_to_bytes(response)
    try:
        group_public_key.verify_signature(package.message, signature)
    except InvalidSignatureError as error:
        culprits = _find_culprits(package, by_identifier, public_key_package, transcript)
        raise InvalidSignatureError("signature shares are bad", culprits=culprits) from error
    return signature


def verify_share(
    package: SigningPackage, share: SignatureShare, public_key_package: PublicKeyPackage
) -> None:
    """Hold when one signer's share is right (verify_signature_share, RFC 9591, section 5.4).

    Raises:
        UnknownPartyError: the signer is not in the package, or a signer of the package not in the group.
        ProtocolError: the package has too few signers.
        InvalidSignatureError: the share is bad; ``culprits`` names its signer.
    """
    verify_signers(package, public_key_package)
    transcript = compute_transcript(package, public_key_package.group_public_key)
    if not _is_share_valid(package, share, public_key_package, transcript):
        raise InvalidSignatureError("the signature share is bad", culprits=(str(share.identifier),))


def verify_signers(package: SigningPackage, public_key_package: PublicKeyPackage) -> None:
    """Hold when the package's signers are members of the group and enough of them.

    Raises:
        UnknownPartyError: a signer is not in the group.
        ProtocolError: there are fewer than min_signers.
    """
    members = frozenset(public_key_package.identifiers)
    for identifier in package.identifiers:
        if identifier not in members:
            raise UnknownPartyError("the signer is not in the group", culprit=str(identifier))
    if len(package.commitments) < public_key_package.min_signers:
        raise ProtocolError("the package has fewer signers than the quorum")


def _index_shares(
    package: SigningPackage, shares: Iterable[SignatureShare]
) -> Mapping[Identifier, SignatureShare]:
    signers = frozenset(package.identifiers)
    by_identifier: dict[Identifier, SignatureShare] = {}
    for share in shares:
        if share.identifier not in signers:
            raise UnknownPartyError("a share is not from a signer", culprit=str(share.identifier))
        if share.identifier in by_identifier:
            raise ProtocolError("a signer sent two shares", culprit=str(share.identifier))
        by_identifier[share.identifier] = share
    for identifier in package.identifiers:
        if identifier not in by_identifier:
            raise ProtocolError("a signer's share is missing", culprit=str(identifier))
    return by_identifier


def _find_culprits(
    package: SigningPackage,
    shares: Mapping[Identifier, SignatureShare],
    public_key_package: PublicKeyPackage,
    transcript: SigningTranscript,
) -> tuple[str, ...]:
    return tuple(
        str(identifier)
        for identifier in package.identifiers
        if not _is_share_valid(package, shares[identifier], public_key_package, transcript)
    )


def _is_share_valid(
    package: SigningPackage,
    share: SignatureShare,
    public_key_package: PublicKeyPackage,
    transcript: SigningTranscript,
) -> bool:
    """Return True when z B = D + rho E + (lambda c) Y, all of one signer."""
    factor = transcript.get_factor(share.identifier)
    if share.share == 0:
        return False  # The right-hand side is the identity for nobody who chose nonces at random.
    signer = next(item for item in package.commitments if item.identifier == share.identifier)
    lagrange = compute_lagrange_coefficient(package.identifiers, share.identifier)
    verifying_share = public_key_package.compute_verifying_share(share.identifier)
    bound = multiply(factor, signer.binding)
    keyed = multiply(lagrange * transcript.challenge % ORDER, verifying_share)
    return multiply_base(share.share) == sum_elements((signer.hiding, bound, keyed))
