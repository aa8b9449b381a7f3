"""What only a journal on a disk can meet: other files, other programs, damage, no room."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vetonet.errors import StorageError
from vetonet.storage import (
    CorruptJournalError,
    FullJournalError,
    LockedJournalError,
    PoisonedJournalError,
    Record,
    SqliteJournal,
    StoredRecord,
)
from vetonet.storage.sqlite import JOURNAL_NAME


def make_records(count: int, *, start: int = 0, size: int = 200) -> list[Record]:
    """Return records that all differ."""
    return [
        Record(
            kind="ballot",
            request_id=f"request-{number}",
            payload=random.Random(number).randbytes(size),
            recorded_at_ms=number,
        )
        for number in range(start, start + count)
    ]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory whose closed journal holds 20 records."""
    with SqliteJournal.open(tmp_path) as journal:
        journal.append(make_records(20))
    return tmp_path


@pytest.fixture
def outside(directory: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who edits the closed file by hand."""
    with closing(sqlite3.connect(directory / JOURNAL_NAME, isolation_level=None)) as connection:
        yield connection


def drop_guards(outside: sqlite3.Connection) -> list[str]:
    """Take the triggers away; return what puts them back."""
    triggers = outside.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        outside.execute(f"DROP TRIGGER {name}")
    return [sql for _, sql in triggers]


def edit(outside: sqlite3.Connection, statement: str) -> None:
    """Edit the records behind the guards and leave the schema as it was."""
    definitions = drop_guards(outside)
    outside.execute(statement)
    for definition in definitions:
        outside.execute(definition)


def read_all(directory: Path) -> tuple[StoredRecord, ...]:
    """Open, read everything and close."""
    with SqliteJournal.open(directory) as journal:
        return journal.read(0, 1_000)


def test_what_was_appended_is_there_after_reopening(directory: Path) -> None:
    stored = read_all(directory)
    assert [entry.record for entry in stored] == make_records(20)
    with SqliteJournal.open(directory) as journal:
        assert journal.append(make_records(1, start=20)) == (20,)
        assert journal.append(make_records(1, start=3)) == (3,)


def test_a_commit_waits_for_the_disk(directory: Path) -> None:
    with SqliteJournal.open(directory) as journal:
        writer = journal._writer
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_directory_with_odd_characters_is_opened(tmp_path: Path) -> None:
    odd = tmp_path / "a b?mode=memory#c%41"
    odd.mkdir()
    with SqliteJournal.open(odd) as journal:
        journal.append(make_records(1))
    assert (odd / JOURNAL_NAME).is_file()


def test_the_file_is_private_to_its_owner(directory: Path) -> None:
    assert stat.S_IMODE((directory / JOURNAL_NAME).stat().st_mode) == 0o600


def test_a_long_log_is_brought_into_the_database(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path) as journal:
        for number in range(12):
            journal.append(make_records(1, start=number, size=1_000_000))
        assert (tmp_path / JOURNAL_NAME).stat().st_size > 8_000_000
        assert journal.size() == 12
    assert len(read_all(tmp_path)) == 12


# Other openers and other files


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere: expected a data directory, found none"):
        SqliteJournal.open(tmp_path / "nowhere")


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    with pytest.raises(StorageError, match=r"plain: expected a data directory"):
        SqliteJournal.open(tmp_path / "plain")


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).mkdir()
    with pytest.raises(StorageError, match=r"journal\.sqlite3: expected a writable file"):
        SqliteJournal.open(tmp_path)


def test_a_second_opener_is_told_which_directory_is_taken(directory: Path) -> None:
    with SqliteJournal.open(directory), pytest.raises(LockedJournalError) as caught:
        SqliteJournal.open(directory)
    assert str(directory) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_closed_journal_leaves_its_directory_free(directory: Path) -> None:
    for _ in range(3):
        SqliteJournal.open(directory).close()


def test_a_refused_open_leaves_the_directory_free(directory: Path) -> None:
    good = (directory / JOURNAL_NAME).read_bytes()
    (directory / JOURNAL_NAME).write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError):
        SqliteJournal.open(directory)
    (directory / JOURNAL_NAME).write_bytes(good)
    assert len(read_all(directory)) == 20


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"minutes of the meeting\n" * 500)
    with pytest.raises(CorruptJournalError, match="expected an SQLite database, found something else"):
        SqliteJournal.open(tmp_path)


def test_a_database_of_another_application_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE holiday (day TEXT)")
    before = path.read_bytes()
    with pytest.raises(
        StorageError, match=r"vetonet journal \(0x76746e6a\), found application id 0x00000000"
    ):
        SqliteJournal.open(tmp_path)
    assert path.read_bytes() == before


def test_a_wrong_application_id_is_refused(directory: Path, outside: sqlite3.Connection) -> None:
    outside.execute("PRAGMA application_id = 252006675")
    with pytest.raises(StorageError, match="found application id 0x0f055113"):
        SqliteJournal.open(directory)


@pytest.mark.parametrize("version", [0, 2, 99, -1])
def test_a_version_that_this_program_does_not_know_is_refused(
    directory: Path, outside: sqlite3.Connection, version: int
) -> None:
    outside.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StorageError, match=rf"expected journal version 1 to 1, found {version};"):
        SqliteJournal.open(directory)


def test_a_lock_of_another_program_is_named_and_later_appends_go_on(
    directory: Path, outside: sqlite3.Connection
) -> None:
    with SqliteJournal.open(directory, busy_timeout_ms=10) as journal:
        outside.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedJournalError, match="found a lock of another"):
            journal.append(make_records(1, start=20))
        outside.execute("ROLLBACK")
        assert journal.append(make_records(1, start=20)) == (20,)


def test_an_exclusive_lock_of_another_program_refuses_the_open(
    directory: Path, outside: sqlite3.Connection
) -> None:
    outside.execute("PRAGMA locking_mode = EXCLUSIVE")
    outside.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LockedJournalError, match="found a lock of another"):
        SqliteJournal.open(directory, busy_timeout_ms=10)


def test_a_write_of_another_program_poisons_the_journal(directory: Path, outside: sqlite3.Connection) -> None:
    with SqliteJournal.open(directory) as journal:
        outside.execute("INSERT INTO record VALUES (20, 'veto', NULL, x'00', 0, zeroblob(32))")
        with pytest.raises(CorruptJournalError, match="expected to be the only writer"):
            journal.append(make_records(1, start=20))
        with pytest.raises(PoisonedJournalError):
            journal.append(make_records(1, start=21))
        assert len(journal.read(0, 100)) == 20
    with pytest.raises(CorruptJournalError) as caught:
        SqliteJournal.open(directory)
    assert caught.value.sequence == 20


# Edits and damage


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET payload = x'00' WHERE sequence = 3",
        "DELETE FROM record WHERE sequence = 19",
        "INSERT OR REPLACE INTO record VALUES (3, 'veto', NULL, x'00', 0, zeroblob(32))",
        "INSERT OR REPLACE INTO record VALUES (20, 'veto', 'request-3', x'00', 0, zeroblob(32))",
        "INSERT INTO record VALUES (22, 'veto', NULL, x'00', 0, zeroblob(32))",
        "INSERT INTO record (kind, payload, recorded_at_ms, digest) VALUES ('veto', x'00', 0, zeroblob(32))",
    ],
    ids=["update", "delete", "replace by sequence", "replace by request", "gap", "no sequence"],
)
def test_the_file_itself_refuses_to_change_history(
    directory: Path, outside: sqlite3.Connection, statement: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        outside.execute(statement)
    assert len(read_all(directory)) == 20


def test_a_value_of_the_wrong_type_is_refused_by_the_file(outside: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in BLOB"):
        outside.execute("INSERT INTO record VALUES (20, 'veto', NULL, 'text', 0, zeroblob(32))")


@pytest.mark.parametrize(
    ("statement", "sequence"),
    [
        ("UPDATE record SET payload = x'00' WHERE sequence = 7", 7),
        ("UPDATE record SET kind = 'veto' WHERE sequence = 0", 0),
        ("UPDATE record SET kind = '' WHERE sequence = 4", 4),
        ("UPDATE record SET request_id = 'other' WHERE sequence = 19", 19),
        ("UPDATE record SET request_id = NULL WHERE sequence = 5", 5),
        ("UPDATE record SET recorded_at_ms = recorded_at_ms + 1 WHERE sequence = 6", 6),
        ("UPDATE record SET recorded_at_ms = -1 WHERE sequence = 6", 6),
        ("UPDATE record SET digest = zeroblob(32) WHERE sequence = 8", 8),
        ("DELETE FROM record WHERE sequence = 9", 9),
        ("DELETE FROM record WHERE sequence = 0", 0),
        ("UPDATE record SET sequence = -1 WHERE sequence = 19", None),
        ("UPDATE record SET sequence = 25 WHERE sequence = 19", 19),
    ],
)
def test_an_edit_from_outside_is_found_with_its_sequence(
    directory: Path, outside: sqlite3.Connection, statement: str, sequence: int | None
) -> None:
    edit(outside, statement)
    with pytest.raises(CorruptJournalError) as caught:
        SqliteJournal.open(directory)
    assert caught.value.sequence == sequence
    assert "\n" not in str(caught.value)


def test_two_swapped_records_are_found(directory: Path, outside: sqlite3.Connection) -> None:
    definitions = drop_guards(outside)
    for old, new in [(3, 100), (4, 3), (100, 4)]:
        outside.execute("UPDATE record SET sequence = ? WHERE sequence = ?", (new, old))
    for definition in definitions:
        outside.execute(definition)
    with pytest.raises(CorruptJournalError) as caught:
        SqliteJournal.open(directory)
    assert caught.value.sequence == 3


def test_a_removed_guard_is_found(directory: Path, outside: sqlite3.Connection) -> None:
    outside.execute("DROP TRIGGER record_is_never_deleted")
    with pytest.raises(CorruptJournalError, match="found a change of record_is_never_deleted"):
        SqliteJournal.open(directory)


def test_an_added_table_is_found(directory: Path, outside: sqlite3.Connection) -> None:
    outside.execute("CREATE TABLE note (text TEXT)")
    with pytest.raises(CorruptJournalError, match="found a change of note"):
        SqliteJournal.open(directory)


def test_an_index_that_misses_a_request_is_found(directory: Path, outside: sqlite3.Connection) -> None:
    path = directory / JOURNAL_NAME
    data = path.read_bytes()
    index_page = outside.execute("SELECT rootpage FROM sqlite_schema WHERE type = 'index'").fetchone()[0]
    outside.close()
    start = (index_page - 1) * 4096
    page = data[start : start + 4096].replace(b"request-7", b"request-x")
    path.write_bytes(data[:start] + page + data[start + 4096 :])
    with pytest.raises(CorruptJournalError, match="found damage"):
        SqliteJournal.open(directory)


def test_a_record_changed_while_the_journal_is_open_is_not_handed_out(
    directory: Path, outside: sqlite3.Connection
) -> None:
    with SqliteJournal.open(directory) as journal:
        edit(outside, "UPDATE record SET payload = x'00' WHERE sequence = 7")
        for read in (lambda: journal.read(5, 5), lambda: journal.find_request("request-7")):
            with pytest.raises(CorruptJournalError) as caught:
                read()
            assert caught.value.sequence == 7
        assert len(journal.read(0, 7)) == 7


def test_a_record_removed_while_the_journal_is_open_is_missed(
    directory: Path, outside: sqlite3.Connection
) -> None:
    with SqliteJournal.open(directory) as journal:
        edit(outside, "DELETE FROM record WHERE sequence >= 15")
        for start, expected in [(10, 15), (17, 16)]:
            with pytest.raises(CorruptJournalError) as caught:
                journal.read(start, 10)
            assert caught.value.sequence == expected


def test_one_changed_byte_anywhere_is_refused_or_changes_nothing(directory: Path, tmp_path: Path) -> None:
    data = (directory / JOURNAL_NAME).read_bytes()
    expected = read_all(directory)
    offsets = [*range(100), *random.Random(1).sample(range(100, len(data)), 300)]
    copy = tmp_path / "copy"
    copy.mkdir()
    refused = 0
    for offset in offsets:
        (copy / JOURNAL_NAME).write_bytes(data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :])
        try:
            assert read_all(copy) == expected, offset
        except StorageError:
            refused += 1
        for left in copy.glob(f"{JOURNAL_NAME}-*"):
            left.unlink()
    assert refused > len(offsets) // 4


def test_damage_to_the_log_costs_its_newest_records_at_most(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with SqliteJournal.open(directory) as journal:
        for record in make_records(10, start=20):
            journal.append([record])
        expected = journal.read(0, 100)
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("copy", "*-shm"))
    files = {path.name: path.read_bytes() for path in copy.iterdir()}
    log = files[f"{JOURNAL_NAME}-wal"]
    for offset in random.Random(2).sample(range(len(log)), 60):
        for name, data in files.items():
            (copy / name).write_bytes(data)
        torn = log[:offset] + bytes([log[offset] ^ 0x01]) + log[offset + 1 :]
        (copy / f"{JOURNAL_NAME}-wal").write_bytes(torn)
        stored = read_all(copy)
        assert stored == expected[: len(stored)]
        assert len(stored) >= 20


@pytest.mark.parametrize("length", [1, 99, 100, 4095, 4096, 5000, 8192])
def test_a_truncated_file_is_refused(directory: Path, length: int) -> None:
    path = directory / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptJournalError):
        SqliteJournal.open(directory)


def test_a_log_without_its_database_is_refused(directory: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    with SqliteJournal.open(directory) as journal:
        journal.append(make_records(1, start=20))
        shutil.copy(directory / f"{JOURNAL_NAME}-wal", torn)
    with pytest.raises(CorruptJournalError, match="found an empty file"):
        SqliteJournal.open(torn)


# No room


def test_a_full_journal_refuses_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[int] = []

    def fill(journal: SqliteJournal) -> None:
        for number in range(100):
            acknowledged.extend(journal.append(make_records(1, start=number, size=3_000)))

    with SqliteJournal.open(tmp_path, max_bytes=100_000) as journal:
        with pytest.raises(FullJournalError, match="expected room to append"):
            fill(journal)
        assert journal.size() == len(acknowledged) > 5
        assert [stored.sequence for stored in journal.read(0, 100)] == acknowledged
    assert len(read_all(tmp_path)) == len(acknowledged)


def test_appends_that_fit_go_on_after_a_full_journal(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path, max_bytes=100_000) as journal:
        journal.append(make_records(3))
        with pytest.raises(FullJournalError):
            journal.append(make_records(40, start=3, size=10_000))
        assert journal.append(make_records(1, start=3)) == (3,)
    assert len(read_all(tmp_path)) == 4


# Commits that fail


class FailingConnection:
    """A write connection whose next statement that starts with ``fails`` raises an I/O error."""

    def __init__(self, connection: sqlite3.Connection, fails: str) -> None:
        self._connection, self._fails = connection, fails

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Execute or fail."""
        if statement.startswith(self._fails):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = 1034, "SQLITE_IOERR_FSYNC"
            raise error
        return self._connection.execute(statement, *values)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_a_failed_commit_poisons_the_journal_until_it_is_reopened(directory: Path) -> None:
    with SqliteJournal.open(directory) as journal:
        journal._writer = FailingConnection(journal._writer, "COMMIT")  # type: ignore[assignment]
        with pytest.raises(PoisonedJournalError, match="SQLITE_IOERR_FSYNC"):
            journal.append(make_records(1, start=20))
        with pytest.raises(PoisonedJournalError, match="restart to reopen"):
            journal.append(make_records(1, start=21))
        assert journal.size() == len(journal.read(0, 100)) == 20
        assert journal.find_request("request-20") is None
    with SqliteJournal.open(directory) as journal:
        assert journal.append(make_records(2, start=20)) == (20, 21)


def test_a_failed_checkpoint_keeps_the_append_and_refuses_the_next(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path) as journal:
        failing = FailingConnection(journal._writer, "PRAGMA wal_checkpoint")
        journal._writer = failing  # type: ignore[assignment]
        assert journal.append(make_records(2, size=3_000_000)) == (0, 1)
        with pytest.raises(PoisonedJournalError, match="a checkpoint failed"):
            journal.append(make_records(1, start=2))
    assert len(read_all(tmp_path)) == 2


@pytest.mark.parametrize("fails", ["BEGIN", "PRAGMA data_version"])
def test_an_io_error_before_the_commit_poisons_the_journal(directory: Path, fails: str) -> None:
    with SqliteJournal.open(directory) as journal:
        journal._writer = FailingConnection(journal._writer, fails)  # type: ignore[assignment]
        with pytest.raises(StorageError, match="found an I/O error"):
            journal.append(make_records(1, start=20))
        with pytest.raises(PoisonedJournalError):
            journal.append(make_records(1, start=20))
    assert len(read_all(directory)) == 20


def test_an_old_sqlite_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 9))
    with pytest.raises(StorageError, match=r"expected SQLite 3\.37\.0 or newer"):
        SqliteJournal.open(tmp_path)


def test_an_error_of_the_system_at_the_last_close_is_ours(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, close = SqliteJournal.open(directory), os.close

    def fail(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("vetonet.storage.directory_lock.os.close", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            journal.close()
    SqliteJournal.open(directory).close()


def test_a_directory_that_cannot_even_be_looked_for_is_refused(directory: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        SqliteJournal.open(directory / ("x" * 300))
