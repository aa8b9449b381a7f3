"""Merkle proofs against the vectors of transparency-dev/merkle and of golang.org/x/mod."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest

from vetonet.crypto import merkle
from vetonet.crypto.merkle.vectors import iter_vector_cases
from vetonet.errors import ConfigError, ProofError

VALID = {
    "leafIdx": 0,
    "treeSize": 1,
    "root": "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
    "leafHash": "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
    "proof": None,
    "wantErr": False,
}


def vector_entry(index: int) -> bytes:
    """The entry of this index, made as keys-and-roots.json describes; entry 7 is empty."""
    block = sha256(b"vetonet-vector-entry-%d" % index).digest()
    size = 0 if index == 7 else block[0] % 200 + 1
    stream = block
    while len(stream) < size:
        block = sha256(block).digest()
        stream += block
    return stream[:size]


def run_all(paths: list[Path]) -> int:
    passed = 0
    for path in paths:
        for _name, judge in iter_vector_cases(json.loads(path.read_text())):
            judge()
            passed += 1
    return passed


@pytest.mark.parametrize(("kind", "cases"), [("inclusion", 49), ("consistency", 43)])
def test_transparency_dev_vectors_agree(shared: Path, kind: str, cases: int) -> None:
    paths = sorted((shared / "vectors" / "merkle-proofs" / kind).rglob("*.json"))
    assert run_all(paths) == cases


@pytest.mark.parametrize(("kind", "cases"), [("inclusion", 36), ("consistency", 78)])
def test_golang_vectors_agree(shared: Path, kind: str, cases: int) -> None:
    assert run_all([shared / "vectors" / "c2sp-tlog" / f"{kind}.json"]) == cases


def test_roots_of_golang_trees_agree(shared: Path) -> None:
    document = json.loads((shared / "vectors" / "c2sp-tlog" / "keys-and-roots.json").read_text())
    tree = merkle.Tree(merkle.compute_leaf_hash(vector_entry(index)) for index in range(4096))
    sizes = [int(size) for size in document["roots"] if int(size) <= tree.size]
    assert len(sizes) >= 20
    for size in sizes:
        assert tree.root_hash(size) == b64decode(document["roots"][str(size)])


def test_a_wrong_verdict_is_reported() -> None:
    for expectation in ({"wantErr": True}, {"leafIdx": 1}):
        [(_name, judge)] = iter_vector_cases(VALID | expectation)
        with pytest.raises(ProofError):
            judge()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        7,
        [VALID, 7],
        VALID | {"leafIdx": "0"},
        VALID | {"treeSize": True},
        VALID | {"root": None},
        VALID | {"root": "not base64"},
        VALID | {"proof": "x"},
        VALID | {"proof": [None]},
        VALID | {"wantErr": "no"},
        {"size1": 1, "size2": 2},
    ],
)
def test_a_document_of_another_kind_is_not_recognised(document: object) -> None:
    with pytest.raises(ConfigError, match="not recognised"):
        iter_vector_cases(document)


def test_the_vector_of_an_empty_path_is_the_leaf_itself() -> None:
    assert merkle.compute_root([merkle.compute_leaf_hash(b"")]).hex().startswith("6e340b9c")
