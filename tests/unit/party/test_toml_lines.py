"""Mistakes in a TOML file stand on the line where they are made."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.errors import ConfigError
from vetonet.party.toml_lines import TomlMistakes, TomlPath, locate, parse_toml

RULES = """\
# rule: none of this counts, "nor = this"
default = "ask"      # [[rule]]

[[rule]]
when = { workload = "inference", below-flop = "1e23" }
decide = "grant"

[[rule]]
when = { operator = [
    "lab-a",         # first ] of all
    "lab-b",
  ], at-least-flop = "1e26" }
decide = "veto"

[[rule]]
decide = "abstain"
[rule.when]
band = "large"
"""

# Every number is the line on which it stands, once LINE is put in its place.
STANZAS = (
    "a = LINE",
    "  'quoted.key' = LINE  # a = 1",
    '"\\u00e9 \\"x\\"" = LINE',
    'dotted.b."c.d" = LINE\ndotted.b.e=LINE',
    "inline = { x = LINE, y.z = LINE, deep = [ { k = LINE }, { k = LINE } ] }",
    "list = [LINE, LINE,\n  LINE, # ]\n\n  [LINE,\nLINE],]",
    'text = """\n[not.a.table]\nb = 1 # none\n\\""" = """\nafter_text = LINE',
    "literal = '''\n[x]\n''y = 2'''''\nafter_literal = LINE",
    'quotes = """"a" ""b"""""\nafter_quotes = LINE',
    'empty = \'\'\nempty_too = ""\nempty_long = """"""\nafter_empty = LINE',
    'hash = "# ] } = \\\\"\nafter_hash = LINE',
    "date = 1979-05-27 07:32:00 # noon\nafter_date = LINE\r\nafter_return = LINE",
    "nothing = []\nnone = {}\nafter_nothing = LINE",
)
TABLES = (
    "[table]\nk = LINE\n[table.sub]\nk = LINE",
    '[ spaced . "out.er" ]\nk = LINE',
    "[below.first]\nk = LINE\n[below]\nm = LINE",
    "[[many]]\nk = LINE\n[many.sub]\nk = LINE\n[[many.more]]\nk = LINE\n[[many.more]]\nk = LINE",
    "[[twice]]\n[[twice]]\n[[twice.more]]\nk.l = LINE\n",
    "[[ 'single' ]]",
)


def spell(stanzas: Sequence[str]) -> str:
    """The document with each number in its place."""
    lines = "\n\n".join(stanzas).split("\n")
    return "\n".join(line.replace("LINE", str(number)) for number, line in enumerate(lines, start=1))


def iter_numbers(value: Any, path: TomlPath = ()) -> Iterator[tuple[TomlPath, int]]:
    """Every integer of a parsed document with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from iter_numbers(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from iter_numbers(inner, (*path, index))
    elif isinstance(value, int):
        yield path, value


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("default",), 2),
        (("rule",), 4),
        (("rule", 0), 4),
        (("rule", 0, "when"), 5),
        (("rule", 0, "when", "below-flop"), 5),
        (("rule", 1), 8),
        (("rule", 1, "when", "operator"), 9),
        (("rule", 1, "when", "operator", 0), 10),
        (("rule", 1, "when", "operator", 1), 11),
        (("rule", 1, "when", "at-least-flop"), 12),
        (("rule", 1, "decide"), 13),
        (("rule", 2, "decide"), 16),
        (("rule", 2, "when"), 17),
        (("rule", 2, "when", "band"), 18),
    ],
)
def test_what_is_there_is_found(path: TomlPath, line: int) -> None:
    assert locate(RULES, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("nothing",), 1),
        (("rule", 3), 4),
        (("rule", 0, "reason"), 4),
        (("rule", 1, "when", "operator", 2), 9),
        (("rule", 2, "when", "band", "deeper", 7), 18),
    ],
)
def test_what_is_missing_is_looked_for_in_the_table_around_it(path: TomlPath, line: int) -> None:
    assert locate(RULES, path) == line


@given(st.permutations(STANZAS), st.permutations(TABLES))
def test_every_key_is_found_in_any_order(stanzas: list[str], tables: list[str]) -> None:
    text = spell([*stanzas, *tables])
    numbers = dict(iter_numbers(tomllib.loads(text)))
    assert len(numbers) == "".join([*stanzas, *tables]).count("LINE")
    assert {path: locate(text, path) for path in numbers} == numbers


@given(st.recursive(st.integers(0, 9) | st.text("ab\n\"'\\#[]{}=.,", max_size=6), st.lists, max_leaves=8))
def test_any_value_is_passed_over_whole(value: Any) -> None:
    text = f"a = {spell_value(value)}\nb = 1"
    assert tomllib.loads(text)["a"] == value
    assert locate(text, ("b",)) == text.count("\n") + 1


def spell_value(value: Any) -> str:
    """A value in TOML: lists over several lines, text in basic strings."""
    if isinstance(value, list):
        return "[\n" + "".join(f"{spell_value(item)}, # ]\n" for item in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"""\n{escaped}"""' if "\n" in value else f'"{escaped}"'
    return str(value)


@pytest.mark.parametrize("text", ["[", "a", "a =", "a = [1", "a = {b", "= 1", "[a", "a = ["])
def test_what_is_no_toml_has_no_lines(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        locate(text, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\n\na = 2\n", 3),
        ("a = 1\n[a]\n", 2),
        ("a = [1,\n2\n\n", 2),
        ('a = """\nx', 2),
        ("a = 1\nb = 0x\n", 2),
        ("a = 1\n\n\nb = {c = 1, c = 2}", 4),
        ("\x00", 1),
        ("a = 2027-13-01", 1),
    ],
)
def test_a_mistake_in_syntax_has_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "rules.toml")
    assert str(caught.value).startswith(f"rules.toml:{line}: expected TOML, got: ")
    assert "\n" not in str(caught.value)
    assert "(at " not in str(caught.value)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "9" * 5000])
def test_what_the_library_chokes_on_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x:1: expected TOML, got: "):
        parse_toml(text, "x")


@given(st.text("ab=[]{}.,\"'\\#\n 1\r", max_size=40))
def test_any_text_is_read_as_the_library_reads_it_or_refused(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ConfigError, match=r"^x:\d+: expected TOML, got: "):
            parse_toml(text, "x")
    else:
        assert parse_toml(text, "x") == expected
        assert all(1 <= locate(text, (key,)) <= text.count("\n") + 1 for key in expected)


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    mistakes = TomlMistakes(RULES, "rules.toml")
    mistakes.refuse()
    mistakes.add(("rule", 1, "decide"), "expected grant, got veto")
    mistakes.add(("default",), "expected veto, got ask")
    assert len(mistakes) == 2
    with pytest.raises(ConfigError) as caught:
        mistakes.refuse()
    assert str(caught.value).split("; ") == [
        "rules.toml:2: expected veto, got ask",
        "rules.toml:13: expected grant, got veto",
    ]
