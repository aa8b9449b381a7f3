from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.command_line import call
from vetonet.attestation.report import ComputeReport
from vetonet.cli.demo.chip_evidence import spell_appraisal
from vetonet.cli.demo.command import Performance, perform
from vetonet.cli.exits import Failure
from vetonet.compliance.bundle import Bundle, compute_place
from vetonet.crypto.statement import read_unverified
from vetonet.policy.totals import Totals
from vetonet.sim.mlperf import MlperfWorkload, derive_workload
from vetonet.sim.recorded_run import PARAMETERS, build_run, build_system
from vetonet.sim.recorded_serving import build_minutes
from vetonet.units import Precision, WorkloadClass

README = Path(__file__).parents[2] / "README.md"


def build_small_workload() -> MlperfWorkload:
    """One of the 64 nodes with a 64th of each batch: the same rate per chip, for eight chips."""
    run, system = build_run(), build_system()
    steps = tuple(replace(step, samples=step.samples // 64) for step in run.steps)
    small = replace(run, global_batch_size=18, samples=run.samples // 64, steps=steps)
    return derive_workload(small, replace(system, nodes=1), parameters=PARAMETERS, precision=Precision.FP8)


CANARY = "kolibri-4711-in-the-mine"


@pytest.fixture(scope="module")
def played() -> Performance:
    return asyncio.run(perform(7, build_small_workload(), canary=CANARY))


@pytest.fixture(scope="module")
def in_clear() -> Performance:
    return asyncio.run(perform(7, build_small_workload(), totals=Totals.OPEN, canary=CANARY))


@pytest.fixture(scope="module")
def files(played: Performance, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("demo")
    bundle, trust_root = folder / "bundle.vetonet", folder / "trust-root.json"
    bundle.write_bytes(played.bundle)
    trust_root.write_text(played.trust_root.to_text())
    return bundle, trust_root


def vetonet(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vetonet.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_scene_goes_as_expected(played: Performance) -> None:
    outcomes = {scene.name: (scene.expected, scene.outcome) for scene in played.scenes}
    assert list(outcomes) == [
        "found",
        "benchmark-405b",
        "withdrawn-consent",
        "llama-3.1-405b",
        "serving",
        "withheld-reports",
        "forged-report",
        "false-proof",
        "dropped-veto",
        "rewritten-log",
    ]
    assert all(expected == outcome for expected, outcome in outcomes.values()), outcomes
    assert played.is_as_expected


def test_every_scene_goes_as_expected_with_counts_in_clear(in_clear: Performance) -> None:
    outcomes = {scene.name: (scene.expected, scene.outcome) for scene in in_clear.scenes}
    assert "false-proof" not in outcomes
    assert all(expected == outcome for expected, outcome in outcomes.values()), outcomes
    assert in_clear.is_as_expected
    assert not in_clear.result.totals


def test_hidden_totals_are_proven_and_nowhere_said(played: Performance) -> None:
    assert [total.operator_id for total in played.result.totals] == ["meridian"] * 4
    assert all(not total.missing for total in played.result.totals)
    assert all(use.used_flop is None for use in played.result.licences)
    reports = Bundle.from_bytes(played.bundle).reports
    assert all(read_unverified(data, ComputeReport).is_confidential for data in reports)


def test_one_unit_over_the_licence_is_refused_and_a_false_proof_names_its_operator(
    played: Performance,
) -> None:
    (scene,) = [scene for scene in played.scenes if scene.name == "false-proof"]
    assert scene.outcome.startswith("REFUSED, VIOLATION: ")
    assert "proof-invalid" in scene.outcome
    assert "under meridian's own signature" in scene.detail


@pytest.mark.parametrize("mode", ["played", "in_clear"])
def test_what_the_operator_keeps_is_exported_as_the_demos_own_bundle(
    mode: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    performance: Performance = request.getfixturevalue(mode)
    operator = performance.kept.write(tmp_path)
    ended = call("export", operator, "--out", tmp_path / "again", "--json")
    assert (ended.code, ended.value["verdict"]) == (0, "COMPLIANT")
    assert (tmp_path / "again").read_bytes() == performance.bundle
    assert performance.kept.write(tmp_path) == operator, "a second demonstration replaces the first one's"


def test_the_operators_folder_does_not_replace_anybody_elses(played: Performance, tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "mine").touch()
    with pytest.raises(Failure, match="in use"):
        played.kept.write(tmp_path)
    assert [path.name for path in (tmp_path / "operator").iterdir()] == ["mine"]


@pytest.mark.parametrize("mode", ["played", "in_clear"])
def test_the_canary_is_in_every_private_field_and_nowhere_else(
    mode: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    performance: Performance = request.getfixturevalue(mode)
    for specification in performance.kept.specifications:
        assert all(CANARY.encode() in field.value for field in specification.fields)
        assert {field.name for field in specification.fields} >= {"data", "hyper-parameters", "model"}
    operator = performance.kept.write(tmp_path)
    kept = [path for path in operator.rglob("*") if path.is_file()]
    holding = [path for path in kept if CANARY.encode() in path.read_bytes()]
    places = {path.relative_to(operator).parts[0] for path in holding}
    assert places == {"private-notes.txt", "specifications"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)
    shown = [performance.bundle, *performance.chip_files.values(), repr(performance).encode()]
    told = [f"{scene.outcome} {scene.detail}".encode() for scene in performance.scenes]
    assert not [part for part in (*shown, *told) if CANARY.encode() in part]


def test_the_readme_tells_of_every_scene_in_order(played: Performance) -> None:
    shown = README.read_text(encoding="utf-8").split("<!-- demo:start -->")[1].split("<!-- demo:end -->")[0]
    lines = [line.split(":")[0] for line in shown.splitlines()]
    names = [scene.name for scene in played.scenes]
    assert [line for line in lines if line in names] == names
    rows = " ".join(shown.split())
    assert all(scene.outcome.split(",")[0] in rows for scene in played.scenes)


def test_every_chip_stops_within_one_lease_of_a_withdrawal_and_goes_on_with_the_next(
    played: Performance,
) -> None:
    (scene,) = [scene for scene in played.scenes if scene.name == "withdrawn-consent"]
    assert "all 8 chips: lease-ended, lease-lapsed" in scene.detail
    assert scene.detail.endswith("8 went on")


def test_what_was_served_under_a_licence_stands_in_the_reports_to_the_token(in_clear: Performance) -> None:
    minutes, newest = build_minutes(), dict[bytes, ComputeReport]()
    for data in Bundle.from_bytes(in_clear.bundle).reports:
        claims = read_unverified(data, ComputeReport)
        if claims.licence_id is not None and claims.workload is WorkloadClass.INFERENCE:
            known = newest.setdefault(claims.ueid, claims)
            newest[claims.ueid] = max(known, claims, key=lambda report: report.counter)
    assert sum(claims.counters.tokens for claims in newest.values()) == sum(
        minute.generated for minute in minutes[:45]
    )


def test_serving_stops_within_one_lease_of_a_withdrawal_and_loses_nothing(played: Performance) -> None:
    (scene,) = [scene for scene in played.scenes if scene.name == "serving"]
    assert "30 min after alder withdrew, all 8 chips: lease-ended, lease-lapsed" in scene.detail
    assert played.result.verdict == "COMPLIANT"


def test_a_staged_fork_is_said_to_be_staged_and_raises_no_alarm(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(perform(7, build_small_workload()))
    staged = [line for line in capsys.readouterr().err.splitlines() if "two histories" in line]
    assert staged == ["    staged: the log signs two histories; 7 of 7 witnesses refuse the second"]
    assert [record.getMessage() for record in caplog.records if "two histories" in record.getMessage()] == []


def test_the_same_seed_gives_the_same_log_root_and_another_seed_another(played: Performance) -> None:
    workload = build_small_workload()
    again = asyncio.run(perform(7, workload, canary=CANARY))
    other = asyncio.run(perform(8, workload, canary=CANARY))
    assert again.result.root_hash == played.result.root_hash
    assert again.bundle == played.bundle
    assert other.result.root_hash != played.result.root_hash


def test_a_scene_that_went_wrong_is_not_called_a_success(played: Performance) -> None:
    broken = replace(played.scenes[0], outcome="NOT FOUNDED")
    assert not replace(played, scenes=(broken, *played.scenes[1:])).is_as_expected


def test_verify_exits_0_on_the_demos_bundle(files: tuple[Path, Path]) -> None:
    bundle, trust_root = files
    result = vetonet("verify", bundle, "--trust-root", trust_root, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["verdict"] == "COMPLIANT"


def test_one_chip_of_the_demo_is_affirmed_from_the_files_it_leaves(
    played: Performance, tmp_path: Path
) -> None:
    for name, content in played.chip_files.items():
        (tmp_path / name).write_bytes(content)
    line = spell_appraisal(tmp_path, played.chip_files)
    result = vetonet(*line.split()[1:], "--json")
    assert result.returncode == 0, result.stdout
    assert json.loads(result.stdout)["status"] == "affirming"
    assert vetonet(*line.split()[1:-1], "00" * 32).returncode == 1


def test_verify_exits_1_on_a_forged_report(files: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = Bundle.from_bytes(files[0].read_bytes())
    forged = bytearray(bundle.reports[5])
    forged[-1] ^= 1
    reports = tuple(sorted({*bundle.reports[:5], *bundle.reports[6:], bytes(forged)}, key=compute_place))
    path = tmp_path / "forged"
    path.write_bytes(replace(bundle, reports=reports, export=None).to_bytes())
    result = vetonet("verify", path, "--trust-root", files[1])
    assert result.returncode == 1
    assert "report-forged" in result.stdout


def test_verify_exits_3_when_reports_are_withheld(files: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = Bundle.from_bytes(files[0].read_bytes())
    path = tmp_path / "withheld"
    path.write_bytes(replace(bundle, reports=bundle.reports[1:], export=None).to_bytes())
    result = vetonet("verify", path, "--trust-root", files[1])
    assert result.returncode == 3
    assert "report-withheld" in result.stdout


def test_verify_exits_4_when_parts_are_changed_under_the_operators_signature(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = Bundle.from_bytes(files[0].read_bytes())
    path = tmp_path / "withheld"
    path.write_bytes(replace(bundle, reports=bundle.reports[1:]).to_bytes())
    result = vetonet("verify", path, "--trust-root", files[1])
    assert result.returncode == 4
    assert "what its exporter signed is another one" in result.stderr


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_verify_exits_4_on_what_is_no_bundle(files: tuple[Path, Path], tmp_path: Path, damage: str) -> None:
    data = files[0].read_bytes()
    flipped = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    content = {"cut": data[:-1], "flip": flipped, "empty": b"", "text": b"hello"}[damage]
    path = tmp_path / "damaged"
    path.write_bytes(content)
    result = vetonet("verify", path, "--trust-root", files[1])
    assert result.returncode == 4
    assert len(result.stderr.strip().splitlines()) == 1


def test_verify_exits_4_on_a_bundle_of_another_treaty(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "root.json"
    fields = json.loads(files[1].read_text())
    other.write_text(json.dumps(fields | {"treaty_sha256": "00" * 32}))
    result = vetonet("verify", files[0], "--trust-root", other)
    assert result.returncode == 4


def test_verify_exits_2_without_a_trust_root(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert vetonet("verify", files[0]).returncode == 2
    assert vetonet("verify", files[0], "--trust-root", tmp_path / "missing").returncode == 2


def test_nothing_private_is_in_the_bundle(played: Performance) -> None:
    """What the operator runs is committed to by a digest, and secrets stay with their owners."""
    assert b"llama" not in played.bundle.lower()
    assert b"PRIVATE KEY" not in played.bundle
