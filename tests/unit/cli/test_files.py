from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import (
    CHUNK_BYTES,
    iter_input,
    make_folder,
    read_input,
    read_text_input,
    require_empty,
    write_chunks,
    write_output,
    write_secret,
)


def refuse(path: Path, maximum: int = 10) -> Failure:
    with pytest.raises(Failure) as caught:
        read_input(path, "a bundle", maximum=maximum)
    assert caught.value.code == Exit.INVALID
    assert "expected a bundle" in caught.value.message
    return caught.value


def test_a_file_of_just_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert read_input(path, "a bundle", maximum=10) == b"0123456789"


def test_a_file_above_the_largest_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert "at most 10 bytes, got 1099511627776" in refuse(path).message


def test_a_large_file_comes_in_chunks_and_whole(tmp_path: Path) -> None:
    content = hashlib.shake_128(b"large").digest(CHUNK_BYTES + 1)
    (tmp_path / "large").write_bytes(content)
    chunks = list(iter_input(tmp_path / "large", "a file", maximum=len(content)))
    assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, 1]
    assert b"".join(chunks) == content
    with pytest.raises(Failure, match="at most"):
        list(iter_input(tmp_path / "large", "a file", maximum=len(content) - 1))


def test_chunks_that_fail_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_output(path, b"before")

    def fail() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_chunks(path, fail())
    assert path.read_bytes() == b"before"
    assert [left.name for left in tmp_path.iterdir()] == ["file"]
    write_chunks(path, iter([b"af", b"ter"]))
    assert path.read_bytes() == b"after"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is none" in refuse(tmp_path / "nothing").message


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "got a folder" in refuse(tmp_path).message


def test_a_device_without_end_is_refused() -> None:
    assert "a device or a pipe" in refuse(Path("/dev/zero")).message


def test_a_pipe_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert "a device or a pipe" in refuse(path).message


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert refuse(Path("nul\0byte")).reason == "input"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert "too long" in refuse(tmp_path / ("x" * 1000)).message


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    path.write_bytes(b"x")
    path.chmod(0)
    assert "Permission denied" in refuse(path).message


def test_text_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"ok\xff")
    with pytest.raises(Failure, match="0xff"):
        read_text_input(path, "a trust root")


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, b"secret")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"secret", 0o600)


def test_writing_replaces_a_file_as_a_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result"
    write_output(path, b"first")
    write_output(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be written") as caught:
        write_output(tmp_path / "nowhere" / "file", b"x")
    assert caught.value.code == Exit.USAGE


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot be made"):
        make_folder(tmp_path / "file" / "below")


def test_a_folder_in_use_is_not_taken(tmp_path: Path) -> None:
    require_empty(tmp_path)
    require_empty(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="new or empty folder"):
        require_empty(tmp_path)
    with pytest.raises(Failure, match="new or empty folder"):
        require_empty(tmp_path / "file")
