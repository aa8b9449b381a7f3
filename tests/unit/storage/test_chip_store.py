"""Two slots of flash: the newest whole bytes over every loss of power, and a no over damage (VN-17.15)."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.power import PowerLostError, list_fates
from vetonet.errors import StorageError
from vetonet.storage.chip_store import MAX_BYTES, ChipStore
from vetonet.storage.flash import BLOCK_BYTES, Flash, FlashFiles, FlashMemory, Operation

STATES = [bytes([number]) * (BLOCK_BYTES + 100 * number) for number in range(5)]


@pytest.fixture(params=["memory", "files"])
def make_flash(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Flash]:
    """One suite for both: each call gives the flash anew, with what it held."""
    if request.param == "files":
        return lambda: FlashFiles(tmp_path / "chip")
    kept = FlashMemory()
    return lambda: kept


def test_a_flash_that_was_never_written_holds_nothing(make_flash: Callable[[], Flash]) -> None:
    assert ChipStore(make_flash()).load() is None


def test_what_was_saved_last_is_what_is_loaded(make_flash: Callable[[], Flash]) -> None:
    for state in [*STATES, b"", *reversed(STATES)]:
        ChipStore(make_flash()).save(state)
        assert ChipStore(make_flash()).load() == state


def test_one_store_saves_many_times(make_flash: Callable[[], Flash]) -> None:
    store = ChipStore(make_flash())
    for state in STATES:
        store.save(state)
    assert ChipStore(make_flash()).load() == STATES[-1]


def test_a_block_takes_no_more_than_it_has_room_for(make_flash: Callable[[], Flash]) -> None:
    with pytest.raises(ValueError, match="at most"):
        make_flash().write(0, 0, bytes(BLOCK_BYTES + 1))


def test_a_slot_takes_no_more_than_is_read(make_flash: Callable[[], Flash]) -> None:
    with pytest.raises(ValueError, match="at most"):
        ChipStore(make_flash()).save(bytes(MAX_BYTES + 1))


def save_all(flash: FlashMemory, states: list[bytes]) -> None:
    for state in states:
        ChipStore(flash).save(state)


def test_every_fate_of_every_write_leaves_the_bytes_before_or_after() -> None:
    """VN-17.15: at every primitive, with every choice of the writes that came through, whole or torn."""
    told: list[str] = []
    flash = FlashMemory()
    save_all(flash, STATES[:2])
    flash.before = lambda operation: told.append(str(operation))
    ChipStore(flash).save(STATES[2])
    assert told == ["write 0.0", "sync", "write 0.1", "write 0.2", "sync", "write 0.0", "sync"]
    outcomes = set()
    for moment in range(len(told)):
        for fate in list_fates(2):
            outcomes.add(lose_power_at(moment, fate.kept, fate.torn))
    assert outcomes == {1, 2}


def lose_power_at(moment: int, kept: tuple[int, ...], torn: int | None) -> int:
    """The number of the state that is there after the third save was cut off, and still after a fourth."""
    flash, left = FlashMemory(), [moment]
    save_all(flash, STATES[:2])

    def cut(operation: Operation) -> None:
        if not left[0]:
            raise PowerLostError(str(operation))
        left[0] -= 1

    flash.before = cut
    with pytest.raises(PowerLostError):
        ChipStore(flash).save(STATES[2])
    flash.before = lambda _: None
    flash.lose_power(kept, torn)
    found = ChipStore(flash).load()
    assert found is not None
    ChipStore(flash).save(STATES[3])
    assert ChipStore(flash).load() == STATES[3]
    return STATES.index(found)


def test_a_flipped_bit_behind_a_whole_header_is_damage_and_no_reason_to_take_older_bytes() -> None:
    """VN-17.15."""
    flash = FlashMemory()
    save_all(flash, STATES[:2])
    for slot in (0, 1):
        for offset in (BLOCK_BYTES, BLOCK_BYTES + 1000, BLOCK_BYTES + len(STATES[slot]) - 1):
            altered = flash.copy()
            altered.flip(slot, offset)
            with pytest.raises(StorageError, match="damaged"):
                ChipStore(altered).load()


@pytest.mark.parametrize("offset", [0, 8, 16, 24, 60, 87])
def test_a_header_that_does_not_hold_ends_no_save(offset: int) -> None:
    """The same as a torn one; whether the bytes before it are the newest, the reports show."""
    flash = FlashMemory()
    save_all(flash, STATES[:2])
    flash.flip(1, offset)
    assert ChipStore(flash).load() == STATES[0]


def test_two_slots_without_a_whole_header_are_refused() -> None:
    """VN-17.15: a chip whose flash was wiped does not begin anew."""
    flash = FlashMemory()
    save_all(flash, STATES[:2])
    for slot in (0, 1):
        flash.flip(slot, 0)
    with pytest.raises(StorageError, match="found two that are not"):
        ChipStore(flash).load()


def test_a_slot_from_an_older_copy_beside_a_newer_one_is_refused() -> None:
    """VN-17.15."""
    flash = FlashMemory()
    save_all(flash, STATES[:1])
    old = flash.copy()
    save_all(flash, STATES[1:5])
    mixed = flash.copy()
    for block in range(len(old.read(0)) // BLOCK_BYTES):
        mixed.write(0, block, old.read(0)[block * BLOCK_BYTES :][:BLOCK_BYTES])
    mixed.sync()
    with pytest.raises(StorageError, match="one slot is a copy"):
        ChipStore(mixed).load()


def test_a_whole_older_copy_loads_because_nothing_in_it_is_wrong() -> None:
    """What shows it is the chip's next report: see ``test_chip_faults``."""
    flash = FlashMemory()
    save_all(flash, STATES[:2])
    old = flash.copy()
    save_all(flash, STATES[2:])
    assert ChipStore(old).load() == STATES[1]


def test_files_of_a_chip_are_for_their_owner_only(tmp_path: Path) -> None:
    ChipStore(FlashFiles(tmp_path / "chip")).save(b"key")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "chip").iterdir()}
    assert modes == {0o600}


def test_flash_without_a_directory_to_be_in_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected a directory"):
        FlashFiles(tmp_path / "none" / "chip")


def test_a_file_that_cannot_be_read_is_an_error_of_storage(tmp_path: Path) -> None:
    flash = FlashFiles(tmp_path / "chip")
    (tmp_path / "chip" / "slot-0").mkdir()
    for act in (lambda: flash.read(0), lambda: flash.write(0, 0, b"x")):
        with pytest.raises(StorageError, match="expected a chip's flash"):
            act()


def test_a_sync_that_fails_is_an_error_of_storage(tmp_path: Path) -> None:
    flash = FlashFiles(tmp_path / "chip")
    flash.write(0, 0, b"x")
    (tmp_path / "chip" / "slot-0").unlink()
    with pytest.raises(StorageError, match="expected a chip's flash"):
        flash.sync()
