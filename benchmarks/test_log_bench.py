"""A served log: durable appends of 64 clients, proofs at a million leaves, memory; SQLite and SHA-256 beside.

The log is a process of its own on loopback, as `vetonet log serve` is. Times of appends and proofs are wall
time: they mostly wait, for the disk and for the other process. Figures that are no medians, such as a 99th
percentile or a peak of memory, are in ``extra_info`` and are said as they come (``-s`` shows them).
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from log_server import LOG_KEY, ORIGIN, make_leaf
from pytest_benchmark.fixture import BenchmarkFixture

from vetonet.storage import FileTileStore
from vetonet.tlog.checkpoint import verify_checkpoint
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.note import LogKey
from vetonet.tlog.tree_edge import TreeEdge
from vetonet.v1 import log_pb2, log_pb2_grpc, open_log_pb2, open_log_pb2_grpc

CLIENTS, APPENDS_EACH = 64, 50
APPENDS = CLIENTS * APPENDS_EACH
LARGE, SMALL = 1_000_000, 10_000
PROOFS = 1_000
ROUNDS = 3
WALL = pytest.mark.benchmark(timer=time.perf_counter)


class Served:
    """A log that runs in another process."""

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir()
        self.folder = folder
        command = (sys.executable, str(Path(__file__).with_name("log_server.py")), str(folder), str(size))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ready = self._read()

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    def stop(self) -> dict[str, Any]:
        """End it; return what it measured."""
        assert self._process.stdin
        self._process.stdin.close()
        measured = self._read()
        assert self._process.stdout
        self._process.stdout.close()
        assert self._process.wait(30) == 0
        return measured

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        values: dict[str, Any] = json.loads(self._process.stdout.readline())
        return values


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A log of a million leaves, durable, tiled and cosigned."""
    served = Served(tmp_path_factory.mktemp("log") / "large", LARGE)
    say("a million leaves filled: durable, tiled, cosigned", served.ready)
    yield served
    say("a million leaves served", served.stop())


def tell(benchmark: BenchmarkFixture, **values: float | str) -> None:
    """Keep figures beside the times, and say them."""
    benchmark.extra_info.update(values)
    say(benchmark.name, values)


def tell_rate(benchmark: BenchmarkFixture) -> None:
    """How many appends a second the median round came to."""
    assert benchmark.stats
    tell(benchmark, appends_per_s=round(APPENDS / benchmark.stats.stats.median))


def say(name: str, values: Mapping[str, object]) -> None:
    """One line, where pytest shows it."""
    sys.stdout.write(f"\n{name}: {json.dumps(values)}\n")


# --- durable appends ----------------------------------------------------------------------------------------


@WALL
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_durable_appends_of_64_clients(
    benchmark: BenchmarkFixture, size: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    benchmark.group = f"{APPENDS} durable appends"
    served = request.getfixturevalue("large") if size == LARGE else Served(tmp_path / "small", size)
    numbers = count(size)

    async def append_each(stub: open_log_pb2_grpc.OpenLogServiceAsyncStub) -> None:
        for _ in range(APPENDS_EACH):
            number = next(numbers)
            request = open_log_pb2.AppendLeavesRequest(leaves=[make_leaf(number)], request_id=uuid(number))
            await stub.AppendLeaves(request)

    async def load() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection for each client
        channels = [grpc.aio.insecure_channel(served.address, options=options) for _ in range(CLIENTS)]
        await asyncio.gather(
            *(append_each(open_log_pb2_grpc.OpenLogServiceStub(channel)) for channel in channels)
        )
        for channel in channels:
            await channel.close()

    benchmark.pedantic(lambda: asyncio.run(load()), rounds=ROUNDS, warmup_rounds=1)
    tell_rate(benchmark)
    if size == SMALL:
        tell(benchmark, peak_mb=served.stop()["peak_mb"])


@WALL
@pytest.mark.parametrize("rows", [1, CLIENTS])
def test_bare_sqlite_commits(benchmark: BenchmarkFixture, tmp_path: Path, rows: int) -> None:
    """The reference: as many rows of the same bytes, as durable, without anything around them."""
    benchmark.group = f"{APPENDS} durable appends"
    numbers = count()
    with closing(sqlite3.connect(tmp_path / "bare.sqlite3", isolation_level=None)) as bare:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        bare.execute("CREATE TABLE row (sequence INTEGER PRIMARY KEY, payload BLOB)")

        def commit_all() -> None:
            for _ in range(APPENDS // rows):
                bare.execute("BEGIN IMMEDIATE")
                leaves = [(make_leaf(next(numbers)),) for _ in range(rows)]
                bare.executemany("INSERT INTO row (payload) VALUES (?)", leaves)
                bare.execute("COMMIT")

        benchmark.pedantic(commit_all, rounds=ROUNDS)
    tell_rate(benchmark)


# --- a million leaves ---------------------------------------------------------------------------------------


@WALL
def test_inclusion_proofs_of_a_million(benchmark: BenchmarkFixture, large: Served) -> None:
    """Over gRPC, one after the other, at random places; the 99th percentile is what was asked for."""
    benchmark.group = "served inclusion proof"
    draw = random.Random(1)
    times: list[float] = []

    async def prove_all() -> None:
        async with grpc.aio.insecure_channel(large.address) as channel:
            stub = log_pb2_grpc.LogServiceStub(channel)
            for _ in range(PROOFS):
                request = log_pb2.GetInclusionProofRequest(leaf_index=draw.randrange(LARGE), tree_size=LARGE)
                began = time.perf_counter()
                await stub.GetInclusionProof(request)
                times.append(time.perf_counter() - began)

    benchmark.pedantic(lambda: asyncio.run(prove_all()), rounds=ROUNDS)
    p50, p99 = (statistics.quantiles(times, n=100)[place] * 1000 for place in (49, 98))
    tell(benchmark, p50_ms=round(p50, 2), p99_ms=round(p99, 2))


@pytest.mark.benchmark(group="a million leaves")
def test_tiles_of_a_million_leaves(benchmark: BenchmarkFixture) -> None:
    leaves = [make_leaf(index) for index in range(LARGE)]
    benchmark.pedantic(lambda: TreeEdge().extend(leaves), rounds=1)


@pytest.mark.benchmark(group="a million leaves")
def test_bare_sha256_of_a_million_leaves_and_nodes(benchmark: BenchmarkFixture) -> None:
    """The reference: the hashes that the tree is made of."""
    leaves, node = [make_leaf(index) for index in range(LARGE)], bytes(65)

    def hash_all() -> None:
        for leaf in leaves:
            sha256(leaf).digest()
            sha256(node).digest()

    benchmark.pedantic(hash_all, rounds=1)


@pytest.mark.benchmark(group="a million leaves")
def test_fsck_of_a_million_leaves(benchmark: BenchmarkFixture, large: Served) -> None:
    store = FileTileStore(large.folder / "tiles")
    key = LogKey(name=ORIGIN, public_key=LOG_KEY.public_key)

    def verify(data: bytes) -> Any:
        return verify_checkpoint(data, key, allow_other_lines=True)

    report = benchmark.pedantic(
        lambda: judge_files(store.list_paths(), store.read, verify, is_live=True), rounds=1
    )
    assert report.is_clean


def uuid(number: int) -> str:
    """A request id."""
    return f"00000000-0000-4000-8000-{number:012x}"
