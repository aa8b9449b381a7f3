"""``vetonet party join``: the home of a party that is to become a member of a council that is there."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command
from vetonet.cli.parameters import ADDRESS
from vetonet.cli.party_home import read_unlock, unlock_options
from vetonet.cli.session import DEFAULT_ADDRESS as COORDINATOR_ADDRESS


@click.command(
    epilog=examples(
        "vetonet party join p6 --invitation p6-invitation --key-file p6.key --listen 0.0.0.0:7456"
    )
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--invitation",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder from the convener, with the council's founding treaty and the party's certificate.",
)
@unlock_options
@click.option(
    "--listen", required=True, type=ADDRESS, metavar="HOST:PORT", help="Where to take the others' calls."
)
@click.option(
    "--coordinator",
    type=ADDRESS,
    default=COORDINATOR_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the coordinator is.",
)
@click.option(
    "--peer", "peers", multiple=True, metavar="ID=HOST:PORT", help="Where a member's daemon is; repeat."
)
@json_option
def join(
    *,
    home: Path,
    invitation: Path,
    passphrase_file: Path | None,
    key_file: Path | None,
    listen: str,
    coordinator: str,
    peers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make HOME, which `vetonet party card` began, the home of a member to come.

    It trusts the council's founding treaty, and learns from the log what followed. Compare its digest with
    the members, by voice. The party is a member once its council decided so: see `vetonet party reshare`.
    """
    from vetonet.cli.directory import TREATY_FILE, read_treaty_file
    from vetonet.party.founding_home import join as settle
    from vetonet.party.founding_home import open_applicant
    from vetonet.party.home_settings import HomeSettings, parse_peer

    treaty = read_treaty_file(invitation / TREATY_FILE)
    unlock = read_unlock(passphrase_file, key_file)
    applicant = open_applicant(home, invitation, unlock, secrets.token_bytes)
    members = {party.party_id for party in treaty.statement.parties}
    settings = HomeSettings(
        party_id=applicant.party_id,
        trust_domain=applicant.credential.identity.trust_domain,
        coordinator=coordinator,
        listen=listen,
        peers=dict(parse_peer(text, members) for text in peers),
    )
    settle(applicant, treaty, settings)
    digest = treaty.payload_digest.hex()
    if as_json:
        print_json({"home": str(home), "party": applicant.party_id, "founding_treaty": digest})
        return
    print_line(f"{home} is the home of {applicant.party_id}; the council began with treaty {digest}")
    print_line(f"next, with everybody: {spell_command()} party reshare {home} --charter CHARTER")
