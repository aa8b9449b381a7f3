"""The operator's side: what it cannot prove, and what never leaves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.hidden_totals import (
    FLOOR_FLOP,
    LICENCE_ID,
    RUN_FLOP,
    HiddenChip,
    build_chip,
    build_chips,
    expect_idle_work,
    expect_run,
    hand_over,
    open_count,
    opening_of,
    prove,
    total_of,
)
from vetonet.confidential.bounds import Bound, BoundKind
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.proving import SumOpening, combine_openings, sum_accounts
from vetonet.crypto.bulletproofs import verify_range
from vetonet.crypto.pedersen import MAX_VALUE, Opening, sum_openings
from vetonet.errors import EncodingError, ProofError
from vetonet.units import UNIT_FLOP

LIMIT = RUN_FLOP // UNIT_FLOP
SECRET = 3210


def tightened(expected: ExpectedTotal, kind: BoundKind, units: int) -> ExpectedTotal:
    """Return the same expectation with one bound at another place."""
    bounds = tuple(
        Bound(kind=kind, units=units) if bound.kind is kind else bound for bound in expected.bounds
    )
    return replace(expected, bounds=bounds)


def test_a_total_exactly_at_its_limit_is_proven() -> None:
    """VN-18.5."""
    chips = build_chips(LIMIT - 2_000, 2_000)
    verify_range(prove(expect_run(chips), opening_of(chips)).to_range_claim())


def test_a_total_one_unit_over_its_limit_is_not() -> None:
    """VN-18.5."""
    chips = build_chips(LIMIT - 2_000, 2_001)
    with pytest.raises(ProofError, match=f"licence {LICENCE_ID} exceeds its budget bound"):
        prove(expect_run(chips), opening_of(chips))


@pytest.mark.parametrize("kind", [BoundKind.BUDGET, BoundKind.RATE, BoundKind.ENERGY])
def test_the_bound_that_is_exceeded_is_named_and_no_count_is(kind: BoundKind) -> None:
    """VN-18.5: messages travel."""
    chips = build_chips(SECRET)
    with pytest.raises(ProofError) as caught:
        prove(tightened(expect_run(chips), kind, SECRET - 1), opening_of(chips))
    assert f"{kind} bound" in str(caught.value)
    shown = f"{caught.value!r} {caught.value.problems} {caught.value.__cause__!r}"
    assert not any(str(number) in shown for number in (SECRET, SECRET - 1, opening_of(chips).value))


def test_a_pool_may_come_up_to_the_licensed_band_and_not_reach_it() -> None:
    """VN-18.3."""
    floor = FLOOR_FLOP // UNIT_FLOP
    below, at = build_chips(floor - 1), build_chips(floor)
    verify_range(prove(expect_idle_work({"acme": below})[0], opening_of(below)).to_range_claim())
    with pytest.raises(ProofError, match="the pool of acme exceeds its pool bound"):
        prove(expect_idle_work({"acme": at})[0], opening_of(at))


def test_a_total_of_nothing_is_proven_like_any_other() -> None:
    chips = build_chips(0, 0)
    verify_range(prove(expect_run(chips), opening_of(chips)).to_range_claim())


def test_openings_of_other_reports_prove_nothing() -> None:
    chips, others = build_chips(5, 6), build_chips(5, 6, prefix="other")
    with pytest.raises(ProofError, match="not those of the reports"):
        prove(expect_run(chips), opening_of(others))
    with pytest.raises(ProofError, match="not those of the reports"):
        prove(expect_run(chips), opening_of(chips[:1]))


def test_a_sum_without_a_spelling_cannot_be_proven() -> None:
    expected = expect_run(build_chips(5))
    with pytest.raises(ProofError, match="have no sum"):
        prove(replace(expected, total=replace(expected.total, commitment=None)), open_count(5))


def test_a_sum_beyond_64_bits_cannot_be_proven() -> None:
    """VN-18.1."""
    with pytest.raises(ProofError, match="64 bits"):
        opening_of(build_chips(MAX_VALUE, 1))


def test_nobody_proves_what_is_another_operators() -> None:
    chips = build_chips(5)
    with pytest.raises(ValueError, match="not for brook to prove"):
        prove(expect_run(chips), opening_of(chips), "brook")


@pytest.mark.parametrize(
    "change",
    [{"operator_ids": ()}, {"owner": "holding"}, {"licence_id": None}, {"bounds": ()}],
)
def test_an_expectation_that_no_proof_could_meet_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(expect_run(build_chips(5)), **change)  # type: ignore[arg-type]


def test_two_proofs_of_one_total_are_equally_long_and_share_nothing() -> None:
    """The length depends on the number of bounds alone."""
    low, high = build_chips(0), build_chips(3_000)
    first, second = (prove(expect_run(chips), opening_of(chips)) for chips in (low, high))
    assert len(first.to_bytes()) == len(second.to_bytes())
    assert first.proof != second.proof


def test_the_last_opening_of_each_account_counts_whatever_order_they_came_in() -> None:
    """VN-18.2."""
    early, late, other, free = (open_count(units, str(units)) for units in (1, 2, 4, 8))
    told = {
        (b"a", 11): (LICENCE_ID, late),
        (b"a", 2): (LICENCE_ID, early),
        (b"b", 1): (LICENCE_ID, other),
        (b"a", 3): (None, free),
    }
    assert sum_accounts(told) == {LICENCE_ID: sum_openings([late, other]), None: free}
    assert sum_accounts({}) == {}


# ------------------------------------------------------------------ across operators


def split() -> tuple[dict[str, list[HiddenChip]], ExpectedTotal]:
    pools = {"acme": build_chips(400, 1, prefix="a"), "brook": build_chips(500, prefix="b")}
    return pools, expect_idle_work(pools, {"acme": "holding", "brook": "holding"})[-1]


def test_an_owner_proves_its_pool_from_one_sum_of_each_operator() -> None:
    """VN-18.6."""
    pools, expected = split()
    totals = {name: total_of(chips) for name, chips in pools.items()}
    opening = combine_openings(expected, [hand_over(name, pools[name]) for name in pools], totals)
    assert (expected.owner, expected.operator_ids) == ("holding", ("acme", "brook"))
    verify_range(prove(expected, opening, "brook").to_range_claim())


def test_shells_that_are_each_below_the_band_and_together_in_it_prove_nothing_together() -> None:
    """VN-18.3."""
    pools = {name: build_chips(600, prefix=name) for name in ("acme", "brook")}
    first, second, joint = expect_idle_work(pools, {"acme": "holding", "brook": "holding"})
    prove(first, opening_of(pools["acme"]))
    prove(second, opening_of(pools["brook"]), "brook")
    both = sum_openings([opening_of(chips) for chips in pools.values()])
    with pytest.raises(ProofError, match="the pool of holding exceeds its pool bound"):
        prove(joint, both)


def test_an_operator_is_its_own_owner_and_that_of_whoever_names_it() -> None:
    pools = {name: build_chips(1, prefix=name) for name in ("acme", "brook", "cinder")}
    expected = expect_idle_work(pools, {"cinder": "acme"})
    assert [(total.owner, total.operator_ids) for total in expected] == [
        (None, ("acme",)),
        (None, ("brook",)),
        (None, ("cinder",)),
        ("acme", ("acme", "cinder")),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"opening": open_count(500)},
        {"report_count": 2},
        {"licence_id": LICENCE_ID},
        {"treaty_digest": bytes(32)},
    ],
)
def test_whoever_hands_over_what_does_not_fit_is_named(change: dict[str, object]) -> None:
    """VN-18.6."""
    pools, expected = split()
    totals = {name: total_of(chips) for name, chips in pools.items()}
    wrong = replace(hand_over("brook", pools["brook"]), **change)  # type: ignore[arg-type]
    with pytest.raises(ProofError, match="what brook handed over") as caught:
        combine_openings(expected, [hand_over("acme", pools["acme"]), wrong], totals)
    assert [problem.culprit for problem in caught.value.problems] == ["brook"]


@pytest.mark.parametrize("names", [["acme"], ["acme", "acme"], ["acme", "brook", "brook"], []])
def test_a_part_that_is_missing_or_stands_twice_is_refused(names: list[str]) -> None:
    """VN-18.6."""
    pools, expected = split()
    totals = {name: total_of(chips) for name, chips in pools.items()}
    with pytest.raises(ProofError, match="one part of the pool of holding from each operator"):
        combine_openings(expected, [hand_over(name, pools[name]) for name in names], totals)


def test_a_part_of_somebody_whose_chips_do_not_count_is_refused() -> None:
    """VN-18.6."""
    pools, expected = split()
    totals = {name: total_of(chips) for name, chips in pools.items()}
    parts = [hand_over(name, pools[name]) for name in pools] + [hand_over("cinder", build_chips(1))]
    with pytest.raises(ProofError, match="not so of cinder"):
        combine_openings(expected, parts, totals)


def test_a_licence_on_chips_of_two_owners_is_proven_by_the_one_that_proposed_it() -> None:
    """VN-18.6: chips of another owner inside a licence count, and their owner hands over a sum."""
    own, guest = build_chips(1_000, 2_000, prefix="a"), build_chips(900, prefix="b")
    expected = expect_run([*own, *guest])
    parts = [
        hand_over("acme", own, licence_id=LICENCE_ID),
        hand_over("brook", guest, licence_id=LICENCE_ID),
    ]
    opening = combine_openings(expected, parts, {"acme": total_of(own), "brook": total_of(guest)})
    verify_range(prove(expected, opening).to_range_claim())


def test_an_opening_that_is_handed_over_shows_nothing_but_whose_it_is() -> None:
    part = hand_over("acme", [build_chip(SECRET)])
    shown = repr(part) + str(part)
    assert "acme" in shown
    assert str(SECRET) not in shown
    assert part.opening.blinding.hex() not in shown


def test_an_opening_that_is_handed_over_has_one_spelling_that_leads_back_to_it() -> None:
    part = hand_over("acme", build_chips(1, 2))
    assert SumOpening.from_bytes(part.to_bytes()) == part


@pytest.mark.parametrize("blinding", [bytes(32), b"\xff" * 32])
def test_a_blinding_that_is_no_scalar_is_refused_without_repeating_it(blinding: bytes) -> None:
    item = hand_over("acme", build_chips(1)).to_item()
    with pytest.raises(EncodingError, match="blinding is 32 bytes") as caught:
        SumOpening.from_item({**item, 5: (SECRET).to_bytes(8, "big") + blinding})
    assert str(SECRET) not in str(caught.value)


def test_an_opening_of_another_length_is_refused() -> None:
    item = hand_over("acme", build_chips(1)).to_item()
    for data in (b"", bytes(39), bytes(41)):
        with pytest.raises(EncodingError, match="40 to 40 bytes"):
            SumOpening.from_item({**item, 5: data})


def test_a_zero_count_with_its_blinding_is_an_opening_like_any_other() -> None:
    blinding = open_count(0).blinding
    assert Opening(value=0, blinding=blinding) == open_count(0)
