"""One suite for every tile store: files go in once and whole, and nothing but a log's files has a name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.tiles import grow
from vetonet.errors import EncodingError, StorageError
from vetonet.storage import CorruptTileError, FileTileStore, MemoryTileStore, TileStore
from vetonet.storage.file_tiles import NEW_FOLDER
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.tiles import MissingTileError

BACK_ENDS: dict[str, Callable[[Path], TileStore]] = {
    "memory": lambda _: MemoryTileStore(),
    "files": FileTileStore,
}
FOREIGN = (
    "",
    ".",
    "..",
    "../checkpoint",
    "/etc/passwd",
    "tile/../checkpoint",
    "tile/0/000/",
    "tile/0/x000/000",
    "tile/8/000",
    "checkpoint/",
    "checkpoint.",
    "checkpoint.1/../x",
    "Checkpoint",
    "tile/entries/000.p/256",
    "index.html",
    ".new/checkpoint",
    "tile/0/000\0",
    "checkpoint.1\0",
)
READABLE = (
    "checkpoint.-1",
    "checkpoint.01",
    "checkpoint.1\n",
    "checkpoint.bak",
    "checkpoint..",
    "checkpoint.\udcff",
)


@pytest.fixture(params=BACK_ENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TileStore:
    return BACK_ENDS[request.param](tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> FileTileStore:
    return FileTileStore(tmp_path)


def test_a_new_store_is_empty(store: TileStore) -> None:
    assert list(store.list_paths()) == []
    assert not store.has("checkpoint")
    with pytest.raises(MissingTileError, match=r"^checkpoint: expected a file of the log, found none$"):
        store.read("checkpoint")


def test_what_was_written_is_read_and_listed(store: TileStore) -> None:
    files = grow(1, 255, 300)[1]
    store.write_all(files.items())
    store.write_checkpoint(b"signed")
    assert {path: store.read(path) for path in files} == files
    assert all(store.has(path) for path in (*files, "checkpoint"))
    assert sorted(store.list_paths()) == sorted((*files, "checkpoint"))


def test_a_deep_path_has_its_folders(store: TileStore) -> None:
    store.write_all([("tile/entries/x001/x234/067", b"bundle")])
    assert store.read("tile/entries/x001/x234/067") == b"bundle"
    assert not store.has("tile/entries/x001/x234/067.p/1")
    assert list(store.list_paths()) == ["tile/entries/x001/x234/067"]


def test_the_same_content_may_come_again(store: TileStore) -> None:
    for _ in range(2):
        store.write_all([("tile/0/000.p/1", bytes(32)), ("checkpoint.1", b"one")])
    assert store.read("tile/0/000.p/1") == bytes(32)


@pytest.mark.parametrize("path", ["tile/0/000.p/1", "tile/entries/000.p/1", "checkpoint.1"])
@pytest.mark.parametrize("other", [b"", b"on", b"onf", b"one more"])
def test_another_content_under_an_immutable_name_is_refused(
    store: TileStore, path: str, other: bytes
) -> None:
    store.write_all([(path, b"one")])
    with pytest.raises(CorruptTileError, match=f"^{path}: ") as refusal:
        store.write_all([(path, other)])
    assert refusal.value.path == path
    assert store.read(path) == b"one"


def test_only_the_checkpoint_changes(store: TileStore) -> None:
    store.write_checkpoint(b"old")
    store.write_checkpoint(b"newer")
    store.write_checkpoint(b"new")
    assert store.read("checkpoint") == b"new"
    with pytest.raises(EncodingError, match="path of a tile"):
        store.write_all([("checkpoint", b"by the way")])
    assert store.read("checkpoint") == b"new"


@pytest.mark.parametrize("path", FOREIGN)
def test_a_path_that_is_not_the_logs_is_refused_by_every_method(store: TileStore, path: str) -> None:
    with pytest.raises(EncodingError, match="path of a tile"):
        store.read(path)
    with pytest.raises(EncodingError, match="path of a tile"):
        store.has(path)
    with pytest.raises(EncodingError, match="path of a tile"):
        store.write_all([("tile/0/000.p/1", bytes(32)), (path, b"x")])
    assert list(store.list_paths()) == []


@pytest.mark.parametrize("path", [*READABLE, "checkpoint.99999999999999999999", "checkpoint.\ud800"])
def test_a_checkpoint_that_is_archived_under_no_size_may_be_read_but_not_written(
    store: TileStore, path: str
) -> None:
    assert not store.has(path)
    with pytest.raises(MissingTileError):
        store.read(path)
    with pytest.raises(EncodingError, match="path of a tile"):
        store.write_all([(path, b"x")])


@pytest.mark.parametrize("path", READABLE)
def test_a_checkpoint_that_somebody_set_aside_is_read(
    folder: FileTileStore, tmp_path: Path, path: str
) -> None:
    (tmp_path / path).write_bytes(b"aside")
    assert list(folder.list_paths()) == [path]
    assert folder.read(path) == b"aside"


def test_a_content_that_no_such_file_can_have_is_refused(store: TileStore) -> None:
    with pytest.raises(ValueError, match="at most 32 bytes, got 33"):
        store.write_all([("tile/0/000.p/1", bytes(33))])
    with pytest.raises(ValueError, match=r"^checkpoint: a file of at most"):
        store.write_checkpoint(bytes(MAX_NOTE_BYTES + 1))
    assert list(store.list_paths()) == []


def test_partial_tiles_go_when_the_full_one_is_there(store: TileStore) -> None:
    store.write_all(grow(1, 255, 256, 300)[1].items())
    store.write_all([("tile/7/000.p/100", bytes(3200))])
    store.write_checkpoint(b"signed")
    assert store.prune_partials() == 4
    assert sorted(store.list_paths()) == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/7/000.p/100",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ]
    assert store.prune_partials() == 0


def test_a_store_without_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected a directory with the tiles of a log, found none"):
        FileTileStore(tmp_path / "none")


def test_opening_and_reading_write_nothing(folder: FileTileStore, tmp_path: Path) -> None:
    assert not folder.has("checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_another_store_over_the_directory_sees_the_files(folder: FileTileStore, tmp_path: Path) -> None:
    folder.write_all(grow(300)[1].items())
    again = FileTileStore(tmp_path)
    assert list(again.list_paths()) == list(folder.list_paths())
    with pytest.raises(CorruptTileError):
        again.write_all([("tile/0/000", bytes(8192))])


def test_what_a_kill_left_half_written_is_not_listed_and_cleared_by_the_next_writer(
    folder: FileTileStore, tmp_path: Path
) -> None:
    (tmp_path / NEW_FOLDER).mkdir()
    (tmp_path / NEW_FOLDER / "tile-0-000.p-1").write_bytes(b"half")
    (tmp_path / NEW_FOLDER / "tile-0-001").write_bytes(b"half")
    assert list(folder.list_paths()) == []
    folder.write_all([("tile/0/000.p/1", bytes(32))])
    assert folder.read("tile/0/000.p/1") == bytes(32)
    assert list((tmp_path / NEW_FOLDER).iterdir()) == []


def test_files_of_others_are_listed_but_not_read(folder: FileTileStore, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"hello")
    (tmp_path / "tile").mkdir()
    (tmp_path / "tile" / ".DS_Store").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    assert sorted(folder.list_paths()) == ["index.html", "link", "tile/.DS_Store"]


def test_a_pipe_in_the_place_of_a_tile_is_refused_and_not_waited_for(
    folder: FileTileStore, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(StorageError, match=r"^checkpoint: expected a regular file"):
        folder.read("checkpoint")


def test_a_folder_in_the_place_of_a_tile_is_refused(folder: FileTileStore, tmp_path: Path) -> None:
    (tmp_path / "tile" / "0" / "000").mkdir(parents=True)
    assert not folder.has("tile/0/000")
    with pytest.raises(StorageError, match=r"^tile/0/000: "):
        folder.read("tile/0/000")
    with pytest.raises(StorageError, match=r"^tile/0/000: "):
        folder.write_all([("tile/0/000", b"x")])


def test_a_file_in_the_place_of_a_folder_is_no_tile(folder: FileTileStore, tmp_path: Path) -> None:
    (tmp_path / "tile").write_bytes(b"")
    with pytest.raises(MissingTileError):
        folder.read("tile/0/000")
    with pytest.raises(StorageError, match=r"^tile/0/000: cannot be made durable"):
        folder.write_all([("tile/0/000", b"x")])


def test_an_oversize_file_is_read_only_as_far_as_shows_it(folder: FileTileStore, tmp_path: Path) -> None:
    folder.write_all([("tile/0/000.p/1", bytes(32))])
    (tmp_path / "tile" / "0" / "000.p" / "1").write_bytes(bytes(1_000_000))
    assert folder.read("tile/0/000.p/1") == bytes(33)


def test_a_loop_of_links_is_an_error_and_no_hang(folder: FileTileStore, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(tmp_path / "checkpoint")
    with pytest.raises(StorageError, match=r"^checkpoint: expected a readable file"):
        folder.read("checkpoint")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_name_absent_and_the_next_try_works(
    folder: FileTileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.write_checkpoint(b"old")
    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(os, failing, fail)
        else:
            patch.setattr(Path, failing, fail)
        with pytest.raises(StorageError, match=r"^tile/0/000\.p/1: cannot be made durable: No space left"):
            folder.write_all([("tile/0/000.p/1", bytes(32))])
        with pytest.raises(StorageError, match=r"^checkpoint: "):
            folder.write_checkpoint(b"new")
        assert folder.read("checkpoint") == b"old"
        assert not folder.has("tile/0/000.p/1")
        assert list((tmp_path / NEW_FOLDER).iterdir()) == []
    folder.write_all([("tile/0/000.p/1", bytes(32))])
    assert folder.has("tile/0/000.p/1")


def test_a_file_is_durable_before_its_name_and_each_folder_once_a_batch(
    folder: FileTileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    def name_synced() -> list[str]:
        """A renamed file keeps its number, so it is named by where it is now."""
        found = {path.stat().st_ino: path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
        return [found.get(number, ".") for number in synced]

    monkeypatch.setattr(os, "fsync", record)
    folder.write_all([("tile/0/000.p/1", bytes(32)), ("tile/0/001.p/1", bytes(32))])
    assert name_synced()[:2] == ["tile/0/000.p/1", "tile/0/001.p/1"]
    assert sorted(name_synced()[2:]) == [".", "tile", "tile/0", "tile/0/000.p", "tile/0/001.p"]
    assert name_synced()[-1] == "."
    del synced[:]
    folder.write_all([("tile/0/000.p/1", bytes(32))])
    assert name_synced() == ["tile/0/000.p", "tile/0", "tile", "."]


def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_one(
    folder: FileTileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_all([("tile/0/000.p/1", bytes(32))])
    real = os.scandir

    def fail(path: Path) -> object:
        if Path(path).name == "000.p":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(StorageError, match=r"^tile/0/000\.p/: expected a readable file"):
        list(folder.list_paths())


def test_a_directory_of_tiles_that_cannot_even_be_looked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        FileTileStore(tmp_path / ("x" * 300))
