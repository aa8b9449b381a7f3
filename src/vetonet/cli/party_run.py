"""``vetonet party run``: one party's daemon until it is told to stop, or a whole council to try things."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.cli.parameters import ADDRESS
from vetonet.cli.party_home import enter, to_member, unlock_options
from vetonet.cli.session import connect, read_clock, run_async, stop_on_signals
from vetonet.units import MS_PER_S

if TYPE_CHECKING:
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.envoy import Envoy
    from vetonet.party.home import Home
    from vetonet.party.home_settings import HomeSettings
    from vetonet.policy.rules import Rules

GRACE_S: Final = 2.0
MAX_FLEET: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Post:
    """Which party is represented, and how."""

    home: Home
    settings: HomeSettings
    rules: Rules
    as_json: bool


@click.command(
    epilog=examples(
        "vetonet party run p1 --key-file p1.key",
        "vetonet party run p1 --key-file p1.key --peer P2=127.0.0.1:7452 --witness-listen 127.0.0.1:7444",
        "vetonet party run --demo-fleet 5 --out council",
    ),
)
@click.argument("home", required=False, type=click.Path(path_type=Path))
@unlock_options
@click.option("--listen", type=ADDRESS, metavar="HOST:PORT", help="Where to take calls.")
@click.option("--coordinator", type=ADDRESS, metavar="HOST:PORT", help="Where the coordinator is.")
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="ID=HOST:PORT",
    help="Where another party's daemon is; repeat.",
)
@click.option(
    "--witness-listen", type=ADDRESS, metavar="HOST:PORT", help="Run the party's witness here, too."
)
@click.option(
    "--demo-fleet",
    "fleet_size",
    type=click.IntRange(2, MAX_FLEET),
    metavar="N",
    help=f"Without HOME: a council of N parties on this machine, to try things; at most {MAX_FLEET}.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where that goes.  [default: a new folder for trials]"
)
@json_option
def run(
    *,
    home: Path | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    fleet_size: int | None,
    out: Path | None,
    as_json: bool,
    **changes: Any,
) -> None:
    """Run the daemon of the party in HOME until interrupted; options come before what HOME/party.toml says.

    It follows the log, votes by HOME/rules.toml, leaves the rest to `vetonet vote --home HOME`, signs what
    its own review agrees to, and says each thing in one line. Killed anywhere, it goes on as the one it was.
    With --json one object is printed once calls are taken, and the lines go to standard error.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if (home is None) == (fleet_size is None):
        raise Failure("expected HOME, or --demo-fleet without it; see `vetonet party run --help`")
    if fleet_size is not None:
        from vetonet.cli.party_fleet import run_fleet

        if passphrase_file or key_file or any(changes.values()):
            raise Failure("--demo-fleet makes its own homes and addresses; only --out and --json go with it")
        run_fleet(fleet_size, out, as_json=as_json)
    elif home is not None:
        if out is not None:
            raise Failure("--out goes with --demo-fleet alone")
        run_async_home(enter(home, passphrase_file, key_file), as_json=as_json, **changes)


def run_async_home(home: Home, *, as_json: bool, **changes: Any) -> None:
    """The home's daemon ran until it was told to stop.

    Raises:
        Failure: another daemon runs on the home, or the log signed two histories.
        VetonetError: an address or the rules are not usable.
    """
    from vetonet.party.rules_file import read_rules
    from vetonet.policy.motion import MOVABLE
    from vetonet.policy.rules import RUN_GRANT
    from vetonet.tlog.fork import LogForkedError

    actions = (RUN_GRANT, *(action.value for action in MOVABLE))
    post = _Post(
        home=home,
        settings=_change(home.settings, home, **changes),
        rules=read_rules(home.rules, actions=actions, treaty=home.treaty.statement),
        as_json=as_json,
    )
    try:
        run_async(lambda: _stand(post))
    except LogForkedError as error:
        from vetonet.cli.monitor import write_evidence

        note(f"evidence in {write_evidence(error.evidence, home.root)}; `vetonet verify-evidence` judges it")
        raise


def _change(
    settings: HomeSettings,
    home: Home,
    *,
    listen: str | None,
    coordinator: str | None,
    peers: tuple[str, ...],
    witness_listen: str | None,
) -> HomeSettings:
    """Return the settings of the home with what the command line says in their place."""
    from vetonet.errors import ConfigError
    from vetonet.party.home_settings import parse_peer

    others = home.known_parties - {settings.party_id}
    try:
        named = dict(parse_peer(text, others) for text in peers)
    except ConfigError as error:
        raise Failure(f"--peer: {error}") from error
    return replace(
        settings,
        listen=listen or settings.listen,
        coordinator=coordinator or settings.coordinator,
        witness_listen=witness_listen or settings.witness_listen,
        peers={**settings.peers, **named},
    )


async def _stand(post: _Post) -> None:
    """Serve, follow and act until a signal; whatever was begun has a moment to end."""
    stopped = stop_on_signals()
    async with contextlib.AsyncExitStack() as stack:
        envoy, address, witness_url = await _open(post, stack)
        _say_ready(post, address, witness_url)
        following = asyncio.create_task(envoy.run())
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            for task in (following, waiting):
                task.cancel()
            await asyncio.gather(following, waiting, return_exceptions=True)
        note("stopping: calls under way have a moment to end ...")


async def _open(post: _Post, stack: contextlib.AsyncExitStack) -> tuple[Envoy, str, str | None]:
    """Return the envoy, and where daemon and witness take calls; the stack closes everything."""
    from vetonet.cli.files import write_output
    from vetonet.party.envoy import Envoy
    from vetonet.party.home import ADDRESS_FILE
    from vetonet.party.peer import ORDER_LIMITS, serve_party

    home, settings = post.home, post.settings
    journal = stack.enter_context(_open_journal(home))
    member = to_member(home)
    client = await stack.enter_async_context(connect(member, settings.coordinator, is_insecure=False))
    daemon = await _make_daemon(post, client, journal, stack)
    envoy = Envoy(daemon, client, post.rules, clock=read_clock, say=_find_say(post))
    bound = await serve_party(
        envoy,
        home.treaty.statement,
        settings.listen,
        credential=home.credential,
        limits=ORDER_LIMITS,
        orders=envoy,
        list_callers=envoy.list_callers,
    )
    stack.push_async_callback(bound.stop, GRACE_S)
    witness_url = await _open_witness(post, stack)
    write_output(home.root / ADDRESS_FILE, f"{bound.address}\n".encode())
    stack.callback((home.root / ADDRESS_FILE).unlink, missing_ok=True)
    return envoy, bound.address, witness_url


def _open_journal(home: Home) -> Any:
    from vetonet.storage import LockedJournalError, SqliteJournal

    try:
        return SqliteJournal.open(home.journal)
    except LockedJournalError as error:
        message = f"a daemon of {home.settings.party_id} runs on {home.root} already; one home has one daemon"
        raise Failure(message, reason=error.reason) from error


async def _make_daemon(
    post: _Post, client: Any, journal: Any, stack: contextlib.AsyncExitStack
) -> PartyDaemon:
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.memory import PartyMemory
    from vetonet.party.peer import connect_peers

    home = post.home
    peers = connect_peers(post.settings.peers, credential=home.credential, rng=secrets.token_bytes)
    for peer in peers.values():
        stack.push_async_callback(peer.close)
    return PartyDaemon(
        secrets=home.secrets,
        treaty=home.treaty,
        coordinator=client,
        memory=PartyMemory.open(journal),
        peers=peers,
        clock=read_clock,
        rng=secrets.token_bytes,
    )


async def _open_witness(post: _Post, stack: contextlib.AsyncExitStack) -> str | None:
    """Return where the party's witness takes requests, in this process, or None where it does not run."""
    from vetonet.party.witness import Witness
    from vetonet.party.witness_app import WITNESS_LIMITS, make_witness_app
    from vetonet.storage import SqliteJournal
    from vetonet.tlog.policy import LogPolicy
    from vetonet.tlog.witness import trust_by_name
    from vetonet.wire.http_server import BoundHttp

    home, listen = post.home, post.settings.witness_listen
    if listen is None:
        return None
    terms = home.treaty.statement
    witness = Witness.open(
        stack.enter_context(SqliteJournal.open(home.witness_journal)),
        name=terms.find_witness_of(home.settings.party_id).name,
        signing_key=home.witness_key,
        logs=trust_by_name(LogPolicy.under(terms).log_keys),
    )
    app = make_witness_app(witness, clock_s=lambda: read_clock() // MS_PER_S)
    server = BoundHttp.bind(listen, app, limits=WITNESS_LIMITS)
    await server.start()
    stack.push_async_callback(server.stop, GRACE_S)
    return server.url


def _find_say(post: _Post) -> Any:
    """Return where the lines go: beside the one object of --json nothing stands on standard output."""
    if post.as_json:
        return note

    def say(line: str) -> None:
        print_line(line)
        sys.stdout.flush()

    return say


def _say_ready(post: _Post, address: str, witness_url: str | None) -> None:
    party_id = post.settings.party_id
    if post.as_json:
        ready = {
            "party": party_id,
            "address": address,
            "coordinator": post.settings.coordinator,
            "peers": sorted(post.settings.peers),
            "rules": len(post.rules.rules),
            "default": str(post.rules.default),
            "witness": witness_url,
        }
        print_json(ready)
    else:
        rules = f"{len(post.rules.rules)} rules, else {post.rules.default}"
        told = ", ".join(sorted(post.settings.peers)) or "nobody"
        print_line(f"{party_id} at {address}: {rules}; tells {told} directly; Ctrl-C stops it")
        if witness_url is not None:
            print_line(f"its witness at {witness_url}")
    sys.stdout.flush()
