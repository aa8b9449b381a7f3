"""Kills, full disks, failing syscalls and missing permissions: nothing acknowledged is lost.

A child process appends and writes each acknowledgement to its pipe. Whatever happens to it, the journal is
reopened here and compared with what the pipe delivered.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vetonet.storage import LockedJournalError, SqliteJournal
from vetonet.storage.sqlite import JOURNAL_NAME

WRITER = """
import asyncio, os, resource, sys
import urllib.parse  # pathlib imports it late, when nobody may not be allowed to read the interpreter's files
from pathlib import Path
from vetonet.errors import StorageError
from vetonet.storage import AsyncJournal, Record, SqliteJournal

directory, mode, run, limit, padding, uid, file_bytes = sys.argv[1:]

def record(name):
    payload = name.encode() + bytes(int(padding))
    return Record(kind="ballot", request_id=name, payload=payload, recorded_at_ms=1)

def acknowledge(sequence, name):
    os.write(1, f"{sequence} {name}\\n".encode())

def one_by_one(journal):
    for number in range(int(limit)):
        names = [f"{run}-{number}-{part}" for part in range(1 + number % 3)]
        for sequence, name in zip(journal.append([record(name) for name in names]), names):
            acknowledge(sequence, name)

async def many_at_once(journal):
    async def produce(producer):
        for number in range(int(limit)):
            name = f"{run}-{producer}-{number}"
            acknowledge(await shared.append(record(name)), name)
    async with AsyncJournal(journal) as shared:
        await asyncio.gather(*(produce(producer) for producer in range(20)))

def again_after_an_error(journal):
    try:
        one_by_one(journal)
    except StorageError as error:
        os.write(1, f"refused {type(error).__name__}: {error}\\n".encode())
        journal.append([record(f"{run}-again")])

if int(uid):
    os.seteuid(int(uid))
try:
    with SqliteJournal.open(Path(directory)) as journal:
        if int(file_bytes):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
        os.write(1, b"open\\n")
        if mode == "many":
            asyncio.run(many_at_once(journal))
        elif mode == "again":
            again_after_an_error(journal)
        else:
            one_by_one(journal)
except StorageError as error:
    os.write(1, f"refused {type(error).__name__}: {error}\\n".encode())
    sys.exit(3)
"""

NOBODY = 65_534


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a writer wrote before it ended.

    Attributes:
        returncode: of the process; negative for a signal.
        acknowledged: the request id of each acknowledged sequence.
        refusals: the lines it wrote about errors.
        stderr: empty, unless an exception leaked.
    """

    returncode: int
    acknowledged: dict[int, str]
    refusals: list[str]
    stderr: str


def writer_command(
    directory: Path,
    *,
    mode: str = "one",
    run: str = "r",
    limit: int = 1_000_000,
    padding: int = 0,
    uid: int = 0,
    file_bytes: int = 0,
) -> list[str]:
    """Return the command line of a writer."""
    arguments = [directory, mode, run, limit, padding, uid, file_bytes]
    return [sys.executable, "-c", WRITER, *map(str, arguments)]


def run_writer(command: list[str], *, kill_after_s: float | None = None, timeout_s: float = 30) -> Outcome:
    """Run a writer to its end, or kill it some time after the journal is open."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        opened = ""
        if kill_after_s is not None:
            opened = child.stdout.readline()
            time.sleep(kill_after_s)
            child.send_signal(signal.SIGKILL)
        stdout, stderr = child.communicate(timeout=timeout_s)
        return to_outcome(opened + stdout, stderr, child.returncode)


def to_outcome(stdout: str, stderr: str, returncode: int) -> Outcome:
    """Sort the lines of a writer; a line that the kill cut short was not delivered."""
    lines = stdout[: stdout.rfind("\n") + 1].splitlines()
    acknowledged: dict[int, str] = {}
    for line in lines:
        sequence, _, name = line.partition(" ")
        if sequence.isdecimal():
            assert int(sequence) not in acknowledged, "one sequence was acknowledged twice"
            acknowledged[int(sequence)] = name
    refusals = [line for line in lines if line.startswith("refused ")]
    return Outcome(returncode=returncode, acknowledged=acknowledged, refusals=refusals, stderr=stderr)


def require_nothing_lost(directory: Path, acknowledged: dict[int, str]) -> int:
    """Reopen: no acknowledged record is missing, no gap, no duplicate; return the size."""
    with SqliteJournal.open(directory) as journal:
        stored = journal.read(0, 1_000_000)
        assert [entry.sequence for entry in stored] == list(range(journal.size()))
        names = [entry.record.request_id for entry in stored]
        assert len(set(names)) == len(names)
        for sequence, name in acknowledged.items():
            assert names[sequence] == name
            assert stored[sequence].record.payload.rstrip(b"\0") == name.encode()
        return journal.size()


@pytest.mark.parametrize("mode", ["one", "many"])
def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path, mode: str) -> None:
    chance = random.Random(f"kill {mode}")
    acknowledged: dict[int, str] = {}
    for number in range(5):
        command = writer_command(
            tmp_path, mode=mode, run=f"r{number}", padding=chance.choice([0, 300, 9_000])
        )
        outcome = run_writer(command, kill_after_s=chance.uniform(0.0, 0.25))
        assert (outcome.returncode, outcome.stderr) == (-signal.SIGKILL, "")
        assert not acknowledged.keys() & outcome.acknowledged.keys()
        acknowledged |= outcome.acknowledged
        require_nothing_lost(tmp_path, acknowledged)
    assert len(acknowledged) > 50


def test_a_retry_after_a_kill_is_stored_once(tmp_path: Path) -> None:
    first = run_writer(writer_command(tmp_path), kill_after_s=0.05)
    size = require_nothing_lost(tmp_path, first.acknowledged)
    again = run_writer(writer_command(tmp_path, limit=size))
    assert again.returncode == 0
    assert first.acknowledged.items() <= again.acknowledged.items()
    assert require_nothing_lost(tmp_path, again.acknowledged) == len(again.acknowledged)


def test_a_killed_process_frees_its_directory(tmp_path: Path) -> None:
    with subprocess.Popen(writer_command(tmp_path), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(LockedJournalError, match="another process has it open"):
            SqliteJournal.open(tmp_path)
        child.kill()
        child.communicate()
    require_nothing_lost(tmp_path, {})


def test_a_file_size_limit_poisons_the_journal_and_loses_nothing(tmp_path: Path) -> None:
    command = writer_command(tmp_path, mode="again", padding=3_000, file_bytes=300_000)
    outcome = run_writer(command)
    assert (outcome.returncode, outcome.stderr) == (3, "")
    assert len(outcome.acknowledged) > 10
    assert all(line.startswith("refused PoisonedJournalError: ") for line in outcome.refusals)
    assert len(outcome.refusals) == 2
    require_nothing_lost(tmp_path, outcome.acknowledged)
    assert run_writer(writer_command(tmp_path, run="later", limit=3)).returncode == 0


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=600k none "$1" || exit 77; disk=$1; kept=$2; shift 2; "$@"; code=$?'
    script += '; cp -R "$disk" "$kept" && exit $code'
    command = writer_command(disk, mode="again", padding=3_000)
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare, which gives a small disk of one's own, is not installed")
    outcome = run_writer([unshare, "-m", "sh", "-c", script, "sh", str(disk), str(kept), *command])
    if not kept.exists():
        pytest.skip("mounting a small disk is not permitted here")
    assert outcome.returncode == 3, outcome.stderr
    assert len(outcome.acknowledged) > 10
    assert outcome.refusals
    assert all("SQLITE_FULL" in line for line in outcome.refusals)
    require_nothing_lost(kept, outcome.acknowledged)


def run_under_fault(calls: str, effect: str, command: list[str]) -> Outcome:
    """Run a writer of which one system call fails, where that can be brought about."""
    tool = shutil.which("strace")
    probe = [str(tool), "-o", os.devnull, "true"]
    if tool is None or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("strace, which injects the fault, is not installed or not permitted")
    options = ["-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}"]
    return run_writer([tool, *options, *command])


@pytest.mark.parametrize("call", ["fsync,fdatasync", "pwrite64"])
@pytest.mark.parametrize("effect", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize("place", [2, 9, 30])
def test_a_failing_syscall_loses_nothing(tmp_path: Path, call: str, effect: str, place: int) -> None:
    command = writer_command(tmp_path, mode="again", limit=40, padding=100)
    outcome = run_under_fault(call, f"{effect}:when={place}", command)
    if effect == "signal=KILL":
        assert outcome.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
    elif outcome.returncode == 0:
        # SQLite itself does not mind a directory that it cannot sync; the journal syncs its own once more.
        assert (call, place) == ("fsync,fdatasync", 2)
    else:
        assert outcome.returncode == 3
        assert outcome.refusals
    assert outcome.stderr == ""
    require_nothing_lost(tmp_path, outcome.acknowledged)


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A data directory that a user without rights can reach but not write."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with SqliteJournal.open(directory) as journal:
            journal.append([])
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


def run_without_rights(directory: Path) -> Outcome:
    """Run a writer that is not allowed everything, as the superuser is."""
    return run_writer(writer_command(directory, limit=1, uid=NOBODY if os.geteuid() == 0 else 0))


def test_a_read_only_directory_is_refused(public_directory: Path) -> None:
    (public_directory / "journal.lock").unlink()
    public_directory.chmod(0o555)
    outcome = run_without_rights(public_directory)
    assert (outcome.returncode, outcome.stderr) == (3, "")
    assert f"StorageError: {public_directory}: expected a writable data directory" in outcome.refusals[0]


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_read_only_file_is_refused(public_directory: Path, mode: int) -> None:
    (public_directory / "journal.lock").chmod(0o666)
    (public_directory / JOURNAL_NAME).chmod(mode)
    outcome = run_without_rights(public_directory)
    assert (outcome.returncode, outcome.stderr) == (3, "")
    assert f"{JOURNAL_NAME}: expected a writable file, but: Permission denied" in outcome.refusals[0]


def test_a_directory_in_which_no_log_can_be_made_is_refused(public_directory: Path) -> None:
    (public_directory / "journal.lock").chmod(0o666)
    (public_directory / JOURNAL_NAME).chmod(0o666)
    public_directory.chmod(0o555)
    outcome = run_without_rights(public_directory)
    assert (outcome.returncode, outcome.stderr) == (3, "")
    assert "StorageError" in outcome.refusals[0]
