"""The demonstration's bundle, 8,704 reports of 512 chips: judged whole, beside its bare signatures."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from time import perf_counter

import pytest
from nacl.signing import VerifyKey
from pytest_benchmark.fixture import BenchmarkFixture

from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.cli.demo.command import Performance, perform
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.result import Verdict
from vetonet.compliance.verify import verify_bundle
from vetonet.crypto import cose
from vetonet.crypto.statement import peek, read_unverified
from vetonet.policy.totals import Totals
from vetonet.sim.recorded_run import build_workload

LATER_MS = 1_800_000_000_000
CHUNK = 256
ROUNDS = 3

Signature = tuple[VerifyKey, bytes, bytes]


@cache
def play() -> Performance:
    return asyncio.run(perform(7, build_workload()))


@cache
def build_signatures() -> tuple[Signature, ...]:
    """The reports' signatures with nothing left to decode."""
    bundle = Bundle.from_bytes(play().bundle)
    aliases = [data for data in bundle.leaves if peek(data).kind == AliasEndorsement.TYPE]
    keys = {key.key_id: key for key in (read_unverified(data, AliasEndorsement).alias for data in aliases)}
    found = []
    for data in bundle.reports:
        parts = cose.parse_sign1(data)
        message = cose.compute_sign1_input(parts.protected_bytes, parts.payload)
        found.append((VerifyKey(keys[parts.protected[cose.LABEL_KID]].point), message, parts.signature))
    return tuple(found)


def verify_bare(signatures: Sequence[Signature]) -> None:
    for key, message, signature in signatures:
        key.verify(message, signature)


@pytest.mark.benchmark(group="bundle")
def test_verify_the_demos_bundle(benchmark: BenchmarkFixture) -> None:
    played = play()
    signatures = build_signatures()
    chunks = [signatures[start : start + CHUNK] for start in range(0, len(signatures), CHUNK)]
    with ThreadPoolExecutor(2) as pool:

        def judge() -> None:
            result = verify_bundle(played.bundle, played.trust_root, LATER_MS, mapper=pool.map)
            assert result.verdict is Verdict.COMPLIANT

        ours = bare = float("inf")
        for _ in range(ROUNDS):
            start = perf_counter()
            judge()
            middle = perf_counter()
            list(pool.map(verify_bare, chunks))
            ours, bare = min(ours, middle - start), min(bare, perf_counter() - middle)
        benchmark.extra_info["reports"] = len(signatures)
        benchmark.extra_info["bytes"] = len(played.bundle)
        benchmark.extra_info["ratio to bare PyNaCl"] = round(bare / ours, 3)
        benchmark.pedantic(judge, rounds=ROUNDS)


def run_large(*arguments: object) -> str:
    """Run a part of ``large_bundle`` in a process of its own."""
    script = Path(__file__).with_name("large_bundle.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


@pytest.mark.benchmark(group="large bundle")
@pytest.mark.parametrize(
    ("reports", "parties", "totals"),
    [
        (12_500, 3, Totals.OPEN),
        (12_500, 7, Totals.OPEN),
        (12_500, 15, Totals.OPEN),
        (12_500, 31, Totals.OPEN),
        (25_000, 3, Totals.OPEN),
        (50_000, 3, Totals.OPEN),
        (100_000, 3, Totals.OPEN),
        (100_000, 3, Totals.CONFIDENTIAL),
    ],
)
def test_verify_a_large_bundle(
    benchmark: BenchmarkFixture, tmp_path: Path, reports: int, parties: int, totals: Totals
) -> None:
    """CPU time of one core, peak memory of the process, and the same run's bare signatures."""
    path = tmp_path / "large.bundle"
    run_large("make", path, reports, parties, totals.value)
    found: dict[str, object] = {}

    def judge() -> None:
        found.update(json.loads(run_large("judge", path)))

    benchmark.pedantic(judge, rounds=1)
    assert found["verdict"] == Verdict.COMPLIANT.value
    benchmark.extra_info.update(found)
