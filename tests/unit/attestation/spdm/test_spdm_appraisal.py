"""Every outcome of an appraisal of real chips' evidence, each with its exact reason codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.silicon import (
    DRIVER,
    GOLDEN_DRIVER,
    GOLDEN_VBIOS,
    MEASUREMENTS,
    TOO_LATE,
    VBIOS,
    build_chain,
    driver_manifest,
    good_fields,
    good_manifests,
    judge,
    list_reasons,
    make_fields,
    make_key,
    make_links,
    make_manifest_links,
    make_opaque,
    make_report,
    make_swid,
    name_chip,
    name_firmware,
    pem_of,
    pin,
    read,
    sign_manifest,
    switch_fields,
    to_file,
    to_pem,
    twin_of,
    vbios_manifest,
)
from vetonet.attestation.appraisal_reasons import MEANINGS
from vetonet.attestation.ear import AttestationResult, Tier, TrustClaim
from vetonet.attestation.reasons import Finding
from vetonet.attestation.spdm.evidence_entry import read_evidence
from vetonet.attestation.spdm.opaque import Field

CHIP = make_key("chip 1")
OTHER = bytes.fromhex("ee") * 48
SWITCH_VERSION = "96.10.73.00.01"


def entry(report: bytes | None = None, pem: bytes | None = None, **changes: Any) -> bytes:
    made = make_report(CHIP) if report is None else report
    return to_file(make_fields(made, pem_of() if pem is None else pem, **changes))


def with_opaque(**changes: bytes | None) -> bytes:
    return make_report(CHIP, opaque=make_opaque({Field[name]: value for name, value in changes.items()}))


def with_measurement(index: int, value: bytes = OTHER) -> bytes:
    return make_report(CHIP, measurements=(*MEASUREMENTS[:index], value, *MEASUREMENTS[index + 1 :]))


def pem_with(**changes: Any) -> bytes:
    links = make_links()
    links[0] = replace(links[0], **changes)
    return to_pem(build_chain(links))


def without_firmware_id() -> bytes:
    chip, _ = make_links()[0].extensions
    return pem_with(extensions=(chip,))


def measured_by_another() -> bytes:
    chip, _ = make_links()[0].extensions
    return pem_with(extensions=(chip, (name_firmware(make_key("another rom")), False)))


def expired() -> bytes:
    return pem_with(end=datetime(2025, 1, 1, tzinfo=UTC))


def manifests(driver: bytes | None = None, vbios: bytes | None = None) -> dict[str, Any]:
    pair = (driver_manifest() if driver is None else driver, vbios_manifest() if vbios is None else vbios)
    return {
        "manifests": tuple(read(data, name) for data, name in zip(pair, ("driver", "vbios"), strict=True))
    }


def expired_driver() -> bytes:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(2025, 1, 1, tzinfo=UTC))
    return sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER), links)


Given = tuple[bytes, dict[str, Any]]
A, W, C = Tier.AFFIRMING, Tier.WARNING, Tier.CONTRAINDICATED
OUTCOMES: dict[str, tuple[Callable[[], Given], Tier, list[str]]] = {
    "good": (lambda: (entry(), {}), A, []),
    "an allowed alternative": (lambda: (entry(with_measurement(12, bytes(48))), {}), A, []),
    "an inactive measurement": (lambda: (entry(with_measurement(50)), {}), A, []),
    "no reference values": (lambda: (entry(), {"manifests": ()}), W, ["rim-missing"]),
    "one manifest of two": (lambda: (entry(), {"manifests": good_manifests()[:1]}), W, ["rim-missing"]),
    "manifests of another version": (
        lambda: (entry(with_opaque(DRIVER_VERSION=b"591.01\0"), driver_version=None), {}),
        W,
        ["rim-missing"],
    ),
    "manifests of another product": (
        lambda: (entry(), manifests(driver=sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER, product="GB100")))),
        W,
        ["rim-missing"],
    ),
    "a forged manifest": (
        lambda: (entry(), manifests(vbios=vbios_manifest().replace(b"05" * 48, b"ee" * 48))),
        C,
        ["rim-forged", "rim-missing"],
    ),
    "a manifest by somebody else": (
        lambda: (
            entry(),
            manifests(driver=sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER), make_manifest_links("other"))),
        ),
        W,
        ["rim-missing", "rim-untrusted"],
    ),
    "an expired manifest": (
        lambda: (entry(), manifests(expired_driver())),
        W,
        ["rim-expired", "rim-missing"],
    ),
    "bad firmware": (lambda: (entry(with_measurement(3)), {}), C, ["measurement-mismatched"]),
    "a bad driver": (lambda: (entry(with_measurement(25)), {}), C, ["measurement-mismatched"]),
    "too few measurements": (
        lambda: (entry(make_report(CHIP, measurements=MEASUREMENTS[:39])), {}),
        C,
        ["measurement-mismatched"],
    ),
    "bad key": (lambda: (entry(make_report(make_key("chip 2"))), {}), C, ["report-forged"]),
    "bad signature": (lambda: (entry(make_report(CHIP)[:-1] + b"\0"), {}), C, ["report-forged"]),
    "a signature of nothing": (
        lambda: (entry(make_report(CHIP)[:-96] + bytes(96)), {}),
        C,
        ["report-forged"],
    ),
    "stale nonce": (lambda: (entry(), {"nonce": bytes(32)}), C, ["nonce-stale"]),
    "another nonce beside it": (lambda: (entry(nonce="00" * 32), {}), C, ["entry-mismatched"]),
    "an older report under a new nonce": (
        lambda: (entry(make_report(CHIP, nonce=bytes(32))), {}),
        C,
        ["entry-mismatched", "nonce-stale"],
    ),
    "another driver beside it": (lambda: (entry(driver_version="591.01"), {}), C, ["entry-mismatched"]),
    "another vbios beside it": (lambda: (entry(vbios_version="96.00.A5.00.02"), {}), C, ["entry-mismatched"]),
    "other firmware than certified": (
        lambda: (entry(with_opaque(FIRMWARE_ID=OTHER)), {}),
        C,
        ["firmware-id-mismatched"],
    ),
    "firmware measured by another chip": (
        lambda: (entry(pem=measured_by_another()), {}),
        C,
        ["firmware-id-mismatched"],
    ),
    "no firmware id in the report": (
        lambda: (entry(with_opaque(FIRMWARE_ID=None)), {}),
        W,
        ["firmware-id-missing"],
    ),
    "no firmware id in the certificate": (
        lambda: (entry(pem=without_firmware_id()), {}),
        W,
        ["firmware-id-missing"],
    ),
    "unknown maker": (
        lambda: (entry(pem=pem_of(maker="other")), {"roots": pin()}),
        C,
        ["maker-unknown"],
    ),
    "no roots": (
        lambda: (entry(), {"roots": ()}),
        C,
        ["maker-unknown", "rim-missing", "rim-untrusted"],
    ),
    "another chip's chain": (lambda: (entry(pem=pem_of("chip 2")), {}), C, ["report-forged"]),
    "expired": (lambda: (entry(pem=expired()), {}), C, ["certificate-expired"]),
    "long after": (
        lambda: (entry(), {"now": TOO_LATE}),
        C,
        ["certificate-expired", "rim-expired", "rim-missing"],
    ),
    "four certificates": (
        lambda: (entry(pem=to_pem(build_chain(make_links())[1:])), {}),
        C,
        ["certificate-unusable", "chain-broken", "firmware-id-missing", "report-forged", "wrong-model"],
    ),
    "a switch said to be a GPU": (
        lambda: (to_file({**switch_fields(), "arch": "HOPPER"}), {}),
        C,
        ["firmware-id-missing", "rim-missing", "wrong-model"],
    ),
    "a GPU said to be a switch": (lambda: (entry(arch="LS10"), {}), C, ["rim-missing", "wrong-model"]),
    "appraised before": (
        lambda: (entry(), {"earlier": frozenset({read_evidence(entry())[0].report.digest})}),
        C,
        ["evidence-repeated"],
    ),
    "the twin of what was appraised before": (
        lambda: (
            entry(twin_of(make_report(CHIP))),
            {"earlier": frozenset({read_evidence(entry())[0].report.digest})},
        ),
        C,
        ["evidence-repeated"],
    ),
}


def judge_outcome(name: str) -> AttestationResult:
    data, changes = OUTCOMES[name][0]()
    return judge(data, **changes)


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_outcome_has_its_status_and_its_reasons(name: str) -> None:
    _, status, reasons = OUTCOMES[name]
    result = judge_outcome(name)
    assert (result.status, list_reasons(result)) == (status, reasons)  # VN-17.16


def test_a_good_gpu_is_affirmed_in_what_was_looked_at_and_nothing_else() -> None:
    vector = judge(entry()).trust_vector
    looked_at = {TrustClaim.INSTANCE_IDENTITY, TrustClaim.HARDWARE, TrustClaim.EXECUTABLES}
    assert {claim for claim, value in vector.items() if value == 2} == looked_at
    assert all(value == 0 for claim, value in vector.items() if claim not in looked_at)


def test_under_an_unknown_maker_nothing_is_verified() -> None:
    for result in (judge(entry(pem=pem_of(maker="other")), roots=pin()), judge(entry(pem=expired()))):
        assert [found.reason for found in result.judgements if found.finding is Finding.VERIFIED] == []


def test_a_switch_needs_a_manifest_of_its_firmware_alone() -> None:
    golden = {index: [MEASUREMENTS[index]] for index in range(31)}
    manifest = read(sign_manifest(make_swid(SWITCH_VERSION, golden, product="LS10")))
    assert judge(to_file(switch_fields()), manifests=(manifest,)).status is Tier.AFFIRMING
    assert list_reasons(judge(to_file(switch_fields()))) == ["rim-missing"]


def test_of_a_switch_no_firmware_id_is_said_to_be_recognised() -> None:
    """VN-17.16: it reports none, so nothing was compared."""
    assert "firmware-id-recognised" in [found.reason for found in judge(entry()).judgements]
    assert "firmware-id-recognised" not in [
        found.reason for found in judge(to_file(switch_fields())).judgements
    ]


def test_a_mismatch_names_index_expectation_and_finding() -> None:
    found = judge(entry(with_measurement(25))).failed
    assert [judgement.detail for judgement in found] == [
        f"driver {DRIVER}, measurement 25: expected {'19' * 48}, got {'ee' * 48}"
    ]


def test_of_several_manifests_of_one_version_each_must_agree() -> None:
    """VN-17.16: which of them is right is not for us to choose."""
    stricter = read(sign_manifest(make_swid(VBIOS, {**GOLDEN_VBIOS, 11: [OTHER]})))
    driver, vbios = good_manifests()
    for given in ((driver, vbios, stricter), (driver, stricter, vbios)):
        assert list_reasons(judge(entry(), manifests=given)) == ["measurement-mismatched"]
    assert judge(entry(with_measurement(11)), manifests=(driver, vbios, stricter)).status is Tier.AFFIRMING


def test_a_manifest_that_is_handed_in_twice_says_its_mismatch_once() -> None:
    failed = judge(entry(with_measurement(3)), manifests=(*good_manifests(), *good_manifests())).failed
    assert [judgement.reason for judgement in failed] == ["measurement-mismatched"]


def test_an_expired_manifest_of_another_version_is_no_matter() -> None:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(2025, 1, 1, tzinfo=UTC))
    older = read(sign_manifest(make_swid("545.00", GOLDEN_DRIVER), links))
    assert judge(entry(), manifests=(*good_manifests(), older)).status is Tier.AFFIRMING


def test_a_forged_manifest_always_matters() -> None:
    forged = read(driver_manifest().replace(b"590.12", b"545.00"))
    assert list_reasons(judge(entry(), manifests=(*good_manifests(), forged))) == ["rim-forged"]


def test_two_roots_do_not_stand_for_each_other() -> None:
    """A chip under the root of manifests, manifests under the root of chips: neither counts (VN-17.16)."""
    chip, signer = make_links(), make_manifest_links()
    chain = to_pem(build_chain([*chip[:4], signer[2]]))
    swapped = [signer[0], *chip[3:]]
    given = manifests(
        sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER), swapped),
        sign_manifest(make_swid(VBIOS, GOLDEN_VBIOS), swapped),
    )
    result = judge(entry(pem=chain), **given)
    assert result.status is Tier.CONTRAINDICATED
    assert list_reasons(result) == ["maker-unknown", "rim-missing", "rim-untrusted"]
    assert list_reasons(judge(entry(), **given)) == ["rim-missing", "rim-untrusted"]
    assert "maker-unknown" in list_reasons(judge(entry(pem=chain)))


def test_the_worst_entry_decides_and_is_named() -> None:
    bad = make_fields(make_report(make_key("chip 2"), nonce=bytes(32)), pem_of("chip 2"), nonce="00" * 32)
    result = judge(to_file(good_fields(), bad))
    assert result.status is Tier.CONTRAINDICATED
    assert [judgement.detail.partition(":")[0] for judgement in result.failed] == ["entry 1"]
    assert len(result.judgements) == 14


def test_a_chip_that_stands_twice_in_a_file_counts_once() -> None:
    """One GPU asked four times is not four GPUs; the twin of a signature is no second report either."""
    report = make_report(CHIP)
    again = make_fields(make_report(CHIP, measurements=(*MEASUREMENTS[:63], OTHER)), pem_of())
    for second in (good_fields(), make_fields(twin_of(report), pem_of()), again):
        result = judge(to_file(good_fields(), second))
        assert list_reasons(result) == ["evidence-repeated"]
        assert result.status is Tier.CONTRAINDICATED
    assert judge(to_file(good_fields(), good_fields("chip 2"))).status is Tier.AFFIRMING


@pytest.mark.parametrize("shared", ["serial number", "boot ROM", "both"])
def test_a_chip_with_a_second_key_is_the_same_chip(shared: str) -> None:
    """VN-17.16: its firmware's key changes with the firmware; boot ROM and serial number do not."""
    key, first, other = make_key("a second key"), make_links(), make_links("chip 2")
    rom = other[1] if shared == "serial number" else first[1]
    named = name_chip("GH100", "chip 2" if shared == "boot ROM" else "chip 1")
    leaf = replace(first[0], key=key, extensions=((named, False), (name_firmware(rom.key), False)))
    second = make_fields(make_report(key), to_pem(build_chain([leaf, rom, *first[2:]])))
    assert judge(to_file(second)).status is Tier.AFFIRMING
    assert list_reasons(judge(to_file(good_fields(), second))) == ["evidence-repeated"]
    assert list_reasons(judge(to_file(good_fields("chip 3"), second, good_fields()))) == ["evidence-repeated"]


def test_both_forms_of_a_signature_are_one_piece_of_evidence() -> None:
    """Silicon emits both, so a twin that stands alone says what its original says, and has its digest."""
    report = make_report(CHIP)
    both = [read_evidence(entry(form))[0].report for form in (report, twin_of(report))]
    assert judge(entry(twin_of(report))).status is Tier.AFFIRMING
    assert both[0].digest == both[1].digest


def test_every_reason_that_this_evidence_gets_is_told_in_the_guide() -> None:
    guide = Path(__file__).resolve().parents[4] / "docs" / "nvidia-spdm.md"
    rows = [line for line in guide.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {cells[0].strip("` "): cells for line in rows if len(cells := line.strip("| ").split(" | ")) == 5}
    given = {judgement.reason for name in OUTCOMES for judgement in judge_outcome(name).judgements}
    assert set(told) == given | {"certificate-forged"}  # which the chain's own tests give
    for reason, (_, finding, claim, value, _) in told.items():
        meaning = MEANINGS[reason]
        stated = (finding, claim, int(value))
        assert stated == (
            meaning.finding.value,
            meaning.claim.value if meaning.claim else "all",
            meaning.value,
        )
