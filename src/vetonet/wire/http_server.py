"""HTTP servers: one address each, beside gRPC in the same event loop, bounded in everything.

Over HTTP go only public, signed statements: checkpoints, tiles, cosignatures. Whoever reads them verifies
them, so plaintext is allowed on every address; whoever wants TLS puts a proxy in front.

The protocol is uvicorn's over h11. Its server is not used: it would take the process's signals, exit the
process on failure, and wake up ten times a second. Its connections get a deadline that it does not have.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  (connections are the event loop's)
import contextlib
import logging
import re
import socket
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from vetonet.errors import ConfigError
from vetonet.wire.http_boundary import HttpBoundary, HttpLimits

BACKLOG: Final = 128
MAX_PORT: Final = 65_535

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})")
_CUT_S: Final = 1.0
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundHttp:
    """An HTTP server that listens; requests are answered from ``start`` on.

    Attributes:
        address: ``host:port``, with the port that the system chose where 0 was asked for.
        url: the same as the beginning of a URL, without a slash at its end.
    """

    __slots__ = ("_config", "_limits", "_listener", "_socket", "_state", "address", "url")

    def __init__(self, *, listening: socket.socket, address: str, app: ASGIApp, limits: HttpLimits) -> None:
        """Take over a socket that listens; use ``bind`` instead."""
        self.address: Final = address
        self.url: Final = f"http://{address}"
        self._socket, self._limits = listening, limits
        self._config = _configure(HttpBoundary(app, limits), limits)
        self._state = _State()
        self._listener: asyncio.Server | None = None

    @classmethod
    def bind(cls, address: str, app: ASGIApp, *, limits: HttpLimits | None = None) -> Self:
        """The address is this server's, and nobody else's.

        Args:
            address: ``host:port``; port 0 for one that is free; ``[::1]:80`` for IPv6.
            app: what answers.
            limits: what it grants a client.

        Raises:
            ConfigError: the address is malformed, in use, or not this machine's.
        """
        host, port = _split(address)
        listening = _listen(host, port, address)
        bound_port: int = listening.getsockname()[1]
        shown = f"{address.rpartition(':')[0]}:{bound_port}"
        return cls(listening=listening, address=shown, app=app, limits=limits or HttpLimits())

    async def start(self) -> None:
        """Requests are answered."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Connection(self._config, self._state, self._limits), sock=self._socket, backlog=BACKLOG
        )

    async def stop(self, grace_s: float) -> None:
        """No request is taken any more; those under way had ``grace_s`` to end, and the rest was cut."""
        self._state.is_ending = True
        if self._listener is not None:
            self._listener.close()
        self._socket.close()
        connections = [c for c in self._state.connections if isinstance(c, _Connection)]
        for connection in connections:
            if not connection.transport.is_closing():
                connection.shutdown()
        if connections:
            await asyncio.wait([connection.lost for connection in connections], timeout=grace_s)
        await self._cut()

    async def _cut(self) -> None:
        """Nothing of a client's is left; an application that cannot be cancelled ends in its own time."""
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # connections learn that they are lost, so that no answer waits for them
        tasks = tuple(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CUT_S)


class _State(ServerState):
    """What the connections of one server share."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ending = False


class _Connection(H11Protocol):
    """One client's connection: cut when there are too many, or when a request takes too long as a whole.

    uvicorn times only the pause between two requests. Here a deadline runs from the beginning of a
    connection, and anew from the first byte of each later request, until the next answer is complete; so it
    also ends heads that never end, and answers that nobody reads.
    """

    def __init__(self, config: uvicorn.Config, state: _State, limits: HttpLimits) -> None:
        super().__init__(config, state, {})
        self.lost: Final = self.loop.create_future()
        self._state, self._limits = state, limits
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._restart_deadline()
        # A connection may have been on its way when the server began to end.
        if self._state.is_ending or len(self.connections) > self._limits.max_connections:
            transport.write(_FULL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        is_idle = self.timeout_keep_alive_task is not None
        if is_idle:
            self._restart_deadline()
        super().data_received(data)

    def on_response_complete(self) -> None:
        # An idle connection is closed before that, but not one whose client leaves the answer unread.
        self._restart_deadline(after_s=self._limits.keep_alive_s)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)
        self.lost.set_result(None)

    def _restart_deadline(self, *, after_s: float = 0.0) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        time_s = after_s + 2 * self._limits.request_timeout_s
        self._deadline = self.loop.call_later(time_s, self.transport.abort)


def _configure(app: ASGIApp, limits: HttpLimits) -> uvicorn.Config:
    """Return uvicorn's settings: nothing of its own in answers, and nothing in the log that a client sent."""
    return uvicorn.Config(
        app,
        http=H11Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.CRITICAL,  # the boundary has said what failed
        access_log=False,
        workers=1,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # nobody should take an unsigned time for one
        timeout_keep_alive=limits.keep_alive_s,
        h11_max_incomplete_event_size=limits.max_head_bytes,
    )


def _split(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > MAX_PORT:
        raise ConfigError(f"expected an address as host:port, got {address!r}")
    return match[1] or match[2], int(match[3])


def _listen(host: str, port: int, address: str) -> socket.socket:
    """Return a socket that listens already: what is bound only, another server may take before us."""
    with contextlib.ExitStack() as undo:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, kind, protocol, _, name = found[0]
            listening = undo.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(name)
            listening.listen(BACKLOG)
        except (OSError, UnicodeError) as error:
            problem = "in use, or not an address of this machine"
            raise ConfigError(f"cannot listen on {address}: {problem}") from error
        undo.pop_all()
        return listening
