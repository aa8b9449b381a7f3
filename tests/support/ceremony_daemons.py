"""Daemons that hold a ceremony over mutual TLS, each on a port of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from typing import Any

from support.ceremony import Cast
from support.coordination import make_authority, read_real_time
from vetonet.crypto.rng import SeededRng
from vetonet.party.ceremony import CEREMONY_POLICY, CeremonyDriver, Keeping, serve_desk
from vetonet.party.peer import connect_peers
from vetonet.voting.ceremony_state import Finish
from vetonet.voting.ceremony_transcript import CeremonyAbortedError
from vetonet.wire.identity import Role
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

LOOPBACK = "127.0.0.1:0"
PATIENCE_S = 30.0
LATE_S = 0.4
CREDENTIALS: dict[tuple[Role, str], Credential] = {}


def play_out(scenario: Coroutine[Any, Any, None]) -> None:
    """The scenario happens, and does not hang."""

    async def within() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario

    asyncio.run(within())


def credential_of(name: str, role: Role = Role.PARTY) -> Credential:
    """Return a certificate of one authority, the same each time."""
    if (role, name) not in CREDENTIALS:
        CREDENTIALS[role, name] = make_authority().issue(role, name, now=read_real_time())
    return CREDENTIALS[role, name]


def make_driver(
    cast: Cast,
    name: str,
    *,
    kind: type[CeremonyDriver] = CeremonyDriver,
    patience_ms: int = 20_000,
    keep: Keeping | None = None,
) -> CeremonyDriver:
    """Return a party's driver, with the key shares that it deals from."""
    return kind(
        cast.plan,
        name,
        cast.keys[name],
        deadline_ms=read_real_time() + patience_ms,
        rng=SeededRng(b"driver").spawn(name),
        clock=read_real_time,
        flush_s=0.5,
        key_shares=cast.list_key_shares(name),
        keep=keep,
    )


def reserve_address() -> str:
    """Return an address where nobody listens yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


async def serve_ceremony(driver: CeremonyDriver, address: str, name: str) -> BoundServer:
    """Return a running server of this one ceremony with this certificate; ``stop`` it when done."""
    plan = driver.plan
    return await serve_desk(
        driver,
        plan.party_ids,
        address,
        credential=credential_of(name),
        max_message_bytes=plan.max_message_bytes,
    )


async def take_part(
    driver: CeremonyDriver, addresses: Mapping[str, str], *, wait_s: float = 0.0
) -> Finish | CeremonyAbortedError:
    """Return how the ceremony ended for one daemon that came up after ``wait_s``."""
    await asyncio.sleep(wait_s)
    name = driver.party_id
    bound = await serve_ceremony(driver, addresses[name], name)
    others = {other: address for other, address in addresses.items() if other != name}
    rng = SeededRng(b"calls").spawn(name)
    peers = connect_peers(others, credential=credential_of(name), rng=rng, policy=CEREMONY_POLICY)
    try:
        return await driver.run(peers)
    except CeremonyAbortedError as error:
        return error
    finally:
        await bound.stop(1.0)
        for peer in peers.values():
            await peer.close()
