"""One request and its answer over one connection, under one deadline and one size.

The standard library times each read; a server that sends a byte now and then would keep a caller for ever.
Here what is left of the time is set anew before each read.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import ssl
import time  # noqa: TID251  (how long a server may take is measured in real time)
from dataclasses import dataclass
from typing import Any, Final

from vetonet.wire.errors import HttpError
from vetonet.wire.http_url import UrlPrefix

MAX_CONTENT_TYPE_CHARS: Final = 256

Connection = http.client.HTTPConnection
"""A connection that is open; ``sock`` is None once it cannot be used again."""

EXCHANGE_ERRORS: Final = (OSError, http.client.HTTPException, UnicodeError)
"""What the standard library raises where no whole, well-formed answer comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a server answered.

    Attributes:
        status: the HTTP status code.
        content_type: what it calls the body; empty where it says nothing.
        body: the body, whole.
    """

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """A request, and what its answer may take.

    Attributes:
        method: ``GET`` or ``POST``.
        prefix: whom it is for.
        path: below the prefix.
        body: what is sent, or None.
        content_type: what the body is.
        max_bytes: the largest body of an answer.
        ends_at: when it is over, by the monotonic clock, in seconds.
    """

    method: str
    prefix: UrlPrefix
    path: str
    body: bytes | None = None
    content_type: str | None = None
    max_bytes: int
    ends_at: float

    @property
    def url(self) -> str:
        """The whole URL, as errors show it."""
        return f"{self.prefix}/{self.path}"


def compute_end(timeout_s: float) -> float:
    """Return when so many seconds from now are over, by the monotonic clock."""
    return time.monotonic() + timeout_s


def open_connection(call: HttpCall, tls: ssl.SSLContext) -> Connection:
    """Return a connection to the server of this call.

    Raises:
        OSError: there is none within its time.
    """
    prefix = call.prefix
    sock = socket.create_connection((prefix.host, prefix.port), timeout=_compute_rest_s(call.ends_at))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if prefix.scheme == "https":
        sock.settimeout(_compute_rest_s(call.ends_at))
        sock = tls.wrap_socket(sock, server_hostname=prefix.host)
    connection = Connection(prefix.host, prefix.port)
    connection.auto_open = 0
    connection.sock = sock
    return connection


def exchange(connection: Connection, call: HttpCall) -> HttpAnswer:
    """Return the answer; the connection is closed unless it can be used again.

    Raises:
        HttpError: the answer is longer than it may be, or encoded in a way that was not asked for.
        OSError, http.client.HTTPException: the connection failed, or what came is not HTTP.
    """
    is_whole = False
    try:
        answer = _exchange(connection, call)
        is_whole = True
    finally:
        if not is_whole:
            connection.close()
    return answer


def _exchange(connection: Connection, call: HttpCall) -> HttpAnswer:
    sock = connection.sock
    sock.settimeout(_compute_rest_s(call.ends_at))
    headers = {"Host": call.prefix.authority}
    if call.content_type is not None:
        headers["Content-Type"] = call.content_type
    connection.response_class = functools.partial(_TimedResponse, ends_at=call.ends_at)  # type: ignore[assignment]
    connection.request(call.method, call.prefix.to_target(call.path), body=call.body, headers=headers)
    with connection.getresponse() as response:
        body = _read_body(response, call)
        content_type = response.getheader("Content-Type", "")[:MAX_CONTENT_TYPE_CHARS]
        return HttpAnswer(status=response.status, content_type=content_type, body=body)


def _read_body(response: http.client.HTTPResponse, call: HttpCall) -> bytes:
    """Return the body; the library itself is silent about one that is shorter than its length says."""
    encoding = response.getheader("Content-Encoding", "identity")
    if encoding != "identity":
        raise HttpError(f"{call.url}: the body is encoded, which was not asked for")
    is_announced = response.length is not None and response.length > call.max_bytes
    body = b"" if is_announced else response.read(call.max_bytes + 1)
    if is_announced or len(body) > call.max_bytes:
        raise HttpError(f"{call.url}: the body is longer than the {call.max_bytes} bytes it may have")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return body


class _TimedResponse(http.client.HTTPResponse):
    """A response that is read under a deadline."""

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        ends_at: float,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, ends_at))


class _TimedReader(io.RawIOBase):
    """Reads what a socket has; each read gets only what is left of the time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, ends_at: float) -> None:
        super().__init__()
        self._raw, self._sock, self._ends_at = raw, sock, ends_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(_compute_rest_s(self._ends_at))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _compute_rest_s(ends_at: float) -> float:
    rest_s = ends_at - time.monotonic()
    if rest_s <= 0:
        raise TimeoutError
    return rest_s
