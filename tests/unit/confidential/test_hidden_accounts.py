"""Accounts: what counts once, what counts not at all, and sums that have no spelling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.hidden_totals import (
    HOUR_MS,
    PEAK_FLOP_PER_S,
    START_MS,
    build_chip,
    build_chips,
    build_interval,
    open_count,
    opening_of,
    total_of,
)
from vetonet.confidential.accounts import ChipAccount, sum_chips, sum_intervals, sum_totals
from vetonet.crypto import secp256k1
from vetonet.crypto.pedersen import VALUE_GENERATOR, Opening, commit, verify_opening

UEID = b"\x01" + bytes(32)


def negated(point: bytes) -> bytes:
    return bytes([point[0] ^ 1]) + point[1:]


def test_an_account_is_its_last_commitment_and_nothing_is_added_up_or_subtracted() -> None:
    """VN-18.2."""
    intervals = [build_interval(open_count(units, str(units)), units) for units in range(3)]
    account = sum_intervals(UEID, intervals)
    assert account.commitment == intervals[-1].commitment
    assert (account.report_count, account.start_ms, account.end_ms) == (3, START_MS, START_MS + 3 * HOUR_MS)


def test_idle_time_and_idle_energy_make_no_room_for_work() -> None:
    """VN-18.3."""
    work, rest = build_interval(open_count(9)), build_interval(open_count(9, "b"), 1, is_idle=True)
    alone, both = sum_intervals(UEID, [work]), sum_intervals(UEID, [work, rest])
    assert both.report_count == 2
    assert (both.rate_flop, both.energy_flop) == (alone.rate_flop, alone.energy_flop)
    assert alone.rate_flop == PEAK_FLOP_PER_S * 3_600


def build_silent() -> ChipAccount:
    """A chip whose power nobody states."""
    return sum_intervals(UEID, [build_interval(open_count(1))._replace(tdp_w=None)])


def test_a_total_of_chips_whose_power_nobody_states_has_no_energy_bound() -> None:
    """VN-18.3: what is not known bounds nothing."""
    silent = build_silent()
    assert silent.energy_flop is None
    assert sum_chips([silent]).energy_flop is None


def test_a_chip_without_stated_power_does_not_lift_the_energy_bound_from_the_others() -> None:
    """VN-18.3: its rate stands for it."""
    silent, spoken = build_silent(), build_chip(1).account
    assert spoken.energy_flop is not None
    total = sum_chips([silent, spoken])
    assert total.energy_flop == silent.rate_flop + spoken.energy_flop
    assert sum_totals([total, sum_chips([silent])]).energy_flop == 2 * silent.rate_flop + spoken.energy_flop


def test_a_precision_without_a_peak_allows_nothing() -> None:
    account = sum_intervals(UEID, [build_interval(open_count(1))._replace(peak_flop_per_s=0)])
    assert (account.rate_flop, account.energy_flop) == (0, 0)


def test_an_account_without_a_report_is_none() -> None:
    with pytest.raises(ValueError, match="needs no proof"):
        sum_intervals(UEID, [])


def test_a_total_opens_to_the_sum_of_the_counts_in_any_order() -> None:
    """VN-18.2."""
    chips = build_chips(3, 0, 39)
    total = total_of(chips)
    assert total == total_of(chips[::-1])
    assert opening_of(chips).value == 42
    assert total.commitment is not None
    verify_opening(total.commitment, opening_of(chips))
    assert (total.chip_count, total.report_count) == (3, 3)


def test_a_chip_that_stands_twice_is_refused() -> None:
    """VN-18.2."""
    chip = build_chip(5).account
    for accounts in ([chip, chip], [chip, replace(chip, report_count=2)], []):
        with pytest.raises(ValueError, match="none twice"):
            sum_chips(accounts)


def test_a_commitment_that_spells_no_point_leaves_a_total_that_nobody_can_prove() -> None:
    chip = build_chip(5).account
    other = replace(build_chip(6, "other").account, commitment=b"\x02" + b"\xff" * 32)
    assert sum_chips([chip, other]).commitment is None
    assert sum_totals([sum_chips([chip]), sum_chips([other])]).commitment is None


def test_commitments_that_cancel_out_leave_a_total_that_nobody_can_prove() -> None:
    chip = build_chip(5).account
    opposite = replace(build_chip(5, "other").account, commitment=negated(chip.commitment))
    assert sum_chips([chip, opposite]).commitment is None
    assert sum_totals([sum_chips([chip]), sum_chips([opposite])]).commitment is None


def test_the_total_of_an_owner_is_the_sum_of_its_operators() -> None:
    left, right = build_chips(1, 2, prefix="a"), build_chips(4, prefix="b")
    assert sum_totals([total_of(left), total_of(right)]) == total_of([*left, *right])
    with pytest.raises(ValueError, match="at least one"):
        sum_totals([])


def test_a_blinding_that_served_twice_tells_how_two_counts_differ() -> None:
    """VN-18.7: what the rule is for; of equal counts, the commitments are equal too."""
    blinding = open_count(0).blinding
    first, second, same = (commit(Opening(value=value, blinding=blinding)).point for value in (41, 43, 41))
    difference = secp256k1.add_points([second, negated(first)])
    assert difference == secp256k1.multiply_point(VALUE_GENERATOR, (2).to_bytes(32, "big"))
    assert first == same
