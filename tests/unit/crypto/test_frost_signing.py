"""Signing: every quorum signs, nothing less does, and whoever cheats is named."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from itertools import combinations
from threading import Barrier, Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.signing import VerifyKey

from vetonet.crypto import frost
from vetonet.crypto.frost.group import ORDER, generate_scalar, multiply_base
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.rng import SeededRng
from vetonet.errors import (
    EncodingError,
    InvalidSignatureError,
    ProtocolError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)

MESSAGE = b"licence 7"


def deal(k: int, n: int, seed: bytes = b"deal") -> tuple[dict[int, frost.KeyShare], frost.PublicKeyPackage]:
    """Split a fresh secret as a trusted dealer would (RFC 9591, appendix C); only tests may."""
    rng = SeededRng(seed)
    coefficients = tuple(generate_scalar(rng) for _ in range(k))
    public = frost.PublicKeyPackage(
        vss_commitment=tuple(map(multiply_base, coefficients)),
        identifiers=tuple(map(frost.Identifier, range(1, n + 1))),
    )
    shares = {
        int(identifier): frost.KeyShare.from_signing_share(
            identifier=identifier,
            signing_share=evaluate(coefficients, identifier),
            group_public_key=public.group_public_key,
            min_signers=k,
            max_signers=n,
        )
        for identifier in public.identifiers
    }
    return shares, public


class Session:
    """A group of which some commit to sign one message."""

    def __init__(self, k: int, n: int, signers: tuple[int, ...], message: bytes = MESSAGE) -> None:
        self.shares, self.public = deal(k, n)
        rng = SeededRng(b"session")
        committed = {number: frost.commit(self.shares[number], rng) for number in signers}
        self.nonces = {number: nonces for number, (nonces, _) in committed.items()}
        self.package = frost.SigningPackage(
            message=message, commitments=tuple(commitments for _, commitments in committed.values())
        )

    def sign(self, number: int, package: frost.SigningPackage | None = None) -> frost.SignatureShare:
        return frost.sign(package or self.package, self.nonces[number], self.shares[number])

    def sign_all(self) -> dict[int, frost.SignatureShare]:
        return {number: self.sign(number) for number in self.nonces}

    def aggregate(self, shares: dict[int, frost.SignatureShare]) -> bytes:
        return frost.aggregate(self.package, shares.values(), self.public)


def aggregate_with_altered_commitment(
    session: Session, encoded: bytes, shares: dict[int, frost.SignatureShare]
) -> bytes:
    """Aggregate as a coordinator would whose copy of the first commitments differs."""
    altered = frost.SigningCommitments.from_bytes(encoded)
    commitments = (altered, *session.package.commitments[1:])
    package = frost.SigningPackage(message=MESSAGE, commitments=commitments)
    return frost.aggregate(package, shares.values(), session.public)


def spoil(share: frost.SignatureShare, difference: int = 1) -> frost.SignatureShare:
    return dataclasses.replace(share, share=frost.Scalar((share.share + difference) % ORDER))


@pytest.mark.parametrize("n", range(1, 6))
def test_every_subset_of_the_quorum_or_more_signs(n: int) -> None:
    for k in range(1, n + 1):
        for size in range(k, n + 1):
            for signers in combinations(range(1, n + 1), size):
                session = Session(k, n, signers)
                signature = session.aggregate(session.sign_all())
                key = session.public.group_public_key.to_bytes()
                VerifyKey(key).verify(MESSAGE, signature)
                Ed25519PublicKey.from_public_bytes(key).verify(signature, MESSAGE)


def test_order_of_shares_and_commitments_does_not_matter() -> None:
    session = Session(2, 3, (1, 3))
    shuffled = frost.SigningPackage(message=MESSAGE, commitments=session.package.commitments[::-1])
    assert shuffled == session.package
    shares = session.sign_all()
    assert session.aggregate(dict(reversed(shares.items()))) == session.aggregate(shares)


def test_empty_message_is_signed() -> None:
    session = Session(2, 3, (1, 2), message=b"")
    session.public.group_public_key.verify_signature(b"", session.aggregate(session.sign_all()))


def test_signer_refuses_fewer_than_the_quorum() -> None:
    session = Session(3, 5, (1, 2))
    with pytest.raises(ProtocolError):
        session.sign(1)


def test_signer_refuses_more_signers_than_the_group_has() -> None:
    session = Session(2, 3, (1, 2, 3))
    stranger = dataclasses.replace(session.package.commitments[0], identifier=frost.Identifier(9))
    crowded = frost.SigningPackage(message=MESSAGE, commitments=(*session.package.commitments, stranger))
    with pytest.raises(ProtocolError):
        session.sign(1, crowded)


def test_coordinator_refuses_fewer_than_the_quorum() -> None:
    session = Session(3, 5, (1, 2))
    shares = [frost.SignatureShare(identifier=frost.Identifier(x), share=frost.Scalar(1)) for x in (1, 2)]
    with pytest.raises(ProtocolError):
        frost.aggregate(session.package, shares, session.public)


def test_fewer_than_the_quorum_cannot_sign_even_with_rules_switched_off() -> None:
    session = Session(3, 5, (1, 2))
    for number, share in session.shares.items():
        session.shares[number] = dataclasses.replace(share, min_signers=2)
    transcript_shares = session.sign_all()
    lax = dataclasses.replace(session.public, vss_commitment=session.public.vss_commitment[:2])
    with pytest.raises(InvalidSignatureError):
        frost.aggregate(session.package, transcript_shares.values(), lax)


@pytest.mark.parametrize("culprits", [(1,), (3,), (4,), (1, 4), (1, 3, 4)])
def test_every_bad_share_names_its_signer(culprits: tuple[int, ...]) -> None:
    session = Session(3, 5, (1, 3, 4))
    shares = session.sign_all()
    for number in culprits:
        shares[number] = spoil(shares[number], number)
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(shares)
    assert caught.value.culprits == tuple(map(str, culprits))


@pytest.mark.parametrize("bit", [0, 1, 7, 100, 251])
def test_one_changed_bit_of_a_share_names_its_signer(bit: int) -> None:
    session = Session(2, 3, (1, 2))
    shares = session.sign_all()
    shares[2] = dataclasses.replace(shares[2], share=frost.Scalar((shares[2].share ^ 1 << bit) % ORDER))
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(shares)
    assert caught.value.culprits == ("2",)


def test_share_of_zero_names_its_signer() -> None:
    session = Session(2, 3, (1, 2))
    shares = session.sign_all()
    shares[1] = dataclasses.replace(shares[1], share=frost.Scalar(0))
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(shares)
    assert caught.value.culprits == ("1",)


def test_two_bad_shares_that_cancel_out_still_make_the_signature() -> None:
    session = Session(2, 3, (1, 2))
    shares = session.sign_all()
    shares[1], shares[2] = spoil(shares[1], 5), spoil(shares[2], -5)
    session.public.group_public_key.verify_signature(MESSAGE, session.aggregate(shares))


def test_signer_of_another_message_is_named() -> None:
    session = Session(2, 3, (1, 2))
    other = dataclasses.replace(session.package, message=b"licence 8")
    shares = {1: session.sign(1), 2: session.sign(2, other)}
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(shares)
    assert caught.value.culprits == ("2",)


def test_signer_with_another_nonce_than_committed_is_named() -> None:
    session = Session(2, 3, (1, 2))
    hiding, binding = session.nonces[2].take()
    forged = frost.SigningNonces(
        identifier=frost.Identifier(2), hiding=frost.Scalar(hiding ^ 1), binding=binding
    )
    # A cheat signs over a package of its own making, as an honest signer would refuse this one.
    commitments = (session.package.commitments[0], forged.commitments)
    own = frost.SigningPackage(message=MESSAGE, commitments=commitments)
    shares = {1: session.sign(1), 2: frost.sign(own, forged, session.shares[2])}
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(shares)
    assert caught.value.culprits == ("2",)


def test_signer_with_another_key_share_is_named() -> None:
    session = Session(2, 3, (1, 2))
    session.shares[1] = frost.KeyShare.from_signing_share(
        identifier=frost.Identifier(1),
        signing_share=frost.Scalar(session.shares[1].signing_share ^ 1),
        group_public_key=session.public.group_public_key,
        min_signers=2,
        max_signers=3,
    )
    with pytest.raises(InvalidSignatureError) as caught:
        session.aggregate(session.sign_all())
    assert caught.value.culprits == ("1",)


def test_share_of_another_package_does_not_verify() -> None:
    session = Session(2, 3, (1, 2, 3))
    pair = dataclasses.replace(session.package, commitments=session.package.commitments[:2])
    share = session.sign(1, pair)
    frost.verify_share(pair, share, session.public)
    with pytest.raises(InvalidSignatureError) as caught:
        frost.verify_share(session.package, share, session.public)
    assert caught.value.culprits == ("1",)


def test_good_share_verifies_alone() -> None:
    session = Session(2, 3, (2, 3))
    frost.verify_share(session.package, session.sign(3), session.public)


def test_share_of_somebody_not_in_the_package_is_refused() -> None:
    session = Session(2, 3, (1, 2))
    share = frost.SignatureShare(identifier=frost.Identifier(3), share=frost.Scalar(1))
    with pytest.raises(UnknownPartyError) as caught:
        frost.verify_share(session.package, share, session.public)
    assert caught.value.culprit == "3"
    with pytest.raises(UnknownPartyError):
        frost.aggregate(session.package, [*session.sign_all().values(), share], session.public)


def test_signer_who_is_not_in_the_group_is_refused() -> None:
    session = Session(2, 3, (1, 2))
    stranger = dataclasses.replace(session.package.commitments[0], identifier=frost.Identifier(4))
    package = frost.SigningPackage(message=MESSAGE, commitments=(*session.package.commitments, stranger))
    with pytest.raises(UnknownPartyError) as caught:
        frost.verify_signers(package, session.public)
    assert caught.value.culprit == "4"


def test_missing_share_is_refused() -> None:
    session = Session(2, 3, (1, 2))
    with pytest.raises(ProtocolError) as caught:
        frost.aggregate(session.package, [session.sign(1)], session.public)
    assert caught.value.culprit == "2"


def test_second_share_of_one_signer_is_refused() -> None:
    session = Session(2, 3, (1, 2))
    shares = session.sign_all()
    with pytest.raises(ProtocolError) as caught:
        frost.aggregate(session.package, [*shares.values(), shares[1]], session.public)
    assert caught.value.culprit == "1"


def test_package_without_signers_is_refused() -> None:
    with pytest.raises(ProtocolError):
        frost.SigningPackage(message=MESSAGE, commitments=())


def test_second_commitment_of_one_signer_is_refused() -> None:
    session = Session(2, 3, (1, 2))
    with pytest.raises(ProtocolError) as caught:
        frost.SigningPackage(
            message=MESSAGE, commitments=(*session.package.commitments, session.package.commitments[1])
        )
    assert caught.value.culprit == "2"


def test_signer_refuses_a_package_without_its_commitments() -> None:
    session = Session(2, 3, (1, 2, 3))
    with pytest.raises(ProtocolError):
        session.sign(3, dataclasses.replace(session.package, commitments=session.package.commitments[:2]))
    assert not session.nonces[3].is_spent


@pytest.mark.parametrize("name", ["hiding", "binding"])
def test_signer_refuses_altered_commitments_of_its_own(name: str) -> None:
    session = Session(2, 3, (1, 2))
    change: dict[str, Any] = {name: multiply_base(99)}
    altered = dataclasses.replace(session.package.commitments[0], **change)
    package = frost.SigningPackage(message=MESSAGE, commitments=(altered, session.package.commitments[1]))
    with pytest.raises(ProtocolError):
        session.sign(1, package)


def test_nonces_of_another_participant_are_refused() -> None:
    session = Session(2, 3, (1, 2))
    with pytest.raises(ValueError, match="another participant"):
        frost.sign(session.package, session.nonces[1], session.shares[2])


def test_nonces_sign_once() -> None:
    session = Session(2, 3, (1, 2))
    session.sign(1)
    assert session.nonces[1].is_spent
    with pytest.raises(RefusedError):
        session.sign(1)


def test_taken_nonces_are_overwritten() -> None:
    nonces, _ = frost.commit(deal(2, 3)[0][1], SeededRng(b"nonces"))
    stored = nonces._unspent[0]
    nonces.take()
    assert stored == bytes(64)


def test_only_one_of_many_threads_gets_the_nonces() -> None:
    nonces, _ = frost.commit(deal(2, 3)[0][1], SeededRng(b"nonces"))
    barrier, outcomes = Barrier(8), []

    def take() -> None:
        barrier.wait()
        try:
            nonces.take()
        except RefusedError:
            outcomes.append("refused")
        else:
            outcomes.append("taken")

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["taken"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_nonces_cannot_be_duplicated(duplicate: object) -> None:
    nonces, _ = frost.commit(deal(2, 3)[0][1], SeededRng(b"nonces"))
    with pytest.raises(TypeError):
        duplicate(nonces)  # type: ignore[operator]


def test_nonces_hide_their_values() -> None:
    nonces, _ = frost.commit(deal(2, 3)[0][1], SeededRng(b"nonces"))
    assert repr(nonces) == "SigningNonces(identifier=1, <redacted>)"
    nonces.take()
    assert repr(nonces) == "SigningNonces(identifier=1, spent)"


def test_nonces_depend_on_randomness_and_on_the_share() -> None:
    shares, _ = deal(2, 3)
    commitments = [
        frost.commit(shares[number], SeededRng(seed))[1] for number, seed in ((1, b"a"), (1, b"b"), (2, b"a"))
    ]
    assert len({item.hiding for item in commitments} | {item.binding for item in commitments}) == 6


def test_zero_nonce_is_refused() -> None:
    with pytest.raises(ValueError, match="multiplier"):
        frost.SigningNonces(identifier=frost.Identifier(1), hiding=frost.Scalar(0), binding=frost.Scalar(1))


def test_commitments_and_shares_survive_the_round_trip() -> None:
    session = Session(2, 3, (1, 2))
    commitments, share = session.package.commitments[0], session.sign(1)
    assert frost.SigningCommitments.from_bytes(commitments.to_bytes()) == commitments
    assert frost.SignatureShare.from_bytes(share.to_bytes()) == share


@pytest.mark.parametrize("kind", [frost.SigningCommitments, frost.SignatureShare])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda _data: b"",
        lambda data: b"\x00\x00" + data[2:],
        lambda data: data[:-32] + b"\xff" * 32,
    ],
    ids=["short", "long", "empty", "zero-id", "unreduced"],
)
def test_malformed_bytes_are_refused(kind: type, change: object) -> None:
    session = Session(2, 3, (1, 2))
    value = session.package.commitments[0] if kind is frost.SigningCommitments else session.sign(1)
    with pytest.raises(EncodingError):
        kind.from_bytes(change(value.to_bytes()))  # type: ignore[attr-defined, operator]


def test_one_changed_bit_of_a_commitment_is_refused_or_changes_the_outcome() -> None:
    session = Session(2, 3, (1, 2))
    shares = session.sign_all()
    encoded = session.package.commitments[0].to_bytes()
    for bit in range(0, 8 * len(encoded), 37):
        changed = bytearray(encoded)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VetonetError):
            aggregate_with_altered_commitment(session, bytes(changed), shares)
