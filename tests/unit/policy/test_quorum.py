"""The quorum: every row of its truth table, and every quorum that must not exist (VN-4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, combinations, product

import pytest

from vetonet.errors import EncodingError
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.quorum import Choice, Decision, Denominator, Quorum, Recusal, VetoShare

VOTES: tuple[Choice | None, ...] = (Choice.GRANT, Choice.VETO, Choice.ABSTAIN, None)


def make_quorum(n: int, k: int, veto_holders: Iterable[str] = ()) -> Quorum:
    electorate = tuple(f"p{number}" for number in range(n))
    return Quorum.of_threshold(k, electorate, tuple(veto_holders), minority=k < n // 2 + 1)


def make_leaf(k: int, *electorate: str, minority: bool = True) -> Threshold:
    return Threshold(min_grants=k, electorate=electorate, weights=(), minority=minority)


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
        quorum = make_quorum(n, k, holders)
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
    quorum = make_quorum(5, k, ("p0", "p3"))
    for votes in product(VOTES, repeat=5):
        named = tuple(zip(quorum.parties, votes, strict=True))
        choices = {name: vote for name, vote in named if vote is not None}
        expected = judge_naively(k, named, frozenset({"p0", "p3"}), frozenset({"p4"}))
        assert quorum.decide(choices, recused={"p4"}, is_closed=True) is expected


@pytest.mark.parametrize("n", range(1, 8))
def test_every_subset_of_up_to_seven_parties_grants_exactly_when_it_is_large_enough(n: int) -> None:
    for k in range(1, n + 1):
        quorum = make_quorum(n, k, ("p0",))
        for granting in subsets(quorum.parties):
            choices = dict.fromkeys(granting, Choice.GRANT)
            expected = Decision.GRANTED if len(granting) >= k else Decision.EXPIRED
            assert quorum.decide(choices, is_closed=True) is expected
            for vetoing in set(quorum.parties) - set(granting):
                vetoed = Decision.VETOED if vetoing == "p0" else expected
                assert quorum.decide(choices | {vetoing: Choice.VETO}, is_closed=True) is vetoed


@pytest.mark.parametrize("n", range(1, 8))
def test_a_recused_party_never_makes_up_the_quorum(n: int) -> None:
    # VN-4.2, VN-4.5: its grant is not counted, and the denominator stays.
    for k in range(1, n + 1):
        quorum = make_quorum(n, k)
        for granting in subsets(quorum.parties):
            for recused in quorum.parties:
                counted = len(set(granting) - {recused})
                decision = quorum.decide(
                    dict.fromkeys(granting, Choice.GRANT), recused={recused}, is_closed=True
                )
                assert decision is (Decision.GRANTED if counted >= k else Decision.EXPIRED)


def test_a_recused_veto_holder_keeps_its_veto() -> None:
    # VN-4.5
    quorum = make_quorum(3, 2, ("p0",))
    choices = {"p0": Choice.VETO, "p1": Choice.GRANT, "p2": Choice.GRANT}
    assert quorum.decide(choices, recused={"p0"}, is_closed=True) is Decision.VETOED


def test_a_veto_of_another_party_is_only_no_grant() -> None:
    # VN-4.3
    quorum = make_quorum(3, 2, ("p0",))
    choices = {"p0": Choice.GRANT, "p1": Choice.GRANT, "p2": Choice.VETO}
    assert quorum.decide(choices, is_closed=True) is Decision.GRANTED


def test_no_quorum_means_no() -> None:
    # VN-4.2
    quorum = make_quorum(3, 2)
    few: tuple[Mapping[str, Choice], ...] = (
        {},
        {"p0": Choice.GRANT},
        dict.fromkeys(quorum.parties, Choice.ABSTAIN),
    )
    for choices in few:
        assert quorum.decide(choices, is_closed=True) is Decision.EXPIRED


def test_strangers_count_for_nothing() -> None:
    # VN-2.2: a stranger neither grants nor vetoes, and recusing one changes nothing.
    quorum = make_quorum(2, 2, ("p0",))
    choices = {"p0": Choice.GRANT, "stranger": Choice.GRANT, "P1": Choice.GRANT}
    assert quorum.decide(choices, is_closed=True) is Decision.EXPIRED
    choices = {"p0": Choice.GRANT, "p1": Choice.GRANT, "stranger": Choice.VETO}
    assert quorum.decide(choices, recused={"stranger"}, is_closed=True) is Decision.GRANTED


def test_empty_electorate_is_refused() -> None:
    # VN-4.1
    for min_grants in (0, 1):
        for minority in (False, True):
            with pytest.raises(ValueError, match="non-empty"):
                Threshold(min_grants=min_grants, electorate=(), weights=(), minority=minority)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param(
            {"electorate": (), "min_grants": 0, "minority": True}, "non-empty", id="nobody needs nobody"
        ),
        pytest.param({"electorate": ("a", "b", "a")}, "duplicates", id="party twice"),
        pytest.param({"min_grants": 0}, "threshold from 2 to 3", id="nobody need grant"),
        pytest.param({"min_grants": 1}, "threshold from 2 to 3", id="minority unsaid"),
        pytest.param({"min_grants": 4}, "threshold from 2 to 3", id="more than all"),
        pytest.param({"min_grants": -1, "minority": True}, "threshold from 1 to 3", id="negative"),
        pytest.param({"min_grants": 0, "minority": True}, "threshold from 1 to 3", id="minority of none"),
        pytest.param({"weights": (1, 1, 1)}, "no weights", id="weights that weigh nothing"),
        pytest.param({"weights": (2, 1)}, "no weights", id="a party without a weight"),
        pytest.param({"weights": (2, 0, 1)}, "no weights", id="a party without a seat"),
        pytest.param({"weights": (3, 1, 1)}, "threshold from 3 to 5 of 5 seats", id="minority of seats"),
        pytest.param({"weights": (200, 50, 6)}, "at most 128 seats", id="more seats than a group has"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(fields: dict[str, object], reason: str) -> None:
    # VN-4.1
    item = {"min_grants": 2, "electorate": ("a", "b", "c"), "weights": (), "minority": False} | fields
    with pytest.raises(ValueError, match=reason):
        Threshold(**item)  # type: ignore[arg-type]


def test_a_veto_holder_twice_is_refused() -> None:
    # VN-4.1
    with pytest.raises(ValueError, match="duplicates"):
        Quorum.of_threshold(2, ("a", "b", "c"), ("a", "a"))


def test_more_ballots_than_there_are_parties_are_refused() -> None:
    # VN-4.1
    with pytest.raises(ValueError, match="at most 3 ballots"):
        make_full(min_ballots=4)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 3), (4, 3), (0, 0), (-1, 3)])
def test_a_share_that_nobody_or_everybody_reaches_is_refused(numerator: int, denominator: int) -> None:
    with pytest.raises(ValueError, match="share of vetoes"):
        VetoShare(numerator=numerator, denominator=denominator, of=Denominator.CAST)


@pytest.mark.parametrize("branch", [AllOf, AnyOf])
def test_a_branch_that_means_nothing_is_refused(branch: type[AllOf | AnyOf]) -> None:
    # VN-4.1
    leaf = make_leaf(1, "a")
    for parts in ((), (leaf,), (leaf, leaf)):
        with pytest.raises(ValueError, match="at least two parts"):
            branch(parts=parts)


def test_too_many_thresholds_and_too_deep_a_nest_are_refused() -> None:
    many = tuple(make_leaf(1, f"p{number}") for number in range(17))
    with pytest.raises(ValueError, match="at most 16 thresholds"):
        AnyOf(parts=many)
    nested: AllOf | Threshold = make_leaf(1, "a")
    for number in range(5):
        nested = AllOf(parts=(nested, make_leaf(1, f"p{number}")))
    with pytest.raises(ValueError, match="nested 6 deep"):
        AllOf(parts=(nested, make_leaf(1, "b")))


@pytest.mark.parametrize("n", range(1, 12))
def test_half_is_no_majority(n: int) -> None:
    # VN-4.1: floor(n/2) + 1.
    electorate = tuple(f"p{number}" for number in range(n))
    for k in range(1, n + 1):
        if 2 * k > n:
            assert make_leaf(k, *electorate, minority=False).min_grants == k
        else:
            with pytest.raises(ValueError, match="threshold from"):
                make_leaf(k, *electorate, minority=False)


def test_a_treaty_may_say_that_a_minority_decides() -> None:
    quorum = make_quorum(5, 1)
    assert quorum.leaves[0].minority
    assert quorum.decide({"p4": Choice.GRANT}, is_closed=True) is Decision.GRANTED


def make_full(**fields: object) -> Quorum:
    plain = {
        "expression": make_leaf(2, "a", "b", "c"),
        "veto_holders": (),
        "veto_share": None,
        "min_ballots": 0,
        "recusal": Recusal.GRANTS,
    }
    return Quorum(**(plain | fields))  # type: ignore[arg-type]


def decide(quorum: Quorum, votes: str, recused: str = "") -> Decision:
    """Decide over votes such as ``a+ b- c0``."""
    words = {"+": Choice.GRANT, "-": Choice.VETO, "0": Choice.ABSTAIN}
    choices = {vote[:-1]: words[vote[-1]] for vote in votes.split()}
    return quorum.decide(choices, recused=frozenset(recused.split()), is_closed=True)


def test_seats_are_counted_instead_of_parties_where_there_are_weights() -> None:
    # VN-4.2
    leaf = Threshold(min_grants=4, electorate=("a", "b", "c"), weights=(3, 2, 1), minority=False)
    assert leaf.seats == ("a", "a", "a", "b", "b", "c")
    quorum = make_full(expression=leaf)
    for votes, expected in (
        ("a+ b+", Decision.GRANTED),
        ("a+ c+", Decision.GRANTED),
        ("b+ c+", Decision.EXPIRED),
        ("a+ b- c0", Decision.EXPIRED),
    ):
        assert decide(quorum, votes) is expected


def test_a_party_that_alone_is_a_threshold_has_a_veto_by_key() -> None:
    # VN-4.3: whatever the others do, without it no group signs for it.
    quorum = make_full(expression=AllOf(parts=(make_leaf(2, "a", "b", "c"), make_leaf(1, "a"))))
    for votes in ("b+ c+", "a0 b+ c+", "a- b+ c+"):
        assert decide(quorum, votes) is Decision.EXPIRED
    assert decide(quorum, "a+ b+") is Decision.GRANTED
    assert not quorum.expression.is_signed_by({make_leaf(2, "a", "b", "c")})


def test_the_first_part_that_holds_signs_where_one_is_enough() -> None:
    quorum = AnyOf(parts=(make_leaf(2, "a", "b"), make_leaf(1, "c")))
    assert quorum.select({"a", "b", "c"}) == (make_leaf(2, "a", "b"),)
    assert quorum.select({"a", "c"}) == (make_leaf(1, "c"),)
    assert quorum.select({"a"}) is None
    assert quorum.is_signed_by({make_leaf(1, "c")})


@pytest.mark.parametrize(
    ("of", "vetoed", "not_vetoed"),
    [
        (Denominator.ELECTORATE, ("a- b-", "a- b- c+ d+ e+ f+"), ("a-", "a- b0")),
        (Denominator.CAST, ("a-", "a- b0 c0", "a- b+ c+"), ("a- b0 c0 d0", "a- b+ c+ d+")),
        (Denominator.DECIDED, ("a- b0 c0 d0", "a- b+ c+ e0"), ("a- b+ c+ d+", "b0")),
    ],
)
def test_a_share_of_vetoes_is_taken_of_whom_the_treaty_says(
    of: Denominator, vetoed: tuple[str, ...], not_vetoed: tuple[str, ...]
) -> None:
    # VN-4.3: one third of six, of those that voted, of those that granted or vetoed.
    share = VetoShare(numerator=1, denominator=3, of=of)
    quorum = make_full(expression=make_leaf(1, *"abcdef"), veto_share=share)
    assert all(decide(quorum, votes) is Decision.VETOED for votes in vetoed)
    assert all(decide(quorum, votes) is not Decision.VETOED for votes in not_vetoed)


def test_no_veto_is_no_share_of_vetoes() -> None:
    for of in Denominator:
        share = VetoShare(numerator=1, denominator=128, of=of)
        assert decide(make_full(veto_share=share), "") is Decision.EXPIRED
        assert decide(make_full(veto_share=share), "a+ b+") is Decision.GRANTED


def test_too_few_ballots_are_no_quorum() -> None:
    # VN-4.2: abstaining is voting, being absent is not, and a stranger's ballot is none.
    quorum = make_full(min_ballots=3)
    assert decide(quorum, "a+ b+") is Decision.EXPIRED
    assert decide(quorum, "a+ b+ stranger0") is Decision.EXPIRED
    assert decide(quorum, "a+ b+ c0") is Decision.GRANTED


def test_recusal_takes_the_grant_or_the_whole_ballot() -> None:
    # VN-4.5
    for recusal, of_veto, of_abstention in (
        (Recusal.GRANTS, Decision.VETOED, Decision.GRANTED),
        (Recusal.BALLOTS, Decision.EXPIRED, Decision.EXPIRED),
    ):
        quorum = make_full(recusal=recusal, veto_holders=("a",), min_ballots=3)
        assert decide(quorum, "a+ b+ c+", recused="a") is Decision.EXPIRED
        assert decide(quorum, "a- b+ c+", recused="a") is of_veto
        assert decide(quorum, "a0 b+ c+", recused="a") is of_abstention


def test_a_veto_holder_outside_the_thresholds_can_only_say_no() -> None:
    quorum = make_full(veto_holders=("inspector",))
    assert decide(quorum, "inspector+ a+") is Decision.EXPIRED
    assert decide(quorum, "a+ b+ inspector-") is Decision.VETOED
    assert decide(quorum, "a+ b+") is Decision.GRANTED


def test_a_quorum_returns_from_its_bytes() -> None:
    leaf = Threshold(min_grants=4, electorate=("a", "b"), weights=(3, 2), minority=False)
    nested = AnyOf(parts=(AllOf(parts=(leaf, make_leaf(1, "c"))), make_leaf(1, "d", "e")))
    share = VetoShare(numerator=1, denominator=3, of=Denominator.DECIDED)
    for quorum in (
        make_quorum(4, 3, ("p1", "p0")),
        make_full(expression=nested, veto_share=share, min_ballots=2, recusal=Recusal.BALLOTS),
    ):
        assert Quorum.from_bytes(quorum.to_bytes()) == quorum


@pytest.mark.parametrize(
    ("label", "value"),
    [(1, 1), (1, {}), (1, {5: []}), (2, ["p0", "p0"]), (3, {}), (4, 5), (4, -1), (5, "nothing"), (6, 0)],
)
def test_other_bytes_are_no_quorum(label: int, value: object) -> None:
    quorum = make_quorum(4, 3, ("p1", "p0"))
    with pytest.raises(EncodingError):
        Quorum.from_item(quorum.to_item() | {label: value})


@pytest.mark.parametrize(
    ("label", "value"),
    [(1, 1), (1, 5), (2, ["p0", "p0"]), (2, []), (3, [1]), (3, [65, 1, 1, 1]), (4, 2), (4, 0), (7, 0)],
)
def test_other_bytes_are_no_threshold(label: int, value: object) -> None:
    leaf = make_quorum(4, 3).leaves[0]
    with pytest.raises(EncodingError):
        Threshold.from_item(leaf.to_item() | {label: value})
