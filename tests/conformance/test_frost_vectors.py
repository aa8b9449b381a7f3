"""The vectors published with RFC 9591: every value of ours equals theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from vetonet.crypto.frost.vectors import iter_vector_cases
from vetonet.errors import ConfigError


def load(shared: Path, suite: str) -> dict[str, object]:
    path = shared / "vectors" / "frost-rfc9591" / suite / "vectors.json"
    if not path.is_file():
        pytest.skip(f"the {suite} vectors of RFC 9591 are not there")
    return cast("dict[str, object]", json.loads(path.read_text()))


def test_every_value_of_the_ed25519_vectors_is_ours(shared: Path) -> None:
    cases = list(iter_vector_cases(load(shared, "ed25519")))
    for _, verify in cases:
        verify()
    assert len(cases) == 23


def test_ristretto255_vectors_are_reported_as_another_ciphersuite(shared: Path) -> None:
    with pytest.raises(ConfigError, match="Ed25519"):
        iter_vector_cases(load(shared, "ristretto255"))
