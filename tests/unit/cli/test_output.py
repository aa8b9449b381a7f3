from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.cli.output import (
    format_duration,
    format_flop,
    note,
    print_json,
    print_line,
    print_table,
    spell_command,
    warn,
)
from vetonet.units import MAX_FLOP, format_time


@pytest.mark.parametrize(
    ("flop", "expected"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1000"),
        (10**22, "1e22"),
        (55 * 10**20, "5.5e21"),
        (5503765708800000000000, "5.504e21"),
        (99_996 * 10**10, "1e15"),
    ],
)
def test_flop_are_short_for_people(flop: int, expected: str) -> None:
    assert format_flop(flop) == expected


@given(st.integers(min_value=1, max_value=MAX_FLOP))
def test_short_flop_are_near_the_truth(flop: int) -> None:
    assert float(format_flop(flop)) == pytest.approx(flop, rel=6e-4)


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [
        (250, "250 ms"),
        (3_000, "3 s"),
        (600_000, "10 min"),
        (13_837_001, "3 h 50 min 37 s"),
        (90 * 3_600_000, "3 d 18 h"),
    ],
)
def test_durations_are_short_for_people(duration_ms: int, expected: str) -> None:
    assert format_duration(duration_ms) == expected


def test_times_are_in_utc() -> None:
    assert format_time(1_800_000_000_000) == "2027-01-15T08:00:00Z"
    assert format_time(1_800_000_000_250) == "2027-01-15T08:00:00.250Z"


def test_a_table_for_a_file_has_no_colour_and_shows_brackets_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("who", "what"), [("[red]P1[/red]", "VIOLATION")])
    assert capsys.readouterr().out.splitlines() == ["who            what", "[red]P1[/red]  VIOLATION"]


HOSTILE = "p1\x1b]0;owned\x07\x9b2J\nproposals/aaaa  licensed\r\u202e\u2028x"
HARMLESS = "p1?]0;owned??2J proposals/aaaa  licensed ? x"


@pytest.mark.parametrize("say", [print_line, note, warn, lambda text: print_table((text,), [(text,)])])
def test_no_text_breaks_its_line_or_steers_a_terminal(
    say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say(HOSTILE)
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).split("\n") if line]
    assert {line.removeprefix("Warning: ") for line in lines} == {HARMLESS}


def test_what_is_printable_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("treaty   Zürich  \N{SNOWMAN}")
    assert capsys.readouterr().out == "treaty   Zürich  \N{SNOWMAN}\n"


def test_json_says_exactly_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": HOSTILE})
    assert json.loads(capsys.readouterr().out) == {"text": HOSTILE}


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("elsewhere/bin/vetonet", "elsewhere/bin/vetonet"),
        ("with blank/vetonet", "'with blank/vetonet'"),
        ("/somewhere/pytest", "vetonet"),
        ("{here}/bin/vetonet", "bin/vetonet"),
    ],
)
def test_a_command_to_type_is_spelt_as_the_user_called_it(
    called: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("sys.argv", [called.format(here=Path.cwd()), "demo"])
    assert spell_command() == expected


def test_a_command_on_the_path_is_spelt_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "vetonet"
    installed.write_text("")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(installed)])
    assert spell_command() == "vetonet"
