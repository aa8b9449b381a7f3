"""Chips: how much memory many of them take, and how fast one with a memory steps.

What a chip takes is measured in a process of its own, as the growth of its resident set over a thousand and
more chips in the middle of licensed work, so that what all share, the treaty and the program, drops out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from support.fleet import Fleet, make_fleet
from vetonet.attester.chip import Chip, keep_first
from vetonet.attester.nonvolatile import Kept, read_kept, write_kept
from vetonet.attester.secure_element import SEED_BYTES
from vetonet.attester.state import ChipState, IntervalEnded, Phase, PowerCycled
from vetonet.storage.chip_store import ChipStore
from vetonet.storage.flash import FlashFiles, FlashMemory

MANY: Final = 100_000
SAMPLE: Final = 3_000

_PROBE: Final = """
import gc, json, resource, sys
sys.path[:0] = sys.argv[3].split(":")
from support.fleet import make_fleet
from vetonet.attester.machine import step
from vetonet.attester.manufacture import manufacture, power_on
from vetonet.attester.nonvolatile import Kept, write_kept
from vetonet.crypto.rng import SeededRng
from vetonet.units import MS_PER_HOUR

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

count, kind = int(sys.argv[1]), sys.argv[2]
fleet, rng = make_fleet(), SeededRng(b"many")
model, treaty, firmware = fleet.chips[0].model, fleet.council.treaty, fleet.chips[0].firmware
def make():
    chip = manufacture(model, fleet.maker, treaty, rng, firmware=firmware)
    chip, _ = power_on(chip, rng, fleet.chips[0].latest_ms)
    chip, _ = step(chip, fleet.free_request(), chip.latest_ms)
    return write_kept(Kept(state=chip)) if kind == "kept" else chip
first = [make() for _ in range(500)]
gc.collect()
before = resident()
chips = [make() for _ in range(count)]
gc.collect()
size = len(first[0]) if kind == "kept" else len(write_kept(Kept(state=first[0])))
print(json.dumps({"bytes": (resident() - before) / count, "kept": size}))
"""


def probe(count: int, kind: str) -> dict[str, float]:
    """Bytes of resident memory a chip, and of what its flash holds."""
    command = [sys.executable, "-c", _PROBE, str(count), kind, ":".join(sys.path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(output)
    return found


@pytest.mark.benchmark(group="chip-memory")
@pytest.mark.parametrize("kind", ["live", "kept"])
def test_memory_of_many_chips(benchmark: BenchmarkFixture, kind: str) -> None:
    """Live: as states that can step; kept: as the bytes that each would have in its flash."""
    found = benchmark.pedantic(probe, args=(SAMPLE, kind), rounds=1)
    benchmark.extra_info["bytes a chip"] = round(found["bytes"])
    benchmark.extra_info["bytes in flash"] = round(found["kept"])
    benchmark.extra_info["ratio to flash"] = round(found["bytes"] / found["kept"], 2)
    benchmark.extra_info[f"MB for {MANY} chips"] = round(found["bytes"] * MANY / 1e6)


@cache
def build_fleet() -> Fleet:
    return make_fleet()


def build_state() -> ChipState:
    return build_fleet().run(build_fleet().chips[0], hours=1)[0]


@pytest.mark.benchmark(group="chip-state")
def test_write_a_state(benchmark: BenchmarkFixture) -> None:
    kept = Kept(state=build_state())
    benchmark.extra_info["bytes"] = len(write_kept(kept))
    benchmark(write_kept, kept)


@pytest.mark.benchmark(group="chip-state")
def test_read_a_state(benchmark: BenchmarkFixture) -> None:
    benchmark(read_kept, write_kept(Kept(state=build_state())))


@pytest.mark.benchmark(group="chip-state")
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_report_with_a_durable_counter(benchmark: BenchmarkFixture, kind: str, tmp_path: Path) -> None:
    """One step of a chip over its store: three syncs."""
    store = ChipStore(FlashMemory() if kind == "memory" else FlashFiles(tmp_path / "chip"))
    state = build_fleet().chips[0]
    keep_first(state, store)
    assert state.phase is not Phase.OFF
    chip = Chip(store)
    chip.start(PowerCycled(seed=bytes(SEED_BYTES)), state.latest_ms)
    benchmark(lambda: chip.step(IntervalEnded(), chip.state.latest_ms + 1))
