"""The matrix of appraisal outcomes: each thing that can be wrong has its own reason code and status."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.chip_evidence import (
    ALIAS,
    CHALLENGE,
    DEVICE,
    LATER_MS,
    OTHER_ALIAS,
    OTHER_DEVICE,
    OTHER_ROOT,
    YEAR_MS,
    certify,
    endorse,
    expect,
    judge,
    make_claims,
    make_evidence,
    open_list,
    open_reference,
    pin,
    report,
    report_raw,
    sign_payload,
)
from support.firmware import NAMES, PATCHED, UNKNOWN, make_firmware
from support.hiding import hide
from support.paper_tpm import RECORDED_COUNT_2, RECORDED_QUOTE
from support.revocations import make_list
from support.world import NOW_MS
from vetonet.attestation.ear import NO_CLAIM, AttestationResult, Judgement, Tier, TrustClaim
from vetonet.attestation.firmware import Firmware
from vetonet.attestation.platform import TPM2
from vetonet.attestation.reasons import Finding
from vetonet.attestation.report import CONFIDENTIAL_PROFILE, EAT_PROFILE
from vetonet.attestation.revocation import RevocationReason, RevokedDevice
from vetonet.crypto.statement import sign
from vetonet.encoding import cbor
from vetonet.units import format_time

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "appraisal.md"
ROW = re.compile(
    r"^\| ([^|`]+) \| `([a-z-]+)` \| ([a-z]+) \| ([a-z-]+) \| (\d+) \| ([a-z]+) \|$", re.MULTILINE
)
NONCES = make_claims().nonces
REVOKED = RevokedDevice(ueid=DEVICE.public_key.ueid, reason=RevocationReason.TAMPERED)

Row = tuple[Callable[[], AttestationResult], str, Finding, str, int, Tier]


def with_report(**changes: Any) -> Callable[[], AttestationResult]:
    return lambda: judge(make_evidence(report=report(**changes)))


def with_claims(change: Callable[[dict[Any, Any]], object]) -> Callable[[], AttestationResult]:
    return lambda: judge(make_evidence(report=report_raw(change)))


def judge_tpm(*, boot: bytes | None, count: bytes | None) -> AttestationResult:
    """The chip's maker says that it has a TPM, which said this of its boot and of its report."""
    evidence = make_evidence(alias=endorse(platform=boot), report=report(platform=count))
    return judge(evidence, roots=(pin(kind=TPM2),), expected=expect(kinds=frozenset({TPM2})))


def alter(data: bytes) -> bytes:
    """The same with another last byte, which belongs to the signature."""
    return data[:-1] + bytes([data[-1] ^ 1])


def run_with(firmware: Firmware) -> Callable[[], AttestationResult]:
    """The chip honestly measured this and reports it."""
    return lambda: judge(
        make_evidence(alias=endorse(firmware=firmware), report=report(firmware_digest=firmware.digest))
    )


NO, MAYBE = Tier.CONTRAINDICATED, Tier.WARNING
MISSING, STALE, MISMATCHED, BAD = (
    Finding.MISSING,
    Finding.STALE,
    Finding.MISMATCHED,
    Finding.CONTRAINDICATED,
)
INSTANCE, EXECUTABLES = "instance-identity", "executables"

MATRIX: dict[str, Row] = {
    "another key signed the report": (
        lambda: judge(make_evidence(report=report(OTHER_ALIAS))),
        *("signer-unknown", MISSING, "all", 99, NO),
    ),
    "the report was altered": (
        lambda: judge(make_evidence(report=alter(report()))),
        *("report-forged", MISMATCHED, "all", 99, NO),
    ),
    "another chip endorsed the boot's key": (
        lambda: judge(make_evidence(alias=endorse(OTHER_DEVICE))),
        *("alias-unendorsed", MISMATCHED, "all", 99, NO),
    ),
    "the endorsement was altered": (
        lambda: judge(make_evidence(alias=alter(endorse()))),
        *("alias-forged", MISMATCHED, "all", 99, NO),
    ),
    "unknown maker": (
        lambda: judge(make_evidence(certificate=certify(root=OTHER_ROOT, name="another"))),
        *("maker-unknown", MISSING, "all", 99, NO),
    ),
    "another root of the maker's name": (
        lambda: judge(make_evidence(certificate=certify(root=OTHER_ROOT))),
        *("certificate-forged", MISMATCHED, "all", 99, NO),
    ),
    "stale nonce": (
        with_report(nonces=(bytes(32), NONCES[1])),
        *("nonce-stale", STALE, "all", 99, NO),
    ),
    "one nonce": (
        with_claims(lambda claims: claims.update({10: CHALLENGE})),
        *("nonce-count", MISMATCHED, "all", 99, NO),
    ),
    "three nonces": (
        with_claims(lambda claims: claims.update({10: [CHALLENGE, *NONCES]})),
        *("nonce-count", MISMATCHED, "all", 99, NO),
    ),
    "missing claim": (
        with_claims(lambda claims: claims.pop(263)),
        *("claim-missing", MISSING, "all", 99, NO),
    ),
    "a claim of another type": (
        with_claims(lambda claims: claims.update({263: "off"})),
        *("claim-malformed", MISMATCHED, "all", 99, NO),
    ),
    "another profile": (
        with_claims(lambda claims: claims.update({265: "tag:vetonet.example,2026:compute-report#0"})),
        *("profile-unknown", MISMATCHED, "all", 99, NO),
    ),
    "bad instance": (
        with_report(ueid=OTHER_DEVICE.public_key.ueid),
        *("wrong-device", MISMATCHED, INSTANCE, 97, NO),
    ),
    "wrong boot": (
        with_report(boot_count=make_claims().boot_count + 1),
        *("wrong-boot", MISMATCHED, INSTANCE, 97, NO),
    ),
    "expired certificate": (
        lambda: judge(expected=expect(now=NOW_MS + 2 * YEAR_MS, revocations=None)),
        *("certificate-expired", MISMATCHED, INSTANCE, 97, NO),
    ),
    "certificate that began after the report": (
        lambda: judge(make_evidence(certificate=certify(not_before_ms=LATER_MS - 1000))),
        *("certificate-lapsed", MISSING, INSTANCE, 97, NO),
    ),
    "revoked": (
        lambda: judge(expected=expect(revocations=(open_list(make_list(entries=(REVOKED,))),))),
        *("device-revoked", BAD, INSTANCE, 96, NO),
    ),
    "stale revocation list": (
        lambda: judge(expected=expect(revocations=(open_list(make_list(expires_ms=LATER_MS)),))),
        *("revocation-stale", STALE, INSTANCE, 97, NO),
    ),
    "no revocation list": (
        lambda: judge(expected=expect(revocations=(open_list(root=OTHER_ROOT),))),
        *("revocation-missing", MISSING, INSTANCE, 97, NO),
    ),
    "wrong model": (
        with_report(hw_model=b"NVIDIA H200 SXM"),
        *("wrong-model", MISMATCHED, "hardware", 97, NO),
    ),
    "SIMULATED, which nobody named": (
        lambda: judge(expected=expect(kinds=frozenset({TPM2}))),
        *("kind-refused", MISMATCHED, "hardware", 96, NO),
    ),
    "of a kind that nobody knows": (
        lambda: judge(roots=(pin(kind="ORACLE"),), expected=expect(kinds=frozenset({"ORACLE"}))),
        *("kind-unknown", MISSING, "hardware", 97, NO),
    ),
    "a TPM's quote and count missing": (
        lambda: judge_tpm(boot=None, count=None),
        *("platform-missing", MISSING, "hardware", 97, NO),
    ),
    "a TPM's word for other claims": (
        lambda: judge_tpm(boot=RECORDED_QUOTE, count=RECORDED_COUNT_2),
        *("platform-mismatched", MISMATCHED, "hardware", 96, NO),
    ),
    "software keys with a TPM's word": (
        with_report(platform=RECORDED_COUNT_2),
        *("platform-unexpected", MISMATCHED, "hardware", 96, NO),
    ),
    "tampered with": (
        with_report(tamper_count=1),
        *("tampered", BAD, "hardware", 96, NO),
    ),
    "more in one precision than in all": (
        with_report(precision_flop=make_claims().counters.flop + 1),
        *("meter-mismatched", MISMATCHED, "sourced-data", 96, NO),
    ),
    "debug on": (
        with_report(debug_status=0),
        *("debug-enabled", BAD, "configuration", 96, NO),
    ),
    "debug off, since when is not said": (
        with_report(debug_status=1),
        *("debug-enabled", BAD, "configuration", 96, NO),
    ),
    "unknown firmware": (
        with_report(firmware_digest=bytes(32)),
        *("unknown-firmware", MISMATCHED, EXECUTABLES, 96, NO),
    ),
    "bad component": (
        run_with(UNKNOWN),
        *("component-mismatched", MISMATCHED, EXECUTABLES, 33, MAYBE),
    ),
    "one component more": (
        run_with(make_firmware(names=(*NAMES, "spare"))),
        *("component-unknown", MISSING, EXECUTABLES, 33, MAYBE),
    ),
    "one component less": (
        run_with(make_firmware(names=NAMES[:1])),
        *("component-missing", MISSING, EXECUTABLES, 33, MAYBE),
    ),
    "old firmware": (
        lambda: judge(expected=expect(references=(open_reference(), open_reference(PATCHED, 2)))),
        *("component-outdated", STALE, EXECUTABLES, 32, MAYBE),
    ),
}


def find_failed(result: AttestationResult) -> Judgement:
    (failed,) = {entry.reason: entry for entry in result.failed}.values()
    return failed


@pytest.mark.parametrize(
    ("now", "fault"), [(NOW_MS - YEAR_MS - 1, "is not valid yet"), (NOW_MS + YEAR_MS + 1, "has expired")]
)
def test_a_certificate_out_of_its_time_is_told_with_all_times(now: int, fault: str) -> None:
    result = judge(expected=expect(now=now))
    (found,) = [entry.detail for entry in result.failed if entry.reason == "certificate-expired"]
    validity = f"{format_time(NOW_MS - YEAR_MS)} to {format_time(NOW_MS + YEAR_MS)}"
    assert found == (
        f"comes with a certificate that {fault}: valid from {validity}, judged at {format_time(now)}"
    )


def test_good_evidence_is_affirmed_and_every_rule_says_so() -> None:
    result = judge()
    assert result.status is Tier.AFFIRMING
    assert result.failed == ()
    rules = [entry.reason for entry in result.judgements]
    assert rules[:2] == ["evidence-signed", "nonce-fresh"]
    assert len(set(rules)) == len(rules) == len(expect().policy.rules) + 1
    good = {claim: value for claim, value in result.trust_vector.items() if value}
    assert good == dict.fromkeys(
        ("instance-identity", "configuration", "executables", "hardware", "sourced-data"), 2
    )


@pytest.mark.parametrize("name", MATRIX)
def test_each_outcome_has_its_reason_finding_claim_value_and_status(name: str) -> None:
    make, reason, finding, claim, value, status = MATRIX[name]  # VN-17.9
    result = make()
    failed = find_failed(result)
    told = "all" if failed.claim is None else failed.claim.value
    assert (failed.reason, failed.finding, told, failed.value) == (reason, finding, claim, value)
    assert result.status is status


@pytest.mark.parametrize("name", [name for name, row in MATRIX.items() if row[3] == "all"])
def test_what_is_not_authentic_or_not_fresh_makes_no_claim_good(name: str) -> None:
    assert set(MATRIX[name][0]().trust_vector.values()) == {99}


def test_no_rule_silences_another() -> None:
    everything = report(
        nonces=(bytes(32), NONCES[1]),
        ueid=OTHER_DEVICE.public_key.ueid,
        boot_count=9,
        hw_model=b"?",
        debug_status=0,
        firmware_digest=bytes(32),
    )
    expected = expect(kinds=frozenset(), now=NOW_MS + 2 * YEAR_MS, revocations=())
    result = judge(make_evidence(report=everything), expected=expected)
    assert [entry.reason for entry in result.failed] == [
        "nonce-stale",
        "wrong-device",
        "wrong-boot",
        "certificate-expired",
        "kind-refused",
        "wrong-model",
        "debug-enabled",
        "unknown-firmware",
        "revocation-missing",
    ]
    assert {entry.finding for entry in result.failed} == set(Finding) - {Finding.VERIFIED}


def judge_hidden(**changes: Any) -> AttestationResult:
    return judge(make_evidence(report=sign(hide(make_claims(), **changes), ALIAS)))


def test_of_counters_that_are_hidden_nothing_is_said() -> None:
    """VN-17.10: evidence of a chip that hides them is as good, but the data it holds was not looked at."""
    result = judge_hidden()
    said = [entry.reason for entry in result.judgements]
    assert "counters-hidden" in said
    assert not {"counters-agree", "meter-mismatched"} & set(said)
    assert result.status is Tier.AFFIRMING
    assert result.trust_vector[TrustClaim.SOURCED_DATA] == NO_CLAIM


def test_every_other_rule_speaks_of_a_confidential_report_as_of_an_open_one() -> None:
    assert find_failed(judge_hidden(tamper_count=1)).reason == "tampered"
    assert find_failed(judge_hidden(boot_count=9)).reason == "wrong-boot"
    assert find_failed(judge_hidden(debug_status=0)).reason == "debug-enabled"


@pytest.mark.parametrize(
    ("profile", "label", "name"),
    [
        (CONFIDENTIAL_PROFILE, -70020, "flop_commitment"),
        (CONFIDENTIAL_PROFILE, -70021, "activity"),
        (EAT_PROFILE, -70009, "cumulative_flop"),
        (EAT_PROFILE, -70014, "cumulative_tokens"),
    ],
)
def test_a_claim_that_its_own_profile_demands_is_named_where_it_lacks(
    profile: str, label: int, name: str
) -> None:
    # VN-9.1
    claims = make_claims() if profile == EAT_PROFILE else hide(make_claims())
    item = {key: value for key, value in claims.to_item().items() if key != label}
    result = judge(make_evidence(report=sign_payload(cbor.to_bytes(item))))
    (failed,) = result.failed
    assert (failed.reason, failed.detail) == ("claim-missing", f"lacks the claim {name} ({label})")


def test_claims_of_both_profiles_are_no_report() -> None:
    # VN-9.1
    item = hide(make_claims()).to_item() | {-70009: 1}
    assert find_failed(judge(make_evidence(report=sign_payload(cbor.to_bytes(item))))).reason == (
        "claim-malformed"
    )


@pytest.mark.parametrize("profile", [[1], {1: 2}, b"\x28", 7])
def test_a_profile_that_is_no_text_is_unknown_or_malformed(profile: object) -> None:
    result = with_claims(lambda claims: claims.update({265: profile}))()
    assert find_failed(result).reason in {"profile-unknown", "claim-malformed"}


def test_a_chip_of_a_pinned_root_is_found_among_several() -> None:
    assert judge(roots=(pin(OTHER_ROOT, "another"), pin())).status is Tier.AFFIRMING


def test_what_one_maker_says_of_firmware_is_nothing_to_the_chips_of_another() -> None:
    other = open_reference(root=OTHER_ROOT)
    for references in ((), (other,)):
        result = judge(roots=(pin(), pin(OTHER_ROOT, "another")), expected=expect(references=references))
        assert [entry.reason for entry in result.failed] == ["reference-missing"]
        assert "model-recognised" not in [entry.reason for entry in result.judgements]
        assert result.status is Tier.WARNING
    assert judge(expected=expect(references=(other, open_reference()))).status is Tier.AFFIRMING


def test_of_several_revocation_lists_the_newest_counts() -> None:
    lists = open_list(make_list(number=2, entries=(REVOKED,))), open_list()
    assert find_failed(judge(expected=expect(revocations=lists))).reason == "device-revoked"
    early = open_list(make_list(issued_ms=LATER_MS + 1))
    assert find_failed(judge(expected=expect(revocations=(early,)))).reason == "revocation-stale"


def test_who_does_not_ask_for_revocations_is_told_nothing_of_them() -> None:
    assert "not-revoked" not in [
        entry.reason for entry in judge(expected=expect(revocations=None)).judgements
    ]


def test_several_claims_that_are_missing_are_told_one_by_one() -> None:
    result = with_claims(lambda claims: [claims.pop(label) for label in (256, 263, -70001)])()
    assert [entry.reason for entry in result.failed] == ["claim-missing"] * 3


def test_a_key_of_another_chip_that_is_genuine_too_does_not_speak_for_this_one() -> None:
    # The other chip endorses its own alias honestly, and reports with it in this one's name.
    alias = endorse(OTHER_DEVICE, ueid=OTHER_DEVICE.public_key.ueid, alias=OTHER_ALIAS.public_key)
    evidence = make_evidence(certificate=certify(OTHER_DEVICE), alias=alias, report=report(OTHER_ALIAS))
    assert find_failed(judge(evidence)).reason == "wrong-device"
    assert find_failed(judge(replace(evidence, report=report(ALIAS)))).reason == "signer-unknown"


def test_the_document_holds_the_same_matrix() -> None:
    rows = {name: tuple(cells) for name, *cells in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))}
    assert rows == {
        name: (reason, finding.value, claim, str(value), status.value)
        for name, (_, reason, finding, claim, value, status) in MATRIX.items()
    }
