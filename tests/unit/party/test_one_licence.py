"""A coordinator that holds the log key wants two licences for one proposal; honest parties give it one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from support.coordination import ManualClock
from support.world import Council, make_council
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError
from vetonet.party.daemon import PartyDaemon
from vetonet.party.keys import PartySecrets
from vetonet.party.views import ProposalView, SigningAsked, WatchEvent
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.tlog.log import Log
from vetonet.tlog.proof import LogProof, compute_log_proof
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.machine import build_package, derive
from vetonet.wire.convert import proposal_name

SIGNERS = ("p1", "p2")


@dataclass(slots=True)
class Schemer:
    """A coordinator over a log of its own making, which writes into it what it likes when it likes."""

    council: Council
    log: Log
    shares: list[frost.SignatureShare] = field(default_factory=list)

    async def get_checkpoint(self) -> bytes:
        return self.council.sign_head(self.log)

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        return tuple(self.log.leaf(index) for index in range(start, end))

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> LogProof:
        del proposal_digest
        place = self.log.append(statement)
        return compute_log_proof(self.log, place, await self.get_checkpoint())

    async def submit_share(self, name: str, attempt: int, share: frost.SignatureShare) -> ProposalView:
        del name, attempt
        self.shares.append(share)
        return None  # type: ignore[return-value]  # what it answers is nothing that a party believes

    def watch(self, name: str = "", *, resume_sequence: int = 0) -> AsyncGenerator[WatchEvent, None]:
        raise AssertionError(f"nobody watches {name} from {resume_sequence}")

    def ask(self, proposal: Signed[Proposal], attempt: int) -> tuple[Licence, SigningAsked]:
        """What the log now gives, and the request to sign it."""
        leaves = [(index, self.log.leaf(index)) for index in range(1, self.log.tree_size)]
        vote = read_leaves(Ledger(treaty=self.council.treaty), leaves).find(proposal.payload_digest)
        licence = derive(vote)
        asked = SigningAsked(
            sequence=attempt,
            name=proposal_name(proposal.payload_digest),
            attempt=attempt,
            package=build_package(vote, licence, SIGNERS, attempt),
            signers=SIGNERS,
            deadline_ms=proposal.statement.closes_ms + 60_000,
        )
        return licence, asked


@dataclass(frozen=True, slots=True)
class Plot:
    """Two parties granted, and a third one's ballot is withheld; the window is over."""

    schemer: Schemer
    proposal: Signed[Proposal]
    daemons: dict[str, PartyDaemon]
    withheld: bytes


def make_daemon(schemer: Schemer, party_id: str, clock: ManualClock) -> PartyDaemon:
    council = schemer.council
    secrets = PartySecrets(
        party_id=party_id,
        statement_key=council.party_keys[party_id],
        key_share=council.key_shares[party_id],
    )
    return PartyDaemon(
        secrets=secrets, treaty=council.treaty, coordinator=schemer, peers={}, clock=clock, rng=council.rng
    )


async def begin_plot(clock: ManualClock) -> Plot:
    council = make_council()
    proposal = council.sign_proposal()
    schemer = Schemer(council, Log(council.treaty.statement.log_origin, [council.treaty.data, proposal.data]))
    daemons = {party: make_daemon(schemer, party, clock) for party in SIGNERS}
    for daemon in daemons.values():
        await daemon.vote(proposal.payload_digest, Choice.GRANT)
    clock.now = proposal.statement.closes_ms
    return Plot(schemer, proposal, daemons, council.sign_ballot("p3", proposal).data)


def test_a_party_signs_one_licence_of_a_proposal_and_no_other() -> None:
    """VN-7.3: a ballot that the coordinator logs late makes another licence of the same votes."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        first, asked = plot.schemer.ask(plot.proposal, 0)
        for daemon in plot.daemons.values():
            await daemon.answer(asked)
        plot.schemer.log.append(plot.withheld)
        second, again = plot.schemer.ask(plot.proposal, 1)
        assert (first.licence_id, second.licence_id) == (3, 4)
        for daemon in plot.daemons.values():
            with pytest.raises(RefusedError, match="another licence of proposal"):
                await daemon.answer(again)
        assert len(plot.schemer.shares) == len(SIGNERS)

    asyncio.run(main())


def test_the_same_licence_is_signed_in_a_further_attempt() -> None:
    async def main() -> None:
        plot = await begin_plot(ManualClock())
        for attempt in range(2):
            _, asked = plot.schemer.ask(plot.proposal, attempt)
            for daemon in plot.daemons.values():
                await daemon.answer(asked)
        assert len(plot.schemer.shares) == 2 * len(SIGNERS)

    asyncio.run(main())


def test_a_party_that_forgot_what_it_signed_has_lost_the_nonces_too() -> None:
    """VN-7.3: a restart opens no way to a second licence, and the window for a second grant is over."""

    async def main() -> None:
        clock = ManualClock()
        plot = await begin_plot(clock)
        _, asked = plot.schemer.ask(plot.proposal, 0)
        await plot.daemons["p1"].answer(asked)
        plot.schemer.log.append(plot.withheld)
        _, again = plot.schemer.ask(plot.proposal, 1)
        restarted = make_daemon(plot.schemer, "p1", clock)
        with pytest.raises(RefusedError, match="are gone"):
            await restarted.answer(again)

    asyncio.run(main())
