"""A log of any leaves, with its key and witnesses, over stores that outlive it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.coordination import KeptJournal, ManualClock
from support.witnesses import Witnesses, make_witnesses, publish_by
from support.world import Council, make_council
from vetonet.service.tile_log import TileLog
from vetonet.storage import AsyncJournal, MemoryJournal
from vetonet.storage.journal import Journal
from vetonet.storage.tile_store import MemoryTileStore, TileStore
from vetonet.tlog.log import Log
from vetonet.tlog.policy import LogPolicy

COUNCIL = make_council(4, 3)


@dataclass(slots=True)
class Ground:
    """What stays of a log when its process ends.

    Attributes:
        journal, store: its leaves and its tiles.
        witnesses: by party id; they remember.
    """

    council: Council = COUNCIL
    journal: Journal = field(default_factory=MemoryJournal)
    store: TileStore = field(default_factory=MemoryTileStore)
    clock: ManualClock = field(default_factory=ManualClock)
    witnesses: Witnesses = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Every party has its witness."""
        self.witnesses = self.witnesses or make_witnesses(self.council, self.clock)

    @property
    def policy(self) -> LogPolicy:
        """What makes a checkpoint of this log count."""
        return self.council.log_policy

    @contextlib.asynccontextmanager
    async def open(self, **changes: Any) -> AsyncIterator[TileLog]:
        """Within, the log runs; it publishes only when told to."""
        arguments: dict[str, Any] = {
            "policy": self.policy,
            "log_key": self.council.log_key,
            "publishing": publish_by(self.witnesses),
            "clock": self.clock,
        }
        async with AsyncJournal(KeptJournal(self.journal)) as journal:
            log = await TileLog.start(journal, self.store, **(arguments | changes))
            try:
                yield log
            finally:
                await log.close()


def make_leaves(count: int, name: str = "leaf") -> list[bytes]:
    """Return so many different leaves of different lengths."""
    return [f"{name} {number} ".encode() * (1 + number % 5) for number in range(count)]


def expect(ground: Ground, leaves: Sequence[bytes]) -> Log:
    """Return the log that these leaves make, by the in-memory tree."""
    return Log(ground.policy.log_key.name, leaves)


async def append_all(log: TileLog, leaves: Iterable[bytes], name: str = "r") -> None:
    """Append leaves one by one."""
    for number, leaf in enumerate(leaves):
        await log.append([leaf], request_id=f"{name}-{number}")
