"""A command that follows votes and loses its coordinator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

import grpc
import pytest

from support.world import NOW_MS
from vetonet.cli import following
from vetonet.cli.following import ABSENCE_MS, follow
from vetonet.party.views import Heartbeat, WatchEvent
from vetonet.wire.status import RpcError

AWAY = RpcError("away", code=grpc.StatusCode.UNAVAILABLE)
DENIED = RpcError("denied", code=grpc.StatusCode.PERMISSION_DENIED)


class Restarted:
    """A client whose coordinator is there, or not, as a script says; a look at the clock takes a minute."""

    def __init__(self, script: list[RpcError | int]) -> None:
        self.script = script
        self.now = NOW_MS

    async def watch(self, name: str) -> AsyncGenerator[WatchEvent, None]:
        assert name == "proposals/x"
        step = self.script.pop(0)
        if isinstance(step, RpcError):
            raise step
        yield Heartbeat(sequence=step)
        raise AWAY

    def read_clock(self) -> int:
        self.now += 60_000
        return self.now


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> Restarted:
    client = Restarted([])
    monkeypatch.setattr(following, "read_clock", client.read_clock)
    monkeypatch.setattr(following, "PAUSE_S", 0.0)
    return client


def collect(client: Restarted, *, at_most: int, deadline: int | None = None) -> list[int]:
    async def gather() -> list[int]:
        found: list[int] = []
        async with contextlib.aclosing(follow(cast(Any, client), "proposals/x", deadline=deadline)) as events:
            async for event in events:
                found.append(event.sequence)
                if len(found) == at_most:
                    break
        return found

    return asyncio.run(gather())


def test_a_coordinator_that_restarts_is_followed_on(
    restarted: Restarted, capsys: pytest.CaptureFixture[str]
) -> None:
    restarted.script = [1, AWAY, AWAY, 2, 3]
    assert collect(restarted, at_most=3, deadline=NOW_MS + ABSENCE_MS) == [1, 2, 3]
    said = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in said] == [
        "the coordinator is away",
        "the coordinator is there again",
    ] * 2


def test_a_coordinator_that_stays_away_is_given_up_after_the_deadline(restarted: Restarted) -> None:
    restarted.script = [1, *[AWAY] * 20]
    with pytest.raises(RpcError, match="away"):
        collect(restarted, at_most=2, deadline=NOW_MS + 5 * 60_000)
    assert len(restarted.script) == 20 - 5


def test_without_a_deadline_each_absence_has_a_bound(restarted: Restarted) -> None:
    restarted.script = [1, *[AWAY] * 20]
    with pytest.raises(RpcError, match="away"):
        collect(restarted, at_most=2)
    assert len(restarted.script) == 20 - ABSENCE_MS // 60_000 - 1


def test_a_refusal_is_not_an_absence(restarted: Restarted) -> None:
    restarted.script = [DENIED, 1]
    with pytest.raises(RpcError, match="denied"):
        collect(restarted, at_most=1)
