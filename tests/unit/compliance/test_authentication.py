"""Reports that are authentic by the one after them, and those that speak for themselves (ADR 0032)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.bundles import Scene, make_scene
from vetonet.attestation.report import NO_DIGEST, ComputeReport, compute_report_digest
from vetonet.compliance.bundle import compute_place
from vetonet.compliance.evidence import authenticate
from vetonet.compliance.result import ComplianceResult, Verdict
from vetonet.crypto.cose import parse_sign1
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.statement import Claimed, Signed, sign
from vetonet.errors import Problem

COUNT = 5


def chain() -> Scene:
    scene = make_scene(chips=1, windows=COUNT)
    scene.run(publish=False)
    return scene


def read(reports: list[bytes]) -> list[Claimed[ComputeReport]]:
    return [Claimed.from_bytes(data, ComputeReport) for data in sorted(reports, key=compute_place)]


def open_all(scene: Scene, reports: list[bytes]) -> list[str]:
    """Return what becomes of each report: genuine, or the reason against it."""
    keys = {chip.alias_key.public_key.key_id: chip.alias_key.public_key for chip in scene.chips}
    opened = authenticate(read(reports), keys)
    return ["genuine" if isinstance(result, Signed) else result.reason for result in opened]


def claims_of(data: bytes) -> ComputeReport:
    return ComputeReport.from_bytes(parse_sign1(data).payload)


def with_bad_signature(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def reasons(result: ComplianceResult) -> set[str]:
    return {problem.reason for problem in result.problems}


def test_all_reports_of_a_whole_chain_are_genuine() -> None:
    scene = chain()
    assert open_all(scene, scene.reports) == ["genuine"] * COUNT


@pytest.mark.parametrize("index", range(COUNT))
def test_a_changed_signature_anywhere_is_forged_and_nothing_else_is(index: int) -> None:
    """VN-10.5 step 5: the link to it breaks, so it is verified by itself, and so is what it named."""
    scene = chain()
    scene.reports[index] = with_bad_signature(scene.reports[index])
    told = open_all(scene, scene.reports)
    assert told[index] == "report-forged"
    assert told.count("genuine") == COUNT - 1


@pytest.mark.parametrize("index", range(COUNT))
def test_what_stands_around_a_gap_is_verified_by_itself(index: int) -> None:
    scene = chain()
    del scene.reports[index]
    assert open_all(scene, scene.reports) == ["genuine"] * (COUNT - 1)
    if index > 0:
        scene.reports[index - 1] = with_bad_signature(scene.reports[index - 1])
        assert open_all(scene, scene.reports)[index - 1] == "report-forged"


def test_whoever_has_the_key_vouches_for_what_it_names() -> None:
    """The one case in which a bad signature passes: its key's holder says that these bytes are its own."""
    scene = chain()
    first = with_bad_signature(scene.reports[0])
    follower = replace(claims_of(scene.reports[1]), previous_digest=compute_report_digest(first))
    assert open_all(scene, [first, sign(follower, scene.chips[0].alias_key)]) == ["genuine"] * 2


def test_another_key_vouches_for_nothing() -> None:
    """A stranger's report that names a forged one does not make it genuine."""
    scene = chain()
    first = with_bad_signature(scene.reports[0])
    follower = replace(claims_of(scene.reports[1]), previous_digest=compute_report_digest(first))
    stranger = generate_ed25519(scene.council.rng)
    assert open_all(scene, [first, sign(follower, stranger)]) == ["report-forged", "signer-unknown"]


def test_the_key_of_another_boot_vouches_for_nothing() -> None:
    scene = chain()
    other = generate_ed25519(scene.council.rng)
    first = with_bad_signature(scene.reports[0])
    follower = replace(claims_of(scene.reports[1]), previous_digest=compute_report_digest(first))
    scene.chips = (*scene.chips, replace(scene.chips[0], alias_key=other))
    assert open_all(scene, [first, sign(follower, other)]) == ["report-forged", "genuine"]


def test_a_forged_report_vouches_for_nothing() -> None:
    scene = chain()
    first = with_bad_signature(scene.reports[0])
    follower = replace(claims_of(scene.reports[1]), previous_digest=compute_report_digest(first))
    last = with_bad_signature(sign(follower, scene.chips[0].alias_key))
    assert open_all(scene, [first, last]) == ["report-forged", "report-forged"]


def test_both_sides_of_a_fork_are_verified() -> None:
    """One report names one digest, so at most one of two with a counter is linked."""
    scene = chain()
    twin = sign(replace(claims_of(scene.reports[1]), out_of_set_bytes=1), scene.chips[0].alias_key)
    assert open_all(scene, [*scene.reports, twin]) == ["genuine"] * (COUNT + 1)
    assert "report-forged" in open_all(scene, [*scene.reports, with_bad_signature(twin)])


def test_a_report_by_another_chips_key_is_told_and_counts_for_nobody() -> None:
    """VN-9.3: who signed it answers for it."""
    scene = make_scene(chips=2, windows=1)
    scene.run(publish=False)
    victim, thief = scene.chips
    borrowed = scene.make_report(victim, 2, scene.windows[0], NO_DIGEST[:-1] + b"\x01")
    scene.publish(scene.reports)
    scene.reports.append(sign(borrowed, thief.alias_key))
    result = scene.judge()
    assert result.verdict is Verdict.VIOLATION
    assert "wrong-device" in reasons(result)
    assert [use.used_flop for use in result.licences] == [2 * scene.flop_per_window]


def test_a_problem_is_what_becomes_of_a_report_that_is_none_of_ours() -> None:
    scene = chain()
    (result,) = authenticate(read(scene.reports[:1]), {})
    assert isinstance(result, Problem)
    assert result.reason == "signer-unknown"
