"""Other people's COSE and CWT libraries read our reports: verify each signature, and see the same claims."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import Any

import pytest

from support.fleet import make_fleet
from support.interop import find
from vetonet.attestation.report import ComputeReport
from vetonet.crypto.statement import Signed

FLEET = make_fleet()
PYTHON = find("python")

READERS = {
    "pycose": """
import json, sys
from pycose.keys import OKPKey
from pycose.messages import CoseMessage
import pycose.algorithms, cbor2
point, report = map(bytes.fromhex, sys.argv[1:])
message = CoseMessage.decode(report)
message.key = OKPKey(crv="ED25519", x=point)
held = message.verify_signature()
claims = cbor2.loads(message.payload)
""",
    "cwt": """
import json, sys
from cwt import COSE, COSEKey
import cbor2
point, report = map(bytes.fromhex, sys.argv[1:])
kid = cbor2.loads(cbor2.loads(report).value[0])[4]
key = COSEKey.new({1: 1, 2: kid, 3: -8, -1: 6, -2: point, 4: [2]})
try:
    claims, held = cbor2.loads(COSE.new().decode(report, keys=[key])), True
except Exception:
    claims, held = {}, False
""",
}
"""Programs that leave in ``held`` whether the signature verifies, and in ``claims`` what was signed."""

_TELL = """
told = {str(label): value for label, value in claims.items()}
print(json.dumps({"held": bool(held), "claims": told}, default=bytes.hex))
"""


@cache
def is_installed(library: str) -> bool:
    command = [str(PYTHON), "-c", f"import {library}"]
    return PYTHON is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0


def read(library: str, data: bytes, point: bytes) -> dict[str, Any]:
    if not is_installed(library):
        pytest.skip(f"{library} is not installed in .interop; run .ci/install-interop")
    command = [str(PYTHON), "-c", READERS[library] + _TELL, point.hex(), data.hex()]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


def list_reports() -> list[Signed[ComputeReport]]:
    """One without a licence and one with, so every form of a report that a software chip makes."""
    return FLEET.run(FLEET.chips[0], hours=1)[1]


@pytest.mark.parametrize("library", READERS)
@pytest.mark.parametrize("index", [0, 1])
def test_anybodys_library_verifies_a_report_and_reads_the_same_claims(library: str, index: int) -> None:
    report = list_reports()[index]
    told = read(library, report.data, report.signer.point)
    assert told["held"]
    claims = {str(label): value for label, value in report.statement.to_item().items()}
    assert told["claims"] == json.loads(json.dumps(claims, default=bytes.hex))


@pytest.mark.parametrize("library", READERS)
def test_anybodys_library_refuses_a_report_under_another_key_and_one_that_was_changed(library: str) -> None:
    report, other = list_reports()[1], FLEET.chips[1].alias_key
    assert other is not None
    changed = report.data[:-1] + bytes([report.data[-1] ^ 1])
    assert not read(library, report.data, other.public_key.point)["held"]
    assert not read(library, changed, report.signer.point)["held"]
