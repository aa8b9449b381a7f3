"""``vetonet log fsck``: clean is 0, wrong is 1 with the file's name, unreadable is 4; each in plain lines."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.published import ORIGIN, log_key, publish, sign
from vetonet.cli import main
from vetonet.cli.exits import Exit

SIZES = (7, 256, 300)
TESSERA = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def flip(path: Path, place: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def fsck(folder: Path, *options: str) -> int:
    vkey = () if "--vkey" in options else ("--vkey", log_key().to_vkey())
    return main.run(("log", "fsck", str(folder), *vkey, *options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "log", publish(*SIZES))


@pytest.fixture
def tessera(shared: Path, tmp_path: Path) -> Path:
    """A copy of another implementation's log that may be written to."""
    copy = tmp_path / "tessera"
    shutil.copytree(shared / "vectors" / "tessera-log" / "log", copy, copy_function=shutil.copyfile)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)
    return copy


def test_a_sound_log_is_clean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fsck(folder) == Exit.OK
    said = capsys.readouterr()
    assert said.out == "clean: 300 leaves in 7 tiles and bundles, 4 checkpoints\n"
    assert said.err == ""


def test_the_tiles_may_be_in_a_folder_of_their_own(tmp_path: Path) -> None:
    lay_out(tmp_path / "tiles", publish(*SIZES))
    assert fsck(tmp_path) == Exit.OK
    assert fsck(tmp_path / "tiles") == Exit.OK


def test_the_log_of_another_implementation_is_clean(
    tessera: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fsck(tessera, "--vkey", TESSERA) == Exit.OK
    assert capsys.readouterr().out == "clean: 15 leaves in 30 tiles and bundles, 17 checkpoints\n"


@pytest.mark.parametrize(
    "path",
    [
        "checkpoint",
        "checkpoint.0",
        "checkpoint.11",
        "tile/0/000.p/1",
        "tile/0/000.p/15",
        "tile/entries/000.p/9",
        "tile/entries/000.p/15",
    ],
)
def test_one_bit_changed_in_it_ends_with_one_and_the_files_name(
    tessera: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    flip(tessera / path, -2)
    assert fsck(tessera, "--vkey", TESSERA) == Exit.NEGATIVE
    line, closing = capsys.readouterr().out.splitlines()
    assert f": {path}: " in line
    assert closing == "1 problem in 30 tiles and bundles, 17 checkpoints"


@pytest.mark.parametrize(
    ("damage", "reason", "path"),
    [
        (lambda folder: (folder / "tile/0/000").unlink(), "tile-missing", "tile/0/000"),
        (lambda folder: (folder / "tile/0/000").write_bytes(b""), "tile-malformed", "tile/0/000"),
        (lambda folder: os.truncate(folder / "tile/0/000", 8191), "tile-malformed", "tile/0/000"),
        (lambda folder: os.truncate(folder / "tile/0/000", 10**10), "tile-malformed", "tile/0/000"),
        (lambda folder: os.truncate(folder / "checkpoint.7", 10**10), "checkpoint-invalid", "checkpoint.7"),
        (lambda folder: flip(folder / "tile/entries/000", 9), "tile-mismatch", "tile/entries/000"),
        (lambda folder: (folder / "tile/x").write_bytes(b""), "tile-name", "tile/x"),
        (lambda folder: (folder / "tile/0/002").write_bytes(bytes(8192)), "ahead", "tile/0/002"),
        (lambda folder: (folder / "checkpoint.x").write_bytes(b"\xff"), "checkpoint-invalid", "checkpoint.x"),
    ],
)
def test_damage_ends_with_one_and_says_what_and_where(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    reason: str,
    path: str,
) -> None:
    damage(folder)
    assert fsck(folder) == Exit.NEGATIVE
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"{reason}: {path}: ")


def test_json_says_the_same_in_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fsck(folder, "--json") == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["clean"], told["origin"], told["tree_size"]) == (True, ORIGIN, 300)
    assert told["problems"] == told["ahead"] == told["not_judged"] == []
    flip(folder / "tile/0/000")
    (folder / "index.html").write_bytes(b"")
    assert fsck(folder, "--json") == Exit.NEGATIVE
    told = json.loads(capsys.readouterr().out)
    assert told["clean"] is False
    assert [problem["reason"] for problem in told["problems"]] == ["tile-mismatch"]
    assert told["problems"][0]["detail"].startswith("tile/0/000: ")
    assert told["not_judged"] == ["index.html"]


def test_files_of_others_are_named_on_the_other_stream(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "index.html").write_bytes(b"")
    (folder / os.fsdecode(b"\xff\x1b[2J")).write_bytes(b"")
    assert fsck(folder) == Exit.OK
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "not judged: '\\udcff\\x1b[2J'",
        "not judged: index.html",
    ]


def test_a_log_at_work_may_have_tiles_ahead(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(folder / "checkpoint.256", folder / "checkpoint")
    assert fsck(folder) == Exit.NEGATIVE
    assert "ahead: tile/0/001.p/44: " in capsys.readouterr().out
    assert fsck(folder, "--live") == Exit.OK
    said = capsys.readouterr()
    assert said.out.startswith("clean: 256 leaves")
    assert said.err == "ahead of the checkpoint: 3 files, from checkpoint.300 on\n"


def test_another_logs_key_makes_every_checkpoint_a_problem(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fsck(folder, "--vkey", TESSERA) == Exit.NEGATIVE
    said = capsys.readouterr().out
    assert said.count("checkpoint-invalid: checkpoint") == 4
    assert "tile-" not in said


def test_the_origin_may_differ_from_the_name_of_the_key(folder: Path) -> None:
    assert fsck(folder, "--origin", "another.example/log") == Exit.NEGATIVE
    assert fsck(folder, "--origin", ORIGIN) == Exit.OK


def test_a_cosigned_checkpoint_is_clean(folder: Path) -> None:
    with (folder / "checkpoint").open("ab") as file:
        file.write("\N{EM DASH} witness.example abcdefgh\n".encode())
    assert fsck(folder) == Exit.OK


@pytest.mark.parametrize("vkey", ["", "x", f"{ORIGIN}+00000000+AAAA", "a\nb+33d7b496+AeHT"])
def test_a_malformed_key_is_misuse(folder: Path, capsys: pytest.CaptureFixture[str], vkey: str) -> None:
    assert fsck(folder, "--vkey", vkey) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: --vkey: ")


def test_a_folder_that_is_not_there_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fsck(tmp_path / "none") == Exit.INVALID
    assert "expected a directory with the tiles of a log, found none" in capsys.readouterr().err


def test_a_folder_without_a_checkpoint_is_unreadable(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "checkpoint").unlink()
    assert fsck(folder) == Exit.INVALID
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"Error: {folder}: checkpoint: expected a file of the log, found none\n"


@pytest.mark.parametrize("path", ["checkpoint", "checkpoint.7", "tile/0/000", "tile/entries/000.p/7"])
def test_a_file_that_cannot_be_read_is_no_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    (folder / path).unlink()
    (folder / path).symlink_to(folder / path)
    assert fsck(folder, "--json") == Exit.INVALID
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["error"]["message"].startswith(f"{folder}: {path}: expected a readable file")


def test_a_pipe_in_the_place_of_a_tile_does_not_make_it_wait(folder: Path) -> None:
    (folder / "tile/0/000").unlink()
    os.mkfifo(folder / "tile/0/000")
    assert fsck(folder) == Exit.INVALID


def test_a_signed_size_beyond_all_bounds_ends_at_once(folder: Path) -> None:
    (folder / "checkpoint").write_bytes(sign(2**63 - 1, bytes(32)))
    assert fsck(folder) == Exit.NEGATIVE
