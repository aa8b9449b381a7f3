"""Where the demonstration plays: seven parties' daemons, an operator and a coordinator, over real gRPC.

Everything runs on loopback under mutual TLS, with the journal in a SQLite database. Only the clock is a
stage clock, so that hours pass in seconds and the same seed gives the same log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.attester.secure_element import SecureElement
from vetonet.cli.demo.turncoat import TurncoatCoordinator
from vetonet.cli.founding import ATTESTER_KIND, COORDINATOR_ID, Founded, found_treaty
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import RefusedError, VetonetError
from vetonet.party.client import CoordinatorClient
from vetonet.party.daemon import PartyDaemon
from vetonet.party.memory import PartyMemory
from vetonet.party.peer import connect_peers, serve_party
from vetonet.party.views import CommitmentsAsked, LoggedLease, LoggedLicence, PartyStatus, SigningAsked
from vetonet.party.witness import LocalWitness, Witness
from vetonet.policy.ballot import VetoReason
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.proposal import Proposal, open_proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.specification import Specification
from vetonet.policy.totals import Totals
from vetonet.service.bulletin import Asked
from vetonet.service.coordinator import Coordinator
from vetonet.service.publishing import Publishing
from vetonet.service.server import CoordinatorServer, ServerSettings
from vetonet.storage import AsyncJournal, MemoryJournal, SqliteJournal
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.witness import WitnessPort
from vetonet.units import MS_PER_HOUR, MS_PER_S, Clock, Flop, Milliseconds
from vetonet.voting.state import Phase
from vetonet.wire.convert import proposal_name
from vetonet.wire.errors import NotFoundError
from vetonet.wire.identity import Role

LOOPBACK: Final = "127.0.0.1:0"
OPERATOR_ID: Final = "meridian"
MAKER_ID: Final = "chipworks"
PARTY_IDS: Final = ("alder", "birch", "cedar", "elm", "hazel", "oak", "rowan")
VETO_IDS: Final = ("alder", "birch")
MIN_GRANTS: Final = 5
INTERVAL_MS: Final = 15 * 60_000
LEASE_MS: Final = MS_PER_HOUR
CHUNK_STATEMENTS: Final = 128

LICENSED_FLOP: Final = 10**21


def build_plan(cast: Cast) -> TreatyPlan:
    """Return the plan of the treaty, which names what vouches for the chips on stage."""
    return TreatyPlan.of_threshold(
        name="Compute Treaty of the Seven",
        party_ids=PARTY_IDS,
        min_grants=MIN_GRANTS,
        veto_ids=VETO_IDS,
        licensed_flop=cast.scale(LICENSED_FLOP),
        operators=((OPERATOR_ID, None),),
        maker_ids=(MAKER_ID,),
        attester_kinds=cast.attester_kinds,
        window_ms=MS_PER_HOUR,
        signing_ms=60_000,
        report_interval_ms=INTERVAL_MS,
        report_grace_ms=INTERVAL_MS,
        lease_ms=LEASE_MS,
        totals=cast.totals,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Which chips play.

    With fewer than the real run had, each does its own share of that run, and the totals that are declared
    and the one from which a licence is needed shrink in proportion: per chip nothing changes.

    Attributes:
        chips: how many.
        run_chips: how many the real run had.
        elements: a secure element for each, or none for keys in software.
        totals: whether reports say how much was computed.
        canary: a text in every field that is private, so that whoever looks can tell whether one got out.
    """

    chips: int
    run_chips: int
    elements: tuple[SecureElement, ...] = ()
    totals: Totals = Totals.CONFIDENTIAL
    canary: str = field(default="", repr=False)

    @property
    def is_confidential(self) -> bool:
        """Whether how much was computed stays with the operator."""
        return self.totals is Totals.CONFIDENTIAL

    @property
    def kind(self) -> str:
        """What vouches for the chips, as the treaty names it."""
        return self.elements[0].kind if self.elements else ATTESTER_KIND

    @property
    def attester_kinds(self) -> tuple[tuple[str, str], ...]:
        """What the plan says of the maker, where it is not the default."""
        return () if self.kind == ATTESTER_KIND else ((MAKER_ID, self.kind),)

    def scale(self, total_flop: Flop) -> Flop:
        """Return the part of the real run's total that is for these chips."""
        return total_flop * self.chips // self.run_chips


@dataclass(slots=True)
class StageClock:
    """Everybody's clock; it moves when the stage says so, and never back."""

    now: Milliseconds

    def __call__(self) -> Milliseconds:
        """Return the time, in milliseconds since the Unix epoch."""
        return self.now

    def advance_to(self, now: Milliseconds) -> None:
        """It is this late now, or later."""
        self.now = max(self.now, now)


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everybody who takes part, connected.

    Attributes:
        founded: the treaty and all keys.
        rng: for what the operator draws.
        cast: which chips play.
        coordinator: behind its server; nobody on stage touches it but through gRPC, save to corrupt it.
        operator: the operator's client.
        witnesses: the parties', by the name of their key.
        daemons: the parties', by id.
        specifications: the private ones of all that was proposed; the operator's alone.
    """

    founded: Founded
    clock: StageClock
    rng: SeededRng
    cast: Cast
    coordinator: TurncoatCoordinator
    operator: CoordinatorClient
    witnesses: Mapping[str, WitnessPort]
    daemons: dict[str, PartyDaemon] = field(default_factory=dict)
    specifications: list[Specification] = field(default_factory=list, repr=False)

    async def propose(self, proposal: Proposal) -> Signed[Proposal]:
        """Return the proposal after the coordinator logged it."""
        data = sign(proposal, self.founded.operators[proposal.operator_id])
        await self.operator.create_proposal(data)
        return open_proposal(data, self.founded.treaty)

    async def vote(self, proposal: Signed[Proposal], choices: Mapping[str, Choice]) -> Mapping[str, str]:
        """Let parties vote in turn; return why, for each whose ballot the coordinator did not log."""
        failed: dict[str, str] = {}
        for party_id, choice in choices.items():
            reason = VetoReason.SCALE if choice is Choice.VETO else None
            try:
                await self.daemons[party_id].vote(proposal.payload_digest, choice, reason)
            except VetonetError as error:
                failed[party_id] = str(error)
        return failed

    async def close(self, proposal: Signed[Proposal]) -> tuple[Decision, Mapping[str, str]]:
        """Let the window pass and the signers answer; return the outcome, and why shares were refused."""
        self.clock.advance_to(proposal.statement.closes_ms)
        await self.coordinator.tick()
        name, refused = proposal_name(proposal.payload_digest), dict[str, str]()
        answered = 0
        while (view := await self.operator.get_proposal(name)).phase is Phase.SIGNING:
            newest = self._find_newest_request(proposal.payload_digest)
            if newest > answered:
                await self._answer(await self._read_request(name, newest), refused)
                answered = newest
            else:  # nobody is asked for anything new: only time brings it on
                self.clock.advance_to(self.clock.now + self.founded.treaty.statement.signing_ms)
                await self.coordinator.tick()
        return view.decision, refused

    async def renew(self, proposal: Signed[Proposal]) -> LoggedLease | None:
        """Let whoever is asked sign the lease that is due; return the newest that the log holds, or None."""
        name, answered = proposal_name(proposal.payload_digest), 0
        await self.coordinator.tick()
        while (newest := self._find_newest_request(proposal.payload_digest)) > answered:
            await self._answer(await self._read_request(name, newest), {})
            answered = newest
        try:
            return await self.operator.get_lease(proposal.payload_digest)
        except NotFoundError:
            return None

    async def _answer(self, asked: CommitmentsAsked | SigningAsked, refused: dict[str, str]) -> None:
        for party_id in asked.party_ids if isinstance(asked, CommitmentsAsked) else asked.signers:
            daemon = self.daemons[party_id]
            try:
                await (daemon.commit(asked) if isinstance(asked, CommitmentsAsked) else daemon.answer(asked))
            except VetonetError as error:
                refused[party_id] = str(error)

    def _find_newest_request(self, digest: bytes) -> int:
        notices = self.coordinator.bulletin.list_after(0, digest)
        return max((notice.sequence for notice in notices if isinstance(notice.news, Asked)), default=0)

    async def _read_request(self, name: str, sequence: int) -> CommitmentsAsked | SigningAsked:
        """Return what signers are asked for, as anybody who watches is told."""
        async with contextlib.aclosing(self.operator.watch(name)) as events:
            async for event in events:
                if isinstance(event, CommitmentsAsked | SigningAsked) and event.sequence == sequence:
                    return event
        msg = f"the coordinator's watch on {name} ended"
        raise ValueError(msg)

    async def get_licence(self, proposal: Signed[Proposal]) -> LoggedLicence:
        """Return the licence that the log holds for a proposal."""
        return await self.operator.get_licence(proposal.payload_digest)

    async def publish(self, statements: Iterable[bytes]) -> None:
        """The log holds these statements of the operator's."""
        waiting = tuple(statements)
        for start in range(0, len(waiting), CHUNK_STATEMENTS):
            await self.operator.append_statements(waiting[start : start + CHUNK_STATEMENTS])


@contextlib.asynccontextmanager
async def set_up(seed: int, directory: Path, now: Milliseconds, cast: Cast) -> AsyncGenerator[Stage, None]:
    """Within, a founded treaty's council is connected and at work.

    Args:
        seed: everything but the TLS certificates follows from it.
        directory: for the journal.
        now: when the play begins.
        cast: which chips play.

    Raises:
        StorageError: the directory cannot hold a journal.
        ConfigError: no port is to be had.
    """
    rng = SeededRng(f"demo {seed}".encode())
    founded = await asyncio.to_thread(found_treaty, build_plan(cast), rng.spawn, _read_wall_clock())
    clock = StageClock(now)
    async with contextlib.AsyncExitStack() as stack:
        journal = await stack.enter_async_context(AsyncJournal(SqliteJournal.open(directory)))
        witnesses = _open_witnesses(founded, directory, clock, stack)
        coordinator = await TurncoatCoordinator.start(
            journal,
            treaty_bytes=founded.treaty.data,
            log_key=founded.log_key,
            publishing=Publishing(witnesses=witnesses, interval_s=0),
            clock=clock,
        )
        stack.push_async_callback(coordinator.close)
        server = await _serve(founded, coordinator)
        stack.push_async_callback(server.stop, 0)
        operator = _connect(founded, server, Role.OPERATOR, OPERATOR_ID, rng)
        stack.push_async_callback(operator.close)
        stage = Stage(
            founded=founded,
            clock=clock,
            rng=rng.spawn("play"),
            cast=cast,
            coordinator=coordinator,
            operator=operator,
            witnesses=witnesses,
        )
        await _introduce(stage, server, rng, stack)
        yield stage


def _open_witnesses(
    founded: Founded, directory: Path, clock: Clock, stack: contextlib.AsyncExitStack
) -> dict[str, WitnessPort]:
    """Return each party's witness, over a SQLite journal of its own, by the name of its key."""
    terms = founded.treaty.statement
    witnesses: dict[str, WitnessPort] = {}
    for party_id, key in founded.witnesses.items():
        folder = directory / "witnesses" / party_id
        folder.mkdir(parents=True)
        name = terms.find_witness_of(party_id).name
        journal = stack.enter_context(SqliteJournal.open(folder))
        logs = {terms.log_origin: (LogPolicy.under(terms).log_key,)}
        witness = Witness.open(journal, name=name, signing_key=key, logs=logs)
        witnesses[name] = LocalWitness(witness, clock_s=lambda: clock() // MS_PER_S)
    return witnesses


def _read_wall_clock() -> Milliseconds:
    """Return the real time: TLS checks it, whatever the stage clock says."""
    return time.time_ns() // 1_000_000


async def _serve(founded: Founded, coordinator: Coordinator) -> CoordinatorServer:
    credential = founded.credentials[Role.COORDINATOR, COORDINATOR_ID]
    settings = ServerSettings(address=LOOPBACK, credential=credential, tick_s=None)
    return await CoordinatorServer.start(coordinator, settings)


def _connect(
    founded: Founded, server: CoordinatorServer, role: Role, name: str, rng: SeededRng
) -> CoordinatorClient:
    return CoordinatorClient.connect(
        server.address,
        treaty=founded.treaty,
        credential=founded.credentials[role, name],
        server=founded.credentials[Role.COORDINATOR, COORDINATOR_ID].identity,
        rng=rng.spawn(f"client {name}"),
    )


@dataclass(slots=True)
class _FrontDesk:
    """A party's server needs a daemon, and a daemon needs to know where the others' servers are."""

    party_id: str
    daemon: PartyDaemon | None = None

    def receive_ballot(self, data: bytes) -> None:
        """Hand a peer's ballot to the daemon."""
        self._find_daemon().receive_ballot(data)

    def get_status(self) -> PartyStatus:
        """Return what the daemon knows."""
        return self._find_daemon().get_status()

    def _find_daemon(self) -> PartyDaemon:
        if self.daemon is None:
            msg = f"{self.party_id} is not at work yet"
            raise RefusedError(msg)
        return self.daemon


async def _introduce(
    stage: Stage, server: CoordinatorServer, rng: SeededRng, stack: contextlib.AsyncExitStack
) -> None:
    """Every party has a daemon behind a server of its own, and a connection to every other's."""
    founded = stage.founded
    desks = {party_id: _FrontDesk(party_id) for party_id in PARTY_IDS}
    addresses = {party_id: await _open_desk(founded, desk, stack) for party_id, desk in desks.items()}
    for party_id, desk in desks.items():
        client = _connect(founded, server, Role.PARTY, party_id, rng)
        stack.push_async_callback(client.close)
        peers = connect_peers(
            {name: address for name, address in addresses.items() if name != party_id},
            credential=founded.credentials[Role.PARTY, party_id],
            rng=rng.spawn(f"peers {party_id}"),
        )
        for peer in peers.values():
            stack.push_async_callback(peer.close)
        desk.daemon = stage.daemons[party_id] = PartyDaemon(
            secrets=founded.parties[party_id],
            treaty=founded.treaty,
            coordinator=client,
            memory=PartyMemory.open(MemoryJournal()),
            peers=peers,
            clock=stage.clock,
            rng=rng.spawn(f"daemon {party_id}"),
        )


async def _open_desk(founded: Founded, desk: _FrontDesk, stack: contextlib.AsyncExitStack) -> str:
    credential = founded.credentials[Role.PARTY, desk.party_id]
    bound = await serve_party(desk, founded.treaty.statement, LOOPBACK, credential=credential)
    stack.push_async_callback(bound.stop, 0)
    return bound.address
