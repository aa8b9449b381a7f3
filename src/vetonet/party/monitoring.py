"""Drives a monitor: fetches what it asks for, remembers what it believes, says what came of it (VN-11.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from vetonet.compliance.monitor import Monitor
from vetonet.errors import (
    EncodingError,
    InvalidSignatureError,
    Problem,
    ProofError,
    ProtocolError,
    StorageError,
    VerificationError,
    VetonetError,
)
from vetonet.storage.journal import Journal, Record
from vetonet.storage.tile_store import CHECKPOINT, TileStore
from vetonet.tlog.fork import ForkEvidence, LogForkedError
from vetonet.tlog.tiles import MissingTileError, Tile
from vetonet.units import Clock

KNOWN_KIND: Final = "known-checkpoint"
_PAGE: Final = 256


class LogSource(Protocol):
    """Where a view of the log is read: ``HttpLog`` and ``StoredLog`` are such."""

    def read_checkpoint(self) -> bytes:
        """Return the newest checkpoint that is shown there."""
        ...

    def fetch(self, tile: Tile) -> bytes:
        """Return a tile or bundle, or raise MissingTileError."""
        ...


class StoredLog:
    """A published log as files, such as a mirror on a disk."""

    __slots__ = ("_store",)

    def __init__(self, store: TileStore) -> None:
        """Read from this store."""
        self._store = store

    def read_checkpoint(self) -> bytes:
        """Return the published checkpoint.

        Raises:
            MissingTileError: there is none; whatever else the store raises.
        """
        return self._store.read(CHECKPOINT)

    def fetch(self, tile: Tile) -> bytes:
        """Return a tile or bundle.

        Raises:
            MissingTileError: there is none; whatever else the store raises.
        """
        return self._store.read(tile.to_path())


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look at the log and at the other views came to.

    Attributes:
        tree_size: leaves of the newest checkpoint that is believed.
        read_size: leaves that were read by the rules.
        problems: what the log, or whoever wrote to it, did wrong; new in this round.
        doubts: what nobody can tell: a view that gives no answer, or one that proves nothing.
        evidence: of two histories, or None.
    """

    tree_size: int
    read_size: int
    problems: tuple[Problem, ...] = ()
    doubts: tuple[Problem, ...] = ()
    evidence: ForkEvidence | None = None


class MonitorMemory:
    """The newest checkpoint that a monitor believes, in a journal: a rollback shows after a restart, too."""

    __slots__ = ("_clock", "_journal", "_newest")

    def __init__(self, journal: Journal, clock: Clock) -> None:
        """Read what an earlier run has left.

        Raises:
            StorageError: the journal cannot be read, or is not a monitor's.
        """
        self._journal, self._clock = journal, clock
        self._newest: bytes | None = None
        start = 0
        while page := journal.read(start, _PAGE):
            for stored in page:
                if stored.record.kind != KNOWN_KIND:
                    msg = (
                        f"record {stored.sequence}: expected a monitor's checkpoint, got {stored.record.kind}"
                    )
                    raise StorageError(msg)
                self._newest = stored.record.payload
            start += len(page)

    @property
    def newest(self) -> bytes | None:
        """The checkpoint that was believed last, cosigned as it came."""
        return self._newest

    def remember(self, checkpoint: bytes) -> None:
        """It will be known after a restart.

        Raises:
            StorageError: it could not be made durable.
        """
        if checkpoint == self._newest:
            return
        record = Record(kind=KNOWN_KIND, request_id=None, payload=checkpoint, recorded_at_ms=self._clock())
        self._journal.append((record,))
        self._newest = checkpoint


class MonitorDriver:
    """One monitor, the log that it follows, and the views that it compares with it."""

    __slots__ = ("_log", "_memory", "_monitor", "_views")

    def __init__(
        self,
        monitor: Monitor,
        log: LogSource,
        views: Mapping[str, LogSource],
        memory: MonitorMemory | None = None,
    ) -> None:
        """Begin; nothing is fetched yet.

        Args:
            monitor: made with what the memory remembers.
            log: what is followed.
            views: what others are shown, by who shows it.
            memory: None for a monitor that begins anew each time.
        """
        self._monitor, self._log, self._views, self._memory = monitor, log, views, memory

    @property
    def monitor(self) -> Monitor:
        """What it knows."""
        return self._monitor

    def look(self) -> Observation:
        """Fetch what is new, compare it, and return what came of it.

        Raises:
            StorageError: what is believed now could not be remembered.
        """
        problems, doubts = list[Problem](), list[Problem]()
        evidence: ForkEvidence | None = None
        try:
            self._advance(problems, doubts)
            for source, view in self._views.items():
                self._confront(source, view, doubts)
        except LogForkedError as error:
            problems.append(_describe(error, ""))
            evidence = error.evidence
        known = self._monitor.known
        return Observation(
            tree_size=0 if known is None else known.checkpoint.tree_size,
            read_size=self._monitor.read_size,
            problems=tuple(problems),
            doubts=tuple(doubts),
            evidence=evidence,
        )

    def _advance(self, problems: list[Problem], doubts: list[Problem]) -> None:
        try:
            problems += self._monitor.advance(self._log.read_checkpoint(), self._log.fetch)
        except LogForkedError:
            raise
        except (ProofError, MissingTileError) as error:
            doubts.append(_describe(error, "the log does not show what it signed: "))
        except (EncodingError, ProtocolError, VerificationError) as error:
            problems.append(_describe(error, ""))
        except VetonetError as error:
            doubts.append(_describe(error, ""))
        # Also what is bound by a signature and not yet read has to be there after a restart.
        if self._memory is not None and self._monitor.known is not None:
            self._memory.remember(self._monitor.known.data)

    def _confront(self, source: str, view: LogSource, doubts: list[Problem]) -> None:
        try:
            self._monitor.confront(source, view.read_checkpoint(), view.fetch, self._log.fetch)
        except LogForkedError:
            raise
        except (EncodingError, InvalidSignatureError) as error:
            doubts.append(_describe(error, f"{source} shows no checkpoint of this log: "))
        except VetonetError as error:
            # Some errors name the URL already.
            doubts.append(_describe(error, "" if source in str(error) else f"{source}: "))


def _describe(error: VetonetError, before: str) -> Problem:
    culprit = error.culprit if isinstance(error, ProtocolError) else None
    return Problem(reason=error.reason, detail=f"{before}{error}", culprit=culprit)
