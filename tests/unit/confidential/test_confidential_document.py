"""The example in docs/confidential.md is run: it prints what the page says that it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from vetonet.confidential.bounds import BoundKind
from vetonet.confidential.usage import RANGE_BITS
from vetonet.crypto.bulletproofs import compute_proof_bytes

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "confidential.md"


def read_blocks(language: str) -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_the_page_says() -> None:
    (snippet,), (printed,) = read_blocks("python"), read_blocks("text")
    run = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == printed


def test_the_page_names_every_bound_and_the_size_of_its_proofs() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z]+) \| ", text, re.MULTILINE)
    assert [row for row in rows if row != "bound"] == [kind.value for kind in BoundKind]
    for count in (1, 4):
        assert str(compute_proof_bytes(RANGE_BITS, count)) in text
