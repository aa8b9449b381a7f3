"""``vetonet serve``: a treaty's coordinator, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.output import examples, json_option, note, print_json, print_line, warn
from vetonet.cli.parameters import ADDRESS
from vetonet.cli.session import DEFAULT_ADDRESS, directory_option, insecure_option, run_async

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.service.server import CoordinatorServer

DATA_FOLDER: Final = "data"
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command(
    epilog=examples(
        "vetonet serve --dir trial",
        "vetonet serve --dir trial --listen 127.0.0.1:0 --json",
    ),
)
@directory_option
@click.option(
    "--listen",
    type=ADDRESS,
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to take calls; port 0 for one that is free.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Where the journal is kept.  [default: coordinator/data below --dir]",
)
@insecure_option
@json_option
def serve(directory: Path, listen: str, data: Path | None, *, insecure_loopback: bool, as_json: bool) -> None:
    """Run the coordinator of the treaty in --dir until interrupted.

    Nothing is acknowledged that a crash could lose: start it again on the same --data and go on. With --json
    one object is printed once calls are taken.
    """
    from vetonet.cli.directory import load_coordinator

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    member = load_coordinator(directory)
    journal = data or directory / "coordinator" / DATA_FOLDER
    make_folder(journal, mode=PRIVATE_FOLDER_MODE)
    if insecure_loopback:
        warn("no certificates: anybody on this machine can pose as anybody")
    run_async(lambda: _serve(member, listen, journal, is_insecure=insecure_loopback, as_json=as_json))


async def _serve(member: Member, listen: str, data: Path, *, is_insecure: bool, as_json: bool) -> None:
    from vetonet.service.server import ServerSettings, serve_coordinator

    stopped = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    settings = ServerSettings(address=listen, credential=None if is_insecure else member.credential)
    async with serve_coordinator(
        data, treaty_bytes=member.treaty.data, log_key=member.key, settings=settings
    ) as server:
        _say_ready(server, member, data, as_json=as_json)
        await stopped.wait()
        note("stopping: calls under way have a moment to end ...")


def _say_ready(server: CoordinatorServer, member: Member, data: Path, *, as_json: bool) -> None:
    treaty = member.treaty
    if as_json:
        print_json({"address": server.address, "treaty": treaty.payload_digest.hex(), "data": str(data)})
    else:
        print_line(f"serving {treaty.statement.name} at {server.address}, journal in {data}; Ctrl-C stops it")
    sys.stdout.flush()
