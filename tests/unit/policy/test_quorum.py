"""The threshold quorum: every row of its truth table, and every quorum that must not exist (VN-4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, combinations, product

import pytest

from vetonet.errors import EncodingError
from vetonet.policy.quorum import Choice, Decision, Threshold

VOTES: tuple[Choice | None, ...] = (Choice.GRANT, Choice.VETO, Choice.ABSTAIN, None)


def make_threshold(n: int, k: int, veto_holders: Iterable[str] = ()) -> Threshold:
    electorate = tuple(f"p{number}" for number in range(n))
    minority = k < n // 2 + 1
    return Threshold(min_grants=k, electorate=electorate, veto_holders=tuple(veto_holders), minority=minority)


def judge_naively(
    k: int, votes: Iterable[tuple[str, Choice | None]], holders: frozenset[str], recused: frozenset[str]
) -> Decision:
    """The table of VN-4.4 once more, counted by hand from the votes alone."""
    grants = 0
    for name, vote in votes:
        if vote is Choice.VETO and name in holders:
            return Decision.VETOED
        grants += vote is Choice.GRANT and name not in recused
    return Decision.EXPIRED if grants < k else Decision.GRANTED


def subsets(names: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(1, 5) for k in range(1, n + 1)])
def test_the_truth_table_holds_for_all_votes_holders_and_recusals(n: int, k: int) -> None:
    # VN-4.4, exhaustively: 4^n votes x 2^n sets of veto holders x (nobody, each party, all parties) recused.
    names = tuple(f"p{number}" for number in range(n))
    recusals = {frozenset[str](), frozenset(names), *(frozenset({name}) for name in names)}
    for holders in subsets(names):
        quorum = make_threshold(n, k, holders)
        for votes in product(VOTES, repeat=n):
            named = tuple(zip(names, votes, strict=True))
            choices = {name: vote for name, vote in named if vote is not None}
            for recused in recusals:
                expected = judge_naively(k, named, frozenset(holders), recused)
                assert quorum.decide(choices, recused=recused, is_closed=True) is expected
                assert quorum.decide(choices, recused=recused, is_closed=False) is Decision.PENDING


@pytest.mark.parametrize("k", range(1, 6))
def test_the_truth_table_holds_for_five_parties(k: int) -> None:
    # VN-4.4
    quorum = make_threshold(5, k, ("p0", "p3"))
    for votes in product(VOTES, repeat=5):
        named = tuple(zip(quorum.electorate, votes, strict=True))
        choices = {name: vote for name, vote in named if vote is not None}
        expected = judge_naively(k, named, frozenset({"p0", "p3"}), frozenset({"p4"}))
        assert quorum.decide(choices, recused={"p4"}, is_closed=True) is expected


@pytest.mark.parametrize("n", range(1, 8))
def test_every_subset_of_up_to_seven_parties_grants_exactly_when_it_is_large_enough(n: int) -> None:
    for k in range(1, n + 1):
        quorum = make_threshold(n, k, ("p0",))
        for granting in subsets(quorum.electorate):
            choices = dict.fromkeys(granting, Choice.GRANT)
            expected = Decision.GRANTED if len(granting) >= k else Decision.EXPIRED
            assert quorum.decide(choices, is_closed=True) is expected
            for vetoing in set(quorum.electorate) - set(granting):
                vetoed = Decision.VETOED if vetoing == "p0" else expected
                assert quorum.decide(choices | {vetoing: Choice.VETO}, is_closed=True) is vetoed


@pytest.mark.parametrize("n", range(1, 8))
def test_a_recused_party_never_makes_up_the_quorum(n: int) -> None:
    # VN-4.2, VN-4.5: its grant is not counted, and the denominator stays.
    for k in range(1, n + 1):
        quorum = make_threshold(n, k)
        for granting in subsets(quorum.electorate):
            for recused in quorum.electorate:
                counted = len(set(granting) - {recused})
                decision = quorum.decide(
                    dict.fromkeys(granting, Choice.GRANT), recused={recused}, is_closed=True
                )
                assert decision is (Decision.GRANTED if counted >= k else Decision.EXPIRED)


def test_a_recused_veto_holder_keeps_its_veto() -> None:
    # VN-4.5
    quorum = make_threshold(3, 2, ("p0",))
    choices = {"p0": Choice.VETO, "p1": Choice.GRANT, "p2": Choice.GRANT}
    assert quorum.decide(choices, recused={"p0"}, is_closed=True) is Decision.VETOED


def test_a_veto_of_another_party_is_only_no_grant() -> None:
    # VN-4.3
    quorum = make_threshold(3, 2, ("p0",))
    choices = {"p0": Choice.GRANT, "p1": Choice.GRANT, "p2": Choice.VETO}
    assert quorum.decide(choices, is_closed=True) is Decision.GRANTED


def test_no_quorum_means_no() -> None:
    # VN-4.2
    quorum = make_threshold(3, 2)
    few: tuple[Mapping[str, Choice], ...] = (
        {},
        {"p0": Choice.GRANT},
        dict.fromkeys(quorum.electorate, Choice.ABSTAIN),
    )
    for choices in few:
        assert quorum.decide(choices, is_closed=True) is Decision.EXPIRED


def test_strangers_count_for_nothing() -> None:
    # VN-2.2: a stranger neither grants nor vetoes, and recusing one changes nothing.
    quorum = make_threshold(2, 2, ("p0",))
    choices = {"p0": Choice.GRANT, "stranger": Choice.GRANT, "P1": Choice.GRANT}
    assert quorum.decide(choices, is_closed=True) is Decision.EXPIRED
    choices = {"p0": Choice.GRANT, "p1": Choice.GRANT, "stranger": Choice.VETO}
    assert quorum.decide(choices, recused={"stranger"}, is_closed=True) is Decision.GRANTED


def test_empty_electorate_is_refused() -> None:
    # VN-4.1
    for min_grants in (0, 1):
        for minority in (False, True):
            with pytest.raises(ValueError, match="non-empty"):
                Threshold(min_grants=min_grants, electorate=(), veto_holders=(), minority=minority)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param(
            {"electorate": (), "min_grants": 0, "minority": True}, "non-empty", id="nobody needs nobody"
        ),
        pytest.param({"electorate": ("a", "b", "a")}, "duplicates", id="party twice"),
        pytest.param({"veto_holders": ("a", "a")}, "duplicates", id="veto holder twice"),
        pytest.param({"veto_holders": ("d",)}, "outside the electorate", id="stranger with a veto"),
        pytest.param({"min_grants": 0}, "threshold from 2 to 3", id="nobody need grant"),
        pytest.param({"min_grants": 1}, "threshold from 2 to 3", id="minority unsaid"),
        pytest.param({"min_grants": 4}, "threshold from 2 to 3", id="more than all"),
        pytest.param({"min_grants": -1, "minority": True}, "threshold from 1 to 3", id="negative"),
        pytest.param({"min_grants": 0, "minority": True}, "threshold from 1 to 3", id="minority of none"),
    ],
)
def test_a_quorum_that_means_nothing_is_refused(fields: dict[str, object], reason: str) -> None:
    # VN-4.1
    item = {"min_grants": 2, "electorate": ("a", "b", "c"), "veto_holders": (), "minority": False} | fields
    with pytest.raises(ValueError, match=reason):
        Threshold(**item)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", range(1, 12))
def test_half_is_no_majority(n: int) -> None:
    # VN-4.1: floor(n/2) + 1.
    electorate = tuple(f"p{number}" for number in range(n))
    for k in range(1, n + 1):
        fields = {"electorate": electorate, "veto_holders": (), "minority": False}
        if 2 * k > n:
            assert Threshold(min_grants=k, **fields).min_grants == k  # type: ignore[arg-type]
        else:
            with pytest.raises(ValueError, match="threshold from"):
                Threshold(min_grants=k, **fields)  # type: ignore[arg-type]


def test_a_treaty_may_say_that_a_minority_decides() -> None:
    quorum = make_threshold(5, 1)
    assert quorum.minority
    assert quorum.decide({"p4": Choice.GRANT}, is_closed=True) is Decision.GRANTED


def test_a_quorum_returns_from_its_bytes() -> None:
    quorum = make_threshold(4, 3, ("p1", "p0"))
    assert Threshold.from_bytes(quorum.to_bytes()) == quorum
    for label, value in ((1, 1), (1, 5), (2, ["p0", "p0"]), (2, []), (3, ["x"]), (4, 2), (4, 0), (5, 0)):
        with pytest.raises(EncodingError):
            Threshold.from_item(quorum.to_item() | {label: value})
