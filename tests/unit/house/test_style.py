"""The rules of style that no linter knows: short functions, words that say something, frozen values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "vetonet"
MOST_LINES = 50
HOLLOW = re.compile(r"(?:^|_)(?:check|process|handle|do|utils?|helpers?|common|manager)(?:_|$)")
CORE = (
    "attestation",
    "attester",
    "compliance",
    "confidential",
    "crypto",
    "encoding",
    "policy",
    "tlog",
    "voting",
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def iter_definitions() -> Iterator[tuple[Path, Definition]]:
    """Yield every function and class that somebody wrote."""
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent.name != "v1":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, Definition):
                    yield path.relative_to(SOURCE), node


def read_dataclass_options(node: Definition) -> dict[str, object] | None:
    """Return the keywords of a class's ``dataclass`` decorator, or None where it has none."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Name) and called.id == "dataclass":
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {str(word.arg): ast.literal_eval(word.value) for word in keywords}
    return None


def test_no_function_is_longer_than_fifty_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in iter_definitions()
        if not isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES
    ]
    assert long == []


def test_no_module_function_or_class_has_a_name_that_says_nothing() -> None:
    words = [
        (str(path), re.sub(r"(?<=[a-z])(?=[A-Z])", "_", n.name).lower()) for path, n in iter_definitions()
    ]
    modules = [(str(path.relative_to(SOURCE)), path.stem) for path in SOURCE.rglob("*.py")]
    assert [pair for pair in words + modules if HOLLOW.search(pair[1])] == []


def test_every_value_of_the_core_is_frozen_and_has_slots() -> None:
    loose = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in iter_definitions()
        if path.parts[0] in CORE
        and (options := read_dataclass_options(node)) is not None
        and not (options.get("frozen") and options.get("slots"))
    ]
    assert loose == []
