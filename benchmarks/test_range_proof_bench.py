"""Range proofs beside one multiplication by libsecp256k1 measured in the same run, and beside the choice.

Targets: within 1.2 of what the choice was made on, in ratio to that multiplication.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from btclib_secp256k1 import keys
from pytest_benchmark.fixture import BenchmarkFixture
from reference import find_median_s, measure_s

from vetonet.crypto.bulletproofs import (
    RangeClaim,
    Transcript,
    compute_proof_bytes,
    prove_range,
    verify_range,
    verify_ranges,
)
from vetonet.crypto.pedersen import Opening, commit, generate_blinding
from vetonet.crypto.rng import SeededRng

MULTIPLICATION_THEN_US: Final = 34.0
"""One multiplication of a point where the cryptography was chosen (November 2026)."""

PROVE_THEN_MS: Final = 17.0
VERIFY_THEN_MS: Final = 5.0
BATCHED_THEN_MS: Final = 1.0
BATCH: Final = 64
BYTES_THEN: Final = 688

SCALAR: Final = bytes.fromhex("7f" + "a3" * 31)


def make_openings(count: int) -> list[Opening]:
    rng = SeededRng(b"openings")
    return [Opening(value=10**15 * (index + 1), blinding=generate_blinding(rng)) for index in range(count)]


def make_prover(count: int) -> Callable[[], bytes]:
    """Return what proves so many counts of 64 bits together."""
    openings, transcript, rng = make_openings(count), Transcript(b"benchmark"), SeededRng(b"prover")
    return lambda: prove_range(openings, bits=64, transcript=transcript, rng=rng)


def make_claim(count: int) -> RangeClaim:
    return RangeClaim(
        proof=make_prover(count)(),
        commitments=tuple(commit(opening) for opening in make_openings(count)),
        bits=64,
        transcript=Transcript(b"benchmark"),
    )


def make_batch() -> list[RangeClaim]:
    rng, transcript = SeededRng(b"batch"), Transcript(b"benchmark")
    return [
        RangeClaim(
            proof=prove_range([opening], bits=64, transcript=transcript, rng=rng),
            commitments=(commit(opening),),
            bits=64,
            transcript=transcript,
        )
        for opening in make_openings(BATCH)
    ]


def compare(benchmark: BenchmarkFixture, *, each: int = 1, then_ms: float | None = None) -> None:
    """What it takes is written down in multiplications of this run, and beside what it took then."""
    median_s = find_median_s(benchmark)
    if median_s is None:
        return
    point = keys.pubkey_from_prvkey(7)
    one_s = measure_s(keys.pubkey_tweak_mul, point, SCALAR)
    multiplications = median_s / each / one_s
    info = benchmark.extra_info
    info["ms each"] = round(median_s / each * 1e3, 2)
    info["multiplication us"] = round(one_s * 1e6, 1)
    info["multiplications"] = round(multiplications, 1)
    if then_ms is not None:
        then = then_ms * 1e3 / MULTIPLICATION_THEN_US
        info["of the ratio when it was chosen"] = round(multiplications / then, 2)


@pytest.mark.benchmark(group="range-proof-prove")
def test_prove(benchmark: BenchmarkFixture) -> None:
    proof = benchmark.pedantic(make_prover(1), rounds=30, warmup_rounds=2)
    assert len(proof) == compute_proof_bytes(64, 1) == BYTES_THEN
    benchmark.extra_info["bytes"] = len(proof)
    compare(benchmark, then_ms=PROVE_THEN_MS)


@pytest.mark.benchmark(group="range-proof-verify")
def test_verify(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(verify_range, args=(make_claim(1),), rounds=50, warmup_rounds=2)
    compare(benchmark, then_ms=VERIFY_THEN_MS)


@pytest.mark.benchmark(group="range-proof-verify")
def test_verify_a_batch_of_64(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(verify_ranges, args=(make_batch(),), rounds=10, warmup_rounds=1)
    compare(benchmark, each=BATCH, then_ms=BATCHED_THEN_MS)


@pytest.mark.benchmark(group="range-proof-prove")
def test_prove_four_together(benchmark: BenchmarkFixture) -> None:
    """What a usage proof with four bounds takes."""
    proof = benchmark.pedantic(make_prover(4), rounds=10, warmup_rounds=1)
    benchmark.extra_info["bytes"] = len(proof)
    compare(benchmark)


@pytest.mark.benchmark(group="range-proof-verify")
def test_verify_four_together(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(verify_range, args=(make_claim(4),), rounds=20, warmup_rounds=1)
    compare(benchmark)


@pytest.mark.benchmark(group="range-proof-reference")
def test_one_multiplication(benchmark: BenchmarkFixture) -> None:
    """What every ratio is taken against: a public point times a public scalar, parsed and spelled."""
    point = keys.pubkey_from_prvkey(7)
    benchmark.pedantic(keys.pubkey_tweak_mul, args=(point, SCALAR), rounds=30, iterations=50)
