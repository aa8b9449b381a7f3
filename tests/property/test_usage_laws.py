"""Laws of usage proofs, against an oracle that knows all counts: a proof of what is so, and only of that."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from support.hidden_totals import (
    KEYS,
    RUN_FLOP,
    build_chips,
    expect_idle_work,
    expect_run,
    judge,
    list_reasons,
    opening_of,
    prove,
    sign_proof,
    total_of,
)
from vetonet.confidential.accounts import sum_chips, sum_totals
from vetonet.confidential.proving import SumOpening
from vetonet.confidential.usage import UsageProof
from vetonet.crypto import cose
from vetonet.errors import ProofError, VetonetError
from vetonet.units import UNIT_FLOP

CHIPS = build_chips(1_000, 2_000)
RUN = expect_run(CHIPS)
PROOF = prove(RUN, opening_of(CHIPS))
SIGNED = sign_proof(PROOF)
HEADER = cose.parse_sign1(SIGNED).protected

near_peak = st.integers(3_500, 3_600)  # an hour at peak is 3,564 units
counts = st.lists(st.one_of(st.integers(0, 4_000), near_peak), min_size=1, max_size=4)


@given(units=counts, total_flop=st.integers(0, 12_000 * UNIT_FLOP))
@example(units=[3_564], total_flop=3_564 * UNIT_FLOP)
@example(units=[3_565], total_flop=3_565 * UNIT_FLOP)
@example(units=[2_500, 2_500], total_flop=5_000 * UNIT_FLOP - 1)
@settings(max_examples=12, deadline=None)
def test_there_is_a_proof_exactly_where_no_bound_is_exceeded(units: list[int], total_flop: int) -> None:
    chips = build_chips(*units)
    expected = expect_run(chips, total_flop=total_flop)
    is_within = sum(units) * UNIT_FLOP <= min(total_flop, len(units) * 3_564 * UNIT_FLOP)
    try:
        proof = prove(expected, opening_of(chips))
    except ProofError:
        assert not is_within
        return
    assert is_within
    assert judge([sign_proof(proof)], (expected,)).problems == ()


@given(units=st.lists(st.integers(0, 2_000), min_size=2, max_size=6), cut=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_it_does_not_matter_by_whom_chips_are_added_up(units: list[int], cut: int) -> None:
    assume(cut < len(units))
    chips = build_chips(*units)
    parts = [total_of(chips[:cut]), total_of(chips[cut:])]
    assert sum_totals(parts) == sum_totals(parts[::-1]) == sum_chips(chip.account for chip in chips)


@given(proof=st.binary(min_size=1, max_size=1024))
@settings(max_examples=40, deadline=None)
def test_no_bytes_are_a_proof(proof: bytes) -> None:
    """VN-18.8: whatever else an operator signs as one, it convicts the operator and nobody else."""
    judgement = judge([sign_proof(replace(PROOF, proof=proof))], (RUN,))
    assert "proof-invalid" in list_reasons(judgement)
    assert {problem.culprit for problem in judgement.problems} == {"acme"}


@given(place=st.integers(0, len(SIGNED) - 1), change=st.integers(1, 255))
@settings(max_examples=40, deadline=None)
def test_a_changed_byte_proves_nothing_and_accuses_nobody(place: int, change: int) -> None:
    """VN-18.8: whoever changed it is not the operator."""
    data = SIGNED[:place] + bytes([SIGNED[place] ^ change]) + SIGNED[place + 1 :]
    judgement = judge([data], (RUN,))
    assert judgement.totals[0].bounds == ()
    assert "proof-invalid" not in list_reasons(judgement)


@given(payload=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_whatever_an_operator_signs_gives_a_judgement(payload: bytes) -> None:
    signed = cose.sign1(payload, HEADER, KEYS["acme"])
    assert list_reasons(judge([signed], ())) == ["proof-misplaced"]


@given(data=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_a_proof_or_an_opening_of_one_spelling_or_an_error(data: bytes) -> None:
    for kind in (UsageProof, SumOpening):
        try:
            value = kind.from_bytes(data)
        except VetonetError:
            continue
        assert value.to_bytes() == data


@given(units=st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_what_is_signed_is_equally_long_whatever_it_hides(units: int) -> None:
    chips = build_chips(units)
    pool = expect_idle_work({"acme": chips})[0]
    assert len(sign_proof(prove(pool, opening_of(chips)))) == len(
        sign_proof(prove(expect_idle_work({"acme": build_chips(0)})[0], opening_of(build_chips(0))))
    )


def test_the_run_here_is_one_that_is_within_its_bounds() -> None:
    assert RUN_FLOP >= 3_000 * UNIT_FLOP
    assert judge([SIGNED], (RUN,)).problems == ()
