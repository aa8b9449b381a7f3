"""The stage: every party, the coordinator and every order is a process of its own; nobody shares a secret."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vetonet.cli.children import MODULE, Child, await_ready, end_children, start_child
from vetonet.cli.council.charter import OPERATOR_ID
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.party_home import enter, reach_daemon
from vetonet.errors import VetonetError
from vetonet.party.home import Home
from vetonet.party.status import PartyStatus, ProposalStatus

PATIENCE_S: Final = 180.0
LOOK_S: Final = 0.4
AT_ONCE: Final = 4
"""How many short commands run at a time; each is a Python of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One party: where everything of it is.

    Attributes:
        address: where its daemon takes calls.
        ceremony: where it takes those of a key ceremony while the daemon runs.
        witness: where its witness takes requests; a member that came later has none.
    """

    party_id: str
    home: Path
    key_file: Path
    address: str
    ceremony: str
    witness: str

    @property
    def opened(self) -> tuple[str | Path, ...]:
        """The home as an argument, with what opens it."""
        return (self.home, "--key-file", self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has ended: its code, and the JSON object that it printed."""

    code: int
    value: dict[str, Any]

    def require(self, what: str) -> dict[str, Any]:
        """Return what it printed.

        Raises:
            Failure: it failed.
        """
        if self.code != Exit.OK:
            raise Failure(f"{what}: ended with code {self.code}: {self.value}", reason="child")
        return self.value


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs, and where.

    Attributes:
        root: the folder of all.
        coordinator: its address.
        seats: every party that ever was, by id.
        daemons: the processes that run, by party id.
        epoch_files: the successors of the founding treaty, as their parties signed them.
    """

    root: Path
    coordinator: str
    seats: dict[str, Seat]
    daemons: dict[str, Child] = field(default_factory=dict)
    coordinators: list[Child] = field(default_factory=list)
    epoch_files: list[Path] = field(default_factory=list)
    _count: int = 0
    _homes: dict[str, Home] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def directory(self) -> Path:
        """The treaty directory of coordinator and operators."""
        return self.root / "council"

    def next_log(self, name: str) -> Path:
        """Return a new file for what a process says."""
        self._count += 1
        make_folder(self.root / "logs", mode=PRIVATE_FOLDER_MODE)
        return self.root / "logs" / f"{self._count:03d}-{name}.log"

    async def start(self, name: str, *arguments: str | Path) -> Child:
        """Return a process that begins; it is ready later."""
        return await start_child(name, (*arguments, "--json"), self.next_log(name))

    async def call(self, name: str, *arguments: str | Path) -> Done:
        """Return how a short command ended; a few run at a time."""
        async with self._gate:
            return await self.finish(await self.start(name, *arguments))

    async def finish(self, child: Child) -> Done:
        """Return how a process ended by itself; it is killed where it does not.

        Raises:
            Failure: it did not end in time.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await child.process.wait()
                value = await child.ready
        except EOFError:
            value = {"said": " | ".join(child.last)}
        except TimeoutError as error:
            raise Failure(f"{child.name} did not end in time; see {child.log}", reason="child") from error
        finally:
            await end_children([child])
        return Done(code=child.process.returncode or 0, value=value)

    async def call_all(self, calls: Iterable[tuple[str, tuple[str | Path, ...]]]) -> list[Done]:
        """Return how many such commands ended, in order, a few at a time."""
        return await asyncio.gather(*(self.call(name, *arguments) for name, arguments in calls))

    async def run_together(self, calls: Iterable[tuple[str, tuple[str | Path, ...]]]) -> list[Done]:
        """Return how commands ended that wait for one another, so that all run at once."""
        children = [await self.start(name, *arguments) for name, arguments in calls]
        try:
            return await asyncio.gather(*map(self.finish, children))
        finally:
            await end_children(children)

    async def start_daemons(self, party_ids: Iterable[str], *peers: str) -> None:
        """The daemons of these parties take calls.

        Raises:
            Failure: one does not begin.
        """
        names = list(party_ids)
        told = [f"--peer={name}={self.seats[name].address}" for name in peers]
        for name in names:
            seat = self.seats[name]
            own = [text for text in told if not text.startswith(f"--peer={name}=")]
            witness = ("--witness-listen", seat.witness) if seat.witness else ()
            self.daemons[name] = await self.start(name, "party", "run", *seat.opened, *witness, *own)
            self._homes.pop(name, None)
        await await_ready([self.daemons[name] for name in names])

    async def stop_daemons(self, party_ids: Iterable[str]) -> None:
        """These daemons ended in order."""
        await end_children([self.daemons.pop(name) for name in party_ids])

    async def kill(self, party_id: str) -> None:
        """The daemon was killed by its id, in the middle of whatever it did."""
        child = self.daemons.pop(party_id)
        child.is_ending = True
        child.process.kill()
        await child.process.wait()

    async def start_coordinator(self) -> None:
        """The coordinator takes calls.

        Raises:
            Failure: it does not begin.
        """
        witnesses = [f"--witness={s.party_id}=http://{s.witness}" for s in self.seats.values() if s.witness]
        listening = ("--listen", self.coordinator, "--checkpoint-interval", "300ms")
        child = await self.start("coordinator", "serve", "--dir", self.directory, *listening, *witnesses)
        self.coordinators.append(child)
        await await_ready([child])

    async def close(self) -> None:
        """Nothing that was started here runs any more: parties first, then the coordinator."""
        await end_children(self.daemons.values())
        await end_children(self.coordinators)

    async def propose(self, flop: str, window: str) -> str:
        """Return the name of a run that the operator proposed under the treaty in force.

        Raises:
            Failure: it was refused.
        """
        later = [f"--treaty={path}" for path in self.epoch_files]
        asked = ("--total-flop", flop, "--chips", "512", "--duration", "2h", "--window", window)
        where = ("--dir", self.directory, "--server", self.coordinator, "--operator", OPERATOR_ID)
        done = await self.call("propose", "propose", *where, *asked, *later)
        return str(done.require("propose")["name"])

    async def ask(self, party_id: str) -> PartyStatus:
        """Return what a party's daemon knows, asked with the party's own certificate.

        Raises:
            Failure, VetonetError: it does not answer.
        """
        if party_id not in self._homes:
            seat = self.seats[party_id]
            self._homes[party_id] = enter(seat.home, None, seat.key_file)
        async with reach_daemon(self._homes[party_id], address=self.seats[party_id].address) as daemon:
            return await daemon.get_status()

    async def find(self, party_id: str, name: str) -> ProposalStatus | None:
        """Return a vote as a party's daemon knows it, if it does."""
        with contextlib.suppress(Failure, VetonetError):
            return {entry.name: entry for entry in (await self.ask(party_id)).proposals}.get(name)
        return None

    async def await_vote(
        self, party_id: str, name: str, holds: Callable[[ProposalStatus], bool], *, patience_s: float = 90.0
    ) -> ProposalStatus | None:
        """Return a vote as soon as it is so, as a party's daemon read it from the log; None if never."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            entry = await self.find(party_id, name)
            if entry is not None and holds(entry):
                return entry
            await asyncio.sleep(LOOK_S)
        return None

    async def await_status(
        self, party_id: str, holds: Callable[[PartyStatus], bool], *, patience_s: float = 60.0
    ) -> PartyStatus | None:
        """Return a daemon's status as soon as it is so; None if never."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            with contextlib.suppress(Failure, VetonetError):
                status = await self.ask(party_id)
                if holds(status):
                    return status
            await asyncio.sleep(LOOK_S)
        return None

    def read_lines(self, party_id: str) -> str:
        """Return what the running daemon of a party has said."""
        return self.daemons[party_id].log.read_text()


def copy_treaty(stage: Stage, home: Path) -> None:
    """The convener's folder is a treaty directory: it has what the parties signed, and how it came about."""
    for name in ("treaty.cbor", "trust-root.json", "founding.cbor"):
        shutil.copy(home / name, stage.directory / name)


def count_own_processes(stage: Stage) -> int:
    """Return how many processes of the council run."""
    children = [*stage.daemons.values(), *stage.coordinators]
    return sum(child.process.returncode is None and child.process.pid != os.getpid() for child in children)


__all__ = ["MODULE", "Done", "Seat", "Stage", "copy_treaty", "count_own_processes"]
