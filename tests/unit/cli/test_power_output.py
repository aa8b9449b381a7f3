"""What people and scripts are told about voting power."""

from __future__ import annotations

import json
from itertools import starmap
from pathlib import Path

import pytest

from vetonet.cli.power import describe_power, print_power
from vetonet.crypto.rng import SeededRng
from vetonet.policy.estimation import estimate_power
from vetonet.policy.expression import AllOf, Expression, Threshold
from vetonet.policy.losses import compute_losses
from vetonet.policy.power import compute_power
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "power.md"
FIVE, TEN = tuple("ABCDE"), tuple("FGHIJKLMNO")


def make_leaf(min_grants: int, electorate: tuple[str, ...], weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=electorate, weights=weights, minority=True)


def make_quorum(
    expression: Expression,
    veto_holders: tuple[str, ...] = (),
    min_ballots: int = 0,
    veto_share: VetoShare | None = None,
) -> Quorum:
    return Quorum(
        expression=expression,
        veto_holders=veto_holders,
        veto_share=veto_share,
        min_ballots=min_ballots,
        recusal=Recusal.GRANTS,
    )


def make_weighted_crowd() -> Quorum:
    """Enough parties, no two alike, that nobody counts their coalitions."""
    names = tuple(f"p{number:02}" for number in range(25))
    first, second = (tuple(1 + i % 5 for i in range(25)), tuple(1 + i // 5 for i in range(25)))
    return make_quorum(AllOf(parts=tuple(starmap(make_leaf, ((38, names, first), (38, names, second))))))


def read_power(quorum: Quorum, capsys: pytest.CaptureFixture[str], absent: int = 1) -> str:
    print_power(quorum, compute_power(quorum), compute_losses(quorum, absent))
    return capsys.readouterr().out


def test_json_has_reduced_fractions_as_text() -> None:
    quorum = make_quorum(make_leaf(9, FIVE + TEN), FIVE)
    shown = json.loads(json.dumps(describe_power(quorum, compute_power(quorum), compute_losses(quorum))))
    assert shown["method"] == "exact"
    assert shown["parties"]["A"] == {
        "banzhaf": "106/635",
        "shapley_shubik": "421/2145",
        "can_block_alone": True,
        "blocks_by": ["veto"],
    }
    assert shown["parties"]["O"]["can_block_alone"] is False
    assert len(shown["minimal_winning"]) == shown["minimal_winning_total"] == 210
    assert shown["minimal_blocking"][:2] == [["A"], ["B"]]
    assert shown["minimal_blocking_total"] == 125
    assert shown["losses"]["overrides"]["A"] == ["B", "C", "D", "E", "F", "G", "H", "I", "J"]
    assert shown["losses"]["by_absent"][6] == {
        "absent": 6,
        "sets": 5005,
        "stopping": 0,
        "some_stop": False,
        "every_stops": False,
    }


def test_all_and_nothing_are_whole_numbers_in_json() -> None:
    quorum = make_quorum(make_leaf(3, ("A", "B"), (3, 1)))
    shown = describe_power(quorum, compute_power(quorum), None)
    assert [party["banzhaf"] for party in shown["parties"].values()] == ["1", "0"]
    assert shown["losses"] is None


def test_json_says_what_was_sampled_and_leaves_out_what_nobody_counted(rng: SeededRng) -> None:
    quorum = make_weighted_crowd()
    shown = json.loads(json.dumps(describe_power(quorum, estimate_power(quorum, rng, samples=40), None)))
    assert (shown["method"], shown["samples"]) == ("sampled", 40)
    assert set(shown["parties"]["p00"]["banzhaf"]) == {"value", "error"}
    assert shown["minimal_winning"] is None
    assert shown["minimal_winning_total"] is None


def test_many_coalitions_are_told_by_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    shown = read_power(make_quorum(make_leaf(9, FIVE + TEN), FIVE), capsys)
    assert "5 of {A, B, C, D, E} and 4 of {F ... O}: 210 coalitions" in shown
    assert "7 of {F ... O}: 120 coalitions" in shown
    assert "106/635" in shown
    assert "19.63" in shown


def test_few_coalitions_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    shown = read_power(make_quorum(make_leaf(2, ("A", "B", "C"))), capsys)
    assert "Enough to grant, with nobody to spare: 3 coalitions\n  A, B\n  A, C\n  B, C\n" in shown


def test_more_kinds_than_fit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    names = tuple("ABCDEFGHIJ")
    shown = read_power(make_quorum(make_leaf(28, names, tuple(range(1, 11)))), capsys)
    assert "more kinds of coalition" in shown


def test_a_veto_by_rule_only_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    shown = read_power(make_quorum(make_leaf(3, FIVE), ("A",)), capsys)
    expected = "A has a veto by rule only: 3 colluding parties hold the keys to license over it: {B, C, D}"
    assert expected in shown
    assert "By key, 3 colluding parties hold the keys to license, whatever the rules say: {A, B, C}" in shown


def test_a_veto_by_key_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    quorum = make_quorum(AllOf(parts=(make_leaf(1, ("A",)), make_leaf(2, ("B", "C", "D")))), ("A",))
    shown = read_power(quorum, capsys)
    assert "A has a veto by rule and by key: nobody holds the keys to license over it" in shown
    assert "by its veto and by its key" in shown


def test_a_needed_ballot_is_a_way_to_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert "by its ballot" in read_power(make_quorum(make_leaf(2, ("A", "B", "C")), min_ballots=3), capsys)


def test_absent_parties_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    quorum = make_quorum(AllOf(parts=(make_leaf(1, ("A",)), make_leaf(2, ("B", "C", "D")))))
    shown = read_power(quorum, capsys, absent=2)
    assert "Absence: 1 absent party can stop all grants (1 of 4 sets of so many)" in shown
    assert "any 2 do" in shown
    assert "With 2 absent parties: 6 of 6 sets of so many stop all grants" in shown


def test_silence_that_stops_nothing_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    shown = read_power(make_quorum(make_leaf(3, FIVE)), capsys)
    assert "Absence: any 3 absent parties stop all grants, and fewer never do" in shown
    assert "With 1 absent party: none of 5 sets of so many stops all grants" in shown


def test_a_share_of_vetoes_is_among_the_ways_to_block(capsys: pytest.CaptureFixture[str]) -> None:
    share = VetoShare(numerator=1, denominator=3, of=Denominator.CAST)
    shown = read_power(make_quorum(make_leaf(4, FIVE), veto_share=share), capsys)
    assert "and any 2 by vetoing, where all vote" in shown
    assert "unless the treaty's share of the parties vetoes" in shown


def test_a_sampled_table_says_so_and_gives_errors(rng: SeededRng, capsys: pytest.CaptureFixture[str]) -> None:
    quorum = make_weighted_crowd()
    print_power(quorum, estimate_power(quorum, rng, samples=40), None)
    shown = capsys.readouterr().out
    assert "Voting power of 25 parties, sampled 40 times" in shown
    assert "±" in shown
    assert "Enough to grant" not in shown


def test_the_example_of_the_document_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    parts = (make_leaf(2, ("Alfa", "Bravo")), make_leaf(2, ("Lima", "Mike", "Nova")))
    shown = read_power(make_quorum(AllOf(parts=parts), ("Alfa", "Zulu")), capsys)
    assert f"```\n{shown}```\n" in EXAMPLE.read_text(encoding="utf-8")
