"""Reading MLPerf logs: the real ones to their published figures, damaged ones to an error at the line."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.errors import ConfigError
from vetonet.sim.mlperf import (
    MlperfRun,
    MlperfStep,
    find_benchmark,
    parse_mlperf_log,
    parse_power_log,
    parse_system,
)

T0 = 1_700_000_000_000
BATCH = 8


def line(key: str, at_ms: int, value: object = None, **metadata: object) -> str:
    """One line of a log."""
    return ":::MLLOG " + json.dumps({"key": key, "time_ms": T0 + at_ms, "value": value, "metadata": metadata})


def head(**changes: object) -> list[str]:
    """The lines before a run."""
    facts = {
        "submission_benchmark": "llama31_405b",
        "submission_org": "Example",
        "submission_platform": "1xH100",
        "seed": 7,
        "global_batch_size": BATCH,
        "max_sequence_length": 16,
        "train_samples": 999_999,
    } | changes
    return [line(key, 0, value) for key, value in facts.items() if value is not None]


def step(at_ms: int, samples: float, **stats: object) -> str:
    """The line that ends one step."""
    return line("tracked_stats", at_ms, {"train_step_time": 1.0} | stats, step=samples)


RUN_LINES = [
    line("run_start", 1_000),
    line("block_start", 1_000, samples_count=0),
    step(2_000, 8.0, reduced_train_loss=7.5),
    step(3_100, 16.0),
    line("tracked_stats", 3_101, {"throughput": 8.0, "train_step_time": 1.05}, step=0),
    line("block_stop", 3_102, samples_count=0),
    line("eval_start", 3_102, samples_count=16),
    line("tracked_stats", 3_500, {"validation_step_time": 0.3}, step=8),
    line("eval_accuracy", 3_600, 5.0, samples_count=16),
    line("eval_stop", 3_600, samples_count=16),
    line("block_start", 3_600, samples_count=16),
    step(4_700, 24.0),
    line("block_stop", 4_701, samples_count=16),
    line("eval_start", 4_701, samples_count=24),
    line("eval_accuracy", 4_990, 4.0, samples_count=24),
    line("run_stop", 5_000, samples_count=24, status="success"),
]
LOG = [*head(), *RUN_LINES]


def parse(lines: list[str]) -> MlperfRun:
    """Parse lines under a fixed name."""
    return parse_mlperf_log("\n".join(lines) + "\n", name="run.mllog")


def replaced(old: str, new: str) -> list[str]:
    """The good log with one line changed."""
    assert old in LOG
    return [new if found == old else found for found in LOG]


def refusal(lines: list[str]) -> str:
    """The message with which a log is refused; always one line that names a line."""
    with pytest.raises(ConfigError) as caught:
        parse(lines)
    message = str(caught.value)
    assert message.startswith("run.mllog:")
    assert "\n" not in message
    return message


def test_a_small_log_becomes_its_run() -> None:
    run = parse(LOG)
    assert (run.benchmark, run.submitter, run.platform, run.seed) == ("llama31_405b", "Example", "1xH100", 7)
    assert (run.duration_ms, run.samples, run.tokens) == (4_000, 24, 24 * 16)
    assert [(s.start_ms - T0, s.end_ms - T0, s.samples) for s in run.steps] == [
        (1_000, 2_000, 8),
        (2_000, 3_100, 8),
        (3_600, 4_700, 8),
    ]
    assert all(s.is_measured for s in run.steps)


def test_block_averages_and_validation_are_not_counted_as_steps() -> None:
    assert len(parse(LOG).steps) == 3


def test_the_phases_cover_the_run_without_a_hole() -> None:
    run = parse(LOG)
    phases = list(run.iter_phases())
    assert phases[0].start_ms == run.start_ms
    assert phases[-1].end_ms == run.stop_ms
    assert all(a.end_ms == b.start_ms for a, b in pairwise(phases))
    assert sum(phase.samples for phase in phases) == run.samples


def test_the_size_of_the_data_set_is_not_taken_for_the_samples_trained() -> None:
    assert parse(head(train_samples=10**9) + RUN_LINES).samples == 24


def test_other_output_of_the_job_is_ignored_and_prefixes_are_allowed() -> None:
    noisy = ["loading...", ':::SYSJSON {"broken', *(f"0: {found}" for found in LOG), "bye"]
    assert parse(noisy).steps[0].line == 12
    assert parse(noisy).samples == 24


def test_carriage_returns_do_not_matter() -> None:
    assert parse([found + "\r" for found in LOG]).samples == 24


def test_stamps_may_step_back_by_a_few_milliseconds() -> None:
    assert parse(replaced(RUN_LINES[6], line("eval_start", 3_098, samples_count=16))).samples == 24


GPT3 = [
    *head(submission_benchmark="gpt3", train_samples=None),
    line("run_start", 0),
    line("block_stop", 1_001, first_epoch_num=0),
    line("eval_accuracy", 1_001, 2.7, epoch_num=3 * BATCH * 16),
    line("block_start", 1_100, first_epoch_num=3 * BATCH * 16),
    line("block_stop", 2_000, first_epoch_num=3 * BATCH * 16),
    line("eval_accuracy", 2_000, 2.6, epoch_num=5 * BATCH * 16),
    line("run_stop", 2_000, status="success"),
    line("train_samples", 2_001, 5 * BATCH * 16),
]


def test_a_log_without_steps_shares_each_block_evenly() -> None:
    run = parse(GPT3)
    assert [(s.start_ms - T0, s.end_ms - T0) for s in run.steps] == [
        (0, 333),
        (333, 667),
        (667, 1_001),
        (1_100, 1_550),
        (1_550, 2_000),
    ]
    assert not any(s.is_measured for s in run.steps)
    assert run.samples == 40


def test_a_total_after_the_run_that_disagrees_is_refused() -> None:
    assert "expected the 40 samples of the steps, got 41" in refusal(
        [*GPT3[:-1], line("train_samples", 2_001, 41 * 16)]
    )


def test_a_token_count_that_cuts_a_sequence_is_refused() -> None:
    assert "whole sequences of 16" in refusal([*GPT3[:-1], line("train_samples", 2_001, 41)])


def test_an_epoch_number_of_an_unknown_benchmark_is_refused() -> None:
    assert "the unit of epoch_num is not known" in refusal(
        [found.replace('"gpt3"', '"resnet"') for found in GPT3]
    )


# ---------------------------------------------------------------------------------------- negative cases


@pytest.mark.parametrize("count", range(len(head()) + 1, len(LOG)))
def test_a_log_truncated_at_any_line_is_refused(count: int) -> None:
    assert f"run.mllog:{count}: expected run_stop" in refusal(LOG[:count])


def test_a_log_truncated_inside_a_line_is_refused_at_that_line() -> None:
    assert f"run.mllog:{len(LOG)}: expected a JSON object" in refusal([*LOG[:-1], LOG[-1][:-10]])


def test_an_empty_text_is_refused() -> None:
    assert refusal([]) == "run.mllog:1: expected an MLPerf log with :::MLLOG lines, got 'none of them'"


@pytest.mark.parametrize("key", ["submission_benchmark", "global_batch_size", "max_sequence_length"])
def test_a_missing_fact_is_refused(key: str) -> None:
    assert f"expected {key}" in refusal(head(**{key: None}) + RUN_LINES)


@pytest.mark.parametrize("value", ["8", None, True, [8], 0, -8, 8.5, 10**12])
def test_a_batch_size_that_is_no_positive_count_is_refused(value: object) -> None:
    bad = [line("global_batch_size", 0, value), *head(global_batch_size=None), *RUN_LINES]
    assert refusal(bad).startswith("run.mllog:1: expected global_batch_size")


@pytest.mark.parametrize("status", ["aborted", None, "", 1])
def test_a_run_without_success_is_refused(status: object) -> None:
    bad = [*LOG[:-1], line("run_stop", 5_000, samples_count=24, status=status)]
    assert "expected run_stop with status 'success'" in refusal(bad)


@pytest.mark.parametrize("key", ["run_start", "run_stop", "global_batch_size", "seed"])
def test_a_key_that_comes_twice_is_refused_at_the_second(key: str) -> None:
    twice = next(found for found in LOG if f'"{key}"' in found)
    message = refusal([*LOG[:-1], twice, LOG[-1]] if key != "run_stop" else [*LOG, twice])
    assert f"expected one {key}" in message or "time_ms not before" in message


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (":::MLLOG", "a JSON object"),
        (":::MLLOG {", "a JSON object"),
        (":::MLLOG [1]", "a JSON object, got a list"),
        (':::MLLOG {"key": 1}', "a member 'key'"),
        (':::MLLOG {"key": ""}', "a member 'key'"),
        (':::MLLOG {"key": "x"}', "time_ms in milliseconds as a number, got nothing"),
        (':::MLLOG {"key": "x", "time_ms": "now"}', "time_ms"),
        (':::MLLOG {"key": "x", "time_ms": true}', "time_ms"),
        (':::MLLOG {"key": "x", "time_ms": -1}', "time_ms"),
        (':::MLLOG {"key": "x", "time_ms": 1.5e12999999}', "finite number"),
        (':::MLLOG {"key": "x", "time_ms": 1e999999999999999999999}', "a JSON object"),
        (':::MLLOG {"key": "x", "time_ms": NaN}', "the constant NaN"),
        (':::MLLOG {"key": "x", "value": Infinity}', "the constant Infinity"),
        (':::MLLOG {"key": "x", "key": "y"}', "names a member twice"),
        (':::MLLOG {"key": "x", "metadata": 3}', "an object 'metadata'"),
        (":::MLLOG " + "[" * 60_000, "a JSON object"),
        (':::MLLOG {"key": "x", "time_ms": ' + "9" * 5_000 + "}", "a JSON object"),
        (':::MLLOG {"key": "' + "x" * 70_000 + '"}', "a line of at most"),
    ],
)
def test_a_malformed_line_is_refused_at_its_number(bad: str, expected: str) -> None:
    message = refusal([*LOG[:3], bad, *LOG[3:]])
    assert message.startswith("run.mllog:4: expected ")
    assert expected in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (RUN_LINES[3], step(3_100, 8.0), "more samples than at the step before"),
        (RUN_LINES[3], step(3_100, 0.0), "more samples than at the step before"),
        (RUN_LINES[3], step(3_100, 17.0), "a multiple of global_batch_size 8"),
        (RUN_LINES[3], step(3_100, -8.0), "step as the samples so far"),
        (RUN_LINES[3], line("tracked_stats", 3_100, {"train_step_time": 1.0}), "step as the samples so far"),
        (RUN_LINES[3], line("tracked_stats", 3_100, "fast", step=16), "tracked_stats as an object"),
        (RUN_LINES[3], step(3_100, 16, train_step_time=0), "train_step_time as positive seconds"),
        (RUN_LINES[3], step(3_100, 16, train_step_time=-1.0), "train_step_time as positive seconds"),
        (RUN_LINES[3], step(3_100, 16, train_step_time="1"), "train_step_time as a number"),
        (RUN_LINES[3], step(2_000, 16), "a step that ends after"),
        (RUN_LINES[3], step(1_900, 16), "a step that ends after"),
        (RUN_LINES[3], step(900, 16), "time_ms not before"),
        (
            RUN_LINES[6],
            line("eval_start", 3_102, samples_count=8),
            "expected samples not below 16, those so far",
        ),
        (RUN_LINES[6], line("eval_start", 3_102, samples_count=24), "expected the 24 samples counted before"),
        (RUN_LINES[6], line("eval_start", 3_102, samples_count="16"), "samples_count as the samples so far"),
        (
            RUN_LINES[6],
            line("eval_start", 3_102, samples_count=10**16),
            "samples_count as the samples so far",
        ),
        (RUN_LINES[10], line("block_stop", 3_600), "block_start before the next block_stop"),
        (RUN_LINES[4], line("block_start", 3_101), "block_stop before the next block_start"),
        (RUN_LINES[-1], line("run_stop", 5_000, samples_count=23, status="success"), "expected"),
        (RUN_LINES[-1], line("run_stop", 900, samples_count=24, status="success"), "time_ms not before"),
        (RUN_LINES[-1], line("run_stop", 10**12, samples_count=24, status="success"), "within ten years"),
    ],
)
def test_an_impossible_step_is_refused(old: str, new: str, expected: str) -> None:
    assert expected in refusal(replaced(old, new))


def test_a_step_that_ends_after_the_run_is_refused() -> None:
    lines = [*head(), *RUN_LINES[:2], step(2_000, 8), line("run_stop", 1_500, status="success")]
    assert "a step that ends by run_stop" in refusal(lines)


def test_a_run_that_stops_before_it_starts_is_refused() -> None:
    lines = [*head(), line("run_stop", 1_000, status="success"), line("run_start", 500)]
    assert "run_stop after run_start" in refusal(lines)


def test_a_run_that_trained_nothing_is_refused() -> None:
    lines = [*head(), line("run_start", 0), line("run_stop", 500, status="success")]
    assert "steps or sample counts" in refusal(lines)


def test_a_block_without_any_count_is_refused() -> None:
    lines = [*head(), line("run_start", 0), line("block_stop", 9), line("run_stop", 500, status="success")]
    assert "a count of samples after block_stop" in refusal(lines)


def test_more_steps_than_milliseconds_are_refused() -> None:
    stop = line("run_stop", 1_500, samples_count=8_000_000, status="success")
    assert "time for 1000000 steps" in refusal([*head(), line("run_start", 1_000), stop])


def test_an_absurd_count_of_steps_does_not_exhaust_memory() -> None:
    stop = line("run_stop", 10**9, samples_count=10**15, status="success")
    assert "at most 1000000" in refusal([*head(), line("run_start", 1_000), stop])


def test_a_benchmark_without_known_parameters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'resnet' is not known .*gpt3.*state it"):
        find_benchmark("resnet")


def test_a_run_that_does_not_add_up_cannot_exist() -> None:
    one = MlperfStep(start_ms=1, end_ms=3, samples=8, is_measured=True, line=1)
    facts = {"name": "x", "benchmark": "y", "submitter": None, "platform": None, "seed": None}
    counts = {"start_ms": 1, "stop_ms": 9, "global_batch_size": 8, "max_sequence_length": 1}
    with pytest.raises(ValueError, match="add up"):
        MlperfRun(**facts, **counts, samples=9, steps=(one,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overlap"):
        MlperfRun(**facts, **counts, samples=16, steps=(one, one))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes time"):
        MlperfStep(start_ms=3, end_ms=3, samples=8, is_measured=True, line=1)


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_gives_a_run_or_a_config_error(text: str) -> None:
    message = ""
    try:
        parse_mlperf_log(text, name="x")
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_log_gives_a_run_or_a_config_error(data: st.DataObject) -> None:
    lines = list(data.draw(st.sampled_from([LOG, GPT3])))
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "repeat", "swap", "number", "cut"])):
            case "drop" if len(lines) > 1:
                del lines[index]
            case "repeat":
                lines.insert(index, lines[index])
            case "swap":
                lines[index], lines[0] = lines[0], lines[index]
            case "number":
                number = data.draw(st.sampled_from(["0", "-1", "1e40", "null", "8.5", '"8"', "[]", "1e-300"]))
                lines[index] = lines[index].replace("8", number, 1)
            case _:
                lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
    message = ""
    try:
        run = parse(lines)
    except ConfigError as error:
        message = str(error)
    else:
        assert sum(p.end_ms - p.start_ms for p in run.iter_phases()) == run.duration_ms
    assert "\n" not in message


# ------------------------------------------------------------------------------------------------ system

SYSTEM = {
    "system_name": "Eos",
    "number_of_nodes": "64",
    "accelerators_per_node": "8",
    "accelerator_model_name": "NVIDIA H100-SXM5-80GB",
}


def test_a_system_counts_its_chips() -> None:
    system = parse_system(json.dumps(SYSTEM), name="s.json")
    assert (system.nodes, system.accelerators_per_node, system.chips) == (64, 8, 512)
    assert system.chip.name == "NVIDIA H100 SXM5 80GB"
    assert parse_system(json.dumps(SYSTEM | {"number_of_nodes": 2}), name="s").chips == 16


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"number_of_nodes": "many"}, "s.json:3: expected number_of_nodes as a number, got 'many'"),
        ({"number_of_nodes": "0"}, "s.json:3: expected number_of_nodes as a whole number"),
        ({"number_of_nodes": "1.5"}, "s.json:3: expected number_of_nodes as a whole number"),
        ({"number_of_nodes": "1e30"}, "s.json:3: expected number_of_nodes as a whole number"),
        ({"number_of_nodes": None}, "s.json:3: expected number_of_nodes as a number, got nothing"),
        ({"accelerators_per_node": "-8"}, "s.json:4: expected accelerators_per_node"),
        ({"accelerators_per_node": [8]}, "s.json:4: expected accelerators_per_node"),
        (
            {"accelerator_model_name": "NVIDIA H1000"},
            "s.json:5: no accelerator model is called 'NVIDIA H1000'",
        ),
        ({"accelerator_model_name": ""}, "s.json:5: expected accelerator_model_name as text"),
        ({"system_name": 3}, "s.json:2: expected system_name as text"),
    ],
)
def test_a_wrong_member_of_a_system_is_refused_at_its_line(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_system(json.dumps(SYSTEM | change, indent=1), name="s.json")
    assert expected in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}\n{"b": 2}', '{"system_name": NaN}'])
def test_a_system_that_is_not_one_json_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^s.json:\d+: expected"):
        parse_system(text, name="s.json")


@given(st.text(max_size=100))
@settings(max_examples=50)
def test_any_text_gives_a_system_or_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_system(text, name="x")


# ------------------------------------------------------------------------------------------------- power

POWER = [
    line("power_measurement_start", 0),
    line("conversion_eff", 0, 0.94, measurement_type="AC"),
    line("power_reading", 1_000, 100.0, host="a"),
    line("power_reading", 2_000, 300.0, host="a"),
    line("power_reading", 2_000, 50.0, host="b"),
    line("power_measurement_stop", 4_000),
]


def test_energy_holds_each_reading_until_the_next() -> None:
    trace = parse_power_log("\n".join(POWER), name="p")
    assert trace.energy_j == 100 + 300 * 2 + 50 * 2
    assert trace.conversion_efficiency == Fraction(94, 100)


@pytest.mark.parametrize(
    ("index", "new", "expected"),
    [
        (5, "", "expected power_measurement_stop"),
        (0, "", "expected power_measurement_start"),
        (5, line("power_measurement_stop", 500), "time_ms not before|after the last reading"),
        (2, line("power_reading", 1_000, -1.0, host="a"), "power_reading from 0"),
        (2, line("power_reading", 1_000, "hot", host="a"), "power_reading in watts"),
        (2, line("power_reading", 1_000, 1.0, host=3), "host as text"),
        (1, line("conversion_eff", 0, 1.5), "conversion_eff above 0"),
    ],
)
def test_a_damaged_power_log_is_refused(index: int, new: str, expected: str) -> None:
    lines = [*POWER[:index], new, *POWER[index + 1 :]]
    with pytest.raises(ConfigError, match=expected):
        parse_power_log("\n".join(lines), name="p")


def test_a_power_log_without_readings_is_refused() -> None:
    with pytest.raises(ConfigError, match="readings between start and stop"):
        parse_power_log("\n".join([POWER[0], POWER[5]]), name="p")


def test_a_power_log_is_not_taken_for_a_run() -> None:
    with pytest.raises(ConfigError, match="a power log, which holds no run"):
        parse_mlperf_log("\n".join(POWER), name="p")


def test_readings_inside_a_run_are_kept() -> None:
    assert [r.power_w for r in parse([*LOG[:-1], line("power_reading", 4_990, 700.4), LOG[-1]]).power] == [
        700
    ]


# ------------------------------------------------------------------------------------------- real files


def test_the_405b_run_has_its_published_figures(shared: Path) -> None:
    text = (shared / "data/mlperf/v5.0-h100x512-llama31_405b.mllog").read_text(encoding="utf-8")
    run = parse_mlperf_log(text, name="405b")
    assert (run.submitter, run.seed, run.global_batch_size) == ("NVIDIA", 4038, 1_152)
    assert (run.samples, run.max_sequence_length) == (276_480, 8_192)
    assert run.duration_ms == 13_837_001
    assert len(run.steps) == 240
    assert all(s.is_measured and s.samples == 1_152 for s in run.steps)


def test_stamps_agree_with_reported_step_times_but_for_the_start_of_a_block(shared: Path) -> None:
    text = (shared / "data/mlperf/v5.0-h100x512-llama31_405b.mllog").read_text(encoding="utf-8")
    lines, run = text.split("\n"), parse_mlperf_log(text, name="405b")
    apart = []
    for found in run.steps:
        reported_s = json.loads(lines[found.line - 1].removeprefix(":::MLLOG "))["value"]["train_step_time"]
        apart.append(abs(found.duration_ms - reported_s * 1_000))
    assert sum(gap > 2 for gap in apart) == 6
    assert max(apart) < 900


@pytest.mark.parametrize(
    ("log", "samples", "duration_ms", "steps"),
    [("v4.0-h100x512-gpt3", 608_256, 3_147_895, 264), ("v4.0-tpuv5p1024-gpt3", 589_824, 6_887_633, 288)],
)
def test_gpt3_logs_count_tokens_and_are_shared_evenly(
    shared: Path, log: str, samples: int, duration_ms: int, steps: int
) -> None:
    text = (shared / "data" / "mlperf" / f"{log}.mllog").read_text(encoding="utf-8")
    run = parse_mlperf_log(text, name=log)
    assert (run.samples, run.duration_ms, len(run.steps)) == (samples, duration_ms, steps)
    assert sum(p.end_ms - p.start_ms for p in run.iter_phases()) == run.duration_ms


def test_the_real_power_log_gives_its_energy(shared: Path) -> None:
    text = (shared / "data/mlperf/v5.0-b200x8-llama2_70b_lora-power.mllog").read_text(encoding="utf-8")
    trace = parse_power_log(text, name="power")
    assert (len(trace.readings), trace.stop_ms - trace.start_ms) == (624, 658_000)
    assert trace.energy_j == 6_295_681


@pytest.mark.parametrize("name", ["v4.0-h100x512", "v4.0-tpuv5p1024", "v5.0-h100x512"])
def test_the_real_systems_have_512_chips(shared: Path, name: str) -> None:
    text = (shared / "data" / "mlperf" / f"{name}.system.json").read_text(encoding="utf-8")
    assert parse_system(text, name=name).chips == 512
