"""What a vote still lacks: never too little, and never somebody whose grant would not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Choice, Quorum, Recusal
from vetonet.policy.shortfall import Shortfall, count_missing_ballots, list_shortfalls

PARTIES = ("a", "b", "c", "d", "e")


def threshold(
    k: int, parties: tuple[str, ...] = PARTIES, weights: tuple[int, ...] = (), *, minority: bool = False
) -> Threshold:
    return Threshold(min_grants=k, electorate=parties, weights=weights, minority=minority)


def quorum(expression: Expression, *, min_ballots: int = 0, recusal: Recusal = Recusal.GRANTS) -> Quorum:
    return Quorum(
        expression=expression,
        veto_holders=(),
        veto_share=None,
        min_ballots=min_ballots,
        recusal=recusal,
    )


def test_a_vote_that_nobody_cast_lacks_the_whole_threshold() -> None:
    (lacking,) = list_shortfalls(quorum(threshold(3)), {})
    assert (lacking.seats, lacking.parties) == (3, PARTIES)


def test_a_quorum_that_holds_lacks_nothing() -> None:
    granted = dict.fromkeys(("a", "b", "c"), Choice.GRANT)
    assert list_shortfalls(quorum(threshold(3)), granted) == ()


def test_neither_a_veto_nor_an_abstention_nor_a_recused_party_fills_a_seat() -> None:
    choices = {"a": Choice.GRANT, "b": Choice.VETO, "c": Choice.ABSTAIN}
    (lacking,) = list_shortfalls(quorum(threshold(3)), choices, frozenset({"e"}))
    assert (lacking.seats, lacking.parties) == (2, ("d",))


def test_a_recused_partys_grant_does_not_count() -> None:
    (lacking,) = list_shortfalls(quorum(threshold(3)), {"a": Choice.GRANT}, frozenset({"a"}))
    assert lacking.seats == 3


def test_seats_are_counted_by_weight() -> None:
    weighted = threshold(6, weights=(4, 2, 2, 1, 1))
    (lacking,) = list_shortfalls(quorum(weighted), {"b": Choice.GRANT, "c": Choice.GRANT})
    assert lacking.seats == 2
    (lacking,) = list_shortfalls(
        quorum(weighted), {"a": Choice.VETO, "b": Choice.GRANT, "c": Choice.GRANT, "d": Choice.GRANT}
    )
    assert (lacking.seats, lacking.parties) == (1, ("e",))


def test_of_an_all_of_only_the_parts_that_do_not_hold_are_named() -> None:
    first, second = threshold(2, ("a", "b")), threshold(2, ("c", "d", "e"))
    granted = {"a": Choice.GRANT, "b": Choice.GRANT, "c": Choice.GRANT}
    (lacking,) = list_shortfalls(quorum(AllOf(parts=(first, second))), granted)
    assert (lacking.leaf, lacking.seats, lacking.parties) == (second, 1, ("d", "e"))


def test_of_an_any_of_every_part_is_named_until_one_holds() -> None:
    either = quorum(AnyOf(parts=(threshold(2, ("a", "b")), threshold(2, ("c", "d", "e")))))
    assert len(list_shortfalls(either, {"c": Choice.GRANT})) == 2
    assert list_shortfalls(either, {"c": Choice.GRANT, "d": Choice.GRANT}) == ()


def test_ballots_that_must_be_cast_at_all_are_counted_apart() -> None:
    asked = quorum(threshold(3), min_ballots=4)
    granted = dict.fromkeys(("a", "b", "c"), Choice.GRANT)
    assert (list_shortfalls(asked, granted), count_missing_ballots(asked, granted)) == ((), 1)
    assert count_missing_ballots(asked, {**granted, "d": Choice.ABSTAIN}) == 0


def test_a_ballot_that_recusal_strikes_is_none() -> None:
    asked = quorum(threshold(3), min_ballots=1, recusal=Recusal.BALLOTS)
    assert count_missing_ballots(asked, {"a": Choice.VETO}, frozenset({"a"})) == 1


@pytest.mark.parametrize(("seats", "parties"), [(0, ()), (1, ("stranger",))])
def test_a_shortfall_of_nothing_or_of_strangers_is_refused(seats: int, parties: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Shortfall(leaf=threshold(3), seats=seats, parties=parties)


EXPRESSIONS = st.sampled_from(
    [
        threshold(3),
        threshold(6, weights=(4, 2, 2, 1, 1)),
        AllOf(parts=(threshold(1, ("a",)), threshold(2, ("b", "c", "d")))),
        AnyOf(parts=(threshold(2, ("a", "b")), AllOf(parts=(threshold(1, ("c",)), threshold(1, ("d",)))))),
    ]
)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(PARTIES), st.sampled_from(Choice)))
def test_nothing_is_lacking_exactly_where_the_expression_holds(
    expression: Expression, choices: dict[str, Choice]
) -> None:
    asked = quorum(expression)
    assert (list_shortfalls(asked, choices) == ()) == asked.has_quorum(choices)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(PARTIES), st.sampled_from(Choice)))
def test_where_every_shortfall_is_made_good_the_expression_holds(
    expression: Expression, choices: dict[str, Choice]
) -> None:
    asked = quorum(expression)
    lacking = list_shortfalls(asked, choices)
    if all(one.leaf.count_seats(frozenset(one.parties)) >= one.seats for one in lacking):
        filled = {party: Choice.GRANT for one in lacking for party in one.parties}
        assert asked.has_quorum({**choices, **filled})
