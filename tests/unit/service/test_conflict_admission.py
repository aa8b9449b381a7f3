"""A coordinator refuses a second identity, and logs the proof of it (VN-17.2, VN-17.4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.coordination import ManualClock, endorse_alias, enrol_chip, run_coordinator
from support.firmware import sign_reference
from support.revocations import sign_list
from support.world import NOW_MS, make_council
from vetonet.attestation.conflict import Conflict, ConflictKind, DeviceConflictError
from vetonet.attestation.revocation import MAX_LIST_AGE_MS
from vetonet.crypto.keys import generate_ed25519
from vetonet.errors import EquivocationError, ProofError, RefusedError, VetonetError
from vetonet.service.coordinator import Coordinator
from vetonet.storage.memory import MemoryJournal


def list_places(coordinator: Coordinator) -> dict[str, list[int | None]]:
    """Return from which leaves on the coordinator lets things count."""
    registry = coordinator._history.admission.registry
    return {
        "reference": [entry.since for entries in registry.references.known.values() for entry in entries],
        "conviction": [logged.leaf_index for logged in registry.convictions],
        "revocation": list(registry.revocations.since.values()),
    }


def test_a_cloned_serial_is_refused_and_the_proof_is_logged_once_and_survives_a_restart() -> None:
    """VN-17.2: re-enrolment under another key."""
    council, journal, clock = make_council(), MemoryJournal(), ManualClock()
    chip = enrol_chip(council, serial="Test Chip-7")
    clones = [enrol_chip(council, serial="Test Chip-7").enrolment for _ in range(2)]

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            await first.append_statements([chip.enrolment], request_id="a", caller=None)
            for number, clone in enumerate(clones):
                with pytest.raises(EquivocationError) as caught:
                    await first.append_statements([clone], request_id=f"b{number}", caller=None)
                assert (caught.value.culprit, caught.value.clause) == ("maker", "VN-17.2")
            assert first.view.tree_size == 3  # treaty, chip, one proof
        async with run_coordinator(council, journal, clock) as second:
            assert second.view.tree_size == 3
            with pytest.raises(EquivocationError):
                await second.append_statements([clones[0]], request_id="c", caller=None)
            assert second.view.tree_size == 3

    asyncio.run(main())


def test_anybody_may_hand_a_conflict_in_and_an_altered_one_is_refused() -> None:
    """VN-17.4"""
    council, clock = make_council(), ManualClock()
    chip = enrol_chip(council)
    first, second = sorted(endorse_alias(council, chip) for _ in range(2))

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            await coordinator.append_statements([chip.enrolment, first], request_id="a", caller=None)
            with pytest.raises(DeviceConflictError) as caught:
                await coordinator.append_statements([second], request_id="b", caller=None)
            assert coordinator.view.tree_size == 4
            data = caught.value.conflict.to_bytes()
            assert Conflict.from_bytes(data) == caught.value.conflict
            again = await coordinator.append_statements([data], request_id="c", caller=None)
            assert again == (3,)
            altered = data[:-1] + bytes([data[-1] ^ 1])
            with pytest.raises(VetonetError):
                await coordinator.append_statements([altered], request_id="d", caller=None)

    asyncio.run(main())


def test_a_proof_that_holds_not_is_a_fault_that_shows() -> None:
    """VN-17.4: only a second proof of the same is passed over in silence."""
    council, clock = make_council(), ManualClock()
    chip = enrol_chip(council)
    first, second = sorted(endorse_alias(council, chip, boot_count=boot) for boot in (1, 2))

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            await coordinator.append_statements([chip.enrolment], request_id="a", caller=None)
            wrong = Conflict(
                kind=ConflictKind.TWO_BOOTS, first=first, second=second, enrolment=chip.enrolment
            )
            with pytest.raises(ProofError, match="no conflict"):
                await coordinator._intake._log_conflict(wrong, clock.now)
            assert coordinator.view.tree_size == 2

    asyncio.run(main())


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_second_identity_is_refused_also_where_its_first_owner_or_his_key_is_gone(is_gone: bool) -> None:  # noqa: FBT001
    """VN-17.4: under the treaty in force nobody could judge that proof."""
    council, clock = make_council(), ManualClock()
    chip, clone = (enrol_chip(council, owner=owner, serial="Test Chip-7") for owner in ("op1", "op2"))
    other_key = generate_ed25519(council.rng).public_key

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            await coordinator.append_statements([chip.enrolment], request_id="a", caller=None)
            first, *others = council.treaty.statement.operators
            staying = [] if is_gone else [replace(first, key=other_key)]
            amended = replace(council.treaty.statement, operators=(*staying, *others))
            ledger = coordinator._history.ledger
            coordinator._history._follow_ledger(
                replace(ledger, treaty=replace(council.treaty, statement=amended))
            )
            with pytest.raises(DeviceConflictError):
                await coordinator.append_statements([clone.enrolment], request_id="b", caller=None)
            assert coordinator.view.tree_size == 2

    asyncio.run(main())


def test_what_counts_from_a_leaf_on_stands_where_the_log_holds_it_also_after_a_restart() -> None:
    """VN-17.3, VN-17.4, VN-17.6"""
    council, journal, clock = make_council(), MemoryJournal(), ManualClock()
    chip = enrol_chip(council)
    boots = [endorse_alias(council, chip) for _ in range(2)]
    reference = sign_reference(council.endorser_root)
    listed = sign_list(council.endorser_root, [chip.key.public_key.ueid])

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as coordinator:
            await coordinator.append_statements(
                [chip.enrolment, boots[0], reference], request_id="a", caller=None
            )
            with pytest.raises(DeviceConflictError):
                await coordinator.append_statements([boots[1]], request_id="b", caller=None)
            await coordinator.append_statements([listed], request_id="c", caller=None)
            assert list_places(coordinator) == {"reference": [3], "conviction": [4], "revocation": [5]}
        async with run_coordinator(council, journal, clock) as coordinator:
            assert list_places(coordinator) == {"reference": [3], "conviction": [4], "revocation": [5]}

    asyncio.run(main())


def test_a_list_stands_behind_the_votes_that_came_in_while_it_was_verified() -> None:
    """VN-17.3"""
    council, clock = make_council(), ManualClock()
    fleet = [enrol_chip(council) for _ in range(40)]
    listed = sign_list(council.endorser_root, [fleet[0].key.public_key.ueid])
    batch = [*(chip.enrolment for chip in fleet), listed]

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            enrolling = asyncio.create_task(coordinator.append_statements(batch, request_id="a", caller=None))
            while not coordinator._intake.lock.locked():  # noqa: ASYNC110  (the moment to catch)
                await asyncio.sleep(0)
            proposal = council.sign_proposal()
            await coordinator.create_proposal(proposal.data, request_id="b", caller=None)
            assert await enrolling == tuple(range(2, 43))
            assert list_places(coordinator)["revocation"] == [42]

    asyncio.run(main())


@pytest.mark.parametrize("late_ms", [-(2 * 3_600_000), MAX_LIST_AGE_MS])
def test_a_list_that_is_not_in_force_on_arrival_is_refused(late_ms: int) -> None:
    """VN-17.3: postdated, or stale."""
    council, clock = make_council(), ManualClock()
    clock.now = NOW_MS + late_ms

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            with pytest.raises(RefusedError, match="not in force"):
                await coordinator.append_statements(
                    [sign_list(council.endorser_root)], request_id="a", caller=None
                )

    asyncio.run(main())
