"""What every ratio is taken against: one bare Ed25519 verification, measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl import bindings
from pytest_benchmark.fixture import BenchmarkFixture

MESSAGE: Final = b"a statement of the usual size".ljust(256, b".")
BATCHES: Final = 15
REPETITIONS: Final = 200


def measure_s(call: Callable[..., Any], *args: Any) -> float:
    """Return the CPU time of one call: the median of batches, as others use the machine too."""
    times = []
    for _ in range(BATCHES):
        start = time.process_time()
        for _ in range(REPETITIONS):
            call(*args)
        times.append((time.process_time() - start) / REPETITIONS)
    return median(times)


def measure_bare_verification_s() -> float:
    """Return the CPU time of one verification by PyNaCl, the library that this project verifies with."""
    public_key, secret_key = bindings.crypto_sign_seed_keypair(bytes(32))
    return measure_s(bindings.crypto_sign_open, bindings.crypto_sign(MESSAGE, secret_key), public_key)


def measure_openssl_verification_s() -> float:
    """Return the CPU time of one verification by OpenSSL through ``cryptography``; about twice the other."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    return measure_s(key.public_key().verify, key.sign(MESSAGE), MESSAGE)


def find_median_s(benchmark: BenchmarkFixture) -> float | None:
    """Return the median of a benchmark that has run, or None where benchmarks are disabled."""
    return None if benchmark.stats is None else benchmark.stats.stats.median


def note_bare_verifications(benchmark: BenchmarkFixture, bare_s: float) -> None:
    """What a benchmark took is written down beside it in bare verifications."""
    benchmark.extra_info["bare verification us"] = round(bare_s * 1e6, 1)
    median_s = find_median_s(benchmark)
    if median_s is not None:
        benchmark.extra_info["bare verifications"] = round(median_s / bare_s, 1)
