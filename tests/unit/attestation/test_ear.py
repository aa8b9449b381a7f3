"""The result of an appraisal: the worst value counts, claim by claim, and nothing unseen counts as good."""

from __future__ import annotations

import pytest

from vetonet.attestation.ear import (
    AttestationResult,
    Judgement,
    Tier,
    TrustClaim,
    find_tier,
)
from vetonet.attestation.reasons import Finding

FINDINGS = {Tier.AFFIRMING: Finding.VERIFIED}


def judge(value: int, claim: TrustClaim | None = TrustClaim.HARDWARE) -> Judgement:
    finding = FINDINGS.get(find_tier(value), Finding.MISMATCHED)
    return Judgement(reason=f"value-{value}", finding=finding, claim=claim, value=value, detail="is so")


def result_of(*values: int) -> AttestationResult:
    return AttestationResult(judgements=tuple(judge(value) for value in values))


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        *[(value, Tier.NONE) for value in (-1, 0, 1)],
        *[(value, Tier.AFFIRMING) for value in (2, 31, -2, -32)],
        *[(value, Tier.WARNING) for value in (32, 95, -33, -96)],
        *[(value, Tier.CONTRAINDICATED) for value in (96, 127, -97, -128)],
    ],
)
def test_a_value_has_the_tier_of_its_range(value: int, tier: Tier) -> None:
    assert find_tier(value) is tier  # draft-ietf-rats-ar4si section 2.3.2


@pytest.mark.parametrize("value", [-129, 128])
def test_a_value_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="expected a trust value"):
        find_tier(value)


@pytest.mark.parametrize(
    ("values", "expected"), [((2, 33), 33), ((33, 2), 33), ((33, 96, 2), 96), ((2, 2), 2), ((32, 33), 33)]
)
def test_the_worst_value_of_a_claim_stands(values: tuple[int, ...], expected: int) -> None:
    assert result_of(*values).trust_vector[TrustClaim.HARDWARE] == expected


def test_the_status_is_the_tier_of_the_worst_claim_that_a_rule_spoke_of() -> None:
    assert result_of(2).status is Tier.AFFIRMING
    assert result_of(2, 33).status is Tier.WARNING
    assert result_of(2, 33, 97).status is Tier.CONTRAINDICATED
    assert result_of(2, 0).status is Tier.NONE


def test_a_judgement_of_every_claim_is_one_of_each() -> None:
    result = AttestationResult(judgements=(judge(2), judge(99, claim=None)))
    assert set(result.trust_vector.values()) == {99}
    assert result.to_plain()["reasons"][1]["claim"] == "all"  # type: ignore[index]


def test_a_claim_that_no_rule_spoke_of_stays_at_no_claim() -> None:
    assert result_of(2).trust_vector[TrustClaim.FILE_SYSTEM] == 0


def test_no_look_at_all_is_no_result() -> None:
    with pytest.raises(ValueError, match="at least one judgement"):
        AttestationResult(judgements=())


@pytest.mark.parametrize(("finding", "value"), [(Finding.VERIFIED, 33), (Finding.STALE, 2)])
def test_a_finding_and_a_value_that_disagree_are_refused(finding: Finding, value: int) -> None:
    with pytest.raises(ValueError, match="disagree"):
        Judgement(reason="x", finding=finding, claim=TrustClaim.HARDWARE, value=value, detail="is so")


def test_what_weighs_most_stands_first() -> None:
    assert [entry.value for entry in result_of(2, 99, 33).worst_first] == [99, 33, 2]


def test_what_is_printed_has_the_shape_of_an_ear() -> None:
    plain = result_of(2).to_plain()
    assert list(plain) == ["status", "trust_vector", "reasons"]
    assert plain["status"] == "affirming"
    assert plain["trust_vector"] == dict.fromkeys((claim.value for claim in TrustClaim), 0) | {"hardware": 2}
    assert plain["reasons"] == [
        {"reason": "value-2", "finding": "verified", "claim": "hardware", "value": 2, "detail": "is so"}
    ]
