"""A coordinator that has lost its quorum of witnesses takes everything in and lets nothing out (VN-11.6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from support.coordination import CLOSE_MS, ManualClock, name_of, run_coordinator
from support.signers import commit, round_of, submit
from support.witnesses import Witnesses, make_witnesses, publish_by
from support.world import Council, make_council
from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError, WitnessQuorumError
from vetonet.policy.proposal import Proposal
from vetonet.service.bulletin import Changed
from vetonet.service.coordinator import Coordinator
from vetonet.service.log_reading import CoordinatorLogReader
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.policy import CosignedCheckpoint
from vetonet.tlog.proof import verify_log_proof
from vetonet.voting.state import Phase, Voting
from vetonet.wire.errors import HttpError

Scene = Callable[[Coordinator, Council, ManualClock, Witnesses], Awaitable[None]]


def play(scene: Scene, journal: MemoryJournal | None = None, witnesses: Witnesses | None = None) -> None:
    """Run a scene with a coordinator that does not wait long for its quorum."""
    council, clock = make_council(), ManualClock()
    asked = witnesses or make_witnesses(council, clock)

    async def main() -> None:
        publishing = replace(publish_by(asked), deadline_s=0.05, patience_s=0.01)
        async with run_coordinator(council, journal or MemoryJournal(), clock, publishing) as coordinator:
            await scene(coordinator, council, clock, asked)

    asyncio.run(main())


def cut_off(witnesses: Witnesses, *, left: int = 0) -> None:
    """All witnesses but so many are away."""
    for number, witness in enumerate(witnesses.values()):
        witness.failure = HttpError("away") if number >= left else None


async def begin_signing(coordinator: Coordinator, council: Council, clock: ManualClock) -> Signed[Proposal]:
    """Bring a proposal into the signing phase."""
    proposal = council.sign_proposal()
    await coordinator.create_proposal(proposal.data, request_id="r0", caller=None)
    for party_id in ("p1", "p2", "p3"):
        ballot = council.sign_ballot(party_id, proposal)
        await coordinator.cast_ballot(name_of(proposal), ballot.data, request_id=party_id, caller=None)
    clock.now = CLOSE_MS
    await coordinator.tick()
    return proposal


async def sign(coordinator: Coordinator, council: Council, vote: Voting) -> None:
    """Two parties commit and hand in the shares that they are asked for."""
    under_way = await commit(coordinator, council, vote, "p1", "p2")
    for party_id in round_of(under_way).signers:
        await submit(coordinator, council, party_id, under_way)


def test_a_licence_leaves_with_its_quorum_and_not_before() -> None:
    async def scene(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        proposal = await begin_signing(coordinator, council, clock)
        name, view = name_of(proposal), coordinator.view
        before, seen = view.published_size, coordinator.bulletin.last_sequence
        cut_off(witnesses, left=1)  # one short of the quorum
        with pytest.raises(WitnessQuorumError):
            await sign(coordinator, council, view.find_vote(name))
        vote = view.find_vote(name)
        assert vote.phase is Phase.LICENSED  # it is logged, and will be found after a restart
        licence_leaf = view.find_licence_leaf(vote)
        assert licence_leaf is not None

        # Nothing of it leaves, by whatever way.
        assert (view.as_published(vote).phase, view.as_published(vote).licence) == (Phase.SIGNING, None)
        assert view.published_size == before == licence_leaf
        assert len(view.list_leaves(0, limit=100, max_bytes=10**6)) == before
        for ask in (coordinator.get_licence(name), coordinator.prove(licence_leaf)):
            with pytest.raises(WitnessQuorumError):
                await ask
        with pytest.raises(RefusedError):
            view.prove_inclusion(licence_leaf, licence_leaf + 1)

        cut_off(witnesses, left=len(witnesses))
        await coordinator.publisher.wait_for(licence_leaf + 1, 10)
        licence, proof = await coordinator.get_licence(name)
        assert verify_log_proof(licence.data, proof, council.log_policy).checkpoint.tree_size > licence_leaf
        assert view.as_published(vote).phase is Phase.LICENSED
        told = [
            notice for notice in coordinator.bulletin.list_after(seen) if isinstance(notice.news, Changed)
        ]
        assert told
        assert told[-1].proposal_digest == proposal.payload_digest

    play(scene)


def test_watchers_learn_of_a_licence_once_it_is_published() -> None:
    async def scene(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        proposal = await begin_signing(coordinator, council, clock)
        cut_off(witnesses)
        with pytest.raises(WitnessQuorumError):
            await sign(coordinator, council, coordinator.view.find_vote(name_of(proposal)))
        seen = coordinator.bulletin.last_sequence
        cut_off(witnesses, left=len(witnesses))
        await asyncio.wait_for(coordinator.bulletin.wait_beyond(seen), 10)
        vote = coordinator.view.find_vote(name_of(proposal))
        assert coordinator.view.as_published(vote).phase is Phase.LICENSED

    play(scene)


class SlowTiles:
    """Tiles on a disk that takes its time, while the journal has the checkpoint already."""

    def catch_up(self, tree_size: int) -> None:
        del tree_size

    def write_checkpoint(self, cosigned: CosignedCheckpoint) -> None:
        del cosigned
        time.sleep(0.3)


def test_whoever_learns_of_a_licence_finds_it_in_the_log_at_once() -> None:
    """Also while the tiles of that checkpoint are still being written."""

    async def scene(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        del witnesses
        proposal = await begin_signing(coordinator, council, clock)
        coordinator._tiles = SlowTiles()  # type: ignore[assignment]
        name, view = name_of(proposal), coordinator.view
        signing = asyncio.create_task(sign(coordinator, council, view.find_vote(name)))
        while view.as_published(view.find_vote(name)).phase is not Phase.LICENSED:
            await coordinator.bulletin.wait_beyond(coordinator.bulletin.last_sequence)
        shown = SignedCheckpoint.from_bytes(await CoordinatorLogReader(coordinator).read_checkpoint())
        licence_leaf = view.find_licence_leaf(view.find_vote(name))
        assert licence_leaf is not None
        assert shown.checkpoint.tree_size > licence_leaf
        await asyncio.gather(signing, return_exceptions=True)  # it may not wait as long as this disk takes

    play(scene)


def test_a_licence_that_a_restart_finds_unpublished_is_announced_later() -> None:
    journal, watch = MemoryJournal(), ManualClock()
    witnesses = make_witnesses(make_council(), watch)

    async def lose(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        watch.now = CLOSE_MS
        proposal = await begin_signing(coordinator, council, clock)
        cut_off(witnesses)
        with pytest.raises(WitnessQuorumError):
            await sign(coordinator, council, coordinator.view.find_vote(name_of(proposal)))

    async def restart(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        del council, clock
        (vote,) = coordinator.view.list_votes(0, 10)
        assert coordinator.view.as_published(vote).phase is Phase.SIGNING
        seen = coordinator.bulletin.last_sequence
        cut_off(witnesses, left=len(witnesses))
        await asyncio.wait_for(coordinator.bulletin.wait_beyond(seen), 10)
        assert coordinator.view.as_published(vote).phase is Phase.LICENSED

    play(lose, journal, witnesses)
    play(restart, journal, witnesses)


def test_a_proposal_and_a_ballot_are_taken_in_and_answered_later() -> None:
    async def scene(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        del clock
        cut_off(witnesses)
        proposal = council.sign_proposal()
        for _ in range(2):  # a retry is no second proposal
            with pytest.raises(WitnessQuorumError):
                await coordinator.create_proposal(proposal.data, request_id="r0", caller=None)
        ballot = council.sign_ballot("p1", proposal)
        with pytest.raises(WitnessQuorumError):
            await coordinator.cast_ballot(name_of(proposal), ballot.data, request_id="p1", caller=None)
        assert coordinator.view.tree_size == 3
        cut_off(witnesses, left=len(witnesses))
        await coordinator.publisher.wait_for(3, 10)
        proof = await coordinator.cast_ballot(name_of(proposal), ballot.data, request_id="p1", caller=None)
        assert proof.leaf_index == 2

    play(scene)


def test_honest_witnesses_let_a_second_coordinator_with_the_same_keys_show_nothing() -> None:
    """A split view by two servers: whoever comes second gets no cosignature for its history (VN-3.4)."""
    clock = ManualClock()
    witnesses = make_witnesses(make_council(), clock)

    async def first(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        del clock, witnesses
        await coordinator.create_proposal(council.sign_proposal().data, request_id="r0", caller=None)

    async def second(
        coordinator: Coordinator, council: Council, clock: ManualClock, witnesses: Witnesses
    ) -> None:
        del clock, witnesses
        other = council.sign_proposal(beneficial_owner="Somebody Else")
        with pytest.raises(WitnessQuorumError):
            await coordinator.create_proposal(other.data, request_id="r0", caller=None)
        assert coordinator.view.published_size <= 1  # at most the treaty, which both histories begin with

    play(first, witnesses=witnesses)
    play(second, witnesses=witnesses)
