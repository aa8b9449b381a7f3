"""``vetonet treaty succeed``: the convener's part in a change of members."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.cli.parameters import show
from vetonet.cli.session import directory_option

if TYPE_CHECKING:
    from vetonet.party.card import Card
    from vetonet.policy.treaty import Terms, Treaty


@click.command(
    epilog=examples(
        "vetonet treaty succeed --dir council --replace P5=P6/card.json --out next",
        "vetonet treaty succeed --dir council --refresh --out next",
    ),
)
@directory_option
@click.option(
    "--treaty",
    "path",
    type=click.Path(path_type=Path),
    help="The treaty in force, where it is not the founding one in --dir.",
)
@click.option(
    "--replace",
    "replaced",
    multiple=True,
    metavar="ID=CARD",
    help="The member that leaves, and the card of the party that takes its place; repeat.",
)
@click.option("--refresh", is_flag=True, help="Nobody comes or leaves: everybody gets new key shares.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new or empty folder for the result."
)
@json_option
def succeed(
    *,
    directory: Path,
    path: Path | None,
    replaced: tuple[str, ...],
    refresh: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Make the charter of a council in which new parties take the places of members; all else stays.

    With --refresh all members stay and their key shares are dealt anew, so that old ones are of no use.
    Newcomers get their certificates here; hand each its folder below --out, and the charter to all.
    """
    from vetonet.cli.directory import read_treaty, read_treaty_file
    from vetonet.cli.files import require_empty
    from vetonet.cli.treaties import describe_charter, print_charter

    if refresh == bool(replaced):
        raise Failure("expected --refresh, or --replace for each member that leaves")
    founding = read_treaty(directory)
    present = founding if path is None else read_treaty_file(path)
    cards = dict(map(_parse, replaced))
    require_empty(out)
    terms = _draw_up(present.statement, cards)
    _write(out, directory, terms, list(cards.values()), founding.data)
    if as_json:
        print_json({"directory": str(out), **describe_charter(terms)})
        return
    print_charter(terms)
    print_line()
    print_line(f"written to {out}; hand {out / 'parties'}/ID to each newcomer, the charter to everybody")


def _draw_up(present: Treaty, cards: Mapping[str, Card]) -> Terms:
    """Return the next charter.

    Raises:
        Failure: these cannot take these places.
    """
    from vetonet.policy.replacement import plan_next_epoch, replace_members
    from vetonet.policy.treaty import Party

    if not cards:
        return plan_next_epoch(present)
    newcomers = {name: Party(party_id=card.party_id, key=card.statement_key) for name, card in cards.items()}
    try:
        return replace_members(present, newcomers)
    except ValueError as error:
        raise Failure(f"--replace: {error}") from error


def _parse(text: str) -> tuple[str, Card]:
    from vetonet.cli.treaty_draft import read_card

    name, _, path = text.partition("=")
    if not name or not path:
        raise Failure(f"--replace: expected ID=CARD, got {show(text)}")
    return name, read_card(Path(path))


def _write(out: Path, directory: Path, terms: Terms, cards: list[Card], founding: bytes) -> None:
    from vetonet.cli.directory import (
        AUTHORITY_FILE,
        CERTIFICATE_FILE,
        TLS_KEY_FILE,
        TREATY_FILE,
        folder_of,
        load_coordinator,
    )
    from vetonet.cli.drafting import CHARTER_FILE
    from vetonet.cli.files import make_folder, read_input, write_output
    from vetonet.wire.identity import Role
    from vetonet.wire.pki import Authority

    authority_pem = read_input(
        directory / "authority" / AUTHORITY_FILE, "the council's TLS authority", code=Exit.USAGE
    )
    key_pem = read_input(directory / "authority" / TLS_KEY_FILE, "its key", code=Exit.USAGE)
    authority = Authority(
        trust_domain=load_coordinator(directory).credential.identity.trust_domain,
        certificate_pem=authority_pem,
        key_pem=key_pem,
    )
    make_folder(out)
    for card in cards:
        folder = folder_of(out, Role.PARTY, card.party_id)
        make_folder(folder)
        now = time.time_ns() // 1_000_000
        certificate = authority.certify(card.request_pem, Role.PARTY, card.party_id, now=now)
        write_output(folder / CERTIFICATE_FILE, certificate)
        write_output(folder / AUTHORITY_FILE, authority_pem)
        write_output(folder / TREATY_FILE, founding)
        write_output(folder / CHARTER_FILE, terms.to_bytes())
    write_output(out / CHARTER_FILE, terms.to_bytes())
