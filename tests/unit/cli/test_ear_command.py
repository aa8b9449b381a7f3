"""``vetonet verify --ear`` and ``vetonet ear``: a verdict that travels under the verifier's signature."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from support.bundles import Scene, make_compliant_scene
from support.command_line import Ended, call
from vetonet.cli.exits import Exit
from vetonet.units import format_time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with its trust root, and a verifier's key."""
    root = tmp_path_factory.mktemp("verifier")
    scene = make_compliant_scene()
    (root / "run.bundle").write_bytes(scene.bundle().to_bytes())
    (root / "trust-root.json").write_text(scene.trust_root.to_text())
    (root / "at").write_text(format_time(scene.judged_ms))
    assert call("ear", "key", "--out", root / "verifier.pem").code == Exit.OK
    return root


def verify(folder: Path, *options: str | Path) -> Ended:
    at = (folder / "at").read_text()
    root = folder / "trust-root.json"
    return call("verify", folder / "run.bundle", "--trust-root", root, "--at", at, *options)


def test_a_result_is_left_signed_and_read_back(folder: Path) -> None:
    result = folder / "result.ear"
    judged = verify(folder, "--ear", result, "--sign-key", folder / "verifier.pem", "--json")
    assert judged.code == Exit.OK
    shown = call("ear", "show", result, "--key", folder / "verifier.pem.pub", "--json")
    assert shown.code == Exit.OK
    assert shown.value["verdict"] == "COMPLIANT"
    assert shown.value["result"] == judged.value
    told = call("ear", "show", result, "--key", folder / "verifier.pem.pub").out
    assert told.startswith("COMPLIANT   as verifier ")
    assert judged.value["bundle_sha256"] in told


def test_a_result_that_says_no_ends_with_one(folder: Path, tmp_path: Path) -> None:
    scene = make_withheld_scene()
    (tmp_path / "run.bundle").write_bytes(scene.bundle().to_bytes())
    for name in ("trust-root.json", "at"):
        (tmp_path / name).write_text((folder / name).read_text())
    key = folder / "verifier.pem"
    assert verify(tmp_path, "--ear", tmp_path / "r", "--sign-key", key).code == Exit.INCONCLUSIVE
    shown = call("ear", "show", tmp_path / "r", "--key", folder / "verifier.pem.pub")
    assert shown.code == Exit.INCONCLUSIVE
    assert "report-withheld" in shown.out


def make_withheld_scene() -> Scene:
    scene = make_compliant_scene()
    scene.reports.pop()
    return scene


def test_a_flipped_byte_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.ear"
    assert verify(folder, "--ear", result, "--sign-key", folder / "verifier.pem").code == Exit.OK
    data = bytearray(result.read_bytes())
    data[len(data) // 2] ^= 1
    result.write_bytes(bytes(data))
    ended = call("ear", "show", result, "--key", folder / "verifier.pem.pub")
    assert (ended.code, ended.out, ended.err.count("\n")) == (Exit.INVALID, "", 1)


def test_another_verifiers_key_reads_nothing(folder: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.ear"
    verify(folder, "--ear", result, "--sign-key", folder / "verifier.pem")
    call("ear", "key", "--out", tmp_path / "other.pem")
    ended = call("ear", "show", result, "--key", tmp_path / "other.pem.pub")
    assert ended.code == Exit.INVALID
    assert "another key" in ended.err


def test_the_verifiers_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "verifier.pem"
    made = call("ear", "key", "--out", path, "--json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.value["public_key"] == f"{path}.pub"
    assert call("ear", "key", "--out", path).code == Exit.USAGE


@pytest.mark.parametrize("options", [("--ear", "result"), ("--sign-key", "verifier.pem")])
def test_half_of_a_signed_result_is_refused_before_anything_is_judged(
    folder: Path, options: tuple[str, str]
) -> None:
    ended = verify(folder, *options)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert "--ear and --sign-key together" in ended.err


def test_a_key_that_others_may_read_signs_nothing(folder: Path, tmp_path: Path) -> None:
    loose = tmp_path / "verifier.pem"
    loose.write_bytes((folder / "verifier.pem").read_bytes())
    loose.chmod(0o644)
    ended = verify(folder, "--ear", tmp_path / "r", "--sign-key", loose)
    assert ended.code == Exit.USAGE
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "content", ["", "no key", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_public_key_is_refused_in_one_line(folder: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "key.pub").write_text(content)
    ended = call("ear", "show", folder / "run.bundle", "--key", tmp_path / "key.pub")
    assert ended.code == Exit.USAGE
    assert "public key in PEM" in ended.err
