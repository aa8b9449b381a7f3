"""``vetonet log fsck``: every file of a published log, judged by what its log has signed."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.log_journal import JournalReport, LogJournal, has_journal
from vetonet.cli.log_source import (
    choose_policy,
    open_tiles,
    parse_vkey,
    policy_option,
    treaty_option,
    vkey_option,
)
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vetonet.tlog.checkpoint import Checkpoint
    from vetonet.tlog.fsck import FsckReport


@click.command(
    epilog=examples(
        "vetonet log fsck trial/log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM...",
        "vetonet log fsck /var/www/log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM... --live --json",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@vkey_option
@policy_option
@treaty_option
@click.option("--origin", help="The log's identity, where it is not the name of its --vkey.")
@click.option("--live", is_flag=True, help="The log is at work: tiles may be ahead of its checkpoint.")
@json_option
def fsck(
    *,
    folder: Path,
    vkey: str | None,
    policy_path: Path | None,
    treaty_path: Path | None,
    origin: str | None,
    live: bool,
    as_json: bool,
) -> int:
    """Judge every file of the published log in FOLDER, or in the folder `tiles` within it.

    With --vkey the log's own signature counts; with --policy or --treaty its witnesses have to have cosigned.
    Where the log's own journal is in FOLDER, too, what it acknowledged is compared with its files.

    Exits with 0 if everything is there and as it was signed, 1 if anything is wrong, 4 if a file cannot be
    read or there is no checkpoint to judge by.
    """
    verify = _choose_verifier(vkey, policy_path, treaty_path, origin)
    try:
        report, journal = _judge(folder, verify, is_live=live)
    except StorageError as error:
        where = "" if str(folder) in str(error) else f"{folder}: "
        raise Failure(f"{where}{error}", code=Exit.INVALID, reason=error.reason) from error
    if as_json:
        print_json(_to_plain(report, journal))
    else:
        _print_report(report, journal)
    return Exit.OK if report.is_clean and not journal.problems else Exit.NEGATIVE


def _judge(
    folder: Path, verify: Callable[[bytes], Checkpoint], *, is_live: bool
) -> tuple[FsckReport, JournalReport]:
    """Return what is wrong with the files, and what with the journal beside them."""
    from vetonet.tlog.fsck import judge_files

    with ExitStack() as stack:
        # Opened first: while the journal is held, no log starts and changes what is judged.
        journal = _open_journal(folder, stack, is_live=is_live) if has_journal(folder) else None
        store = open_tiles(folder)
        report = judge_files(store.list_paths(), store.read, verify, is_live=is_live)
        published = 0 if report.checkpoint is None else report.checkpoint.tree_size
        return report, JournalReport() if journal is None else journal.compare(store, published)


def _open_journal(folder: Path, stack: ExitStack, *, is_live: bool) -> LogJournal | None:
    """Return the journal beside the tiles, or None where a log at work holds it.

    Raises:
        Failure: a log is at work, and nobody said so.
    """
    from vetonet.storage.journal import LockedJournalError

    try:
        return LogJournal.open(folder, stack)
    except LockedJournalError as error:
        if is_live:
            note("not compared with its journal: the log is at work")
            return None
        message = f"{folder}: a log is at work here: stop it, or judge its files alone with --live"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _choose_verifier(
    vkey: str | None, policy_path: Path | None, treaty_path: Path | None, origin: str | None
) -> Callable[[bytes], Checkpoint]:
    """Return what says whether a checkpoint counts."""
    from vetonet.tlog.checkpoint import verify_checkpoint
    from vetonet.tlog.policy import verify_cosigned

    if vkey is not None and policy_path is None and treaty_path is None:
        # Cosignatures of witnesses stand below the log's own line; whose they are is not asked here.
        return partial(verify_checkpoint, log_key=parse_vkey(vkey), origin=origin, allow_other_lines=True)
    if origin is not None:
        raise Failure("--origin goes with --vkey: a policy and a treaty name the log's identity themselves")
    policy = choose_policy(vkey=vkey, policy_path=policy_path, treaty_path=treaty_path)
    return lambda data: verify_cosigned(data, policy, allow_other_lines=True).checkpoint


def _print_report(report: FsckReport, journal: JournalReport) -> None:
    for problem in (*report.problems, *journal.problems):
        print_line(str(problem))
    for path in report.not_judged:
        note(f"not judged: {path}")
    if report.is_clean and report.ahead:
        note(f"ahead of the checkpoint: {len(report.ahead)} files, from {report.ahead[0]} on")
    print_line(_say_outcome(report, journal))


def _say_outcome(report: FsckReport, journal: JournalReport) -> str:
    files = f"{report.tile_count} tiles and bundles, {_count(report.checkpoint_count, 'checkpoint')}"
    if journal.leaf_count is not None:
        files += f", a journal of {_count(journal.leaf_count, 'leaf', 'leaves')}"
    count = len(report.problems) + len(journal.problems)
    if count:
        return f"{_count(count, 'problem')} in {files}"
    size = report.checkpoint.tree_size if report.checkpoint else 0
    return f"clean: {size} leaves in {files}"


def _count(number: int, noun: str, nouns: str | None = None) -> str:
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def _to_plain(report: FsckReport, journal: JournalReport) -> dict[str, Any]:
    checkpoint, problems = report.checkpoint, (*report.problems, *journal.problems)
    return {
        "clean": not problems,
        "origin": checkpoint.origin if checkpoint else None,
        "tree_size": checkpoint.tree_size if checkpoint else None,
        "root_hash": checkpoint.root_hash.hex() if checkpoint else None,
        "tile_count": report.tile_count,
        "checkpoint_count": report.checkpoint_count,
        "journal_leaf_count": journal.leaf_count,
        "problems": [{"reason": problem.reason, "detail": problem.detail} for problem in problems],
        "ahead": list(report.ahead),
        "not_judged": list(report.not_judged),
    }
