"""Where a log is kept: the append-only journal, and the tiles published from it."""

from __future__ import annotations

from vetonet.storage.file_tiles import FileTileStore
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
from vetonet.storage.tile_store import CorruptTileError, MemoryTileStore, TileStore

__all__ = [
    "AsyncJournal",
    "CorruptJournalError",
    "CorruptTileError",
    "FileTileStore",
    "FullJournalError",
    "Journal",
    "LockedJournalError",
    "MemoryJournal",
    "MemoryTileStore",
    "PoisonedJournalError",
    "Record",
    "RequestConflictError",
    "SqliteJournal",
    "StoredRecord",
    "TileStore",
]
