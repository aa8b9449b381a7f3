"""``vetonet conformance``: judges this implementation by the published vectors of others.

A suite knows one vector format. To add one, write a function that turns a parsed document into cases beside
the code it judges, and give it a line in ``SUITES``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import click

from vetonet.attestation.spdm.vectors_spdm import iter_ecdsa_p384_cases, iter_spdm_cases
from vetonet.attestation.vectors_eat import PublishedFile, iter_eat_cases
from vetonet.crypto.frost import vectors as frost_vectors
from vetonet.crypto.merkle import vectors as merkle_vectors
from vetonet.crypto.vectors_cose import iter_sign1_cases
from vetonet.crypto.vectors_wycheproof import iter_ecdsa_p256_cases, iter_ed25519_cases, iter_mldsa44_cases
from vetonet.errors import ConfigError, StorageError, VetonetError
from vetonet.storage.file_tiles import FileTileStore
from vetonet.storage.tile_store import CHECKPOINT
from vetonet.tlog.vectors_checkpoint import iter_checkpoint_cases
from vetonet.tlog.vectors_tiles import PublishedLog, iter_tile_cases
from vetonet.tlog.vectors_tlog_proof import iter_tlog_proof_cases
from vetonet.tlog.vectors_witness import iter_witness_cases

EXIT_FAILED: Final = 1
EXIT_NOT_RECOGNISED: Final = 2

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VetonetError`` where our result is not the expected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One vector format.

    Attributes:
        iter_cases: the cases of a document; raises ConfigError for a document of another kind, and any other
            VetonetError for one of this kind that is malformed (which counts as a failure).
        patterns: which files of a folder may be such documents.
        read: how a file becomes a document.
    """

    iter_cases: Callable[[object], Iterator[Case]]
    patterns: tuple[str, ...] = ("*.json",)
    read: Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One case whose result was not the expected one."""

    case: str
    detail: str

    def __str__(self) -> str:
        """Return one line."""
        return f"FAILED {self.case}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceReport:
    """What a run found.

    Attributes:
        passed: how many cases gave the expected result.
        failures: the others.
        not_judged: a line for each file that held nothing for this suite; in no count.
    """

    passed: int
    failures: tuple[Failure, ...] = ()
    not_judged: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the closing line."""
        return f"{self.passed} passed, {len(self.failures)} failed"


def read_json(path: Path) -> object:
    """Return the JSON document in a file.

    Raises:
        ConfigError: it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        msg = f"cannot read {path.name}: {error.strerror}"
        raise ConfigError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"not recognised: {path.name} is not JSON"
        raise ConfigError(msg) from error


def read_json_or_text(path: Path) -> object:
    """Return the text in a file that is named so, else the JSON document.

    Raises:
        ConfigError: it cannot be read, or is neither.
    """
    if path.suffix != ".txt":
        return read_json(path)
    try:
        return path.read_bytes().decode()
    except OSError as error:
        msg = f"cannot read {path.name}: {error.strerror}"
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"not recognised: {path.name} is not text"
        raise ConfigError(msg) from error


def read_json_or_log(path: Path) -> object:
    """Return the JSON document in a file, or the published log whose newest checkpoint the file is.

    Raises:
        ConfigError: it cannot be read or is neither.
    """
    if path.name != CHECKPOINT:
        return read_json(path)
    store = FileTileStore(path.parent)
    try:
        return PublishedLog(paths=tuple(store.list_paths()), read=store.read)
    except StorageError as error:
        raise ConfigError(f"cannot read the log of {path.name}: {error}") from error


def read_published(path: Path) -> object:
    """Return a file together with a way to those around it, named from any folder above.

    Raises:
        ConfigError: it cannot be read.
    """

    def find(name: str) -> bytes | None:
        found = next((above / name for above in path.resolve().parents if (above / name).is_file()), None)
        return None if found is None else found.read_bytes()

    try:
        place = path.resolve()
        return PublishedFile(name=place.name, folder=place.parent.name, data=path.read_bytes(), find=find)
    except OSError as error:
        raise ConfigError(f"cannot read {path.name}: {error.strerror}") from error


def _iter_frost_cases(document: object) -> Iterator[Case]:
    if not isinstance(document, Mapping):
        msg = "not recognised: a FROST vector is a JSON object"
        raise ConfigError(msg)
    return frost_vectors.iter_vector_cases(document)


SUITES: Final[Mapping[str, Suite]] = MappingProxyType(
    {
        "frost": Suite(iter_cases=_iter_frost_cases, read=read_json),
        "cose-sign1": Suite(iter_cases=iter_sign1_cases, read=read_json),
        "ed25519": Suite(iter_cases=iter_ed25519_cases, read=read_json),
        "ecdsa-p256": Suite(iter_cases=iter_ecdsa_p256_cases, read=read_json),
        "ecdsa-p384": Suite(
            iter_cases=iter_ecdsa_p384_cases, patterns=("*.json", "*.txt"), read=read_published
        ),
        "mldsa44": Suite(iter_cases=iter_mldsa44_cases, read=read_json),
        "merkle": Suite(iter_cases=merkle_vectors.iter_vector_cases, read=read_json),
        "checkpoint": Suite(iter_cases=iter_checkpoint_cases, read=read_json),
        "tlog-proof": Suite(iter_cases=iter_tlog_proof_cases, read=read_json),
        "tiles": Suite(iter_cases=iter_tile_cases, patterns=("*.json", CHECKPOINT), read=read_json_or_log),
        "eat": Suite(iter_cases=iter_eat_cases, patterns=("*.cbor", "*.cose", "*.json"), read=read_published),
        "spdm": Suite(
            iter_cases=iter_spdm_cases, patterns=("*.json", "*.txt", "*.swidtag"), read=read_published
        ),
        "witness": Suite(iter_cases=iter_witness_cases, patterns=("*.json", "*.txt"), read=read_json_or_text),
    }
)


def run_conformance(suite: Suite, path: Path) -> ConformanceReport:
    """Return how this implementation does on every vector of a suite below a path.

    Args:
        suite: the vector format, one of ``SUITES``.
        path: a file, or a folder whose files are taken in the order of their names.

    Raises:
        ConfigError: nothing below the path is of this format.
    """
    passed, failures, not_judged = 0, list[Failure](), list[str]()
    for file, name in _list_files(suite, path):
        try:
            found = [_judge(f"{name}: {case}", thunk) for case, thunk in _read_cases(suite, file)]
        except ConfigError as error:
            not_judged.append(f"{name}: {error}")
            continue
        failed = [failure for failure in found if failure]
        passed, failures = passed + len(found) - len(failed), failures + failed
    if not passed and not failures:
        told = tuple(_merge_reasons(not_judged))
        msg = told[0] if len(told) == 1 else f"not recognised: none of {len(not_judged)} files"
        raise ConfigError(msg)
    return ConformanceReport(passed=passed, failures=tuple(failures), not_judged=tuple(not_judged))


def _list_files(suite: Suite, path: Path) -> list[tuple[Path, str]]:
    """Return the files and what to call them: the path below the folder, or the file's own name."""
    if path.is_dir():
        found = {file for pattern in suite.patterns for file in path.rglob(pattern)}
        return [(file, file.relative_to(path).as_posix()) for file in sorted(found)]
    return [(path, path.name)]


def _read_cases(suite: Suite, file: Path) -> list[Case]:
    """Return a file's cases; a malformed one of the right kind is a case that fails."""
    try:
        return list(suite.iter_cases(suite.read(file)))
    except ConfigError:
        raise
    except VetonetError as error:
        return [("malformed", partial(_raise, error))]


def _raise(error: VetonetError) -> None:
    raise error


def _judge(name: str, thunk: Callable[[], None]) -> Failure | None:
    try:
        thunk()
    except VetonetError as error:
        return Failure(case=name, detail=str(error))
    except Exception as error:  # noqa: BLE001  (hostile input that crashes our code is a failed case, not a traceback)
        return Failure(case=name, detail=f"crashed: {type(error).__name__}: {error}")
    return None


@click.command()
@click.argument("suite", type=click.Choice(tuple(SUITES)))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def conformance(suite: str, path: Path, *, as_json: bool) -> None:
    """Judge this implementation by the test vectors at PATH, a file or a folder.

    Exits with 1 if any case failed and with 2 if nothing at PATH is of this SUITE.
    """
    try:
        report = run_conformance(SUITES[suite], path)
    except ConfigError as error:
        why = str(error).removeprefix("not recognised: ")
        click.echo(f"Error: not recognised: {path.name} has no vectors of suite {suite}: {why}", err=True)
        sys.exit(EXIT_NOT_RECOGNISED)
    click.echo(_to_json(suite, report) if as_json else _to_lines(report))
    if not as_json:
        _explain_not_judged(report)
    if report.failures:
        sys.exit(EXIT_FAILED)


def _to_lines(report: ConformanceReport) -> str:
    return "\n".join(str(entry) for entry in (*report.failures, report))


def _explain_not_judged(report: ConformanceReport) -> None:
    """Say on standard error what was passed over, so that standard output keeps its closing line."""
    for line in _merge_reasons(report.not_judged):
        click.echo(f"not judged: {line}", err=True)


def _merge_reasons(not_judged: Sequence[str]) -> Iterator[str]:
    """Return a line for each reason, with the first file that it is about and how many others there are."""
    files = dict[str, list[str]]()
    for line in not_judged:
        name, _, why = line.partition(": ")
        files.setdefault(why.removeprefix("not judged: "), []).append(name)
    for why, names in files.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{names[0]}{others}: {why}"


def _to_json(suite: str, report: ConformanceReport) -> str:
    failures = [{"case": failure.case, "detail": failure.detail} for failure in report.failures]
    return json.dumps(
        {
            "suite": suite,
            "passed": report.passed,
            "failed": len(report.failures),
            "failures": failures,
            "not_judged": report.not_judged,
        }
    )
