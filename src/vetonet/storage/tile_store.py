"""The tile store port: the files of a published log, each written once and whole, the checkpoint last.

Tiles are derived: the journal holds the leaves, so a tile that was never written can be written again, with
the same content. A store therefore refuses only one thing, another content under a name that readers may
have cached for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from vetonet.crypto.merkle import HASH_BYTES
from vetonet.errors import EncodingError, StorageError
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.tiles import MAX_BUNDLE_BYTES, MissingTileError, Tile

CHECKPOINT: Final = "checkpoint"
"""The one name whose content changes."""

_ARCHIVED: Final = re.compile(r"checkpoint\.(0|[1-9][0-9]{0,18})")
_SET_ASIDE: Final = re.compile(r"checkpoint\.[^/\x00]+")


class CorruptTileError(StorageError):
    """A file of the log is there with another content than the one it must have for ever.

    Attributes:
        path: which one.
    """

    reason = "tile-corrupt"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: expected the content that is being written, found another")
        self.path: Final = path


class TileStore(Protocol):
    """The files of one log by their paths; one writer, any number of readers."""

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        No more is read than such a file can hold, and one byte: an oversize file is seen to be one.

        Raises:
            EncodingError: no path of a log.
            MissingTileError: there is no such file.
            StorageError: it cannot be read.
        """
        ...

    def has(self, path: str) -> bool:
        """Tell whether there is such a file.

        Raises:
            EncodingError: no path of a log.
            StorageError: nobody can tell.
        """
        ...

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Every one of these tiles, bundles and archived checkpoints is there, durably.

        A file that is there with the same content stays as it is. After an error some may be there and
        some not; the same call can be made again.

        Raises:
            EncodingError: a path is no tile's and no archived checkpoint's; nothing was written.
            ValueError: a content is larger than any with its path; nothing was written.
            CorruptTileError: a file is there with another content.
            StorageError: a file could not be made durable.
        """
        ...

    def write_checkpoint(self, data: bytes) -> None:
        """The checkpoint is this one, durably, or still the one before; never a mixture.

        The caller has written every tile that it covers.

        Raises:
            ValueError: it is larger than any checkpoint.
            StorageError: it could not be made durable.
        """
        ...

    def list_paths(self) -> Iterator[str]:
        """Yield the path of every file, sorted within each folder; also of those that are not the log's.

        Raises:
            StorageError: a folder cannot be read.
        """
        ...

    def prune_partials(self) -> int:
        """No partial tile is left whose full tile is there; return how many went.

        C2SP tlog-tiles allows it: readers fall back to the full tile.

        Raises:
            StorageError: a file cannot be removed.
        """
        ...


def require_path(path: str) -> None:
    """The path may be read: a tile, a bundle, the checkpoint or one that somebody set aside beside it.

    Raises:
        EncodingError: it may not, for it may point anywhere.
    """
    if path != CHECKPOINT and not _SET_ASIDE.fullmatch(path):
        Tile.from_path(path)


def require_immutable_path(path: str) -> None:
    """The path is of a file that never changes: a tile, a bundle or a checkpoint by its size.

    Raises:
        EncodingError: it is not.
    """
    if not _ARCHIVED.fullmatch(path):
        Tile.from_path(path)


def require_fit(path: str, data: bytes) -> None:
    """The content is not larger than the largest file with this path.

    Raises:
        EncodingError: no path of a log.
        ValueError: it is larger.
    """
    limit = compute_limit(path)
    if len(data) > limit:
        raise ValueError(f"{path}: a file of at most {limit} bytes, got {len(data)}")


def compute_limit(path: str) -> int:
    """Return how many bytes the largest file with this path has.

    Raises:
        EncodingError: no path of a log.
    """
    require_path(path)
    if path.startswith(CHECKPOINT):
        return MAX_NOTE_BYTES
    tile = Tile.from_path(path)
    return MAX_BUNDLE_BYTES if tile.is_bundle else tile.width * HASH_BYTES


def find_superseded(paths: Iterable[str], has: Callable[[str], bool]) -> Iterator[str]:
    """Yield the path of each partial tile whose full tile is there."""
    for path in paths:
        try:
            tile = Tile.from_path(path)
            full = tile.to_full().to_path()
        except EncodingError:
            continue  # not a tile, or one that no tree can fill
        if not tile.is_full and has(full):
            yield path


class MemoryTileStore:
    """A tile store that forgets everything with its process: for tests and the simulator."""

    __slots__ = ("_files",)

    def __init__(self) -> None:
        """Start without a file."""
        self._files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        limit = compute_limit(path)
        if path not in self._files:
            raise MissingTileError(path)
        return self._files[path][: limit + 1]

    def has(self, path: str) -> bool:
        """Tell whether there is such a file."""
        require_path(path)
        return path in self._files

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Every one of these files is there."""
        batch = tuple(files)
        for path, data in batch:
            require_immutable_path(path)
            require_fit(path, data)
        for path, data in batch:
            if self._files.setdefault(path, data) != data:
                raise CorruptTileError(path)

    def write_checkpoint(self, data: bytes) -> None:
        """The checkpoint is this one."""
        require_fit(CHECKPOINT, data)
        self._files[CHECKPOINT] = data

    def list_paths(self) -> Iterator[str]:
        """Yield the path of every file."""
        return iter(sorted(self._files))

    def prune_partials(self) -> int:
        """No partial tile is left whose full tile is there; return how many went."""
        superseded = tuple(find_superseded(self._files, self._files.__contains__))
        for path in superseded:
            del self._files[path]
        return len(superseded)
