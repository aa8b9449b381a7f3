"""The journal port: records go in atomically and durably, in one gap-free order, and never change.

A back end promises that a returned append survives a crash, that a batch is in whole or not at all, and
that a ``request_id`` is stored once however often its record is sent. The promises are proven by one
test suite that every back end passes. A journal holds public statements only: secrets never go in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from vetonet.errors import ProtocolError, StorageError
from vetonet.units import Milliseconds

MAX_NAME_CHARS: Final = 64
MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""No statement or message is larger than this; it is gRPC's default limit for a message."""

MAX_TIME_MS: Final = 2**63 - 1


class CorruptJournalError(StorageError):
    """What is stored is not what was appended.

    Attributes:
        sequence: the first record that does not hold, or None where the damage is not in one record.
    """

    reason = "journal-corrupt"

    def __init__(self, message: str, *, sequence: int | None = None) -> None:
        super().__init__(message)
        self.sequence: Final = sequence


class LockedJournalError(StorageError):
    """Another program holds the journal; nothing was appended and a retry may succeed."""

    reason = "journal-locked"


class FullJournalError(StorageError):
    """There is no room for the batch; nothing of it was appended and a retry may succeed."""

    reason = "journal-full"


class PoisonedJournalError(StorageError):
    """An earlier append ended in an unknown state; nothing is appended until the journal is reopened."""

    reason = "journal-poisoned"


class RequestConflictError(ProtocolError):
    """A request id came a second time with another kind or payload; nothing of the batch was appended.

    Attributes:
        request_id: the id that was used twice.
        sequence: the place of the record that had it first; in a batch, the place it would have had.
    """

    reason = "request-conflict"

    def __init__(self, *, request_id: str, sequence: int) -> None:
        super().__init__(f"request {request_id} was already used for the different record {sequence}")
        self.request_id: Final = request_id
        self.sequence: Final = sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened, as it goes into the journal.

    Attributes:
        kind: what the payload is, 1 to 64 printable ASCII characters without spaces.
        request_id: the idempotency key, in the same alphabet, or None where a retry cannot happen.
        payload: the bytes, at most 4 MiB; public, never a secret.
        recorded_at_ms: when the driver took it in, milliseconds since the Unix epoch.
    """

    kind: str
    request_id: str | None
    payload: bytes
    recorded_at_ms: Milliseconds

    def __post_init__(self) -> None:
        """Hold every field to its bounds.

        Raises:
            ValueError: a field is outside them.
        """
        if not is_name(self.kind):
            raise ValueError("a record's kind is 1 to 64 printable ASCII characters without spaces")
        if self.request_id is not None and not is_name(self.request_id):
            raise ValueError("a request id is 1 to 64 printable ASCII characters without spaces")
        if type(self.payload) is not bytes or len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a record's payload is bytes, at most {MAX_PAYLOAD_BYTES}")
        if not 0 <= self.recorded_at_ms <= MAX_TIME_MS:
            raise ValueError("a record's time is milliseconds since the Unix epoch, below 2**63")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record and its place in the journal.

    Attributes:
        sequence: 0 for the first record, one more for each next, without a gap.
        record: what was appended.
    """

    sequence: int
    record: Record

    def __post_init__(self) -> None:
        """Hold the sequence to its bounds.

        Raises:
            ValueError: it is negative.
        """
        if self.sequence < 0:
            raise ValueError("a sequence is not negative")


class Journal(Protocol):
    """An append-only sequence of records; every method may be called from any thread."""

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are in, durably and in this order, or none is.

        Args:
            records: the batch; a record whose request id is already stored with the same kind and payload is
                a retry and is not stored again.

        Returns:
            The sequence of each record; for a retry the sequence it got the first time.

        Raises:
            RequestConflictError: a request id is already used for a different record.
            PoisonedJournalError: an earlier append left the state unknown.
            StorageError: the batch could not be made durable.
        """
        ...

    def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` records from sequence ``start`` on, in order; past the end, none.

        Raises:
            ValueError: ``start`` is negative or ``limit`` is not positive.
            CorruptJournalError: what is stored is not what was appended.
            StorageError: the journal cannot be read.
        """
        ...

    def size(self) -> int:
        """Return the count of acknowledged records, which is the next sequence.

        Raises:
            StorageError: the journal is closed.
        """
        ...

    def find_request(self, request_id: str) -> StoredRecord | None:
        """Return the record stored under this request id, or None where the id was never used.

        Raises:
            CorruptJournalError: what is stored is not what was appended.
            StorageError: the journal cannot be read.
        """
        ...

    def close(self) -> None:
        """Everything held is let go; a second call changes nothing."""
        ...

    def __enter__(self) -> Self:
        """Return the journal itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendPlan:
    """What an append stores and what it answers.

    Attributes:
        sequences: the answer, one sequence per record of the batch.
        fresh: the records to store, in order.
    """

    sequences: tuple[int, ...]
    fresh: tuple[StoredRecord, ...]


def plan_append(
    records: Sequence[Record], *, size: int, find: Callable[[str], StoredRecord | None]
) -> AppendPlan:
    """Return the plan by which fresh records get the next sequences and retries the ones they had.

    Args:
        records: the batch.
        size: the next free sequence.
        find: gives the record stored under a request id, or None.

    Raises:
        RequestConflictError: a request id is already used, in the journal or in the batch, for a different
            record.
    """
    sequences: list[int] = []
    fresh: list[StoredRecord] = []
    batch: dict[str, StoredRecord] = {}
    for record in records:
        earlier = _find_earlier(record.request_id, batch, find)
        if earlier is None:
            earlier = StoredRecord(sequence=size + len(fresh), record=record)
            fresh.append(earlier)
        elif not is_retry(record, of=earlier.record):
            raise RequestConflictError(request_id=str(record.request_id), sequence=earlier.sequence)
        if record.request_id is not None:
            batch[record.request_id] = earlier
        sequences.append(earlier.sequence)
    return AppendPlan(sequences=tuple(sequences), fresh=tuple(fresh))


def _find_earlier(
    request_id: str | None,
    batch: dict[str, StoredRecord],
    find: Callable[[str], StoredRecord | None],
) -> StoredRecord | None:
    """Return the record that had this request id first, in the batch or in the journal."""
    if request_id is None:
        return None
    return batch.get(request_id) or find(request_id)


def is_retry(record: Record, *, of: Record) -> bool:
    """Tell whether two records say the same; a retry comes later, so the time is not compared."""
    return record.kind == of.kind and record.payload == of.payload


def is_name(text: str) -> bool:
    """Tell whether the text is 1 to 64 printable ASCII characters without spaces."""
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return is_plain and 1 <= len(text) <= MAX_NAME_CHARS


def require_range(start: int, limit: int) -> None:
    """The range of a read makes sense.

    Raises:
        ValueError: ``start`` is negative or ``limit`` is not positive.
    """
    if start < 0:
        raise ValueError("a read starts at a sequence, which is not negative")
    if limit < 1:
        raise ValueError("a read asks for at least one record")
