"""Weight snapshots: Poisson times that nobody can foresee, salted digests, nothing lost (VN-17.11)."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.firmware import FIRMWARE
from support.fleet import make_fleet
from vetonet.attestation.report import MAX_SNAPSHOTS, ComputeReport
from vetonet.attester.machine import step
from vetonet.attester.manufacture import manufacture, power_on
from vetonet.attester.snapshots import (
    MEAN_GAP_MS,
    MOST_AT_ONCE,
    Snapshots,
    SnapshotTaken,
    compute_gap_ms,
    compute_snapshot,
    fold_snapshots,
)
from vetonet.attester.state import ChipState, Effect, IntervalEnded, ReportSigned
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified
from vetonet.units import MS_PER_HOUR, WorkloadClass

FLEET = make_fleet()
CHIP = FLEET.chips[0]
DAY_MS = 24 * MS_PER_HOUR
SECRETS = [hashlib.sha256(bytes([index])).digest() for index in range(20)]
REAL, DECOY = hashlib.sha256(b"trained").digest(), hashlib.sha256(b"decoy").digest()


def often(chip: ChipState, mean_gap_ms: int = MS_PER_HOUR) -> ChipState:
    """The chip with snapshots so often that a short test sees some."""
    snapshots = Snapshots(mean_gap_ms=mean_gap_ms).begin(chip.latest_ms, chip.secret)
    return replace(chip, snapshots=snapshots)


def report_of(effects: Sequence[Effect]) -> ComputeReport:
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return read_unverified(data, ComputeReport)


def taken_of(effects: Sequence[Effect]) -> list[SnapshotTaken]:
    return [effect for effect in effects if isinstance(effect, SnapshotTaken)]


def compute_distance(gaps: Sequence[int], mean: float) -> float:
    """The Kolmogorov-Smirnov distance of some gaps from the exponential distribution."""
    ordered, count = sorted(gaps), len(gaps)
    levels = [1 - math.exp(-gap / mean) for gap in ordered]
    return max(max(level - at / count, (at + 1) / count - level) for at, level in enumerate(levels))


def test_the_gaps_pass_a_kolmogorov_smirnov_test_against_the_exponential() -> None:
    # Requirement 6: inter-snapshot times against Exp(0.1 / day), at the 1 % level (1.628 / sqrt(n)).
    gaps = [compute_gap_ms(secret, number, MEAN_GAP_MS) for secret in SECRETS for number in range(250)]
    assert MEAN_GAP_MS == 10 * DAY_MS
    assert compute_distance(gaps, MEAN_GAP_MS) < 1.628 / math.sqrt(len(gaps))


def test_the_test_would_notice_a_schedule() -> None:
    # The same test refuses a timetable, and gaps with half the mean.
    assert compute_distance([MEAN_GAP_MS] * 5_000, MEAN_GAP_MS) > 0.3
    halved = [compute_gap_ms(SECRETS[0], number, MEAN_GAP_MS) // 2 for number in range(1_000)]
    assert compute_distance(halved, MEAN_GAP_MS) > 1.628 / math.sqrt(1_000)


def test_the_times_of_a_chip_pass_it_as_its_own_reports_show_them() -> None:
    chip, times = often(CHIP), [CHIP.latest_ms]
    for _ in range(2_000):
        chip, effects = step(chip, IntervalEnded(), chip.latest_ms + MS_PER_HOUR)
        times += [taken.at_ms for taken in taken_of(effects)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) > 1_800
    assert compute_distance(gaps, MS_PER_HOUR) < 1.628 / math.sqrt(len(gaps))


def test_one_secret_gives_the_same_times_on_every_platform() -> None:
    # Exact decimal arithmetic, correctly rounded: these numbers may never change.
    assert [compute_gap_ms(bytes(32), number, MEAN_GAP_MS) for number in range(3)] == [
        2_519_861_645,
        123_642_025,
        364_911_527,
    ]


def test_the_same_device_takes_them_at_the_same_times_and_another_does_not() -> None:
    first, again = ([compute_gap_ms(SECRETS[0], n, MEAN_GAP_MS) for n in range(50)] for _ in range(2))
    other = [compute_gap_ms(SECRETS[1], n, MEAN_GAP_MS) for n in range(50)]
    assert first == again
    assert not set(first) & set(other)


def correlate(pairs: Sequence[tuple[int, int]]) -> float:
    count = len(pairs)
    left, right = (sum(pair[at] for pair in pairs) / count for at in (0, 1))
    shared = sum((a - left) * (b - right) for a, b in pairs)
    spread = math.sqrt(sum((a - left) ** 2 for a, _ in pairs) * sum((b - right) ** 2 for _, b in pairs))
    return shared / spread


def test_different_counters_are_independent() -> None:
    # What came before says nothing of the next: no correlation beyond three standard errors.
    gaps = [compute_gap_ms(secret, number, MEAN_GAP_MS) for secret in SECRETS for number in range(250)]
    assert abs(correlate(list(itertools.pairwise(gaps)))) < 3 / math.sqrt(len(gaps))


def test_chips_are_made_with_secrets_of_their_own() -> None:
    secrets = {chip.secret for chip in FLEET.chips}
    assert len(secrets) == len(FLEET.chips)
    assert all(len(secret) == 32 for secret in secrets)
    assert all(chip.secret.hex() not in repr(chip) for chip in FLEET.chips)
    assert str(CHIP.snapshots.due_ms) not in repr(CHIP)


def test_the_first_start_draws_a_time_and_later_starts_change_nothing() -> None:
    made = manufacture(CHIP.model, FLEET.maker, CHIP.treaty, SeededRng(b"x"), firmware=FIRMWARE)
    assert made.snapshots.due_ms is None
    once, _ = power_on(made, SeededRng(b"1"), 1_000)
    twice, _ = power_on(once, SeededRng(b"2"), 2_000)
    assert once.snapshots.due_ms is not None
    assert twice.snapshots == once.snapshots


def test_a_snapshot_stands_in_the_report_of_its_interval_and_nowhere_else() -> None:
    chip, seen = often(CHIP), list[bytes]()
    for _ in range(40):
        start = chip.latest_ms
        chip, effects = step(chip, IntervalEnded(), start + MS_PER_HOUR)
        taken = taken_of(effects)
        assert all(start <= one.at_ms < start + MS_PER_HOUR for one in taken)
        assert report_of(effects).snapshots == tuple(one.digest for one in taken)
        seen += report_of(effects).snapshots
    assert len(set(seen)) == len(seen) > 20


def test_only_a_salted_digest_leaves_the_chip() -> None:
    # Requirement 7: no wire message shows the weights, nor a digest that could be compared with another's.
    chip = often(CHIP, mean_gap_ms=1_000)
    request = FLEET.free_request(memory_digest=REAL, duration_ms=10_000, flop=10)
    chip, worked = step(chip, request, chip.latest_ms)
    chip, effects = step(chip, IntervalEnded(), chip.latest_ms)
    data = b"".join(effect.data for effect in effects if isinstance(effect, ReportSigned))
    taken = [one for one in taken_of(worked) if one.digest == compute_snapshot(REAL, one.salt)]
    assert len({one.digest for one in taken}) == len(taken) > 1
    assert REAL not in data
    assert all(one.salt not in data for one in taken)
    assert all(one.salt.hex() not in repr(one) for one in taken)


def test_work_is_snapshotted_with_what_it_holds_and_idling_with_what_came_before() -> None:
    chip = often(CHIP, mean_gap_ms=60_000)
    chip, effects = step(chip, FLEET.free_request(memory_digest=REAL), chip.latest_ms)
    assert taken_of(effects)
    assert all(compute_snapshot(REAL, one.salt) == one.digest for one in taken_of(effects))
    chip, effects = step(chip, FLEET.free_request(memory_digest=DECOY), chip.latest_ms + MS_PER_HOUR)
    held = [compute_snapshot(REAL, one.salt) == one.digest for one in taken_of(effects)]
    assert 30 < sum(held) < len(held) - 30  # the idle hour shows what was held before


@pytest.mark.parametrize("workload", WorkloadClass)
def test_weights_are_snapshotted_whatever_the_workload_is_called(workload: WorkloadClass) -> None:
    chip = often(CHIP, mean_gap_ms=60_000)
    _, effects = step(chip, FLEET.free_request(workload=workload, memory_digest=REAL), chip.latest_ms)
    assert taken_of(effects)


def test_more_than_a_report_holds_are_folded_into_its_last() -> None:
    # VN-17.11
    chip = often(CHIP, mean_gap_ms=MS_PER_HOUR // 20)
    chip, effects = step(chip, IntervalEnded(), chip.latest_ms + MS_PER_HOUR)
    digests = [one.digest for one in taken_of(effects)]
    assert len(digests) > MAX_SNAPSHOTS
    folded = digests[MAX_SNAPSHOTS - 1]
    for further in digests[MAX_SNAPSHOTS:]:
        folded = fold_snapshots(folded, further)
    assert report_of(effects).snapshots == (*digests[: MAX_SNAPSHOTS - 1], folded)


def test_a_long_silence_is_made_up_for_by_a_bounded_number() -> None:
    """VN-17.11."""
    snapshots = Snapshots(mean_gap_ms=1).begin(0, SECRETS[0])
    later, taken = snapshots.take_until(10**12, SECRETS[0])
    assert len(taken) == MOST_AT_ONCE
    assert later.due_ms is not None
    assert later.due_ms > 10**12


def swap(chip: ChipState, *, period_ms: int, hidden_ms: int, periods: int) -> list[bool]:
    """Whether each snapshot showed the decoy that stands in memory for the last part of each period."""
    shown = list[bool]()
    for _ in range(periods):
        for digest, length_ms in ((REAL, period_ms - hidden_ms), (DECOY, hidden_ms)):
            request = FLEET.free_request(memory_digest=digest, duration_ms=length_ms, flop=1)
            chip, effects = step(chip, request, chip.latest_ms)
            shown += [one.digest == compute_snapshot(DECOY, one.salt) for one in taken_of(effects)]
    return shown


def test_training_in_the_gaps_and_swapping_weights_before_a_snapshot_does_not_work() -> None:
    """Shavit section 4: an operator who guesses a timetable hides only the share of time that it gives up.

    Ten chips hold a decoy for a tenth of each ten days, when a timetable would call for a snapshot. A
    timetable would show the decoy alone; at Poisson times nine in ten snapshots show what was trained.
    """
    shown = list[bool]()
    for chip in [replace(CHIP, secret=secret) for secret in SECRETS[:10]]:
        fresh = often(chip, mean_gap_ms=MEAN_GAP_MS)
        shown += swap(fresh, period_ms=MEAN_GAP_MS, hidden_ms=DAY_MS, periods=30)
    assert len(shown) > 200
    assert abs(sum(shown) / len(shown) - 0.1) < 3 * math.sqrt(0.09 / len(shown))
