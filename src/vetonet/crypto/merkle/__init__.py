"""Merkle trees as RFC 9162 section 2.1 defines them: hashes, proofs, and the tree that serves them."""

from __future__ import annotations

from vetonet.crypto.merkle.edge import MerkleEdge
from vetonet.crypto.merkle.hashing import (
    EMPTY_ROOT_HASH,
    HASH_BYTES,
    compute_leaf_hash,
    compute_node_hash,
    compute_parent_hashes,
)
from vetonet.crypto.merkle.proofs import (
    MAX_TREE_SIZE,
    ConsistencyProof,
    InclusionProof,
    compute_inclusion_root,
    fold_consistency,
    verify_consistency,
    verify_inclusion,
)
from vetonet.crypto.merkle.ranges import compute_range_hash, split_consistency, split_inclusion
from vetonet.crypto.merkle.tree import (
    Tree,
    compute_consistency_proof,
    compute_inclusion_proof,
    compute_root,
)

__all__ = [
    "EMPTY_ROOT_HASH",
    "HASH_BYTES",
    "MAX_TREE_SIZE",
    "ConsistencyProof",
    "InclusionProof",
    "MerkleEdge",
    "Tree",
    "compute_consistency_proof",
    "compute_inclusion_proof",
    "compute_inclusion_root",
    "compute_leaf_hash",
    "compute_node_hash",
    "compute_parent_hashes",
    "compute_range_hash",
    "compute_root",
    "fold_consistency",
    "split_consistency",
    "split_inclusion",
    "verify_consistency",
    "verify_inclusion",
]
