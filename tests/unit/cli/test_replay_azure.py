"""``vetonet replay azure``: the chips' reports of a served trace add up to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.exits import Exit

TRACE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:17:50.9951690,396,109"
)


def run_azure(path: Path, *options: str) -> int:
    defaults = ("--parameters", "70e9", "--chip", "H100", "--chips", "3", "--interval", "1m")
    return main.run(["replay", "azure", str(path), *defaults, *options])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_bytes(TRACE.encode())
    return path


def test_a_served_trace_adds_up_exactly(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_azure(trace, "--json") == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said["is_exact"]
    assert said["flop"] == said["chips_reported_flop"] == 2 * 70 * 10**9 * 923
    assert said["generated_tokens"] == said["chips_reported_tokens"] == 153
    assert said["reports"] == 3 * 3


def test_a_served_trace_reads_for_people(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_azure(trace) == Exit.OK
    assert "exactly the trace's" in capsys.readouterr().out


def test_every_report_of_a_served_trace_is_written(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_azure(trace, "--out", str(tmp_path / "out")) == Exit.OK
    assert len(list((tmp_path / "out").iterdir())) == 9
    assert run_azure(trace, "--out", str(tmp_path / "out")) == Exit.USAGE
    assert "out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--chip", "Abacus"], Exit.USAGE, "--chip: no accelerator model"),
        (["--chips", "0"], Exit.USAGE, "whole number above 0"),
        (["--parameters", "many"], Exit.USAGE, "whole number above 0"),
        (["--parameters", "1e17"], Exit.USAGE, "more chips are needed"),
        (["--precision", "fp4"], Exit.USAGE, "no known peak rate at fp4"),
        (["--interval", "1ms"], Exit.USAGE, "at most 100000 reports"),
        (["--interval", "0s"], Exit.USAGE, "duration"),
    ],
)
def test_what_no_fleet_can_serve_is_refused_in_one_line(
    trace: Path, options: list[str], code: Exit, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_azure(trace, *options) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_damaged_trace_is_refused_by_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE.replace("396", "-396"))
    assert run_azure(path) == Exit.INVALID
    assert "trace.csv:3: expected ContextTokens" in capsys.readouterr().err
