"""A journal in memory: the same semantics as on disk, for the simulator and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Self

from vetonet.errors import StorageError
from vetonet.storage.journal import Record, StoredRecord, plan_append, require_range


class MemoryJournal:
    """A ``Journal`` that lives as long as the object; every method may be called from any thread."""

    __slots__ = ("_closed", "_lock", "_requests", "_stored")

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._stored: list[StoredRecord] = []
        self._requests: dict[str, StoredRecord] = {}
        self._closed = False

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are in, in this order, or none is; see ``Journal.append``.

        Raises:
            RequestConflictError: a request id is already used for a different record.
            StorageError: the journal is closed.
        """
        with self._lock:
            self._require_open()
            plan = plan_append(records, size=len(self._stored), find=self._requests.get)
            for stored in plan.fresh:
                self._stored.append(stored)
                if stored.record.request_id is not None:
                    self._requests[stored.record.request_id] = stored
            return plan.sequences

    def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` records from sequence ``start`` on.

        Raises:
            ValueError: ``start`` is negative or ``limit`` is not positive.
            StorageError: the journal is closed.
        """
        require_range(start, limit)
        with self._lock:
            self._require_open()
            return tuple(self._stored[start : start + limit])

    def size(self) -> int:
        """Return the count of records.

        Raises:
            StorageError: the journal is closed.
        """
        with self._lock:
            self._require_open()
            return len(self._stored)

    def find_request(self, request_id: str) -> StoredRecord | None:
        """Return the record stored under this request id, or None where the id was never used.

        Raises:
            StorageError: the journal is closed.
        """
        with self._lock:
            self._require_open()
            return self._requests.get(request_id)

    def close(self) -> None:
        """Every later call is refused; a second close changes nothing."""
        with self._lock:
            self._closed = True

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

    def _require_open(self) -> None:
        if self._closed:
            raise StorageError("the journal in memory is closed; open a new one")
