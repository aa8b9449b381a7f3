"""One writer at a time, in the order of arrival, and no change that is left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Turns:
    """Who may change the state now.

    Attributes:
        lock: held by whoever does; also by a change that needs it for its last part only.
    """

    __slots__ = ("_tasks", "lock")

    def __init__(self) -> None:
        """Nobody does."""
        self.lock: Final = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, change: Coroutine[Any, Any, T]) -> T:
        """Carry a change through in its turn.

        A caller that waited for nothing since it read the clock gets its turn in the order of arrival.
        """
        return await self.finish(self._change_alone(change))

    async def finish(self, change: Coroutine[Any, Any, T]) -> T:
        """Carry a change through, also where its caller goes away: durable and adopted stay together."""
        task = asyncio.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Every change that was begun has ended, whether or not its caller is still there."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _change_alone(self, change: Coroutine[Any, Any, T]) -> T:
        try:
            async with self.lock:
                return await change
        finally:
            change.close()  # where it never got its turn, it is let go and not lamented

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone, and asyncio complains of errors that nobody saw
