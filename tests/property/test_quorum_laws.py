"""Laws of the quorum that hold for every electorate: doubt never grants, and silence never helps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.quorums import quorums
from vetonet.encoding import cbor
from vetonet.policy.blocking import compute_fewest_signers, list_key_vetoes
from vetonet.policy.quorum import Choice, Decision, Denominator, Quorum, Recusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A quorum with the choices made and who is recused."""

    quorum: Quorum
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
    names = tuple(f"p{number}" for number in range(draw(st.integers(1, 6))))
    somebody = st.sampled_from(names)
    return Vote(
        quorum=draw(quorums(names)),
        choices=draw(st.dictionaries(somebody | st.just("stranger"), st.sampled_from(Choice))),
        recused=draw(st.frozensets(somebody, max_size=2)),
    )


def judge(item: dict[int, cbor.Item], votes: list[tuple[str, str]], recused: frozenset[str]) -> str:
    """The truth table of VN-4.4 once more, over the encoded quorum: nothing of ours but labels and words.

    Every vote is struck or kept first, then each seat is asked one by one.
    """
    expression, holders, share, ballots, recusal = (item.get(label) for label in (1, 2, 3, 4, 5))
    named = {*name_all(expression), *holders}  # type: ignore[misc]
    kept = [
        (who, what)
        for who, what in votes
        if who in named and (who not in recused or (recusal == "grants" and what != "grant"))
    ]
    vetoing = [who for who, what in kept if what == "veto"]
    if [who for who in vetoing if who in holders]:  # type: ignore[operator]
        return "vetoed"
    if share is not None and vetoing:
        totals = {
            "electorate": len(named),
            "cast": len(kept),
            "decided": len([what for _, what in kept if what in ("grant", "veto")]),
        }
        if Fraction(len(vetoing), totals[share[3]]) >= Fraction(share[1], share[2]):
            return "vetoed"
    grants = [who for who, what in kept if what == "grant"]
    return "granted" if len(kept) >= ballots and is_met(expression, grants) else "expired"  # type: ignore[operator]


def name_all(item: Any) -> set[str]:
    if 5 in item or 6 in item:
        return {name for part in item.get(5, item.get(6)) for name in name_all(part)}
    return set(item[2])


def is_met(item: Any, grants: list[str]) -> bool:
    if 5 in item:
        return len([part for part in item[5] if is_met(part, grants)]) == len(item[5])
    if 6 in item:
        return len([part for part in item[6] if is_met(part, grants)]) > 0
    missing = item[1]
    for place, name in enumerate(item[2]):
        for _ in range(item[3][place] if item[3] else 1):
            missing -= name in grants
    return bool(missing <= 0)


@settings(max_examples=400)
@given(votes())
def test_every_quorum_decides_as_the_naive_oracle_does(vote: Vote) -> None:
    # VN-4.4
    named = [(who, choice.value) for who, choice in vote.choices.items()]
    assert vote.decide().value == judge(vote.quorum.to_item(), named, vote.recused)


@given(votes())
def test_every_quorum_returns_from_its_bytes(vote: Vote) -> None:
    assert Quorum.from_bytes(vote.quorum.to_bytes()) == vote.quorum


@given(votes())
def test_the_selected_leaves_are_met_and_amount_to_consent(vote: Vote) -> None:
    granting = frozenset(vote.quorum.list_granting(vote.choices, vote.recused))
    leaves = vote.quorum.expression.select(granting)
    if leaves is not None:
        assert vote.quorum.expression.is_signed_by(frozenset(leaves))
        assert all(leaf.count_seats(granting) >= leaf.min_grants for leaf in leaves)


@given(votes())
def test_a_veto_by_key_is_that_of_whom_no_coalition_can_do_without(vote: Vote) -> None:
    expression = vote.quorum.expression
    everybody = {p for leaf in expression.leaves for p in leaf.electorate}
    keyed = list_key_vetoes(expression)
    for party in everybody:
        others = [set(c) for size in range(len(everybody)) for c in combinations(everybody - {party}, size)]
        able = [len(c) for c in others if expression.select(c) is not None]
        fewest = compute_fewest_signers(expression, frozenset({party}))
        assert (party in keyed) == (not able) == (fewest is None)
        assert fewest is None or fewest <= min(able)


@given(votes(), st.data())
def test_withholding_a_grant_never_grants(vote: Vote, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(vote.quorum.parties))
    weaker = dict(vote.choices)
    weaker.pop(name, None)
    for choices in (weaker, weaker | {name: Choice.ABSTAIN}):
        if vote.choices.get(name) is Choice.GRANT and vote.decide() is not Decision.GRANTED:
            assert vote.decide(choices) is not Decision.GRANTED


@given(votes(), st.data())
def test_a_veto_of_a_holder_always_wins_unless_its_ballot_is_recused(vote: Vote, data: st.DataObject) -> None:
    if vote.quorum.veto_holders:
        holder = data.draw(st.sampled_from(vote.quorum.veto_holders))
        spared = frozenset({holder}) if vote.quorum.recusal is Recusal.BALLOTS else frozenset[str]()
        for recused in (vote.recused - spared, frozenset({holder}) - spared):
            assert vote.decide(vote.choices | {holder: Choice.VETO}, recused) is Decision.VETOED


@given(votes(), st.data())
def test_recusing_somebody_never_grants_but_by_taking_its_veto(vote: Vote, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(vote.quorum.parties))
    is_veto_lost = vote.quorum.recusal is Recusal.BALLOTS and vote.choices.get(name) is Choice.VETO
    if vote.decide() is not Decision.GRANTED and not is_veto_lost:
        assert vote.decide(recused=vote.recused | {name}) is not Decision.GRANTED


@given(votes(), st.dictionaries(st.text(min_size=3), st.sampled_from(Choice), max_size=4))
def test_strangers_change_nothing(vote: Vote, strangers: dict[str, Choice]) -> None:
    outside = {name: choice for name, choice in strangers.items() if name not in vote.quorum.parties}
    assert vote.decide(vote.choices | outside) is vote.decide()


@given(votes())
def test_an_open_window_decides_nothing(vote: Vote) -> None:
    assert vote.quorum.decide(vote.choices, recused=vote.recused, is_closed=False) is Decision.PENDING


@given(votes())
def test_absence_and_abstention_are_worth_the_same_where_nobody_counts_ballots(vote: Vote) -> None:
    filled = {name: vote.choices.get(name, Choice.ABSTAIN) for name in vote.quorum.parties}
    share = vote.quorum.veto_share
    if not vote.quorum.min_ballots and (share is None or share.of is not Denominator.CAST):
        assert vote.decide(filled) is vote.decide()


@settings(max_examples=50)
@given(st.integers(1, 128), st.integers(-2, 130))
def test_two_majorities_always_share_a_party(n: int, k: int) -> None:
    # VN-4.1: what makes two contradicting decisions impossible without somebody signing both.
    electorate = tuple(f"p{number}" for number in range(n))
    if 2 * k > n and k <= n:
        assert Quorum.of_threshold(k, electorate).leaves[0].min_grants == k
    else:
        with pytest.raises(ValueError, match="threshold"):
            Quorum.of_threshold(k, electorate)
