"""A published log is judged whole: every damage is found and named, and nothing sound is accused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.published import Folder, culprits, judge, publish, sign, verify
from support.tiles import grow, vector_entries
from vetonet.crypto.merkle import EMPTY_ROOT_HASH, MAX_TREE_SIZE, compute_leaf_hash
from vetonet.errors import StorageError
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.tiles import MissingTileError, Tile, decode_bundle, encode_bundle
from vetonet.tlog.tree_edge import TreeEdge

SMALL = (1, 7, 255, 256, 257, 513)
LARGE = (1, 300, 65_535, 65_536, 65_537, 66_000)


def flip(data: bytes, place: int) -> bytes:
    """Return the content with one bit of it changed; places count from the end where they are negative."""
    changed = bytearray(data)
    changed[place] ^= 1 << place % 8
    return bytes(changed)


def iter_damage(data: bytes) -> Iterator[bytes]:
    """Yield contents that a bad disk or a careless hand could make of this one."""
    yield b""
    yield data[:-1]
    yield data + b"\0"
    yield data + data
    yield bytes(len(data))
    yield from (flip(data, place) for place in (0, len(data) // 2, -1))


def forge(files: dict[str, bytes], path: str, place: int, entry: bytes) -> None:
    """Put another entry into a bundle, and its hash into the tile of leaf hashes."""
    bundle = Tile.from_path(path)
    tile = Tile(level=0, index=bundle.index, width=bundle.width).to_path()
    entries = list(decode_bundle(files[path], bundle.width))
    entries[place] = entry
    files[path] = encode_bundle(entries)
    hashes = bytearray(files[tile])
    hashes[place * 32 : (place + 1) * 32] = compute_leaf_hash(entry)
    files[tile] = bytes(hashes)


@pytest.mark.parametrize("sizes", [(1,), (255,), (256,), (257,), (511,), (512,), SMALL, LARGE])
def test_a_sound_log_is_clean(sizes: tuple[int, ...]) -> None:
    report = judge(publish(*sizes))
    assert report.is_clean
    assert report.problems == ()
    assert report.ahead == report.not_judged == ()
    assert report.checkpoint is not None
    assert report.checkpoint.tree_size == sizes[-1]
    assert report.checkpoint_count == len(sizes) + 1
    assert report.tile_count == len(grow(*sizes)[1])


def test_an_empty_log_is_clean() -> None:
    report = judge({"checkpoint": sign(0, EMPTY_ROOT_HASH), "checkpoint.0": sign(0, EMPTY_ROOT_HASH)})
    assert report.is_clean
    assert report.tile_count == 0


def test_every_file_is_read_once() -> None:
    folder = Folder(publish(*LARGE))
    judge_files(folder.files, folder.read, verify)
    assert sorted(folder.asked) == sorted(folder.files)


def test_the_checkpoint_is_read_before_the_files_are_listed() -> None:
    """A log that grows meanwhile has at least the tiles of the checkpoint that was read."""
    folder = Folder(publish(*SMALL))

    def list_late() -> Iterator[str]:
        assert folder.asked == ["checkpoint"]
        yield from folder.files

    assert judge_files(list_late(), folder.read, verify).is_clean


@pytest.mark.parametrize("path", sorted(publish(*SMALL)))
def test_damage_to_any_one_file_is_reported_by_its_name_and_by_no_other(path: str) -> None:
    whole = publish(*SMALL)
    for damaged in iter_damage(whole[path]):
        if damaged != whole[path]:
            report = judge(whole | {path: damaged})
            assert culprits(report) == [path], report.problems


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/255",
        "tile/0/257.p/208",
        "tile/0/256.p/1",
        "tile/0/255.p/255",
        "tile/1/000",
        "tile/1/000.p/255",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/entries/255",
        "tile/entries/257.p/208",
        "checkpoint",
        "checkpoint.300",
    ],
)
def test_damage_in_three_levels_of_tiles_is_reported_by_name(path: str) -> None:
    whole = publish(*LARGE)
    for damaged in iter_damage(whole[path]):
        assert culprits(judge(whole | {path: damaged})) == [path]


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/0/002.p/1", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/1"]
)
def test_a_missing_file_is_reported_by_its_name_and_by_no_other(path: str) -> None:
    files = publish(*SMALL)
    del files[path]
    [problem] = judge(files).problems
    assert str(problem) == f"tile-missing: {path}: expected a file, found none"


def test_a_missing_tile_high_up_leaves_what_is_below_judged() -> None:
    files = publish(*LARGE)
    del files["tile/1/000"]
    assert culprits(judge(files)) == ["tile/1/000"]
    files["tile/0/077"] = flip(files["tile/0/077"], 5)
    files["tile/entries/078"] = flip(files["tile/entries/078"], -1)
    problems = judge(files).problems
    assert [problem.reason for problem in problems][:5] == ["tile-missing", *["tile-mismatch"] * 4]
    disagreeing = ["tile/0/077", "tile/entries/077", "tile/0/078", "tile/entries/078"]
    assert culprits(judge(files))[:5] == ["tile/1/000", *disagreeing]
    assert {problem.reason for problem in problems[5:]} == {"tile-unproven", "checkpoint-unproven"}


def test_a_damaged_tile_high_up_still_tells_which_of_two_below_it_is_wrong() -> None:
    files = publish(*LARGE)
    files["tile/1/000"] = flip(files["tile/1/000"], 0)
    files["tile/0/077"] = flip(files["tile/0/077"], 5)
    files["tile/entries/078"] = flip(files["tile/entries/078"], -1)
    assert culprits(judge(files)) == ["tile/1/000", "tile/0/077", "tile/entries/078"]


def test_tiles_missing_side_by_side_are_one_problem_with_both_ends() -> None:
    files = publish(*LARGE)
    for index in range(10, 20):
        del files[f"tile/0/{index:03}"], files[f"tile/entries/{index:03}"]
    said = "expected a file, found none, and all after it up to"
    assert [str(problem) for problem in judge(files).problems] == [
        f"tile-missing: tile/{kind}/010: {said} tile/{kind}/019" for kind in ("0", "entries")
    ]


def test_every_tile_may_be_missing() -> None:
    files = {path: data for path, data in publish(*LARGE).items() if path.startswith("checkpoint")}
    found = culprits(judge(files))
    assert {"tile/1/001.p/1", "tile/2/000.p/1", "tile/0/257.p/208", "tile/entries/257.p/208"} <= set(found)
    assert {"tile/1/000", "tile/0/256"} <= set(found)
    assert {"checkpoint", "checkpoint.1", "checkpoint.66000"} <= set(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tile/0/000", "tile/0/001"),
        ("tile/entries/000", "tile/entries/001"),
        ("tile/0/002.p/1", "tile/0/001.p/1"),
        ("tile/0/000.p/7", "tile/entries/000.p/7"),
        ("checkpoint.7", "checkpoint.255"),
        ("checkpoint.7", "tile/entries/000.p/7"),
    ],
)
def test_two_files_swapped_are_both_reported(one: str, other: str) -> None:
    files = publish(*SMALL)
    files[one], files[other] = files[other], files[one]
    assert sorted(culprits(judge(files))) == sorted((one, other))


def test_swapped_bundles_and_tiles_together_are_all_reported() -> None:
    files = publish(*SMALL)
    for kind in ("0", "entries"):
        one, other = f"tile/{kind}/000", f"tile/{kind}/001"
        files[one], files[other] = files[other], files[one]
    found = culprits(judge(files))
    assert {"tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"} <= set(found)


def test_an_entry_forged_with_its_hash_is_reported_as_both() -> None:
    files = publish(*SMALL)
    forge(files, "tile/entries/001", 3, b"forged")
    report = judge(files)
    assert culprits(report)[:2] == ["tile/0/001", "tile/entries/001"]
    assert {problem.reason for problem in report.problems[:2]} == {"tile-mismatch"}
    assert culprits(report)[2:] == ["tile/0/001.p/1", "tile/entries/001.p/1", "checkpoint.257"]
    assert {one.reason for one in report.problems[2:]} == {"tile-unproven", "checkpoint-unproven"}


def test_an_entry_forged_up_to_the_top_contradicts_the_checkpoint() -> None:
    entries = vector_entries(0, 513)
    entries[300] = b"forged"
    files = dict(TreeEdge().extend(entries).files) | {"checkpoint": publish(*SMALL)["checkpoint"]}
    [problem] = judge(files).problems
    assert problem.reason == "checkpoint-mismatch"
    assert problem.detail.startswith("checkpoint: expected the root of the first 513 leaves, which is ")


@pytest.mark.parametrize("size", SMALL[:-1])
def test_an_old_checkpoint_over_another_history_is_reported(size: int) -> None:
    files = publish(*SMALL) | {f"checkpoint.{size}": sign(size, compute_leaf_hash(b"another"))}
    [problem] = judge(files).problems
    assert problem.detail.startswith(f"checkpoint.{size}: expected the root of the first {size} leaves")


def test_two_signed_roots_of_the_newest_size_are_reported() -> None:
    files = publish(*SMALL)
    files["checkpoint.513"] = sign(513, compute_leaf_hash(b"another"))
    assert culprits(judge(files)) == ["checkpoint.513"]
    files["checkpoint"], files["checkpoint.513"] = files["checkpoint.513"], files["checkpoint"]
    assert culprits(judge(files)) == ["checkpoint"]


@pytest.mark.parametrize(
    "name", ["checkpoint.8", "checkpoint.07", "checkpoint.000", "checkpoint." + "9" * 5000]
)
def test_an_old_checkpoint_under_another_size_is_reported(name: str) -> None:
    files = publish(*SMALL)
    files[name] = files.pop("checkpoint.7")
    [problem] = judge(files).problems
    assert (problem.reason, problem.detail.partition(":")[0]) == ("checkpoint-misnamed", name)


def test_a_checkpoint_under_a_word_is_judged_too() -> None:
    files = publish(*SMALL)
    files["checkpoint.bak"] = files["checkpoint.7"]
    assert judge(files).is_clean
    files["checkpoint.bak"] = b"garbage"
    assert culprits(judge(files)) == ["checkpoint.bak"]


def test_the_checkpoint_of_another_log_is_reported() -> None:
    files = publish(*SMALL)
    data = files["checkpoint"].replace(b"vetonet.example/log\n", b"vetonet.example/other\n")
    assert culprits(judge(files | {"checkpoint": data})) == ["checkpoint"]


def test_without_any_signed_checkpoint_the_tiles_are_still_measured_against_each_other() -> None:
    files = {**grow(*SMALL)[1], "checkpoint": b"garbage"}
    assert culprits(judge(files)) == ["checkpoint"]
    assert judge(files).checkpoint is None
    files["tile/0/001"] = flip(files["tile/0/001"], 0)
    assert culprits(judge(files)) == ["checkpoint", "tile/0/001"]
    files["tile/entries/002.p/1"] = flip(files["tile/entries/002.p/1"], -1)
    assert culprits(judge(files))[2:] == ["tile/0/002.p/1", "tile/entries/002.p/1"]


def test_a_damaged_newest_checkpoint_leaves_the_largest_old_one_to_judge_by() -> None:
    files = publish(*SMALL)
    files["checkpoint"] = b"garbage"
    files["tile/entries/002.p/1"] = flip(files["tile/entries/002.p/1"], -1)
    assert culprits(judge(files)) == ["checkpoint", "tile/entries/002.p/1"]


def test_a_log_without_a_checkpoint_cannot_be_judged() -> None:
    with pytest.raises(MissingTileError, match=r"^checkpoint: "):
        judge(grow(7)[1])


@pytest.mark.parametrize("path", ["checkpoint", "checkpoint.7", "tile/0/000", "tile/entries/000.p/7"])
def test_a_file_that_cannot_be_read_is_no_verdict(path: str) -> None:
    folder = Folder(publish(*SMALL), unreadable=path)
    with pytest.raises(StorageError, match="cannot be read"):
        judge_files(folder.files, folder.read, verify)


def test_a_log_set_back_to_an_old_checkpoint_is_reported_unless_it_is_live() -> None:
    files = publish(*SMALL)
    files["checkpoint"] = files["checkpoint.256"]
    ahead = [
        "checkpoint.257",
        "checkpoint.513",
        "tile/0/001",
        "tile/0/001.p/1",
        "tile/0/002.p/1",
        "tile/1/000.p/2",
        "tile/entries/001",
        "tile/entries/001.p/1",
        "tile/entries/002.p/1",
    ]
    assert culprits(judge(files)) == ahead
    assert {problem.reason for problem in judge(files).problems} == {"ahead"}
    live = judge(files, is_live=True)
    assert live.is_clean
    assert list(live.ahead) == ahead


def test_a_wider_tile_that_does_not_go_on_from_the_signed_one_is_reported_even_live() -> None:
    files = publish(7, 255)
    files["checkpoint"] = files.pop("checkpoint.7")
    del files["checkpoint.255"]
    assert judge(files, is_live=True).is_clean
    files["tile/0/000.p/255"] = flip(files["tile/0/000.p/255"], 6 * 32)
    assert culprits(judge(files, is_live=True)) == ["tile/0/000.p/255"]


def test_the_full_tile_serves_where_the_partial_one_was_pruned() -> None:
    files = publish(255, 256)
    files["checkpoint"] = files.pop("checkpoint.255")
    del files["checkpoint.256"], files["tile/0/000.p/255"], files["tile/entries/000.p/255"]
    assert judge(files, is_live=True).is_clean
    files["tile/entries/000"] = flip(files["tile/entries/000"], 10)
    assert "tile/entries/000" in culprits(judge(files, is_live=True))


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000.p/0",
        "tile/0/000.p/300",
        "tile/8/000",
        "tile/0/0",
        "tile/x",
        "tile/entries/x000/000",
        "tile/",
    ],
)
def test_a_file_among_the_tiles_that_is_none_is_reported(path: str) -> None:
    [problem] = judge(publish(*SMALL) | {path: b""}).problems
    assert (problem.reason, problem.detail.partition(":")[0]) == ("tile-name", path)


def test_a_name_that_could_steer_a_terminal_is_spelled_out() -> None:
    report = judge(publish(*SMALL) | {"tile/\x1b[2J": b"", "a\nb": b"", "checkpoint.\udcff": b""})
    assert culprits(report) == ["'tile/\\x1b[2J'", "'checkpoint.\\udcff'"]
    assert report.not_judged == ("'a\\nb'",)


def test_files_that_are_not_the_logs_are_named_and_do_no_harm() -> None:
    strange = ("index.html", "tiles/0/000", "checkpoints/1", "checkpoint.d/1", "tile", ".new/checkpoint")
    report = judge(publish(*SMALL) | dict.fromkeys(strange, b""))
    assert report.is_clean
    assert report.not_judged == strange


def test_extra_tiles_are_reported() -> None:
    extra = {"tile/0/003": bytes(8192), "tile/0/x999/x999/999": b"", "tile/7/000.p/1": bytes(32)}
    assert sorted(culprits(judge(publish(*SMALL) | extra))) == sorted(extra)


def test_a_partial_tile_in_a_place_whose_own_is_missing_is_not_vouched_for() -> None:
    files = publish(7, 256)
    del files["tile/0/000"], files["tile/entries/000"]
    found = judge(files)
    assert "tile/0/000.p/7" in culprits(found)
    assert {"tile-unproven", "tile-missing", "checkpoint-unproven"} == {one.reason for one in found.problems}


def test_a_signed_size_beyond_all_bounds_ends_at_once() -> None:
    files = publish(7) | {"checkpoint": sign(MAX_TREE_SIZE, compute_leaf_hash(b"hostile"))}
    report = judge(files)
    assert "tile/7/000.p/127" in culprits(report)
    assert "checkpoint" in culprits(report)
    assert len(report.problems) < 100


def test_stray_files_all_over_a_huge_tree_end_at_once() -> None:
    strays = [Tile(level=level, index=10**6 + level) for level in range(3)]
    files = {tile.to_path(): bytes(8192) for tile in strays}
    files["checkpoint"] = sign(2**40, compute_leaf_hash(b"hostile"))
    found = set(culprits(judge(files)))
    assert {"checkpoint", "tile/entries/x001/x000/000", "tile/5/000.p/1"} <= found
    assert len(found) < 100
