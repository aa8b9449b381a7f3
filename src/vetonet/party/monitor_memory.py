"""What a monitor must not forget: what it believes, which views wait to be compared, which fork it found."""

from __future__ import annotations

from typing import Final

from vetonet.compliance.monitor import Monitor
from vetonet.errors import StorageError
from vetonet.storage.journal import Journal, Record, StoredRecord
from vetonet.tlog.fork import ForkEvidence
from vetonet.units import Clock

KNOWN_KIND: Final = "known-checkpoint"
PENDING_KIND: Final = "pending-view"
SETTLED_KIND: Final = "settled-view"
FORK_KIND: Final = "fork"
_PAGE: Final = 256


class MonitorMemory:
    """The memory of one monitor, in a journal; not to be used by two threads at once."""

    __slots__ = ("_clock", "_evidence", "_journal", "_newest", "_pending")

    def __init__(self, journal: Journal, clock: Clock) -> None:
        """Read what an earlier run has left.

        Raises:
            StorageError: the journal cannot be read, or is not a monitor's.
            EncodingError: it holds evidence that is none.
        """
        self._journal, self._clock = journal, clock
        self._newest: bytes | None = None
        self._evidence: ForkEvidence | None = None
        self._pending: dict[tuple[str, bytes], None] = {}
        start = 0
        while page := journal.read(start, _PAGE):
            for stored in page:
                self._replay(stored)
            start += len(page)

    @property
    def newest(self) -> bytes | None:
        """The checkpoint that was believed last, cosigned as it came."""
        return self._newest

    @property
    def evidence(self) -> ForkEvidence | None:
        """Of the first fork that was found; it is never taken back."""
        return self._evidence

    @property
    def pending(self) -> tuple[tuple[str, bytes], ...]:
        """Views that wait to be compared, with who showed them."""
        return tuple(self._pending)

    def remember(self, monitor: Monitor) -> None:
        """What the monitor believes, and what waits to be compared, will be known after a restart.

        Raises:
            StorageError: it could not be made durable.
        """
        records = list[Record]()
        known = None if monitor.known is None else monitor.known.data
        if known is not None and (self._newest is None or _text_of(known) != _text_of(self._newest)):
            records.append(self._make_record(KNOWN_KIND, known))
        waiting = dict.fromkeys((source, data) for source, views in monitor.pending.items() for data in views)
        # Also what waits no more: the room for pending views is small, and settled ones must not take it.
        records += [
            self._make_record(PENDING_KIND, _spell(view)) for view in waiting if view not in self._pending
        ]
        records += [
            self._make_record(SETTLED_KIND, _spell(view)) for view in self._pending if view not in waiting
        ]
        if records:
            self._journal.append(records)
        self._newest = self._newest if known is None else known
        self._pending = waiting

    def convict(self, evidence: ForkEvidence) -> None:
        """The evidence is there after a restart.

        Raises:
            StorageError: it could not be made durable.
        """
        if self._evidence is None:
            self._journal.append((self._make_record(FORK_KIND, evidence.to_bytes()),))
            self._evidence = evidence

    def _replay(self, stored: StoredRecord) -> None:
        kind, payload = stored.record.kind, stored.record.payload
        if kind == KNOWN_KIND:
            self._newest = payload
        elif kind == PENDING_KIND:
            self._pending[_split(payload)] = None
        elif kind == SETTLED_KIND:
            self._pending.pop(_split(payload), None)
        elif kind == FORK_KIND:
            self._evidence = ForkEvidence.from_bytes(payload)
        else:
            msg = f"record {stored.sequence}: expected a monitor's checkpoint, got one of kind {kind}"
            raise StorageError(msg)

    def _make_record(self, kind: str, payload: bytes) -> Record:
        return Record(kind=kind, request_id=None, payload=payload, recorded_at_ms=self._clock())


def _spell(view: tuple[str, bytes]) -> bytes:
    source, data = view
    return source.encode(errors="surrogateescape") + b"\0" + data  # no path and no URL has a zero in it


def _split(payload: bytes) -> tuple[str, bytes]:
    source, _, data = payload.partition(b"\0")
    return source.decode(errors="surrogateescape"), data


def _text_of(checkpoint: bytes) -> bytes:
    """Return what the log signed, without anybody's lines: those differ from one answer to the next."""
    return checkpoint.partition(b"\n\n")[0]
