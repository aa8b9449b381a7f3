"""Rows of the journal's table and the records they stand for; no row is believed before its digest is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from vetonet.storage.chain import GENESIS, compute_digest
from vetonet.storage.journal import CorruptJournalError, Record, StoredRecord

Row: TypeAlias = tuple[int, str, str | None, bytes, int, bytes]
"""sequence, kind, request id, payload, time in milliseconds, digest."""

_COLUMNS: Final = "sequence, kind, request_id, payload, recorded_at_ms, digest"
_INSERT: Final = f"INSERT INTO record ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
_RANGE: Final = f"SELECT {_COLUMNS} FROM record WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
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
    rows = []
    for stored in records:
        previous = _digest_of(stored, previous)
        record = stored.record
        columns = (
            record.kind,
            record.request_id,
            record.payload,
            record.recorded_at_ms,
        )
        rows.append((stored.sequence, *columns, previous))
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
    for stored, digest in _verified(connection, path, start=0, stop=2**63 - 1, previous=GENESIS):
        size = stored.sequence + 1
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
    records = tuple(
        stored for stored, _ in _verified(connection, path, start=start, stop=stop, previous=previous)
    )
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
    connection: sqlite3.Connection,
    path: Path,
    *,
    start: int,
    stop: int,
    previous: bytes,
) -> Iterator[tuple[StoredRecord, bytes]]:
    """Yield each record with its digest once the digest holds and the sequence is the next."""
    for sequence, row in enumerate(connection.execute(_RANGE, (start, stop)), start):
        stored = _to_stored(row, path, sequence)
        if stored.sequence != sequence:
            raise _missing(path, sequence)
        previous, claimed = _digest_of(stored, previous), row[5]
        if previous != claimed:
            raise _changed(path, sequence)
        yield stored, previous


def _to_stored(row: tuple[object, ...], path: Path, sequence: int) -> StoredRecord:
    """Return the record of a row that may be anything at all."""
    match row:
        case (
            int() as found,
            str() as kind,
            str() | None as request_id,
            bytes() as payload,
            int() as time_ms,
            _,
        ):
            try:
                record = Record(
                    kind=kind,
                    request_id=request_id,
                    payload=payload,
                    recorded_at_ms=time_ms,
                )
                return StoredRecord(sequence=found, record=record)
            except ValueError as error:
                raise _changed(path, sequence) from error
        case _:
            raise _changed(path, sequence)


def _digest_of(stored: StoredRecord, previous: bytes) -> bytes:
    record = stored.record
    return compute_digest(
        previous,
        sequence=stored.sequence,
        kind=record.kind,
        request_id=record.request_id,
        payload=record.payload,
        recorded_at_ms=record.recorded_at_ms,
    )


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
