from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.attester.models import find_chip_model
from vetonet.errors import ConfigError
from vetonet.sim.azure import ServingWorkload, TokenCount, compute_serving_flop, regroup
from vetonet.sim.mlperf import percent
from vetonet.sim.recorded_serving import SPAN_MS, build_minutes, build_serving
from vetonet.units import Precision

H100 = find_chip_model("H100")
START_MS = 1_700_000_000_000


def build(**changes: Any) -> ServingWorkload:
    plain: dict[str, Any] = {
        "name": "trace",
        "chip": H100,
        "chips": 3,
        "precision": Precision.BF16,
        "parameters": 10**9,
        "start_ms": START_MS,
        "interval_ms": 60_000,
        "counts": (
            TokenCount(requests=2, context=100, generated=7),
            TokenCount(),
            TokenCount(requests=1, context=5, generated=1),
        ),
    }
    return ServingWorkload(**(plain | changes))


def test_a_token_is_two_operations_for_each_parameter() -> None:
    assert compute_serving_flop(10, 70 * 10**9) == 1_400 * 10**9


def test_the_recorded_hour_is_3_703e18_operations_of_a_70b_model() -> None:
    hour = build_serving(H100, start_ms=START_MS, interval_ms=900_000, parameters=70 * 10**9)
    assert hour.flop == 2 * 70 * 10**9 * 26_450_535 == 3_703_074_900_000_000_000
    assert len(hour.counts) == 4
    assert hour.stop_ms == START_MS + 3_600_000


def test_the_recorded_hour_on_64_nodes_needs_a_licence_and_keeps_them_busy() -> None:
    """1.371e21 FLOP of a 405B model, 37.6 % of the FP8 peak; the demonstration licenses from 1e21 on."""
    hour = build_serving(H100, start_ms=START_MS, interval_ms=900_000)
    assert 64 * hour.flop == 2 * 405 * 10**9 * 26_450_535 * 64
    assert 13_711 * 10**17 < 64 * hour.flop < 13_712 * 10**17
    assert percent(hour.utilisation) == "37.6 %"


def test_a_fleet_that_is_hardly_used_serves_on_at_the_floor_rate() -> None:
    """An honest residual: one node's hour of a 70B model is less than 512 chips do at a hundredth of peak."""
    hour = build_serving(H100, start_ms=START_MS, interval_ms=900_000, parameters=70 * 10**9)
    floor_of_512 = 512 * H100.peak_at(Precision.BF16) // 100
    assert floor_of_512 * SPAN_MS // 1000 > hour.flop
    assert floor_of_512 // 64 * SPAN_MS // 1000 < hour.flop // 10


@settings(max_examples=60)
@given(
    chips=st.integers(1, 9),
    counts=st.lists(
        st.builds(
            TokenCount,
            requests=st.integers(1, 5),
            context=st.integers(1, 10**4),
            generated=st.integers(0, 99),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_over_chips_and_intervals_work_and_tokens_add_up_exactly(
    chips: int, counts: list[TokenCount]
) -> None:
    work = build(chips=chips, counts=tuple(counts))
    intervals = list(work.iter_intervals())
    assert sum(i.flop_of(chip) for i in intervals for chip in range(chips)) == work.flop
    assert sum(i.generated_of(chip) for i in intervals for chip in range(chips)) == work.total.generated
    assert all(i.flop_of(chip) >= 0 and i.generated_of(chip) >= 0 for i in intervals for chip in range(chips))
    assert intervals[-1].end_ms == work.stop_ms


def test_a_chip_beyond_the_fleet_has_nothing_to_do() -> None:
    interval = next(build().iter_intervals())
    assert interval.flop_of(3) == interval.generated_of(3) == 0


def test_neighbouring_counts_are_grouped_without_loss() -> None:
    minutes = build_minutes()
    quarters = regroup(minutes, 15)
    assert len(quarters) == 4
    assert sum(quarters, TokenCount()) == sum(minutes, TokenCount())
    assert [count.tokens for count in quarters] == [6_313_451, 8_450_268, 7_217_649, 4_469_167]


@pytest.mark.parametrize("size", [0, -1])
def test_a_group_of_no_counts_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="members"):
        regroup((TokenCount(),), size)


@pytest.mark.parametrize("changes", [{"chips": 0}, {"interval_ms": 0}, {"counts": ()}])
def test_serving_without_chips_or_time_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="chips and time"):
        build(**changes)


@pytest.mark.parametrize("parameters", [0, -1, 10**18 + 1])
def test_a_parameter_count_that_no_model_has_is_refused(parameters: int) -> None:
    with pytest.raises(ConfigError, match="parameter count"):
        build(parameters=parameters)


def test_requests_without_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="with tokens"):
        build(counts=(TokenCount(requests=3),))


def test_more_than_the_chips_can_compute_is_refused_with_its_interval() -> None:
    with pytest.raises(ConfigError, match=r"interval 1 of 3; more chips are needed"):
        build(parameters=10**15)


def test_a_precision_that_the_chip_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="fp4"):
        build(precision=Precision.FP4)


def test_the_transcribed_hour_is_not_cut_within_a_minute() -> None:
    with pytest.raises(ValueError, match="by the minute"):
        build_serving(H100, start_ms=START_MS, interval_ms=90_000)


def test_a_node_too_slow_for_the_recorded_hour_is_refused() -> None:
    with pytest.raises(ConfigError, match="more chips are needed"):
        build_serving(find_chip_model("NVIDIA HGX H20"), start_ms=START_MS, interval_ms=900_000)
