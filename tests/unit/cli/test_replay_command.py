from __future__ import annotations

import json
from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.exits import Exit

MODELS = (
    "Model,Training compute (FLOP),Training time (hours),Training hardware,Hardware quantity,"
    "Hardware utilization (MFU),Base model,Finetune compute (FLOP)\n"
)
CHIPS = (
    "Hardware name,Tensor-FP16/BF16 performance (FLOP/s),FP16 (half precision) performance (FLOP/s),"
    "FP32 (single precision) performance (FLOP/s),FP64 (double precision) performance (FLOP/s),"
    "TF32 (TensorFloat-32) performance (FLOP/s),FP8 performance (FLOP/s),FP4 performance (FLOP/s)\n"
    "Chip,1e15,,,,,,\n"
)


def mllog(time_ms: int, key: str, value: object, **metadata: object) -> str:
    kind = (
        "INTERVAL_START"
        if key.endswith("start")
        else "INTERVAL_END"
        if key.endswith("stop")
        else "POINT_IN_TIME"
    )
    event = {"namespace": "", "time_ms": time_ms, "event_type": kind, "key": key, "value": value}
    return f":::MLLOG {json.dumps(event | {'metadata': {'file': 'x', 'lineno': 1} | metadata})}\n"


def write_run(folder: Path, *, chips: int = 2, platform: str | None = None) -> tuple[Path, Path]:
    """Write a log of four steps of a minute and its system description."""
    start = 1_700_000_000_000
    lines = [
        mllog(start - 3, "submission_benchmark", "llama31_405b"),
        mllog(start - 2, "global_batch_size", 2),
        mllog(start - 1, "max_sequence_length", 100),
        mllog(start, "run_start", None),
        mllog(start, "block_start", None, samples_count=0),
        mllog(start + 240_000, "block_stop", None, samples_count=8),
        mllog(start + 250_000, "run_stop", None, status="success", samples_count=8),
    ]
    if platform is not None:
        lines.insert(0, mllog(start - 4, "submission_platform", platform))
    log, system = folder / "run.mllog", folder / "system.json"
    log.write_text("".join(lines))
    description = {
        "system_name": "Test",
        "number_of_nodes": 1,
        "accelerators_per_node": chips,
        "accelerator_model_name": "NVIDIA H100-SXM5-80GB",
    }
    system.write_text(json.dumps(description))
    return log, system


def replay(*arguments: str | Path) -> int:
    return main.run(("replay", *map(str, arguments)))


def test_chips_report_exactly_what_the_log_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path, chips=3)
    out = tmp_path / "reports"
    assert replay("mlperf", log, "--system", system, "--interval", "1m", "--out", out, "--json") == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["flop"] == shown["chips_reported_flop"] == 6 * 405 * 10**9 * 8 * 100
    assert shown["reports"] == len(list(out.iterdir())) == 3 * 5
    assert "6 x 405,000,000,000 parameters" in shown["assumption"]
    assert shown["is_exact"]


@pytest.mark.parametrize("platform", ["64xNVIDIA HGX H100", "3x H100", "128xtpu-v5p"])
def test_a_system_of_another_size_than_the_log_names_is_refused(
    platform: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path, platform=platform)
    assert replay("mlperf", log, "--system", system) == Exit.INVALID
    said = capsys.readouterr().err
    assert f"names the system '{platform}', but system.json describes 1 hosts with 2 x" in said


@pytest.mark.parametrize(
    ("platform", "warnings"), [("tpu-v5p", 1), ("1xB200", 1), ("1xNVIDIA HGX H100", 0), ("2xH100", 0)]
)
def test_a_system_of_another_chip_than_the_log_names_is_warned_of(
    platform: str, warnings: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path, platform=platform)
    assert replay("mlperf", log, "--system", system, "--json") == Exit.OK
    assert capsys.readouterr().err.count("see that they belong together") == warnings


def test_the_precision_is_told_to_be_a_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path)
    assert replay("mlperf", log, "--system", system) == Exit.OK
    assert "the log has no precision; " in capsys.readouterr().out
    assert replay("mlperf", log, "--system", system, "--precision", "fp8") == Exit.OK
    assert "fp8 was chosen with --precision" in capsys.readouterr().out


def test_the_assumption_and_the_utilisation_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path)
    assert replay("mlperf", log, "--system", system, "--precision", "fp8") == Exit.OK
    shown = capsys.readouterr().out
    assert "FLOP = 6 x 405,000,000,000 parameters x 800 tokens" in shown
    assert "exactly the derived total" in shown
    assert "metered in this" in shown


@pytest.mark.parametrize(
    ("keep", "expected"),
    [(0, "run.mllog:1: expected"), (3, "run_start"), (6, "run_stop")],
)
def test_a_truncated_log_names_the_line(
    keep: int, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path)
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:keep]))
    assert replay("mlperf", log, "--system", system) == Exit.INVALID
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert expected in said.err


def test_a_malformed_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path)
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:2], ":::MLLOG {broken\n", *lines[2:]]))
    assert replay("mlperf", log, "--system", system, "--json") == Exit.INVALID
    assert "run.mllog:3: " in json.loads(capsys.readouterr().err)["error"]["message"]


def test_an_impossible_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path)
    assert replay("mlperf", log, "--system", system, "--parameters", "1e18") == Exit.INVALID
    said = capsys.readouterr().err
    assert "impossible" in said
    assert said.count("\n") == 1


def test_an_unknown_benchmark_asks_for_its_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path)
    log.write_text(log.read_text().replace("llama31_405b", "bert"))
    assert replay("mlperf", log, "--system", system) == Exit.USAGE
    assert "--parameters" in capsys.readouterr().err
    assert replay("mlperf", log, "--system", system, "--parameters", "340e6") == Exit.OK


def test_an_unknown_chip_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path)
    system.write_text(system.read_text().replace("NVIDIA H100-SXM5-80GB", "Abacus"))
    assert replay("mlperf", log, "--system", system) == Exit.INVALID
    assert "Abacus" in capsys.readouterr().err


def test_too_many_reports_are_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path, chips=8)
    assert replay("mlperf", log, "--system", system, "--interval", "1ms") == Exit.USAGE
    assert "give a longer one" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["log", "system"])
def test_a_missing_file_is_one_line(missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, system = write_run(tmp_path)
    (log if missing == "log" else system).unlink()
    assert replay("mlperf", log, "--system", system) == Exit.INVALID
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_in_use_is_not_filled_with_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, system = write_run(tmp_path)
    assert replay("mlperf", log, "--system", system, "--out", tmp_path) == Exit.USAGE
    assert "new or empty folder" in capsys.readouterr().err


def write_tables(folder: Path, *rows: str) -> Path:
    (folder / "ml_hardware.csv").write_text(CHIPS)
    models = folder / "models.csv"
    models.write_text(MODELS + "".join(f"{row}\n" for row in rows))
    return models


def test_a_row_above_its_peak_is_inconsistent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write_tables(tmp_path, "Fine,1e18,1,Chip,1,,,", "Too much,1e19,1,Chip,1,,,", "Silent,1e19,,,,,,")
    assert replay("epoch", models, "--json") == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert (shown["rows"], shown["judged"], shown["inconsistent"]) == (3, 2, 1)
    assert shown["skipped"]["no-chips"] == 1
    verdicts = {judged["model"]: judged["verdict"] for judged in shown["judgements"]}
    assert verdicts == {"Fine": "possible", "Too much": "impossible"}


def test_the_table_shows_what_is_inconsistent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write_tables(tmp_path, "Fine,1e18,1,Chip,1,,,", "Too much,1e19,1,Chip,1,,,")
    assert replay("epoch", models, "--hardware", tmp_path / "ml_hardware.csv") == Exit.OK
    shown = capsys.readouterr().out
    assert "2 of 2 rows judged: 1 inconsistent, of which 1 are impossible in any format" in shown
    assert "Fine" not in shown


def test_a_table_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write_tables(tmp_path)
    models.write_text("a,b\n1,2\n")
    assert replay("epoch", models) == Exit.INVALID
    assert "models.csv:1: expected one column" in capsys.readouterr().err


def test_a_cell_that_is_no_number_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write_tables(tmp_path, "Odd,many,1,Chip,1,,,")
    assert replay("epoch", models) == Exit.INVALID
    assert "models.csv:2: " in capsys.readouterr().err


def test_a_missing_table_of_chips_names_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_tables(tmp_path)
    (tmp_path / "ml_hardware.csv").unlink()
    assert replay("epoch", models) == Exit.INVALID
    assert "--hardware" in capsys.readouterr().err


def test_the_real_table_has_135_rows_to_judge_and_17_inconsistent(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay("epoch", shared / "data" / "epoch" / "notable_ai_models.csv", "--json") == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert (shown["judged"], shown["inconsistent"]) == (135, 17)
    assert shown["judged"] + sum(shown["skipped"].values()) == shown["rows"]
