"""``vetonet serve``: a treaty's coordinator, until it is told to stop."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder, read_input
from vetonet.cli.log_source import TILES_FOLDER
from vetonet.cli.output import examples, json_option, note, print_json, print_line, warn
from vetonet.cli.parameters import ADDRESS, DURATION, show
from vetonet.cli.session import DEFAULT_ADDRESS, directory_option, insecure_option, run_async, stop_on_signals
from vetonet.units import MS_PER_S, Milliseconds

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.policy.founding import FoundingRecord, SpoiltCeremony
    from vetonet.service.publishing import Publishing
    from vetonet.service.server import CoordinatorServer
    from vetonet.storage import TileStore
    from vetonet.tlog.witness import WitnessPort

    R = TypeVar("R", FoundingRecord, SpoiltCeremony)

DATA_FOLDER: Final = "data"
GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Duty:
    """Which coordinator is served, and what of it to whom."""

    member: Member
    data: Path
    publishing: Publishing
    log_listen: str | None
    founding: tuple[bytes, ...]


@click.command(
    epilog=examples(
        "vetonet serve --dir trial --trial-witnesses",
        "vetonet serve --dir trial --witness P1=http://127.0.0.1:8001 --witness P2=http://127.0.0.1:8002",
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
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="PARTY=URL",
    help="Where a party runs `vetonet witness run`; repeat.",
)
@click.option(
    "--trial-witnesses",
    "is_trial",
    is_flag=True,
    help="Run the witnesses of all parties below --dir here, too. For trials only.",
)
@click.option(
    "--checkpoint-interval",
    "interval_ms",
    type=DURATION,
    default="1s",
    show_default=True,
    help="How often the log is published.",
)
@click.option(
    "--log-listen",
    type=ADDRESS,
    metavar="HOST:PORT",
    help="Where to show the log to everybody, as tiles over HTTP; without it nobody but members reads it.",
)
@insecure_option
@json_option
def serve(
    *,
    directory: Path,
    listen: str,
    data: Path | None,
    witnesses: tuple[str, ...],
    is_trial: bool,
    interval_ms: Milliseconds,
    log_listen: str | None,
    insecure_loopback: bool,
    as_json: bool,
) -> None:
    """Run the coordinator of the treaty in --dir until interrupted.

    Nothing is acknowledged that a crash could lose: start it again on the same --data and go on. Nothing
    leaves before the treaty's quorum of witnesses vouches for it: give their addresses with --witness, or try
    it with --trial-witnesses. A founding.cbor in --dir goes into the log, where anybody may judge it by
    `vetonet treaty founding --log`. With --json one object is printed once calls are taken.
    """
    from vetonet.cli.directory import load_coordinator
    from vetonet.service.publishing import Publishing

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    member = load_coordinator(directory)
    journal = data or directory / "coordinator" / DATA_FOLDER
    make_folder(journal, mode=PRIVATE_FOLDER_MODE)
    if insecure_loopback:
        warn("no certificates: anybody on this machine can pose as anybody")
    settings = {"address": listen, "credential": None if insecure_loopback else member.credential}
    with ExitStack() as stack:
        asked = _find_witnesses(member, witnesses, directory if is_trial else None, journal, stack)
        publishing = Publishing(witnesses=asked, interval_s=interval_ms / MS_PER_S)
        duty = _Duty(
            member=member,
            data=journal,
            publishing=publishing,
            log_listen=log_listen,
            founding=_read_founding(directory, member),
        )
        run_async(lambda: _serve(duty, settings, as_json=as_json))


def _find_witnesses(
    member: Member, urls: tuple[str, ...], trial: Path | None, data: Path, stack: ExitStack
) -> dict[str, WitnessPort]:
    """Return whom to ask, by the name of their key: by HTTP, or in this very process for a trial.

    Raises:
        Failure: an unknown party, or fewer than the treaty's quorum.
    """
    from vetonet.cli.witnesses import open_trial_witnesses
    from vetonet.wire.http_witness import HttpWitness

    terms = member.treaty.statement
    asked: dict[str, WitnessPort] = {} if trial is None else open_trial_witnesses(trial, data, stack)
    for text in urls:
        party_id, _, url = text.partition("=")
        named = [witness.name for witness in terms.witnesses if witness.party_id == party_id]
        if not named or not url:
            known = ", ".join(witness.party_id for witness in terms.witnesses if witness.party_id)
            raise Failure(f"--witness: expected PARTY=URL of one of {known}, got {show(text)}")
        asked[named[0]] = stack.enter_context(HttpWitness(url))
    if len(asked) < terms.witness_quorum:
        raise Failure(
            f"--witness: expected at least {terms.witness_quorum} of the treaty's {len(terms.witnesses)} "
            f"witnesses, got {len(asked)}; without them nothing leaves; --trial-witnesses runs all here"
        )
    return asked


def _read_founding(directory: Path, member: Member) -> tuple[bytes, ...]:
    """Return what the log is to hold of the treaty's founding (VN-15.11); of a trial there is nothing.

    Raises:
        Failure: a record there is not of this treaty.
    """
    from vetonet.party.founding_home import EVIDENCE_FILE, FOUNDING_FILE
    from vetonet.policy.founding import FoundingRecord, SpoiltCeremony
    from vetonet.voting.founding import judge_spoilt, verify_founding

    treaty = member.treaty.statement
    leaves: list[bytes] = []
    for path in directory.glob(FOUNDING_FILE):
        leaves += _choose_leaves(path, FoundingRecord, lambda kept: verify_founding(treaty, kept))
    for path in sorted(directory.glob(EVIDENCE_FILE.format(attempt="*"))):
        leaves += _choose_leaves(path, SpoiltCeremony, lambda kept: judge_spoilt(treaty.to_terms(), kept))
    return tuple(dict.fromkeys(leaves))


def _choose_leaves(path: Path, kind: type[R], judge: Callable[[R], object]) -> tuple[bytes, ...]:
    """Return the leaves that a file gives, once it was judged to be of this treaty."""
    from vetonet.errors import RefusedError, VetonetError
    from vetonet.voting.founding_log import list_statements

    try:
        kept = kind.from_bytes(read_input(path, "a founding", maximum=kind.MAX_BYTES))
        judge(kept)
    except VetonetError as error:
        message = f"{path}: expected the record of this treaty's founding: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
    try:
        return list_statements(kept)
    except RefusedError as error:
        warn(f"{path}: the log cannot hold it: {error}")
        return ()


async def _serve(duty: _Duty, listening: dict[str, Any], *, as_json: bool) -> None:
    from vetonet.service.server import ServerSettings, serve_coordinator
    from vetonet.storage import FileTileStore

    stopped = stop_on_signals()
    tiles = None if duty.log_listen is None else FileTileStore(_make_tiles(duty.data))
    async with (
        serve_coordinator(
            duty.data,
            treaty_bytes=duty.member.treaty.data,
            log_key=duty.member.key,
            publishing=duty.publishing,
            settings=ServerSettings(**listening),
            tiles=tiles,
            founding=duty.founding,
        ) as server,
        _shown(tiles, duty.log_listen) as log_url,
    ):
        _say_ready(server, duty, log_url, as_json=as_json)
        await stopped.wait()
        note("stopping: calls under way have a moment to end ...")


def _make_tiles(data: Path) -> Path:
    """Return the folder of the log's public files; whoever serves them as static files may read it."""
    folder = data / TILES_FOLDER
    make_folder(folder)
    return folder


@asynccontextmanager
async def _shown(tiles: TileStore | None, listen: str | None) -> AsyncGenerator[str | None]:
    """While it runs, everybody can read the log at the URL."""
    from vetonet.service.tile_app import make_tile_app
    from vetonet.storage.tile_store import CHECKPOINT
    from vetonet.wire.http_server import BoundHttp

    if tiles is None or listen is None:
        yield None
        return
    app = make_tile_app(read_tile=tiles.read, read_checkpoint=partial(tiles.read, CHECKPOINT))
    server = BoundHttp.bind(listen, app)
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop(GRACE_S)


def _say_ready(server: CoordinatorServer, duty: _Duty, log_url: str | None, *, as_json: bool) -> None:
    treaty = duty.member.treaty
    if as_json:
        ready = {"address": server.address, "treaty": treaty.payload_digest.hex(), "data": str(duty.data)}
        print_json(ready if log_url is None else {**ready, "log": log_url})
    else:
        where = f"at {server.address}, journal in {duty.data}"
        print_line(f"serving {treaty.statement.name} {where}; Ctrl-C stops it")
    if log_url is not None and not as_json:
        print_line(f"its log is at {log_url} for everybody")
    sys.stdout.flush()
