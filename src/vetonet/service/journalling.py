"""What has to be durable before a step counts, and how it becomes so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from vetonet.crypto.statement import Signed
from vetonet.errors import StorageError
from vetonet.policy.quorum import Decision
from vetonet.policy.treaty import Treaty
from vetonet.service.history import (
    CONCLUSION,
    LEAF,
    REQUEST,
    Conclusion,
    History,
    require_leaf_sizes,
)
from vetonet.service.request import Request
from vetonet.storage.journal import Record, StoredRecord
from vetonet.units import Milliseconds
from vetonet.voting.ledger import read_leaf
from vetonet.voting.state import AppendLeaf, Conclude, Effect, Voting
from vetonet.voting.tenure_state import Tenure
from vetonet.wire.convert import NAME_BYTES

PAGE_RECORDS: Final = 1_000


class JournalPort(Protocol):
    """What a coordinator needs of its journal; ``vetonet.storage.AsyncJournal`` has it."""

    async def append_all(self, records: Sequence[Record]) -> tuple[int, ...]:
        """All records are durable, one after the other, or none is; return their sequences."""
        ...

    async def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return at most ``limit`` records from sequence ``start`` on."""
        ...

    async def close(self) -> None:
        """Everything taken in has its answer, and nothing more is taken in."""
        ...


async def read_history(journal: JournalPort, treaty: Signed[Treaty]) -> History:
    """Return what the whole journal amounts to under this treaty.

    Raises:
        ConfigError: it is another treaty's.
        StorageError: it cannot be read, or breaks the rules.
    """
    history = History(treaty)
    while page := await journal.read(history.record_count, PAGE_RECORDS):
        for stored in page:
            history.replay(stored)
    return history


async def append(journal: JournalPort, history: History, records: Sequence[Record]) -> None:
    """The records are durable, next after those that the history knows.

    Raises:
        StorageError: they are not, or somebody else writes to the journal.
    """
    sequences = await journal.append_all(records)
    expected = tuple(range(history.record_count, history.record_count + len(records)))
    if sequences != expected:
        raise StorageError("the journal holds records that this coordinator did not write; restart it")


def make_record(kind: str, payload: bytes, now: Milliseconds, request_id: str | None = None) -> Record:
    """Return the record of something that came in at ``now``."""
    return Record(kind=kind, request_id=request_id, payload=payload, recorded_at_ms=now)


def list_unbound(history: History, request: Request | None, now: Milliseconds) -> tuple[Record, ...]:
    """Return what binds a request's id to its content, unless that is done, as in a retry.

    Raises:
        RequestConflictError: the id was used for something else (VN-13.2).
    """
    if request is None or history.knows(request):
        return ()
    return (make_record(REQUEST, request.digest, now, request.request_id),)


def list_records(
    history: History, vote: Voting, effects: Sequence[Effect], now: Milliseconds
) -> tuple[Record, ...]:
    """Return what has to be durable before a step of this vote counts.

    Args:
        history: what is durable so far.
        vote: the vote after the step.
        effects: what the step asks for.
        now: the time of the step.

    Raises:
        ProtocolError, VerificationError: readers of the log would not let a leaf of it in.
    """
    return tuple(record for effect in effects for record in _list_records(history, vote, effect, now))


def _list_records(history: History, vote: Voting, effect: Effect, now: Milliseconds) -> tuple[Record, ...]:
    digest = vote.digest
    if isinstance(effect, AppendLeaf):
        _require_readable(history, effect)
        # The id makes the database itself refuse a second licence of one proposal (VN-7.6).
        licence_id = None if vote.outcome is None else f"licence.{digest[:NAME_BYTES].hex()}"
        return (make_record(LEAF, effect.data, now, licence_id),)
    if isinstance(effect, Conclude) and effect.decision is not Decision.GRANTED:
        ended = Conclusion(proposal_digest=digest, decision=effect.decision)
        return (make_record(CONCLUSION, ended.to_bytes(), now),)
    return ()


def list_lease_records(
    history: History, tenure: Tenure, effects: Sequence[Effect], now: Milliseconds
) -> tuple[Record, ...]:
    """Return what has to be durable before a step of this licence's life counts.

    Raises:
        ProtocolError, VerificationError: readers of the log would not let a leaf of it in.
    """
    records = []
    for effect in effects:
        if isinstance(effect, AppendLeaf):
            _require_readable(history, effect)
            is_lease = tenure.lease is not None and effect.data == tenure.lease.data
            number = tenure.lease.statement.number if is_lease and tenure.lease is not None else 0
            # As with licences: the database itself refuses a second lease of one number.
            name = f"lease.{tenure.digest[:NAME_BYTES].hex()}.{number}" if number else None
            records.append(make_record(LEAF, effect.data, now, name))
    return tuple(records)


def _require_readable(history: History, effect: AppendLeaf) -> None:
    """Whoever reads the log will let this leaf in (VN-11.3): whatever our own state says, they judge.

    Raises:
        ProtocolError, VerificationError: they would not, and would believe no further leaf of this log.
    """
    if effect.leaf_index != history.log.tree_size:
        raise ValueError("a step that appends elsewhere than at the end of the log")
    require_leaf_sizes((effect.data,))
    read_leaf(history.ledger, effect.leaf_index, effect.data)
