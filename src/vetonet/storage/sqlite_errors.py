"""SQLite's errors in the journal's words: one line with the file, what was expected and what came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vetonet.errors import StorageError
from vetonet.storage.journal import (
    CorruptJournalError,
    FullJournalError,
    LockedJournalError,
)

_PRIMARY_CODE: Final = 0xFF
"""An extended result code keeps its primary code in the low byte (https://sqlite.org/rescode.html)."""


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code, or ``SQLITE_ERROR`` where Python itself raised the error."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _PRIMARY_CODE


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    """Return the error of our tree that says what SQLite said."""
    code, name = (
        primary_code(error),
        getattr(error, "sqlite_errorname", type(error).__name__),
    )
    match code:
        case sqlite3.SQLITE_NOTADB:
            return CorruptJournalError(f"{path}: expected an SQLite database, found something else ({name})")
        case sqlite3.SQLITE_CORRUPT:
            return CorruptJournalError(f"{path}: expected a sound SQLite database, found damage ({name})")
        case sqlite3.SQLITE_FULL:
            return FullJournalError(f"{path}: expected room to append, found the disk or quota full ({name})")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedJournalError(f"{path}: expected the only writer, found a lock of another ({name})")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StorageError(f"{path}: expected a writable file, found it read-only ({name})")
        case sqlite3.SQLITE_CANTOPEN:
            return StorageError(f"{path}: expected a file that can be opened, but it cannot ({name})")
        case sqlite3.SQLITE_IOERR:
            return StorageError(f"{path}: expected the disk to read and write, found an I/O error ({name})")
        case _:
            return StorageError(f"{path}: expected SQLite to succeed, found: {error} ({name})")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Within, an error of SQLite leaves as one of ours.

    Raises:
        StorageError: in the place of any ``sqlite3.Error``, and of the ``UnicodeDecodeError`` that Python
            raises where damage reaches a name in the schema or SQLite's own message.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(path, error) from error
    except UnicodeDecodeError as error:
        raise CorruptJournalError(f"{path}: expected text in UTF-8, found other bytes") from error
