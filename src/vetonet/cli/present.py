"""What is in force now: the log read from its first leaf, by whoever asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vetonet.cli.session import connect

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.crypto.statement import Signed
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.logview import LogView
    from vetonet.policy.treaty import Treaty
    from vetonet.voting.ledger import Ledger


async def read_view(client: CoordinatorClient, treaty: Signed[Treaty]) -> LogView:
    """Return the log, every leaf of it verified under its witnessed checkpoint.

    The client knows every treaty that was in force afterwards.

    Args:
        client: of the coordinator.
        treaty: the founding one, with which the log begins.

    Raises:
        VetonetError: the log cannot be read, or breaks the rules.
    """
    from vetonet.party.logview import LogView

    view = LogView(treaty)
    signed = await client.get_checkpoint()
    size = view.confront(signed).tree_size
    view.advance(await client.fetch_leaves(0, size), signed)
    for later in (*view.ledger.predecessors, view.ledger.treaty):
        client.adopt(later)
    return view


async def read_ledger(client: CoordinatorClient, treaty: Signed[Treaty]) -> Ledger:
    """Return what the log amounts to, as ``read_view`` read it.

    Raises:
        VetonetError: as ``read_view``.
    """
    return (await read_view(client, treaty)).ledger


@asynccontextmanager
async def reading(
    member: Member, address: str, *, is_insecure: bool = False
) -> AsyncGenerator[tuple[CoordinatorClient, Ledger]]:
    """Within, the coordinator can be called; what its log amounts to is there.

    Raises:
        VetonetError: as ``read_ledger``.
    """
    async with connect(member, address, is_insecure=is_insecure) as client:
        yield client, await read_ledger(client, member.treaty)
