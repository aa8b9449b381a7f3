from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vetonet.attester.models import find_chip_model
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


def test_fifteen_h100_are_not_covered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cluster", "check", "--chips", "H100 x 15"]) == Exit.OK
    assert "not covered" in capsys.readouterr().out


def test_seventeen_h100_are_covered_by_compute_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cluster", "check", "--chips", "H100 x 17"]) == Exit.NEGATIVE
    said = capsys.readouterr().out
    assert "covered, by compute and memory" in said
    assert "1,360 GB" in said
    assert "25 Gbit/s" in said
    assert said.count("990 TFLOP/s") == 1


def test_the_json_states_exact_fractions(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--chips", "NVIDIA A100 SXM4 80 GB x 50", "--network", "100Mbit/s", "--json"]
    assert main.run(["cluster", "check", *options]) == Exit.NEGATIVE
    said = json.loads(capsys.readouterr().out)
    assert said["exceeded"] == ["memory"]
    assert said["criteria"][0]["value"] == "520/33"
    assert main.run(["cluster", "check", *options, "--no-memory"]) == Exit.OK


def test_a_name_of_two_models_is_answered_with_their_short_names(capsys: pytest.CaptureFixture[str]) -> None:
    """They differ in memory, which counts; so nobody guesses which is meant."""
    assert main.run(["cluster", "check", "--chips", "A100 x 50"]) == Exit.USAGE
    assert capsys.readouterr().err.endswith(
        "no accelerator model is called 'A100'; the closest known are A100 40GB, A100 80GB\n"
    )
    assert main.run(["cluster", "check", "--chips", "A100 80GB x 50"]) == Exit.NEGATIVE
    assert "4,000 GB" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("cluster", "check"), ("replay", "azure")])
def test_every_chip_of_the_examples_is_known(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*command, "--help"]) == Exit.OK
    said = capsys.readouterr().out
    named = re.findall(r"--chips '(.+?) x \d+'", said) + re.findall(r"--chip ('.+?'|\w+) --chips", said)
    assert len(named) >= 2
    for name in named:
        find_chip_model(name.strip("'"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--chips", "H100"], "--chips: expected a model and a count"),
        (["--chips", "x 8"], "--chips: expected a model and a count"),
        (["--chips", "H100 x 0"], "whole number above 0"),
        (["--chips", "H100 x -8"], "whole number above 0"),
        (["--chips", "H100 x 1.5"], "whole number above 0"),
        (["--chips", "H100 x 1e10"], "--chips"),
        (["--chips", "Abacus x 8"], "no accelerator model"),
        (["--chips", "H100 x 8", "--network", "fast"], "--network: expected a rate"),
        (["--chips", "H100 x 8", "--network", "-1Gbit/s"], "--network: expected a rate"),
        (["--chips", "H100 x 8", "--network", "25GB/s"], "--network: expected a rate"),
        (["--chips", "H100 x 8", "--network", "0.5bit/s"], "--network: expected a rate"),
        (["--chips", "H100 x 8", "--network", "999999999999999Tbit/s"], "--network"),
        ([], "--chips"),
    ],
)
def test_what_is_no_cluster_is_refused_in_one_line(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["cluster", "check", *options]) == Exit.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_epochs_figures_stand_beside_ours(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(shared / "data" / "epoch" / "gpu_clusters.csv")
    assert main.run(["cluster", "epoch", path]) == Exit.OK
    assert "1,904,167" in capsys.readouterr().out
    assert main.run(["cluster", "epoch", path, "--json"]) == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said["above"]["16"] == 560
    assert {"figure": "above 16 H100e", "ours": 560, "required": 560} in said["comparison"]


def test_a_table_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "models.csv"
    path.write_text("Model\nx\n")
    assert main.run(["cluster", "epoch", str(path)]) == Exit.INVALID
    assert "models.csv:1: expected one column 'Name'" in capsys.readouterr().err


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


def read_told_keys(command: str) -> set[str]:
    """The names in the first column of a command's table in docs/cli.md."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text.split(f"| `{command} --json` | meaning |")[1].split("\n\n")[0]
    return {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}


def test_the_guide_names_every_key_of_the_json(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.run(["cluster", "check", "--chips", "H100 x 16", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said.keys() <= read_told_keys("cluster check")
    run_azure(trace, "--json")
    assert json.loads(capsys.readouterr().out).keys() == read_told_keys("replay azure")


def test_the_guide_names_every_key_of_the_census(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clusters.csv"
    path.write_text("Name,Status,H100 equivalents,Possible Duplicate\nA,Existing,16.1,\n")
    main.run(["cluster", "epoch", str(path), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said.keys() <= read_told_keys("cluster epoch")
    assert said["comparison"][1] == {"figure": "above 16 H100e", "ours": 1, "required": 560}
