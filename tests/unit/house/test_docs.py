"""Holds what the documents say of the repository to what is there: links, paths, commands, tests, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from vetonet.cli.main import ENTRIES, cli

ROOT: Final = Path(__file__).resolve().parents[3]
DOCUMENTS: Final = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for path in (
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "simulations").rglob("*.md"),
        )
    )
)
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK: Final = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND: Final = re.compile(
    r"^\s*(?:\$ )?(?:\.venv/bin/)?vetonet ([a-z][a-z-]*)(?: ([a-z][a-z-]*)\b)?", re.MULTILINE
)
MAKE: Final = re.compile(r"\bmake ([a-z][a-z-]*)\b")
PACKAGES: Final = sorted(path.parent.name for path in (ROOT / "src" / "vetonet").glob("*/__init__.py"))
MODULE: Final = re.compile(rf"`(?:src/)?(?:vetonet[./])?((?:{'|'.join(PACKAGES)})(?:[./]\w+)+)`")
TEST: Final = re.compile(r"`(test_[a-z0-9_]+)`")
PATH: Final = re.compile(r"`((?:src|tests|docs|proto|benchmarks|simulations|requirements|\.ci)/[\w./-]*)`")

WORDED_PACKAGES: Final = (
    "policy",
    "voting",
    "attestation",
    "attester",
    "compliance",
    "confidential",
)


def _read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def _to_anchor(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def _list_missing_targets(document: Path) -> Iterator[str]:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue  # another site's
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists() or (anchor and anchor not in _list_anchors(path)):
            yield target


def _list_anchors(document: Path) -> frozenset[str]:
    return frozenset(_to_anchor(heading) for heading in HEADING.findall(document.read_text(encoding="utf-8")))


def _list_test_names() -> frozenset[str]:
    names = set[str]()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names.add(path.stem)
        names |= {
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return frozenset(names)


def _list_public_classes(package: str) -> frozenset[str]:
    return frozenset(
        node.name
        for path in (ROOT / "src" / "vetonet" / package).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def _has_module(name: str) -> bool:
    """Whether a dotted name below vetonet is a package, a module, or something that is defined in one."""
    parts = name.replace("/", ".").removesuffix(".py").split(".")
    path = ROOT / "src" / "vetonet"
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    module = path / f"{parts[0]}.py" if parts else path / "__init__.py"
    if not parts or (module.is_file() and len(parts) == 1):
        return True
    source, wanted = (module, parts[1]) if module.is_file() else (path / "__init__.py", parts[0])
    return re.search(rf"\b{wanted}\b", source.read_text(encoding="utf-8")) is not None


def _is_command(name: str, second: str) -> bool:
    if name not in ENTRIES:
        return False
    command = cli.get_command(click.Context(cli), name)
    return not isinstance(command, click.Group) or second in command.commands


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    assert not list(_list_missing_targets(ROOT / document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document: str) -> None:
    missing = [path for path in PATH.findall(_read(document)) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_in_a_document_exists(document: str) -> None:
    missing = [name for name in MODULE.findall(_read(document)) if not _has_module(name)]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_code_block_exists(document: str) -> None:
    blocks = "\n".join(BLOCK.findall(_read(document)))
    unknown = [words for words in COMMAND.findall(blocks) if not _is_command(*words)]
    assert not unknown


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_in_a_document_exists(document: str) -> None:
    blocks = "\n".join([*BLOCK.findall(_read(document)), *re.findall(r"`([^`\n]+)`", _read(document))])
    targets = set(re.findall(r"^([a-z-]+):", _read("Makefile"), re.MULTILINE))
    unknown = [name for name in MAKE.findall(blocks) if name not in targets]
    assert not unknown


def test_every_test_that_a_document_names_exists() -> None:
    known = _list_test_names()
    missing = {
        document: sorted(names)
        for document in DOCUMENTS
        if (names := {name for name in TEST.findall(_read(document)) if name not in known})
    }
    assert not missing


@pytest.mark.parametrize("package", WORDED_PACKAGES)
def test_every_public_class_of_the_core_is_in_the_glossary(package: str) -> None:
    words = set(re.findall(r"`(\w+)`", _read("docs/glossary.md")))
    missing = sorted(_list_public_classes(package) - words)
    assert not missing, f"classes without a word in docs/glossary.md: {missing}"


def test_every_decision_record_is_listed_and_numbered_in_order() -> None:
    records = sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    index = _read("docs/adr/README.md")
    assert re.findall(r"^\| \[\d+\]\(([^)]+)\)", index, re.MULTILINE) == records
    for name in records:
        first = _read(f"docs/adr/{name}").splitlines()[0]
        assert first.startswith(f"# {name[:4]} ")
        assert f"[{name[:4]}]({name}) | {first[7:]} |" in index


def test_every_document_is_in_the_index() -> None:
    index = _read("docs/README.md")
    documents = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert [name for name in documents if f"({name})" not in index] == []


def test_nobody_is_told_to_install_a_package_of_this_name_from_an_index() -> None:
    """The project is on none, so an index may have anybody's under its name."""
    told = re.compile(r"""pip install ['"]?vetonet|install vetonet\[""")
    texts = (*DOCUMENTS, *(path.relative_to(ROOT).as_posix() for path in _list_told()))
    assert [name for name in texts if told.search(_read(name))] == []


def _list_told() -> Iterator[Path]:
    yield from (ROOT / "requirements").glob("*.md")
    yield from (ROOT / "src").rglob("*.py")
    yield from (path for path in (ROOT / ".ci").iterdir() if path.is_file())


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    links = "[x](b.md) [y](#two) [z](#one) [w](https://example.org/)"
    document.write_text(f"# One\n\n{links}\n", encoding="utf-8")
    assert list(_list_missing_targets(document)) == ["b.md", "#two"]
