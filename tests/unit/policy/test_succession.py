"""Treaties that may follow another, and every one that no decision can put in its place (VN-16)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.frost.group import multiply_base
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare
from vetonet.policy.succession import verify_succession
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import ActionRule, Operator, Party, Treaty

NAMES = ("p1", "p2", "p3", "p4", "p5")
ROSTER = Quorum.of_threshold(4, NAMES)
TREATY = make_council(5, 3, ("p1", "p5"), quorums={ActionClass.ROSTER_CHANGE: ROSTER}).treaty.statement
CHANGE, AMEND = ActionClass.ROSTER_CHANGE, ActionClass.AMEND_RULES
FRESH = generate_ed25519(SeededRng(b"fresh")).public_key


def reshared(package: frost.PublicKeyPackage, n: int, k: int, seed: int = 7) -> frost.PublicKeyPackage:
    """Return a group of other shares under the same key."""
    others = [multiply_base(frost.Scalar(seed + power)) for power in range(k - 1)]
    return frost.PublicKeyPackage(
        vss_commitment=(package.vss_commitment[0], *others),
        identifiers=tuple(map(frost.Identifier, range(1, n + 1))),
    )


def party(name: str) -> Party:
    return Party(party_id=name, key=generate_ed25519(SeededRng(b"party").spawn(name)).public_key)


def regroup(quorum: Quorum, names: Sequence[str], k: int, veto_holders: Iterable[str]) -> Quorum:
    leaf = Threshold(min_grants=k, electorate=tuple(names), weights=(), minority=False)
    return replace(quorum, expression=leaf, veto_holders=tuple(veto_holders))


def succeed(before: Treaty, names: Sequence[str], k: int = 3, roster_k: int = 4, **changes: Any) -> Treaty:
    """Return the treaty after a change of the roster to these parties, each group reshared."""
    known = {entry.party_id: entry for entry in before.parties}
    parties = tuple(known.get(name) or party(name) for name in names)
    holders = [name for name in before.actions[0].quorum.veto_holders if name in names]
    thresholds = {CHANGE: roster_k}
    actions = tuple(
        replace(
            rule,
            quorum=regroup(
                rule.quorum, names, thresholds.get(rule.action, k), () if rule.action is CHANGE else holders
            ),
        )
        for rule in before.actions
    )
    groups = tuple(
        reshared(package, len(names), threshold, before.epoch + 100)
        for package, threshold in zip(before.groups, (k, roster_k), strict=True)
    )
    fields: dict[str, Any] = {
        "epoch": before.epoch + 1,
        "parties": parties,
        "actions": actions,
        "groups": groups,
        "operators": tuple(
            replace(operator, party_id=operator.party_id if operator.party_id in names else None)
            for operator in before.operators
        ),
        "witnesses": tuple(
            replace(witness, party_id=witness.party_id if witness.party_id in names else None)
            for witness in before.witnesses
        ),
    }
    return replace(before, **(fields | changes))


NEXT = succeed(TREATY, ("p1", "p2", "p3", "p4", "p6"))


def refuse(
    clause: str, successor: Treaty, action: ActionClass = CHANGE, history: Sequence[Treaty] = (TREATY,)
) -> str:
    with pytest.raises(RefusedError) as caught:
        verify_succession(history, successor, action)
    assert caught.value.clause == clause
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "successor",
    [
        NEXT,
        succeed(TREATY, ("p1", "p2", "p3", "p6", "p7")),
        succeed(TREATY, ("p1", "p2", "p3", "p4", "p5", "p6", "p7"), k=4, roster_k=6),
        succeed(TREATY, ("p1", "p2", "p3"), k=2, roster_k=3),
        pytest.param(succeed(TREATY, NAMES), id="refresh"),
        pytest.param(succeed(TREATY, ("p5", "p4", "p3", "p2", "p1")), id="other seats"),
    ],
)
def test_a_change_of_the_roster_that_keeps_keys_and_rules_holds(successor: Treaty) -> None:
    verify_succession([TREATY], successor, CHANGE)


def test_an_amendment_that_keeps_roster_and_groups_holds() -> None:
    rules = {rule.action: rule.quorum for rule in TREATY.actions}
    stricter = tuple(
        replace(rule, quorum=replace(rules[CHANGE], recusal=Recusal.BALLOTS)) for rule in TREATY.actions
    )
    for changes in (
        {"name": "Another Name", "window_ms": 1_000, "bands": TREATY.bands[:2], "operators": ()},
        {"actions": stricter, "groups": TREATY.groups[1:]},
        {"actions": tuple(reversed_rules()), "groups": tuple(reversed(TREATY.groups))},
    ):
        verify_succession([TREATY], replace(TREATY, epoch=2, **changes), AMEND)


def reversed_rules() -> list[ActionRule]:
    """Return the rules with the thresholds of runs and of the roster swapped."""
    rules = {rule.action: rule.quorum for rule in TREATY.actions}
    swapped = dict.fromkeys(rules, rules[CHANGE]) | {CHANGE: rules[ActionClass.RUN_GRANT]}
    return [ActionRule(action=rule.action, quorum=swapped[rule.action]) for rule in TREATY.actions]


def test_a_treaty_that_follows_none_is_not_judged() -> None:
    with pytest.raises(ValueError, match="founded"):
        verify_succession([], TREATY, CHANGE)


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_an_epoch_that_is_not_the_next_is_refused(epoch: int) -> None:
    # VN-16.1
    assert f"expected 2, got {epoch}" in refuse("VN-16.1", replace(NEXT, epoch=epoch))


@pytest.mark.parametrize("action", sorted(set(ActionClass) - {CHANGE, AMEND}))
def test_another_class_of_action_changes_no_treaty(action: ActionClass) -> None:
    # VN-16.1
    assert action.value in refuse("VN-16.1", NEXT, action)


@pytest.mark.parametrize("action", [CHANGE, AMEND])
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"log_origin": "log.example/other"}, "log_origin"),
        ({"log_key": FRESH}, "log_key"),
        ({"witness_quorum": 5}, "witness_quorum: expected 4, got 5"),
        ({"max_colluding": 0}, "max_colluding: expected 1, got 0"),
        ({"witnesses": tuple(reversed(NEXT.witnesses))}, "witnesses"),
        ({"witnesses": NEXT.witnesses[:4]}, "witnesses"),
        ({"witnesses": (replace(NEXT.witnesses[0], key=FRESH), *NEXT.witnesses[1:])}, "witness/p1"),
        (
            {"witnesses": (*NEXT.witnesses[:4], replace(NEXT.witnesses[4], party_id="p6"))},
            "whose party left: expected None, got p6",
        ),
    ],
)
def test_another_log_or_other_witnesses_are_refused(
    changes: dict[str, Any], match: str, action: ActionClass
) -> None:
    # VN-16.2
    assert match in refuse("VN-16.2", replace(NEXT, **changes), action)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Another Name"},
        {"bands": TREATY.bands[:2]},
        {"window_ms": 1},
        {"signing_ms": 1},
        {"report_interval_ms": 1},
        {"report_grace_ms": 1},
        {"lease_ms": 1_000},
        {"refresh_ms": 1},
        {"endorsers": ()},
        {"operators": NEXT.operators[:1]},
        {"operators": (Operator(operator_id="op1", key=FRESH), *NEXT.operators[1:])},
        {"operators": (replace(NEXT.operators[0], beneficial_owner="Owner"), *NEXT.operators[1:])},
        {"totals": Totals.OPEN},
        {"totals": Totals.CONFIDENTIAL},
    ],
)
def test_a_change_of_the_roster_that_changes_a_rule_is_refused(changes: dict[str, Any]) -> None:
    # VN-16.3
    assert next(iter(changes)) in refuse("VN-16.3", replace(NEXT, **changes))


def test_an_amendment_of_the_rules_may_make_totals_confidential_and_open_again() -> None:
    # VN-3.6, VN-16.5
    hiding = replace(TREATY, epoch=2, totals=Totals.CONFIDENTIAL)
    verify_succession([TREATY], hiding, AMEND)
    verify_succession([TREATY, hiding], replace(TREATY, epoch=3), AMEND)


def with_quorum(**changes: Any) -> Treaty:
    """Return the next treaty with another quorum for runs and leases."""
    return replace(
        NEXT,
        actions=tuple(
            rule if rule.action is CHANGE else replace(rule, quorum=replace(rule.quorum, **changes))
            for rule in NEXT.actions
        ),
    )


LEAF = NEXT.actions[0].quorum.leaves[0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"veto_holders": ()}, "veto holders"),
        ({"veto_holders": ("p1", "p2")}, "veto holders"),
        ({"recusal": Recusal.BALLOTS}, "recusal"),
        ({"veto_share": VetoShare(numerator=1, denominator=2, of=Denominator.CAST)}, "share of vetoes"),
        ({"expression": replace(LEAF, minority=True)}, "expected threshold, got minority"),
    ],
)
def test_a_change_of_the_roster_that_changes_how_they_decide_is_refused(
    changes: dict[str, Any], match: str
) -> None:
    # VN-16.3
    assert match in refuse("VN-16.3", with_quorum(**changes))


def test_a_veto_holder_that_joins_and_one_that_leaves_is_no_change_of_rules() -> None:
    verify_succession([TREATY], with_quorum(veto_holders=("p1", "p6")), CHANGE)


def test_a_quorum_of_another_form_is_refused() -> None:
    # VN-16.3
    other = replace(LEAF, min_grants=5)
    extra = reshared(NEXT.groups[0], 5, 5)
    key = replace(extra, vss_commitment=(multiply_base(frost.Scalar(99)), *extra.vss_commitment[1:]))
    for kind in (AllOf, AnyOf):
        changed = replace(
            NEXT,
            actions=with_quorum_actions(kind(parts=(LEAF, other))),
            groups=(NEXT.groups[0], key, NEXT.groups[1]),
        )
        assert "form of the quorum" in refuse("VN-16.3", changed)


def with_quorum_actions(expression: AllOf | AnyOf) -> tuple[ActionRule, ...]:
    return tuple(
        rule if rule.action is CHANGE else replace(rule, quorum=replace(rule.quorum, expression=expression))
        for rule in NEXT.actions
    )


def test_a_class_of_action_that_comes_or_goes_is_refused() -> None:
    # VN-16.3
    fewer = replace(NEXT, actions=NEXT.actions[:2], groups=NEXT.groups[:1])
    assert "classes of action" in refuse("VN-16.3", fewer)


def test_another_group_key_is_refused() -> None:
    # VN-16.4
    for index in (0, 1):
        package = NEXT.groups[index]
        other = replace(
            package, vss_commitment=(multiply_base(frost.Scalar(99)), *package.vss_commitment[1:])
        )
        groups = (other, NEXT.groups[1]) if index == 0 else (NEXT.groups[0], other)
        assert f"key of group {index}" in refuse("VN-16.4", replace(NEXT, groups=groups))


def test_two_groups_that_change_places_or_become_one_are_refused() -> None:
    # VN-16.4
    runs, roster = TREATY.groups
    one = succeed(TREATY, NAMES, k=4, groups=(reshared(runs, 5, 4),))
    assert "key of group 1 in roster-change" in refuse("VN-16.4", one)
    swapped = succeed(TREATY, NAMES, k=4, roster_k=3, groups=(reshared(roster, 5, 4), reshared(runs, 5, 3)))
    assert "key of group 0 in run-grant" in refuse("VN-16.4", swapped)


@pytest.mark.parametrize(
    ("successor", "match"),
    [
        (NEXT, "roster"),
        (replace(TREATY, epoch=2, parties=(*TREATY.parties, party("p6"))), "roster"),
        (replace(TREATY, epoch=2, parties=tuple(reversed(TREATY.parties))), "roster"),
        (succeed(TREATY, NAMES), "public values of group 0"),
        (succeed(TREATY, NAMES, k=5), "a threshold that has a group, got 5 of p1, p2"),
    ],
)
def test_an_amendment_that_changes_roster_or_groups_is_refused(successor: Treaty, match: str) -> None:
    # VN-16.5
    assert match in refuse("VN-16.5", successor, AMEND)


def test_a_roster_change_by_which_k_old_shares_leave_is_refused() -> None:
    # VN-16.6
    verify_succession([TREATY], succeed(TREATY, ("p1", "p2", "p3", "p6", "p7")), CHANGE)
    message = refuse("VN-16.6", succeed(TREATY, ("p1", "p2", "p6", "p7", "p8")))
    assert "fewer than 3 seats of epoch 1 to have left, got 3 (p3, p4, p5)" in message


def test_k_old_shares_that_leave_one_after_another_are_refused() -> None:
    # VN-16.6: each step alone lets one seat go.
    history = [TREATY]
    for names in (("p1", "p2", "p3", "p4", "p6"), ("p1", "p2", "p3", "p6", "p7")):
        history.append(succeed(history[-1], names))
        verify_succession(history[:-1], history[-1], CHANGE)
    last = succeed(history[-1], ("p1", "p2", "p6", "p7", "p8"))
    assert "of epoch 1" in refuse("VN-16.6", last, history=history)
    verify_succession(history[-1:], last, CHANGE)


def test_a_lower_threshold_binds_who_leaves_later() -> None:
    # VN-16.6: two shares of the second epoch are the key.
    second = succeed(TREATY, ("p1", "p2", "p3"), k=2, roster_k=3)
    third = succeed(second, ("p1", "p4", "p5"), k=2, roster_k=3)
    assert "fewer than 2 seats of epoch 2" in refuse("VN-16.6", third, history=[TREATY, second])


def test_a_group_that_was_generated_anew_forgets_who_left() -> None:
    other = deal_other_key(TREATY)
    history = [other, TREATY]
    for names in (("p1", "p2", "p3", "p4", "p6"), ("p1", "p2", "p3", "p6", "p7")):
        history.append(succeed(history[-1], names))
    verify_succession(history[:-1], history[-1], CHANGE)


def deal_other_key(treaty: Treaty) -> Treaty:
    """Return an earlier treaty under other group keys, of parties that all left since."""
    keys = [multiply_base(frost.Scalar(11 + index)) for index in range(len(treaty.groups))]
    groups = tuple(
        replace(package, vss_commitment=(key, *package.vss_commitment[1:]))
        for key, package in zip(keys, treaty.groups, strict=True)
    )
    gone = succeed(treaty, ("q1", "q2", "q3", "q4", "q5"))
    return replace(gone, epoch=0, groups=groups)
