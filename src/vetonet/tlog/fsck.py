"""Judges a whole published log: that its files are there, whole, and under what its log has signed.

Nothing here raises for what a file holds. All problems are gathered, each with the path of the file first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from vetonet.errors import Problem, VetonetError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.fsck_files import ARCHIVED, CHECKPOINT, Files, Inventory, Read, sort_paths, spell_path
from vetonet.tlog.fsck_roots import Claim, PastRoots
from vetonet.tlog.fsck_tree import TreeJudge
from vetonet.tlog.tiles import Tile

VerifySigned: TypeAlias = Callable[[bytes], Checkpoint]
"""Gives the checkpoint that the log has signed in these bytes; raises VetonetError where it has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What a judgement of a published log found.

    Attributes:
        checkpoint: the one by which the tiles were judged, or None where none is signed.
        tile_count: how many tiles and bundles were there.
        checkpoint_count: how many signed checkpoints were there, the newest included.
        problems: everything that is wrong.
        ahead: files that only a log larger than the newest checkpoint has; none of them is vouched for.
        not_judged: files that are not the log's.
    """

    checkpoint: Checkpoint | None
    tile_count: int
    checkpoint_count: int
    problems: tuple[Problem, ...]
    ahead: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def judge_files(
    paths: Iterable[str], read: Read, verify: VerifySigned, *, is_live: bool = False
) -> FsckReport:
    """Return everything that is wrong with the files of a log.

    Args:
        paths: the path of every file; asked for after the newest checkpoint has been read, so that a log
            which goes on growing has at least the tiles of that checkpoint.
        read: gives the content of one of them.
        verify: tells whether the log has signed a checkpoint.
        is_live: the log is at work, so that tiles may be there for which its checkpoint is still to come;
            else such a file is a problem, for nothing signed vouches for it.

    Raises:
        VetonetError: of ``read`` alone, where a file cannot be read; also where there is no checkpoint.
    """
    newest = read(CHECKPOINT)
    names = sort_paths(paths)
    problems = list(names.problems)
    signed = _verify_all(newest, names.checkpoints, read, verify, problems)
    anchor = _pick_anchor(signed)
    size = _guess_size(names.tiles) if anchor is None else anchor.tree_size
    inventory = Inventory(size, names.tiles)
    files, roots = Files(inventory, read), PastRoots(_iter_claims(signed, size))
    TreeJudge(inventory, files, roots).judge(None if anchor is None else anchor.root_hash)
    ahead = _list_ahead(signed, inventory)
    problems += (*files.problems, *roots.problems)
    return FsckReport(
        checkpoint=anchor,
        tile_count=inventory.tile_count,
        checkpoint_count=len(names.checkpoints) + 1,
        problems=(*problems, *(() if is_live else map(_refuse_ahead, ahead))),
        ahead=ahead,
        not_judged=names.foreign,
    )


def _verify_all(
    newest: bytes, archived: Iterable[str], read: Read, verify: VerifySigned, problems: list[Problem]
) -> dict[str, Checkpoint]:
    """Return the signed checkpoints by path, the newest first; add what is wrong with the others."""
    signed: dict[str, Checkpoint] = {}
    for path, data in chain([(CHECKPOINT, newest)], ((path, read(path)) for path in sorted(archived))):
        try:
            checkpoint = verify(data)
        except VetonetError as error:
            problems.append(Problem(reason="checkpoint-invalid", detail=f"{spell_path(path)}: {error}"))
            continue
        signed[path] = checkpoint
        suffix = path.removeprefix(ARCHIVED)
        if suffix.isascii() and suffix.isdigit() and suffix != str(checkpoint.tree_size):
            detail = (
                f"{path}: expected the checkpoint of {suffix} leaves, found that of {checkpoint.tree_size}"
            )
            problems.append(Problem(reason="checkpoint-misnamed", detail=detail))
    return signed


def _pick_anchor(signed: Mapping[str, Checkpoint]) -> Checkpoint | None:
    """Return the newest checkpoint, or the largest of the others where that one is not signed."""
    if CHECKPOINT in signed:
        return signed[CHECKPOINT]
    return max(signed.values(), key=lambda checkpoint: checkpoint.tree_size, default=None)


def _guess_size(tiles: Iterable[Tile]) -> int:
    """Return how many leaves the tiles reach: the best there is where nothing is signed."""
    return max((tile.min_tree_size for tile in tiles if not tile.level), default=0)


def _iter_claims(signed: Mapping[str, Checkpoint], tree_size: int) -> Iterator[Claim]:
    for path, checkpoint in signed.items():
        if checkpoint.tree_size <= tree_size:
            size, root = checkpoint.tree_size, checkpoint.root_hash
            yield Claim(path=spell_path(path), tree_size=size, root_hash=root)


def _list_ahead(signed: Mapping[str, Checkpoint], inventory: Inventory) -> tuple[str, ...]:
    larger = (path for path, checkpoint in signed.items() if checkpoint.tree_size > inventory.tree_size)
    return (*map(spell_path, larger), *(tile.to_path() for tile in inventory.ahead))


def _refuse_ahead(path: str) -> Problem:
    detail = f"{path}: only a log larger than the newest checkpoint has this file"
    return Problem(reason="ahead", detail=detail)
