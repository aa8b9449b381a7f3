"""The tiles of a growing log: written before anything of the larger tree is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from vetonet.errors import ProofError
from vetonet.storage.tile_store import TileStore
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.policy import CosignedCheckpoint
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import MissingTileError, Tile
from vetonet.tlog.tree_edge import TreeEdge


class Tiling:
    """What is in the tile store, and the edge from which it goes on."""

    __slots__ = ("_edge", "_store")

    def __init__(self, store: TileStore, edge: TreeEdge) -> None:
        """Go on from this edge; use ``open`` instead."""
        self._store, self._edge = store, edge

    @classmethod
    def open(cls, store: TileStore, published: Checkpoint | None) -> Self:
        """Go on from the published checkpoint, where its tiles are whole; else begin again at leaf 0.

        Whatever is written again has the content that is there, or is refused by its name.

        Raises:
            StorageError: a tile cannot be read.
        """
        return cls(store, TreeEdge() if published is None else _restore(store, published))

    @property
    def tree_size(self) -> int:
        """How many leaves the tiles hold."""
        return self._edge.tree_size

    @property
    def root_hash(self) -> bytes:
        """The root over them."""
        return self._edge.root_hash()

    def extend(self, leaves: Sequence[bytes]) -> None:
        """The tiles hold these leaves too, durably, or are as they were.

        Raises:
            RefusedError: a leaf is too large.
            CorruptTileError: a tile is there with another content.
            StorageError: a tile could not be written.
        """
        growth = self._edge.extend(leaves)
        self._store.write_all(growth.files)
        self._edge = growth.edge


class LogTiles:
    """The tiles of a log that is kept in memory: a copy for others to read."""

    __slots__ = ("_log", "_store", "_tiling")

    def __init__(self, log: Log, store: TileStore, published: CosignedCheckpoint | None) -> None:
        """Go on where the store is; a checkpoint that was published and is not there is put there.

        Raises:
            StorageError: the store cannot be read or written.
        """
        self._log, self._store = log, store
        self._tiling = Tiling.open(store, None if published is None else published.checkpoint)
        if published is not None:
            self.catch_up(published.checkpoint.tree_size)
            self.write_checkpoint(published)

    def catch_up(self, tree_size: int) -> None:
        """The tiles hold the first ``tree_size`` leaves; called by one thread at a time.

        Raises:
            CorruptTileError: a tile is there with another content.
            StorageError: a tile could not be written.
        """
        leaves = range(self._tiling.tree_size, tree_size)
        self._tiling.extend([self._log.leaf(leaf_index) for leaf_index in leaves])

    def write_checkpoint(self, cosigned: CosignedCheckpoint) -> None:
        """Readers see this checkpoint from now on.

        Raises:
            StorageError: it could not be written.
        """
        self._store.write_checkpoint(cosigned.data)


def read_store(store: TileStore) -> TileReader:
    """Return a reader of the log in this store."""

    def fetch(tile: Tile) -> bytes:
        return store.read(tile.to_path())

    return TileReader(fetch)


def _restore(store: TileStore, published: Checkpoint) -> TreeEdge:
    try:
        edge = TreeEdge.from_tiles(read_store(store), published.tree_size)
    except (MissingTileError, ProofError):
        return TreeEdge()
    return edge if edge.root_hash() == published.root_hash else TreeEdge()
