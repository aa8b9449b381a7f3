"""A journal in one SQLite file: write-ahead log, a sync at each commit, one writer, read-only readers.

What a process crash or a power cut can do is undone by SQLite when the file is opened again. What SQLite
does not see, such as an edit from outside, breaks the digest chain (``chain``). After an error that leaves
it open whether a commit reached the disk, the journal is poisoned: nothing more is appended until it is
opened again and has verified itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from vetonet.errors import StorageError
from vetonet.storage.directory_lock import DirectoryLock
from vetonet.storage.journal import (
    AppendPlan,
    CorruptJournalError,
    PoisonedJournalError,
    Record,
    StoredRecord,
    plan_append,
    require_range,
)
from vetonet.storage.sqlite_connection import create_file, make_names_durable, open_reader, open_writer
from vetonet.storage.sqlite_errors import primary_code, storage_error, translated
from vetonet.storage.sqlite_rows import (
    find_record,
    insert_records,
    read_records,
    scan_records,
)
from vetonet.storage.sqlite_schema import (
    migrate,
    read_pragma,
    require_schema,
    require_sound,
    require_sqlite,
)

JOURNAL_NAME: Final = "journal.sqlite3"
DEFAULT_BUSY_TIMEOUT_MS: Final = 2_000

_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
_COMMIT_BYTES: Final = 5 * 4096
"""What a small commit writes to the log: the table's and the index's pages that it touches."""

_HARMLESS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""Before the commit these leave everything as it was; any other error leaves it open what is wrong."""


class SqliteJournal:
    """A ``Journal`` in a data directory of its own; every method may be called from any thread.

    One connection writes, under a lock; one read-only connection serves the reads, under another, so a
    read never waits for the disk of an append. The directory is locked against other processes.
    """

    __slots__ = (
        "_digest",
        "_is_closed",
        "_log_bytes",
        "_path",
        "_poison",
        "_read_lock",
        "_reader",
        "_resources",
        "_size",
        "_version",
        "_write_lock",
        "_writer",
    )

    def __init__(self, *, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        """Verify the file behind two open connections; use ``open`` instead.

        Raises:
            CorruptJournalError: a record is not what was appended.
            sqlite3.Error: the file cannot be read.
        """
        self._path, self._writer, self._reader = path, writer, reader
        self._resources = ExitStack()
        self._write_lock, self._read_lock = Lock(), Lock()
        self._size, self._digest = scan_records(writer, path)
        self._version = read_pragma(writer, "data_version")
        self._log_bytes = 0
        self._poison: str | None = None
        self._is_closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        busy_timeout_ms: int = DEFAULT_BUSY_TIMEOUT_MS,
        max_bytes: int | None = None,
    ) -> Self:
        """The directory's journal is open, verified from the first record to the last; a new one is empty.

        Args:
            directory: must exist, and is locked until ``close``.
            busy_timeout_ms: how long an append waits for a program that ignores the lock.
            max_bytes: the file's largest size, or None for what the disk holds.

        Raises:
            LockedJournalError: another process has the directory, or holds a lock on the file.
            CorruptJournalError: the file is not a database, is damaged, or a record was changed.
            StorageError: there is no such directory, it or the file is read-only, or the file is of another
                application or of a newer version.
        """
        require_sqlite()
        path = directory / JOURNAL_NAME
        with ExitStack() as stack, translated(path):
            stack.callback(DirectoryLock.acquire(directory).release)
            create_file(path)
            writer = open_writer(path, busy_timeout_ms=busy_timeout_ms, max_bytes=max_bytes)
            stack.callback(writer.close)
            require_sound(writer, path)
            migrate(writer)
            require_schema(writer, path)
            reader = open_reader(path, busy_timeout_ms=busy_timeout_ms)
            stack.callback(reader.close)
            journal = cls(path=path, writer=writer, reader=reader)
            make_names_durable(directory)
            journal._resources = stack.pop_all()
            return journal

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are on the disk, in this order, or none is; see ``Journal.append``.

        Raises:
            RequestConflictError: a request id is already used for a different record.
            PoisonedJournalError: an earlier append left the state unknown.
            LockedJournalError: a program that ignores the lock holds the file.
            FullJournalError: there is no room; nothing of the batch was appended.
            CorruptJournalError: the file was changed from outside.
            StorageError: the batch could not be made durable.
        """
        with self._write_lock:
            self._require_open()
            self._require_known_state()
            if not records:
                return ()
            with self._transaction():
                plan = plan_append(records, size=self._size, find=self._find_stored)
                digest = insert_records(self._writer, plan.fresh, previous=self._digest)
            self._acknowledge(plan, digest)
            return plan.sequences

    def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` acknowledged records from sequence ``start`` on.

        Raises:
            ValueError: ``start`` is negative or ``limit`` is not positive.
            CorruptJournalError: a record is missing or is not what was appended.
            StorageError: the file cannot be read.
        """
        require_range(start, limit)
        with self._read_lock, translated(self._path):
            self._require_open()
            stop = min(start + limit, self._size)
            return read_records(self._reader, self._path, start=start, stop=stop)

    def size(self) -> int:
        """Return the count of acknowledged records.

        Raises:
            StorageError: the journal is closed.
        """
        self._require_open()
        return self._size

    def find_request(self, request_id: str) -> StoredRecord | None:
        """Return the acknowledged record under this request id, or None where the id was never used.

        Raises:
            CorruptJournalError: the record is not what was appended.
            StorageError: the file cannot be read.
        """
        with self._read_lock, translated(self._path):
            self._require_open()
            return find_record(self._reader, self._path, request_id, size=self._size)

    def close(self) -> None:
        """The file is closed and the directory free for the next opener; a second close changes nothing."""
        with self._write_lock, self._read_lock, translated(self._path):
            self._is_closed = True
            self._resources.close()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal."""
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Within, what is written to the file is committed at the end or not at all."""
        with translated(self._path):
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._require_unchanged()
                yield
            except BaseException as error:
                self._roll_back(error)
                raise
        self._commit()

    def _roll_back(self, cause: BaseException) -> None:
        """Undo the open transaction; poison the journal where the cause leaves the state unknown."""
        is_harmless = isinstance(cause, sqlite3.Error) and primary_code(cause) in _HARMLESS
        if isinstance(cause, sqlite3.Error | CorruptJournalError | UnicodeDecodeError) and not is_harmless:
            self._poison = f"an append failed ({cause})"
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._poison = f"an append could not be undone ({error})"

    def _commit(self) -> None:
        """Make the transaction durable; where that fails nobody knows how far it got.

        Raises:
            PoisonedJournalError: it failed.
        """
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(error)
            self._poison = f"a commit failed: {storage_error(self._path, error)}"
            raise self._poisoned() from error

    def _acknowledge(self, plan: AppendPlan, digest: bytes) -> None:
        """Let readers see the committed records, and move them to the database when the log is long."""
        self._size, self._digest = self._size + len(plan.fresh), digest
        written = sum(len(stored.record.payload) for stored in plan.fresh)
        self._log_bytes += written + _COMMIT_BYTES if plan.fresh else 0
        if self._log_bytes >= _CHECKPOINT_BYTES:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Bring the log's pages into the database; a failure costs later appends, not the ones made."""
        self._log_bytes = 0
        try:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            if primary_code(error) not in _HARMLESS:
                self._poison = f"a checkpoint failed: {storage_error(self._path, error)}"

    def _find_stored(self, request_id: str) -> StoredRecord | None:
        return find_record(self._writer, self._path, request_id, size=self._size)

    def _require_unchanged(self) -> None:
        """No other program has written since the journal was opened and verified."""
        if read_pragma(self._writer, "data_version") != self._version:
            raise CorruptJournalError(f"{self._path}: expected to be the only writer, found the file changed")

    def _require_known_state(self) -> None:
        if self._poison is not None:
            raise self._poisoned()

    def _poisoned(self) -> PoisonedJournalError:
        what = f"{self._path}: expected every earlier append to have a known end, but {self._poison}"
        return PoisonedJournalError(f"{what}; restart to reopen and verify the journal")

    def _require_open(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self._path}: expected an open journal, found it closed; open it again")
