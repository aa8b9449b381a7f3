"""Key generation: all honest participants end with one key, and a cheating dealer is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from vetonet.crypto import frost
from vetonet.crypto.frost.group import (
    ORDER,
    generate_scalar,
    multiply,
    multiply_base,
    sum_elements,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    ProtocolError,
    UnknownPartyError,
)

CONTEXT = b"treaty 1, epoch 1, group A"


def start(
    number: int, k: int = 2, n: int = 3, context: bytes = CONTEXT, seed: bytes = b"dkg"
) -> tuple[frost.Round1Secret, frost.Round1Package]:
    return frost.generate_round1(
        identifier=frost.Identifier(number),
        min_signers=k,
        max_signers=n,
        context=context,
        rng=SeededRng(seed + bytes([number])),
    )


class Ceremony:
    """Everybody's round 1, and from there as far as a test wants to go."""

    def __init__(self, k: int = 2, n: int = 3, numbers: tuple[int, ...] = ()) -> None:
        rounds = {number: start(number, k, n) for number in numbers or range(1, n + 1)}
        self.secrets = {number: secret for number, (secret, _) in rounds.items()}
        self.packages = {number: package for number, (_, package) in rounds.items()}

    def round2(self, number: int) -> tuple[frost.Round2Secret, dict[int, frost.Round2Package]]:
        kept, sent = frost.generate_round2(self.secrets[number], self.packages.values())
        return kept, {int(receiver): package for receiver, package in sent.items()}

    def receive(self, number: int) -> tuple[frost.Round2Secret, dict[int, frost.Round2Package]]:
        """Return what one participant kept and what it got, by sender."""
        sent = {sender: self.round2(sender)[1] for sender in self.secrets if sender != number}
        return self.round2(number)[0], {sender: packages[number] for sender, packages in sent.items()}

    def finish(self, number: int) -> tuple[frost.KeyShare, frost.PublicKeyPackage]:
        kept, received = self.receive(number)
        return frost.finish(kept, received.values())


def refuse_round2(ceremony: Ceremony, number: int) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError) as caught:
        ceremony.round2(number)
    return caught.value.culprits


@pytest.mark.parametrize(("k", "n"), [(1, 1), (1, 2), (2, 2), (2, 3), (3, 5), (5, 5)])
def test_result_signs_and_all_agree_on_the_public_values(k: int, n: int) -> None:
    ceremony = Ceremony(k, n)
    results = [ceremony.finish(number) for number in range(1, n + 1)]
    public = results[0][1]
    assert all(package == public for _, package in results)
    assert (public.min_signers, public.max_signers) == (k, n)
    for share, _ in results:
        assert share.verifying_share == public.compute_verifying_share(share.identifier)
    shares = [share for share, _ in results[-k:]]
    committed = [frost.commit(share, SeededRng(b"sign")) for share in shares]
    package = frost.SigningPackage(message=b"m", commitments=tuple(item for _, item in committed))
    signed = [
        frost.sign(package, nonces, share) for (nonces, _), share in zip(committed, shares, strict=True)
    ]
    public.group_public_key.verify_signature(b"m", frost.aggregate(package, signed, public))


def test_identifiers_need_not_be_consecutive() -> None:
    ceremony = Ceremony(2, 3, numbers=(3, 40, 65))
    assert tuple(ceremony.finish(40)[1].identifiers) == (3, 40, 65)


def test_group_key_is_the_sum_of_the_dealers_secrets() -> None:
    ceremony = Ceremony()
    secret = sum(item.coefficients[0] for item in ceremony.secrets.values()) % ORDER
    assert ceremony.finish(1)[1].group_public_key.element == multiply_base(secret)


@pytest.mark.parametrize(("k", "n"), [(0, 3), (4, 3), (2, 70000)])
def test_impossible_thresholds_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="min_signers"):
        start(1, k, n)


def test_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context"):
        start(1, context=b"")


@pytest.mark.parametrize("number", [2, 3])
def test_bad_proof_of_knowledge_names_its_dealer(number: int) -> None:
    ceremony = Ceremony()
    package = ceremony.packages[number]
    proof = dataclasses.replace(package.proof, response=frost.Scalar(package.proof.response ^ 1))
    ceremony.packages[number] = dataclasses.replace(package, proof=proof)
    assert refuse_round2(ceremony, 1) == (str(number),)


def test_zero_proof_names_its_dealer() -> None:
    ceremony = Ceremony()
    package = ceremony.packages[2]
    proof = dataclasses.replace(package.proof, response=frost.Scalar(0))
    ceremony.packages[2] = dataclasses.replace(package, proof=proof)
    assert refuse_round2(ceremony, 1) == ("2",)


def test_every_cheating_dealer_is_named() -> None:
    ceremony = Ceremony(2, 5)
    for number in (2, 5):
        ceremony.packages[number] = start(number, 2, 5, context=b"another")[1]
    assert refuse_round2(ceremony, 1) == ("2", "5")


def test_rogue_key_without_its_secret_names_its_dealer() -> None:
    ceremony = Ceremony()
    honest = [ceremony.packages[number].vss_commitment[0] for number in (1, 2)]
    wanted = multiply_base(4242)
    rogue = sum_elements((wanted, *(multiply(ORDER - 1, element) for element in honest)))
    package = ceremony.packages[3]
    ceremony.packages[3] = dataclasses.replace(package, vss_commitment=(rogue, *package.vss_commitment[1:]))
    assert refuse_round2(ceremony, 1) == ("3",)


def test_package_replayed_from_another_context_names_its_dealer() -> None:
    ceremony = Ceremony()
    ceremony.packages[2] = start(2, context=b"treaty 1, epoch 2, group A")[1]
    assert refuse_round2(ceremony, 1) == ("2",)


def test_package_replayed_from_a_group_of_another_size_names_its_dealer() -> None:
    ceremony = Ceremony()
    ceremony.packages[2] = start(2, n=4)[1]
    assert refuse_round2(ceremony, 1) == ("2",)


def test_package_replayed_from_another_participant_names_its_sender() -> None:
    ceremony = Ceremony()
    ceremony.packages[3] = dataclasses.replace(ceremony.packages[2], identifier=frost.Identifier(3))
    assert refuse_round2(ceremony, 1) == ("3",)


@pytest.mark.parametrize("k", [1, 3])
def test_commitment_of_wrong_length_names_its_dealer(k: int) -> None:
    ceremony = Ceremony()
    ceremony.packages[2] = start(2, k)[1]
    assert refuse_round2(ceremony, 1) == ("2",)


def test_coefficient_moved_after_the_proof_names_its_dealer() -> None:
    ceremony = Ceremony(3, 3)
    package = ceremony.packages[2]
    first, second, third = package.vss_commitment
    ceremony.packages[2] = dataclasses.replace(package, vss_commitment=(first, third, second))
    assert refuse_round2(ceremony, 1) == ("2",)


def test_missing_round1_package_is_refused() -> None:
    ceremony = Ceremony()
    del ceremony.packages[3]
    with pytest.raises(ProtocolError):
        ceremony.round2(1)


def test_one_round1_package_too_many_is_refused() -> None:
    ceremony = Ceremony()
    ceremony.packages[4] = start(4)[1]
    with pytest.raises(ProtocolError):
        ceremony.round2(1)


def test_second_round1_package_of_one_participant_is_refused() -> None:
    ceremony = Ceremony()
    ceremony.packages[3] = start(2, seed=b"other")[1]
    with pytest.raises(ProtocolError) as caught:
        ceremony.round2(1)
    assert caught.value.culprit == "2"


def test_own_round1_package_altered_on_the_way_is_refused() -> None:
    ceremony = Ceremony()
    ceremony.packages[1] = start(1, seed=b"other")[1]
    with pytest.raises(ProtocolError, match="own"):
        ceremony.round2(1)


@pytest.mark.parametrize("culprits", [(2,), (5,), (2, 4, 5)])
def test_bad_round2_shares_name_their_dealers(culprits: tuple[int, ...]) -> None:
    ceremony = Ceremony(3, 5)
    kept, received = ceremony.receive(1)
    for number in culprits:
        share = frost.Scalar((received[number].share + number) % ORDER)
        received[number] = dataclasses.replace(received[number], share=share)
    with pytest.raises(InvalidSignatureError) as caught:
        frost.finish(kept, received.values())
    assert caught.value.culprits == tuple(map(str, culprits))


def test_zero_share_names_its_dealer() -> None:
    kept, received = Ceremony().receive(1)
    received[2] = dataclasses.replace(received[2], share=frost.Scalar(0))
    with pytest.raises(InvalidSignatureError) as caught:
        frost.finish(kept, received.values())
    assert caught.value.culprits == ("2",)


def test_coefficient_chosen_to_cancel_the_others_names_its_dealer() -> None:
    """The last dealer lowers the polynomial's degree, and cannot then open its own commitment."""
    ceremony = Ceremony(2, 3)
    others = [ceremony.packages[number].vss_commitment[1] for number in (1, 2)]
    rng = SeededRng(b"rogue")
    secret, nonce = generate_scalar(rng), generate_scalar(rng)
    commitment = (multiply_base(secret), multiply(ORDER - 1, sum_elements(others)))
    proof_commitment = multiply_base(nonce)
    challenge = frost.dkg._compute_challenge(3, CONTEXT, frost.Identifier(3), commitment, proof_commitment)
    response = frost.Scalar((nonce + secret * challenge) % ORDER)
    proof = frost.ProofOfKnowledge(commitment=proof_commitment, response=response)
    ceremony.packages[3] = frost.Round1Package(
        identifier=frost.Identifier(3), vss_commitment=commitment, proof=proof
    )
    kept, _ = ceremony.round2(1)
    received = [
        ceremony.round2(2)[1][1],
        frost.Round2Package(sender=frost.Identifier(3), receiver=frost.Identifier(1), share=frost.Scalar(77)),
    ]
    with pytest.raises(InvalidSignatureError) as caught:
        frost.finish(kept, received)
    assert caught.value.culprits == ("3",)


def test_missing_round2_package_is_refused() -> None:
    kept, received = Ceremony().receive(1)
    del received[3]
    with pytest.raises(ProtocolError) as caught:
        frost.finish(kept, received.values())
    assert caught.value.culprit == "3"


def test_second_round2_package_of_one_participant_is_refused() -> None:
    kept, received = Ceremony().receive(1)
    with pytest.raises(ProtocolError) as caught:
        frost.finish(kept, [*received.values(), received[2]])
    assert caught.value.culprit == "2"


def test_round2_package_for_another_participant_is_refused() -> None:
    ceremony = Ceremony()
    kept, received = ceremony.receive(1)
    received[2] = ceremony.round2(2)[1][3]
    with pytest.raises(ProtocolError) as caught:
        frost.finish(kept, received.values())
    assert caught.value.culprit == "2"


@pytest.mark.parametrize("sender", [1, 9])
def test_round2_package_of_a_stranger_or_of_oneself_is_refused(sender: int) -> None:
    kept, received = Ceremony().receive(1)
    stranger = dataclasses.replace(received[2], sender=frost.Identifier(sender))
    with pytest.raises(UnknownPartyError) as caught:
        frost.finish(kept, [*received.values(), stranger])
    assert caught.value.culprit == str(sender)


def test_transcript_digest_does_not_depend_on_the_order() -> None:
    packages = list(Ceremony().packages.values())
    assert frost.compute_transcript_digest(packages) == frost.compute_transcript_digest(packages[::-1])


def test_equal_echoes_are_accepted() -> None:
    ceremony = Ceremony()
    digest = frost.compute_transcript_digest(ceremony.packages.values())
    frost.verify_echoes(ceremony.round2(1)[0], {frost.Identifier(2): digest, frost.Identifier(3): digest})


def test_dealer_that_showed_two_faces_is_caught_by_the_echo() -> None:
    ceremony, other = Ceremony(), Ceremony()
    other.packages[3] = start(3, seed=b"second face")[1]
    digest = frost.compute_transcript_digest(ceremony.packages.values())
    differing = frost.compute_transcript_digest(other.packages.values())
    echoes = {frost.Identifier(2): differing, frost.Identifier(3): digest}
    with pytest.raises(EquivocationError, match="participants 2 saw"):
        frost.verify_echoes(ceremony.round2(1)[0], echoes)


def test_missing_echo_is_refused() -> None:
    with pytest.raises(ProtocolError) as caught:
        frost.verify_echoes(Ceremony().round2(1)[0], {frost.Identifier(2): bytes(32)})
    assert caught.value.culprit == "3"


def test_secrets_stay_out_of_sight() -> None:
    ceremony = Ceremony()
    kept, received = ceremony.receive(1)
    assert str(ceremony.secrets[1].coefficients[0]) not in repr(ceremony.secrets[1])
    assert str(kept.own_share) not in repr(kept)
    assert str(received[2].share) not in repr(received[2])


def test_packages_survive_the_round_trip() -> None:
    ceremony = Ceremony()
    package, sent = ceremony.packages[2], ceremony.round2(2)[1][1]
    assert frost.Round1Package.from_bytes(package.to_bytes()) == package
    assert frost.Round2Package.from_bytes(sent.to_bytes()) == sent


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda _data: b"",
        lambda data: b"\x00\x00" + data[2:],
        lambda data: data[:2] + b"\x00\x00" + data[-64:],
        lambda data: data[:2] + b"\xff\xff" + data[4:],
        lambda data: data[:36] + (1).to_bytes(32, "little") + data[68:],
        lambda data: data[:-32] + ORDER.to_bytes(32, "little"),
    ],
    ids=["short", "long", "empty", "zero-id", "no-coefficient", "huge", "identity", "unreduced"],
)
def test_malformed_round1_package_is_refused(change: object) -> None:
    with pytest.raises(EncodingError):
        frost.Round1Package.from_bytes(change(start(1)[1].to_bytes()))  # type: ignore[operator]


@pytest.mark.parametrize("data", [b"", bytes(36), b"\x00\x01\x00\x02" + b"\xff" * 32, bytes(37)])
def test_malformed_round2_package_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        frost.Round2Package.from_bytes(data)


def test_anybody_can_verify_round_one_and_add_it_up() -> None:
    ceremony = Ceremony(2, 3)
    packages = list(ceremony.packages.values())
    frost.verify_round1(packages, min_signers=2, max_signers=3, context=CONTEXT)
    _, public = ceremony.finish(1)
    assert frost.compute_public_key_package(reversed(packages)) == public


@pytest.mark.parametrize(
    "changed", [{"min_signers": 3}, {"max_signers": 4}, {"context": b"treaty 1, epoch 2, group A"}]
)
def test_round_one_of_another_group_names_everybody(changed: dict[str, Any]) -> None:
    terms: dict[str, Any] = {"min_signers": 2, "max_signers": 3, "context": CONTEXT}
    with pytest.raises(InvalidSignatureError) as caught:
        frost.verify_round1(Ceremony(2, 3).packages.values(), **(terms | changed))
    assert caught.value.culprits == ("1", "2", "3")


def test_one_share_is_verified_alone() -> None:
    ceremony = Ceremony(2, 3)
    share = ceremony.round2(1)[1][2]
    frost.verify_round2(share, ceremony.packages[1])
    for wrong in (
        dataclasses.replace(share, share=frost.Scalar(0)),
        dataclasses.replace(share, receiver=frost.Identifier(3)),
    ):
        with pytest.raises(ProtocolError) as caught:
            frost.verify_round2(wrong, ceremony.packages[1])
        assert caught.value.culprit == "1"
    with pytest.raises(ProtocolError):
        frost.verify_round2(share, ceremony.packages[2])


def test_round_one_of_two_lengths_or_twice_the_same_is_no_group() -> None:
    packages = Ceremony(2, 3).packages
    longer = start(3, 3, 3)[1]
    for wrong in ((), (packages[1], longer), (packages[1], packages[1])):
        with pytest.raises(ValueError, match=r"."):
            frost.compute_public_key_package(wrong)
