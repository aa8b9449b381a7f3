"""Holds docs/protocol.md and the code together: every rule has a number, an enforcing line and a test."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

import pytest

from vetonet.compliance.result import Claim

ROOT: Final = Path(__file__).resolve().parents[3]
PROTOCOL: Final = ROOT / "docs" / "protocol.md"

CITATION: Final = re.compile(r"\bVN-([\d.]*\d)")
RULE: Final = re.compile(r"^- \*\*VN-(\d+\.\d+)\*\*", re.MULTILINE)
SECTION: Final = re.compile(r"^## VN-(\d+) ", re.MULTILINE)
STEP: Final = re.compile(r"^  (\d+)\. ", re.MULTILINE)
CLAIM_STEP: Final = re.compile(r"^  (\d+)\. \*(\w+)\*:", re.MULTILINE)
OPENING: Final = re.compile(r"Steps? (\d+)(?: (?:to|and) (\d+))?: ")
STEP_CITATION: Final = re.compile(r"\bVN-(10\.\d+),? step (\d+)")
BARE_STEP: Final = re.compile(r"\bsteps? \d+")
COMPLIANCE: Final = ROOT / "src" / "vetonet" / "compliance"
DOCUMENTS: Final = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
    if path != PROTOCOL
)

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


def _read_steps() -> dict[int, str]:
    """Return the clause under which each step of verification stands."""
    section = _read_protocol().split("## VN-10 ")[1].split("## VN-11 ")[0]
    parts = re.split(r"^- \*\*VN-(10\.\d+)\*\*", section, flags=re.MULTILINE)
    clauses = zip(parts[1::2], parts[2::2], strict=True)
    return {int(number): clause for clause, text in clauses for number in STEP.findall(text)}


def _list_openings() -> dict[str, range]:
    """Return which steps each docstring of compliance opens with, by the name of what it is about."""
    found: dict[str, range] = {}
    for path in sorted(COMPLIANCE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                opening = OPENING.match(ast.get_docstring(node) or "")
                if opening is not None:
                    first, last = int(opening[1]), int(opening[2] or opening[1])
                    found[path.stem if isinstance(node, ast.Module) else node.name] = range(first, last + 1)
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


def test_every_step_is_the_one_that_a_docstring_of_compliance_says() -> None:
    openings = _list_openings()
    assert {step for steps in openings.values() for step in steps} == set(_read_steps())
    claims = {name: int(number) for number, name in CLAIM_STEP.findall(_read_protocol())}
    assert list(claims) == [claim.value for claim in Claim]
    said = {name: openings.get(f"judge_{name}") for name in claims}
    assert said == {name: range(number, number + 1) for name, number in claims.items()}


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_every_cited_step_stands_under_its_clause(folder: str) -> None:
    steps = _read_steps()
    wrong = [
        f"{path.name}: VN-{clause} step {number}"
        for path in _iter_sources(folder)
        for clause, number in STEP_CITATION.findall(path.read_text(encoding="utf-8"))
        if steps.get(int(number)) != clause
    ]
    assert not wrong


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_other_document_cites_a_step_by_its_number(document: str) -> None:
    assert not BARE_STEP.findall((ROOT / document).read_text(encoding="utf-8"))


def test_a_step_that_is_cited_by_its_number_is_found() -> None:
    assert BARE_STEP.findall("VIOLATION (step 11), and steps 7 to 9") == ["step 11", "steps 7"]


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


def test_every_step_begins_in_the_document_with_the_words_of_the_code() -> None:
    section = " ".join(_read_protocol().split("## VN-10 ")[1].split("## VN-11 ")[0].split())
    for path in sorted(COMPLIANCE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (words := ast.get_docstring(node)):
                opening = re.match(r"Step (\d+): ([^.]+)\.", " ".join(words.split()))
                if opening is not None:
                    name = f"*{node.name.removeprefix('judge_')}*: " if node.name.startswith("judge_") else ""
                    assert f" {opening[1]}. {name}{opening[2]}" in section, node.name


def test_every_claim_is_told_with_its_reasons_in_their_order() -> None:
    reasons = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8").split("\n## Of an appraisal")[0]
    listed = {
        part.split("\n")[0].lower(): re.findall(r"^\| `([a-z-]+)` \|", part, re.MULTILINE)
        for part in reasons.split("\n### ")[1:]
    }
    section = " ".join(_read_protocol().split("## VN-10 ")[1].split("## VN-11 ")[0].split())
    for name, codes in listed.items():
        assert f"Reasons: {', '.join(f'`{code}`' for code in codes)}" in section, name
