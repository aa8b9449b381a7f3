"""Other people's libraries read our reports, cwt as a CWT, pycose as a COSE_Sign1, and no altered ones."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from support.chip_evidence import ALIAS, DEVICE, make_claims, report
from support.interop import ROOT, find
from vetonet.crypto.keys import SigningKey

SCRIPT = ROOT / "tests" / "interop" / "tokens" / "read_report.py"
PYTHON = find("python")
REFUSED = 1
KEYS: dict[str, SigningKey] = {"Ed25519": ALIAS, "ES256": DEVICE}


def has_libraries() -> bool:
    if PYTHON is None:
        return False
    found = subprocess.run(
        [PYTHON, "-c", "import cwt, pycose"], env=make_environment(), capture_output=True, check=False
    )
    return found.returncode == 0


def make_environment() -> dict[str, str]:
    """Ours without the path to our own code: they have a cbor2 of their own."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


pytestmark = pytest.mark.skipif(
    not has_libraries(), reason="cwt and pycose are not installed in .interop; run .ci/install-interop"
)


def read(library: str, data: bytes, key: SigningKey, folder: Path) -> tuple[int, dict[str, Any]]:
    """How the library ended, and the claims that it read."""
    spki = serialization.load_der_public_key(key.public_key.to_bytes())
    pem = spki.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "report.cose").write_bytes(data)
    (folder / "key.pem").write_bytes(pem)
    files = (str(folder / "report.cose"), str(folder / "key.pem"))
    command = [str(PYTHON), str(SCRIPT), library, *files, key.public_key.key_id.hex()]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=make_environment(), check=False
    )
    assert ended.returncode in {0, REFUSED}, ended.stderr
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}


def to_plain(value: object) -> object:
    if isinstance(value, list):
        return [to_plain(entry) for entry in value]
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("library", ["cwt", "pycose"])
def test_it_verifies_our_report_and_reads_the_same_claims(
    tmp_path: Path, library: str, algorithm: str
) -> None:
    key = KEYS[algorithm]
    code, claims = read(library, report(key), key, tmp_path)
    assert code == 0
    assert claims == {str(label): to_plain(item) for label, item in make_claims().to_item().items()}


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("library", ["cwt", "pycose"])
@pytest.mark.parametrize("place", [200, -1])
def test_it_refuses_our_report_with_one_bit_changed(
    tmp_path: Path, library: str, algorithm: str, place: int
) -> None:
    altered = bytearray(report(KEYS[algorithm]))
    altered[place] ^= 1
    assert read(library, bytes(altered), KEYS[algorithm], tmp_path) == (REFUSED, {})


@pytest.mark.parametrize("library", ["cwt", "pycose"])
def test_it_refuses_our_report_under_another_key(tmp_path: Path, library: str) -> None:
    other = type(ALIAS)(seed=bytes(32))
    assert read(library, report(ALIAS), other, tmp_path)[0] == REFUSED
