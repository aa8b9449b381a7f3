from __future__ import annotations

from fractions import Fraction

import pytest

from vetonet.attester.models import find_chip_model
from vetonet.policy.covered_cluster import (
    H100E_FLOP_PER_S,
    LIMIT_MEMORY_BYTES,
    LIMIT_NETWORK_BIT_PER_S,
    ChipGroup,
    ClusterJudgement,
    Criterion,
    Measure,
    compute_h100e,
    compute_tpp,
    judge_cluster,
)
from vetonet.units import Precision

GB = 10**9


def group(chips: int = 1, flop_per_s: int = 10**12, memory_bytes: int = GB) -> ChipGroup:
    return ChipGroup(chips=chips, flop_per_s=flop_per_s, memory_bytes=memory_bytes)


def real(name: str, chips: int) -> ChipGroup:
    model = find_chip_model(name)
    return ChipGroup(chips=chips, flop_per_s=model.peak_at(Precision.FP16), memory_bytes=model.memory_bytes)


def measure_of(judgement: ClusterJudgement, criterion: Criterion) -> Measure:
    return next(measure for measure in judgement.measures if measure.criterion is criterion)


def test_the_draft_states_its_compute_threshold_in_three_units() -> None:
    """requirements number 7: 16 H100e = 15,840 TFLOP/s = 253,440 TPP."""
    sixteen = [group(chips=16, flop_per_s=H100E_FLOP_PER_S)]
    assert compute_h100e(sixteen) == 16
    assert 16 * H100E_FLOP_PER_S == 15_840 * 10**12
    assert compute_tpp(compute_h100e(sixteen)) == 253_440
    assert compute_tpp(Fraction(1)) == 15_840


@pytest.mark.parametrize(("over", "is_covered"), [(-1, False), (0, False), (1, True)])
def test_compute_covers_from_one_operation_above_the_limit(over: int, is_covered: bool) -> None:  # noqa: FBT001
    judgement = judge_cluster([group(flop_per_s=16 * H100E_FLOP_PER_S + over)])
    assert judgement.exceeded == ((Criterion.COMPUTE,) if is_covered else ())


@pytest.mark.parametrize(("over", "is_covered"), [(-1, False), (0, False), (1, True)])
def test_network_covers_from_one_bit_above_the_limit(over: int, is_covered: bool) -> None:  # noqa: FBT001
    judgement = judge_cluster([group()], network_bit_per_s=LIMIT_NETWORK_BIT_PER_S + over)
    assert judgement.exceeded == ((Criterion.NETWORK,) if is_covered else ())


@pytest.mark.parametrize(("over", "is_covered"), [(-1, False), (0, False), (1, True)])
def test_memory_covers_from_one_byte_above_the_limit(over: int, is_covered: bool) -> None:  # noqa: FBT001
    judgement = judge_cluster([group(memory_bytes=LIMIT_MEMORY_BYTES + over)])
    assert judgement.exceeded == ((Criterion.MEMORY,) if is_covered else ())


def test_fifty_a100_are_covered_by_their_memory_alone() -> None:
    """The choice of hardware against which the amendment is made: 15.8 H100e, 4,000 GB."""
    node = [real("NVIDIA A100 SXM4 80 GB", 50)]
    judgement = judge_cluster(node)
    assert compute_h100e(node) == Fraction(15_600, 990)
    assert judgement.exceeded == (Criterion.MEMORY,)
    assert not judge_cluster(node, with_memory=False).is_covered
    assert measure_of(judgement, Criterion.MEMORY).value == 4_000 * GB


def test_the_network_criterion_does_not_see_nodes_that_train_together_over_100_mbit() -> None:
    """An honest residual: DiLoCo needs 250 times less than the threshold."""
    node = [real("NVIDIA A100 SXM4 80 GB", 50)]
    judgement = judge_cluster(node, network_bit_per_s=100 * 10**6, with_memory=False)
    assert not judgement.is_covered
    network = measure_of(judgement, Criterion.NETWORK)
    assert network.limit / network.value == 250


def test_groups_of_different_chips_count_together() -> None:
    mixed = [real("H100", 12), real("NVIDIA A100 SXM4 80 GB", 14)]
    assert not any(judge_cluster([part], with_memory=False).is_covered for part in mixed)
    assert judge_cluster(mixed, with_memory=False).exceeded == (Criterion.COMPUTE,)


def test_what_exceeds_everything_names_everything() -> None:
    judgement = judge_cluster([real("H100", 512)], network_bit_per_s=10**12)
    assert judgement.exceeded == (Criterion.COMPUTE, Criterion.NETWORK, Criterion.MEMORY)


def test_a_criterion_that_was_not_applied_has_no_measure() -> None:
    measures = judge_cluster([group()], with_memory=False).measures
    assert [measure.criterion for measure in measures] == [Criterion.COMPUTE, Criterion.NETWORK]


def test_a_cluster_without_chips_is_refused() -> None:  # VN-17.17
    with pytest.raises(ValueError, match="expected chips"):
        judge_cluster([])


@pytest.mark.parametrize("rate", [-1, 10**25])
def test_a_network_that_no_site_has_is_refused(rate: int) -> None:  # VN-17.17
    with pytest.raises(ValueError, match="bit/s"):
        judge_cluster([group()], network_bit_per_s=rate)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chips": 0},
        {"chips": -1},
        {"chips": 10**10},
        {"flop_per_s": 0},
        {"flop_per_s": 10**25},
        {"memory_bytes": 0},
        {"memory_bytes": 10**25},
    ],
)
def test_a_group_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:  # VN-17.17
    with pytest.raises(ValueError, match="group"):
        group(**wrong)
