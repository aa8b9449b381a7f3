"""Merkle trees: named cases of acceptance and refusal, with their one-line reasons."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise

import pytest

from vetonet.crypto import merkle
from vetonet.errors import ProofError

HASHES = tuple(merkle.compute_leaf_hash(bytes([index])) for index in range(7))


def test_leaf_and_node_hashes_have_their_own_prefix() -> None:
    left, right = HASHES[:2]
    assert merkle.compute_leaf_hash(b"x") == sha256(b"\x00x").digest()
    assert merkle.compute_node_hash(left, right) == sha256(b"\x01" + left + right).digest()
    assert merkle.compute_leaf_hash(left + right) != merkle.compute_node_hash(left, right)


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert merkle.compute_root([]) == merkle.EMPTY_ROOT_HASH == sha256(b"").digest()


def test_the_root_of_one_leaf_is_its_hash_and_its_path_is_empty() -> None:
    assert merkle.compute_root(HASHES[:1]) == HASHES[0]
    assert merkle.compute_inclusion_proof(HASHES[:1], 0).hashes == ()


def test_a_one_leaf_tree_with_an_empty_path_still_needs_the_right_root() -> None:
    with pytest.raises(ProofError, match="root differs: expected 00"):
        merkle.verify_inclusion(leaf_hash=HASHES[0], leaf_index=0, tree_size=1, proof=(), root_hash=bytes(32))


def test_a_proof_for_a_past_size_is_served_from_the_larger_tree() -> None:
    tree = merkle.Tree(HASHES)
    for size in range(1, 8):
        assert tree.inclusion_proof(0, size) == merkle.compute_inclusion_proof(HASHES[:size], 0)
        assert tree.inclusion_proof(0, size) == merkle.compute_inclusion_proof(HASHES, 0, size)
    for old, new in pairwise(range(1, 8)):
        assert tree.consistency_proof(old, new) == merkle.compute_consistency_proof(HASHES[:new], old, new)


def test_append_returns_the_index_and_leaf_hash_returns_the_leaf() -> None:
    tree = merkle.Tree()
    assert [tree.append(leaf_hash) for leaf_hash in HASHES] == list(range(7))
    assert [tree.leaf_hash(index) for index in range(7)] == list(HASHES)
    assert tree.size == 7


@pytest.mark.parametrize("size", [31, 33, 0])
def test_a_leaf_hash_of_another_length_is_a_mistake_of_ours(size: int) -> None:
    tree = merkle.Tree(HASHES)
    with pytest.raises(ValueError, match=f"leaf hash of {size} bytes, expected 32"):
        tree.append(bytes(size))
    assert tree.size == 7


@pytest.mark.parametrize(
    "ask",
    [
        lambda tree: tree.leaf_hash(7),
        lambda tree: tree.leaf_hash(-1),
        lambda tree: tree.root_hash(8),
        lambda tree: tree.root_hash(-1),
        lambda tree: tree.inclusion_proof(7),
        lambda tree: tree.inclusion_proof(-1),
        lambda tree: tree.inclusion_proof(3, 3),
        lambda tree: tree.inclusion_proof(0, 0),
        lambda tree: tree.inclusion_proof(0, 8),
        lambda tree: tree.consistency_proof(0, 7),
        lambda tree: tree.consistency_proof(5, 4),
        lambda tree: tree.consistency_proof(1, 8),
    ],
)
def test_a_leaf_or_size_that_does_not_exist_is_a_mistake_of_ours(
    ask: Callable[[merkle.Tree], object],
) -> None:
    with pytest.raises(ValueError, match=r"^no (leaf|tree|old tree)"):
        ask(merkle.Tree(HASHES))


def inclusion(**changes: object) -> None:
    """Verify leaf 4 of 7, with some argument changed."""
    tree = merkle.Tree(HASHES)
    arguments: dict[str, object] = {
        "leaf_hash": HASHES[4],
        "leaf_index": 4,
        "tree_size": 7,
        "proof": tree.inclusion_proof(4).hashes,
        "root_hash": tree.root_hash(),
    }
    merkle.verify_inclusion(**(arguments | changes))  # type: ignore[arg-type]


def consistency(**changes: object) -> None:
    """Verify growth from 3 to 7 leaves, with some argument changed."""
    tree = merkle.Tree(HASHES)
    arguments: dict[str, object] = {
        "old_size": 3,
        "old_root": tree.root_hash(3),
        "new_size": 7,
        "new_root": tree.root_hash(),
        "proof": tree.consistency_proof(3).hashes,
    }
    merkle.verify_consistency(**(arguments | changes))  # type: ignore[arg-type]


def test_the_unchanged_proofs_hold() -> None:
    inclusion()
    consistency()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"leaf_index": 7}, "leaf index out of range: expected 0 to 6, got 7"),
        ({"leaf_index": -1}, "leaf index out of range"),
        ({"leaf_index": 2**64 - 1}, "leaf index out of range"),
        (
            {"tree_size": 0, "leaf_index": 0},
            "tree size out of range: expected 1 to 9223372036854775807, got 0",
        ),
        ({"tree_size": 2**63}, "tree size out of range"),
        ({"tree_size": 4, "leaf_index": 3}, "too long: expected 2 hashes, got 3"),
        ({"tree_size": 9}, "too short: 3 hashes do not reach the root of 9 leaves"),
        ({"proof": ()}, "too short: 0 hashes"),
        ({"proof": (bytes(32),) * 64}, "too many hashes: expected at most 63, got 64"),
        ({"proof": (bytes(31),) * 3}, "not a hash: expected 32 bytes, got 31"),
        ({"leaf_hash": b""}, "not a hash: expected 32 bytes, got 0"),
        ({"root_hash": bytes(33)}, "not a hash: expected 32 bytes, got 33"),
        ({"leaf_hash": HASHES[5]}, "root differs: expected "),
        ({"root_hash": bytes(32)}, "root differs: expected 0000"),
    ],
)
def test_a_changed_inclusion_is_refused_with_its_reason(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        inclusion(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"old_size": 0}, "old tree size out of range: expected 1 to 7, got 0"),
        ({"old_size": 8}, "old tree size out of range: expected 1 to 7, got 8"),
        ({"new_size": 2**63}, "tree size out of range"),
        ({"new_size": 4}, "too long: expected 3 hashes, got 4"),
        ({"new_size": 3}, "too long: expected 0 hashes between equal sizes, got 4"),
        ({"new_size": 17}, "too short: 4 hashes do not reach the root of 17 leaves"),
        ({"proof": ()}, "too short: expected at least 1 hash, got 0"),
        ({"proof": (bytes(32),) * 65}, "too many hashes: expected at most 64, got 65"),
        ({"proof": (b"",)}, "not a hash"),
        ({"old_root": bytes(32)}, "old root differs"),
        ({"new_root": bytes(32)}, "new root differs"),
        ({"new_root": bytes(3)}, "not a hash"),
    ],
)
def test_a_changed_consistency_is_refused_with_its_reason(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        consistency(**changes)


def test_the_same_size_needs_the_same_root_and_no_hashes() -> None:
    root = merkle.compute_root(HASHES)
    merkle.verify_consistency(old_size=7, old_root=root, new_size=7, new_root=root, proof=())
    with pytest.raises(ProofError, match="root differs"):
        merkle.verify_consistency(old_size=7, old_root=root, new_size=7, new_root=bytes(32), proof=())


def test_two_empty_trees_are_the_same_only_with_the_root_of_the_empty_tree() -> None:
    empty = merkle.EMPTY_ROOT_HASH
    merkle.verify_consistency(old_size=0, old_root=empty, new_size=0, new_root=empty, proof=())
    with pytest.raises(ProofError, match="root differs"):
        merkle.verify_consistency(old_size=0, old_root=bytes(32), new_size=0, new_root=bytes(32), proof=())
    with pytest.raises(ProofError, match="tree size out of range"):
        merkle.verify_consistency(old_size=-1, old_root=empty, new_size=-1, new_root=empty, proof=())


def test_a_proof_value_that_can_prove_nothing_is_refused() -> None:
    with pytest.raises(ProofError, match="leaf index"):
        merkle.InclusionProof(leaf_index=1, tree_size=1, hashes=())
    with pytest.raises(ProofError, match="not a hash"):
        merkle.InclusionProof(leaf_index=0, tree_size=2, hashes=(b"short",))
    with pytest.raises(ProofError, match="old tree size"):
        merkle.ConsistencyProof(old_size=0, new_size=1, hashes=())
    with pytest.raises(ProofError, match="not a hash"):
        merkle.ConsistencyProof(old_size=1, new_size=2, hashes=(b"short",))


def test_an_edge_has_the_root_of_its_tree_at_every_size() -> None:
    edge, tree = merkle.MerkleEdge(), merkle.Tree()
    assert edge.root_hash == merkle.EMPTY_ROOT_HASH
    for number in range(70):
        leaf_hash = merkle.compute_leaf_hash(bytes([number]))
        edge.append(leaf_hash)
        tree.append(leaf_hash)
        assert (edge.size, edge.root_hash) == (tree.size, tree.root_hash())
