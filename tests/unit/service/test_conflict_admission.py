"""A coordinator refuses a second identity, and logs the proof of it (VN-17.2, VN-17.4)."""

from __future__ import annotations

import asyncio

import pytest

from support.coordination import ManualClock, endorse_alias, enrol_chip, run_coordinator
from support.revocations import sign_list
from support.world import NOW_MS, make_council
from vetonet.attestation.conflict import Conflict, DeviceConflictError
from vetonet.attestation.revocation import MAX_LIST_AGE_MS
from vetonet.errors import EquivocationError, RefusedError, VetonetError
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
