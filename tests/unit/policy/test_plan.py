"""A plan of a treaty: what no treaty can say is refused before anybody has a key, with every reason."""

from __future__ import annotations

from typing import Any

import pytest

from vetonet.policy.action import IMPOSSIBLE, REQUIRED, ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.expression import AnyOf, Threshold
from vetonet.policy.plan import PlanError, TreatyPlan, Where
from vetonet.policy.quorum import Quorum, Recusal
from vetonet.units import MAX_DURATION_MS

ROSTER = ("A", "B", "C")
QUORUM = Quorum.of_threshold(2, ROSTER)
ACTIONS = tuple((action, QUORUM) for action in REQUIRED)
BANDS = (
    Band(name="free", floor_flop=0, rule=BandRule.FREE),
    Band(name="licensed", floor_flop=10**24, rule=BandRule.LICENSED),
)


def make_plan(**changes: Any) -> TreatyPlan:
    plain: dict[str, Any] = {
        "name": "Trial",
        "party_ids": ROSTER,
        "actions": ACTIONS,
        "bands": BANDS,
        "operators": (("op1", "A"),),
        "maker_ids": ("maker1",),
    }
    return TreatyPlan(**(plain | changes))


def test_a_plan_keeps_what_it_is_told() -> None:
    plan = make_plan()
    assert plan.find_quorum(ActionClass.RUN_GRANT) == QUORUM
    assert plan.find_quorum(ActionClass.AMEND_RULES) is None
    assert plan.witnessing == (2, 0)
    assert plan.times["lease"] == plan.lease_ms > 0


@pytest.mark.parametrize(
    ("changes", "where", "reason"),
    [
        ({"name": ""}, ("name",), "1 to 128"),
        ({"name": "a\nb"}, ("name",), "printable"),
        ({"party_ids": ("A", "B", "C", "A")}, ("parties", 3), "nobody else has"),
        ({"party_ids": ("A", "B", "C", "../x")}, ("parties", 3), "letters, digits"),
        ({"operators": ()}, ("operator",), "1 to 256 operators, got 0"),
        ({"operators": (("A", None),)}, ("operator", 0, "id"), "nobody else has"),
        ({"operators": (("op1", "Z"),)}, ("operator", 0, "party"), "party of the roster"),
        ({"maker_ids": ()}, ("makers",), "1 to 32 chip makers, got 0"),
        ({"maker_ids": ("op1",)}, ("makers", 0), "nobody else has"),
        ({"attester_kinds": (("maker2", "TPM2"),)}, ("makers",), "one kind of attester for a chip maker"),
        ({"attester_kinds": (("maker1", "tpm"),)}, ("makers",), "such as TPM2 for maker1, got 'tpm'"),
        ({"attester_kinds": (("maker1", "A"), ("maker1", "B"))}, ("makers",), "one kind of attester"),
        ({"beneficial_owners": (("op2", "X"),)}, ("operator",), "one beneficial owner for an operator"),
        ({"beneficial_owners": (("op1", "X"), ("op1", "Y"))}, ("operator",), "one beneficial owner"),
        (
            {"beneficial_owners": (("op1", ""),)},
            ("operator", 0, "beneficial-owner"),
            "owner of 1 to 128 characters",
        ),
        (
            {"beneficial_owners": (("op1", "a\nb"),)},
            ("operator", 0, "beneficial-owner"),
            "printable beneficial owner",
        ),
        ({"beneficial_owners": (("op1", "x" * 129),)}, ("operator", 0, "beneficial-owner"), "1 to 128"),
        ({"bands": ()}, ("band",), "start at 0"),
        ({"bands": BANDS[1:]}, ("band",), "start at 0"),
        ({"bands": (*BANDS, BANDS[1])}, ("band",), "rise"),
        ({"bands": (Band(name="x" * 33, floor_flop=0, rule=BandRule.FREE),)}, ("band", 0), "32 characters"),
        ({"window_ms": 0}, ("times", "window"), "above zero"),
        ({"lease_ms": 0}, ("times", "lease"), "above zero"),
        ({"lease_ms": 1_500}, ("times", "lease"), "whole seconds, as witnesses state time, got 1500 ms"),
        ({"refresh_ms": -1}, ("times", "refresh"), "above zero"),
        ({"signing_ms": MAX_DURATION_MS + 1}, ("times", "signing"), "366 days"),
        ({"suspension_ms": 1}, ("times", "suspension"), "no suspension time"),
        ({"actions": ACTIONS[:1]}, ("action",), "action.lease-renewal"),
        ({"actions": ACTIONS[::-1]}, ("action",), "in their order"),
        ({"actions": (*ACTIONS, ACTIONS[1])}, ("action",), "at most once"),
        (
            {"actions": (*ACTIONS, (ActionClass.EMERGENCY_SUSPENSION, QUORUM))},
            ("times", "suspension"),
            "expected a suspension time",
        ),
        (
            {"actions": (*ACTIONS, (ActionClass.SUSPENSION_CONFIRMATION, QUORUM))},
            ("action", "suspension-confirmation"),
            "emergency-suspension",
        ),
        (
            {"actions": (*ACTIONS, (ActionClass.REMOVE_BASELINE, QUORUM))},
            ("action", "remove-baseline"),
            "however large",
        ),
        (
            {"actions": (*ACTIONS, (ActionClass.AMEND_RULES, Quorum.of_threshold(1, ("Z",))))},
            ("action", "amend-rules"),
            "got 'Z'",
        ),
        (
            {"actions": (*ACTIONS, (ActionClass.AMEND_RULES, Quorum.of_threshold(2, ROSTER, ("Z",))))},
            ("action", "amend-rules"),
            "got 'Z'",
        ),
        ({"witness_quorum": 1}, ("witnesses", "quorum"), "k from 2 to 3"),
        ({"witness_quorum": 4}, ("witnesses", "quorum"), "k = 4 of n = 3"),
        ({"max_colluding": 3}, ("witnesses", "colluding"), "f of at most 2"),
    ],
)
def test_a_plan_that_no_treaty_can_follow_is_refused(
    changes: dict[str, Any], where: Where, reason: str
) -> None:
    # VN-3.2, VN-3.3, VN-3.4, VN-4.6
    with pytest.raises(PlanError, match="expected") as caught:
        make_plan(**changes)
    assert [fault.where for fault in caught.value.faults] == [where]
    assert reason in str(caught.value)


def test_a_treaty_among_nobody_is_refused() -> None:
    # VN-4.1
    with pytest.raises(PlanError, match="1 to 128 parties, got 0"):
        make_plan(party_ids=())


def test_more_different_thresholds_than_a_treaty_has_groups_are_refused_at_the_first_too_many() -> None:
    # VN-3.2
    roster = tuple(f"P{number}" for number in range(40))
    actions = tuple(
        (action, make_many_leaves(roster, first))
        for action, first in zip((*REQUIRED, ActionClass.AMEND_RULES), (1, 17, 33), strict=True)
    )
    make_plan(party_ids=roster, actions=actions[:2], operators=(("op1", "P0"),))  # exactly 32
    with pytest.raises(PlanError, match="at most 32 different thresholds in all actions, got 40") as caught:
        make_plan(party_ids=roster, actions=actions, operators=(("op1", "P0"),))
    assert [fault.where for fault in caught.value.faults] == [("action", "amend-rules")]


def make_many_leaves(roster: tuple[str, ...], first: int) -> Quorum:
    thresholds = range(first, min(first + 16, 41))
    parts = tuple(Threshold(min_grants=n, electorate=roster, weights=(), minority=True) for n in thresholds)
    return Quorum(expression=AnyOf(parts=parts), veto_holders=(), min_ballots=0, recusal=Recusal.GRANTS)


def test_every_reason_is_given_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(name="", bands=(), window_ms=0, actions=(), witness_quorum=1)
    assert len(caught.value.faults) == 6


def test_a_quorum_that_cannot_be_written_is_refused() -> None:
    leaf = Threshold(min_grants=66, electorate=("A", "B"), weights=(65, 1), minority=False)
    quorum = Quorum(expression=leaf, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS)
    with pytest.raises(PlanError, match="0 to 64"):
        make_plan(actions=(*ACTIONS, (ActionClass.AMEND_RULES, quorum)))


def test_nothing_impossible_is_required() -> None:
    assert not IMPOSSIBLE & set(REQUIRED)


@pytest.mark.parametrize("size", range(1, 12))
def test_the_plain_plan_lets_two_thirds_change_rules_and_roster(size: int) -> None:
    roster = tuple(f"P{number}" for number in range(size))
    for min_grants in range(size // 2 + 1, size + 1):
        plan = TreatyPlan.of_threshold(
            name="Trial",
            party_ids=roster,
            min_grants=min_grants,
            veto_ids=roster[:1],
            licensed_flop=10**21,
            operators=(("op1", None),),
            maker_ids=("maker1",),
        )
        granting, renewing, amending, changing = (quorum for _, quorum in plan.actions)
        assert granting == renewing == Quorum.of_threshold(min_grants, roster, roster[:1])
        assert amending == changing
        assert amending.veto_holders == roster[:1]
        (leaf,) = amending.leaves
        assert 3 * leaf.min_grants >= 2 * size
        assert leaf.min_grants >= min_grants


def test_the_plain_plan_takes_bands_and_times() -> None:
    fields: dict[str, Any] = {"operators": (("op1", None),), "maker_ids": ("maker1",), "name": "Trial"}
    plan = TreatyPlan.of_threshold(
        party_ids=ROSTER,
        min_grants=1,
        is_minority=True,
        licensed_flop=10**21,
        forbidden_flop=10**24,
        lease_ms=5_000,
        **fields,
    )
    assert [band.rule for band in plan.bands] == list(BandRule)
    assert plan.lease_ms == 5_000
    with pytest.raises(ValueError, match="threshold from 2 to 3"):
        TreatyPlan.of_threshold(party_ids=ROSTER, min_grants=1, licensed_flop=1, **fields)


@pytest.mark.parametrize(
    ("min_grants", "recusal", "hopeless"),
    [
        (2, Recusal.GRANTS, ()),
        (3, Recusal.GRANTS, (("op1", "A"),)),
        (3, Recusal.BALLOTS, (("op1", "A"),)),
    ],
)
def test_an_operator_without_hope_is_named(
    min_grants: int, recusal: Recusal, hopeless: tuple[tuple[str, str], ...]
) -> None:
    # VN-4.5: a recused party's grant does not count, so all of three can never grant what it proposes.
    leaf = Threshold(min_grants=min_grants, electorate=ROSTER, weights=(), minority=False)
    quorum = Quorum(expression=leaf, veto_holders=(), veto_share=None, min_ballots=0, recusal=recusal)
    plan = make_plan(
        actions=tuple((action, quorum) for action in REQUIRED), operators=(("op1", "A"), ("op2", None))
    )
    assert plan.list_hopeless_operators() == hopeless


def test_a_ballot_that_everybody_must_cast_is_hopeless_where_ballots_are_recused() -> None:
    leaf = Threshold(min_grants=2, electorate=ROSTER, weights=(), minority=False)
    for recusal, hopeless in ((Recusal.GRANTS, ()), (Recusal.BALLOTS, (("op1", "A"),))):
        quorum = Quorum(expression=leaf, veto_holders=(), veto_share=None, min_ballots=3, recusal=recusal)
        assert make_plan(actions=((REQUIRED[0], quorum), ACTIONS[1])).list_hopeless_operators() == hopeless
