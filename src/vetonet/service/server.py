"""The coordinator's server: a journal, a coordinator over it, a clock that drives it, and a port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.crypto.keys import SigningKey
from vetonet.errors import VetonetError
from vetonet.service.coordinator import Coordinator
from vetonet.service.publishing import Publishing
from vetonet.service.servicers import CoordinatorServicer, LogServicer
from vetonet.storage.group_commit import AsyncJournal
from vetonet.storage.sqlite import SqliteJournal
from vetonet.storage.tile_store import TileStore
from vetonet.units import MS_PER_S, Clock, Milliseconds
from vetonet.v1 import coordinator_pb2, coordinator_pb2_grpc, log_pb2, log_pb2_grpc
from vetonet.wire.boundary import Limits
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

COORDINATOR_SERVICE: Final = coordinator_pb2.DESCRIPTOR.services_by_name["CoordinatorService"].full_name
LOG_SERVICE: Final = log_pb2.DESCRIPTOR.services_by_name["LogService"].full_name
LARGE_REQUESTS: Final = frozenset(
    {f"/{LOG_SERVICE}/AppendStatements", f"/{COORDINATOR_SERVICE}/RecordCeremony"}
)

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a coordinator's server listens and how patient it is.

    Attributes:
        address: ``host:port``; port 0 for one that is free.
        credential: the coordinator's, or None for plaintext, which only a loopback address may have.
        limits: what it grants a call.
        heartbeat_s: the longest silence in a watch.
        max_watchers: how many watches are open at a time.
        tick_s: how often the clock is looked at; None where somebody else calls ``Coordinator.tick``.
        grace_s: how long calls may go on when the server stops.
    """

    address: str
    credential: Credential | None
    limits: Limits = field(default=Limits(large_requests=LARGE_REQUESTS))
    heartbeat_s: float = 1.0
    max_watchers: int = 2_048
    tick_s: float | None = 0.1
    grace_s: float = 2.0


class CoordinatorServer:
    """A coordinator on a port.

    Attributes:
        coordinator: what is served.
        address: ``host:port`` as bound.
    """

    __slots__ = ("_bound", "_settings", "_tasks", "address", "coordinator")

    def __init__(self, coordinator: Coordinator, bound: BoundServer, settings: ServerSettings) -> None:
        """Take over a server that is bound; use ``start`` instead."""
        self.coordinator: Final = coordinator
        self.address: Final = bound.address
        self._bound, self._settings = bound, settings
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, coordinator: Coordinator, settings: ServerSettings) -> CoordinatorServer:
        """Calls are taken, and the clock is looked at.

        Raises:
            ConfigError: the address is in use, is not this machine's, or would be plaintext to others.
        """
        bound = BoundServer.bind(settings.address, credential=settings.credential, limits=settings.limits)
        server = cls(coordinator, bound, settings)
        coordinator_pb2_grpc.add_CoordinatorServiceServicer_to_server(
            CoordinatorServicer(
                coordinator,
                trust_domain=bound.trust_domain,
                heartbeat_s=settings.heartbeat_s,
                max_watchers=settings.max_watchers,
            ),
            bound.server,
        )
        log_pb2_grpc.add_LogServiceServicer_to_server(
            LogServicer(coordinator, trust_domain=bound.trust_domain), bound.server
        )
        await bound.start((COORDINATOR_SERVICE, LOG_SERVICE))
        if settings.tick_s is not None:
            server._tasks.append(asyncio.create_task(_tick_for_ever(coordinator, settings.tick_s)))
        server._tasks.append(asyncio.create_task(_suspend_when_stuck(coordinator, bound)))
        return server

    async def stop(self, grace_s: float | None = None) -> None:
        """No call is taken any more; those under way had time to end. The coordinator stays open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.coordinator.bulletin.close()
        await self._bound.stop(self._settings.grace_s if grace_s is None else grace_s)

    async def wait(self) -> None:
        """The server has stopped."""
        await self._bound.server.wait_for_termination()


@contextlib.asynccontextmanager
async def serve_coordinator(
    directory: Path,
    *,
    treaty_bytes: bytes,
    log_key: SigningKey,
    publishing: Publishing,
    settings: ServerSettings,
    clock: Clock | None = None,
    max_bytes: int | None = None,
    tiles: TileStore | None = None,
    founding: Sequence[bytes] = (),
) -> AsyncGenerator[CoordinatorServer, None]:
    """Within, a coordinator over the SQLite journal in this directory is served.

    Args:
        directory: the data directory, which must exist.
        treaty_bytes: the founding treaty; the journal says what followed it.
        log_key: signs checkpoints.
        publishing: which witnesses are asked to cosign them, and how often.
        settings: where and how to listen.
        clock: milliseconds since the Unix epoch; by default the system's.
        max_bytes: the journal's largest size, or None for what the disk holds.
        tiles: where the log is also kept as tiles, for others to serve, or None.
        founding: what was signed when the treaty was founded; it is logged before any call is taken.

    Raises:
        ConfigError: the address, the log key or the journal is another's.
        StorageError: the journal cannot be opened, read or written, or breaks the rules.
        EncodingError, InvalidSignatureError: not a treaty.
        RefusedError, UnknownPartyError: a statement of the founding has no place in the log (VN-15.11).
    """
    sqlite = await asyncio.to_thread(SqliteJournal.open, directory, max_bytes=max_bytes)
    async with AsyncJournal(sqlite) as journal:
        coordinator = await Coordinator.start(
            journal,
            treaty_bytes=treaty_bytes,
            log_key=log_key,
            publishing=publishing,
            clock=clock or read_clock,
            tiles=tiles,
        )
        try:
            await coordinator.record_founding(founding)
            server = await CoordinatorServer.start(coordinator, settings)
            try:
                yield server
            finally:
                await server.stop()
        finally:
            await coordinator.close()


def read_clock() -> Milliseconds:
    """Return the system's time in milliseconds since the Unix epoch."""
    return time.time_ns() // (1_000_000_000 // MS_PER_S)


async def _suspend_when_stuck(coordinator: Coordinator, bound: BoundServer) -> None:
    """Whoever asks for health learns that a restart is needed; reads go on."""
    await coordinator.stuck.wait()
    _logger.error("the journal takes in nothing any more: restart to reopen and verify it")
    await bound.suspend()


async def _tick_for_ever(coordinator: Coordinator, interval_s: float) -> None:
    """Look at the clock for ever; a journal or a vote that fails is told once, until all work again."""
    is_failing = False
    while True:
        await asyncio.sleep(interval_s)
        try:
            await coordinator.tick()
            is_failing = False
        except VetonetError as error:
            if not is_failing:
                _logger.warning("a vote or lease cannot move on, the next look tries again: %s", error)
            is_failing = True
