"""Group commit: waiting appends share a commit, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

import pytest

from vetonet.errors import StorageError
from vetonet.storage import (
    AsyncJournal,
    FullJournalError,
    Journal,
    MemoryJournal,
    PoisonedJournalError,
    Record,
    RequestConflictError,
    SqliteJournal,
    StoredRecord,
)


def make_record(payload: bytes = b"ballot", *, request_id: str | None = None) -> Record:
    """Return a record that differs from another in what the test names."""
    return Record(kind="ballot", request_id=request_id, payload=payload, recorded_at_ms=1_000)


class ScriptedJournal:
    """A memory journal whose appends wait for the test, fail as told, and are written down."""

    def __init__(self, errors: Sequence[Exception | None] = (), *, is_gated: bool = False) -> None:
        self.batches: list[int] = []
        self.gate = Event()
        self.entered = Event()
        self._errors = list(errors)
        self._inner = MemoryJournal()
        if not is_gated:
            self.gate.set()

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        """Wait for the gate, then fail or append."""
        self.entered.set()
        assert self.gate.wait(5)
        self.batches.append(len(records))
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error
        return self._inner.append(records)

    def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        """Read."""
        return self._inner.read(start, limit)

    def size(self) -> int:
        """Count."""
        return self._inner.size()

    def find_request(self, request_id: str) -> StoredRecord | None:
        """Find."""
        return self._inner.find_request(request_id)

    def close(self) -> None:
        """Close, or fail as told."""
        error = self._errors.pop(0) if self._errors else None
        self._inner.close()
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


async def wait_until(condition: Callable[[], bool]) -> None:
    """Give other tasks and the writer their turn until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in the writer's thread
            await asyncio.sleep(0.001)


async def start_behind_gate(journal: AsyncJournal, scripted: ScriptedJournal) -> asyncio.Task[int]:
    """Start an append that the writer holds at the gate, so that later ones wait in the queue."""
    first = asyncio.create_task(journal.append(make_record(b"first")))
    await wait_until(scripted.entered.is_set)
    return first


async def gather_errors(*appends: asyncio.Task[int]) -> list[int | type[BaseException]]:
    """Return each append's sequence or the class of its error."""
    answers = await asyncio.gather(*appends, return_exceptions=True)
    return [type(answer) if isinstance(answer, BaseException) else answer for answer in answers]


@pytest.fixture(params=["memory", "sqlite"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    """An empty journal of each back end; the asynchronous one closes it."""
    return MemoryJournal() if request.param == "memory" else SqliteJournal.open(tmp_path)


def test_concurrent_appends_each_get_their_own_sequence(inner: Journal) -> None:
    async def scenario() -> None:
        async with AsyncJournal(inner) as journal:
            records = [make_record(str(number).encode(), request_id=f"r{number}") for number in range(200)]
            sequences = await asyncio.gather(*(journal.append(record) for record in records))
            assert sorted(sequences) == list(range(200))
            assert journal.size() == 200
            for record, sequence in zip(records, sequences, strict=True):
                found = await journal.find_request(str(record.request_id))
                assert found == StoredRecord(sequence=sequence, record=record)
            assert len(await journal.read(0, 1_000)) == 200

    asyncio.run(scenario())


def test_a_group_is_stored_together_and_in_order(inner: Journal) -> None:
    async def scenario() -> None:
        async with AsyncJournal(inner) as journal:
            groups = [[make_record(bytes([number, part])) for part in range(3)] for number in range(30)]
            for sequences in await asyncio.gather(*(journal.append_all(group) for group in groups)):
                assert sequences == tuple(range(sequences[0], sequences[0] + 3))
            assert await journal.append_all([]) == ()

    asyncio.run(scenario())


def test_appends_that_wait_share_one_commit() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        async with AsyncJournal(scripted) as journal:
            first = await start_behind_gate(journal, scripted)
            others = [asyncio.create_task(journal.append(make_record())) for _ in range(10)]
            await asyncio.sleep(0)
            scripted.gate.set()
            assert await asyncio.gather(first, *others) == list(range(11))
        assert scripted.batches == [1, 10]

    asyncio.run(scenario())


def test_a_lone_append_does_not_linger() -> None:
    async def scenario() -> None:
        async with AsyncJournal(MemoryJournal(), linger_s=3_600) as journal:
            async with asyncio.timeout(5):
                for number in range(5):
                    assert await journal.append(make_record()) == number

    asyncio.run(scenario())


def test_after_a_shared_commit_the_writer_lingers_for_company() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        async with AsyncJournal(scripted, linger_s=5) as journal:
            first = await start_behind_gate(journal, scripted)
            pair = [asyncio.create_task(journal.append(make_record())) for _ in range(2)]
            await asyncio.sleep(0)
            scripted.gate.set()
            await asyncio.gather(first, *pair)
            early = asyncio.create_task(journal.append(make_record()))
            await asyncio.sleep(0.02)
            assert not early.done()
            assert await journal.append(make_record()) == 4
            assert await early == 3
        assert scripted.batches == [1, 2, 2]

    asyncio.run(scenario())


def test_a_batch_takes_no_more_rows_than_it_may() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        async with AsyncJournal(scripted, max_batch_rows=4, linger_s=0) as journal:
            first = await start_behind_gate(journal, scripted)
            others = [asyncio.create_task(journal.append(make_record())) for _ in range(10)]
            await asyncio.sleep(0)
            scripted.gate.set()
            await asyncio.gather(first, *others)
        assert max(scripted.batches) == 4

    asyncio.run(scenario())


def test_a_conflict_fails_its_own_append_alone(inner: Journal) -> None:
    async def scenario() -> None:
        async with AsyncJournal(inner) as journal:
            await journal.append(make_record(b"first", request_id="r1"))
            answers = await gather_errors(
                asyncio.create_task(journal.append(make_record(b"a", request_id="r2"))),
                asyncio.create_task(journal.append(make_record(b"other", request_id="r1"))),
                asyncio.create_task(journal.append(make_record(b"first", request_id="r1"))),
                asyncio.create_task(journal.append(make_record(b"b", request_id="r3"))),
            )
            assert answers == [1, RequestConflictError, 0, 2]
            assert journal.size() == 3

    asyncio.run(scenario())


def test_a_storage_error_fails_exactly_the_appends_of_its_batch() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal([None, FullJournalError("full"), None], is_gated=True)
        async with AsyncJournal(scripted) as journal:
            first = await start_behind_gate(journal, scripted)
            others = [asyncio.create_task(journal.append(make_record())) for _ in range(3)]
            await asyncio.sleep(0)
            scripted.gate.set()
            assert await gather_errors(first, *others) == [0, *[FullJournalError] * 3]
            assert await journal.append(make_record()) == 1

    asyncio.run(scenario())


def test_a_poisoned_journal_refuses_every_later_append() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal([PoisonedJournalError("unknown")] * 3)
        async with AsyncJournal(scripted) as journal:
            for _ in range(3):
                with pytest.raises(PoisonedJournalError):
                    await journal.append(make_record())
            scripted._errors.clear()

    asyncio.run(scenario())


def test_an_error_that_no_journal_should_raise_refuses_every_later_append() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal([ZeroDivisionError("secret contents")])
        async with AsyncJournal(scripted) as journal:
            for _ in range(2):
                with pytest.raises(StorageError, match="writer failed") as caught:
                    await journal.append(make_record())
                assert "secret" not in str(caught.value)
        assert scripted.batches == [1]

    asyncio.run(scenario())


def test_a_full_queue_makes_the_next_append_wait() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        async with AsyncJournal(scripted, max_waiting=3) as journal:
            first = await start_behind_gate(journal, scripted)
            others = [asyncio.create_task(journal.append(make_record())) for _ in range(8)]
            await asyncio.sleep(0.01)
            assert journal._queue.qsize() == 2
            scripted.gate.set()
            assert sorted(await asyncio.gather(first, *others)) == list(range(9))
        assert max(scripted.batches) <= 3

    asyncio.run(scenario())


def test_a_cancelled_append_gives_its_place_back() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        async with AsyncJournal(scripted, max_waiting=1) as journal:
            first = await start_behind_gate(journal, scripted)
            first.cancel()
            assert await gather_errors(first) == [asyncio.CancelledError]
            later = asyncio.create_task(journal.append(make_record()))
            await asyncio.sleep(0.01)
            assert not later.done()
            scripted.gate.set()
            assert await later == 1

    asyncio.run(scenario())


def test_closing_answers_everything_that_was_taken_in() -> None:
    async def scenario() -> None:
        scripted = ScriptedJournal(is_gated=True)
        journal = AsyncJournal(scripted, max_waiting=4)
        first = await start_behind_gate(journal, scripted)
        others = [asyncio.create_task(journal.append(make_record())) for _ in range(5)]
        await asyncio.sleep(0)
        closing = [asyncio.create_task(journal.close()) for _ in range(2)]
        await asyncio.sleep(0)
        scripted.gate.set()
        await asyncio.gather(*closing)
        assert await gather_errors(first, *others) == [0, 1, 2, 3, StorageError, StorageError]
        with pytest.raises(StorageError, match="closed"):
            await journal.append(make_record())
        with pytest.raises(StorageError, match="closed"):
            journal.size()

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [StorageError("no"), ZeroDivisionError("no")])
def test_a_close_that_fails_says_so(error: Exception) -> None:
    async def scenario() -> None:
        journal = AsyncJournal(ScriptedJournal([error]))
        with pytest.raises(StorageError):
            await journal.close()

    asyncio.run(scenario())


def test_a_writer_outlives_an_event_loop_that_is_gone() -> None:
    scripted = ScriptedJournal(is_gated=True)

    async def scenario() -> AsyncJournal:
        journal = AsyncJournal(scripted)
        await start_behind_gate(journal, scripted)
        return journal

    journal = asyncio.run(scenario())
    scripted.gate.set()
    journal._queue.put(None)
    journal._thread.join(5)
    assert not journal._thread.is_alive()


@pytest.mark.parametrize("limits", [{"max_waiting": 0}, {"max_batch_rows": 0}, {"linger_s": -1}])
def test_a_senseless_limit_is_refused(limits: dict[str, int]) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="positive"):
            AsyncJournal(MemoryJournal(), **limits)

    asyncio.run(scenario())
