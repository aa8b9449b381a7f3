"""Logs as tiles in memory: a log of any size, and a source that counts and lies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from vetonet.tlog.tiles import MissingTileError, Tile
from vetonet.tlog.tree_edge import TreeEdge
from vetonet.tlog.vectors_tiles import make_vector_entry


def vector_entries(start: int, end: int) -> list[bytes]:
    """The entries from one index up to another."""
    return [make_vector_entry(index) for index in range(start, end)]


@cache
def grow(*sizes: int) -> tuple[TreeEdge, dict[str, bytes]]:
    """The edge and every file of a log that grew by these sizes; do not change the files."""
    edge, files = TreeEdge(), dict[str, bytes]()
    for size in sizes:
        growth = edge.extend(vector_entries(edge.tree_size, size))
        edge = growth.edge
        assert not files.keys() & {path for path, _ in growth.files}
        files.update(growth.files)
    return edge, files


class TileSource:
    """Serves files of a log by tile, and remembers what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.asked: list[str] = []

    def __call__(self, tile: Tile) -> bytes:
        path = tile.to_path()
        self.asked.append(path)
        if path not in self.files:
            raise MissingTileError(path)
        return self.files[path]


def iter_flips(data: bytes) -> Iterator[bytes]:
    """Yield every content that differs in one bit."""
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)
