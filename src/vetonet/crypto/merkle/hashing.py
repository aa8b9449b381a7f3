"""The two hashes of a Merkle tree, kept apart by their first byte (RFC 9162 section 2.1.1)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
"""Length of every leaf hash, node hash and root hash: SHA-256."""

EMPTY_ROOT_HASH: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

# Without the two prefixes a node could be passed off as a leaf, and one root would have two trees.
_LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"


def compute_leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return sha256(_LEAF_PREFIX + leaf).digest()


def compute_node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right) of two child hashes."""
    return sha256(_NODE_PREFIX + left + right).digest()


def compute_parent_hashes(hashes: bytes) -> bytes:
    """Return the hashes of each pair of nodes, side by side; a last one without a sibling has no parent yet.

    Args:
        hashes: nodes of one level, side by side, from a left child on.
    """
    pair = 2 * HASH_BYTES
    ends = range(pair, len(hashes) + 1, pair)
    return b"".join([sha256(_NODE_PREFIX + hashes[end - pair : end]).digest() for end in ends])
