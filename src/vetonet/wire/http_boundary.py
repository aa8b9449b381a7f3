"""The edge of every HTTP server of ours: bodies are capped and timed, and no failure shows its contents.

A request's body is read whole before the application sees the request, so that no application can forget to
bound it. What a client says of its length is not relied upon: what arrives is counted.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  (the edge of a server owns its deadlines)
import logging
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What an HTTP server grants a client.

    Attributes:
        max_body_bytes: the largest body of a request.
        max_head_bytes: the largest request line and headers, together.
        max_connections: how many connections are open at a time; one more is told 503 and closed.
        request_timeout_s: how long a body may take to arrive, and then the application to answer. Twice that
            after a request began, its connection is cut, whatever the client still sends or leaves unread.
        keep_alive_s: how long a connection may be idle between two requests.
    """

    max_body_bytes: int = 64 * 1024
    max_head_bytes: int = 16 * 1024
    max_connections: int = 256
    request_timeout_s: float = 10.0
    keep_alive_s: int = 5

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        sizes = (self.max_body_bytes, self.max_head_bytes, self.max_connections)
        if min(*sizes, self.request_timeout_s, self.keep_alive_s) <= 0:
            raise ValueError("limits are positive")


class HttpBoundary:
    """An ASGI application that holds the requests to another one to its limits."""

    __slots__ = ("_app", "_limits")

    def __init__(self, app: ASGIApp, limits: HttpLimits) -> None:
        """Stand before this application."""
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request was answered: by the application, or here where it broke a limit or the application."""
        answer = _Answer(send)
        try:
            body = await self._read_request(scope, receive)
            await self._answer(scope, _replay(body, receive), answer)
        except ClientDisconnect:
            return
        except _Refusal as refusal:
            await answer.refuse(scope, receive, refusal)
        except Exception:  # nothing foreign goes out
            _logger.exception("the application failed on an HTTP request")
            await answer.refuse(scope, receive, _Refusal(500, "the server failed; its log says where"))

    async def _read_request(self, scope: Scope, receive: Receive) -> bytes:
        if _count_head_bytes(scope) > self._limits.max_head_bytes:
            raise _Refusal(431, f"the head of a request is at most {self._limits.max_head_bytes} bytes")
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                return await self._read_body(receive)
        except TimeoutError as error:
            raise _Refusal(408, f"no whole request within {self._limits.request_timeout_s:g} s") from error

    async def _read_body(self, receive: Receive) -> bytes:
        body = bytearray()
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
            if len(body) > self._limits.max_body_bytes:
                raise _Refusal(413, f"a body is at most {self._limits.max_body_bytes} bytes")
        return bytes(body)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                await self._app(scope, receive, answer.send)
        except TimeoutError as error:
            raise _Refusal(503, f"no answer within {self._limits.request_timeout_s:g} s") from error


class _Refusal(Exception):  # noqa: N818 - it never leaves this module
    """The request gets this answer instead of the application's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status: Final = status


class _Answer:
    """Where an answer goes; it knows whether one has begun."""

    __slots__ = ("_has_begun", "_send")

    def __init__(self, send: Send) -> None:
        self._send, self._has_begun = send, False

    async def send(self, message: Message) -> None:
        self._has_begun = True
        await self._send(message)

    async def refuse(self, scope: Scope, receive: Receive, refusal: _Refusal) -> None:
        """The client knows; an answer that had begun stays unfinished, and the server hangs up on it."""
        if self._has_begun:
            return
        # Where the body was too large, what follows of it is read and dropped until the deadline: a
        # connection closed with bytes unread is reset, and the client would never see the answer.
        headers = {"connection": "close"} if refusal.status == 408 else {}  # noqa: PLR2004
        response = PlainTextResponse(f"{refusal}\n", refusal.status, headers)
        await response(scope, receive, self.send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a source of messages that begins with the body, and goes on with what the client does next."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _count_head_bytes(scope: Scope) -> int:
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) for name, value in scope["headers"])
