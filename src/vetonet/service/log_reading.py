"""What anybody may read of a log, whoever keeps it: only what is published (VN-11.6)."""

# ruff: noqa: N802  (methods are named as in proto/)

from __future__ import annotations

from typing import Final, Protocol

from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.errors import RefusedError
from vetonet.service.coordinator import Coordinator
from vetonet.service.tile_log import TileLog
from vetonet.v1 import log_pb2, log_pb2_grpc
from vetonet.wire import convert
from vetonet.wire.boundary import Context

MAX_LEAVES: Final = 4_096
MAX_LEAVES_BYTES: Final = 2 * 1024 * 1024


class LogReader(Protocol):
    """The published part of a log."""

    async def read_checkpoint(self) -> bytes:
        """Return the newest published checkpoint, waiting for the first.

        Raises:
            WitnessQuorumError: there is none in time.
        """
        ...

    async def read_leaves(self, start: int, limit: int) -> tuple[bytes, ...]:
        """Return leaves from ``start`` on: at most ``limit``, and as many as fit into a message."""
        ...

    async def prove_inclusion(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``.

        Raises:
            RefusedError: so much is not published, or there is no such leaf at that size.
        """
        ...

    async def prove_consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the log of one size extends that of another.

        Raises:
            RefusedError: so much is not published, or the old size is not within 1 and the new size.
        """
        ...


class CoordinatorLogReader:
    """The log of a treaty's coordinator."""

    __slots__ = ("_coordinator",)

    def __init__(self, coordinator: Coordinator) -> None:
        """Read this coordinator's log."""
        self._coordinator = coordinator

    async def read_checkpoint(self) -> bytes:
        """Return the newest published checkpoint."""
        await self._coordinator.publisher.wait_for(1)
        # The one that all else of the log is shown by, which may be newer by a moment.
        return self._coordinator.view.checkpoint()

    async def read_leaves(self, start: int, limit: int) -> tuple[bytes, ...]:
        """Return leaves from ``start`` on."""
        return self._coordinator.view.list_leaves(start, limit=limit, max_bytes=MAX_LEAVES_BYTES)

    async def prove_inclusion(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``."""
        return self._coordinator.view.prove_inclusion(leaf_index, tree_size)

    async def prove_consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the log of one size extends that of another."""
        return self._coordinator.view.prove_consistency(old_size, new_size)


class TileLogReader:
    """A log in tiles."""

    __slots__ = ("_log",)

    def __init__(self, log: TileLog) -> None:
        """Read this log."""
        self._log = log

    async def read_checkpoint(self) -> bytes:
        """Return the newest published checkpoint."""
        return (await self._log.publisher.wait_for(1)).data

    async def read_leaves(self, start: int, limit: int) -> tuple[bytes, ...]:
        """Return leaves from ``start`` on."""
        leaves, size = list[bytes](), 0
        for leaf in await self._log.read_leaves(start, limit):
            size += len(leaf)
            if leaves and size > MAX_LEAVES_BYTES:
                break
            leaves.append(leaf)
        return tuple(leaves)

    async def prove_inclusion(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``."""
        self._require_published(tree_size)
        return self._log.inclusion_proof(leaf_index, tree_size)

    async def prove_consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the log of one size extends that of another."""
        self._require_published(new_size)
        return self._log.consistency_proof(old_size, new_size)

    def _require_published(self, tree_size: int) -> None:
        published = self._log.publisher.tree_size
        if tree_size > published:
            msg = f"no tree of {tree_size} leaves: {published} are published"
            raise RefusedError(msg, clause="VN-11.6")


class LogReadServicer(log_pb2_grpc.LogServiceServicer):
    """The reading half of the log's service."""

    def __init__(self, reader: LogReader) -> None:
        """Serve what this reader reads."""
        self._reader = reader

    async def GetCheckpoint(
        self, request: log_pb2.GetCheckpointRequest, context: Context
    ) -> log_pb2.Checkpoint:
        """Return the newest published checkpoint."""
        del request, context
        return log_pb2.Checkpoint(note=await self._reader.read_checkpoint())

    async def ListLeaves(
        self, request: log_pb2.ListLeavesRequest, context: Context
    ) -> log_pb2.ListLeavesResponse:
        """Return leaves in order, as many as fit into a message."""
        del context
        limit = min(request.limit or MAX_LEAVES, MAX_LEAVES)
        return log_pb2.ListLeavesResponse(leaves=await self._reader.read_leaves(request.start, limit))

    async def GetInclusionProof(
        self, request: log_pb2.GetInclusionProofRequest, context: Context
    ) -> log_pb2.InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``."""
        del context
        proof = await self._reader.prove_inclusion(request.leaf_index, request.tree_size)
        return convert.inclusion_message(proof)

    async def GetConsistencyProof(
        self, request: log_pb2.GetConsistencyProofRequest, context: Context
    ) -> log_pb2.ConsistencyProof:
        """Return the proof that one size of the log extends another."""
        del context
        proof = await self._reader.prove_consistency(request.old_size, request.new_size)
        return convert.consistency_message(proof)
