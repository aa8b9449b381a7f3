"""Real sockets on the loopback address: servers that behave, servers that do not, and clients by the byte."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp

from vetonet.wire.http_boundary import HttpLimits
from vetonet.wire.http_server import BoundHttp

LOOPBACK = "127.0.0.1:0"
PATIENCE_S = 10.0
"""Longer than anything here takes: what hangs fails."""

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def play_out(scenario: Coroutine[Any, Any, None]) -> None:
    """The scenario has ended, within a time that nothing here needs."""

    async def within() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario

    asyncio.run(within())


@contextlib.asynccontextmanager
async def serve_http(app: ASGIApp, limits: HttpLimits | None = None) -> AsyncIterator[BoundHttp]:
    """Within, the application answers on a free port."""
    bound = BoundHttp.bind(LOOPBACK, app, limits=limits)
    await bound.start()
    try:
        yield bound
    finally:
        await bound.stop(0.1)


@contextlib.asynccontextmanager
async def serve_raw(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Within, somebody talks so to each client; yields the beginning of the URL."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def say(data: bytes, *, then_hold: bool = False) -> Talk:
    """Answer the first request with these bytes, then hang up or never say anything again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        if then_hold:
            await reader.read()  # until the client has had enough

    return talk


@contextlib.asynccontextmanager
async def connect(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Within, a connection on which a test says what it likes."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def until(is_so: Callable[[], object]) -> None:
    """It is so."""
    while not is_so():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.005)


async def send_raw(address: str, data: bytes) -> bytes:
    """Return all that a server says to these bytes until it hangs up; nothing where it resets."""
    async with connect(address) as (reader, writer):
        writer.write(data)
        return await read_rest(reader)


async def read_rest(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes until the other side hangs up, however it does."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            received += chunk
    return bytes(received)


def request(target: str, *headers: str, method: str = "GET", is_last: bool = True) -> bytes:
    """Return the head of a request; after the last one the server hangs up."""
    closing = ("Connection: close",) if is_last else ()
    lines = (f"{method} {target} HTTP/1.1", "Host: localhost", *headers, *closing)
    return "\r\n".join((*lines, "", "")).encode()


def status_of(answer: bytes) -> int:
    """Return the status code of the first answer."""
    return int(answer.split(b" ", 2)[1])


def split_answer(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the only answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body
