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
from itertools import pairwise
from types import MappingProxyType

from vetonet.crypto.frost.group import (
    ORDER,
    Element,
    Scalar,
    generate_scalar,
    hash_to_scalar,
    multiply,
    multiply_base,
    sum_elements,
)
from vetonet.crypto.frost.keys import (
    Identifier,
    KeyShare,
    PublicKeyPackage,
    require_thresholds,
)
from vetonet.crypto.frost.layout import count_to_bytes
from vetonet.crypto.frost.packages import ProofOfKnowledge, Round1Package, Round2Package
from vetonet.crypto.frost.polynomial import evaluate, evaluate_commitment
from vetonet.errors import (
    EquivocationError,
    InvalidSignatureError,
    ProtocolError,
    UnknownPartyError,
)
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
    vss_commitment = tuple(map(multiply_base, coefficients))
    nonce = generate_scalar(rng)
    commitment = multiply_base(nonce)
    challenge = _compute_challenge(identifier, max_signers, context, vss_commitment, commitment)
    response = Scalar((nonce + coefficients[0] * challenge) % ORDER)
    proof = ProofOfKnowledge(commitment=commitment, response=response)
    package = Round1Package(identifier=identifier, vss_commitment=vss_commitment, proof=proof)
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
    sent = {
        package.identifier: Round2Package(
            sender=secret.identifier,
            receiver=package.identifier,
            share=evaluate(secret.coefficients, package.identifier),
        )
        for package in packages
    }
    own_share = sent.pop(secret.identifier).share
    kept = Round2Secret(identifier=secret.identifier, own_share=own_share, round1_packages=packages)
    return kept, MappingProxyType(sent)


def verify_round1(
    packages: Iterable[Round1Package], *, min_signers: int, max_signers: int, context: bytes
) -> None:
    """Hold when each of these round-1 packages has the right length and a valid proof (round 1, step 5).

    Nobody needs a secret for it: a participant looks at the others' packages, and anybody at a transcript.

    Raises:
        InvalidSignatureError: commitments of a wrong length or bad proofs; ``culprits`` names all.
    """
    culprits = [
        package.identifier
        for package in packages
        if len(package.vss_commitment) != min_signers or not _is_proof_valid(package, max_signers, context)
    ]
    _refuse_culprits("round-1 packages are bad", culprits)


def verify_round2(package: Round2Package, dealt: Round1Package) -> None:
    """Hold when a share is the value at its receiver of the polynomial that its dealer committed to.

    Raises:
        ProtocolError: it is not, or it is another dealer's; ``culprit`` names the dealer.
    """
    if package.sender != dealt.identifier:
        raise ProtocolError("the share is another dealer's", culprit=str(package.sender))
    try:
        _require_opening(package.share, evaluate_commitment(dealt.vss_commitment, package.receiver))
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
    columns = zip(*(package.vss_commitment for package in packages), strict=True)
    return PublicKeyPackage(
        vss_commitment=tuple(map(sum_elements, columns)),
        identifiers=tuple(package.identifier for package in packages),
    )


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
    others = [identifier for identifier in secret.identifiers if identifier != secret.identifier]
    for identifier in others:
        if identifier not in echoes:
            raise ProtocolError("a participant's echo is missing", culprit=str(identifier))
    differing = [str(identifier) for identifier in others if echoes[identifier] != own]
    if differing:
        raise EquivocationError(f"participants {', '.join(differing)} saw other round-1 packages")


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
    shares = _index_round2(secret, round2_packages)
    signing_share = Scalar((secret.own_share + sum(shares.values())) % ORDER)
    try:
        public_key_package = compute_public_key_package(secret.round1_packages)
        verifying_share = public_key_package.compute_verifying_share(secret.identifier)
        _require_opening(signing_share, verifying_share)
    except ProtocolError as error:
        _refuse_culprits("round-2 shares are bad", _find_bad_shares(secret, shares))
        raise ProtocolError("the shares do not add up, though each of them is right") from error
    key_share = KeyShare(
        identifier=secret.identifier,
        signing_share=signing_share,
        verifying_share=verifying_share,
        group_public_key=public_key_package.group_public_key,
        min_signers=public_key_package.min_signers,
        max_signers=public_key_package.max_signers,
    )
    return key_share, public_key_package


def _compute_challenge(
    identifier: Identifier,
    max_signers: int,
    context: bytes,
    vss_commitment: Sequence[Element],
    proof_commitment: Element,
) -> Scalar:
    """Return the challenge of the proof of knowledge, over all that a package must not be moved between."""
    counts = (identifier, len(vss_commitment), max_signers)
    elements = (*vss_commitment, proof_commitment)
    data = (
        hashlib.sha512(context).digest()
        + b"".join(map(count_to_bytes, counts))
        + b"".join(element.encoded for element in elements)
    )
    return hash_to_scalar(b"dkg", data)


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


def _is_proof_valid(package: Round1Package, max_signers: int, context: bytes) -> bool:
    """Return True for a valid proof of knowledge of the constant term."""
    commitment, response = package.proof.commitment, package.proof.response
    challenge = _compute_challenge(
        package.identifier, max_signers, context, package.vss_commitment, commitment
    )
    return _is_opening(
        response,
        sum_elements((commitment, multiply(challenge, package.vss_commitment[0]))),
    )


def _index_round2(secret: Round2Secret, packages: Iterable[Round2Package]) -> Mapping[Identifier, Scalar]:
    """Return each other participant's share, all of them there and meant for this participant."""
    others = frozenset(secret.identifiers) - {secret.identifier}
    shares: dict[Identifier, Scalar] = {}
    for package in packages:
        if package.sender not in others:
            raise UnknownPartyError(
                "a round-2 package is not from another dealer",
                culprit=str(package.sender),
            )
        if package.receiver != secret.identifier:
            raise ProtocolError(
                "a round-2 package is for another participant",
                culprit=str(package.sender),
            )
        if package.sender in shares:
            raise ProtocolError("a participant sent two round-2 packages", culprit=str(package.sender))
        shares[package.sender] = package.share
    for identifier in sorted(others - shares.keys()):
        raise ProtocolError("a participant's round-2 package is missing", culprit=str(identifier))
    return shares


def _find_bad_shares(secret: Round2Secret, shares: Mapping[Identifier, Scalar]) -> list[Identifier]:
    """Return the dealers whose share is not the value of the polynomial they committed to."""
    culprits = []
    for dealt in secret.round1_packages:
        if dealt.identifier == secret.identifier:
            continue
        share = shares[dealt.identifier]
        try:
            verify_round2(
                Round2Package(sender=dealt.identifier, receiver=secret.identifier, share=share), dealt
            )
        except ProtocolError:
            culprits.append(dealt.identifier)
    return culprits


def _require_opening(scalar: Scalar, element: Element) -> None:
    if not _is_opening(scalar, element):
        raise ProtocolError("the share does not match the commitment")


def _is_opening(scalar: Scalar, element: Element) -> bool:
    return scalar != 0 and multiply_base(scalar) == element


def _refuse_culprits(message: str, culprits: Iterable[Identifier]) -> None:
    names = tuple(str(identifier) for identifier in culprits)
    if names:
        raise InvalidSignatureError(message, culprits=names)
