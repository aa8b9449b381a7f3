"""Laws of a chip's time: whatever its clock does, a lease bounds it, by count and by the log (VN-17.14).

Requirement 9: the evidence of time is the log's, and what a clock adds to it is bounded.

The chip reads an oscillator that drifts, is held, or is set by its operator. The log knows the true time,
and now and then shows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.fleet import LICENCE_LEAF, Fleet, make_fleet, tell
from vetonet.attester.clock import MAX_DRIFT_PPM, WITNESS_SKEW_MS, compute_overrun_ms
from vetonet.attester.machine import step
from vetonet.attester.state import CheckpointSeen, ChipState, Effect, Event, IntervalEnded, WorkDone
from vetonet.policy.lease import derive_lease, find_number_at
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR

LEASE_FLOP = 10**18
FLEET: Fleet = make_fleet(per_device_flop=20 * LEASE_FLOP, lease_flop=LEASE_FLOP, lease_ms=4 * MS_PER_HOUR)
LICENCE = FLEET.licence.statement
START = LICENCE.not_before_ms
LEASES = len(FLEET.leases)
MILLION = 10**6
HELD = -MILLION
MINUTE = 60_000


@dataclass(slots=True)
class Oscillator:
    """What a chip reads: what it showed when it was set, and what it gained since."""

    set_at_ms: int
    shown_ms: int
    drift_ppm: int

    def read(self, true_ms: int) -> int:
        return self.shown_ms + (true_ms - self.set_at_ms) * (MILLION + self.drift_ppm) // MILLION

    def set(self, true_ms: int, shown_ms: int) -> None:
        self.set_at_ms, self.shown_ms = true_ms, shown_ms


@dataclass(slots=True)
class Hall:
    """A chip with its clock, at a true time, and what it did in which lease at which true time.

    Attributes:
        done: FLOP under the licence, by lease number.
        ends: the true time at which licensed work in each lease ended last.
    """

    chip: ChipState
    clock: Oscillator
    true_ms: int
    done: Counter[int]
    ends: dict[int, int]

    def tell(self, event: Event) -> tuple[Effect, ...]:
        """Give the chip an event; a clock that is behind what the chip knows is set right, no further."""
        reading = self.clock.read(self.true_ms)
        if reading < self.chip.latest_ms:
            self.clock.set(self.true_ms, self.chip.latest_ms)
            reading = self.chip.latest_ms
        self.chip, effects = step(self.chip, event, reading)
        return effects

    def show(self) -> None:
        """The log as it is at this true time, cosigned just now."""
        data = FLEET.council.sign_head(FLEET.log, timestamp_s=self.true_ms // 1_000)
        self.tell(CheckpointSeen(data=data))

    def renew(self) -> None:
        """The lease of this true time, if it is the log's to show."""
        number = find_number_at(LICENCE, self.true_ms)
        if number is None:
            return
        head = FLEET.council.sign_head(FLEET.log, timestamp_s=self.true_ms // 1_000)
        proof = compute_log_proof(FLEET.log, LICENCE_LEAF + number, head)
        self.tell(FLEET.lease_offer(number, log_proof=proof))

    def work(self, flop: int, duration_ms: int) -> None:
        """Licensed work, reported; in true time it takes what the oscillator makes of it."""
        lease = None if self.chip.licence is None else self.chip.licence.find_lease(self.reading)
        effects = self.tell(FLEET.request(flop=flop, duration_ms=duration_ms, total_flop=LICENCE.total_flop))
        for effect in effects:
            if isinstance(effect, WorkDone) and lease is not None and effect.flop:
                self.done[lease.lease.number] += effect.flop
                self.advance_to(effect.end_ms)
                self.ends[lease.lease.number] = self.true_ms
        self.tell(IntervalEnded())

    @property
    def reading(self) -> int:
        return max(self.clock.read(self.true_ms), self.chip.latest_ms)

    def advance_to(self, shown_ms: int) -> None:
        """Let true time pass until the oscillator shows this; one that is held lets none of it show."""
        rate = MILLION + self.clock.drift_ppm
        passed = -(-(shown_ms - self.clock.shown_ms) * MILLION // rate) if rate else 0
        self.true_ms = max(self.true_ms, self.clock.set_at_ms + passed)


def make_hall(drift_ppm: int) -> Hall:
    chip = FLEET.license(FLEET.chips[0])
    clock = Oscillator(START, START, drift_ppm)
    return Hall(chip=chip, clock=clock, true_ms=START, done=Counter(), ends={})


def play(hall: Hall, life: list[tuple[Any, ...]]) -> Hall:
    for action, *rest in life:
        match action:
            case "wait":
                hall.true_ms += rest[0]
            case "set":
                hall.clock.set(hall.true_ms, hall.clock.read(hall.true_ms) + rest[0])
            case "work":
                hall.work(*rest)
            case "show":
                hall.show()
            case "renew":
                hall.renew()
    return hall


waits = st.tuples(st.just("wait"), st.sampled_from([1, MINUTE, MS_PER_HOUR, 5 * MS_PER_HOUR]))
works = st.tuples(
    st.just("work"), st.integers(1, 2 * LEASE_FLOP), st.sampled_from([1_000, MINUTE, MS_PER_HOUR])
)
settings_of_clock = st.tuples(
    st.just("set"), st.sampled_from([-(10**9), -MS_PER_HOUR, MINUTE, MS_PER_HOUR, 6 * MS_PER_HOUR])
)
steady = [st.just(("show",)), st.just(("renew",)), waits, works]
drifts = st.sampled_from([HELD, -500_000, -MAX_DRIFT_PPM, 0, MAX_DRIFT_PPM, MILLION])
any_lives = st.lists(st.one_of(*steady, settings_of_clock), max_size=30)
honest_lives = st.lists(st.one_of(*steady), max_size=30)


@settings(max_examples=150, deadline=None)
@given(drifts, any_lives)
@example(HELD, [("renew",), *[("work", LEASE_FLOP // 3, MS_PER_HOUR)] * 6])
def test_no_clock_gets_more_out_of_a_lease_than_its_flop(drift_ppm: int, life: list[Any]) -> None:
    """Drifting, held, jumping: a lease allows a count, and the next is not to be had without the log."""
    hall = play(make_hall(drift_ppm), life)
    assert all(flop <= LEASE_FLOP for flop in hall.done.values())


@settings(max_examples=150, deadline=None)
@given(drifts, any_lives, any_lives)
@example(HELD, [("renew",), ("wait", 5 * MS_PER_HOUR)], [("work", 1_000, 1_000)])
def test_once_the_log_shows_that_a_lease_is_over_nothing_runs_in_it(
    drift_ppm: int, before: list[Any], after: list[Any]
) -> None:
    """Whatever the clock says: the time of a cosigned checkpoint is the least that it can be."""
    hall = play(make_hall(drift_ppm), before)
    over = [n for n in range(1, LEASES + 1) if ends_ms(n) + WITNESS_SKEW_MS + 1_000 <= hall.true_ms]
    hall.show()
    done = hall.done.copy()
    play(hall, after)
    assert all(hall.done[number] == done[number] for number in over)


def ends_ms(number: int) -> int:
    return derive_lease(FLEET.council.treaty, FLEET.licence, number).ends_ms


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([-MAX_DRIFT_PPM, -MAX_DRIFT_PPM // 2, 0, MAX_DRIFT_PPM]), honest_lives)
@example(-MAX_DRIFT_PPM, [("renew",), ("work", LEASE_FLOP // 2, 4 * MS_PER_HOUR)])
def test_a_clock_within_its_drift_overruns_a_lease_by_no_more_than_the_bound(
    drift_ppm: int, life: list[Any]
) -> None:
    """VN-17.14: set right when its licence began, the chip keeps time to within a hundred millionths."""
    hall = play(make_hall(drift_ppm), life)
    for number, end in hall.ends.items():
        overrun = end - ends_ms(number)
        assert overrun <= compute_overrun_ms(ends_ms(number) - START, age_ms=0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3 * MS_PER_HOUR), st.integers(0, 5 * MINUTE), st.sampled_from([-MAX_DRIFT_PPM, 0]))
def test_a_clock_that_was_held_and_runs_again_is_bounded_from_the_last_checkpoint_on(
    shown_after_ms: int, age_ms: int, drift_ppm: int
) -> None:
    """The bound itself: age of the checkpoint, twice the skew, and the drift since."""
    hall = make_hall(HELD)
    hall.renew()
    hall.true_ms += shown_after_ms
    cosigned_ms = max(START, hall.true_ms - age_ms)
    head = FLEET.council.sign_head(FLEET.log, timestamp_s=cosigned_ms // 1_000)
    hall.tell(CheckpointSeen(data=head))
    hall.clock = Oscillator(hall.true_ms, max(hall.chip.latest_ms, START), drift_ppm)
    since = ends_ms(1) - hall.clock.shown_ms
    hall.work(LEASE_FLOP - 1, 5 * MS_PER_HOUR)
    assert hall.ends[1] - ends_ms(1) <= compute_overrun_ms(since, age_ms=age_ms + 1_000)
    assert hall.chip.latest_ms >= ends_ms(1)


def test_a_clock_that_is_set_forward_ends_leases_and_begins_none() -> None:
    """Forward jumps fail closed: a lease of that time is nobody's to have yet."""
    hall = make_hall(0)
    hall.renew()
    hall.clock.set(hall.true_ms, START + 5 * MS_PER_HOUR)
    hall.work(1_000, 1_000)
    assert not hall.done
    _, effects = step(hall.chip, FLEET.lease_offer(1), hall.reading)
    assert tell(effects) == ["lease-replayed"]


def test_a_clock_that_is_set_back_stops_the_chip() -> None:
    hall = make_hall(0)
    hall.renew()
    _, effects = step(hall.chip, FLEET.request(), hall.chip.latest_ms - 1)
    assert tell(effects) == ["clock-behind"]


def test_a_checkpoint_of_later_brings_a_held_clock_forward() -> None:
    hall = make_hall(HELD)
    hall.renew()
    hall.true_ms += 6 * MS_PER_HOUR
    hall.show()
    assert hall.chip.latest_ms == START + 6 * MS_PER_HOUR - WITNESS_SKEW_MS
    _, effects = step(hall.chip, FLEET.request(), START + 1)
    assert tell(effects) == ["clock-behind"]
    _, effects = step(hall.chip, FLEET.request(), hall.chip.latest_ms)
    assert tell(effects) == ["lease-ended"]


def test_a_checkpoint_of_later_shows_a_lease_to_be_over_that_the_clock_still_has() -> None:
    hall = make_hall(HELD)
    head = FLEET.council.sign_head(FLEET.log, timestamp_s=(ends_ms(1) + WITNESS_SKEW_MS) // 1_000)
    proof = compute_log_proof(FLEET.log, LICENCE_LEAF + 1, head)
    assert tell(hall.tell(FLEET.lease_offer(1, log_proof=proof))) == ["lease-expired"]


def test_a_checkpoint_of_later_shows_a_licence_to_be_over() -> None:
    chip = FLEET.chips[0]
    head = FLEET.council.sign_head(FLEET.log, timestamp_s=(LICENCE.expires_ms + WITNESS_SKEW_MS) // 1_000)
    proof = compute_log_proof(FLEET.log, LICENCE_LEAF, head)
    _, effects = step(chip, FLEET.offer(chip.ueid, log_proof=proof), chip.latest_ms)
    assert tell(effects) == ["licence-expired"]


def test_an_older_cosignature_takes_no_time_back() -> None:
    hall = make_hall(0)
    head = FLEET.council.sign_head(FLEET.log, timestamp_s=START // 1_000 - 10_000)
    hall.tell(CheckpointSeen(data=head))
    assert hall.chip.latest_ms == START


def test_the_bound_of_a_day_is_some_two_minutes_and_nine_seconds() -> None:
    assert compute_overrun_ms(24 * MS_PER_HOUR, age_ms=0) == 2 * WITNESS_SKEW_MS + 8_641
