"""``vetonet log fsck``: every file of a published log, judged by what its log has signed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.errors import EncodingError, StorageError

if TYPE_CHECKING:
    from vetonet.storage import TileStore
    from vetonet.tlog.fsck import FsckReport
    from vetonet.tlog.note import LogKey

TILES_FOLDER: Final = "tiles"
CHECKPOINT: Final = "checkpoint"


@click.command(
    epilog=examples(
        "vetonet log fsck trial/log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM...",
        "vetonet log fsck /var/www/log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM... --live --json",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--vkey", required=True, help="The log's verifier key. Get it from somebody you trust.")
@click.option("--origin", help="The log's identity, where it is not the name of its key.")
@click.option("--live", is_flag=True, help="The log is at work: tiles may be ahead of its checkpoint.")
@json_option
def fsck(folder: Path, vkey: str, origin: str | None, *, live: bool, as_json: bool) -> int:
    """Judge every file of the published log in FOLDER, or in the folder `tiles` within it.

    Exits with 0 if everything is there and as it was signed, 1 if anything is wrong, 4 if a file cannot be
    read or there is no checkpoint to judge by.
    """
    key = _parse_key(vkey)
    try:
        report = _judge(folder, key, origin, is_live=live)
    except StorageError as error:
        raise Failure(f"{folder}: {error}", code=Exit.INVALID, reason=error.reason) from error
    if as_json:
        print_json(_to_plain(report))
    else:
        _print_report(report)
    return Exit.OK if report.is_clean else Exit.NEGATIVE


def _parse_key(vkey: str) -> LogKey:
    from vetonet.tlog.note import LogKey

    try:
        return LogKey.from_vkey(vkey)
    except EncodingError as error:
        raise Failure(f"--vkey: {error}", code=Exit.USAGE) from error


def _judge(folder: Path, key: LogKey, origin: str | None, *, is_live: bool) -> FsckReport:
    from vetonet.tlog.checkpoint import verify_checkpoint
    from vetonet.tlog.fsck import judge_files

    store = open_tiles(folder)
    # Cosignatures of witnesses stand below the log's own line; whose they are is not asked here.
    verify = partial(verify_checkpoint, log_key=key, origin=origin, allow_other_lines=True)
    return judge_files(store.list_paths(), store.read, verify, is_live=is_live)


def open_tiles(folder: Path) -> TileStore:
    """Return the tiles in a folder, or in the folder for them that a log keeps beside its journal."""
    from vetonet.storage import FileTileStore

    inner = folder / TILES_FOLDER
    is_nested = inner.is_dir() and not (folder / CHECKPOINT).exists()
    return FileTileStore(inner if is_nested else folder)


def _print_report(report: FsckReport) -> None:
    for problem in report.problems:
        print_line(str(problem))
    for path in report.not_judged:
        note(f"not judged: {path}")
    if report.is_clean and report.ahead:
        note(f"ahead of the checkpoint: {len(report.ahead)} files, from {report.ahead[0]} on")
    print_line(_say_outcome(report))


def _say_outcome(report: FsckReport) -> str:
    files = f"{report.tile_count} tiles and bundles, {_count(report.checkpoint_count, 'checkpoint')}"
    if not report.is_clean:
        return f"{_count(len(report.problems), 'problem')} in {files}"
    size = report.checkpoint.tree_size if report.checkpoint else 0
    return f"clean: {size} leaves in {files}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def _to_plain(report: FsckReport) -> dict[str, Any]:
    checkpoint = report.checkpoint
    return {
        "clean": report.is_clean,
        "origin": checkpoint.origin if checkpoint else None,
        "tree_size": checkpoint.tree_size if checkpoint else None,
        "root_hash": checkpoint.root_hash.hex() if checkpoint else None,
        "tile_count": report.tile_count,
        "checkpoint_count": report.checkpoint_count,
        "problems": [{"reason": problem.reason, "detail": problem.detail} for problem in report.problems],
        "ahead": list(report.ahead),
        "not_judged": list(report.not_judged),
    }
