"""Key generation without a dealer: a threshold key that no single place ever held.

Komlo and Goldberg, FROST (2020), figure 1, which RFC 9591 leaves out of its scope. Every participant
deals a random polynomial. Round 1 broadcasts commitments to it and a proof of knowledge of its constant
term; round 2 sends each other participant, in secret, the polynomial's value there. The group's
polynomial is the sum of all.

The driver owns the wires and two duties: round 2 travels encrypted and authenticated, and nobody
finishes before ``verify_echoes`` has shown that all saw the same round 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import MappingProxyType

from vetonet.crypto.frost.dealing import (
    combine_shares,
    generate_dealing,
    hash_dealing,
    index_shares,
    is_dealing_valid,
    refuse_culprits,
    require_equal_echoes,
    require_opening,
    sum_commitments,
)
from vetonet.crypto.frost.group import Element, Scalar, generate_scalar
from vetonet.crypto.frost.keys import Identifier, KeyShare, PublicKeyPackage, require_thresholds
from vetonet.crypto.frost.packages import Round1Package, Round2Package
from vetonet.crypto.frost.polynomial import evaluate, evaluate_commitment
from vetonet.errors import ProtocolError
from vetonet.units import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Round1Secret:
    """What a participant keeps between round 1 and round 2; secret.

    Attributes:
        max_signers: how many participants deal.
        context: names the one group and epoch that this key generation is for.
        coefficients: the participant's polynomial, the constant term first.
        package: what it broadcast.
    """

    max_signers: int
    context: bytes
    coefficients: tuple[Scalar, ...] = field(repr=False)
    package: Round1Package

    @property
    def identifier(self) -> Identifier:
        """The participant whose secret it is."""
        return self.package.identifier

    @property
    def min_signers(self) -> int:
        """How many participants it will take to sign."""
        return len(self.coefficients)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round2Secret:
    """What a participant keeps between round 2 and the end; secret.

    Attributes:
        identifier: the participant whose secret it is.
        own_share: the value of its own polynomial at itself.
        round1_packages: every participant's, verified, in ascending order.
    """

    identifier: Identifier
    own_share: Scalar = field(repr=False)
    round1_packages: tuple[Round1Package, ...]

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """Every participant in ascending order."""
        return tuple(package.identifier for package in self.round1_packages)

    @property
    def others(self) -> tuple[Identifier, ...]:
        """Every participant but this one, in ascending order."""
        return tuple(identifier for identifier in self.identifiers if identifier != self.identifier)


def generate_round1(
    *,
    identifier: Identifier,
    min_signers: int,
    max_signers: int,
    context: bytes,
    rng: Rng,
) -> tuple[Round1Secret, Round1Package]:
    """Return a random polynomial to keep and its commitment to broadcast (figure 1, round 1, steps 1-4).

    Args:
        identifier: this participant.
        min_signers: how many participants it shall take to sign.
        max_signers: how many participants deal.
        context: names the group, its roster, epoch and attempt; a package of another context is refused.
        rng: the source of randomness.

    Returns:
        The secret for ``generate_round2`` and the package for everybody.

    Raises:
        ValueError: the thresholds are impossible, or the context is empty.
    """
    require_thresholds(min_signers=min_signers, max_signers=max_signers)
    if not context:
        raise ValueError("key generation needs a context")
    coefficients = tuple(generate_scalar(rng) for _ in range(min_signers))
    challenge = partial(_compute_challenge, max_signers, context)
    package = generate_dealing(coefficients, identifier=identifier, challenge=challenge, rng=rng)
    secret = Round1Secret(
        max_signers=max_signers,
        context=context,
        coefficients=coefficients,
        package=package,
    )
    return secret, package


def generate_round2(
    secret: Round1Secret, round1_packages: Iterable[Round1Package]
) -> tuple[Round2Secret, Mapping[Identifier, Round2Package]]:
    """Return a share for each other participant, having verified all proofs (round 1 step 5, round 2 step 1).

    Args:
        secret: what ``generate_round1`` returned.
        round1_packages: everybody's, the participant's own included, in any order.

    Returns:
        The secret for ``finish``, and the package for each other participant.

    Raises:
        ProtocolError: a package is missing, there twice, or altered (our own).
        InvalidSignatureError: commitments of a wrong length or bad proofs; ``culprits`` names all.
    """
    packages = _sort_round1(secret, round1_packages)
    verify_round1(
        [package for package in packages if package != secret.package],
        min_signers=secret.min_signers,
        max_signers=secret.max_signers,
        context=secret.context,
    )
    sent = dict(evaluate_round2(secret, packages))
    own_share = sent.pop(secret.identifier).share
    kept = Round2Secret(identifier=secret.identifier, own_share=own_share, round1_packages=packages)
    return kept, MappingProxyType(sent)


def evaluate_round2(
    secret: Round1Secret, round1_packages: Iterable[Round1Package]
) -> Mapping[Identifier, Round2Package]:
    """Return the share for each participant, itself included (round 2, step 1); all proofs were verified.

    A party of several seats verifies everybody's round 1 once, and not again for each seat.

    Args:
        secret: what ``generate_round1`` returned.
        round1_packages: everybody's, as ``verify_round1`` took them.

    Raises:
        ProtocolError: a package is missing, there twice, or altered (our own).
    """
    packages = _sort_round1(secret, round1_packages)
    sent = {
        package.identifier: Round2Package(
            sender=secret.identifier,
            receiver=package.identifier,
            share=evaluate(secret.coefficients, package.identifier),
        )
        for package in packages
    }
    return MappingProxyType(sent)


def verify_round1(
    packages: Iterable[Round1Package], *, min_signers: int, max_signers: int, context: bytes
) -> None:
    """Hold when each of these round-1 packages has the right length and a valid proof (round 1, step 5).

    Nobody needs a secret for it: a participant looks at the others' packages, and anybody at a transcript.

    Raises:
        InvalidSignatureError: commitments of a wrong length or bad proofs; ``culprits`` names all.
    """
    challenge = partial(_compute_challenge, max_signers, context)
    culprits = [
        package.identifier
        for package in packages
        if not is_dealing_valid(package, min_signers=min_signers, challenge=challenge)
    ]
    refuse_culprits("round-1 packages are bad", culprits)


def verify_round2(package: Round2Package, dealt: Round1Package) -> None:
    """Hold when a share is the value at its receiver of the polynomial that its dealer committed to.

    Raises:
        ProtocolError: it is not, or it is another dealer's; ``culprit`` names the dealer.
    """
    if package.sender != dealt.identifier:
        raise ProtocolError("the share is another dealer's", culprit=str(package.sender))
    try:
        require_opening(package.share, evaluate_commitment(dealt.vss_commitment, package.receiver))
    except ProtocolError as error:
        raise ProtocolError(str(error), culprit=str(package.sender)) from error


def compute_public_key_package(round1_packages: Iterable[Round1Package]) -> PublicKeyPackage:
    """Return the group that verified round-1 packages make: their commitments added up (round 2, step 4).

    Args:
        round1_packages: every participant's, each of the same length, in any order.

    Raises:
        ValueError: there is none, their lengths differ, or a participant's stands twice.
        EncodingError, ProtocolError: the sum is no usable key.
    """
    packages = sorted(round1_packages, key=lambda package: package.identifier)
    return sum_commitments(packages, tuple(package.identifier for package in packages))


def compute_transcript_digest(round1_packages: Iterable[Round1Package]) -> bytes:
    """Return the 32-byte digest of all round-1 packages, in whatever order they came.

    Participants exchange it over authenticated channels and compare: a dealer or coordinator that showed
    different packages to different participants is caught before any key exists.
    """
    digest = hashlib.sha256(b"vetonet-frost-dkg-transcript-v1")
    for package in sorted(round1_packages, key=lambda package: package.identifier):
        digest.update(package.to_bytes())
    return digest.digest()


def verify_echoes(secret: Round2Secret, echoes: Mapping[Identifier, bytes]) -> None:
    """Hold when every other participant saw the round-1 packages that this one saw.

    Args:
        secret: what ``generate_round2`` returned.
        echoes: each other participant's transcript digest.

    Raises:
        ProtocolError: an echo is missing.
        EquivocationError: an echo differs; its sender need not be the one who cheated.
    """
    own = compute_transcript_digest(secret.round1_packages)
    require_equal_echoes(own, echoes, secret.others)


def finish(
    secret: Round2Secret, round2_packages: Iterable[Round2Package]
) -> tuple[KeyShare, PublicKeyPackage]:
    """Return the participant's key share and the group's public values (round 2, steps 2 to 4).

    The sum of all shares is verified against the sum of all commitments; the single shares only when that
    fails. The commitments are those that ``generate_round2`` verified.

    Args:
        secret: what ``generate_round2`` returned.
        round2_packages: one from each other participant, in any order.

    Returns:
        The secret key share, and the public key package, equal at every participant.

    Raises:
        ProtocolError: a package is missing, there twice, or not for this participant.
        InvalidSignatureError: shares are bad; ``culprits`` names every one of their dealers.
    """
    received = index_shares(round2_packages, senders=secret.others, receiver=secret.identifier)
    return combine_shares(
        secret.round1_packages,
        {**received, secret.identifier: secret.own_share},
        receiver=secret.identifier,
        identifiers=secret.identifiers,
    )


def _compute_challenge(
    max_signers: int,
    context: bytes,
    identifier: Identifier,
    vss_commitment: Sequence[Element],
    proof_commitment: Element,
) -> Scalar:
    """Return the challenge of the proof of knowledge, over all that a package must not be moved between."""
    counts = (identifier, len(vss_commitment), max_signers)
    agreed = hashlib.sha512(context).digest()
    return hash_dealing(b"dkg", agreed, counts, (*vss_commitment, proof_commitment))


def _sort_round1(secret: Round1Secret, packages: Iterable[Round1Package]) -> tuple[Round1Package, ...]:
    """Return the packages of max_signers distinct participants, our own unaltered among them."""
    ordered = tuple(sorted(packages, key=lambda package: package.identifier))
    for left, right in pairwise(ordered):
        if left.identifier == right.identifier:
            raise ProtocolError("a participant sent two round-1 packages", culprit=str(left.identifier))
    if len(ordered) != secret.max_signers:
        raise ProtocolError(f"{len(ordered)} round-1 packages for {secret.max_signers} participants")
    if secret.package not in ordered:
        raise ProtocolError("this participant's own round-1 package is missing or altered")
    return ordered
