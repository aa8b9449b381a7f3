"""How what was signed in key ceremonies comes into the log (VN-15.11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from vetonet.crypto.statement import peek
from vetonet.errors import EncodingError
from vetonet.policy.ceremony import PUBLIC_KINDS
from vetonet.service.history import LEAF, History
from vetonet.service.journalling import list_unbound, make_record
from vetonet.service.request import Request
from vetonet.storage.journal import Record
from vetonet.units import Milliseconds
from vetonet.voting.ledger import read_leaf


class Recording:
    """Takes statements of ceremonies into one history; whoever calls holds the turn."""

    __slots__ = ("_announce_growth", "_history", "_store")

    def __init__(
        self,
        history: History,
        *,
        store: Callable[[Sequence[Record]], Awaitable[None]],
        announce_growth: Callable[[], None],
    ) -> None:
        """Take them into this history.

        Args:
            history: what is known so far.
            store: makes records durable.
            announce_growth: tells whoever publishes that the log has grown.
        """
        self._history, self._store, self._announce_growth = history, store, announce_growth

    async def log(
        self, statements: Sequence[bytes], request: Request | None, now: Milliseconds
    ) -> tuple[int, ...]:
        """Return the leaf of each statement, logged now or before: all of them, or none.

        Raises:
            EncodingError, RefusedError, UnknownPartyError, InvalidSignatureError: one has no place there.
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        history, unbound = self._history, list_unbound(self._history, request, now)
        news = [data for data in dict.fromkeys(statements) if history.find_leaf(data) is None]
        ledger = history.ledger
        for leaf_index, data in enumerate(news, start=history.log.tree_size):
            _require_public(data)
            ledger = read_leaf(ledger, leaf_index, data)
        records = [*(make_record(LEAF, data, now) for data in news), *unbound]
        await self._store(records)
        history.adopt(records, ledger=ledger)
        self._announce_growth()
        places = [history.find_leaf(data) for data in statements]
        return tuple(place for place in places if place is not None)


def _require_public(data: bytes) -> None:
    """A ballot, say, comes into the log by another way, and what is sealed by none."""
    kind = peek(data).kind
    if kind not in PUBLIC_KINDS:
        raise EncodingError(f"expected a statement of a ceremony that anybody may read, got a {kind[:64]}")
