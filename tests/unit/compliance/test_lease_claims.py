"""What a verifier says of leases: consent was kept for all that ran, and no lease was exceeded (VN-10.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from support.bundles import Scene, make_scene
from support.world import make_council
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.report import ComputeReport
from vetonet.compliance.case import Case
from vetonet.compliance.evidence import authenticate, iter_groups, measure
from vetonet.compliance.freshness import judge_freshness
from vetonet.compliance.public_record import read_public_record
from vetonet.compliance.result import ComplianceResult, Verdict
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem
from vetonet.units import MS_PER_HOUR

HOURLY: Final = MS_PER_HOUR * 4 // 3
"""The lease time of which an hour is left when the lead is taken off: leases as long as intervals."""


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def make_hourly_scene(leases: tuple[int, ...] | None = None, **arguments: Any) -> Scene:
    """A run of three hours with a lease for each, of which the log holds these."""
    return make_scene(council=make_council(3, 2, lease_ms=HOURLY), leases=leases, **arguments)


def test_a_run_whose_every_hour_has_a_lease_is_compliant() -> None:
    scene = make_hourly_scene()
    scene.run()
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_committed_work_in_a_lease_that_the_log_does_not_hold_is_a_violation() -> None:
    """VN-12.5: the chip went on though nobody had signed the second lease."""
    scene = make_hourly_scene(leases=(1, 3))
    scene.run()
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"outside-lease"})
    assert {problem.culprit for problem in result.problems} == {"op1"}


def test_uncommitted_work_in_a_lease_that_may_be_logged_later_accuses_nobody() -> None:
    scene = make_hourly_scene(leases=(1, 2))
    scene.run(publish=False)
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (
        Verdict.INCONCLUSIVE,
        {"lease-not-shown", "report-unpublished"},
    )


def test_idle_time_needs_no_lease() -> None:
    scene = make_hourly_scene(leases=(1, 3))

    def pause(claims: ComputeReport) -> ComputeReport:
        done = claims.counters.flop if claims.counter == 1 else claims.counters.flop // 2
        if claims.counter != 2:
            return replace(claims, cumulative_flop=done)
        return replace(claims, licence_id=None, proposal_digest=None, cumulative_flop=done)

    scene.run(pause)
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_an_interval_over_the_boundary_of_two_leases_is_a_violation_though_the_log_holds_both() -> None:
    """VN-12.4: no chip reports so, and nobody could tell what it did in which."""
    scene = make_hourly_scene()
    first, second, third = scene.windows
    scene.windows = (first, (second[0], second[1] - 1), (second[1] - 1, third[1]))
    scene.run()
    result = scene.judge()
    assert result.verdict is Verdict.VIOLATION
    assert "outside-lease" in reasons(result)


def test_a_report_made_before_its_chip_could_have_seen_the_lease_is_stale() -> None:
    scene = make_hourly_scene()
    early = scene.log.checkpoint(scene.log.tree_size - 1).digest  # before the third lease was logged
    treaty_digest = scene.council.treaty.payload_digest

    def backdate(claims: ComputeReport) -> ComputeReport:
        nonces = (compute_challenge(treaty_digest, early, claims.window_start_ms), early)
        return replace(claims, nonces=nonces)

    scene.run(backdate)
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"checkpoint-stale"})
    stale = [problem.detail for problem in result.problems]
    assert all(detail.startswith("report 3 ") for detail in stale)


@pytest.mark.parametrize(("over", "expected"), [(0, set()), (1, {"lease-exceeded"})])
def test_more_in_one_lease_than_that_allows_is_a_violation_though_the_share_is_kept(
    over: int, expected: set[str]
) -> None:
    """VN-10.6, step 14: twice as fast as evenly and no faster, in the lease of the second hour."""
    scene = make_hourly_scene(chips=1, lease_flop=2 * 10**18)

    def rush(claims: ComputeReport) -> ComputeReport:
        done = {1: 0, 2: 2 * 10**18 + over, 3: 3 * 10**18}[claims.counter]
        return replace(claims, cumulative_flop=done)

    scene.run(rush)
    assert reasons(scene.judge()) == expected


def refuse(problem: Problem) -> None:
    """Nothing is wrong with these bytes."""
    pytest.fail(str(problem))


def test_a_report_answers_the_challenge_of_a_treaty_that_the_log_puts_in_force_and_of_no_other() -> None:
    """VN-9.2, VN-12.7: a chip that took the next treaty asks itself under that."""
    scene, successor = make_scene(windows=1), bytes([1]) * 32

    def answer(claims: ComputeReport) -> ComputeReport:
        challenge = compute_challenge(successor, claims.checkpoint_digest, claims.window_start_ms)
        return replace(claims, nonces=(challenge, claims.checkpoint_digest))

    scene.run(answer)
    assert reasons(scene.judge()) == {"challenge-unknown"}
    record = read_public_record(scene.bundle(), scene.trust_root)
    widened = replace(record, treaty_digests=record.treaty_digests | {successor})
    case = Case.of(widened, {}, scene.judged_ms)
    group = next(iter_groups(scene.bundle().reports, refuse))
    opened = [report for report in authenticate(group, record.registry.aliases) if isinstance(report, Signed)]
    chain, strays = measure(opened, record, lambda *_: None)
    assert chain is not None
    assert not strays
    assert list(judge_freshness(case, chain)) == []
