"""Which votes are under way, which of them time has something to do with now, which licences may be shown."""

from __future__ import annotations

from vetonet.service.history import History
from vetonet.units import Milliseconds
from vetonet.voting.state import Phase, Voting


class Docket:
    """The open votes of a history, in the order in which they opened."""

    __slots__ = ("_active", "_history", "_unpublished")

    def __init__(self, history: History) -> None:
        """Hold those that the history says are under way."""
        self._history = history
        self._active: dict[bytes, None] = {}
        self._unpublished: dict[bytes, None] = {}
        for digest in history.ledger.order:
            self.note(history.ledger.votes[digest])

    def note(self, vote: Voting) -> None:
        """A vote has changed; it is under way, or over."""
        digest = vote.digest
        if vote.phase in {Phase.OPEN, Phase.SIGNING}:
            self._active[digest] = None
        else:
            self._active.pop(digest, None)
        if vote.outcome is not None:
            self._unpublished[digest] = None

    def take_published(self) -> list[bytes]:
        """Return the proposals whose licence a published checkpoint covers since the last call (VN-11.6)."""
        shown = [digest for digest in self._unpublished if self._is_shown(self._history.ledger.votes[digest])]
        for digest in shown:
            del self._unpublished[digest]
        return shown

    def _is_shown(self, vote: Voting) -> bool:
        leaf_index = None if vote.outcome is None else self._history.find_leaf(vote.outcome.data)
        published = self._history.published
        size = 0 if published is None else published.checkpoint.tree_size
        return leaf_index is not None and leaf_index < size

    def find_needed_ms(self, now: Milliseconds) -> Milliseconds:
        """Return the latest close of a vote that is over and not signed yet: signers wait for it (VN-7.9)."""
        votes = (self._history.ledger.votes[digest] for digest in self._active)
        closes = [vote.matter.statement.closes_ms for vote in votes if vote.phase is Phase.OPEN]
        return max((closes_ms for closes_ms in closes if closes_ms <= now), default=0)

    def list_due(self, now: Milliseconds, witnessed_ms: Milliseconds) -> list[bytes]:
        """Return the proposals whose window, or whose round of signing, is over.

        Args:
            now: the time.
            witnessed_ms: the time at or after which a quorum cosigned the newest published checkpoint.
        """
        votes = self._history.ledger.votes
        return [digest for digest in self._active if self._is_due(votes[digest], now, witnessed_ms)]

    def _is_due(self, vote: Voting, now: Milliseconds, witnessed_ms: Milliseconds) -> bool:
        if vote.treaty.payload_digest != self._history.ledger.treaty.payload_digest:
            return True  # its epoch is over, and so is the vote
        if vote.signing is not None:
            under_way = vote.signing.round
            return now >= (vote.signing.deadline_ms if under_way is None else under_way.deadline_ms)
        patience_ms = 0 if self._is_witnessed(vote, witnessed_ms) else vote.treaty.statement.signing_ms
        return now >= vote.matter.statement.closes_ms + patience_ms

    def _is_witnessed(self, vote: Voting, witnessed_ms: Milliseconds) -> bool:
        """Whether signers can read all ballots under a checkpoint of after the close (VN-7.3, VN-7.9).

        Before that they would refuse, so they are not asked; after one signing time they are, and time out.
        """
        published = self._history.published
        places = [logged.leaf_index for logged in vote.ballots]
        if witnessed_ms < vote.matter.statement.closes_ms:
            return False
        return max(places, default=-1) < (0 if published is None else published.checkpoint.tree_size)
