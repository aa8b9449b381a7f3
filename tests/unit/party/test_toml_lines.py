"""The line of every place of a TOML text, whatever way it is written."""

from __future__ import annotations

import tomllib

import pytest

from vetonet.party.toml_lines import MAX_STEPS, Path, locate

TEXT = '''\
# a comment with [brackets] = and "quotes
name = "x # y" # z
a.b."c.d" = [ # one
  1,
  { x = 1, y = [2, 3,
  4] }, # [
]
m = """
[[no]]
k = 1
""\\""""""
'lit.eral' = \'\'\'a"]
\'\'\'
[times]
w = 'x'

[[op]]
id = 1
[[op]]
id = 2
[op.sub]
z = 3
[[op.deep]]
z = 4
[action . "run-grant"]
q = { t = 1, of = "a", v.w = 2 }
empty = {}
none = []
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("a",), 3),
        (("a", "b", "c.d"), 3),
        (("a", "b", "c.d", 0), 4),
        (("a", "b", "c.d", 1, "x"), 5),
        (("a", "b", "c.d", 1, "y", 1), 5),
        (("a", "b", "c.d", 1, "y", 2), 6),
        (("m",), 8),
        (("lit.eral",), 12),
        (("times",), 14),
        (("times", "w"), 15),
        (("op",), 17),
        (("op", 0, "id"), 18),
        (("op", 1), 19),
        (("op", 1, "id"), 20),
        (("op", 1, "sub", "z"), 22),
        (("op", 1, "deep", 0, "z"), 24),
        (("action", "run-grant"), 25),
        (("action", "run-grant", "q", "v", "w"), 26),
        (("action", "run-grant", "none"), 28),
    ],
)
def test_a_value_is_located_on_the_line_on_which_it_begins(path: Path, line: int) -> None:
    assert tomllib.loads(TEXT)
    assert locate(TEXT, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [((), 1), (("nope",), 1), (("times", "nope"), 14), (("op", 7, "id"), 17), (("a", "b", "c.d", 1, "z"), 5)],
)
def test_what_is_not_there_is_located_where_it_would_be(path: Path, line: int) -> None:
    assert locate(TEXT, path) == line


@pytest.mark.parametrize(
    "text", ["", "a", "a = ", '"', "[", "[[", "[a", "a = [", "a = {", 'a = """', "= 1", "]", "a = [[[[", "."]
)
def test_what_is_no_toml_is_located_without_an_error(text: str) -> None:
    assert locate(text, ("a", 0)) == 1


def test_a_deep_nest_costs_no_more_than_its_first_steps() -> None:
    text = f"a = \n{'[' * 400}{']' * 400}"
    assert locate(text.replace("\n", "", 1), ("a", *([0] * 400))) == 1
    deep = f"a = {'[' * (MAX_STEPS + 3)}\n1{']' * (MAX_STEPS + 3)}"
    assert locate(deep, ("a", *([0] * (MAX_STEPS + 3)))) == 1
    assert locate("a = " + "[" * 50_000, ("a", 0)) == 1


def test_carriage_returns_do_not_shift_a_line() -> None:
    text = TEXT.replace("\n", "\r\n")
    assert locate(text, ("op", 1, "id")) == 20
