"""Any quorum over given parties, for the laws that hold for every one of them."""

from __future__ import annotations

from hypothesis import strategies as st

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold, list_parties
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare

MAX_PARTS = 3


@st.composite
def thresholds(draw: st.DrawFn, names: tuple[str, ...]) -> Threshold:
    electorate = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=6, unique=True)))
    size = len(electorate)
    weights = tuple(draw(st.lists(st.integers(1, 4), min_size=size, max_size=size)))
    weights = weights if draw(st.booleans()) and max(weights) > 1 else ()
    seats = sum(weights) or size
    return Threshold(
        min_grants=draw(st.integers(1, seats)), electorate=electorate, weights=weights, minority=True
    )


def expressions(names: tuple[str, ...]) -> st.SearchStrategy[Expression]:
    def branch(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        several = st.lists(parts, min_size=2, max_size=MAX_PARTS, unique=True).map(tuple)
        return st.builds(AllOf, parts=several) | st.builds(AnyOf, parts=several)

    return st.recursive(thresholds(names), branch, max_leaves=4)


def shares() -> st.SearchStrategy[VetoShare]:
    def build(pair: tuple[int, int], of: Denominator) -> VetoShare:
        return VetoShare(numerator=min(pair), denominator=max(pair), of=of)

    return st.builds(build, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.sampled_from(Denominator))


@st.composite
def quorums(draw: st.DrawFn, names: tuple[str, ...]) -> Quorum:
    expression = draw(expressions(names))
    holders = tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True)))
    electorate = {*list_parties(expression), *holders}
    return Quorum(
        expression=expression,
        veto_holders=holders,
        veto_share=draw(st.none() | shares()),
        min_ballots=draw(st.just(0) | st.integers(0, len(electorate))),
        recusal=draw(st.sampled_from(Recusal)),
    )
