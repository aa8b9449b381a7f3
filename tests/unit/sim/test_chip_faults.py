"""Every fault that a chip can have, enacted: it is found by whom and by what the table says (VN-17.15)."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.firmware import FIRMWARE, PATCHED, UNKNOWN
from support.fleet import make_fleet, tell
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.conflict import (
    Conflict,
    ConflictKind,
    Conviction,
    DeviceConflictError,
    build_report_conflict,
    verify_conflict,
)
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, DebugStatus, open_report
from vetonet.attester.chip import Chip, keep_first
from vetonet.attester.machine import step
from vetonet.attester.secure_element import SEED_BYTES
from vetonet.attester.state import AliasEndorsed, ChipState, Event, IntervalEnded, PowerCycled, ReportSigned
from vetonet.attester.tamper import TamperDetected
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.errors import EquivocationError, StorageError
from vetonet.sim.faults import FAULTS, PPM, Catcher, Fault, Inspection, forge
from vetonet.storage.chip_store import ChipStore
from vetonet.storage.flash import BLOCK_BYTES, FlashMemory
from vetonet.units import MS_PER_HOUR, WorkloadClass

ROOT = Path(__file__).resolve().parents[3]
FLEET = make_fleet(lease_flop=10**23, lease_ms=4 * MS_PER_HOUR)
LEASED, BEFORE = FLEET.run(FLEET.chips[0], hours=1)
OTHER_JOB = FLEET.free_request(flop=10**18)
Finding = tuple[Catcher, str | None]


def work_on(chip: ChipState, event: Event | None = None) -> tuple[ChipState, Signed[ComputeReport]]:
    """The chip after an hour of work, or of something else, and its report of that."""
    chip, _ = step(chip, event or FLEET.request(), chip.latest_ms)
    chip, effects = step(chip, IntervalEnded(), chip.latest_ms + 1)
    return chip, FLEET.open(next(effect.data for effect in effects if isinstance(effect, ReportSigned)))


def judge(reports: Sequence[Signed[ComputeReport]], registry: Registry = FLEET.registry) -> Finding:
    """What the reports of one chip come to: one after the other, and then all together."""
    for report in reports:
        known = registry.find_alias(report.signer.key_id)
        for problem in appraise(report, known.device, known.alias, firmware=()):
            return Catcher.APPRAISAL, problem.reason
    for problem in appraise_chain(reports):
        return Catcher.CHAIN, problem.reason
    return Catcher.NOBODY, None


def ask(chip: ChipState, event: Event, now: int | None = None) -> Finding:
    """What a chip itself says."""
    found = tell(step(chip, event, chip.latest_ms if now is None else now)[1])
    return (Catcher.CHIP, found[0]) if found else (Catcher.NOBODY, None)


def keep(chip: ChipState) -> FlashMemory:
    flash = FlashMemory()
    keep_first(chip, ChipStore(flash))
    return flash


def load(flash: FlashMemory) -> Finding:
    try:
        Chip(ChipStore(flash))
    except StorageError as error:
        return Catcher.CHIP, error.reason
    return Catcher.NOBODY, None


def damage() -> Finding:
    flash = keep(LEASED)
    flash.flip(0, BLOCK_BYTES + 7)
    return load(flash)


def open_registry() -> Registry:
    """What everybody knows of the chip before anything happens to it."""
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], FLEET.council.treaty.statement)
    registry.read_alias(FLEET.aliases[0])
    return registry


def live_on(flash: FlashMemory, event: Event, registry: Registry) -> Signed[ComputeReport]:
    """The report of the next boot of the chip in this flash, of which the registry hears."""
    chip = Chip(ChipStore(flash))
    seed = SeededRng(str(event).encode())(SEED_BYTES)
    started = chip.start(PowerCycled(seed=seed), chip.state.latest_ms)
    for effect in started:
        if isinstance(effect, AliasEndorsed):
            registry.read_alias(effect.data)
    chip.step(event, chip.state.latest_ms)
    effects = chip.step(IntervalEnded(), chip.state.latest_ms + 1)
    found = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return open_report(found[0], registry.aliases)


def roll_back() -> Finding:
    """The second start from one state has the boot count of the first, and another key."""
    flash, registry = keep(LEASED), open_registry()
    copy = flash.copy()
    live_on(flash, FLEET.request(), registry)
    with pytest.raises(EquivocationError) as caught:
        live_on(copy, OTHER_JOB, registry)
    return Catcher.REGISTRY, caught.value.reason


def roll_back_unseen() -> Finding:
    """Of the first of the two lives nothing was published."""
    flash, registry = keep(LEASED), open_registry()
    copy = flash.copy()
    live_on(flash, FLEET.request(), open_registry())
    return judge([*BEFORE, live_on(copy, OTHER_JOB, registry)], registry)


def run_twice() -> Finding:
    """A state is a value, so the clone of a chip is that value, used a second time."""
    return judge([*BEFORE, work_on(LEASED)[1], work_on(LEASED, OTHER_JOB)[1]])


def enrol_twice() -> Finding:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], FLEET.council.treaty.statement)
    enrolment = FLEET.registry.devices[LEASED.ueid].enrolment
    council = FLEET.council
    again = replace(enrolment, owner="op2")
    data = sign_jointly(again, (council.endorser_root, council.operator_keys["op2"]))
    with pytest.raises(EquivocationError) as caught:
        registry.read_enrolment(data, council.treaty.statement)
    return Catcher.REGISTRY, caught.value.reason


def downgrade() -> Finding:
    both = frozenset({FIRMWARE.digest, PATCHED.digest})
    updated = PowerCycled(seed=bytes(SEED_BYTES), firmware=PATCHED)
    chip, _ = step(replace(LEASED, approved=both), updated, LEASED.latest_ms)
    return ask(chip, PowerCycled(seed=bytes(SEED_BYTES), firmware=FIRMWARE))


def extract() -> tuple[list[Signed[ComputeReport]], Signed[ComputeReport]]:
    """A chip's reports with the last, of an hour of work, replaced by one of an idle hour; and that one."""
    _, true = work_on(LEASED)
    assert LEASED.alias_key is not None
    idle = BEFORE[-1].statement
    claims = {
        name: getattr(idle, name) for name in ("cumulative_flop", "precision_flop", "cumulative_cycles")
    }
    forged = FLEET.open(forge(true.statement, LEASED.alias_key, energy_j=0, **claims))
    return [*BEFORE, forged], true


def collide() -> Finding:
    forged, true = extract()
    return judge([*forged, true])


def tamper() -> Finding:
    chip, _ = step(LEASED, TamperDetected(), LEASED.latest_ms)
    return judge([*BEFORE, work_on(chip, FLEET.free_request())[1]])


def debug() -> Finding:
    return judge([*BEFORE, work_on(replace(LEASED, debug_status=DebugStatus.ENABLED))[1]])


def hold_clock() -> Finding:
    used = LEASED.licence
    assert used is not None
    lease = replace(used.leases[0], used_flop=used.leases[0].lease.flop)
    return ask(replace(LEASED, licence=replace(used, leases=(lease,))), FLEET.request())


ENACTED: dict[str, Callable[[], Finding]] = {
    "damaged-flash": damage,
    "wiped-flash": lambda: load(FlashMemory()),
    "state-rollback": roll_back,
    "state-rollback-unseen": roll_back_unseen,
    "cloned-key": run_twice,
    "same-device-twice": enrol_twice,
    "old-firmware": downgrade,
    "vendor-back-door": lambda: ask(LEASED, PowerCycled(seed=bytes(SEED_BYTES), firmware=UNKNOWN)),
    "debugging": debug,
    "key-extraction": lambda: judge(extract()[0]),
    "key-extraction-beside": collide,
    "tampering": tamper,
    "report-replay": lambda: judge([*BEFORE, BEFORE[-1]]),
    "report-reorder": lambda: judge([*BEFORE, work_on(LEASED)[1], BEFORE[0]]),
    "report-suppression": lambda: judge([BEFORE[0], work_on(LEASED)[1]]),
    "clock-back": lambda: ask(LEASED, FLEET.request(), LEASED.latest_ms - 1),
    "clock-forward": lambda: ask(LEASED, FLEET.request(), LEASED.latest_ms + 5 * MS_PER_HOUR),
    "clock-held": hold_clock,
    "licence-replay": lambda: ask(LEASED, FLEET.offer(LEASED.ueid)),
    "licence-transfer": lambda: ask(FLEET.chips[-1], FLEET.offer(FLEET.chips[-1].ueid)),
    "licence-stockpiling": lambda: ask(
        FLEET.chips[1], FLEET.offer(FLEET.chips[1].ueid), FLEET.licence.statement.expires_ms
    ),
    "disguised-training": lambda: ask(LEASED, FLEET.request(workload=WorkloadClass.INFERENCE)),
}
"""How the faults are enacted here; the others are whole tests of their own."""


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in ENACTED], ids=lambda f: f.name)
def test_a_fault_is_found_by_whom_and_by_what_the_table_says(fault: Fault) -> None:
    """VN-17.15 and what it rests on: each row is true, also where nobody finds it."""
    found, reason = ENACTED[fault.name]()
    assert reason == fault.reason
    assert found is fault.caught_by


def test_a_rolled_back_chip_whose_later_reports_nobody_saw_is_affirmed() -> None:
    """What is not defended: the count must be one that nobody can put back, or somebody must have seen it."""
    assert roll_back_unseen() == (Catcher.NOBODY, None)


def test_reports_from_two_lives_of_one_state_fork_the_chain() -> None:
    """Whoever sees reports of both lives, and of neither endorsement's log, needs no more than these."""
    flash = keep(LEASED)
    copy = flash.copy()
    first = live_on(flash, FLEET.request(), open_registry())
    second = live_on(copy, OTHER_JOB, open_registry())
    reasons = [problem.reason for problem in appraise_chain([*BEFORE, first, second])]
    assert reasons == ["report-fork"]


def test_forged_evidence_of_an_extracted_key_is_affirmed() -> None:
    """What is not defended (TEE.fail): the chain is whole and genuine, and tells of an idle hour."""
    reports, true = extract()
    assert judge(reports) == (Catcher.NOBODY, None)
    assert reports[-1].statement.counters.flop < true.statement.counters.flop


def test_what_forged_evidence_leaves_out_is_missing_from_the_energy_of_the_hall() -> None:
    """Consistency: the hall drew what the chip used, and no report accounts for it."""
    reports, true = extract()
    assert true.statement.energy_j > 0
    assert reports[-1].statement.energy_j == 0


def convict(conflict: Conflict) -> Conviction:
    """Who is convicted, by nothing but the bytes and the keys of makers and operators."""
    keys = {name: key.public_key for name, key in FLEET.council.operator_keys.items()}
    makers = {FLEET.maker.endorser_id: FLEET.maker.root.public_key}
    return verify_conflict(Conflict.from_bytes(conflict.to_bytes()), endorser_keys=makers, operator_keys=keys)


def test_two_reports_of_one_counter_prove_a_clone_to_anybody() -> None:
    """VN-17.4: no registry of what was seen is needed."""
    known = FLEET.registry.find_alias(BEFORE[0].signer.key_id)
    first, second = work_on(LEASED)[1], work_on(LEASED, OTHER_JOB)[1]
    conflict = build_report_conflict(known.device, (first, known.alias), (second, known.alias))
    conviction = convict(conflict)
    assert conviction.kind is ConflictKind.TWO_REPORTS
    assert conviction.culprit == LEASED.ueid.hex()


def test_a_state_that_was_put_back_convicts_its_chip_to_anybody() -> None:
    """VN-17.4: two endorsements of one boot."""
    flash, registry = keep(LEASED), open_registry()
    copy = flash.copy()
    live_on(flash, FLEET.request(), registry)
    with pytest.raises(DeviceConflictError) as caught:
        live_on(copy, OTHER_JOB, registry)
    conviction = convict(caught.value.conflict)
    assert conviction.kind is ConflictKind.TWO_BOOTS
    assert conviction.culprit == LEASED.ueid.hex()


@pytest.mark.parametrize("found_ppm", [0, 10_000, 500_000, 900_000, PPM])
def test_an_inspection_finds_traces_as_often_as_it_is_said_to_and_none_where_none_are(found_ppm: int) -> None:
    rng, looks = SeededRng(b"inspection"), 4000
    inspection = Inspection(found_ppm=found_ppm)
    found = sum(inspection.finds_tampering(rng, was_opened=True) for _ in range(looks))
    spread = 4 * (looks * found_ppm * (PPM - found_ppm)) ** 0.5 / PPM
    assert abs(found - looks * found_ppm / PPM) <= spread
    assert not any(inspection.finds_tampering(rng, was_opened=False) for _ in range(looks))


@pytest.mark.parametrize("found_ppm", [-1, PPM + 1])
def test_what_is_no_share_of_a_million_is_refused(found_ppm: int) -> None:
    with pytest.raises(ValueError, match="parts in a million"):
        Inspection(found_ppm=found_ppm)


def list_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_fault_names_a_test_that_is_there() -> None:
    assert {fault.test for fault in FAULTS} <= list_tests()


def test_every_fault_is_enacted_here_or_by_the_test_that_it_names() -> None:
    here = test_a_fault_is_found_by_whom_and_by_what_the_table_says.__name__
    assert [fault.name for fault in FAULTS if fault.test == here and fault.name not in ENACTED] == []
    assert ENACTED.keys() <= {fault.name for fault in FAULTS}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_document_shows_the_same_table() -> None:
    text = (ROOT / "docs" / "attacks-on-chips.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (.+) \|$", text, re.MULTILINE)[1:]  # the first is the heading
    expected = [
        (
            fault.name,
            " | ".join(
                (
                    fault.source,
                    fault.act,
                    str(fault.caught_by),
                    f"`{fault.reason}`" if fault.reason else "-",
                    fault.residual,
                    f"`{fault.test}`",
                )
            ),
        )
        for fault in FAULTS
    ]
    assert rows == expected
