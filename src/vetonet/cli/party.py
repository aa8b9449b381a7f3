"""``vetonet party``: a party's daemon, as a group of commands."""

from __future__ import annotations

import click

from vetonet.cli.output import examples
from vetonet.cli.party_card import card
from vetonet.cli.party_found import found


@click.group(
    epilog=examples(
        "vetonet party card p1 --party P1 --key-file p1.key",
        "vetonet party found p1 --charter p1/charter.cbor --listen 0.0.0.0:7450 --peer P2=p2.example:7450",
    )
)
def party() -> None:
    """Found a treaty as a party, each on its own machine."""


for command in (card, found):
    party.add_command(command)
