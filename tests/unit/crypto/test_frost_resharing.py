"""Resharing: another group gets the key, the public key stays, and a cheating dealer is named."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest

from support.frost_groups import Group, ReshareRun, deal_group, sign_together
from vetonet.crypto import frost
from vetonet.crypto.frost.dealing import hash_dealing
from vetonet.crypto.frost.group import ORDER
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.crypto.rng import SeededRng
from vetonet.errors import (
    EquivocationError,
    InvalidSignatureError,
    ProtocolError,
    UnknownPartyError,
)

CONTEXT = b"treaty 1, epoch 2, group A, attempt 1"


def plan(
    group: Group,
    dealers: tuple[int, ...],
    members: tuple[int, ...],
    k: int,
    context: bytes = CONTEXT,
) -> frost.Resharing:
    return frost.Resharing(
        old=group.public,
        dealers=tuple(map(frost.Identifier, dealers)),
        identifiers=tuple(map(frost.Identifier, members)),
        min_signers=k,
        context=context,
    )


def start(**changes: object) -> ReshareRun:
    """Return a 3-of-5 group's resharing to 2 of 4, of whom 4 and 5 are old members."""
    group = deal_group(3, range(1, 6))
    values: dict[str, object] = {"dealers": (1, 2, 4), "members": (4, 5, 6, 7), "k": 2}
    return ReshareRun(group, plan(group, **(values | changes)))  # type: ignore[arg-type]


def refuse_round1(run: ReshareRun) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError, match="round-1") as caught:
        run.verify()
    return caught.value.culprits


def refuse_finish(run: ReshareRun, number: int, received: dict[int, frost.Round2Package]) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError, match="secret shares") as caught:
        frost.finish_resharing(run.verify(), frost.Identifier(number), received.values())
    return caught.value.culprits


def deal(run: ReshareRun, number: int, coefficients: tuple[int, ...]) -> None:
    """Let a dealer deal a polynomial of its choice, all else being as the protocol says."""
    reduced = tuple(frost.Scalar(coefficient % ORDER) for coefficient in coefficients)
    digest = run.resharing.compute_digest()
    package = frost.dealing.generate_dealing(
        reduced,
        identifier=frost.Identifier(number),
        challenge=partial(frost.resharing._compute_challenge, digest),
        rng=SeededRng(b"dealt otherwise"),
    )
    run.packages[number] = package
    run.secrets[number] = dataclasses.replace(run.secrets[number], coefficients=reduced, package=package)


@pytest.mark.parametrize(
    ("old_k", "old_members", "dealers", "new_k", "new_members"),
    [
        (2, (1, 2, 3), (1, 3), 3, (1, 2, 3)),
        (3, (1, 2, 3), (1, 2, 3), 2, (1, 2, 3)),
        (2, (1, 2, 3), (2, 3), 2, (1, 2, 3, 4, 5)),
        (3, (1, 2, 3, 4, 5), (1, 4, 5), 3, (1, 2, 3)),
        (2, (1, 2, 3), (1, 2), 2, (2, 3, 4)),
        (2, (1, 2, 3), (1, 2), 3, (10, 20, 30, 65535)),
        (2, (1, 2, 3, 4), (1, 2, 3, 4), 2, (1, 2, 3, 4)),
        (1, (1,), (1,), 2, (1, 2)),
        (2, (1, 2), (1, 2), 1, (1,)),
    ],
    ids=["k up", "k down", "n up", "n down", "some new", "all new", "all deal", "from one", "to one"],
)
def test_new_group_signs_under_the_old_group_public_key(
    old_k: int,
    old_members: tuple[int, ...],
    dealers: tuple[int, ...],
    new_k: int,
    new_members: tuple[int, ...],
) -> None:
    old = deal_group(old_k, old_members)
    new = ReshareRun(old, plan(old, dealers, new_members, new_k)).finish()
    assert new.key == old.key
    assert (new.public.min_signers, tuple(new.public.identifiers)) == (new_k, new_members)
    for number, share in new.shares.items():
        assert share.verifying_share == new.public.compute_verifying_share(frost.Identifier(number))
        assert (share.min_signers, share.max_signers) == (new_k, len(new_members))
    signers = [new.shares[number] for number in new_members[-new_k:]]
    old.key.verify_signature(b"m", sign_together(signers, new.public))


def test_new_shares_are_other_shares() -> None:
    old = deal_group(2, (1, 2, 3))
    new = ReshareRun(old, plan(old, (1, 2), (1, 2, 3), 2)).finish()
    assert all(new.shares[number].signing_share != old.shares[number].signing_share for number in (1, 2, 3))


def test_key_survives_resharing_after_resharing() -> None:
    first = deal_group(2, (1, 2, 3))
    second = ReshareRun(first, plan(first, (1, 3), (4, 5, 6, 7), 3)).finish()
    third = ReshareRun(second, plan(second, (4, 5, 7), (1, 8), 2, context=b"epoch 3")).finish()
    first.key.verify_signature(b"m", sign_together(third.shares.values(), third.public))


def test_order_of_dealers_and_members_does_not_matter() -> None:
    group = deal_group(2, (1, 2, 3))
    assert plan(group, (3, 1), (9, 2), 2) == plan(group, (1, 3), (2, 9), 2)


def test_old_share_among_new_ones_makes_no_signature_and_names_its_signer() -> None:
    old = deal_group(2, (1, 2, 3))
    new = ReshareRun(old, plan(old, (1, 2), (1, 2, 3), 2)).finish()
    with pytest.raises(InvalidSignatureError) as caught:
        sign_together([new.shares[1], old.shares[3]], new.public)
    assert caught.value.culprits == ("3",)


def test_old_share_with_a_lowered_threshold_makes_no_signature() -> None:
    """Two old shares of a 3-of-3 group stay worthless, though the new group signs with two."""
    old = deal_group(3, (1, 2, 3))
    new = ReshareRun(old, plan(old, (1, 2, 3), (1, 2, 3), 2)).finish()
    stale = [dataclasses.replace(old.shares[number], min_signers=2) for number in (1, 2)]
    with pytest.raises(InvalidSignatureError) as caught:
        sign_together(stale, new.public)
    assert caught.value.culprits == ("1", "2")


def test_old_shares_that_were_never_erased_still_are_the_key() -> None:
    """The assumption of the module, so that nobody reads more into a resharing."""
    old = deal_group(2, (1, 2, 3))
    ReshareRun(old, plan(old, (1, 2), (4, 5), 2)).finish()
    old.key.verify_signature(b"m", sign_together([old.shares[1], old.shares[3]], old.public))


def test_fewer_dealers_than_the_old_quorum_are_refused() -> None:
    with pytest.raises(ProtocolError, match="2 members where it takes 3"):
        start(dealers=(1, 2))


def test_dealer_from_outside_the_old_group_is_refused() -> None:
    with pytest.raises(UnknownPartyError) as caught:
        start(dealers=(1, 2, 6))
    assert caught.value.culprit == "6"


def test_dealer_listed_twice_is_refused() -> None:
    with pytest.raises(ProtocolError) as caught:
        start(dealers=(1, 2, 2))
    assert caught.value.culprit == "2"


def test_new_member_listed_twice_is_refused() -> None:
    with pytest.raises(ProtocolError) as caught:
        start(members=(4, 5, 5))
    assert caught.value.culprit == "5"


@pytest.mark.parametrize("k", [0, 5])
def test_impossible_new_thresholds_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match="min_signers"):
        start(k=k)


def test_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context"):
        start(context=b"")


def test_member_that_does_not_deal_cannot_start() -> None:
    run = start()
    with pytest.raises(ValueError, match="identifiers"):
        frost.generate_reshare_round1(run.resharing, deal_group(3, range(1, 6)).shares[3], SeededRng(b""))


def test_share_of_an_earlier_epoch_cannot_be_dealt() -> None:
    old = deal_group(2, (1, 2, 3))
    new = ReshareRun(old, plan(old, (1, 2), (1, 2, 3), 2)).finish()
    again = plan(new, (1, 2), (1, 2, 3), 2, context=b"epoch 3")
    with pytest.raises(ValueError, match="epoch"):
        frost.generate_reshare_round1(again, old.shares[1], SeededRng(b""))


@pytest.mark.parametrize("number", [1, 4])
def test_dealer_of_another_secret_is_named(number: int) -> None:
    run = start()
    deal(run, number, (4242, *run.secrets[number].coefficients[1:]))
    assert refuse_round1(run) == (str(number),)


def test_dealer_of_its_share_with_the_weight_of_another_dealer_set_is_named() -> None:
    run, share = start(), deal_group(3, range(1, 6)).shares[1]
    weight = compute_lagrange_coefficient((1, 3, 5), 1)
    deal(run, 1, (weight * share.signing_share, 11))
    assert refuse_round1(run) == ("1",)


def test_dealers_whose_lies_cancel_out_are_named() -> None:
    run = start()
    for number, difference in ((1, 77), (2, -77)):
        deal(run, number, (run.secrets[number].coefficients[0] + difference, 11))
    assert refuse_round1(run) == ("1", "2")


def test_bad_proof_of_knowledge_names_its_dealer() -> None:
    run = start()
    proof = run.packages[2].proof
    for response in (proof.response ^ 1, 0):
        changed = dataclasses.replace(proof, response=frost.Scalar(response))
        run.packages[2] = dataclasses.replace(run.packages[2], proof=changed)
        assert refuse_round1(run) == ("2",)


def test_coefficients_moved_after_the_proof_name_their_dealer() -> None:
    run = start(k=3)
    first, second, third = run.packages[2].vss_commitment
    run.packages[2] = dataclasses.replace(run.packages[2], vss_commitment=(first, third, second))
    assert refuse_round1(run) == ("2",)


@pytest.mark.parametrize("k", [1, 3])
def test_commitment_of_wrong_length_names_its_dealer(k: int) -> None:
    run = start()
    run.packages[2] = start(k=k).packages[2]
    assert refuse_round1(run) == ("2",)


@pytest.mark.parametrize(
    "changes",
    [
        {"context": b"treaty 1, epoch 2, group A, attempt 2"},
        {"members": (4, 5, 6, 8)},
        {"members": (4, 5, 6)},
    ],
    ids=["context", "roster", "size"],
)
def test_package_replayed_from_another_resharing_names_its_dealer(changes: dict[str, object]) -> None:
    run = start()
    run.packages[2] = start(**changes).packages[2]
    assert refuse_round1(run) == ("2",)


def test_package_of_key_generation_names_its_dealer() -> None:
    """The two protocols hash under different tags, so even the right commitment does not carry over."""
    group = deal_group(1, (1,))
    run = ReshareRun(group, plan(group, (1,), (1,), 1))
    secret = group.shares[1].signing_share
    package = frost.dealing.generate_dealing(
        (secret,),
        identifier=frost.Identifier(1),
        challenge=partial(frost.dkg._compute_challenge, 1, CONTEXT),
        rng=SeededRng(b"dkg"),
    )
    assert package.vss_commitment == run.packages[1].vss_commitment
    run.packages[1] = package
    assert refuse_round1(run) == ("1",)


def test_challenge_is_not_one_of_key_generation() -> None:
    run = start()
    digest, package = run.resharing.compute_digest(), run.packages[1]
    elements = (*package.vss_commitment, package.proof.commitment)
    challenge = frost.resharing._compute_challenge(
        digest, package.identifier, package.vss_commitment, package.proof.commitment
    )
    assert challenge == hash_dealing(b"reshare", digest, (1, 2), elements)
    assert challenge != hash_dealing(b"dkg", digest, (1, 2), elements)


def test_every_cheating_dealer_is_named() -> None:
    run, other = start(), start(context=b"another")
    for number in (4, 1):
        run.packages[number] = other.packages[number]
    assert refuse_round1(run) == ("1", "4")


def test_package_of_a_member_that_was_not_announced_is_refused() -> None:
    run = start()
    run.packages[3] = start(dealers=(1, 2, 3)).packages[3]
    with pytest.raises(UnknownPartyError) as caught:
        run.verify()
    assert caught.value.culprit == "3"


def test_missing_round1_package_names_its_dealer() -> None:
    run = start()
    del run.packages[2]
    with pytest.raises(ProtocolError, match="missing") as caught:
        run.verify()
    assert caught.value.culprit == "2"


def test_second_round1_package_of_a_dealer_is_refused() -> None:
    run = start()
    with pytest.raises(ProtocolError, match="twice") as caught:
        frost.verify_reshare_round1(run.resharing, [*run.packages.values(), run.packages[4]])
    assert caught.value.culprit == "4"


def test_equal_echoes_of_all_new_members_are_accepted() -> None:
    round1 = start().verify()
    digest = round1.compute_digest()
    frost.verify_reshare_echoes(round1, dict.fromkeys(round1.resharing.identifiers, digest))


def test_dealer_that_showed_two_faces_is_caught_by_the_echo() -> None:
    run = start()
    group = deal_group(3, range(1, 6))
    other = ReshareRun(group, run.resharing, seed=b"second face")
    digest, differing = run.verify().compute_digest(), other.verify().compute_digest()
    echoes = dict.fromkeys(run.resharing.identifiers, digest) | {frost.Identifier(6): differing}
    with pytest.raises(EquivocationError, match="participants 6 saw"):
        frost.verify_reshare_echoes(run.verify(), echoes)


def test_missing_echo_is_refused() -> None:
    round1 = start().verify()
    echoes = dict.fromkeys(round1.resharing.identifiers[:-1], round1.compute_digest())
    with pytest.raises(ProtocolError, match="echo") as caught:
        frost.verify_reshare_echoes(round1, echoes)
    assert caught.value.culprit == "7"


def test_echo_depends_on_what_was_agreed_on() -> None:
    round1 = start().verify()
    for changes in ({"min_signers": 3}, {"context": b"x"}, {"old": deal_group(3, range(1, 7)).public}):
        other = dataclasses.replace(round1, resharing=dataclasses.replace(round1.resharing, **changes))
        assert other.compute_digest() != round1.compute_digest()


def test_dealer_does_not_send_shares_when_its_own_package_was_altered() -> None:
    run, other = start(), ReshareRun(deal_group(3, range(1, 6)), start().resharing, seed=b"other")
    secret = run.secrets[1]
    run.packages[1] = other.packages[1]
    with pytest.raises(ProtocolError, match="own"):
        frost.generate_reshare_round2(secret, run.verify())


def test_dealer_does_not_send_shares_for_another_resharing() -> None:
    secret = start().secrets[1]
    with pytest.raises(ProtocolError, match="own"):
        frost.generate_reshare_round2(secret, start(members=(7, 8)).verify())


@pytest.mark.parametrize("culprits", [(1,), (4,), (1, 2, 4)])
def test_bad_shares_name_their_dealers(culprits: tuple[int, ...]) -> None:
    run = start()
    received = run.receive(6)
    for number in culprits:
        share = frost.Scalar((received[number].share + number) % ORDER)
        received[number] = dataclasses.replace(received[number], share=share)
    assert refuse_finish(run, 6, received) == tuple(map(str, culprits))


def test_zero_share_names_its_dealer() -> None:
    run = start()
    received = run.receive(6)
    received[2] = dataclasses.replace(received[2], share=frost.Scalar(0))
    assert refuse_finish(run, 6, received) == ("2",)


def test_share_of_another_attempt_names_its_dealer() -> None:
    run = start()
    received = run.receive(6)
    other = ReshareRun(deal_group(3, range(1, 6)), run.resharing, seed=b"other attempt")
    received[2] = other.receive(6)[2]
    assert refuse_finish(run, 6, received) == ("2",)


def test_missing_share_names_its_dealer() -> None:
    run = start()
    received = run.receive(6)
    del received[4]
    with pytest.raises(ProtocolError, match="missing") as caught:
        frost.finish_resharing(run.verify(), frost.Identifier(6), received.values())
    assert caught.value.culprit == "4"


def test_second_share_of_a_dealer_is_refused() -> None:
    run = start()
    received = run.receive(6)
    with pytest.raises(ProtocolError, match="twice") as caught:
        frost.finish_resharing(run.verify(), frost.Identifier(6), [*received.values(), received[4]])
    assert caught.value.culprit == "4"


def test_share_for_another_member_is_refused() -> None:
    run = start()
    received = run.receive(6) | {2: run.receive(7)[2]}
    with pytest.raises(ProtocolError, match="somebody else") as caught:
        frost.finish_resharing(run.verify(), frost.Identifier(6), received.values())
    assert caught.value.culprit == "2"


def test_share_of_a_stranger_is_refused() -> None:
    run = start()
    received = run.receive(6)
    received[5] = dataclasses.replace(received[2], sender=frost.Identifier(5))
    with pytest.raises(UnknownPartyError) as caught:
        frost.finish_resharing(run.verify(), frost.Identifier(6), received.values())
    assert caught.value.culprit == "5"


def test_old_member_that_leaves_gets_no_new_share() -> None:
    run = start()
    with pytest.raises(ValueError, match="new group"):
        frost.finish_resharing(run.verify(), frost.Identifier(1), run.receive(6).values())


def test_last_dealer_cannot_lower_the_degree() -> None:
    """A commitment chosen to cancel the others' last coefficient cannot be opened by who chose it."""
    run = start()
    received = run.receive(6)
    top = sum(run.secrets[number].coefficients[-1] for number in (1, 2))
    deal(run, 4, (run.secrets[4].coefficients[0], -top))
    assert refuse_finish(run, 6, received) == ("4",)


def test_secrets_stay_out_of_sight() -> None:
    run = start()
    shown = repr((run.secrets[1], run.verify(), run.receive(6)))
    hidden = [*run.secrets[1].coefficients, *(package.share for package in run.receive(6).values())]
    assert not any(str(secret) in shown for secret in hidden)
