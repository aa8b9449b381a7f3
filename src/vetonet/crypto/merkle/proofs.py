"""Inclusion and consistency proofs, and their verification, line by line as in RFC 9162."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from vetonet.crypto.merkle.hashing import EMPTY_ROOT_HASH, HASH_BYTES, compute_node_hash
from vetonet.errors import ProofError

MAX_TREE_SIZE: Final = 2**63 - 1
"""The largest size that every reader of C2SP tlog-checkpoint can hold: a signed 64-bit integer."""

MAX_INCLUSION_HASHES: Final = 63
"""The depth of the largest tree."""

MAX_CONSISTENCY_HASHES: Final = MAX_INCLUSION_HASHES + 1
"""One more than the depth: the hash that a proof starts from when the old size is no power of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """The sibling hashes from one leaf up to the root, lowest first (RFC 9162 section 2.1.3).

    Attributes:
        leaf_index: position of the leaf, from 0.
        tree_size: number of leaves of the tree the proof is for.
        hashes: the siblings, 32 bytes each.
    """

    leaf_index: int
    tree_size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Refuse an index outside the tree and anything that is not a hash.

        Raises:
            ProofError: the value can prove nothing.
        """
        _verify_position(self.leaf_index, self.tree_size)
        _verify_hashes(self.hashes, limit=MAX_INCLUSION_HASHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """The hashes that show one tree to be a prefix of another (RFC 9162 section 2.1.4).

    Attributes:
        old_size: number of leaves of the older tree, at least 1.
        new_size: number of leaves of the newer tree, at least ``old_size``.
        hashes: the nodes, 32 bytes each; none where the sizes are equal.
    """

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Refuse sizes in the wrong order and anything that is not a hash.

        Raises:
            ProofError: the value can prove nothing.
        """
        _verify_sizes(self.old_size, self.new_size)
        _verify_hashes(self.hashes, limit=MAX_CONSISTENCY_HASHES)


def verify_inclusion(
    *, leaf_hash: bytes, leaf_index: int, tree_size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """The leaf is at ``leaf_index`` of the tree of ``tree_size`` leaves with this root.

    Source: RFC 9162 section 2.1.3.2; the numbers are its steps.

    Args:
        leaf_hash: ``compute_leaf_hash`` of the leaf.
        leaf_index: position of the leaf, from 0.
        tree_size: number of leaves of the tree.
        proof: sibling hashes, lowest first.
        root_hash: the trusted root of the tree.

    Raises:
        ProofError: an index outside the tree, a hash missing, surplus or not of 32 bytes, or another root.
    """
    _verify_position(leaf_index, tree_size)  # 1
    _verify_hashes((leaf_hash, root_hash), limit=2)
    computed = _fold_inclusion(leaf_hash, proof, leaf_index=leaf_index, tree_size=tree_size)  # 2 to 5
    _verify_root("root", expected=root_hash, computed=computed)


def compute_inclusion_root(leaf_hash: bytes, proof: InclusionProof) -> bytes:
    """Return the root to which a leaf and its path add up, which proves nothing before it is compared.

    Raises:
        ProofError: a hash missing, surplus or not of 32 bytes.
    """
    _verify_hashes((leaf_hash,), limit=1)
    return _fold_inclusion(leaf_hash, proof.hashes, leaf_index=proof.leaf_index, tree_size=proof.tree_size)


def _fold_inclusion(leaf_hash: bytes, proof: Sequence[bytes], *, leaf_index: int, tree_size: int) -> bytes:
    """Return the root after steps 2 to 5 of RFC 9162 section 2.1.3.2."""
    _verify_hashes(proof, limit=MAX_INCLUSION_HASHES)
    node, last = leaf_index, tree_size - 1  # 2
    computed = leaf_hash  # 3
    for used, sibling in enumerate(proof):  # 4
        if last == 0:
            msg = f"inclusion proof too long: expected {used} hashes, got {len(proof)}"
            raise ProofError(msg)
        if node & 1 or node == last:
            computed = compute_node_hash(sibling, computed)
            node, last = _skip_missing_siblings(node, last)
        else:
            computed = compute_node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:  # 5
        msg = f"inclusion proof too short: {len(proof)} hashes do not reach the root of {tree_size} leaves"
        raise ProofError(msg)
    return computed


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """The first ``old_size`` leaves of the new tree are the leaves of the old tree.

    Source: RFC 9162 section 2.1.4.2; the numbers are its steps. Equal sizes need an empty proof and equal
    roots. From size 0 every tree follows, so such a proof says nothing and is refused: whoever starts to
    follow a log from nothing has no proof to ask for.

    Args:
        old_size: number of leaves of the older tree.
        old_root: its trusted root.
        new_size: number of leaves of the newer tree.
        new_root: its root.
        proof: the nodes of the proof, lowest first.

    Raises:
        ProofError: sizes in the wrong order, a hash missing, surplus or not of 32 bytes, or another root.
    """
    _verify_hashes((old_root, new_root), limit=2)
    _verify_hashes(proof, limit=MAX_CONSISTENCY_HASHES)
    if old_size == new_size:
        _verify_same_tree(old_size, old_root=old_root, new_root=new_root, proof=proof)
        return
    _verify_sizes(old_size, new_size)
    path = _prepend_old_root(old_size, old_root, proof)  # 1, 2
    old, new = fold_consistency(path, old_size=old_size, new_size=new_size)  # 3 to 7
    _verify_root("old root", expected=old_root, computed=old)
    _verify_root("new root", expected=new_root, computed=new)


def fold_consistency(path: Sequence[bytes], *, old_size: int, new_size: int) -> tuple[bytes, bytes]:
    """Return the roots of the old and of the new tree to which the nodes of a path add up.

    Source: RFC 9162 section 2.1.4.2, steps 3 to 7. The two roots are not compared with anything: whoever
    trusts the new one learns the root that the first ``old_size`` leaves have in that very tree.

    Args:
        path: the nodes, lowest first, from the largest complete subtree that ends the old tree. Where the old
            size is a power of two, that is the old root, which a consistency proof leaves out.
        old_size: number of leaves of the older tree.
        new_size: number of leaves of the newer tree, more than ``old_size``.

    Raises:
        ProofError: sizes in the wrong order, or a node missing, surplus or not of 32 bytes.
    """
    _verify_sizes(old_size, new_size)
    if old_size == new_size:
        msg = f"expected a path between two sizes, got {old_size} twice"
        raise ProofError(msg)
    _verify_hashes(path, limit=MAX_CONSISTENCY_HASHES)
    node, last = _skip_complete_levels(old_size - 1, new_size - 1)  # 3, 4
    old = new = next(iter(path), b"")  # 5
    for used, sibling in enumerate(path[1:], start=1):  # 6
        if last == 0:
            msg = f"consistency path too long: expected {used} hashes, got {len(path)}"
            raise ProofError(msg)
        if node & 1 or node == last:
            old, new = compute_node_hash(sibling, old), compute_node_hash(sibling, new)
            node, last = _skip_missing_siblings(node, last)
        else:
            new = compute_node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:  # 7
        msg = f"consistency path too short: {len(path)} hashes do not reach the root of {new_size} leaves"
        raise ProofError(msg)
    return old, new


def _skip_missing_siblings(node: int, last: int) -> tuple[int, int]:
    """Climb past the levels on which the last node of an incomplete tree has no sibling."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _skip_complete_levels(node: int, last: int) -> tuple[int, int]:
    """Climb to the largest complete subtree that ends the old tree."""
    while node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _prepend_old_root(old_size: int, old_root: bytes, proof: Sequence[bytes]) -> Sequence[bytes]:
    """Return the path to fold: a complete old tree is a node of the new one, so its root is left out."""
    if not proof:
        msg = "consistency proof too short: expected at least 1 hash, got 0"
        raise ProofError(msg)
    is_complete = old_size & (old_size - 1) == 0
    return (old_root, *proof) if is_complete else proof


def _verify_same_tree(size: int, *, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    if not 0 <= size <= MAX_TREE_SIZE:
        msg = f"tree size out of range: expected 0 to {MAX_TREE_SIZE}, got {size}"
        raise ProofError(msg)
    if proof:
        msg = f"consistency proof too long: expected 0 hashes between equal sizes, got {len(proof)}"
        raise ProofError(msg)
    if size == 0:
        _verify_root("root", expected=old_root, computed=EMPTY_ROOT_HASH)
    _verify_root("root", expected=old_root, computed=new_root)


def _verify_root(name: str, *, expected: bytes, computed: bytes) -> None:
    if not compare_digest(expected, computed):
        msg = f"{name} differs: expected {expected.hex()}, got {computed.hex()}"
        raise ProofError(msg)


def _verify_position(leaf_index: int, tree_size: int) -> None:
    if not 1 <= tree_size <= MAX_TREE_SIZE:
        msg = f"tree size out of range: expected 1 to {MAX_TREE_SIZE}, got {tree_size}"
        raise ProofError(msg)
    if not 0 <= leaf_index < tree_size:
        msg = f"leaf index out of range: expected 0 to {tree_size - 1}, got {leaf_index}"
        raise ProofError(msg)


def _verify_sizes(old_size: int, new_size: int) -> None:
    if not 1 <= new_size <= MAX_TREE_SIZE:
        msg = f"tree size out of range: expected 1 to {MAX_TREE_SIZE}, got {new_size}"
        raise ProofError(msg)
    if not 1 <= old_size <= new_size:
        msg = f"old tree size out of range: expected 1 to {new_size}, got {old_size}"
        raise ProofError(msg)


def _verify_hashes(hashes: Sequence[bytes], *, limit: int) -> None:
    if len(hashes) > limit:
        msg = f"too many hashes: expected at most {limit}, got {len(hashes)}"
        raise ProofError(msg)
    for value in hashes:
        if len(value) != HASH_BYTES:
            msg = f"not a hash: expected {HASH_BYTES} bytes, got {len(value)}"
            raise ProofError(msg)
