"""The requirement files pin every package by hash and say nothing of where it comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
ENTRY = re.compile(r"(?P<pin>[a-z0-9.-]+==[^ ;]+)(?: ; (?P<marker>.+))?")
DIGEST = re.compile(r"    --hash=sha256:[0-9a-f]{64}")


def read_entries(path: Path) -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each pinned package with its digest lines."""
    text = path.read_text(encoding="utf-8").replace(" \\\n", "\0\n")
    for block in re.split(r"(?<!\0)\n", text.rstrip("\n")):
        head, *digests = block.split("\0\n")
        match = ENTRY.fullmatch(head)
        assert match is not None, f"{path.name}: {head!r} is not a pinned package"
        yield Requirement(head), digests


def read_pins(name: str) -> dict[str, Requirement]:
    entries = read_entries(ROOT / "requirements" / name)
    return {canonicalize_name(requirement.name): requirement for requirement, _ in entries}


def read_project() -> dict[str, list[str]]:
    """The declared requirements of each requirement file."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime, groups = document["project"]["dependencies"], document["dependency-groups"]
    dev = [line for line in groups["dev"] if isinstance(line, str)]
    return {
        "core.txt": runtime + groups["build"],
        "dev.txt": runtime + groups["build"] + dev,
        "fuzz.txt": runtime + groups["build"] + [line for line in groups["fuzz"] if isinstance(line, str)],
        "interop.txt": groups["interop"],
        "tpm-build.txt": groups["tpm-build"],
        "tpm.txt": groups["tpm"],
    }


def is_wanted(requirement: Requirement, python: str, platform: str, machine: str) -> bool:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": platform,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


def test_the_files_are_there() -> None:
    assert [path.name for path in FILES] == sorted(read_project())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_is_pinned_with_well_formed_digests(path: Path) -> None:
    for requirement, digests in read_entries(path):
        assert digests, f"{requirement} has no digest"
        assert all(DIGEST.fullmatch(digest) for digest in digests), f"{requirement} has a malformed digest"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_index_address_and_no_option_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_package_is_pinned_twice(path: Path) -> None:
    names = [canonicalize_name(requirement.name) for requirement, _ in read_entries(path)]
    assert len(names) == len(set(names))


def test_core_is_a_part_of_dev() -> None:
    assert set((ROOT / "requirements/core.txt").read_text(encoding="utf-8").splitlines()) <= set(
        (ROOT / "requirements/dev.txt").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.parametrize("name", sorted(read_project()))
def test_pins_satisfy_what_the_project_declares(name: str) -> None:
    pins = read_pins(name)
    for line in read_project()[name]:
        declared = Requirement(line)
        pinned = pins[canonicalize_name(declared.name)]
        version = str(pinned.specifier).removeprefix("==")
        assert declared.specifier.contains(version), f"{pinned} does not satisfy {declared}: run `make lock`"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), PLATFORMS)
def test_everything_needed_to_run_is_wanted_everywhere(python: str, platform: str, machine: str) -> None:
    pins = read_pins("core.txt")
    for line in read_project()["core.txt"]:
        pinned = pins[canonicalize_name(Requirement(line).name)]
        assert is_wanted(pinned, python, platform, machine), f"{pinned} is not wanted there"
