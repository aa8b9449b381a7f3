"""Tiles by name: one spelling, the tiles of every size, and bundles that hold exactly what they say."""

from __future__ import annotations

import pytest

from vetonet.crypto.merkle import MAX_TREE_SIZE
from vetonet.errors import EncodingError
from vetonet.tlog.tiles import (
    MAX_ENTRY_BYTES,
    Tile,
    decode_bundle,
    encode_bundle,
    list_new_tiles,
    list_tiles,
)


def paths(old_size: int, new_size: int) -> list[str]:
    return [tile.to_path() for tile in list_new_tiles(old_size, new_size)]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=0), "tile/0/000"),
        (Tile(level=0, index=0, width=1), "tile/0/000.p/1"),
        (Tile(level=1, index=999, width=255), "tile/1/999.p/255"),
        (Tile(level=3, index=1000), "tile/3/x001/000"),
        (Tile(level=0, index=1_234_067), "tile/0/x001/x234/067"),
        (Tile(level=None, index=1_234_067, width=9), "tile/entries/x001/x234/067.p/9"),
        (Tile(level=7, index=0, width=127), "tile/7/000.p/127"),
        (Tile(level=0, index=2**55 - 1, width=255), "tile/0/x036/x028/x797/x018/x963/967.p/255"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile.to_path() == path
    assert Tile.from_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/X001/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.P/1",
        "tile/0/000\n",
        "/tile/0/000",
        "./tile/0/000",
        "tile//0/000",
        "tile/0/../0/000",
        "tile/0/\N{ARABIC-INDIC DIGIT ONE}00",
        "tile/0/000.p/\N{SUPERSCRIPT TWO}",
        "tile/7/000",
        "tile/7/001.p/1",
        "tile/7/000.p/128",
        "tile/0/x036/x028/x797/x018/x963/967",
        "tile/0/x036/x028/x797/x018/x963/968.p/1",
        "tile/0/" + "x999/" * 1000 + "999",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(EncodingError, match="expected"):
        Tile.from_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (8, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257), (7, 0, 128), (7, 1, 1), (None, 2**55, 1)],
)
def test_a_tile_that_no_tree_has_is_refused(level: int | None, index: int, width: int) -> None:
    with pytest.raises(EncodingError, match="expected a tile"):
        Tile(level=level, index=index, width=width)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, ["tile/0/000.p/1", "tile/entries/000.p/1"]),
        (255, ["tile/0/000.p/255", "tile/entries/000.p/255"]),
        (256, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]),
        (
            257,
            ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/1"],
        ),
    ],
)
def test_a_tree_consists_of_these_tiles(size: int, expected: list[str]) -> None:
    assert [tile.to_path() for tile in list_tiles(size)] == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (0, 0, []),
        (256, 256, []),
        (255, 255, []),
        (255, 256, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]),
        (256, 257, ["tile/0/001.p/1", "tile/entries/001.p/1"]),
        (257, 300, ["tile/0/001.p/44", "tile/entries/001.p/44"]),
        (
            65535,
            65536,
            ["tile/0/255", "tile/1/000", "tile/2/000.p/1", "tile/entries/255"],
        ),
    ],
)
def test_a_growing_tree_changes_these_tiles(old: int, new: int, expected: list[str]) -> None:
    assert paths(old, new) == expected


@pytest.mark.parametrize(("old", "new"), [(0, 700), (1, 255), (200, 300), (255, 513), (511, 65_537)])
def test_new_tiles_are_those_the_larger_tree_has_and_the_smaller_has_not(old: int, new: int) -> None:
    before = set(list_tiles(old))
    assert list(list_new_tiles(old, new)) == [tile for tile in list_tiles(new) if tile not in before]


def test_the_tiles_of_the_largest_tree_are_listed_without_being_held() -> None:
    assert next(list_tiles(MAX_TREE_SIZE)) == Tile(level=0, index=0)
    last = paths(MAX_TREE_SIZE - 1, MAX_TREE_SIZE)
    assert last == [
        "tile/0/x036/x028/x797/x018/x963/967.p/255",
        "tile/entries/x036/x028/x797/x018/x963/967.p/255",
    ]


@pytest.mark.parametrize("tile", [*list_tiles(700), Tile(level=2, index=3, width=7)])
def test_the_smallest_tree_with_a_tile_has_it_and_the_next_smaller_has_not(tile: Tile) -> None:
    assert tile in list_tiles(tile.min_tree_size)
    assert tile not in list_tiles(tile.min_tree_size - 1)


@pytest.mark.parametrize(("old", "new"), [(-1, 0), (1, 0), (0, MAX_TREE_SIZE + 1)])
def test_a_tree_that_shrinks_or_outgrows_every_reader_has_no_tiles(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no tree"):
        list_new_tiles(old, new)


@pytest.mark.parametrize(
    ("entries", "data"),
    [
        ([b""], "0000"),
        ([b"one", b"", b"three"], "00036f6e650000" + "00057468726565"),
        ([b"\xff" * MAX_ENTRY_BYTES], "ffff" + "ff" * MAX_ENTRY_BYTES),
        ([b"x"] * 256, "000178" * 256),
    ],
)
def test_a_bundle_is_entries_after_their_lengths(entries: list[bytes], data: str) -> None:
    assert encode_bundle(entries) == bytes.fromhex(data)
    assert decode_bundle(bytes.fromhex(data), len(entries)) == tuple(entries)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(MAX_ENTRY_BYTES + 1)]])
def test_a_bundle_that_no_reader_could_read_is_not_made(entries: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"bundle holds|entry has"):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "width"),
    [("", 1), ("00", 1), ("0001", 1), ("000178", 2), ("00017800", 2), ("00017800", 1), ("0001780000", 1)],
)
def test_a_bundle_cut_short_or_with_bytes_to_spare_is_refused(data: str, width: int) -> None:
    with pytest.raises(EncodingError, match=f"expected {width} entries"):
        decode_bundle(bytes.fromhex(data), width)
