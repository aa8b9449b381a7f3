"""A signed result says what was found, and nothing of it can be changed (draft-ietf-rats-ear-04)."""

from __future__ import annotations

from typing import Any

import pytest

from support.bundles import altered, make_compliant_scene, make_scene
from vetonet.compliance.result import Claim, ComplianceResult, Verdict
from vetonet.compliance.result_token import (
    APPRAISAL_POLICY,
    EAR_PROFILE,
    MEDIA_TYPE,
    STATUSES,
    open_result,
    sign_result,
)
from vetonet.crypto.cose import parse_sign1, sign1
from vetonet.crypto.keys import Ed25519SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, UnknownPartyError, VetonetError

KEY = generate_ed25519(SeededRng(b"verifier"))
NOW_S = 1_800_000_000


def sign_it(result: ComplianceResult, key: Ed25519SigningKey = KEY) -> bytes:
    return sign_result(result, key, issued_at_s=NOW_S, build="vetonet test")


def resign(data: bytes, **changes: Any) -> bytes:
    """Return a token of the same signer that says something else."""
    parsed = parse_sign1(data, max_bytes=2**20)
    claims = cbor.from_bytes(parsed.payload, max_bytes=2**20)
    for name, value in changes.items():
        place = {"profile": 265, "submods": 266, "status": 1000, "issued": 6, "result": -70300}[name]
        claims[place] = value(claims[place])
    return sign1(cbor.to_bytes(claims), parsed.protected, KEY)


@pytest.fixture(scope="module")
def compliant() -> ComplianceResult:
    return make_compliant_scene().judge()


@pytest.fixture(scope="module")
def token(compliant: ComplianceResult) -> bytes:
    return sign_it(compliant)


def make_overspent_result() -> ComplianceResult:
    scene = make_scene()
    scene.run(lambda report: altered(cumulative_flop=report.counters.flop * 2)(report))
    return scene.judge()


def test_a_signed_result_is_read_back_as_it_was_found(compliant: ComplianceResult, token: bytes) -> None:
    opened = open_result(token, KEY.public_key)
    assert opened.verdict is Verdict.COMPLIANT
    assert opened.result == compliant.to_plain()
    assert (opened.signer, opened.issued_at_s, opened.build) == (KEY.public_key, NOW_S, "vetonet test")
    assert set(opened.verdicts) == set(Claim)


def test_it_is_the_attestation_result_that_the_draft_describes(token: bytes) -> None:
    parsed = parse_sign1(token, max_bytes=2**20)
    assert parsed.protected[16] == MEDIA_TYPE
    claims = cbor.from_bytes(parsed.payload, max_bytes=2**20)
    assert claims[265] == EAR_PROFILE
    assert claims[6] == NOW_S
    assert set(claims[1004]) == {0, 1}
    assert set(claims[266]) == {claim.value for claim in Claim}
    for appraisal in claims[266].values():
        assert appraisal[1000] == 2
        assert appraisal[1003] == [APPRAISAL_POLICY]


def test_a_violation_is_contraindicated_with_its_reasons() -> None:
    opened = open_result(sign_it(make_overspent_result()), KEY.public_key)
    assert opened.verdict is Verdict.VIOLATION
    assert opened.verdicts[Claim.BUDGET] is Verdict.VIOLATION
    assert "budget-exceeded" in opened.reasons[Claim.BUDGET]
    assert opened.reasons[Claim.RECORD] == ()


def test_what_is_inconclusive_claims_nothing_for_or_against() -> None:
    scene = make_compliant_scene()
    scene.reports.pop()
    data = sign_it(scene.judge())
    assert open_result(data, KEY.public_key).verdict is Verdict.INCONCLUSIVE
    claims = cbor.from_bytes(parse_sign1(data, max_bytes=2**20).payload, max_bytes=2**20)
    assert claims[1000] == 0


def test_the_statuses_are_those_of_the_draft() -> None:
    assert {verdict.value: status for verdict, status in STATUSES.items()} == {
        "COMPLIANT": 2,
        "INCONCLUSIVE": 0,
        "VIOLATION": 96,
    }


def test_no_flipped_byte_is_read(token: bytes) -> None:
    edges = (*range(200), *range(len(token) - 80, len(token)))
    for place in sorted({*edges, *range(0, len(token), 23)}):
        flipped = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        with pytest.raises(VetonetError):
            open_result(flipped, KEY.public_key)


def test_another_verifiers_result_is_not_taken_for_this_ones(token: bytes) -> None:
    other = generate_ed25519(SeededRng(b"another verifier")).public_key
    with pytest.raises(UnknownPartyError):
        open_result(token, other)


def test_a_key_of_another_algorithm_signs_as_well(compliant: ComplianceResult) -> None:
    key = generate_ecdsa(SeededRng(b"verifier"))
    data = sign_result(compliant, key, issued_at_s=NOW_S, build="vetonet test")
    assert open_result(data, key.public_key).verdict is Verdict.COMPLIANT


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": lambda _: "tag:vetonet.example,2026:compute-report#2"},
        {"status": lambda _: 96},
        {"status": lambda _: 1},
        {"issued": lambda _: "today"},
        {"issued": lambda _: -1},
        {"submods": lambda _: {}},
        {"submods": lambda parts: {name: parts[name] for name in sorted(parts)[1:]}},
        {"submods": lambda parts: parts | {"budget": parts["budget"] | {1000: 96}}},
        {"submods": lambda parts: parts | {"budget": parts["budget"] | {-70301: [1]}}},
        {"result": lambda whole: whole | {"verdict": "VIOLATION"}},
        {"result": lambda whole: whole | {"claims": whole["claims"][1:]}},
        {"result": lambda whole: whole | {"bundle_sha256": 5}},
        {"result": lambda whole: whole | {"licences": [b"not JSON"]}},
        {"result": lambda whole: whole | {b"not JSON": 1}},
        {"result": lambda whole: whole | {"totals": {"proven": {7: 1}}}},
        {"submods": lambda parts: parts | {"budget": parts["budget"] | {-70301: ["budget-exceeded"]}}},
        {"result": lambda whole: whole | {"claims": [one | {"problems": [{}]} for one in whole["claims"]]}},
        {"result": lambda _: {}},
        {"result": lambda _: "COMPLIANT"},
    ],
)
def test_a_result_that_contradicts_itself_is_refused_although_it_is_signed(
    token: bytes, changes: dict[str, Any]
) -> None:
    with pytest.raises(EncodingError):
        open_result(resign(token, **changes), KEY.public_key)


def test_another_statement_of_the_same_key_is_no_result(token: bytes) -> None:
    parsed = parse_sign1(token, max_bytes=2**20)
    header = dict(parsed.protected) | {16: "application/vetonet.ballot+cbor"}
    with pytest.raises(EncodingError, match="eat"):
        open_result(sign1(parsed.payload, header, KEY), KEY.public_key)
    with pytest.raises(EncodingError, match="no more"):
        open_result(sign1(parsed.payload, dict(parsed.protected) | {2: [16]}, KEY), KEY.public_key)
