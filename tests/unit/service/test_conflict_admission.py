"""A coordinator refuses a second identity, and logs the proof of it (VN-17.2, VN-17.4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.coordination import ManualClock, endorse_alias, enrol_chip, run_coordinator
from support.revocations import sign_list
from support.world import NOW_MS, make_council
from vetonet.attestation.conflict import Conflict, ConflictKind, DeviceConflictError
from vetonet.attestation.revocation import MAX_LIST_AGE_MS
from vetonet.crypto.keys import generate_ed25519
from vetonet.errors import EquivocationError, ProofError, RefusedError, VetonetError
from vetonet.storage.memory import MemoryJournal


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
