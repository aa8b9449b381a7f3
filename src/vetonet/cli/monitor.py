"""``vetonet monitor``: follow a treaty's log, read every leaf by the rules, compare it with other views."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder, write_output
from vetonet.cli.log_source import open_log_source
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.cli.parameters import ADDRESS, DURATION
from vetonet.cli.session import read_clock, run_async, stop_on_signals
from vetonet.units import MS_PER_S, Milliseconds

if TYPE_CHECKING:
    from vetonet.errors import Problem
    from vetonet.party.monitor_memory import MonitorMemory
    from vetonet.party.monitoring import MonitorDriver, Observation
    from vetonet.tlog.fork import ForkEvidence

GRACE_S: Final = 2.0
MAX_PROBLEMS: Final = 10_000
"""How many are kept for the end; all are told as they come."""


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What the whole run came to."""

    is_bad: bool = False
    evidence: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)
    last: Observation | None = None

    @property
    def code(self) -> Exit:
        """How the command ends."""
        if self.is_bad:
            return Exit.NEGATIVE
        return Exit.INCONCLUSIVE if self.doubts else Exit.OK


@click.command(
    epilog=examples(
        "vetonet monitor http://127.0.0.1:7445 --treaty trial/treaty.cbor --once",
        "vetonet monitor trial/coordinator/data --treaty trial/treaty.cbor --view http://127.0.0.1:7446",
    ),
)
@click.argument("log")
@click.option(
    "--treaty",
    "treaty_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The treaty whose log it is. Get it from somebody you trust.",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    metavar="URL|FOLDER",
    help="What somebody else is shown: a mirror, or another monitor's --listen; repeat.",
)
@click.option(
    "--quorum",
    type=int,
    metavar="K",
    help="How many witnesses must have cosigned.  [default: what the treaty demands, and never less]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Where it remembers what it believes, so that a rollback shows after a restart, too.",
)
@click.option(
    "--evidence",
    "evidence_folder",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Where evidence of two histories is written.",
)
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option(
    "--interval", "interval_ms", type=DURATION, default="2s", show_default=True, help="How often to look."
)
@click.option(
    "--listen", type=ADDRESS, metavar="HOST:PORT", help="Where to show others what this monitor believes."
)
@json_option
def monitor(
    *,
    log: str,
    treaty_path: Path,
    views: tuple[str, ...],
    quorum: int | None,
    state: Path | None,
    evidence_folder: Path,
    once: bool,
    interval_ms: Milliseconds,
    listen: str | None,
    as_json: bool,
) -> int:
    """Follow the treaty's log at LOG, a URL or a folder, until it is caught or you interrupt.

    Every leaf is held against the rules, every new checkpoint against the ones before and against what others
    are shown. Two histories end it: the evidence is written to a file that `vetonet verify-evidence` judges
    offline. Exits with 0 if all was well, 1 if the log broke a rule, 3 if nobody can tell, such as when a
    server gives no answer. With --json one object is printed at the end.
    """
    from vetonet.cli.directory import read_treaty_file
    from vetonet.compliance.monitor import Monitor
    from vetonet.party.monitoring import MonitorDriver

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if once and listen:
        raise Failure("--listen: a monitor that looks once shows nobody anything; leave --once away")
    with ExitStack() as stack:
        memory = _open_memory(state, stack)
        remembered = None if memory is None else memory.newest
        pending = () if memory is None else memory.pending
        treaty = read_treaty_file(treaty_path)
        driver = MonitorDriver(
            Monitor(treaty, quorum=quorum, remembered=remembered, pending=pending),
            open_log_source(log, stack),
            {view: open_log_source(view, stack) for view in views},
            memory,
        )
        follower = _Follower(driver, evidence_folder, as_json=as_json)
        if once:
            follower.look()
        else:
            run_async(lambda: follower.follow(interval_ms / MS_PER_S, listen))
    if as_json:
        print_json(follower.to_plain())
    return follower.outcome.code


def _open_memory(state: Path | None, stack: ExitStack) -> MonitorMemory | None:
    """Return what an earlier run believed, where there is a folder for it."""
    from vetonet.party.monitor_memory import MonitorMemory
    from vetonet.storage import SqliteJournal

    if state is None:
        return None
    make_folder(state, mode=PRIVATE_FOLDER_MODE)
    return MonitorMemory(stack.enter_context(SqliteJournal.open(state)), read_clock)


class _Follower:
    """Looks, says what it saw, and keeps the evidence."""

    def __init__(self, driver: MonitorDriver, evidence_folder: Path, *, as_json: bool) -> None:
        self._driver, self._folder, self._as_json = driver, evidence_folder, as_json
        self.outcome: Final = _Outcome()

    def look(self) -> None:
        """One round, told as it ends."""
        seen = self._driver.look()
        before, self.outcome.last = self.outcome.last, seen
        new = [problem for problem in seen.problems if problem not in self.outcome.problems]
        self.outcome.problems += new[: MAX_PROBLEMS - len(self.outcome.problems)]
        self.outcome.is_bad |= bool(seen.problems)
        if seen.evidence is not None:
            self.outcome.evidence = write_evidence(seen.evidence, self._folder)
        if not self._as_json:
            self._say(seen, before)
        self.outcome.doubts = list(seen.doubts)

    async def follow(self, interval_s: float, listen: str | None) -> None:
        """Look again and again, until the log is caught or somebody interrupts."""
        stopped = stop_on_signals()
        async with _shown(self._driver, listen, as_json=self._as_json):
            while not stopped.is_set() and self.outcome.evidence is None:
                await asyncio.to_thread(self.look)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), interval_s)

    def to_plain(self) -> dict[str, Any]:
        """Return the whole run as plain values, for JSON."""
        outcome, last = self.outcome, self.outcome.last
        known = self._driver.monitor.known
        return {
            "origin": self._driver.monitor.policy.log_key.name,
            "tree_size": last.tree_size if last else 0,
            "read_size": last.read_size if last else 0,
            "root_hash": known.checkpoint.root_hash.hex() if known else None,
            "problems": [_to_plain(problem) for problem in outcome.problems],
            "doubts": [_to_plain(doubt) for doubt in outcome.doubts],
            "evidence": str(outcome.evidence) if outcome.evidence else None,
        }

    def _say(self, seen: Observation, before: Observation | None) -> None:
        for problem in seen.problems:
            print_line(str(problem))
        for doubt in seen.doubts:
            if doubt not in self.outcome.doubts:  # once, however long it lasts
                note(str(doubt))
        if self.outcome.evidence is not None:
            print_line(f"evidence in {self.outcome.evidence}; judge it with `vetonet verify-evidence`")
        if before is None or seen.tree_size != before.tree_size or seen.read_size != before.read_size:
            print_line(_say_size(seen))
        sys.stdout.flush()


def _say_size(seen: Observation) -> str:
    if not seen.tree_size:
        return "no checkpoint that counts was shown yet"
    return f"tree size {seen.tree_size} cosigned by the quorum; leaves read: {seen.read_size}"


def write_evidence(evidence: ForkEvidence, folder: Path) -> Path:
    """Return the file that holds it; the same evidence has the same name."""
    data = evidence.to_bytes()
    make_folder(folder)
    path = folder / f"fork-{sha256(data).hexdigest()[:16]}.evidence"
    write_output(path, data)
    return path


@contextlib.asynccontextmanager
async def _shown(driver: MonitorDriver, listen: str | None, *, as_json: bool) -> AsyncGenerator[None]:
    """While it runs, others can ask what this monitor believes: gossip."""
    from vetonet.service.tile_app import make_tile_app
    from vetonet.wire.http_server import BoundHttp

    if listen is None:
        yield
        return

    def read_checkpoint() -> bytes | None:
        known = driver.monitor.known
        return None if known is None else known.data

    server = BoundHttp.bind(listen, make_tile_app(read_tile=_have_none, read_checkpoint=read_checkpoint))
    await server.start()
    if not as_json:
        print_line(f"what this monitor believes is shown at {server.url}/checkpoint")
        sys.stdout.flush()
    try:
        yield
    finally:
        await server.stop(GRACE_S)


def _have_none(path: str) -> NoReturn:
    from vetonet.tlog.tiles import MissingTileError

    raise MissingTileError(path)


def _to_plain(problem: Problem) -> dict[str, str | None]:
    return {"reason": problem.reason, "detail": problem.detail, "culprit": problem.culprit}
