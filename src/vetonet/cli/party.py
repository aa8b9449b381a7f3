"""``vetonet party``: a party's daemon, as a group of commands."""

from __future__ import annotations

import click

from vetonet.cli.output import examples
from vetonet.cli.party_amend import amend
from vetonet.cli.party_card import card
from vetonet.cli.party_found import found
from vetonet.cli.party_init import init
from vetonet.cli.party_join import join
from vetonet.cli.party_repair import repair
from vetonet.cli.party_reshare import reshare
from vetonet.cli.party_run import run
from vetonet.cli.party_status import status


@click.group(
    epilog=examples(
        "vetonet party init p1 --from trial --party P1 --key-file p1.key",
        "vetonet party found p1 --charter p1/charter.cbor --listen 0.0.0.0:7450 --peer P2=p2.example:7450",
        "vetonet party run p1 --key-file p1.key",
        "vetonet party run --demo-fleet 5",
    )
)
def party() -> None:
    """Keep a party's daemon at work: it follows the log, votes by its rules, and signs what it granted."""


for command in (card, found, join, init, run, status, reshare, amend, repair):
    party.add_command(command)
