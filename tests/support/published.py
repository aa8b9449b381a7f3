"""Published logs in memory: signed checkpoints beside the tiles, whole or damaged, and their judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from support.tiles import grow
from support.world import Council
from vetonet.crypto.keys import SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import StorageError
from vetonet.tlog.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from vetonet.tlog.fsck import FsckReport, judge_files
from vetonet.tlog.log import Log
from vetonet.tlog.note import LogKey
from vetonet.tlog.tiles import MissingTileError
from vetonet.tlog.tree_edge import TreeEdge

ORIGIN = "vetonet.example/log"


@cache
def signing_key() -> SigningKey:
    return generate_ed25519(SeededRng(b"published log"))


def log_key() -> LogKey:
    return LogKey(name=ORIGIN, public_key=signing_key().public_key)


def sign(tree_size: int, root_hash: bytes) -> bytes:
    """Return a checkpoint that the log has signed, whatever it says."""
    checkpoint = Checkpoint(origin=ORIGIN, tree_size=tree_size, root_hash=root_hash)
    return sign_checkpoint(checkpoint, signing_key()).to_bytes()


@cache
def verify(data: bytes) -> Checkpoint:
    return verify_checkpoint(data, log_key())


@cache
def _publish(*sizes: int) -> dict[str, bytes]:
    files = dict(grow(*sizes)[1])
    for size in sizes:
        files[f"checkpoint.{size}"] = sign(size, grow(size)[0].root_hash())
    files["checkpoint"] = files[f"checkpoint.{sizes[-1]}"]
    return files


def publish(*sizes: int) -> dict[str, bytes]:
    """The files of a log that grew by these sizes, with a checkpoint of each."""
    return dict(_publish(*sizes))


def lay_out(folder: Path, council: Council, leaves: Sequence[bytes], **signed: Any) -> Path:
    """Return the folder, in which a council's log is published; keywords as for ``sign_head``."""
    log = Log(council.treaty.statement.log_origin, leaves)
    files = dict(TreeEdge().extend(leaves).files)
    files["checkpoint"] = council.sign_head(log, **signed)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


class Folder:
    """Files by path, which remembers what was read and can have files that cannot be."""

    def __init__(self, files: Mapping[str, bytes], unreadable: str = "") -> None:
        self.files = files
        self.unreadable = unreadable
        self.asked: list[str] = []

    def read(self, path: str) -> bytes:
        self.asked.append(path)
        if path == self.unreadable:
            raise StorageError(f"{path}: cannot be read")
        if path not in self.files:
            raise MissingTileError(path)
        return self.files[path]


def judge(files: Mapping[str, bytes], *, is_live: bool = False) -> FsckReport:
    return judge_files(files, Folder(files).read, verify, is_live=is_live)


def culprits(report: FsckReport) -> list[str]:
    """Return the path of each problem, in the order they were found."""
    return [problem.detail.partition(": ")[0] for problem in report.problems]
