"""Laws of tiles: whatever way a log grows, its tiles say what the tree in memory says."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from support.tiles import TileSource, vector_entries
from vetonet.crypto.merkle import Tree, compute_leaf_hash, verify_consistency, verify_inclusion
from vetonet.errors import EncodingError
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import Tile, decode_bundle, encode_bundle, list_new_tiles, list_tiles
from vetonet.tlog.tree_edge import TreeEdge

LARGEST = 1_100
BORDERS = (0, 1, 255, 256, 257, 511, 512, 513, 1_023, 1_024, 1_025)

sizes = st.integers(0, LARGEST) | st.sampled_from(BORDERS)


@cache
def oracle() -> tuple[list[bytes], Tree]:
    entries = vector_entries(0, LARGEST)
    return entries, Tree(map(compute_leaf_hash, entries))


@given(steps=st.lists(sizes, min_size=1, max_size=6).map(sorted), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_log_grown_in_any_steps_is_the_tree_of_its_leaves(steps: list[int], data: st.DataObject) -> None:
    entries, tree = oracle()
    edge, source = TreeEdge(), TileSource({})
    for size in steps:
        growth = edge.extend(entries[edge.tree_size : size])
        edge = growth.edge
        source.files.update(growth.files)
        assert edge.root_hash() == tree.root_hash(size)
    reader = TileReader(source, cached_tiles=data.draw(st.integers(1, 6)))
    size = data.draw(st.sampled_from(steps))
    assert reader.root_hash(size) == tree.root_hash(size)
    assert TreeEdge.from_tiles(reader, size).root_hash() == tree.root_hash(size)
    start, end = sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size))))
    assert list(reader.entries(start, end, size, root_hash=tree.root_hash(size))) == entries[start:end]
    if size:
        index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
        assert reader.inclusion_proof(index, size) == tree.inclusion_proof(index, size)
        assert reader.consistency_proof(old, size) == tree.consistency_proof(old, size)


@given(old=st.integers(0, 2**63 - 1), growth=st.integers(0, 2_000))
@settings(max_examples=100, deadline=None)
def test_every_new_tile_is_of_the_larger_tree_and_not_of_the_smaller(old: int, growth: int) -> None:
    new = min(old + growth, 2**63 - 1)
    for tile in list_new_tiles(old, new):
        assert old < tile.min_tree_size <= new
        assert Tile.from_path(tile.to_path()) == tile


@given(size=st.integers(0, 70_000))
@settings(max_examples=30, deadline=None)
def test_the_tiles_of_a_size_hold_every_node_once(size: int) -> None:
    held = dict.fromkeys((None, 0, 1, 2), 0)
    for tile in list_tiles(size):
        held[tile.level] += tile.width
    assert held == {None: size, 0: size, 1: size // 256, 2: size // 65_536}


@given(text=st.text(max_size=40) | st.from_regex(r"tile/\w{1,7}/(x\d{3}/){0,3}\d{1,4}(\.p/\d{1,3})?"))
@settings(max_examples=300, deadline=None)
def test_any_path_is_a_tile_in_its_one_spelling_or_refused(text: str) -> None:
    try:
        tile = Tile.from_path(text)
    except EncodingError:
        return
    assert tile.to_path() == text


@given(data=st.binary(max_size=600), width=st.integers(1, 256))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_bundle_in_its_one_spelling_or_refused(data: bytes, width: int) -> None:
    try:
        entries = decode_bundle(data, width)
    except EncodingError:
        return
    assert len(entries) == width
    assert encode_bundle(entries) == data


@given(entries=st.lists(st.binary(max_size=40), min_size=1, max_size=256))
@settings(max_examples=50, deadline=None)
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == tuple(entries)


@given(index=st.integers(0, LARGEST - 1), old=st.integers(1, LARGEST))
@settings(max_examples=50, deadline=None)
def test_proofs_from_tiles_verify(index: int, old: int) -> None:
    entries, tree = oracle()
    growth = TreeEdge().extend(entries)
    reader, root = TileReader(TileSource(dict(growth.files))), growth.edge.root_hash()
    verify_inclusion(
        leaf_hash=compute_leaf_hash(entries[index]),
        leaf_index=index,
        tree_size=LARGEST,
        proof=reader.inclusion_proof(index, LARGEST).hashes,
        root_hash=root,
    )
    verify_consistency(
        old_size=old,
        old_root=tree.root_hash(old),
        new_size=LARGEST,
        new_root=root,
        proof=reader.consistency_proof(old, LARGEST).hashes,
    )
