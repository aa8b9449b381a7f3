"""Refresh: members, threshold and key stay, and every share is another one."""

from __future__ import annotations

import dataclasses

import pytest

from support.frost_groups import Group, ReshareRun, deal_group, sign_together
from vetonet.crypto import frost
from vetonet.errors import InvalidSignatureError, ProtocolError, UnknownPartyError


def plan(group: Group, *dealers: int, context: bytes = b"epoch 2") -> frost.Resharing:
    return frost.plan_refresh(group.public, dealers=map(frost.Identifier, dealers), context=context)


def refresh(group: Group, *dealers: int) -> Group:
    return ReshareRun(group, plan(group, *dealers)).finish()


def test_refreshed_group_is_the_same_group_with_other_shares() -> None:
    old = deal_group(3, (1, 2, 5, 9))
    new = refresh(old, 1, 5, 9)
    assert new.key == old.key
    assert new.public.identifiers == old.public.identifiers
    assert new.public.min_signers == old.public.min_signers
    assert new.public != old.public
    for number in (1, 2, 5, 9):
        assert new.shares[number].signing_share != old.shares[number].signing_share


def test_member_that_dealt_nothing_signs_after_the_refresh() -> None:
    old = deal_group(2, (1, 2, 3))
    new = refresh(old, 1, 2)
    old.key.verify_signature(b"m", sign_together([new.shares[1], new.shares[3]], new.public))


def test_group_of_one_keeps_its_share() -> None:
    """There is one point on a constant polynomial, so a 1-of-1 group has nothing to refresh."""
    old = deal_group(1, (1,))
    assert refresh(old, 1).shares[1] == old.shares[1]


@pytest.mark.parametrize("stolen", [1, 2])
def test_share_stolen_before_the_refresh_makes_no_signature_after_it(stolen: int) -> None:
    old = deal_group(2, (1, 2, 3))
    new = refresh(old, 1, 2)
    with pytest.raises(InvalidSignatureError) as caught:
        sign_together([old.shares[stolen], new.shares[3]], new.public)
    assert caught.value.culprits == (str(stolen),)


def test_shares_stolen_in_different_epochs_are_not_the_key() -> None:
    old = deal_group(2, (1, 2, 3))
    new = refresh(old, 1, 2)
    for public in (old.public, new.public):
        with pytest.raises(InvalidSignatureError):
            sign_together([old.shares[1], new.shares[2]], public)


def test_member_that_missed_a_refresh_is_brought_up_to_date_by_the_next() -> None:
    first = deal_group(2, (1, 2, 3))
    second = refresh(first, 1, 2)
    stale = dataclasses.replace(second, shares=second.shares | {3: first.shares[3]})
    third = ReshareRun(stale, plan(stale, 1, 2, context=b"epoch 3")).finish()
    first.key.verify_signature(b"m", sign_together([third.shares[2], third.shares[3]], third.public))


def test_fewer_dealers_than_the_quorum_are_refused() -> None:
    with pytest.raises(ProtocolError, match="1 members where it takes 2"):
        plan(deal_group(2, (1, 2, 3)), 1)


def test_dealer_from_outside_is_refused() -> None:
    with pytest.raises(UnknownPartyError) as caught:
        plan(deal_group(2, (1, 2, 3)), 1, 4)
    assert caught.value.culprit == "4"


def test_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context"):
        plan(deal_group(2, (1, 2, 3)), 1, 2, context=b"")
