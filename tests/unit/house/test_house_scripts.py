"""The scripts behind make say what is wrong, and fail when something is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def load_script(name: str) -> ModuleType:
    """Import .ci/<name>.py, which is on no path."""
    spec = importlib.util.spec_from_file_location(f"house_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = load_script("generate")
checks = load_script("checks")


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    folder = tmp_path / "generated"
    folder.mkdir()
    (folder / "log_pb2.py").write_text("A = 1\n")
    (folder / "log_pb2.pyi").write_text("A: int\n")
    return folder


@pytest.fixture
def committed(tmp_path: Path, generated: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "committed"))


def test_equal_packages_have_no_differences(generated: Path, committed: Path) -> None:
    assert list(generate.list_differences(generated, committed)) == []


def test_edited_generated_file_is_seen(generated: Path, committed: Path) -> None:
    (committed / "log_pb2.py").write_text("A = 2\n")
    assert list(generate.list_differences(generated, committed)) == [
        "log_pb2.py: differs from what proto/ gives"
    ]


def test_missing_generated_file_is_seen(generated: Path, committed: Path) -> None:
    (committed / "log_pb2.pyi").unlink()
    assert list(generate.list_differences(generated, committed)) == ["log_pb2.pyi: missing"]


def test_superfluous_generated_file_is_seen(generated: Path, committed: Path) -> None:
    (committed / "old_pb2.py").touch()
    assert list(generate.list_differences(generated, committed)) == [
        "old_pb2.py: not generated from any .proto file"
    ]


def test_malformed_proto_file_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if generate.find_generator_version() is None:
        pytest.skip("grpcio-tools has no wheel for this Python")
    (tmp_path / "broken.proto").write_text("message {")
    monkeypatch.setattr(generate, "PROTO", tmp_path)
    with pytest.raises(generate.GenerationError, match=r"broken\.proto"):
        generate.generate(tmp_path)


def test_failing_check_is_named_with_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    command = (sys.executable, "-c", "print('line 7 is too long'); raise SystemExit(3)")
    assert not checks.run_quietly(checks.Check(name="lines", command=command))
    said = capsys.readouterr().out
    assert said.startswith("FAILED lines")
    assert "line 7 is too long" in said


def test_passing_check_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.run_quietly(checks.Check(name="lines", command=(sys.executable, "-c", "print('fine')")))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_one_failing_check_fails_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = checks.Check(name="good", command=(sys.executable, "-c", ""))
    bad = checks.Check(name="bad", command=(sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr(checks, "LINT", (good, bad))
    assert checks.main(["--lint-only"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "FAILED: bad"


def make_bare_machine(folder: Path, python: str) -> dict[str, str]:
    """Make a copy of the installer, and an environment whose only Python is this script."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("cat", "cmp", "dirname", "rm", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    (tools / "python3").write_text(python)
    (tools / "python3").chmod(0o755)
    (folder / ".ci").mkdir()
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / ".ci" / "install", folder / ".ci")
    (folder / "requirements" / "core.txt").touch()
    return {"PATH": str(tools), "LC_ALL": os.environ.get("LC_ALL", "C")}


def run_installer(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "bin" / "sh"), str(folder / ".ci" / "install"), "core"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["Python 2.7.18", "Python 3.10.13", "Python 3.15.0"])
def test_unsupported_python_is_refused_in_one_plain_line(tmp_path: Path, version: str) -> None:
    script = f'#!/bin/sh\n[ "$1" = -c ] && exit 1\necho "{version}"\n'
    finished = run_installer(tmp_path, make_bare_machine(tmp_path, script))
    assert finished.returncode == 1
    advice = "install one, or name it: make PYTHON=/path/to/python3.12"
    expected = f"vetonet: needs Python 3.11 to 3.14, and python3 is {version}; {advice}"
    assert finished.stderr.splitlines() == [expected]


def test_python_without_venv_is_refused_with_what_to_do(tmp_path: Path) -> None:
    script = '#!/bin/sh\n[ "$1" = -c ] && exit 0\n[ "$1" = -m ] && exit 1\necho "Python 3.12.1"\n'
    finished = run_installer(tmp_path, make_bare_machine(tmp_path, script))
    assert finished.returncode == 1
    assert "apt install python3-venv" in finished.stderr.splitlines()[-1]


def test_unknown_requirement_set_is_refused(tmp_path: Path) -> None:
    environment = make_bare_machine(tmp_path, "#!/bin/sh\n")
    (tmp_path / "requirements" / "core.txt").unlink()
    finished = run_installer(tmp_path, environment)
    assert finished.returncode == 1
    assert finished.stderr == "vetonet: there is no requirements/core.txt\n"
