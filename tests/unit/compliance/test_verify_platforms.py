from __future__ import annotations

from dataclasses import replace

from support.bundles import make_compliant_scene, make_scene
from support.world import make_council
from vetonet.attestation.platform import TPM2
from vetonet.compliance.result import ComplianceResult, Verdict


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def test_chips_of_a_treaty_that_demands_tpms_prove_nothing_without_their_word() -> None:
    """VN-17.1: nobody says that they are bad, and nobody that they are good."""
    (endorser,) = make_council(3, 2).treaty.statement.endorsers
    strict = make_council(3, 2, endorsers=(replace(endorser, attester_kind=TPM2),))
    result = make_compliant_scene(council=strict).judge()
    assert (result.verdict, reasons(result)) == (Verdict.INCONCLUSIVE, {"platform-missing"})


def test_chips_with_software_keys_that_pose_as_others_are_a_violation() -> None:
    """VN-17.1."""
    scene = make_scene()
    scene.run(lambda claims: replace(claims, platform=b"quote"))
    result = scene.judge()
    assert (result.verdict, reasons(result)) == (Verdict.VIOLATION, {"platform-unexpected"})
