"""The strength of a veto: by key nobody overcomes it, by rule as many as the sentence says."""

from __future__ import annotations

import pytest

from vetonet.policy.blocking import compute_fewest_signers, list_key_vetoes
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold


def make_leaf(min_grants: int, names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=tuple(names), weights=weights, minority=True)


@pytest.mark.parametrize(
    ("expression", "keyed"),
    [
        (make_leaf(2, "abc"), ""),
        (make_leaf(3, "abc"), "abc"),
        (make_leaf(1, "a"), "a"),
        (make_leaf(3, "abc", (2, 1, 1)), "a"),
        (AllOf(parts=(make_leaf(2, "abc"), make_leaf(1, "d"))), "d"),
        (AnyOf(parts=(make_leaf(2, "ab"), make_leaf(2, "bc"))), "b"),
        (AnyOf(parts=(make_leaf(2, "ab"), make_leaf(1, "c"))), ""),
    ],
)
def test_a_veto_by_key_is_that_of_whom_nobody_can_do_without(expression: Expression, keyed: str) -> None:
    assert list_key_vetoes(expression) == tuple(keyed)


@pytest.mark.parametrize(
    ("expression", "without", "fewest"),
    [
        (make_leaf(2, "abc"), "", 2),
        (make_leaf(2, "abc"), "a", 2),
        (make_leaf(2, "abc"), "ab", None),
        (make_leaf(3, "abc", (2, 1, 1)), "", 2),
        (make_leaf(3, "abc", (2, 1, 1)), "b", 2),
        (make_leaf(3, "abc", (2, 1, 1)), "a", None),
        (AllOf(parts=(make_leaf(2, "abc"), make_leaf(1, "d"))), "", 2),
        (AllOf(parts=(make_leaf(2, "abc"), make_leaf(1, "d"))), "d", None),
        (AnyOf(parts=(make_leaf(2, "abc"), make_leaf(1, "d"))), "", 1),
        (AnyOf(parts=(make_leaf(2, "abc"), make_leaf(1, "d"))), "d", 2),
    ],
)
def test_so_many_others_it_takes_at_least(expression: Expression, without: str, fewest: int | None) -> None:
    assert compute_fewest_signers(expression, frozenset(without)) == fewest
