"""The journal for asyncio: many waiting appends share one commit, made by one writer thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

from vetonet.errors import StorageError, VetonetError
from vetonet.storage.journal import Journal, Record, RequestConflictError, StoredRecord

DEFAULT_MAX_WAITING: Final = 1_024
DEFAULT_MAX_BATCH_ROWS: Final = 1_024
DEFAULT_LINGER_S: Final = 0.001

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The records of one call, which go in together, and where their sequences are awaited."""

    records: tuple[Record, ...]
    future: asyncio.Future[tuple[int, ...]]


_Outcome: TypeAlias = tuple[_Group, tuple[int, ...] | VetonetError]


class AsyncJournal:
    """Group commit over a ``Journal``: an awaited append is durable, and the event loop waits on no disk.

    A commit takes whatever waits while the one before it runs. Only when the last commit had more than one
    record, so that others are likely on their way, does the writer linger for them. At most ``max_waiting``
    calls are queued; the next one waits for room. Every method belongs to the event
    loop in which the object was made.

    An append that is cancelled while it waits may still be stored; a retry with its request id tells.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        max_waiting: int = DEFAULT_MAX_WAITING,
        max_batch_rows: int = DEFAULT_MAX_BATCH_ROWS,
        linger_s: float = DEFAULT_LINGER_S,
    ) -> None:
        """Take the journal over and start the writer; needs a running event loop.

        Args:
            journal: closed by ``close``; nobody else appends to it.
            max_waiting: how many calls wait in the queue.
            max_batch_rows: a commit takes no further call once it has this many records.
            linger_s: the longest wait for company.

        Raises:
            ValueError: a limit is not positive, or the linger is negative.
            RuntimeError: there is no running event loop.
        """
        if max_waiting < 1 or max_batch_rows < 1 or linger_s < 0:
            raise ValueError("limits of a group commit are positive and its linger is not negative")
        self._loop = asyncio.get_running_loop()
        self._journal = journal
        self._max_batch_rows, self._linger_s = max_batch_rows, linger_s
        self._last_batch_groups = 1
        self._slots = asyncio.Semaphore(max_waiting)
        self._queue: SimpleQueue[_Group | None] = SimpleQueue()
        self._refusal: StorageError | None = None
        self._is_closing = False
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._thread = Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def append(self, record: Record) -> int:
        """The record is durable; return its sequence, for a retry the one it got the first time.

        Raises:
            RequestConflictError: its request id is already used for a different record.
            StorageError: it could not be made durable, or the journal is closed or poisoned.
        """
        (sequence,) = await self.append_all((record,))
        return sequence

    async def append_all(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are durable, one after the other, or none is; return their sequences.

        Raises:
            RequestConflictError: a request id is already used for a different record.
            StorageError: they could not be made durable, or the journal is closed or poisoned.
        """
        if not records:
            return ()
        await self._slots.acquire()
        try:
            self._require_accepting()
        except StorageError:
            self._slots.release()
            raise
        group = _Group(records=tuple(records), future=self._loop.create_future())
        self._queue.put(group)
        return await group.future

    async def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` acknowledged records from sequence ``start`` on.

        Raises:
            ValueError: ``start`` is negative or ``limit`` is not positive.
            StorageError: the journal cannot be read, or holds a record that was changed.
        """
        return await asyncio.to_thread(self._journal.read, start, limit)

    async def find_request(self, request_id: str) -> StoredRecord | None:
        """Return the acknowledged record under this request id, or None where the id was never used.

        Raises:
            StorageError: the journal cannot be read, or holds a record that was changed.
        """
        return await asyncio.to_thread(self._journal.find_request, request_id)

    def size(self) -> int:
        """Return the count of acknowledged records.

        Raises:
            StorageError: the journal is closed.
        """
        return self._journal.size()

    async def close(self) -> None:
        """Every append taken in has its answer and the journal is closed; later appends are refused.

        Raises:
            StorageError: the journal could not be closed.
        """
        if not self._is_closing:
            self._is_closing = True
            self._queue.put(None)
        await asyncio.shield(self._finished)

    async def __aenter__(self) -> Self:
        """Return the journal itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal."""
        await self.close()

    def _require_accepting(self) -> None:
        """Appends are still taken in."""
        if self._is_closing:
            raise StorageError("expected an open journal, found it closed; nothing was appended")
        if self._refusal is not None:
            raise self._refusal

    def _settle(self, outcomes: Sequence[_Outcome]) -> None:
        """Answer the calls of a commit; runs in the event loop."""
        for group, outcome in outcomes:
            self._slots.release()
            if group.future.done():
                continue
            if isinstance(outcome, VetonetError):
                group.future.set_exception(outcome)
            else:
                group.future.set_result(outcome)

    def _finish(self, error: StorageError | None) -> None:
        """Answer the close; runs in the event loop."""
        if error is None:
            self._finished.set_result(None)
        else:
            self._finished.set_exception(error)

    # What follows runs in the writer thread.

    def _run(self) -> None:
        """Commit batch after batch until the queue is closed and empty, then close the journal."""
        is_open = True
        while is_open:
            groups, is_open = self._gather()
            if groups:
                self._post(self._settle, self._commit(groups))
                self._last_batch_groups = len(groups)
        self._post(self._finish, self._close_journal())

    def _close_journal(self) -> StorageError | None:
        """Close the journal; return what went wrong, so that whoever awaits the close learns of it."""
        try:
            self._journal.close()
        except StorageError as error:
            return error
        except Exception as error:  # noqa: BLE001 - it must reach whoever awaits the close
            return _writer_error(error)
        return None

    def _gather(self) -> tuple[list[_Group], bool]:
        """Return the next batch and whether more may come; wait for company as the last batch advises."""
        groups: list[_Group] = []
        rows = 0
        deadline: float | None = None
        while rows < self._max_batch_rows:
            try:
                group = self._queue.get(timeout=self._patience(groups, deadline))
            except Empty:
                break
            if group is None:
                return groups, False
            groups.append(group)
            rows += len(group.records)
            deadline = deadline or time.monotonic() + self._linger_s
        return groups, True

    def _patience(self, groups: Sequence[_Group], deadline: float | None) -> float | None:
        """Return how long to wait for the next call: for the first for ever, for company a little."""
        if deadline is None:
            return None
        if self._last_batch_groups == 1 or len(groups) >= self._last_batch_groups:
            return 0
        return max(0.0, deadline - time.monotonic())

    def _commit(self, groups: Sequence[_Group]) -> list[_Outcome]:
        """Append the groups with one commit; where one of them is in conflict, each with its own."""
        try:
            sequences = iter(self._append([record for group in groups for record in group.records]))
        except RequestConflictError as error:
            if len(groups) == 1:
                return [(groups[0], error)]
            return [outcome for group in groups for outcome in self._commit([group])]
        except VetonetError as error:
            return [(group, error) for group in groups]
        return [(group, tuple(next(sequences) for _ in group.records)) for group in groups]

    def _append(self, records: Sequence[Record]) -> tuple[int, ...]:
        """Append to the journal; after an error that it should not raise nothing more is taken in."""
        if self._refusal is not None:
            raise self._refusal
        try:
            return self._journal.append(records)
        except VetonetError:
            raise
        except Exception as error:
            self._refusal = _writer_error(error)
            raise self._refusal from error

    def _post(self, call: Callable[[_T], None], argument: _T) -> None:
        """Have the event loop make the call; where the loop is gone, so is everybody who waited."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, argument)


def _writer_error(error: Exception) -> StorageError:
    """Return an error of our tree for one that no journal should raise; its text may hold contents."""
    return StorageError(f"the journal's writer failed ({type(error).__name__}); restart to reopen it")
