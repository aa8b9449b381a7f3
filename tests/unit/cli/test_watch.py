"""What ``vetonet watch`` shows of a coordinator's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from vetonet.cli.watch import _print_changes
from vetonet.party.views import CulpritsNamed, WatchEvent
from vetonet.wire.convert import ALL_PROPOSALS
from vetonet.wire.status import RpcError


class Deceiver:
    """A client whose coordinator writes what a terminal would obey, were it not refused before."""

    async def get_checkpoint(self) -> bytes:
        return b""

    async def watch(self, name: str) -> AsyncGenerator[WatchEvent, None]:
        assert name == ALL_PROPOSALS
        yield CulpritsNamed(
            sequence=1,
            name="proposals/x",
            party_ids=("p1\x1b[2J",),
            reason="\x1b[31mfake\nproposals/aaaa  licensed: 3 of 2 granted",
        )
        raise RpcError("the stream ended")


def test_a_watch_shows_one_plain_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RpcError):
        asyncio.run(_print_changes(cast(Any, Deceiver()), cast(Any, None)))
    shown = "proposals/x  spoilt by p1?[2J: ?[31mfake proposals/aaaa  licensed: 3 of 2 granted\n"
    assert capsys.readouterr().out == shown
