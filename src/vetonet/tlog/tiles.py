"""Tiles: the files that a log consists of, their names and what each holds (C2SP tlog-tiles).

A tile holds up to 256 hashes of one level of the tree, side by side; the hashes of level ``l`` are the roots
of 256**l leaves each. An entry bundle holds the leaves themselves, and goes by the same numbers as the tile
of their hashes. A full tile never changes; while a tile fills up, each width is a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from vetonet.crypto.merkle import MAX_TREE_SIZE
from vetonet.errors import EncodingError, StorageError

TILE_WIDTH: Final = 256
"""How many hashes or entries a full tile holds."""

TILE_HEIGHT: Final = 8
"""How many levels of the tree lie between two levels of tiles."""

MAX_LEVEL: Final = 7
"""The highest level at which a tree of at most ``MAX_TREE_SIZE`` leaves has a complete node."""

MAX_ENTRY_BYTES: Final = 2**16 - 1
"""What the two bytes before an entry can count."""

MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
MAX_PATH_CHARS: Final = 64

_LENGTH_BYTES: Final = 2
_GROUP: Final = 1000
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-7])/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class MissingTileError(StorageError):
    """There is no such file in the log.

    Attributes:
        path: which one.
    """

    reason = "tile-missing"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: expected a file of the log, found none")
        self.path: Final = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Which tile or bundle: its level, its place there, and how much of it is filled.

    Attributes:
        level: 0 for leaf hashes, l for roots of 256**l leaves; None for a bundle of entries.
        index: place on its level, from 0.
        width: how many hashes or entries it holds.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Refuse a tile that no tree has.

        Raises:
            EncodingError: a level, place or width that no tree has.
        """
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise EncodingError(f"expected a tile of level 0 to {MAX_LEVEL}, got {self.level}")
        if not 1 <= self.width <= TILE_WIDTH:
            raise EncodingError(f"expected a tile of width 1 to {TILE_WIDTH}, got {self.width}")
        if self.index < 0 or self.min_tree_size > MAX_TREE_SIZE:
            raise EncodingError(f"expected a tile within {MAX_TREE_SIZE} leaves, got index {self.index}")

    @property
    def is_full(self) -> bool:
        """Whether it can never change again."""
        return self.width == TILE_WIDTH

    @property
    def is_bundle(self) -> bool:
        """Whether it holds entries and not hashes."""
        return self.level is None

    @property
    def min_tree_size(self) -> int:
        """The size of the smallest tree that has this tile."""
        return (self.index * TILE_WIDTH + self.width) << (TILE_HEIGHT * (self.level or 0))

    def to_full(self) -> Tile:
        """Return the full tile at this place."""
        return Tile(level=self.level, index=self.index)

    def to_path(self) -> str:
        """Return the one name of the file that holds this tile, below the folder or address of the log."""
        level = "entries" if self.level is None else str(self.level)
        index, groups = self.index, [f"{self.index % _GROUP:03}"]
        while index >= _GROUP:
            index //= _GROUP
            groups.append(f"x{index % _GROUP:03}")
        width = "" if self.is_full else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(reversed(groups))}{width}"

    @classmethod
    def from_path(cls, path: str) -> Self:
        """Return the tile that an untrusted name means.

        Raises:
            EncodingError: no name of a tile, or not spelled in the one accepted way.
        """
        match = _PATH.fullmatch(path) if len(path) <= MAX_PATH_CHARS else None
        if match is None:
            raise EncodingError(f"expected the path of a tile, got {path[:MAX_PATH_CHARS]!r}")
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        tile = cls(level=level, index=index, width=int(match["width"] or TILE_WIDTH))
        if tile.to_path() != path:
            raise EncodingError(f"expected the path of a tile in its one spelling, got {path!r}")
        return tile


def count_nodes(level: int, tree_size: int) -> int:
    """Return how many hashes a tree of this size has on a level of tiles."""
    return tree_size >> (TILE_HEIGHT * level)


def list_tiles(tree_size: int) -> Iterator[Tile]:
    """Yield every tile and bundle of which a tree of this size consists, in constant memory.

    Raises:
        ValueError: no tree has this size.
    """
    return list_new_tiles(0, tree_size)


def list_new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """Yield every tile and bundle that the larger tree has and the smaller has not, in constant memory.

    They come level by level from the leaf hashes up, the bundles last, each in the order of its index.

    Raises:
        ValueError: no tree grows from the one size to the other.
    """
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise ValueError(f"no tree grows from {old_size} to {new_size} leaves")
    return _iter_new_tiles(old_size, new_size)


def compute_width(level: int | None, index: int, tree_size: int) -> int:
    """Return how much of a tile a tree of this size fills; 0 or less where it has no such tile."""
    return min(TILE_WIDTH, count_nodes(level or 0, tree_size) - index * TILE_WIDTH)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 entries, each after its length in two bytes.

    Raises:
        ValueError: too few, too many, or one that is too large.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise ValueError(f"a bundle holds 1 to {TILE_WIDTH} entries, got {len(entries)}")
    if max(map(len, entries)) > MAX_ENTRY_BYTES:
        raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join([len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries])


def decode_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the entries of an untrusted bundle, which holds exactly so many.

    Raises:
        EncodingError: fewer entries, an entry cut short, or bytes after the last.
    """
    entries: list[bytes] = []
    end = 0
    try:
        for _ in range(width):
            start = end + _LENGTH_BYTES
            end = start + (data[end] << 8 | data[end + 1])
            entries.append(data[start:end])
    except IndexError as error:
        raise EncodingError(f"expected {width} entries, got a bundle that is cut short") from error
    if end > len(data):
        raise EncodingError(f"expected {width} entries, got the last one cut short")
    if end < len(data):
        raise EncodingError(f"expected {width} entries in {end} bytes, got {len(data) - end} bytes more")
    return tuple(entries)


def _iter_new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    for level in range(MAX_LEVEL + 1):
        yield from _iter_level(level, count_nodes(level, old_size), count_nodes(level, new_size))
    yield from _iter_level(None, old_size, new_size)


def _iter_level(level: int | None, old: int, new: int) -> Iterator[Tile]:
    """Yield the tiles of one level that change while it grows; the first is the one that was not full."""
    start = old - old % TILE_WIDTH if old < new else new
    for first in range(start, new, TILE_WIDTH):
        yield Tile(level=level, index=first // TILE_WIDTH, width=min(TILE_WIDTH, new - first))
