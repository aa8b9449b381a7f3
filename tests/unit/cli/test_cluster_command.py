"""``vetonet cluster``: what is covered, and how many of the known ones are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.exits import Exit


def test_fifteen_h100_are_not_covered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cluster", "check", "--chips", "H100 x 15"]) == Exit.OK
    assert "not covered" in capsys.readouterr().out


def test_seventeen_h100_are_covered_by_compute_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cluster", "check", "--chips", "H100 x 17"]) == Exit.NEGATIVE
    assert "covered, by compute and memory" in capsys.readouterr().out


def test_the_json_states_exact_fractions(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--chips", "NVIDIA A100 SXM4 80 GB x 50", "--network", "100Mbit/s", "--json"]
    assert main.run(["cluster", "check", *options]) == Exit.NEGATIVE
    said = json.loads(capsys.readouterr().out)
    assert said["exceeded"] == ["memory"]
    assert said["criteria"][0]["value"] == "520/33"
    assert main.run(["cluster", "check", *options, "--no-memory"]) == Exit.OK


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
    assert json.loads(capsys.readouterr().out)["above"]["16"] == 560


def test_a_table_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "models.csv"
    path.write_text("Model\nx\n")
    assert main.run(["cluster", "epoch", str(path)]) == Exit.INVALID
    assert "models.csv:1: expected one column 'Name'" in capsys.readouterr().err
