"""The log of another implementation: it is clean, and no bit of it can change unseen."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

import pytest

from support.published import Folder, culprits
from support.tiles import iter_flips
from vetonet.tlog.checkpoint import Checkpoint, verify_checkpoint
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.note import LogKey

VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def verify(data: bytes) -> Checkpoint:
    return verify_checkpoint(data, LogKey.from_vkey(VKEY), allow_other_lines=True)


verify_once = cache(verify)


@pytest.fixture(scope="module")
def log(shared: Path) -> dict[str, bytes]:
    """Every file of the log."""
    folder = shared / "vectors" / "tessera-log" / "log"
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def sweep(log: dict[str, bytes], paths: Iterable[str], *, step: int) -> int:
    """Every ``step``-th change of one bit is one problem, of that file; return how many there were."""
    count = 0
    for path in paths:
        for place, damaged in enumerate(iter_flips(log[path])):
            if place % step == place // 8 % step:
                folder = Folder(log | {path: damaged})
                report = judge_files(folder.files, folder.read, partial(verify_new, damaged))
                assert culprits(report) == [path], (path, place, report.problems)
                count += 1
    return count


def verify_new(damaged: bytes, data: bytes) -> Checkpoint:
    """Verify a signature; what is as it was when last verified is not verified again."""
    return verify(data) if data is damaged else verify_once(data)


def test_the_log_is_clean(log: dict[str, bytes]) -> None:
    report = judge_files(log, Folder(log).read, verify)
    assert report.is_clean
    assert (report.tile_count, report.checkpoint_count) == (30, 17)
    assert report.not_judged == report.ahead == ()


def test_one_bit_of_every_byte_of_every_file_is_missed_by_nobody(log: dict[str, bytes]) -> None:
    assert sweep(log, sorted(log), step=8) == sum(map(len, log.values()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoint", "tile/0/", "tile/entries/"])
def test_no_bit_of_any_file_can_change_unseen(log: dict[str, bytes], kind: str) -> None:
    paths = sorted(path for path in log if path.startswith(kind))
    assert len(paths) >= 15
    assert sweep(log, paths, step=1) == 8 * sum(len(log[path]) for path in paths)
