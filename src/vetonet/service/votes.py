"""Votes: what a coordinator does for proposals and motions, one step of the machine at a time (VN-5 to VN-7).

For every event the pure step comes first, then the durable append, then the new state counts, then the
watchers learn. Where the append fails the state is not adopted, so nothing is ever acknowledged that a
restart would lose.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from vetonet.crypto.statement import Signed
from vetonet.errors import ExpiredError, RefusedError
from vetonet.policy.treaty import Treaty
from vetonet.service.bulletin import Bulletin
from vetonet.service.docket import Docket
from vetonet.service.history import LEAF, History, require_leaf_sizes
from vetonet.service.journalling import list_records, list_unbound, make_record
from vetonet.service.public_view import PublicView
from vetonet.service.request import Request
from vetonet.storage.journal import Record
from vetonet.units import Milliseconds
from vetonet.voting.machine import step
from vetonet.voting.signing import GroupShare
from vetonet.voting.state import Effect, Event, Phase, SharesReceived, TimePassed, Voting


class Votes:
    """Steps the votes of one history; whoever calls holds the turn.

    Attributes:
        docket: which of them are under way.
    """

    __slots__ = ("_announce_growth", "_bulletin", "_history", "_store", "_view", "docket")

    def __init__(
        self,
        history: History,
        view: PublicView,
        bulletin: Bulletin,
        *,
        store: Callable[[Sequence[Record]], Awaitable[None]],
        announce_growth: Callable[[], None],
    ) -> None:
        """Step this history's votes.

        Args:
            history: what is known so far.
            view: what anybody may read of it.
            bulletin: what watchers follow.
            store: makes records durable.
            announce_growth: tells whoever publishes that the log has grown.
        """
        self._history, self._view, self._bulletin = history, view, bulletin
        self._store, self._announce_growth = store, announce_growth
        self.docket: Final = Docket(history)

    async def open(self, digest: bytes, data: bytes, request: Request, now: Milliseconds) -> Voting:
        """Return the open vote on a proposal or motion, logged now or before.

        Raises:
            ProtocolError, VerificationError: the rules of VN-5 say no.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
        """
        history, unbound = self._history, list_unbound(self._history, request, now)
        earlier = history.ledger.votes.get(digest)
        if earlier is not None:
            await self._carry_out(earlier, (), now, unbound)
            return earlier
        if self._view.has_name(digest):
            raise RefusedError("another proposal has the same name; draw another serial")
        vote, effects = history.ledger.open_vote(data, history.log.tree_size, now=now)
        await self._carry_out(vote, effects, now, unbound)
        self._view.name_proposal(digest)
        return vote

    async def amend(self, successor: Signed[Treaty], request: Request, now: Milliseconds) -> int:
        """Return the leaf of a treaty that is in force from now on.

        Raises:
            RefusedError: nobody decided that, the resolution has lapsed, or it is no successor (VN-16).
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
        """
        history, unbound = self._history, list_unbound(self._history, request, now)
        known = history.find_leaf(successor.data)
        if known is not None:
            await self._store(unbound)
            history.adopt(unbound)
            return known
        decided = history.ledger.find_amendment(successor).statement
        if now >= decided.ends_ms:
            msg = f"a treaty whose resolution lapsed at {decided.ends_ms}"
            raise ExpiredError(msg, clause="VN-16.7")
        ledger, place = history.ledger.with_treaty(successor), history.log.tree_size
        require_leaf_sizes((successor.data,))
        records = [make_record(LEAF, successor.data, now), *unbound]
        await self._store(records)
        history.adopt(records, ledger=ledger)
        self._announce_growth()
        self._bulletin.end_epoch()
        return place

    async def collect(
        self,
        digest: bytes,
        party_id: str,
        attempt: int,
        shares: tuple[GroupShare, ...],
        now: Milliseconds,
    ) -> Voting:
        """Return the vote after a signer's shares.

        Raises:
            ProtocolError: the rules of VN-7 say no.
            StorageError: the licence could not be made durable; the shares may be sent again.
        """
        vote = self._history.ledger.votes[digest]
        if vote.phase is Phase.LICENSED:
            return vote  # a retry of the shares that completed it, or some that nobody needs any more

        def receive(place: int) -> Event:
            licensed = self._history.ledger.licensed
            return SharesReceived(
                party_id=party_id, attempt=attempt, shares=shares, leaf_index=place, licensed=licensed
            )

        return await self.advance(digest, receive, now)

    async def advance(
        self,
        digest: bytes,
        make_event: Callable[[int], Event],
        now: Milliseconds,
        *,
        request: Request | None = None,
    ) -> Voting:
        """Take one step of one vote: pure first, then durable, then adopted, then published.

        Raises:
            ProtocolError: the event breaks a rule.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
        """
        vote, unbound = self._history.ledger.votes[digest], list_unbound(self._history, request, now)
        following, effects = step(vote, make_event(self._history.log.tree_size), now)
        await self._carry_out(following, effects, now, unbound)
        return following

    def let_time_pass(self, place: int) -> Event:
        """Return the event that somebody looked at the clock."""
        del place
        ledger = self._history.ledger
        return TimePassed(licensed=ledger.licensed, epoch=ledger.treaty.statement.epoch)

    async def _carry_out(
        self, vote: Voting, effects: Sequence[Effect], now: Milliseconds, unbound: Sequence[Record]
    ) -> None:
        """What a step asks for is durable and done, together with the record of the request behind it."""
        ledger = self._history.ledger
        is_news = ledger.votes.get(vote.digest) is not vote
        records = [*list_records(self._history, vote, effects, now), *unbound]
        await self._store(records)
        self._history.adopt(records, ledger=ledger.with_vote(vote))
        self._announce_growth()
        if is_news:
            self.docket.note(vote)
            self._bulletin.announce(vote, effects)
