"""The coordinator by hand: journal in memory, clock in hand, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from support.coordination import (
    CLOSE_MS,
    FailingJournal,
    ManualClock,
    SlowJournal,
    endorse_alias,
    enrol_chip,
    identify,
    name_of,
    run_coordinator,
    sign_batch,
    witness_locally,
)
from support.floor import spoil
from support.signers import commit, make_commitments, make_shares, round_of, submit
from support.world import NOW_MS, Council, make_council
from vetonet.attestation.conflict import DeviceConflictError
from vetonet.crypto.merkle import verify_consistency
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import (
    ConfigError,
    EncodingError,
    EpochError,
    EquivocationError,
    ExpiredError,
    InvalidSignatureError,
    RefusedError,
    StorageError,
    UnexpectedEventError,
    UnknownPartyError,
)
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.service.bulletin import Asked, Changed
from vetonet.service.coordinator import Coordinator
from vetonet.service.history import CHECKPOINT, CONCLUSION, LEAF, REQUEST, START
from vetonet.storage.group_commit import AsyncJournal
from vetonet.storage.journal import FullJournalError, Record, RequestConflictError
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.proof import verify_log_proof
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.signing import GATHERING_TIMES, RequestCommitments, SigningRound, Stage
from vetonet.voting.state import NameCulprits, Phase, Voting
from vetonet.wire.errors import NotFoundError, WrongIdentityError
from vetonet.wire.identity import Role

Scene = Callable[[Coordinator, Council, ManualClock], Awaitable[None]]


def play(scene: Scene, council: Council | None = None, journal: MemoryJournal | None = None) -> None:
    """Run a scene with a fresh coordinator."""
    chosen, clock = council or make_council(), ManualClock()

    async def main() -> None:
        async with run_coordinator(chosen, journal or MemoryJournal(), clock) as coordinator:
            await scene(coordinator, chosen, clock)

    asyncio.run(main())


async def open_vote(coordinator: Coordinator, council: Council, request: str = "r0") -> Signed[Proposal]:
    """Log a fresh proposal."""
    proposal = council.sign_proposal()
    await coordinator.create_proposal(proposal.data, request_id=request, caller=None)
    return proposal


async def cast(
    coordinator: Coordinator,
    council: Council,
    proposal: Signed[Proposal],
    party_id: str,
    choice: Choice = Choice.GRANT,
) -> int:
    """Vote for a party; return the leaf index."""
    ballot = council.sign_ballot(party_id, proposal, choice)
    proof = await coordinator.cast_ballot(
        name_of(proposal), ballot.data, request_id=f"{party_id}-{proposal.digest.hex()[:8]}", caller=None
    )
    return proof.leaf_index


async def grant_and_close(coordinator: Coordinator, council: Council, clock: ManualClock) -> Signed[Proposal]:
    """Bring a proposal into the signing phase."""
    proposal = await open_vote(coordinator, council)
    for party_id in ("p1", "p2", "p3"):
        await cast(coordinator, council, proposal, party_id)
    clock.now = CLOSE_MS
    await coordinator.tick()
    return proposal


async def begin_round(coordinator: Coordinator, council: Council, clock: ManualClock) -> Signed[Proposal]:
    """Bring a proposal to where ``p1`` and ``p2`` are asked for their shares."""
    proposal = await grant_and_close(coordinator, council, clock)
    await commit(coordinator, council, find(coordinator, proposal), "p1", "p2")
    return proposal


async def sign_round(coordinator: Coordinator, council: Council, proposal: Signed[Proposal]) -> Voting:
    """``p1`` and ``p2`` commit and sign."""
    vote = await commit(coordinator, council, find(coordinator, proposal), "p1", "p2")
    for party_id in ("p1", "p2"):
        vote = await submit(coordinator, council, party_id, find(coordinator, proposal))
    return vote


def find(coordinator: Coordinator, proposal: Signed[Proposal]) -> Voting:
    """Return a vote as it stands."""
    return coordinator.view.find_vote(name_of(proposal))


def test_a_granted_proposal_gets_a_logged_licence() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await grant_and_close(coordinator, council, clock)
        await sign_round(coordinator, council, proposal)
        licence, proof = await coordinator.get_licence(name_of(proposal))
        assert isinstance(licence.statement, Licence)
        policy = council.log_policy
        checkpoint = verify_log_proof(licence.data, proof, policy).checkpoint
        assert checkpoint.tree_size == coordinator.view.tree_size == 6
        assert licence.statement.ballot_leaf_indices == (2, 3, 4)
        assert find(coordinator, proposal).decision is Decision.GRANTED

    play(scene)


def test_a_new_journal_begins_with_the_treaty() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        await coordinator.publisher.publish()
        assert coordinator.view.list_leaves(0, limit=10, max_bytes=10**6) == (council.treaty.data,)

    play(scene)


def test_a_veto_holder_ends_a_proposal() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        await cast(coordinator, council, proposal, "p1", Choice.VETO)
        await cast(coordinator, council, proposal, "p2")
        await cast(coordinator, council, proposal, "p3")
        clock.now = CLOSE_MS
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.VETOED
        with pytest.raises(NotFoundError, match="vetoed"):
            await coordinator.get_licence(name_of(proposal))

    play(scene, make_council(veto_holders=("p1",)))


def test_a_proposal_nobody_votes_on_expires() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        clock.now = CLOSE_MS - 1
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.OPEN
        clock.now = CLOSE_MS
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.EXPIRED

    play(scene)


def test_the_same_ballot_again_gets_the_receipt_of_the_first() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council)
        ballot = council.sign_ballot("p1", proposal)
        name = name_of(proposal)
        places = [
            (await coordinator.cast_ballot(name, ballot.data, request_id=request, caller=None)).leaf_index
            for request in ("a", "a", "b")
        ]
        assert places == [2, 2, 2]
        assert coordinator.view.tree_size == 3

    play(scene)


def test_the_same_proposal_again_changes_nothing() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        data = council.sign_proposal().data
        votes = [
            await coordinator.create_proposal(data, request_id=request, caller=None)
            for request in ("a", "a", "b")
        ]
        assert len({id(vote) for vote in votes}) == 1
        assert coordinator.view.tree_size == 2

    play(scene)


def test_a_request_id_with_other_content_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council, "same")
        with pytest.raises(RequestConflictError):
            await coordinator.create_proposal(council.sign_proposal().data, request_id="same", caller=None)
        ballot = council.sign_ballot("p1", proposal)
        with pytest.raises(RequestConflictError):
            await coordinator.cast_ballot(name_of(proposal), ballot.data, request_id="same", caller=None)
        assert coordinator.view.tree_size == 2

    play(scene)


def test_two_requests_at_once_under_one_id_leave_one_leaf() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposals = [council.sign_proposal().data for _ in range(2)]
        answers = await asyncio.gather(
            *(coordinator.create_proposal(data, request_id="one", caller=None) for data in proposals),
            return_exceptions=True,
        )
        assert [isinstance(answer, RequestConflictError) for answer in answers] == [False, True]
        assert coordinator.view.tree_size == 2

    play(scene)


def test_leaf_indices_have_no_gap_however_many_write_at_once() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposals = [council.sign_proposal() for _ in range(20)]
        votes = await asyncio.gather(
            *(
                coordinator.create_proposal(proposal.data, request_id=f"r{number}", caller=None)
                for number, proposal in enumerate(proposals)
            )
        )
        assert sorted(vote.leaf_index for vote in votes) == list(range(1, 21))

    play(scene)


def test_a_conflicting_ballot_is_equivocation_and_names_the_party() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council)
        await cast(coordinator, council, proposal, "p1", Choice.ABSTAIN)
        other = council.sign_ballot("p1", proposal, Choice.VETO)
        with pytest.raises(EquivocationError) as caught:
            await coordinator.cast_ballot(name_of(proposal), other.data, request_id="x", caller=None)
        assert caught.value.culprit == "p1"

    play(scene)


def test_a_late_ballot_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        clock.now = CLOSE_MS
        with pytest.raises(ExpiredError):
            await cast(coordinator, council, proposal, "p1")
        assert coordinator.view.tree_size == 2

    play(scene)


def test_a_ballot_counts_as_of_its_arrival_however_long_the_journal_takes() -> None:
    """VN-6.3: and the vote closes only after it."""
    journal = SlowJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        journal.hold()
        busy = asyncio.create_task(open_vote(coordinator, council, "other"))
        await asyncio.sleep(0)
        clock.now = CLOSE_MS - 1_000
        veto = asyncio.create_task(cast(coordinator, council, proposal, "p1", Choice.VETO))
        await asyncio.sleep(0)
        clock.now = CLOSE_MS
        closing = asyncio.create_task(coordinator.tick())
        late = asyncio.create_task(cast(coordinator, council, proposal, "p2"))
        await asyncio.sleep(0)
        clock.now = CLOSE_MS + 5_000
        journal.release()
        with pytest.raises(ExpiredError, match=f"at {CLOSE_MS},"):
            await late
        await asyncio.gather(busy, veto, closing)
        await coordinator.tick()  # the look before may have come before the witnesses' next cosignatures
        assert find(coordinator, proposal).phase is Phase.VETOED

    play(scene, make_council(veto_holders=("p1",)), journal)


def test_a_veto_before_the_close_counts_while_a_fleet_is_being_enrolled() -> None:
    """VN-6.3: no operator keeps a ballot out by keeping the coordinator busy."""

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        for party_id in ("p2", "p3"):
            await cast(coordinator, council, proposal, party_id)
        fleet = [enrol_chip(council).enrolment for _ in range(40)]
        enrolling = asyncio.create_task(coordinator.append_statements(fleet, request_id="f", caller=None))
        while not coordinator._intake.lock.locked():  # noqa: ASYNC110  (the moment to catch)
            await asyncio.sleep(0)
        clock.now = CLOSE_MS - 1_000
        await cast(coordinator, council, proposal, "p1", Choice.VETO)
        assert not enrolling.done()
        clock.now = CLOSE_MS
        await coordinator.tick()
        assert not enrolling.done()
        assert find(coordinator, proposal).phase is Phase.VETOED
        assert await enrolling == tuple(range(5, 45))

    play(scene, make_council(veto_holders=("p1",)))


def test_two_fleets_at_once_share_no_chip() -> None:
    """VN-8.3: what one batch enrols, the next one is held against."""

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        chips = [enrol_chip(council) for _ in range(3)]
        again = enrol_chip(council, key=chips[2].key, owner="op2")
        batches = [[chip.enrolment for chip in chips], [again.enrolment]]
        answers = await asyncio.gather(
            *(
                coordinator.append_statements(batch, request_id=f"f{number}", caller=None)
                for number, batch in enumerate(batches)
            ),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [tuple, DeviceConflictError]
        assert coordinator.view.tree_size == 5  # treaty, three chips, and the proof against their maker

    play(scene)


def test_a_proposal_after_its_window_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        clock.now = CLOSE_MS
        with pytest.raises(ExpiredError):
            await open_vote(coordinator, council)

    play(scene)


def test_a_ballot_of_another_proposal_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        first, second = await open_vote(coordinator, council, "a"), await open_vote(coordinator, council, "b")
        ballot = council.sign_ballot("p1", first)
        with pytest.raises(RefusedError, match="a ballot on proposal"):
            await coordinator.cast_ballot(name_of(second), ballot.data, request_id="x", caller=None)

    play(scene)


def test_a_ballot_on_an_unknown_proposal_is_not_found() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = council.sign_proposal()
        with pytest.raises(NotFoundError):
            await cast(coordinator, council, proposal, "p1")

    play(scene)


def test_a_ballot_of_a_stranger_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council)
        ballot = council.cast(proposal, Choice.VETO)
        stranger = sign(ballot, council.operator_keys["op1"])
        with pytest.raises(UnknownPartyError):
            await coordinator.cast_ballot(name_of(proposal), stranger, request_id="x", caller=None)

    play(scene)


@pytest.mark.parametrize("changes", [{"epoch": 2}, {"treaty_digest": bytes(32)}])
def test_a_statement_of_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council)
        ballot = replace(council.cast(proposal, Choice.VETO), **changes)
        with pytest.raises(EpochError):
            await coordinator.cast_ballot(
                name_of(proposal), sign(ballot, council.party_keys["p1"]), request_id="x", caller=None
            )
        other = replace(council.propose(), **changes)
        with pytest.raises(EpochError):
            await coordinator.create_proposal(
                sign(other, council.operator_keys["op1"]), request_id="y", caller=None
            )

    play(scene)


def test_a_changed_byte_in_a_ballot_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        proposal = await open_vote(coordinator, council)
        data = bytearray(council.sign_ballot("p1", proposal).data)
        data[-1] ^= 1
        with pytest.raises(InvalidSignatureError):
            await coordinator.cast_ballot(name_of(proposal), bytes(data), request_id="x", caller=None)

    play(scene)


@pytest.mark.parametrize(("role", "name"), [(Role.PARTY, "op1"), (Role.OPERATOR, "op2")])
def test_only_its_operator_proposes(role: Role, name: str) -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        data = council.sign_proposal().data
        with pytest.raises(WrongIdentityError):
            await coordinator.create_proposal(data, request_id="x", caller=identify(role, name))
        await coordinator.create_proposal(data, request_id="x", caller=identify(Role.OPERATOR, "op1"))

    play(scene)


def test_only_its_party_casts_a_ballot_commits_and_hands_in_a_share() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        vote, name = find(coordinator, proposal), name_of(proposal)
        shares = make_shares(council, "p1", round_of(vote))
        commitments = make_commitments(council, "p1")
        for caller in (identify(Role.PARTY, "p2"), identify(Role.OPERATOR, "p1")):
            with pytest.raises(WrongIdentityError):
                await coordinator.submit_shares(name, "p1", 0, shares, caller=caller)
            with pytest.raises(WrongIdentityError):
                await coordinator.submit_commitments(name, "p1", commitments, caller=caller)
            with pytest.raises(WrongIdentityError):
                await coordinator.cast_ballot(
                    name_of(proposal), vote.ballots[0].ballot.data, request_id="x", caller=caller
                )

    play(scene)


def test_a_share_while_nothing_is_signed_is_unexpected() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        shares = make_shares(council, "p1", round_of(find(coordinator, proposal)))
        other = await open_other(coordinator, council, clock)
        with pytest.raises(UnexpectedEventError):
            await coordinator.submit_shares(name_of(other), "p1", 0, shares, caller=None)
        with pytest.raises(UnexpectedEventError):
            await commit(coordinator, council, find(coordinator, other), "p1")

    async def open_other(coordinator: Coordinator, council: Council, clock: ManualClock) -> Signed[Proposal]:
        clock.now = NOW_MS
        return await open_vote(coordinator, council, "other")

    play(scene)


def test_a_bad_share_names_its_culprit_and_the_next_attempt_begins_without_it() -> None:
    """VN-7.4."""

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        vote, name = find(coordinator, proposal), name_of(proposal)
        good, bad = (make_shares(council, party, round_of(vote)) for party in ("p1", "p2"))
        await coordinator.submit_shares(name, "p2", 0, spoil(bad), caller=None)
        await coordinator.submit_shares(name, "p1", 0, good, caller=None)
        with pytest.raises(RefusedError, match="p2 is not asked"):
            await commit(coordinator, council, vote, "p2")
        following = await commit(coordinator, council, vote, "p1", "p3")
        assert (round_of(following).attempt, round_of(following).signers) == (1, ("p1", "p3"))
        news = [notice.news for notice in coordinator.bulletin.list_after(0)]
        assert NameCulprits(party_ids=("p2",), reason="bad signature share") in news
        for party_id in ("p1", "p3"):
            await submit(coordinator, council, party_id, following)
        assert find(coordinator, proposal).phase is Phase.LICENSED

    play(scene)


def test_a_silent_signer_is_replaced_after_the_deadline() -> None:
    """VN-7.5."""

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        await commit(coordinator, council, find(coordinator, proposal), "p3")
        await submit(coordinator, council, "p1", find(coordinator, proposal))
        clock.now = CLOSE_MS + 60_000
        await coordinator.tick()
        vote = await commit(coordinator, council, find(coordinator, proposal), "p1")
        assert round_of(vote).signers == ("p1", "p3")
        for party_id in ("p1", "p3"):
            await submit(coordinator, council, party_id, vote)
        await coordinator.get_licence(name_of(proposal))

    play(scene)


def test_signers_that_never_commit_let_the_proposal_expire() -> None:
    """VN-7.5."""

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await grant_and_close(coordinator, council, clock)
        await commit(coordinator, council, find(coordinator, proposal), "p1")
        clock.now = CLOSE_MS + GATHERING_TIMES * 60_000 - 1
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.SIGNING
        clock.now += 1
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.EXPIRED
        with pytest.raises(UnexpectedEventError):
            await commit(coordinator, council, find(coordinator, proposal), "p2")

    play(scene)


def test_the_last_share_again_after_the_licence_changes_nothing() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        vote = find(coordinator, proposal)
        await submit(coordinator, council, "p1", vote)
        shares = make_shares(council, "p2", round_of(vote))
        for _ in range(2):
            licensed = await coordinator.submit_shares(name_of(proposal), "p2", 0, shares, caller=None)
            assert licensed.phase is Phase.LICENSED
        assert coordinator.view.tree_size == 6

    play(scene)


def test_nothing_is_adopted_that_could_not_be_stored() -> None:
    """VN-11.2."""
    journal = FailingJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await open_vote(coordinator, council)
        await coordinator.publisher.publish()
        before = coordinator.view.checkpoint(), coordinator.bulletin.last_sequence
        journal.errors.append(FullJournalError("no room"))
        with pytest.raises(FullJournalError):
            await cast(coordinator, council, proposal, "p1")
        assert find(coordinator, proposal).ballots == ()
        assert (coordinator.view.checkpoint(), coordinator.bulletin.last_sequence) == before
        ballot = council.sign_ballot("p1", proposal)
        proof = await coordinator.cast_ballot(name_of(proposal), ballot.data, request_id="p1", caller=None)
        assert proof.leaf_index == 2
        await cast(coordinator, council, proposal, "p2", Choice.ABSTAIN)
        clock.now = CLOSE_MS
        await coordinator.publisher.refresh(CLOSE_MS)
        journal.errors.append(FullJournalError("no room"))
        with pytest.raises(StorageError):
            await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.OPEN
        await coordinator.tick()
        assert find(coordinator, proposal).phase is Phase.EXPIRED

    play(scene, journal=journal)


def test_a_licence_that_could_not_be_stored_is_not_shown_and_the_share_may_come_again() -> None:
    journal = FailingJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        vote, name = find(coordinator, proposal), name_of(proposal)
        first, last = (make_shares(council, party, round_of(vote)) for party in ("p1", "p2"))
        await coordinator.submit_shares(name, "p1", 0, first, caller=None)
        journal.errors.append(FullJournalError("no room"))
        with pytest.raises(FullJournalError):
            await coordinator.submit_shares(name, "p2", 0, last, caller=None)
        with pytest.raises(NotFoundError):
            await coordinator.get_licence(name)
        await coordinator.submit_shares(name, "p2", 0, last, caller=None)
        await coordinator.get_licence(name)

    play(scene, journal=journal)


def test_one_vote_that_cannot_move_on_does_not_hold_up_the_others() -> None:
    journal = FailingJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposals = [await open_vote(coordinator, council, f"r{number}") for number in range(2)]
        for party_id in ("p1", "p2"):
            await cast(coordinator, council, proposals[1], party_id)
        clock.now = CLOSE_MS
        await coordinator.publisher.refresh(CLOSE_MS)
        journal.errors.append(FullJournalError("no room"))  # for the end of the first, which nobody granted
        with pytest.raises(StorageError):
            await coordinator.tick()
        assert [find(coordinator, proposal).phase for proposal in proposals] == [Phase.OPEN, Phase.SIGNING]

    play(scene, journal=journal)


def test_a_caller_that_goes_away_leaves_durable_and_adopted_together() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        data = council.sign_proposal().data
        call = asyncio.create_task(coordinator.create_proposal(data, request_id="gone", caller=None))
        while not coordinator._turns.lock.locked():  # noqa: ASYNC110  (the moment to catch)
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await coordinator.create_proposal(data, request_id="gone", caller=None)
        assert coordinator.view.tree_size == 2

    play(scene)


LINKED: dict[str, Any] = {"total_flop": 6 * 10**26, "per_device_flop": 6 * 10**26}
"""Each of two such runs of one owner is in the licensed band, both together are in the forbidden one."""


async def grant_two_linked(
    coordinator: Coordinator, council: Council, clock: ManualClock
) -> list[Signed[Proposal]]:
    """Bring two linked proposals into the signing phase at the same time."""
    proposals = [council.sign_proposal(**LINKED) for _ in range(2)]
    for proposal in proposals:
        await coordinator.create_proposal(proposal.data, request_id=proposal.digest.hex()[:8], caller=None)
        for party_id in ("p1", "p2"):
            await cast(coordinator, council, proposal, party_id)
    clock.now = CLOSE_MS
    await coordinator.tick()
    return proposals


def test_of_two_linked_runs_that_close_together_only_one_is_licensed() -> None:
    """VN-5.4: also when a dishonest signer gives its share for both."""
    journal = MemoryJournal()
    council, clock = make_council(), ManualClock()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as coordinator:
            first, second = await grant_two_linked(coordinator, council, clock)
            for proposal in (first, second):
                await commit(coordinator, council, find(coordinator, proposal), "p1", "p2")
            for party_id in ("p1", "p2"):
                await submit(coordinator, council, party_id, find(coordinator, first))
                await submit(coordinator, council, party_id, find(coordinator, second))
            assert find(coordinator, first).phase is Phase.LICENSED
            assert find(coordinator, second).phase is Phase.EXPIRED
            await coordinator.publisher.publish()
            leaves = coordinator.view.list_leaves(1, limit=99, max_bytes=10**7)
        ledger = read_leaves(Ledger(treaty=council.treaty), enumerate(leaves, start=1))
        assert set(ledger.licensed) == {first.payload_digest}
        async with run_coordinator(council, journal, clock) as again:
            assert find(again, first).phase is Phase.LICENSED

    asyncio.run(main())


def test_a_leaf_that_readers_would_refuse_is_never_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """VN-11.3: even where the machine itself lets it through."""
    monkeypatch.setattr("vetonet.voting.machine._is_band_open", lambda *_: True)

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        first, second = await grant_two_linked(coordinator, council, clock)
        await sign_round(coordinator, council, first)
        await commit(coordinator, council, find(coordinator, second), "p1", "p2")
        await submit(coordinator, council, "p1", find(coordinator, second))
        size = coordinator.view.tree_size
        with pytest.raises(RefusedError, match="forbidden band"):
            await submit(coordinator, council, "p2", find(coordinator, second))
        assert coordinator.view.tree_size == size
        with pytest.raises(NotFoundError):
            await coordinator.get_licence(name_of(second))

    play(scene)


def test_a_restart_finds_everything_that_was_acknowledged() -> None:
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()
    chip = enrol_chip(council)

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            await first.append_statements([chip.enrolment], request_id="c", caller=None)
            proposal = await grant_and_close(first, council, clock)
            await sign_round(first, council, proposal)
            licence, proof = await first.get_licence(name_of(proposal))
            checkpoint = first.view.checkpoint()
            assert proof.checkpoint == checkpoint
        async with run_coordinator(council, journal, clock) as second:
            assert second.view.checkpoint() == checkpoint
            assert (await second.get_licence(name_of(proposal)))[0].data == licence.data
            with pytest.raises(EquivocationError):
                await second.append_statements(
                    [enrol_chip(council, key=chip.key, owner="op2").enrolment], request_id="d", caller=None
                )
            alias = endorse_alias(council, chip)
            assert await second.append_statements([alias], request_id="e", caller=None) == (
                8,
            )  # behind the proof

    asyncio.run(main())


def test_a_restart_while_signing_asks_everybody_to_commit_anew() -> None:
    """VN-7.2: no attempt outlives a restart, and no commitments do."""
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            proposal = await begin_round(first, council, clock)
            asked = round_of(find(first, proposal))
            await submit(first, council, "p1", find(first, proposal))
            late = make_shares(council, "p2", asked)
        for _ in range(3):
            async with run_coordinator(council, journal, clock) as again:
                assert find(again, proposal).phase is Phase.OPEN
                await again.tick()
                signing = find(again, proposal).signing
                assert signing is not None
                assert (signing.stage, signing.attempt, signing.pool) == (Stage.GATHERING, 0, {})
                assert signing.asked == ("p1", "p2", "p3")
                with pytest.raises(RefusedError, match="none is under way"):
                    await again.submit_shares(name_of(proposal), "p2", 0, late, caller=None)
        async with run_coordinator(council, journal, clock) as last:
            await last.tick()
            assert (await sign_round(last, council, proposal)).phase is Phase.LICENSED

    asyncio.run(main())


def test_shares_of_an_attempt_before_a_restart_make_no_licence_with_those_after_it() -> None:
    """VN-7.4: an attempt of the same number begins after the restart, under other commitments."""
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            proposal = await begin_round(first, council, clock)
            stale = make_shares(council, "p2", round_of(find(first, proposal)))
        async with run_coordinator(council, journal, clock) as second:
            await second.tick()
            await commit(second, council, find(second, proposal), "p1", "p2")
            await submit(second, council, "p1", find(second, proposal))
            await second.submit_shares(name_of(proposal), "p2", 0, stale, caller=None)
            vote = find(second, proposal)
            assert (vote.phase, vote.licence) == (Phase.SIGNING, None)
            assert vote.signing is not None
            assert vote.signing.excluded == {"p2"}

    asyncio.run(main())


def test_a_restart_while_signing_can_still_license() -> None:
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            proposal = await grant_and_close(first, council, clock)
        async with run_coordinator(council, journal, clock) as second:
            await second.tick()
            await sign_round(second, council, proposal)
            await second.get_licence(name_of(proposal))

    asyncio.run(main())


@pytest.mark.parametrize("choice", [Choice.GRANT, Choice.VETO])
def test_what_has_ended_without_a_licence_stays_ended_after_a_restart(choice: Choice) -> None:
    """VN-7.5: also where signers that would now commit are enough."""
    council, clock, journal = make_council(veto_holders=("p3",)), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            proposal = await open_vote(first, council)
            for party_id in ("p1", "p2"):
                await cast(first, council, proposal, party_id)
            if choice is Choice.VETO:
                await cast(first, council, proposal, "p3", choice)
            clock.now = CLOSE_MS
            await first.tick()
            clock.now += GATHERING_TIMES * 60_000
            await first.tick()
            ended = find(first, proposal)
            assert ended.phase is (Phase.VETOED if choice is Choice.VETO else Phase.EXPIRED)
        for _ in range(2):
            async with run_coordinator(council, journal, clock) as again:
                assert find(again, proposal).decision is ended.decision
                await again.tick()
                assert find(again, proposal).phase is ended.phase

    asyncio.run(main())


def test_who_was_left_out_before_a_restart_is_named_again_where_it_fails_again() -> None:
    """VN-7.5: what a coordinator knew of signers is no record; a restart costs an attempt at most."""
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            proposal = await begin_round(first, council, clock)
            await spoil_second(first, council, proposal)
            vote = find(first, proposal)
            assert vote.signing is not None
            assert vote.signing.excluded == {"p2"}
        async with run_coordinator(council, journal, clock) as second:
            await second.tick()
            await commit(second, council, find(second, proposal), "p1", "p2")
            await spoil_second(second, council, proposal)
            vote = await commit(second, council, find(second, proposal), "p1", "p3")
            for party_id in ("p1", "p3"):
                await submit(second, council, party_id, vote)
            await second.get_licence(name_of(proposal))

    async def spoil_second(coordinator: Coordinator, council: Council, proposal: Signed[Proposal]) -> None:
        vote = find(coordinator, proposal)
        await submit(coordinator, council, "p1", vote)
        bad = spoil(make_shares(council, "p2", round_of(vote)))
        await coordinator.submit_shares(name_of(proposal), "p2", 0, bad, caller=None)

    asyncio.run(main())


def test_no_attempt_goes_into_the_journal() -> None:
    """VN-7.2: neither commitments nor shares: only what a restart must know does."""
    journal = MemoryJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await begin_round(coordinator, council, clock)
        await submit(coordinator, council, "p1", find(coordinator, proposal))
        kinds = [stored.record.kind for stored in journal.read(0, 100) if stored.record.kind != CHECKPOINT]
        assert kinds == [LEAF, START, *[LEAF, REQUEST] * 4]
        await submit(coordinator, council, "p2", find(coordinator, proposal))
        kinds = [stored.record.kind for stored in journal.read(0, 100) if stored.record.kind != CHECKPOINT]
        assert kinds == [LEAF, START, *[LEAF, REQUEST] * 4, LEAF]

    play(scene, journal=journal)


def test_sequences_rise_across_restarts() -> None:
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            await open_vote(first, council)
            before = first.bulletin.last_sequence
        async with run_coordinator(council, journal, clock) as second:
            notices = second.bulletin.list_after(before)
            assert [type(notice.news) for notice in notices] == [Changed]

    asyncio.run(main())


def test_a_round_is_news_only_while_it_lasts() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        proposal = await grant_and_close(coordinator, council, clock)
        (asked,) = list_asked(coordinator)
        assert isinstance(asked, RequestCommitments)
        assert asked.party_ids == ("p1", "p2", "p3")
        await commit(coordinator, council, find(coordinator, proposal), "p1", "p2")
        assert round_of(find(coordinator, proposal)) in list_asked(coordinator)
        for party_id in ("p1", "p2"):
            await submit(coordinator, council, party_id, find(coordinator, proposal))
        assert [type(notice.news) for notice in coordinator.bulletin.list_after(0)] == [Changed]

    play(scene)


def list_asked(coordinator: Coordinator) -> list[RequestCommitments | SigningRound]:
    """What signers are asked for at present."""
    news = [notice.news for notice in coordinator.bulletin.list_after(0)]
    return [entry.request for entry in news if isinstance(entry, Asked)]


def test_the_journal_of_another_treaty_is_refused() -> None:
    council, other, journal = make_council(), make_council(name="Other Treaty"), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, ManualClock()):
            pass
        with pytest.raises(ConfigError, match="another treaty"):
            async with run_coordinator(other, journal, ManualClock()):
                pass

    asyncio.run(main())


def test_another_log_key_is_refused() -> None:
    council = make_council()
    wrong = replace(council, log_key=council.device_keys[0])

    async def main() -> None:
        with pytest.raises(ConfigError, match="log key"):
            async with run_coordinator(wrong, MemoryJournal(), ManualClock()):
                pass

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("ballast", b""),
        (LEAF, b"no statement"),
        ("signing-attempt", b"\x00"),
        (LEAF, None),
        (REQUEST, bytes(32)),
        (CONCLUSION, b"\xa2\x01\x58\x20" + bytes(32) + b"\x02\x67expired"),
        (CONCLUSION, b"\xa2\x01\x58\x20" + bytes(32) + b"\x02\x67granted"),
    ],
)
def test_a_journal_that_breaks_the_rules_is_refused(kind: str, payload: bytes | None) -> None:
    council, journal = make_council(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, ManualClock()):
            pass
        data = council.treaty.data if payload is None else payload
        journal.append([Record(kind=kind, request_id=None, payload=data, recorded_at_ms=NOW_MS)])
        with pytest.raises(StorageError, match="journal record 2 breaks the rules"):
            async with run_coordinator(council, journal, ManualClock()):
                pass

    asyncio.run(main())


def test_a_journal_that_somebody_else_writes_to_is_noticed() -> None:
    journal = MemoryJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        journal.append([Record(kind=START, request_id=None, payload=b"", recorded_at_ms=clock.now)])
        with pytest.raises(StorageError, match="did not write"):
            await open_vote(coordinator, council)

    play(scene, journal=journal)


def test_after_the_close_nothing_is_taken_in() -> None:
    council = make_council()

    async def main() -> None:
        async with AsyncJournal(MemoryJournal()) as journal:
            coordinator = await Coordinator.start(
                journal,
                treaty_bytes=council.treaty.data,
                log_key=council.log_key,
                publishing=witness_locally(council),
                clock=ManualClock(),
            )
            await coordinator.close()
            with pytest.raises(StorageError, match="closed"):
                await open_vote(coordinator, council)

    asyncio.run(main())


def test_statements_of_chips_and_operators_are_logged_in_order() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        chip = enrol_chip(council)
        statements = [chip.enrolment, endorse_alias(council, chip), sign_batch(council)]
        places = await coordinator.append_statements(
            statements, request_id="r", caller=identify(Role.OPERATOR, "op1")
        )
        assert places == (1, 2, 3)
        await coordinator.publisher.publish()
        assert coordinator.view.list_leaves(1, limit=3, max_bytes=10**6) == tuple(statements)
        again = await coordinator.append_statements(
            [*statements[1:], chip.enrolment], request_id="s", caller=None
        )
        assert again == (2, 3, 1)
        twice = await coordinator.append_statements([sign_batch(council)] * 2, request_id="t", caller=None)
        assert twice == (4, 4)

    play(scene)


def test_a_batch_with_one_bad_statement_leaves_nothing() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        chip = enrol_chip(council)
        old_boot = endorse_alias(council, chip, boot_count=1)
        with pytest.raises(RefusedError):
            await coordinator.append_statements(
                [chip.enrolment, endorse_alias(council, chip, boot_count=2), old_boot],
                request_id="r",
                caller=None,
            )
        assert coordinator.view.tree_size == 1
        assert await coordinator.append_statements([chip.enrolment], request_id="s", caller=None) == (1,)

    play(scene)


def test_an_enrolment_that_could_not_be_stored_may_come_again() -> None:
    journal = FailingJournal()

    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        enrolment = enrol_chip(council).enrolment
        journal.errors.append(FullJournalError("no room"))
        with pytest.raises(FullJournalError):
            await coordinator.append_statements([enrolment], request_id="r", caller=None)
        assert await coordinator.append_statements([enrolment], request_id="r", caller=None) == (1,)

    play(scene, journal=journal)


def test_a_batch_under_a_used_request_id_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        first, second, third = (sign_batch(council) for _ in range(3))
        await coordinator.append_statements([first, second], request_id="r", caller=None)
        for other in ([third], [first, third], [first], [second, first], [first, second, third]):
            with pytest.raises(RequestConflictError):
                await coordinator.append_statements(other, request_id="r", caller=None)
        assert coordinator.view.tree_size == 3
        assert await coordinator.append_statements([first, second], request_id="r", caller=None) == (1, 2)

    play(scene)


def test_a_request_id_is_bound_also_where_the_log_held_everything_already() -> None:
    """VN-13.2."""
    council, clock, journal = make_council(), ManualClock(), MemoryJournal()
    batch, other = sign_batch(council), sign_batch(council)

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as coordinator:
            proposal = await open_vote(coordinator, council, "r0")
            await coordinator.append_statements([batch], request_id="r1", caller=None)
            await coordinator.append_statements([batch], request_id="r2", caller=None)
            await coordinator.create_proposal(proposal.data, request_id="r3", caller=None)
            ballot = council.sign_ballot("p1", proposal)
            for request_id in ("r4", "r5"):
                await coordinator.cast_ballot(
                    name_of(proposal), ballot.data, request_id=request_id, caller=None
                )
            size = coordinator.view.tree_size
        async with run_coordinator(council, journal, clock) as again:
            for number in range(6):
                with pytest.raises(RequestConflictError):
                    await again.append_statements([other], request_id=f"r{number}", caller=None)
            assert await again.append_statements([batch], request_id="r2", caller=None) == (2,)
            assert again.view.tree_size == size

    asyncio.run(main())


def test_statements_of_votes_and_unknown_types_are_refused_there() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        for data in (council.sign_proposal().data, make_council(name="Other").treaty.data):
            with pytest.raises(EncodingError, match="expected one of"):
                await coordinator.append_statements([data], request_id="r", caller=None)

    play(scene)


def test_only_the_owner_submits_statements() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        chip = enrol_chip(council)
        await coordinator.append_statements([chip.enrolment], request_id="r", caller=None)
        for data in (sign_batch(council), endorse_alias(council, chip), enrol_chip(council).enrolment):
            with pytest.raises(WrongIdentityError):
                await coordinator.append_statements(
                    [data], request_id="s", caller=identify(Role.OPERATOR, "op2")
                )

    play(scene)


def test_a_report_batch_signed_for_another_operator_is_refused() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        forged = sign_batch(council, operator_id="op1", key=council.operator_keys["op2"])
        with pytest.raises(RefusedError, match="a report batch of 'op1' signed by 'op2'") as caught:
            await coordinator.append_statements([forged], request_id="r", caller=None)
        assert caught.value.culprit == "op2"

    play(scene)


@pytest.mark.parametrize("count", [0, 1_025])
def test_a_batch_of_nothing_or_too_many_is_refused(count: int) -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del council, clock
        with pytest.raises(RefusedError, match="statements"):
            await coordinator.append_statements([b"x"] * count, request_id="r", caller=None)

    play(scene)


def test_a_leaf_too_large_for_the_log_is_refused_before_it_is_stored() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del council, clock
        with pytest.raises(RefusedError, match="at most 65535 bytes"):
            await coordinator.append_statements([bytes(65_536)], request_id="r", caller=None)

    play(scene)


def test_every_past_size_is_consistent_with_the_present() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        log = coordinator._history.log
        for number in range(5):
            await coordinator.append_statements([sign_batch(council)], request_id=f"r{number}", caller=None)
        await coordinator.publisher.publish()
        for old_size in range(1, 6):
            proof = coordinator.view.prove_consistency(old_size, 6)
            verify_consistency(
                old_size=old_size,
                new_size=6,
                old_root=log.root_hash(old_size),
                new_root=log.root_hash(),
                proof=proof.hashes,
            )

    play(scene)


def test_a_page_of_leaves_ends_before_its_size_is_passed() -> None:
    async def scene(coordinator: Coordinator, council: Council, clock: ManualClock) -> None:
        del clock
        statements = [sign_batch(council) for _ in range(3)]
        await coordinator.append_statements(statements, request_id="r", caller=None)
        size = len(statements[0])
        await coordinator.publisher.publish()
        assert len(coordinator.view.list_leaves(1, limit=9, max_bytes=2 * size)) == 2
        assert len(coordinator.view.list_leaves(1, limit=9, max_bytes=1)) == 1
        assert coordinator.view.list_leaves(9, limit=9, max_bytes=1) == ()

    play(scene)
