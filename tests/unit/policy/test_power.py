"""Voting power against published values, and against a count of every coalition."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import pytest

from vetonet.crypto.rng import SeededRng
from vetonet.policy.estimation import Estimate, EstimatedPower, estimate_power
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.game import MAX_VECTORS, is_exact
from vetonet.policy.power import MAX_LISTED, Power, compute_power
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare

COUNCIL = tuple(f"p{number:02}" for number in range(1, 16))
PERMANENT = COUNCIL[:5]


def make_leaf(min_grants: int, electorate: str | tuple[str, ...], weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=tuple(electorate), weights=weights, minority=True)


def make_quorum(
    expression: Expression,
    veto_holders: str | tuple[str, ...] = (),
    min_ballots: int = 0,
    veto_share: VetoShare | None = None,
) -> Quorum:
    return Quorum(
        expression=expression,
        veto_holders=tuple(veto_holders),
        veto_share=veto_share,
        min_ballots=min_ballots,
        recusal=Recusal.GRANTS,
    )


def list_banzhaf(power: Power) -> list[Fraction]:
    return [party.banzhaf for party in power.parties]


def list_shapley_shubik(power: Power) -> list[Fraction]:
    return [party.shapley_shubik for party in power.parties]


def make_crowd(n: int) -> Quorum:
    """A quorum of which every party is of a kind of its own: two weights each, and no pair twice."""
    names = tuple(f"p{number:02}" for number in range(n))
    first, second = (tuple(1 + i % 6 for i in range(n)), tuple(1 + i // 6 for i in range(n)))
    leaves = tuple(make_leaf(sum(w) // 2 + 1, names, w) for w in (first, second))
    return make_quorum(AllOf(parts=leaves), min_ballots=n // 2)


def test_the_six_of_1958_have_the_published_power() -> None:
    # Council of the EEC, 1958 to 1972; Felsenthal & Machover, The Measurement of Voting Power (1998),
    # chapter 5. Luxembourg, with a vote of its own, could never matter.
    power = compute_power(make_quorum(make_leaf(12, "FGINBL", (4, 4, 4, 2, 2, 1))))
    assert list_banzhaf(power) == [Fraction(5, 21)] * 3 + [Fraction(1, 7)] * 2 + [Fraction(0)]
    assert list_shapley_shubik(power) == [Fraction(7, 30)] * 3 + [Fraction(3, 20)] * 2 + [Fraction(0)]
    assert power.minimal_winning.listed == (
        ("F", "G", "I"),
        ("B", "F", "G", "N"),
        ("B", "F", "I", "N"),
        ("B", "G", "I", "N"),
    )


def test_the_security_council_has_the_published_power() -> None:
    # The example of Shapley & Shubik (1954), with fifteen members as since 1966. An elected member is pivotal
    # as the ninth after the five and three of the nine others: C(9, 3) * 8! * 6! / 15! = 4/2145; the five
    # share the rest. Of 5,080 swings 848 are each permanent member's and 84 each elected one's.
    power = compute_power(make_quorum(make_leaf(9, COUNCIL), PERMANENT))
    assert list_shapley_shubik(power) == [Fraction(421, 2145)] * 5 + [Fraction(4, 2145)] * 10
    assert list_banzhaf(power) == [Fraction(106, 635)] * 5 + [Fraction(21, 1270)] * 10
    assert [party.can_block_alone for party in power.parties] == [True] * 5 + [False] * 10
    assert power.minimal_winning.total == len(power.minimal_winning.listed) == comb(10, 4)
    assert power.minimal_blocking.total == 5 + comb(10, 7)


def test_the_swings_of_the_security_council_are_those_of_all_its_coalitions() -> None:
    # By brute force over 2^15 coalitions, from the words of the rule alone.
    def wins(coalition: int) -> bool:
        return coalition & 31 == 31 and coalition.bit_count() >= 9

    winning = [coalition for coalition in range(2**15) if wins(coalition)]
    swings = [sum(c >> i & 1 and not wins(c ^ 1 << i) for c in winning) for i in range(15)]
    power = compute_power(make_quorum(make_leaf(9, COUNCIL), PERMANENT))
    assert swings == [848] * 5 + [84] * 10
    assert list_banzhaf(power) == [Fraction(count, sum(swings)) for count in swings]


def test_veto_by_rule_and_by_key_give_the_same_power() -> None:
    by_rule = compute_power(make_quorum(make_leaf(9, COUNCIL), PERMANENT))
    by_key = compute_power(
        make_quorum(AllOf(parts=(make_leaf(5, PERMANENT), make_leaf(4, COUNCIL[5:])))),
    )
    assert by_key == by_rule


def test_equals_have_equal_power() -> None:
    power = compute_power(make_quorum(make_leaf(3, "ABCDE")))
    assert list_banzhaf(power) == list_shapley_shubik(power) == [Fraction(1, 5)] * 5
    assert not any(party.can_block_alone for party in power.parties)


def test_a_dictator_has_all_power_and_the_others_none() -> None:
    power = compute_power(make_quorum(make_leaf(4, "ABCD", (4, 1, 1, 1))))
    assert list_banzhaf(power) == list_shapley_shubik(power) == [1, 0, 0, 0]
    assert power.minimal_winning.listed == power.minimal_blocking.listed == (("A",),)
    assert power.parties[0].can_block_alone


def test_whoever_can_only_veto_blocks_alone() -> None:
    power = compute_power(make_quorum(make_leaf(2, "ABC"), "Z"))
    assert [party.party for party in power.parties if party.can_block_alone] == ["Z"]
    assert list_banzhaf(power) == [Fraction(1, 5)] * 3 + [Fraction(2, 5)]
    assert ("Z",) in power.minimal_blocking.listed


def test_needed_ballots_give_power_to_a_party_without_a_seat_in_the_majority() -> None:
    expression = make_leaf(4, "ABC", (4, 1, 1))
    assert list_banzhaf(compute_power(make_quorum(expression)))[1:] == [0, 0]
    power = compute_power(make_quorum(expression, min_ballots=2))
    assert list_banzhaf(power) == [Fraction(3, 5), Fraction(1, 5), Fraction(1, 5)]


def test_a_share_of_vetoes_is_not_reached_by_not_granting() -> None:
    expression, share = (
        make_leaf(2, "ABC"),
        VetoShare(numerator=1, denominator=3, of=Denominator.ELECTORATE),
    )
    assert compute_power(make_quorum(expression, veto_share=share)) == compute_power(make_quorum(expression))


def test_weights_in_nested_parts_count_each_in_its_part() -> None:
    inner = AnyOf(parts=(make_leaf(3, "CDE", (2, 1, 1)), make_leaf(1, "F")))
    power = compute_power(make_quorum(AllOf(parts=(make_leaf(2, "AB"), inner))))
    assert power.minimal_winning.listed == (("A", "B", "F"), ("A", "B", "C", "D"), ("A", "B", "C", "E"))
    assert power.minimal_blocking.listed == (("A",), ("B",), ("C", "F"), ("D", "E", "F"))


def test_the_list_of_coalitions_ends_at_a_thousand_and_the_total_does_not() -> None:
    names = tuple(f"p{number:02}" for number in range(20))
    winning = compute_power(make_quorum(make_leaf(11, names))).minimal_winning
    assert winning.total == comb(20, 11) == 167_960
    assert len(winning.listed) == MAX_LISTED == 1_000
    assert [(family.picks, family.total) for family in winning.families] == [(((11, names),), 167_960)]


def test_coalitions_beyond_all_memory_are_counted_not_kept() -> None:
    names = tuple(f"p{number:03}" for number in range(128))
    power = compute_power(make_quorum(make_leaf(65, names)))
    assert power.minimal_winning.total == comb(128, 65)
    assert len(set(power.minimal_winning.listed)) == MAX_LISTED
    assert list_shapley_shubik(power) == [Fraction(1, 128)] * 128


def test_twenty_different_parties_are_counted_exactly() -> None:
    quorum = make_crowd(20)
    assert is_exact(quorum)
    power = compute_power(quorum)
    assert sum(list_banzhaf(power)) == sum(list_shapley_shubik(power)) == 1
    assert len(power.minimal_winning.families) == MAX_LISTED < power.minimal_winning.family_total


def test_too_many_different_parties_are_not_counted() -> None:
    assert not is_exact(make_crowd(24))
    with pytest.raises(ValueError, match=str(MAX_VECTORS)):
        compute_power(make_crowd(24))


@pytest.mark.parametrize(
    "quorum",
    [
        make_quorum(make_leaf(9, COUNCIL), PERMANENT),
        make_quorum(make_leaf(12, "FGINBL", (4, 4, 4, 2, 2, 1))),
        make_crowd(12),
    ],
    ids=["security-council", "six-of-1958", "crowd"],
)
def test_an_estimate_is_within_four_standard_errors(quorum: Quorum, rng: SeededRng) -> None:
    exact, sampled = compute_power(quorum), estimate_power(quorum, rng, samples=4_000)
    for known, guess in zip(exact.parties, sampled.parties, strict=True):
        assert (guess.party, guess.can_block_alone) == (known.party, known.can_block_alone)
        assert guess.banzhaf is not None
        for value, estimate in ((known.banzhaf, guess.banzhaf), (known.shapley_shubik, guess.shapley_shubik)):
            assert abs(float(value) - estimate.value) <= 4 * estimate.error
            assert 0 < estimate.error < 0.02


def test_the_error_of_an_estimate_is_how_far_estimates_scatter() -> None:
    quorum = make_quorum(make_leaf(4, "ABCDE", (3, 2, 1, 1, 1)))
    guesses = [estimate_power(quorum, SeededRng(bytes([seed])), samples=200) for seed in range(100)]
    for read in (_read_banzhaf, _read_shapley_shubik):
        values = [read(guess) for guess in guesses]
        mean = sum(guess.value for guess in values) / len(values)
        scatter = (sum((guess.value - mean) ** 2 for guess in values) / len(values)) ** 0.5
        claimed = sum(guess.error for guess in values) / len(values)
        assert 0.75 < claimed / scatter < 1.33


def _read_banzhaf(power: EstimatedPower) -> Estimate:
    found = power.parties[0].banzhaf
    assert found is not None
    return found


def _read_shapley_shubik(power: EstimatedPower) -> Estimate:
    return power.parties[0].shapley_shubik


def test_the_same_seed_gives_the_same_estimate() -> None:
    quorum = make_crowd(24)
    first, second = (estimate_power(quorum, SeededRng(b"same"), samples=50) for _ in range(2))
    assert first == second
    assert first != estimate_power(quorum, SeededRng(b"other"), samples=50)


def test_a_share_of_swings_that_nobody_saw_is_not_made_up(rng: SeededRng) -> None:
    names = tuple(f"p{number:02}" for number in range(60))
    parts = tuple(make_leaf(60 - i, names[: 60 - i]) for i in range(12))
    power = estimate_power(make_quorum(AllOf(parts=parts)), rng, samples=50)
    assert all(party.banzhaf is None for party in power.parties)
    assert sum(party.shapley_shubik.value for party in power.parties) == pytest.approx(1)
    assert all(party.can_block_alone for party in power.parties)


@pytest.mark.parametrize("samples", [-1, 0, 1])
def test_an_estimate_needs_two_samples(samples: int, rng: SeededRng) -> None:
    with pytest.raises(ValueError, match="at least 2 samples"):
        estimate_power(make_quorum(make_leaf(2, "ABC")), rng, samples=samples)


def test_nobody_has_power_for_a_stranger() -> None:
    quorum = make_quorum(AnyOf(parts=(make_leaf(2, "AB"), make_leaf(1, "C"))))
    assert [party.party for party in compute_power(quorum).parties] == ["A", "B", "C"]
    coalitions = compute_power(quorum).minimal_winning.listed
    assert all(set(coalition) <= set("ABC") for coalition in coalitions)
    assert not any(set(a) < set(b) for a, b in combinations(coalitions, 2))
