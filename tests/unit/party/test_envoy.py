"""A party with nobody at the keyboard: one ballot whatever happens, and orders from its own party alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from support.coordination import ManualClock, read_real_time
from support.world import NOW_MS, Council, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.errors import EpochError, RefusedError, UnexpectedEventError, VetonetError
from vetonet.party.daemon import PartyDaemon
from vetonet.party.envoy import Envoy
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import PartyMemory
from vetonet.party.order_client import OrderClient
from vetonet.party.peer import serve_party
from vetonet.party.rules_file import parse_rules
from vetonet.party.views import CommitmentsAsked, CulpritsNamed, Heartbeat, ProposalView, WatchEvent
from vetonet.policy.ballot import VetoReason, open_ballot
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Standing
from vetonet.policy.treaty import Treaty
from vetonet.storage import MemoryJournal
from vetonet.tlog.log import Log
from vetonet.tlog.proof import LogProof, compute_log_proof
from vetonet.units import MS_PER_HOUR
from vetonet.voting.signing import GroupCommitments, GroupShare
from vetonet.wire.convert import proposal_name
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role
from vetonet.wire.pki import Authority, generate_authority
from vetonet.wire.status import RpcError

GRANTING = 'default = "ask"\n[[rule]]\nwhen = { below-flop = "1e25" }\ndecide = "grant"'
ASKING = 'default = "ask"'


@dataclass(slots=True)
class Bench:
    """A coordinator over a log in memory; ``is_deaf`` loses ballots, as a kill in between does."""

    council: Council
    log: Log
    clock: ManualClock
    is_deaf: bool = False
    heard: list[bytes] = field(default_factory=list)
    news: list[WatchEvent] = field(default_factory=list)
    committed: list[tuple[str, int]] = field(default_factory=list)

    def adopt(self, treaty: Signed[Treaty]) -> None:
        raise AssertionError(f"no treaty {treaty.statement.epoch} is ever amended here")

    async def get_checkpoint(self) -> bytes:
        return self.council.sign_head(self.log, timestamp_s=self.clock.now // 1000)

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        return tuple(self.log.leaf(index) for index in range(start, end))

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> LogProof:
        del proposal_digest
        self.heard.append(statement)
        if self.is_deaf:
            raise RpcError("nobody is there")
        place = self.log.append(statement)
        return compute_log_proof(self.log, place, await self.get_checkpoint())

    async def submit_commitments(
        self, name: str, lease: int, commitments: Sequence[GroupCommitments]
    ) -> ProposalView:
        assert commitments
        self.committed.append((name, lease))
        return None  # type: ignore[return-value]  # what it answers is nothing that a party believes

    async def submit_shares(
        self, name: str, lease: int, attempt: int, shares: Sequence[GroupShare]
    ) -> ProposalView:
        raise AssertionError(f"nobody asked for {lease} of {name}, {attempt}: {shares}")

    async def watch(self, name: str = "", *, resume_sequence: int = 0) -> AsyncGenerator[WatchEvent, None]:
        del name, resume_sequence
        for event in (Heartbeat(sequence=1), *self.news):
            yield event
        raise RpcError("the stream broke")


class EnoughError(Exception):
    """The envoy looked as often as the test wanted."""


@dataclass(slots=True)
class World:
    council: Council = field(default_factory=make_council)
    clock: ManualClock = field(default_factory=ManualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    lines: list[str] = field(default_factory=list)
    looks: int = 0
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        self.clock.now = NOW_MS
        origin = self.council.treaty.statement.log_origin
        self.bench = Bench(self.council, Log(origin, [self.council.treaty.data]), self.clock)

    def propose(self) -> bytes:
        proposal = self.council.sign_proposal()
        self.bench.log.append(proposal.data)
        return proposal.payload_digest

    def start(self, rules: str = GRANTING) -> Envoy:
        """Return an envoy just started on the same journal; whatever ran before is gone."""
        daemon = PartyDaemon(
            secrets=PartySecrets(
                party_id="p1",
                statement_key=self.council.party_keys["p1"],
                key_shares=self.council.key_shares["p1"],
            ),
            treaty=self.council.treaty,
            coordinator=self.bench,
            memory=PartyMemory.open(self.journal),
            peers={},
            clock=self.clock,
            rng=SeededRng(b"envoy"),
        )
        return Envoy(
            daemon,
            self.bench,
            parse_rules(rules, "rules"),
            clock=self.clock,
            say=self.lines.append,
            sleep=self._sleep,
        )

    async def look(self, envoy: Envoy, times: int = 1) -> None:
        """The envoy followed the news so many times."""
        self.looks = times
        with pytest.raises(EnoughError):
            await envoy.run()

    async def _sleep(self, duration_s: float) -> None:
        assert duration_s > 0
        self.clock.now += int(duration_s * 1_000)
        self.looks -= 1
        if self.looks <= 0:
            raise EnoughError


def said(world: World, word: str) -> int:
    return sum(word in line for line in world.lines)


def test_an_open_vote_gets_the_ballot_of_the_rules_once() -> None:
    world = World()
    world.propose()
    asyncio.run(world.look(world.start(), 4))
    assert len(world.bench.heard) == 1
    assert open_ballot(world.bench.heard[0], world.council.treaty).statement.choice is Choice.GRANT
    assert (said(world, "voted grant by its rules"), said(world, "rule 1 holds")) == (1, 1)


def test_what_the_rules_leave_open_waits_for_a_person() -> None:
    async def main() -> None:
        world = World()
        digest, envoy = world.propose(), world.start(ASKING)
        await world.look(envoy, 3)
        assert (world.bench.heard, said(world, "ask: no rule holds")) == ([], 1)
        done = await envoy.cast_vote(proposal_name(digest), Choice.VETO, VetoReason.SCALE)
        assert done.leaf_index == 2
        await world.look(envoy, 2)
        assert len(world.bench.heard) == 1

    asyncio.run(main())


def test_a_ballot_that_was_signed_before_a_kill_goes_out_again_and_no_other() -> None:
    """S7: between the journal and the log lies a kill; the rules have changed since."""
    world = World()
    world.propose()
    world.bench.is_deaf = True
    asyncio.run(world.look(world.start(GRANTING), 2))
    first = set(world.bench.heard)
    world.bench.is_deaf = False
    world.clock.now += 1_000
    vetoing = 'default = "veto"\ndefault-reason = "other"'
    asyncio.run(world.look(world.start(vetoing), 3))
    assert set(world.bench.heard) == first
    assert len(first) == 1
    assert world.bench.log.tree_size == 3
    assert said(world, "signed before, is now in leaf 2") == 1


def test_a_ballot_that_never_reached_the_log_is_not_sent_after_the_close() -> None:
    world = World()
    world.propose()
    world.bench.is_deaf = True
    asyncio.run(world.look(world.start(), 1))
    sent = len(world.bench.heard)
    world.clock.now = NOW_MS + MS_PER_HOUR
    world.bench.is_deaf = False
    asyncio.run(world.look(world.start(), 2))
    assert len(world.bench.heard) == sent


def test_a_person_cannot_say_another_word_than_the_one_that_was_signed() -> None:
    async def main() -> None:
        world = World()
        digest, envoy = world.propose(), world.start()
        world.bench.is_deaf = True
        await world.look(envoy)
        world.bench.is_deaf = False
        with pytest.raises(RefusedError, match="already signed a ballot"):
            await envoy.cast_vote(proposal_name(digest), Choice.VETO, VetoReason.OTHER)

    asyncio.run(main())


def test_an_order_about_nothing_in_the_log_is_refused() -> None:
    async def main() -> None:
        world = World()
        envoy = world.start(ASKING)
        with pytest.raises(RefusedError, match="expected one proposal"):
            await envoy.cast_vote("proposals/" + "0" * 32, Choice.GRANT, None)
        name = proposal_name(world.propose())
        with pytest.raises(VetonetError, match="no licence"):
            await envoy.state_consent(name, Standing.WITHDRAWN, VetoReason.OTHER)

    asyncio.run(main())


def test_every_absence_of_the_coordinator_is_told_once_and_so_is_its_return() -> None:
    world = World()
    asyncio.run(world.look(world.start(), 3))
    assert said(world, "the coordinator is there again") == 2
    assert said(world, "the coordinator is away or refuses") == 3


def ask_to_commit(world: World, digest: bytes) -> CommitmentsAsked:
    return CommitmentsAsked(
        sequence=2,
        name=proposal_name(digest),
        lease=0,
        attempt=0,
        party_ids=("p1", "p2"),
        deadline_ms=world.clock.now + 60_000,
    )


def grant_and_wait(world: World, early_ms: int) -> bytes:
    """Two grants are in the log, and by the party's clock the vote closes in so long."""
    proposal = world.council.sign_proposal()
    grants = [world.council.sign_ballot(party, proposal).data for party in ("p1", "p2")]
    for leaf in (proposal.data, *grants):
        world.bench.log.append(leaf)
    world.clock.now = proposal.statement.closes_ms - early_ms
    return proposal.payload_digest


def test_a_request_that_comes_a_little_before_the_close_is_met_at_the_close_and_once() -> None:
    world = World()
    digest = grant_and_wait(world, 900)
    asked = ask_to_commit(world, digest)
    world.bench.news = [asked, asked]
    asyncio.run(world.look(world.start(ASKING), 2))
    assert world.bench.committed == [(proposal_name(digest), 0)]
    assert said(world, "refused") == 0


def test_a_request_that_comes_long_before_the_close_is_refused_and_told() -> None:
    world = World()
    world.bench.news = [ask_to_commit(world, grant_and_wait(world, 60_000))]
    asyncio.run(world.look(world.start(ASKING), 1))
    assert (world.bench.committed, said(world, "refused: no signature share: a quorum")) == ([], 1)


def test_a_request_that_is_for_others_is_nobodys_business_here() -> None:
    world = World()
    asked = ask_to_commit(world, grant_and_wait(world, 0))
    world.bench.news = [replace(asked, party_ids=("p2", "p3"))]
    asyncio.run(world.look(world.start(ASKING), 1))
    assert (world.bench.committed, said(world, "refused")) == ([], 0)


def test_a_culprit_is_named() -> None:
    world = World()
    name = proposal_name(world.propose())
    world.bench.news = [CulpritsNamed(sequence=2, name=name, party_ids=("p3",), reason="a bad share")]
    asyncio.run(world.look(world.start(ASKING), 1))
    assert f"{name}: the coordinator names p3: a bad share" in world.lines


async def order(authority: Authority, caller: str, envoy: Envoy, treaty: Council, *, takes: bool) -> None:
    """A caller with this certificate has p1's daemon vote."""
    mine = authority.issue(Role.PARTY, "p1", now=read_real_time())
    bound = await serve_party(
        envoy, treaty.treaty.statement, "127.0.0.1:0", credential=mine, orders=envoy if takes else None
    )
    client = OrderClient.connect(
        bound.address,
        party_id="p1",
        credential=authority.issue(Role.PARTY, caller, now=read_real_time()),
        rng=SeededRng(b"order"),
    )
    try:
        name = envoy.get_status().proposals[0].name
        await client.cast_vote(name, Choice.VETO, VetoReason.SCALE)
    finally:
        await client.close()
        await bound.stop(0)


@pytest.mark.parametrize(
    ("caller", "takes", "error"),
    [("p2", True, WrongIdentityError), ("p1", False, UnexpectedEventError)],
)
def test_nobody_but_the_party_itself_orders_its_daemon(
    caller: str,
    takes: bool,  # noqa: FBT001 - pytest passes it by name
    error: type[VetonetError],
) -> None:
    """VN-13.4."""

    async def main() -> None:
        world = World()
        world.propose()
        envoy = world.start(ASKING)
        await world.look(envoy)
        with pytest.raises(error):
            await order(
                generate_authority("t", now=read_real_time()), caller, envoy, world.council, takes=takes
            )
        assert world.bench.heard == []

    asyncio.run(main())


def test_the_party_itself_orders_its_daemon() -> None:
    async def main() -> None:
        world = World()
        world.propose()
        envoy = world.start(ASKING)
        await world.look(envoy)
        await order(generate_authority("t", now=read_real_time()), "p1", envoy, world.council, takes=True)
        ballot = open_ballot(world.bench.heard[0], world.council.treaty).statement
        assert (ballot.choice, ballot.reason) == (Choice.VETO, VetoReason.SCALE)

    asyncio.run(main())


class NewsOfAnotherTreaty(Bench):
    """A coordinator that tells of a vote under a treaty that the client has not seen in force yet."""

    async def watch(self, name: str = "", *, resume_sequence: int = 0) -> AsyncGenerator[WatchEvent, None]:
        del name
        if resume_sequence < 0:
            yield Heartbeat(sequence=1)
        raise EpochError("a proposal under treaty 00, which this client does not know")


def test_news_under_a_treaty_that_is_not_known_yet_sends_the_daemon_to_the_log() -> None:
    # VN-16.8
    world = World()
    world.bench = NewsOfAnotherTreaty(world.council, world.bench.log, world.clock)
    world.propose()
    envoy = world.start(ASKING)
    assert envoy.get_status().proposals == ()
    with pytest.raises(EnoughError):
        asyncio.run(envoy.run())
    assert len(envoy.get_status().proposals) == 1
    assert not any("away" in line for line in world.lines)
