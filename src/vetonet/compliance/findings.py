"""What is found on the way, kept short: a few problems of each kind in words, the rest as a count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from vetonet.errors import Problem

MAX_SHOWN: Final = 20
"""How many problems of one reason are listed one by one; the rest is counted in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """What is wrong with a report depends on whether its batch turns out to commit to it (VN-10.5).

    Attributes:
        batch_leaf: the leaf of the batch, which is decided when all reports were read.
        committed: the problem where it does, or None for none.
        otherwise: the problem where it does not, or None for none.
    """

    batch_leaf: int
    committed: Problem | None
    otherwise: Problem | None


class _Count:
    """Some problems of one reason: the first ones, and how many there are."""

    __slots__ = ("shown", "total")

    def __init__(self) -> None:
        self.shown: list[Problem] = []
        self.total = 0

    def add(self, problem: Problem) -> None:
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(problem)
        self.total += 1


class Findings:
    """The problems of one claim; grows in place, and not with the number of problems."""

    __slots__ = ("_by_reason", "_undecided")

    def __init__(self) -> None:
        """Begin without any."""
        self._by_reason: dict[str, _Count] = defaultdict(_Count)
        self._undecided: dict[tuple[int, bool, str], _Count] = defaultdict(_Count)

    def note(self, found: Problem | Undecided) -> None:
        """Take what was found."""
        if isinstance(found, Problem):
            self._by_reason[found.reason].add(found)
            return
        for is_committed, problem in ((True, found.committed), (False, found.otherwise)):
            if problem is not None:
                self._undecided[found.batch_leaf, is_committed, problem.reason].add(problem)

    def note_all(self, found: Iterable[Problem | Undecided]) -> None:
        """Take all that was found."""
        for each in found:
            self.note(each)

    def decide(self, committed: frozenset[int]) -> tuple[Problem, ...]:
        """Return the problems: at most ``MAX_SHOWN`` of each reason, then one line that counts the rest.

        Args:
            committed: the leaves of the batches that commit to the reports of their windows.
        """
        for (batch_leaf, is_committed, reason), count in self._undecided.items():
            if (batch_leaf in committed) is is_committed:
                for problem in count.shown:
                    self._by_reason[reason].add(problem)
                self._by_reason[reason].total += count.total - len(count.shown)
        self._undecided.clear()
        return tuple(shown for reason, count in self._by_reason.items() for shown in _list(reason, count))


def _list(reason: str, count: _Count) -> Iterator[Problem]:
    yield from count.shown
    if count.total > len(count.shown):
        yield Problem(reason=reason, detail=f"and {count.total - len(count.shown)} more of the same kind")
