"""What a witness remembers: every checkpoint that it was granted to cosign, in a journal of its own.

A record is the request that was granted, with its consistency proof, so whoever opens the journal judges each
one again by the rules that let it in. Beside them stand, in bounded number, the pairs of checkpoints that did
not fit together: material for a monitor, and where both are of one size, proof against the log (VN-11.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn, Self

from vetonet.errors import StorageError, VetonetError
from vetonet.storage.journal import Journal, Record, StoredRecord
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.note import LogKey
from vetonet.tlog.witness import Conflict, UnknownLogError, WitnessState, judge_checkpoint
from vetonet.units import Milliseconds

CHECKPOINT_KIND: Final = "checkpoint"
SPLIT_VIEW_KIND: Final = "split-view"
UNPROVEN_KIND: Final = "unproven"
MAX_CONFLICTS: Final = 16
"""How many conflicts of a kind are kept of one log: enough to show, too few to fill a disk with."""

_PAGE: Final = 256


class WitnessMemory:
    """The state of a witness and the journal from which it follows; not to be used by two threads at once."""

    __slots__ = ("_conflicts", "_journal", "_state")

    def __init__(self, journal: Journal, logs: Mapping[str, tuple[LogKey, ...]]) -> None:
        """Know nothing yet; use ``open`` instead."""
        self._journal = journal
        self._state = WitnessState(logs=logs)
        self._conflicts: dict[tuple[str, str], set[bytes]] = {}

    @classmethod
    def open(cls, journal: Journal, logs: Mapping[str, tuple[LogKey, ...]]) -> Self:
        """Return the memory that a journal holds, every record of it judged again.

        Args:
            journal: the witness's own, new or as it was left.
            logs: the keys that are trusted for each origin.

        Raises:
            StorageError: the journal cannot be read, or holds what the rules would not have let in.
        """
        memory = cls(journal, logs)
        for stored in _iter_records(journal):
            memory._replay(stored)
        return memory

    @property
    def state(self) -> WitnessState:
        """What the witness knows; all of it is durable."""
        return self._state

    def advance(self, state: WitnessState, granted: Sequence[AddCheckpoint], now: Milliseconds) -> None:
        """The state counts, because what led to it is durable; with nothing granted, the journal still works.

        Raises:
            StorageError: it could not be made durable, or nobody knows whether it was; the state is the old.
        """
        records = [
            Record(kind=CHECKPOINT_KIND, request_id=None, payload=request.to_bytes(), recorded_at_ms=now)
            for request in granted
        ]
        self._journal.append(records)
        self._state = state

    def keep(self, conflict: Conflict, now: Milliseconds) -> bool:
        """Return whether the conflict is new and durable; not so where there are enough of its kind.

        Raises:
            StorageError: it could not be made durable.
        """
        kind = SPLIT_VIEW_KIND if conflict.is_split_view else UNPROVEN_KIND
        kept = self._list_kept(kind, conflict)
        digest = conflict.offered.checkpoint.digest
        if digest in kept or len(kept) >= MAX_CONFLICTS:
            return False
        record = Record(kind=kind, request_id=None, payload=conflict.to_bytes(), recorded_at_ms=now)
        self._journal.append((record,))
        kept.add(digest)
        return True

    def iter_conflicts(self) -> Iterator[Conflict]:
        """Yield what was kept, in the order in which it came.

        Raises:
            StorageError: the journal cannot be read.
        """
        for stored in _iter_records(self._journal):
            if stored.record.kind != CHECKPOINT_KIND:
                yield Conflict.from_bytes(stored.record.payload)

    def _list_kept(self, kind: str, conflict: Conflict) -> set[bytes]:
        return self._conflicts.setdefault((kind, conflict.offered.checkpoint.origin), set())

    def _replay(self, stored: StoredRecord) -> None:
        """Follow one record, as if it were asked today."""
        kind, payload = stored.record.kind, stored.record.payload
        try:
            if kind == CHECKPOINT_KIND:
                self._replay_checkpoint(payload, stored.sequence)
            elif kind in {SPLIT_VIEW_KIND, UNPROVEN_KIND}:
                conflict = Conflict.from_bytes(payload)
                self._list_kept(kind, conflict).add(conflict.offered.checkpoint.digest)
            else:
                _refuse(stored.sequence, f"expected records of a witness, got one of kind {kind}")
        except UnknownLogError as error:
            _refuse(stored.sequence, f"{error}; trust its key again, or begin a new journal", cause=error)
        except StorageError:
            raise
        except VetonetError as error:
            _refuse(stored.sequence, f"the rules would not have let it in: {error}", cause=error)

    def _replay_checkpoint(self, payload: bytes, sequence: int) -> None:
        self._state, granted = judge_checkpoint(self._state, AddCheckpoint.from_bytes(payload))
        if not granted:
            _refuse(sequence, "expected a checkpoint that adds to the one before, got the same again")


def _iter_records(journal: Journal) -> Iterator[StoredRecord]:
    start = 0
    while page := journal.read(start, _PAGE):
        yield from page
        start += len(page)


def _refuse(sequence: int, why: str, *, cause: VetonetError | None = None) -> NoReturn:
    raise StorageError(f"record {sequence} of the witness's journal: {why}") from cause
