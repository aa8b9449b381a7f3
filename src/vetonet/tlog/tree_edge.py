"""The right edge of a growing tree: all that is needed to append, and to write what an append changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from vetonet.crypto.merkle import HASH_BYTES, MAX_TREE_SIZE, compute_leaf_hash
from vetonet.errors import ProofError, RefusedError
from vetonet.tlog.tile_fetch import compute_edge_root, compute_tile_root
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import (
    MAX_ENTRY_BYTES,
    MAX_LEVEL,
    TILE_WIDTH,
    Tile,
    count_nodes,
    encode_bundle,
)

TileFile = tuple[str, bytes]
"""The path of a tile or bundle, and what the file holds."""

_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
_LEVELS: Final = MAX_LEVEL + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEdge:
    """The partial tile of each level and the partial bundle: a few kilobytes for a tree of any size.

    Attributes:
        tree_size: number of leaves.
        levels: the hashes of the partial tile of each level, side by side, from the leaf hashes up.
        entries: what the partial bundle holds.
    """

    tree_size: int = 0
    levels: tuple[bytes, ...] = (b"",) * _LEVELS
    entries: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an edge that no tree of this size has.

        Raises:
            ValueError: a level or the bundle holds more or less than such a tree has there.
        """
        if not 0 <= self.tree_size <= MAX_TREE_SIZE:
            raise ValueError(f"no tree has {self.tree_size} leaves")
        expected = [count_nodes(level, self.tree_size) % TILE_WIDTH for level in range(_LEVELS)]
        if [len(hashes) for hashes in self.levels] != [width * HASH_BYTES for width in expected]:
            raise ValueError(f"these are not the partial tiles of a tree of {self.tree_size} leaves")
        if len(self.entries) != expected[0]:
            raise ValueError(f"this is not the partial bundle of a tree of {self.tree_size} leaves")

    @classmethod
    def from_tiles(cls, reader: TileReader, tree_size: int) -> Self:
        """Return the edge of a tree that is stored as tiles.

        Whoever restores compares ``root_hash`` with what was signed for this size.

        Raises:
            RefusedError: no tree has this size.
            ProofError: a tile is not what it should be, or the entries are not those of the leaf hashes.
            MissingTileError: a tile is not there; whatever else the source raises.
        """
        levels, entries = reader.edge_hashes(tree_size), reader.edge_entries(tree_size)
        if b"".join(map(compute_leaf_hash, entries)) != levels[0]:
            index, width = divmod(tree_size, TILE_WIDTH)
            bundle, tile = (Tile(level=level, index=index, width=width).to_path() for level in (None, 0))
            raise ProofError(f"{bundle}: its entries do not have the hashes in {tile}")
        return cls(tree_size=tree_size, levels=levels, entries=entries)

    def root_hash(self) -> bytes:
        """Return the root of the tree."""
        return compute_edge_root(self.levels)

    def extend(self, entries: Sequence[bytes]) -> Growth:
        """Return the edge after these entries, and every file that the larger tree has and this one has not.

        No old leaf is hashed again. Nothing changes here: where the files cannot be written, this edge still
        is the edge of what is stored.

        Raises:
            RefusedError: an entry is too large, or the tree would be.
        """
        self._require_room(entries)
        files: list[TileFile] = []
        levels: list[bytes] = []
        fresh = b"".join(map(compute_leaf_hash, entries))
        for level, partial in enumerate(self.levels):
            first = count_nodes(level, self.tree_size) // TILE_WIDTH
            tiles = _cut(partial + fresh, _TILE_BYTES) if fresh else []
            files += [_to_file(level, first + place, hashes) for place, hashes in enumerate(tiles)]
            full = [hashes for hashes in tiles if len(hashes) == _TILE_BYTES]
            levels.append((tiles[-1] if len(tiles) > len(full) else b"") if fresh else partial)
            fresh = b"".join(map(compute_tile_root, full))
        tree_size = self.tree_size + len(entries)
        pending = (*self.entries, *entries)
        files += self._write_bundles(pending) if entries else []
        edge = TreeEdge(
            tree_size=tree_size,
            levels=tuple(levels),
            entries=pending[len(pending) - tree_size % TILE_WIDTH :],
        )
        return Growth(edge=edge, files=tuple(files))

    def _write_bundles(self, entries: tuple[bytes, ...]) -> list[TileFile]:
        first = self.tree_size // TILE_WIDTH
        files: list[TileFile] = []
        for start in range(0, len(entries), TILE_WIDTH):
            held = entries[start : start + TILE_WIDTH]
            tile = Tile(level=None, index=first + start // TILE_WIDTH, width=len(held))
            files.append((tile.to_path(), encode_bundle(held)))
        return files

    def _require_room(self, entries: Sequence[bytes]) -> None:
        if self.tree_size + len(entries) > MAX_TREE_SIZE:
            raise RefusedError(f"a tree has at most {MAX_TREE_SIZE} leaves")
        largest = max(map(len, entries), default=0)
        if largest > MAX_ENTRY_BYTES:
            raise RefusedError(f"an entry has at most {MAX_ENTRY_BYTES} bytes, got {largest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What an append makes of a tree.

    Attributes:
        edge: the edge of the larger tree.
        files: the tiles and bundles to write before anything of the larger tree is published.
    """

    edge: TreeEdge
    files: tuple[TileFile, ...]


def _to_file(level: int, index: int, hashes: bytes) -> TileFile:
    return Tile(level=level, index=index, width=len(hashes) // HASH_BYTES).to_path(), hashes


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
