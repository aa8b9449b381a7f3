"""A council at work: a coordinator on a port, a daemon with a server for each party, one clock for all.

Everything but certificates follows from a seed. Parties are driven step by step; nothing happens by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.coordination import ManualClock, read_real_time
from support.witnesses import Witnesses, make_witnesses, publish_by
from support.world import Council, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.errors import VetonetError
from vetonet.party.calls import CallPolicy
from vetonet.party.client import CoordinatorClient
from vetonet.party.daemon import PartyDaemon
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import PartyMemory
from vetonet.party.peer import PeerClient, connect_peers, serve_party
from vetonet.party.views import CommitmentsAsked, LoggedLicence, PartyStatus, SigningAsked, WatchEvent
from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.service.coordinator import Coordinator
from vetonet.service.server import CoordinatorServer, ServerSettings
from vetonet.storage import AsyncJournal, MemoryJournal
from vetonet.voting.state import Phase
from vetonet.wire.convert import proposal_name
from vetonet.wire.identity import Role
from vetonet.wire.pki import Authority, Credential, generate_authority
from vetonet.wire.serving import BoundServer

POLICY = CallPolicy(deadline_s=5.0, attempts=2, first_pause_s=0.01)
TRUST_DOMAIN = "test.vetonet"


@dataclass(slots=True)
class Assembly:
    """Everybody, and how to reach them.

    Attributes:
        coordinators: one, or several that share the log's key and disagree.
        witnesses: those that all coordinators share, by party id; none where each has colluding ones.
        home: which coordinator a party talks to, by party id; the first unless set.
    """

    council: Council
    clock: ManualClock
    authority: Authority | None
    coordinators: list[CoordinatorServer]
    witnesses: Witnesses
    home: Mapping[str, int]
    daemons: dict[str, PartyDaemon] = field(default_factory=dict)
    clients: dict[str, CoordinatorClient] = field(default_factory=dict)
    peers: dict[str, dict[str, PeerClient]] = field(default_factory=dict)
    servers: dict[str, BoundServer] = field(default_factory=dict)
    journals: dict[str, MemoryJournal] = field(default_factory=dict)

    @property
    def coordinator(self) -> Coordinator:
        """The only coordinator."""
        return self.coordinators[0].coordinator

    @property
    def operator(self) -> CoordinatorClient:
        """The client of ``op1``."""
        return self.clients["op1"]

    def credential(self, role: Role, name: str) -> Credential | None:
        """A fresh certificate, or None in plaintext."""
        if self.authority is None:
            return None
        return self.authority.issue(role, name, now=read_real_time())

    def connect(self, role: Role, name: str, home: int = 0) -> CoordinatorClient:
        """A new client of a coordinator."""
        mine, its = self.credential(role, name), self.credential(Role.COORDINATOR, "coordinator")
        return CoordinatorClient.connect(
            self.coordinators[home].address,
            treaty=self.council.treaty,
            credential=mine,
            server=None if its is None else its.identity,
            rng=SeededRng(f"client {name}".encode()),
            policy=POLICY,
        )

    def make_daemon(self, party_id: str, seed: str = "first", *, forgets: bool = False) -> PartyDaemon:
        """A daemon just started, in place of the one before, with its journal unless it is lost."""
        if forgets:
            self.journals.pop(party_id, None)
        journal = self.journals.setdefault(party_id, MemoryJournal())
        self.daemons[party_id] = PartyDaemon(
            secrets=PartySecrets(
                party_id=party_id,
                statement_key=self.council.party_keys[party_id],
                key_shares=self.council.key_shares[party_id],
            ),
            treaty=self.council.treaty,
            coordinator=self.clients[party_id],
            memory=PartyMemory.open(journal),
            peers=self.peers.setdefault(party_id, {}),
            clock=self.clock,
            rng=SeededRng(f"{seed} {party_id}".encode()),
        )
        return self.daemons[party_id]

    async def propose(self, home: int = 0, **changes: Any) -> Signed[Proposal]:
        """A logged proposal of ``op1``."""
        proposal = self.council.sign_proposal(**changes)
        await self.clients["op1" if home == 0 else f"op1 at {home}"].create_proposal(proposal.data)
        return proposal

    async def vote(
        self, proposal: Signed[Proposal], party_ids: Iterable[str], choice: Choice = Choice.GRANT
    ) -> None:
        """These parties vote alike."""
        reason = VetoReason.SCALE if choice is Choice.VETO else None
        for party_id in party_ids:
            await self.daemons[party_id].vote(proposal.payload_digest, choice, reason)

    async def close_vote(self, proposal: Signed[Proposal]) -> Phase:
        """The window is over, and the coordinator has noticed."""
        self.clock.now = max(self.clock.now, proposal.statement.closes_ms)
        for server in self.coordinators:
            await server.coordinator.tick()
        return self.phase(proposal)

    async def pass_deadline(self, proposal: Signed[Proposal]) -> Phase:
        """The signing round is over, and the coordinator has noticed."""
        self.clock.now += self.council.treaty.statement.signing_ms
        return await self.close_vote(proposal)

    def phase(self, proposal: Signed[Proposal]) -> Phase:
        """Where the coordinator says that the proposal stands."""
        return self.coordinator.view.find_vote(proposal.payload_digest[:16]).phase

    async def see(self, proposal: Signed[Proposal], party_id: str = "p1") -> list[WatchEvent]:
        """What a new watcher is told before the first heartbeat."""
        name = proposal_name(proposal.payload_digest)
        events: list[WatchEvent] = []
        async with contextlib.aclosing(self.clients[party_id].watch(name)) as watch:
            async for event in watch:
                if events and event.sequence == events[-1].sequence:
                    break
                events.append(event)
        return events

    async def committing(self, proposal: Signed[Proposal]) -> CommitmentsAsked:
        """The present request for commitments, as it comes over the wire."""
        (asked,) = [event for event in await self.see(proposal) if isinstance(event, CommitmentsAsked)]
        return asked

    async def commit(self, asked: CommitmentsAsked, party_ids: Sequence[str] | None = None) -> dict[str, str]:
        """The signers commit in turn; return why each that did not did not."""
        refusals = {}
        for party_id in asked.party_ids if party_ids is None else party_ids:
            try:
                await self.daemons[party_id].commit(asked)
            except VetonetError as error:
                refusals[party_id] = str(error)
        return refusals

    async def renew(self, proposal: Signed[Proposal]) -> dict[str, str]:
        """The coordinator looks at the clock, and the signers make whatever lease is due."""
        await self.coordinator.tick()
        return await self.sign(proposal)

    async def sign(self, proposal: Signed[Proposal]) -> dict[str, str]:
        """All that are asked commit and then sign; return why each that did not did not."""
        asking = [event for event in await self.see(proposal) if isinstance(event, CommitmentsAsked)]
        refusals = await self.commit(asking[0]) if asking else {}
        asked = [event for event in await self.see(proposal) if isinstance(event, SigningAsked)]
        return refusals | (await self.answer(asked[0]) if asked else {})

    async def gather(
        self, proposal: Signed[Proposal], party_ids: Sequence[str] | None = None
    ) -> SigningAsked:
        """All that are asked commit, or these; return the request for shares that follows."""
        refusals = await self.commit(await self.committing(proposal), party_ids)
        assert refusals == {}
        return await self.asked(proposal)

    async def asked(self, proposal: Signed[Proposal]) -> SigningAsked:
        """The present request for shares, as it comes over the wire."""
        (asked,) = [event for event in await self.see(proposal) if isinstance(event, SigningAsked)]
        return asked

    async def answer(self, asked: SigningAsked, party_ids: Sequence[str] | None = None) -> dict[str, str]:
        """The signers answer in turn; return why each that did not give a share did not."""
        refusals = {}
        for party_id in asked.signers if party_ids is None else party_ids:
            try:
                await self.daemons[party_id].answer(asked)
            except VetonetError as error:
                refusals[party_id] = str(error)
        return refusals

    async def licence(self, proposal: Signed[Proposal]) -> LoggedLicence:
        """The licence as the operator gets it, verified."""
        return await self.operator.get_licence(proposal.payload_digest)


@contextlib.asynccontextmanager
async def assemble(
    n: int = 3,
    min_grants: int = 2,
    veto_holders: Iterable[str] = (),
    *,
    kinds: Sequence[type[Coordinator]] = (Coordinator,),
    home: Mapping[str, int] | None = None,
    has_certificates: bool = False,
    is_witnessed: bool = False,
    **changes: Any,
) -> AsyncGenerator[Assembly, None]:
    """Within, a council of ``n`` is at work over gRPC on loopback.

    Args:
        n, min_grants, veto_holders: as ``make_council``.
        kinds: a class of coordinator for each that is started.
        home: which of them a party talks to, where it is not the first.
        is_witnessed: whether all coordinators have to convince the same, honest witnesses.
        has_certificates: whether connections are mutual TLS or plaintext.
        **changes: as ``make_council``.
    """
    council, clock = make_council(n, min_grants, veto_holders, **changes), ManualClock()
    authority = generate_authority(TRUST_DOMAIN, now=read_real_time()) if has_certificates else None
    hall = Assembly(
        council=council,
        clock=clock,
        authority=authority,
        coordinators=[],
        witnesses=make_witnesses(council, clock) if is_witnessed else {},
        home=home or {},
    )
    async with contextlib.AsyncExitStack() as stack:
        for kind in kinds:
            hall.coordinators.append(await stack.enter_async_context(_serve(hall, kind)))
        for party_id in council.party_ids:
            hall.clients[party_id] = hall.connect(Role.PARTY, party_id, hall.home.get(party_id, 0))
            stack.push_async_callback(hall.clients[party_id].close)
        for place in range(len(kinds)):
            name = "op1" if place == 0 else f"op1 at {place}"
            hall.clients[name] = hall.connect(Role.OPERATOR, "op1", place)
            stack.push_async_callback(hall.clients[name].close)
        await _introduce(hall, stack)
        yield hall


@contextlib.asynccontextmanager
async def _serve(hall: Assembly, kind: type[Coordinator]) -> AsyncGenerator[CoordinatorServer, None]:
    async with AsyncJournal(MemoryJournal()) as journal:
        coordinator = await kind.start(
            journal,
            treaty_bytes=hall.council.treaty.data,
            log_key=hall.council.log_key,
            publishing=publish_by(hall.witnesses or make_witnesses(hall.council, hall.clock)),
            clock=hall.clock,
        )
        settings = ServerSettings(
            address="127.0.0.1:0",
            credential=hall.credential(Role.COORDINATOR, "coordinator"),
            heartbeat_s=0.02,
            tick_s=None,
        )
        server = await CoordinatorServer.start(coordinator, settings)
        try:
            yield server
        finally:
            await server.stop(0)
            await coordinator.close()


async def _introduce(hall: Assembly, stack: contextlib.AsyncExitStack) -> None:
    """Every party's daemon is served, and knows every other's address."""
    treaty = hall.council.treaty.statement
    for party_id in hall.council.party_ids:
        credential = hall.credential(Role.PARTY, party_id)
        desk = _Desk(hall, party_id)
        hall.servers[party_id] = await serve_party(desk, treaty, "127.0.0.1:0", credential=credential)
        stack.push_async_callback(hall.servers[party_id].stop, 0)
    addresses = {party_id: server.address for party_id, server in hall.servers.items()}
    for party_id in hall.council.party_ids:
        others = {name: address for name, address in addresses.items() if name != party_id}
        credential = hall.credential(Role.PARTY, party_id)
        hall.peers[party_id] = connect_peers(others, credential=credential, rng=SeededRng(party_id.encode()))
        for peer in hall.peers[party_id].values():
            stack.push_async_callback(peer.close)
        hall.make_daemon(party_id)


@dataclass(slots=True)
class _Desk:
    """Whatever daemon a party has at present, so that it can be replaced behind its server."""

    hall: Assembly
    party_id: str

    def receive_ballot(self, data: bytes) -> None:
        self.hall.daemons[self.party_id].receive_ballot(data)

    def get_status(self) -> PartyStatus:
        return self.hall.daemons[self.party_id].get_status()
