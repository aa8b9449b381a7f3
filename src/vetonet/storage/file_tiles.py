"""A tile store in plain files, laid out for any static web server.

A file is written under a temporary name in a folder of its own, made durable, and only then renamed: a kill
at any moment leaves each name absent or whole. What the kill left in that folder is cleared by the next
writer, and readers never look there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from vetonet.errors import StorageError
from vetonet.storage.tile_store import (
    CHECKPOINT,
    CorruptTileError,
    compute_limit,
    find_superseded,
    require_fit,
    require_immutable_path,
    require_path,
)
from vetonet.tlog.tiles import MissingTileError

NEW_FOLDER: Final = ".new"
_FILE_MODE: Final = 0o644
_FOLDER_MODE: Final = 0o755


class FileTileStore:
    """The files of a log below one directory; one writer at a time, which the caller sees to."""

    __slots__ = ("_directory", "_is_clear")

    def __init__(self, directory: Path) -> None:
        """Use a directory that is there; opening alone writes nothing.

        Raises:
            StorageError: there is no such directory, or nobody can tell.
        """
        try:
            is_there = directory.is_dir()
        except OSError as error:
            what = f"{directory}: expected a directory with the tiles of a log, but: {error.strerror}"
            raise StorageError(what) from error
        if not is_there:
            raise StorageError(f"{directory}: expected a directory with the tiles of a log, found none")
        self._directory: Final = directory
        self._is_clear = False

    def read(self, path: str) -> bytes:
        """Return the content of a file; a pipe or device in its place is refused, not waited for."""
        limit = compute_limit(path)
        with _reading(path):
            descriptor = os.open(self._directory / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise StorageError(f"{path}: expected a regular file, found something else")
                return file.read(limit + 1)

    def has(self, path: str) -> bool:
        """Tell whether there is such a file."""
        require_path(path)
        try:
            with _reading(path):
                return stat.S_ISREG((self._directory / path).stat().st_mode)
        except MissingTileError:
            return False

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Every one of these files is there, durably; each folder is made durable once."""
        batch = tuple(files)
        for path, data in batch:
            require_immutable_path(path)
            require_fit(path, data)
        for path, data in batch:
            if not self._holds(path, data):
                self._replace(path, data)
        # An earlier try may have been cut off before its folders were durable, so they are made so again.
        self._sync_folders(path for path, _ in batch)

    def write_checkpoint(self, data: bytes) -> None:
        """The checkpoint is this one, durably, or still the one before."""
        require_fit(CHECKPOINT, data)
        self._replace(CHECKPOINT, data)
        self._sync_folders((CHECKPOINT,))

    def list_paths(self) -> Iterator[str]:
        """Yield the path of every file, links unfollowed, except what was cut off while being written."""
        pending = [""]
        while pending:
            folder = pending.pop()
            with _reading(folder or self._directory.name), os.scandir(self._directory / folder) as found:
                entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
            yield from (folder + name for name, is_folder in entries if not is_folder)
            inner = [f"{folder}{name}/" for name, is_folder in entries if is_folder]
            pending += [name for name in reversed(inner) if name != f"{NEW_FOLDER}/"]

    def prune_partials(self) -> int:
        """No partial tile is left whose full tile is there, nor the folder that it leaves empty."""
        superseded = tuple(find_superseded(self.list_paths(), self.has))
        for path in superseded:
            with _writing(path):
                (self._directory / path).unlink()
        for folder in sorted({(self._directory / path).parent for path in superseded}):
            with _writing(folder.name):
                if not any(folder.iterdir()):
                    folder.rmdir()
        return len(superseded)

    def _holds(self, path: str, data: bytes) -> bool:
        """Whether the file is there with this content.

        Raises:
            CorruptTileError: it is there with another.
        """
        try:
            found = self.read(path)
        except MissingTileError:
            return False
        if found != data:
            raise CorruptTileError(path)
        return True

    def _replace(self, path: str, data: bytes) -> None:
        """The name stands for this content, which is on the disk before the name is."""
        target = self._directory / path
        temporary = self._directory / NEW_FOLDER / path.replace("/", "-")
        with _writing(path):
            self._clear_new()
            target.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            try:
                _write_durably(temporary, data)
                temporary.replace(target)
            except OSError:
                with suppress(OSError):  # it only takes room, and the next writer clears it
                    temporary.unlink()
                raise

    def _clear_new(self) -> None:
        """The folder for files in the making is there and empty, once for each writer."""
        if self._is_clear:
            return
        folder = self._directory / NEW_FOLDER
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        self._is_clear = True

    def _sync_folders(self, paths: Iterable[str]) -> None:
        """Every name on the way to these files is on the disk."""
        folders = {folder for path in paths for folder in Path(path).parents}
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            with _writing(folder.as_posix()):
                descriptor = os.open(self._directory / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Within, an error of the operating system leaves as one of ours, with the path first.

    Raises:
        MissingTileError: there is no such file.
        StorageError: in the place of any other ``OSError``.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, UnicodeEncodeError) as error:
        raise MissingTileError(path) from error
    except OSError as error:
        raise StorageError(f"{path}: expected a readable file, but: {error.strerror}") from error


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """Within, an error of the operating system leaves as one of ours, with the path first.

    Raises:
        StorageError: in the place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: cannot be made durable: {error.strerror}") from error
