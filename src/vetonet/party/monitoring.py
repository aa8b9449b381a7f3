"""Drives a monitor: fetches what it asks for, remembers what it believes, says what came of it (VN-11.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vetonet.compliance.monitor import Monitor
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    Problem,
    ProofError,
    ProtocolError,
    RefusedError,
    VerificationError,
    VetonetError,
    WitnessQuorumError,
)
from vetonet.party.monitor_memory import MonitorMemory
from vetonet.storage.tile_store import CHECKPOINT, TileStore
from vetonet.tlog.fork import ForkEvidence, LogForkedError, verify_fork
from vetonet.tlog.tiles import MissingTileError, Tile


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
        problems: what the log signed and must not have; new in this round.
        doubts: what nobody can tell: a view without an answer, an old checkpoint, one that proves nothing.
        evidence: of two histories, or None.
    """

    tree_size: int
    read_size: int
    problems: tuple[Problem, ...] = ()
    doubts: tuple[Problem, ...] = ()
    evidence: ForkEvidence | None = None


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
            StorageError: what is believed or was found now could not be remembered.
        """
        problems, doubts = list[Problem](), list[Problem]()
        evidence = None if self._memory is None else self._memory.evidence
        if evidence is None:
            evidence = self._look_around(problems, doubts)
        else:
            problems.append(self._recall(evidence))
        known = self._monitor.known
        return Observation(
            tree_size=0 if known is None else known.checkpoint.tree_size,
            read_size=self._monitor.read_size,
            problems=tuple(problems),
            doubts=tuple(doubts),
            evidence=evidence,
        )

    def _look_around(self, problems: list[Problem], doubts: list[Problem]) -> ForkEvidence | None:
        """Follow the log, compare the views, and keep what came of it before anybody is told."""
        evidence: ForkEvidence | None = None
        try:
            self._advance(problems, doubts)
            for source, view in self._views.items():
                self._confront(source, view, doubts)
        except LogForkedError as error:
            problems.append(_describe(error, ""))
            evidence = error.evidence
        doubts += map(_describe_ahead, self._monitor.pending)
        if self._memory is not None:
            if evidence is not None:
                self._memory.convict(evidence)  # first: what it was found by may wait no more
            self._memory.remember(self._monitor)  # also what is bound by a signature and not yet read
        return evidence

    def _recall(self, evidence: ForkEvidence) -> Problem:
        """A log that was convicted once stays convicted, whatever it shows now."""
        fork = verify_fork(evidence, self._monitor.policy)
        detail = f"log {fork.origin!r} signed two histories, as was found before"
        return Problem(reason=EquivocationError.reason, detail=detail, culprit=fork.origin)

    def _advance(self, problems: list[Problem], doubts: list[Problem]) -> None:
        try:
            problems += self._monitor.advance(self._log.read_checkpoint(), self._log.fetch)
        except LogForkedError:
            raise
        except (ProofError, MissingTileError) as error:
            doubts.append(_describe(error, "the log does not show what it signed: "))
        except (RefusedError, WitnessQuorumError) as error:
            # The log signed it, but whoever serves it may have kept an old one, or taken lines away.
            doubts.append(Problem(reason=error.reason, detail=str(error)))
        except (EncodingError, InvalidSignatureError) as error:
            doubts.append(_describe(error, "what is shown is no checkpoint of this log: "))
        except VerificationError as error:
            problems += error.problems or (_describe(error, ""),)
        except VetonetError as error:
            doubts.append(_describe(error, ""))

    def _confront(self, source: str, view: LogSource, doubts: list[Problem]) -> None:
        try:
            self._monitor.confront(source, view.read_checkpoint(), view.fetch, self._log.fetch)
        except LogForkedError:
            raise
        except (EncodingError, InvalidSignatureError) as error:
            doubts.append(_describe(error, f"{source} shows no checkpoint of this log: "))
        except VetonetError as error:
            named = str(error).startswith(source)  # as those of HTTP are
            doubts.append(_describe(error, "" if named else f"{source}: "))


def _describe_ahead(source: str) -> Problem:
    detail = f"{source} is ahead of the log that is followed, and is compared when that gets there"
    return Problem(reason="ahead", detail=detail)


def _describe(error: VetonetError, before: str) -> Problem:
    culprit = error.culprit if isinstance(error, ProtocolError) else None
    return Problem(reason=error.reason, detail=f"{before}{error}", culprit=culprit)
