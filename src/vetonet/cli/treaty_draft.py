"""``vetonet treaty draft``: the convener's part in founding a treaty between machines."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line

if TYPE_CHECKING:
    from vetonet.party.card import Card


@click.command(
    epilog=examples(
        "vetonet treaty draft --file council.toml --card P1/card.json --card P2/card.json --out draft"
    )
)
@click.option(
    "--file",
    "plan_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The treaty's file (docs/treaties.md).",
)
@click.option(
    "--card",
    "card_paths",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A party's card, as `vetonet party card` writes it; once for each party.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new or empty folder for the result."
)
@json_option
def draft(*, plan_path: Path, card_paths: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Make the charter of a treaty that its parties found themselves, and everything that is not theirs.

    No secret of a party is here: each made its own, and this signs their certificates. Hand each party its
    folder below --out; the keys of coordinator, operators, makers and the TLS authority are made here.
    """
    from vetonet.cli.drafting import CHARTER_FILE, draft_treaty, write_draft
    from vetonet.cli.files import require_empty
    from vetonet.cli.treaties import describe_charter, print_charter
    from vetonet.cli.treaty_plans import read_plan

    plan = read_plan(None, plan_path)
    require_empty(out)
    cards = [read_card(path) for path in card_paths]
    drafted = draft_treaty(plan, cards, secrets.token_bytes, time.time_ns() // 1_000_000)
    write_draft(out, drafted)
    if as_json:
        print_json({"directory": str(out), **describe_charter(drafted.terms)})
        return
    print_charter(drafted.terms)
    print_line()
    print_line(
        f"written to {out}; hand {out / 'parties'}/ID to each party, and {out / CHARTER_FILE} to anybody"
    )


def read_card(path: Path) -> Card:
    """Return the card in a file.

    Raises:
        Failure: unreadable, or not a card.
    """
    from vetonet.cli.files import read_text_input
    from vetonet.errors import ConfigError
    from vetonet.party.card import MAX_CARD_BYTES, Card

    text = read_text_input(path, "a party's card", maximum=MAX_CARD_BYTES)
    try:
        return Card.from_text(text)
    except ConfigError as error:
        raise Failure(f"{path}: {error}", code=Exit.INVALID, reason=error.reason) from error
