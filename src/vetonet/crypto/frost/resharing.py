"""Resharing: a new group gets the old group's key, and the group public key stays what it was.

Verifiable redistribution: Desmedt and Jajodia, "Redistributing secret shares to new access structures and
its applications" (1997), made verifiable by Wong, Wang and Wing, "Verifiable secret redistribution for
archive systems" (2002). A quorum of the old group deals. The constant term of a dealer's polynomial is its
weighted old share, so the constant terms add up to the old key; the degree is the new group's. What a
dealer owes is public, so one that deals another secret is named, and the public key cannot drift.

Old shares do not combine with new ones: they lie on different polynomials. But min_signers old shares that
were never erased still are the key, whatever was dealt since. That members erase them, backups included,
is an assumption that no mathematics can replace; where it cannot be made, a new key has to be generated.

The driver owns the wires and three duties: all agree on the ``Resharing`` beforehand, the shares travel
encrypted and authenticated, and nobody sends or finishes before ``verify_reshare_echoes`` has shown that
all new members saw the same round 1. A new attempt takes a new context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from types import MappingProxyType

from vetonet.crypto.frost.dealing import (
    combine_shares,
    compute_weighted_share,
    compute_weighted_verifying_share,
    generate_dealing,
    hash_dealing,
    index_shares,
    is_dealing_valid,
    refuse_culprits,
    require_equal_echoes,
    require_one_of_each,
    sort_distinct,
    sort_quorum,
    sum_commitments,
)
from vetonet.crypto.frost.group import Element, Scalar, generate_scalar
from vetonet.crypto.frost.keys import Identifier, KeyShare, PublicKeyPackage, require_thresholds
from vetonet.crypto.frost.layout import count_to_bytes
from vetonet.crypto.frost.packages import Round1Package, Round2Package
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.errors import ProtocolError
from vetonet.units import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Resharing:
    """What dealers and new members agree on before anybody deals; all of it public.

    Identifiers of the new group are its own: one that the old group had too may name another participant.

    Attributes:
        old: the public values of the group that hands over.
        dealers: the members of it that deal, at least its min_signers; kept in ascending order.
        identifiers: the members of the new group; kept in ascending order.
        min_signers: how many of them it shall take to sign.
        context: names the group, its new epoch and the attempt; a package of another context is refused.
    """

    old: PublicKeyPackage
    dealers: tuple[Identifier, ...]
    identifiers: tuple[Identifier, ...]
    min_signers: int
    context: bytes

    def __post_init__(self) -> None:
        """Refuse dealers that cannot hand the key over and a new group that cannot exist.

        Raises:
            UnknownPartyError: a dealer is not in the old group.
            ProtocolError: fewer dealers than a quorum, or a dealer or new member is there twice.
            ValueError: the new thresholds are impossible, or the context is empty.
        """
        require_thresholds(min_signers=self.min_signers, max_signers=len(self.identifiers))
        if not self.context:
            raise ValueError("resharing needs a context")
        object.__setattr__(self, "dealers", sort_quorum(self.old, self.dealers))
        object.__setattr__(self, "identifiers", sort_distinct(self.identifiers))

    def compute_digest(self) -> bytes:
        """Return the 64-byte digest of all that is agreed on."""
        rosters = (len(self.dealers), *self.dealers, len(self.identifiers), *self.identifiers)
        return hashlib.sha512(
            hashlib.sha512(self.context).digest()
            + self.old.to_bytes()
            + b"".join(map(count_to_bytes, (*rosters, self.min_signers)))
        ).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshareSecret:
    """What a dealer keeps until it has sent its shares; secret, and to be erased then.

    Attributes:
        resharing: what all agreed on.
        coefficients: the dealer's polynomial, its weighted old share first.
        package: what it broadcast.
    """

    resharing: Resharing
    coefficients: tuple[Scalar, ...] = field(repr=False)
    package: Round1Package


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshareRound1:
    """Round 1 as ``verify_reshare_round1`` found it to be right; public.

    Attributes:
        resharing: what all agreed on.
        packages: every dealer's, in ascending order.
    """

    resharing: Resharing
    packages: tuple[Round1Package, ...]

    def compute_digest(self) -> bytes:
        """Return the 32-byte digest of the agreement and of all packages: this participant's echo."""
        digest = hashlib.sha256(b"vetonet-frost-resharing-transcript-v1" + self.resharing.compute_digest())
        for package in self.packages:
            digest.update(package.to_bytes())
        return digest.digest()


def generate_reshare_round1(
    resharing: Resharing, key_share: KeyShare, rng: Rng
) -> tuple[ReshareSecret, Round1Package]:
    """Return a polynomial that starts at the dealer's weighted share, and its commitment to broadcast.

    Args:
        resharing: what all agreed on.
        key_share: the dealer's share in the old group.
        rng: the source of randomness.

    Returns:
        The secret for ``generate_reshare_round2`` and the package for everybody.

    Raises:
        ValueError: the share's holder is not a dealer, or it is no share of the old group's epoch.
    """
    constant = compute_weighted_share(resharing.old, resharing.dealers, key_share)
    others = (generate_scalar(rng) for _ in range(resharing.min_signers - 1))
    coefficients = (constant, *others)
    package = generate_dealing(
        coefficients,
        identifier=key_share.identifier,
        challenge=partial(_compute_challenge, resharing.compute_digest()),
        rng=rng,
    )
    return ReshareSecret(resharing=resharing, coefficients=coefficients, package=package), package


def verify_reshare_round1(resharing: Resharing, round1_packages: Iterable[Round1Package]) -> ReshareRound1:
    """Return round 1 of a resharing that hands over the old key and no other.

    Dealers and new members alike run it; a new member needs no share of the old group for it.

    Args:
        resharing: what all agreed on.
        round1_packages: one from each dealer, in any order.

    Raises:
        UnknownPartyError: a package is not from a dealer.
        ProtocolError: a dealer's package is missing or there twice.
        InvalidSignatureError: a commitment of a wrong length or to another secret than the dealer's
            weighted share, or a bad proof; ``culprits`` names all.
    """
    packages = tuple(sorted(round1_packages, key=attrgetter("identifier")))
    require_one_of_each((package.identifier for package in packages), resharing.dealers)
    verify_reshare_packages(resharing, packages)
    return ReshareRound1(resharing=resharing, packages=packages)


def verify_reshare_packages(resharing: Resharing, packages: Iterable[Round1Package]) -> None:
    """Hold when each of these dealers' packages hands over its part of the old key; others may be missing.

    Raises:
        ValueError: a package is not from a dealer.
        InvalidSignatureError: as ``verify_reshare_round1``.
    """
    challenge = partial(_compute_challenge, resharing.compute_digest())
    culprits = [
        package.identifier
        for package in packages
        if not _is_weighted_share(resharing, package)
        or not is_dealing_valid(package, min_signers=resharing.min_signers, challenge=challenge)
    ]
    refuse_culprits("round-1 packages are bad", culprits)


def compute_reshared_package(round1: ReshareRound1) -> PublicKeyPackage:
    """Return the new group's public values, which anybody can: the old group public key is theirs.

    Raises:
        EncodingError, ProtocolError: the sum is no usable key, or not the old one, which round 1 as verified
            rules out.
    """
    package = sum_commitments(round1.packages, round1.resharing.identifiers)
    if package.group_public_key != round1.resharing.old.group_public_key:
        raise ProtocolError("the new group has another public key than the old one")
    return package


def verify_reshare_echoes(round1: ReshareRound1, echoes: Mapping[Identifier, bytes]) -> None:
    """Hold when every new member saw the round 1 that this participant saw.

    Args:
        round1: what ``verify_reshare_round1`` returned.
        echoes: each new member's ``compute_digest``, one's own included if one is a new member.

    Raises:
        ProtocolError: an echo is missing.
        EquivocationError: an echo differs; its sender need not be the one who cheated.
    """
    require_equal_echoes(round1.compute_digest(), echoes, round1.resharing.identifiers)


def generate_reshare_round2(
    secret: ReshareSecret, round1: ReshareRound1
) -> Mapping[Identifier, Round2Package]:
    """Return the share for each new member; a dealer that stays sends one to itself as to any other.

    Args:
        secret: what ``generate_reshare_round1`` returned.
        round1: what ``verify_reshare_round1`` returned.

    Raises:
        ProtocolError: the dealer's own package is missing or altered, or was dealt for another resharing.
    """
    # Its proof is bound to one resharing, so where the package was found to be right it is the same one.
    if secret.package not in round1.packages:
        raise ProtocolError("this dealer's own round-1 package is missing or altered")
    sent = {
        receiver: Round2Package(
            sender=secret.package.identifier,
            receiver=receiver,
            share=evaluate(secret.coefficients, receiver),
        )
        for receiver in secret.resharing.identifiers
    }
    return MappingProxyType(sent)


def finish_resharing(
    round1: ReshareRound1, receiver: Identifier, round2_packages: Iterable[Round2Package]
) -> tuple[KeyShare, PublicKeyPackage]:
    """Return a new member's key share and the new group's public values, under the old group public key.

    Args:
        round1: what ``verify_reshare_round1`` returned.
        receiver: the new member.
        round2_packages: one from each dealer, in any order.

    Raises:
        ValueError: the receiver is not in the new group.
        UnknownPartyError: a package is not from a dealer.
        ProtocolError: a package is missing, there twice, or for another member.
        InvalidSignatureError: shares are bad; ``culprits`` names every one of their dealers.
    """
    resharing = round1.resharing
    if receiver not in resharing.identifiers:
        raise ValueError("the receiver is not in the new group")
    shares = index_shares(round2_packages, senders=resharing.dealers, receiver=receiver)
    return combine_shares(round1.packages, shares, receiver=receiver, identifiers=resharing.identifiers)


def _compute_challenge(
    resharing_digest: bytes,
    identifier: Identifier,
    vss_commitment: Sequence[Element],
    proof_commitment: Element,
) -> Scalar:
    """Return the challenge of the proof of knowledge, over all that a package must not be moved between."""
    counts = (identifier, len(vss_commitment))
    return hash_dealing(b"reshare", resharing_digest, counts, (*vss_commitment, proof_commitment))


def _is_weighted_share(resharing: Resharing, package: Round1Package) -> bool:
    """Return True when the constant term is the dealer's old share times its interpolation weight.

    Its proof of knowledge adds what the equation cannot: that the dealer has this share today and means
    this resharing, so a package recorded elsewhere is refused.
    """
    expected = compute_weighted_verifying_share(resharing.old, resharing.dealers, package.identifier)
    return package.vss_commitment[0] == expected
