"""The client of a log that takes any leaf: appends, with retries that never log a leaf twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

from vetonet.party.calls import Caller, CallPolicy, Sleep
from vetonet.units import Rng
from vetonet.v1 import open_log_pb2, open_log_pb2_grpc
from vetonet.wire.channel import open_channel

DEFAULT_POLICY: Final = CallPolicy()
MAX_BATCH_LEAVES: Final = 1_024
MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""Half of what a message may have, so that names and lengths fit beside the leaves."""


class OpenLogClient:
    """Appends to one log; what it holds is read from its tiles."""

    def __init__(
        self, address: str, *, rng: Rng, policy: CallPolicy = DEFAULT_POLICY, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Speak to the log at ``host:port``, a loopback address; nothing is sent before the first call.

        Args:
            address: ``host:port``.
            rng: for request ids and pauses.
            policy: deadlines and retries.
            sleep: how to wait.

        Raises:
            ConfigError: the address is another machine's.
        """
        self._channel = open_channel(address, credential=None, server=None)
        self._caller = Caller(policy, rng=rng, sleep=sleep)
        self._stub: open_log_pb2_grpc.OpenLogServiceAsyncStub
        self._stub = open_log_pb2_grpc.OpenLogServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The channel is closed."""
        await self._channel.close()

    async def append(self, leaves: Sequence[bytes]) -> tuple[int, ...]:
        """All leaves are durable, one after the other, or none is; return their indices.

        Args:
            leaves: 1 to 1,024 leaves of at most 65,535 bytes each.

        Raises:
            RefusedError: none, too many, or one too large.
            StorageError: they could not be made durable.
            RpcError: no answer; they may be in the log.
        """
        request_id = self._caller.generate_request_id()
        request = open_log_pb2.AppendLeavesRequest(leaves=leaves, request_id=request_id)
        answer = await self._caller.call(self._stub.AppendLeaves, request)
        return tuple(answer.leaf_indices)


def split_batches(leaves: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the leaves in order, in batches that one append may have."""
    batch, size = list[bytes](), 0
    for leaf in leaves:
        if batch and (len(batch) == MAX_BATCH_LEAVES or size + len(leaf) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(leaf)
        size += len(leaf)
    if batch:
        yield batch
