"""Treaty files in plain words: where one is wrong, what a quorum means, how two plans differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vetonet.cli.exits import Failure
from vetonet.cli.treaty_plans import describe_plan
from vetonet.cli.treaty_text import describe_quorum, diff_plans, list_file_mistakes, list_quorum_clauses
from vetonet.party.preset import list_presets, read_preset
from vetonet.party.toml_reading import MAX_FILE_CHARS
from vetonet.party.treaty_file import read_treaty_text
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare
from vetonet.policy.totals import Totals


def plan_of(name: str, *changes: tuple[str, str]) -> TreatyPlan:
    text = read_preset(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_treaty_text(text)


def test_a_difference_of_totals_and_owners_is_said() -> None:
    plan = plan_of("miri")
    operator = plan.operators[0][0]
    owned = replace(plan, totals=Totals.CONFIDENTIAL, beneficial_owners=((operator, "Owner One"),))
    assert diff_plans(plan, owned) == [
        f"behind {operator}: was nobody else; is Owner One",
        "totals: was open; is confidential",
    ]
    assert diff_plans(plan, replace(plan, totals=Totals.OPEN)) == []
    described = describe_plan(owned)
    assert described["totals"] == "confidential"
    assert described["operators"][0]["beneficial_owner"] == "Owner One"


@pytest.mark.parametrize("name", list_presets())
def test_a_right_file_has_no_mistakes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "treaty.toml"
    path.write_text(read_preset(name), encoding="utf-8")
    assert list_file_mistakes(path) == []


def test_a_mistake_is_one_line_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "treaty.toml"
    path.write_text('naem = "x"\n' + read_preset("miri"), encoding="utf-8")
    assert list_file_mistakes(path) == [f"{path}:1: unknown key 'naem'; did you mean 'name'?"]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="a treaty file"):
        list_file_mistakes(tmp_path / "missing.toml")
    (tmp_path / "large.toml").write_text("#" * (MAX_FILE_CHARS + 1), encoding="utf-8")
    with pytest.raises(Failure, match="at most"):
        list_file_mistakes(tmp_path / "large.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(Failure, match="UTF-8"):
        list_file_mistakes(tmp_path / "latin.toml")


def make_leaf(min_grants: int, names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=tuple(names), weights=weights, minority=True)


SILENCE = "an absent or abstaining party counts as not granting"
RECUSED = "the grant of the proposer's own party does not count"
COMMON = f"{SILENCE}; {RECUSED}"
KEYED = "which withstands everybody else together, as there is no signature without that share"
TAKES = "no more than that rule, it takes at least 2 others that ignore it to sign all the same"
SEATS = "holders of at least 4 of the 5 seats of A (3) and B (2)"
RULED = "which honest signers do not sign over"


@pytest.mark.parametrize(
    ("quorum", "sentence"),
    [
        (
            Quorum.of_threshold(3, tuple("ABCDE")),
            "it takes the grants of at least 3 of A, B, C, D and E; nobody has a veto",
        ),
        (
            Quorum.of_threshold(2, tuple("ABC"), ("A",)),
            f"it takes the grants of at least 2 of A, B and C; veto by rule: A, {RULED}; where A has {TAKES}",
        ),
        (
            Quorum.of_threshold(2, tuple("AB")),
            f"it takes the grants of all of A and B; veto by key: A and B, each alone, {KEYED}",
        ),
    ],
)
def test_a_quorum_reads_as_one_sentence(quorum: Quorum, sentence: str) -> None:
    assert describe_quorum(quorum) == f"{sentence}; {COMMON}"


def test_every_part_of_a_quorum_is_in_the_sentence() -> None:
    quorum = Quorum(
        expression=AnyOf(
            parts=(
                AllOf(parts=(make_leaf(2, "ABC"), make_leaf(1, "D"))),
                make_leaf(4, "AB", (3, 2)),
            )
        ),
        veto_holders=("E",),
        veto_share=VetoShare(numerator=1, denominator=3, of=Denominator.DECIDED),
        min_ballots=3,
        recusal=Recusal.BALLOTS,
    )
    assert describe_quorum(quorum, tuple("ABC")).split("; ") == [
        f"it takes the grants of (at least 2 of the 3 parties, and D), or {SEATS}",
        f"veto by rule: E, {RULED}",
        f"where E has {TAKES}",
        "vetoes of at least 1/3 of the grants and vetoes cast, abstentions left out end the vote as well",
        "at least 3 must have voted",
        SILENCE,
        "the ballot of the proposer's own party does not count",
    ]


def test_the_proposers_own_party_is_struck_where_runs_are_decided_and_nowhere_else() -> None:
    # VN-4.5: who moves what is no run votes like everybody.
    quorum = Quorum.of_threshold(2, tuple("ABC"))
    run, lease, patch = ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL, ActionClass.SECURITY_PATCH
    assert list_quorum_clauses(quorum, (), (run, lease))[-1] == RECUSED
    assert list_quorum_clauses(quorum, (), (patch,))[-1] == SILENCE
    assert list_quorum_clauses(quorum, (), (run, lease, patch))[-1] == (
        f"{RECUSED} for run-grant and lease-renewal"
    )


def test_each_class_of_action_of_a_preset_says_of_recusal_what_is_true_of_it() -> None:
    said = describe_plan(plan_of("rfd-025"))["actions"]
    assert {name for name, text in said.items() if "own party" in text} == {"run-grant", "lease-renewal"}


def test_the_same_plan_has_no_differences() -> None:
    for name in list_presets():
        assert diff_plans(plan_of(name), plan_of(name)) == []


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ('name = "Draft', 'name = "Last', "name: was Draft agreement of arXiv 2511.10783; is Last agreement"),
        ('"maker1"', '"maker1", "maker2"', "chip makers: with maker2 as well"),
        ('"maker1"', '"maker1:TPM2"', "chip makers: with maker1:TPM2 as well"),
        ('id = "op1"', 'id = "op1"\nparty = "MemberA"', "operators: without op1"),
        (
            "1e22",
            "1.00001e22",
            "band monitored: was licence needed from 1e22 FLOP on; is licence needed from",
        ),
        (
            'rule = "forbidden"',
            'rule = "licensed"',
            "band strict: was forbidden from 1e24 FLOP on; is licence",
        ),
        ('name = "strict"', 'name = "banned"', "band strict: was forbidden from 1e24 FLOP on; is not there"),
        ('lease = "24h"', 'lease = "12h"', "lease: was 1 d; is 12 h"),
        ('suspension = "30d"', 'suspension = "30d"\nrefresh = "90d"', "refresh: was none; is 90 d"),
        ("[times]", "[witnesses]\nquorum = 5\n[times]", "witnesses: was 4 of 5 must cosign"),
        (
            'veto = "council"',
            'veto = ["MemberA"]',
            "run-grant: was: veto by rule: MemberA, MemberB and MemberC",
        ),
        ('veto = "council"', "", "suspension-confirmation: no longer: veto by rule"),
        (
            "minority = true }",
            "minority = true }\nmin-ballots = 2",
            "emergency-suspension: now also: at least 2",
        ),
    ],
)
def test_a_difference_is_said_in_plain_words(old: str, new: str, difference: str) -> None:
    lines = diff_plans(plan_of("miri"), plan_of("miri", (old, new)))
    assert [line for line in lines if line.startswith(difference)], lines


def test_classes_that_change_alike_are_said_once() -> None:
    new, takes = plan_of("rfd-025", ("threshold = 4", "threshold = 5")), "it takes the grants of at least"
    assert diff_plans(plan_of("rfd-025"), new) == [
        f"run-grant: was: {takes} 4 of the 7 parties; is: {takes} 5 of the 7 parties",
        "lease-renewal: changed as run-grant",
        "new-guarantee: changed as run-grant",
    ]


def test_a_class_that_comes_or_goes_is_said() -> None:
    table = '[action.security-patch]\nquorum = { threshold = 2, of = "patchers", minority = true }\n'
    (line,) = diff_plans(plan_of("rfd-025"), plan_of("rfd-025", (table, "")))
    assert line.startswith("security-patch: was: it takes the grants of at least 2 of")
    assert line.endswith("is: nobody can decide it")


def test_another_order_is_a_difference() -> None:
    new = plan_of(
        "rfd-025",
        (
            '= ["Signer1", "Signer2", "Signer3", "Signer4", "Signer5"]\n',
            '= ["Signer5", "Signer2", "Signer3", "Signer4", "Signer1"]\n',
        ),
    )
    (line,) = diff_plans(plan_of("rfd-025"), new)
    assert line.startswith("security-patch: ")


def test_what_overcomes_a_veto_is_what_treaty_power_counts_also_where_quorums_are_nested() -> None:
    # The example of docs/power.md: two of the first part and two of the second, not the greater of both.
    parts = (
        Threshold(min_grants=2, electorate=("Alfa", "Bravo"), weights=(), minority=False),
        Threshold(min_grants=2, electorate=("Lima", "Mike", "Nova"), weights=(), minority=False),
    )
    quorum = replace(Quorum.of_threshold(1, ("Zulu",)), expression=AllOf(parts=parts), veto_holders=("Zulu",))
    assert "where Zulu has no more than that rule, it takes at least 4 others" in describe_quorum(quorum)


def test_who_stands_in_no_part_of_a_quorum_has_no_say_and_is_named() -> None:
    quorum = Quorum.of_threshold(2, ("A", "B", "C"))
    assert "D has no say: no ballot of theirs counts" in describe_quorum(quorum, ("A", "B", "C", "D"))
    assert "no say" not in describe_quorum(quorum, ("A", "B", "C"))
