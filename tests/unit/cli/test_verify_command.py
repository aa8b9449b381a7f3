from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from support.bundles import Scene, altered, make_compliant_scene, make_scene
from vetonet.cli import main
from vetonet.cli.exits import Exit
from vetonet.cli.output import COLUMNS
from vetonet.cli.verify import _print_result
from vetonet.compliance.verify import verify_bundle
from vetonet.units import format_time


def verify(tmp_path: Path, scene: Scene, *options: str, data: bytes | None = None) -> int:
    bundle, root = tmp_path / "run.bundle", tmp_path / "trust-root.json"
    bundle.write_bytes(scene.bundle().to_bytes() if data is None else data)
    root.write_text(scene.trust_root.to_text())
    at = format_time(scene.judged_ms)
    return main.run(("verify", str(bundle), "--trust-root", str(root), "--at", at, *options))


@pytest.fixture(scope="module")
def compliant() -> Scene:
    return make_compliant_scene()


def make_overspent_scene() -> Scene:
    scene = make_scene()
    scene.run(lambda report: altered(cumulative_flop=report.counters.flop * 2)(report))
    return scene


def make_withheld_scene() -> Scene:
    scene = make_compliant_scene()
    scene.reports.pop()
    return scene


def test_a_run_in_order_is_compliant(
    compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, compliant) == Exit.OK
    said = capsys.readouterr()
    assert said.out.startswith("COMPLIANT   Test Treaty, judged as of ")
    assert compliant.log.checkpoint().root_hash.hex() in said.out
    assert said.err == ""


def test_a_run_above_its_budget_is_a_violation_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, make_overspent_scene()) == Exit.NEGATIVE
    said = capsys.readouterr().out
    assert said.startswith("VIOLATION")
    assert "budget-exceeded" in said


def test_a_withheld_report_leaves_the_question_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, make_withheld_scene(), "--json") == Exit.INCONCLUSIVE
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "INCONCLUSIVE"
    reasons = {problem["reason"] for claim in result["claims"] for problem in claim["problems"]}
    assert "report-withheld" in reasons


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_bundle_is_not_valid(
    cut: int, compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = compliant.bundle().to_bytes()[:cut]
    assert verify(tmp_path, compliant, "--json", data=data) == Exit.INVALID
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "not a valid bundle" in json.loads(said.err)["error"]["message"]


def test_a_damaged_bundle_accuses_nobody(
    compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(compliant.bundle().to_bytes())
    data[-100] ^= 1
    assert verify(tmp_path, compliant, data=bytes(data)) == Exit.INVALID
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bundle_of_another_treaty_is_not_valid_here(
    compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.bundle").write_bytes(compliant.bundle().to_bytes())
    text = json.loads(compliant.trust_root.to_text()) | {"treaty_sha256": "11" * 32}
    (tmp_path / "root.json").write_text(json.dumps(text))
    arguments = ("verify", str(tmp_path / "run.bundle"), "--trust-root", str(tmp_path / "root.json"))
    assert main.run(arguments) == Exit.INVALID
    assert "under this trust root" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_bundle_that_cannot_be_read_is_one_line(
    name: str, compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root.json").write_text(compliant.trust_root.to_text())
    root = str(tmp_path / "root.json")
    assert main.run(("verify", str(tmp_path / name), "--trust-root", root)) == Exit.INVALID
    assert capsys.readouterr().err.count("\n") == 1


def test_a_huge_file_is_not_read(
    compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root.json").write_text(compliant.trust_root.to_text())
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    arguments = ("verify", str(tmp_path / "huge"), "--trust-root", str(tmp_path / "root.json"))
    assert main.run(arguments) == Exit.INVALID
    assert "at most" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"format": "other"}', "x" * 5000])
def test_a_trust_root_that_is_none_is_a_mistake_of_the_user(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle").write_bytes(b"")
    (tmp_path / "root.json").write_text(content)
    arguments = ("verify", str(tmp_path / "bundle"), "--trust-root", str(tmp_path / "root.json"))
    assert main.run(arguments) == Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_time_without_a_zone_is_a_mistake_of_the_user(
    compliant: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, compliant, "--at", "2027-01-15T08:00:00") == Exit.USAGE
    assert "with its zone" in capsys.readouterr().err


def test_prose_is_wrapped_and_a_public_key_is_no_signer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = make_withheld_scene()
    assert verify(tmp_path, scene) == Exit.INCONCLUSIVE
    told = capsys.readouterr().out.split("Whoever made this file", 1)[1]
    assert max(map(len, told.splitlines())) <= COLUMNS
    key = tmp_path / "verifier.pem"
    assert main.run(("ear", "key", "--out", str(key))) == Exit.OK
    capsys.readouterr()
    for mode in (0o644, 0o600):
        public = tmp_path / "verifier.pem.pub"
        public.chmod(mode)
        ear = ("--ear", str(tmp_path / "result.ear"), "--sign-key", str(public))
        assert verify(tmp_path, scene, *ear) == Exit.USAGE
        said = capsys.readouterr().err
        assert "expected a private key, got a public one" in said
        assert "chmod" not in said


def test_counts_have_their_thousands_apart(compliant: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    judged = compliant.bundle()
    result = verify_bundle([judged.to_bytes()], compliant.trust_root, compliant.judged_ms)
    _print_result(dataclasses.replace(result, report_count=14_336, tree_size=1109), compliant.trust_root)
    told = " ".join(capsys.readouterr().out.split())
    assert "14,336 reports; log of 1,109 leaves" in told
