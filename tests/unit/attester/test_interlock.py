"""The interlock: a fixed set of chips, fast inside and slow to all else, metered by the chip (VN-17.12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bundles import altered, make_compliant_scene, make_scene
from support.firmware import FIRMWARE
from support.fleet import MODEL, make_fleet
from support.world import NOW_MS
from vetonet.attestation.report import ComputeReport
from vetonet.attester.interlock import (
    INSIDE_BYTES_PER_S,
    MAX_SET,
    MIN_SET,
    OUTSIDE_BYTES_PER_S,
    DataSent,
    FixedSet,
    TrafficRequested,
    plan_sets,
)
from vetonet.attester.machine import step
from vetonet.attester.manufacture import bind_sets, manufacture, power_on
from vetonet.attester.state import ChipState, IntervalEnded, Phase, ReportSigned
from vetonet.compliance.result import Verdict
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified
from vetonet.units import MS_PER_HOUR, MS_PER_S

FLEET = make_fleet()
SECOND = 1_000


def make_set(size: int = MIN_SET) -> tuple[ChipState, ...]:
    rng = SeededRng(b"set")
    made = [
        manufacture(MODEL, FLEET.maker, FLEET.council.treaty, rng, firmware=FIRMWARE) for _ in range(size)
    ]
    return tuple(power_on(chip, rng, NOW_MS)[0] for chip in bind_sets(made))


SET = make_set()
CHIP, PEER = SET[0], SET[1].ueid
STRANGER = FLEET.chips[0].ueid


def send(chip: ChipState, request: TrafficRequested, now: int | None = None) -> tuple[ChipState, DataSent]:
    chip, (effect,) = step(chip, request, chip.latest_ms if now is None else now)
    assert isinstance(effect, DataSent)
    return chip, effect


def report(chip: ChipState, now: int) -> tuple[ChipState, int]:
    chip, effects = step(chip, IntervalEnded(), now)
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return chip, read_unverified(data, ComputeReport).out_of_set_bytes


def test_the_links_are_those_of_the_proposal() -> None:
    # Requirement 27: sets of 8 to 64, 1 GB/s outside, 900 GB/s inside (RFD 033)
    assert (MIN_SET, MAX_SET) == (8, 64)
    assert (OUTSIDE_BYTES_PER_S, INSIDE_BYTES_PER_S) == (10**9, 900 * 10**9)


@pytest.mark.parametrize(("peer", "rate"), [(PEER, 900 * 10**9), (STRANGER, 10**9), (None, 10**9)])
def test_a_link_carries_what_its_rate_allows(peer: bytes | None, rate: int) -> None:
    request = TrafficRequested(size_bytes=10**15, duration_ms=SECOND, peer=peer)
    _, sent = send(CHIP, request)
    assert (sent.sent_bytes, sent.asked_bytes, sent.is_inside) == (rate, 10**15, peer == PEER)
    assert sent.end_ms == CHIP.latest_ms + SECOND


def test_less_than_that_is_carried_whole() -> None:
    _, sent = send(CHIP, TrafficRequested(size_bytes=10**6, duration_ms=SECOND))
    assert (sent.sent_bytes, sent.end_ms) == (10**6, CHIP.latest_ms + 1)


def test_two_requests_at_once_share_a_link() -> None:
    request = TrafficRequested(size_bytes=10**9, duration_ms=SECOND)
    chip, first = send(CHIP, request)
    chip, second = send(chip, request)
    _, inside = send(chip, replace(request, peer=PEER))
    assert [first.sent_bytes, second.sent_bytes, inside.sent_bytes] == [10**9, 0, 10**9]


def test_a_chip_without_a_set_has_all_others_outside() -> None:
    alone = FLEET.chips[0]
    assert alone.interlock.fixed_set is None
    _, sent = send(alone, TrafficRequested(size_bytes=10**15, duration_ms=SECOND, peer=PEER))
    assert not sent.is_inside


def test_a_report_tells_what_the_meter_counted_and_only_of_the_outside() -> None:
    # VN-17.12: from the chip's own meter, whatever its operator says
    chip, _ = send(CHIP, TrafficRequested(size_bytes=5 * 10**9, duration_ms=10 * SECOND))
    chip, _ = send(chip, TrafficRequested(size_bytes=10**12, duration_ms=10 * SECOND, peer=PEER))
    chip, told = report(chip, chip.latest_ms + MS_PER_HOUR)
    assert told == 5 * 10**9
    assert report(chip, chip.latest_ms + 1)[1] == 0


def test_traffic_over_the_end_of_an_interval_is_told_of_in_both() -> None:
    chip, _ = send(CHIP, TrafficRequested(size_bytes=10 * 10**9, duration_ms=10 * SECOND))
    told = list[int]()
    for seconds in (4, 4, 4):
        chip, some = report(chip, chip.latest_ms + seconds * SECOND)
        told.append(some)
    assert told == [4 * 10**9, 4 * 10**9, 2 * 10**9]


def test_joining_sets_into_one_machine_over_the_slow_links_does_not_work() -> None:
    """Requirement 27: gradients of a large model take minutes between sets, and not milliseconds."""
    gradients = 2 * 405 * 10**9
    _, inside = send(CHIP, TrafficRequested(size_bytes=gradients, duration_ms=MS_PER_HOUR, peer=PEER))
    _, outside = send(CHIP, TrafficRequested(size_bytes=gradients, duration_ms=MS_PER_HOUR, peer=STRANGER))
    took = [sent.end_ms - CHIP.latest_ms for sent in (inside, outside)]
    assert took == [900, 810 * SECOND]


requests = st.builds(
    TrafficRequested,
    size_bytes=st.integers(1, 10**12),
    duration_ms=st.integers(1, 10 * SECOND),
    peer=st.sampled_from([None, PEER, STRANGER]),
)


@given(st.lists(st.tuples(requests, st.integers(0, 5 * SECOND), st.booleans()), max_size=30))
def test_no_report_tells_of_more_than_its_time_allows_and_nothing_is_lost(life: list[Any]) -> None:
    chip, sent, told, start = CHIP, 0, 0, CHIP.latest_ms
    for request, pause_ms, is_reported in life:
        chip, carried = send(chip, request, chip.latest_ms + pause_ms)
        sent += 0 if carried.is_inside else carried.sent_bytes
        if is_reported and chip.latest_ms > start:
            chip, some = report(chip, chip.latest_ms)
            assert some * MS_PER_S <= OUTSIDE_BYTES_PER_S * (chip.latest_ms - start)
            told, start = told + some, chip.latest_ms
    _, rest = report(chip, chip.latest_ms + MS_PER_HOUR)
    assert told + rest == sent


@pytest.mark.parametrize(("size_bytes", "duration_ms"), [(0, 1), (1, 0)])
def test_traffic_of_nothing_is_our_own_mistake(size_bytes: int, duration_ms: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        TrafficRequested(size_bytes=size_bytes, duration_ms=duration_ms)


def ueids(count: int) -> tuple[bytes, ...]:
    return tuple(index.to_bytes(33, "big") for index in range(count))


@pytest.mark.parametrize(
    "members",
    [ueids(7), ueids(65), ueids(8)[::-1], (*ueids(8), ueids(8)[-1]), tuple(b"%d" % n for n in range(8)), ()],
)
def test_a_set_of_another_size_or_with_one_chip_twice_is_no_set(members: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        FixedSet(ueids=members)


@pytest.mark.parametrize("size", [MIN_SET, MAX_SET])
def test_the_smallest_and_the_largest_set_are_sets(size: int) -> None:
    assert len(FixedSet(ueids=ueids(size)).ueids) == size


def test_many_chips_fall_into_few_sets_of_allowed_sizes() -> None:
    assert [plan_sets(count) for count in (0, 7, 8, 64, 65)] == [(), (), (8,), (64,), (33, 32)]
    for count in range(8, 1_000):
        sizes = plan_sets(count)
        assert sum(sizes) == count
        assert all(MIN_SET <= size <= MAX_SET for size in sizes)


def test_chips_are_bound_once_and_before_they_start() -> None:
    rng = SeededRng(b"few")
    made = [
        manufacture(MODEL, FLEET.maker, FLEET.council.treaty, rng, firmware=FIRMWARE) for _ in range(MIN_SET)
    ]
    bound = bind_sets(made)
    assert {chip.interlock.fixed_set for chip in bound} == {
        FixedSet(ueids=tuple(sorted(c.ueid for c in made)))
    }
    assert all(chip.interlock.fixed_set is None for chip in bind_sets(made[:-1]))
    for wrong in (bound, SET):
        with pytest.raises(ValueError, match="never started"):
            bind_sets(wrong)


def test_links_work_in_every_phase_with_power() -> None:
    for phase in set(Phase) - {Phase.OFF}:
        _, sent = send(replace(CHIP, phase=phase), TrafficRequested(size_bytes=1, duration_ms=1))
        assert sent.sent_bytes == 1


def test_more_traffic_than_links_carry_is_a_violation() -> None:
    # VN-10.6 step 16: whoever reports that has no interlock, or no chip
    hour = OUTSIDE_BYTES_PER_S * 3_600
    for told, reasons in ((hour, set()), (hour + 1, {"impossible-traffic"})):
        scene = make_scene()
        scene.run(altered(out_of_set_bytes=told))
        result = scene.judge()
        assert {problem.reason for claim in result.claims for problem in claim.problems} == reasons
    assert make_compliant_scene().judge().verdict is Verdict.COMPLIANT


def test_an_interlock_keeps_its_set_over_everything_that_goes_over_it() -> None:
    sending, _ = CHIP.interlock.send(TrafficRequested(size_bytes=1, duration_ms=1), NOW_MS)
    reported, told_bytes = sending.report(1)
    assert (sending.outside_bytes, reported.outside_bytes, told_bytes) == (1, 0, 1)
    assert reported.fixed_set == CHIP.interlock.fixed_set is not None
    assert reported.limits == CHIP.interlock.limits
