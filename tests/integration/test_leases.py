"""Continuing consent over gRPC: leases, withdrawal by any path, suspension, restart (VN-14)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from support.assembly import Assembly, assemble
from support.world import NOW_MS
from vetonet.crypto.statement import Signed
from vetonet.errors import ProofError, RefusedError
from vetonet.party.peer import Peer
from vetonet.party.views import PartyStatus, SigningAsked
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import VetoReason
from vetonet.policy.lease import compute_signable_ms
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.standing import Standing
from vetonet.units import MS_PER_HOUR
from vetonet.voting.state import Phase
from vetonet.wire.errors import NotFoundError
from vetonet.wire.status import RpcError

LEASE_MS: Final = 8 * MS_PER_HOUR
ROSTER: Final = ("p1", "p2", "p3")
SUSPENDING: Final = {ActionClass.EMERGENCY_SUSPENSION: Quorum.of_threshold(1, ROSTER, minority=True)}


class Away(Peer):
    """A peer that nobody reaches."""

    async def deliver_ballot(self, data: bytes) -> None:
        del data
        raise RpcError("away")

    async def get_status(self) -> PartyStatus:
        raise RpcError("away")


def run(work: Callable[[Assembly, Signed[Proposal]], Awaitable[None]], **changes: object) -> None:
    """Within, a run of which everybody granted holds a licence."""

    async def main() -> None:
        chosen = {"lease_ms": LEASE_MS, "quorums": SUSPENDING, "is_witnessed": True} | changes
        async with asyncio.timeout(30), assemble(**chosen) as hall:  # type: ignore[arg-type]
            proposal = await hall.propose(
                starts_ms=NOW_MS + 12 * MS_PER_HOUR, ends_ms=NOW_MS + 36 * MS_PER_HOUR
            )
            await hall.vote(proposal, ROSTER)
            await hall.close_vote(proposal)
            await hall.sign(proposal)
            assert hall.phase(proposal) is Phase.LICENSED
            await work(hall, proposal)

    asyncio.run(main())


async def move_to(hall: Assembly, proposal: Signed[Proposal], number: int, *, earlier_ms: int = 0) -> None:
    """It is time to sign this lease."""
    licence = (await hall.licence(proposal)).licence.statement
    hall.clock.now = max(hall.clock.now, compute_signable_ms(licence, number) - earlier_ms)


async def read_number(hall: Assembly, proposal: Signed[Proposal]) -> int:
    return (await hall.operator.get_lease(proposal.payload_digest)).lease.statement.number


def test_leases_come_one_after_another_and_none_comes_early() -> None:
    # VN-14.1
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        await move_to(hall, proposal, 1, earlier_ms=1_000)
        await hall.renew(proposal)
        with pytest.raises(NotFoundError):
            await read_number(hall, proposal)
        for number in (1, 2, 3):
            await move_to(hall, proposal, number)
            assert await hall.renew(proposal) == {}
            assert await read_number(hall, proposal) == number

    run(work)


def test_after_a_logged_withdrawal_of_a_veto_holder_no_lease_comes_until_it_consents_again() -> None:
    # VN-14.2, VN-14.3: consent given again reinstates the run.
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        await move_to(hall, proposal, 1)
        await hall.renew(proposal)
        digest = proposal.payload_digest
        await hall.daemons["p3"].state_consent(digest, Standing.WITHDRAWN, VetoReason.SAFETY_CASE)
        await move_to(hall, proposal, 2)
        await hall.renew(proposal)
        assert await read_number(hall, proposal) == 1
        await hall.daemons["p3"].state_consent(digest, Standing.GIVEN)
        await hall.renew(proposal)
        assert await read_number(hall, proposal) == 2

    run(work, veto_holders=("p3",))


def test_a_withdrawal_that_the_coordinator_drops_binds_the_signers_that_it_reached() -> None:
    # VN-14.3: it is handed to the peers before the coordinator gets it.
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        async def drop(digest: bytes, statement: bytes) -> None:
            del digest, statement
            raise ProofError("the coordinator has not logged it")

        hall.clients["p3"].cast_ballot = drop  # type: ignore[method-assign, assignment]
        with pytest.raises(ProofError):
            await hall.daemons["p3"].state_consent(
                proposal.payload_digest, Standing.WITHDRAWN, VetoReason.SAFETY_CASE
            )
        for party_id in ("p1", "p2"):
            hall.make_daemon(party_id, "restarted")  # it is in their journals
        await move_to(hall, proposal, 1)
        refusals = await hall.renew(proposal)
        assert {"p1", "p2"} <= refusals.keys()
        assert all("consent is not kept" in refusals[name] for name in ("p1", "p2"))
        assert {refusal.lease for refusal in hall.daemons["p1"].refusals} == {1}
        with pytest.raises(NotFoundError):
            await read_number(hall, proposal)

    run(work, veto_holders=("p3",))


def test_a_party_restarted_in_the_middle_of_a_lease_s_signature_commits_anew() -> None:
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        await move_to(hall, proposal, 1)
        await hall.coordinator.tick()
        await hall.commit(await hall.committing(proposal), ["p1", "p2"])
        hall.make_daemon("p1", "restarted")
        (asked,) = [event for event in await hall.see(proposal) if isinstance(event, SigningAsked)]
        refusals = await hall.answer(asked)
        assert "gone or spent" in refusals["p1"]
        hall.clock.now += hall.council.treaty.statement.signing_ms
        await hall.renew(proposal)
        assert await read_number(hall, proposal) == 1

    run(work)


def test_an_emergency_suspension_stops_the_leases_of_a_run() -> None:
    # VN-14.4
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        await move_to(hall, proposal, 1)
        now = hall.clock.now
        motion = hall.council.move(
            "p1",
            ActionClass.EMERGENCY_SUSPENSION,
            subject_digest=proposal.payload_digest,
            opens_ms=now,
            closes_ms=now + 1_000,
            ends_ms=now + 4 * MS_PER_HOUR,
        )
        await hall.clients["p1"].create_proposal(motion.data)
        await hall.daemons["p2"].vote(motion.payload_digest, Choice.GRANT)
        hall.clock.now = now + 1_000
        await hall.coordinator.tick()
        await hall.sign(motion)  # type: ignore[arg-type]
        assert hall.phase(motion) is Phase.LICENSED  # type: ignore[arg-type]
        await hall.renew(proposal)
        with pytest.raises(NotFoundError):
            await read_number(hall, proposal)
        hall.clock.now = now + 4 * MS_PER_HOUR
        await hall.renew(proposal)
        assert await read_number(hall, proposal) == 1, "a suspension that nobody confirms lapses"

    run(work)


def test_saying_the_same_of_one_s_consent_again_is_refused() -> None:
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        digest, daemon = proposal.payload_digest, hall.daemons["p2"]
        with pytest.raises(RefusedError, match="reason"):
            await daemon.state_consent(digest, Standing.WITHDRAWN)
        await daemon.state_consent(digest, Standing.WITHDRAWN, VetoReason.OTHER)
        with pytest.raises(RefusedError, match="has said so already"):
            await daemon.state_consent(digest, Standing.WITHDRAWN, VetoReason.OTHER)

    run(work)


def test_a_veto_that_has_its_receipt_binds_signers_who_are_shown_the_log_before_it() -> None:
    # VN-7.9: the veto is logged, its holder is kept away from the others, and they see a stale checkpoint.
    async def main() -> None:
        async with asyncio.timeout(30), assemble(veto_holders=("p3",), is_witnessed=True) as hall:
            proposal = await hall.propose()
            await hall.vote(proposal, ["p1", "p2"])
            stale = await hall.clients["p1"].get_checkpoint()
            hall.daemons["p3"]._peers = {"p1": Away(), "p2": Away()}
            await hall.vote(proposal, ["p3"], Choice.VETO)
            hall.clock.now = proposal.statement.closes_ms

            async def show_stale() -> bytes:
                return stale

            for party_id, other in (("p1", "p2"), ("p2", "p1")):
                hall.clients[party_id].get_checkpoint = show_stale  # type: ignore[method-assign]
                daemon = hall.daemons[party_id]
                daemon._peers = {other: daemon._peers[other], "p3": Away()}
                view = await daemon._look()
                assert view.witnessed_ms == NOW_MS
                vote = view.ledger.find(proposal.payload_digest)
                with pytest.raises(RefusedError, match="cosigned this log at") as caught:
                    daemon._duty._agree_to_vote(view, vote)
                assert caught.value.clause == "VN-7.3"

    asyncio.run(main())


def test_nobody_is_asked_for_a_lease_before_the_licence_is_published() -> None:
    # VN-14.1: a signer signs for a licence that the log shows it
    async def work(hall: Assembly, proposal: Signed[Proposal]) -> None:
        leasing, history = hall.coordinator._leasing, hall.coordinator._history
        now = hall.clock.now + 36 * MS_PER_HOUR
        ready = leasing.list_ready(hall.clock.now, now)
        assert ready == [proposal.payload_digest]
        history.published, published = None, history.published
        assert leasing.list_ready(hall.clock.now, now) == []
        history.published = published

    run(work)
