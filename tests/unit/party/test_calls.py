"""Calls: retried with the same request while that may help, bounded, and our own errors out of them."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.crypto.rng import SeededRng
from vetonet.errors import RefusedError, VetonetError
from vetonet.party.calls import Caller, CallPolicy
from vetonet.wire.status import RpcError

_CODE = grpc.StatusCode


class Server:
    """Answers with these codes in turn, then well; remembers what it was asked and how callers waited."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self.codes = list(codes)
        self.requests: list[tuple[str, float]] = []
        self.pauses: list[float] = []

    async def __call__(self, request: str, /, *, timeout: float) -> str:  # noqa: ASYNC109
        self.requests.append((request, timeout))
        if self.codes:
            raise grpc.aio.AioRpcError(self.codes.pop(0), grpc.aio.Metadata(), grpc.aio.Metadata(), "no")
        return "yes"

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def call(server: Server, policy: CallPolicy | None = None) -> str:
    caller = Caller(policy or CallPolicy(attempts=4), rng=SeededRng(b"calls"), sleep=server.sleep)
    return asyncio.run(caller.call(server, "request"))


@pytest.mark.parametrize("code", [_CODE.UNAVAILABLE, _CODE.DEADLINE_EXCEEDED])
def test_a_call_is_retried_with_the_same_request(code: grpc.StatusCode) -> None:
    server = Server(code, code)
    assert call(server) == "yes"
    assert server.requests == [("request", 5.0)] * 3
    assert len(server.pauses) == 2


def test_retries_end() -> None:
    server = Server(*[_CODE.UNAVAILABLE] * 9)
    with pytest.raises(RpcError) as caught:
        call(server)
    assert len(server.requests) == 4
    assert caught.value.is_retryable


@pytest.mark.parametrize("code", [_CODE.INVALID_ARGUMENT, _CODE.PERMISSION_DENIED, _CODE.FAILED_PRECONDITION])
def test_a_refusal_is_not_retried(code: grpc.StatusCode) -> None:
    server = Server(code)
    with pytest.raises(VetonetError):
        call(server)
    assert len(server.requests) == 1
    assert server.pauses == []


def test_an_error_of_ours_is_not_swallowed() -> None:
    class Refusing(Server):
        async def __call__(self, request: str, /, *, timeout: float) -> str:  # noqa: ASYNC109
            raise RefusedError(f"no {request} within {timeout}")

    with pytest.raises(RefusedError):
        call(Refusing())


@given(st.integers(1, 60) | st.just(1_000_000), st.binary(min_size=2, max_size=2))
def test_pauses_grow_and_stay_within_their_bounds(failures: int, drawn: bytes) -> None:
    server, policy = Server(), CallPolicy(first_pause_s=0.5, max_pause_s=4.0)
    caller = Caller(policy, rng=lambda size: drawn[:size], sleep=server.sleep)
    asyncio.run(caller.pause(failures))
    longest = min(4.0, 0.5 * 2 ** min(failures - 1, 60))
    assert longest / 2 <= server.pauses[0] <= longest


def test_request_ids_are_uuids_and_differ() -> None:
    caller = Caller(CallPolicy(), rng=SeededRng(b"ids"))
    ids = [caller.generate_request_id() for _ in range(3)]
    assert len(set(ids)) == 3
    assert {uuid.UUID(value).version for value in ids} == {4}


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"deadline_s": 0.0}, {"first_pause_s": -1.0}])
def test_a_policy_that_never_calls_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="attempt"):
        CallPolicy(**wrong)  # type: ignore[arg-type]
