"""The council as far as it got, and what came of a scene."""

from __future__ import annotations

from dataclasses import dataclass, field

from vetonet.cli.council.charter import list_permanent
from vetonet.cli.council.stage import Stage
from vetonet.party.status import PartyStatus, ProposalStatus
from vetonet.voting.state import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a scene: whether it is what should have, and one line for people."""

    is_as_expected: bool
    detail: str


@dataclass(slots=True, kw_only=True)
class Council:
    """The council as far as it got.

    Attributes:
        stage: where all of it runs.
        founders: ids of the parties that found.
        newcomers: ids of those that come later.
        leavers: those in whose place they come.
        window, long_window: how long votes stay open, by rules and by hand.
        members: who is on the roster now.
    """

    stage: Stage
    founders: tuple[str, ...]
    newcomers: tuple[str, ...]
    leavers: tuple[str, ...]
    window: str
    long_window: str
    members: tuple[str, ...] = field(default=())

    @property
    def watcher(self) -> str:
        """Whose daemon is asked how things stand: the first permanent member's."""
        return self.founders[0]

    @property
    def elected(self) -> tuple[str, ...]:
        """Members without a veto that stay to the end."""
        permanent = list_permanent(self.founders)
        return tuple(n for n in self.founders if n not in permanent and n not in self.leavers)


def is_ended(entry: ProposalStatus) -> bool:
    """Whether a vote is over, one way or the other."""
    return entry.phase not in {Phase.OPEN, Phase.SIGNING}


def has_lease(told: PartyStatus, name: str) -> bool:
    """Whether a run has a lease."""
    return any(entry.name == name and entry.lease for entry in told.licences)


def shorten(name: str) -> str:
    """Return the name of a vote in fewer digits."""
    return name[: len("proposals/") + 8]
