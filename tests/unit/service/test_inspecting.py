"""Statements about inspections on their way into the log: by whom, when, all or none (VN-19)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.coordination import ManualClock, enrol_chip, identify, run_coordinator
from support.inspecting import Scene
from support.world import NOW_MS
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest
from vetonet.errors import EncodingError, ExpiredError, ProofError, RefusedError, VetonetError
from vetonet.policy.specification import Specification
from vetonet.service.coordinator import Coordinator
from vetonet.storage.memory import MemoryJournal
from vetonet.voting.randomness import RandomnessState
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role

SCENE = Scene.begin(is_licensed=False)
P1, OP1 = identify(Role.PARTY, "p1"), identify(Role.OPERATOR, "op1")
CHALLENGE = SCENE.ask()
ASKED = SCENE.by_party("p1", CHALLENGE)
ANSWERED = SCENE.by_operator(SCENE.answer(CHALLENGE))
Act = Callable[[Coordinator], Awaitable[None]]


def play(*acts: Act, clock: ManualClock | None = None) -> None:
    """Run each act with a coordinator of its own, over one journal that begins with the proposal."""
    journal = MemoryJournal()

    async def main() -> None:
        for number, act in enumerate(acts):
            async with run_coordinator(SCENE.council, journal, clock or ManualClock()) as coordinator:
                if number == 0:
                    await coordinator.create_proposal(SCENE.proposal.data, request_id="run", caller=None)
                await act(coordinator)

    asyncio.run(main())


def test_a_challenge_and_its_answer_are_logged_once_and_survive_a_restart() -> None:
    async def act(coordinator: Coordinator) -> None:
        assert await coordinator.append_statements([ASKED], request_id="a", caller=P1) == (2,)
        assert await coordinator.append_statements([ASKED], request_id="b", caller=P1) == (2,)
        assert await coordinator.append_statements([ANSWERED], request_id="c", caller=OP1) == (3,)

    async def after_a_restart(coordinator: Coordinator) -> None:
        assert await coordinator.append_statements([ASKED], request_id="a", caller=P1) == (2,)
        (found,) = coordinator._history.ledger.inspections.disclosures.values()
        assert found.answer is not None
        assert coordinator.view.tree_size == 4

    play(act, after_a_restart)


def test_a_wrong_answer_is_refused_at_the_door() -> None:
    # VN-19.4
    other = Specification.generate({}, SeededRng(b"other")).open_field("data")
    wrong = SCENE.by_operator(SCENE.answer(CHALLENGE, opening=other))

    async def act(coordinator: Coordinator) -> None:
        await coordinator.append_statements([ASKED], request_id="a", caller=P1)
        with pytest.raises(ProofError):
            await coordinator.append_statements([wrong], request_id="b", caller=OP1)
        assert coordinator.view.tree_size == 3

    play(act)


@pytest.mark.parametrize(
    ("data", "caller"),
    [
        (ASKED, identify(Role.PARTY, "p2")),
        (ASKED, OP1),
        (ANSWERED, P1),
        (ANSWERED, identify(Role.OPERATOR, "op2")),
    ],
)
def test_nobody_hands_in_what_is_anothers(data: bytes, caller: object) -> None:
    async def act(coordinator: Coordinator) -> None:
        if data is ANSWERED:
            await coordinator.append_statements([ASKED], request_id="a", caller=P1)
        with pytest.raises(WrongIdentityError):
            await coordinator.append_statements([data], request_id="b", caller=caller)  # type: ignore[arg-type]

    play(act)


@pytest.mark.parametrize("offset_ms", [-60_001, 60_001])
def test_a_challenge_that_is_not_of_now_is_refused(offset_ms: int) -> None:
    # VN-19.3
    now = NOW_MS + offset_ms
    clock = ManualClock()

    async def act(coordinator: Coordinator) -> None:
        clock.now = now
        with pytest.raises(ExpiredError):
            await coordinator.append_statements([ASKED], request_id="a", caller=P1)

    play(act, clock=clock)


def test_all_of_a_batch_are_in_or_none_is() -> None:
    again = SCENE.by_operator(SCENE.answer(CHALLENGE))

    async def act(coordinator: Coordinator) -> None:
        stray = SCENE.by_operator(SCENE.answer(SCENE.ask("tokenizer")))
        with pytest.raises(VetonetError):
            await coordinator.append_statements([ASKED, stray], request_id="a", caller=None)
        assert coordinator.view.tree_size == 2
        assert await coordinator.append_statements([ASKED, again], request_id="b", caller=None) == (2, 3)

    play(act)


def test_inspections_come_in_a_call_of_their_own() -> None:
    chip = enrol_chip(SCENE.council)

    async def act(coordinator: Coordinator) -> None:
        with pytest.raises(EncodingError, match="call of their own"):
            await coordinator.append_statements([ASKED, chip.enrolment], request_id="a", caller=None)

    play(act)


def find_round(coordinator: Coordinator, digest: bytes) -> RandomnessState:
    return coordinator._history.ledger.inspections.rounds[digest]


def test_a_round_is_drawn_over_a_coordinator() -> None:
    opened = SCENE.open_round()
    parts, digest = SCENE.contribute(opened), compute_digest(opened)

    async def act(coordinator: Coordinator) -> None:
        await coordinator.append_statements([SCENE.by_party("p1", opened)], request_id="o", caller=P1)
        signed = find_round(coordinator, digest).opened
        for name, part in parts.items():
            data = SCENE.by_party(name, part.commit(signed))
            await coordinator.append_statements([data], request_id=f"c{name}", caller=None)
        state = find_round(coordinator, digest)
        for name, part in parts.items():
            data = SCENE.by_party(name, part.reveal(state))
            await coordinator.append_statements([data], request_id=f"r{name}", caller=None)
        assert len(find_round(coordinator, digest).compute_output()) == 64
        again = SCENE.by_party("p1", SCENE.open_round())
        with pytest.raises(RefusedError):
            await coordinator.append_statements([again], request_id="x", caller=None)

    play(act)
