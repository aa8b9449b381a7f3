"""The right edge: the tree and the tiles it makes are those of all leaves together, however they came."""

from __future__ import annotations

from hashlib import sha256

import pytest

from support.tiles import TileSource, grow, vector_entries
from vetonet.crypto.merkle import EMPTY_ROOT_HASH, MAX_TREE_SIZE, compute_leaf_hash, compute_root
from vetonet.errors import ProofError, RefusedError
from vetonet.tlog.tile_fetch import make_tile
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import MAX_ENTRY_BYTES, MissingTileError, list_new_tiles, list_tiles
from vetonet.tlog.tree_edge import TreeEdge
from vetonet.tlog.vectors_tiles import make_vector_entry

STEPS = (1, 2, 7, 8, 255, 256, 257, 300, 511, 512, 513, 1024, 1025)


def test_a_new_edge_is_that_of_the_empty_tree() -> None:
    assert TreeEdge().root_hash() == EMPTY_ROOT_HASH
    assert TreeEdge().extend([]).files == ()


def test_one_entry_makes_one_tile_and_one_bundle() -> None:
    growth = TreeEdge().extend([b"one"])
    assert growth.files == (
        ("tile/0/000.p/1", sha256(b"\0one").digest()),
        ("tile/entries/000.p/1", b"\0\3one"),
    )
    assert growth.edge.root_hash() == sha256(b"\0one").digest()


@pytest.mark.parametrize("size", STEPS)
def test_the_root_is_that_of_all_leaves(size: int) -> None:
    expected = compute_root(compute_leaf_hash(entry) for entry in vector_entries(0, size))
    assert grow(size)[0].root_hash() == expected


@pytest.mark.parametrize("old", [0, *STEPS])
def test_the_way_by_which_a_tree_grew_leaves_no_trace(old: int) -> None:
    for new in (size for size in STEPS if size > old):
        edge, files = grow(old, new)
        assert edge == grow(new)[0]
        assert {path: files[path] for path in grow(new)[1]} == grow(new)[1]


@pytest.mark.parametrize("old", [0, *STEPS])
def test_exactly_the_new_tiles_are_written_in_their_order(old: int) -> None:
    for new in (size for size in STEPS if size >= old):
        growth = grow(old)[0].extend(vector_entries(old, new))
        assert [path for path, _ in growth.files] == [tile.to_path() for tile in list_new_tiles(old, new)]


def test_one_entry_at_a_time_writes_every_partial_tile() -> None:
    edge, files = grow(*range(600))
    assert edge == grow(599)[0]
    for size in (1, 100, 256, 599):
        assert {tile.to_path() for tile in list_tiles(size)} <= files.keys()


@pytest.mark.parametrize("size", [0, *STEPS])
def test_an_edge_comes_back_from_its_tiles(size: int) -> None:
    edge, files = grow(size)
    assert TreeEdge.from_tiles(TileReader(TileSource(files)), size) == edge


@pytest.mark.parametrize("size", [1, 255, 257, 511])
def test_an_edge_of_an_earlier_size_comes_back_too(size: int) -> None:
    assert TreeEdge.from_tiles(TileReader(TileSource(grow(*STEPS)[1])), size) == grow(size)[0]


def test_three_levels_of_tiles_grow_and_come_back() -> None:
    edge, files = grow(65_535, 65_536, 65_537)
    assert edge == grow(65_537)[0]
    assert files["tile/2/000.p/1"] == TileReader(TileSource(files)).root_hash(65_536)
    assert TreeEdge.from_tiles(TileReader(TileSource(files)), 65_537) == edge


def test_restoring_reads_only_the_edge() -> None:
    source = TileSource(grow(65_535, 65_536, 65_537)[1])
    TreeEdge.from_tiles(TileReader(source), 65_537)
    assert source.asked == ["tile/0/256.p/1", "tile/2/000.p/1", "tile/entries/256.p/1"]


def test_a_failed_write_leaves_the_edge_as_it_was() -> None:
    edge = grow(300)[0]
    before = edge.root_hash()
    lost = edge.extend([b"lost"])
    assert edge.root_hash() == before
    assert edge.extend([make_vector_entry(300)]).edge == grow(301)[0]
    assert lost.edge != grow(301)[0]


def test_an_edge_whose_entries_are_not_those_of_its_hashes_is_refused() -> None:
    source = TileSource(grow(300)[1])
    source.files["tile/entries/001.p/44"] = b"\0\1x" * 44
    with pytest.raises(ProofError, match=r"^tile/entries/001\.p/44: .* tile/0/001\.p/44$"):
        TreeEdge.from_tiles(TileReader(source), 300)


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_an_edge_with_a_file_missing_or_cut_is_refused(path: str) -> None:
    source = TileSource(grow(300)[1])
    source.files[path] = source.files[path][:-1]
    with pytest.raises(ProofError, match=f"^{path}: expected"):
        TreeEdge.from_tiles(TileReader(source), 300)
    del source.files[path]
    with pytest.raises(MissingTileError, match=f"^{path}: "):
        TreeEdge.from_tiles(TileReader(source), 300)


def test_an_entry_that_fits_no_bundle_is_refused_and_the_largest_that_fits_is_not() -> None:
    assert TreeEdge().extend([bytes(MAX_ENTRY_BYTES)]).edge.tree_size == 1
    with pytest.raises(RefusedError, match="at most 65535 bytes, got 65536"):
        TreeEdge().extend([b"small", bytes(MAX_ENTRY_BYTES + 1)])


def test_a_tree_does_not_outgrow_its_readers() -> None:
    size = MAX_TREE_SIZE
    levels = tuple(bytes(32 * ((size >> 8 * level) % 256)) for level in range(8))
    edge = TreeEdge(tree_size=size, levels=levels, entries=(b"",) * 255)
    assert edge.extend([]).edge == edge
    with pytest.raises(RefusedError, match="at most"):
        edge.extend([b""])


@pytest.mark.parametrize(
    ("size", "levels", "entries"),
    [
        (-1, (b"",) * 8, ()),
        (MAX_TREE_SIZE + 1, (b"",) * 8, ()),
        (1, (b"",) * 8, (b"",)),
        (1, (bytes(32), *(b"",) * 7), ()),
        (1, (bytes(31), *(b"",) * 7), (b"",)),
        (256, (b"",) * 8, ()),
        (0, (b"",) * 7, ()),
        (0, (b"",) * 9, ()),
    ],
)
def test_an_edge_that_no_tree_has_is_refused(
    size: int, levels: tuple[bytes, ...], entries: tuple[bytes, ...]
) -> None:
    with pytest.raises(ValueError, match=r"no tree has|not the partial"):
        TreeEdge(tree_size=size, levels=levels, entries=entries)


def test_a_tile_has_the_width_that_the_tree_gives_it() -> None:
    assert make_tile(0, 1, 300).to_path() == "tile/0/001.p/44"
    assert make_tile(None, 0, 300).to_path() == "tile/entries/000"
