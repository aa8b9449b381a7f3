"""A treaty's file: what it says, and every mistake in it with its line and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from vetonet.errors import ConfigError
from vetonet.party.preset import list_presets, read_preset
from vetonet.party.toml_reading import MAX_FILE_CHARS, MAX_MISTAKES
from vetonet.party.treaty_file import TreatyFileError, list_mistakes, read_treaty_text
from vetonet.party.treaty_spelling import write_treaty_text
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare
from vetonet.policy.totals import Totals

HEAD = """\
name = "Trial"
parties = ["A", "B", "C"]
makers = ["maker1"]
[groups]
two = ["A", "B"]
[[operator]]
id = "op1"
[[band]]
name = "free"
from-flop = 0
rule = "free"
[[band]]
name = "licensed"
from-flop = 1e23
rule = "licensed"
[times]
window = "7d"
signing = "30s"
report-interval = "1h30m"
report-grace = "0s"
lease = "24h"
"""
ACTIONS = """\
[action.run-grant]
quorum = { threshold = 2, of = "parties" }
[action.lease-renewal]
same-as = "run-grant"
"""
TEXT = HEAD + ACTIONS
FIRST_ACTION_LINE = HEAD.count("\n") + 1


def leaf(min_grants: int, names: str, weights: tuple[int, ...] = (), *, minority: bool = False) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=tuple(names), weights=weights, minority=minority)


def read_quorum(lines: str) -> Quorum:
    plan = read_treaty_text(f"{TEXT}[action.amend-rules]\n{lines}\n")
    quorum = plan.find_quorum(ActionClass.AMEND_RULES)
    assert quorum is not None
    return quorum


def list_reasons(text: str) -> list[str]:
    return [str(mistake) for mistake in list_mistakes(text)]


def test_a_small_treaty_is_read() -> None:
    plan = read_treaty_text(TEXT)
    assert plan.party_ids == ("A", "B", "C")
    assert plan.operators == (("op1", None),)
    assert plan.maker_ids == ("maker1",)
    assert plan.actions == tuple(
        (action, Quorum.of_threshold(2, ("A", "B", "C")))
        for action in (ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL)
    )
    assert plan.times["report-interval"] == 90 * 60_000
    assert plan.times["report-grace"] == plan.times["refresh"] == plan.times["suspension"] == 0


def test_totals_and_owners_are_read_and_left_out() -> None:
    """VN-3.6."""
    assert (read_treaty_text(TEXT).totals, read_treaty_text(TEXT).beneficial_owners) == (None, ())
    text = TEXT.replace("[groups]", 'totals = "confidential"\n[groups]')
    plan = read_treaty_text(text.replace('id = "op1"', 'id = "op1"\nbeneficial-owner = "Owner \\"One\\""'))
    assert plan.totals is Totals.CONFIDENTIAL
    assert plan.beneficial_owners == (("op1", 'Owner "One"'),)
    assert read_treaty_text(write_treaty_text(plan)) == plan


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[groups]", 'totals = "hidden"\n[groups]', "unknown totals 'hidden'"),
        ("[groups]", "totals = true\n[groups]", "expected totals as a text in quotes, got true"),
        ('id = "op1"', 'id = "op1"\nbeneficial-owner = 7', "as a text in quotes, got 7"),
        ('id = "op1"', 'id = "op1"\nbeneficial-owner = ""', "owner of 1 to 128 characters"),
        ('id = "op1"', 'id = "op1"\nowner = "X"', "unknown key 'owner'"),
    ],
)
def test_totals_and_owners_that_no_treaty_has_are_a_mistake_on_their_line(
    old: str, new: str, reason: str
) -> None:
    text = TEXT.replace(old, new, 1)
    (found,) = list_mistakes(text)
    assert reason in found.reason
    assert text.splitlines()[found.line - 1] in new.splitlines()


def test_a_lease_of_half_a_second_is_a_mistake_on_its_line() -> None:
    # Witnesses state whole seconds, so no treaty can have such a lease (VN-14.1).
    text = TEXT.replace('lease = "24h"', 'lease = "1500ms"')
    line = text[: text.index("lease =")].count("\n") + 1
    expected = "expected a lease of whole seconds, as witnesses state time, got 1500 ms"
    assert list_reasons(text) == [f"{line}: {expected}"]


def test_a_duration_that_is_none_says_once_what_came() -> None:
    (reason,) = list_reasons(TEXT.replace('"7d"', '"x"'))
    assert reason.endswith("such as 90s, 10m, 1h or 30d, got 'x'")
    assert reason.count("got") == 1


def test_counts_of_flop_are_exact() -> None:
    # As a float 1e23 would be 8,388,608 less, and a run of exactly 1e23 in the wrong band.
    assert read_treaty_text(TEXT).bands[1].floor_flop == 10**23
    for spelled in ("100_000_000_000_000_000_000_000", "1.0e+23", "0.1e24"):
        assert read_treaty_text(TEXT.replace("1e23", spelled)).bands[1].floor_flop == 10**23


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ('{ threshold = 2, of = "two" }', leaf(2, "AB")),
        ('{ threshold = 2, of = ["C", "B"] }', leaf(2, "CB")),
        ('{ threshold = 1, of = "parties", minority = true }', leaf(1, "ABC", minority=True)),
        ("{ threshold = 4, weights = { A = 3, C = 2 } }", leaf(4, "AC", (3, 2))),
        (
            '{ all-of = [{ threshold = 2, of = "parties" }, { threshold = 1, of = ["A"] }] }',
            AllOf(parts=(leaf(2, "ABC"), leaf(1, "A"))),
        ),
        (
            '{ any-of = [{ threshold = 3, of = "parties" }, { threshold = 2, of = "two" }] }',
            AnyOf(parts=(leaf(3, "ABC"), leaf(2, "AB"))),
        ),
    ],
)
def test_every_form_of_a_quorum_is_read(line: str, expression: Any) -> None:
    assert read_quorum(f"quorum = {line}").expression == expression


def test_everything_beside_the_thresholds_is_read() -> None:
    quorum = read_quorum(
        'quorum = { threshold = 2, of = "parties" }\nveto = "two"\n'
        'veto-share = { at-least = "1/3", of = "cast" }\nmin-ballots = 3\nrecusal = "ballots"'
    )
    assert quorum.veto_holders == ("A", "B")
    assert quorum.veto_share == VetoShare(numerator=1, denominator=3, of=Denominator.CAST)
    assert quorum.min_ballots == 3
    assert quorum.recusal is Recusal.BALLOTS


def test_a_veto_by_key_is_a_threshold_of_one() -> None:
    plain = read_quorum('quorum = { threshold = 2, of = "parties" }\nkey-veto = ["A", "C"]')
    assert plain.expression == AllOf(parts=(leaf(2, "ABC"), leaf(1, "A"), leaf(1, "C")))
    several = read_quorum(
        'quorum = { all-of = [{ threshold = 2, of = "parties" }, { threshold = 2, of = "two" }] }\n'
        'key-veto = ["C"]'
    )
    assert several.expression == AllOf(parts=(leaf(2, "ABC"), leaf(2, "AB"), leaf(1, "C")))


def test_a_syntax_error_names_its_line() -> None:
    assert list_reasons('name = "x"\nparties = [\n"A"\n"B"]') == ["4: this is no TOML: Unclosed array"]
    (mistake,) = list_mistakes('name = "x"\nname = "y"\n')
    assert mistake.line == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "a = 1" + "0" * 5000,
        "a = " + "[" * 20_000,
        "x" * (MAX_FILE_CHARS + 1),
        "a = 1e99999999999",
    ],
)
def test_what_is_no_treaty_at_all_is_refused(text: str) -> None:
    with pytest.raises(TreatyFileError) as caught:
        read_treaty_text(text)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.mistakes
    assert len(str(caught.value)) < 2000


CHANGED = [
    ('"Trial"', "7", 1, "expected name as a text in quotes, got 7"),
    ('name = "Trial"', "", 1, "expected the key 'name', a text in quotes"),
    ("makers", "maker", 3, "unknown key 'maker'; did you mean 'makers'?"),
    ('"B", "C"]', '"B", "B"]', 2, "nobody else has, got 'B' once more"),
    ('["A", "B", "C"]', '["A", 2]', 2, "expected parties no. 2 as a text in quotes, got 2"),
    ('two = ["A"', 'two = ["X"', 5, "expected a party of the roster, got 'X'; expected one of A, B, C"),
    ("two =", "parties =", 5, "expected another name: the group 'parties' is the whole roster"),
    ('two = ["A", "B"]', "two = []", 5, "expected at least one party in groups.two, got none"),
    ('id = "op1"', 'id = "op1"\nparty = "X"', 8, "expected a party of the roster as that of operator op1"),
    ('[[operator]]\nid = "op1"', "", 1, "expected at least one [[operator]]"),
    ("from-flop = 0", "from-flop = -1", 10, "expected band no. 1.from-flop as a whole number from 0"),
    ("from-flop = 0", "", 8, "expected the key 'from-flop' in band no. 1"),
    ("1e23", "1.5", 14, "got 1.5"),
    ("1e23", '"1e23"', 14, "got '1e23'"),
    ("1e23", "nan", 14, "got NaN"),
    ("1e23", "1e99", 14, "such as 1e22"),
    ('"licensed"\n[times]', '"licenced"\n[times]', 15, "unknown rule 'licenced'; did you mean 'licensed'?"),
    ('"7d"', '"a week"', 17, "such as 90s, 10m, 1h or 30d, got 'a week'"),
    ('"30s"', '"0s"', 18, "got '0s'"),
    ('"24h"', "24", 21, "expected times.lease as a text in quotes, got 24"),
    ("signing", "singing", 18, "unknown key 'singing'; did you mean 'signing'?"),
    ('lease = "24h"', 'lease = "24h"\nsuspension = "1d"', 22, "expected no suspension time"),
    ("[times]", "[witnesses]\nquorum = 1\n[times]", 17, "expected 2k - n > f of the witnesses"),
    ("[times]", "[witnesses]\ncolluding = -1\n[times]", 17, "expected 0 or more, got -1"),
]
WRONG_QUORUMS = [
    ("quorum = 2", "expected action.amend-rules.quorum as a table, got 2"),
    ('quorum = { treshold = 2, of = "parties" }', "expected one of threshold, all-of and any-of"),
    ("quorum = {}", "got an empty table"),
    ("quorum = { threshold = 2 }", "either of (who counts) or weights (who counts how much), got neither"),
    ('quorum = { threshold = 2, of = "two", weights = { A = 2 } }', "got both"),
    (
        'quorum = { threshold = 1, of = "parties" }',
        "2 to 3 of 3 parties, got 1; half or fewer takes `minority`",
    ),
    ('quorum = { threshold = 9, of = "parties" }', "expected a threshold from 2 to 3 of 3 parties, got 9"),
    ('quorum = { threshold = "2", of = "parties" }', "threshold as a whole number, got '2'"),
    ('quorum = { threshold = true, of = "parties" }', "threshold as a whole number, got true"),
    (
        'quorum = { threshold = 2, of = "twos" }',
        "expected the name of a group, got 'twos'; did you mean 'two'?",
    ),
    ('quorum = { threshold = 1, of = "A" }', "expected the name of a group, got 'A'; one party is ['A']"),
    ('quorum = { threshold = 2, of = ["A", "A"] }', "expected each party once, got 'A' once more"),
    ("quorum = { threshold = 2, weights = { A = 65 } }", "expected from 1 to 64 seats, got 65"),
    ("quorum = { threshold = 2, weights = { A = 1, B = 1 } }", "expected no weights, where all are 1"),
    ("quorum = { threshold = 2, weights = { X = 2 } }", "expected a party of the roster, got 'X'"),
    ('quorum = { all-of = [{ threshold = 2, of = "two" }] }', "expected AllOf of at least two parts"),
    ('quorum = { threshold = 2, of = "two", any-of = [] }', "got threshold and any-of"),
    ("quorum = { any-of = [3] }", "expected action.amend-rules.quorum.any-of no. 1 as a table, got 3"),
    ('quorum = { threshold = 2, of = "two" }\nvetos = ["A"]', "unknown key 'vetos'; did you mean 'veto'?"),
    ('quorum = { threshold = 2, of = "two" }\nveto = ["Z"]', "expected a party of the roster, got 'Z'"),
    (
        'quorum = { threshold = 1, of = ["A"] }\nkey-veto = ["A"]',
        "expected AllOf of at least two parts, none of",
    ),
    (
        'quorum = { threshold = 2, of = "two" }\nveto-share = { at-least = "0.3", of = "cast" }',
        "expected a share such as",
    ),
    (
        'quorum = { threshold = 2, of = "two" }\nveto-share = { at-least = "4/3", of = "cast" }',
        "expected a share of vetoes above 0 and at most 1, got 4/3",
    ),
    (
        'quorum = { threshold = 2, of = "two" }\nveto-share = { at-least = "1/3" }',
        "expected the key 'of' in action.amend-rules.veto-share",
    ),
    (
        'quorum = { threshold = 2, of = "two" }\nmin-ballots = 4',
        "expected at most 2 ballots to be needed, got 4",
    ),
    ('quorum = { threshold = 2, of = "two" }\nmin-ballots = -1', "expected 0 ballots or more"),
    ('quorum = { threshold = 2, of = "two" }\nrecusal = "none"', "unknown recusal 'none'"),
    ('same-as = "run-gran"', "got 'run-gran'; did you mean 'run-grant'?"),
    ('same-as = "lease-renewal"', "expected an action with a quorum of its own, got 'lease-renewal'"),
    ('same-as = "run-grant"\nveto = ["A"]', "unknown key 'veto'"),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), CHANGED)
def test_every_mistake_is_found_on_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in TEXT
    reasons = list_reasons(TEXT.replace(old, new, 1))
    assert any(found.startswith(f"{line}: ") and reason in found for found in reasons), reasons


@pytest.mark.parametrize(("lines", "reason"), WRONG_QUORUMS)
def test_every_mistake_in_a_quorum_is_found(lines: str, reason: str) -> None:
    first = TEXT.count("\n") + 1
    mistakes = list_mistakes(f"{TEXT}[action.amend-rules]\n{lines}\n")
    assert [m for m in mistakes if reason in m.reason and m.line >= first], mistakes
    assert len(mistakes) == 1


@pytest.mark.parametrize(
    ("tables", "line", "reason"),
    [
        ("[action.remove-baseline]\nquorum = 1\n", 26, "no quorum can decide it, however large"),
        ("[action.run-grnt]\n", 26, "unknown key 'run-grnt'; did you mean 'run-grant'?"),
        ('[action.suspension-confirmation]\nsame-as = "run-grant"\n', 26, "expected an action.emergency"),
        ('[action.emergency-suspension]\nsame-as = "run-grant"\n', 16, "expected a suspension time"),
    ],
)
def test_a_class_that_makes_no_sense_is_refused(tables: str, line: int, reason: str) -> None:
    # VN-4.6
    (found,) = list_mistakes(TEXT + tables)
    assert found.line == line
    assert reason in found.reason


def test_what_is_required_is_missed() -> None:
    for action in ("run-grant", "lease-renewal"):
        text = TEXT.replace('same-as = "run-grant"', 'quorum = { threshold = 2, of = "two" }')
        (found,) = list_reasons(text.replace(f"[action.{action}]", "[action.roster-change]"))
        assert f"expected an action.{action}: without it nothing is regulated" in found
    assert any("expected the key 'action'" in reason for reason in list_reasons(HEAD))


def test_all_mistakes_are_found_at_once_and_in_the_order_of_the_file() -> None:
    text = TEXT
    for old, new, _, _ in (CHANGED[0], CHANGED[3], CHANGED[13], CHANGED[17], CHANGED[20]):
        text = text.replace(old, new, 1)
    lines = [mistake.line for mistake in list_mistakes(text)]
    assert lines == sorted(lines)
    assert {1, 14, 17, 18} <= set(lines)


def test_there_is_an_end_to_mistakes() -> None:
    text = TEXT + "".join(f"x{number} = 1\n" for number in range(1000))
    assert len(list_mistakes(text)) == MAX_MISTAKES


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"k{number} = 1" for number in range(15_000)),
        "[groups]\n" + "\n".join(f"g{number} = []" for number in range(14_000)),
        TEXT.replace('["A", "B", "C"]', str([f"P{number}" for number in range(20_000)])),
        TEXT.replace('of = "parties"', f"of = {[f'P{number}' for number in range(20_000)]}"),
        TEXT.replace('of = "parties"', f"of = {['A'] * 40_000}"),
        TEXT.replace('id = "op1"', "\n[[operator]]\n".join(f'id = "o{number}"' for number in range(8_000))),
        TEXT.replace(
            "{ threshold", "{ any-of = [" + "{}, " * 30_000 + '{ threshold = 2, of = "two" }], threshold'
        ),
        TEXT.replace('of = "parties"', "weights = {" + ", ".join(f"P{n} = 1" for n in range(15_000)) + "}"),
        TEXT.replace("Trial", "x" * 200_000),
        TEXT + '"' + "y" * 200_000 + '" = 1\n',
    ],
    ids=range(10),
)
def test_a_file_made_to_be_slow_is_refused_soon_and_in_few_words(text: str) -> None:
    assert len(text) <= MAX_FILE_CHARS
    mistakes = list_mistakes(text)
    assert 1 <= len(mistakes) <= MAX_MISTAKES
    assert all(len(mistake.reason) <= 500 for mistake in mistakes)


def test_an_unprintable_key_cannot_break_a_line() -> None:
    (mistake,) = list_mistakes('"a\\nb\\u001b[31m" = 1\n' + TEXT)
    assert mistake.reason.isprintable()


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_returns_from_its_canonical_text(name: str) -> None:
    plan = read_treaty_text(read_preset(name))
    assert read_treaty_text(write_treaty_text(plan)) == plan


def test_the_canonical_text_names_shared_quorums_and_vetoes_by_key() -> None:
    text = TEXT.replace('of = "parties" }', 'of = "parties" }\nkey-veto = ["C"]\nveto = "two"', 1)
    written = write_treaty_text(read_treaty_text(text))
    assert 'quorum = { threshold = 2, of = "parties" }\nkey-veto = ["C"]\nveto = ["A", "B"]\n' in written
    assert 'same-as = "run-grant"' in written
    assert "from-flop = 1e23\n" in written


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    for name in ("mirri", "../presets/miri", ""):
        with pytest.raises(ConfigError, match="no preset"):
            read_preset(name)
    with pytest.raises(ConfigError, match="did you mean 'miri'"):
        read_preset("mirri")


def test_a_maker_may_say_what_vouches_for_its_chips() -> None:
    """VN-17.1."""
    plan = read_treaty_text(TEXT.replace('["maker1"]', '["maker1", "mill:TPM2"]'))
    assert plan.maker_ids == ("maker1", "mill")
    assert (plan.find_kind("maker1"), plan.find_kind("mill")) == (None, "TPM2")
    assert 'makers = ["maker1", "mill:TPM2"]' in write_treaty_text(plan)
    assert read_treaty_text(write_treaty_text(plan)) == plan
    (mistake,) = list_mistakes(TEXT.replace('["maker1"]', '["maker1:tpm"]'))
    assert "such as TPM2 for maker1, got 'tpm'" in str(mistake)
