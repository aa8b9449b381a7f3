"""``vetonet plan-inspections``: one number for machines, its meaning for people, one line for bad input."""

from __future__ import annotations

import json
import sys

import pytest

from support.command_line import call
from vetonet.cli.exits import Exit

OPTIONS = {
    "--run-flop": "9.9e24",
    "--chips": "1e5",
    "--peak-flop-per-day": "8.64e19",
    "--horizon-days": "365",
    "--window-days": "30",
    "--snapshot-rate": "0.1",
    "--detection": "0.9",
}


def spell(**changes: str) -> list[str]:
    options = {**OPTIONS, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    return ["plan-inspections", *(word for pair in options.items() for word in pair)]


def test_the_json_is_the_number_and_nothing_else() -> None:
    ended = call(*spell(), "--json")
    assert ended.code == Exit.OK
    assert ended.out == '{"samples_per_year": 771}\n'
    assert not ended.err


def test_numbers_as_a_program_writes_them_are_read() -> None:
    """Python spells floats so."""
    written = spell(
        chips=str(1e7), run_flop=str(9.9e24), peak_flop_per_day=str(3e15 * 86_400), horizon_days=str(365.0)
    )
    assert call(*written, "--json").value == {"samples_per_year": 231_572}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"run_flop": "1.3e28"}, "cannot compute H within T"),
        ({"snapshot_rate": "0"}, "never save their weights"),
    ],
)
def test_where_no_number_is_enough_it_is_null(changes: dict[str, str], why: str) -> None:
    assert call(*spell(**changes), "--json").out == '{"samples_per_year": null}\n'
    ended = call(*spell(**changes), "--simulate", "100")
    assert ended.code == Exit.OK
    assert ended.out.startswith("No plan exists: ")
    assert why in ended.out
    assert "What is promised" not in ended.out


def test_people_read_what_it_means_what_is_promised_and_what_is_assumed() -> None:
    said = call(*spell()).out
    assert said.startswith("771 samples a year")
    assert "some 64 in each window" in said
    assert "2H = 1.98e25 FLOP or more" in said
    assert "Only what comes after the first H incriminates" in said
    for symbol in ("H ", "C ", "A ", "T ", "TM ", "F ", "P "):
        assert any(line.startswith(symbol) for line in said.splitlines())
    assert "every chip is known and can be inspected" in said
    assert "arXiv 2303.11341" in said


def test_more_samples_than_chips_are_called_so() -> None:
    assert "inspect every chip in every window" in call(*spell(chips="10", run_flop="1e19")).out


def test_a_simulation_stands_beside_it_with_its_false_accusations() -> None:
    pytest.importorskip("numpy", reason="NumPy (the extra sim) is not installed")
    said = call(*spell(), "--simulate", "2000", "--seed", "1").out
    assert "Simulated 2,000 times with seed 1" in said
    assert "accused 0 times where everything was declared" in said
    simulated = call(*spell(), "--simulate", "2000", "--seed", "1", "--json").value
    assert simulated["samples_per_year"] == 771
    low, high = simulated["simulated"]["detection_interval_99"]
    assert low < 0.9 < high
    assert simulated["simulated"]["false_accusations"] == 0


def test_without_numpy_only_the_simulation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, "vetonet.sim.inspections", raising=False)
    assert call(*spell()).code == Exit.OK
    ended = call(*spell(), "--simulate", "10")
    assert ended.code == Exit.USAGE
    assert "[sim]" in ended.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run_flop": "nan"}, "--run-flop"),
        ({"run_flop": "-1"}, "--run-flop"),
        ({"run_flop": "0"}, "--run-flop"),
        ({"chips": "0.5"}, "--chips"),
        ({"chips": "inf"}, "--chips"),
        ({"peak_flop_per_day": "0"}, "--peak-flop-per-day"),
        ({"horizon_days": "-365"}, "--horizon-days"),
        ({"horizon_days": "0"}, "--horizon-days: expected above 0"),
        ({"window_days": "1e9"}, "--window-days: expected above 0 and at most 1000000 days"),
        ({"window_days": "thirty"}, "--window-days"),
        ({"snapshot_rate": "nan"}, "--snapshot-rate"),
        ({"snapshot_rate": "1e7"}, "--snapshot-rate: expected 0 to 1000000 snapshots a day"),
        ({"detection": "1"}, "--detection: expected above 0 and below 1, got 1"),
        ({"detection": "0"}, "--detection: expected above 0"),
        ({"detection": "90%"}, "--detection"),
        ({"simulate": "1e9"}, "fewer trials"),
        ({"simulate": "0"}, "--simulate"),
        ({"simulate": "10", "seed": "-1"}, "--seed"),
    ],
)
def test_bad_input_ends_in_one_line_that_names_it(changes: dict[str, str], said: str) -> None:
    if "simulate" in changes:
        pytest.importorskip("numpy", reason="NumPy (the extra sim) is not installed")
    ended = call(*spell(**changes))
    assert ended.code == Exit.USAGE
    assert not ended.out
    assert said in ended.err
    assert ended.err.count("\n") == 1
    told = json.loads(call(*spell(**changes), "--json").err)
    assert told["error"]["reason"] == "usage"
