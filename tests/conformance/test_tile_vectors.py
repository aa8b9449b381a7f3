"""Tiles against the vectors made with golang.org/x/mod, and against a whole log of another implementation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vetonet.cli.conformance import SUITES, conformance, run_conformance
from vetonet.errors import ConfigError, EncodingError, ProofError, StorageError, VerificationError
from vetonet.tlog.tiles import MissingTileError
from vetonet.tlog.vectors_tiles import MAX_LEAVES, PublishedLog, iter_tile_cases, make_vector_entry

TILE = {
    "path": "tile/0/000.p/1",
    "len": 32,
    "sha256": "68e41904502e2ece2ba192ec83c6d571f536314fb072a41dd0bb766738beeb96",
}
BUNDLE = {
    "path": "tile/entries/000.p/1",
    "len": 49,
    "sha256": "87c6d23607a3a80cbce95572090d2333d2b0d8c876953f0b9f670b4670586868",
}
ROOT_OF_TWO = "XN5jIZQv0HFTXMtmpvpoenEW/sViHW2UOXQbx322wFU="
ROOT = "f4NByO9FbsIqbCf3YFx+NJ1ZUFp3CXM+iHzzw9LgybQ="


def run_all(document: object) -> list[str]:
    names = []
    for name, judge in iter_tile_cases(document):
        judge()
        names.append(name)
    return names


def read_log(folder: Path, **changes: bytes) -> PublishedLog:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    files |= {path.replace("__", "/").replace("_p_", ".p/"): data for path, data in changes.items()}

    def read(path: str) -> bytes:
        if path not in files:
            raise MissingTileError(path)
        return files[path]

    return PublishedLog(paths=tuple(files), read=read)


def test_tiles_of_every_size_are_those_of_golang(shared: Path) -> None:
    document = json.loads((shared / "vectors" / "c2sp-tlog" / "tiles.json").read_text())
    assert run_all(document) == [f"tiles of {size} leaves" for size in (1, 2, 255, 256, 257, 513)]


def test_roots_of_every_size_are_those_of_golang(shared: Path) -> None:
    document = json.loads((shared / "vectors" / "c2sp-tlog" / "keys-and-roots.json").read_text())
    names = run_all(document)
    assert len(names) == 30
    assert names[-3:] == ["root of 65536 leaves", "root of 65537 leaves", "root of 70000 leaves"]


def test_the_log_of_tessera_is_ours_to_read(shared: Path) -> None:
    names = run_all(read_log(shared / "vectors" / "tessera-log" / "log"))
    assert names[:3] == ["every file", "checkpoint", "checkpoint.0"]
    assert len(names) == 18


@pytest.mark.parametrize(
    ("where", "passed"), [("c2sp-tlog", 36), ("tessera-log", 18), ("tessera-log/log", 18)]
)
def test_the_command_passes_every_shared_vector(shared: Path, where: str, passed: int) -> None:
    result = CliRunner().invoke(conformance, ["tiles", str(shared / "vectors" / where)])
    assert result.exit_code == 0
    assert result.stdout == f"{passed} passed, 0 failed\n"


def test_a_log_with_a_changed_bit_fails_its_case(shared: Path) -> None:
    log = read_log(shared / "vectors" / "tessera-log" / "log", tile__0__000_p_15=bytes(480))
    failed = []
    for name, judge in iter_tile_cases(log):
        try:
            judge()
        except VerificationError:
            failed.append(name)
    assert "every file" in failed
    assert "checkpoint.15" in failed
    assert "checkpoint.7" in failed  # its proof goes to the newest size


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["1"][0].update(len=31),
        lambda d: d["1"][1].update(sha256="00" * 32),
        lambda d: d["1"][0].update(path="tile/0/000"),
        lambda d: d["1"].append({"path": "tile/1/000.p/1", "len": 32, "sha256": "00" * 32}),
        lambda d: d["1"].pop(),
        lambda d: d.update({"2": d.pop("1")}),
    ],
)
def test_other_tiles_than_expected_fail(change: Callable[[Any], object]) -> None:
    document = {"1": [dict(TILE), dict(BUNDLE)]}
    assert run_all(document) == ["tiles of 1 leaves"]
    change(document)
    with pytest.raises(ProofError, match="expected"):
        run_all(document)


def test_another_root_than_expected_fails() -> None:
    assert run_all({"roots": {"1": ROOT}}) == ["root of 1 leaves"]
    with pytest.raises(ProofError, match="expected root"):
        run_all({"roots": {"2": ROOT}})


def test_roots_may_be_judged_in_any_order() -> None:
    cases = list(iter_tile_cases({"roots": {"2": ROOT_OF_TWO, "1": ROOT}}))
    assert [name for name, _ in cases] == ["root of 1 leaves", "root of 2 leaves"]
    for _, judge in (*reversed(cases), *cases):
        judge()


@pytest.mark.parametrize(
    "document",
    [
        {"1": [7]},
        {"1": [{}]},
        {"1": [TILE | {"len": "32"}]},
        {"1": [TILE | {"len": True}]},
        {"1": [TILE | {"path": None}]},
        {str(MAX_LEAVES + 1): []},
        {"9" * 5000: []},
        {"roots": {"x": ROOT}},
        {"roots": {"-1": ROOT}},
        {"roots": {"1": None}},
        {"roots": {"1": "AAAA"}},
        {"roots": {"1": "not base64"}},
        {"roots": {"9" * 5000: ROOT}},
    ],
)
def test_a_malformed_document_is_said_to_be_so(document: object) -> None:
    with pytest.raises(EncodingError, match="expected"):
        iter_tile_cases(document)


@pytest.mark.parametrize("document", [None, [], {}, 7, [TILE], {"a": []}, {"1": {}}, {"roots": []}])
def test_a_document_of_another_kind_is_not_recognised(document: object) -> None:
    with pytest.raises(ConfigError, match="not recognised"):
        iter_tile_cases(document)


@pytest.mark.parametrize("data", [b"", b"\xff", b"example.com/other\n1\n", b"example.com/log/testdata2\n"])
def test_a_log_whose_key_is_not_known_is_not_recognised(data: bytes) -> None:
    log = PublishedLog(paths=("checkpoint",), read=lambda _: data)
    with pytest.raises(ConfigError, match="not recognised: no key is known"):
        iter_tile_cases(log)


def test_a_folder_that_happens_to_hold_a_checkpoint_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"weights")
    with pytest.raises(ConfigError, match="not recognised"):
        run_conformance(SUITES["tiles"], tmp_path)


def test_a_known_log_that_is_cut_fails_and_does_not_vanish(shared: Path, tmp_path: Path) -> None:
    data = (shared / "vectors" / "tessera-log" / "log" / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").write_bytes(data)
    report = run_conformance(SUITES["tiles"], tmp_path / "checkpoint")
    assert (report.passed, len(report.failures)) == (0, 2)
    assert "tile-missing: tile/0/000.p/15" in report.failures[0].detail


def test_a_file_that_cannot_be_read_is_an_error_of_storage() -> None:
    def read(path: str) -> bytes:
        raise StorageError(f"{path}: no")

    with pytest.raises(StorageError):
        iter_tile_cases(PublishedLog(paths=(), read=read))


def test_the_rule_of_the_entries() -> None:
    assert make_vector_entry(7) == b""
    assert len(make_vector_entry(0)) == 47
    assert max(len(make_vector_entry(index)) for index in range(500)) == 199
