"""The verifier's side: every way in which a proof is not one, each with its own reason and culprit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from support.hidden_totals import (
    LICENCE_ID,
    PUBLIC,
    RUN_FLOP,
    HiddenChip,
    build_chip,
    build_chips,
    build_interval,
    expect_idle_work,
    expect_run,
    forge,
    judge,
    list_reasons,
    open_count,
    opening_of,
    prove,
    sign_proof,
    total_of,
)
from vetonet.confidential.accounts import sum_intervals
from vetonet.confidential.bounds import Bound, BoundKind
from vetonet.confidential.expectation import ExpectedTotal, expect_licence, expect_pools
from vetonet.confidential.judging import MAX_FALSE, REASONS, judge_usage
from vetonet.confidential.proving import attach_proof
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.pedersen import (
    VALUE_GENERATOR,
    Commitment,
    Opening,
    commit,
    compute_remainder_opening,
    sum_openings,
)
from vetonet.crypto.secp256k1 import ORDER
from vetonet.errors import VetonetError
from vetonet.units import UNIT_FLOP

LIMIT = RUN_FLOP // UNIT_FLOP
CHIPS = build_chips(1_000, 2_000)
RUN = expect_run(CHIPS)
PROOF = prove(RUN, opening_of(CHIPS))
UNPROVEN = ["budget-unproven", "energy-unproven", "rate-unproven"]


def unproven_and(reason: str) -> list[str]:
    """Return the reasons where one more stands beside a run of which nothing is proven."""
    return sorted([*UNPROVEN, reason])


def scalar(number: int) -> bytes:
    return (number % ORDER).to_bytes(32, "big")


def negated(blinding: bytes) -> bytes:
    return scalar(-int.from_bytes(blinding, "big"))


def shifted(commitment: Commitment, units: int) -> Commitment:
    """Return a commitment to ``units`` less under the same blinding, as anybody can make it."""
    less = commit(Opening(value=units, blinding=scalar(1)))
    undo = commit(Opening(value=0, blinding=scalar(1)))
    point = bytes([less.point[0] ^ 1]) + less.point[1:]
    return commitment.add(Commitment(point=point)).add(undo)


def cheat(expected: ExpectedTotal, values: Sequence[int], blinding: bytes) -> UsageProof:
    """Return a signed-looking proof in which the operator says of each bound that this is left of it."""
    claim = expected.to_claim("acme")
    return forge(claim, [Opening(value=value, blinding=negated(blinding)) for value in values])


# ------------------------------------------------------------------ what is proven


def test_a_licence_a_pool_and_an_owner_are_proven_at_once() -> None:
    pools = {name: build_chips(300, prefix=name) for name in ("acme", "brook")}
    expected = (RUN, *expect_idle_work(pools, {"acme": "holding", "brook": "holding"}))
    both = sum_openings([opening_of(chips) for chips in pools.values()])
    proofs = [
        PROOF,
        prove(expected[1], opening_of(pools["acme"])),
        prove(expected[2], opening_of(pools["brook"]), "brook"),
        prove(expected[3], both, "brook"),
    ]
    judgement = judge([sign_proof(proof) for proof in proofs], expected)
    assert judgement.problems == ()
    assert [total.operator_id for total in judgement.totals] == ["acme", "acme", "brook", "brook"]
    assert [total.bounds for total in judgement.totals] == [wanted.bounds for wanted in expected]


def test_nothing_that_is_expected_needs_no_proof() -> None:
    """VN-18.3: a licence without a report has a total of nothing."""
    assert judge([], ()).problems == ()


def test_the_order_of_the_proofs_changes_nothing() -> None:
    pool = expect_idle_work({"acme": CHIPS})[0]
    false = attach_proof(pool.to_claim("acme"), PROOF.proof)
    stale = replace(PROOF, licence_id=99)
    signed = [sign_proof(PROOF), sign_proof(false), sign_proof(stale), b"noise"]
    judgements = {judge(order, (RUN, pool)) for order in (signed, signed[::-1], signed[2:] + signed[:2])}
    assert len(judgements) == 1


def test_of_very_many_false_proofs_of_one_operator_the_first_are_told_and_others_keep_theirs() -> None:
    """VN-18.8: to find each of eight thousand would take ten minutes."""
    few = build_chips(1)
    pools = expect_idle_work({"acme": few, "brook": few})
    sound = [sign_proof(prove(pool, opening_of(few), pool.operator_ids[0])) for pool in pools]
    false = [replace(PROOF, period_end_ms=PROOF.period_end_ms + later) for later in range(1, 3 * MAX_FALSE)]
    judgement = judge([*sound, *map(sign_proof, false)], pools)
    told = [(problem.reason, problem.culprit) for problem in judgement.problems]
    assert told.count(("proof-invalid", "acme")) == MAX_FALSE
    assert {culprit for reason, culprit in told if reason == "proof-invalid"} == {"acme"}
    assert judgement.totals[1].missing == ()


def test_a_stricter_bound_proves_the_wanted_one() -> None:
    """VN-18.8."""
    strict = expect_run(CHIPS, total_flop=RUN_FLOP - 1_000 * UNIT_FLOP)
    judgement = judge([sign_proof(prove(strict, opening_of(CHIPS)))], (RUN,))
    assert judgement.problems == ()
    assert judgement.totals[0].bounds[0].units == LIMIT - 1_000


# ------------------------------------------------------------------ what nothing proves


def test_a_total_that_nobody_proves_is_unproven_by_each_kind() -> None:
    """VN-18.8."""
    judgement = judge([], (RUN,))
    assert list_reasons(judgement) == UNPROVEN
    assert {problem.culprit for problem in judgement.problems} == {"acme"}
    assert judgement.totals[0].operator_id is None


def test_a_pool_and_an_owner_that_nobody_proves_have_reasons_of_their_own() -> None:
    """VN-18.8."""
    pools = {name: build_chips(300, prefix=name) for name in ("acme", "brook")}
    expected = expect_idle_work(pools, {"acme": "holding", "brook": "holding"})
    judgement = judge([], expected)
    assert [(problem.reason, problem.culprit) for problem in judgement.problems] == [
        ("pool-unproven", "acme"),
        ("pool-unproven", "brook"),
        ("owner-pool-unproven", "holding"),
    ]


@pytest.mark.parametrize("kind", [BoundKind.BUDGET, BoundKind.RATE, BoundKind.ENERGY])
def test_a_bound_one_unit_looser_than_the_verifiers_proves_nothing_of_its_kind(kind: BoundKind) -> None:
    """VN-18.8."""
    loose = tuple(
        replace(bound, units=bound.units + 1) if bound.kind is kind else bound for bound in RUN.bounds
    )
    proof = prove(replace(RUN, bounds=loose), opening_of(CHIPS))
    assert list_reasons(judge([sign_proof(proof)], (RUN,))) == [f"{kind}-unproven"]


def test_a_bound_that_is_left_out_is_unproven() -> None:
    """VN-18.8."""
    proof = prove(replace(RUN, bounds=RUN.bounds[:1]), opening_of(CHIPS))
    assert list_reasons(judge([sign_proof(proof)], (RUN,))) == ["energy-unproven", "rate-unproven"]


def test_more_flop_than_the_time_at_peak_allows_cannot_be_proven() -> None:
    """VN-18.3: 3,564 units are an hour of this chip."""
    fast = [build_chip(3_565)]
    expected = expect_run(fast)
    with pytest.raises(VetonetError, match="rate bound"):
        prove(expected, opening_of(fast))
    silent = prove(replace(expected, bounds=expected.bounds[:1]), opening_of(fast))
    assert list_reasons(judge([sign_proof(silent)], (expected,))) == ["energy-unproven", "rate-unproven"]


def test_more_flop_than_the_energy_can_have_bought_cannot_be_proven() -> None:
    """VN-18.3: an idling chip's energy, and a working chip's FLOP."""
    opening = open_count(1_000)
    account = sum_intervals(bytes(33), [build_interval(opening)._replace(energy_j=300_000)])
    cold = [HiddenChip(account=account, opening=opening)]
    expected = expect_run(cold)
    with pytest.raises(VetonetError, match="energy bound"):
        prove(expected, opening)
    silent = prove(replace(expected, bounds=expected.bounds[:2]), opening)
    assert list_reasons(judge([sign_proof(silent)], (expected,))) == ["energy-unproven"]


# ------------------------------------------------------------------ what is false in itself


def flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_tampered_proof_convicts_the_operator_that_signed_it(place: str) -> None:
    """VN-18.8."""
    index = {"first": 0, "middle": len(PROOF.proof) // 2, "last": -1 % len(PROOF.proof)}[place]
    judgement = judge([sign_proof(replace(PROOF, proof=flipped(PROOF.proof, index)))], (RUN,))
    assert list_reasons(judgement) == unproven_and("proof-invalid")
    assert next(p.culprit for p in judgement.problems if p.reason == "proof-invalid") == "acme"


@pytest.mark.parametrize("proof", [b"\x00", PROOF.proof[:-1], PROOF.proof + b"\x00", bytes(len(PROOF.proof))])
def test_a_proof_that_is_none_convicts_the_operator_that_signed_it(proof: bytes) -> None:
    """VN-18.8."""
    assert "proof-invalid" in list_reasons(judge([sign_proof(replace(PROOF, proof=proof))], (RUN,)))


@pytest.mark.parametrize(
    "change",
    [
        {"treaty_digest": bytes(32)},
        {"operator_id": "brook"},
        {"licence_id": 18},
        {"period_start_ms": PROOF.period_start_ms - 1},
        {"period_end_ms": PROOF.period_end_ms + 1},
        {"report_count": 7},
        {"sum_commitment": commit(open_count(1, "other"))},
        {"bounds": (replace(RUN.bounds[0], units=LIMIT + 1), *RUN.bounds[1:])},
    ],
)
def test_a_proof_of_another_claim_does_not_hold_for_this_one(change: dict[str, object]) -> None:
    """VN-18.5: nothing is replayed, to another treaty, operator, licence, period, set of reports or bound."""
    moved = replace(PROOF, **change)  # type: ignore[arg-type]
    treaty = moved.treaty_digest
    judgement = judge_usage([sign_proof(moved)], (RUN,), treaty_digest=treaty, operators=PUBLIC)
    assert "proof-invalid" in list_reasons(judgement)


def test_a_negative_remainder_that_is_wrapped_round_does_not_hold() -> None:
    """VN-18.5: over by one unit, and the rest told as 2**64 - 1, as n - 1 it would not fit."""
    over = build_chips(LIMIT - 2_000, 2_001)
    expected, opening = expect_run(over), opening_of(over)
    left = [max(bound.units - opening.value, 0) for bound in expected.bounds]
    for wrapped in (2**64 - 1, 0, (ORDER - 1) % 2**64):
        proof = cheat(expected, [wrapped, left[1], left[2], left[2]], opening.blinding)
        judgement = judge([sign_proof(proof)], (expected,))
        assert list_reasons(judgement) == unproven_and("proof-invalid")


def test_a_remainder_under_another_blinding_does_not_hold() -> None:
    honest = compute_remainder_opening(LIMIT, opening_of(CHIPS))
    other = replace(honest, blinding=scalar(5))
    bounds = RUN.bounds[:1]
    proof = forge(replace(RUN, bounds=bounds).to_claim("acme"), [other])
    assert "proof-invalid" in list_reasons(judge([sign_proof(proof)], (RUN,)))


def test_a_sum_that_is_the_bound_itself_without_a_blinding_is_false_too() -> None:
    bare = Commitment(point=VALUE_GENERATOR)
    bounds = (Bound(kind=BoundKind.BUDGET, units=1),)
    proof = replace(PROOF, sum_commitment=bare, bounds=bounds)
    assert "proof-invalid" in list_reasons(judge([sign_proof(proof)], (RUN,)))


def test_one_false_proof_among_many_is_found_and_spoils_no_other() -> None:
    """VN-18.8: the batch says that one is false, and then which."""
    runs = [expect_run(CHIPS, licence_id=number) for number in range(5)]
    proofs = [prove(run, opening_of(CHIPS)) for run in runs]
    proofs[3] = replace(proofs[3], proof=proofs[2].proof)
    judgement = judge([sign_proof(proof) for proof in proofs], runs)
    assert [total.operator_id is not None for total in judgement.totals] == [True, True, True, False, True]
    assert list_reasons(judgement) == unproven_and("proof-invalid")


def test_a_false_proof_convicts_even_about_a_licence_that_these_reports_do_not_know() -> None:
    """VN-18.8: it is false whatever the reports say."""
    judgement = judge([sign_proof(replace(PROOF, licence_id=99))], ())
    assert list_reasons(judgement) == ["proof-invalid"]


# ------------------------------------------------------------------ what is about something else


def prove_shifted() -> tuple[UsageProof, ExpectedTotal]:
    """Over by one unit, proven of a commitment to one unit less."""
    over = build_chips(LIMIT - 2_000, 2_001)
    expected = expect_run(over)
    less = shifted(commit(opening_of(over)), 1)
    claim = replace(expected.to_claim("acme"), sum_commitment=less)
    opening = opening_of(over)
    honest = Opening(value=opening.value - 1, blinding=opening.blinding)
    assert commit(honest) == less
    padded = [compute_remainder_opening(bound.units, honest) for bound in claim.list_padded()]
    return forge(claim, padded), expected


def test_a_shifted_commitment_is_of_no_reports() -> None:
    """VN-18.8: it proves itself and nothing about these reports; what it shifted nobody can tell."""
    proof, expected = prove_shifted()
    assert list_reasons(judge([sign_proof(proof)], (expected,))) == unproven_and("sum-mismatched")


def left_out(chips: list[HiddenChip]) -> list[HiddenChip]:
    return chips[:-1]


def added(chips: list[HiddenChip]) -> list[HiddenChip]:
    return [*chips, build_chip(1, "guest")]


def swapped(chips: list[HiddenChip]) -> list[HiddenChip]:
    return [*chips[:-1], build_chip(2_000, "guest")]


@pytest.mark.parametrize("change", [left_out, added, swapped])
def test_a_proof_over_other_reports_accuses_nobody(
    change: Callable[[list[HiddenChip]], list[HiddenChip]],
) -> None:
    """VN-18.8."""
    judgement = judge([sign_proof(PROOF)], (expect_run(change(CHIPS)),))
    assert list_reasons(judgement) == unproven_and("sum-mismatched")


def test_a_report_more_with_the_same_sum_is_another_set_of_reports() -> None:
    total = replace(total_of(CHIPS), report_count=3)
    judgement = judge([sign_proof(PROOF)], (replace(RUN, total=total),))
    assert "sum-mismatched" in list_reasons(judgement)


def test_a_total_without_a_spelling_is_proven_by_nothing() -> None:
    nowhere = replace(RUN, total=replace(RUN.total, commitment=None))
    assert list_reasons(judge([sign_proof(PROOF)], (nowhere,))) == unproven_and("sum-mismatched")


def test_a_proof_of_a_part_of_the_time_is_misplaced() -> None:
    """VN-18.8: half of a run within its budget says nothing of the whole."""
    opening = open_count(2_500, "later")
    chip = CHIPS[0]
    intervals = [build_interval(chip.opening), build_interval(opening, 1)]
    whole = sum_intervals(chip.account.ueid, intervals)
    expected = expect_run([HiddenChip(account=whole, opening=opening)])
    early = prove(expect_run([chip]), chip.opening)
    assert list_reasons(judge([sign_proof(early)], (expected,))) == unproven_and("proof-misplaced")


def test_a_proof_of_another_run_is_misplaced() -> None:
    """VN-18.8."""
    other = prove(expect_run(CHIPS, licence_id=LICENCE_ID + 1), opening_of(CHIPS))
    assert list_reasons(judge([sign_proof(other)], (RUN,))) == unproven_and("proof-misplaced")


def test_a_proof_under_another_treaty_is_misplaced_and_not_even_judged() -> None:
    """VN-18.8."""
    false = replace(PROOF, treaty_digest=bytes(32))
    judgement = judge([sign_proof(false)], (RUN,))
    assert list_reasons(judgement) == unproven_and("proof-misplaced")


def test_a_proof_in_the_name_of_another_operator_is_misplaced() -> None:
    """VN-18.8."""
    judgement = judge([sign_proof(PROOF, by="brook")], (RUN,))
    assert list_reasons(judgement) == unproven_and("proof-misplaced")
    assert "is signed by brook" in " ".join(problem.detail for problem in judgement.problems)


def test_a_proof_by_an_operator_whose_run_it_is_not_is_misplaced() -> None:
    chips = build_chips(1_000, 2_000)
    of_brook = replace(expect_run(chips), operator_ids=("brook",))
    proof = prove(of_brook, opening_of(chips), "brook")
    assert list_reasons(judge([sign_proof(proof)], (RUN,))) == unproven_and("proof-misplaced")


def test_a_pool_does_not_pass_for_an_owners_or_a_licences() -> None:
    pool = expect_idle_work({"acme": CHIPS})[0]
    few = build_chips(1)
    wanted = expect_idle_work({"acme": few})[0]
    proof = prove(wanted, opening_of(few))
    for expected in (RUN, replace(wanted, owner="holding"), replace(pool, owner="holding")):
        assert "proof-misplaced" in list_reasons(judge([sign_proof(proof)], (expected,)))


def test_a_second_proof_of_one_total_is_misplaced() -> None:
    """VN-18.8: everything in a bundle has one place, so that no byte of it means nothing."""
    strict = prove(expect_run(CHIPS, total_flop=RUN_FLOP - UNIT_FLOP), opening_of(CHIPS))
    judgement = judge([sign_proof(PROOF), sign_proof(strict)], (RUN,))
    assert list_reasons(judgement) == ["proof-misplaced"]
    assert list_reasons(judge([sign_proof(PROOF)] * 3, (RUN,))) == ["proof-misplaced"] * 2


@pytest.mark.parametrize(
    "data", [b"", b"noise", sign_proof(PROOF)[:-1], flipped(sign_proof(PROOF), -1 % 100)]
)
def test_bytes_that_are_no_proof_of_anybody_accuse_nobody(data: bytes) -> None:
    """VN-18.8."""
    judgement = judge([data], ())
    assert list_reasons(judgement) == ["proof-misplaced"]
    assert judgement.problems[0].culprit is None


def test_any_changed_byte_of_a_signed_proof_is_noticed() -> None:
    data = sign_proof(PROOF)
    for index in range(0, len(data), 37):
        assert judge([flipped(data, index)], (RUN,)).problems


def test_a_stranger_proves_nothing() -> None:
    judgement = judge_usage(
        [sign_proof(PROOF)], (RUN,), treaty_digest=RUN.treaty_digest, operators={"brook": PUBLIC["brook"]}
    )
    assert list_reasons(judgement) == unproven_and("proof-misplaced")


# ------------------------------------------------------------------ the table of reasons


def test_every_reason_that_is_given_here_is_in_the_table() -> None:
    pools = {name: build_chips(3, prefix=name) for name in ("acme", "brook")}
    expected = (RUN, *expect_idle_work(pools, {"acme": "x", "brook": "x"}))
    proof, _ = prove_shifted()
    false = replace(PROOF, licence_id=3)
    judgement = judge([b"", sign_proof(proof), sign_proof(false)], expected)
    assert {problem.reason for problem in judgement.problems} == REASONS


def test_what_is_proven_and_what_not_is_said_of_each_total() -> None:
    proof = prove(replace(RUN, bounds=RUN.bounds[:2]), opening_of(CHIPS))
    (total,) = judge([sign_proof(proof)], (RUN,)).totals
    assert [bound.kind for bound in total.bounds] == [BoundKind.BUDGET, BoundKind.RATE]
    assert total.missing == (BoundKind.ENERGY,)


def test_expectations_of_licence_and_pools_follow_from_public_values_alone() -> None:
    total = total_of(CHIPS)
    licence = expect_licence(
        bytes(32), operator_id="acme", licence_id=1, total_flop=5 * UNIT_FLOP, total=total
    )
    assert [bound.units for bound in licence.bounds] == [5, 2 * 3_564, 2 * 7_128]
    (pool,) = expect_pools(bytes(32), licensed_floor_flop=10**24, pools={"acme": total}, owners={})
    assert [bound.units for bound in pool.bounds] == [10**9 - 1]
