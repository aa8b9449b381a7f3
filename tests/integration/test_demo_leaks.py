"""The main job with a text planted in every private field: it is in nothing that is sent, shown or left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.canaries import Canary, Net
from support.distinguisher import read_parts
from support.leak_plugin import leaks_expected
from support.leak_taps import TAPS, is_public_file
from vetonet.cli.demo.command import perform
from vetonet.compliance.parts import PartKind
from vetonet.policy.totals import Totals
from vetonet.sim.recorded_run import build_workload

PLANTED: Final = "sparrow-c4n4ry 7f3e \u00b5 model"
CHIPS: Final = 8


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[bytes]]:
    """The folder that the command leaves, and what it printed."""
    folder = tmp_path_factory.mktemp("planted")
    command = [sys.executable, "-m", "vetonet.cli.main", "demo", "--chips", str(CHIPS), "--confidential"]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [*command, "--canary", PLANTED, "--out", str(folder / "out")],
        capture_output=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def search(data: bytes, *, thorough: bool = False) -> list[str]:
    """Return where the planted text is."""
    net = Net([Canary.of_text("planted", PLANTED)])
    return [str(finding) for finding in net.search_deep(data, thorough=thorough)]


def test_the_text_is_planted_where_the_operator_keeps_what_is_private(
    left: tuple[Path, subprocess.CompletedProcess[bytes]],
) -> None:
    kept = [path for path in (left[0] / "out" / "operator").rglob("*") if path.is_file()]
    holding = [path for path in kept if search(path.read_bytes())]
    assert {path.parent.name for path in holding} == {"operator", "specifications"}
    assert not any(is_public_file(path) for path in holding)
    assert "a canary was planted: it may stand below" in left[1].stdout.decode().splitlines()[-1]


def test_the_text_is_in_nothing_that_is_left_for_others(
    left: tuple[Path, subprocess.CompletedProcess[bytes]],
) -> None:
    public = [path for path in left[0].rglob("*") if is_public_file(path)]
    assert {"bundle.vetonet", "trust-root.json", "evidence.cbor"} <= {path.name for path in public}
    assert {path.name: found for path in public if (found := search(path.read_bytes()))} == {}


def test_the_text_is_in_no_part_of_the_bundle_however_it_is_wrapped(
    left: tuple[Path, subprocess.CompletedProcess[bytes]],
) -> None:
    parts = list(read_parts((left[0] / "out" / "bundle.vetonet").read_bytes()))
    reports = [content for kind, content in parts if kind == PartKind.REPORT]
    others = [content for kind, content in parts if kind != PartKind.REPORT]
    assert len(reports) > 200
    assert len(others) > 100
    for content in [*others, *reports[::20]]:
        assert search(content, thorough=True) == []


def test_the_text_is_in_nothing_that_is_printed(
    left: tuple[Path, subprocess.CompletedProcess[bytes]],
) -> None:
    assert len(left[1].stdout) > 1000
    assert len(left[1].stderr) > 500
    assert search(left[1].stdout) == search(left[1].stderr) == []


@pytest.mark.parametrize("totals", Totals)
def test_nothing_secret_is_in_what_the_demonstration_sends(totals: Totals) -> None:
    before = TAPS.total_bytes
    TAPS.list_secret("planted text", PLANTED, PLANTED)
    with leaks_expected() as leaks:
        played = asyncio.run(perform(7, build_workload(), chips=CHIPS, totals=totals, canary=PLANTED))
    assert [str(leak) for leak in leaks] == []
    assert TAPS.total_bytes - before > 500_000
    assert played.is_as_expected


def test_a_text_that_is_sent_all_the_same_is_found() -> None:
    TAPS.list_secret("planted text", PLANTED, PLANTED)
    with leaks_expected() as leaks:
        TAPS.record("request /vetonet.v1.CoordinatorService/CreateProposal", PLANTED.encode("utf-16"))
    assert len(leaks) == 1
