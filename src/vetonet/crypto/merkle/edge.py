"""The right edge of a tree: enough to append and to know the root, a few hashes for a tree of any size."""

from __future__ import annotations

from vetonet.crypto.merkle.hashing import EMPTY_ROOT_HASH, compute_node_hash


class MerkleEdge:
    """The right edge of a growing tree: its size, and the roots of its complete subtrees from left to right.

    Grows in place. Nothing can be proven with it; a ``Tree`` keeps what that needs.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf at the end."""
        node, position = leaf_hash, self.size
        while position & 1:  # a right child completes its parent
            node, position = compute_node_hash(self._peaks.pop(), node), position >> 1
        self._peaks.append(node)
        self.size += 1

    @property
    def root_hash(self) -> bytes:
        """The root over all leaves so far (RFC 9162 section 2.1.1)."""
        if not self._peaks:
            return EMPTY_ROOT_HASH
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = compute_node_hash(peak, root)
        return root
