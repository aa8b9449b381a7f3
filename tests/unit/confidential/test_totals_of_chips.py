"""From the reports and openings of simulated chips to a proof: both ends speak of the same sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import pytest

from support.fleet import MODEL, PEAK, Fleet, drive, make_fleet
from vetonet.attestation.report import ComputeReport
from vetonet.attester.account import OpeningTold
from vetonet.attester.state import ChipState, Effect, IntervalEnded, ReportSigned
from vetonet.confidential.accounts import AccountTotal, Interval, sum_chips, sum_intervals
from vetonet.confidential.expectation import ExpectedTotal, expect_licence, expect_pools
from vetonet.confidential.judging import judge_usage
from vetonet.confidential.proving import prove_usage, sum_accounts
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import ProofError
from vetonet.policy.totals import Totals
from vetonet.units import UNIT_FLOP, Flop

HOURS = 3


HOUR_FLOP = PEAK // 3 * 3_601


def live(fleet: Fleet, chip: ChipState) -> list[Effect]:
    """A chip idles, works three hours under the licence, and then does a little without one."""
    start = fleet.licence.statement.not_before_ms
    chip, found = drive(chip, (fleet.offer(chip.ueid), chip.latest_ms), (IntervalEnded(), start))
    chip, _ = drive(chip, (fleet.lease_offer(), start))
    licensed = [fleet.request(flop=HOUR_FLOP)] * HOURS
    for request in (*licensed, fleet.free_request(flop=7 * UNIT_FLOP + 1)):
        chip, _ = drive(chip, (request, chip.latest_ms))
        chip, effects = drive(chip, (IntervalEnded(), chip.latest_ms))
        found += effects
    return found


@cache
def worked() -> tuple[Fleet, tuple[ComputeReport, ...], tuple[tuple[bytes, OpeningTold], ...], Flop]:
    """Two chips with all their reports, what their operator was told, and what they computed licensed."""
    fleet = make_fleet(3, totals=Totals.CONFIDENTIAL)
    lives = [(chip.ueid, live(fleet, chip)) for chip in fleet.chips[:2]]
    reports = tuple(
        fleet.open(effect.data).statement
        for _, effects in lives
        for effect in effects
        if isinstance(effect, ReportSigned)
    )
    told = tuple(
        (ueid, effect) for ueid, effects in lives for effect in effects if isinstance(effect, OpeningTold)
    )
    return fleet, reports, told, len(lives) * HOURS * HOUR_FLOP


def to_interval(report: ComputeReport) -> Interval:
    assert report.flop_commitment is not None
    return Interval(
        start_ms=report.window_start_ms,
        end_ms=report.window_end_ms,
        commitment=report.flop_commitment,
        is_idle=report.is_idle,
        peak_flop_per_s=MODEL.peak_at(report.precision) or 0,
        energy_j=report.energy_j,
        tdp_w=MODEL.tdp_w,
    )


def sum_reports(reports: Sequence[ComputeReport], licence_id: int | None) -> AccountTotal:
    booked: dict[bytes, list[Interval]] = defaultdict(list)
    for report in sorted(reports, key=lambda report: (report.ueid, report.counter)):
        if report.licence_id == licence_id:
            booked[report.ueid].append(to_interval(report))
    return sum_chips(sum_intervals(ueid, intervals) for ueid, intervals in booked.items())


def sum_told(told: Sequence[tuple[bytes, OpeningTold]], licence_id: int | None) -> Opening:
    kept = {(ueid, effect.counter): (effect.licence_id, effect.opening) for ueid, effect in told}
    return sum_accounts(kept)[licence_id]


def expect(total_flop: Flop) -> tuple[ExpectedTotal, ExpectedTotal]:
    fleet, reports, _, _ = worked()
    treaty, licence_id = fleet.council.treaty.payload_digest, fleet.licence.statement.licence_id
    total = sum_reports(reports, licence_id)
    run = expect_licence(treaty, operator_id="op1", licence_id=licence_id, total_flop=total_flop, total=total)
    pools = {"op1": sum_reports(reports, None)}
    (pool,) = expect_pools(treaty, licensed_floor_flop=16 * UNIT_FLOP, pools=pools, owners={})
    return run, pool


def test_what_chips_commit_to_is_what_their_operator_proves() -> None:
    """VN-18.2: the last commitment of each account holds all of it, whatever ran in between."""
    fleet, _, told, flop = worked()
    key = fleet.council.operator_keys["op1"]
    expected = expect(flop)
    openings = [sum_told(told, fleet.licence.statement.licence_id), sum_told(told, None)]
    signed = [
        sign(prove_usage(wanted, opening, operator_id="op1", rng=SeededRng(b"proof")), key)
        for wanted, opening in zip(expected, openings, strict=True)
    ]
    judgement = judge_usage(
        signed,
        expected,
        treaty_digest=fleet.council.treaty.payload_digest,
        operators={"op1": key.public_key},
    )
    assert judgement.problems == ()
    assert [total.missing for total in judgement.totals] == [(), ()]


def test_what_is_committed_misses_less_than_a_unit_for_each_chip() -> None:
    """VN-18.1."""
    fleet, _, told, flop = worked()
    committed = sum_told(told, fleet.licence.statement.licence_id).value * UNIT_FLOP
    assert 0 <= flop - committed < 2 * UNIT_FLOP
    assert sum_told(told, None).value == 14


def test_a_licence_for_less_than_the_chips_did_cannot_be_proven() -> None:
    """VN-18.5."""
    fleet, _, told, _ = worked()
    opening = sum_told(told, fleet.licence.statement.licence_id)
    run, _ = expect(opening.value * UNIT_FLOP - 1)
    with pytest.raises(ProofError, match="budget bound"):
        prove_usage(run, opening, operator_id="op1", rng=SeededRng(b"proof"))


def test_openings_of_earlier_reports_do_not_open_the_sum() -> None:
    """VN-18.2."""
    fleet, _, told, flop = worked()
    run, _ = expect(flop)
    early = [(ueid, effect) for ueid, effect in told if effect.counter <= HOURS]
    with pytest.raises(ProofError, match="not those of the reports"):
        prove_usage(
            run,
            sum_told(early, fleet.licence.statement.licence_id),
            operator_id="op1",
            rng=SeededRng(b"proof"),
        )


def test_no_chip_commits_twice_to_one_point() -> None:
    """VN-18.7: idle intervals leave the count as it was, and the commitment changes all the same."""
    _, reports, _, _ = worked()
    points = [report.flop_commitment for report in reports if report.flop_commitment is not None]
    assert len(points) == len(reports) > 2 * HOURS
    assert len(set(points)) == len(points)
