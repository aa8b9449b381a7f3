"""``vetonet party reshare``: one party's part in making the treaty of another roster, keys and all."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line, spell_command
from vetonet.cli.parameters import ADDRESS, DURATION
from vetonet.cli.party_home import enter, read_unlock, to_member, unlock_options
from vetonet.cli.session import read_clock, run_async
from vetonet.errors import ConfigError, VetonetError

if TYPE_CHECKING:
    from vetonet.crypto.statement import Signed
    from vetonet.party.founding_network import FoundingDriver
    from vetonet.party.home import Home
    from vetonet.party.succession_home import SuccessionMemory
    from vetonet.policy.succession_plan import Succession
    from vetonet.policy.treaty import Terms, Treaty

STOP_GRACE_S: Final = 1.0


@click.command(
    epilog=examples(
        "vetonet party reshare p1 --charter next/charter.cbor --key-file p1.key --peer P6=p6.example:7456"
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--charter",
    "charter_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The next charter, as `vetonet treaty succeed` writes it.",
)
@unlock_options
@click.option(
    "--listen",
    type=ADDRESS,
    metavar="HOST:PORT",
    help="Where to take the others' calls.  [default: as the daemon does, which must be stopped then]",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="ID=HOST:PORT",
    help="Where another party takes calls for this; needed where party.toml does not say so.",
)
@click.option("--attempt", type=click.IntRange(min=1), default=1, show_default=True, help="The council's.")
@click.option(
    "--without",
    multiple=True,
    metavar="ID",
    help="Do not let this member deal, as it was silent or cheated before; all say the same.",
)
@click.option(
    "--deadline",
    "deadline_ms",
    type=DURATION,
    default="2m",
    show_default=True,
    help="So long from now for everything; then the silent are named.",
)
@json_option
def reshare(
    *,
    home: Path,
    charter_path: Path,
    passphrase_file: Path | None,
    key_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make the treaty of the next charter together with its other parties, as the party of HOME.

    All members of the next roster run this at about the same time; who leaves need not. Each group whose
    seats change is dealt to the new seats under its old key. At the end HOME holds the treaty that all of its
    own parties signed, and new key shares beside the old ones. Nothing is in force yet: next comes a motion
    of roster-change (`vetonet move`), which the old roster decides, and `vetonet party amend`.
    """
    from vetonet.cli.drafting import read_charter

    terms = read_charter(charter_path)
    opened = enter(home, passphrase_file, key_file)
    if not as_json:
        _introduce(terms)
    succession = run_async(lambda: _plan(opened, terms, options["attempt"], frozenset(options["without"])))
    others = {party.party_id for party in succession.parties} - {opened.settings.party_id}
    addresses = find_addresses(opened, others, options["peers"])
    driver, memory = _prepare(opened, read_unlock(passphrase_file, key_file), succession, options)
    listen = options["listen"] or opened.settings.listen
    treaty, path = run_async(lambda: _take_part(driver, memory, opened, listen, addresses))
    digest = treaty.payload_digest.hex()
    if as_json:
        shown = {"party": driver.party_id, "treaty": digest, "epoch": treaty.statement.epoch}
        print_json({"home": str(home), **shown, "file": str(path)})
        return
    print_line(f"signed by all {len(treaty.statement.parties)} of its parties: treaty {digest}")
    print_line(f"it is in {path}, and not in force; compare its digest with the others'")
    print_line(f"next: {spell_command()} move roster-change --subject {path} --home {home}")


def _introduce(terms: Terms) -> None:
    from vetonet.cli.treaties import print_charter

    print_charter(terms)
    print_line()


async def _plan(home: Home, terms: Terms, attempt: int, without: frozenset[str]) -> Succession:
    """Return what there is to do, from the log itself.

    Raises:
        VetonetError: the log cannot be read, or the charter does not follow the treaty in force.
    """
    from vetonet.cli.present import reading
    from vetonet.policy.succession_plan import plan_succession

    async with reading(to_member(home), home.settings.coordinator) as (_, ledger):
        history = (*ledger.predecessors, ledger.treaty)
    return plan_succession(history, terms, attempt, without=without)


def find_addresses(home: Home, others: Collection[str], texts: tuple[str, ...]) -> dict[str, str]:
    """Return where each of the others takes calls: what the command line says comes first.

    Raises:
        Failure: one is missing, or named and takes no part.
    """
    from vetonet.party.home_settings import parse_peer

    known = {name: address for name, address in home.settings.peers.items() if name in others}
    try:
        named = dict(parse_peer(text, others) for text in texts)
    except ConfigError as error:
        raise Failure(f"--peer: {error}") from error
    missing = sorted(set(others) - set(known) - set(named))
    if missing:
        raise Failure(f"--peer: expected the address of each that takes part, none of {', '.join(missing)}")
    return known | named


def _prepare(
    home: Home, unlock: Any, succession: Succession, options: Mapping[str, Any]
) -> tuple[FoundingDriver, SuccessionMemory]:
    from vetonet.party.founding_network import FoundingDriver
    from vetonet.party.founding_ports import TakingOver
    from vetonet.party.keystore import KEY_STORE_FILE, KeyStore
    from vetonet.party.succession_home import SuccessionMemory

    store = KeyStore.open(home.root / KEY_STORE_FILE, unlock, secrets.token_bytes)
    attempt = succession.attempt
    memory = SuccessionMemory(home.root, store, epoch=succession.terms.epoch, attempt=attempt)
    driver = FoundingDriver(
        succession.terms,
        home.settings.party_id,
        home.secrets.statement_key,
        attempt=attempt,
        deadline_ms=read_clock() + options["deadline_ms"],
        rng=secrets.token_bytes,
        clock=read_clock,
        report=note,
        taking_over=TakingOver(succession=succession, secrets=home.secrets, keep=memory.keep_group),
    )
    return driver, memory


async def _take_part(
    driver: FoundingDriver, memory: SuccessionMemory, home: Home, listen: str, addresses: Mapping[str, str]
) -> tuple[Signed[Treaty], Path]:
    """Return the treaty, and where the home keeps it, once whoever needs this party's signature has it."""
    from vetonet.party.founding_service import connect_founders, serve_founding

    credential = home.credential
    bound = await serve_founding(
        driver, listen, credential=credential, max_message_bytes=driver.max_message_bytes
    )
    note(f"{driver.party_id} listens on {bound.address}; waiting for {', '.join(sorted(addresses))}")
    peers = connect_founders(addresses, credential=credential, rng=secrets.token_bytes)
    try:
        treaty, _ = await driver.run(peers, memory)
        path = memory.settle(treaty)
        await driver.linger()
    except VetonetError:
        await driver.linger()
        raise
    finally:
        await bound.stop(STOP_GRACE_S)
        for peer in peers.values():
            await peer.close()
    return treaty, path
