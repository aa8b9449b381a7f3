"""A beacon that k of n parties give and none can steer: a distributed verifiable random function.

Source: Galindo, Liu, Ordean and Wong, "Fully distributed verifiable random functions and their application to
decentralised random beacons" (EuroS&P 2021), the DDH-DVRF of section 4.2, over edwards25519 with the key
shares of a FROST group. An input is hashed to a point M whose logarithm nobody knows; a participant gives its
share times M with a proof (Chaum and Pedersen 1992) that it is the very share of its verifying share; k of
them interpolate to the group's secret times M, the same point whichever k they are. A FROST signature would
not do: a signer chooses its nonce, so a message has many (ADR 0035).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.frost.group import (
    ORDER,
    Element,
    Scalar,
    generate_bytes,
    multiply,
    multiply_base,
    scalar_to_bytes,
    sum_elements,
)
from vetonet.crypto.frost.keys import GroupPublicKey, Identifier, KeyShare, PublicKeyPackage
from vetonet.crypto.frost.layout import LayoutReader, count_to_bytes, refuse_malformed
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.crypto.hash_to_curve import hash_to_curve
from vetonet.errors import InvalidSignatureError, ProtocolError
from vetonet.units import Rng

POINT_TAG: Final = b"vetonet-dvrf-v1-edwards25519_XMD:SHA-512_ELL2_RO_"
CHALLENGE_TAG: Final = b"\xff" * 32 + b"vetonet-dvrf-v1 equality"
"""32 bytes that are no point come first, so that no input is one of Ed25519's own challenge (ADR 0035)."""

OUTPUT_TAG: Final = b"\xff" * 32 + b"vetonet-dvrf-v1 output"
NONCE_TAG: Final = b"vetonet-dvrf-v1 nonce"
OUTPUT_BYTES: Final = 64
PARTIAL_BYTES: Final = 98


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconInput:
    """What a group is asked to evaluate; another group, context or message is another input.

    Attributes:
        group_public_key: whose secret it is evaluated under.
        context: names the use, such as treaty, epoch and purpose.
        message: what sets this evaluation apart from others of the same use.
    """

    group_public_key: GroupPublicKey
    context: bytes
    message: bytes

    @property
    def digest(self) -> bytes:
        """What names the input: SHA-512 over its parts, each with its length."""
        parts = (self.group_public_key.to_bytes(), self.context, self.message)
        return hashlib.sha512(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()

    def compute_point(self) -> Element:
        """Return the point that the input gives; nobody knows its logarithm."""
        return hash_to_curve(self.digest, POINT_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialEvaluation:
    """One participant's part of an evaluation, and the proof that it is the right one.

    Attributes:
        identifier: whose part.
        value: its signing share times the input's point.
        challenge, response: the proof that this is the share of its verifying share.
    """

    identifier: Identifier
    value: Element
    challenge: Scalar
    response: Scalar

    @classmethod
    def from_bytes(cls, data: bytes) -> PartialEvaluation:
        """Return the part that these 98 bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a part.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            identifier = Identifier(reader.take_count())
        (value,) = reader.take_elements(1)
        challenge, response = reader.take_scalar(), reader.take_scalar()
        reader.finish()
        return cls(identifier=identifier, value=value, challenge=challenge, response=response)

    def to_bytes(self) -> bytes:
        """Return identifier, value, challenge and response."""
        scalars = scalar_to_bytes(self.challenge) + scalar_to_bytes(self.response)
        return count_to_bytes(self.identifier) + self.value.to_bytes() + scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a group gives for an input, whoever of it took part.

    Attributes:
        value: the group's secret times the input's point.
        output: 64 bytes that are as good as random to whoever does not know ``value``.
    """

    value: Element
    output: bytes


def evaluate_partial(asked: BeaconInput, key_share: KeyShare, rng: Rng) -> PartialEvaluation:
    """Return a participant's part of an evaluation.

    Raises:
        ProtocolError: the input is for another group than the share's.
    """
    if asked.group_public_key != key_share.group_public_key:
        raise ProtocolError("an input for another group than that of the key share")
    point = asked.compute_point()
    value = multiply(key_share.signing_share, point)
    nonce = _compute_nonce(asked, key_share, generate_bytes(rng, 32))
    challenge = _compute_challenge(
        asked,
        key_share.identifier,
        (point, key_share.verifying_share, value, multiply_base(nonce), multiply(nonce, point)),
    )
    response = Scalar((nonce - challenge * key_share.signing_share) % ORDER)
    return PartialEvaluation(
        identifier=key_share.identifier, value=value, challenge=challenge, response=response
    )


def verify_partial(asked: BeaconInput, partial: PartialEvaluation, package: PublicKeyPackage) -> None:
    """Hold that a part is its participant's share times the input's point.

    Raises:
        UnknownPartyError: the group has no such participant.
        ProtocolError: the input is for another group.
        InvalidSignatureError: the proof does not hold; ``culprits`` names the participant.
    """
    _require_group(asked, package)
    _verify_at(asked, asked.compute_point(), partial, package)


def _verify_at(
    asked: BeaconInput, point: Element, partial: PartialEvaluation, package: PublicKeyPackage
) -> None:
    """Hold the same, where the input's point is at hand."""
    key = package.compute_verifying_share(partial.identifier)
    try:
        commitments = (
            _combine(partial.response, None, partial.challenge, key),
            _combine(partial.response, point, partial.challenge, partial.value),
        )
    except ProtocolError:  # the two cancel out, as no honest nonce makes them
        raise _refuse(partial) from None
    challenge = _compute_challenge(asked, partial.identifier, (point, key, partial.value, *commitments))
    if not hmac.compare_digest(scalar_to_bytes(challenge), scalar_to_bytes(partial.challenge)):
        raise _refuse(partial)


def combine_partials(
    asked: BeaconInput, partials: Iterable[PartialEvaluation], package: PublicKeyPackage
) -> Evaluation:
    """Return the group's evaluation; whichever k participants took part, it is the same (VN-19.13).

    Raises:
        ProtocolError: fewer parts than the quorum, two of one participant, or for another group.
        UnknownPartyError: somebody is no participant.
        InvalidSignatureError: parts are bad; ``culprits`` names every author of one.
    """
    given = tuple(partials)
    _require_group(asked, package)
    identifiers = tuple(sorted(partial.identifier for partial in given))
    if len(set(identifiers)) < len(identifiers):
        raise ProtocolError("two parts of one participant")
    _require_good(asked, given, package)
    if len(given) < package.min_signers:
        raise ProtocolError(f"expected {package.min_signers} parts of an evaluation, got {len(given)}")
    weighted = (
        multiply(compute_lagrange_coefficient(identifiers, partial.identifier), partial.value)
        for partial in given
    )
    value = sum_elements(weighted)
    output = hashlib.sha512(OUTPUT_TAG + asked.digest + value.to_bytes()).digest()
    return Evaluation(value=value, output=output)


def _require_good(
    asked: BeaconInput, partials: tuple[PartialEvaluation, ...], package: PublicKeyPackage
) -> None:
    culprits, point = list[str](), asked.compute_point()
    for partial in partials:
        try:
            _verify_at(asked, point, partial, package)
        except InvalidSignatureError as error:
            culprits += error.culprits
    if culprits:
        named = ", ".join(sorted(culprits))
        raise InvalidSignatureError(f"bad parts of an evaluation: {named}", culprits=tuple(sorted(culprits)))


def _require_group(asked: BeaconInput, package: PublicKeyPackage) -> None:
    if asked.group_public_key != package.group_public_key:
        raise ProtocolError("an input for another group than the one that is asked")


def _refuse(partial: PartialEvaluation) -> InvalidSignatureError:
    who = str(int(partial.identifier))
    return InvalidSignatureError(f"the part of participant {who} is not that of its share", culprits=(who,))


def _combine(response: Scalar, base: Element | None, challenge: Scalar, key: Element) -> Element:
    """Return response times a base, the generator where there is none, plus challenge times a key.

    Raises:
        ProtocolError: the two cancel out.
    """
    terms: list[Element] = []
    if response:
        terms.append(multiply_base(response) if base is None else multiply(response, base))
    if challenge:
        terms.append(multiply(challenge, key))
    if not terms:
        raise ProtocolError("a proof of nothing")
    return sum_elements(terms)


def _compute_challenge(asked: BeaconInput, identifier: Identifier, elements: tuple[Element, ...]) -> Scalar:
    spelled = b"".join(element.to_bytes() for element in elements)
    data = CHALLENGE_TAG + asked.digest + count_to_bytes(identifier) + spelled
    return Scalar(int.from_bytes(hashlib.sha512(data).digest(), "little") % ORDER)


def _compute_nonce(asked: BeaconInput, key_share: KeyShare, randomness: bytes) -> Scalar:
    """Return a nonce that is fresh for each input even if the source of randomness repeats itself."""
    secret = scalar_to_bytes(key_share.signing_share)
    keyed = hmac.digest(secret, NONCE_TAG + randomness + asked.digest, "sha512")
    nonce = int.from_bytes(keyed, "little") % ORDER
    return Scalar(nonce) if nonce else _compute_nonce(asked, key_share, keyed[:32])
