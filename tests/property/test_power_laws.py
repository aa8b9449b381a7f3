"""Laws of voting power for nested quorums, against an oracle that counts all coalitions and all orders."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from fractions import Fraction
from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.crypto.rng import SeededRng
from vetonet.policy.estimation import estimate_power
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.game import build_presence_game, build_rule_game, count_wins
from vetonet.policy.losses import compute_losses
from vetonet.policy.power import PartyPower, compute_power
from vetonet.policy.quorum import Quorum, Recusal


@st.composite
def leaves(draw: st.DrawFn, names: str) -> Threshold:
    electorate = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    weights = draw(
        st.just([]) | st.lists(st.integers(1, 4), min_size=len(electorate), max_size=len(electorate))
    )
    held = tuple(weights) if max(weights, default=1) > 1 else ()
    return Threshold(
        min_grants=draw(st.integers(1, sum(held) or len(electorate))),
        electorate=tuple(electorate),
        weights=held,
        minority=True,
    )


def expressions(names: str) -> st.SearchStrategy[Expression]:
    def extend(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        parts = st.lists(inner, min_size=2, max_size=3, unique=True).map(tuple)
        return parts.map(lambda several: AllOf(parts=several)) | parts.map(
            lambda several: AnyOf(parts=several)
        )

    return st.recursive(leaves(names), extend, max_leaves=6).filter(lambda it: it.depth <= 6)


@st.composite
def quorums(draw: st.DrawFn, most: int = 8) -> Quorum:
    names = "ABCDEFGH"[:most]
    expression = draw(expressions(names))
    holders = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    voters = {party for leaf in expression.leaves for party in leaf.electorate}.union(holders)
    return Quorum(
        expression=expression,
        veto_holders=tuple(holders),
        veto_share=None,
        min_ballots=draw(st.integers(0, len(voters))),
        recusal=Recusal.GRANTS,
    )


def has_keys(quorum: Quorum, coalition: AbstractSet[str]) -> bool:
    return quorum.expression.select(coalition) is not None


def grants_alone(quorum: Quorum, coalition: AbstractSet[str]) -> bool:
    return has_keys(quorum, coalition) and len(coalition) >= quorum.min_ballots


def wins(quorum: Quorum, coalition: AbstractSet[str]) -> bool:
    return grants_alone(quorum, coalition) and set(quorum.veto_holders) <= coalition


def list_coalitions(quorum: Quorum) -> list[frozenset[str]]:
    parties = quorum.parties
    return [frozenset(some) for size in range(len(parties) + 1) for some in combinations(parties, size)]


def keep_minimal(coalitions: list[frozenset[str]]) -> set[frozenset[str]]:
    """Those with no other inside; the list is in order of size."""
    kept: list[frozenset[str]] = []
    for coalition in coalitions:
        if not any(other <= coalition for other in kept):
            kept.append(coalition)
    return set(kept)


def to_sets(listed: tuple[tuple[str, ...], ...]) -> set[frozenset[str]]:
    return {frozenset(coalition) for coalition in listed}


def by_party(quorum: Quorum) -> dict[str, PartyPower]:
    return {party.party: party for party in compute_power(quorum).parties}


@given(quorums())
def test_banzhaf_is_the_share_of_swings_over_all_coalitions(quorum: Quorum) -> None:
    winning = [coalition for coalition in list_coalitions(quorum) if wins(quorum, coalition)]
    swings = {p: sum(p in c and not wins(quorum, c - {p}) for c in winning) for p in quorum.parties}
    total = sum(swings.values())
    assert {name: party.banzhaf for name, party in by_party(quorum).items()} == {
        party: Fraction(count, total) for party, count in swings.items()
    }


@settings(max_examples=60)
@given(quorums(most=5))
def test_shapley_shubik_is_the_share_of_orders_in_which_a_party_is_pivotal(quorum: Quorum) -> None:
    pivots, orders = dict.fromkeys(quorum.parties, 0), list(permutations(quorum.parties))
    for order in orders:
        place = next(i for i in range(len(order)) if wins(quorum, set(order[: i + 1])))
        pivots[order[place]] += 1
    assert {name: party.shapley_shubik for name, party in by_party(quorum).items()} == {
        party: Fraction(count, len(orders)) for party, count in pivots.items()
    }


@given(quorums())
def test_both_indices_add_up_to_one(quorum: Quorum) -> None:
    parties = compute_power(quorum).parties
    assert [party.party for party in parties] == list(quorum.parties)
    assert sum(party.banzhaf for party in parties) == sum(party.shapley_shubik for party in parties) == 1


@given(quorums())
def test_a_party_has_no_power_exactly_where_no_minimal_coalition_needs_it(quorum: Quorum) -> None:
    power = compute_power(quorum)
    needed = set().union(*power.minimal_winning.listed)
    assert needed == set().union(*power.minimal_blocking.listed)
    for party in power.parties:
        assert (party.party in needed) == (party.banzhaf > 0) == (party.shapley_shubik > 0)
        assert party.can_block_alone == ((party.party,) in power.minimal_blocking.listed)


@given(quorums(), st.data())
def test_parties_that_change_places_change_power(quorum: Quorum, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(quorum.parties))
    names = dict(zip(quorum.parties, shuffled, strict=True))
    before, after = by_party(quorum), by_party(_rename(quorum, names))
    for old, new in names.items():
        assert after[new].banzhaf == before[old].banzhaf
        assert after[new].shapley_shubik == before[old].shapley_shubik


def _rename(quorum: Quorum, names: dict[str, str]) -> Quorum:
    def rename(expression: Expression) -> Expression:
        match expression:
            case Threshold():
                return Threshold(
                    min_grants=expression.min_grants,
                    electorate=tuple(names[party] for party in expression.electorate),
                    weights=expression.weights,
                    minority=expression.minority,
                )
            case AllOf():
                return AllOf(parts=tuple(rename(part) for part in expression.parts))
            case AnyOf():
                return AnyOf(parts=tuple(rename(part) for part in expression.parts))

    return Quorum(
        expression=rename(quorum.expression),
        veto_holders=tuple(names[party] for party in quorum.veto_holders),
        veto_share=None,
        min_ballots=quorum.min_ballots,
        recusal=quorum.recusal,
    )


@given(quorums())
def test_minimal_coalitions_are_those_that_counting_finds(quorum: Quorum) -> None:
    power, everybody, coalitions = compute_power(quorum), set(quorum.parties), list_coalitions(quorum)
    winning = keep_minimal([coalition for coalition in coalitions if wins(quorum, coalition)])
    blocking = keep_minimal(
        [coalition for coalition in coalitions if not wins(quorum, everybody - coalition)]
    )
    assert to_sets(power.minimal_winning.listed) == winning
    assert to_sets(power.minimal_blocking.listed) == blocking
    assert power.minimal_winning.total == len(winning) == len(power.minimal_winning.listed)
    assert power.minimal_blocking.total == len(blocking) == len(power.minimal_blocking.listed)


@given(quorums())
def test_minimal_winning_and_blocking_coalitions_are_transversals_of_each_other(quorum: Quorum) -> None:
    power = compute_power(quorum)
    winning, blocking = to_sets(power.minimal_winning.listed), to_sets(power.minimal_blocking.listed)
    assert (
        keep_minimal([c for c in list_coalitions(quorum) if all(c & other for other in winning)]) == blocking
    )
    assert (
        keep_minimal([c for c in list_coalitions(quorum) if all(c & other for other in blocking)]) == winning
    )


@given(quorums())
def test_blocking_twice_is_winning(quorum: Quorum) -> None:
    game = build_rule_game(quorum)
    assert game.to_dual().to_dual() == game
    n = game.party_count
    assert sum(count_wins(game)) + sum(count_wins(game.to_dual())) == 2**n


@given(quorums())
def test_losses_are_those_that_counting_finds(quorum: Quorum) -> None:
    losses, coalitions = compute_losses(quorum), list_coalitions(quorum)
    everybody = frozenset(quorum.parties)
    for absent, count in enumerate(losses.stopping):
        gone = [coalition for coalition in coalitions if len(coalition) == absent]
        stopped = [coalition for coalition in gone if not grants_alone(quorum, everybody - coalition)]
        assert count == len(stopped)
        assert losses.can_stop(absent) == bool(stopped)
        assert losses.always_stop(absent) == (len(stopped) == len(gone))
        assert (absent >= losses.fewest_that_can_stop) == bool(stopped)
        assert (absent >= losses.fewest_that_always_stop) == (len(stopped) == len(gone))
    assert count_wins(build_presence_game(quorum))[0] == 0


@given(quorums())
def test_the_fewest_that_grant_or_block_are_those_that_counting_finds(quorum: Quorum) -> None:
    losses, coalitions = compute_losses(quorum), list_coalitions(quorum)
    everybody = frozenset(quorum.parties)
    by_rule, by_key = frozenset(losses.granting_by_rule), frozenset(losses.granting_by_key)
    blocking, silent = frozenset(losses.blocking_by_rule), frozenset(losses.blocking_by_silence)
    assert wins(quorum, by_rule)
    assert has_keys(quorum, by_key)
    assert not wins(quorum, everybody - blocking)
    assert not grants_alone(quorum, everybody - silent)
    for coalition in coalitions:
        assert not (wins(quorum, coalition) and len(coalition) < len(by_rule))
        assert not (has_keys(quorum, coalition) and len(coalition) < len(by_key))
        assert wins(quorum, everybody - coalition) or len(coalition) >= len(blocking)
        assert grants_alone(quorum, everybody - coalition) or len(coalition) >= len(silent)


@given(quorums())
def test_a_veto_is_overridden_by_the_fewest_others_that_have_the_keys(quorum: Quorum) -> None:
    overrides = compute_losses(quorum).overrides
    assert [override.holder for override in overrides] == list(quorum.veto_holders)
    for override in overrides:
        others = [c for c in list_coalitions(quorum) if override.holder not in c and has_keys(quorum, c)]
        if override.coalition is None:
            assert not others
        else:
            assert frozenset(override.coalition) in others
            assert len(override.coalition) == len(others[0])


@settings(max_examples=15)
@given(quorums())
def test_estimates_are_within_four_standard_errors_of_the_exact_values(quorum: Quorum) -> None:
    samples = 2_000
    rare = 8 / samples  # a count near 0 is not normal: its error is too small where it happens to be low
    exact, sampled = compute_power(quorum), estimate_power(quorum, SeededRng(b"laws"), samples=samples)
    for known, guess in zip(exact.parties, sampled.parties, strict=True):
        assert guess.can_block_alone == known.can_block_alone
        pivotal, swinging = guess.shapley_shubik, guess.banzhaf
        assert abs(float(known.shapley_shubik) - pivotal.value) <= 4 * pivotal.error + rare
        assert swinging is None or abs(float(known.banzhaf) - swinging.value) <= 4 * swinging.error + rare
