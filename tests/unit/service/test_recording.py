"""What was signed in ceremonies on its way into the log: by parties, once, all or none (VN-15.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.ceremony import make_key
from support.charters import hold_ceremonies, make_founded
from support.coordination import FailingJournal, ManualClock, identify, run_coordinator
from support.world import make_council
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, RefusedError, StorageError, UnknownPartyError, VetonetError
from vetonet.policy.ceremony import CeremonyEcho, CeremonyShares
from vetonet.service.coordinator import MAX_BATCH, Coordinator
from vetonet.storage.journal import FullJournalError, RequestConflictError
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.log import MAX_LEAF_BYTES
from vetonet.voting.founding import verify_founding
from vetonet.voting.founding_log import gather_founding, list_statements
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role

COUNCIL = make_founded()
KEPT = hold_ceremonies()
LEAVES = list_statements(KEPT)
P1 = identify(Role.PARTY, "p1")
Scene = Callable[[Coordinator], Awaitable[None]]


def play(*scenes: Scene, journal: MemoryJournal | None = None) -> None:
    """Run each scene with a coordinator of its own, over one journal."""
    kept = journal or MemoryJournal()

    async def main() -> None:
        for scene in scenes:
            async with run_coordinator(COUNCIL, kept, ManualClock()) as coordinator:
                await scene(coordinator)

    asyncio.run(main())


def echo(number: int, party: str = "p1") -> bytes:
    statement = CeremonyEcho(ceremony=bytes(32), transcript=bytes([number]) * 32)
    return sign(statement, COUNCIL.party_keys.get(party) or make_key(party))


def list_leaves(coordinator: Coordinator) -> tuple[bytes, ...]:
    return coordinator.view.list_leaves(0, limit=1_000, max_bytes=10**7)


def test_a_founding_is_logged_next_after_the_treaty_and_judged_from_the_log() -> None:
    # VN-15.11
    async def scene(coordinator: Coordinator) -> None:
        await coordinator.record_founding(LEAVES)
        await coordinator.publisher.wait_for(len(LEAVES) + 1)
        leaves = list_leaves(coordinator)
        assert leaves == (COUNCIL.treaty.data, *LEAVES)
        verify_founding(COUNCIL.treaty.statement, gather_founding(COUNCIL.treaty.statement, leaves))

    async def after_a_restart(coordinator: Coordinator) -> None:
        await coordinator.record_founding(LEAVES)
        await coordinator.publisher.publish()
        assert list_leaves(coordinator) == (COUNCIL.treaty.data, *LEAVES)

    play(scene, after_a_restart)


def test_the_same_again_by_whichever_party_changes_nothing() -> None:
    # VN-15.11, VN-13.2
    async def scene(coordinator: Coordinator) -> None:
        first = await coordinator.record_ceremony(LEAVES, request_id="a", caller=P1)
        again = await coordinator.record_ceremony(LEAVES, request_id="a", caller=P1)
        other = await coordinator.record_ceremony(
            LEAVES[::-1] + LEAVES[:1], request_id="b", caller=identify(Role.PARTY, "p5")
        )
        assert first == again == tuple(range(1, len(LEAVES) + 1))
        assert other == (*first[::-1], 1)
        assert coordinator.view.tree_size == len(LEAVES) + 1

    play(scene)


def test_a_request_id_stands_for_one_transcript() -> None:
    # VN-13.2
    async def scene(coordinator: Coordinator) -> None:
        await coordinator.record_ceremony(LEAVES[:1], request_id="a", caller=P1)
        with pytest.raises(RequestConflictError):
            await coordinator.record_ceremony(LEAVES[1:], request_id="a", caller=P1)

    play(scene)


@pytest.mark.parametrize(
    ("role", "name"), [(Role.OPERATOR, "op1"), (Role.COORDINATOR, "main"), (Role.PARTY, "p9")]
)
def test_only_a_party_of_the_treaty_may_record(role: Role, name: str) -> None:
    # VN-15.11
    async def scene(coordinator: Coordinator) -> None:
        with pytest.raises((WrongIdentityError, UnknownPartyError)):
            await coordinator.record_ceremony(LEAVES, request_id="a", caller=identify(role, name))
        assert coordinator.view.tree_size == 1

    play(scene)


def make_refused() -> dict[str, tuple[bytes, type[VetonetError]]]:
    shares = CeremonyShares(ceremony=bytes(32), transcript=bytes(32), receiver="p2", sealed=bytes(100))
    altered = bytearray(LEAVES[0])
    altered[-1] ^= 1
    vote = make_council().sign_proposal()
    return {
        "a stranger's": (echo(1, "stranger"), UnknownPartyError),
        "sealed": (sign(shares, COUNCIL.party_keys["p1"]), EncodingError),
        "altered": (bytes(altered), VetonetError),
        "a third face": (echo(3), RefusedError),
        "no statement": (b"leaf", EncodingError),
        "a proposal": (vote.data, EncodingError),
        "the treaty": (b"\xd8\x62" + COUNCIL.treaty.data, EncodingError),
        "too large": (bytes(MAX_LEAF_BYTES + 1), RefusedError),
    }


@pytest.mark.parametrize("which", make_refused())
def test_one_statement_that_has_no_place_keeps_all_out(which: str) -> None:
    # VN-15.11
    data, kind = make_refused()[which]

    async def scene(coordinator: Coordinator) -> None:
        with pytest.raises(kind):
            await coordinator.record_ceremony((echo(1), echo(2), data), request_id="a", caller=P1)
        assert coordinator.view.tree_size == 1
        await coordinator.record_ceremony((echo(1), echo(2)), request_id="a", caller=P1)

    play(scene)


@pytest.mark.parametrize("count", [0, MAX_BATCH + 1])
def test_a_record_of_no_or_too_many_statements_is_refused(count: int) -> None:
    async def scene(coordinator: Coordinator) -> None:
        with pytest.raises(RefusedError, match="expected 1 to"):
            await coordinator.record_ceremony((echo(1),) * count, request_id="a", caller=P1)

    play(scene)


def test_what_could_not_be_made_durable_is_not_acknowledged_and_may_be_sent_again() -> None:
    # VN-11.2
    journal = FailingJournal()

    async def scene(coordinator: Coordinator) -> None:
        journal.errors.append(FullJournalError("full"))
        with pytest.raises(StorageError):
            await coordinator.record_ceremony(LEAVES, request_id="a", caller=P1)
        assert coordinator.view.tree_size == 1
        await coordinator.record_ceremony(LEAVES, request_id="a", caller=P1)
        assert coordinator.view.tree_size == len(LEAVES) + 1

    play(scene, journal=journal)


def test_what_was_acknowledged_is_there_after_a_restart_and_counts_by_the_rule() -> None:
    # VN-11.3, VN-15.11
    async def before(coordinator: Coordinator) -> None:
        await coordinator.record_ceremony((echo(1), echo(2)), request_id="a", caller=P1)

    async def after(coordinator: Coordinator) -> None:
        with pytest.raises(RefusedError, match="more than 2"):
            await coordinator.record_ceremony((echo(3),), request_id="b", caller=P1)
        assert await coordinator.record_ceremony((echo(2),), request_id="c", caller=P1) == (2,)

    play(before, after)


def test_an_operator_s_way_into_the_log_takes_no_ceremony() -> None:
    async def scene(coordinator: Coordinator) -> None:
        with pytest.raises(EncodingError):
            await coordinator.append_statements(LEAVES, request_id="a", caller=None)

    play(scene)
