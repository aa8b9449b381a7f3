"""Answers every question about a log from its tiles alone, in memory that does not grow with the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Final

from vetonet.crypto.merkle import (
    EMPTY_ROOT_HASH,
    HASH_BYTES,
    MAX_TREE_SIZE,
    ConsistencyProof,
    InclusionProof,
    compute_parent_hashes,
    compute_range_hash,
    split_consistency,
    split_inclusion,
)
from vetonet.errors import ProofError, RefusedError
from vetonet.tlog.tile_entries import iter_entries
from vetonet.tlog.tile_fetch import Fetch, fetch_edge, fetch_entries, fetch_hashes, make_tile
from vetonet.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

DEFAULT_CACHED_TILES: Final = 64
"""About 1 MiB of nodes: enough that a proof at a million leaves reads one or two tiles anew."""


class TileReader:
    """Roots, proofs and entries of a log, read from its tiles.

    Answers are those of ``Log`` for the same leaves. A full tile is believed when its root stands in the tile
    above; the tiles on the right edge have only the root to answer to, so whoever does not trust the source
    compares ``root_hash`` with a signed checkpoint, or verifies the proofs.

    One reader serves one thread at a time.
    """

    __slots__ = ("_fetch", "_most", "_tiles")

    def __init__(self, fetch: Fetch, *, cached_tiles: int = DEFAULT_CACHED_TILES) -> None:
        """Read through ``fetch``, and keep the nodes of so many tiles.

        Raises:
            ValueError: room for no tile at all.
        """
        if cached_tiles < 1:
            raise ValueError(f"a tile reader keeps at least one tile, got {cached_tiles}")
        self._fetch = fetch
        self._most = cached_tiles
        self._tiles: OrderedDict[tuple[int, int], _TileNodes] = OrderedDict()

    def root_hash(self, tree_size: int) -> bytes:
        """Return the root of the first ``tree_size`` leaves.

        Raises:
            RefusedError: no tree has this size.
            ProofError: a tile is not what it should be.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        _require(0 <= tree_size <= MAX_TREE_SIZE, f"no tree of {tree_size} leaves")
        return self._range_hash(tree_size, (0, tree_size)) if tree_size else EMPTY_ROOT_HASH

    def leaf_hash(self, leaf_index: int, tree_size: int) -> bytes:
        """Return the hash of one leaf.

        Raises:
            RefusedError: the tree has no such leaf.
            ProofError: a tile is not what it should be.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        _require_leaf(leaf_index, tree_size)
        return self._node(tree_size, 0, leaf_index)

    def inclusion_proof(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``.

        Raises:
            RefusedError: the tree has no such leaf.
            ProofError: a tile is not what it should be.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        _require_leaf(leaf_index, tree_size)
        ranges = split_inclusion(leaf_index, tree_size)
        hashes = tuple(self._range_hash(tree_size, leaves) for leaves in ranges)
        return InclusionProof(leaf_index=leaf_index, tree_size=tree_size, hashes=hashes)

    def consistency_proof(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the tree of ``new_size`` leaves extends that of ``old_size``.

        Raises:
            RefusedError: no tree has the new size, or the old one is not within 1 and the new.
            ProofError: a tile is not what it should be.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        is_growth = 1 <= old_size <= new_size <= MAX_TREE_SIZE
        _require(is_growth, f"no consistency proof from size {old_size} to size {new_size}")
        ranges = split_consistency(old_size, new_size)
        hashes = tuple(self._range_hash(new_size, leaves) for leaves in ranges)
        return ConsistencyProof(old_size=old_size, new_size=new_size, hashes=hashes)

    def entries(self, start: int, end: int, tree_size: int, *, root_hash: bytes) -> Iterator[bytes]:
        """Yield the entries from ``start`` up to ``end``, each only after it is shown to be under the root.

        Args:
            start: index of the first.
            end: one more than the index of the last.
            tree_size: number of leaves of the tree.
            root_hash: the trusted root of that tree.

        Raises:
            RefusedError: the tree has no such range.
            ProofError: a tile or bundle is not part of the tree with this root.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        is_range = 0 <= start <= end <= tree_size <= MAX_TREE_SIZE
        _require(is_range, f"no entries from {start} to {end} among {tree_size}")
        return iter_entries(self._fetch, start, end, tree_size=tree_size, root_hash=root_hash)

    def edge_hashes(self, tree_size: int) -> tuple[bytes, ...]:
        """Return the hashes of the partial tile of each level: what a growing tree starts from.

        Raises:
            RefusedError: no tree has this size.
            ProofError: a tile is not what it should be.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        _require(0 <= tree_size <= MAX_TREE_SIZE, f"no tree of {tree_size} leaves")
        return fetch_edge(self._fetch, tree_size)

    def edge_entries(self, tree_size: int) -> tuple[bytes, ...]:
        """Return the entries of the last bundle if it is partial, else none; not measured against any hash.

        Raises:
            RefusedError: no tree has this size.
            ProofError: the bundle is not what it should be.
            MissingTileError: the bundle is not there; whatever else the source raises.
        """
        _require(0 <= tree_size <= MAX_TREE_SIZE, f"no tree of {tree_size} leaves")
        index, width = divmod(tree_size, TILE_WIDTH)
        return fetch_entries(self._fetch, Tile(level=None, index=index, width=width)) if width else ()

    def _range_hash(self, tree_size: int, leaves: tuple[int, int]) -> bytes:
        return compute_range_hash(*leaves, partial(self._node, tree_size))

    def _node(self, tree_size: int, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree of ``2**level`` leaves, from the tile that holds it."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        below = TILE_HEIGHT - height
        tile = make_tile(tile_level, position >> below, tree_size)
        return self._load(tile, tree_size).node(height, position & ((1 << below) - 1))

    def _load(self, tile: Tile, tree_size: int) -> _TileNodes:
        """Return the nodes of a tile, from the cache where it holds as much of it."""
        key = (tile.level or 0, tile.index)
        cached = self._tiles.get(key)
        if cached is not None and cached.width >= tile.width:
            self._tiles.move_to_end(key)
            return cached
        nodes = _TileNodes(fetch_hashes(self._fetch, tile))
        if tile.is_full:
            self._verify_parent(tile, nodes, tree_size)
        self._tiles[key] = nodes
        self._tiles.move_to_end(key)
        while len(self._tiles) > self._most:
            self._tiles.popitem(last=False)
        return nodes

    def _verify_parent(self, tile: Tile, nodes: _TileNodes, tree_size: int) -> None:
        """The root of a full tile is the hash that the tile above has for it."""
        above = make_tile((tile.level or 0) + 1, tile.index // TILE_WIDTH, tree_size)
        expected = self._load(above, tree_size).node(0, tile.index % TILE_WIDTH)
        if nodes.node(TILE_HEIGHT, 0) != expected:
            raise ProofError(f"{tile.to_path()}: its root is not the one in {above.to_path()}")


class _TileNodes:
    """Every complete subtree within one tile: level ``k`` holds the roots of ``2**k`` of its hashes."""

    __slots__ = ("_levels", "width")

    def __init__(self, hashes: bytes) -> None:
        self.width: Final = len(hashes) // HASH_BYTES
        levels = [hashes]
        while len(levels[-1]) > HASH_BYTES:
            levels.append(compute_parent_hashes(levels[-1]))
        self._levels: Final = tuple(levels)

    def node(self, height: int, offset: int) -> bytes:
        """Return the root of ``2**height`` hashes of this tile."""
        return self._levels[height][offset * HASH_BYTES : (offset + 1) * HASH_BYTES]


def _require_leaf(leaf_index: int, tree_size: int) -> None:
    is_leaf = 0 <= leaf_index < tree_size <= MAX_TREE_SIZE
    _require(is_leaf, f"no leaf {leaf_index} among {tree_size}")


def _require(condition: bool, refusal: str) -> None:  # noqa: FBT001  (the condition is the first word of the sentence)
    if not condition:
        raise RefusedError(refusal)
