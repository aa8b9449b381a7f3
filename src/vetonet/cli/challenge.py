"""``vetonet challenge``: a party asks an operator for one private field of a run, and reads the answers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.move import find_member
from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command
from vetonet.cli.parameters import DURATION
from vetonet.cli.present import read_view
from vetonet.cli.session import (
    connect,
    insecure_option,
    parse_prefix,
    pick,
    read_clock,
    run_async,
    server_option,
)
from vetonet.cli.speaker import speaker_options
from vetonet.units import MS_PER_HOUR, Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.policy.disclosure import DisclosureChallenge
    from vetonet.voting.inspections import Disclosure
    from vetonet.voting.ledger import Ledger

DEFAULT_MS: Final = 24 * MS_PER_HOUR
SERIAL_BYTES: Final = 16


@click.command(
    epilog=examples(
        "vetonet challenge 5f0e --field data --dir trial --party P1",
        "vetonet challenge 5f0e --field hardware-plan --within 3d --home p1 --key-file p1.key",
        "vetonet challenge 5f0e --dir trial --party P1",
    )
)
@click.argument("proposal")
@click.option(
    "--field",
    "name",
    help="Which: data, hyper-parameters, hardware-plan, evaluations, lineage, or another one's name; without"
    " it, list what was asked of the run, and the answers.",
)
@click.option(
    "--within",
    "within_ms",
    type=DURATION,
    default=DEFAULT_MS,
    help="How long the operator has, 4h to 30d.  [default: 1d]",
)
@speaker_options
@server_option
@insecure_option
@json_option
def challenge(
    *, proposal: str, name: str | None, within_ms: Milliseconds, as_json: bool, **options: Any
) -> None:
    """Ask, as a party, for one private field of the run PROPOSAL; its operator answers in the log.

    Question and answer are public. A party may ask 20 times in a year. Without --field nothing is asked: what
    the log holds of questions about this run and of answers is listed.
    """
    member, address = find_member(options)
    prefix, is_insecure = parse_prefix(proposal), options["insecure_loopback"]
    if name is None:
        found = run_async(lambda: _list(member, address, prefix, is_insecure=is_insecure))
        _print_asked(found, as_json=as_json)
        return
    _require_name(name)
    asked, leaf_index = run_async(
        lambda: _send(member, address, prefix, name=name, within_ms=within_ms, is_insecure=is_insecure)
    )
    from vetonet.crypto.statement import compute_digest

    digest, deadline = compute_digest(asked).hex(), asked.deadline_ms
    if as_json:
        shown = {"party": member.name, "proposal": asked.proposal_digest.hex(), "field": asked.field}
        print_json({**shown, "digest": digest, "deadline_ms": deadline, "leaf_index": leaf_index})
        return
    print_line(f"asked for {asked.field}, leaf {leaf_index} of the log; due by {format_time(deadline)}")
    print_line(f"next, as its operator: {spell_command()} disclose {digest[:16]} --dir DIR --operator ID")


def _require_name(name: str) -> None:
    from vetonet.policy.specification import MAX_NAME_CHARS

    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise Failure(f"--field: expected a field's name of 1 to {MAX_NAME_CHARS} printable characters")


async def _list(member: Member, address: str, prefix: str, *, is_insecure: bool) -> dict[bytes, Disclosure]:
    """Return what was asked of the run, by the digest of the challenge."""
    async with connect(member, address, is_insecure=is_insecure) as client:
        ledger = (await read_view(client, member.treaty)).ledger
        run = _pick_run(prefix, ledger)
        asked = ledger.inspections.disclosures.items()
        return {key: one for key, one in asked if one.challenge.statement.proposal_digest == run}


def _print_asked(found: dict[bytes, Disclosure], *, as_json: bool) -> None:
    if as_json:
        print_json({"challenges": [_to_row(digest, asked) for digest, asked in found.items()]})
    elif not found:
        print_line("nothing was asked of this run")
    for row in () if as_json else (_to_row(digest, asked) for digest, asked in found.items()):
        due = format_time(row["deadline_ms"])
        print_line(f"{row['digest'][:16]}  {row['field']}, asked by {row['party']}: {_say_answer(row, due)}")
        for line in (row["value"] or "").splitlines():
            print_line(f"    {line}")


def _to_row(digest: bytes, asked: Disclosure) -> dict[str, Any]:
    stated = asked.challenge.statement
    opening = None if asked.answer is None else asked.answer.statement.opening
    value = None if opening is None or opening.value is None else opening.value
    return {
        "digest": digest.hex(),
        "field": stated.field,
        "party": stated.challenger,
        "deadline_ms": stated.deadline_ms,
        "answered_with": None if opening is None else opening.name,
        "value": None if value is None else value.decode(errors="backslashreplace"),
    }


def _say_answer(row: dict[str, Any], due: str) -> str:
    if row["answered_with"] is None:
        return f"not answered, due by {due}"
    if row["value"] is None:
        return "shown not to be there"
    if row["answered_with"] != row["field"]:
        return f"shown not to be there, by {row['answered_with']}, which has its place:"
    return "its operator shows:" if row["value"] else "shown to be there, without content"


async def _send(
    member: Member, address: str, prefix: str, *, name: str, within_ms: Milliseconds, is_insecure: bool
) -> tuple[DisclosureChallenge, int]:
    """Return the challenge as logged, and where."""
    from vetonet.crypto.statement import sign

    async with connect(member, address, is_insecure=is_insecure) as client:
        view = await read_view(client, member.treaty)
        asked = _draw_up(member, view.ledger, prefix, name=name, within_ms=within_ms)
        (proof,) = await client.append_statements([sign(asked, member.key)])
        return asked, proof.leaf_index


def _draw_up(
    member: Member, ledger: Ledger, prefix: str, *, name: str, within_ms: Milliseconds
) -> DisclosureChallenge:
    from vetonet.policy.disclosure import DisclosureChallenge

    stated_ms = read_clock()
    run = _pick_run(prefix, ledger)
    _require_new(member.name, run, name, ledger)
    try:
        return DisclosureChallenge(
            treaty_digest=ledger.treaty.payload_digest,
            epoch=ledger.treaty.statement.epoch,
            challenger=member.name,
            proposal_digest=run,
            field=name,
            stated_ms=stated_ms,
            deadline_ms=stated_ms + within_ms,
            serial=secrets.token_bytes(SERIAL_BYTES),
        )
    except ValueError as error:
        raise Failure(f"--within: {error}") from error


def _require_new(party: str, run: bytes, name: str, ledger: Ledger) -> None:
    """Hold that this party did not ask the same before: each question is one of the few of its year."""
    for digest, asked in ledger.inspections.disclosures.items():
        stated = asked.challenge.statement
        if (stated.challenger, stated.proposal_digest, stated.field) == (party, run, name):
            known = f"{party} asked for {name!r} of this run before, as {digest.hex()[:16]}"
            raise Failure(f"{known}; to see what came of it, leave --field out")


def _pick_run(prefix: str, ledger: Ledger) -> bytes:
    return pick(prefix, [digest for digest, vote in ledger.votes.items() if vote.run is not None])
