"""``vetonet treaty``: found a treaty with all its keys, or read one in plain words."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import (
    examples,
    json_option,
    note,
    print_json,
    print_line,
    spell_command,
    warn,
)
from vetonet.cli.parameters import DURATION, FLOP, NAME
from vetonet.cli.treaty_commands import diff, power, presets, print_mistakes
from vetonet.cli.treaty_draft import draft
from vetonet.cli.treaty_founding import founding
from vetonet.cli.treaty_succeed import succeed
from vetonet.policy.default_times import (
    DEFAULT_LEASE_MS,
    DEFAULT_REPORT_GRACE_MS,
    DEFAULT_REPORT_INTERVAL_MS,
    DEFAULT_SIGNING_MS,
    DEFAULT_WINDOW_MS,
)
from vetonet.units import Rng, spell_duration

if TYPE_CHECKING:
    from vetonet.policy.plan import TreatyPlan


@click.group(
    epilog=examples(
        "vetonet treaty new --out trial --parties 7 --min-grants 5 --veto P1 --veto P2",
        "vetonet treaty show trial",
    ),
)
def treaty() -> None:
    """Found a treaty, or read one."""


@treaty.command(
    epilog=examples(
        "vetonet treaty new --out trial --parties 3 --min-grants 2 --veto P1 --monitored-flop 1e21",
        "vetonet treaty new --out trial --party Alfa --party Bravo --party Cito --operator lab:Alfa",
        "vetonet treaty new --out trial --preset council-of-fifteen",
    ),
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new or empty folder for the result."
)
@click.option("--preset", help="A treaty that comes with vetonet; `vetonet treaty presets` lists them.")
@click.option(
    "--file",
    "plan_path",
    type=click.Path(path_type=Path),
    help="A treaty's file (docs/treaties.md); with it, or a preset, no other option shapes the treaty.",
)
@click.option("--name", help="What the treaty is called.  [default: Trial treaty]")
@click.option(
    "--parties",
    type=click.IntRange(min=1),
    help="So many, called P1, P2, ..., at most 64.  [default: 5]",
)
@click.option(
    "--party", "party_ids", type=NAME, multiple=True, help="A party by name; repeat, instead of --parties."
)
@click.option(
    "--min-grants", type=click.IntRange(min=1), help="How many must grant.  [default: a bare majority]"
)
@click.option(
    "--minority", "is_minority", is_flag=True, help="Allow --min-grants of half the parties or fewer."
)
@click.option("--veto", "veto_ids", type=NAME, multiple=True, help="A party that can veto alone; repeat.")
@click.option(
    "--monitored-flop",
    type=FLOP,
    default="1e21",
    show_default=True,
    help="From this total on a run needs a licence.",
)
@click.option("--forbidden-flop", type=FLOP, help="From this total on nobody may license it.")
@click.option(
    "--operator",
    "operators",
    multiple=True,
    metavar="NAME[:PARTY]",
    help="Who may propose; repeat.  [default: op1]",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="NAME:OWNER",
    help="Who stands behind an operator; repeat.  [default: nobody else]",
)
@click.option(
    "--totals",
    type=click.Choice(["open", "confidential"]),
    help="Whether reports say how much was computed, or commit to it.  [default: open]",
)
@click.option(
    "--maker",
    "makers",
    multiple=True,
    metavar="NAME[:KIND]",
    help="A chip maker, its attesters SIMULATED or of KIND, such as TPM2; repeat.  [default: maker1]",
)
@click.option(
    "--max-colluding",
    type=click.IntRange(min=0),
    help="So many of the parties' witnesses may collude (f).  [default: just under a third]",
)
@click.option(
    "--witness-quorum",
    type=click.IntRange(min=1),
    help="So many of them must cosign the log (k), with 2k - n > f.  [default: the fewest that allows]",
)
@click.option(
    "--window",
    "window_ms",
    type=DURATION,
    default=spell_duration(DEFAULT_WINDOW_MS),
    show_default=True,
    help="Longest vote.",
)
@click.option(
    "--lease",
    "lease_ms",
    type=DURATION,
    default=spell_duration(DEFAULT_LEASE_MS),
    show_default=True,
    help="A run stops so soon after consent to it ends.",
)
@click.option(
    "--signing",
    "signing_ms",
    type=DURATION,
    default=spell_duration(DEFAULT_SIGNING_MS),
    show_default=True,
    help="For one signing attempt.",
)
@click.option(
    "--report-interval",
    "report_interval_ms",
    type=DURATION,
    default=spell_duration(DEFAULT_REPORT_INTERVAL_MS),
    show_default=True,
    help="Chips report so often.",
)
@click.option(
    "--report-grace",
    "report_grace_ms",
    type=DURATION,
    default=spell_duration(DEFAULT_REPORT_GRACE_MS),
    show_default=True,
    help="A report may be so late.",
)
@click.option("--seed", type=int, help="Make the same keys every time. For reproducible trials only.")
@json_option
def new(
    out: Path,
    seed: int | None,
    preset: str | None,
    plan_path: Path | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Found a treaty on this machine, with the keys and certificates of everybody it names.

    All secrets are on this machine for a moment, and below --out until you hand them out: fit for trials.
    """
    from vetonet.cli.directory import write_directory
    from vetonet.cli.files import require_empty
    from vetonet.cli.founding import found_treaty
    from vetonet.cli.treaties import describe_treaty, print_treaty
    from vetonet.cli.treaty_options import count_parties

    plan = _choose_plan(preset, plan_path, options)
    require_empty(out)
    if seed is not None:
        warn("anybody who knows --seed has every key of this treaty: for reproducible trials only")
    for operator_id, party_id in plan.list_hopeless_operators():
        warn(
            f"nothing that {operator_id} proposes can ever be licensed: its party {party_id} is recused, and "
            "without its grant the quorum cannot be met"
        )
    note(f"generating the groups' keys among {count_parties(len(plan.party_ids))} ...")
    founded = found_treaty(plan, _choose_randomness(seed), time.time_ns() // 1_000_000)
    write_directory(out, founded)
    if as_json:
        print_json({"directory": str(out), **describe_treaty(founded.treaty)})
    else:
        print_treaty(founded.treaty)
        print_line()
        print_line(f"written to {out}; next: {spell_command()} serve --dir {out} --trial-witnesses")


@treaty.command(
    epilog=examples(
        "vetonet treaty show trial",
        "vetonet treaty show trial/treaty.cbor --json",
        "vetonet treaty show council.toml",
    ),
)
@click.argument("path", metavar="FILE|DIR", type=click.Path(path_type=Path))
@json_option
def show(path: Path, *, as_json: bool) -> None:
    """Say in plain words what the treaty in FILE or DIR says; digests are computed here, not read.

    FILE is a founded treaty, a charter, or a treaty's text (.toml) before anybody has a key.
    """
    from vetonet.cli.directory import read_treaty, read_treaty_file
    from vetonet.cli.drafting import is_charter, read_charter
    from vetonet.cli.treaties import describe_charter, describe_treaty, print_charter, print_treaty
    from vetonet.cli.treaty_plans import describe_plan, is_plan, print_plan, read_plan

    if is_plan(path):
        plan = read_plan(None, path)
        if as_json:
            print_json(describe_plan(plan))
        else:
            print_plan(plan)
        return
    if path.is_file() and is_charter(path):
        terms = read_charter(path)
        if as_json:
            print_json(describe_charter(terms))
        else:
            print_charter(terms)
        return
    opened = read_treaty(path) if path.is_dir() else read_treaty_file(path)
    if as_json:
        print_json(describe_treaty(opened))
    else:
        print_treaty(opened)


def _choose_plan(preset: str | None, path: Path | None, options: dict[str, Any]) -> TreatyPlan:
    """Return what the treaty is to say: as a preset or a file has it, or as the options do.

    Raises:
        Failure: several at once, or no treaty can say that.
    """
    from vetonet.cli.treaty_options import Flags
    from vetonet.cli.treaty_plans import read_plan, require_few

    if preset is None and path is None:
        return Flags.from_options(options).to_plan()
    given = [name for name in options if _is_given(name)]
    if given or (preset is not None and path is not None):
        named = "--preset" if preset is not None else "--file"
        other = "--file" if not given else f"--{given[0].removesuffix('_ms').replace('_', '-')}"
        raise Failure(f"{named} says all of the treaty; expected it without {other}")
    return require_few(read_plan(preset, path))


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _choose_randomness(seed: int | None) -> Callable[[str], Rng]:
    from vetonet.crypto.rng import SeededRng

    if seed is None:
        return lambda _: secrets.token_bytes
    return lambda who: SeededRng(f"vetonet treaty {seed} {who}".encode())


for command in (print_mistakes, diff, draft, founding, presets, power, succeed):
    treaty.add_command(command)
