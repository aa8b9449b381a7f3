"""The client believes proofs: whatever a coordinator answers, a receipt that does not hold is an error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from support.assembly import POLICY, Assembly, assemble
from support.coordination import enrol_chip, sign_batch
from support.world import make_council
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, VetonetError
from vetonet.party.calls import CallPolicy
from vetonet.party.client import CoordinatorClient
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Treaty
from vetonet.service.coordinator import Coordinator
from vetonet.tlog.log import Log
from vetonet.tlog.proof import LogProof, verify_log_proof
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role
from vetonet.wire.status import RpcError


def play(scenario: Callable[[Assembly], Coroutine[Any, Any, None]], **council: Any) -> None:
    async def within() -> None:
        async with asyncio.timeout(20), assemble(**council) as hall:
            await scenario(hall)

    asyncio.run(within())


def stranger(hall: Assembly, treaty: Any, policy: CallPolicy = POLICY) -> CoordinatorClient:
    return CoordinatorClient.connect(
        hall.coordinators[0].address,
        treaty=treaty,
        credential=None,
        server=None,
        rng=SeededRng(b"stranger"),
        policy=policy,
    )


def test_statements_are_logged_one_by_one_or_together_with_proofs() -> None:
    async def scenario(hall: Assembly) -> None:
        terms: Treaty = hall.council.treaty.statement
        statements = [enrol_chip(hall.council).enrolment for _ in range(3)]
        policy = hall.daemons["p1"].view.policy
        (first,) = await hall.operator.append_statements(statements[:1])
        together = await hall.operator.append_statements(statements)
        assert [proof.leaf_index for proof in together] == [1, 2, 3]
        for statement, proof in zip(statements, together, strict=True):
            assert verify_log_proof(statement, proof, policy).checkpoint.origin == terms.log_origin
        assert first.leaf_index == together[0].leaf_index
        await hall.operator.append_statements([sign_batch(hall.council)])
        await hall.daemons["p1"].sync()
        assert hall.daemons["p1"].view.tree_size == 5

    play(scenario)


def test_a_client_takes_no_other_treaty_for_its_own() -> None:
    async def scenario(hall: Assembly) -> None:
        other = make_council(rng=SeededRng(b"other"))
        async with stranger(hall, other.treaty) as client:
            with pytest.raises(InvalidSignatureError):
                await client.get_checkpoint()
            await hall.propose()
            with pytest.raises(VetonetError):
                await client.list_proposals()

    play(scenario)


def test_a_receipt_for_another_leaf_is_no_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        view, proposal = hall.coordinator.view, await hall.propose()
        ballot = hall.council.sign_ballot("p1", proposal, Choice.GRANT)
        honest = view.prove
        monkeypatch.setattr(type(view), "prove", lambda _self, _index: honest(0))
        with pytest.raises(ProofError):
            await hall.clients["p1"].cast_ballot(proposal.payload_digest, ballot.data)

    play(scenario)


def test_a_receipt_under_a_checkpoint_of_another_key_is_no_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        other = make_council(rng=SeededRng(b"other"))
        proposal = await hall.propose()
        ballot = hall.council.sign_ballot("p1", proposal, Choice.GRANT)
        log = Log(hall.council.treaty.statement.log_origin, [ballot.data])
        forged = other.sign_head(log)
        proof = LogProof(leaf_index=0, hashes=(), checkpoint=forged)
        monkeypatch.setattr(type(hall.coordinator.view), "prove", lambda _self, _index: proof)
        with pytest.raises(InvalidSignatureError):
            await hall.clients["p1"].cast_ballot(proposal.payload_digest, ballot.data)

    play(scenario)


def test_inclusion_proofs_of_a_batch_are_verified_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Assembly) -> None:
        statements = [enrol_chip(hall.council).enrolment for _ in range(3)]
        view = hall.coordinator.view
        honest = view.prove_inclusion
        monkeypatch.setattr(type(view), "prove_inclusion", lambda _self, _index, size: honest(0, size))
        with pytest.raises(ProofError):
            await hall.operator.append_statements(statements)

    play(scenario)


class AnswersWithAnother(Coordinator):
    """Answers every new proposal with the first one."""

    async def create_proposal(self, data: bytes, **arguments: Any) -> Any:
        vote = await super().create_proposal(data, **arguments)
        return self.view.list_votes(0, 1)[0] if self.view.list_votes(0, 1) else vote


def test_an_answer_about_another_proposal_is_refused() -> None:
    async def scenario(hall: Assembly) -> None:
        await hall.propose()
        with pytest.raises(EncodingError, match="another proposal"):
            await hall.propose()

    play(scenario, kinds=(AnswersWithAnother,))


def test_an_operator_cannot_vote_and_a_party_cannot_propose() -> None:
    async def scenario(hall: Assembly) -> None:
        proposal = await hall.propose()
        ballot = hall.council.sign_ballot("p1", proposal)
        for client in (hall.operator, hall.clients["p2"]):
            with pytest.raises(WrongIdentityError):
                await client.cast_ballot(proposal.payload_digest, ballot.data)
        with pytest.raises(WrongIdentityError):
            await hall.clients["p1"].create_proposal(hall.council.sign_proposal().data)

    play(scenario, has_certificates=True)


def test_a_client_takes_nobody_else_for_the_coordinator() -> None:
    async def scenario(hall: Assembly) -> None:
        mine, other = hall.credential(Role.PARTY, "p1"), hall.credential(Role.PARTY, "p2")
        assert mine is not None
        assert other is not None
        client = CoordinatorClient.connect(
            hall.coordinators[0].address,
            treaty=hall.council.treaty,
            credential=mine,
            server=other.identity,
            rng=hall.council.rng,
            policy=POLICY,
        )
        async with client:
            with pytest.raises(RpcError):
                await client.get_checkpoint()

    play(scenario, has_certificates=True)


def test_a_coordinator_that_is_away_is_an_error_of_ours_after_bounded_attempts() -> None:
    async def scenario(hall: Assembly) -> None:
        await hall.coordinators[0].stop(0)
        with pytest.raises(RpcError, match="cannot be reached"):
            await hall.operator.get_checkpoint()
        async with contextlib.aclosing(hall.operator.watch()) as watch:
            with pytest.raises(RpcError):
                await anext(watch)

    play(scenario)


def test_a_watch_that_is_silent_too_long_is_given_up() -> None:
    async def scenario(hall: Assembly) -> None:
        patient = CallPolicy(attempts=2, first_pause_s=0.001, watch_idle_s=0.001)
        async with (
            stranger(hall, hall.council.treaty, patient) as client,
            contextlib.aclosing(client.watch()) as watch,
        ):
            with pytest.raises(RpcError, match="heartbeat"):
                await anext(watch)

    play(scenario)
