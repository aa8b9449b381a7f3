"""A party's own rules as people write them: every mistake is told, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world import make_council
from vetonet.errors import ConfigError
from vetonet.party.rules_file import MAX_RULES_BYTES, parse_rules, read_rules
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.rules import ASK, MAX_RULES, RUN_GRANT, Answer, Conditions, Rule, Rules
from vetonet.units import MAX_FLOP, Precision, WorkloadClass

TREATY = make_council().treaty.statement
GOOD = """\
default = "ask"

[[rule]]
when = { workload = "inference", below-flop = "1e23" }
decide = "grant"

[[rule]]
when = { operator = ["lab-a"], at-least-flop = "1e26" }
decide = "veto"
reason = "scale"
"""
EVERYTHING = """\
default = "veto"
default-reason = "other"

[[rule]]
decide = "abstain"
[rule.when]
below-flop = "1_000,000"
at-least-flop = "5.5e3"
workload = ["training", "inference"]
precision = "bf16"
operator = "op1"
beneficial-owner = ["Owner One", "Ökonomie & Sons"]
band = "licensed"
at-least-devices = 512
run-longer-than = "1d12h"
has-lineage = false
action = ["run-grant", "lease-renewal"]
"""


def rule(when: str, decide: str = 'decide = "grant"') -> str:
    """A file of one rule: its conditions stand on line 3."""
    return f'default = "ask"\n[[rule]]\nwhen = {when}\n{decide}\n'


def refusals(text: str, **known: object) -> list[str]:
    """The mistakes told of a file, without its name."""
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "rules.toml", **known)  # type: ignore[arg-type]
    lines = str(caught.value).split("; ")
    assert all(line.startswith("rules.toml:") for line in lines)
    return [line.removeprefix("rules.toml:") for line in lines]


def test_rules_are_read_as_they_are_written() -> None:
    assert parse_rules(GOOD, "rules.toml") == Rules(
        default=ASK,
        rules=(
            Rule(
                when=Conditions(workloads=(WorkloadClass.INFERENCE,), below_flop=10**23),
                answer=Answer(choice=Choice.GRANT),
            ),
            Rule(
                when=Conditions(operators=("lab-a",), at_least_flop=10**26),
                answer=Answer(choice=Choice.VETO, reason=VetoReason.SCALE),
            ),
        ),
    )


def test_every_condition_can_be_written() -> None:
    rules = parse_rules(EVERYTHING, "rules.toml", actions=(RUN_GRANT, "lease-renewal"))
    assert rules.default == Answer(choice=Choice.VETO, reason=VetoReason.OTHER)
    assert rules.rules[0].answer == Answer(choice=Choice.ABSTAIN)
    assert rules.rules[0].when == Conditions(
        below_flop=10**6,
        at_least_flop=5500,
        workloads=(WorkloadClass.TRAINING, WorkloadClass.INFERENCE),
        precisions=(Precision.BF16,),
        operators=("op1",),
        beneficial_owners=("Owner One", "Ökonomie & Sons"),
        bands=("licensed",),
        at_least_devices=512,
        run_longer_than_ms=36 * 3_600_000,
        has_lineage=False,
        actions=(RUN_GRANT, "lease-renewal"),
    )


@pytest.mark.parametrize("word", ["ask", "grant", "abstain"])
def test_a_file_may_be_a_default_alone(word: str) -> None:
    rules = parse_rules(f'default = "{word}"', "rules.toml")
    assert rules.rules == ()
    assert str(rules.default) == word


def test_flop_are_exact() -> None:
    text = rule(f'{{ below-flop = "{MAX_FLOP - 1}", at-least-flop = "1e23" }}')
    when = parse_rules(text, "rules.toml").rules[0].when
    assert (when.below_flop, when.at_least_flop) == (MAX_FLOP - 1, 10**23)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1: expected one of ask, grant, veto, abstain, got nothing"]),
        ("default = 1", ["1: expected one of ask, grant, veto, abstain, got the number 1"]),
        ('\ndefault = "Grant"', ["2: expected one of ask, grant, veto, abstain, got 'Grant'"]),
        ('default = ["ask"]', ["1: expected one of ask, grant, veto, abstain, got a list"]),
        (
            'default = "ask"\nrules = []',
            ["2: expected one of default, default-reason, rule, got 'rules'"],
        ),
        ('default = "ask"\nrule = {}', [f"2: expected at most {MAX_RULES} tables [[rule]], got a table"]),
        ('default = "ask"\nrule = [\n1]', ["3: expected a table [[rule]], got the number 1"]),
        (
            'default = "veto"',
            [
                "1: expected default-reason with a veto: one of "
                + ", ".join(reason.value for reason in VetoReason)
                + ", got nothing"
            ],
        ),
        (
            'default = "ask"\ndefault-reason = "scale"',
            ["2: expected default-reason with a veto only, got 'ask'"],
        ),
    ],
)
def test_a_file_without_a_clear_default_is_refused(text: str, expected: list[str]) -> None:
    assert refusals(text) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{}", "expected at least one condition: what always holds is the default"),
        ("[]", 'expected a table of conditions, such as { below-flop = "1e23" }, got a list'),
        ("{ below = 1 }", "expected one of below-flop, at-least-flop, workload, precision, operator"),
        ("{ below-flop = 1e23 }", 'expected FLOP in quotes, such as "1e23", got the number 1e+23'),
        ("{ below-flop = 100 }", 'expected FLOP in quotes, such as "1e23", got the number 100'),
        ('{ below-flop = "1e-3" }', "expected a whole number of FLOP above 0, such as 5.5e21, got '1e-3'"),
        ('{ below-flop = "1e99" }', "expected a whole number of FLOP above 0, such as 5.5e21, got '1e99'"),
        ('{ at-least-flop = "0" }', "expected a whole number of FLOP above 0, such as 5.5e21, got '0'"),
        ('{ at-least-flop = "1.5" }', "expected a whole number of FLOP above 0, such as 5.5e21, got '1.5'"),
        ('{ below-flop = "1e23", at-least-flop = "1e23" }', "expected at-least-flop smaller than below-flop"),
        ('{ workload = "Training" }', "expected one of training, inference, got 'Training'"),
        ('{ workload = ["training", "training"] }', "expected each name once, got 'training'"),
        ("{ workload = [] }", "expected a name in quotes, or a list of 1 to 64 such names, got a list"),
        ("{ workload = true }", "expected a name in quotes, or a list of 1 to 64 such names, got true"),
        ("{ workload = [1] }", "expected a name in quotes, got the number 1"),
        (
            '{ precision = "bf17" }',
            "expected one of fp64, fp32, tf32, fp16, bf16, fp8, fp4, int8, got 'bf17'",
        ),
        ('{ operator = "" }', "expected a printable name of 1 to 64 characters, got ''"),
        ('{ operator = "a\\tb" }', "expected a printable name of 1 to 64 characters, got 'a\\tb'"),
        ('{ action = "roster-change" }', "expected run-grant, got 'roster-change'"),
        (
            '{ at-least-devices = "5" }',
            "expected a whole number from 1 to 4294967296, without quotes, got '5'",
        ),
        ("{ at-least-devices = 0 }", "expected a whole number from 1 to 4294967296, without quotes"),
        (
            "{ at-least-devices = true }",
            "expected a whole number from 1 to 4294967296, without quotes, got true",
        ),
        ("{ at-least-devices = 5.0 }", "expected a whole number from 1 to 4294967296, without quotes"),
        (f"{{ at-least-devices = 0x{'f' * 9000} }}", "expected a whole number from 1 to 4294967296"),
        ("{ run-longer-than = 90 }", 'expected a duration in quotes, such as "90d", got the number 90'),
        ('{ run-longer-than = "90" }', "expected a duration of at most a year, such as 90s"),
        ('{ run-longer-than = "0s" }', "expected a duration of at most a year, such as 90s"),
        ('{ has-lineage = "yes" }', "expected true or false, got 'yes'"),
        ("{ has-lineage = 1 }", "expected true or false, got the number 1"),
        ("{ has-lineage = 2027-01-01 }", "expected true or false, got a date or time"),
    ],
)
def test_a_condition_that_is_not_plain_is_refused(when: str, expected: str) -> None:
    told = refusals(rule(when))
    assert len(told) == 1
    assert told[0].startswith(f"3: {expected}")
    assert len(told[0]) < 300


@pytest.mark.parametrize(
    ("decide", "expected"),
    [
        ("", "2: expected one of ask, grant, veto, abstain, got nothing"),
        ('decide = "allow"', "4: expected one of ask, grant, veto, abstain, got 'allow'"),
        ('decide = "veto"', "4: expected reason with a veto: one of scale, safety-case, information-missing"),
        ('decide = "veto"\nreason = "bad"', "5: expected one of scale, safety-case, information-missing"),
        ('decide = "grant"\nreason = "scale"', "5: expected reason with a veto only, got 'grant'"),
        ('decide = "ask"\nreason = "scale"', "5: expected reason with a veto only, got 'ask'"),
        ('decide = "abstain"\nreason = ""', "5: expected one of scale, safety-case"),
        ('decide = "grant"\nnote = "why"', "5: expected one of when, decide, reason, got 'note'"),
    ],
)
def test_an_answer_that_is_not_plain_is_refused(decide: str, expected: str) -> None:
    told = refusals(rule('{ below-flop = "1e23" }', decide))
    assert told[0].startswith(expected)


def test_a_rule_without_conditions_is_refused() -> None:
    assert refusals('default = "ask"\n\n[[rule]]\ndecide = "grant"') == [
        '3: expected a table of conditions, such as { below-flop = "1e23" }, got nothing'
    ]


def test_all_mistakes_are_told_each_on_its_line() -> None:
    text = """\
defualt = "ask"

[[rule]]     # the first
when = { workload = "inference", below-flop = 1e23, has-lineage = '''
''' }
decide = "allow"

[[rule]]
decide = "veto"
because = "scale"
[rule.when]
operator = [
  "a",
  "",
  7,
]
"""
    assert [(line.partition(":")[0], line.rpartition("got ")[2]) for line in refusals(text)] == [
        ("1", "'defualt'"),
        ("1", "nothing"),
        ("4", "the number 1e+23"),
        ("4", "''"),
        ("6", "'allow'"),
        ("9", "nothing"),
        ("10", "'because'"),
        ("14", "''"),
        ("15", "the number 7"),
    ]


def test_a_rule_that_never_decides_is_refused_on_its_line() -> None:
    text = GOOD + '\n[[rule]]\nwhen = { workload = "inference", below-flop = "1e22" }\ndecide = "abstain"\n'
    assert refusals(text) == ["12: expected a rule that can decide, but rule 1 holds wherever this one does"]


def test_a_rule_is_numbered_as_in_the_file_though_others_are_wrong() -> None:
    first = '[[rule]]\nwhen = {}\ndecide = "grant"\n'
    second = '[[rule]]\nwhen = { has-lineage = true }\ndecide = "grant"\n'
    told = refusals('default = "ask"\n' + first + second * 2)
    assert told == [
        "3: expected at least one condition: what always holds is the default",
        "8: expected a rule that can decide, but rule 2 holds wherever this one does",
    ]


def test_names_that_the_treaty_does_not_have_are_refused() -> None:
    text = rule('{ operator = ["op1", "op3"], band = "license", beneficial-owner = "anybody" }')
    assert refusals(text, treaty=TREATY) == [
        "3: expected one of op1, op2, got 'op3'",
        "3: expected one of free, licensed, forbidden, got 'license'",
    ]
    assert parse_rules(text, "rules.toml").rules
    assert parse_rules(rule('{ operator = "op2", band = "licensed" }'), "x", treaty=TREATY).rules


def test_too_many_rules_are_refused() -> None:
    rules = "".join(
        f'[[rule]]\nwhen = {{ at-least-devices = {MAX_RULES + 1 - i} }}\ndecide = "ask"\n'
        for i in range(MAX_RULES + 1)
    )
    assert refusals('default = "ask"\n' + rules) == [
        f"2: expected at most {MAX_RULES} tables [[rule]], got a list"
    ]


def test_a_mistake_in_syntax_is_told_in_the_same_shape() -> None:
    told = refusals('default = "ask"\n[[rule]\n')
    assert len(told) == 1
    assert told[0].startswith("2: expected TOML, got: ")
    assert refusals('default = "ask"\ndefault = "grant"')[0].startswith("2: expected TOML, got: ")


@given(st.text(max_size=60) | st.text('defaultrulwhnci=[]{}",.# \n', max_size=60).map(GOOD.__add__))
def test_any_text_is_rules_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_rules(text, "x"), Rules)
    except ConfigError as error:
        lines = str(error).split("; ")
        assert [line for line in lines if not line.startswith("x:")] == []


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(GOOD)
    assert read_rules(path) == parse_rules(GOOD, "x")
    path.write_text(EVERYTHING)
    with pytest.raises(ConfigError, match=rf"^{path}:17: expected run-grant, got 'lease-renewal'$"):
        read_rules(path)
    assert read_rules(path, actions=(RUN_GRANT, "lease-renewal"), treaty=TREATY).rules


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    for wrong in (path, tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ConfigError):
            read_rules(wrong)
    path.write_bytes(b'default = "ask"\n# \xff\n')
    with pytest.raises(ConfigError, match=r"rules\.toml:2: expected UTF-8, got byte 0xff"):
        read_rules(path)
    path.write_bytes(b"#" * (MAX_RULES_BYTES + 1))
    with pytest.raises(ConfigError, match="at most"):
        read_rules(path)


def test_rules_that_anybody_may_write_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(GOOD)
    path.chmod(0o646)
    with pytest.raises(ConfigError, match="chmod o-w"):
        read_rules(path)
    path.chmod(0o644)
    assert read_rules(path).rules
