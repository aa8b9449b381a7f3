"""``vetonet challenge``: a party asks an operator for one private field of a run."""

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
    from vetonet.voting.ledger import Ledger

DEFAULT_MS: Final = 24 * MS_PER_HOUR
SERIAL_BYTES: Final = 16


@click.command(
    epilog=examples(
        "vetonet challenge 5f0e --field data --dir trial --party P1",
        "vetonet challenge 5f0e --field hardware-plan --within 3d --home p1 --key-file p1.key",
    )
)
@click.argument("proposal")
@click.option(
    "--field",
    "name",
    required=True,
    help="Which: data, hyper-parameters, hardware-plan, evaluations, lineage, or another one's name.",
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
def challenge(*, proposal: str, name: str, within_ms: Milliseconds, as_json: bool, **options: Any) -> None:
    """Ask, as a party, for one private field of the run PROPOSAL; its operator answers in the log.

    Question and answer are public. A party may ask 20 times in a year.
    """
    member, address = find_member(options)
    prefix, is_insecure = parse_prefix(proposal), options["insecure_loopback"]
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
    runs = [digest for digest, vote in ledger.votes.items() if vote.run is not None]
    try:
        return DisclosureChallenge(
            treaty_digest=ledger.treaty.payload_digest,
            epoch=ledger.treaty.statement.epoch,
            challenger=member.name,
            proposal_digest=pick(prefix, runs),
            field=name,
            stated_ms=stated_ms,
            deadline_ms=stated_ms + within_ms,
            serial=secrets.token_bytes(SERIAL_BYTES),
        )
    except ValueError as error:
        raise Failure(f"--within: {error}") from error
