"""Somebody else's client reads our log over HTTP, counts our witnesses, and refuses what it should."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.interop import find
from support.published import log_key, publish, sign
from support.sockets import play_out, serve_http
from support.tiles import vector_entries
from support.witnessed_log import LOG_KEY, NAMES, WITNESSES, make_cosigned, make_log
from vetonet.service.tile_app import make_tile_app
from vetonet.tlog.log import Log
from vetonet.tlog.tiles import MissingTileError

SIZE = 700
FILES = publish(300, SIZE)
INDEX = 277
REFUSED = 1
"""How its client ends where something does not verify; misuse is 2."""

PROGRAM = find("aics-tlog")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="aics-tlog is not installed in .interop; run .ci/install-interop"
)


def run(*arguments: str | Path) -> dict[str, Any]:
    """What the client found, and under ``code`` how it ended."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(PROGRAM), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1]) if ended.stdout.strip() else {}
    return found | {"code": ended.returncode, "said": ended.stderr}


def run_served(files: Mapping[str, bytes], *arguments: str | Path) -> dict[str, Any]:
    """The same, while our log is served over HTTP."""
    found: dict[str, Any] = {}

    def read(path: str) -> bytes:
        if path not in files:
            raise MissingTileError(path)
        return files[path]

    async def scenario() -> None:
        app = make_tile_app(read_tile=read, read_checkpoint=lambda: files["checkpoint"])
        async with serve_http(app) as bound:
            place = ("--tiles", bound.url, "--log-key", log_key().to_vkey())
            found.update(await asyncio.to_thread(run, *arguments, *place))

    play_out(scenario())
    return found


def flip(files: Mapping[str, bytes], path: str, place: int) -> dict[str, bytes]:
    data = bytearray(files[path])
    data[place] ^= 1
    return {**files, path: bytes(data)}


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_it_reads_our_checkpoint_and_tiles_over_http() -> None:
    found = run_served(FILES, "verify-checkpoint", "--origin", log_key().name)
    assert (found["code"], found["size"], found["log_ok"], found["tiles_ok"]) == (0, SIZE, True, True)


def test_it_finds_our_leaf_and_no_other_in_its_place(tmp_path: Path) -> None:
    [entry] = vector_entries(INDEX, INDEX + 1)
    ask = ("verify-inclusion", "--index", str(INDEX), "--leaf")
    assert run_served(FILES, *ask, save(tmp_path / "leaf", entry))["code"] == 0
    assert run_served(FILES, *ask, save(tmp_path / "leaf", entry + b"?"))["code"] == REFUSED


def test_it_sees_that_our_log_grew_from_what_it_signed_before(tmp_path: Path) -> None:
    older = save(tmp_path / "older", FILES["checkpoint.300"])
    found = run_served(FILES, "verify-consistency", "--old-checkpoint", older)
    assert (found["code"], found["old_size"], found["new_size"]) == (0, 300, SIZE)


def test_it_refuses_our_log_as_the_growth_of_another_history(tmp_path: Path) -> None:
    other = Log(log_key().name, vector_entries(1, 301))
    older = save(tmp_path / "older", sign(300, other.root_hash()))
    assert run_served(FILES, "verify-consistency", "--old-checkpoint", older)["code"] == REFUSED


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"])
def test_it_refuses_one_bit_changed_in_a_tile_of_ours(tmp_path: Path, path: str) -> None:
    index = 600 if path.startswith("tile/0/002") else INDEX
    leaf = save(tmp_path / "leaf", vector_entries(index, index + 1)[0])
    ask = ("verify-inclusion", "--index", str(index), "--leaf", leaf)
    assert run_served(FILES, *ask)["code"] == 0
    assert run_served(flip(FILES, path, 40), *ask)["code"] == REFUSED


def test_it_refuses_one_bit_changed_in_a_bundle_or_the_checkpoint_of_ours(tmp_path: Path) -> None:
    out = ("verify-inclusion", "--index", str(INDEX), "--entry-out", tmp_path / "entry")
    assert run_served(FILES, *out)["code"] == 0
    assert (tmp_path / "entry").read_bytes() == vector_entries(INDEX, INDEX + 1)[0]
    assert run_served(flip(FILES, "tile/entries/001", 900), *out)["code"] == REFUSED
    for place in (0, 22, 40, 120):
        assert run_served(flip(FILES, "checkpoint", place), "verify-checkpoint")["code"] == REFUSED


def count_witnesses(folder: Path, data: bytes, quorum: int) -> dict[str, Any]:
    """What it makes of a checkpoint of ours, by the keys of our witnesses."""
    keys: Iterable[str] = (word for witness in WITNESSES for word in ("--witness-key", witness.to_vkey()))
    note = save(folder / "note", data)
    key = ("--log-key", LOG_KEY.to_vkey())
    return run("verify-checkpoint", "--note", note, *key, *keys, "--quorum", str(quorum))


def test_it_counts_the_cosignatures_of_our_witnesses(tmp_path: Path) -> None:
    data = make_cosigned(make_log(9).checkpoint(), NAMES[:3])
    found = count_witnesses(tmp_path, data, 3)
    assert (found["code"], sorted(found["witnesses"])) == (0, sorted(NAMES[:3]))
    assert count_witnesses(tmp_path, data, 4)["code"] == REFUSED


def test_it_does_not_count_a_cosignature_of_another_size(tmp_path: Path) -> None:
    whole = make_cosigned(make_log(9).checkpoint(), NAMES[:1])
    other = make_cosigned(make_log(8).checkpoint(), NAMES[:1])
    moved = b"".join((*whole.splitlines(keepends=True)[:-1], other.splitlines(keepends=True)[-1]))
    assert count_witnesses(tmp_path, whole, 1)["code"] == 0
    assert count_witnesses(tmp_path, moved, 1)["code"] == REFUSED
