"""Bounds of hidden totals: exact integers, rounded so that honest runs pass, by no more than is said."""

from __future__ import annotations

import pytest

from vetonet.confidential.bounds import (
    MAX_EFFICIENCY,
    Bound,
    BoundKind,
    compute_energy_flop,
    compute_licence_bounds,
    compute_pool_bounds,
    compute_rate_flop,
    compute_units,
    verify_kinds,
)
from vetonet.crypto.pedersen import MAX_VALUE
from vetonet.units import MAX_FLOP, UNIT_FLOP

BUDGET = Bound(kind=BoundKind.BUDGET, units=3)
RATE = Bound(kind=BoundKind.RATE, units=2)
ENERGY = Bound(kind=BoundKind.ENERGY, units=1)
POOL = Bound(kind=BoundKind.POOL, units=4)


def test_a_limit_is_rounded_down_to_whole_units() -> None:
    """VN-18.1."""
    assert compute_units(0) == compute_units(UNIT_FLOP - 1) == 0
    assert compute_units(5 * UNIT_FLOP) == compute_units(6 * UNIT_FLOP - 1) == 5


def test_a_limit_beyond_what_range_proofs_speak_about_becomes_the_largest_that_they_do() -> None:
    """VN-18.1."""
    assert compute_units(MAX_FLOP) == MAX_VALUE
    assert compute_units(MAX_VALUE * UNIT_FLOP) == MAX_VALUE
    assert compute_units(MAX_VALUE * UNIT_FLOP - 1) == MAX_VALUE - 1


@pytest.mark.parametrize(
    "counts", [[0], [UNIT_FLOP - 1] * 5, [3 * UNIT_FLOP + 7, 1, 10**15], [10**18 + 1] * 3]
)
def test_floors_of_chips_never_exceed_the_floor_of_their_limit_and_miss_less_than_a_unit_each(
    counts: list[int],
) -> None:
    """VN-18.1: an honest run just at its limit is never refused."""
    committed = sum(count // UNIT_FLOP for count in counts)
    assert committed <= compute_units(sum(counts))
    assert sum(counts) - committed * UNIT_FLOP <= len(counts) * (UNIT_FLOP - 1)


def test_the_rate_bound_is_peak_times_time_to_the_flop() -> None:
    """VN-18.3."""
    assert compute_rate_flop(peak_flop_per_s=990 * 10**12, duration_ms=600_000) == 594 * 10**15
    assert compute_rate_flop(peak_flop_per_s=3, duration_ms=1_999) == 5


def test_the_energy_bound_is_twice_what_full_power_buys() -> None:
    """VN-18.3."""
    peak, tdp_w, second_j = 990 * 10**12, 700, 700
    assert compute_energy_flop(peak_flop_per_s=peak, tdp_w=tdp_w, energy_j=second_j) == MAX_EFFICIENCY * peak
    assert compute_energy_flop(peak_flop_per_s=1, tdp_w=3, energy_j=1) == 0


def test_energy_at_no_power_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 W"):
        compute_energy_flop(peak_flop_per_s=1, tdp_w=0, energy_j=1)


def test_a_licence_has_three_bounds_and_two_where_power_is_not_known() -> None:
    """VN-18.3."""
    flop = {"total_flop": 3 * UNIT_FLOP, "rate_flop": 2 * UNIT_FLOP}
    assert compute_licence_bounds(**flop, energy_flop=UNIT_FLOP) == (BUDGET, RATE, ENERGY)
    assert compute_licence_bounds(**flop, energy_flop=None) == (BUDGET, RATE)


def test_a_pool_stays_below_the_licensed_band_and_does_not_reach_it() -> None:
    """VN-18.3: the floor of a band is inside the band."""
    assert compute_pool_bounds(5 * UNIT_FLOP) == (POOL,)
    assert compute_pool_bounds(5 * UNIT_FLOP + 1) == (Bound(kind=BoundKind.POOL, units=5),)


def test_a_treaty_that_licenses_from_nothing_on_leaves_a_pool_of_nothing() -> None:
    assert compute_pool_bounds(0) == compute_pool_bounds(1) == (Bound(kind=BoundKind.POOL, units=0),)


@pytest.mark.parametrize(
    "bounds",
    [
        (),
        (RATE,),
        (RATE, BUDGET),
        (BUDGET, ENERGY, RATE),
        (BUDGET, BUDGET),
        (BUDGET, POOL),
        (POOL,),
    ],
)
def test_bounds_of_another_kind_order_or_number_are_none_of_a_licence(bounds: tuple[Bound, ...]) -> None:
    """VN-18.4."""
    with pytest.raises(ValueError, match="expected bounds of kinds budget, rate, energy"):
        verify_kinds(bounds, is_licence=True)


@pytest.mark.parametrize("bounds", [(), (BUDGET,), (POOL, POOL), (POOL, RATE)])
def test_a_pool_has_its_one_bound(bounds: tuple[Bound, ...]) -> None:
    """VN-18.4."""
    with pytest.raises(ValueError, match="expected bounds of kinds pool"):
        verify_kinds(bounds, is_licence=False)


def test_the_bounds_that_are_computed_are_of_the_kinds_that_are_taken() -> None:
    for energy_flop in (None, 1):
        verify_kinds(
            compute_licence_bounds(total_flop=1, rate_flop=1, energy_flop=energy_flop), is_licence=True
        )
    verify_kinds(compute_pool_bounds(1), is_licence=False)
