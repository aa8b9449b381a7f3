"""How what is signed about inspections comes into the log (VN-19)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from vetonet.crypto.statement import read_kind
from vetonet.errors import EncodingError
from vetonet.service.history import LEAF, History
from vetonet.service.journalling import list_unbound, make_record
from vetonet.service.request import Request
from vetonet.storage.journal import Record
from vetonet.units import Milliseconds
from vetonet.voting.inspection_arrival import find_submitter, verify_arrival
from vetonet.voting.inspections import INSPECTION_KINDS
from vetonet.voting.ledger import read_leaf
from vetonet.wire.identity import Identity, Role, require_caller


class Inspecting:
    """Takes statements about inspections into one history; whoever calls holds the turn."""

    __slots__ = ("_history", "_store")

    def __init__(self, history: History, store: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        """Take them into this history.

        Args:
            history: what is known so far.
            store: makes records durable.
        """
        self._history, self._store = history, store

    async def log(
        self, statements: Sequence[bytes], request: Request, caller: Identity | None, now: Milliseconds
    ) -> tuple[int, ...]:
        """Return the leaf of each statement, logged now or before: all of them, or none.

        Raises:
            WrongIdentityError: the caller is not whose statement one is.
            EncodingError, ProtocolError, VerificationError: one breaks VN-19.
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        history, unbound = self._history, list_unbound(self._history, request, now)
        news = [data for data in dict.fromkeys(statements) if history.find_leaf(data) is None]
        ledger = history.ledger
        for leaf_index, data in enumerate(news, start=history.log.tree_size):
            verify_arrival(data, now)
            is_party, name = find_submitter(data)
            require_caller(caller, Role.PARTY if is_party else Role.OPERATOR, name)
            ledger = read_leaf(ledger, leaf_index, data)
        records = [*(make_record(LEAF, data, now) for data in news), *unbound]
        await self._store(records)
        history.adopt(records, ledger=ledger)
        places = [history.find_leaf(data) for data in statements]
        return tuple(place for place in places if place is not None)


def are_inspections(statements: Sequence[bytes]) -> bool:
    """Whether all of these are about inspections, or none is.

    Raises:
        EncodingError: some are and some are not, or one is no statement.
    """
    found = {read_kind(data) in INSPECTION_KINDS for data in statements}
    if len(found) > 1:
        raise EncodingError("expected statements about inspections in a call of their own")
    return True in found
