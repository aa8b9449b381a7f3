"""Firmware over a whole log: what counted when a chip started decides, not what came later (VN-17.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from support.bundles import Scene, altered, make_scene
from support.firmware import FIRMWARE, PATCHED, UNKNOWN, make_firmware, sign_reference
from support.world import make_council
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.firmware import Firmware
from vetonet.attestation.reference_values import UpdatePurpose, open_reference_values
from vetonet.compliance.result import Claim, ComplianceResult, Verdict
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.statement import sign
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import derive_resolution
from vetonet.policy.quorum import Choice, Quorum

ALL = ("p1", "p2", "p3")
PATCH, GUARANTEE = ActionClass.SECURITY_PATCH, ActionClass.NEW_GUARANTEE
QUORUMS = {PATCH: Quorum.of_threshold(2, ALL), GUARANTEE: Quorum.of_threshold(3, ALL)}


def found() -> Scene:
    return make_scene(council=make_council(quorums=QUORUMS))


def publish(scene: Scene, firmware: Firmware = PATCHED, number: int = 2, **changes: object) -> bytes:
    """The maker publishes reference values; return them."""
    data = sign_reference(scene.council.endorser_root, firmware, number=number, **changes)
    scene.log.append(data)
    return data


def approve(scene: Scene, reference: bytes, action: ActionClass = PATCH, *, is_vetoed: bool = False) -> None:
    """The parties decide on reference values by a class of action, and the log holds it all."""
    council = scene.council
    root = council.endorser_root.public_key
    digest = open_reference_values(reference, {root.key_id: root}).payload_digest
    motion = council.move("p1", action, subject_digest=digest)
    place = scene.log.append(motion.data)
    granting = ALL[: council.treaty.statement.find_quorum(action).leaves[0].min_grants]
    choice = Choice.ABSTAIN if is_vetoed else Choice.GRANT
    ballots = [scene.log.append(council.sign_ballot(party, motion, choice).data) for party in granting]
    if not is_vetoed:
        resolution = derive_resolution(council.treaty, motion, place, ballots)
        scene.log.append(council.sign_by(resolution, granting, action))


def restart(scene: Scene, firmware: Firmware = PATCHED) -> None:
    """Every chip starts anew with this firmware, and says so to the log."""
    fresh = []
    for chip in scene.chips:
        alias_key = generate_ed25519(scene.council.rng)
        alias = AliasEndorsement(ueid=chip.ueid, alias=alias_key.public_key, boot_count=2, firmware=firmware)
        scene.log.append(sign(alias, chip.device_key))
        fresh.append(replace(chip, alias_key=alias_key))
    scene.chips = tuple(fresh)


def run(scene: Scene, firmware: Firmware = PATCHED) -> ComplianceResult:
    """The chips run and report in their second boot; return the verdict."""
    scene.run(altered(boot_count=2, firmware_digest=firmware.digest))
    return scene.judge()


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def verdict_on_firmware(result: ComplianceResult) -> Verdict:
    return next(claim.verdict for claim in result.claims if claim.claim is Claim.GENUINENESS)


@pytest.mark.parametrize("action", [PATCH, GUARANTEE])
def test_an_approved_update_runs_and_is_compliant(action: ActionClass) -> None:
    """VN-17.8."""
    scene = found()
    approve(scene, publish(scene, purpose=UpdatePurpose(action.value)), action)
    restart(scene)
    result = run(scene)
    assert (result.verdict, result.problems) == (Verdict.COMPLIANT, ())


def published_only(scene: Scene) -> None:
    publish(scene)


def moved_and_not_adopted(scene: Scene) -> None:
    approve(scene, publish(scene), is_vetoed=True)


def approved_as_the_wrong_class(scene: Scene) -> None:
    """A new guarantee passes as a security patch, which fewer parties can decide."""
    approve(scene, publish(scene, purpose=UpdatePurpose.NEW_GUARANTEE), PATCH)


def approved_before_it_was_logged(scene: Scene) -> None:
    data = sign_reference(scene.council.endorser_root, PATCHED, number=2)
    approve(scene, data)
    scene.log.append(data)


def another_one_approved(scene: Scene) -> None:
    publish(scene)
    approve(scene, publish(scene, make_firmware("1.2", svn=1), number=3))


# VN-17.8, attack: a back door that the chips' own maker signed.
@pytest.mark.parametrize(
    "happen",
    [
        published_only,
        moved_and_not_adopted,
        approved_as_the_wrong_class,
        approved_before_it_was_logged,
        another_one_approved,
    ],
)
def test_an_update_that_its_parties_did_not_approve_is_a_violation(happen: Callable[[Scene], None]) -> None:
    scene = found()
    happen(scene)
    restart(scene)
    result = run(scene)
    assert verdict_on_firmware(result) is Verdict.VIOLATION
    assert reasons(result) == {"component-mismatched"}


def test_an_approval_that_comes_after_the_start_does_not_heal_it() -> None:
    """VN-17.8: what counts is what counted when the log took the alias key."""
    scene = found()
    reference = publish(scene)
    restart(scene)
    approve(scene, reference)
    assert reasons(run(scene)) == {"component-mismatched"}


def test_old_firmware_after_a_patch_is_outdated() -> None:
    """VN-17.7, attack: old firmware."""
    scene = found()
    approve(scene, publish(scene))
    restart(scene, FIRMWARE)
    result = run(scene, FIRMWARE)
    assert result.verdict is not Verdict.COMPLIANT
    assert reasons(result) == {"component-outdated"}


def test_a_boot_from_before_a_patch_stays_what_it_was() -> None:
    """VN-17.7."""
    scene = found()
    approve(scene, publish(scene))
    scene.run()
    assert scene.judge().verdict is Verdict.COMPLIANT


def test_firmware_that_nobody_published_is_a_violation_and_its_alias_is_evidence() -> None:
    """VN-17.6: the log takes the endorsement, since it tells on the chip."""
    scene = found()
    restart(scene, UNKNOWN)
    result = run(scene, UNKNOWN)
    assert reasons(result) == {"component-mismatched"}
    assert verdict_on_firmware(result) is Verdict.VIOLATION


def test_a_report_of_other_firmware_than_its_boot_is_a_violation() -> None:
    """VN-17.5."""
    scene = found()
    restart(scene, FIRMWARE)
    assert reasons(run(scene, PATCHED)) == {"unknown-firmware"}


def test_reference_values_that_the_rules_do_not_let_in_make_the_record_inconsistent() -> None:
    """VN-17.6: number 3 without number 2."""
    scene = found()
    publish(scene, number=3)
    scene.run()
    assert reasons(scene.judge()) == {"inconsistent-record"}


def test_a_second_set_of_one_number_never_counts() -> None:
    """VN-17.6."""
    scene = found()
    publish(scene)
    approve(scene, publish(scene, UNKNOWN))
    restart(scene, UNKNOWN)
    assert reasons(run(scene, UNKNOWN)) == {"inconsistent-record", "component-mismatched"}
