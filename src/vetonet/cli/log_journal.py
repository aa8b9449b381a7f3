"""Compares the journal of a log with the files that it wrote: what was acknowledged is what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.log_source import CHECKPOINT, TILES_FOLDER
from vetonet.errors import EncodingError, Problem, StorageError

if TYPE_CHECKING:
    from vetonet.storage.journal import Journal
    from vetonet.storage.tile_store import TileStore
    from vetonet.tlog.tiles import Tile

MOST_NAMED: Final = 16
"""So many leaves that differ are named; the journal of another log differs in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReport:
    """What a comparison found.

    Attributes:
        leaf_count: how many leaves were acknowledged, or None where no journal that holds was compared.
        problems: everything that is wrong.
    """

    leaf_count: int | None = None
    problems: tuple[Problem, ...] = ()


class LogJournal:
    """The journal beside the tiles of a log; while it is open here, no log can run on it."""

    __slots__ = ("_damage", "_journal")

    def __init__(self, journal: Journal | None, damage: tuple[Problem, ...]) -> None:
        """Compare this journal, or report why there is none to compare; use ``open`` instead."""
        self._journal, self._damage = journal, damage

    @classmethod
    def open(cls, folder: Path, stack: ExitStack) -> LogJournal:
        """Return the journal in a folder, its digest chain verified from the first record to the last.

        Raises:
            LockedJournalError: a log runs on it.
            Failure: it cannot be read.
        """
        from vetonet.storage import SqliteJournal
        from vetonet.storage.journal import CorruptJournalError, LockedJournalError

        try:
            return cls(stack.enter_context(SqliteJournal.open(folder)), ())
        except LockedJournalError:
            raise
        except CorruptJournalError as error:
            return cls(None, (Problem(reason=error.reason, detail=str(error)),))
        except StorageError as error:
            message = f"{error}; to judge the published files alone, name {folder / TILES_FOLDER}"
            raise Failure(message, code=Exit.INVALID, reason=error.reason) from error

    def compare(self, store: TileStore, published: int) -> JournalReport:
        """Return where the journal and the bundles of entries differ, in the order of the leaves.

        Args:
            store: the files of the log.
            published: how many leaves its checkpoint covers.

        Raises:
            StorageError: a bundle or the journal cannot be read.
        """
        if self._journal is None:
            return JournalReport(problems=self._damage)
        comparison = _Comparison(store, published)
        count = comparison.run(self._journal)
        return JournalReport(leaf_count=count, problems=tuple(comparison.problems))


def has_journal(folder: Path) -> bool:
    """Whether a folder is a log's own, with its journal beside the folder of its tiles."""
    from vetonet.storage.sqlite import JOURNAL_NAME

    is_nested = (folder / TILES_FOLDER).is_dir() and not (folder / CHECKPOINT).exists()
    return is_nested and (folder / JOURNAL_NAME).exists()


class _Comparison:
    """One pass over the journal, with 256 leaves in memory at a time."""

    def __init__(self, store: TileStore, published: int) -> None:
        self.problems: Final = list[Problem]()
        self._store: Final = store
        self._published: Final = published
        self._bundles: Final = _list_bundles(store)
        self._named: Final = set[int]()

    def run(self, journal: Journal) -> int:
        """Return how many leaves the journal has, with every bundle compared that lies within them."""
        count = 0
        for index, leaves in enumerate(_iter_groups(journal)):
            for tile in self._bundles.get(index, ()):
                self._compare_bundle(tile, leaves)
            count += len(leaves)
        sizes = (tile.min_tree_size for tile in chain.from_iterable(self._bundles.values()))
        needed = max(self._published, *sizes, 0)
        if count < needed:
            detail = f"expected the {needed} leaves that were written as tiles, found {count}"
            self._add("journal-short", f"{detail}: was it restored from a backup?")
        return count

    def _compare_bundle(self, tile: Tile, leaves: Sequence[bytes]) -> None:
        """Name the first leaf of a bundle that differs, each leaf once."""
        from vetonet.tlog.tiles import decode_bundle

        path = tile.to_path()
        try:
            entries = decode_bundle(self._store.read(path), tile.width)
        except EncodingError as error:
            if tile.min_tree_size > self._published:  # else it has been judged as a file of the log
                self.problems.append(Problem(reason="tile-malformed", detail=f"{path}: {error}"))
            return
        pairs = enumerate(zip(entries, leaves, strict=False))
        place = next((place for place, (entry, leaf) in pairs if entry != leaf), None)
        leaf_index = tile.min_tree_size - tile.width + (place or 0)
        if place is not None and leaf_index not in self._named and len(self._named) < MOST_NAMED:
            self._named.add(leaf_index)
            self._add("journal-mismatch", f"leaf {leaf_index}: expected the one in {path}, found another")

    def _add(self, reason: str, detail: str) -> None:
        from vetonet.storage.sqlite import JOURNAL_NAME

        self.problems.append(Problem(reason=reason, detail=f"{JOURNAL_NAME}: {detail}"))


def _list_bundles(store: TileStore) -> dict[int, list[Tile]]:
    """Return every bundle by its index, the widest first: that is the one a message names."""
    from vetonet.tlog.tiles import Tile

    bundles: dict[int, list[Tile]] = {}
    for path in store.list_paths():
        try:
            tile = Tile.from_path(path)
        except EncodingError:
            continue  # no tile; fsck has said so where it matters
        if tile.is_bundle:
            bundles.setdefault(tile.index, []).append(tile)
    for tiles in bundles.values():
        tiles.sort(key=lambda tile: -tile.width)
    return bundles


def _iter_groups(journal: Journal) -> Iterator[list[bytes]]:
    """Yield the leaves of a journal as they stand in bundles; a coordinator keeps other records, too."""
    from vetonet.service.history import LEAF
    from vetonet.tlog.tiles import TILE_WIDTH

    group, start = list[bytes](), 0
    while page := journal.read(start, TILE_WIDTH):
        start += len(page)
        records = (stored.record for stored in page)
        group += [record.payload for record in records if record.kind.partition(".")[0] == LEAF]
        while len(group) >= TILE_WIDTH:
            yield group[:TILE_WIDTH]
            del group[:TILE_WIDTH]
    if group:
        yield group
