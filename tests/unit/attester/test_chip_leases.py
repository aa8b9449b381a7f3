"""A chip and its leases: which it takes, and that it stops with it, by time and count (VN-12.5, VN-12.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from support.fleet import PEAK, drive, make_fleet, sign_lease, tell
from support.world import make_council
from vetonet.attester.lease_gate import LEASE_RULES
from vetonet.attester.machine import step
from vetonet.attester.state import (
    ChipState,
    IntervalEnded,
    LeaseAccepted,
    LeaseOffered,
    Phase,
    PowerCycled,
    ReportSigned,
    Throttled,
    WorkDone,
)
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign_jointly
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import Lease, derive_lease
from vetonet.policy.quorum import Quorum
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR

HOUR = MS_PER_HOUR
WORK = 10**18
FLEET = make_fleet(per_device_flop=20 * WORK, lease_flop=4 * WORK, lease_ms=4 * HOUR)
"""A run of 24 hours: eight leases of three hours each, which may be signed an hour before they begin."""
CHIP = FLEET.chips[0]
LICENCE = FLEET.licence.statement
START = LICENCE.not_before_ms
PERIOD = 3 * HOUR
FLOOR = PEAK // 100
MALLORY = generate_ed25519(SeededRng(b"mallory"))


@cache
def licensed() -> ChipState:
    return FLEET.license(CHIP)


@cache
def leased() -> ChipState:
    return FLEET.lease(CHIP)


@cache
def lapsed() -> ChipState:
    """An hour of work, and a report after the first lease was over."""
    chip, _ = step(leased(), FLEET.request(flop=WORK), START)
    return step(chip, IntervalEnded(), START + PERIOD)[0]


def offer(data: bytes, **changes: Any) -> LeaseOffered:
    """A lease in a log that extends the one of the fleet."""
    leaves = [FLEET.log.leaf(index) for index in range(FLEET.log.tree_size)]
    log = Log(FLEET.log.origin, [*leaves, data])
    fields: dict[str, Any] = {
        "data": data,
        "log_proof": compute_log_proof(log, len(leaves), FLEET.council.sign_head(log)),
        "consistency": log.consistency_proof(len(leaves)),
    }
    return LeaseOffered(**(fields | changes))


# --- which lease it takes -----------------------------------------------------------------------------------


def test_a_lease_of_the_licence_in_use_is_accepted() -> None:
    chip, effects = step(licensed(), FLEET.lease_offer(), START)
    assert effects[-1] == LeaseAccepted(licence_id=LICENCE.licence_id, number=1)
    assert (licensed().phase, chip.phase) == (Phase.LICENSED, Phase.LEASED)


def alter(**changes: Any) -> Callable[[], LeaseOffered]:
    return lambda: offer(sign_lease(FLEET.council, FLEET.licence, 1, **changes))


def offer_of_another_council() -> LeaseOffered:
    stranger = make_council(rng=SeededRng(b"other"))
    return offer(stranger.sign_by(derive(1), ("p1", "p2"), ActionClass.LEASE_RENEWAL))


def derive(number: int) -> Lease:
    return derive_lease(FLEET.council.treaty, FLEET.licence, number)


def offer_under_another_log() -> LeaseOffered:
    checkpoint = sign_checkpoint(FLEET.log.checkpoint(), MALLORY).to_bytes()
    return FLEET.lease_offer(log_proof=compute_log_proof(FLEET.log, 5, checkpoint))


def offer_under_too_few_witnesses() -> LeaseOffered:
    checkpoint = FLEET.council.sign_head(FLEET.log, witness_ids=("p1",))
    return FLEET.lease_offer(log_proof=compute_log_proof(FLEET.log, 5, checkpoint))


def offer_before_its_licence() -> LeaseOffered:
    log = Log(FLEET.log.origin, [FLEET.leases[0], b"x"])
    return FLEET.lease_offer(log_proof=compute_log_proof(log, 0, FLEET.council.sign_head(log)))


REFUSED_LEASES: dict[str, tuple[Callable[[], LeaseOffered], str]] = {
    "no statement": (lambda: FLEET.lease_offer(data=b"\xd2\x80"), "lease-malformed"),
    "a licence": (lambda: FLEET.lease_offer(data=FLEET.licence.data), "lease-malformed"),
    "signed by one person": (lambda: offer(sign_jointly(derive(1), (MALLORY,))), "lease-forged"),
    "signed by another council": (offer_of_another_council, "lease-forged"),
    "of another epoch": (alter(epoch=2), "wrong-epoch"),
    "of another treaty": (alter(treaty_digest=bytes(32)), "wrong-epoch"),
    "of another licence": (alter(licence_id=LICENCE.licence_id + 1), "other-licence"),
    "of another proposal": (alter(proposal_digest=bytes(32)), "other-licence"),
    "that ends later": (alter(ends_ms=START + PERIOD + 1), "lease-altered"),
    "that begins earlier": (alter(starts_ms=START - 1), "lease-altered"),
    "of more FLOP": (alter(flop=4 * WORK + 1), "lease-altered"),
    "of less FLOP": (alter(flop=4 * WORK - 1), "lease-altered"),
    "with another number": (alter(number=2), "lease-altered"),
    "after the run": (alter(number=9), "lease-altered"),
    "long before it begins": (lambda: FLEET.lease_offer(2), "lease-not-due"),
    "at another leaf": (
        lambda: FLEET.lease_offer(log_proof=replace(FLEET.lease_offer().log_proof, leaf_index=6)),
        "not-in-log",
    ),
    "before its licence": (offer_before_its_licence, "not-in-log"),
    "with another lease's proof": (
        lambda: FLEET.lease_offer(1, log_proof=FLEET.lease_offer(2).log_proof),
        "not-in-log",
    ),
    "in a log that another key signs": (offer_under_another_log, "checkpoint-forged"),
    "in a log that one witness cosigned": (offer_under_too_few_witnesses, "checkpoint-unwitnessed"),
    "in a log not shown to extend the known one": (
        lambda: offer(FLEET.leases[0], consistency=None),
        "log-fork",
    ),
}


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*entry, id=name) for name, entry in REFUSED_LEASES.items()]
)
def test_a_bad_lease_is_refused_with_its_reason(make: Callable[[], LeaseOffered], reason: str) -> None:
    """VN-12.6."""
    chip, effects = step(licensed(), make(), START)
    assert tell(effects) == [reason]
    assert chip is licensed()


def test_every_rule_of_the_table_refuses_something_here() -> None:
    assert {reason for reason, _ in LEASE_RULES} - {"lease-replayed", "lease-expired"} <= {
        reason for _, reason in REFUSED_LEASES.values()
    }


def test_a_lease_signed_by_the_quorum_for_something_else_is_forged() -> None:
    """VN-12.6: two may grant a run here, but three must renew it."""
    every = Quorum.of_threshold(3, ("p1", "p2", "p3"))
    council = make_council(quorums={ActionClass.LEASE_RENEWAL: every})
    chip = replace(licensed(), treaty=council.treaty, log_policy=council.log_policy)
    lease = derive_lease(council.treaty, FLEET.licence, 1)
    for action, parties, reason in (
        (ActionClass.RUN_GRANT, ("p1", "p2", "p3"), "lease-forged"),
        (ActionClass.LEASE_RENEWAL, ("p1", "p2", "p3"), "not-in-log"),
    ):
        data = council.sign_by(lease, parties, action)
        proof = replace(FLEET.lease_offer().log_proof, checkpoint=council.sign_head(FLEET.log))
        assert tell(step(chip, FLEET.lease_offer(data=data, log_proof=proof), START)[1]) == [reason]


def test_every_changed_byte_of_a_lease_is_refused() -> None:
    data = FLEET.leases[0]
    for offset in range(0, len(data), 3):
        changed = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
        _, effects = step(licensed(), FLEET.lease_offer(data=changed), START)
        assert tell(effects)[0] in {"lease-malformed", "lease-forged"}


def test_a_chip_without_a_licence_takes_no_lease() -> None:
    assert tell(step(CHIP, FLEET.lease_offer(), CHIP.latest_ms)[1]) == ["other-licence"]


def test_a_lease_is_accepted_once_and_none_returns_after_a_newer_one() -> None:
    chip, effects = drive(leased(), (FLEET.lease_offer(1), START))
    assert tell(effects) == ["lease-replayed"]
    chip, effects = drive(
        chip, (FLEET.lease_offer(2), START + 2 * HOUR), (FLEET.lease_offer(1), START + 2 * HOUR)
    )
    assert tell(effects) == ["lease-replayed"]
    assert chip.licence is not None
    assert chip.licence.newest_number == 2


@pytest.mark.parametrize(("late_ms", "reasons"), [(-1, []), (0, ["lease-expired"]), (1, ["lease-expired"])])
def test_a_lease_that_is_over_is_refused(late_ms: int, reasons: list[str]) -> None:
    assert tell(step(licensed(), FLEET.lease_offer(), START + PERIOD + late_ms)[1]) == reasons


@pytest.mark.parametrize(("early_ms", "reasons"), [(0, []), (1, ["lease-not-due"])])
def test_a_lease_is_accepted_from_when_it_may_be_signed(early_ms: int, reasons: list[str]) -> None:
    now = START + PERIOD - HOUR - early_ms
    assert tell(step(leased(), FLEET.lease_offer(2), now)[1]) == reasons


def test_a_lease_that_skips_a_number_is_accepted_after_a_lapse() -> None:
    """VN-12.6: consent was not kept for a while."""
    chip, effects = step(lapsed(), FLEET.lease_offer(4), START + 3 * PERIOD)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)
    assert tell(step(chip, FLEET.lease_offer(3), START + 3 * PERIOD)[1]) == ["lease-replayed"]


def test_a_newer_licence_begins_without_any_lease_of_the_older() -> None:
    assert leased().licence is not None
    other = replace(
        leased(), last_licence_id=None, accepted={}, licence=None, phase=Phase.UNLICENSED, checkpoint=None
    )
    chip, _ = step(other, FLEET.offer(CHIP.ueid), START)
    assert chip.licence is not None
    assert (chip.licence.leases, chip.phase) == ((), Phase.LICENSED)


# --- before the first and between two -----------------------------------------------------------------------


def test_a_licence_alone_lets_a_chip_do_nothing() -> None:
    """VN-12.5."""
    chip, effects = step(licensed(), FLEET.request(flop=WORK), START)
    assert tell(effects) == ["no-lease"]
    assert chip is licensed()


def test_before_the_first_lease_small_work_goes_on_as_before() -> None:
    assert tell(step(licensed(), FLEET.free_request(flop=WORK), START)[1]) == []


def test_a_lease_that_is_held_before_it_begins_lets_a_chip_do_nothing_yet() -> None:
    chip, _ = drive(CHIP, (FLEET.offer(CHIP.ueid), START - HOUR), (FLEET.lease_offer(), START - HOUR))
    assert chip.phase is Phase.LICENSED
    assert tell(step(chip, FLEET.request(flop=WORK), START - 1)[1]) == ["licence-not-started"]


def test_licensed_work_stops_at_the_end_of_its_lease_within_a_request() -> None:
    """VN-12.5: by time."""
    chip, effects = step(leased(), FLEET.request(flop=WORK), START + PERIOD - HOUR // 4)
    assert effects == (
        WorkDone(flop=WORK // 4, end_ms=START + PERIOD),
        Throttled(reason="lease-ended", asked_flop=WORK, allowed_flop=WORK // 4),
    )
    assert chip.phase is Phase.PAUSED
    assert chip.licence is not None
    assert chip.licence.left_flop == 20 * WORK - WORK // 4


def hold_clock(chip: ChipState, flop: int) -> tuple[ChipState, list[str]]:
    """An hour of work in a chip for which no time passes: the next hour begins when this one did."""
    chip, effects = step(chip, FLEET.request(flop=flop), START)
    return replace(chip, latest_ms=START), tell(effects)


def test_a_chip_whose_clock_is_held_stops_by_count() -> None:
    """VN-12.5: for it the lease never ends, however often it is asked."""
    chip = leased()
    for _ in range(3):
        chip, reasons = hold_clock(chip, WORK)
        assert reasons == []
    for _ in range(3):
        chip, reasons = hold_clock(chip, 2 * WORK)
        assert reasons == ["lease-spent"]
    assert (chip.cumulative_flop, chip.phase) == (4 * WORK, Phase.PAUSED)


def test_a_lease_used_to_the_last_flop_is_spent_and_the_licence_is_not() -> None:
    chip, effects = step(leased(), FLEET.request(flop=4 * WORK, duration_ms=2 * HOUR), START)
    assert (tell(effects), chip.phase) == ([], Phase.PAUSED)
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    assert tell(step(chip, FLEET.request(flop=1, duration_ms=1), chip.latest_ms)[1]) == ["lease-spent"]
    assert tell(step(chip, FLEET.free_request(), chip.latest_ms)[1]) == ["lease-lapsed"]


@pytest.mark.parametrize("late_ms", [0, 1, HOUR, 5 * PERIOD])
def test_after_a_lease_licensed_work_is_refused_until_the_next(late_ms: int) -> None:
    for chip in (leased(), lapsed()):
        after, effects = step(chip, FLEET.request(flop=WORK), START + PERIOD + late_ms)
        assert tell(effects) == ["lease-ended"]
        assert after is chip


def test_between_leases_everything_runs_at_one_percent_and_is_metered() -> None:
    """VN-12.5: throttled, never destroyed."""
    chip, effects = step(lapsed(), FLEET.free_request(), START + PERIOD)
    assert effects == (
        WorkDone(flop=FLOOR * 3600, end_ms=START + PERIOD + HOUR),
        Throttled(reason="lease-lapsed", asked_flop=PEAK // 2 * 3600, allowed_flop=FLOOR * 3600),
    )
    assert (chip.cumulative_flop, chip.meter.unlicensed_flop) == (WORK + FLOOR * 3600, FLOOR * 3600)


def test_small_work_is_at_the_full_rate_only_until_the_leases_end() -> None:
    chip, effects = step(leased(), FLEET.free_request(flop=WORK), START + PERIOD - HOUR // 4)
    assert effects == (
        WorkDone(flop=WORK // 4, end_ms=START + PERIOD),
        Throttled(reason="lease-ended", asked_flop=WORK, allowed_flop=WORK // 4),
    )
    assert chip.phase is Phase.PAUSED


def test_small_work_goes_on_over_the_boundary_to_a_lease_that_is_held_already() -> None:
    chip, _ = step(leased(), FLEET.lease_offer(2), START + PERIOD - HOUR)
    chip, effects = step(chip, FLEET.free_request(flop=WORK), START + PERIOD - HOUR // 4)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)


def test_the_next_lease_restores_full_work() -> None:
    """VN-12.5: reinstatement."""
    chip, _ = step(lapsed(), FLEET.free_request(), START + PERIOD)
    chip, effects = step(chip, FLEET.lease_offer(2), chip.latest_ms)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    chip, effects = step(chip, FLEET.request(flop=WORK), chip.latest_ms)
    assert effects == (WorkDone(flop=WORK, end_ms=chip.latest_ms),)


def test_a_lease_that_is_held_takes_over_without_a_pause() -> None:
    chip, _ = drive(
        leased(),
        (FLEET.lease_offer(2), START + PERIOD - HOUR),
        (IntervalEnded(), START + PERIOD),
        (FLEET.request(flop=WORK), START + PERIOD),
    )
    assert (chip.phase, chip.cumulative_flop) == (Phase.LEASED, WORK)
    assert chip.licence is not None
    assert [used.lease.number for used in chip.licence.leases] == [2]


def test_work_under_one_lease_uses_nothing_of_another() -> None:
    chip, _ = step(leased(), FLEET.lease_offer(2), START + PERIOD - HOUR)
    chip, _ = step(chip, FLEET.request(flop=3 * WORK, duration_ms=HOUR), START + PERIOD - HOUR)
    assert chip.licence is not None
    assert [(used.lease.number, used.left_flop) for used in chip.licence.leases] == [(1, WORK), (2, 4 * WORK)]


def test_power_lost_in_the_middle_of_a_lease_brings_nothing_back() -> None:
    """VN-12.5: what was used of a lease survives, and so does its end."""
    chip, _ = step(leased(), FLEET.request(flop=3 * WORK), START)
    chip, _ = step(chip, PowerCycled(seed=b"b" * 32), START + HOUR)
    chip, effects = step(chip, FLEET.lease_offer(1), START + HOUR)
    assert tell(effects) == ["lease-replayed"]
    chip, effects = step(chip, FLEET.request(flop=2 * WORK), START + HOUR)
    assert (tell(effects), chip.cumulative_flop) == (["lease-spent"], 4 * WORK)
    slept, _ = step(leased(), PowerCycled(seed=b"b" * 32), START + PERIOD)
    assert tell(step(slept, FLEET.request(flop=WORK), START + PERIOD)[1]) == ["lease-ended"]


def test_a_spent_licence_takes_a_lease_and_does_nothing_with_it() -> None:
    chip = leased()
    assert chip.licence is not None
    spent = replace(chip, phase=Phase.SPENT, licence=replace(chip.licence, used_flop=20 * WORK))
    spent, _ = step(spent, FLEET.lease_offer(2), START + PERIOD - HOUR)
    assert spent.phase is Phase.SPENT
    assert tell(step(spent, FLEET.request(flop=WORK), START + PERIOD)[1]) == ["licence-spent"]


# --- intervals ----------------------------------------------------------------------------------------------


def test_a_licensed_interval_ends_with_its_lease() -> None:
    """VN-12.4."""
    chip, _ = step(leased(), FLEET.request(flop=WORK), START)
    chip, effects = step(chip, IntervalEnded(), START + PERIOD + 77)
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    assert FLEET.open(data).statement.window_end_ms == START + PERIOD
    assert (chip.window_start_ms, chip.phase) == (START + PERIOD, Phase.PAUSED)


def test_one_interval_lies_in_one_lease() -> None:
    """VN-12.4: so that anybody can tell what was done in which."""
    chip, _ = step(leased(), FLEET.lease_offer(2), START + PERIOD - HOUR)
    chip, _ = step(chip, FLEET.request(flop=WORK), START + PERIOD - HOUR)
    assert chip.latest_ms == START + PERIOD
    assert tell(step(chip, FLEET.request(flop=WORK), chip.latest_ms)[1]) == ["interval-open"]
    chip, _ = step(chip, IntervalEnded(), chip.latest_ms)
    assert tell(step(chip, FLEET.request(flop=WORK), chip.latest_ms)[1]) == []
