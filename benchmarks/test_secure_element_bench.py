"""What a TPM costs, with swtpm behind it: a start, a quote, a certified count, a report.

`test_one_p256_verification` is the reference: divide by its time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from support.paper_tpm import FIRMWARE, NONCE, PaperTpm
from vetonet.attestation.tpm import read_count, verify_quote
from vetonet.storage.swtpm import Swtpm
from vetonet.storage.tpm2 import Tpm2Element

pytest.importorskip("tpm2_pytss", reason="tpm2-pytss is not installed (.ci/install-tpm)")
needs_swtpm = pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is not installed")

SEED = b"s" * 32
MESSAGE = b"r" * 600
TPM = PaperTpm(firmware_digest=FIRMWARE)
SIGNATURE = TPM.sign(MESSAGE)
QUOTE, COUNT = TPM.quote(NONCE), TPM.advance(NONCE)


@pytest.fixture(scope="module")
def element(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tpm2Element]:
    with Swtpm.start(tmp_path_factory.mktemp("tpm")) as swtpm:
        opened = Tpm2Element.open(swtpm)
        yield opened
        opened.close()


@pytest.mark.benchmark(group="secure element")
def test_one_p256_verification(benchmark: BenchmarkFixture) -> None:
    benchmark(TPM.public_key.verify, MESSAGE, SIGNATURE)


@pytest.mark.benchmark(group="secure element")
def test_appraise_one_quote(benchmark: BenchmarkFixture) -> None:
    benchmark(verify_quote, QUOTE, TPM.public_key, nonce=NONCE, firmware_digest=FIRMWARE)


@pytest.mark.benchmark(group="secure element")
def test_appraise_one_count(benchmark: BenchmarkFixture) -> None:
    benchmark(read_count, COUNT, TPM.public_key, nonce=NONCE)


@needs_swtpm
@pytest.mark.benchmark(group="secure element")
@pytest.mark.parametrize("what", ["quote", "count", "device signature", "alias signature", "start"])
def test_swtpm(benchmark: BenchmarkFixture, element: Tpm2Element, what: str) -> None:
    alias = element.start(FIRMWARE, SEED)
    operations: dict[str, Callable[[], object]] = {
        "quote": lambda: element.quote(NONCE),
        "count": lambda: element.advance(NONCE),
        "device signature": lambda: element.sign(MESSAGE),
        "alias signature": lambda: alias.sign(MESSAGE),
        "start": lambda: element.start(FIRMWARE, SEED),
    }
    benchmark(operations[what])
