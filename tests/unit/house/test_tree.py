"""The tree keeps its promises: docstrings, one version, nothing of one machine in a tracked file."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import vetonet

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "vetonet"
PACKAGES = (
    "attestation",
    "attester",
    "cli",
    "compliance",
    "confidential",
    "crypto",
    "encoding",
    "party",
    "policy",
    "service",
    "sim",
    "storage",
    "tlog",
    "v1",
    "voting",
    "web",
    "wire",
)
# Patterns that do not match their own spelling.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users|opt)/\w")
REGISTRY = re.compile(r"py[p]i\.org|python[h]osted\.|npm[j]s\.|deb[i]an\.org")


def list_tracked() -> list[Path]:
    """Every file that git tracks and that is still there."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git is found on the path, as everybody's is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in list_tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        lines = enumerate(text.splitlines(), start=1)
        found += [f"{path.relative_to(ROOT)}:{number}" for number, line in lines if pattern.search(line)]
    return found


def test_every_package_of_the_architecture_is_there_and_no_other() -> None:
    assert sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")) == list(PACKAGES)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_package_says_in_a_docstring_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path.relative_to(ROOT)} has no docstring"
    assert docstring.splitlines()[0].endswith(".")


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_installed_version_is_the_one_in_the_source() -> None:
    assert metadata.version("vetonet") == vetonet.__version__


def test_changelog_opens_with_this_version_or_with_what_is_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[?([\w.]+)", changelog, flags=re.MULTILINE)
    assert headings[0] in {vetonet.__version__, "Unreleased"}


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    assert find_lines(MACHINE_PATH) == []


def test_no_tracked_file_names_a_package_registry() -> None:
    assert find_lines(REGISTRY) == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"])
def test_no_source_file_is_left_unfinished(word: str) -> None:
    unfinished = [
        path for path in SOURCE.rglob("*.py") if path.parent.name != "v1" and word in path.read_text("utf-8")
    ]
    assert unfinished == []


@pytest.mark.parametrize("name", ["run", "install", "install-interop", "lock"])
def test_script_is_executable(name: str) -> None:
    assert (ROOT / ".ci" / name).stat().st_mode & stat.S_IXUSR


def test_tests_have_unique_names_and_no_packages() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
    assert list((ROOT / "tests").rglob("__init__.py")) == []
