"""How RFC 9162 parts a tree: which ranges of leaves make up a proof, wherever the hashes are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vetonet.crypto.merkle.hashing import compute_node_hash

LeafRange: TypeAlias = tuple[int, int]
"""The leaves from the first index up to, not including, the second."""

NodeSource: TypeAlias = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree of ``2**level`` leaves at a position of that level."""


def split_inclusion(leaf_index: int, tree_size: int) -> tuple[LeafRange, ...]:
    """Return the ranges whose hashes are PATH(leaf_index, D[tree_size]), lowest first (section 2.1.3.1)."""
    ranges: list[LeafRange] = []
    start, end = 0, tree_size
    while end - start > 1:
        middle = start + _split(end - start)
        if leaf_index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return tuple(reversed(ranges))


def split_consistency(old_size: int, new_size: int) -> tuple[LeafRange, ...]:
    """Return the ranges whose hashes are PROOF(old_size, D[new_size]), lowest first (section 2.1.4.1)."""
    ranges: list[LeafRange] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # where it is 0, the node is the old root, which the verifier has
        ranges.append((start, end))
    return tuple(reversed(ranges))


def compute_range_hash(start: int, end: int, node: NodeSource) -> bytes:
    """Return MTH(D[start:end]) of a range that is not empty and begins a subtree large enough to hold it."""
    nodes: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(node(level, start >> level))
        start += 1 << level
    computed = nodes.pop()
    while nodes:
        computed = compute_node_hash(nodes.pop(), computed)
    return computed


def _split(size: int) -> int:
    """Return the largest power of two below ``size``: where a tree of that many leaves is parted."""
    return 1 << ((size - 1).bit_length() - 1)
