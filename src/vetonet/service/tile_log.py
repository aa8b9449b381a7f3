"""A log that takes any leaf: a journal of leaves, tiles behind it, and memory that does not grow with it.

An append is durable when it returns: it is in the journal. Before each checkpoint the new leaves are written
as tiles, which is where every proof is read from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, Self

from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof, compute_leaf_hash
from vetonet.errors import ConfigError, RefusedError, StorageError, VetonetError
from vetonet.service.history import require_leaf_sizes
from vetonet.service.publishing import Publisher, Publishing
from vetonet.service.tiling import Tiling, read_store
from vetonet.storage.journal import Record, StoredRecord
from vetonet.storage.tile_store import CHECKPOINT, TileStore
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned
from vetonet.tlog.tiles import TILE_WIDTH, MissingTileError
from vetonet.units import Clock

LEAF: Final = "leaf"
MAX_BATCH: Final = 1_024
PAGE_LEAVES: Final = 64 * TILE_WIDTH
"""A whole number of tiles, so that a long catching-up writes few partial ones."""


class LeafJournal(Protocol):
    """What this log needs of its journal; ``vetonet.storage.AsyncJournal`` has it."""

    async def append_all(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are durable, one after the other, or none is; return their sequences."""
        ...

    async def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` records from sequence ``start`` on."""
        ...

    def size(self) -> int:
        """Return the count of acknowledged records."""
        ...

    async def close(self) -> None:
        """Everything taken in has its answer, and nothing more is taken in."""
        ...


class TileLog:
    """Leaves, their tiles, and the checkpoints that are published over them.

    Attributes:
        policy: what makes a checkpoint of this log count.
        publisher: lets the log out, checkpoint by checkpoint.
    """

    __slots__ = ("_clock", "_journal", "_origin", "_reader", "_store", "_tiling", "policy", "publisher")

    def __init__(
        self,
        *,
        journal: LeafJournal,
        store: TileStore,
        tiling: Tiling,
        policy: LogPolicy,
        log_key: SigningKey,
        publishing: Publishing,
        published: CosignedCheckpoint | None,
        clock: Clock,
    ) -> None:
        """Take over what journal and tiles say; use ``start`` instead."""
        self._journal, self._store, self._tiling, self._clock = journal, store, tiling, clock
        self._reader, self._origin = read_store(store), policy.log_key.name
        self.policy: Final = policy
        self.publisher: Final = Publisher(
            self,
            log_key=log_key,
            policy=policy,
            publishing=publishing,
            prepare=self._write_tiles,
            store=self._store_checkpoint,
            newest=published,
        )

    @classmethod
    async def start(
        cls,
        journal: LeafJournal,
        store: TileStore,
        *,
        policy: LogPolicy,
        log_key: SigningKey,
        publishing: Publishing,
        clock: Clock,
    ) -> Self:
        """Every leaf that the journal acknowledged is in the log, and its tiles are whole; nothing is lost.

        Args:
            journal: of leaves and nothing else; closed by ``close``.
            store: of the tiles; what is missing there is written again.
            policy: names the one log and its witnesses.
            log_key: signs checkpoints; the one that the policy names.
            publishing: which witnesses are asked, and how often.
            clock: milliseconds since the Unix epoch.

        Raises:
            ConfigError: the key or the published checkpoint is another log's.
            CorruptTileError: a tile contradicts the journal.
            StorageError: journal or tiles cannot be read or written, or the journal has lost leaves.
        """
        if log_key.public_key != policy.log_key.public_key:
            raise ConfigError(f"expected the key of log {policy.log_key.name!r}, got another")
        published = await asyncio.to_thread(_read_published, store, policy)
        covered = None if published is None else published.checkpoint
        if covered is not None and covered.tree_size > journal.size():
            expected, found = covered.tree_size, journal.size()
            raise StorageError(
                f"expected the {expected} leaves of the published checkpoint, found {found} in the journal: "
                "was it restored from a backup?"
            )
        tiling = await asyncio.to_thread(Tiling.open, store, covered)
        log = cls(
            journal=journal,
            store=store,
            tiling=tiling,
            policy=policy,
            log_key=log_key,
            publishing=publishing,
            published=published,
            clock=clock,
        )
        if covered is not None:
            await log._require_published(covered)
        await log._write_tiles()
        return log

    @property
    def tree_size(self) -> int:
        """How many leaves are in the tiles; more may be in the journal."""
        return self._tiling.tree_size

    def checkpoint(self, tree_size: int | None = None) -> Checkpoint:
        """Return what the log commits to at a size, by default the present one.

        Raises:
            RefusedError: the log is not that large.
            StorageError, ProofError: a tile is missing or wrong.
        """
        size = self.tree_size if tree_size is None else tree_size
        self._require_size(size)
        is_present = size == self.tree_size
        root_hash = self._tiling.root_hash if is_present else self._reader.root_hash(size)
        return Checkpoint(origin=self._origin, tree_size=size, root_hash=root_hash)

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Return the proof that one size of the log extends another.

        Raises:
            RefusedError: the log is not that large, or the old size is not within 1 and the new size.
            StorageError, ProofError: a tile is missing or wrong.
        """
        size = self.tree_size if new_size is None else new_size
        self._require_size(size)
        return self._reader.consistency_proof(old_size, size)

    def inclusion_proof(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``.

        Raises:
            RefusedError: the log is not that large, or there is no such leaf at that size.
            StorageError, ProofError: a tile is missing or wrong.
        """
        self._require_size(tree_size)
        return self._reader.inclusion_proof(leaf_index, tree_size)

    async def append(self, leaves: Sequence[bytes], *, request_id: str) -> tuple[int, ...]:
        """All leaves are durable, one after the other, or none is; return their indices.

        Args:
            leaves: 1 to ``MAX_BATCH`` of them, of any content.
            request_id: the idempotency key of the whole.

        Raises:
            RefusedError: none, too many, or one too large.
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        if not 0 < len(leaves) <= MAX_BATCH:
            raise RefusedError(f"expected 1 to {MAX_BATCH} leaves, got {len(leaves)}")
        require_leaf_sizes(leaves)
        indices = await self._journal.append_all(self._list_records(leaves, request_id))
        self.publisher.notice_growth()
        return indices

    async def read_leaves(self, start: int, limit: int) -> tuple[bytes, ...]:
        """Return published leaves from ``start`` on, at most ``limit``.

        Raises:
            StorageError: they cannot be read.
        """
        most = min(limit, self.publisher.tree_size - start)
        if start < 0 or most < 1:
            return ()
        return tuple(_read_leaf(stored) for stored in await self._journal.read(start, most))

    async def close(self) -> None:
        """Nothing is published any more, and the journal is closed.

        Raises:
            StorageError: the journal could not be closed.
        """
        await self.publisher.stop()
        await self._journal.close()

    def _list_records(self, leaves: Sequence[bytes], request_id: str) -> list[Record]:
        """Return a record of each leaf; the first one's kind binds their number to the request id."""
        count, now = len(leaves), self._clock()
        first = Record(
            kind=LEAF if count == 1 else f"{LEAF}.{count}",
            request_id=request_id,
            payload=leaves[0],
            recorded_at_ms=now,
        )
        others = (
            Record(kind=LEAF, request_id=f"{request_id}.{place}", payload=leaf, recorded_at_ms=now)
            for place, leaf in enumerate(leaves[1:], start=1)
        )
        return [first, *others]

    async def _write_tiles(self) -> None:
        """Every leaf of the journal is in the tiles."""
        await self._write_tiles_to(self._journal.size())

    async def _write_tiles_to(self, end: int) -> None:
        while (start := self._tiling.tree_size) < end:
            page = await self._journal.read(start, min(end - start, PAGE_LEAVES - start % PAGE_LEAVES))
            await asyncio.to_thread(self._tiling.extend, [_read_leaf(stored) for stored in page])

    async def _store_checkpoint(self, cosigned: CosignedCheckpoint) -> None:
        await asyncio.to_thread(self._store.write_checkpoint, cosigned.data)

    async def _require_published(self, covered: Checkpoint) -> None:
        """The tiles hold what was published, and the journal begins and ends with the same leaves.

        That all between are the same too is for ``vetonet log fsck`` to say: an opening does not hash a log.
        """
        size = covered.tree_size
        await self._write_tiles_to(size)
        is_same = self._tiling.root_hash == covered.root_hash
        for leaf_index in {0, size - 1} if size and is_same else ():
            (stored,) = await self._journal.read(leaf_index, 1)
            leaf_hash = compute_leaf_hash(_read_leaf(stored))
            is_same = is_same and leaf_hash == self._reader.leaf_hash(leaf_index, size)
        if not is_same:
            raise StorageError(f"the first {size} leaves of the journal are not those that were published")

    def _require_size(self, tree_size: int) -> None:
        if not 0 <= tree_size <= self.tree_size:
            raise RefusedError(f"no tree of {tree_size} leaves: the log has {self.tree_size}")


def _read_leaf(stored: StoredRecord) -> bytes:
    if stored.record.kind.partition(".")[0] != LEAF:
        raise StorageError(
            f"journal record {stored.sequence}: expected a leaf, got a {stored.record.kind!r}: "
            "is it the journal of a treaty's coordinator?"
        )
    return stored.record.payload


def _read_published(store: TileStore, policy: LogPolicy) -> CosignedCheckpoint | None:
    """Return the checkpoint that was published last, or None before the first.

    Raises:
        ConfigError: it is not one of this log under this policy.
        StorageError: it cannot be read.
    """
    try:
        return verify_cosigned(store.read(CHECKPOINT), policy)
    except MissingTileError:
        return None
    except StorageError:
        raise
    except VetonetError as error:
        raise ConfigError(
            f"the published checkpoint is not of this log: {error}; "
            "go on with the key, origin and witnesses that it was begun with, or begin another log elsewhere"
        ) from error
