"""Gets a tile or bundle from whoever serves it, in the exact shape that a tree of one size gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from vetonet.crypto.merkle import EMPTY_ROOT_HASH, HASH_BYTES, compute_node_hash, compute_parent_hashes
from vetonet.errors import EncodingError, ProofError
from vetonet.tlog.tiles import (
    MAX_LEVEL,
    TILE_WIDTH,
    MissingTileError,
    Tile,
    compute_width,
    count_nodes,
    decode_bundle,
)

Fetch: TypeAlias = Callable[[Tile], bytes]
"""Gives the content of a tile's file, untrusted; raises MissingTileError where there is no such file."""


def fetch_hashes(fetch: Fetch, tile: Tile) -> bytes:
    """Return the hashes of a tile, side by side: ``width`` of them, or 256 where only the full tile is left.

    Raises:
        ProofError: the file has not the length of such a tile.
        MissingTileError: neither the tile nor the full one is there; whatever else ``fetch`` raises.
    """
    found, data = _fetch_widest(fetch, tile)
    if len(data) != found.width * HASH_BYTES:
        expected = found.width * HASH_BYTES
        raise ProofError(f"{found.to_path()}: expected {expected} bytes of hashes, got {len(data)}")
    return data


def fetch_entries(fetch: Fetch, tile: Tile) -> tuple[bytes, ...]:
    """Return the entries of a bundle, ``width`` of them.

    Raises:
        ProofError: the file is no such bundle.
        MissingTileError: neither the bundle nor the full one is there; whatever else ``fetch`` raises.
    """
    found, data = _fetch_widest(fetch, tile)
    try:
        return decode_bundle(data, found.width)[: tile.width]
    except EncodingError as error:
        raise ProofError(f"{found.to_path()}: {error}") from error


def fetch_edge(fetch: Fetch, tree_size: int) -> tuple[bytes, ...]:
    """Return the hashes of the partial tile of each level, empty where the last tile of a level is full.

    Raises:
        ProofError: a file has not the length of its tile.
        MissingTileError: a tile is not there; whatever else ``fetch`` raises.
    """
    levels: list[bytes] = []
    for level in range(MAX_LEVEL + 1):
        index, width = divmod(count_nodes(level, tree_size), TILE_WIDTH)
        tile = Tile(level=level, index=index, width=width) if width else None
        levels.append(fetch_hashes(fetch, tile)[: width * HASH_BYTES] if tile else b"")
    return tuple(levels)


def make_tile(level: int | None, index: int, tree_size: int) -> Tile:
    """Return the tile at this place in the width that a tree of this size gives it.

    Raises:
        EncodingError: such a tree has no such tile.
    """
    return Tile(level=level, index=index, width=compute_width(level, index, tree_size))


def compute_tile_root(hashes: bytes) -> bytes:
    """Return the root over the hashes of one full tile."""
    while len(hashes) > HASH_BYTES:
        hashes = compute_parent_hashes(hashes)
    return hashes


def compute_edge_root(levels: Sequence[bytes]) -> bytes:
    """Return the root of the tree whose partial tiles, level by level from the leaf hashes up, are these.

    Every full tile is one hash of the level above, so the partial ones alone carry the whole tree.
    """
    computed: bytes | None = None
    for hashes in levels:
        row = hashes
        while row:
            if len(row) // HASH_BYTES % 2:  # the last node of the row ends the tree so far
                last = row[-HASH_BYTES:]
                computed = last if computed is None else compute_node_hash(last, computed)
            row = compute_parent_hashes(row)
    return EMPTY_ROOT_HASH if computed is None else computed


def _fetch_widest(fetch: Fetch, tile: Tile) -> tuple[Tile, bytes]:
    """Return a tile as it is served; a log may drop a partial one when the full one is there."""
    try:
        return tile, fetch(tile)
    except MissingTileError:
        if tile.is_full:
            raise
        full = _to_full(tile)
        if full is None:
            raise
    try:
        return full, fetch(full)
    except MissingTileError as error:
        raise MissingTileError(tile.to_path()) from error


def _to_full(tile: Tile) -> Tile | None:
    """Return the full tile at this place, or None where no tree is large enough to fill it."""
    try:
        return tile.to_full()
    except EncodingError:
        return None
