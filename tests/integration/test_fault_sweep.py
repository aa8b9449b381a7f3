"""Every system call of one append and of one witness update fails, or is the last: nothing lost, no fork.

By default the first and the last call of each name are struck; with ``VETONET_FAULTS=whole``, as
`make faults` does it, every one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fault_child import (
    HISTORY,
    NEW_LEAVES,
    NEXT,
    NOW_S,
    POLICY,
    SEEN,
    SIZE,
    Say,
    open_log,
    open_witness,
)
from support.faults import Fault, Struck, list_faults, strike, why_not
from vetonet.errors import VetonetError
from vetonet.storage import FileTileStore, SqliteJournal
from vetonet.tlog.cosignature import verify_cosignature
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.note import NoteSignature
from vetonet.tlog.policy import verify_cosigned
from vetonet.tlog.tile_reader import TileReader

IS_WHOLE = os.environ.get("VETONET_FAULTS") == "whole"
WHY_NOT = why_not()

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


Judge = Callable[[Fault, Path, Struck], str]


class Heard:
    """Stands for the socket of a process that is not struck."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def sendall(self, data: bytes) -> None:
        self.lines += data.decode().splitlines()


def sweep(kind: str, template: Path, tmp_path: Path, judge: Judge) -> Counter[str]:
    """Strike one call after the other; return how the runs ended."""
    calm = tmp_path / "calm"
    shutil.copytree(template, calm)
    faults = list(list_faults(strike(kind, calm), calm, is_whole=IS_WHOLE))
    assert {fault.syscall for fault in faults} >= {"openat", "pwrite64", "close"}
    ended = Counter[str]()
    for number, fault in enumerate(faults):
        folder = tmp_path / f"case-{number}"
        shutil.copytree(template, folder)
        struck = strike(kind, folder, fault)
        assert struck.was_hit, f"{fault}: expected the call to be made again as without faults"
        ended[judge(fault, folder, struck)] += 1
        shutil.rmtree(folder)
    return ended


def name_end(fault: Fault, struck: Struck, *, acknowledged: bool) -> str:
    """How a run ended; never with an error of Python's own."""
    assert "Traceback" not in struck.errors, f"{fault}: {struck.errors}"
    assert struck.code == (-signal.SIGKILL if "SIGKILL" in fault.action else 0), f"{fault}: {struck}"
    ending = "killed" if struck.code else "refused" if struck.find("refused") else "went well"
    return f"{ending}, {'acknowledged' if acknowledged else 'not acknowledged'}"


# --- one append ---------------------------------------------------------------------------------------------


def test_no_fault_in_an_append_loses_a_leaf_or_forks_the_log(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()

    async def set_up() -> None:
        log = await open_log(template, Say(Heard()))  # type: ignore[arg-type]
        await log.append([b"leaf %d" % number for number in range(SIZE)], request_id="first")
        await log.publisher.publish()
        await log.close()

    asyncio.run(set_up())
    ended = sweep("log", template, tmp_path, judge_log)
    print(f"append: {dict(ended)}")  # noqa: T201
    assert ended["went well, acknowledged"] > 0
    assert ended["refused, acknowledged"] > 0
    assert ended["refused, not acknowledged"] > 0
    assert ended["killed, not acknowledged"] > 0
    assert ended["killed, acknowledged"] > 0


def judge_log(fault: Fault, folder: Path, struck: Struck) -> str:
    """Restart, compare with everything that was said, and go on."""
    store = FileTileStore(folder / "tiles")
    assert fsck(store, is_live=True) == (), fault
    promised = [line.split() for line in (*struck.find("handed"), *struck.find("published"))]
    acknowledged = bool(struck.find("leaves"))

    async def restart() -> None:
        log = await open_log(folder, Say(Heard()))  # type: ignore[arg-type]
        try:
            assert log.tree_size in ({SIZE + 2} if acknowledged or promised else {SIZE, SIZE + 2}), fault
            retried = await log.append(NEW_LEAVES, request_id="new")  # as its client would, who got no answer
            assert retried == (SIZE, SIZE + 1), fault
            await log.append([b"later"], request_id="later")
            await log.publisher.publish()
            for size, root_hash in promised:
                assert log.checkpoint(int(size)).root_hash.hex() == root_hash, fault
        finally:
            await log.close()

    asyncio.run(restart())
    assert fsck(store, is_live=False) == (), fault
    cosigned = verify_cosigned(store.read("checkpoint"), POLICY)
    reader = TileReader(lambda tile: store.read(tile.to_path()))
    root_hash = cosigned.checkpoint.root_hash
    entries = list(reader.entries(0, SIZE + 3, SIZE + 3, root_hash=root_hash))
    assert entries == [*(b"leaf %d" % number for number in range(SIZE)), *NEW_LEAVES, b"later"], fault
    return name_end(fault, struck, acknowledged=acknowledged)


def fsck(store: FileTileStore, *, is_live: bool) -> tuple[object, ...]:
    """What is wrong with the published files."""
    report = judge_files(
        store.list_paths(), store.read, lambda data: verify_cosigned(data, POLICY).checkpoint, is_live=is_live
    )
    return report.problems


# --- one witness update -------------------------------------------------------------------------------------


def test_no_fault_in_an_update_makes_a_witness_sign_two_histories(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    with SqliteJournal.open(template) as journal:
        open_witness(journal).add_checkpoint(HISTORY.body(0, SEEN), NOW_S)
    ended = sweep("witness", template, tmp_path, judge_witness)
    print(f"witness: {dict(ended)}")  # noqa: T201
    assert ended["went well, acknowledged"] > 0
    assert ended["killed, acknowledged"] > 0
    assert ended["refused, not acknowledged"] > 0
    assert ended["killed, not acknowledged"] > 0


def judge_witness(fault: Fault, folder: Path, struck: Struck) -> str:
    """Restart, ask for another history, and then for the same one again."""
    cosigned = struck.find("cosigned")
    with SqliteJournal.open(folder) as journal:
        witness = open_witness(journal)
        newest = witness.find_newest(HISTORY.log.origin)
        assert newest is not None, fault
        known = int(newest.splitlines()[1])
        assert known in ({NEXT} if cosigned else {SEEN, NEXT}), fault
        if cosigned:
            line = NoteSignature.from_line(cosigned[0])
            verify_cosignature(HISTORY.log.checkpoint(NEXT), line, witness.key)
            for size in (NEXT, NEXT + 2):
                with pytest.raises(VetonetError):
                    witness.add_checkpoint(HISTORY.fork(SEEN).body(SEEN, size), NOW_S)
        witness.add_checkpoint(HISTORY.body(known, NEXT), NOW_S)  # as the log asks again that got no answer
        witness.add_checkpoint(HISTORY.body(NEXT, NEXT + 2), NOW_S)
        with pytest.raises(VetonetError):
            witness.add_checkpoint(HISTORY.fork(SEEN).body(NEXT, NEXT + 2), NOW_S)
    return name_end(fault, struck, acknowledged=bool(cosigned))
