"""Laws of the quorum that hold for every electorate: doubt never grants, and silence never helps."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.policy.quorum import Choice, Decision, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A quorum with the choices made and who is recused."""

    quorum: Threshold
    choices: dict[str, Choice]
    recused: frozenset[str]

    def decide(
        self, choices: dict[str, Choice] | None = None, recused: frozenset[str] | None = None
    ) -> Decision:
        return self.quorum.decide(
            self.choices if choices is None else choices,
            recused=self.recused if recused is None else recused,
            is_closed=True,
        )


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    names = tuple(f"p{number}" for number in range(draw(st.integers(1, 12))))
    somebody = st.sampled_from(names)
    return Vote(
        quorum=Threshold(
            min_grants=draw(st.integers(1, len(names))),
            electorate=names,
            veto_holders=tuple(sorted(draw(st.sets(somebody, max_size=3)))),
            minority=True,
        ),
        choices=draw(st.dictionaries(somebody | st.just("stranger"), st.sampled_from(Choice))),
        recused=draw(st.frozensets(somebody, max_size=2)),
    )


@given(votes())
def test_granted_means_enough_grants_and_no_veto_of_a_holder(vote: Vote) -> None:
    quorum, choices = vote.quorum, vote.choices
    granting = {name for name, choice in choices.items() if choice is Choice.GRANT}
    vetoing = {name for name, choice in choices.items() if choice is Choice.VETO}
    counted = (granting & set(quorum.electorate)) - vote.recused
    vetoed = bool(vetoing & set(quorum.veto_holders))
    expected = Decision.GRANTED if len(counted) >= quorum.min_grants else Decision.EXPIRED
    assert vote.decide() is (Decision.VETOED if vetoed else expected)


@given(votes(), st.data())
def test_withholding_a_grant_never_grants(vote: Vote, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(vote.quorum.electorate))
    weaker = dict(vote.choices)
    weaker.pop(name, None)
    for choices in (weaker, weaker | {name: Choice.ABSTAIN}):
        if vote.choices.get(name) is Choice.GRANT and vote.decide() is not Decision.GRANTED:
            assert vote.decide(choices) is not Decision.GRANTED


@given(votes(), st.data())
def test_a_veto_of_a_holder_always_wins(vote: Vote, data: st.DataObject) -> None:
    if vote.quorum.veto_holders:
        holder = data.draw(st.sampled_from(vote.quorum.veto_holders))
        for recused in (vote.recused, frozenset({holder})):
            assert vote.decide(vote.choices | {holder: Choice.VETO}, recused) is Decision.VETOED


@given(votes(), st.data())
def test_recusing_somebody_never_grants(vote: Vote, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(vote.quorum.electorate))
    if vote.decide() is not Decision.GRANTED:
        assert vote.decide(recused=vote.recused | {name}) is not Decision.GRANTED


@given(votes(), st.dictionaries(st.text(min_size=3), st.sampled_from(Choice), max_size=4))
def test_strangers_change_nothing(vote: Vote, strangers: dict[str, Choice]) -> None:
    outside = {name: choice for name, choice in strangers.items() if name not in vote.quorum.electorate}
    assert vote.decide(vote.choices | outside) is vote.decide()


@given(votes())
def test_an_open_window_decides_nothing(vote: Vote) -> None:
    assert vote.quorum.decide(vote.choices, recused=vote.recused, is_closed=False) is Decision.PENDING


@given(votes())
def test_absence_and_abstention_are_worth_the_same(vote: Vote) -> None:
    filled = {name: vote.choices.get(name, Choice.ABSTAIN) for name in vote.quorum.electorate}
    assert vote.decide(filled) is vote.decide()


@settings(max_examples=50)
@given(st.integers(1, 128), st.integers(-2, 130))
def test_two_majorities_always_share_a_party(n: int, k: int) -> None:
    # VN-4.1: what makes two contradicting decisions impossible without somebody signing both.
    electorate = tuple(f"p{number}" for number in range(n))
    if 2 * k > n and k <= n:
        assert Threshold(min_grants=k, electorate=electorate, veto_holders=(), minority=False).min_grants == k
    else:
        with pytest.raises(ValueError, match="threshold"):
            Threshold(min_grants=k, electorate=electorate, veto_holders=(), minority=False)
