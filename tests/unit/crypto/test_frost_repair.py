"""Repair: a lost share comes back as it was, to its holder alone, and a cheating helper is named."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import pytest

from support.frost_groups import RepairRun, deal_group, sign_together
from vetonet.crypto import frost
from vetonet.crypto.frost.group import ORDER, multiply, multiply_base, sum_elements
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.crypto.rng import SeededRng
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    ProtocolError,
    UnknownPartyError,
)

Package = TypeVar("Package", bound=frost.SecretPackage)
GROUP = deal_group(3, range(1, 6))


def plan(helpers: tuple[int, ...] = (1, 3, 4), lost: int = 2, context: bytes = b"attempt 1") -> frost.Repair:
    return frost.Repair(
        group=GROUP.public,
        helpers=tuple(map(frost.Identifier, helpers)),
        lost=frost.Identifier(lost),
        context=context,
    )


def start(helpers: tuple[int, ...] = (1, 3, 4), lost: int = 2, seed: bytes = b"repair") -> RepairRun:
    return RepairRun(GROUP, plan(helpers, lost), seed=seed)


def shift(package: Package, difference: int) -> Package:
    """Return the package with another share in it."""
    return dataclasses.replace(package, share=frost.Scalar((package.share + difference) % ORDER))


def refuse_round1(run: RepairRun) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError, match="commitments") as caught:
        run.verify()
    return caught.value.culprits


def refuse_round2(run: RepairRun, helper: int, summands: dict[int, frost.RepairSummand]) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError, match="secret shares") as caught:
        frost.generate_repair_round2(run.verify(), frost.Identifier(helper), summands.values())
    return caught.value.culprits


def refuse_finish(run: RepairRun, sums: dict[int, frost.RepairSum]) -> tuple[str, ...]:
    with pytest.raises(InvalidSignatureError, match="secret shares") as caught:
        frost.finish_repair(run.verify(), sums.values())
    return caught.value.culprits


@pytest.mark.parametrize(
    ("k", "members", "helpers", "lost"),
    [
        (1, (1, 2), (1,), 2),
        (2, (1, 2, 3), (1, 3), 2),
        (3, (1, 2, 3, 4, 5), (2, 3, 5), 1),
        (3, (1, 2, 3, 4, 5), (1, 2, 3, 4), 5),
        (2, (7, 300, 65535), (7, 65535), 300),
    ],
)
def test_lost_share_comes_back_as_it_was(
    k: int, members: tuple[int, ...], helpers: tuple[int, ...], lost: int
) -> None:
    group = deal_group(k, members)
    repair = frost.Repair(
        group=group.public,
        helpers=tuple(map(frost.Identifier, helpers)),
        lost=frost.Identifier(lost),
        context=b"attempt 1",
    )
    assert RepairRun(group, repair).finish() == group.shares[lost]


def test_repaired_share_signs() -> None:
    repaired = start().finish()
    GROUP.key.verify_signature(
        b"m", sign_together([repaired, GROUP.shares[4], GROUP.shares[5]], GROUP.public)
    )


def test_order_of_the_helpers_does_not_matter() -> None:
    assert plan(helpers=(4, 1, 3)) == plan(helpers=(1, 3, 4))


def test_fewer_helpers_than_the_quorum_are_refused() -> None:
    with pytest.raises(ProtocolError, match="2 members where it takes 3"):
        plan(helpers=(1, 3))


@pytest.mark.parametrize(
    ("helpers", "lost", "error", "culprit"),
    [
        ((1, 3, 6), 2, UnknownPartyError, "6"),
        ((1, 3, 4), 6, UnknownPartyError, "6"),
        ((1, 3, 3), 2, ProtocolError, "3"),
        ((1, 2, 3), 2, ProtocolError, "2"),
    ],
    ids=["strange helper", "strange loser", "helper twice", "helps itself"],
)
def test_impossible_repair_names_who_cannot_take_part(
    helpers: tuple[int, ...], lost: int, error: type[ProtocolError], culprit: str
) -> None:
    with pytest.raises(error) as caught:
        plan(helpers=helpers, lost=lost)
    assert caught.value.culprit == culprit


def test_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context"):
        plan(context=b"")


def test_member_that_does_not_help_cannot_start() -> None:
    with pytest.raises(ValueError, match="identifiers"):
        frost.generate_repair_round1(plan(), GROUP.shares[5], SeededRng(b""))


def test_share_of_another_group_cannot_help() -> None:
    stranger = deal_group(3, range(1, 6), seed=b"another").shares[1]
    with pytest.raises(ValueError, match="epoch"):
        frost.generate_repair_round1(plan(), stranger, SeededRng(b""))


def test_summands_add_up_to_the_lost_share_and_show_no_term_of_it() -> None:
    run = start()
    every = [summand.share for sent in run.sent.values() for summand in sent.values()]
    assert sum(every) % ORDER == GROUP.shares[2].signing_share
    terms = {
        compute_lagrange_coefficient((1, 3, 4), number, 2) * GROUP.shares[number].signing_share % ORDER
        for number in (1, 3, 4)
    }
    assert sum(terms) % ORDER == GROUP.shares[2].signing_share
    assert terms.isdisjoint({*every, *(item.share for item in run.sums().values())})
    assert len(set(every)) == 9


def test_another_attempt_splits_otherwise() -> None:
    first, second = start(), start(seed=b"another attempt")
    assert all(first.sums()[number] != second.sums()[number] for number in (1, 3, 4))
    assert first.finish() == second.finish()


def test_commitments_of_another_term_name_their_helper() -> None:
    run = start()
    first, *others = run.commitments[3].summands
    changed = (sum_elements((first, multiply_base(1))), *others)
    run.commitments[3] = dataclasses.replace(run.commitments[3], summands=changed)
    assert refuse_round1(run) == ("3",)


def test_commitments_that_cancel_out_name_their_helper() -> None:
    run = start()
    first, second, _ = run.commitments[3].summands
    rest = multiply(ORDER - 1, sum_elements((first, second)))
    run.commitments[3] = dataclasses.replace(run.commitments[3], summands=(first, second, rest))
    assert refuse_round1(run) == ("3",)


def test_too_few_or_too_many_commitments_name_their_helper_though_they_add_up() -> None:
    first, second, third = start().commitments[3].summands
    parts = multiply_base(7), sum_elements((third, multiply(ORDER - 7, multiply_base(1))))
    for changed in ((sum_elements((first, second)), third), (first, second, *parts)):
        run = start()
        run.commitments[3] = dataclasses.replace(run.commitments[3], summands=changed)
        assert refuse_round1(run) == ("3",)


def test_commitments_for_other_helpers_or_another_loss_name_their_helper() -> None:
    for other in (start(helpers=(1, 3, 5)), start(helpers=(1, 3, 4, 5)), start(lost=5)):
        run = start()
        run.commitments[3] = other.commitments[3]
        assert refuse_round1(run) == ("3",)


def test_every_helper_with_bad_commitments_is_named() -> None:
    run = start()
    for number in (4, 1):
        run.commitments[number] = start(helpers=(1, 4, 5)).commitments[number]
    assert refuse_round1(run) == ("1", "4")


def test_missing_commitment_names_its_helper() -> None:
    run = start()
    del run.commitments[3]
    with pytest.raises(ProtocolError, match="missing") as caught:
        run.verify()
    assert caught.value.culprit == "3"


def test_second_commitment_of_a_helper_is_refused() -> None:
    run = start()
    with pytest.raises(ProtocolError, match="twice") as caught:
        frost.verify_repair_round1(run.repair, [*run.commitments.values(), run.commitments[3]])
    assert caught.value.culprit == "3"


def test_commitment_of_a_stranger_is_refused() -> None:
    run = start()
    stranger = dataclasses.replace(run.commitments[3], identifier=frost.Identifier(5))
    with pytest.raises(UnknownPartyError) as caught:
        frost.verify_repair_round1(run.repair, [*run.commitments.values(), stranger])
    assert caught.value.culprit == "5"


def test_equal_echoes_of_helpers_and_helped_are_accepted() -> None:
    round1 = start().verify()
    echoes = {frost.Identifier(number): round1.compute_digest() for number in (1, 2, 3, 4)}
    frost.verify_repair_echoes(round1, echoes)


def test_helper_that_showed_two_faces_is_caught_by_the_echo() -> None:
    run = start()
    digest = run.verify().compute_digest()
    run.commitments[3] = start(seed=b"second face").commitments[3]
    echoes = {frost.Identifier(number): digest for number in (1, 2, 3, 4)}
    echoes[frost.Identifier(2)] = run.verify().compute_digest()
    with pytest.raises(EquivocationError, match="participants 2 saw"):
        frost.verify_repair_echoes(start().verify(), echoes)


def test_missing_echo_of_the_helped_is_refused() -> None:
    round1 = start().verify()
    with pytest.raises(ProtocolError) as caught:
        frost.verify_repair_echoes(round1, dict.fromkeys(round1.repair.helpers, round1.compute_digest()))
    assert caught.value.culprit == "2"


def test_echo_depends_on_what_was_agreed_on() -> None:
    round1 = start().verify()
    for changes in ({"context": b"x"}, {"lost": frost.Identifier(5)}):
        repair = dataclasses.replace(round1.repair, **changes)
        other = dataclasses.replace(round1, repair=repair)
        assert other.compute_digest() != round1.compute_digest()


@pytest.mark.parametrize("culprits", [(1,), (3,), (1, 3)])
def test_wrong_summands_name_their_senders(culprits: tuple[int, ...]) -> None:
    run = start()
    received = run.receive(4)
    for number in culprits:
        received[number] = shift(received[number], number)
    assert refuse_round2(run, 4, received) == tuple(map(str, culprits))


def test_summand_of_another_attempt_names_its_sender() -> None:
    run = start()
    received = run.receive(4) | {1: start(seed=b"another").receive(4)[1]}
    assert refuse_round2(run, 4, received) == ("1",)


def test_zero_summand_names_its_sender() -> None:
    run = start()
    received = run.receive(4)
    received[1] = shift(received[1], -received[1].share)
    assert refuse_round2(run, 4, received) == ("1",)


def test_summands_that_cancel_out_make_no_sum() -> None:
    """It takes a helper that knows all it will get before it commits; nobody else is blamed for it."""
    run = start()
    difference = -sum(summand.share for summand in run.receive(4).values())
    run.sent[4] |= {4: shift(run.sent[4][4], difference), 1: shift(run.sent[4][1], -difference)}
    changed = tuple(multiply_base(run.sent[4][number].share) for number in (1, 3, 4))
    run.commitments[4] = dataclasses.replace(run.commitments[4], summands=changed)
    with pytest.raises(ProtocolError, match="cancel") as caught:
        frost.generate_repair_round2(run.verify(), frost.Identifier(4), run.receive(4).values())
    assert caught.value.culprit is None


def test_missing_summand_names_its_sender() -> None:
    run = start()
    received = run.receive(4)
    del received[3]
    with pytest.raises(ProtocolError, match="missing") as caught:
        frost.generate_repair_round2(run.verify(), frost.Identifier(4), received.values())
    assert caught.value.culprit == "3"


def test_second_summand_of_a_helper_is_refused() -> None:
    run = start()
    received = run.receive(4)
    with pytest.raises(ProtocolError, match="twice") as caught:
        frost.generate_repair_round2(run.verify(), frost.Identifier(4), [*received.values(), received[3]])
    assert caught.value.culprit == "3"


def test_summand_for_another_helper_is_refused() -> None:
    run = start()
    received = run.receive(4) | {1: run.receive(3)[1]}
    with pytest.raises(ProtocolError, match="somebody else") as caught:
        frost.generate_repair_round2(run.verify(), frost.Identifier(4), received.values())
    assert caught.value.culprit == "1"


def test_member_that_does_not_help_sends_no_sum() -> None:
    run = start()
    with pytest.raises(ValueError, match="helper"):
        frost.generate_repair_round2(run.verify(), frost.Identifier(5), run.receive(4).values())


@pytest.mark.parametrize("culprits", [(1,), (4,), (1, 3, 4)])
def test_wrong_sums_name_their_helpers(culprits: tuple[int, ...]) -> None:
    run = start()
    sums = run.sums()
    for number in culprits:
        sums[number] = shift(sums[number], number)
    assert refuse_finish(run, sums) == tuple(map(str, culprits))


def test_sum_of_another_attempt_names_its_helper() -> None:
    run = start()
    assert refuse_finish(run, run.sums() | {3: start(seed=b"another").sums()[3]}) == ("3",)


def test_missing_sum_names_its_helper() -> None:
    run = start()
    sums = run.sums()
    del sums[4]
    with pytest.raises(ProtocolError, match="missing") as caught:
        frost.finish_repair(run.verify(), sums.values())
    assert caught.value.culprit == "4"


def test_second_sum_of_a_helper_is_refused() -> None:
    run = start()
    with pytest.raises(ProtocolError, match="twice") as caught:
        frost.finish_repair(run.verify(), [*run.sums().values(), run.sums()[4]])
    assert caught.value.culprit == "4"


def test_sum_for_somebody_else_is_refused() -> None:
    run = start()
    sums = run.sums()
    sums[1] = dataclasses.replace(sums[1], receiver=frost.Identifier(5))
    with pytest.raises(ProtocolError, match="somebody else") as caught:
        frost.finish_repair(run.verify(), sums.values())
    assert caught.value.culprit == "1"


def test_sum_of_a_stranger_is_refused() -> None:
    run = start()
    stranger = dataclasses.replace(run.sums()[1], sender=frost.Identifier(5))
    with pytest.raises(UnknownPartyError) as caught:
        frost.finish_repair(run.verify(), [*run.sums().values(), stranger])
    assert caught.value.culprit == "5"


def test_secrets_stay_out_of_sight() -> None:
    run = start()
    shown = repr((run.verify(), run.sent, run.sums(), run.finish()))
    hidden = [summand.share for sent in run.sent.values() for summand in sent.values()]
    hidden += [item.share for item in run.sums().values()]
    assert not any(str(secret) in shown for secret in (*hidden, GROUP.shares[2].signing_share))


def test_packages_survive_the_round_trip() -> None:
    run = start()
    commitment, summand, total = run.commitments[1], run.sent[1][3], run.sums()[1]
    assert frost.RepairCommitment.from_bytes(commitment.to_bytes()) == commitment
    assert frost.RepairSummand.from_bytes(summand.to_bytes()) == summand
    assert frost.RepairSum.from_bytes(total.to_bytes()) == total
    assert (len(commitment.to_bytes()), len(summand.to_bytes()), len(total.to_bytes())) == (100, 36, 36)


def test_a_summand_is_not_a_sum_though_it_looks_like_one() -> None:
    summand: frost.SecretPackage = start().sent[1][3]
    assert frost.RepairSum.from_bytes(summand.to_bytes()) != summand


def test_commitment_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="summands"):
        frost.RepairCommitment(identifier=frost.Identifier(1), summands=())


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda _data: b"",
        lambda data: b"\x00\x00" + data[2:],
        lambda data: data[:2] + b"\x00\x00",
        lambda data: data[:2] + b"\xff\xff" + data[4:],
        lambda data: data[:4] + (1).to_bytes(32, "little") + data[36:],
    ],
    ids=["short", "long", "empty", "zero-id", "no summand", "huge", "identity"],
)
def test_malformed_commitment_is_refused(change: object) -> None:
    with pytest.raises(EncodingError):
        frost.RepairCommitment.from_bytes(change(start().commitments[1].to_bytes()))  # type: ignore[operator]


@pytest.mark.parametrize("kind", [frost.RepairSummand, frost.RepairSum])
@pytest.mark.parametrize("data", [b"", bytes(36), b"\x00\x01\x00\x02" + b"\xff" * 32, bytes(37)])
def test_malformed_secret_package_is_refused(kind: type[frost.SecretPackage], data: bytes) -> None:
    with pytest.raises(EncodingError):
        kind.from_bytes(data)
