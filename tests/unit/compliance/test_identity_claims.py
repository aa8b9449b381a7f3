"""Bundles with revoked and cloned chips, stale lists and makers that equivocate (VN-17.2 to VN-17.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.bundles import Chip, Scene, enrol, make_scene
from support.firmware import sign_reference
from support.revocations import ISSUED_MS, make_list, sign_list
from vetonet.attestation.conflict import Conflict, ConflictKind
from vetonet.attestation.report import NO_DIGEST, compute_report_digest
from vetonet.compliance.result import Verdict
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.statement import sign
from vetonet.tlog.log import Log

HOUR = 3_600_000
FAR_MS = ISSUED_MS + 10**12


def judge(scene: Scene) -> tuple[Verdict, set[str]]:
    result = scene.judge()
    return result.verdict, {problem.reason for claim in result.claims for problem in claim.problems}


def culprits(scene: Scene, reason: str) -> set[str | None]:
    found = [problem for claim in scene.judge().claims for problem in claim.problems]
    return {problem.culprit for problem in found if problem.reason == reason}


def replace_list(scene: Scene, *lists: bytes) -> None:
    """Put these in the place of the maker's list, before anybody reports."""
    leaves = [scene.log.leaf(index) for index in range(scene.log.tree_size)]
    scene.log = Log(scene.log.origin, [*leaves[:2], *lists, *leaves[3:]])


def fork(scene: Scene) -> Conflict:
    """Two reports of the first chip with one counter, one of them in the bundle."""
    chip, data = scene.chips[0], scene.reports[0]
    window = scene.windows[0]
    other = sign(scene.make_report(chip, 1, window, NO_DIGEST, energy_j=2_000_000), chip.alias_key)
    first, second = sorted((data, other))
    enrolment, alias = scene.log.leaf(3), scene.log.leaf(4)
    return Conflict(
        kind=ConflictKind.TWO_REPORTS, first=first, second=second, aliases=(alias,), enrolment=enrolment
    )


def test_a_run_whose_maker_shows_a_current_list_is_compliant() -> None:
    scene = make_scene()
    scene.run()
    assert judge(scene) == (Verdict.COMPLIANT, set())


def test_work_after_the_revocation_is_held_against_the_owner() -> None:
    """VN-17.3: revoked."""
    scene = make_scene()
    scene.log.append(sign_list(scene.council.endorser_root, [scene.chips[0].ueid], number=2))
    scene.run()
    assert judge(scene) == (Verdict.VIOLATION, {"device-revoked"})
    assert culprits(scene, "device-revoked") == {"op1"}


def test_what_the_log_held_before_the_revocation_stands() -> None:
    """VN-17.3: what was done is done."""
    scene = make_scene()
    scene.run()
    scene.log.append(sign_list(scene.council.endorser_root, [scene.chips[0].ueid], number=2))
    assert judge(scene) == (Verdict.COMPLIANT, set())


def test_a_report_published_after_the_revocation_counts_for_nothing_and_accuses_nobody() -> None:
    """VN-17.3: whoever has the key could have made it since."""
    scene = make_scene(windows=1)
    scene.run(publish=False)
    scene.log.append(sign_list(scene.council.endorser_root, [scene.chips[0].ueid], number=2))
    scene.publish(scene.reports)
    assert judge(scene) == (Verdict.INCONCLUSIVE, {"device-undated"})


def test_a_maker_without_a_list_leaves_its_chips_in_doubt() -> None:
    """VN-17.3: missing list."""
    scene = make_scene()
    replace_list(scene, sign_reference(scene.council.endorser_root, model="Another Chip"))
    scene.run()
    assert judge(scene) == (Verdict.INCONCLUSIVE, {"revocation-missing"})
    assert culprits(scene, "revocation-missing") == {"maker"}


def test_a_list_that_another_signed_in_the_makers_name_is_none() -> None:
    """VN-17.3: forged list."""
    scene = make_scene()
    replace_list(scene, sign_list(scene.council.operator_keys["op1"]))
    scene.run()
    assert judge(scene) == (Verdict.INCONCLUSIVE, {"revocation-missing", "inconsistent-record"})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"expires_ms": ISSUED_MS + HOUR}, id="stale"),
        pytest.param(
            {"issued_ms": ISSUED_MS + 10**12, "expires_ms": ISSUED_MS + 10**12 + HOUR}, id="postdated"
        ),
    ],
)
def test_a_list_that_does_not_cover_the_reports_leaves_them_in_doubt(changes: dict[str, Any]) -> None:
    """VN-17.3: stale list."""
    scene = make_scene()
    replace_list(scene, sign_list(scene.council.endorser_root, **changes))
    scene.run()
    assert judge(scene) == (Verdict.INCONCLUSIVE, {"revocation-stale"})


def test_a_verdict_about_a_past_run_does_not_age_with_the_list() -> None:
    """VN-17.3"""
    scene = make_scene()
    scene.run()
    assert scene.judge(make_list().expires_ms + 10**12).verdict is Verdict.COMPLIANT


def test_a_list_with_a_gap_or_one_that_shrinks_takes_nothing_back() -> None:
    """VN-17.3"""
    scene = make_scene()
    root, ueid = scene.council.endorser_root, scene.chips[0].ueid
    scene.log.append(sign_list(root, [ueid], number=2))
    scene.log.append(sign_list(root, number=3))
    scene.log.append(sign_list(root, number=5))
    scene.run()
    assert judge(scene) == (Verdict.VIOLATION, {"device-revoked", "inconsistent-record"})


def test_a_cloned_chip_is_contraindicated_from_the_proof_on() -> None:
    """VN-17.4: cloned key."""
    scene = make_scene(windows=2)
    windows = scene.windows
    scene.windows = windows[:1]
    scene.run()
    conflict = fork(scene)
    scene.log.append(conflict.to_bytes())
    assert judge(scene)[1] <= {"interval-uncovered"}
    later = [
        sign(scene.make_report(chip, 2, windows[1], _digest_of(scene, chip)), chip.alias_key)
        for chip in scene.chips
    ]
    scene.reports += later
    scene.publish(later)
    verdict, found = judge(scene)
    assert (verdict, "device-cloned" in found) == (Verdict.VIOLATION, True)
    assert culprits(scene, "device-cloned") == {"op1"}


def _digest_of(scene: Scene, chip: Chip) -> bytes:
    return compute_report_digest(scene.reports[scene.chips.index(chip)])


def test_an_altered_conflict_in_a_log_convicts_nobody() -> None:
    """VN-17.4"""
    scene = make_scene()
    scene.run()
    data = fork(scene).to_bytes()
    scene.log.append(data[:-1] + bytes([data[-1] ^ 1]))
    assert judge(scene) == (Verdict.INCONCLUSIVE, {"inconsistent-record"})


def test_a_maker_that_enrols_one_serial_twice_is_named() -> None:
    """VN-17.4"""
    scene = make_scene()
    other = replace(scene.chips[0], device_key=generate_ecdsa(scene.council.rng))
    side = Log(scene.log.origin, [scene.log.leaf(0)])
    enrol(scene.council, other, side, serial=f"Test Chip-{scene.chips[0].ueid.hex()[2:14]}")
    first, second = sorted((scene.log.leaf(3), side.leaf(1)))
    scene.log.append(Conflict(kind=ConflictKind.TWO_KEYS, first=first, second=second).to_bytes())
    scene.run()
    assert judge(scene) == (Verdict.VIOLATION, {"maker-equivocated"})
    assert culprits(scene, "maker-equivocated") == {"maker"}
