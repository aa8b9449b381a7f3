from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from support.bundles import YEAR_MS, Scene, altered, enrol, make_compliant_scene, make_scene
from support.world import NOW_MS, compute_device_set_root, make_council
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.report import NO_DIGEST, ComputeReport, DebugStatus
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.export import sign_export
from vetonet.compliance.findings import MAX_SHOWN
from vetonet.compliance.result import REASONS, Claim, ComplianceResult, Verdict
from vetonet.compliance.trust_root import TrustRoot
from vetonet.compliance.verify import CHIP_JUDGES, JUDGES, verify_bundle
from vetonet.crypto.cose import parse_sign1
from vetonet.crypto.keys import generate_ecdsa, generate_ed25519
from vetonet.crypto.statement import sign, sign_jointly
from vetonet.errors import ComplianceError, EncodingError, VerificationError, WitnessQuorumError
from vetonet.policy.band import Band, BandRule
from vetonet.policy.quorum import Choice
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.units import MS_PER_HOUR, Precision, WorkloadClass, format_time

HOUR = MS_PER_HOUR


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def resigned(scene: Scene, index: int, change: Callable[[ComputeReport], ComputeReport]) -> bytes:
    """A report signed by its own chip, with other claims: the chip lies, or its key was taken."""
    claims = ComputeReport.from_bytes(payload_of(scene.reports[index]))
    chip = next(chip for chip in scene.chips if chip.ueid == claims.ueid)
    return sign(change(claims), chip.alias_key)


def payload_of(report: bytes) -> bytes:
    return parse_sign1(report).payload


def test_a_run_within_its_licence_is_compliant() -> None:
    result = make_compliant_scene().judge()
    assert result.verdict is Verdict.COMPLIANT
    assert result.problems == ()
    assert [claim.claim for claim in result.claims] == list(Claim)
    assert result.report_count == 6


def test_the_verdict_is_the_same_on_many_threads() -> None:
    """VN-10.3."""
    scene = make_compliant_scene()
    scene.reports[2] = resigned(scene, 2, lambda claims: replace(claims, debug_status=0))
    data = scene.bundle().to_bytes()
    with ThreadPoolExecutor(2) as pool:
        parallel = verify_bundle(data, scene.trust_root, scene.judged_ms, mapper=pool.map)
    assert parallel == verify_bundle(data, scene.trust_root, scene.judged_ms)


def test_the_verdict_does_not_depend_on_the_order_in_which_parts_are_given() -> None:
    scene = make_compliant_scene()
    first = scene.bundle().to_bytes()
    scene.reports.reverse()
    assert scene.bundle().to_bytes() == first


def test_every_claim_has_its_judge() -> None:
    """VN-10.6."""
    assert {*CHIP_JUDGES, *JUDGES, Claim.PUBLICATION, Claim.GUARD} == set(Claim)


# --- bundles that cannot be judged --------------------------------------------------------------------------


def test_a_bundle_of_another_treaty_is_refused_not_judged() -> None:
    """VN-10.2, VN-10.4 step 1."""
    scene = make_compliant_scene()
    other = TrustRoot(treaty_digest=bytes(32), treaty_name="Other")
    with pytest.raises(ComplianceError, match="Other") as caught:
        verify_bundle(scene.bundle().to_bytes(), other, scene.judged_ms)
    assert caught.value.problems[0].reason == "other-treaty"


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """VN-10.4 step 2."""
    scene = make_compliant_scene()
    stranger = generate_ed25519(scene.council.rng)
    forged = sign_checkpoint(scene.log.checkpoint(), stranger).to_bytes()
    with pytest.raises(VerificationError):
        scene.judge(checkpoint=forged)


def test_a_checkpoint_that_too_few_witnesses_cosigned_is_refused() -> None:
    """VN-10.4 step 2, VN-11.5."""
    scene = make_compliant_scene()
    quorum = scene.council.treaty.statement.witness_quorum
    names = scene.council.party_ids
    for count in range(quorum):
        with pytest.raises(WitnessQuorumError, match=f"expected cosignatures of {quorum} of {len(names)}"):
            scene.judge(checkpoint=scene.sign_head(witness_ids=names[:count]))
    enough = scene.sign_head(witness_ids=names[:quorum])
    assert scene.judge(checkpoint=enough).verdict is Verdict.COMPLIANT


@pytest.mark.parametrize("index", [1, 5, -1])
def test_a_leaf_left_out_of_the_bundle_is_refused(index: int) -> None:
    """VN-10.4 step 3."""
    scene = make_compliant_scene()
    leaves = [scene.log.leaf(place) for place in range(scene.log.tree_size)]
    del leaves[index]
    with pytest.raises(ComplianceError, match="leaves"):
        scene.judge(leaves=leaves)


def test_an_older_checkpoint_than_the_leaves_is_refused() -> None:
    scene = make_compliant_scene()
    older = scene.sign_head(scene.log.tree_size - 1)
    with pytest.raises(ComplianceError):
        scene.judge(checkpoint=older)


def test_a_treaty_that_one_party_did_not_sign_is_refused() -> None:
    """VN-3.1."""
    scene = make_compliant_scene()
    keys = list(scene.council.party_keys.values())[:-1]
    partial = sign_jointly(scene.council.treaty.statement, keys)
    leaves = [partial, *(scene.log.leaf(place) for place in range(1, scene.log.tree_size))]
    log = Log(scene.log.origin, leaves)
    forged = scene.council.sign_head(log)
    with pytest.raises(VerificationError, match="signers"):
        scene.judge(leaves=leaves, checkpoint=forged)


# --- the record ---------------------------------------------------------------------------------------------


def test_a_leaf_that_breaks_the_rules_makes_the_record_inconsistent_and_accuses_nobody() -> None:
    """VN-11.3."""
    scene = make_compliant_scene()
    scene.log.append(scene.log.leaf(1))
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert reasons(result) == {"inconsistent-record"}
    assert result.problems[0].culprit is None


def test_a_leaf_of_an_unknown_type_makes_the_record_inconsistent() -> None:
    scene = make_compliant_scene()
    scene.log.append(b"not a statement")
    assert reasons(scene.judge()) == {"inconsistent-record"}


def test_a_licence_without_its_ballots_is_no_licence() -> None:
    """VN-7.6: k colluding parties sign a licence for a proposal on which nobody voted."""
    scene = make_scene()
    council = scene.council
    proposal = council.sign_proposal(starts_ms=NOW_MS + 3 * HOUR)
    place = scene.log.append(proposal.data)
    ballots = {party: council.sign_ballot(party, proposal) for party in council.party_ids[:2]}
    forged = council.sign_licence(proposal, ballots, proposal_leaf_index=place)
    scene.log.append(forged.data)
    scene.run()
    result = scene.judge()
    assert "inconsistent-record" in reasons(result)
    assert forged.statement.licence_id not in result.licence_ids


def test_a_log_without_a_licence_proves_nothing() -> None:
    council = make_council(3, 2)
    scene = make_compliant_scene(council=council)
    empty = Log(scene.log.origin, [council.treaty.data])
    checkpoint = council.sign_head(empty)
    result = scene.judge(leaves=[council.treaty.data], checkpoint=checkpoint, reports=[], device_sets=[])
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"nothing-to-judge"})


# --- authority ----------------------------------------------------------------------------------------------


def judge_with(change: Callable[[ComputeReport], ComputeReport], **arguments: object) -> ComplianceResult:
    scene = make_scene(**arguments)  # type: ignore[arg-type]
    scene.run(change)
    return scene.judge()


def test_a_run_under_a_licence_that_the_log_does_not_hold_is_a_violation() -> None:
    result = judge_with(lambda claims: replace(claims, licence_id=999))
    assert result.verdict is Verdict.VIOLATION
    assert "licence-unknown" in reasons(result)


def test_a_chip_outside_the_device_set_is_a_violation() -> None:
    """A licence transferred to another chip (Petrie; RFD 034)."""
    licensed = sorted(chip.ueid for chip in make_scene().chips)[:1]
    root = compute_device_set_root(licensed)
    scene = make_scene(device_count=1, device_set_root=root, total_flop=3 * 10**18)
    scene.run()
    result = scene.judge(device_sets=[DeviceSet(ueids=tuple(licensed))])
    assert result.verdict is Verdict.VIOLATION
    assert "device-not-in-set" in reasons(result)


def test_without_the_device_set_membership_cannot_be_judged() -> None:
    result = make_compliant_scene().judge(device_sets=[])
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"device-set-missing"})


@pytest.mark.parametrize("shift_ms", [-1, 1])
def test_work_outside_the_licences_window_is_a_violation(shift_ms: int) -> None:
    def shift(claims: ComputeReport) -> ComputeReport:
        return replace(
            claims,
            window_start_ms=claims.window_start_ms + shift_ms,
            window_end_ms=claims.window_end_ms + shift_ms,
        )

    result = judge_with(shift)
    assert result.verdict is Verdict.VIOLATION
    assert "outside-validity" in reasons(result)


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": WorkloadClass.INFERENCE},
        {"precision": Precision.FP8},
        {"proposal_digest": bytes([1]) * 32},
    ],
)
def test_other_work_than_the_licence_allows_is_a_violation(changes: dict[str, object]) -> None:
    result = judge_with(altered(**changes))
    assert result.verdict is Verdict.VIOLATION
    assert "other-workload" in reasons(result)


# --- genuineness --------------------------------------------------------------------------------------------


def test_a_forged_report_is_a_violation_but_names_nobody() -> None:
    """Somebody lowered a count and kept the chip's signature; a bundle does not say who."""
    scene = make_compliant_scene()
    data = scene.reports[3]
    payload = payload_of(data)
    honest = ComputeReport.from_bytes(payload)
    lower = replace(honest, cumulative_flop=honest.counters.flop - 10**15).to_bytes()
    scene.reports[3] = data.replace(payload, lower)
    result = scene.judge()
    forged = [problem for problem in result.problems if problem.reason == "report-forged"]
    assert result.verdict is Verdict.VIOLATION
    assert [problem.culprit for problem in forged] == [None]


def test_a_report_by_an_unknown_key_is_inconclusive() -> None:
    """Its alias may be endorsed in a leaf after this log ends."""
    scene = make_compliant_scene()
    claims = ComputeReport.from_bytes(payload_of(scene.reports[0]))
    scene.reports[0] = sign(claims, generate_ed25519(scene.council.rng))
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "signer-unknown" in reasons(result)


def test_bytes_that_are_no_report_are_inconclusive_and_name_nobody() -> None:
    """VN-10.5 step 5: anybody can add junk to somebody's bundle."""
    scene = make_compliant_scene()
    scene.reports.append(b"nonsense")
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"report-malformed"})
    assert result.problems[0].culprit is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"debug_status": int(DebugStatus.ENABLED)}, "debug-enabled"),
        ({"firmware_digest": bytes([8]) * 32}, "unknown-firmware"),
        ({"boot_count": 2}, "wrong-boot"),
        ({"hw_model": b"Other Chip"}, "wrong-model"),
    ],
)
def test_a_chip_in_a_state_that_nobody_vouched_for_is_a_violation(
    changes: dict[str, object], reason: str
) -> None:
    """VN-9.3."""
    result = judge_with(altered(**changes))
    assert result.verdict is Verdict.VIOLATION
    assert reason in reasons(result)


@pytest.mark.parametrize("years", [1, 15, 100])
def test_a_verdict_does_not_change_when_certificates_lapse_after_the_run(years: int) -> None:
    """Nobody may be accused because a verifier looks late: what counts is when the chip ran."""
    scene = make_compliant_scene()
    assert scene.judge(now=scene.judged_ms + years * 365 * 24 * HOUR).verdict is Verdict.COMPLIANT


def test_a_run_after_the_certificate_lapsed_is_inconclusive() -> None:
    late: dict[str, Any] = {"opens_ms": NOW_MS + 30 * YEAR_MS, "closes_ms": NOW_MS + 30 * YEAR_MS + HOUR}
    start = late["closes_ms"] + HOUR
    scene = make_scene(chips=1, windows=1, **late, starts_ms=start, ends_ms=start + HOUR)
    scene.windows = ((start, start + HOUR),)
    scene.run()
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (
        Verdict.INCONCLUSIVE,
        {"certificate-lapsed", "revocation-stale"},
    )


def test_a_report_in_another_chips_name_is_a_violation() -> None:
    scene = make_scene()
    other = scene.chips[1].ueid
    scene.run(lambda claims: replace(claims, ueid=other))
    assert "wrong-device" in reasons(scene.judge())


def test_one_key_enrolled_for_two_owners_makes_the_record_inconsistent() -> None:
    """VN-8.3; requirement 1: a twice-registered key is rejected."""
    scene = make_compliant_scene()
    enrol(scene.council, replace(scene.chips[0], owner="op2"), scene.log)
    assert reasons(scene.judge()) == {"inconsistent-record"}


# --- freshness ----------------------------------------------------------------------------------------------


def test_a_report_that_names_a_checkpoint_of_no_log_is_a_violation() -> None:
    """VN-9.2."""
    result = judge_with(lambda claims: replace(claims, nonces=(claims.challenge, bytes([9]) * 32)))
    assert {"checkpoint-unknown"} <= reasons(result)
    assert result.verdict is Verdict.VIOLATION


def blind(scene: Scene, claims: ComputeReport, **changes: object) -> ComputeReport:
    """The report of a chip that has not seen the log."""
    treaty_digest = scene.council.treaty.payload_digest
    challenge = compute_challenge(treaty_digest, NO_DIGEST, claims.window_start_ms)
    return replace(claims, nonces=(challenge, NO_DIGEST), **changes)  # type: ignore[arg-type]


def test_licensed_work_before_any_checkpoint_is_inconclusive() -> None:
    scene = make_scene()
    scene.run(lambda claims: blind(scene, claims))
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"checkpoint-missing"})


def test_an_idle_chip_may_report_before_it_has_seen_the_log() -> None:
    """Its first report stays in every bundle for ever, so it must not spoil them."""
    scene = make_scene(chips=1, windows=2)

    def idle_first(claims: ComputeReport) -> ComputeReport:
        if claims.counter > 1:
            return replace(claims, cumulative_flop=10**17)
        return blind(scene, claims, licence_id=None, proposal_digest=None, cumulative_flop=0)

    scene.run(idle_first)
    assert scene.judge().verdict is Verdict.COMPLIANT


def cut(scene: Scene, size: int) -> ComplianceResult:
    """The same reports judged on an earlier, genuine checkpoint of the same log."""
    return scene.judge(
        leaves=[scene.log.leaf(index) for index in range(size)],
        checkpoint=scene.sign_head(size),
    )


def test_an_honest_operator_is_never_accused_over_an_earlier_checkpoint_of_the_log() -> None:
    """Anybody can cut the log where it hurts; what the log does not show yet is missing, not forged."""
    scene = make_compliant_scene()
    for size in range(2, scene.log.tree_size):
        assert cut(scene, size).verdict is Verdict.INCONCLUSIVE, size


def test_a_report_older_than_its_licence_is_a_violation() -> None:
    scene = make_scene()
    before = scene.log.checkpoint(scene.log.tree_size - 1).digest
    scene.run(lambda claims: replace(claims, nonces=(claims.challenge, before)))
    assert "checkpoint-stale" in reasons(scene.judge())


def test_a_report_that_answers_another_verifiers_challenge_is_inconclusive_to_us() -> None:
    result = judge_with(lambda claims: replace(claims, nonces=(bytes(32), claims.checkpoint_digest)))
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"challenge-unknown"})


# --- continuity ---------------------------------------------------------------------------------------------


def test_two_reports_with_one_counter_are_a_violation() -> None:
    """A cloned key or a state rolled back."""
    scene = make_compliant_scene()
    scene.reports.append(resigned(scene, 2, lambda claims: replace(claims, energy_j=2_000)))
    result = scene.judge()
    assert result.verdict is Verdict.VIOLATION
    assert "report-fork" in reasons(result)


def test_a_meter_that_runs_backwards_is_a_violation() -> None:
    def fall(claims: ComputeReport) -> ComputeReport:
        return replace(claims, cumulative_flop=10**18 - claims.counter)

    assert "meter-rollback" in reasons(judge_with(fall))


def test_a_report_left_out_everywhere_is_a_gap_and_inconclusive() -> None:
    scene = make_scene(chips=1)
    scene.run(publish=False)
    del scene.reports[1]
    scene.publish(scene.reports)
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"report-gap", "interval-uncovered"} <= reasons(result)


# --- publication --------------------------------------------------------------------------------------------


def test_withheld_reports_are_inconclusive_and_name_the_operator() -> None:
    scene = make_compliant_scene()
    del scene.reports[-2:]
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"report-withheld", "interval-uncovered"} == reasons(result)
    assert {problem.culprit for problem in result.problems} == {"op1"}


def test_a_report_swapped_after_its_batch_was_logged_is_a_violation_of_whoever_exported_it() -> None:
    """VN-10.7: the operator signed the batch and the bundle, and they contradict each other."""
    scene = make_compliant_scene()
    scene.reports[-1] = resigned(scene, -1, lambda claims: replace(claims, out_of_set_bytes=1))
    signed = sign_export(scene.bundle(), scene.council.operator_keys["op1"])
    result = verify_bundle(signed.to_bytes(), scene.trust_root, scene.judged_ms)
    assert (result.verdict, reasons(result), result.exporter) == (
        Verdict.VIOLATION,
        {"batch-mismatch"},
        "op1",
    )


def test_a_report_that_somebody_else_swapped_accuses_nobody() -> None:
    """VN-10.7: a late report is in no batch; put in the place of another it makes nobody a liar."""
    scene = make_compliant_scene()
    scene.reports[-1] = resigned(scene, -1, lambda claims: replace(claims, out_of_set_bytes=1))
    party = scene.council.party_keys["p1"]
    for bundle in (scene.bundle(), sign_export(scene.bundle(), party)):
        result = verify_bundle(bundle.to_bytes(), scene.trust_root, scene.judged_ms)
        assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"accusation-unproven"})


@pytest.mark.parametrize(("late_ms", "reason"), [(-1, "report-pending"), (0, "report-unpublished")])
def test_a_report_in_no_batch_is_pending_until_its_deadline(late_ms: int, reason: str) -> None:
    scene = make_scene(windows=1)
    scene.run(publish=False)
    deadline = scene.windows[0][1] + scene.council.treaty.statement.report_grace_ms
    result = scene.judge(now=deadline + late_ms)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert reasons(result) - {"nothing-to-judge"} == {reason}


def test_a_second_batch_over_the_same_time_is_no_part_of_the_record() -> None:
    """VN-9.4: else nobody could tell whose reports are whose, and the honest would be accused."""
    scene = make_scene(chips=2, windows=1)
    scene.run(publish=False)
    scene.publish(scene.reports)
    scene.publish(scene.reports[:1])
    assert reasons(scene.judge()) == {"inconsistent-record"}


def test_a_genuine_report_that_no_batch_counts_is_unpublished_not_a_crime() -> None:
    scene = make_scene(chips=2, windows=1)
    scene.run(publish=False)
    scene.publish(scene.reports[:1])
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"report-unpublished"})


# --- budget -------------------------------------------------------------------------------------------------


def test_one_operation_over_the_budget_is_a_violation() -> None:
    scene = make_scene(chips=2, windows=2, per_device_flop=3 * 10**18, total_flop=4 * 10**18)

    def meter(claims: ComputeReport) -> ComputeReport:
        is_last = claims.counter == 2 and claims.ueid == scene.chips[0].ueid
        return replace(claims, cumulative_flop=claims.counter * 10**18 + is_last)

    scene.run(meter)
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"budget-exceeded"})


def test_the_whole_budget_to_the_last_operation_is_compliant() -> None:
    scene = make_scene(chips=2, windows=2, per_device_flop=3 * 10**18, total_flop=4 * 10**18)
    scene.run(lambda claims: replace(claims, cumulative_flop=claims.counter * 10**18))
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_one_chip_over_its_share_is_a_violation_though_the_total_fits() -> None:
    scene = make_scene(chips=2, windows=1, per_device_flop=10**18, total_flop=2 * 10**18)

    def meter(claims: ComputeReport) -> ComputeReport:
        greedy = claims.ueid == scene.chips[0].ueid
        return replace(claims, cumulative_flop=10**18 + 1 if greedy else 10**17)

    scene.run(meter)
    assert reasons(scene.judge()) == {"device-budget-exceeded", "lease-exceeded"}


# --- coverage -----------------------------------------------------------------------------------------------


def test_an_enrolled_chip_that_never_reports_is_inconclusive() -> None:
    scene = make_scene(chips=3)
    silent = scene.chips[2].ueid
    scene.run(publish=False)
    scene.reports = [data for data in scene.reports if silent not in data]
    for number in range(3):
        scene.publish(scene.reports[2 * number : 2 * number + 2])
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"interval-uncovered"})


def test_a_licensed_chip_that_nobody_enrolled_is_inconclusive() -> None:
    """A licence that names chips which never report must not look fulfilled."""
    ghost = b"\x01" + bytes(32)
    scene = make_scene(chips=1)
    known = scene.chips[0].ueid
    members = tuple(sorted((known, ghost)))
    scene = make_scene(
        chips=1, device_count=2, device_set_root=compute_device_set_root(members), total_flop=3 * 10**18
    )
    scene.run()
    result = scene.judge(device_sets=[DeviceSet(ueids=members)])
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"device-not-enrolled"})


def test_a_licence_under_which_nothing_was_reported_is_inconclusive_at_any_time() -> None:
    scene = make_scene()
    for now in (NOW_MS, scene.judged_ms, scene.judged_ms + YEAR_MS):
        result = scene.judge(now=now)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert "nothing-to-judge" in reasons(result)


def test_a_verdict_says_which_time_it_is_about() -> None:
    scene = make_compliant_scene()
    licence = scene.licence.statement
    assert scene.judge().period_ms == (licence.not_before_ms, licence.expires_ms)
    assert scene.judge(now=NOW_MS).period_ms is None


def test_a_chip_enrolled_after_a_licence_owes_nothing_for_the_time_before() -> None:
    scene = make_compliant_scene()
    newcomer = replace(
        scene.chips[0],
        device_key=generate_ecdsa(scene.council.rng),
        alias_key=generate_ed25519(scene.council.rng),
    )
    enrol(scene.council, newcomer, scene.log)
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_time_that_is_not_due_yet_need_not_be_covered() -> None:
    scene = make_scene()
    scene.windows = scene.windows[:1]
    scene.run(lambda claims: replace(claims, cumulative_flop=10**18))
    treaty = scene.council.treaty.statement
    due = scene.windows[0][1] + treaty.report_interval_ms + treaty.report_grace_ms
    assert scene.judge(now=due).verdict is Verdict.COMPLIANT
    assert reasons(scene.judge(now=due + 1)) == {"interval-uncovered"}


def test_intervals_longer_than_the_treaty_asks_for_are_inconclusive() -> None:
    """VN-12.4."""
    scene = make_scene(chips=1, council=make_council(3, 2, report_interval_ms=HOUR - 1))
    scene.run()
    assert reasons(scene.judge()) == {"interval-too-long"}


def test_a_report_about_the_future_is_inconclusive() -> None:
    """Requirement 9: either the chip's clock is wrong, or the verifier's."""
    scene = make_compliant_scene()
    result = scene.judge(now=scene.windows[-1][1] - 1)
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"ahead-of-clock"})


# --- plausibility -------------------------------------------------------------------------------------------


def test_more_operations_than_the_peak_allows_are_a_violation() -> None:
    most = 10**15 * 3600
    scene = make_scene(chips=1, windows=1, per_device_flop=2 * most, total_flop=2 * most)
    scene.run(lambda claims: replace(claims, cumulative_flop=most))
    assert scene.judge().verdict is Verdict.COMPLIANT
    scene = make_scene(chips=1, windows=1, per_device_flop=2 * most, total_flop=2 * most)
    scene.run(lambda claims: replace(claims, cumulative_flop=most + 1))
    assert reasons(scene.judge()) == {"impossible-rate"}


def test_more_energy_than_the_chip_can_draw_is_implausible() -> None:
    result = judge_with(altered(energy_j=10_000_000))
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"implausible-energy"})


# --- aggregation --------------------------------------------------------------------------------------------


def test_unlicensed_work_that_sums_into_a_licensed_band_is_a_violation() -> None:
    """Split over chips below the threshold (Rahman; MIRI V.2)."""
    bands = (
        Band(name="free", floor_flop=0, rule=BandRule.FREE),
        Band(name="licensed", floor_flop=10**18, rule=BandRule.LICENSED),
    )
    for per_chip, expected in ((10**18 // 2, {"unlicensed-total"}), (10**18 // 2 - 1, set())):
        scene = make_scene(chips=2, windows=1, council=make_council(3, 2, bands=bands))
        meter = altered(licence_id=None, proposal_digest=None, cumulative_flop=per_chip)
        scene.run(meter)
        assert reasons(scene.judge()) == expected


def test_an_idle_owner_is_no_violator_where_every_run_needs_a_licence() -> None:
    bands = (Band(name="licensed", floor_flop=0, rule=BandRule.LICENSED),)
    scene = make_scene(chips=1, windows=1, council=make_council(3, 2, bands=bands))
    scene.run(altered(licence_id=None, proposal_digest=None, cumulative_flop=0))
    assert scene.judge().verdict is Verdict.COMPLIANT


# --- the result ---------------------------------------------------------------------------------------------


def test_many_problems_of_one_kind_are_counted_not_listed() -> None:
    scene = make_scene(chips=1, windows=MAX_SHOWN + 5, per_device_flop=10**20, total_flop=10**20)
    scene.run(altered(debug_status=0))
    listed = [problem for problem in scene.judge().problems if problem.reason == "debug-enabled"]
    assert len(listed) == MAX_SHOWN + 1
    assert listed[-1].detail == "and 5 more of the same kind"


def test_every_reason_that_the_steps_give_is_in_the_table() -> None:
    scene = make_compliant_scene()
    plain = scene.judge().to_plain()
    assert plain["verdict"] == "COMPLIANT"
    assert set(REASONS.values()) == {Verdict.VIOLATION, Verdict.INCONCLUSIVE}


def test_a_vetoed_proposal_in_the_log_is_no_obstacle_to_a_compliant_run() -> None:
    council = make_council(3, 2, veto_holders=["p3"])
    scene = make_scene(council=council)
    vetoed = council.sign_proposal()
    scene.log.append(vetoed.data)
    scene.log.append(council.sign_ballot("p3", vetoed, Choice.VETO).data)
    scene.run()
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_a_report_that_states_other_firmware_than_its_boot_is_found() -> None:
    result = judge_with(altered(firmware_digest=bytes(32)))
    assert "unknown-firmware" in reasons(result)


def test_garbage_is_not_a_bundle() -> None:
    scene = make_scene()
    for data in (b"", b"x", b"\x82\x00", bytes(100), scene.bundle().to_bytes()[:-1]):
        with pytest.raises(EncodingError):
            verify_bundle(data, scene.trust_root, NOW_MS)


def test_a_verdict_says_how_much_of_each_licence_was_used() -> None:
    scene = make_compliant_scene()
    (use,) = scene.judge().licences
    assert use.licence == scene.licence.statement
    assert use.used_flop == scene.licence.statement.total_flop
    assert scene.judge().to_plain()["licences"][0]["used_flop"] == use.used_flop


def test_one_missing_report_leaves_a_gap_of_its_own_length() -> None:
    scene = make_compliant_scene(chips=1)
    del scene.reports[1]
    details = [p.detail for p in scene.judge().problems if p.reason == "interval-uncovered"]
    gap = scene.windows[1]
    assert details[0].endswith(f"from {format_time(gap[0])} to {format_time(gap[1])}; overdue")


def test_what_is_missing_concerns_somebody_but_names_no_culprit() -> None:
    scene = make_compliant_scene()
    del scene.reports[-1]
    problems = [p for claim in scene.judge().to_plain()["claims"] for p in claim["problems"]]
    assert {problem["concerns"] for problem in problems} == {"op1"}
    assert {problem["culprit"] for problem in problems} == {None}
