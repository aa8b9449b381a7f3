"""The clock drives a coordinator through a journal that fails for a while, and says so once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vetonet.errors import StorageError
from vetonet.service.server import _tick_for_ever


class Scripted:
    """A coordinator whose ticks end as scripted."""

    def __init__(self, outcomes: list[Exception | None]) -> None:
        self.outcomes = outcomes
        self.done = asyncio.Event()

    async def tick(self) -> None:
        if not self.outcomes:
            self.done.set()
            return
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


def test_a_journal_that_fails_for_a_while_is_told_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    full = StorageError("no room")

    async def main() -> None:
        scripted: Any = Scripted([None, full, full, full, None, full])
        ticking = asyncio.create_task(_tick_for_ever(scripted, 0))
        await asyncio.wait_for(scripted.done.wait(), 5)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    asyncio.run(main())
    assert caplog.text.count("no room") == 2
