"""What watchers have not seen yet: the newest news of each kind on each proposal, in the order of posting.

Nothing is queued for a watcher: it asks for what came after the last thing it saw. So a slow one misses
intermediate states, never the newest, and costs no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.voting.signing import RequestCommitments, RequestShares, SigningRound
from vetonet.voting.state import Effect, NameCulprits, Voting

_INCARNATION_BITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A proposal is no longer as it was; its present state is what counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Signers are asked for something.

    Attributes:
        lease: which lease of the licence is signed, 0 for the licence or resolution itself.
        request: what they are asked for.
    """

    lease: int
    request: RequestCommitments | SigningRound


News: TypeAlias = Changed | Asked | NameCulprits


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One piece of news; ``sequence`` rises from notice to notice, across restarts too."""

    sequence: int
    proposal_digest: bytes
    news: News


class Bulletin:
    """Notices in order; an older one about the same thing gives way to the newer."""

    def __init__(self, incarnation: int) -> None:
        """Start empty.

        Args:
            incarnation: higher at every start, so that no sequence is ever given twice.
        """
        self._last = incarnation << _INCARNATION_BITS
        self._notices: dict[Hashable, Notice] = {}
        self._named: dict[bytes, list[NameCulprits]] = {}
        self._posted = asyncio.Event()
        self._is_closed = False

    @property
    def last_sequence(self) -> int:
        """The sequence of the newest notice; before the first, a number below its."""
        return self._last

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will be posted."""
        return self._is_closed

    def post(self, proposal_digest: bytes, news: News) -> None:
        """Every watcher of the proposal learns this."""
        self._last += 1
        key = (proposal_digest, _kind_of(news))
        if self._notices.pop(key, None) is None and isinstance(news, NameCulprits):
            self._named.setdefault(proposal_digest, []).append(news)
        self._notices[key] = Notice(sequence=self._last, proposal_digest=proposal_digest, news=news)
        self._wake()

    def announce(self, vote: Voting, effects: Iterable[Effect]) -> None:
        """Every watcher of a vote learns what a step of it brought."""
        self.post(vote.digest, Changed())
        self.announce_signing(vote.digest, 0, effects, is_over=vote.signing is None)

    def announce_signing(
        self, digest: bytes, lease: int, effects: Iterable[Effect], *, is_over: bool
    ) -> None:
        """Every watcher learns what the signers are asked for, and who spoilt an attempt.

        Where signing is over, whoever was named before is named no longer; only whom its end names still is.
        """
        if is_over:
            self._retract_culprits(digest)
        for effect in effects:
            if isinstance(effect, NameCulprits):
                self.post(digest, effect)
            elif isinstance(effect, RequestCommitments):
                self.post(digest, Asked(lease=lease, request=effect))
            elif isinstance(effect, RequestShares):
                self.post(digest, Asked(lease=lease, request=effect.round))
        if is_over:
            self.retract_round(digest)

    def retract_round(self, proposal_digest: bytes) -> None:
        """Nobody is asked to sign anything about this proposal any more."""
        for kind in (RequestCommitments, SigningRound):
            self._notices.pop((proposal_digest, kind.__name__), None)

    def end_epoch(self) -> None:
        """Nobody is asked for anything, or named, under a treaty that is in force no longer (VN-16.8).

        Whoever was may be on no roster that a watcher knows, so it could not read the notice.
        """
        for digest in {notice.proposal_digest for notice in self._notices.values()}:
            self.retract_round(digest)
            self._retract_culprits(digest)

    def _retract_culprits(self, proposal_digest: bytes) -> None:
        for named in self._named.pop(proposal_digest, ()):
            del self._notices[proposal_digest, named]

    def list_after(self, sequence: int, proposal_digest: bytes | None = None) -> tuple[Notice, ...]:
        """Return what was posted after ``sequence`` on one proposal, or on all, oldest first."""
        return tuple(reversed(tuple(self._iterate_back_to(sequence, proposal_digest))))

    async def wait_beyond(self, sequence: int) -> None:
        """Something was posted after ``sequence``, or nothing more will be."""
        while self._last <= sequence and not self._is_closed:
            await self._posted.wait()

    def close(self) -> None:
        """Whoever waits is woken, and nobody waits again."""
        self._is_closed = True
        self._wake()

    def _iterate_back_to(self, sequence: int, proposal_digest: bytes | None) -> Iterator[Notice]:
        for notice in reversed(self._notices.values()):
            if notice.sequence <= sequence:
                return
            if proposal_digest in {None, notice.proposal_digest}:
                yield notice

    def _wake(self) -> None:
        woken, self._posted = self._posted, asyncio.Event()
        woken.set()


def _kind_of(news: News) -> Hashable:
    """Each spoilt attempt is news of its own; of a state, and of each request, only the newest counts."""
    if isinstance(news, NameCulprits):
        return news
    return (type(news.request) if isinstance(news, Asked) else type(news)).__name__
