from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vetonet.sim.mlperf import parse_mlperf_log, parse_system, text_from_bytes
from vetonet.sim.recorded_run import build_run, build_system, build_workload


def test_every_transcribed_figure_is_the_logs(shared: Path) -> None:
    folder = shared / "data" / "mlperf"
    data = (folder / "v5.0-h100x512-llama31_405b.mllog").read_bytes()
    parsed = parse_mlperf_log(text_from_bytes(data, name="log"), name="log")
    steps = tuple(replace(step, line=1) for step in parsed.steps)
    assert build_run() == replace(parsed, name=build_run().name, steps=steps)


def test_the_transcribed_machine_is_the_logs(shared: Path) -> None:
    text = (shared / "data" / "mlperf" / "v5.0-h100x512.system.json").read_text(encoding="utf-8")
    assert build_system() == replace(parse_system(text, name="system"), name=build_system().name)


def test_the_run_is_5_50e21_operations_in_230_62_minutes() -> None:
    """requirements number 12: 276,480 samples x 8,192 tokens x 6 x 405e9."""
    workload = build_workload()
    assert workload.flop == 6 * 405 * 10**9 * 276_480 * 8_192
    assert workload.chips == 512
    assert round(workload.duration_ms / 60_000, 2) == 230.62
