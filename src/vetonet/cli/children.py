"""Processes that a command starts and ends, each by its own id: ready lines, last words, an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import warn

MODULE: Final = "vetonet.cli.main"
LAST_LINES: Final = 5
MAX_LINE_BYTES: Final = 64 * 1024
READY_S: Final = 180.0
END_S: Final = 10.0


@dataclass(slots=True, eq=False)
class Child:
    """One process that was started here.

    Attributes:
        name: for people.
        process: as asyncio has it.
        ready: what it said when it was ready; cancelled where it ended before.
        last: its last lines.
        log: where all of them are.
        reading: what collects them.
        is_ending: whether it was asked to end.
    """

    name: str
    process: asyncio.subprocess.Process
    ready: asyncio.Future[dict[str, Any]]
    last: deque[str]
    log: Path
    reading: asyncio.Task[None] | None = field(default=None)
    is_ending: bool = False

    def describe_end(self) -> str:
        """Return in one line how it ended, and what it said last."""
        said = " | ".join(self.last) or "nothing"
        return f"{self.name} ended with code {self.process.returncode}; it said last: {said}"


async def start_child(name: str, arguments: Iterable[str | Path], log: Path) -> Child:
    """Return a ``vetonet`` process of its own session, so that Ctrl-C reaches whoever started it alone.

    Args:
        name: for people.
        arguments: what stands after ``vetonet``; with ``--json``, so that it says when it is ready.
        log: a new file for all that it says.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=MAX_LINE_BYTES,
        env=dict(os.environ),
    )
    ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    child = Child(name=name, process=process, ready=ready, last=deque(maxlen=LAST_LINES), log=log)
    child.reading = asyncio.create_task(_read(child))
    return child


async def await_ready(children: Iterable[Child]) -> None:
    """Every one of them said that it is ready.

    Raises:
        Failure: one ended before, or is silent.
    """
    for child in children:
        try:
            async with asyncio.timeout(READY_S):
                await child.ready
        except TimeoutError as error:
            message = f"{child.name} did not begin within {READY_S:g} s; see {child.log}"
            raise Failure(message, code=Exit.INCONCLUSIVE, reason="child") from error
        except EOFError as error:
            raise Failure(child.describe_end(), reason="child") from error


async def watch_ends(children: Iterable[Child]) -> None:
    """Everybody has ended; of each that was not asked to it was said how."""

    async def watch(child: Child) -> None:
        await child.process.wait()
        if child.reading is not None:
            await asyncio.wait({child.reading})
        if not child.is_ending:
            warn(f"{child.describe_end()}; all of it is in {child.log}")

    await asyncio.gather(*map(watch, children))


async def end_children(children: Iterable[Child]) -> None:
    """None of them runs any more: each was asked to end, and killed where it did not."""
    alive = [child for child in children if child.process.returncode is None]
    for child in alive:
        child.is_ending = True
        child.process.terminate()
    await asyncio.gather(*map(_await_end, alive))


async def _await_end(child: Child) -> None:
    try:
        async with asyncio.timeout(END_S):
            await child.process.wait()
    except TimeoutError:
        child.process.kill()
        await child.process.wait()
        warn(f"{child.name} did not end when it was asked to, and was killed")
    if child.reading is not None:
        await asyncio.wait({child.reading})


async def _read(child: Child) -> None:
    """Its lines are in its log as they come; the first JSON object says that it is ready."""
    stream = child.process.stdout
    if stream is None:
        msg = "a child without a pipe"
        raise ValueError(msg)
    with child.log.open("ab") as log:
        async for line in stream:
            log.write(line)
            log.flush()
            text = line.decode(errors="replace").rstrip()
            child.last.append(text)
            if not child.ready.done() and text.startswith("{"):
                child.ready.set_result(json.loads(text))
    await child.process.wait()
    if not child.ready.done():
        child.ready.set_exception(EOFError())
        child.ready.exception()  # whoever awaits it raises it; nobody has to
