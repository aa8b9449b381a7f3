"""Councils at work over gRPC: what grants, what vetoes bind, and what malicious coordinators achieve."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from support.assembly import Assembly, assemble
from support.world import NOW_MS
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, peek
from vetonet.errors import (
    EquivocationError,
    ExpiredError,
    InvalidSignatureError,
    ProofError,
    ProtocolError,
    RefusedError,
    VetonetError,
)
from vetonet.party.peer import PeerClient
from vetonet.party.views import (
    CommitmentsAsked,
    CulpritsNamed,
    Heartbeat,
    PartyStatus,
    ProposalUpdated,
    SigningAsked,
    WatchEvent,
)
from vetonet.policy.ballot import VetoReason, open_ballot
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.service.coordinator import Coordinator
from vetonet.tlog.fork import LogForkedError, verify_fork
from vetonet.tlog.proof import LogProof, verify_log_proof
from vetonet.voting.signing import GroupShare
from vetonet.voting.state import Phase, Voting
from vetonet.wire.convert import ALL_PROPOSALS, proposal_name
from vetonet.wire.errors import NotFoundError, WrongIdentityError
from vetonet.wire.identity import Identity, Role
from vetonet.wire.status import RpcError

T = TypeVar("T")
SEVEN = tuple(f"p{number}" for number in range(1, 8))
COUNCIL_OF_SEVEN: dict[str, Any] = {"n": 7, "min_grants": 4, "veto_holders": ("p1", "p7")}


def play(scenario: Callable[[Assembly], Coroutine[Any, Any, T]], **council: Any) -> T:
    async def within() -> T:
        async with asyncio.timeout(20), assemble(**council) as hall:
            return await scenario(hall)

    return asyncio.run(within())


async def is_licensed(hall: Assembly, proposal: Signed[Proposal]) -> bool:
    try:
        await hall.licence(proposal)
    except NotFoundError:
        return False
    return True


async def wait_until_licensed(hall: Assembly, proposal: Signed[Proposal]) -> list[CulpritsNamed]:
    """Return who was named until then."""
    name, named = proposal_name(proposal.payload_digest), list[CulpritsNamed]()
    async with contextlib.aclosing(hall.operator.watch(name)) as events:
        async for event in events:
            if isinstance(event, CulpritsNamed):
                named.append(event)
            elif isinstance(event, ProposalUpdated) and event.proposal.phase is Phase.LICENSED:
                break
    return named


class ForgetsVetoes(Coordinator):
    """Acknowledges every veto with the proof of another leaf, and logs none."""

    async def cast_ballot(
        self, name: bytes, data: bytes, *, request_id: str, caller: Identity | None
    ) -> LogProof:
        if open_ballot(data, self.treaty).statement.choice is Choice.VETO:
            return self.view.prove(0)
        return await super().cast_ballot(name, data, request_id=request_id, caller=caller)


class Away:
    """A peer that cannot be reached."""

    async def deliver_ballot(self, data: bytes) -> None:
        raise RpcError(f"nobody took {len(data)} bytes")

    async def get_status(self) -> PartyStatus:
        raise RpcError("nobody there")


class RefusesVetoes(ForgetsVetoes):
    """Refuses every veto."""

    async def cast_ballot(
        self, name: bytes, data: bytes, *, request_id: str, caller: Identity | None
    ) -> LogProof:
        if open_ballot(data, self.treaty).statement.choice is Choice.VETO:
            raise RefusedError("we take no vetoes")
        return await super().cast_ballot(name, data, request_id=request_id, caller=caller)


def test_seven_parties_grant_and_the_licence_comes_over_mutual_tls() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, SEVEN)
        assert await hall.close_vote(proposal) is Phase.SIGNING
        assert await hall.sign(proposal) == {}
        logged = await hall.licence(proposal)
        assert logged.licence.statement.total_flop == proposal.statement.total_flop
        assert len(logged.licence.statement.ballot_leaf_indices) == 7
        ledger = await hall.daemons["p6"].sync()
        assert proposal.payload_digest in ledger.licensed
        statuses = [await peer.get_status() for peer in hall.peers["p1"].values()]
        assert {status.proposals[0].phase for status in statuses if status.party_id == "p6"} == {
            Phase.LICENSED
        }

    play(scenario, **COUNCIL_OF_SEVEN, has_certificates=True)


def test_a_veto_ends_a_proposal_that_six_others_grant() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, SEVEN[:6])
        await hall.vote(proposal, ["p7"], Choice.VETO)
        assert await hall.close_vote(proposal) is Phase.VETOED
        assert not await is_licensed(hall, proposal)
        await hall.daemons["p2"].sync()
        (status,) = hall.daemons["p2"].get_status().proposals
        assert (status.decision, status.phase, status.missing) == (Decision.VETOED, Phase.VETOED, ())

    play(scenario, **COUNCIL_OF_SEVEN)


def test_a_veto_without_the_right_to_one_does_not_bind() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        await hall.vote(proposal, ["p3"], Choice.VETO)
        await hall.close_vote(proposal)
        assert await hall.sign(proposal) == {}
        assert await is_licensed(hall, proposal)

    play(scenario)


@pytest.mark.parametrize(("kind", "error"), [(ForgetsVetoes, ProofError), (RefusesVetoes, RefusedError)])
def test_a_veto_that_the_coordinator_drops_still_binds(
    kind: type[Coordinator], error: type[VetonetError]
) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, SEVEN[:6])
        with pytest.raises(error):
            await hall.vote(proposal, ["p7"], Choice.VETO)
        for _ in range(3):
            assert await hall.close_vote(proposal) is Phase.SIGNING
            refusals = await hall.commit(await hall.committing(proposal))
            assert len(refusals) == 6
            assert all("p7 vetoed" in why for why in refusals.values())
            phase = await hall.pass_deadline(proposal)
            if phase is not Phase.SIGNING:
                break
        assert phase is Phase.EXPIRED
        assert not await is_licensed(hall, proposal)
        (refusal, *_) = hall.daemons["p1"].refusals
        assert (refusal.reason, refusal.at_ms) == ("refused", proposal.statement.closes_ms)
        assert hall.daemons["p1"].get_status().proposals[0].unlogged_ballots == 1

    play(scenario, **COUNCIL_OF_SEVEN, kinds=(kind,))


def test_a_dropped_veto_that_was_not_delivered_in_time_is_delivered_later() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        peers, away = hall.daemons["p3"]._peers, Away()
        hall.daemons["p3"]._peers = {"p1": away, "p2": away}
        with pytest.raises(ProofError):
            await hall.vote(proposal, ["p3"], Choice.VETO)
        assert hall.daemons["p3"].undelivered == {"p1", "p2"}
        hall.daemons["p3"]._peers = peers
        await hall.daemons["p3"].sync()
        assert hall.daemons["p3"].undelivered == frozenset()
        await hall.close_vote(proposal)
        assert len(await hall.commit(await hall.committing(proposal))) == 2

    play(scenario, veto_holders=("p3",), kinds=(ForgetsVetoes,))


def test_parties_that_are_shown_different_logs_find_out_and_sign_nothing() -> None:
    async def scenario(hall: Assembly) -> None:
        here, there = await hall.propose(), await hall.propose(home=1)
        await hall.vote(here, ["p1", "p2"])
        await hall.daemons["p3"].sync()
        assert hall.daemons["p3"].ledger.order == (there.payload_digest,)
        await hall.close_vote(here)
        refusals = await hall.commit(await hall.committing(here))
        assert set(refusals) == {"p1", "p2"}
        assert all("two histories" in why for why in refusals.values())
        with pytest.raises(EquivocationError) as caught:
            await hall.daemons["p1"].sync()
        assert isinstance(caught.value, LogForkedError)
        policy = hall.daemons["p1"].view.policy
        assert verify_fork(caught.value.evidence, policy).culprits[0] == policy.log_key.name
        assert not await is_licensed(hall, here)

    play(scenario, kinds=(Coordinator, Coordinator), home={"p3": 1})


def test_a_coordinator_that_rewrites_a_partys_log_is_caught_with_evidence() -> None:
    async def scenario(hall: Assembly) -> None:
        await hall.propose()
        await hall.propose(home=1)
        await hall.propose(home=1)
        daemon = hall.daemons["p1"]
        await daemon.sync()
        daemon._coordinator = hall.clients["p3"]  # now the other history, which is longer
        with pytest.raises(LogForkedError):
            await daemon.sync()

    play(scenario, kinds=(Coordinator, Coordinator), home={"p3": 1})


def test_a_coordinator_that_keeps_leaves_back_from_some_gets_no_share_of_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        old = await hall.clients["p1"].get_checkpoint()
        await hall.propose()
        await hall.daemons["p3"].sync()
        await hall.close_vote(proposal)
        committing, asked = await hall.committing(proposal), await hall.gather(proposal)
        hall.make_daemon("p1")  # what it saw before, it would keep to

        async def stale() -> bytes:
            return old

        monkeypatch.setattr(hall.clients["p1"], "get_checkpoint", stale)
        for refusals in (await hall.commit(committing, ["p1"]), await hall.answer(asked, ["p1"])):
            assert "the coordinator shows 4" in refusals["p1"]

    play(scenario)


def test_a_party_with_a_bad_share_is_named_and_replaced() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, SEVEN)
        await hall.close_vote(proposal)
        asked = await hall.gather(proposal)
        bad = frost.SignatureShare(identifier=frost.Identifier(2), share=frost.Scalar(12345))
        await hall.clients["p2"].submit_shares(asked.name, 0, asked.attempt, [GroupShare(group=0, share=bad)])
        assert await hall.answer(asked, [name for name in asked.signers if name != "p2"]) == {}
        named = [event for event in await hall.see(proposal) if isinstance(event, CulpritsNamed)]
        assert [event.party_ids for event in named] == [("p2",)]
        committing = await hall.committing(proposal)
        assert (committing.attempt, committing.party_ids) == (1, ("p1", "p3", "p4"))  # the others have
        again = await hall.gather(proposal)
        assert (again.attempt, again.signers) == (1, ("p1", "p5", "p6", "p7"))
        assert await hall.answer(again) == {}
        assert await is_licensed(hall, proposal)

    play(scenario, **COUNCIL_OF_SEVEN)


def test_a_silent_party_is_named_and_replaced() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, SEVEN)
        await hall.close_vote(proposal)
        await hall.answer(await hall.gather(proposal), ["p1", "p2", "p4"])
        assert await hall.pass_deadline(proposal) is Phase.SIGNING
        again = await hall.gather(proposal, ["p1"])
        assert "p3" not in again.signers
        assert await hall.answer(again) == {}
        assert await is_licensed(hall, proposal)

    play(scenario, **COUNCIL_OF_SEVEN)


def test_one_party_less_than_the_quorum_gets_no_licence() -> None:
    async def scenario(hall: Assembly) -> None:
        for willing in itertools.combinations(SEVEN, 3):
            proposal = await hall.propose(opens_ms=hall.clock.now, closes_ms=NOW_MS + 3_600_000)
            await hall.vote(proposal, willing)
        assert await hall.close_vote(proposal) is Phase.EXPIRED
        assert all(view.phase is Phase.EXPIRED for view in await hall.operator.list_proposals())
        assert not (await hall.daemons["p1"].sync()).licensed

    play(scenario, **COUNCIL_OF_SEVEN)


def test_a_second_vote_is_refused() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1"])
        for choice, reason in (
            (Choice.GRANT, None),
            (Choice.ABSTAIN, None),
            (Choice.VETO, VetoReason.SAFETY_CASE),
        ):
            with pytest.raises(RefusedError, match="p1"):
                await hall.daemons["p1"].vote(proposal.payload_digest, choice, reason)
        assert len((await hall.daemons["p2"].sync()).find(proposal.payload_digest).ballots) == 1

    play(scenario)


def test_of_two_votes_at_once_only_one_is_cast() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        daemon = hall.daemons["p1"]
        votes = (daemon.vote(proposal.payload_digest, choice) for choice in (Choice.GRANT, Choice.ABSTAIN))
        outcomes = await asyncio.gather(*votes, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LogProof, RefusedError]

    play(scenario)


class GathersShares(Coordinator):
    """Takes no share before four have come: their signers all reviewed the same log."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.barrier = asyncio.Barrier(4)

    async def submit_shares(
        self,
        name: bytes,
        party_id: str,
        attempt: int,
        shares: tuple[GroupShare, ...],
        *,
        caller: Identity | None,
        lease: int = 0,
    ) -> Voting:
        await self.barrier.wait()
        return await super().submit_shares(name, party_id, attempt, shares, caller=caller, lease=lease)


def test_two_linked_runs_that_close_together_are_not_both_licensed() -> None:
    """VN-5.4: everybody is honest and reviewed a log without a licence; together they are forbidden."""
    linked = {"total_flop": 6 * 10**26, "per_device_flop": 6 * 10**26}

    async def scenario(hall: Assembly) -> None:
        proposals = [await hall.propose(**linked), await hall.propose(**linked)]
        for proposal, voters in zip(proposals, (["p1", "p2"], ["p2", "p3"]), strict=True):
            await hall.vote(proposal, voters)
        for proposal in proposals:
            assert await hall.close_vote(proposal) is Phase.SIGNING
        asked = [await hall.gather(proposal) for proposal in proposals]
        answers = [hall.daemons[party].answer(each) for each in asked for party in each.signers]
        await asyncio.gather(*answers)
        assert {hall.phase(proposal) for proposal in proposals} == {Phase.LICENSED, Phase.EXPIRED}
        for daemon in hall.daemons.values():
            assert len((await daemon.sync()).licensed) == 1

    play(scenario, kinds=(GathersShares,))


@pytest.mark.parametrize("forgets", [False, True])
def test_a_restarted_daemon_does_not_vote_twice_and_has_burnt_its_nonces(*, forgets: bool) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2", "p3"])
        restarted = hall.make_daemon("p1", seed="second", forgets=forgets)
        with pytest.raises(RefusedError, match="p1 voted grant in leaf 2"):
            await restarted.vote(proposal.payload_digest, Choice.VETO, VetoReason.SCALE)
        await hall.close_vote(proposal)
        asked = await hall.gather(proposal)
        hall.make_daemon("p1", seed="third", forgets=forgets)
        refusals = await hall.answer(asked)
        assert set(refusals) == {"p1"}
        assert "are gone" in refusals["p1"]
        await hall.pass_deadline(proposal)
        assert await hall.sign(proposal) == {}
        assert await is_licensed(hall, proposal)

    play(scenario)


def test_a_vote_whose_answer_was_lost_is_found_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        client, sent = hall.clients["p1"], []
        cast = client.cast_ballot

        async def lose_answer(digest: bytes, statement: bytes) -> LogProof:
            sent.append(statement)
            await cast(digest, statement)
            raise RpcError("the answer was lost")

        monkeypatch.setattr(client, "cast_ballot", lose_answer)
        daemon = hall.daemons["p1"]
        with pytest.raises(RpcError):
            await daemon.vote(proposal.payload_digest, Choice.GRANT)
        monkeypatch.setattr(client, "cast_ballot", cast)
        with pytest.raises(RefusedError, match="leaf 2"):
            await daemon.vote(proposal.payload_digest, Choice.GRANT)
        assert daemon.view.leaf(2) == sent[0]

    play(scenario)


def test_a_vote_that_never_arrived_is_sent_again_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        client, sent = hall.clients["p1"], []
        cast = client.cast_ballot

        async def lose_request(digest: bytes, statement: bytes) -> LogProof:
            sent.append(statement)
            raise RpcError(f"the request on {digest.hex()} was lost")

        monkeypatch.setattr(client, "cast_ballot", lose_request)
        daemon = hall.daemons["p1"]
        with pytest.raises(RpcError):
            await daemon.vote(proposal.payload_digest, Choice.GRANT)
        with pytest.raises(RefusedError, match="already signed"):
            await daemon.vote(proposal.payload_digest, Choice.ABSTAIN)
        monkeypatch.setattr(client, "cast_ballot", cast)
        proof = await daemon.vote(proposal.payload_digest, Choice.GRANT)
        verify_log_proof(sent[0], proof, daemon.view.policy)

    play(scenario)


def test_asking_twice_for_one_attempt_with_another_message_is_refused() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2", "p3"])
        await hall.close_vote(proposal)
        asked = await hall.gather(proposal)
        first = await hall.daemons["p1"].answer(asked)
        (session,) = asked.sessions
        message = session.package.message + b"!"
        other = replace(session, package=replace(session.package, message=message))
        with pytest.raises(RefusedError, match="not the licence"):
            await hall.daemons["p1"].answer(replace(asked, sessions=(other,)))
        # Another set of signers is a licence that the review allows: here only the nonces refuse.
        (third,) = hall.council.key_shares["p3"]
        commitments = (session.package.commitments[0], frost.commit(third.share, hall.council.rng)[1])
        package = frost.SigningPackage(message=session.package.message, commitments=commitments)
        swapped = replace(session, package=package)
        with pytest.raises(RefusedError, match="gone or spent"):
            await hall.daemons["p1"].answer(replace(asked, sessions=(swapped,), signers=("p1", "p3")))
        assert await hall.daemons["p1"].answer(asked) == first

    play(scenario)


def test_a_share_is_refused_before_the_window_closes() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        await hall.close_vote(proposal)
        committing, asked = await hall.committing(proposal), await hall.gather(proposal)
        hall.clock.now = proposal.statement.closes_ms - 1
        for refusals in (await hall.answer(asked), await hall.commit(committing)):
            assert all("pending" in why for why in refusals.values())
            assert len(refusals) == 2

    play(scenario)


def test_a_share_is_refused_once_the_runs_time_is_over() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        await hall.close_vote(proposal)
        committing, asked = await hall.committing(proposal), await hall.gather(proposal)
        hall.clock.now = proposal.statement.ends_ms
        for refusals in (await hall.answer(asked), await hall.commit(committing)):
            assert all("over" in why for why in refusals.values())
            assert len(refusals) == 2

    play(scenario)


def test_a_share_for_a_proposal_that_is_not_logged_is_refused() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        await hall.close_vote(proposal)
        committing, asked = await hall.committing(proposal), await hall.gather(proposal)
        for name in ("proposals/" + "00" * 16, "proposals/", "nonsense"):
            with pytest.raises(VetonetError):
                await hall.daemons["p1"].answer(replace(asked, name=name))
            with pytest.raises(VetonetError):
                await hall.daemons["p1"].commit(replace(committing, name=name))
        assert len(hall.daemons["p1"].refusals) == 6

    play(scenario)


def test_a_party_that_cannot_be_reached_holds_no_licence_up() -> None:
    async def scenario(hall: Assembly) -> None:
        await hall.servers["p3"].stop(0)
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        assert hall.daemons["p1"].undelivered == {"p3"}
        await hall.close_vote(proposal)
        assert await hall.sign(proposal) == {}
        assert await is_licensed(hall, proposal)

    play(scenario)


def test_votes_outside_the_window_are_refused_by_the_party_itself() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        hall.clock.now = proposal.statement.closes_ms
        with pytest.raises(ExpiredError):
            await hall.daemons["p1"].vote(proposal.payload_digest, Choice.GRANT)
        with pytest.raises(ProtocolError, match="no proposal"):
            await hall.daemons["p1"].vote(bytes(32), Choice.GRANT)

    play(scenario)


@pytest.mark.parametrize(("choice", "reason"), [(Choice.VETO, None), (Choice.GRANT, VetoReason.SCALE)])
def test_a_veto_needs_a_reason_and_nothing_else_has_one(choice: Choice, reason: VetoReason | None) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        with pytest.raises(RefusedError, match="reason"):
            await hall.daemons["p1"].vote(proposal.payload_digest, choice, reason)

    play(scenario)


def test_a_peer_takes_ballots_of_the_roster_only() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        peer = hall.peers["p1"]["p2"]
        for data in (b"", proposal.data, bytes(17_000)):
            with pytest.raises(VetonetError):
                await peer.deliver_ballot(data)
        forged = bytearray(hall.council.sign_ballot("p3", proposal).data)
        forged[-1] ^= 1
        with pytest.raises(InvalidSignatureError):
            await peer.deliver_ballot(bytes(forged))
        await peer.deliver_ballot(hall.council.sign_ballot("p3", proposal).data)

    play(scenario)


def test_only_parties_may_speak_to_a_party() -> None:
    async def scenario(hall: Assembly) -> None:
        for role, name in ((Role.OPERATOR, "op1"), (Role.COORDINATOR, "coordinator"), (Role.PARTY, "p9")):
            stranger = PeerClient.connect(
                hall.servers["p1"].address,
                party_id="p1",
                credential=hall.credential(role, name),
                rng=hall.council.rng,
            )
            with pytest.raises(WrongIdentityError):
                await stranger.get_status()
            await stranger.close()

    play(scenario, has_certificates=True)


def test_a_party_is_not_taken_for_another() -> None:
    async def scenario(hall: Assembly) -> None:
        mistaken = PeerClient.connect(
            hall.servers["p2"].address,
            party_id="p3",
            credential=hall.credential(Role.PARTY, "p1"),
            rng=hall.council.rng,
        )
        with pytest.raises(RpcError):
            await mistaken.get_status()
        await mistaken.close()

    play(scenario, has_certificates=True)


def test_daemons_that_run_by_themselves_license_and_stop_when_told() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2", "p3"])
        running = [asyncio.create_task(daemon.run()) for daemon in hall.daemons.values()]
        await hall.close_vote(proposal)
        await wait_until_licensed(hall, proposal)
        for task in running:
            task.cancel()
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        assert await is_licensed(hall, proposal)

    play(scenario)


def test_daemons_that_run_by_themselves_outlast_a_signer_that_commits_and_stays_silent() -> None:
    """VN-7.5: the one that waited in the pool is not asked again, so the next attempt has its nonces."""

    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2", "p3", "p4"])
        await hall.close_vote(proposal)
        committing = await hall.committing(proposal)
        await hall.commit(committing, ["p1", "p2", "p3", "p4"])
        assert (await hall.asked(proposal)).signers == ("p1", "p2", "p3")
        running = [asyncio.create_task(hall.daemons[name].run()) for name in ("p2", "p3", "p4")]
        watching = asyncio.create_task(wait_until_licensed(hall, proposal))
        await hall.pass_deadline(proposal)
        named = await watching
        assert "p1" in {name for event in named for name in event.party_ids}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    play(scenario, n=4, min_grants=3)


def test_a_running_daemon_reconnects_and_outlives_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2", "p3"])
        veto = hall.council.sign_ballot("p3", proposal, Choice.VETO)
        hall.daemons["p1"].receive_ballot(veto.data)  # beside the grant that is logged: it will refuse
        client, waits = hall.clients["p1"], []
        watch = client.watch

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        async def breaks_twice(
            name: str = ALL_PROPOSALS, *, resume_sequence: int = 0
        ) -> AsyncGenerator[WatchEvent, None]:
            if len(waits) < 2:
                raise RpcError("away")
            async for event in watch(name, resume_sequence=resume_sequence):
                yield event

        monkeypatch.setattr(client, "watch", breaks_twice)
        monkeypatch.setattr(hall.daemons["p1"], "_sleep", sleep)
        running = asyncio.create_task(hall.daemons["p1"].run())
        await hall.close_vote(proposal)
        while not hall.daemons["p1"].refusals:  # noqa: ASYNC110 - a daemon tells nobody that it refused
            await asyncio.sleep(0.01)
        assert not running.done()
        assert waits == [1.0, 1.0]
        assert "p3 vetoed" in hall.daemons["p1"].refusals[0].why
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(scenario, veto_holders=("p3",))


def test_a_running_daemon_ends_when_the_log_is_caught() -> None:
    async def scenario(hall: Assembly) -> None:
        await hall.propose()
        await hall.propose(home=1)
        await hall.daemons["p1"].sync()
        hall.daemons["p1"]._coordinator = hall.clients["p3"]
        with pytest.raises(EquivocationError):
            await hall.daemons["p1"].run()

    play(scenario, kinds=(Coordinator, Coordinator), home={"p3": 1})


def test_a_watcher_is_told_how_things_stand_and_then_what_changes() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        await hall.vote(proposal, ["p1", "p2"])
        events = await hall.see(proposal)
        assert [type(event) for event in events] == [ProposalUpdated]
        await hall.close_vote(proposal)
        kinds = {type(event) for event in await hall.see(proposal)}
        assert kinds == {ProposalUpdated, CommitmentsAsked}
        await hall.gather(proposal)
        kinds = {type(event) for event in await hall.see(proposal)}
        assert kinds == {ProposalUpdated, CommitmentsAsked, SigningAsked}
        assert Heartbeat not in kinds

    play(scenario)


def test_the_client_reads_back_what_it_wrote() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        (view,) = await hall.operator.list_proposals()
        assert view == await hall.operator.get_proposal(view.name)
        assert view.proposal.data == proposal.data
        await hall.propose()
        assert (await hall.operator.get_consistency_proof(1, 3)).new_size == 3
        leaves = await hall.operator.fetch_leaves(0, 3)
        assert [peek(leaf).kind for leaf in leaves] == ["treaty", "proposal", "proposal"]
        assert await hall.operator.fetch_leaves(1, 2) == (leaves[1],)
        with pytest.raises(ProofError):
            await hall.operator.fetch_leaves(0, 4)
        with pytest.raises(RefusedError):
            await hall.operator.fetch_leaves(0, 2**60)
        with pytest.raises(NotFoundError):
            await hall.operator.get_licence(proposal.payload_digest)

    play(scenario)
