"""HTTP calls to somebody else's server: capped, timed as a whole, and our own error out of every failure.

Nothing that a server sends is shown in an error, and nothing is believed because a server sent it: what an
answer is worth, the signatures in it say. Redirects are not followed.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  (waits for a thread)
import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Self

from vetonet.wire.errors import HttpError
from vetonet.wire.http_exchange import (
    EXCHANGE_ERRORS,
    Connection,
    HttpAnswer,
    HttpCall,
    compute_end,
    exchange,
    open_connection,
)
from vetonet.wire.http_url import UrlPrefix

DEFAULT_TIMEOUT_S: Final = 10.0
DEFAULT_MAX_BYTES: Final = 1024 * 1024
MAX_IDLE_CONNECTIONS: Final = 4

_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ssl.SSLError, "TLS failed"),
    (ConnectionRefusedError, "connection refused: nobody listens there"),
    (ConnectionError, "the server closed the connection before a whole answer came"),
    (socket.gaierror, "the name of the host is not known"),
    (UnicodeError, "the name of the host is not one"),
    (http.client.IncompleteRead, "the answer is shorter than it says"),
    (http.client.HTTPException, "the answer is not HTTP"),
)


class HttpClient:
    """Calls one server, from any number of threads; keeps a few connections for the next calls.

    Attributes:
        prefix: where the server's paths begin.
        timeout_s: how long a call may take, from the first packet to the last byte of the answer.
        max_bytes: the largest body of an answer, where a call does not say another.
    """

    __slots__ = ("_idle", "_is_closed", "_threads", "_tls", "max_bytes", "prefix", "timeout_s")

    def __init__(
        self,
        prefix_url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_bytes: int = DEFAULT_MAX_BYTES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Call the server whose paths begin so; nothing is sent yet.

        Args:
            prefix_url: http or https, a host, perhaps a port and a path.
            timeout_s: how long a call may take.
            max_bytes: the largest body of an answer.
            tls: whose certificates are accepted; by default the system's authorities.

        Raises:
            ConfigError: the URL is not a plain one.
        """
        if min(timeout_s, max_bytes) <= 0:
            raise ValueError("limits are positive")
        self.prefix: Final = UrlPrefix.from_text(prefix_url)
        self.timeout_s: Final = timeout_s
        self.max_bytes: Final = max_bytes
        self._tls = tls or ssl.create_default_context()
        self._idle: list[Connection] = []
        # Threads of its own: a server that does not answer must not hold up whoever else waits for a thread.
        self._threads: Final = ThreadPoolExecutor(MAX_IDLE_CONNECTIONS, thread_name_prefix="http-client")
        self._is_closed = False

    def __enter__(self) -> Self:
        """Within, connections are kept."""
        return self

    def __exit__(self, *_: object) -> None:
        """No connection is kept any more."""
        self.close()

    def close(self) -> None:
        """No connection is kept any more, no thread begins a call; calls under way end as they would have."""
        self._is_closed = True
        self._threads.shutdown(wait=False)
        while (connection := self._take_idle()) is not None:
            connection.close()

    def get(self, path: str, *, max_bytes: int | None = None) -> HttpAnswer:
        """Return what the server answers, whatever its status.

        Args:
            path: below the prefix, without a slash at its beginning.
            max_bytes: the largest body that is taken.

        Raises:
            HttpError: no whole, well-formed answer within the time and the size.
        """
        return self._call(
            HttpCall(
                method="GET",
                prefix=self.prefix,
                path=path,
                max_bytes=max_bytes or self.max_bytes,
                ends_at=compute_end(self.timeout_s),
            )
        )

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        max_bytes: int | None = None,
    ) -> HttpAnswer:
        """Return what the server answers to these bytes, which are sent once at most.

        Args:
            path: below the prefix, without a slash at its beginning.
            body: what is sent.
            content_type: what it is.
            max_bytes: the largest body that is taken.

        Raises:
            HttpError: no whole, well-formed answer within the time and the size; the server may have acted.
        """
        return self._call(
            HttpCall(
                method="POST",
                prefix=self.prefix,
                path=path,
                body=body,
                content_type=content_type,
                max_bytes=max_bytes or self.max_bytes,
                ends_at=compute_end(self.timeout_s),
            )
        )

    async def get_async(self, path: str, *, max_bytes: int | None = None) -> HttpAnswer:
        """Return what ``get`` returns; a thread waits for it."""
        return await self._run(partial(self.get, path, max_bytes=max_bytes))

    async def post_async(
        self,
        path: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        max_bytes: int | None = None,
    ) -> HttpAnswer:
        """Return what ``post`` returns; a thread waits for it."""
        return await self._run(partial(self.post, path, body, content_type, max_bytes=max_bytes))

    async def _run(self, call: Callable[[], HttpAnswer]) -> HttpAnswer:
        if self._is_closed:
            raise HttpError(f"{self.prefix}: expected a client in use, got one that was closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _call(self, call: HttpCall) -> HttpAnswer:
        try:
            return self._exchange_kept(call) or self._exchange_over(open_connection(call, self._tls), call)
        except EXCHANGE_ERRORS as error:
            raise HttpError(f"{call.url}: {_describe(error, timeout_s=self.timeout_s)}") from error

    def _exchange_kept(self, call: HttpCall) -> HttpAnswer | None:
        """Return the answer over a kept connection, or None where there is none that still works.

        A server may close a kept connection at any moment. A request that got no answer for that reason is
        sent again only where it asks for nothing but to read.
        """
        while call.method == "GET" and (connection := self._take_idle()) is not None:
            with contextlib.suppress(ConnectionError):
                return self._exchange_over(connection, call)
        return None

    def _exchange_over(self, connection: Connection, call: HttpCall) -> HttpAnswer:
        answer = exchange(connection, call)
        if connection.sock is not None:
            self._keep(connection)
        return answer

    def _keep(self, connection: Connection) -> None:
        if self._is_closed or len(self._idle) >= MAX_IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def _take_idle(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _describe(error: Exception, *, timeout_s: float) -> str:
    """Return in plain words why no answer came; what the server sent is not repeated."""
    if isinstance(error, TimeoutError):
        return f"no whole answer within {timeout_s:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "the connection failed")
