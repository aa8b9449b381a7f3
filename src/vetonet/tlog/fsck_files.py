"""Sorts the files of a published log: what a tree of one size consists of, what is older, what is ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.crypto.merkle import HASH_BYTES
from vetonet.errors import EncodingError, Problem
from vetonet.tlog.tiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, Tile, decode_bundle

Read: TypeAlias = Callable[[str], bytes]
"""Gives the content of a file that is there; what it raises goes to the caller."""

CHECKPOINT: Final = "checkpoint"
ARCHIVED: Final = "checkpoint."
TILES: Final = "tile/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPaths:
    """The paths of a folder, by what their names say.

    Attributes:
        checkpoints: further signed checkpoints, beside the newest.
        tiles: tiles and bundles.
        foreign: what is not of the log.
        problems: names below ``tile/`` that are no tile's.
    """

    checkpoints: tuple[str, ...]
    tiles: tuple[Tile, ...]
    foreign: tuple[str, ...]
    problems: tuple[Problem, ...]


def sort_paths(paths: Iterable[str]) -> LogPaths:
    """Return the paths by what their names say; nothing is read."""
    checkpoints, tiles, foreign = list[str](), list[Tile](), list[str]()
    problems: list[Problem] = []
    for path in paths:
        if path.startswith(TILES):
            try:
                tiles.append(Tile.from_path(path))
            except EncodingError:
                detail = f"{spell_path(path)}: expected only tiles here, found a file with another name"
                problems.append(Problem(reason="tile-name", detail=detail))
        elif path.startswith(ARCHIVED) and "/" not in path:
            checkpoints.append(path)
        elif path != CHECKPOINT:
            foreign.append(spell_path(path))
    return LogPaths(
        checkpoints=tuple(checkpoints), tiles=tuple(tiles), foreign=tuple(foreign), problems=tuple(problems)
    )


def spell_path(path: str) -> str:
    """Return a path in printable characters, whatever bytes a stranger's file name has."""
    return path if path.isprintable() else ascii(path)


class Inventory:
    """Which tiles are there, and which of them belong to a tree of one size.

    Attributes:
        tree_size: number of leaves.
        tile_count: how many are there.
        ahead: those that only a larger tree has.
    """

    __slots__ = ("_below", "_widths", "ahead", "tile_count", "tree_size")

    def __init__(self, tree_size: int, tiles: Iterable[Tile]) -> None:
        """Sort the tiles by place."""
        self.tree_size: Final = tree_size
        self._widths: Final[dict[tuple[int | None, int], set[int]]] = {}
        self._below: Final = tuple(set[int]() for _ in range(MAX_LEVEL + 1))
        ahead: set[Tile] = set()
        for tile in tiles:
            self._widths.setdefault((tile.level, tile.index), set()).add(tile.width)
            if tile.min_tree_size > tree_size:
                ahead.add(tile)
            else:
                self._add_below(tile)
        self.tile_count: Final = sum(map(len, self._widths.values()))
        self.ahead: Final = tuple(sorted(ahead, key=Tile.to_path))

    def find(self, tile: Tile) -> Tile | None:
        """Return the tile if it is there, else the full one in its place, else None."""
        widths = self._widths.get((tile.level, tile.index), ())
        if tile.width in widths:
            return tile
        return tile.to_full() if TILE_WIDTH in widths else None

    def list_others(self, tile: Tile) -> Iterator[Tile]:
        """Yield the tiles in the same place in other widths."""
        for width in sorted(self._widths.get((tile.level, tile.index), ())):
            if width != tile.width:
                yield Tile(level=tile.level, index=tile.index, width=width)

    def has_below(self, level: int, index: int) -> bool:
        """Whether a tile or bundle of the tree is there in this place or anywhere below it."""
        return index in self._below[level]

    def _add_below(self, tile: Tile) -> None:
        index = tile.index
        for level in range(tile.level or 0, MAX_LEVEL + 1):
            if index in self._below[level]:
                return  # and so in all above
            self._below[level].add(index)
            index >>= TILE_HEIGHT


class Files:
    """Reads the tiles of an inventory and keeps what is wrong with them, in the order it was found."""

    __slots__ = ("_inventory", "_read", "problems")

    def __init__(self, inventory: Inventory, read: Read) -> None:
        """Read through ``read``."""
        self._inventory: Final = inventory
        self._read: Final = read
        self.problems: Final[list[Problem]] = []

    def note(self, reason: str, tile: Tile, what: str) -> None:
        """Keep one problem of a file."""
        self.problems.append(Problem(reason=reason, detail=f"{tile.to_path()}: {what}"))

    def note_absent(self, level: int, indices: Sequence[int]) -> None:
        """Keep that full tiles side by side are missing, with everything below them."""
        if not indices:
            return
        for kind in (0, None) if level == 0 else (level,):
            first, last = (Tile(level=kind, index=indices[place]) for place in (0, -1))
            span = f", and all after it up to {last.to_path()}" if last != first else ""
            below = "; nor is anything below" if level else ""
            self.note("tile-missing", first, f"expected a file, found none{span}{below}")

    def read_hashes(self, tile: Tile) -> bytes | None:
        """Return the hashes of a tile, or None, noted, where it is missing or of another length."""
        found = self._find(tile)
        if found is None:
            return None
        data, expected = self._read(found.to_path()), found.width * HASH_BYTES
        if len(data) != expected:
            self.note("tile-malformed", found, f"expected {expected} bytes of hashes, found {len(data)}")
            return None
        return data[: tile.width * HASH_BYTES]

    def read_entries(self, bundle: Tile) -> tuple[bytes, ...] | None:
        """Return the entries of a bundle, or None, noted, where it is missing or malformed."""
        found = self._find(bundle)
        if found is None:
            return None
        try:
            return decode_bundle(self._read(found.to_path()), found.width)[: bundle.width]
        except EncodingError as error:
            self.note("tile-malformed", found, str(error))
            return None

    def _find(self, tile: Tile) -> Tile | None:
        found = self._inventory.find(tile)
        if found is None:
            self.note("tile-missing", tile, "expected a file, found none")
        return found
