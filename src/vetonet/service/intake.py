"""How what is no vote comes into the log: verified first, then in their turn made durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from vetonet.attestation.conflict import Conflict, DeviceConflictError
from vetonet.crypto.statement import read_kind
from vetonet.errors import InvalidSignatureError, RefusedError, UnknownPartyError
from vetonet.service.admission import PLACED, Admission
from vetonet.service.history import LEAF, History
from vetonet.service.journalling import list_unbound, make_record
from vetonet.service.request import Request
from vetonet.service.turns import Turns
from vetonet.storage.journal import Record
from vetonet.units import Milliseconds
from vetonet.wire.identity import Identity, Role, require_caller


class Intake:
    """Takes enrolments, retirements, aliases and report batches in, one batch of them after the other.

    Attributes:
        lock: held while a batch is verified and logged.
    """

    __slots__ = ("_history", "_store", "_turns", "lock")

    def __init__(
        self, history: History, turns: Turns, store: Callable[[Sequence[Record]], Awaitable[None]]
    ) -> None:
        """Take statements into this history.

        Args:
            history: what is known so far.
            turns: who may change it.
            store: makes records durable.
        """
        self._history, self._turns, self._store = history, turns, store
        self.lock: Final = asyncio.Lock()

    async def log(
        self, statements: Sequence[bytes], request: Request, caller: Identity | None, now: Milliseconds
    ) -> tuple[int, ...]:
        """All statements are logged; return their leaf indices.

        They are verified before it is their turn: a fleet takes seconds, and no vote waits for them. One
        batch at a time is, so the chips that it is held against are still those when it is in.

        Raises:
            WrongIdentityError: the caller is not the operator whose statement one is.
            EncodingError, ProtocolError, VerificationError: one breaks VN-8 or VN-9; none is in, but where
                that convicts somebody of signing two things that cannot both be true, the proof is (VN-17.4).
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        history = self._history
        async with self.lock:
            history.knows(request)
            first = history.log.tree_size
            try:
                staged, leaves = await self._stage(statements, caller, now)
            except DeviceConflictError as error:
                await self._log_conflict(error.conflict, now)
                raise
            async with self._turns.lock:
                if history.log.tree_size != first and any(read_kind(data) in PLACED for data in statements):
                    staged, leaves = await self._stage(statements, caller, now)  # votes came in between
                records = [*leaves, *list_unbound(history, request, now)]
                await self._store(records)
                history.adopt(records, registry=staged.registry)
        places = [history.find_leaf(data) for data in statements]
        return tuple(place for place in places if place is not None)

    async def _stage(
        self, statements: Sequence[bytes], caller: Identity | None, now: Milliseconds
    ) -> tuple[Admission, list[Record]]:
        """Return the chips afterwards, and a record of each statement that the log has not.

        Each statement and its caller are verified, as if these were the next leaves of the log.
        """
        staged, first = self._history.admission.stage(), self._history.log.tree_size
        records: list[Record] = []
        for data in dict.fromkeys(statements):
            await asyncio.sleep(0)  # other calls go on meanwhile
            if self._history.find_leaf(data) is None:
                submitter = staged.admit(data, now=now, leaf_index=first + len(records))
                if submitter is not None:
                    require_caller(caller, Role.OPERATOR, submitter)
                records.append(make_record(LEAF, data, now))
        return staged, records

    async def _log_conflict(self, conflict: Conflict, now: Milliseconds) -> None:
        """What was refused convicts somebody: the proof is in the log, or cannot be and need not.

        It need not where another one there convicts of the same already, and cannot where the treaty in force
        no longer names the owner or the key by which an earlier one let the first of the two in.

        Raises:
            EncodingError, VerificationError: it is no proof, which is a fault of ours.
            StorageError: it could not be made durable.
        """
        staged, data = self._history.admission.stage(), conflict.to_bytes()
        async with self._turns.lock:
            with suppress(RefusedError, UnknownPartyError, InvalidSignatureError):
                staged.admit(data, now=now, leaf_index=self._history.log.tree_size)
                records = [make_record(LEAF, data, now)]
                await self._store(records)
                self._history.adopt(records, registry=staged.registry)
