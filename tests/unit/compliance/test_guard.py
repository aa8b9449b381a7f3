"""Nobody is named for a violation but by something that they signed (VN-10.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.bundles import Scene, make_compliant_scene
from vetonet.compliance.export import BundleExport, sign_export
from vetonet.compliance.guard import BASES, Basis, Signers, judge_guard
from vetonet.compliance.result import REASONS, Claim, ClaimResult, Verdict
from vetonet.compliance.verify import verify_bundle
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.statement import sign
from vetonet.errors import ComplianceError, EncodingError, Problem

NOBODY = Signers(reports=frozenset(), log=frozenset(), exporter=None, proofs=frozenset())
VIOLATIONS = sorted(reason for reason, verdict in REASONS.items() if verdict is Verdict.VIOLATION)


def guard(signers: Signers, *problems: Problem) -> tuple[Problem, ...]:
    (result,) = judge_guard([ClaimResult(claim=Claim.CONTINUITY, problems=problems)], signers)
    return result.problems


@pytest.mark.parametrize("reason", VIOLATIONS)
def test_no_violation_names_somebody_who_signed_nothing(reason: str) -> None:
    (problem,) = guard(NOBODY, Problem(reason=reason, detail="it seems so", culprit="op1"))
    is_lowered = problem.reason == "accusation-unproven" and reason in problem.detail
    assert is_lowered or (problem.reason == "report-forged" and problem.culprit is None)


@pytest.mark.parametrize("reason", VIOLATIONS)
def test_every_violation_names_whoever_signed_what_it_rests_on(reason: str) -> None:
    match BASES.get(reason, Basis.REPORT):
        case Basis.REPORT:
            signers = replace(NOBODY, reports=frozenset({"op1"}))
        case Basis.LOG:
            signers = replace(NOBODY, log=frozenset({"op1"}))
        case Basis.PROOF:
            signers = replace(NOBODY, proofs=frozenset({"op1"}))
        case Basis.EXPORT | Basis.BATCH_AND_EXPORT:
            signers = replace(NOBODY, exporter="op1")
    problem = Problem(reason=reason, detail="it is so", culprit="op1")
    assert guard(signers, problem) == (problem,)


def test_what_is_no_violation_is_left_alone() -> None:
    problem = Problem(reason="report-gap", detail="one lacks", culprit="op1")
    assert guard(NOBODY, problem) == (problem,)


def test_the_rest_of_a_list_is_lowered_with_it() -> None:
    """Else the line that counts what is not listed would keep the violation alive."""
    rest = Problem(reason="batch-mismatch", detail="and 3 more of the same kind")
    named = Problem(reason="batch-mismatch", detail="leaf 9", culprit="op1")
    assert {problem.reason for problem in guard(NOBODY, named, rest)} == {"accusation-unproven"}
    assert guard(replace(NOBODY, exporter="op1"), named, rest) == (named, rest)


def test_a_violation_that_names_nobody_stands() -> None:
    problem = Problem(reason="budget-exceeded", detail="too much")
    assert guard(NOBODY, problem) == (problem,)


# --- the export ---------------------------------------------------------------------------------------------


def forge(scene: Scene) -> None:
    last = scene.reports[-1]
    scene.reports[-1] = last[:-1] + bytes([last[-1] ^ 1])


@pytest.mark.parametrize("name", ["op1", "p2"])
def test_who_signed_a_bundle_answers_for_what_is_forged_in_it(name: str) -> None:
    """VN-10.1, VN-10.7."""
    scene = make_compliant_scene()
    forge(scene)
    keys = {**scene.council.operator_keys, **scene.council.party_keys}
    data = sign_export(scene.bundle(), keys[name]).to_bytes()
    result = verify_bundle(data, scene.trust_root, scene.judged_ms)
    assert (result.verdict, result.exporter) == (Verdict.VIOLATION, name)
    assert {p.culprit for p in result.problems if p.reason == "report-forged"} == {name}


def test_without_an_export_a_forged_report_is_nobodys() -> None:
    scene = make_compliant_scene()
    forge(scene)
    result = scene.judge()
    assert {p.culprit for p in result.problems if p.reason == "report-forged"} == {None}


def test_a_signed_bundle_is_judged_as_an_unsigned_one() -> None:
    scene = make_compliant_scene()
    signed = sign_export(scene.bundle(), scene.council.operator_keys["op1"])
    result = verify_bundle(signed.to_bytes(), scene.trust_root, scene.judged_ms)
    assert (result.verdict, result.claims) == (Verdict.COMPLIANT, scene.judge().claims)


def test_an_export_by_nobody_of_the_treaty_is_refused() -> None:
    scene = make_compliant_scene()
    stranger = generate_ed25519(scene.council.rng)
    with pytest.raises(ComplianceError, match="nobody of its treaty") as caught:
        verify_bundle(sign_export(scene.bundle(), stranger).to_bytes(), scene.trust_root, scene.judged_ms)
    assert caught.value.problems[0].reason == "other-exporter"


def test_an_export_of_another_bundle_is_refused() -> None:
    """Who signed one bundle does not answer for another."""
    scene = make_compliant_scene()
    export = sign_export(scene.bundle(), scene.council.operator_keys["op1"]).export
    forge(scene)
    with pytest.raises(EncodingError, match="damaged"):
        verify_bundle(replace(scene.bundle(), export=export).to_bytes(), scene.trust_root, scene.judged_ms)


def test_another_statement_is_no_export() -> None:
    scene = make_compliant_scene()
    other = sign(BundleExport(body_digest=bytes(32)), scene.council.operator_keys["op1"])
    for data in (b"", scene.reports[0], other):
        with pytest.raises(EncodingError):
            verify_bundle(replace(scene.bundle(), export=data).to_bytes(), scene.trust_root, scene.judged_ms)
