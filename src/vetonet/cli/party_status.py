"""``vetonet party status``: what a party's daemon knows, and what every vote still lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.output import examples, json_option, print_json, print_line, print_table
from vetonet.cli.parameters import ADDRESS, NAME
from vetonet.cli.party_home import enter, reach_daemon, unlock_options
from vetonet.cli.session import run_async
from vetonet.units import format_time

if TYPE_CHECKING:
    from vetonet.party.home import Home
    from vetonet.party.status import LicenceStatus, PartyStatus, ProposalStatus, Refusal, ShortfallView
    from vetonet.policy.treaty import Treaty

SHORT_HEX_CHARS = 16


@click.command(
    epilog=examples(
        "vetonet party status p1 --key-file p1.key",
        "vetonet party status p1 --key-file p1.key --of P2 --address 127.0.0.1:7452 --json",
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@unlock_options
@click.option("--of", "party_id", type=NAME, help="Ask another party's daemon.  [default: the home's own]")
@click.option("--address", type=ADDRESS, metavar="HOST:PORT", help="Where it is.  [default: as HOME says]")
@json_option
def status(
    *,
    home: Path,
    passphrase_file: Path | None,
    key_file: Path | None,
    party_id: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Show what the running daemon of HOME knows: votes, what they lack, licences, leases, refusals.

    It answers the parties of its treaty alone, so the home's key is needed. Another party's daemon shows what
    the log shows everybody; refusals and what could not be delivered yet each tells its own party only.
    """
    opened = enter(home, passphrase_file, key_file)
    told = run_async(lambda: _ask(opened, party_id, address))
    if as_json:
        print_json(describe_status(told, opened.treaty.statement))
    else:
        _print_status(told, opened.treaty.statement)


async def _ask(home: Home, party_id: str | None, address: str | None) -> PartyStatus:
    async with reach_daemon(home, party_id=party_id, address=address) as daemon:
        return await daemon.get_status()


def describe_status(told: PartyStatus, treaty: Treaty) -> dict[str, Any]:
    """Return a daemon's status as plain values, for JSON; its checkpoint is verified here.

    Raises:
        VetonetError: the checkpoint that it shows is none of this treaty's log.
    """
    return {
        "party": told.party_id,
        "epoch": told.epoch,
        "checkpoint": _describe_checkpoint(told.checkpoint, treaty),
        "proposals": [_describe_vote(entry) for entry in told.proposals],
        "licences": [_describe_licence(entry) for entry in told.licences],
        "undelivered": list(told.undelivered),
        "refusals": [
            {
                "at_ms": e.at_ms,
                "name": e.name,
                "lease": e.lease or None,
                "attempt": e.attempt,
                "reason": e.reason,
                "why": e.why,
            }
            for e in told.refusals
        ],
    }


def _describe_checkpoint(data: bytes, treaty: Treaty) -> dict[str, Any] | None:
    from vetonet.tlog.policy import LogPolicy, verify_cosigned

    if not data:
        return None
    checkpoint = verify_cosigned(data, LogPolicy.under(treaty)).checkpoint
    return {
        "origin": checkpoint.origin,
        "tree_size": checkpoint.tree_size,
        "root": checkpoint.root_hash.hex(),
    }


def _describe_vote(entry: ProposalStatus) -> dict[str, Any]:
    return {
        "name": entry.name,
        "action": entry.action,
        "decision": entry.decision.value,
        "phase": entry.phase.value,
        "closes_ms": entry.closes_ms,
        "missing": list(entry.missing),
        "may_vote": list(entry.may_vote),
        "short": [
            {
                "min_grants": lacking.min_grants,
                "seat_count": lacking.seat_count,
                "missing_seats": lacking.missing_seats,
                "parties": list(lacking.parties),
            }
            for lacking in entry.short
        ],
        "missing_ballots": entry.missing_ballots,
        "unlogged_ballots": entry.unlogged_ballots,
    }


def _describe_licence(entry: LicenceStatus) -> dict[str, Any]:
    return {
        "licence_id": entry.licence_id,
        "name": entry.name,
        "expires_ms": entry.expires_ms,
        "lease": entry.lease or None,
        "lease_ends_ms": entry.lease_ends_ms or None,
        "obstacle": entry.obstacle or None,
    }


def _print_status(told: PartyStatus, treaty: Treaty) -> None:
    checkpoint = _describe_checkpoint(told.checkpoint, treaty)
    seen = (
        "no checkpoint yet"
        if checkpoint is None
        else f"{checkpoint['tree_size']} leaves of {checkpoint['origin']}, "
        f"root {checkpoint['root'][:SHORT_HEX_CHARS]}"
    )
    print_line(f"{told.party_id}, epoch {told.epoch}: {seen}")
    if told.proposals:
        print_line()
        rows = [(e.name, e.action, e.phase_word, say_lacking(e)) for e in told.proposals]
        print_table(("vote", "about", "phase", "still lacks"), rows)
    if told.licences:
        print_line()
        print_table(("licence", "of", "lease", "obstacle"), map(_to_row, told.licences))
    if told.undelivered:
        print_line(f"not told directly yet: {', '.join(told.undelivered)}")
    for refusal in told.refusals:
        print_line(say_refusal(refusal))


def _to_row(entry: LicenceStatus) -> tuple[str, str, str, str]:
    lease = f"{entry.lease} until {format_time(entry.lease_ends_ms)}" if entry.lease else "none yet"
    return (str(entry.licence_id), entry.name, lease, entry.obstacle or "none")


def say_refusal(refusal: Refusal) -> str:
    """Return when a party did not sign what, and why, in one line."""
    what = f"lease {refusal.lease} of {refusal.name}" if refusal.lease else refusal.name
    return f"{format_time(refusal.at_ms)}  did not sign {what}: {refusal.why}"


def say_lacking(entry: ProposalStatus) -> str:
    """Return what a vote still lacks in one line: ``1 of 2 grants from P2, P3; P2, P3 may vote``."""
    if entry.phase_word == "vetoed":
        return "nothing could help: it is vetoed"
    parts = [_say_shortfall(lacking) for lacking in entry.short]
    if entry.missing_ballots:
        parts.append(f"{entry.missing_ballots} more ballots")
    if entry.may_vote:
        parts.append(f"{', '.join(entry.may_vote)} may vote until {format_time(entry.closes_ms)}")
    return "; ".join(parts) or "nothing"


def _say_shortfall(lacking: ShortfallView) -> str:
    who = ", ".join(lacking.parties) or "nobody"
    return f"{lacking.missing_seats} more of {lacking.min_grants} grants, which {who} could give"
