"""A coordinator that holds the log key wants two licences for one proposal; honest parties give it one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from support.coordination import ManualClock
from support.world import NOW_MS, Council, make_council
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, compute_signing_input
from vetonet.errors import RefusedError
from vetonet.party.daemon import PartyDaemon
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import PartyMemory
from vetonet.party.views import CommitmentsAsked, ProposalView, SigningAsked, WatchEvent
from vetonet.policy.ballot import VetoReason
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Treaty
from vetonet.storage import MemoryJournal
from vetonet.tlog.log import Log
from vetonet.tlog.proof import LogProof, compute_log_proof
from vetonet.units import MS_PER_HOUR, MS_PER_S
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.machine import derive
from vetonet.voting.signing import GroupCommitments, GroupSession, GroupShare
from vetonet.wire.convert import proposal_name

SIGNERS = ("p1", "p2")


@dataclass(slots=True)
class Schemer:
    """A coordinator over a log of its own making, which writes into it what it likes when it likes."""

    council: Council
    log: Log
    shares: list[GroupShare] = field(default_factory=list)
    commitments: dict[int, frost.SigningCommitments] = field(default_factory=dict)

    def adopt(self, treaty: Signed[Treaty]) -> None:
        raise AssertionError(f"no treaty {treaty.statement.epoch} is ever amended here")

    async def get_checkpoint(self) -> bytes:
        # As if the witnesses had cosigned it after the close (VN-7.9).
        return self.council.sign_head(self.log, timestamp_s=(NOW_MS + MS_PER_HOUR) // MS_PER_S)

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        return tuple(self.log.leaf(index) for index in range(start, end))

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> LogProof:
        del proposal_digest
        place = self.log.append(statement)
        return compute_log_proof(self.log, place, await self.get_checkpoint())

    async def submit_commitments(
        self, name: str, lease: int, commitments: Sequence[GroupCommitments]
    ) -> ProposalView:
        del name, lease
        self.commitments |= {int(entry.commitments.identifier): entry.commitments for entry in commitments}
        return None  # type: ignore[return-value]

    async def submit_shares(
        self, name: str, lease: int, attempt: int, shares: Sequence[GroupShare]
    ) -> ProposalView:
        del name, lease, attempt
        self.shares += shares
        return None  # type: ignore[return-value]  # what it answers is nothing that a party believes

    def watch(self, name: str = "", *, resume_sequence: int = 0) -> AsyncGenerator[WatchEvent, None]:
        raise AssertionError(f"nobody watches {name} from {resume_sequence}")

    def ask_to_commit(self, proposal: Signed[Proposal], attempt: int) -> CommitmentsAsked:
        """The request to commit to nonces."""
        return CommitmentsAsked(
            sequence=attempt,
            name=proposal_name(proposal.payload_digest),
            lease=0,
            attempt=attempt,
            party_ids=SIGNERS,
            deadline_ms=proposal.statement.closes_ms + 60_000,
        )

    def ask(self, proposal: Signed[Proposal], attempt: int) -> tuple[Licence, SigningAsked]:
        """What the log now gives, and the request to sign it under the newest commitments."""
        leaves = [(index, self.log.leaf(index)) for index in range(1, self.log.tree_size)]
        vote = read_leaves(Ledger(treaty=self.council.treaty), leaves).find(proposal.payload_digest)
        licence = derive(vote)
        assert isinstance(licence, Licence)
        package = frost.SigningPackage(
            message=compute_signing_input(licence, self.council.group.key),
            commitments=tuple(self.commitments[number] for number in sorted(self.commitments)),
        )
        asked = SigningAsked(
            sequence=attempt,
            name=proposal_name(proposal.payload_digest),
            lease=0,
            attempt=attempt,
            sessions=(GroupSession(group=0, package=package),),
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
    journals: dict[str, MemoryJournal]
    clock: ManualClock
    withheld: bytes

    async def sign(self, attempt: int) -> Licence:
        """All signers commit and sign what the log now gives."""
        for daemon in self.daemons.values():
            await daemon.commit(self.schemer.ask_to_commit(self.proposal, attempt))
        licence, asked = self.schemer.ask(self.proposal, attempt)
        for daemon in self.daemons.values():
            await daemon.answer(asked)
        return licence

    def restart(self, party_id: str) -> PartyDaemon:
        """The daemon is started anew with what it wrote down."""
        daemon = make_daemon(self.schemer, party_id, self.clock, self.journals[party_id])
        self.daemons[party_id] = daemon
        return daemon


def make_daemon(schemer: Schemer, party_id: str, clock: ManualClock, journal: MemoryJournal) -> PartyDaemon:
    council = schemer.council
    secrets = PartySecrets(
        party_id=party_id,
        statement_key=council.party_keys[party_id],
        key_shares=council.key_shares[party_id],
    )
    return PartyDaemon(
        secrets=secrets,
        treaty=council.treaty,
        coordinator=schemer,
        memory=PartyMemory.open(journal),
        peers={},
        clock=clock,
        rng=council.rng,
    )


async def begin_plot(clock: ManualClock, founded: Council | None = None) -> Plot:
    council = founded or make_council()
    proposal = council.sign_proposal()
    schemer = Schemer(council, Log(council.treaty.statement.log_origin, [council.treaty.data, proposal.data]))
    journals = {party: MemoryJournal() for party in SIGNERS}
    daemons = {party: make_daemon(schemer, party, clock, journals[party]) for party in SIGNERS}
    for daemon in daemons.values():
        await daemon.vote(proposal.payload_digest, Choice.GRANT)
    clock.now = proposal.statement.closes_ms
    return Plot(schemer, proposal, daemons, journals, clock, council.sign_ballot("p3", proposal).data)


def test_a_party_signs_one_licence_of_a_proposal_and_no_other() -> None:
    """VN-7.3: a ballot that the coordinator logs late makes another licence of the same votes."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        first = await plot.sign(0)
        plot.schemer.log.append(plot.withheld)
        for daemon in plot.daemons.values():
            await daemon.commit(plot.schemer.ask_to_commit(plot.proposal, 1))
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
            await plot.sign(attempt)
        assert len(plot.schemer.shares) == 2 * len(SIGNERS)
        assert len({entry.share.to_bytes() for entry in plot.schemer.shares}) == 2 * len(SIGNERS)

    asyncio.run(main())


def test_the_same_request_again_gets_the_same_shares() -> None:
    """VN-7.3: a lost answer can be asked for again, and costs no second use of the nonces."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        await plot.sign(0)
        _, asked = plot.schemer.ask(plot.proposal, 0)
        before = list(plot.schemer.shares)
        for daemon in plot.daemons.values():
            await daemon.answer(asked)
        assert plot.schemer.shares == before * 2

    asyncio.run(main())


def test_other_commitments_of_others_under_the_same_nonces_get_no_second_share() -> None:
    """VN-7.2: two packages with one nonce would give the key share away."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        await plot.sign(0)
        share = plot.schemer.council.key_shares["p2"][0].share
        _, plot.schemer.commitments[2] = frost.commit(share, plot.schemer.council.rng)
        for attempt in (0, 1):
            _, swapped = plot.schemer.ask(plot.proposal, attempt)
            with pytest.raises(RefusedError, match="gone or spent"):
                await plot.daemons["p1"].answer(swapped)

    asyncio.run(main())


def test_a_party_that_restarted_has_lost_its_nonces_and_commits_anew() -> None:
    """VN-7.2: nonces are in memory only."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        for daemon in plot.daemons.values():
            await daemon.commit(plot.schemer.ask_to_commit(plot.proposal, 0))
        _, asked = plot.schemer.ask(plot.proposal, 0)
        restarted = plot.restart("p1")
        with pytest.raises(RefusedError, match="gone or spent"):
            await restarted.answer(asked)
        await plot.sign(1)
        assert len(plot.schemer.shares) == len(SIGNERS)

    asyncio.run(main())


def test_a_restarted_party_refuses_a_second_different_licence_of_the_same_proposal() -> None:
    """VN-7.3: what it signed is on disk, so that killing it opens no way to a second licence."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        await plot.sign(0)
        plot.schemer.log.append(plot.withheld)
        restarted = plot.restart("p1")
        await restarted.commit(plot.schemer.ask_to_commit(plot.proposal, 1))
        _, again = plot.schemer.ask(plot.proposal, 1)
        with pytest.raises(RefusedError, match="another licence of proposal") as caught:
            await restarted.answer(again)
        assert caught.value.clause == "VN-7.3"
        assert len(plot.schemer.shares) == len(SIGNERS)

    asyncio.run(main())


def test_a_restarted_party_signs_the_same_licence_again() -> None:
    """VN-7.5: else a restart after the share would cost the licence."""

    async def main() -> None:
        plot = await begin_plot(ManualClock())
        first = await plot.sign(0)
        for party_id in SIGNERS:
            plot.restart(party_id)
        assert await plot.sign(1) == first

    asyncio.run(main())


def test_a_restarted_party_repeats_its_own_ballot_byte_for_byte() -> None:
    """VN-6.4: a ballot signed anew would be a second one, and name its author for equivocation."""

    async def main() -> None:
        clock = ManualClock()
        plot = await begin_plot(clock)
        logged = plot.schemer.log.leaf(2)
        plot.schemer.log = Log(
            plot.schemer.council.treaty.statement.log_origin,
            [plot.schemer.council.treaty.data, plot.proposal.data],
        )
        clock.now = plot.proposal.statement.opens_ms + 1000
        restarted = plot.restart("p1")
        for choice in (Choice.VETO, Choice.ABSTAIN):
            reason = VetoReason.SCALE if choice is Choice.VETO else None
            with pytest.raises(RefusedError, match="already signed a ballot") as caught:
                await restarted.vote(plot.proposal.payload_digest, choice, reason)
            assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-6.4")
        await restarted.vote(plot.proposal.payload_digest, Choice.GRANT)
        assert plot.schemer.log.leaf(2) == logged
        with pytest.raises(RefusedError, match=r"p1 voted grant|already signed"):
            await restarted.vote(plot.proposal.payload_digest, Choice.GRANT)

    asyncio.run(main())


def test_a_restarted_party_still_knows_a_veto_that_reached_it_directly() -> None:
    """VN-7.3, S2: the coordinator drops the veto and kills the signer; the veto binds all the same."""

    async def main() -> None:
        clock = ManualClock()
        council = make_council(3, 2, veto_holders=["p3"])
        plot = await begin_plot(clock, council)
        clock.now = plot.proposal.statement.opens_ms
        veto = council.sign_ballot("p3", plot.proposal, Choice.VETO)
        plot.daemons["p1"].receive_ballot(veto.data)
        restarted = plot.restart("p1")
        clock.now = plot.proposal.statement.closes_ms
        for _ in range(2):
            with pytest.raises(RefusedError, match="p3 vetoed") as caught:
                await restarted.commit(plot.schemer.ask_to_commit(plot.proposal, 0))
            assert caught.value.clause == "VN-7.3"
            restarted = plot.restart("p1")
        assert plot.schemer.commitments == {}

    asyncio.run(main())
