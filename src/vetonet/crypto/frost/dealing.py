"""What key generation, resharing and repair have in common: verified dealings, and shares added up.

Each of them is participants that deal, in public a commitment and in secret a share for each receiver. The
sum of a receiver's shares is verified against the sum of the commitments; the single shares are looked at
only when that fails, to name whoever sent a bad one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

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
from vetonet.crypto.frost.keys import Identifier, KeyShare, PublicKeyPackage
from vetonet.crypto.frost.layout import count_to_bytes
from vetonet.crypto.frost.packages import ProofOfKnowledge, Round1Package, SecretPackage
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient, evaluate_commitment
from vetonet.errors import EquivocationError, InvalidSignatureError, ProtocolError, UnknownPartyError
from vetonet.units import Rng

Challenge = Callable[[Identifier, Sequence[Element], Element], Scalar]
"""The challenge of a proof of knowledge for this dealer, these coefficients, this commitment of the proof."""


def generate_dealing(
    coefficients: Sequence[Scalar], *, identifier: Identifier, challenge: Challenge, rng: Rng
) -> Round1Package:
    """Return the commitment to a polynomial and a proof of knowledge of its constant term.

    Raises:
        ValueError: a coefficient is zero, or the source of randomness gave a wrong number of bytes.
    """
    vss_commitment = tuple(map(multiply_base, coefficients))
    nonce = generate_scalar(rng)
    commitment = multiply_base(nonce)
    weight = challenge(identifier, vss_commitment, commitment)
    response = Scalar((nonce + coefficients[0] * weight) % ORDER)
    proof = ProofOfKnowledge(commitment=commitment, response=response)
    return Round1Package(identifier=identifier, vss_commitment=vss_commitment, proof=proof)


def is_dealing_valid(package: Round1Package, *, min_signers: int, challenge: Challenge) -> bool:
    """Return True for as many coefficients as it takes signers, with a valid proof of knowledge.

    Raises:
        ProtocolError: the proof's commitment cancels the key out, which takes a break of the hash.
    """
    if len(package.vss_commitment) != min_signers:
        return False
    commitment = package.proof.commitment
    weight = challenge(package.identifier, package.vss_commitment, commitment)
    expected = sum_elements((commitment, multiply(weight, package.vss_commitment[0])))
    return is_opening(package.proof.response, expected)


def hash_dealing(tag: bytes, agreed: bytes, counts: Iterable[int], elements: Iterable[Element]) -> Scalar:
    """Return the challenge of a proof of knowledge, over all that a dealing must not be moved between.

    Args:
        tag: the protocol's own.
        agreed: the 64-byte digest of what the participants agreed on beforehand.
        counts: the dealer, the number of its coefficients, and what else the protocol counts.
        elements: the commitments to the coefficients, then that of the proof.
    """
    spelled = (element.encoded for element in elements)
    return hash_to_scalar(tag, agreed + b"".join(map(count_to_bytes, counts)) + b"".join(spelled))


def combine_shares(
    dealings: Sequence[Round1Package],
    shares: Mapping[Identifier, Scalar],
    *,
    receiver: Identifier,
    identifiers: tuple[Identifier, ...],
) -> tuple[KeyShare, PublicKeyPackage]:
    """Return one receiver's key share and the public values of the group whose polynomial is the sum.

    Args:
        dealings: every dealer's, verified.
        shares: the value of each dealer's polynomial at the receiver.
        receiver: whose key share it is.
        identifiers: every participant of the group, in ascending order.

    Raises:
        InvalidSignatureError: shares are bad; ``culprits`` names every one of their dealers.
        ProtocolError: the commitments cancel out, though each share fits its own.
    """
    signing_share = Scalar(sum(shares.values()) % ORDER)
    try:
        public_key_package = sum_commitments(dealings, identifiers)
        verifying_share = public_key_package.compute_verifying_share(receiver)
        require_opening(signing_share, verifying_share)
    except ProtocolError as error:
        expected = {dealing.identifier: dealing.vss_commitment for dealing in dealings}
        refuse_bad_shares(shares, lambda dealer: evaluate_commitment(expected[dealer], receiver))
        raise ProtocolError("the shares do not add up, though each of them is right") from error
    key_share = KeyShare(
        identifier=receiver,
        signing_share=signing_share,
        verifying_share=verifying_share,
        group_public_key=public_key_package.group_public_key,
        min_signers=public_key_package.min_signers,
        max_signers=public_key_package.max_signers,
    )
    return key_share, public_key_package


def refuse_bad_shares(
    shares: Mapping[Identifier, Scalar], compute_expected: Callable[[Identifier], Element]
) -> None:
    """Hold when each share opens the element that was committed to for it.

    Args:
        shares: one of each sender.
        compute_expected: the generator times the share that this sender owes.

    Raises:
        InvalidSignatureError: shares are bad; ``culprits`` names every one of their senders.
    """
    culprits = []
    for sender in sorted(shares):
        try:
            require_opening(shares[sender], compute_expected(sender))
        except ProtocolError:
            culprits.append(sender)
    refuse_culprits("secret shares are bad", culprits)


def refuse_culprits(message: str, culprits: Iterable[Identifier]) -> None:
    """Hold when nobody is to blame.

    Raises:
        InvalidSignatureError: somebody is; ``culprits`` names all, in the given order.
    """
    names = tuple(str(identifier) for identifier in culprits)
    if names:
        raise InvalidSignatureError(message, culprits=names)


def index_shares(
    packages: Iterable[SecretPackage], *, senders: Iterable[Identifier], receiver: Identifier
) -> Mapping[Identifier, Scalar]:
    """Return each sender's share, all of them there once and meant for this receiver.

    Raises:
        UnknownPartyError: a package is not from one of the senders.
        ProtocolError: a package is missing, there twice, or for somebody else.
    """
    received = tuple(packages)
    require_one_of_each((package.sender for package in received), senders)
    for package in received:
        if package.receiver != receiver:
            raise ProtocolError("a secret share is for somebody else", culprit=str(package.sender))
    return {package.sender: package.share for package in received}


def require_one_of_each(senders: Iterable[Identifier], expected: Iterable[Identifier]) -> None:
    """Hold when exactly the expected ones sent, each of them once.

    Raises:
        UnknownPartyError: somebody else sent.
        ProtocolError: a sender is there twice, or missing.
    """
    missing = set(expected)
    known = frozenset(missing)
    for sender in senders:
        if sender not in known:
            raise UnknownPartyError("a package is from somebody who has none to send", culprit=str(sender))
        if sender not in missing:
            raise ProtocolError("a sender's package is there twice", culprit=str(sender))
        missing.remove(sender)
    for sender in sorted(missing):
        raise ProtocolError("a sender's package is missing", culprit=str(sender))


def require_equal_echoes(
    own: bytes, echoes: Mapping[Identifier, bytes], receivers: Iterable[Identifier]
) -> None:
    """Hold when each of the receivers saw the broadcasts that we saw.

    Raises:
        ProtocolError: an echo is missing.
        EquivocationError: an echo differs; its sender need not be the one who cheated.
    """
    expected = tuple(receivers)
    for identifier in expected:
        if identifier not in echoes:
            raise ProtocolError("a participant's echo is missing", culprit=str(identifier))
    differing = [str(identifier) for identifier in expected if echoes[identifier] != own]
    if differing:
        raise EquivocationError(f"participants {', '.join(differing)} saw other round-1 packages")


def sort_distinct(identifiers: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """Return the identifiers in ascending order.

    Raises:
        ProtocolError: one is there twice.
    """
    ordered = tuple(sorted(identifiers))
    for left, right in pairwise(ordered):
        if left == right:
            raise ProtocolError("a participant is there twice", culprit=str(left))
    return ordered


def sort_quorum(group: PublicKeyPackage, identifiers: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """Return the identifiers in ascending order, being enough members of the group to use its key.

    Raises:
        UnknownPartyError: one of them is not in the group.
        ProtocolError: one is there twice, or they are fewer than min_signers.
    """
    quorum = sort_distinct(identifiers)
    for identifier in quorum:
        if identifier not in group.identifiers:
            raise UnknownPartyError("not a member of the group", culprit=str(identifier))
    if len(quorum) < group.min_signers:
        raise ProtocolError(f"{len(quorum)} members where it takes {group.min_signers}")
    return quorum


def compute_weighted_share(
    group: PublicKeyPackage, quorum: Sequence[Identifier], key_share: KeyShare, x: int = 0
) -> Scalar:
    """Return what one member of a quorum adds to the value of the group's polynomial at ``x``; secret.

    Raises:
        ValueError: the share is of an earlier epoch or another group, its holder not in the quorum, or
            ``x`` is a member of the quorum.
    """
    weight = compute_lagrange_coefficient(quorum, key_share.identifier, x)
    if group.compute_verifying_share(key_share.identifier) != key_share.verifying_share:
        raise ValueError("the key share is not one of this group in this epoch")
    return Scalar(weight * key_share.signing_share % ORDER)


def compute_weighted_verifying_share(
    group: PublicKeyPackage, quorum: Sequence[Identifier], identifier: Identifier, x: int = 0
) -> Element:
    """Return the generator times what ``compute_weighted_share`` gives this member, from public values.

    Raises:
        ValueError: the member is not in the quorum, or ``x`` is.
    """
    weight = compute_lagrange_coefficient(quorum, identifier, x)
    return multiply(weight, group.compute_verifying_share(identifier))


def require_opening(scalar: Scalar, element: Element) -> None:
    """Hold when the element is the generator times the scalar.

    Raises:
        ProtocolError: it is not.
    """
    if not is_opening(scalar, element):
        raise ProtocolError("the share does not match the commitment")


def is_opening(scalar: Scalar, element: Element) -> bool:
    """Return True when the element is the generator times the scalar."""
    return scalar != 0 and multiply_base(scalar) == element


def sum_commitments(
    dealings: Sequence[Round1Package], identifiers: tuple[Identifier, ...]
) -> PublicKeyPackage:
    """Return the commitment to the group's polynomial: the dealers' added up, coefficient by coefficient.

    Raises:
        ValueError: there is none, or their lengths differ.
        EncodingError, ProtocolError: the sum is no usable key.
    """
    columns = zip(*(dealing.vss_commitment for dealing in dealings), strict=True)
    return PublicKeyPackage(vss_commitment=tuple(map(sum_elements, columns)), identifiers=identifiers)
