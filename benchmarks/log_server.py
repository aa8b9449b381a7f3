"""A log of any leaves as a process of its own, for the benchmarks: filled to a size, then served over gRPC.

    python benchmarks/log_server.py FOLDER SIZE

Prints one JSON object when it takes calls and one when it is told to stop by the end of its standard input.
Its witness cosigns in the process, so what is measured is the log.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.party.witness import LocalWitness, Witness
from vetonet.service.open_log import serve_open_log
from vetonet.service.publishing import Publishing
from vetonet.service.tile_log import MAX_BATCH, TileLog
from vetonet.storage import AsyncJournal, FileTileStore, SqliteJournal
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.note import LogKey
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.witness import trust_by_name

LOG_KEY = generate_ed25519(SeededRng(b"log"))
WITNESS_KEY = generate_ed25519(SeededRng(b"witness"))
ORIGIN, WITNESS = "bench.example/log", "bench.example/witness"


def make_leaf(index: int) -> bytes:
    """About as long as a signed statement, and different from all others."""
    return index.to_bytes(8, "big") * 40


def make_policy() -> LogPolicy:
    """One log, one witness, which is asked each time."""
    log_key = LogKey(name=ORIGIN, public_key=LOG_KEY.public_key)
    return LogPolicy(log_keys=(log_key,), quorum=WitnessKey.of_ed25519(WITNESS, WITNESS_KEY.public_key))


def now_ms() -> int:
    """The present."""
    return time.time_ns() // 1_000_000


def measure_mb() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def fill(log: TileLog, size: int) -> float:
    """Append up to a size in full batches; return the seconds it took, publication included."""
    began = time.perf_counter()
    for start in range(log.tree_size, size, MAX_BATCH):
        leaves = [make_leaf(index) for index in range(start, min(start + MAX_BATCH, size))]
        await log.append(leaves, request_id=f"fill-{start}")
    await log.publisher.publish()
    return time.perf_counter() - began


async def run(folder: Path, size: int) -> None:
    policy = make_policy()
    for name in ("journal", "tiles", "witness"):
        (folder / name).mkdir(exist_ok=True)
    with SqliteJournal.open(folder / "witness") as remembered:
        witness = Witness.open(
            remembered, name=WITNESS, signing_key=WITNESS_KEY, logs=trust_by_name((policy.log_key,))
        )
        port = LocalWitness(witness, clock_s=lambda: now_ms() // 1000)
        began = time.perf_counter()
        async with AsyncJournal(SqliteJournal.open(folder / "journal")) as journal:
            log = await TileLog.start(
                journal,
                FileTileStore(folder / "tiles"),
                policy=policy,
                log_key=LOG_KEY,
                publishing=Publishing(witnesses={WITNESS: port}, interval_s=1.0),
                clock=now_ms,
            )
            opened_s = time.perf_counter() - began
            filled_s = await fill(log, size)
            server = await serve_open_log(log, "127.0.0.1:0")
            log.publisher.start(on_failure=lambda: os.kill(os.getpid(), signal.SIGTERM))
            say(address=server.address, opened_s=opened_s, filled_s=filled_s, peak_mb=measure_mb())
            await asyncio.to_thread(sys.stdin.read)
            say(size=log.tree_size, peak_mb=measure_mb(), published=log.publisher.tree_size)
            await server.stop(1.0)
            await log.close()


def say(**values: Any) -> None:
    """One line for the benchmark."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
