"""The append-only journal: one port, a SQLite and a memory back end, an asynchronous front."""

from __future__ import annotations

from vetonet.storage.group_commit import AsyncJournal
from vetonet.storage.journal import (
    CorruptJournalError,
    FullJournalError,
    Journal,
    LockedJournalError,
    PoisonedJournalError,
    Record,
    RequestConflictError,
    StoredRecord,
)
from vetonet.storage.memory import MemoryJournal
from vetonet.storage.sqlite import SqliteJournal

__all__ = [
    "AsyncJournal",
    "CorruptJournalError",
    "FullJournalError",
    "Journal",
    "LockedJournalError",
    "MemoryJournal",
    "PoisonedJournalError",
    "Record",
    "RequestConflictError",
    "SqliteJournal",
    "StoredRecord",
]
