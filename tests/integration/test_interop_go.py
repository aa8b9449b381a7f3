"""Go's checksum database code reads our log, and its log passes our client."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.command_line import call
from support.interop import build_notelog, why_no_go
from support.published import log_key, publish, sign
from support.tiles import vector_entries
from support.world import make_council
from vetonet.cli.exits import Exit
from vetonet.crypto.merkle import HASH_BYTES, compute_leaf_hash
from vetonet.storage import FileTileStore
from vetonet.tlog.checkpoint import verify_checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.note import LogKey
from vetonet.tlog.proof_file import ProofFile
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import TILE_WIDTH, Tile, decode_bundle, encode_bundle
from vetonet.tlog.tree_edge import TreeEdge

WHY_NOT = why_no_go()
SIZES = (1, 255, 256, 257, 700)
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"

FORGED_SIZE, FORGED_LEAF = 200_000, 1033
"""So large that the program proves a sample of leaves, and this one lies in a tile that has none of it."""

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@pytest.fixture(scope="module")
def notelog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_notelog(tmp_path_factory.mktemp("notelog"))


def run(notelog: Path, *arguments: str | Path) -> tuple[int, str]:
    """How the program ended, and what it said."""
    command = [str(notelog), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, (ended.stdout + ended.stderr).strip()


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_go_accepts_every_tile_entry_and_proof_of_our_log(notelog: Path, tmp_path: Path, size: int) -> None:
    folder = lay_out(tmp_path, publish(size))
    code, said = run(notelog, "verify", folder, log_key().to_vkey())
    assert (code, said.split()[:2]) == (0, ["ok", str(size)])


def test_go_accepts_a_treatys_log_with_the_lines_of_its_witnesses(notelog: Path, tmp_path: Path) -> None:
    council = make_council(7, 5)
    leaves = [council.treaty.data, *vector_entries(1, 300)]
    log = Log(council.treaty.statement.log_origin, leaves)
    files = dict(TreeEdge().extend(leaves).files) | {"checkpoint": council.sign_head(log)}
    folder = lay_out(tmp_path, files)
    vkey = council.log_policy.log_key.to_vkey()
    assert run(notelog, "verify", folder, vkey)[0] == 0


def test_go_refuses_our_log_with_one_bit_changed_in_any_file(notelog: Path, tmp_path: Path) -> None:
    files = publish(300)
    folder = lay_out(tmp_path, files)
    for path in sorted(files.keys() - {"checkpoint.300"}):  # an archive of our own, beside the log
        data = files[path]
        for place in (0, len(data) // 2, len(data) - 2):
            changed = bytearray(data)
            changed[place] ^= 1
            (folder / path).write_bytes(changed)
            code, said = run(notelog, "verify", folder, log_key().to_vkey())
            assert code == 1, f"{path} at {place}: {said}"
        (folder / path).write_bytes(data)
    assert run(notelog, "verify", folder, log_key().to_vkey())[0] == 0


def test_go_accepts_that_our_log_grew_from_every_checkpoint_it_signed(notelog: Path, tmp_path: Path) -> None:
    folder = lay_out(tmp_path, publish(1, 5, 256, 300, 700))
    older = [folder / f"checkpoint.{size}" for size in (1, 5, 256, 300, 700)]
    assert run(notelog, "growth", folder, log_key().to_vkey(), *older) == (0, "ok 5 700")


@pytest.mark.parametrize("size", [5, 256, 700])
def test_go_refuses_our_log_as_the_growth_of_another_history(
    notelog: Path, tmp_path: Path, size: int
) -> None:
    folder = lay_out(tmp_path, publish(5, 256, 700))
    older = folder / "checkpoint.other"
    older.write_bytes(sign(size, Log("other.example/log", vector_entries(1, size + 1)).root_hash()))
    assert run(notelog, "growth", folder, log_key().to_vkey(), older)[0] == 1


def test_go_refuses_a_log_that_is_smaller_than_it_was(notelog: Path, tmp_path: Path) -> None:
    folder = lay_out(tmp_path, publish(5, 256))
    older = folder / "checkpoint.later"
    older.write_bytes(publish(300)["checkpoint"])
    code, said = run(notelog, "growth", folder, log_key().to_vkey(), older)
    assert (code, said.endswith("expected a size of 1 to 256, got 300")) == (1, True)


def forge_entry(folder: Path, leaf_index: int, entry: bytes) -> None:
    """Puts an entry in the place of a published one, and its hash in the place of its hash."""
    number, place = divmod(leaf_index, TILE_WIDTH)
    bundle, tile = (folder / Tile(level=level, index=number).to_path() for level in (None, 0))
    entries = list(decode_bundle(bundle.read_bytes(), TILE_WIDTH))
    entries[place] = entry
    bundle.write_bytes(encode_bundle(entries))
    hashes = bytearray(tile.read_bytes())
    hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES] = compute_leaf_hash(entry)
    tile.write_bytes(hashes)


@pytest.mark.parametrize(("size", "leaf_index"), [(300, 7), (FORGED_SIZE, FORGED_LEAF)])
def test_an_entry_forged_with_its_hash_is_refused_by_go_and_by_us(
    notelog: Path, tmp_path: Path, size: int, leaf_index: int
) -> None:
    _, vkey = run(notelog, "build", tmp_path / "log", "log.example/go", str(size))
    forge_entry(tmp_path / "log", leaf_index, b"forged")
    assert run(notelog, "verify", tmp_path / "log", vkey)[0] == 1
    assert call("log", "fsck", tmp_path / "log", "--vkey", vkey).code == Exit.NEGATIVE


def test_go_accepts_the_log_of_a_third_implementation_at_every_size(notelog: Path, shared: Path) -> None:
    folder = shared / "vectors" / "tessera-log" / "log"
    assert run(notelog, "verify", folder, TESSERA_VKEY)[0] == 0
    older = [folder / f"checkpoint.{size}" for size in range(1, 16)]
    assert run(notelog, "growth", folder, TESSERA_VKEY, *older) == (0, "ok 15 15")


def test_go_refuses_our_log_under_another_logs_key(notelog: Path, tmp_path: Path) -> None:
    folder = lay_out(tmp_path, publish(5))
    assert run(notelog, "verify", folder, make_council(4, 3).log_policy.log_key.to_vkey())[0] == 1


@pytest.fixture
def proven(tmp_path: Path) -> tuple[Path, Path]:
    """A proof that we exported, and its leaf."""
    folder = lay_out(tmp_path / "log", publish(300))
    proof, leaf = tmp_path / "proof", tmp_path / "leaf"
    written = ("--index", "277", "--out", proof, "--leaf-out", leaf)
    assert call("log", "export", folder, *written, "--vkey", log_key().to_vkey()).code == Exit.OK
    return proof, leaf


def test_go_accepts_our_proof_and_no_change_of_it(notelog: Path, proven: tuple[Path, Path]) -> None:
    proof, leaf = proven
    vkey, data = log_key().to_vkey(), proof.read_bytes()
    assert run(notelog, "proof", proof, leaf, vkey) == (0, "ok 277 300")
    for place in range(30, len(data), 41):
        changed = bytearray(data)
        changed[place] ^= 1
        proof.write_bytes(changed)
        assert run(notelog, "proof", proof, leaf, vkey)[0] == 1, place
    proof.write_bytes(data)
    leaf.write_bytes(b"another leaf")
    assert run(notelog, "proof", proof, leaf, vkey)[0] == 1


def test_go_reads_our_proof_with_extra_data(notelog: Path, proven: tuple[Path, Path]) -> None:
    proof, leaf = proven
    plain = ProofFile.from_bytes(proof.read_bytes())
    proof.write_bytes(replace(plain, extra=b"of an application").to_bytes())
    assert run(notelog, "proof", proof, leaf, log_key().to_vkey()) == (0, "ok 277 300")


def test_go_refuses_our_proof_for_another_place(notelog: Path, proven: tuple[Path, Path]) -> None:
    proof, leaf = proven
    plain = ProofFile.from_bytes(proof.read_bytes())
    for index in (0, 276, 278, 299, 300, 2**40):
        proof.write_bytes(replace(plain, leaf_index=index).to_bytes())
        assert run(notelog, "proof", proof, leaf, log_key().to_vkey())[0] == 1, index


@pytest.mark.parametrize("size", SIZES)
def test_our_client_accepts_gos_log(notelog: Path, tmp_path: Path, size: int) -> None:
    code, vkey = run(notelog, "build", tmp_path / "log", "log.example/go", str(size))
    assert code == 0, vkey
    folder = tmp_path / "log"
    assert call("log", "fsck", folder, "--vkey", vkey).code == Exit.OK
    store = FileTileStore(folder)
    checkpoint = verify_checkpoint(store.read("checkpoint"), LogKey.from_vkey(vkey))
    reader = TileReader(lambda tile: store.read(tile.to_path()))
    entries = list(reader.entries(0, size, size, root_hash=checkpoint.root_hash))
    assert entries == [b"entry %d " % index * (index % 4) for index in range(size)]
    written = ("--index", str(size - 1), "--out", tmp_path / "proof", "--leaf-out", tmp_path / "leaf")
    assert call("log", "export", folder, *written, "--vkey", vkey).code == Exit.OK
    assert (
        call("log", "proof", tmp_path / "proof", "--leaf", tmp_path / "leaf", "--vkey", vkey).code == Exit.OK
    )
    assert run(notelog, "proof", tmp_path / "proof", tmp_path / "leaf", vkey)[0] == 0


def test_our_client_refuses_gos_log_with_one_bit_changed(notelog: Path, tmp_path: Path) -> None:
    _, vkey = run(notelog, "build", tmp_path / "log", "log.example/go", "300")
    for path in sorted(path for path in (tmp_path / "log").rglob("*") if path.is_file()):
        data = path.read_bytes()
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        path.write_bytes(changed)
        assert call("log", "fsck", tmp_path / "log", "--vkey", vkey).code in (Exit.NEGATIVE, Exit.INVALID)
        path.write_bytes(data)
    assert call("log", "fsck", tmp_path / "log", "--vkey", vkey).code == Exit.OK
