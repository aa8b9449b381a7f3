"""Judges the tiles of one tree, from its signed root down and from its entries up.

A signed root vouches for the tiles on the right edge, those for the full tiles below them, and so on down to
the entries: what differs from a vouched hash is at fault. Where a tile is damaged or missing, nothing vouches
for what is below it; there entries and leaf hashes are measured against each other, and the hashes above them
are computed anew. One tile of each level is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.merkle import HASH_BYTES, compute_leaf_hash
from vetonet.tlog.fsck_files import Files, Inventory
from vetonet.tlog.fsck_roots import PastRoots
from vetonet.tlog.tile_fetch import compute_edge_root, compute_tile_root
from vetonet.tlog.tiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, Tile, count_nodes

_UNPROVEN: Final = "too much is damaged or missing to tell what it should hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Above:
    """What the tile above has for a full tile.

    Attributes:
        node: the hash, or None where the tile above is missing.
        is_vouched: whether the signed root covers that hash.
    """

    node: bytes | None
    is_vouched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaves:
    """What is stored about the leaves of one tile; None where a file is missing or malformed."""

    index: int
    width: int
    stored: bytes | None
    entries: tuple[bytes, ...] | None
    hashed: bytes | None

    @property
    def tile(self) -> Tile:
        """The tile of leaf hashes."""
        return Tile(level=0, index=self.index, width=self.width)

    @property
    def bundle(self) -> Tile:
        """The bundle of entries."""
        return Tile(level=None, index=self.index, width=self.width)

    @property
    def options(self) -> frozenset[bytes]:
        """What the leaf hashes may be: one where all that is there agrees."""
        return frozenset(hashes for hashes in (self.stored, self.hashed) if hashes is not None)


class TreeJudge:
    """Judges every tile and bundle of a tree, and those of other widths in the same places."""

    __slots__ = ("_files", "_inventory", "_roots")

    def __init__(self, inventory: Inventory, files: Files, roots: PastRoots) -> None:
        """Judge the tiles of an inventory; what is wrong is noted in ``files``."""
        self._inventory: Final = inventory
        self._files: Final = files
        self._roots: Final = roots

    def judge(self, root_hash: bytes | None) -> None:
        """Every file of the tree has been read and judged.

        Args:
            root_hash: the signed root, or None where nobody signed any.
        """
        edges = [self._edge_tile(level) for level in range(MAX_LEVEL + 1)]
        last = (
            self._read_leaves(self._inventory.tree_size // TILE_WIDTH, edges[0].width) if edges[0] else None
        )
        stored = [self._files.read_hashes(edge) if edge else b"" for edge in edges[1:]]
        leaves = last or _Leaves(index=0, width=0, stored=b"", entries=(), hashed=b"")
        truth = _pick_leaves(leaves, stored, root_hash)
        is_vouched = truth is not None
        computed: list[bytes | None] = [b""] * len(stored)
        for level in range(MAX_LEVEL, 0, -1):
            edge = edges[level]
            if edge is not None:
                computed[level - 1] = self._judge_edge(edge, stored[level - 1], is_vouched=is_vouched)
        if last is not None:
            self._judge_last_leaves(last, truth if is_vouched else _pick_leaves(last, computed, root_hash))

    def _judge_edge(self, edge: Tile, stored: bytes | None, *, is_vouched: bool) -> bytes | None:
        """Return the hashes that a tile on the right edge should have, or None where nobody knows."""
        below = self._judge_below(edge, stored, is_vouched=is_vouched)
        if is_vouched:
            below = stored
        elif stored is not None and below is not None and stored != below:
            self._note_difference(edge, stored, below)
        self._judge_others(edge, below or stored)
        return below

    def _judge_last_leaves(self, last: _Leaves, truth: bytes | None) -> None:
        """The leaves that fill no tile are judged by the root, or else by each other."""
        if truth is not None:
            self._note_wrong_leaves(last, truth)
        else:
            self._note_disagreement(last)
            truth = next(iter(last.options)) if len(last.options) == 1 else None
        self._judge_leaf_others(last, truth)
        self._roots.pass_edge(last.width, truth)

    def _judge_below(self, tile: Tile, nodes: bytes | None, *, is_vouched: bool) -> bytes | None:
        """Return the roots of the full tiles below this one, or None where one of them is not known."""
        level = (tile.level or 0) - 1
        roots: list[bytes | None] = []
        absent: list[int] = []
        for place in range(tile.width):
            index = tile.index * TILE_WIDTH + place
            above = _Above(node=None if nodes is None else _hash_at(nodes, place), is_vouched=is_vouched)
            if self._inventory.has_below(level, index):
                self._files.note_absent(level, absent)
                absent = []
                roots.append(self._judge_full(level, index, above))
            else:  # nothing is there to look into, however many leaves it may claim to have
                absent.append(index)
                roots.append(above.node)
                self._roots.pass_subtree((level + 1) * TILE_HEIGHT, above.node)
        self._files.note_absent(level, absent)
        known = [root for root in roots if root is not None]
        return b"".join(known) if len(known) == len(roots) else None

    def _judge_full(self, level: int, index: int, above: _Above) -> bytes | None:
        """Return the root that a full tile should have, or None where nobody knows."""
        if level == 0:
            return self._judge_leaves(self._read_leaves(index, TILE_WIDTH), above)
        tile = Tile(level=level, index=index)
        stored = self._files.read_hashes(tile)
        own = None if stored is None else compute_tile_root(stored)
        is_sound = own is not None and own == above.node
        if above.is_vouched and stored is not None and not is_sound:
            self._files.note("tile-mismatch", tile, "its root is not the one that is signed")
        below = self._judge_below(tile, stored, is_vouched=above.is_vouched and is_sound)
        if above.is_vouched:
            self._judge_others(tile, stored if is_sound else self._vouch_below(tile, below, above.node))
            return above.node
        if stored is not None and below is not None and stored != below:
            self._note_difference(tile, stored, below)
        self._judge_others(tile, stored if is_sound else below or stored)
        if below is not None and not is_sound:
            return compute_tile_root(below)
        return above.node if own is None else own

    def _vouch_below(self, tile: Tile, below: bytes | None, signed: bytes | None) -> bytes | None:
        """Return the hashes that a damaged tile should have: what is below it, if that is what is signed."""
        if below is None:
            return None
        if compute_tile_root(below) != signed:
            self._files.note("tile-mismatch", tile, "nor do the tiles below it have the root that is signed")
            return None
        return below

    def _judge_leaves(self, leaves: _Leaves, above: _Above) -> bytes | None:
        """Return the root that a full tile of leaf hashes should have, or None where nobody knows."""
        roots = {compute_tile_root(hashes): hashes for hashes in leaves.options}
        root, best = above.node, None if above.node is None else roots.get(above.node)
        if best is not None:
            self._note_wrong_leaves(leaves, best)
        elif above.is_vouched:
            self._note_unsigned_leaves(leaves)
        else:
            self._note_disagreement(leaves)
            root, best = next(iter(roots.items())) if len(roots) == 1 else (None, None)
        self._judge_leaf_others(leaves, best)
        self._roots.pass_subtree(TILE_HEIGHT, root, best)
        return root

    def _judge_others(self, tile: Tile, hashes: bytes | None) -> None:
        """The tiles of other widths in a place begin like the one that belongs there."""
        for other in self._inventory.list_others(tile):
            found = self._files.read_hashes(other)
            count = min(other.width, tile.width) * HASH_BYTES
            if found is not None and hashes is None:
                self._files.note("tile-unproven", other, _UNPROVEN)
            elif found is not None and hashes is not None and found[:count] != hashes[:count]:
                self._note_difference(other, found[:count], hashes[:count])

    def _judge_leaf_others(self, leaves: _Leaves, hashes: bytes | None) -> None:
        self._judge_others(leaves.tile, hashes)
        for other in self._inventory.list_others(leaves.bundle):
            entries = self._files.read_entries(other)
            if entries is None:
                continue
            count = min(other.width, leaves.width)
            if (
                leaves.entries is not None
                and leaves.hashed == hashes
                and entries[:count] == leaves.entries[:count]
            ):
                continue  # the same bytes, so the same hashes
            found = b"".join(map(compute_leaf_hash, entries[:count]))
            if hashes is None:
                self._files.note("tile-unproven", other, _UNPROVEN)
            elif found != hashes[: count * HASH_BYTES]:
                self._note_difference(other, found, hashes)

    def _read_leaves(self, index: int, width: int) -> _Leaves:
        stored = self._files.read_hashes(Tile(level=0, index=index, width=width))
        entries = self._files.read_entries(Tile(level=None, index=index, width=width))
        hashed = None if entries is None else b"".join(map(compute_leaf_hash, entries))
        return _Leaves(index=index, width=width, stored=stored, entries=entries, hashed=hashed)

    def _edge_tile(self, level: int) -> Tile | None:
        index, width = divmod(count_nodes(level, self._inventory.tree_size), TILE_WIDTH)
        return Tile(level=level, index=index, width=width) if width else None

    def _note_wrong_leaves(self, leaves: _Leaves, truth: bytes) -> None:
        if leaves.stored is not None and leaves.stored != truth:
            self._note_difference(leaves.tile, leaves.stored, truth)
        if leaves.hashed is not None and leaves.hashed != truth:
            self._note_difference(leaves.bundle, leaves.hashed, truth)

    def _note_unsigned_leaves(self, leaves: _Leaves) -> None:
        if leaves.stored is not None:
            self._files.note("tile-mismatch", leaves.tile, "its root is not the one that is signed")
        if leaves.hashed is not None:
            self._files.note("tile-mismatch", leaves.bundle, "the root of its entries is not the one signed")

    def _note_disagreement(self, leaves: _Leaves) -> None:
        """Nothing says which of the two is right, so both are named."""
        if leaves.stored is not None and leaves.hashed is not None and leaves.stored != leaves.hashed:
            place = _find_difference(leaves.stored, leaves.hashed)
            self._files.note(
                "tile-mismatch", leaves.tile, f"hash {place} is not that of {leaves.bundle.to_path()}"
            )
            self._files.note(
                "tile-mismatch", leaves.bundle, f"entry {place} is not that of {leaves.tile.to_path()}"
            )

    def _note_difference(self, tile: Tile, found: bytes, expected: bytes) -> None:
        place = _find_difference(found, expected)
        what = "entry {} does not have the hash" if tile.is_bundle else "hash {} is not the one"
        self._files.note("tile-mismatch", tile, f"{what.format(place)} that belongs there")


def _pick_leaves(leaves: _Leaves, upper: Sequence[bytes | None], root_hash: bytes | None) -> bytes | None:
    """Return those of the last leaf hashes that give the signed root, or None where none do."""
    known = [hashes for hashes in upper if hashes is not None]
    if root_hash is None or len(known) < len(upper):
        return None
    right = (hashes for hashes in leaves.options if compute_edge_root((hashes, *known)) == root_hash)
    return next(right, None)


def _hash_at(hashes: bytes, place: int) -> bytes:
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _find_difference(one: bytes, other: bytes) -> int:
    """Return the place of the first hash that differs."""
    places = range(min(len(one), len(other)) // HASH_BYTES)
    return next((place for place in places if _hash_at(one, place) != _hash_at(other, place)), len(places))
