"""Following votes through the coordinator's absences: what a grant signs with lives in this process only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from vetonet.cli.output import note
from vetonet.cli.session import read_clock
from vetonet.units import Milliseconds, format_time
from vetonet.wire.status import RpcError

if TYPE_CHECKING:
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.views import WatchEvent
    from vetonet.policy.matter import Matter
    from vetonet.policy.treaty import Treaty

SIGNING_TIMES: Final = 8
"""How many signing times a watcher waits for the quorum's signature: several attempts."""

PATIENCE_MS: Final = 30_000
"""How long after the last signing attempt a coordinator may take to say how it ended."""

ABSENCE_MS: Final = 10 * 60_000
"""How long a coordinator may be away where no vote in particular sets an end."""

PAUSE_S: Final = 1.0


def compute_deadline(asked: Matter, treaty: Treaty) -> Milliseconds:
    """Return when nothing more can come of a vote."""
    return asked.closes_ms + SIGNING_TIMES * treaty.signing_ms + PATIENCE_MS


async def follow(
    client: CoordinatorClient, name: str, *, deadline: Milliseconds | None = None
) -> AsyncGenerator[WatchEvent, None]:
    """Yield what changes; a coordinator that goes away is called again until it is there or time is up.

    After each absence the stream begins anew with how things stand, so events can come twice.

    Args:
        client: of the coordinator, which answered before.
        name: a proposal's, or all.
        deadline: until when to try; None for a while after each loss.

    Raises:
        RpcError: the coordinator was still away then.
        VetonetError: its refusal, or an event that does not hold.
    """
    lost_until: Milliseconds | None = None
    while True:
        try:
            async with contextlib.aclosing(client.watch(name)) as events:
                async for event in events:
                    if lost_until is not None:
                        note("the coordinator is there again")
                    lost_until = None
                    yield event
        except RpcError as error:
            lost_until = _bear(error, lost_until, deadline)
        await asyncio.sleep(PAUSE_S)


def _bear(error: RpcError, lost_until: Milliseconds | None, deadline: Milliseconds | None) -> Milliseconds:
    """Return until when to try again; whoever looks on is told once for each absence."""
    now = read_clock()
    until = lost_until or deadline or now + ABSENCE_MS
    if not error.is_retryable or now > until:
        raise error
    if lost_until is None:
        note(f"the coordinator is away; calling it again until {format_time(until)}")
    return until
