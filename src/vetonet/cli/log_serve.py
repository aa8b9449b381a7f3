"""``vetonet log key|serve``: keep a log of any leaves, to try and to measure."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.log_source import DEFAULT_ADDRESS, TILES_FOLDER, policy_option, read_policy_file
from vetonet.cli.output import examples, json_option, note, print_json, print_line, warn
from vetonet.cli.parameters import ADDRESS, DURATION
from vetonet.cli.session import read_clock, run_async, stop_on_signals
from vetonet.errors import EncodingError
from vetonet.units import MS_PER_S, Milliseconds

if TYPE_CHECKING:
    from vetonet.crypto.keys import SigningKey
    from vetonet.tlog.note import LogKey
    from vetonet.tlog.policy import LogPolicy
    from vetonet.tlog.witness import WitnessPort

DEFAULT_LOG_ADDRESS: Final = "127.0.0.1:7448"
GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Duty:
    """Which log is kept, where, and who vouches for it."""

    data: Path
    signing_key: SigningKey = field(repr=False)
    policy: LogPolicy
    witnesses: Mapping[str, WitnessPort]
    interval_s: float


@click.command(epilog=examples("vetonet log key --out log-key.pem --origin log.example/trial"))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file for the key.")
@click.option("--origin", required=True, help="The log's identity, a URL without its scheme by custom.")
@json_option
def key(*, out: Path, origin: str, as_json: bool) -> None:
    """Make the key of a new log; print its verifier key, by which others know the log."""
    from vetonet.crypto.keys import generate_ed25519
    from vetonet.party.keys import save_signing_key

    signing_key = generate_ed25519(secrets.token_bytes)
    vkey = _name_key(origin, signing_key).to_vkey()
    save_signing_key(out, signing_key)
    if as_json:
        print_json({"origin": origin, "vkey": vkey, "key": str(out)})
    else:
        print_line(vkey)


@click.command(
    epilog=examples(
        "vetonet log serve --data log --key log-key.pem --origin log.example/trial",
        "vetonet log serve --data log --key log-key.pem --origin log.example/trial --policy log.policy",
    ),
)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the log is kept; its files for static hosting are in the folder `tiles` there.",
)
@click.option("--key", "key_path", required=True, type=click.Path(path_type=Path), help="The log's key.")
@click.option("--origin", required=True, help="The log's identity.")
@policy_option
@click.option(
    "--listen", type=ADDRESS, default=DEFAULT_ADDRESS, show_default=True, help="Where to take leaves (gRPC)."
)
@click.option(
    "--log-listen",
    type=ADDRESS,
    default=DEFAULT_LOG_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to show the log to everybody, as tiles over HTTP.",
)
@click.option(
    "--checkpoint-interval",
    "interval_ms",
    type=DURATION,
    default="1s",
    show_default=True,
    help="How often the log is published.",
)
@json_option
def serve(
    *,
    data: Path,
    key_path: Path,
    origin: str,
    policy_path: Path | None,
    listen: str,
    log_listen: str,
    interval_ms: Milliseconds,
    as_json: bool,
) -> None:
    """Keep a log of any leaves until interrupted; a treaty's log is kept by `vetonet serve`.

    An append that is acknowledged is on disk. Every interval the witnesses to which --policy gives a URL are
    asked to cosign, and nothing is shown before they make its quorum. With --json one object is printed once
    leaves are taken.
    """
    from vetonet.party.keys import load_signing_key

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    signing_key = load_signing_key(key_path)
    with ExitStack() as stack:
        policy, witnesses = _find_policy(_name_key(origin, signing_key), policy_path, stack)
        make_folder(data, mode=PRIVATE_FOLDER_MODE)
        make_folder(data / TILES_FOLDER)
        duty = _Duty(
            data=data,
            signing_key=signing_key,
            policy=policy,
            witnesses=witnesses,
            interval_s=interval_ms / MS_PER_S,
        )
        run_async(lambda: _serve(duty, listen, log_listen, as_json=as_json))


def _name_key(origin: str, signing_key: SigningKey) -> LogKey:
    from vetonet.tlog.note import LogKey

    try:
        return LogKey(name=origin, public_key=signing_key.public_key)
    except EncodingError as error:
        raise Failure(f"--origin: {error}") from error


def _find_policy(
    log_key: LogKey, path: Path | None, stack: ExitStack
) -> tuple[LogPolicy, dict[str, WitnessPort]]:
    """Return what makes this log's checkpoints count, and whom to ask for it.

    Raises:
        Failure: the policy is of another log, or gives too few witnesses a URL.
    """
    from vetonet.tlog.policy import LogPolicy, is_quorum
    from vetonet.wire.http_witness import HttpWitness

    if path is None:
        warn("no --policy: no witness vouches for this log, so it can show everybody another history")
        return LogPolicy.unwitnessed(log_key), {}
    found = read_policy_file(path)
    if found.policy.log_keys != (log_key,):
        raise Failure(f"{path}: expected a policy for the log {log_key.to_vkey()} and for no other")
    asked = [witness for witness in found.policy.witnesses if witness.name in found.urls]
    if not is_quorum(found.policy.quorum, frozenset(asked)):
        raise Failure(f"{path}: expected URLs for a quorum of witnesses, got {len(asked)} of them")
    return found.policy, {
        witness.name: stack.enter_context(HttpWitness(found.urls[witness.name])) for witness in asked
    }


async def _serve(duty: _Duty, listen: str, log_listen: str, *, as_json: bool) -> None:
    from vetonet.service.open_log import open_tile_log, serve_open_log
    from vetonet.service.publishing import Publishing
    from vetonet.service.tile_app import make_tile_app
    from vetonet.storage import FileTileStore
    from vetonet.storage.tile_store import CHECKPOINT
    from vetonet.wire.http_server import BoundHttp

    stopped, failed = stop_on_signals(), asyncio.Event()

    def note_failure() -> None:
        failed.set()
        stopped.set()

    store = FileTileStore(duty.data / TILES_FOLDER)
    app = make_tile_app(read_tile=store.read, read_checkpoint=partial(store.read, CHECKPOINT))
    async with (
        open_tile_log(
            duty.data,
            policy=duty.policy,
            log_key=duty.signing_key,
            publishing=Publishing(witnesses=duty.witnesses, interval_s=duty.interval_s),
            clock=read_clock,
            on_failure=note_failure,
        ) as log,
        AsyncExitStack() as stack,
    ):
        tiles = BoundHttp.bind(log_listen, app)
        stack.push_async_callback(tiles.stop, GRACE_S)
        server = await serve_open_log(log, listen)
        stack.push_async_callback(server.stop, GRACE_S)
        await tiles.start()
        _say_ready(server.address, tiles.url, duty, as_json=as_json)
        await stopped.wait()
        note("stopping: calls under way have a moment to end ...")
    if failed.is_set():
        raise Failure(f"{duty.data}: nothing could be published any more; see above, then start it again")


def _say_ready(address: str, url: str, duty: _Duty, *, as_json: bool) -> None:
    log_key = duty.policy.log_key
    if as_json:
        print_json(
            {"address": address, "log": url, "vkey": log_key.to_vkey(), "witnesses": sorted(duty.witnesses)}
        )
    else:
        print_line(f"log {log_key.name} takes leaves at {address} and is read at {url}; Ctrl-C stops it")
        print_line(f"its verifier key: {log_key.to_vkey()}")
    sys.stdout.flush()
