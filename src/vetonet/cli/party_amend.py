"""``vetonet party amend``: what was decided on another treaty is in force, and old key shares are gone."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line, warn
from vetonet.cli.party_home import enter, read_unlock, to_member, unlock_options
from vetonet.cli.session import run_async
from vetonet.errors import RefusedError, VetonetError

if TYPE_CHECKING:
    from vetonet.crypto.statement import Signed
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.home import Home
    from vetonet.policy.treaty import Treaty
    from vetonet.voting.ledger import Ledger


@click.command(
    epilog=examples(
        "vetonet party amend p1 --key-file p1.key",
        "vetonet party amend p14 --key-file p14.key --treaty successor-2-5f0e.cbor",
    )
)
@click.argument("home", type=click.Path(path_type=Path))
@unlock_options
@click.option(
    "--treaty",
    "path",
    type=click.Path(path_type=Path),
    help="The treaty that was decided on.  [default: the one that HOME keeps]",
)
@json_option
def amend(
    *, home: Path, passphrase_file: Path | None, key_file: Path | None, path: Path | None, as_json: bool
) -> None:
    """Put the treaty in force that the council decided on, and erase the key shares that it supersedes.

    Whoever comes first has the treaty logged, and what was signed to make its groups; for the others it is in
    force already. Key shares are erased from HOME once the log itself shows that. A running daemon still
    holds the old ones in memory until it is started again. Exits with 1 where nothing was decided.
    """
    from vetonet.cli.directory import read_treaty_file
    from vetonet.party.home import keep_successor
    from vetonet.party.keystore import KEY_STORE_FILE, KeyStore
    from vetonet.party.succession_home import erase_superseded

    unlock, opened = read_unlock(passphrase_file, key_file), enter(home, passphrase_file, key_file)
    given = None if path is None else read_treaty_file(path)
    in_force, is_news = run_async(lambda: _put_in_force(opened, given))
    keep_successor(home, in_force)
    store = KeyStore.open(home / KEY_STORE_FILE, unlock, secrets.token_bytes)
    erased = erase_superseded(opened, store, in_force.statement)
    name, epoch = opened.settings.party_id, in_force.statement.epoch
    missing = _list_missing(opened, in_force.statement)
    if as_json:
        shown = {"party": name, "treaty": in_force.payload_digest.hex(), "epoch": epoch, "logged": is_news}
        print_json({**shown, "erased": list(erased), "missing": missing})
        return
    print_line(f"treaty {in_force.payload_digest.hex()} of epoch {epoch} is in force")
    print_line(f"erased from {home}: {', '.join(erased) or 'nothing'}")
    if missing:
        warn(f"no share of {', '.join(missing)}; see `vetonet party repair`")


async def _put_in_force(home: Home, given: Signed[Treaty] | None) -> tuple[Signed[Treaty], bool]:
    """Return the treaty that the log shows in force, and whether it is so through this call.

    Raises:
        Failure: nothing was decided.
        VetonetError: the log cannot be read, or the coordinator refuses.
    """
    from vetonet.cli.present import read_ledger, reading

    known = (*home.successors, *(() if given is None else (given,)))
    async with reading(to_member(home), home.settings.coordinator) as (client, ledger):
        if given is None or given.payload_digest != ledger.treaty.payload_digest:
            decided = _find_decided(ledger, known)
            if decided is not None:
                await client.amend_treaty(decided.data)
                following = await read_ledger(client, home.treaty)
                await _record(client, home, following)
                return following.treaty, True
        if ledger.treaty.payload_digest in {treaty.payload_digest for treaty in known}:
            await _record(client, home, ledger)
            return ledger.treaty, False
    message = "the log holds no decision on a treaty that is known here; see `vetonet move roster-change`"
    raise Failure(message, code=Exit.NEGATIVE, reason="undecided")


async def _record(client: CoordinatorClient, home: Home, ledger: Ledger) -> None:
    """The log has what was signed to make the groups in force; a refusal keeps no old share alive."""
    from vetonet.party.succession_home import list_unlogged

    try:
        if unlogged := list_unlogged(home.root, ledger):
            await client.record_ceremony(unlogged)
    except VetonetError as error:
        warn(f"not all that was signed for this treaty is in the log (VN-15.11), run this again: {error}")


def _find_decided(ledger: Ledger, known: tuple[Signed[Treaty], ...]) -> Signed[Treaty] | None:
    for treaty in known:
        try:
            ledger.find_amendment(treaty)
        except RefusedError:
            continue
        return treaty
    return None


def _list_missing(home: Home, treaty: Treaty) -> list[str]:
    """Return the seats whose shares the party should hold under a treaty and does not."""
    held = home.secrets.find_shares(treaty)
    return [
        f"seat {int(seat)} of group {group.index}"
        for group in treaty.all_groups
        for seat in group.list_seats(home.settings.party_id)
        if (group.index, int(seat)) not in held
    ]
