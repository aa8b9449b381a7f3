"""Rows of the journal's table and the records they stand for; no row is believed before its digest is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from vetonet.storage.chain import GENESIS, compute_digest
from vetonet.storage.journal import CorruptJournalError, Record, StoredRecord

Row: TypeAlias = tuple[int, str, str | None, bytes, int, bytes]
"""sequence, kind, request id, payload, time in milliseconds, digest: the order of the table's columns."""

MAX_SEQUENCE: Final = 2**63 - 1

_INSERT: Final = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)"
_RANGE: Final = "SELECT * FROM record WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
_OUTSIDE: Final = "SELECT sequence FROM record WHERE sequence < 0 LIMIT 1"
_BY_REQUEST: Final = "SELECT sequence FROM record WHERE request_id = ? AND sequence < ?"
_DIGEST: Final = "SELECT digest FROM record WHERE sequence = ?"


def insert_records(
    connection: sqlite3.Connection, records: Sequence[StoredRecord], *, previous: bytes
) -> bytes:
    """The records are in the open transaction; return the digest of the last.

    Args:
        connection: the write connection.
        records: in the order of their sequences.
        previous: the digest that the first of them follows.

    Raises:
        sqlite3.Error: they could not be written.
    """
    rows: list[Row] = []
    for stored in records:
        previous = _compute_digest(_to_row(stored, b""), previous)
        rows.append(_to_row(stored, previous))
    connection.executemany(_INSERT, rows)
    return previous


def scan_records(connection: sqlite3.Connection, path: Path) -> tuple[int, bytes]:
    """Return the count of records and the digest of the last; every one was read and holds.

    Raises:
        CorruptJournalError: a record is missing or is not what was appended.
        sqlite3.Error: the file cannot be read.
    """
    if connection.execute(_OUTSIDE).fetchone() is not None:
        raise CorruptJournalError(f"{path}: expected the records to start at 0, found one before it")
    size, digest = 0, GENESIS
    for row in _verified(connection, path, start=0, stop=MAX_SEQUENCE, previous=GENESIS):
        size, digest = row[0] + 1, row[5]
    return size, digest


def read_records(
    connection: sqlite3.Connection, path: Path, *, start: int, stop: int
) -> tuple[StoredRecord, ...]:
    """Return the records from ``start`` to before ``stop``, all of which were acknowledged.

    Raises:
        CorruptJournalError: one is missing or is not what was appended.
        sqlite3.Error: the file cannot be read.
    """
    if start >= stop:
        return ()
    previous = _read_digest(connection, path, start - 1)
    rows = _verified(connection, path, start=start, stop=stop, previous=previous)
    records = tuple(_to_stored(row, path) for row in rows)
    if len(records) != stop - start:
        raise _missing(path, start + len(records))
    return records


def find_record(
    connection: sqlite3.Connection, path: Path, request_id: str, *, size: int
) -> StoredRecord | None:
    """Return the acknowledged record with this request id, or None where the id was never used.

    Raises:
        CorruptJournalError: the record is not what was appended.
        sqlite3.Error: the file cannot be read.
    """
    row = connection.execute(_BY_REQUEST, (request_id, size)).fetchone()
    if row is None:
        return None
    (found,) = read_records(connection, path, start=row[0], stop=row[0] + 1)
    if found.record.request_id != request_id:
        raise CorruptJournalError(
            f"{path}: expected record {found.sequence} under its own request id, found it under another",
            sequence=found.sequence,
        )
    return found


def _verified(
    connection: sqlite3.Connection, path: Path, *, start: int, stop: int, previous: bytes
) -> Iterator[Row]:
    """Yield each row once its sequence is the next and its digest follows from it and the one before."""
    for sequence, row in enumerate(connection.execute(_RANGE, (start, stop)), start):
        match row:
            case int() as found, str(), str() | None, bytes(), int(), bytes() as claimed:
                if found != sequence:
                    raise _missing(path, sequence)
                previous = _compute_digest(row, previous)
            case _:
                raise _changed(path, sequence)
        if previous != claimed:
            raise _changed(path, sequence)
        yield row


def _compute_digest(row: Row, previous: bytes) -> bytes:
    """Return the digest that the row's columns should have; the one it claims is left out."""
    sequence, kind, request_id, payload, recorded_at_ms, _ = row
    return compute_digest(
        previous,
        sequence=sequence,
        kind=kind,
        request_id=request_id,
        payload=payload,
        recorded_at_ms=recorded_at_ms,
    )


def _to_row(stored: StoredRecord, digest: bytes) -> Row:
    record = stored.record
    return stored.sequence, record.kind, record.request_id, record.payload, record.recorded_at_ms, digest


def _to_stored(row: Row, path: Path) -> StoredRecord:
    """Return the record of a row whose digest holds.

    Raises:
        CorruptJournalError: somebody wrote, with a digest that fits, what no journal would have taken.
    """
    sequence, kind, request_id, payload, recorded_at_ms, _ = row
    try:
        record = Record(kind=kind, request_id=request_id, payload=payload, recorded_at_ms=recorded_at_ms)
        return StoredRecord(sequence=sequence, record=record)
    except ValueError as error:
        raise _changed(path, sequence) from error


def _read_digest(connection: sqlite3.Connection, path: Path, sequence: int) -> bytes:
    """Return the digest stored with a record; before the first it is ``GENESIS``."""
    if sequence < 0:
        return GENESIS
    row = connection.execute(_DIGEST, (sequence,)).fetchone()
    if row is None:
        raise _missing(path, sequence)
    return bytes(row[0])


def _missing(path: Path, sequence: int) -> CorruptJournalError:
    return CorruptJournalError(f"{path}: expected record {sequence}, found a gap there", sequence=sequence)


def _changed(path: Path, sequence: int) -> CorruptJournalError:
    what = f"{path}: expected record {sequence} as it was appended, found it changed (digest chain)"
    return CorruptJournalError(what, sequence=sequence)
