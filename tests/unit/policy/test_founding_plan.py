"""The ceremonies of a charter: whose seats, and a context that moves to no other (VN-15.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.charters import make_charter
from vetonet.policy.founding import MAX_ATTEMPT, Position, list_differing, plan_ceremonies

CHARTER = make_charter()
OURS, THEIRS = Position(charter=bytes(32), attempt=1), Position(charter=bytes([1]) * 32, attempt=1)


def test_each_threshold_has_a_ceremony_of_its_seats() -> None:
    first, second = plan_ceremonies(CHARTER.terms, 1)
    assert (first.seats, first.min_signers) == (("p1", "p1", "p2", "p3"), 3)
    assert (second.seats, second.min_signers) == (("p3", "p4"), 2)
    assert second.party_ids == ("p3", "p4")


def test_no_two_ceremonies_share_a_context() -> None:
    # VN-15.1: another group, attempt or charter is another ceremony
    other = replace(CHARTER.terms, name="Another Treaty")
    plans = [plan for terms in (CHARTER.terms, other) for n in (1, 2) for plan in plan_ceremonies(terms, n)]
    assert len({plan.context for plan in plans}) == len(plans) == 8


@pytest.mark.parametrize("attempt", [0, -1, MAX_ATTEMPT + 1])
def test_an_attempt_that_is_none_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        plan_ceremonies(CHARTER.terms, attempt)


def test_nobody_differs_where_all_have_the_same_charter() -> None:
    assert list_differing(dict.fromkeys(("p1", "p2", "p3"), OURS), "p1") == ()


@pytest.mark.parametrize("own", ["p1", "p2", "p3"])
def test_who_has_another_charter_than_most_is_named_by_everybody_itself_included(own: str) -> None:
    assert list_differing({"p1": OURS, "p2": OURS, "p3": THEIRS}, own) == ("p3",)


def test_without_a_majority_each_names_who_differs_from_itself() -> None:
    positions = {"p1": OURS, "p2": THEIRS}
    assert list_differing(positions, "p1") == ("p2",)
    assert list_differing(positions, "p2") == ("p1",)


def test_another_attempt_differs_as_another_charter_does() -> None:
    later = replace(OURS, attempt=2)
    assert list_differing({"p1": OURS, "p2": later, "p3": OURS}, "p2") == ("p2",)
