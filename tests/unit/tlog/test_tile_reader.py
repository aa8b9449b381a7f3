"""What tiles alone say of a log: roots and proofs as the tree has them, and no tile believed unseen."""

from __future__ import annotations

from functools import cache

import pytest

from support.tiles import TileSource, grow, vector_entries
from vetonet.crypto.merkle import MAX_TREE_SIZE, Tree, compute_leaf_hash
from vetonet.errors import ProofError, RefusedError
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import MissingTileError
from vetonet.tlog.vectors_tiles import make_vector_entry

SIZES = (1, 2, 255, 256, 257, 300, 511, 512, 513)
LARGE = 65_537


@cache
def tree() -> Tree:
    return Tree(compute_leaf_hash(make_vector_entry(index)) for index in range(LARGE))


@pytest.fixture
def source() -> TileSource:
    return TileSource(grow(*SIZES)[1])


@pytest.fixture
def large() -> TileSource:
    return TileSource(grow(*SIZES, 65_535, 65_536, LARGE)[1])


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_of_every_size_is_that_of_the_tree(source: TileSource, size: int) -> None:
    assert TileReader(source).root_hash(size) == tree().root_hash(size)


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_hash_and_inclusion_proof_is_that_of_the_tree(source: TileSource, size: int) -> None:
    reader = TileReader(source)
    for index in range(size):
        assert reader.leaf_hash(index, size) == tree().leaf_hash(index)
        assert reader.inclusion_proof(index, size) == tree().inclusion_proof(index, size)


@pytest.mark.parametrize("new", SIZES)
def test_every_consistency_proof_is_that_of_the_tree(source: TileSource, new: int) -> None:
    reader = TileReader(source)
    for old in range(1, new + 1):
        assert reader.consistency_proof(old, new) == tree().consistency_proof(old, new)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_three_levels_of_tiles_give_the_proofs_of_the_tree(large: TileSource, size: int) -> None:
    reader = TileReader(large)
    assert reader.root_hash(size) == tree().root_hash(size)
    for index in (0, 255, 256, 32_767, 65_279, 65_280, size - 1):
        assert reader.inclusion_proof(index, size) == tree().inclusion_proof(index, size)
        assert reader.consistency_proof(index + 1, size) == tree().consistency_proof(index + 1, size)


def test_one_reader_answers_for_sizes_in_any_order(large: TileSource) -> None:
    reader = TileReader(large, cached_tiles=3)
    for size in (65_537, 257, 65_535, 1, 256, 65_536, 513):
        assert reader.root_hash(size) == tree().root_hash(size)
        assert reader.inclusion_proof(size // 2, size) == tree().inclusion_proof(size // 2, size)


def test_a_cache_of_one_tile_is_enough(large: TileSource) -> None:
    reader = TileReader(large, cached_tiles=1)
    assert reader.inclusion_proof(4_711, LARGE) == tree().inclusion_proof(4_711, LARGE)


def test_a_cached_tile_is_not_asked_for_again(large: TileSource) -> None:
    reader = TileReader(large)
    reader.inclusion_proof(300, LARGE)
    asked = len(large.asked)
    reader.inclusion_proof(301, LARGE)
    assert len(large.asked) == asked
    assert not any("entries" in path for path in large.asked)


def test_the_cache_is_bounded(large: TileSource) -> None:
    reader = TileReader(large, cached_tiles=5)
    for index in range(0, LARGE, 256):
        reader.leaf_hash(index, LARGE)
        assert len(reader._tiles) <= 5


def test_the_full_tile_serves_where_the_partial_one_is_gone(source: TileSource) -> None:
    del source.files["tile/0/000.p/255"]
    del source.files["tile/entries/000.p/255"]
    reader = TileReader(source)
    assert reader.root_hash(255) == tree().root_hash(255)
    assert reader.inclusion_proof(254, 255) == tree().inclusion_proof(254, 255)
    root = tree().root_hash(255)
    assert list(reader.entries(0, 255, 255, root_hash=root)) == vector_entries(0, 255)
    assert reader.edge_entries(255) == tuple(vector_entries(0, 255))


def test_a_tile_that_is_nowhere_is_named_by_the_path_that_was_needed(source: TileSource) -> None:
    del source.files["tile/0/001.p/44"]
    with pytest.raises(MissingTileError, match=r"^tile/0/001\.p/44: ") as refusal:
        TileReader(TileSource({k: v for k, v in source.files.items() if k != "tile/0/001"})).root_hash(300)
    assert refusal.value.path == "tile/0/001.p/44"
    source.files.pop("tile/0/000")
    with pytest.raises(MissingTileError, match=r"^tile/0/000: "):
        TileReader(source).leaf_hash(0, 513)


@pytest.mark.parametrize("length", [0, 31, 33, 44 * 32 - 1, 44 * 32 + 32, 8192])
def test_a_partial_tile_of_another_length_is_refused(source: TileSource, length: int) -> None:
    source.files["tile/0/001.p/44"] = bytes(length)
    with pytest.raises(ProofError, match=rf"^tile/0/001\.p/44: expected 1408 bytes of hashes, got {length}$"):
        TileReader(source).root_hash(300)


@pytest.mark.parametrize("length", [0, 8160, 8191, 8193, 16384])
def test_a_full_tile_of_another_length_is_refused(source: TileSource, length: int) -> None:
    source.files["tile/0/000"] = bytes(length)
    with pytest.raises(ProofError, match=r"^tile/0/000: expected 8192 bytes"):
        TileReader(source).inclusion_proof(0, 513)


def test_a_full_tile_whose_root_is_not_in_the_tile_above_is_refused(large: TileSource) -> None:
    for path, index in (("tile/0/000", 0), ("tile/1/000", 0), ("tile/0/255", 65_535)):
        held = large.files[path]
        large.files[path] = held[:100] + bytes([held[100] ^ 1]) + held[101:]
        with pytest.raises(ProofError, match=f"^{path}: "):
            TileReader(large).inclusion_proof(index, LARGE)
        large.files[path] = held


def test_what_the_source_raises_comes_out() -> None:
    def fail(_tile: object) -> bytes:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        TileReader(fail).root_hash(1)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5), (0, MAX_TREE_SIZE + 1)])
def test_a_leaf_outside_the_tree_is_refused(source: TileSource, index: int, size: int) -> None:
    reader = TileReader(source)
    with pytest.raises(RefusedError, match=f"no leaf {index} among {size}"):
        reader.inclusion_proof(index, size)
    with pytest.raises(RefusedError, match=f"no leaf {index} among {size}"):
        reader.leaf_hash(index, size)
    assert source.asked == []


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5), (1, MAX_TREE_SIZE + 1)])
def test_sizes_without_a_consistency_proof_are_refused(source: TileSource, old: int, new: int) -> None:
    with pytest.raises(RefusedError, match="no consistency proof"):
        TileReader(source).consistency_proof(old, new)


@pytest.mark.parametrize("size", [-1, MAX_TREE_SIZE + 1])
def test_a_size_that_no_tree_has_is_refused(source: TileSource, size: int) -> None:
    reader = TileReader(source)
    for ask in (reader.root_hash, reader.edge_hashes, reader.edge_entries):
        with pytest.raises(RefusedError, match="no tree"):
            ask(size)


def test_a_reader_without_room_for_a_tile_is_refused(source: TileSource) -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        TileReader(source, cached_tiles=0)


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [(0, 0, 0), (0, 0, 5), (0, 1, 1), (0, 513, 513), (200, 300, 300), (255, 257, 300), (512, 513, 513)],
)
def test_entries_come_in_their_order(source: TileSource, start: int, end: int, size: int) -> None:
    found = TileReader(source).entries(start, end, size, root_hash=tree().root_hash(size))
    assert list(found) == vector_entries(start, end)


def test_entries_of_a_large_log_are_read_with_one_tile_of_each_level(large: TileSource) -> None:
    reader = TileReader(large)
    found = reader.entries(60_000, LARGE, LARGE, root_hash=tree().root_hash(LARGE))
    assert list(found) == vector_entries(60_000, LARGE)
    assert len(large.asked) == len(set(large.asked))
    assert [path for path in large.asked if path.startswith("tile/0/")] == ["tile/0/256.p/1"]


@pytest.mark.parametrize(("start", "end", "size"), [(-1, 1, 5), (3, 2, 5), (0, 6, 5)])
def test_entries_outside_the_tree_are_refused_at_once(
    source: TileSource, start: int, end: int, size: int
) -> None:
    with pytest.raises(RefusedError, match="no entries"):
        TileReader(source).entries(start, end, size, root_hash=tree().root_hash(5))


def test_no_entry_of_a_tree_with_another_root_comes_out(source: TileSource) -> None:
    found = TileReader(source).entries(0, 513, 513, root_hash=tree().root_hash(512))
    with pytest.raises(ProofError, match="root of 513 leaves differs"):
        next(found)


@pytest.mark.parametrize(
    ("path", "culprit"),
    [
        ("tile/entries/000", "tile/entries/000"),
        ("tile/entries/002.p/1", r"tile/entries/002\.p/1"),
        ("tile/1/000.p/2", "root of 513 leaves differs"),
        ("tile/0/002.p/1", "root of 513 leaves differs"),
    ],
)
def test_a_changed_file_gives_no_entry_and_is_named(source: TileSource, path: str, culprit: str) -> None:
    source.files[path] = source.files[path][:-1] + bytes([source.files[path][-1] ^ 0x80])
    found = TileReader(source).entries(0, 513, 513, root_hash=tree().root_hash(513))
    with pytest.raises(ProofError, match=f"^{culprit}"):
        list(found)


def test_a_changed_tile_between_root_and_entries_is_named(large: TileSource) -> None:
    large.files["tile/1/000"] = large.files["tile/1/000"][:-32] + bytes(32)
    found = TileReader(large).entries(0, 1, LARGE, root_hash=tree().root_hash(LARGE))
    with pytest.raises(ProofError, match=r"^tile/1/000: "):
        list(found)


def test_a_source_that_changes_its_mind_about_the_edge_gains_nothing(source: TileSource) -> None:
    found = TileReader(source).entries(0, 513, 513, root_hash=tree().root_hash(513))
    assert next(found) == make_vector_entry(0)
    forged = grow(513)[1] | {"tile/entries/002.p/1": b"\0\1x", "tile/0/002.p/1": compute_leaf_hash(b"x")}
    source.files.update(forged)
    with pytest.raises(ProofError, match=r"^tile/entries/002\.p/1: "):
        list(found)
