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

_READ_ONLY: Final = (StorageError, "a writable file, found it read-only")
_LOCKED: Final = (LockedJournalError, "to be the only writer, found a lock of another")

_MEANINGS: Final[dict[int, tuple[type[StorageError], str]]] = {
    sqlite3.SQLITE_NOTADB: (CorruptJournalError, "an SQLite database, found something else"),
    sqlite3.SQLITE_CORRUPT: (CorruptJournalError, "a sound SQLite database, found damage"),
    sqlite3.SQLITE_FULL: (FullJournalError, "room to append, found the disk or quota full"),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: (StorageError, "a file that can be opened, but it cannot"),
    sqlite3.SQLITE_IOERR: (StorageError, "the disk to read and write, found an I/O error"),
}
"""The kind of error, what was expected and what came, by primary result code."""


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code, or ``SQLITE_ERROR`` where Python itself raised the error."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _PRIMARY_CODE


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    """Return the error of our tree that says what SQLite said."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    kind, what = _MEANINGS.get(primary_code(error), (StorageError, f"SQLite to succeed, found: {error}"))
    return kind(f"{path}: expected {what} ({name})")


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
