"""Laws of a key's life: handed over, refreshed or repaired as often as one likes, it stays the key."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.frost_groups import Group, RepairRun, ReshareRun, deal_group, sign_together
from vetonet.crypto import frost
from vetonet.crypto.frost.group import ORDER
from vetonet.crypto.frost.polynomial import compute_lagrange_coefficient
from vetonet.errors import InvalidSignatureError

rosters = st.lists(st.integers(1, 65535).map(frost.Identifier), min_size=1, max_size=5, unique=True)
differences = st.integers(1, ORDER - 1)


def draw_quorum(data: st.DataObject, group: Group, without: int = 0) -> tuple[frost.Identifier, ...]:
    """Return min_signers or more members."""
    members = [identifier for identifier in group.public.identifiers if identifier != without]
    return tuple(
        data.draw(st.lists(st.sampled_from(members), min_size=group.public.min_signers, unique=True))
    )


def draw_group(data: st.DataObject, spare: int = 0) -> Group:
    """Return a group in which at least ``spare`` members are not needed to sign."""
    roster = data.draw(rosters.filter(lambda numbers: len(numbers) > spare))
    return deal_group(data.draw(st.integers(1, len(roster) - spare)), roster)


def draw_resharing(data: st.DataObject, group: Group, epoch: int = 2) -> frost.Resharing:
    roster = data.draw(rosters)
    return frost.Resharing(
        old=group.public,
        dealers=draw_quorum(data, group),
        identifiers=tuple(roster),
        min_signers=data.draw(st.integers(1, len(roster))),
        context=b"epoch %d" % epoch,
    )


def draw_repair(data: st.DataObject, group: Group) -> frost.Repair:
    lost = data.draw(st.sampled_from(group.public.identifiers))
    helpers = draw_quorum(data, group, without=lost)
    return frost.Repair(group=group.public, helpers=helpers, lost=lost, context=b"repair")


def recover_secret(group: Group, members: tuple[frost.Identifier, ...]) -> int:
    """Return the key itself, which only a test may do."""
    weights = {number: compute_lagrange_coefficient(members, number) for number in members}
    return sum(weight * group.shares[number].signing_share for number, weight in weights.items()) % ORDER


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_quorum_of_any_new_group_has_the_old_key(data: st.DataObject) -> None:
    old = draw_group(data)
    secret = recover_secret(old, draw_quorum(data, old))
    new = ReshareRun(old, draw_resharing(data, old)).finish()
    assert recover_secret(new, draw_quorum(data, new)) == secret
    signers = [new.shares[number] for number in draw_quorum(data, new)]
    old.key.verify_signature(b"m", sign_together(signers, new.public))


@given(st.data())
@settings(max_examples=10, deadline=None)
def test_key_outlives_any_chain_of_groups(data: st.DataObject) -> None:
    first = group = draw_group(data)
    for epoch in range(2, 5):
        group = ReshareRun(group, draw_resharing(data, group, epoch)).finish()
    assert group.key == first.key


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_quorum_repairs_any_share_of_the_others(data: st.DataObject) -> None:
    group = draw_group(data, spare=1)
    repair = draw_repair(data, group)
    assert RepairRun(group, repair).finish() == group.shares[repair.lost]


@given(st.data(), differences)
@settings(max_examples=25, deadline=None)
def test_whatever_a_dealer_adds_to_a_share_it_alone_is_named(data: st.DataObject, difference: int) -> None:
    old = draw_group(data)
    run = ReshareRun(old, draw_resharing(data, old))
    receiver = data.draw(st.sampled_from(run.resharing.identifiers))
    culprit = data.draw(st.sampled_from(run.resharing.dealers))
    received = run.receive(receiver)
    share = frost.Scalar((received[culprit].share + difference) % ORDER)
    received[culprit] = dataclasses.replace(received[culprit], share=share)
    with pytest.raises(InvalidSignatureError) as caught:
        frost.finish_resharing(run.verify(), receiver, received.values())
    assert caught.value.culprits == (str(culprit),)


@given(st.data(), differences)
@settings(max_examples=25, deadline=None)
def test_whatever_a_helper_adds_to_a_summand_it_alone_is_named(data: st.DataObject, difference: int) -> None:
    group = draw_group(data, spare=1)
    run = RepairRun(group, draw_repair(data, group))
    receiver, culprit = (data.draw(st.sampled_from(run.repair.helpers)) for _ in range(2))
    received = run.receive(receiver)
    share = frost.Scalar((received[culprit].share + difference) % ORDER)
    received[culprit] = dataclasses.replace(received[culprit], share=share)
    with pytest.raises(InvalidSignatureError) as caught:
        frost.generate_repair_round2(run.verify(), receiver, received.values())
    assert caught.value.culprits == (str(culprit),)


@given(st.data(), differences)
@settings(max_examples=25, deadline=None)
def test_whatever_a_helper_adds_to_its_sum_it_alone_is_named(data: st.DataObject, difference: int) -> None:
    group = draw_group(data, spare=1)
    run = RepairRun(group, draw_repair(data, group))
    culprit = data.draw(st.sampled_from(run.repair.helpers))
    sums = run.sums()
    share = frost.Scalar((sums[culprit].share + difference) % ORDER)
    sums[culprit] = dataclasses.replace(sums[culprit], share=share)
    with pytest.raises(InvalidSignatureError) as caught:
        frost.finish_repair(run.verify(), sums.values())
    assert caught.value.culprits == (str(culprit),)
