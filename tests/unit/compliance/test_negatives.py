"""Every way in which a run can be dishonest or incomplete, open and confidential, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest

from support.bundles import PEAK_FLOP_PER_S, Scene, enrol, license_run, make_confidential_scene, make_scene
from support.world import Council, make_council
from vetonet.attestation.report import NO_DIGEST, ComputeReport
from vetonet.compliance.parts import PartKind, iter_bundle
from vetonet.compliance.result import Claim, ComplianceResult, Verdict
from vetonet.compliance.verify import verify_bundle
from vetonet.confidential.proving import attach_proof
from vetonet.confidential.usage import UsageClaim, UsageProof
from vetonet.crypto.bulletproofs import prove_range
from vetonet.crypto.cose import parse_sign1
from vetonet.crypto.keys import generate_ecdsa, generate_ed25519
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest, sign
from vetonet.errors import ComplianceError, VetonetError
from vetonet.policy.band import Band, BandRule
from vetonet.policy.disclosure import DisclosureAnswer, DisclosureChallenge
from vetonet.policy.specification import Specification
from vetonet.policy.totals import Totals
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.units import MS_PER_HOUR, MS_PER_S, UNIT_FLOP, format_time

MAKERS: Final = (make_scene, make_confidential_scene)
both = pytest.mark.parametrize("make", MAKERS, ids=["open", "confidential"])
Make = Callable[..., Scene]
SHARE: Final = 10**18


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def tell(scene: Scene, change: Callable[[ComputeReport], ComputeReport] = lambda claims: claims) -> Scene:
    """Let the run happen, and its operator prove what it can."""
    scene.run(change)
    scene.prove()
    return scene


def count(flop: int) -> Callable[[ComputeReport], ComputeReport]:
    """Every report counts so much more than the one before."""
    return lambda claims: replace(claims, cumulative_flop=claims.counter * flop)


@both
def test_a_run_that_keeps_to_its_licence_is_compliant(make: Make) -> None:
    result = tell(make()).judge()
    assert (result.verdict, result.problems) == (Verdict.COMPLIANT, ())


@both
def test_a_report_left_out_is_withheld(make: Make) -> None:
    scene = tell(make())
    del scene.reports[1]
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"report-withheld", "interval-uncovered", "report-gap"} <= reasons(result)


def test_a_report_left_out_is_not_what_its_operator_proved_the_sum_of() -> None:
    scene = tell(make_confidential_scene())
    del scene.reports[2]
    assert {"sum-mismatched", "budget-unproven"} <= reasons(scene.judge())


@both
def test_a_report_added_twice_is_refused(make: Make) -> None:
    """VN-10.1."""
    scene = tell(make())
    bundle = scene.bundle()
    parts = [(PartKind.LEAF, leaf) for leaf in bundle.leaves]
    parts += [(PartKind.CHECKPOINT, bundle.checkpoint)]
    parts += [(PartKind.DEVICE_SET, each.to_bytes()) for each in bundle.device_sets]
    parts += [(PartKind.REPORT, data) for data in (bundle.reports[0], *bundle.reports)]
    with pytest.raises(ComplianceError, match="twice") as caught:
        verify_bundle(iter_bundle(parts), scene.trust_root, scene.judged_ms)
    assert caught.value.problems[0].reason == "report-repeated"


@both
def test_a_report_that_a_batch_adds_twice_counts_once(make: Make) -> None:
    """The log takes no second batch for a window, so nobody can count a report again."""
    scene = tell(make())
    scene.publish(scene.reports[:2])
    assert reasons(scene.judge()) == {"inconsistent-record"}


@both
def test_a_device_of_another_operator_is_not_in_the_set(make: Make) -> None:
    scene = make(chips=2)
    stranger = replace(
        scene.chips[0],
        device_key=generate_ecdsa(scene.council.rng),
        alias_key=generate_ed25519(scene.council.rng),
        owner="op2",
    )
    enrol(scene.council, stranger, scene.log)
    licensed = scene.bundle().device_sets
    scene.chips = (*scene.chips, stranger)
    tell(scene, count(10**17))
    result = scene.judge(device_sets=licensed)
    assert result.verdict is Verdict.VIOLATION
    assert "device-not-in-set" in reasons(result)
    assert {p.culprit for p in result.problems if p.reason == "device-not-in-set"} == {"op2"}


@both
def test_an_uncovered_interval_is_told(make: Make) -> None:
    scene = make(chips=1)
    scene.windows = (scene.windows[0], scene.windows[2])
    result = tell(scene).judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert reasons(result) == {"interval-uncovered", "window-gap"}


@both
def test_the_licence_of_another_run_is_another_workload(make: Make) -> None:
    result = tell(make(), lambda claims: replace(claims, proposal_digest=bytes(32))).judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"other-workload"})


def test_a_proof_about_the_licence_of_another_run_is_misplaced() -> None:
    scene = tell(make_confidential_scene())
    (expected,) = (total.expected for total in scene.judge().totals)
    other = replace(expected.to_claim("op1"), licence_id=1_000)
    scene.proofs = [sign(prove(other, scene), scene.council.operator_keys["op1"])]
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"proof-misplaced", "budget-unproven"} <= reasons(result)


def prove(claim: UsageClaim, scene: Scene) -> UsageProof:
    """A range proof for whatever an operator claims, made without asking whether it is so."""
    total = scene.open_total(scene.judge().totals[0].expected)
    left = [
        Opening(value=max(bound.units - total.value, 0), blinding=_negate(total.blinding))
        for bound in claim.list_padded()
    ]
    proof = prove_range(left, bits=64, transcript=claim.start_transcript(), rng=scene.council.rng)
    return attach_proof(claim, proof)


def _negate(blinding: bytes) -> bytes:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    return (order - int.from_bytes(blinding, "big")).to_bytes(32, "big")


# --- sums ---------------------------------------------------------------------------------------------------


def meet_budget(scene: Scene, over_flop: int) -> Scene:
    """Use the licence up to the last operation, and then some."""
    greedy = min(chip.ueid for chip in scene.chips)

    def meter(claims: ComputeReport) -> ComputeReport:
        extra = over_flop if claims.counter == 2 and claims.ueid == greedy else 0
        return replace(claims, cumulative_flop=claims.counter * SHARE + extra)

    return tell(scene, meter)


def make_budgeted(make: Make) -> Scene:
    return make(chips=2, windows=2, per_device_flop=3 * SHARE, total_flop=4 * SHARE)


@both
def test_a_sum_up_to_the_last_unit_is_compliant(make: Make) -> None:
    assert meet_budget(make_budgeted(make), 0).judge().verdict is Verdict.COMPLIANT


def test_an_open_sum_over_by_one_unit_is_a_violation() -> None:
    result = meet_budget(make_budgeted(make_scene), UNIT_FLOP).judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"budget-exceeded"})


def test_a_hidden_sum_over_by_one_unit_cannot_be_proven() -> None:
    scene = meet_budget(make_budgeted(make_confidential_scene), UNIT_FLOP)
    assert scene.proofs == []
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert reasons(result) == {"budget-unproven", "rate-unproven", "energy-unproven"}


def test_who_signs_a_false_proof_about_a_sum_over_by_one_unit_is_the_culprit() -> None:
    scene = meet_budget(make_budgeted(make_confidential_scene), UNIT_FLOP)
    (total,) = scene.judge().totals
    scene.proofs = [sign(prove(total.expected.to_claim("op1"), scene), scene.council.operator_keys["op1"])]
    result = scene.judge()
    assert result.verdict is Verdict.VIOLATION
    assert {p.culprit for p in result.problems if p.reason == "proof-invalid"} == {"op1"}


def test_a_proof_that_somebody_else_tampered_with_accuses_nobody() -> None:
    scene = tell(make_confidential_scene())
    (proof,) = scene.proofs
    scene.proofs = [proof[:-1] + bytes([proof[-1] ^ 1])]
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"proof-misplaced", "budget-unproven"} <= reasons(result)


def resign(scene: Scene, change: Callable[[ComputeReport], ComputeReport], *indices: int) -> None:
    """Let chips sign some of their reports otherwise, before anything is published."""
    for index in indices:
        claims = change(ComputeReport.from_bytes(parse_sign1(scene.reports[index]).payload))
        chip = next(chip for chip in scene.chips if chip.ueid == claims.ueid)
        scene.reports[index] = sign(claims, chip.alias_key)


def test_a_commitment_in_two_reports_shows_a_reused_blinding() -> None:
    """VN-18.7."""
    scene = make_confidential_scene(windows=1)
    scene.run(publish=False)
    known = ComputeReport.from_bytes(parse_sign1(scene.reports[0]).payload).flop_commitment
    resign(scene, lambda claims: replace(claims, flop_commitment=known), 1)
    scene.publish(scene.reports)
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "blinding-reused" in reasons(result)


def test_a_commitment_that_is_none_is_told_and_leaves_the_sum_unproven() -> None:
    scene = make_confidential_scene(windows=1)
    scene.run(publish=False)
    resign(scene, lambda claims: replace(claims, flop_commitment=bytes(33)), 1)
    scene.publish(scene.reports)
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {"commitment-malformed", "budget-unproven"} <= reasons(result)


@pytest.mark.parametrize("totals", list(Totals))
def test_a_report_that_hides_or_shows_its_counts_against_the_treaty_is_inconclusive(totals: Totals) -> None:
    """VN-9.1, VN-10.6 step 10: a later treaty may ask for it, so it accuses nobody."""
    scene = make_scene(windows=1, council=make_council(3, 2, totals=totals))
    hidden = totals is Totals.OPEN
    for chip in scene.chips:
        claims = scene.make_report(chip, 1, scene.windows[0], NO_DIGEST)
        scene.reports.append(sign(scene.hide(claims) if hidden else claims, chip.alias_key))
    scene.publish(scene.reports)
    result = scene.judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "other-profile" in reasons(result)


def test_how_much_was_used_of_a_licence_is_hidden_and_who_proved_it_is_told() -> None:
    result = tell(make_confidential_scene()).judge()
    assert [use.used_flop for use in result.licences] == [None]
    (total,) = result.to_plain()["totals"]
    assert (total["proven_by"], total["missing"]) == ("op1", [])


# --- plausibility -------------------------------------------------------------------------------------------


def test_declared_operations_above_peak_are_impossible() -> None:
    most = PEAK_FLOP_PER_S * 3_600
    scene = make_scene(chips=1, windows=1, per_device_flop=2 * most, total_flop=2 * most)
    result = tell(scene, count(most + 1)).judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"impossible-rate"})


def test_hidden_operations_above_peak_cannot_be_proven_below_it() -> None:
    most = PEAK_FLOP_PER_S * 3_600
    scene = make_confidential_scene(chips=1, windows=1, per_device_flop=2 * most, total_flop=2 * most)
    result = tell(scene, count(most + UNIT_FLOP)).judge()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "rate-unproven" in reasons(result)


def starve(flop: int, energy_j: int) -> Callable[[ComputeReport], ComputeReport]:
    return lambda claims: replace(count(flop)(claims), energy_j=energy_j)


def test_too_little_energy_for_the_operations_is_told() -> None:
    """At most twice as much as at full power: 2 * 10^15 / 700 FLOP for a joule."""
    for extra, expected in ((0, set()), (1, {"energy-too-low"})):
        scene = make_scene(chips=1, windows=1)
        flop = 2 * PEAK_FLOP_PER_S * 70_000 // 700 + extra
        result = tell(scene, starve(flop, 70_000)).judge()
        assert reasons(result) == expected
        assert result.verdict is (Verdict.INCONCLUSIVE if extra else Verdict.COMPLIANT)


def test_too_little_energy_for_hidden_operations_leaves_them_unproven() -> None:
    scene = make_confidential_scene(chips=1, windows=1)
    most = 2 * PEAK_FLOP_PER_S * 100_000 // 700
    assert "energy-unproven" in reasons(tell(scene, starve(most + UNIT_FLOP, 70_000)).judge())


# --- aggregation --------------------------------------------------------------------------------------------

FLOOR_FLOP: Final = 1_000 * UNIT_FLOP
BANDS: Final = (
    Band(name="free", floor_flop=0, rule=BandRule.FREE),
    Band(name="licensed", floor_flop=FLOOR_FLOP, rule=BandRule.LICENSED),
)


def found(totals: Totals, *, owner: str | None) -> Council:
    """A council with two operators, behind both of whom the same may stand."""
    draw = make_council(3, 2).treaty.statement.operators
    operators = tuple(replace(operator, beneficial_owner=owner) for operator in draw)
    return make_council(3, 2, bands=BANDS, totals=totals, operators=operators)


def share_pool(totals: Totals, *, owner: str | None, units: int) -> Scene:
    """Chips of two operators compute so much each without a licence."""
    council = found(totals, owner=owner)
    scene = make_scene(chips=2, windows=1, council=council, owners=("op1", "op2"))
    return tell(
        scene,
        lambda claims: replace(
            claims, licence_id=None, proposal_digest=None, cumulative_flop=units * UNIT_FLOP
        ),
    )


@pytest.mark.parametrize(("units", "expected"), [(499, set()), (500, {"owner-total"})])
def test_an_owner_that_splits_its_work_over_shells_is_added_up(units: int, expected: set[str]) -> None:
    result = share_pool(Totals.OPEN, owner="Holding", units=units).judge()
    assert reasons(result) == expected
    assert {problem.culprit for problem in result.problems} == ({"Holding"} if expected else set())


def test_two_operators_with_nobody_behind_them_are_not_added_up() -> None:
    for totals in Totals:
        assert share_pool(totals, owner=None, units=500).judge().verdict is Verdict.COMPLIANT


@pytest.mark.parametrize(("units", "expected"), [(499, set()), (500, {"owner-pool-unproven"})])
def test_an_owner_that_splits_hidden_work_over_shells_cannot_prove_it_small(
    units: int, expected: set[str]
) -> None:
    result = share_pool(Totals.CONFIDENTIAL, owner="Holding", units=units).judge()
    assert reasons(result) == expected


def test_hidden_work_without_a_licence_that_reaches_the_band_cannot_be_proven_below_it() -> None:
    result = share_pool(Totals.CONFIDENTIAL, owner=None, units=1_000).judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"pool-unproven"})


# --- inspection ---------------------------------------------------------------------------------------------


DAY_MS: Final = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A second run in the log of a first, about whose lineage a party asks."""

    scene: Scene
    specification: Specification
    challenge: DisclosureChallenge

    def answer(self) -> None:
        """The operator shows the field."""
        answer = DisclosureAnswer(
            treaty_digest=self.challenge.treaty_digest,
            epoch=1,
            operator_id="op1",
            challenge_digest=compute_digest(self.challenge),
            opening=self.specification.open_field("lineage"),
        )
        self.scene.log.append(sign(answer, self.scene.council.operator_keys["op1"]))


def ask_about(lineage: Callable[[bytes], bytes]) -> Asked:
    """Let a run go well, license another one that continues it, and ask what that says of its lineage."""
    scene = tell(make_scene())
    council, first = scene.council, scene.proposal.payload_digest
    specification = Specification.generate({"lineage": lineage(first)}, SeededRng(b"salts"))
    starts_ms = scene.judged_ms + DAY_MS
    second = council.sign_proposal(
        specification_digest=specification.root,
        opens_ms=scene.judged_ms,
        closes_ms=scene.judged_ms + MS_PER_HOUR,
        starts_ms=starts_ms,
        ends_ms=starts_ms + DAY_MS,
    )
    license_run(council, second, scene.log)
    challenge = DisclosureChallenge(
        treaty_digest=council.treaty.payload_digest,
        epoch=1,
        challenger="p1",
        proposal_digest=second.payload_digest,
        field="lineage",
        stated_ms=scene.judged_ms,
        deadline_ms=scene.judged_ms + DAY_MS,
        serial=bytes(16),
    )
    scene.log.append(sign(challenge, council.party_keys["p1"]))
    return Asked(scene=scene, specification=specification, challenge=challenge)


def test_a_lineage_split_under_the_band_is_told_by_its_own_operator() -> None:
    """VN-19.5: the second run stays in a lower band by leaving the first one out of its lineage."""
    asked = ask_about(lambda first: first.hex().encode())
    asked.answer()
    result = asked.scene.judge()
    assert result.verdict is Verdict.VIOLATION
    assert {(p.reason, p.culprit) for p in result.problems if p.reason != "device-set-missing"} == {
        ("lineage-undeclared", "op1")
    }


@pytest.mark.parametrize(("late_ms", "reason"), [(-1, "disclosure-pending"), (0, "disclosure-overdue")])
def test_a_question_that_nobody_answers_is_inconclusive_with_its_deadline(late_ms: int, reason: str) -> None:
    asked = ask_about(lambda _: b"")
    result = asked.scene.judge(now=asked.challenge.deadline_ms + late_ms)
    assert result.verdict is Verdict.INCONCLUSIVE
    (claim,) = (claim for claim in result.claims if claim.claim is Claim.INSPECTION)
    assert {problem.reason for problem in claim.problems} == {reason}
    assert format_time(asked.challenge.deadline_ms) in claim.problems[0].detail


def test_an_answer_that_shows_nothing_wrong_leaves_no_doubt() -> None:
    asked = ask_about(lambda _: b"")
    asked.answer()
    assert not [c for c in asked.scene.judge().claims if c.claim is Claim.INSPECTION and c.problems]


# --- time ---------------------------------------------------------------------------------------------------


def tell_with_checkpoints(late_ms: int) -> tuple[Scene, list[bytes]]:
    """A run whose log is cosigned when each batch came, some time after the interval ended."""
    scene = make_scene()
    base = scene.log.tree_size
    scene.run()
    heads = [
        scene.sign_head(base + number, timestamp_s=(window[1] + late_ms) // MS_PER_S)
        for number, window in enumerate(scene.windows, start=1)
    ]
    return scene, heads


@pytest.mark.parametrize("late_ms", [0, -60_000, 5_000])
def test_a_log_that_was_cosigned_in_time_bounds_every_report(late_ms: int) -> None:
    """VN-10.6 step 11: clocks may differ by a minute."""
    scene, heads = tell_with_checkpoints(late_ms)
    assert scene.judge(earlier=heads).verdict is Verdict.COMPLIANT


def test_a_report_about_a_time_after_the_log_held_it_is_a_violation() -> None:
    """VN-10.6 step 11, attack: a chip's clock runs ahead, or its report was made before its interval."""
    scene, heads = tell_with_checkpoints(-61_000)
    result = scene.judge(earlier=heads)
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"reported-ahead"})
    assert {problem.culprit for problem in result.problems} == {"op1"}
    assert scene.judge().verdict is Verdict.COMPLIANT  # without them nothing bounds it


def test_a_report_ahead_of_the_log_that_no_batch_commits_to_accuses_nobody() -> None:
    scene, heads = tell_with_checkpoints(-61_000)
    del scene.reports[-1]
    result = scene.judge(earlier=heads, reports=scene.reports)
    told = [problem for problem in result.problems if problem.reason == "reported-ahead"]
    assert len(told) == len(scene.reports) - 1  # the rest of its batch is not committed any more


def test_an_earlier_checkpoint_is_verified_like_the_last() -> None:
    """VN-10.4 step 2."""
    scene = tell(make_scene())
    forked = Log(scene.log.origin, [scene.log.leaf(0)])
    for bad in (
        scene.council.sign_head(forked).replace(b"witness", b"witless"),
        sign_checkpoint(scene.log.checkpoint(3), generate_ed25519(scene.council.rng)).to_bytes(),
    ):
        with pytest.raises(VetonetError):
            scene.judge(earlier=[bad])


def test_an_earlier_checkpoint_of_another_log_is_refused() -> None:
    """VN-10.4 step 2: a fork that the log key signed."""
    scene = tell(make_scene())
    forked = Log(scene.log.origin, [scene.log.leaf(0), scene.log.leaf(2)])
    with pytest.raises(ComplianceError, match="checkpoint of size 2"):
        scene.judge(earlier=[scene.council.sign_head(forked)])
