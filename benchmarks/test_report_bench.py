"""Reports: sign, verify, and a batch of 10,000, beside the bare PyNaCl verification of the same signatures.

The ratio of interest is taken inside one test: both sides run in turn, on the same two threads, and the best
round of each counts, so that a busy machine disturbs them alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import pytest
from nacl.signing import VerifyKey
from pytest_benchmark.fixture import BenchmarkFixture

from support.fleet import Fleet, make_fleet
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.report import CHUNK, compute_batch_root, open_report, open_reports
from vetonet.attester.machine import step
from vetonet.attester.state import ChipState, IntervalEnded, ReportSigned
from vetonet.crypto import cose
from vetonet.crypto.statement import sign

CHIPS, HOURS = 40, 250
REPORTS = CHIPS * HOURS
ROUNDS = 7
MEMORY_LIMIT_MB = 300

Signature = tuple[VerifyKey, bytes, bytes]


@cache
def build_fleet() -> Fleet:
    return make_fleet(CHIPS)


@cache
def build_reports() -> tuple[bytes, ...]:
    """Ten thousand reports of forty chips that work all the time."""
    return tuple(data for chip in build_fleet().chips for data in run(chip))


def run(chip: ChipState) -> list[bytes]:
    found = []
    for _ in range(HOURS):
        chip, _ = step(chip, build_fleet().free_request(), chip.latest_ms)
        chip, effects = step(chip, IntervalEnded(), chip.latest_ms)
        found += [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return found


@cache
def build_signatures() -> tuple[Signature, ...]:
    """The same signatures with nothing left to decode."""
    aliases, found = build_fleet().registry.aliases, []
    for data in build_reports():
        parts = cose.parse_sign1(data)
        key = aliases[parts.protected[cose.LABEL_KID]]
        message = cose.compute_sign1_input(parts.protected_bytes, parts.payload)
        found.append((VerifyKey(key.point), message, parts.signature))
    return tuple(found)


def verify_bare(signatures: Sequence[Signature]) -> None:
    for key, message, signature in signatures:
        key.verify(message, signature)


def chunked(signatures: Sequence[Signature]) -> list[Sequence[Signature]]:
    return [signatures[start : start + CHUNK] for start in range(0, len(signatures), CHUNK)]


def measure(*functions: Callable[[], object]) -> list[float]:
    """Return the best time of each, all run in turn."""
    best = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for index, function in enumerate(functions):
            start = perf_counter()
            function()
            best[index] = min(best[index], perf_counter() - start)
    return best


@pytest.mark.benchmark(group="report-sign")
def test_sign_a_report(benchmark: BenchmarkFixture) -> None:
    fleet, chip = build_fleet(), build_fleet().chips[0]
    assert chip.alias_key is not None
    report = fleet.open(build_reports()[1]).statement
    benchmark(sign, report, chip.alias_key)


@pytest.mark.benchmark(group="report-sign")
def test_sign_the_same_bytes_bare(benchmark: BenchmarkFixture) -> None:
    chip = build_fleet().chips[0]
    assert chip.alias_key is not None
    benchmark(chip.alias_key.sign, build_signatures()[1][1])


@pytest.mark.benchmark(group="report-sign")
def test_close_an_interval(benchmark: BenchmarkFixture) -> None:
    chip = build_fleet().chips[0]
    benchmark(step, chip, IntervalEnded(), chip.latest_ms + 1)


@pytest.mark.benchmark(group="report-verify")
def test_open_a_report(benchmark: BenchmarkFixture) -> None:
    benchmark.extra_info["bytes"] = len(build_reports()[1])
    benchmark(open_report, build_reports()[1], build_fleet().registry.aliases)


@pytest.mark.benchmark(group="report-verify")
def test_verify_the_same_signature_bare(benchmark: BenchmarkFixture) -> None:
    key, message, signature = build_signatures()[1]
    benchmark(key.verify, message, signature)


@pytest.mark.benchmark(group="report-batch-10000")
def test_open_a_batch_on_one_thread(benchmark: BenchmarkFixture) -> None:
    aliases = build_fleet().registry.aliases
    ours, bare = measure(
        lambda: open_reports(build_reports(), aliases), lambda: verify_bare(build_signatures())
    )
    benchmark.extra_info["ratio to bare PyNaCl"] = round(bare / ours, 3)
    benchmark.pedantic(open_reports, args=(build_reports(), aliases), rounds=3)


@pytest.mark.benchmark(group="report-batch-10000")
def test_open_a_batch_on_two_threads(benchmark: BenchmarkFixture) -> None:
    """The target: 0.8 of the rate of the bare verifications on the same two threads."""
    aliases, chunks = build_fleet().registry.aliases, chunked(build_signatures())
    with ThreadPoolExecutor(2) as pool:
        ours, bare = measure(
            lambda: open_reports(build_reports(), aliases, mapper=pool.map),
            lambda: list(pool.map(verify_bare, chunks)),
        )
        benchmark.extra_info["ratio to bare PyNaCl"] = round(bare / ours, 3)
        benchmark.extra_info["reports per second"] = round(REPORTS / ours)
        benchmark.pedantic(open_reports, (build_reports(), aliases), {"mapper": pool.map}, rounds=3)


@pytest.mark.benchmark(group="report-batch-10000")
def test_verify_the_same_signatures_bare_on_two_threads(benchmark: BenchmarkFixture) -> None:
    chunks = chunked(build_signatures())
    with ThreadPoolExecutor(2) as pool:
        benchmark.pedantic(lambda: list(pool.map(verify_bare, chunks)), rounds=3)


@pytest.mark.benchmark(group="report-batch-10000")
def test_root_of_a_batch(benchmark: BenchmarkFixture) -> None:
    reports = open_reports(build_reports(), build_fleet().registry.aliases)
    benchmark.pedantic(compute_batch_root, args=(reports,), rounds=5)


def appraise_all(data: Sequence[bytes]) -> int:
    """Open reports, appraise each, and each chip's against one another; how many problems that finds."""
    registry = build_fleet().registry
    problems = 0
    chains = defaultdict(list)
    for report in open_reports(data, registry.aliases):
        known = registry.find_alias(report.signer.key_id)
        problems += len(appraise(report, known.device, known.alias, firmware=()))
        chains[report.statement.ueid].append(report)
    return problems + sum(len(appraise_chain(chain)) for chain in chains.values())


def appraise_half(half: int) -> int:
    return appraise_all(build_reports()[half * REPORTS // 2 : (half + 1) * REPORTS // 2])


def verify_half(half: int) -> None:
    verify_bare(build_signatures()[half * REPORTS // 2 : (half + 1) * REPORTS // 2])


def tell(benchmark: BenchmarkFixture, what: str, ours: float, bare: float, count: int = REPORTS) -> None:
    benchmark.extra_info[f"reports {what} per second"] = round(count / ours)
    benchmark.extra_info["bare per second"] = round(count / bare)
    benchmark.extra_info["ratio to bare PyNaCl"] = round(bare / ours, 3)


@pytest.mark.benchmark(group="report-appraise-10000")
def test_sign_the_reports_of_a_chip(benchmark: BenchmarkFixture) -> None:
    """From the request for work to the signed report, beside bare signatures of messages as long."""
    chip = build_fleet().chips[0]
    assert chip.alias_key is not None
    key, message = chip.alias_key, build_signatures()[1][1]
    bytes_of = sorted(len(data) for data in build_reports())
    benchmark.extra_info["median bytes"] = bytes_of[REPORTS // 2]
    ours, bare = measure(lambda: run(chip), lambda: [key.sign(message) for _ in range(HOURS)])
    tell(benchmark, "signed", ours, bare, HOURS)
    benchmark.pedantic(run, args=(chip,), rounds=3)


@pytest.mark.benchmark(group="report-appraise-10000")
def test_appraise_a_batch_on_one_core(benchmark: BenchmarkFixture) -> None:
    """Opened, appraised one by one and as chains."""
    reports = build_reports()
    assert appraise_all(reports) == 0
    ours, bare = measure(lambda: appraise_all(reports), lambda: verify_bare(build_signatures()))
    tell(benchmark, "appraised", ours, bare)
    benchmark.pedantic(appraise_all, args=(reports,), rounds=3)


@pytest.mark.benchmark(group="report-appraise-10000")
def test_appraise_a_batch_on_two_cores(benchmark: BenchmarkFixture) -> None:
    """Two processes with half of the chips each: next to nothing passes between them."""
    build_reports(), build_signatures()
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        list(pool.map(appraise_half, (0, 1)))
        ours, bare = measure(
            lambda: list(pool.map(appraise_half, (0, 1))), lambda: list(pool.map(verify_half, (0, 1)))
        )
        tell(benchmark, "appraised", ours, bare)
        benchmark.pedantic(lambda: list(pool.map(appraise_half, (0, 1))), rounds=3)


_MEMORY_PROBE = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from concurrent.futures import ThreadPoolExecutor
from vetonet.attestation.report import open_reports
from vetonet.crypto.keys import PublicKey
lines = sys.stdin.read().split()
keys = [PublicKey.from_bytes(bytes.fromhex(line)) for line in lines if len(line) == 88]
reports = [bytes.fromhex(line) for line in lines if len(line) != 88]
with ThreadPoolExecutor(2) as pool:
    opened = open_reports(reports, {key.key_id: key for key in keys}, mapper=pool.map)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"reports": len(opened), "peak_mb": peak / (1024**2 if sys.platform == "darwin" else 1024)}))
"""


@pytest.mark.benchmark(group="report-batch-10000")
def test_peak_memory_of_a_batch(benchmark: BenchmarkFixture) -> None:
    """The resident set of a process of its own that reads and opens the batch and keeps all of it."""
    keys = [key.to_bytes().hex() for key in build_fleet().registry.aliases.values()]
    text = "\n".join([*keys, *(data.hex() for data in build_reports())])
    tests = str(Path(__file__).resolve().parents[1] / "tests")

    def probe() -> dict[str, float]:
        command = [sys.executable, "-c", _MEMORY_PROBE, tests]
        result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        found: dict[str, float] = json.loads(result.stdout)
        return found

    found = benchmark.pedantic(probe, rounds=1)
    benchmark.extra_info["peak MB"] = round(found["peak_mb"])
    assert found["reports"] == REPORTS
    assert found["peak_mb"] < MEMORY_LIMIT_MB
