"""The right edge of a tree: enough to append and to know the root, a few hashes for a tree of any size."""

from __future__ import annotations

from dataclasses import dataclass, field

from vetonet.crypto.merkle.hashing import EMPTY_ROOT_HASH, compute_node_hash


@dataclass(slots=True)
class MerkleEdge:
    """The right edge of a growing tree: its size, and the roots of the complete subtrees from left to right."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list, repr=False)

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf at the end."""
        node, position = leaf_hash, self.size
        while position & 1:  # a right child completes its parent
            node, position = compute_node_hash(self.peaks.pop(), node), position >> 1
        self.peaks.append(node)
        self.size += 1

    @property
    def root_hash(self) -> bytes:
        """The root over all leaves so far (RFC 9162 section 2.1.1)."""
        if not self.peaks:
            return EMPTY_ROOT_HASH
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = compute_node_hash(peak, root)
        return root
