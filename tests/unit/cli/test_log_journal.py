"""``vetonet log fsck`` of a log's own folder: what its journal acknowledged is what its files show."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.command_line import Ended, call
from support.open_logs import Ground, make_leaves
from support.witnesses import Witnesses
from vetonet.cli.exits import Exit
from vetonet.storage import FileTileStore, Record, SqliteJournal
from vetonet.storage.sqlite import JOURNAL_NAME

PUBLISHED, UNPUBLISHED = make_leaves(300), make_leaves(7, "later")


def run_log(folder: Path, batches: list[list[bytes]], *, publish: bool, witnesses: Witnesses) -> None:
    """Append to the log in a folder; publish what is there after each batch, or nothing."""

    async def scene() -> None:
        with SqliteJournal.open(folder) as journal:
            ground = Ground(journal=journal, store=FileTileStore(folder / "tiles"), witnesses=witnesses)
            async with ground.open() as log:
                for number, batch in enumerate(batches):
                    await log.append(batch, request_id=f"{journal.size()}-{number}")
                    if publish:
                        await log.publisher.publish()

    asyncio.run(scene())


def keep_log(folder: Path, leaves: list[bytes], *, later: list[bytes] | None = None) -> Path:
    """Return a new log's folder: leaves that are published, and perhaps some that are only acknowledged."""
    (folder / "tiles").mkdir(parents=True)
    witnesses = Ground().witnesses
    run_log(folder, [leaves[:100], leaves[100:]], publish=True, witnesses=witnesses)
    if later:
        run_log(folder, [later], publish=False, witnesses=witnesses)
    return folder


def fsck(folder: Path, *options: str) -> Ended:
    return call("log", "fsck", folder, "--vkey", Ground().policy.log_key.to_vkey(), *options)


def rewrite(folder: Path, statement: str) -> None:
    """Change the journal as somebody would who has the disk and no care for its digests."""
    with closing(sqlite3.connect(folder / JOURNAL_NAME, isolation_level=None)) as connection:
        names = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in names:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, trigger in names:
            connection.execute(trigger)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return keep_log(tmp_path / "log", PUBLISHED)


def test_a_log_whose_journal_agrees_is_clean(folder: Path) -> None:
    ended = fsck(folder)
    assert (ended.code, ended.err) == (Exit.OK, "")
    assert ended.out.startswith("clean: 300 leaves in ")
    assert ended.out.endswith(" a journal of 300 leaves\n")
    assert fsck(folder, "--json").value["journal_leaf_count"] == 300


def test_leaves_that_wait_for_the_next_checkpoint_are_no_problem(tmp_path: Path) -> None:
    ended = fsck(keep_log(tmp_path / "log", PUBLISHED, later=UNPUBLISHED))
    assert ended.code == Exit.OK
    assert ended.out.startswith("clean: 300 leaves in ")
    assert ended.out.endswith(" a journal of 307 leaves\n")


def test_the_published_files_alone_are_judged_without_the_journal(folder: Path) -> None:
    assert "journal" not in fsck(folder / "tiles").out
    assert fsck(folder / "tiles", "--json").value["journal_leaf_count"] is None


def test_a_journal_that_lost_leaves_is_told_by_their_number(tmp_path: Path, folder: Path) -> None:
    backup = keep_log(tmp_path / "backup", PUBLISHED[:120])
    shutil.copy(backup / JOURNAL_NAME, folder / JOURNAL_NAME)
    ended = fsck(folder)
    assert ended.code == Exit.NEGATIVE
    expected = "expected the 300 leaves that were written as tiles, found 120: was it restored from a backup?"
    assert ended.out.splitlines()[0] == f"journal-short: {JOURNAL_NAME}: {expected}"


def test_a_journal_that_is_gone_and_begun_anew_has_lost_all(folder: Path) -> None:
    (folder / JOURNAL_NAME).write_bytes(b"")
    ended = fsck(folder)
    assert (ended.code, "found 0: was it restored" in ended.out) == (Exit.NEGATIVE, True)


@pytest.mark.parametrize("leaf_index", [0, 99, 100, 255, 256, 299])
def test_the_leaf_that_differs_is_named(tmp_path: Path, folder: Path, leaf_index: int) -> None:
    others = [*PUBLISHED[:leaf_index], b"another", *PUBLISHED[leaf_index + 1 :]]
    other = keep_log(tmp_path / "other", others)
    shutil.copy(other / JOURNAL_NAME, folder / JOURNAL_NAME)
    ended = fsck(folder)
    assert ended.code == Exit.NEGATIVE
    problem, outcome = ended.out.splitlines()
    assert problem.startswith(
        f"journal-mismatch: {JOURNAL_NAME}: leaf {leaf_index}: expected the one in tile/"
    )
    assert outcome.startswith("1 problem in ")


def test_the_journal_of_another_log_differs_in_every_bundle_and_is_said_briefly(
    tmp_path: Path, folder: Path
) -> None:
    other = keep_log(tmp_path / "other", make_leaves(300, "other"))
    shutil.copy(other / JOURNAL_NAME, folder / JOURNAL_NAME)
    problems = fsck(folder, "--json").value["problems"]
    named = [problem["detail"].split(": ")[1] for problem in problems]
    assert named == ["leaf 0", "leaf 256"]


def test_a_journal_that_somebody_wrote_to_is_named_by_the_record(folder: Path) -> None:
    rewrite(folder, "UPDATE record SET payload = x'00' WHERE sequence = 41")
    ended = fsck(folder)
    assert ended.code == Exit.NEGATIVE
    assert "journal-corrupt: " in ended.out
    assert "expected record 41 as it was appended, found it changed" in ended.out
    assert fsck(folder, "--json").value["journal_leaf_count"] is None


def test_a_journal_that_is_no_database_does_not_keep_the_tiles_from_being_judged(folder: Path) -> None:
    (folder / JOURNAL_NAME).write_bytes(b"nothing of the kind" * 1000)
    (folder / "tiles" / "tile" / "0" / "000").unlink()
    ended = fsck(folder)
    assert ended.code == Exit.NEGATIVE
    assert {line.partition(":")[0] for line in ended.out.splitlines()[:-1]} == {
        "tile-missing",
        "journal-corrupt",
    }


def test_a_changed_bundle_is_told_from_both_sides(folder: Path) -> None:
    path = folder / "tiles" / "tile" / "entries" / "000"
    path.write_bytes(path.read_bytes().replace(b"leaf 7 ", b"leaf 8 "))
    reasons = [problem["reason"] for problem in fsck(folder, "--json").value["problems"]]
    assert reasons == ["tile-mismatch", "journal-mismatch"]


def test_a_file_ahead_of_the_checkpoint_that_the_journal_contradicts_is_a_problem(folder: Path) -> None:
    """The log could not go on: it would write another content under that name."""
    ahead = folder / "tiles" / "tile" / "entries" / "001.p"
    for width, data in ((45, (ahead / "44").read_bytes() + b"\0\1x"), (46, b"\0\1")):
        (ahead / str(width)).write_bytes(data)
    ended = fsck(folder, "--live")
    assert ended.code == Exit.NEGATIVE
    assert f"journal-short: {JOURNAL_NAME}: expected the 302 leaves" in ended.out
    assert "tile-malformed: tile/entries/001.p/46: expected 46 entries" in ended.out


def test_a_log_at_work_is_judged_by_its_files_alone_and_only_when_that_is_said(folder: Path) -> None:
    with SqliteJournal.open(folder):
        busy, live = fsck(folder), fsck(folder, "--live")
    assert (busy.code, busy.out) == (Exit.INVALID, "")
    assert "a log is at work here: stop it, or judge its files alone with --live" in busy.err
    assert live.code == Exit.OK
    assert live.err == "not compared with its journal: the log is at work\n"
    assert "journal" not in live.out


def test_a_journal_that_cannot_be_opened_is_no_verdict(folder: Path) -> None:
    (folder / JOURNAL_NAME).unlink()
    (folder / JOURNAL_NAME).mkdir()
    ended = fsck(folder, "--json")
    assert (ended.code, ended.out) == (Exit.INVALID, "")
    assert f"name {folder / 'tiles'}" in json.loads(ended.err)["error"]["message"]


def test_records_of_a_coordinator_that_are_no_leaves_are_passed_over(folder: Path) -> None:
    (folder / JOURNAL_NAME).unlink()
    with SqliteJournal.open(folder) as journal:
        for number, leaf in enumerate(PUBLISHED):
            records = [("leaf", leaf), ("request", bytes(32)), ("checkpoint", b"a checkpoint")]
            journal.append(
                [
                    Record(kind=kind, request_id=f"{kind}-{number}", payload=payload, recorded_at_ms=1)
                    for kind, payload in records
                ]
            )
    assert fsck(folder).out.endswith(" a journal of 300 leaves\n")
