"""Connections to a journal's file: one that writes, read-only ones beside it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from vetonet.errors import StorageError
from vetonet.storage.journal import CorruptJournalError
from vetonet.storage.sqlite_schema import read_pragma, require_ours

SYNCHRONOUS_FULL: Final = 2
HEADER_BYTES: Final = 100


def create_file(path: Path) -> None:
    """The file exists and is writable; a new one is empty and private to its owner.

    Raises:
        CorruptJournalError: the file is too short for a database, or gone while its log is still there.
        StorageError: it cannot be made or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(descriptor).st_size
        os.close(descriptor)
        _require_plausible(path, size)
    except OSError as error:
        raise StorageError(f"{path}: expected a writable file, but: {error.strerror}") from error


def open_writer(path: Path, *, busy_timeout_ms: int, max_bytes: int | None) -> sqlite3.Connection:
    """Return the write connection: every commit is on the disk when it returns.

    Checkpoints are off here, because SQLite keeps the errors of its automatic ones to itself.

    Raises:
        StorageError: the file is another application's, of a newer version or without a write-ahead log.
        sqlite3.Error: it is no database or cannot be opened.
    """
    connection = _connect(path, mode="rw", busy_timeout_ms=busy_timeout_ms)
    try:
        require_ours(connection, path)
        _make_commits_durable(connection, path)
        if max_bytes is not None:
            page_bytes = read_pragma(connection, "page_size")
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, busy_timeout_ms: int) -> sqlite3.Connection:
    """Return a connection that cannot write, and so never checkpoints either.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    return _connect(path, mode="ro", busy_timeout_ms=busy_timeout_ms)


def make_names_durable(directory: Path) -> None:
    """The names of the files in the directory survive a crash; SQLite lets a failure of this pass.

    Raises:
        StorageError: the directory cannot be synced.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{directory}: expected to sync the directory, but: {error.strerror}") from error


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of this file."""
    return path.with_name(path.name + "-wal")


def _connect(path: Path, *, mode: str, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open without Python's implicit transactions; the owner sees to it that threads take turns."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _make_commits_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Set the write-ahead log with a sync at each commit and make sure that it took."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    # macOS: a plain fsync leaves the data in the drive's cache.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    if mode != "wal" or read_pragma(connection, "synchronous") != SYNCHRONOUS_FULL:
        raise StorageError(
            f"{path}: expected a file system that can hold a write-ahead log, found mode {mode}"
        )


def _require_plausible(path: Path, size: int) -> None:
    """Refuse what SQLite would silently take for an empty database and write over.

    Raises:
        CorruptJournalError: a log with records has no database, or the file ends within its header.
    """
    log = wal_path(path)
    if size == 0 and log.exists() and log.stat().st_size > 0:
        what = f"{path}: expected the database that {log.name} belongs to, found an empty file"
        raise CorruptJournalError(what)
    # A first write that was cut short leaves a rollback journal, from which SQLite repairs the file.
    if 0 < size < HEADER_BYTES and not path.with_name(path.name + "-journal").exists():
        raise CorruptJournalError(f"{path}: expected an SQLite database, found a file of {size} bytes")
