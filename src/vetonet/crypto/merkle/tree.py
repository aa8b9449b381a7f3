"""The append-only tree: every complete subtree is kept once, so any past size can be proven at any time."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.crypto.merkle.hashing import EMPTY_ROOT_HASH, HASH_BYTES, compute_node_hash
from vetonet.crypto.merkle.proofs import ConsistencyProof, InclusionProof
from vetonet.crypto.merkle.ranges import compute_range_hash, split_consistency, split_inclusion


class Tree:
    """An append-only Merkle tree over leaf hashes (RFC 9162 section 2.1).

    Level ``k`` holds the hashes of the complete subtrees of ``2**k`` leaves, side by side in one byte
    array: 64 bytes a leaf in all. Nothing stored ever changes, so answers for a past size stay the same
    for ever. Append costs one hash on average; a root or proof at most one hash per level.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        """Build the tree over these leaf hashes, in order.

        Raises:
            ValueError: a leaf hash is not of 32 bytes.
        """
        self._levels: list[bytearray] = [bytearray()]
        for leaf_hash in leaf_hashes:
            self.append(leaf_hash)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf_hash: bytes) -> int:
        """Add one leaf and every complete subtree it ends; return its index.

        Raises:
            ValueError: the leaf hash is not of 32 bytes.
        """
        if len(leaf_hash) != HASH_BYTES:
            msg = f"leaf hash of {len(leaf_hash)} bytes, expected {HASH_BYTES}"
            raise ValueError(msg)
        leaf_index = self.size
        node, position, level = leaf_hash, leaf_index, 0
        self._levels[0] += node
        while position & 1:  # a right child completes its parent
            node = compute_node_hash(self._node(level, position - 1), node)
            position, level = position >> 1, level + 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += node
        return leaf_index

    def leaf_hash(self, leaf_index: int) -> bytes:
        """Return the hash of one leaf.

        Raises:
            ValueError: there is no such leaf.
        """
        if not 0 <= leaf_index < self.size:
            msg = f"no leaf {leaf_index} among {self.size}"
            raise ValueError(msg)
        return self._node(0, leaf_index)

    def root_hash(self, tree_size: int | None = None) -> bytes:
        """Return the root of the first ``tree_size`` leaves, by default of all.

        Raises:
            ValueError: the tree is not that large.
        """
        size = self._past_size(tree_size)
        return self._range_hash(0, size) if size else EMPTY_ROOT_HASH

    def inclusion_proof(self, leaf_index: int, tree_size: int | None = None) -> InclusionProof:
        """Return PATH(leaf_index, D[tree_size]) of RFC 9162 section 2.1.3.1.

        Raises:
            ValueError: the tree is not that large, or has no such leaf.
        """
        size = self._past_size(tree_size)
        if not 0 <= leaf_index < size:
            msg = f"no leaf {leaf_index} among {size}"
            raise ValueError(msg)
        ranges = split_inclusion(leaf_index, size)
        hashes = tuple(self._range_hash(start, end) for start, end in ranges)
        return InclusionProof(leaf_index=leaf_index, tree_size=size, hashes=hashes)

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Return PROOF(old_size, D[new_size]) of RFC 9162 section 2.1.4.1.

        Raises:
            ValueError: the tree is not that large, or the old size is not within 1 and the new size.
        """
        size = self._past_size(new_size)
        if not 1 <= old_size <= size:
            msg = f"no old tree of {old_size} leaves within {size}"
            raise ValueError(msg)
        ranges = split_consistency(old_size, size)
        hashes = tuple(self._range_hash(start, end) for start, end in ranges)
        return ConsistencyProof(old_size=old_size, new_size=size, hashes=hashes)

    def _past_size(self, tree_size: int | None) -> int:
        size = self.size if tree_size is None else tree_size
        if not 0 <= size <= self.size:
            msg = f"no tree of {size} leaves: the tree has {self.size}"
            raise ValueError(msg)
        return size

    def _range_hash(self, start: int, end: int) -> bytes:
        return compute_range_hash(start, end, self._node)

    def _node(self, level: int, position: int) -> bytes:
        offset = position * HASH_BYTES
        return bytes(self._levels[level][offset : offset + HASH_BYTES])


def compute_root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return MTH(D) of RFC 9162 section 2.1.1 over these leaf hashes.

    Raises:
        ValueError: a leaf hash is not of 32 bytes.
    """
    return Tree(leaf_hashes).root_hash()


def compute_inclusion_proof(
    leaf_hashes: Iterable[bytes], leaf_index: int, tree_size: int | None = None
) -> InclusionProof:
    """Return the proof that a leaf is among the first ``tree_size``, by default among all.

    Raises:
        ValueError: a leaf hash is not of 32 bytes, or there is no such leaf or size.
    """
    return Tree(leaf_hashes).inclusion_proof(leaf_index, tree_size)


def compute_consistency_proof(leaf_hashes: Iterable[bytes], old_size: int, new_size: int) -> ConsistencyProof:
    """Return the proof that the first ``old_size`` leaves are a prefix of the first ``new_size``.

    Raises:
        ValueError: a leaf hash is not of 32 bytes, or there is no such size.
    """
    return Tree(leaf_hashes).consistency_proof(old_size, new_size)
