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
from vetonet.cli.parameters import DURATION, FLOP, NAME, parse_name
from vetonet.units import Flop, Milliseconds, Rng

if TYPE_CHECKING:
    from vetonet.cli.founding import TreatyPlan

MAX_PARTIES = 64
"""More can stand in a treaty, but generating their keys on one machine takes minutes."""

DEFAULT_PARTIES = 5


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
    ),
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new or empty folder for the result."
)
@click.option("--name", default="Trial treaty", show_default=True, help="What the treaty is called.")
@click.option(
    "--parties",
    type=click.IntRange(min=1),
    help=f"So many, called P1, P2, ..., at most {MAX_PARTIES}.  [default: {DEFAULT_PARTIES}]",
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
    "--maker", "maker_ids", type=NAME, multiple=True, help="A chip maker; repeat.  [default: maker1]"
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
@click.option("--window", "window_ms", type=DURATION, default="1h", show_default=True, help="Longest vote.")
@click.option(
    "--signing",
    "signing_ms",
    type=DURATION,
    default="30s",
    show_default=True,
    help="For one signing attempt.",
)
@click.option(
    "--report-interval",
    "report_interval_ms",
    type=DURATION,
    default="10m",
    show_default=True,
    help="Chips report so often.",
)
@click.option(
    "--report-grace",
    "report_grace_ms",
    type=DURATION,
    default="5m",
    show_default=True,
    help="A report may be so late.",
)
@click.option("--seed", type=int, help="Make the same keys every time. For reproducible trials only.")
@json_option
def new(out: Path, seed: int | None, *, as_json: bool, **options: Any) -> None:
    """Found a treaty on this machine, with the keys and certificates of everybody it names.

    All secrets are on this machine for a moment, and below --out until you hand them out: fit for trials.
    """
    from vetonet.cli.directory import write_directory
    from vetonet.cli.files import require_empty
    from vetonet.cli.founding import found_treaty
    from vetonet.cli.treaties import describe_treaty, print_treaty

    plan = _plan(**options)
    _require_possible(plan)
    require_empty(out)
    if seed is not None:
        warn("anybody who knows --seed has every key of this treaty: for reproducible trials only")
    for operator_id, party_id in plan.operators:
        if party_id is not None and plan.min_grants >= len(plan.party_ids):
            warn(_explain_recusal(operator_id, party_id, plan))
    note(f"generating the group's key among {_count_parties(len(plan.party_ids))} ...")
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
    ),
)
@click.argument("path", metavar="FILE|DIR", type=click.Path(path_type=Path))
@json_option
def show(path: Path, *, as_json: bool) -> None:
    """Say in plain words what the treaty in FILE or DIR says; digests are computed here, not read."""
    from vetonet.cli.directory import read_treaty, read_treaty_file
    from vetonet.cli.treaties import describe_treaty, print_treaty

    opened = read_treaty(path) if path.is_dir() else read_treaty_file(path)
    if as_json:
        print_json(describe_treaty(opened))
    else:
        print_treaty(opened)


def _plan(
    *,
    name: str,
    parties: int | None,
    party_ids: tuple[str, ...],
    min_grants: int | None,
    is_minority: bool,
    veto_ids: tuple[str, ...],
    monitored_flop: Flop,
    forbidden_flop: Flop | None,
    operators: tuple[str, ...],
    maker_ids: tuple[str, ...],
    max_colluding: int | None,
    witness_quorum: int | None,
    **intervals: Milliseconds,
) -> TreatyPlan:
    from vetonet.cli.founding import TreatyPlan

    if parties and party_ids:
        raise Failure("--parties and --party both name the roster; give one of them")
    if max(parties or 0, len(party_ids)) > MAX_PARTIES:
        got = max(parties or 0, len(party_ids))
        why = "for more, generating the group's key on one machine takes minutes"
        raise Failure(f"--parties: expected at most {MAX_PARTIES}, got {got}; {why}")
    roster = party_ids or tuple(f"P{number}" for number in range(1, (parties or DEFAULT_PARTIES) + 1))
    return TreatyPlan(
        name=name,
        party_ids=roster,
        min_grants=min_grants or len(roster) // 2 + 1,
        veto_ids=veto_ids,
        is_minority=is_minority,
        licensed_flop=monitored_flop,
        forbidden_flop=forbidden_flop,
        operators=tuple(map(_parse_operator, operators)) or (("op1", None),),
        maker_ids=maker_ids or ("maker1",),
        max_colluding=max_colluding,
        witness_quorum=witness_quorum,
        **intervals,
    )


def _require_possible(plan: TreatyPlan) -> None:
    """A plan that no treaty can follow is refused at once, not after its keys were generated."""
    roster, operators = plan.party_ids, tuple(name for name, _ in plan.operators)
    named = {"--party": roster, "--veto": plan.veto_ids, "--operator": operators, "--maker": plan.maker_ids}
    for option, names in named.items():
        for name in names:
            if names.count(name) > 1:
                raise Failure(f"{option}: expected each named once, got {name} {names.count(name)} times")
    lowest, size = 1 if plan.is_minority else len(roster) // 2 + 1, len(roster)
    if not lowest <= plan.min_grants <= size:
        hint = "; --minority allows half of them or fewer" if plan.min_grants < lowest else ""
        expected = f"{lowest} to {size} of {_count_parties(size)}"
        raise Failure(f"--min-grants: expected {expected}, got {plan.min_grants}{hint}")
    _require_witnessing(plan)
    _require_roster(roster, "--veto", plan.veto_ids)
    _require_roster(roster, "--operator", tuple(party for _, party in plan.operators if party is not None))


def _require_witnessing(plan: TreatyPlan) -> None:
    """Two quorums of witnesses share more than those that may collude (VN-3.4)."""
    count, (quorum, colluding) = len(plan.party_ids), plan.witnessing
    if quorum <= count and 2 * quorum - count > colluding:
        return
    if plan.witness_quorum is not None and quorum > count:
        raise Failure(
            f"--witness-quorum: expected at most the {count} witnesses, one of each party, got {quorum}"
        )
    if quorum > count:
        needed = f"it takes k = {quorum} of n = {count} witnesses to withstand f = {colluding}"
        raise Failure(f"--max-colluding: {needed}; expected 2k - n > f with k of at most n")
    shared = f"2 x {quorum} - {count} = {2 * quorum - count}, not above f = {colluding}"
    raise Failure(
        f"--witness-quorum: expected 2k - n > f, so that no f can vouch for two histories, got {shared}"
    )


def _require_roster(roster: tuple[str, ...], option: str, party_ids: tuple[str, ...]) -> None:
    for party_id in party_ids:
        if party_id not in roster:
            raise Failure(f"{option}: the treaty has no party {party_id}; it has {', '.join(roster)}")


def _explain_recusal(operator_id: str, party_id: str, plan: TreatyPlan) -> str:
    others = len(plan.party_ids) - 1
    return (
        f"nothing that {operator_id} proposes can ever be licensed: its party {party_id} is recused, so its "
        f"grant does not count, and --min-grants {plan.min_grants} is more than the other {others}"
    )


def _count_parties(count: int) -> str:
    return "1 party" if count == 1 else f"{count} parties"


def _parse_operator(text: str) -> tuple[str, str | None]:
    operator_id, colon, party_id = text.partition(":")
    try:
        return parse_name(operator_id), parse_name(party_id) if colon else None
    except ValueError as error:
        raise Failure(f"--operator: expected NAME or NAME:PARTY: {error}") from error


def _choose_randomness(seed: int | None) -> Callable[[str], Rng]:
    from vetonet.crypto.rng import SeededRng

    if seed is None:
        return lambda _: secrets.token_bytes
    return lambda who: SeededRng(f"vetonet treaty {seed} {who}".encode())
