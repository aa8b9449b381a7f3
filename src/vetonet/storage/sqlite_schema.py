"""The journal's tables in SQLite: what they are, how an older file becomes a newer one, what is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from vetonet.errors import StorageError
from vetonet.storage.journal import CorruptJournalError

APPLICATION_ID: Final = 0x76746E6A
"""``vtnj`` in ASCII: the mark in the file's header by which a vetonet journal is known."""

MIN_SQLITE: Final = (3, 37, 0)
"""STRICT tables came with this version."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE record (
            sequence INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            request_id TEXT UNIQUE,
            payload BLOB NOT NULL,
            recorded_at_ms INTEGER NOT NULL,
            digest BLOB NOT NULL CHECK (length(digest) = 32)
        ) STRICT
        """,
        """
        CREATE TRIGGER record_is_never_updated BEFORE UPDATE ON record
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
        """,
        """
        CREATE TRIGGER record_is_never_deleted BEFORE DELETE ON record
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
        """,
        # INSERT OR REPLACE removes rows without asking a DELETE trigger, so the insert is guarded as well.
        """
        CREATE TRIGGER record_is_never_replaced BEFORE INSERT ON record
        WHEN NEW.sequence <> coalesce((SELECT max(sequence) + 1 FROM record), 0)
            OR EXISTS (SELECT 1 FROM record WHERE request_id = NEW.request_id)
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only and has no gaps'); END
        """,
    ),
)
"""Step n brings a file from version n to n + 1; a published step never changes."""

VERSION: Final = len(MIGRATIONS)


def require_sqlite() -> None:
    """The SQLite library is new enough.

    Raises:
        StorageError: it is not.
    """
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        wanted = ".".join(map(str, MIN_SQLITE))
        raise StorageError(
            f"expected SQLite {wanted} or newer in this Python, found {sqlite3.sqlite_version}"
        )


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """The file is a journal of a version that this program knows, or still empty; nothing was written.

    Raises:
        StorageError: it is another application's database, or of a newer version.
        sqlite3.Error: it cannot be read.
    """
    application_id, version = (
        read_pragma(connection, "application_id"),
        read_pragma(connection, "user_version"),
    )
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    if is_empty and (application_id, version) == (0, 0):
        return
    if application_id != APPLICATION_ID:
        found = f"found application id {_hex(application_id)}"
        raise StorageError(f"{path}: expected a vetonet journal ({_hex(APPLICATION_ID)}), {found}")
    if not 1 <= version <= VERSION:
        raise StorageError(
            f"{path}: expected journal version 1 to {VERSION}, found {version}; use the vetonet that wrote it"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """The tables are of the newest version; a kill at any moment leaves the old one or the new one.

    Raises:
        sqlite3.Error: they could not be made; nothing was changed.
    """
    version = read_pragma(connection, "user_version")
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def require_schema(connection: sqlite3.Connection, path: Path) -> None:
    """The tables and triggers are exactly ours, so no guard was taken away.

    Raises:
        CorruptJournalError: something was added, removed or changed.
        sqlite3.Error: the schema cannot be read.
    """
    found, expected = _read_schema(connection), _expected_schema()
    names = sorted({name for name, _ in found ^ expected})
    if names:
        raise CorruptJournalError(f"{path}: expected the journal's own tables, found a change of {names[0]}")


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Every page is well formed and the index of request ids agrees with the records.

    ``integrity_check`` and not ``quick_check``: the quick one leaves out the index, and a request id
    missing there would be stored a second time.

    Raises:
        CorruptJournalError: SQLite found damage.
        sqlite3.Error: the file cannot be read.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        first_line = str(verdict).splitlines()[0].strip("* ")
        raise CorruptJournalError(f"{path}: expected a sound SQLite database, found damage: {first_line}")


def read_pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return the number that a pragma answers with.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _read_schema(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return name and definition of everything in the schema but SQLite's own indexes."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return frozenset((str(name), str(sql)) for name, sql in rows)


@cache
def _expected_schema() -> frozenset[tuple[str, str]]:
    """Return the schema that the migrations make of an empty database."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        return _read_schema(connection)


def _hex(number: int) -> str:
    return f"0x{number & 0xFFFFFFFF:08x}"
