"""``vetonet cluster``: is a cluster covered, and how many of the known ones are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.output import examples, json_option, print_json, print_line, print_table
from vetonet.errors import ConfigError
from vetonet.units import parse_count, show

if TYPE_CHECKING:
    from vetonet.policy.covered_cluster import ChipGroup, ClusterJudgement, Measure
    from vetonet.sim.epoch_clusters import ClusterCensus

PUBLISHED: Final = (
    ("existing clusters with a size", "574"),
    ("above 16 H100e", "560"),
    ("above 100 H100e", "329"),
    ("above 1,000 H100e", "163"),
    ("above 10,000 H100e", "33"),
    ("H100e together", "1.904e6"),
)
"""What the export of November 2025 comes to."""

_CHIPS: Final = re.compile(r"(.{1,60}?)\s+[xX]\s+(\S{1,30})")
_RATE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s?([kMGT]?)bit/s", re.ASCII)
_RATE_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@click.group(
    epilog=examples(
        "vetonet cluster check --chips 'H100 x 16'",
        "vetonet cluster check --chips 'NVIDIA A100 SXM4 80 GB x 50' --network 100Mbit/s --json",
        "vetonet cluster epoch gpu_clusters.csv",
    )
)
def cluster() -> None:
    """Tell which clusters of chips are covered, and must be registered."""


@cluster.command(
    "check",
    epilog=examples(
        "vetonet cluster check --chips 'H100 x 16'",
        "vetonet cluster check --chips 'NVIDIA A100 SXM4 80 GB x 50' --chips 'L40S x 8' --network 100Mbit/s",
    ),
)
@click.option(
    "--chips", "chips", multiple=True, required=True, help="Model and count: 'H100 x 8'; may come repeatedly."
)
@click.option(
    "--network", default="0bit/s", show_default=True, help="All links between its sites, summed: 25Gbit/s."
)
@click.option(
    "--no-memory",
    is_flag=True,
    help="Leave out the memory criterion, which is an amendment's, not the draft's.",
)
@json_option
def judge_chips(*, chips: tuple[str, ...], network: str, no_memory: bool, as_json: bool) -> int:
    """Say whether chips that stand or work together are a covered cluster.

    Covered are more than 16 H100-equivalents (990 TFLOP/s dense in 16 bits each), more than 25 Gbit/s between
    sites, or more than 1,280 GB of accelerator memory. Exit code 0: not covered; 1: covered.
    """
    from vetonet.policy.covered_cluster import judge_cluster

    groups = [_read_chips(text) for text in chips]
    try:
        judgement = judge_cluster(groups, network_bit_per_s=_read_rate(network), with_memory=not no_memory)
    except ValueError as error:
        raise Failure(f"--network: {error}") from error
    if as_json:
        print_json(_describe(judgement))
    else:
        _print(judgement)
    return Exit.NEGATIVE if judgement.is_covered else Exit.OK


def _read_chips(text: str) -> ChipGroup:
    from vetonet.attester.models import find_chip_model
    from vetonet.policy.covered_cluster import ChipGroup
    from vetonet.units import Precision

    found = _CHIPS.fullmatch(text.strip())
    if found is None:
        raise Failure(f"--chips: expected a model and a count, such as 'H100 x 8', got {show(text)}")
    try:
        model, count = find_chip_model(found[1]), parse_count(found[2])
        rates = dict(model.peak_flop_per_s)
        rate = max(rates.get(Precision.FP16, 0), rates.get(Precision.BF16, 0))
        return ChipGroup(chips=count, flop_per_s=rate, memory_bytes=model.memory_bytes)
    except ConfigError as error:
        raise Failure(f"--chips: {error}", reason=error.reason) from error
    except ValueError as error:
        raise Failure(f"--chips: {error}, in {show(text)}") from error


def _read_rate(text: str) -> int:
    """Return whole bits per second from such as ``100Mbit/s``."""
    found = _RATE.fullmatch(text.strip())
    rate = Fraction(found[1]) * _RATE_UNITS[found[2]] if found else Fraction(1, 2)
    if rate.denominator != 1:
        raise Failure(f"--network: expected a rate such as 25Gbit/s or 100Mbit/s, got {show(text)}")
    return int(rate)


def _describe(judgement: ClusterJudgement) -> dict[str, Any]:
    return {
        "is_covered": judgement.is_covered,
        "exceeded": [criterion.value for criterion in judgement.exceeded],
        "criteria": [_describe_measure(measure) for measure in judgement.measures],
    }


def _describe_measure(measure: Measure) -> dict[str, Any]:
    """The value is exact: a fraction in lowest terms, as text."""
    return {
        "criterion": measure.criterion.value,
        "value": str(measure.value),
        "limit": measure.limit,
        "unit": _UNITS[measure.criterion.value],
        "is_exceeded": measure.is_exceeded,
    }


_UNITS: Final = {"compute": "H100e", "network": "bit/s", "memory": "B"}


def _print(judgement: ClusterJudgement) -> None:
    rows = [
        (
            measure.criterion.value,
            f"{_spell(measure.value)} {_UNITS[measure.criterion.value]}",
            f"{measure.limit:,}",
            "above it" if measure.is_exceeded else "within it",
        )
        for measure in judgement.measures
    ]
    print_table(("criterion", "this cluster", "limit", ""), rows, right=("this cluster", "limit"))
    print_line()
    if judgement.is_covered:
        print_line(f"covered, by {' and '.join(judgement.exceeded)}: it must be registered")
    else:
        print_line("not covered; that says nothing of what several such clusters do together")


def _spell(value: Fraction) -> str:
    """Return a value with at most three decimals, rounded down, without a float."""
    whole, rest = divmod(value.numerator * 1_000 // value.denominator, 1_000)
    return f"{whole:,}" if value.denominator == 1 else f"{whole:,}.{rest:03}"


@cluster.command(
    epilog=examples("vetonet cluster epoch gpu_clusters.csv", "vetonet cluster epoch FILE --json")
)
@click.argument("csv", type=click.Path(path_type=Path))
@json_option
def epoch(csv: Path, *, as_json: bool) -> None:
    """Count the existing clusters in CSV, Epoch's table, above 16 H100-equivalents and above other sizes.

    Beside our count stands that of the export of November 2025; another export has other figures.
    """
    census = _read_census(csv)
    if as_json:
        print_json(_describe_census(census))
        return
    rows = [(*row, ours) for row, ours in zip(PUBLISHED, _spell_census(census), strict=True)]
    print_table(("", "November 2025", "this file"), rows, right=("November 2025", "this file"))
    print_line()
    print_line(f"{census.rows} rows; {census.duplicates} of those counted may be another row's duplicate")


def _read_census(path: Path) -> ClusterCensus:
    from vetonet.sim.epoch_clusters import count_clusters, parse_clusters_csv
    from vetonet.sim.mlperf import text_from_bytes

    data = read_input(path, "Epoch's table of clusters")
    try:
        return count_clusters(parse_clusters_csv(text_from_bytes(data, name=path.name), name=path.name))
    except ConfigError as error:
        message = f"{error}; expected Epoch's table of GPU clusters, as exported"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _spell_census(census: ClusterCensus) -> Sequence[str]:
    total = int(census.total_h100e)
    above = (str(count) for _, count in census.above)
    return (str(census.sized), *above, f"{total:,}")


def _describe_census(census: ClusterCensus) -> dict[str, Any]:
    return {
        "rows": census.rows,
        "sized": census.sized,
        "above": {str(threshold): count for threshold, count in census.above},
        "total_h100e": int(census.total_h100e),
        "possible_duplicates": census.duplicates,
    }
