"""The power of a chip fails at every moment of its life: nothing is lost, nothing counts twice (VN-17.15)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from support.firmware import FIRMWARE, PATCHED
from support.fleet import make_fleet
from support.power import Action, Fate, Trial
from support.world import NOW_MS
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.chip import Chip
from vetonet.attester.manufacture import manufacture
from vetonet.attester.nonvolatile import HandedOut, Kept, write_kept
from vetonet.attester.secure_element import SEED_BYTES
from vetonet.attester.snapshots import Snapshots
from vetonet.attester.state import (
    ChipState,
    Event,
    IntervalEnded,
    PowerCycled,
    TreatyAmended,
)
from vetonet.attester.tamper import TamperDetected
from vetonet.crypto.pedersen import commit
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.errors import StorageError, VetonetError
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Resolution
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import open_treaty
from vetonet.storage.chip_store import _HEADER, ChipStore, _spell_header
from vetonet.storage.flash import BLOCK_BYTES
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR, UNIT_FLOP

HOUR = MS_PER_HOUR
WORK = 10**18
FLEET = make_fleet(per_device_flop=20 * WORK, lease_flop=4 * WORK, lease_ms=4 * HOUR)
COUNCIL, LICENCE = FLEET.council, FLEET.licence.statement


def unstart(chip: ChipState) -> ChipState:
    """The same chip as its maker made it, with a secret and snapshots so dense that a life has many."""
    made = manufacture(chip.model, FLEET.maker, chip.treaty, SeededRng(b"other"), firmware=FIRMWARE)
    return replace(
        made,
        secure_element=chip.secure_element,
        certificate=chip.certificate,
        approved=frozenset({FIRMWARE.digest, PATCHED.digest}),
        snapshots=Snapshots(mean_gap_ms=HOUR // 4),
    )


CHIP = unstart(FLEET.chips[0])


@cache
def amend() -> TreatyAmended:
    """The treaty of the next epoch, with confidential totals, with the proofs that the quorum wants it."""
    present = COUNCIL.treaty.statement
    following = replace(present, epoch=2, totals=Totals.CONFIDENTIAL)
    amended = open_treaty(sign_jointly(following, tuple(COUNCIL.party_keys.values())))
    resolution = Resolution(
        treaty_digest=COUNCIL.treaty.payload_digest,
        epoch=1,
        action=ActionClass.AMEND_RULES,
        motion_digest=bytes(32),
        motion_leaf_index=1,
        ballot_leaf_indices=(2, 3),
        subject_digest=amended.payload_digest,
        issued_ms=LICENCE.not_before_ms,
        ends_ms=LICENCE.not_before_ms + HOUR,
    )
    data = COUNCIL.sign_by(resolution, ("p1", "p2", "p3"), ActionClass.AMEND_RULES)
    leaves = [FLEET.log.leaf(index) for index in range(FLEET.log.tree_size)]
    log = Log(FLEET.log.origin, [*leaves, data, amended.data])
    return TreatyAmended(
        treaty=amended.data,
        data=data,
        log_proof=compute_log_proof(log, len(leaves), COUNCIL.sign_head(log)),
        inclusion=log.inclusion_proof(len(leaves) + 1),
        consistency=log.consistency_proof(len(leaves)),
    )


def request(chip: ChipState) -> Event:
    del chip
    return FLEET.request(flop=WORK, duration_ms=HOUR // 2)


def report(chip: ChipState) -> Event:
    del chip
    return IntervalEnded()


def restart(chip: ChipState) -> Event:
    return PowerCycled(seed=SeededRng(b"update" + bytes([chip.boot_count]))(SEED_BYTES), firmware=PATCHED)


LIFE = (
    Action(name="small work", make=lambda _: FLEET.free_request(flop=WORK, duration_ms=HOUR // 2)),
    Action(name="licence", make=lambda chip: FLEET.offer(chip.ueid)),
    Action(name="report", make=report, pause_ms=1, not_before_ms=LICENCE.not_before_ms),
    Action(name="lease", make=lambda _: FLEET.lease_offer()),
    Action(name="work", make=request),
    Action(name="report", make=report),
    Action(name="work", make=request),
    Action(name="treaty", make=lambda _: amend()),
    Action(name="report", make=report, pause_ms=1),
    Action(name="firmware", make=restart),
    Action(name="work", make=request),
    Action(name="report", make=report),
    Action(name="report", make=report, pause_ms=1),
    Action(name="licence again", make=lambda chip: FLEET.offer(chip.ueid, consistency=None)),
    Action(name="tamper", make=lambda _: TamperDetected()),
    Action(name="report", make=report, pause_ms=1),
)


def live(failures: dict[int, Fate] | None = None, **kinds: Any) -> tuple[Trial, Chip]:
    trial = Trial(chip=CHIP, began_ms=NOW_MS, failures=failures or {}, **kinds)
    return trial, trial.run(LIFE)


def progress(chip: ChipState) -> tuple[int, ...]:
    """What never falls, whatever happens to a chip's power."""
    used = chip.licence
    return (
        chip.boot_count,
        chip.counter,
        chip.cumulative_flop,
        chip.latest_ms,
        chip.window_start_ms,
        chip.last_licence_id or 0,
        len(chip.accepted),
        chip.treaty.statement.epoch,
        0 if chip.checkpoint is None else chip.checkpoint.tree_size,
        0 if used is None else used.newest_number,
        0 if used is None else used.used_flop,
        chip.tamper_count,
        chip.snapshots.drawn,
        sum(chip.fuses.values()),
    )


def find_flaws(trial: Trial, chip: Chip) -> list[str]:
    """What is wrong with a life, as everybody else sees it."""
    flaws = []
    steps = zip(trial.known, trial.known[1:], strict=False)
    if any(
        low > high
        for before, after in steps
        for low, high in zip(progress(before), progress(after), strict=True)
    ):
        flaws.append("something fell")
    surplus = chip.state.cumulative_flop - trial.computed_flop
    if not 0 <= surplus <= WORK * len(trial.failures):
        flaws.append("meter")
    flaws += _judge_reports(trial, chip)
    held = chip.state.licence
    if chip.state.last_licence_id != LICENCE.licence_id or held is None:
        flaws.append("licence forgotten")
    elif not held.leases or held.used_flop != held.leases[0].used_flop:
        flaws.append("lease")
    if len(trial.accepted) > 1 or "licence-replayed" not in trial.refused:
        flaws.append("licence accepted twice")
    return flaws


def _judge_reports(trial: Trial, chip: Chip) -> Iterator[str]:
    """A chain without gap or fork, of which every report is genuine, that ends in what the chip counted."""
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], COUNCIL.treaty.statement)
    for data in dict.fromkeys(trial.endorsements):
        registry.read_alias(data)
    opened = [open_report(data, registry.aliases) for data in dict.fromkeys(trial.reports)]
    opened.sort(key=lambda report: report.statement.counter)
    yield from (problem.reason for problem in appraise_chain(opened))
    for report in opened:
        known = registry.find_alias(report.signer.key_id)
        expected = ["tampered"] if report.statement.tamper_count else []
        found = [problem.reason for problem in appraise(report, known.device, known.alias, firmware=())]
        yield from found if found != expected else ()
        yield from ("snapshot" for digest in report.statement.snapshots if digest not in trial.snapshots)
    yield from _judge_openings(trial, opened)
    if len(opened) != chip.state.counter or not any(report.statement.is_confidential for report in opened):
        yield "reports"
    counted = {state.counter: state.cumulative_flop for state in reversed(trial.known)}
    saying = [report.statement for report in opened if not report.statement.is_confidential]
    yield from ("total" for claims in saying if claims.cumulative_flop != counted[claims.counter])


def _judge_openings(trial: Trial, opened: Sequence[Signed[ComputeReport]]) -> Iterator[str]:
    """Every commitment has one opening, which the operator has, and the last of each account opens it all."""
    told = {opening.counter: opening for opening in dict.fromkeys(trial.openings)}
    hiding = [report.statement for report in opened if report.statement.is_confidential]
    if len(told) != len(set(trial.openings)) or told.keys() != {claims.counter for claims in hiding}:
        yield "openings"
        return
    if any(commit(told[claims.counter].opening).to_bytes() != claims.commitment for claims in hiding):
        yield "commitment"
    last = {told[claims.counter].licence_id: told[claims.counter].opening.value for claims in hiding}
    meter, used = trial.known[-1].meter, trial.known[-1].licence
    counted = {None: meter.unlicensed_flop, LICENCE.licence_id: 0 if used is None else used.used_flop}
    yield from ("account" for key, units in last.items() if units != counted[key] // UNIT_FLOP)


PLAIN, PLAIN_CHIP = live()


def test_a_life_without_a_loss_of_power_counts_exactly_what_was_computed() -> None:
    assert find_flaws(PLAIN, PLAIN_CHIP) == []
    assert PLAIN.refused == ["licence-replayed"]
    assert PLAIN_CHIP.state.cumulative_flop == PLAIN.computed_flop == 4 * WORK
    assert PLAIN_CHIP.state.counter == 6
    assert PLAIN.snapshots
    assert [told.licence_id for told in PLAIN.openings] == [LICENCE.licence_id] * 3 + [None] * 2


def sweep(**kinds: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield every moment of a life and each fate of the writes in the balance, with what is wrong then."""
    plain, _ = live(**kinds)
    for index, name in enumerate(plain.moments):
        first, flaws = attempt(index, Fate(kept=()), **kinds)
        yield f"{index} {name} {Fate(kept=())}", flaws
        for fate in first.distinct[1:]:
            yield f"{index} {name} {fate}", attempt(index, fate, **kinds)[1]


def attempt(index: int, fate: Fate, **kinds: Any) -> tuple[Trial, list[str]]:
    """A life in which the power fails at one moment, and what is wrong with it."""
    trial = Trial(chip=CHIP, began_ms=NOW_MS, failures={index: fate}, **kinds)
    try:
        return trial, find_flaws(trial, trial.run(LIFE))
    except VetonetError as error:
        return trial, [type(error).__name__]


def test_a_loss_of_power_at_any_moment_loses_nothing_and_counts_nothing_twice() -> None:
    """VN-17.15."""
    assert [found for found in sweep() if found[1]] == []


WAITING = {
    f"hand out {kind}"
    for kind in ("AliasEndorsed", "OpeningTold", "ReportSigned", "SnapshotTaken", "WorkDone")
}


def list_distinct() -> Iterator[int]:
    """The first moment of each kind at which something durable waits to be handed out."""
    seen = set[str]()
    for index, name in enumerate(PLAIN.moments):
        if name in WAITING - seen:
            seen.add(name)
            yield index


def test_a_second_loss_of_power_while_the_chip_starts_again_changes_nothing() -> None:
    """VN-17.15: a report that waits to be handed out waits over more than one start."""
    for first in list_distinct():
        once, _ = live({first: Fate(kept=())})
        for second in range(first + 1, min(first + 14, len(once.moments))):
            for kept in {(), tuple(range(once.pending[second]))}:
                trial, chip = live({first: Fate(kept=()), second: Fate(kept=kept)})
                assert find_flaws(trial, chip) == []


class UnsyncedStore(ChipStore):
    """Returns before what it wrote is durable."""

    def _write(self, index: int, number: int, data: bytes) -> None:
        self._flash.write(index, 0, b"")
        for block, start in enumerate(range(0, len(data), BLOCK_BYTES), start=1):
            self._flash.write(index, block, data[start : start + BLOCK_BYTES])
        self._flash.write(index, 0, _spell_header(number, data))


class HastyStore(ChipStore):
    """Switches to a slot before its bytes are durable."""

    def _write(self, index: int, number: int, data: bytes) -> None:
        self._flash.write(index, 0, _spell_header(number, data))
        self._flash.sync()
        for block, start in enumerate(range(0, len(data), BLOCK_BYTES), start=1):
            self._flash.write(index, block, data[start : start + BLOCK_BYTES])
        self._flash.sync()


class SingleStore(ChipStore):
    """Writes over the only bytes it has."""

    def _write(self, index: int, number: int, data: bytes) -> None:
        del index
        super()._write(0, number, data)


class TrustingStore(HastyStore):
    """Takes what stands behind a header for what the header was written for."""

    def load(self) -> bytes | None:
        with suppress(StorageError):
            return super().load()
        raws = [self._flash.read(index) for index in range(2)]
        number, length, raw = max((*_HEADER.unpack(raw[: _HEADER.size])[1:3], raw) for raw in raws if raw)
        del number
        return bytes(raw[BLOCK_BYTES : BLOCK_BYTES + length])


class LateChip(Chip):
    """Counts after it computed: what a step led to is kept only when the next one begins."""

    def _keep(self, following: ChipState, outbox: tuple[HandedOut, ...]) -> None:
        state = self._state
        if state is not None and state.boot_count == following.boot_count:
            self._store.save(write_kept(Kept(state=state, outbox=self._outbox)))
            self._state, self._outbox = following, outbox
        else:
            super()._keep(following, outbox)


class ForgetfulChip(Chip):
    """Hands nothing out twice, and so what the power cut off never."""

    def _keep(self, following: ChipState, outbox: tuple[HandedOut, ...]) -> None:
        del outbox
        super()._keep(following, ())


CARELESS = {
    "returns before the sync": {"store_kind": UnsyncedStore},
    "switches before the sync": {"store_kind": HastyStore},
    "has one slot": {"store_kind": SingleStore},
    "takes torn bytes": {"store_kind": TrustingStore},
    "counts after computing": {"chip_kind": LateChip},
    "keeps no outbox": {"chip_kind": ForgetfulChip},
}


@pytest.mark.parametrize("kinds", CARELESS.values(), ids=CARELESS)
def test_the_sweep_finds_what_a_careless_chip_or_store_loses(kinds: dict[str, Any]) -> None:
    """VN-17.15: a sweep that could not fail would show nothing."""
    trial, chip = live(**kinds)
    assert find_flaws(trial, chip) == []
    assert any(flaws for _, flaws in sweep(**kinds))
