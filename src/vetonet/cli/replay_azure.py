"""``vetonet replay azure``: an hour of real requests, served and metered by simulated chips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
)
from vetonet.cli.parameters import COUNT, DURATION
from vetonet.errors import ConfigError
from vetonet.units import Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.attester.models import ChipModel
    from vetonet.cli.replay_fleet import Metered
    from vetonet.sim.azure import InferenceTrace, ServingWorkload


@click.command(
    epilog=examples(
        "vetonet replay azure AzureLLMInferenceTrace_conv.csv --parameters 70e9 --chip H100 --chips 8",
        "vetonet replay azure trace.csv --parameters 70e9 --chip 'A100 80GB' --chips 64 --interval 1m --json",
    ),
)
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--parameters", type=COUNT, required=True, help="N of the model that serves: 70e9.")
@click.option("--chip", "chip_name", required=True, help="What the fleet is made of: H100.")
@click.option("--chips", type=COUNT, required=True, help="How many of them serve.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8"]),
    default="bf16",
    show_default=True,
    help="Meter in this format.",
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
def azure(
    *,
    trace: Path,
    parameters: int,
    chip_name: str,
    chips: int,
    precision: str,
    interval_ms: Milliseconds,
    out: Path | None,
    as_json: bool,
) -> int:
    """Let a fleet of simulated chips serve the requests in TRACE, and meter FLOP and tokens.

    TRACE is in the format of the Azure LLM inference data set. The count is 2 FLOP per parameter and token,
    read or written. Every chip signs a report each interval; the reports must add up to the trace's FLOP and
    tokens exactly, or the exit code is 1.
    """
    from vetonet.cli.files import require_empty
    from vetonet.cli.replay_fleet import meter_serving
    from vetonet.cli.replay_reports import write_reports

    recorded = _read_trace(trace)
    workload = _derive(
        recorded,
        chip=_find_chip(chip_name),
        chips=chips,
        parameters=parameters,
        precision=precision,
        interval_ms=interval_ms,
    )
    if out is not None:
        require_empty(out)
    note(f"{chips} chips meter and sign {chips * len(workload.counts)} reports ...")
    metered = meter_serving(workload)
    if out is not None:
        write_reports(out, metered)
    if as_json:
        print_json(_describe(recorded, workload, metered))
    else:
        _print(recorded, workload, metered)
    return Exit.OK if _is_exact(workload, metered) else Exit.NEGATIVE


def _read_trace(path: Path) -> InferenceTrace:
    from vetonet.sim.azure import parse_azure_trace, text_from_bytes

    data = read_input(path, "a trace of LLM inference")
    try:
        return parse_azure_trace(text_from_bytes(data, name=path.name), name=path.name)
    except ConfigError as error:
        message = f"{error}; expected a trace in the format of Azure's LLM inference data set"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _find_chip(name: str) -> ChipModel:
    from vetonet.attester.models import find_chip_model

    try:
        return find_chip_model(name)
    except ConfigError as error:
        raise Failure(f"--chip: {error}", reason=error.reason) from error


def _derive(
    trace: InferenceTrace,
    *,
    chip: ChipModel,
    chips: int,
    parameters: int,
    precision: str,
    interval_ms: Milliseconds,
) -> ServingWorkload:
    from vetonet.cli.replay_reports import require_affordable
    from vetonet.sim.azure import ServingWorkload, count_intervals
    from vetonet.units import Precision

    require_affordable(chips * count_intervals(trace, interval_ms))
    try:
        return ServingWorkload(
            name=trace.name,
            chip=chip,
            chips=chips,
            precision=Precision(precision),
            parameters=parameters,
            start_ms=trace.start_ms,
            interval_ms=interval_ms,
            counts=trace.count_by(interval_ms),
        )
    except ConfigError as error:
        message = f"{error}; see --chip, --chips, --parameters and --precision"
        raise Failure(message, reason=error.reason) from error


def _is_exact(workload: ServingWorkload, metered: Metered) -> bool:
    return (metered.flop, metered.tokens) == (workload.flop, workload.total.generated)


def _describe(trace: InferenceTrace, workload: ServingWorkload, metered: Metered) -> dict[str, Any]:
    total = workload.total
    return {
        "trace": trace.name,
        "requests": total.requests,
        "context_tokens": total.context,
        "generated_tokens": total.generated,
        "start_ms": workload.start_ms,
        "stop_ms": workload.stop_ms,
        "chip": workload.chip.name,
        "chips": workload.chips,
        "parameters": workload.parameters,
        "precision": workload.precision.value,
        "assumption": workload.assumption,
        "flop": workload.flop,
        "interval_ms": workload.interval_ms,
        "reports": len(metered.reports),
        "chips_reported_flop": metered.flop,
        "chips_reported_tokens": metered.tokens,
        "is_exact": _is_exact(workload, metered),
        "chips_held_back": metered.throttled,
    }


def _print(trace: InferenceTrace, workload: ServingWorkload, metered: Metered) -> None:
    total = workload.total
    print_line(workload.assumption)
    print_line()
    facts = [
        ("trace", trace.name),
        ("requests", f"{total.requests:,}"),
        ("tokens read", f"{total.context:,}"),
        ("tokens written", f"{total.generated:,}"),
        ("first request", format_time(workload.start_ms)),
        ("chips", f"{workload.chips} x {workload.chip.name}, {workload.precision}"),
        ("FLOP", f"{format_flop(workload.flop)} ({workload.flop})"),
        ("mean utilisation", f"{_spell_utilisation(workload)} of the dense peak"),
    ]
    print_table(("serving", ""), facts)
    print_line()
    for reason, count in metered.throttled.items():
        print_line(f"{count} times a chip did less than was recorded: {reason}")
    verdict = "exactly the trace's" if _is_exact(workload, metered) else "NOT the trace's"
    print_line(
        f"{workload.chips} chips signed {len(metered.reports)} reports, one per chip and "
        f"{format_duration(workload.interval_ms)}; together they state {metered.flop} FLOP and "
        f"{metered.tokens} tokens put out: {verdict}"
    )


def _spell_utilisation(workload: ServingWorkload) -> str:
    from vetonet.sim.mlperf import percent

    return percent(workload.utilisation)
