"""An amended treaty has other bands: what was allowed once accuses nobody, what is not any more is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from support.bundles import make_scene
from support.world import Council, make_council
from vetonet.compliance.case import Case, Tally
from vetonet.compliance.public_record import read_public_record
from vetonet.compliance.totals import judge_aggregation
from vetonet.policy.band import Band, BandRule

LOW: Final = 10**20
HIGH: Final = 10**22


def name_bands(floor_flop: int | None) -> tuple[Band, ...]:
    free = Band(name="free", floor_flop=0, rule=BandRule.FREE)
    if floor_flop is None:
        return (free,)
    return (free, Band(name="licensed", floor_flop=floor_flop, rule=BandRule.LICENSED))


def found(floor_flop: int | None, owner: str | None) -> Council:
    drawn = make_council(3, 2).treaty.statement.operators
    operators = tuple(replace(operator, beneficial_owner=owner) for operator in drawn)
    return make_council(3, 2, bands=name_bands(floor_flop), operators=operators)


def judge(
    first: int | None,
    second: int | None,
    owners: tuple[str | None, str | None] = (None, None),
    **pools: int,
) -> list[str]:
    """Return what is said of these pools where the second treaty took the place of the first."""
    council, later = found(first, owners[0]), found(second, owners[1])
    scene = make_scene(council=council, chips=1, windows=1)
    record = read_public_record(scene.bundle(), scene.trust_root)
    amended = replace(record, treaties=(*record.treaties, later.treaty))
    tally = Tally()
    tally.unlicensed.update(pools)
    case = Case(record=amended, members={}, now=scene.judged_ms)
    return [problem.reason for problem in judge_aggregation(case, tally)]


@pytest.mark.parametrize(
    ("first", "second", "flop", "expected"),
    [
        (HIGH, LOW, LOW - 1, []),
        (HIGH, LOW, LOW, ["pool-unproven"]),
        (HIGH, LOW, HIGH, ["unlicensed-total"]),
        (LOW, HIGH, HIGH - 1, []),
        (LOW, HIGH, HIGH, ["unlicensed-total"]),
        (None, LOW, HIGH, ["pool-unproven"]),
        (LOW, None, HIGH, []),
    ],
)
def test_a_pool_is_held_against_the_newest_band_and_accused_by_the_highest(
    first: int | None, second: int | None, flop: int, expected: list[str]
) -> None:
    """VN-10.6 step 17: nobody can tell what of it was done when."""
    assert judge(first, second, op1=flop) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (HIGH, LOW, ["owner-pool-unproven"]),
        (LOW, LOW, ["owner-total"]),
        (LOW, HIGH, []),
    ],
)
def test_an_owners_pools_are_held_against_the_same_bands(
    first: int, second: int, expected: list[str]
) -> None:
    assert judge(first, second, ("Holding", "Holding"), op1=LOW // 2, op2=LOW // 2) == expected


def test_whoever_lets_go_of_an_operator_does_not_split_what_both_did_before() -> None:
    assert judge(LOW, LOW, ("Holding", None), op1=LOW // 2, op2=LOW // 2) == ["owner-pool-unproven"]
    assert judge(LOW, LOW, ("Holding", None), op1=LOW // 2, op2=LOW // 2 - 1) == []


def test_whoever_buys_an_operator_is_not_accused_of_what_it_did_before() -> None:
    assert judge(LOW, LOW, (None, "Holding"), op1=LOW // 2, op2=LOW // 2) == ["owner-pool-unproven"]
