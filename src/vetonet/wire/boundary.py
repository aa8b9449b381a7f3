"""The edge of every server of ours: what comes in is capped, parsed and timed; only our errors go out.

Requests are taken as raw bytes, so that a truncated message gets an answer in our words instead of gRPC's.
"""

from __future__ import annotations

import asyncio  # noqa: TID251  (the edge of a server owns its deadlines)
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from vetonet.errors import EncodingError, VetonetError
from vetonet.wire.convert import require_known_fields
from vetonet.wire.errors import DeadlineError, OverloadedError
from vetonet.wire.identity import Identity, read_peer
from vetonet.wire.status import to_status

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Unary: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Stream: TypeAlias = Callable[[Any, Context], AsyncGenerator[Any, None]]

PACKAGE: Final = "/vetonet.v1."
DEFAULT_MAX_REQUEST_BYTES: Final = 64 * 1024

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server grants a call.

    Attributes:
        max_request_bytes: the largest request of most methods (VN-13.3).
        large_requests: methods whose requests only the server's message size bounds, by full name.
        rpc_timeout_s: the longest that any call but a watch may take, also where the client set no deadline.
        write_timeout_s: how long a watcher may leave an event unread.
    """

    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    large_requests: frozenset[str] = frozenset()
    rpc_timeout_s: float = 10.0
    write_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        if min(self.max_request_bytes, self.rpc_timeout_s, self.write_timeout_s) <= 0:
            raise ValueError("limits are positive")


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps every method of package vetonet.v1; health and reflection pass by."""

    def __init__(self, limits: Limits, *, trust_domain: str | None) -> None:
        """Hold calls to these limits, and callers to this trust domain (None: there are no certificates)."""
        self._limits, self._trust_domain = limits, trust_domain

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the method's handler behind the boundary, or None where there is no such method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(PACKAGE):
            return handler
        parse = self._parser(method, handler.request_deserializer)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._bound_unary(method, parse, handler.unary_unary),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_stream_rpc_method_handler(
            self._bound_stream(method, parse, handler.unary_stream),
            response_serializer=handler.response_serializer,
        )

    def _parser(self, method: str, deserialize: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
        """Return what turns untrusted bytes into a request with known fields only."""
        is_large = method in self._limits.large_requests
        limit = None if is_large else self._limits.max_request_bytes

        def parse(data: bytes) -> Message:
            if limit is not None and len(data) > limit:
                raise EncodingError(f"{method} takes requests of at most {limit} bytes, got {len(data)}")
            try:
                request = deserialize(data)
            except DecodeError as error:
                raise EncodingError(f"{method}: the request is truncated or malformed") from error
            require_known_fields(request)
            return request

        return parse

    def _bound_unary(self, method: str, parse: Callable[[bytes], Message], call: Unary) -> Unary:
        async def bound(data: bytes, context: Context) -> Any:
            try:
                read_caller(context, trust_domain=self._trust_domain)
                async with asyncio.timeout(self._limits.rpc_timeout_s):
                    return await call(parse(data), context)
            except TimeoutError:
                limit = self._limits.rpc_timeout_s
                await _abort(context, DeadlineError(f"{method} took longer than the {limit:g} s it may"))
            except VetonetError as error:
                await _abort(context, error)
            except Exception as error:  # noqa: BLE001 - nothing foreign goes out
                await _abort_foreign(context, method, error)

        return bound

    def _bound_stream(self, method: str, parse: Callable[[bytes], Message], call: Stream) -> Unary:
        async def bound(data: bytes, context: Context) -> None:
            try:
                read_caller(context, trust_domain=self._trust_domain)
                async with contextlib.aclosing(call(parse(data), context)) as events:
                    async for event in events:
                        await self._write(method, context, event)
            except VetonetError as error:
                await _abort(context, error)
            except Exception as error:  # noqa: BLE001 - nothing foreign goes out
                await _abort_foreign(context, method, error)

        return bound

    async def _write(self, method: str, context: Context, event: Message) -> None:
        """The event is on its way; a watcher that reads nothing is let go, so that it holds nothing up."""
        try:
            async with asyncio.timeout(self._limits.write_timeout_s):
                await context.write(event)
        except TimeoutError as error:
            limit = self._limits.write_timeout_s
            raise OverloadedError(f"{method}: the client read nothing for {limit:g} s") from error


def read_caller(context: Context, *, trust_domain: str | None) -> Identity | None:
    """Return who calls, or None on a server without certificates (``trust_domain`` None).

    Raises:
        WrongIdentityError: the certificate names nobody, or somebody of another trust domain.
    """
    if trust_domain is None:
        return None
    return read_peer(context.auth_context(), trust_domain=trust_domain)


async def _abort(context: Context, error: VetonetError) -> NoReturn:
    status = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details or "", status.trailing_metadata or ())


async def _abort_foreign(context: Context, method: str, error: Exception) -> NoReturn:
    # Its text may hold contents; the type and the place are enough to find it.
    _logger.error("%s failed with %s", method, type(error).__name__, exc_info=error)
    await _abort(context, VetonetError("the server failed; its log says where"))
