"""``vetonet party card``: a new party's keys, and the card that it hands out."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.cli.parameters import NAME
from vetonet.cli.party_home import read_unlock, unlock_options


@click.command(
    epilog=examples(
        "vetonet party card p1 --party P1 --key-file p1.key",
        "vetonet party card p1 --party P1 --passphrase-file passphrase",
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--party", "party_id", required=True, type=NAME, help="What the treaty is to call the party.")
@unlock_options
@json_option
def card(
    *, home: Path, party_id: str, passphrase_file: Path | None, key_file: Path | None, as_json: bool
) -> None:
    """Make new keys in HOME, a new or empty folder, and write HOME/card.json for the convener of a council.

    The keys are encrypted and never leave HOME; the card holds their public halves and a request for a TLS
    certificate. A key file that does not exist is made; keep it on another medium.
    """
    from vetonet.party.founding_home import create_applicant
    from vetonet.party.home import CARD_FILE

    unlock = read_unlock(passphrase_file, key_file, is_new=True)
    made = create_applicant(home, party_id, unlock, secrets.token_bytes)
    shown = {
        "party": made.party_id,
        "statement_key_id": made.statement_key.key_id.hex(),
        "witness_key_id": made.witness_key.key_id.hex(),
    }
    if as_json:
        print_json({"home": str(home), "card": str(home / CARD_FILE), **shown})
        return
    print_line(
        f"{home / CARD_FILE} is the card of {party_id}: hand it to the convener by a way that both trust"
    )
    print_line(f"statement key {made.statement_key.key_id.hex()}")
    print_line(f"witness key {made.witness_key.key_id.hex()}")
    print_line(f"next: wait for the charter, and keep {home} to yourself")
