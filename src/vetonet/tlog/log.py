"""The append-only log as a machine without I/O; whoever drives it keeps the leaves and replays them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vetonet.crypto.merkle import ConsistencyProof, InclusionProof, Tree, compute_leaf_hash
from vetonet.errors import RefusedError
from vetonet.tlog.checkpoint import Checkpoint

MAX_LEAF_BYTES: Final = 2**16 - 1
"""What the two-byte length of a C2SP tlog-tiles entry bundle can hold."""


class Log:
    """Leaves in the order they came, and proofs about any past size.

    A leaf once appended never changes or moves, so an answer for a size stays true for ever. Nothing here
    is durable: the driver writes a leaf to its journal before it acknowledges the index, and builds the log
    again from the journal when it starts.
    """

    __slots__ = ("_leaves", "_origin", "_tree")

    def __init__(self, origin: str, leaves: Iterable[bytes] = ()) -> None:
        """Start the log of this identity, with the leaves that its journal already holds.

        Raises:
            EncodingError: the origin cannot stand in a checkpoint.
            RefusedError: a leaf is too large.
        """
        self._origin = origin
        self._leaves: list[bytes] = []
        self._tree = Tree()
        self.checkpoint()  # an origin that cannot be spelled is refused now, not at the first checkpoint
        for leaf in leaves:
            self.append(leaf)

    @property
    def origin(self) -> str:
        """The identity of the log."""
        return self._origin

    @property
    def tree_size(self) -> int:
        """The number of leaves."""
        return len(self._leaves)

    def append(self, leaf: bytes) -> int:
        """Add a leaf at the end; return its index.

        Raises:
            RefusedError: the leaf is too large.
        """
        if len(leaf) > MAX_LEAF_BYTES:
            msg = f"a leaf has at most {MAX_LEAF_BYTES} bytes, got {len(leaf)}"
            raise RefusedError(msg)
        leaf_index = self._tree.append(compute_leaf_hash(leaf))
        self._leaves.append(leaf)
        return leaf_index

    def leaf(self, leaf_index: int) -> bytes:
        """Return the leaf at this index.

        Raises:
            RefusedError: there is none.
        """
        self._verify_leaf_index(leaf_index, self.tree_size)
        return self._leaves[leaf_index]

    def root_hash(self, tree_size: int | None = None) -> bytes:
        """Return the root of the first ``tree_size`` leaves, by default of all.

        Raises:
            RefusedError: the log is not that large.
        """
        return self._tree.root_hash(self._past_size(tree_size))

    def checkpoint(self, tree_size: int | None = None) -> Checkpoint:
        """Return what the log commits to at a size, by default the present one.

        Raises:
            RefusedError: the log is not that large.
        """
        size = self._past_size(tree_size)
        return Checkpoint(origin=self._origin, tree_size=size, root_hash=self._tree.root_hash(size))

    def inclusion_proof(self, leaf_index: int, tree_size: int | None = None) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``, by default among all.

        Raises:
            RefusedError: the log is not that large, or has no such leaf at that size.
        """
        size = self._past_size(tree_size)
        self._verify_leaf_index(leaf_index, size)
        return self._tree.inclusion_proof(leaf_index, size)

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Return the proof that the log of ``new_size`` leaves extends that of ``old_size``.

        Raises:
            RefusedError: the log is not that large, or the old size is not within 1 and the new size.
        """
        size = self._past_size(new_size)
        if not 1 <= old_size <= size:
            msg = f"no consistency proof from size {old_size} to size {size}"
            raise RefusedError(msg)
        return self._tree.consistency_proof(old_size, size)

    def _past_size(self, tree_size: int | None) -> int:
        size = self.tree_size if tree_size is None else tree_size
        if not 0 <= size <= self.tree_size:
            msg = f"no tree of {size} leaves: the log has {self.tree_size}"
            raise RefusedError(msg)
        return size

    @staticmethod
    def _verify_leaf_index(leaf_index: int, tree_size: int) -> None:
        if not 0 <= leaf_index < tree_size:
            msg = f"no leaf {leaf_index} among {tree_size}"
            raise RefusedError(msg)
