"""``vetonet log append``: what cannot be a leaf is refused before anything is sent, in one line."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command_line import Ended, call
from vetonet.cli.exits import Exit

NOBODY = "127.0.0.1:1"


def append(*arguments: str | Path) -> Ended:
    return call("log", "append", *arguments, "--server", NOBODY)


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path.write_bytes(bytes(2**16)), "of at most 65535 bytes, got 65536"),
        (lambda path: path.mkdir(), "got a folder"),
        (os.mkfifo, "got a device or a pipe"),
        (lambda _: None, "there is none"),
    ],
)
def test_what_cannot_be_a_leaf_ends_with_4_and_its_name(
    tmp_path: Path, make: Callable[[Path], object], expected: str
) -> None:
    path = tmp_path / "leaf"
    make(path)
    ended = append(path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (Exit.INVALID, "", 1)
    assert str(path) in ended.err
    assert expected in ended.err


def test_a_line_that_is_too_long_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n\n" + bytes(2**16) + b"\nb\n")
    ended = append("--lines", path)
    assert ended.code == Exit.INVALID
    assert f"{path}:3: expected a leaf of at most 65535 bytes, got 65536" in ended.err


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"leaf")
    assert append("-", "-").code == Exit.USAGE


@pytest.mark.parametrize("options", [(), ("--lines",)])
def test_standard_input_that_is_closed_is_no_empty_leaf(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    ended = append(*options, "-")
    assert (ended.code, "but it is closed" in ended.err) == (Exit.INVALID, True)


def test_standard_input_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, bytes(2**16))
    ended = append("-")
    assert (ended.code, "of at most 65535 bytes, got more" in ended.err) == (Exit.INVALID, True)


def test_files_without_a_line_are_no_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"")
    assert append("--lines", "-").code == Exit.INVALID


def test_no_files_are_misuse() -> None:
    assert append().code == Exit.USAGE


def test_a_log_that_is_away_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"leaf")
    ended = append(path, "--json")
    assert (ended.code, ended.out) == (Exit.INCONCLUSIVE, "")
    error = json.loads(ended.err)["error"]
    assert error["reason"] == "rpc"
    assert error["message"].startswith(f"{NOBODY}: nobody takes leaves there; ")
    assert error["message"].endswith("; the leaves may be logged all the same")


def test_plaintext_to_other_machines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"leaf")
    ended = call("log", "append", path, "--server", "192.0.2.1:7447")
    assert (ended.code, "loopback addresses only" in ended.err) == (Exit.USAGE, True)
