"""Holds docs/protocol.md and the code together: every rule has a number, an enforcing line and a test."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
PROTOCOL: Final = ROOT / "docs" / "protocol.md"

CITATION: Final = re.compile(r"\bVN-([\d.]*\d)")
RULE: Final = re.compile(r"^- \*\*VN-(\d+\.\d+)\*\*", re.MULTILINE)
SECTION: Final = re.compile(r"^## VN-(\d+) ", re.MULTILINE)
STEP: Final = re.compile(r"^  (\d+)\. ", re.MULTILINE)

STATED_ONLY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1.1": "a principle; VN-2.2, VN-2.3 and VN-8.3 are what enforces it",
        "1.2": "a principle; every refusal is an instance of it",
    }
)
"""Clauses that no line can cite as its own rule, each with the reason."""
NOT_READ: Final = (ROOT / "src" / "vetonet" / "v1", Path(__file__).parent)
"""Generated code, and the checks of the house, which talk about clauses without testing them."""


def _read_protocol() -> str:
    return PROTOCOL.read_text(encoding="utf-8")


def _iter_sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            is_read = path.suffix in {".py", ".proto", ".cddl", ".md", ".txt"}
            if is_read and not any(path.is_relative_to(part) for part in NOT_READ):
                yield path


def _list_citations(*folders: str) -> dict[str, list[str]]:
    """Return the files that cite each clause or section number."""
    found: dict[str, list[str]] = {}
    for path in _iter_sources(*folders):
        for number in CITATION.findall(path.read_text(encoding="utf-8")):
            found.setdefault(number, []).append(path.relative_to(ROOT).as_posix())
    return found


def _load_diagrams() -> ModuleType:
    """Return the script .ci/diagrams.py, which is no package."""
    spec = importlib.util.spec_from_file_location("house_diagrams", ROOT / ".ci" / "diagrams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_clauses_are_numbered_in_order_within_their_sections() -> None:
    text = _read_protocol()
    sections = [int(number) for number in SECTION.findall(text)]
    assert sections == list(range(1, len(sections) + 1))
    expected: dict[int, int] = dict.fromkeys(sections, 0)
    for number in RULE.findall(text):
        section, clause = map(int, number.split("."))
        expected[section] += 1
        assert clause == expected[section], f"VN-{number} is out of order or repeated"


def test_steps_of_verification_are_numbered_without_a_gap() -> None:
    section = _read_protocol().split("## VN-10 ")[1].split("## VN-11 ")[0]
    steps = [int(number) for number in STEP.findall(section)]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("folder", ["src", "tests", "proto", "benchmarks", "simulations", "docs"])
def test_every_cited_clause_exists(folder: str) -> None:
    text = _read_protocol()
    known = {*RULE.findall(text), *SECTION.findall(text)}
    citations = _list_citations(folder)
    unknown = {f"VN-{number}": files for number, files in citations.items() if number not in known}
    assert not unknown, f"clauses that docs/protocol.md does not have: {unknown}"


def test_every_clause_is_cited_by_the_line_that_enforces_it() -> None:
    cited = _list_citations("src")
    missing = [f"VN-{rule}" for rule in RULE.findall(_read_protocol()) if rule not in {*cited, *STATED_ONLY}]
    assert not missing, f"clauses that no file below src/ cites: {missing}"


def test_every_clause_is_named_by_a_test() -> None:
    cited = _list_citations("tests")
    missing = [f"VN-{rule}" for rule in RULE.findall(_read_protocol()) if rule not in {*cited, *STATED_ONLY}]
    assert not missing, f"clauses that no test names: {missing}"


def test_a_clause_that_is_stated_only_is_one_that_exists() -> None:
    assert set(STATED_ONLY) <= set(RULE.findall(_read_protocol()))


def test_every_diagram_is_the_one_that_its_transition_table_draws() -> None:
    diagrams = _load_diagrams()
    text = _read_protocol()
    assert diagrams.insert_diagrams(text) == text, (
        "run `.venv/bin/python .ci/diagrams.py` and commit the result"
    )


def test_a_diagram_marker_that_is_missing_or_repeated_is_refused() -> None:
    diagrams = _load_diagrams()
    marker = "<!-- voting-diagram:start --><!-- voting-diagram:end -->"
    for text in ("", marker * 2, "<!-- voting-diagram:start -->"):
        with pytest.raises(ValueError, match="once each"):
            diagrams.insert_diagram(text, "voting", "stateDiagram-v2")


def test_an_edited_diagram_is_noticed() -> None:
    diagrams = _load_diagrams()
    edited = _read_protocol().replace("open --> vetoed", "open --> licensed", 1)
    assert diagrams.insert_diagrams(edited) != edited
