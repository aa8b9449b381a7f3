"""An amended treaty changes what reports say; totals over both kinds of reports stay whole (VN-18.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from support.bundles import Change, Scene, make_confidential_scene
from support.world import Council, make_council
from vetonet.attestation.report import NO_DIGEST, ComputeReport, compute_report_digest
from vetonet.compliance.proving import AccountEnds, Books, Secrets, find_openings, prove_totals
from vetonet.compliance.result import ComplianceResult
from vetonet.crypto.statement import read_unverified, sign
from vetonet.policy.band import Band, BandRule
from vetonet.policy.totals import Totals
from vetonet.units import UNIT_FLOP

SHARE: Final = 10**18
FLOOR: Final = 1_000 * UNIT_FLOP
BANDS: Final = (
    Band(name="free", floor_flop=0, rule=BandRule.FREE),
    Band(name="licensed", floor_flop=FLOOR, rule=BandRule.LICENSED),
)
PEAK_HOUR: Final = 3_600 * 10**15

UNPROVEN: Final = {"budget-unproven", "rate-unproven", "energy-unproven"}
"""All bounds of a licence are in one proof, so where one does not hold none is shown."""

Hides = Callable[[int, int], bool]


def tell(scene: Scene, hides: Hides, change: Change = lambda claims: claims) -> Scene:
    """Let the run happen; ``hides`` says, by the place of a chip and its interval, how that is reported."""
    previous = dict.fromkeys((chip.ueid for chip in scene.chips), NO_DIGEST)
    for number, window in enumerate(scene.windows, start=1):
        batch = []
        for place, chip in enumerate(scene.chips):
            claims = change(scene.make_report(chip, number, window, previous[chip.ueid]))
            claims = replace(claims, precision_flop=claims.cumulative_flop)
            data = sign(scene.hide(claims) if hides(place, number) else claims, chip.alias_key)
            previous[chip.ueid] = compute_report_digest(data)
            batch.append(data)
        scene.reports += batch
        scene.publish(batch)
    scene.prove()
    return scene


def unproven(result: ComplianceResult) -> set[str]:
    """Return what is said of totals; that the treaty asks for one kind of reports is another matter."""
    ends = "-unproven", "-exceeded", "-total"
    return {problem.reason for problem in result.problems if problem.reason.endswith(ends)}


def first_chip(place: int, number: int) -> bool:
    del number
    return place == 0


def second_interval(place: int, number: int) -> bool:
    del place
    return number > 1


def first_interval(place: int, number: int) -> bool:
    del place
    return number == 1


@pytest.mark.parametrize(("total", "expected"), [(2 * SHARE, set()), (2 * SHARE - 1, UNPROVEN)])
def test_a_licence_is_not_used_twice_by_hiding_half_of_its_chips(total: int, expected: set[str]) -> None:
    """VN-18.3: what some chips say openly is taken off what the others may hide."""
    scene = make_confidential_scene(windows=1, per_device_flop=SHARE, total_flop=total)
    result = tell(scene, first_chip, use(SHARE)).judge()
    assert unproven(result) == expected


def use(flop: int) -> Change:
    return lambda claims: replace(claims, cumulative_flop=claims.counter * flop)


def use_unlicensed(flop: int) -> Change:
    return lambda claims: replace(
        claims, licence_id=None, proposal_digest=None, cumulative_flop=claims.counter * flop
    )


def found(owner: str | None = None) -> Council:
    """A treaty with two operators and one owner behind both, under which a run of FLOOR needs a licence."""
    drawn = make_council(3, 2).treaty.statement.operators
    operators = tuple(replace(operator, beneficial_owner=owner) for operator in drawn)
    return make_council(3, 2, bands=BANDS, totals=Totals.CONFIDENTIAL, operators=operators)


@pytest.mark.parametrize(
    ("flop", "expected"), [(FLOOR // 2 - UNIT_FLOP, set()), (FLOOR // 2, {"pool-unproven"})]
)
def test_a_pool_does_not_reach_the_band_in_two_halves_one_of_them_hidden(
    flop: int, expected: set[str]
) -> None:
    scene = make_confidential_scene(found(), windows=1)
    assert unproven(tell(scene, first_chip, use_unlicensed(flop)).judge()) == expected


@pytest.mark.parametrize(
    ("flop", "expected"), [(FLOOR // 2 - UNIT_FLOP, set()), (FLOOR // 2, {"owner-pool-unproven"})]
)
def test_an_owner_does_not_reach_the_band_with_one_operator_that_hides_and_one_that_does_not(
    flop: int, expected: set[str]
) -> None:
    scene = make_confidential_scene(found("Holding"), windows=1, owners=("op1", "op2"))
    assert unproven(tell(scene, first_chip, use_unlicensed(flop)).judge()) == expected


def test_work_that_was_open_first_makes_room_in_the_bounds_of_the_account_that_holds_it() -> None:
    """VN-18.3: a commitment is to the whole account, so the time before it counts, too."""
    busy = PEAK_HOUR * 6 // 10
    scene = make_confidential_scene(windows=2, per_device_flop=2 * busy, total_flop=4 * busy)
    assert unproven(tell(scene, second_interval, use(busy)).judge()) == set()


@pytest.mark.parametrize(
    ("total", "expected"),
    [(SHARE + PEAK_HOUR, set()), (SHARE + PEAK_HOUR - 1, UNPROVEN)],
)
def test_the_first_open_interval_after_hidden_ones_counts_as_what_its_time_allows(
    total: int, expected: set[str]
) -> None:
    """VN-18.3: its counter has none to be subtracted, and what is not known is not nothing."""
    scene = make_confidential_scene(chips=1, windows=2, per_device_flop=total, total_flop=total)
    assert unproven(tell(scene, first_interval, use(SHARE)).judge()) == expected


def test_an_open_interval_without_energy_after_hidden_ones_counts_nothing() -> None:
    def rest(claims: ComputeReport) -> ComputeReport:
        return replace(claims, cumulative_flop=SHARE, energy_j=0 if claims.counter > 1 else claims.energy_j)

    scene = make_confidential_scene(chips=1, windows=2, per_device_flop=SHARE, total_flop=SHARE)
    assert unproven(tell(scene, first_interval, rest).judge()) == set()


@pytest.mark.parametrize(("total", "expected"), [(PEAK_HOUR, set()), (PEAK_HOUR - 1, {"budget-unproven"})])
def test_what_is_not_known_counts_also_where_no_commitment_is(total: int, expected: set[str]) -> None:
    def switch(claims: ComputeReport) -> ComputeReport:
        return use_unlicensed(0)(claims) if claims.counter == 1 else use(1)(claims)

    scene = make_confidential_scene(chips=1, windows=2, per_device_flop=total, total_flop=total)
    result = tell(scene, first_interval, switch).judge()
    assert unproven(result) == expected
    assert [use.used_flop for use in result.licences] == [None]


def test_an_operator_proves_what_it_hides_beside_what_it_and_its_twin_say_openly() -> None:
    """VN-18.6: the other operator has nothing to hand over, for it hid nothing."""

    def rest(claims: ComputeReport) -> ComputeReport:
        counted = replace(use_unlicensed(0)(claims), cumulative_flop=100 * UNIT_FLOP)
        return counted if claims.counter == 1 else replace(counted, energy_j=0)

    scene = make_confidential_scene(found("Holding"), windows=2, owners=("op1", "op2"))
    tell(scene, lambda place, number: (place, number) == (0, 1), rest)
    ends = AccountEnds()
    for data in scene.reports:
        ends.count(read_unverified(data, ComputeReport))
    openings = find_openings(ends.by_account, {place: held for place, (_, held) in scene.openings.items()})
    secrets = Secrets(operator_id="op1", openings=openings)
    books = Books(
        expected=tuple(total.expected for total in scene.judge().totals),
        secrets=secrets,
        ends=ends.by_account,
        owners={chip.ueid: chip.owner for chip in scene.chips},
    )
    proofs = prove_totals(books)
    assert [(proof.owner, proof.report_count) for proof in proofs] == [(None, 1), ("Holding", 1)]
    assert unproven(scene.judge()) == set()
