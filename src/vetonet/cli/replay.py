"""``vetonet replay``: real logs and tables through the real meters and rules."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.output import (
    examples,
    format_duration,
    format_flop,
    json_option,
    note,
    print_json,
    print_line,
    print_table,
    warn,
)
from vetonet.cli.parameters import COUNT, DURATION
from vetonet.cli.replay_azure import azure
from vetonet.errors import ConfigError
from vetonet.units import Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.cli.replay_fleet import Metered
    from vetonet.sim.epoch import EpochJudgement, EpochReport
    from vetonet.sim.mlperf import MlperfRun, MlperfSystem, MlperfWorkload
    from vetonet.units import Precision

PRECISIONS: Final = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8")
HARDWARE_FILE: Final = "ml_hardware.csv"

_SHOWN_CHARS: Final = 60
_PLATFORM_COUNT: Final = re.compile(r"(\d{1,6})\s?x", re.ASCII | re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z]*\d*[a-z]*", re.ASCII)


@click.group(
    epilog=examples(
        "vetonet replay mlperf llama31_405b.mllog --system h100x512.system.json",
        "vetonet replay azure AzureLLMInferenceTrace_conv.csv --parameters 70e9 --chip H100 --chips 8",
        "vetonet replay epoch notable_ai_models.csv",
    ),
)
def replay() -> None:
    """Run real logs and tables through vetonet."""


replay.add_command(azure)


@replay.command(
    epilog=examples(
        "vetonet replay mlperf v5.0-h100x512-llama31_405b.mllog --system v5.0-h100x512.system.json",
        "vetonet replay mlperf run.mllog --system system.json --parameters 70e9 --precision fp8 --json",
    ),
)
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "--system",
    "system_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The system description (JSON) that was submitted with the log.",
)
@click.option("--parameters", type=COUNT, help="N, where the benchmark's is not known: 405e9.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Meter in this format; logs do not say.  [default: the slowest plausible]",
)
@click.option(
    "--interval",
    "interval_ms",
    type=DURATION,
    default="10m",
    show_default=True,
    help="Chips report so often.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write every signed report to this new folder.")
@json_option
def mlperf(
    *,
    log: Path,
    system_path: Path,
    parameters: int | None,
    precision: str | None,
    interval_ms: Milliseconds,
    out: Path | None,
    as_json: bool,
) -> int:
    """Derive what the run in LOG computed, and let a fleet of simulated chips meter and report it.

    The count is 6 FLOP per parameter and token. Every chip signs a report each interval; the reports must add
    up to the derived total exactly, or the exit code is 1.
    """
    from vetonet.cli.files import require_empty
    from vetonet.cli.replay_fleet import meter_workload
    from vetonet.cli.replay_reports import require_affordable, write_reports

    run, system = _read_run(log), _read_system(system_path)
    _compare_platforms(run, system)
    workload = _derive(run, system, parameters, precision)
    reports = workload.chips * -(-workload.duration_ms // interval_ms)
    require_affordable(reports)
    if out is not None:
        require_empty(out)
    note(f"{workload.chips} chips meter and sign {reports} reports ...")
    metered = meter_workload(workload, interval_ms)
    if out is not None:
        write_reports(out, metered)
    if as_json:
        print_json(_describe_replay(run, system, workload, metered, interval_ms))
    else:
        _print_replay(run, system, workload, metered, interval_ms, is_chosen=precision is not None)
    return Exit.OK if metered.flop == workload.flop else Exit.NEGATIVE


def _read_run(path: Path) -> MlperfRun:
    from vetonet.sim.mlperf import parse_mlperf_log, text_from_bytes

    data = read_input(path, "an MLPerf result log")
    try:
        return parse_mlperf_log(text_from_bytes(data, name=path.name), name=path.name)
    except ConfigError as error:
        message = f"{error}; expected a complete, successful MLPerf Training result log"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _read_system(path: Path) -> MlperfSystem:
    from vetonet.sim.mlperf import parse_system, text_from_bytes

    data = read_input(path, "an MLPerf system description")
    try:
        return parse_system(text_from_bytes(data, name=path.name), name=path.name)
    except ConfigError as error:
        raise Failure(str(error), code=Exit.INVALID, reason=error.reason) from error


def _compare_platforms(run: MlperfRun, system: MlperfSystem) -> None:
    """Log and system description are of one system, as far as the log says: ``64xNVIDIA HGX H100``.

    Raises:
        Failure: the log's count is neither the hosts nor the accelerators of the system.
    """
    if run.platform is None:
        return
    count, platform = _PLATFORM_COUNT.match(run.platform), ascii(run.platform[:_SHOWN_CHARS])
    described = f"{system.name} describes {system.nodes} hosts with {system.chips} x {system.chip.name}"
    if count is not None and int(count[1]) not in {system.nodes, system.chips}:
        message = f"{run.name} names the system {platform}, but {described}; give the log's own"
        raise Failure(message, code=Exit.INVALID, reason=ConfigError.reason)
    names = (system.chip.name, *system.chip.aliases, system.system_name)
    models = {word for name in names for word in _WORD.findall(name.casefold()) if _is_model(word)}
    if not any(model in run.platform.casefold() for model in models):
        warn(f"{run.name} names the system {platform}, but {described}; see that they belong together")


def _is_model(word: str) -> bool:
    """Whether a word can name a chip, as ``h100`` and ``v5p`` do."""
    return not (word.isalpha() or word.isdecimal() or not word)


def _derive(
    run: MlperfRun, system: MlperfSystem, parameters: int | None, precision: str | None
) -> MlperfWorkload:
    from vetonet.sim.mlperf import derive_workload, find_benchmark, find_plausible_precision
    from vetonet.units import Precision

    try:
        count = parameters or find_benchmark(run.benchmark).parameters
    except ConfigError as error:
        raise Failure(f"{run.name}: {error} with --parameters", reason=error.reason) from error
    try:
        chosen = (
            Precision(precision) if precision else find_plausible_precision(run, system, parameters=count)
        )
        return derive_workload(run, system, parameters=count, precision=chosen)
    except ConfigError as error:
        message = f"{error}; see that LOG and --system belong together, or give --parameters and --precision"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _describe_replay(
    run: MlperfRun,
    system: MlperfSystem,
    workload: MlperfWorkload,
    metered: Metered,
    interval_ms: Milliseconds,
) -> dict[str, Any]:
    return {
        "log": run.name,
        "benchmark": run.benchmark,
        "submitter": run.submitter,
        "system": system.system_name,
        "chip": workload.chip.name,
        "chips": workload.chips,
        "start_ms": workload.start_ms,
        "stop_ms": workload.stop_ms,
        "duration_ms": workload.duration_ms,
        "training_ms": run.training_ms,
        "steps": len(workload.steps),
        "samples": run.samples,
        "tokens": workload.tokens,
        "parameters": workload.parameters,
        "assumption": workload.assumption,
        "flop": workload.flop,
        "precision": workload.precision.value,
        "utilisation": {precision.value: _to_permille(share) for precision, share in workload.utilisations},
        "interval_ms": interval_ms,
        "reports": len(metered.reports),
        "chips_reported_flop": metered.flop,
        "is_exact": metered.flop == workload.flop,
        "chips_held_back": metered.throttled,
    }


def _to_permille(share: Fraction) -> float:
    return round(share * 1000) / 1000


def _print_replay(
    run: MlperfRun,
    system: MlperfSystem,
    workload: MlperfWorkload,
    metered: Metered,
    interval_ms: Milliseconds,
    *,
    is_chosen: bool,
) -> None:
    print_line(f"{run.benchmark} by {run.submitter or 'an unnamed submitter'} on {system.system_name}")
    print_line(workload.assumption)
    print_line()
    measured = sum(step.is_measured for step in run.steps)
    facts = [
        ("chips", f"{workload.chips} x {workload.chip.name}"),
        ("started", format_time(workload.start_ms)),
        (
            "duration",
            f"{format_duration(run.duration_ms)}, of it training {format_duration(run.training_ms)}",
        ),
        ("steps", f"{len(run.steps)}, of them {measured} with a time stamp of their own"),
        ("samples", f"{run.samples:,} sequences of {run.max_sequence_length:,} tokens"),
        ("FLOP", f"{format_flop(workload.flop)} ({workload.flop})"),
    ]
    print_table(("run", ""), facts)
    print_line()
    print_table(("precision", "mean utilisation of the dense peak", ""), _list_utilisations(workload))
    print_line(_explain_precision(workload, is_chosen=is_chosen))
    print_line()
    for reason, count in metered.throttled.items():
        print_line(f"{count} times a chip did less than was recorded: {reason}")
    verdict = "exactly the derived total" if metered.flop == workload.flop else "NOT the derived total"
    print_line(
        f"{workload.chips} chips signed {len(metered.reports)} reports, one per chip and "
        f"{format_duration(interval_ms)}; together they state {metered.flop} FLOP: {verdict}"
    )


def _explain_precision(workload: MlperfWorkload, *, is_chosen: bool) -> str:
    from vetonet.sim.mlperf import PLAUSIBLE_UTILISATION, percent

    if is_chosen:
        return f"the log has no precision; {workload.precision} was chosen with --precision"
    limit = percent(PLAUSIBLE_UTILISATION)
    why = f"the slowest format below {limit} of its peak, or else the fastest"
    return f"the log has no precision; {workload.precision} is a choice: {why}"


def _list_utilisations(workload: MlperfWorkload) -> list[tuple[str, str, str]]:
    from vetonet.sim.mlperf import PLAUSIBLE_UTILISATION, percent

    def judge(precision: Precision, share: Fraction) -> str:
        if share > 1:
            return "impossible"
        metered = "metered in this" if precision is workload.precision else ""
        return metered or ("implausibly high" if share > PLAUSIBLE_UTILISATION else "")

    return [(p.value, percent(share), judge(p, share)) for p, share in workload.utilisations]


@replay.command(
    epilog=examples(
        "vetonet replay epoch notable_ai_models.csv",
        "vetonet replay epoch notable_ai_models.csv --hardware ml_hardware.csv --json",
    ),
)
@click.argument("csv", type=click.Path(path_type=Path))
@click.option(
    "--hardware",
    type=click.Path(path_type=Path),
    help=f"Epoch's table of chips.  [default: {HARDWARE_FILE} beside CSV]",
)
@json_option
def epoch(csv: Path, hardware: Path | None, *, as_json: bool) -> None:
    """Judge each model in CSV, Epoch's table: could its chips have done its declared FLOP in its hours?

    A row is inconsistent where the declared FLOP exceed chips x hours x the 16-bit peak, and impossible where
    they exceed even the chip's fastest format. Rows without chips, hours, one chip type or FLOP are skipped
    and counted.
    """
    report = _read_epoch(csv, hardware or csv.with_name(HARDWARE_FILE))
    if as_json:
        print_json(_describe_epoch(report))
    else:
        _print_epoch(report)


def _read_epoch(models_path: Path, hardware_path: Path) -> EpochReport:
    from vetonet.sim.epoch import judge_consistency, parse_hardware_csv, parse_models_csv
    from vetonet.sim.mlperf import text_from_bytes

    models_data = read_input(models_path, "Epoch's table of models")
    hardware_data = read_input(hardware_path, "Epoch's table of chips (--hardware)")
    try:
        models = parse_models_csv(text_from_bytes(models_data, name=models_path.name), name=models_path.name)
        text = text_from_bytes(hardware_data, name=hardware_path.name)
        return judge_consistency(models, parse_hardware_csv(text, name=hardware_path.name))
    except ConfigError as error:
        message = f"{error}; expected Epoch's tables of notable models and of hardware, as exported"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _describe_epoch(report: EpochReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "judged": len(report.judgements),
        "inconsistent": len(report.inconsistent),
        "impossible": len(report.impossible),
        "skipped": {reason.value: count for reason, count in report.skip_counts},
        "with_utilisation": len(report.with_mfu),
        "agreeing_with_utilisation": len(report.agreeing_with_mfu),
        "judgements": [_describe_judgement(judgement) for judgement in report.judgements],
    }


def _describe_judgement(judgement: EpochJudgement) -> dict[str, Any]:
    model = judgement.model
    return {
        "model": model.name,
        "line": model.line,
        "verdict": judgement.verdict.value,
        "declared_flop": model.declared_flop,
        "training_limit_flop": judgement.training_limit_flop,
        "highest_limit_flop": judgement.highest_limit_flop,
        "chips": model.chips,
        "hours": float(model.hours or 0),
        "chip": judgement.chip.name,
        "reason": judgement.reason,
        "is_explained_by_base_model": judgement.is_explained_by_base_model,
    }


def _print_epoch(report: EpochReport) -> None:
    columns = ("model", "line", "declared FLOP", "limit", "verdict", "reason")
    print_table(columns, map(_to_epoch_row, report.inconsistent), right=("line", "declared FLOP", "limit"))
    print_line()
    judged, wrong, impossible = len(report.judgements), len(report.inconsistent), len(report.impossible)
    print_line(
        f"{judged} of {report.rows} rows judged: {wrong} inconsistent, "
        f"of which {impossible} are impossible in any format"
    )
    skipped = ", ".join(f"{count} {reason.value}" for reason, count in report.skip_counts if count)
    print_line(f"skipped: {skipped or 'none'}")
    agreeing, stated = len(report.agreeing_with_mfu), len(report.with_mfu)
    print_line(
        f"{agreeing} of {stated} judged rows that state a utilisation agree with it within a factor of 1.5"
    )


def _to_epoch_row(judgement: EpochJudgement) -> tuple[str, ...]:
    model = judgement.model
    return (
        model.name,
        str(model.line),
        format_flop(model.declared_flop or 0),
        format_flop(judgement.training_limit_flop),
        judgement.verdict.value,
        judgement.reason,
    )
