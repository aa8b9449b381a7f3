"""Checkpoints and verifier keys against golang.org/x/mod/sumdb/note and a log served by Tessera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vetonet.errors import VetonetError
from vetonet.tlog.checkpoint import SignedCheckpoint, verify_checkpoint
from vetonet.tlog.note import LogKey

TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def load(shared: Path, name: str) -> Any:
    return json.loads((shared / "vectors" / "c2sp-tlog" / f"{name}.json").read_text())


def test_verifier_keys_are_read_back(shared: Path) -> None:
    keys = load(shared, "keys-and-roots")
    for vkey in (keys["log_vkey"], keys["other_log_vkey"], TESSERA_VKEY):
        assert LogKey.from_vkey(vkey).to_vkey() == vkey


def test_accepted_checkpoints_verify_and_are_read_back(shared: Path) -> None:
    accepted = [case for case in load(shared, "checkpoints") if case["accept"]]
    assert len(accepted) >= 4
    for case in accepted:
        data = case["note"].encode()
        verify_checkpoint(data, LogKey.from_vkey(case["log_vkey"]), allow_other_lines=True)
        assert SignedCheckpoint.from_bytes(data).to_bytes() == data


def test_refused_checkpoints_are_refused_unless_only_the_witness_quorum_failed(shared: Path) -> None:
    refused = [case for case in load(shared, "checkpoints") if not case["accept"] and case["quorum"] < 2]
    assert len(refused) >= 4
    for case in refused:
        with pytest.raises(VetonetError):
            verify_checkpoint(
                case["note"].encode(), LogKey.from_vkey(case["log_vkey"]), allow_other_lines=True
            )


def test_every_checkpoint_of_a_log_served_by_tessera_verifies(shared: Path) -> None:
    paths = sorted(
        path for path in (shared / "vectors" / "tessera-log").rglob("checkpoint*") if path.is_file()
    )
    sizes = {verify_checkpoint(path.read_bytes(), LogKey.from_vkey(TESSERA_VKEY)).tree_size for path in paths}
    assert sizes == set(range(16))
