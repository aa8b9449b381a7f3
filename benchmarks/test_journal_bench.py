"""Durable appends a second, beside bare SQLite commits on the same disk in the same run.

Each round appends ``ROWS`` records, so times compare within a group. Wall time is what counts here: a durable
append mostly waits for the disk, which a timer of processor time does not see.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from vetonet.storage import AsyncJournal, Journal, MemoryJournal, Record, SqliteJournal

ROWS = 500
PAYLOAD = b"\xa5" * 500
ROUNDS = 5

OPENERS: dict[str, Callable[[Path], Journal]] = {
    "sqlite": SqliteJournal.open,
    "memory": lambda _: MemoryJournal(),
}

pytestmark = pytest.mark.benchmark(timer=time.perf_counter)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The reference: one table, no digest, no request id, no guard, as durable as the journal."""
    with closing(sqlite3.connect(tmp_path / "bare.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE row (sequence INTEGER PRIMARY KEY, payload BLOB)")
        yield connection


@pytest.fixture(params=sorted(OPENERS))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """An empty journal of each back end."""
    with OPENERS[request.param](tmp_path) as opened:
        yield opened


def make_batches(batch_rows: int, numbers: Iterator[int], *, rows: int = ROWS) -> list[list[Record]]:
    """Return fresh records in batches."""
    records = [
        Record(kind="ballot", request_id=f"request-{next(numbers)}", payload=PAYLOAD, recorded_at_ms=1)
        for _ in range(rows)
    ]
    return [records[start : start + batch_rows] for start in range(0, rows, batch_rows)]


@pytest.mark.parametrize("batch_rows", [1, 10, 100])
def test_append_in_batches(benchmark: BenchmarkFixture, journal: Journal, batch_rows: int) -> None:
    benchmark.group = f"journal append {ROWS} rows, {batch_rows} a commit"
    numbers = count()

    def append_all(batches: list[list[Record]]) -> None:
        for batch in batches:
            journal.append(batch)

    benchmark.pedantic(append_all, setup=lambda: ((make_batches(batch_rows, numbers),), {}), rounds=ROUNDS)


@pytest.mark.parametrize("batch_rows", [1, 10, 100])
def test_bare_sqlite_commits(benchmark: BenchmarkFixture, bare: sqlite3.Connection, batch_rows: int) -> None:
    benchmark.group = f"journal append {ROWS} rows, {batch_rows} a commit"

    def commit_all() -> None:
        for _ in range(ROWS // batch_rows):
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany("INSERT INTO row (payload) VALUES (?)", [(PAYLOAD,)] * batch_rows)
            bare.execute("COMMIT")

    benchmark.pedantic(commit_all, rounds=ROUNDS)


@pytest.mark.parametrize("producers", [1, 10, 100])
def test_append_of_many_producers(benchmark: BenchmarkFixture, journal: Journal, producers: int) -> None:
    benchmark.group = f"journal append {ROWS} rows, {producers} producers"
    numbers = count()
    runner = asyncio.Runner()

    async def start() -> AsyncJournal:
        return AsyncJournal(journal)

    async def produce(batches: list[list[Record]]) -> None:
        async def append_each(batch: list[Record]) -> None:
            for record in batch:
                await shared.append(record)

        await asyncio.gather(*(append_each(batch) for batch in batches))

    with runner:
        shared = runner.run(start())
        benchmark.pedantic(
            lambda batches: runner.run(produce(batches)),
            setup=lambda: ((make_batches(ROWS // producers, numbers),), {}),
            rounds=ROUNDS,
        )
        runner.run(shared.close())


@pytest.mark.parametrize("rows", [1_000, 10_000])
def test_reopen_and_verify(benchmark: BenchmarkFixture, tmp_path: Path, rows: int) -> None:
    benchmark.group = f"journal reopen and verify {rows} rows"
    numbers = count()
    with SqliteJournal.open(tmp_path) as filled:
        for batch in make_batches(100, numbers, rows=rows):
            filled.append(batch)
    benchmark.pedantic(lambda: SqliteJournal.open(tmp_path).close(), rounds=ROUNDS)
