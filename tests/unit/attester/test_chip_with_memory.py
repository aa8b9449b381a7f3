"""A chip with a memory: durable before it leaves, handed out again after a loss of power (VN-17.15)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.fleet import make_fleet, tell
from support.world import NOW_MS
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import open_report
from vetonet.attester.account import OpeningTold
from vetonet.attester.chip import Chip, keep_first
from vetonet.attester.secure_element import SEED_BYTES
from vetonet.attester.state import (
    AliasEndorsed,
    ChipState,
    Effect,
    IntervalEnded,
    Phase,
    PowerCycled,
    ReportSigned,
)
from vetonet.errors import StorageError, UnexpectedEventError
from vetonet.policy.totals import Totals
from vetonet.storage.chip_store import ChipStore
from vetonet.storage.flash import FlashMemory
from vetonet.units import MS_PER_HOUR

FLEET = make_fleet()
MADE = replace(FLEET.chips[0], phase=Phase.OFF, alias_key=None, boot_count=0)


class Failing:
    """A store whose saves fail from some moment on."""

    def __init__(self, store: ChipStore) -> None:
        self.store = store
        self.has_failed = False

    def load(self) -> bytes | None:
        return self.store.load()

    def save(self, data: bytes) -> None:
        if self.has_failed:
            raise StorageError("worn out")
        self.store.save(data)


def make(chip: ChipState = MADE) -> FlashMemory:
    flash = FlashMemory()
    keep_first(chip, ChipStore(flash))
    return flash


def start(flash: FlashMemory, number: int = 1, now: int = NOW_MS) -> tuple[Chip, tuple[Effect, ...]]:
    chip = Chip(ChipStore(flash))
    effects = chip.start(PowerCycled(seed=bytes([number]) * SEED_BYTES), now)
    return chip, effects


def test_a_chip_goes_on_where_it_was() -> None:
    flash = make()
    chip, _ = start(flash)
    chip.step(FLEET.free_request(), NOW_MS)
    before = chip.state
    chip, _ = start(flash, 2, before.latest_ms)
    assert (chip.state.cumulative_flop, chip.state.boot_count) == (before.cumulative_flop, 2)


def test_a_report_that_may_not_have_left_is_handed_out_again_with_the_same_bytes() -> None:
    """VN-17.15."""
    flash = make()
    chip, _ = start(flash)
    report = chip.step(IntervalEnded(), NOW_MS + 1)
    chip, effects = start(flash, 2, NOW_MS + 1)
    assert effects[:-1] == report
    assert isinstance(effects[-1], AliasEndorsed)
    _, again = start(flash, 3, NOW_MS + 1)
    assert again[:-1] == report


def test_what_opens_a_report_is_handed_out_again_with_it() -> None:
    """VN-17.15: an operator that lacks one opening cannot prove any total of which it is a part."""
    hiding = make_fleet(totals=Totals.CONFIDENTIAL).chips[0]
    flash = make(replace(hiding, phase=Phase.OFF, alias_key=None, boot_count=0))
    chip, _ = start(flash)
    effects = chip.step(IntervalEnded(), NOW_MS + 1)
    assert [type(effect) for effect in effects] == [OpeningTold, ReportSigned]
    for number in (2, 3):
        _, again = start(flash, number, NOW_MS + 1)
        assert again[:-1] == effects


def test_a_report_whose_receiver_came_back_is_not_handed_out_again() -> None:
    flash = make()
    chip, _ = start(flash)
    chip.step(IntervalEnded(), NOW_MS + 1)
    chip.step(FLEET.free_request(), NOW_MS + 1)
    _, effects = start(flash, 2, chip.state.latest_ms)
    assert not [effect for effect in effects if isinstance(effect, ReportSigned)]


def test_an_endorsement_that_was_lost_is_of_a_key_that_signed_nothing() -> None:
    """VN-17.15: the next start endorses another key, and everything a chip ever reports can be read."""
    flash = make()
    start(flash)
    chip, effects = start(flash, 2)
    (endorsed,) = effects
    assert isinstance(endorsed, AliasEndorsed)
    (report,) = chip.step(IntervalEnded(), NOW_MS + 1)
    assert isinstance(report, ReportSigned)
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], FLEET.council.treaty.statement)
    assert registry.read_alias(endorsed.data).statement.boot_count == 2
    assert open_report(report.data, registry.aliases).statement.counter == 1


def test_a_refusal_is_answered_without_a_write() -> None:
    flash = make()
    chip, _ = start(flash)
    before = flash.copy()
    assert tell(chip.step(IntervalEnded(), NOW_MS)) == ["interval-empty"]
    assert [before.read(slot) for slot in (0, 1)] == [flash.read(slot) for slot in (0, 1)]


def test_nothing_comes_of_a_step_that_could_not_be_kept() -> None:
    """VN-17.15: no report without a durable counter, and no further word before another start."""
    flash = make()
    store = Failing(ChipStore(flash))
    chip = Chip(store)
    chip.start(PowerCycled(seed=b"1" * SEED_BYTES), NOW_MS)
    store.has_failed = True
    with pytest.raises(StorageError, match="worn out"):
        chip.step(IntervalEnded(), NOW_MS + 1)
    with pytest.raises(StorageError, match="start it anew"):
        chip.step(IntervalEnded(), NOW_MS + 1)
    assert start(flash, 2)[0].state.counter == 0


def test_a_chip_that_lost_its_state_does_not_begin_anew() -> None:
    """VN-17.15: a wiped chip would count from zero, and accept its licences again."""
    with pytest.raises(StorageError, match="wiped"):
        Chip(ChipStore(FlashMemory()))


def test_a_store_that_holds_a_chip_takes_no_other() -> None:
    with pytest.raises(StorageError, match="empty store"):
        keep_first(MADE, ChipStore(make()))


def test_a_chip_that_was_read_does_nothing_before_its_start() -> None:
    for state in (MADE, FLEET.chips[0]):
        with pytest.raises(UnexpectedEventError):
            Chip(ChipStore(make(state))).step(IntervalEnded(), NOW_MS + 1)


def test_a_start_before_what_was_counted_is_over_is_refused() -> None:
    """VN-17.15: the time of work that the power cut short is used up, as its FLOP are."""
    flash = make()
    chip, _ = start(flash)
    chip.step(FLEET.free_request(duration_ms=MS_PER_HOUR), NOW_MS)
    _, effects = start(flash, 2, NOW_MS + 1)
    assert tell(effects) == ["clock-behind"]


def test_a_chip_can_be_started_anew_while_it_has_power() -> None:
    chip, _ = start(make())
    chip.step(PowerCycled(seed=b"2" * SEED_BYTES), NOW_MS)
    assert chip.state.boot_count == 2
