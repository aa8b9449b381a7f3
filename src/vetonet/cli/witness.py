"""``vetonet witness``: cosign the checkpoints of logs, as a party of a treaty or for anybody's logs."""

from __future__ import annotations

import logging
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.cli.parameters import ADDRESS, NAME, show
from vetonet.cli.session import read_clock, run_async, stop_on_signals
from vetonet.errors import EncodingError
from vetonet.units import MS_PER_S

if TYPE_CHECKING:
    from vetonet.crypto.keys import SigningKey
    from vetonet.party.witness import Witness
    from vetonet.tlog.note import LogKey

DEFAULT_ADDRESS: Final = "127.0.0.1:7444"
DATA_FOLDER: Final = "witness"
GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Duty:
    """Who witnesses what, and where it is remembered."""

    name: str
    key: SigningKey = field(repr=False)
    logs: dict[str, tuple[LogKey, ...]]
    data: Path


@click.group(
    epilog=examples(
        "vetonet witness run --dir trial --party P1",
        "vetonet witness key --out witness-key.pem --name witness.example/w1",
    ),
)
def witness() -> None:
    """Cosign the checkpoints of logs, so that nobody can be shown another history."""


@witness.command(
    epilog=examples(
        "vetonet witness run --dir trial --party P1 --listen 127.0.0.1:0 --json",
        "vetonet witness run --name witness.example/w1 --key witness-key.pem --data memory --log-vkey VKEY",
    ),
)
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="The treaty directory, with --party."
)
@click.option("--party", "party_id", type=NAME, help="The party whose witness this is, with --dir.")
@click.option("--name", help="The name of the witness, for logs of no treaty.")
@click.option("--key", "key_path", type=click.Path(path_type=Path), help="Its key, with --name.")
@click.option(
    "--log-vkey",
    "vkeys",
    multiple=True,
    metavar="VKEY",
    help="The key of a log, whose name is the log's origin; repeat.",
)
@click.option(
    "--log",
    "named_logs",
    type=(str, str),
    multiple=True,
    metavar="ORIGIN VKEY",
    help="A log whose key has another name; repeat.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Where it remembers what it cosigned.  [default: parties/PARTY/witness below --dir]",
)
@click.option(
    "--listen",
    type=ADDRESS,
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to take requests; port 0 for one that is free.",
)
@json_option
def run(
    *,
    directory: Path | None,
    party_id: str | None,
    name: str | None,
    key_path: Path | None,
    vkeys: tuple[str, ...],
    named_logs: tuple[tuple[str, str], ...],
    data: Path | None,
    listen: str,
    as_json: bool,
) -> None:
    """Run a witness until interrupted (C2SP tlog-witness over HTTP).

    It cosigns a checkpoint only when that extends the newest one it cosigned, and only once it is on disk:
    start it again on the same --data and it goes on. Never give two witnesses one key, nor one an older copy
    of its --data. With --json one object is printed once requests are taken.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    general = (name, key_path, *vkeys, *named_logs)
    if directory is not None and party_id is not None and not any(general):
        duty = _find_duty(directory, party_id, data)
    elif directory is None and party_id is None and name and key_path and data:
        duty = _name_duty(name, key_path, data, _read_logs(vkeys, named_logs))
    else:
        raise Failure(
            "expected --dir with --party for a treaty's witness, or --name, --key, --data and --log-vkey; "
            "see `vetonet witness run --help`"
        )
    run_async(lambda: _serve(duty, listen, as_json=as_json))


@witness.command(epilog=examples("vetonet witness key --out witness-key.pem --name witness.example/w1"))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file for the key.")
@click.option("--name", required=True, help="The name of the witness, a URL without its scheme by custom.")
@json_option
def key(*, out: Path, name: str, as_json: bool) -> None:
    """Make the key of a new witness; print its verifier key, by which others know it."""
    from vetonet.crypto.keys import generate_ed25519
    from vetonet.party.keys import save_signing_key
    from vetonet.tlog.cosignature import WitnessKey

    signing_key = generate_ed25519(secrets.token_bytes)
    try:
        vkey = WitnessKey.of_ed25519(name, signing_key.public_key).to_vkey()
    except EncodingError as error:
        raise Failure(f"--name: {error}") from error
    save_signing_key(out, signing_key)
    if as_json:
        print_json({"name": name, "vkey": vkey, "key": str(out)})
    else:
        print_line(vkey)


def _find_duty(directory: Path, party_id: str, data: Path | None) -> _Duty:
    """Return what a party's witness does under its treaty.

    Raises:
        Failure, ConfigError: no such party, no witness of it, or its key file is not usable.
    """
    from vetonet.cli.directory import load_witness
    from vetonet.tlog.policy import LogPolicy
    from vetonet.tlog.witness import trust_by_name

    treaty, terms, signing_key = load_witness(directory, party_id)
    return _Duty(
        name=terms.name,
        key=signing_key,
        logs=trust_by_name(LogPolicy.under(treaty.statement).log_keys),
        data=data or directory / "parties" / party_id / DATA_FOLDER,
    )


def _name_duty(name: str, key_path: Path, data: Path, logs: dict[str, tuple[LogKey, ...]]) -> _Duty:
    """Return what a witness does for these logs.

    Raises:
        ConfigError: its key file is not usable.
    """
    from vetonet.party.keys import load_signing_key

    return _Duty(name=name, key=load_signing_key(key_path), logs=logs, data=data)


def _read_logs(
    vkeys: tuple[str, ...], named_logs: tuple[tuple[str, str], ...]
) -> dict[str, tuple[LogKey, ...]]:
    """Return the keys that are trusted for each log.

    Raises:
        Failure: none, or one that is malformed.
    """
    logs: dict[str, tuple[LogKey, ...]] = {}
    for origin, vkey in (*((None, vkey) for vkey in vkeys), *named_logs):
        log_key = _read_vkey(vkey)
        logs[origin or log_key.name] = (*logs.get(origin or log_key.name, ()), log_key)
    if not logs:
        raise Failure("expected a log to follow; give its key with --log-vkey")
    return logs


def _read_vkey(vkey: str) -> LogKey:
    from vetonet.tlog.note import LogKey

    try:
        return LogKey.from_vkey(vkey)
    except EncodingError as error:
        raise Failure(f"{show(vkey)}: {error}") from error


async def _serve(duty: _Duty, listen: str, *, as_json: bool) -> None:
    from vetonet.party.witness import Witness
    from vetonet.party.witness_app import WITNESS_LIMITS, make_witness_app
    from vetonet.storage import SqliteJournal
    from vetonet.wire.http_server import BoundHttp

    stopped = stop_on_signals()
    make_folder(duty.data, mode=PRIVATE_FOLDER_MODE)
    with SqliteJournal.open(duty.data) as journal:
        opened = Witness.open(journal, name=duty.name, signing_key=duty.key, logs=duty.logs)
        app = make_witness_app(opened, clock_s=lambda: read_clock() // MS_PER_S)
        server = BoundHttp.bind(listen, app, limits=WITNESS_LIMITS)
        await server.start()
        _say_ready(opened, server.url, duty, as_json=as_json)
        await stopped.wait()
        note("stopping: requests under way have a moment to end ...")
        await server.stop(GRACE_S)


def _say_ready(opened: Witness, url: str, duty: _Duty, *, as_json: bool) -> None:
    vkey = opened.key.to_vkey()
    if as_json:
        print_json(
            {
                "address": url.removeprefix("http://"),
                "url": url,
                "name": opened.key.name,
                "vkey": vkey,
                "origins": list(opened.origins),
                "data": str(duty.data),
            }
        )
    else:
        followed = ", ".join(opened.origins)
        print_line(
            f"witness {opened.key.name} of {followed} at {url}, memory in {duty.data}; Ctrl-C stops it"
        )
        print_line(f"its verifier key: {vkey}")
    sys.stdout.flush()
