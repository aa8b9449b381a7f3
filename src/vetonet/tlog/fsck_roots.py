"""Roots of past sizes, found on the way through the leaves, to hold old checkpoints against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.merkle import HASH_BYTES, compute_node_hash
from vetonet.errors import Problem
from vetonet.tlog.tile_fetch import compute_edge_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a signed checkpoint says, and in which file.

    Attributes:
        path: the file.
        tree_size: number of leaves.
        root_hash: the root that it gives them.
    """

    path: str
    tree_size: int
    root_hash: bytes


class PastRoots:
    """Walks the leaves once, in order, and judges each claim when its size comes by.

    What is kept is one hash for each complete subtree on the left: as many as the size has bits.
    """

    __slots__ = ("_claims", "_nodes", "_size", "problems")

    def __init__(self, claims: Iterable[Claim]) -> None:
        """Start before the first leaf."""
        # The largest is first, so that the next one to judge can be taken from the end.
        self._claims: Final = sorted(claims, key=lambda claim: (claim.tree_size, claim.path), reverse=True)
        self._nodes: Final[list[tuple[int, bytes | None]]] = []
        self._size = 0
        self.problems: Final[list[Problem]] = []
        self._judge_up_to(0, b"")

    def pass_subtree(self, height: int, node: bytes | None, hashes: bytes | None = None) -> None:
        """The walk has passed a complete subtree.

        Args:
            height: it has ``2**height`` leaves.
            node: its root, or None where nobody knows.
            hashes: its leaf hashes, or None where nobody knows.
        """
        self._judge_up_to(self._size + (1 << height) - 1, hashes)
        self._size += 1 << height
        while self._nodes and self._nodes[-1][0] == height:
            left = self._nodes.pop()[1]
            node = None if left is None or node is None else compute_node_hash(left, node)
            height += 1
        self._nodes.append((height, node))
        self._judge_up_to(self._size, b"")

    def pass_edge(self, count: int, hashes: bytes | None) -> None:
        """The walk has come to its end with the last ``count`` leaves, which fill no tile."""
        self._judge_up_to(self._size + count, hashes)

    def _judge_up_to(self, tree_size: int, hashes: bytes | None) -> None:
        while self._claims and self._claims[-1].tree_size <= tree_size:
            claim = self._claims.pop()
            more = (claim.tree_size - self._size) * HASH_BYTES
            self._judge(claim, None if hashes is None else self._compute_root(hashes[:more]))

    def _judge(self, claim: Claim, root: bytes | None) -> None:
        if root is None:
            what = (
                f"{claim.path}: too much is damaged or missing to tell the root of its"
                f" {claim.tree_size} leaves"
            )
            self.problems.append(Problem(reason="checkpoint-unproven", detail=what))
        elif root != claim.root_hash:
            what = (
                f"{claim.path}: expected the root of the first {claim.tree_size} leaves, which is"
                f" {root.hex()}, found {claim.root_hash.hex()}"
            )
            self.problems.append(Problem(reason="checkpoint-mismatch", detail=what))

    def _compute_root(self, hashes: bytes) -> bytes | None:
        """Return the root of what was passed and these leaf hashes."""
        if any(node is None for _, node in self._nodes):
            return None
        computed = compute_edge_root((hashes,)) if hashes or not self._nodes else None
        for _, node in reversed(self._nodes):
            if node is not None:
                computed = node if computed is None else compute_node_hash(node, computed)
        return computed
