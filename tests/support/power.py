"""A chip whose power fails at a chosen moment, and all that others saw of it: for sweeps over every moment.

A moment is before each write and sync of the flash, before each effect is handed out, and in the middle of
each computation. At each of them the flash may keep any of the writes since its last sync, one of them torn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from vetonet.attester.account import OpeningTold
from vetonet.attester.chip import Chip, keep_first
from vetonet.attester.secure_element import SEED_BYTES
from vetonet.attester.snapshots import SnapshotTaken
from vetonet.attester.state import (
    AliasEndorsed,
    ChipState,
    Effect,
    Event,
    LicenceAccepted,
    PowerCycled,
    Refused,
    ReportSigned,
    WorkDone,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import StorageError
from vetonet.storage.chip_store import ChipStore
from vetonet.storage.flash import FlashMemory, Operation
from vetonet.units import Milliseconds


class PowerLostError(Exception):
    """What ends everything that a chip was about to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Which of the writes since the last sync come through a loss of power, and which of them torn."""

    kept: tuple[int, ...]
    torn: int | None = None


def list_fates(pending: int) -> Iterator[Fate]:
    """Every fate of so many writes."""
    for count in range(pending + 1):
        for kept in combinations(range(pending), count):
            yield Fate(kept=kept)
            yield from (Fate(kept=kept, torn=torn) for torn in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing an operator wants of a chip; asked for again after a loss of power.

    Attributes:
        make: the event, given the present state.
        pause_ms: how long after the time that the chip knows.
        not_before_ms: but not before this.
    """

    name: str
    make: Callable[[ChipState], Event]
    pause_ms: Milliseconds = 0
    not_before_ms: Milliseconds = 0


@dataclass(slots=True)
class Trial:
    """One life of a chip in which the power fails at chosen moments, or never.

    Attributes:
        began_ms: when the chip is first started.
        failures: the numbers of those moments, and what becomes of the flash then.
        moments: what each moment was, in order.
        pending: how many writes were in the balance at each moment.
        reports, endorsements, snapshots, openings: what was handed out, in order, duplicates too.
        computed_flop: what was really computed, the half of an interrupted piece too.
        known: the chip as it was whenever an action was done, and after each start.
        refused: the reasons that the chip gave.
        distinct: at the last failure, one fate for each of the contents that the chip may find then.
    """

    chip: ChipState
    began_ms: Milliseconds = 0
    failures: Mapping[int, Fate] = field(default_factory=dict)
    store_kind: Callable[[FlashMemory], Any] = ChipStore
    chip_kind: Callable[..., Any] = Chip
    moments: list[str] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    reports: list[bytes] = field(default_factory=list)
    endorsements: list[bytes] = field(default_factory=list)
    snapshots: list[bytes] = field(default_factory=list)
    openings: list[OpeningTold] = field(default_factory=list)
    computed_flop: int = 0
    accepted: list[int] = field(default_factory=list)
    known: list[ChipState] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    distinct: list[Fate] = field(default_factory=list)
    flash: FlashMemory = field(default_factory=FlashMemory)
    boots: int = 0

    def run(self, actions: Sequence[Action]) -> Chip:
        """Do all of it; each action that the power cut off is asked for again."""
        keep_first(self.chip, self.store_kind(self.flash))
        self.flash.before = self._tell
        powered: Chip | None = None
        for action in actions:
            while True:
                try:
                    powered = self.start() if powered is None else powered
                    state = powered.state
                    now = max(action.not_before_ms, state.latest_ms + action.pause_ms)
                    self._carry_out(powered.step(action.make(state), now))
                except PowerLostError:
                    fate = self.failures[len(self.moments) - 1]
                    self.distinct = list(self._list_distinct())
                    self.flash.lose_power(fate.kept, fate.torn)
                    powered = None
                else:
                    self.known.append(powered.state)
                    break
        if powered is None:
            raise ValueError("expected at least one action")
        return powered

    def _list_distinct(self) -> Iterator[Fate]:
        """A chip reads nothing but what its store loads, so one fate for each of that is enough."""
        seen = set[bytes | None]()
        for fate in list_fates(self.flash.pending):
            flash = self.flash.copy()
            flash.lose_power(fate.kept, fate.torn)
            try:
                found = self.store_kind(flash).load()
            except StorageError:
                found = b"damaged"
            if found not in seen:
                seen.add(found)
                yield fate

    def start(self) -> Chip:
        """A powered chip, with the boot's alias key from a generator of its own."""
        chip: Chip = self.chip_kind(self.store_kind(self.flash))
        self.boots += 1
        event = PowerCycled(seed=SeededRng(self.boots.to_bytes(2, "big"))(SEED_BYTES))
        self._carry_out(chip.start(event, max(self.began_ms, chip.state.latest_ms)))
        self.known.append(chip.state)
        return chip

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.moment(f"hand out {type(effect).__name__}")
            match effect:
                case WorkDone(flop=flop):
                    self.compute(flop)
                case ReportSigned(data=data):
                    self.reports.append(data)
                case AliasEndorsed(data=data):
                    self.endorsements.append(data)
                case SnapshotTaken(digest=digest):
                    self.snapshots.append(digest)
                case OpeningTold():
                    self.openings.append(effect)
                case LicenceAccepted(licence_id=licence_id):
                    self.accepted.append(licence_id)
                case Refused(reason=reason):
                    self.refused.append(reason)
                case _:
                    pass

    def compute(self, flop: int) -> None:
        """The matrix units do this much; the power may fail when half is done, and when all is."""
        self.computed_flop += flop // 2
        self.moment("compute")
        self.computed_flop += flop - flop // 2
        self.moment("computed")

    def moment(self, name: str) -> None:
        """Something is about to happen, unless the power fails."""
        self.moments.append(name)
        self.pending.append(self.flash.pending)
        if len(self.moments) - 1 in self.failures:
            raise PowerLostError(name)

    def _tell(self, operation: Operation) -> None:
        self.moment(str(operation))
