"""What losing parties does: silence against granting, collusion against a veto by rule."""

from __future__ import annotations

import pytest

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.losses import Override, compute_losses
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare


def make_leaf(min_grants: int, electorate: str) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=tuple(electorate), weights=(), minority=True)


def make_quorum(
    expression: Expression, veto_holders: str = "", min_ballots: int = 0, veto_share: VetoShare | None = None
) -> Quorum:
    return Quorum(
        expression=expression,
        veto_holders=tuple(veto_holders),
        veto_share=veto_share,
        min_ballots=min_ballots,
        recusal=Recusal.GRANTS,
    )


def test_three_of_five_outlive_two_absent_parties_and_no_more() -> None:
    losses = compute_losses(make_quorum(make_leaf(3, "ABCDE")), absent=2)
    assert losses.stopping == (0, 0, 0, 10, 5, 1)
    assert losses.fewest_that_can_stop == losses.fewest_that_always_stop == 3
    assert not losses.can_stop(losses.absent)


def test_a_part_that_all_need_stops_everything_with_one_party() -> None:
    losses = compute_losses(make_quorum(AllOf(parts=(make_leaf(1, "A"), make_leaf(2, "BCD")))))
    assert losses.fewest_that_can_stop == 1
    assert losses.fewest_that_always_stop == 2
    assert losses.blocking_by_silence == ("A",)


def test_a_veto_by_rule_can_be_overridden_by_whoever_has_the_keys() -> None:
    losses = compute_losses(make_quorum(make_leaf(3, "ABCDE"), "A"))
    assert losses.overrides == (Override(holder="A", coalition=("B", "C", "D")),)
    assert losses.granting_by_key == ("A", "B", "C")


def test_a_veto_by_key_cannot_be_overridden() -> None:
    by_key = AllOf(parts=(make_leaf(1, "A"), make_leaf(2, "BCD")))
    assert compute_losses(make_quorum(by_key, "A")).overrides == (Override(holder="A", coalition=None),)


def test_another_way_to_grant_makes_a_veto_one_by_rule_only() -> None:
    either = AnyOf(parts=(AllOf(parts=(make_leaf(1, "A"), make_leaf(2, "BCD"))), make_leaf(3, "BCD")))
    assert compute_losses(make_quorum(either, "A")).overrides == (
        Override(holder="A", coalition=("B", "C", "D")),
    )


def test_whoever_can_only_veto_is_no_obstacle_to_the_keys() -> None:
    losses = compute_losses(make_quorum(make_leaf(2, "ABC"), "Z"))
    assert losses.granting_by_key == ("A", "B")
    assert losses.granting_by_rule == ("A", "B", "Z")
    assert losses.blocking_by_rule == ("Z",)
    assert losses.overrides == (Override(holder="Z", coalition=("A", "B")),)


def test_an_absent_veto_holder_is_not_a_veto() -> None:
    losses = compute_losses(make_quorum(make_leaf(2, "ABC"), "Z"))
    assert not losses.can_stop(1)
    assert losses.blocking_by_silence == ("A", "B")


def test_needed_ballots_bind_by_rule_and_not_by_key() -> None:
    losses = compute_losses(make_quorum(make_leaf(2, "ABCD"), min_ballots=4))
    assert len(losses.granting_by_rule) == 4
    assert len(losses.granting_by_key) == 2
    assert losses.fewest_that_can_stop == 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"), [(1, 3, 2), (1, 2, 3), (1, 1, 5), (1, 9, 1)]
)
def test_a_share_of_vetoes_counts_among_the_ways_to_say_no(
    numerator: int, denominator: int, expected: int
) -> None:
    share = VetoShare(numerator=numerator, denominator=denominator, of=Denominator.CAST)
    losses = compute_losses(make_quorum(make_leaf(3, "ABCDE"), veto_share=share))
    assert losses.blocking_by_share == expected
    assert losses.fewest_vetoes == min(expected, 3)


def test_a_quorum_without_a_share_of_vetoes_has_none() -> None:
    losses = compute_losses(make_quorum(make_leaf(3, "ABCDE"), "A"))
    assert losses.blocking_by_share is None
    assert losses.fewest_vetoes == 1


@pytest.mark.parametrize("absent", [-1, 6])
def test_more_absent_parties_than_there_are_is_refused(absent: int) -> None:
    with pytest.raises(ValueError, match="0 to 5 absent"):
        compute_losses(make_quorum(make_leaf(3, "ABCDE")), absent=absent)
