"""The server of a log that takes any leaf: gRPC to append and to prove, HTTP for its tiles."""

# ruff: noqa: N802  (methods are named as in proto/)

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

from vetonet.crypto.keys import SigningKey
from vetonet.errors import RefusedError
from vetonet.service.log_reading import LogReadServicer, TileLogReader
from vetonet.service.publishing import Publishing
from vetonet.service.servicers import scope_request_id
from vetonet.service.tile_log import TileLog
from vetonet.storage import AsyncJournal, FileTileStore, SqliteJournal
from vetonet.tlog.policy import LogPolicy
from vetonet.units import Clock
from vetonet.v1 import log_pb2, log_pb2_grpc, open_log_pb2, open_log_pb2_grpc, resources_pb2
from vetonet.wire.boundary import Context, Limits, read_caller
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

TILES_FOLDER: Final = "tiles"
LOG_SERVICE: Final = log_pb2.DESCRIPTOR.services_by_name["LogService"].full_name
OPEN_LOG_SERVICE: Final = open_log_pb2.DESCRIPTOR.services_by_name["OpenLogService"].full_name
_NO_STATEMENTS: Final = "this log takes any leaf and knows no statements; call OpenLogService.AppendLeaves"
LIMITS: Final = Limits(large_requests=frozenset({f"/{OPEN_LOG_SERVICE}/AppendLeaves"}))


class OpenLogServicer(open_log_pb2_grpc.OpenLogServiceServicer):
    """Takes leaves from anybody who may call."""

    def __init__(self, log: TileLog, *, trust_domain: str | None) -> None:
        """Serve this log; ``trust_domain`` is None on a server without certificates."""
        self._log, self._trust_domain = log, trust_domain

    async def AppendLeaves(
        self, request: open_log_pb2.AppendLeavesRequest, context: Context
    ) -> open_log_pb2.AppendLeavesResponse:
        """All leaves are logged, or none is."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        indices = await self._log.append(
            request.leaves, request_id=scope_request_id(request.request_id, caller)
        )
        return open_log_pb2.AppendLeavesResponse(leaf_indices=indices)


class OpenLogReadServicer(LogReadServicer):
    """The reading half; the other is about statements, of which this log knows nothing."""

    async def AppendStatement(
        self, request: log_pb2.AppendStatementRequest, context: Context
    ) -> resources_pb2.Receipt:
        """Refuse it."""
        del request, context
        raise RefusedError(_NO_STATEMENTS)

    async def AppendStatements(
        self, request: log_pb2.AppendStatementsRequest, context: Context
    ) -> log_pb2.AppendStatementsResponse:
        """Refuse them."""
        del request, context
        raise RefusedError(_NO_STATEMENTS)


async def serve_open_log(
    log: TileLog, address: str, *, credential: Credential | None = None, limits: Limits = LIMITS
) -> BoundServer:
    """Return a running gRPC server of this log; ``stop`` it when done.

    Args:
        log: what is served.
        address: ``host:port``; port 0 for one that is free.
        credential: the server's, or None for plaintext, which only a loopback address may have.
        limits: what a call is granted.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    bound = BoundServer.bind(address, credential=credential, limits=limits)
    servicer = OpenLogServicer(log, trust_domain=bound.trust_domain)
    open_log_pb2_grpc.add_OpenLogServiceServicer_to_server(servicer, bound.server)
    reading = OpenLogReadServicer(TileLogReader(log))
    log_pb2_grpc.add_LogServiceServicer_to_server(reading, bound.server)
    await bound.start((LOG_SERVICE, OPEN_LOG_SERVICE))
    return bound


@contextlib.asynccontextmanager
async def open_tile_log(
    directory: Path,
    *,
    policy: LogPolicy,
    log_key: SigningKey,
    publishing: Publishing,
    clock: Clock,
    on_failure: Callable[[], None],
) -> AsyncGenerator[TileLog, None]:
    """Within, the log in this directory takes leaves and publishes them.

    Args:
        directory: where its journal is, and its files for static hosting in the folder ``tiles``.
        policy: names the log and its witnesses.
        log_key: signs checkpoints.
        publishing: which witnesses are asked, and how often.
        clock: milliseconds since the Unix epoch.
        on_failure: called when nothing can be published any more.

    Raises:
        ConfigError: the key or what is published is another log's.
        StorageError: the directory cannot be read or written, is in use, or has lost leaves.
    """
    sqlite = await asyncio.to_thread(SqliteJournal.open, directory)
    async with AsyncJournal(sqlite) as journal:
        store = FileTileStore(directory / TILES_FOLDER)
        log = await TileLog.start(
            journal, store, policy=policy, log_key=log_key, publishing=publishing, clock=clock
        )
        log.publisher.start(on_failure=on_failure)
        try:
            yield log
        finally:
            await log.close()
