"""The edge of a server, method by method, with a context that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest

from vetonet.errors import EncodingError
from vetonet.v1 import coordinator_pb2
from vetonet.wire.boundary import Boundary, Limits

METHOD = "/vetonet.v1.CoordinatorService/WatchProposal"
Request = coordinator_pb2.WatchProposalRequest


class AbortError(Exception):
    """What a context raises when a call is aborted."""


class Context:
    """A call's context that records what the boundary does with it."""

    def __init__(self, *, is_stuck: bool = False) -> None:
        self.is_stuck = is_stuck
        self.written: list[Any] = []
        self.code: grpc.StatusCode | None = None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    async def write(self, message: Any) -> None:
        if self.is_stuck:
            await asyncio.Event().wait()
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        del details, trailing_metadata
        self.code = code
        raise AbortError


def wrap(handler: Any, limits: Limits, method: str = METHOD, trust_domain: str | None = None) -> Any:
    """Return the handler behind a boundary."""

    async def find(details: Any) -> Any:
        del details
        return handler

    class Details:
        def __init__(self) -> None:
            self.method = method

    details: Any = Details()
    return asyncio.run(Boundary(limits, trust_domain=trust_domain).intercept_service(find, details))


def make_stream(events: int, closed: list[bool] | None = None) -> Any:
    """Return the handler of a method that streams so many events."""

    async def stream(request: Any, context: Any) -> AsyncGenerator[int, None]:
        del request, context
        try:
            for number in range(events):
                yield number
        finally:
            if closed is not None:
                closed.append(True)

    return grpc.unary_stream_rpc_method_handler(stream, request_deserializer=Request.FromString)


def make_unary(answer: Any = b"answer") -> Any:
    """Return the handler of a method that answers, or fails."""

    async def unary(request: Any, context: Any) -> Any:
        del request, context
        if isinstance(answer, Exception):
            raise answer
        return answer

    return grpc.unary_unary_rpc_method_handler(unary, request_deserializer=Request.FromString)


def test_events_are_written_one_after_the_other() -> None:
    context = Context()
    asyncio.run(wrap(make_stream(3), Limits()).unary_stream(b"", context))
    assert context.written == [0, 1, 2]


def test_a_watcher_that_reads_nothing_is_let_go_and_its_stream_closed() -> None:
    context, closed = Context(is_stuck=True), list[bool]()
    handler = wrap(make_stream(3, closed), Limits(write_timeout_s=0.01))
    with pytest.raises(AbortError):
        asyncio.run(handler.unary_stream(b"", context))
    assert (context.code, closed) == (grpc.StatusCode.RESOURCE_EXHAUSTED, [True])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (EncodingError("ours"), grpc.StatusCode.INVALID_ARGUMENT),
        (KeyError("theirs"), grpc.StatusCode.INTERNAL),
    ],
)
def test_every_error_becomes_a_status(answer: Exception, code: grpc.StatusCode) -> None:
    context = Context()
    with pytest.raises(AbortError):
        asyncio.run(wrap(make_unary(answer), Limits()).unary_unary(b"", context))
    assert context.code is code


def test_a_call_without_a_certificate_is_refused_where_there_is_a_trust_domain() -> None:
    for kind, handler in (("unary_unary", make_unary()), ("unary_stream", make_stream(1))):
        context = Context()
        with pytest.raises(AbortError):
            asyncio.run(getattr(wrap(handler, Limits(), trust_domain="a.example"), kind)(b"", context))
        assert context.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(("size", "is_taken"), [(10, True), (11, False)])
def test_a_request_of_exactly_the_limit_is_taken(size: int, is_taken: bool) -> None:  # noqa: FBT001
    context = Context()
    data = Request(name="x" * (size - 2)).SerializeToString()
    call = wrap(make_unary(), Limits(max_request_bytes=10)).unary_unary(data, context)
    if is_taken:
        assert asyncio.run(call) == b"answer"
    else:
        with pytest.raises(AbortError):
            asyncio.run(call)
        assert context.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_for_batches_takes_more() -> None:
    limits = Limits(max_request_bytes=10, large_requests=frozenset({METHOD}))
    data = Request(name="x" * 1_000).SerializeToString()
    assert asyncio.run(wrap(make_unary(), limits).unary_unary(data, Context())) == b"answer"


def test_other_packages_and_unknown_methods_pass_by() -> None:
    handler = make_unary()
    assert wrap(handler, Limits(), method="/grpc.health.v1.Health/Check") is handler
    assert wrap(None, Limits()) is None


@pytest.mark.parametrize("field", ["max_request_bytes", "rpc_timeout_s", "write_timeout_s"])
def test_limits_that_let_nothing_through_are_refused(field: str) -> None:
    limits: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match="positive"):
        Limits(**limits)
