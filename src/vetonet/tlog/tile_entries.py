"""Entries of a log, each measured against the root of the tree before anybody sees it."""

from __future__ import annotations

from collections.abc import Iterator
from hmac import compare_digest
from typing import Final

from vetonet.crypto.merkle import HASH_BYTES, compute_leaf_hash
from vetonet.errors import ProofError
from vetonet.tlog.tile_fetch import (
    Fetch,
    compute_edge_root,
    compute_tile_root,
    fetch_edge,
    fetch_entries,
    fetch_hashes,
    make_tile,
)
from vetonet.tlog.tiles import TILE_WIDTH, Tile


def iter_entries(fetch: Fetch, start: int, end: int, *, tree_size: int, root_hash: bytes) -> Iterator[bytes]:
    """Yield the entries from ``start`` up to ``end`` of the tree of this size with this root.

    One bundle and one tile of each level are in memory at a time. The tiles of leaf hashes are read only
    where they are partial: the entries themselves have the hashes.

    Raises:
        ProofError: a tile or bundle is not part of the tree with this root.
        MissingTileError: a tile is not there; whatever else ``fetch`` raises.
    """
    if start == end:
        return
    tiles = _TreeTiles(fetch, tree_size=tree_size, root_hash=root_hash)
    for index in range(start // TILE_WIDTH, (end - 1) // TILE_WIDTH + 1):
        bundle = make_tile(None, index, tree_size)
        entries = fetch_entries(fetch, bundle)
        tiles.verify_entries(bundle, entries)
        first = index * TILE_WIDTH
        yield from entries[max(start - first, 0) : end - first]


class _TreeTiles:
    """The tiles of one tree from a source that may lie: none is used before it is shown to belong.

    What has been shown is kept here and not asked for again, so a source that changes its mind gains nothing.
    """

    def __init__(self, fetch: Fetch, *, tree_size: int, root_hash: bytes) -> None:
        self._fetch: Final = fetch
        self._tree_size: Final = tree_size
        self._edge: Final = fetch_edge(fetch, tree_size)
        self._full: Final[dict[int, tuple[int, bytes]]] = {}
        computed = compute_edge_root(self._edge)
        if not compare_digest(computed, root_hash):
            raise ProofError(
                f"root of {tree_size} leaves differs: expected {root_hash.hex()},"
                f" the tiles give {computed.hex()}"
            )

    def verify_entries(self, bundle: Tile, entries: tuple[bytes, ...]) -> None:
        """The entries of a bundle are leaves of the tree, at the places of the bundle."""
        hashes = b"".join(map(compute_leaf_hash, entries))
        if bundle.is_full:
            belongs = compute_tile_root(hashes) == self._hash_at(1, bundle.index)
        else:
            belongs = hashes == self._edge[0]
        if not belongs:
            raise ProofError(f"{bundle.to_path()}: its entries are not those that the tree commits to")

    def _hash_at(self, level: int, position: int) -> bytes:
        index, offset = divmod(position, TILE_WIDTH)
        tile = make_tile(level, index, self._tree_size)
        hashes = self._load_full(level, tile) if tile.is_full else self._edge[level]
        return hashes[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]

    def _load_full(self, level: int, tile: Tile) -> bytes:
        index, hashes = self._full.get(level, (-1, b""))
        if index != tile.index:
            hashes = fetch_hashes(self._fetch, tile)
            if compute_tile_root(hashes) != self._hash_at(level + 1, tile.index):
                raise ProofError(f"{tile.to_path()}: its hashes are not those that the tree commits to")
            self._full[level] = (tile.index, hashes)
        return hashes
