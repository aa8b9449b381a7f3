"""Calls to somebody else's server: a deadline on each, bounded retries, and our own errors out of them.

A retry sends the same message, request id included, so a call whose answer was lost is not carried out twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import grpc.aio

from vetonet.errors import VetonetError
from vetonet.units import Rng
from vetonet.wire.status import RETRYABLE, RpcError, to_error

RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

Sleep = Callable[[float], Awaitable[None]]
"""How to wait: ``asyncio.sleep``, or a test's own."""

_JITTER_BYTES: Final = 2
_MAX_DOUBLINGS: Final = 30
"""More give no longer pause, and some thousand no number that a pause can be."""


class Method(Protocol[RequestT_contra, ResponseT_co]):
    """A unary method of a stub."""

    def __call__(self, request: RequestT_contra, /, *, timeout: float) -> Awaitable[ResponseT_co]:
        """Return the answer to one request within so many seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """How patient a caller is.

    Attributes:
        deadline_s: how long one attempt may take.
        attempts: how often the same request is sent, at most.
        first_pause_s: the pause before the second attempt; each further one is twice as long.
        max_pause_s: the longest pause.
        watch_idle_s: how long a watch may be silent, heartbeats included.
    """

    deadline_s: float = 5.0
    attempts: int = 5
    first_pause_s: float = 0.1
    max_pause_s: float = 5.0
    watch_idle_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse a policy that never calls or never waits."""
        if self.attempts < 1 or min(self.deadline_s, self.first_pause_s, self.watch_idle_s) <= 0:
            msg = "expected at least one attempt, and times above zero"
            raise ValueError(msg)


class Caller:
    """Makes calls under one policy; randomness and waiting are given to it."""

    __slots__ = ("_rng", "_sleep", "policy")

    def __init__(self, policy: CallPolicy, *, rng: Rng, sleep: Sleep = asyncio.sleep) -> None:
        """Call under this policy."""
        self.policy: Final = policy
        self._rng = rng
        self._sleep = sleep

    def generate_request_id(self) -> str:
        """Return a fresh UUID of version 4 (RFC 9562 section 5.4)."""
        return str(uuid.UUID(bytes=self._rng(16), version=4))

    async def call(
        self, method: Method[RequestT_contra, ResponseT_co], request: RequestT_contra
    ) -> ResponseT_co:
        """Return the answer, after as many attempts with the same request as the policy allows.

        Raises:
            VetonetError: the server's error; ``RpcError`` where no server of ours answered.
        """
        attempt = 1
        while True:
            try:
                return await method(request, timeout=self.policy.deadline_s)
            except grpc.RpcError as error:
                if attempt >= self.policy.attempts or not is_retryable(error):
                    raise to_error(error) from error
            await self.pause(attempt)
            attempt += 1

    async def pause(self, failures: int) -> None:
        """Wait as long as so many failures in a row ask for: doubling, bounded, and a random half of it."""
        doublings = min(failures - 1, _MAX_DOUBLINGS)
        longest = min(self.policy.first_pause_s * 2**doublings, self.policy.max_pause_s)
        fraction = int.from_bytes(self._rng(_JITTER_BYTES), "big") / 2 ** (8 * _JITTER_BYTES)
        await self._sleep(longest * (1 + fraction) / 2)


def is_retryable(error: grpc.RpcError | VetonetError) -> bool:
    """Whether the same request may succeed later: the code says so, whatever error it carries."""
    if isinstance(error, RpcError):
        return error.is_retryable
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in RETRYABLE
