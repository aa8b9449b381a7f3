"""Usage proofs as statements: what nobody can even state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.hidden_totals import (
    TREATY,
    build_chips,
    expect_idle_work,
    expect_run,
    open_count,
    opening_of,
    prove,
)
from vetonet.confidential.bounds import Bound, BoundKind
from vetonet.confidential.usage import UsageClaim, UsageProof
from vetonet.crypto.pedersen import Commitment, commit
from vetonet.errors import EncodingError, ProofError

CHIPS = build_chips(1, 2)
CLAIM = expect_run(CHIPS).to_claim("acme")


def test_a_proof_has_one_spelling_that_leads_back_to_it() -> None:
    proof = prove(expect_run(CHIPS), opening_of(CHIPS))
    assert UsageProof.from_bytes(proof.to_bytes()) == proof
    assert proof.to_claim() == CLAIM


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"report_count": 0}, "at least one report"),
        ({"period_end_ms": CLAIM.period_start_ms}, "period that ends after"),
        ({"owner": "holding"}, "not both"),
        ({"bounds": CLAIM.bounds[::-1]}, "expected bounds"),
        ({"bounds": CLAIM.bounds[1:]}, "expected bounds"),
        ({"licence_id": None}, "expected bounds of kinds pool"),
        ({"licence_id": None, "owner": "holding"}, "expected bounds of kinds pool"),
        ({"bounds": (Bound(kind=BoundKind.POOL, units=1),)}, "expected bounds of kinds budget"),
    ],
)
def test_a_claim_of_no_report_no_time_two_totals_or_other_bounds_is_refused(
    change: dict[str, object], message: str
) -> None:
    """VN-18.4."""
    with pytest.raises(ValueError, match=message):
        replace(CLAIM, **change)  # type: ignore[arg-type]


def test_a_sum_that_is_no_point_is_refused() -> None:
    item = CLAIM.to_item()
    for spelled in (b"", bytes(33), b"\x04" + CLAIM.sum_commitment.point[1:], b"\x02" + b"\xff" * 32):
        with pytest.raises(EncodingError, match="sum_commitment"):
            UsageClaim.from_item({**item, 8: spelled})


def test_every_field_of_a_claim_changes_what_its_proof_is_tied_to() -> None:
    """VN-18.5: treaty, operator, licence, owner, period, reports, sum and bounds."""
    pool = expect_idle_work({"acme": CHIPS})[0].to_claim("acme")
    other = Bound(kind=BoundKind.POOL, units=pool.bounds[0].units - 1)
    changes: list[dict[str, object]] = [
        {},
        {"treaty_digest": bytes(32)},
        {"operator_id": "brook"},
        {"owner": "holding"},
        {"owner": "acme"},
        {"period_start_ms": pool.period_start_ms - 1},
        {"period_end_ms": pool.period_end_ms + 1},
        {"report_count": pool.report_count + 1},
        {"sum_commitment": commit(open_count(3, "other"))},
        {"bounds": (other,)},
    ]
    claims = [replace(pool, **change) for change in changes]  # type: ignore[arg-type]
    claims += [CLAIM, replace(CLAIM, licence_id=18), replace(CLAIM, bounds=CLAIM.bounds[:2])]
    challenges = {claim.start_transcript().compute_challenge(b"x") for claim in claims}
    assert len(challenges) == len(claims)


def test_a_claim_and_its_proof_start_the_same_transcript() -> None:
    proof = prove(expect_run(CHIPS), opening_of(CHIPS))
    left, right = (claim.start_transcript().compute_challenge(b"x") for claim in (CLAIM, proof))
    assert left == right


def test_three_bounds_are_proven_as_four_and_one_as_one() -> None:
    """VN-18.5: aggregated proofs are over a power of two."""
    remainders = CLAIM.list_remainders()
    assert len(CLAIM.bounds) == 3
    assert len(remainders) == 4
    assert remainders[2] == remainders[3]
    assert len(replace(CLAIM, bounds=CLAIM.bounds[:2]).list_remainders()) == 2
    assert len(replace(CLAIM, bounds=CLAIM.bounds[:1]).list_remainders()) == 1


def test_a_sum_that_hides_nothing_because_it_is_the_bound_itself_has_no_remainder() -> None:
    """Units times H without a blinding: nobody who hides the total ever claims that."""
    bound = Bound(kind=BoundKind.POOL, units=1)
    pool = expect_idle_work({"acme": CHIPS})[0].to_claim("acme")
    bare = Commitment.from_bytes(
        bytes.fromhex("0250929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")
    )
    with pytest.raises(ProofError):
        replace(pool, sum_commitment=bare, bounds=(bound,)).list_remainders()


def test_a_claim_is_about_the_treaty_that_is_judged_by() -> None:
    assert CLAIM.treaty_digest == TREATY
