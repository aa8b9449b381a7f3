"""A party's daemon for the length of one command: what acts for a party that keeps none at work."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from vetonet.cli.exits import Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.output import note
from vetonet.cli.parameters import parse_address, show
from vetonet.cli.session import read_clock

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.peer import PeerClient


def parse_peers(texts: tuple[str, ...], member: Member) -> dict[str, str]:
    """Return where other parties' daemons are, by party id.

    Raises:
        Failure: one is not ``ID=HOST:PORT`` of another party.
    """
    roster = {party.party_id for party in member.treaty.statement.parties}
    peers = {}
    for text in texts:
        party_id, _, address = text.partition("=")
        if party_id not in roster - {member.name}:
            others = ", ".join(sorted(roster - {member.name}))
            raise Failure(f"--peer: expected ID=HOST:PORT of another party ({others}), got {show(text)}")
        try:
            peers[party_id] = parse_address(address)
        except ValueError as error:
            raise Failure(f"--peer {party_id}: {error}") from error
    return peers


async def start_daemon(
    member: Member,
    client: CoordinatorClient,
    stack: AsyncExitStack,
    *,
    data: Path,
    peers: Mapping[str, str],
    listen: str | None = None,
    is_insecure: bool = False,
) -> PartyDaemon:
    """Return the party's daemon, which goes on from its journal; the stack closes what it needs.

    Args:
        member: a party with its secrets.
        client: of the coordinator.
        stack: open until the command ends.
        data: where the journal is.
        peers: where other parties' daemons are.
        listen: where to take ballots from them, or None.
        is_insecure: no certificates.

    Raises:
        StorageError: another process is at the journal, or it cannot be read.
        ConfigError: an address is not usable.
    """
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.memory import PartyMemory
    from vetonet.party.peer import connect_peers, serve_party
    from vetonet.storage import SqliteJournal

    if member.secrets is None:
        raise ValueError("a party without secrets")
    make_folder(data, mode=PRIVATE_FOLDER_MODE)
    credential = None if is_insecure else member.credential
    clients = connect_peers(peers, credential=credential, rng=secrets.token_bytes)
    stack.push_async_callback(_close, clients.values())
    daemon = PartyDaemon(
        secrets=member.secrets,
        treaty=member.treaty,
        coordinator=client,
        memory=PartyMemory.open(stack.enter_context(SqliteJournal.open(data))),
        peers=clients,
        clock=read_clock,
        rng=secrets.token_bytes,
    )
    if listen is not None:
        bound = await serve_party(daemon, member.treaty.statement, listen, credential=credential)
        stack.push_async_callback(bound.stop, 1.0)
        note(f"taking ballots of other parties at {bound.address}")
    return daemon


async def _close(clients: Iterable[PeerClient]) -> None:
    for peer in clients:
        await peer.close()
