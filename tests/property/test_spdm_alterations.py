"""Whatever is altered in real chips' evidence, nothing is affirmed any more, and the reason is told.

The same altering is done twice: to evidence of our own, which is affirmed as it is, and to the maker's
published evidence, which would be but for reference values.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from support.silicon import (
    DRIVER,
    GOLDEN_DRIVER,
    MEASUREMENTS,
    P384_ORDER,
    build_chain,
    certify,
    driver_manifest,
    good_entry,
    good_fields,
    good_manifests,
    judge,
    list_reasons,
    make_links,
    make_manifest_links,
    make_opaque,
    make_swid,
    pem_of,
    read,
    sign_manifest,
    to_file,
    to_pem,
    twin_of,
)
from vetonet.attestation.ear import AttestationResult, Tier
from vetonet.attestation.spdm.appraise_spdm import SpdmExpectations, appraise_entries, merge_results
from vetonet.attestation.spdm.evidence_entry import read_evidence
from vetonet.attestation.spdm.pinned_roots import PINNED_ROOTS
from vetonet.errors import EncodingError, VetonetError

FIELDS = good_fields()
REPORT, PEM = b64decode(FIELDS["evidence"]), b64decode(FIELDS["certificate"])
FIRST_BLOCK, RECORD = 45, 64 * 55
OPAQUE = FIRST_BLOCK + RECORD + 34
REGIONS = {
    "request": (0, 37),
    "response header": (37, FIRST_BLOCK),
    **{
        f"measurement {index}": (FIRST_BLOCK + 55 * index, FIRST_BLOCK + 55 * (index + 1))
        for index in range(64)
    },
    "response nonce": (OPAQUE - 34, OPAQUE - 2),
    "opaque data": (OPAQUE - 2, len(REPORT) - 96),
    "signature": (len(REPORT) - 96, len(REPORT)),
}
CODES = {
    "report-forged",
    "nonce-stale",
    "entry-mismatched",
    "firmware-id-mismatched",
    "measurement-mismatched",
}
CODES |= {"rim-missing", "firmware-id-missing", "encoding"}
REAL = "gpu_evidence.json", "switch_evidence.json"
REAL_NOW = 1_780_000_000_000


def with_report(data: bytes, fields: dict[str, Any] = FIELDS) -> bytes:
    return to_file({**fields, "evidence": b64encode(data).decode()})


def with_pem(data: bytes, fields: dict[str, Any] = FIELDS) -> bytes:
    return to_file({**fields, "certificate": b64encode(data).decode()})


def flip(data: bytes, bit: int) -> bytes:
    place = bit // 8
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


def find_reasons(data: bytes, **changes: Any) -> set[str]:
    """Return why evidence is refused; the empty set is what must never come."""
    try:
        result = judge(data, **changes)
    except VetonetError as error:
        return {error.reason}
    return set() if result.status is Tier.AFFIRMING else set(list_reasons(result))


def test_what_is_altered_below_is_affirmed_as_it_is() -> None:
    assert len(REPORT) == OPAQUE + len(make_opaque()) + 96
    assert find_reasons(to_file(FIELDS)) == set()


@pytest.mark.parametrize("region", REGIONS)
@settings(max_examples=12)
@given(data=st.data())
def test_no_bit_of_a_report_can_be_another(region: str, data: st.DataObject) -> None:
    start, end = REGIONS[region]
    bit = data.draw(st.integers(8 * start, 8 * end - 1))
    reasons = find_reasons(with_report(flip(REPORT, bit)))
    assert reasons  # VN-17.16
    assert reasons <= CODES
    assert {"report-forged", "encoding"} & reasons


@settings(max_examples=150)
@given(bit=st.integers(0, 8 * len(PEM) - 1))
def test_no_bit_of_a_chain_can_be_another(bit: int) -> None:
    assert find_reasons(with_pem(flip(PEM, bit)))


@settings(max_examples=60)
@given(size=st.integers(0, len(REPORT) - 1), rest=st.integers(0, len(PEM) - 2))
def test_nothing_that_is_cut_is_read(size: int, rest: int) -> None:
    assert find_reasons(with_report(REPORT[:size])) == {"encoding"}
    assert find_reasons(with_pem(PEM[:rest]))


@settings(max_examples=40)
@given(size=st.integers(0, len(good_entry()) - 1))
def test_no_cut_file_is_read(size: int) -> None:
    assert find_reasons((b"[" + good_entry() + b"]")[:size]) == {"encoding"}


def test_another_chain_does_not_carry_the_report() -> None:
    assert find_reasons(with_pem(pem_of("chip 2"))) == {"report-forged"}
    assert find_reasons(with_pem(pem_of(maker="other"))) == {"maker-unknown"}


def test_a_root_of_the_same_name_does_not_carry_the_chain() -> None:
    links, impostors = make_links(), make_links(maker="impostor")
    chain = build_chain(links)
    assert find_reasons(with_pem(to_pem((*chain[:4], build_chain(impostors)[4])))) == {
        "maker-unknown",
        "certificate-forged",
    }
    forged = (*chain[:3], certify(links[3], impostors[4]), chain[4])
    assert find_reasons(with_pem(to_pem(forged))) == {"certificate-forged"}


def test_a_report_for_another_question_is_stale() -> None:
    assert find_reasons(to_file(FIELDS), nonce=bytes(32)) == {"nonce-stale"}


def test_the_twin_of_a_signature_is_the_same_evidence_and_counts_no_second_time() -> None:
    """Both (r, s) and (r, n - s) verify, and silicon emits both: only who knows one can refuse the other."""
    twin = with_report(twin_of(REPORT))
    earlier = frozenset(entry.report.digest for entry in read_evidence(to_file(FIELDS)))
    assert find_reasons(twin, earlier=earlier) == {"evidence-repeated"}
    both = to_file(FIELDS, {**FIELDS, "evidence": b64encode(twin_of(REPORT)).decode()})
    assert find_reasons(both) == {"evidence-repeated"}


@settings(max_examples=60)
@given(data=st.data())
def test_no_bit_of_a_manifest_can_be_another(data: st.DataObject) -> None:
    known = good_manifests()[0]
    manifest = driver_manifest()
    altered = flip(manifest, data.draw(st.integers(0, 8 * len(manifest) - 1)))
    try:
        signed = read(altered)
    except EncodingError:
        return
    if (signed.manifest, signed.chain) == (known.manifest, known.chain):
        return  # a bit that XML's canonical form does not know, such as one of a line's end
    assert find_reasons(to_file(FIELDS), manifests=(signed, good_manifests()[1]))


def test_a_manifest_by_a_root_of_the_same_name_is_untrusted() -> None:
    other = read(sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER), make_manifest_links("other")))
    assert find_reasons(to_file(FIELDS), manifests=(other, good_manifests()[1])) == {
        "rim-untrusted",
        "rim-missing",
    }
    assert len(MEASUREMENTS) == 64


# ---------------------------------------------------------------- the maker's own evidence


@cache
def read_real(shared: Path, name: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((shared / "vectors/nvidia-spdm" / name).read_bytes()))


def judge_real(data: bytes, nonce: bytes, **changes: Any) -> AttestationResult:
    expected = SpdmExpectations(nonce=nonce, roots=PINNED_ROOTS, now=REAL_NOW, **changes)
    return merge_results(appraise_entries(read_evidence(data), expected))


def find_real_reasons(data: bytes, nonce: bytes, **changes: Any) -> set[str]:
    try:
        return set(list_reasons(judge_real(data, nonce, **changes))) - {"rim-missing"}
    except VetonetError as error:
        return {error.reason}


@pytest.mark.parametrize("name", REAL)
def test_no_byte_of_a_real_report_can_be_another(shared: Path, name: str) -> None:
    fields = read_real(shared, name)[0]
    report, nonce = b64decode(fields["evidence"]), bytes.fromhex(fields["nonce"])
    assert find_real_reasons(to_file(fields), nonce) == set()
    for place in range(0, len(report), 11):
        bit = 8 * place + place % 8
        reasons = find_real_reasons(with_report(flip(report, bit), fields), nonce)
        assert {"report-forged", "encoding"} & reasons, place


@pytest.mark.parametrize("name", REAL)
def test_no_byte_of_a_real_chain_can_be_another(shared: Path, name: str) -> None:
    fields = read_real(shared, name)[0]
    pem, nonce = b64decode(fields["certificate"]), bytes.fromhex(fields["nonce"])
    for place in range(0, len(pem) - 1, 7):
        assert find_real_reasons(with_pem(flip(pem, 8 * place + place % 8), fields), nonce), place


@pytest.mark.parametrize("name", REAL)
def test_no_cut_or_stale_real_evidence_passes(shared: Path, name: str) -> None:
    fields = read_real(shared, name)[0]
    report, nonce = b64decode(fields["evidence"]), bytes.fromhex(fields["nonce"])
    for size in range(0, len(report), 7):
        assert find_real_reasons(with_report(report[:size], fields), nonce) == {"encoding"}
    assert find_real_reasons(to_file(fields), bytes(32)) == {"nonce-stale"}


@pytest.mark.parametrize("name", REAL)
def test_real_chips_do_not_stand_for_each_other(shared: Path, name: str) -> None:
    first, second = read_real(shared, name)[:2]
    nonce = bytes.fromhex(first["nonce"])
    assert find_real_reasons(to_file({**first, "certificate": second["certificate"]}), nonce) == {
        "report-forged"
    }
    assert find_real_reasons(to_file(first, first), nonce) == {"evidence-repeated"}
    assert find_real_reasons(to_file(first, second), nonce) == set()


@pytest.mark.parametrize("name", REAL)
def test_a_real_chain_under_a_root_of_the_same_name_is_unknown(shared: Path, name: str) -> None:
    fields = read_real(shared, name)[0]
    chain = x509.load_pem_x509_certificates(b64decode(fields["certificate"]))
    impostor = make_links()[4].key.private_key
    root = chain[-1]
    builder = x509.CertificateBuilder(
        issuer_name=root.subject,
        subject_name=root.subject,
        public_key=impostor.public_key(),
        serial_number=root.serial_number,
        not_valid_before=root.not_valid_before_utc,
        not_valid_after=root.not_valid_after_utc,
        extensions=list(root.extensions),
    )
    same_name = builder.sign(impostor, hashes.SHA384())
    reasons = find_real_reasons(
        with_pem(to_pem((*chain[:-1], same_name)), fields), bytes.fromhex(fields["nonce"])
    )
    assert reasons == {"maker-unknown", "certificate-forged"}


def test_real_silicon_emits_both_forms_of_s(shared: Path) -> None:
    """Why no rule on s can refuse a twin: it would refuse every second real report as well."""
    reports = [b64decode(fields["evidence"]) for name in REAL for fields in read_real(shared, name)]
    assert {int.from_bytes(report[-48:], "big") > P384_ORDER // 2 for report in reports} == {True, False}


@pytest.mark.parametrize("name", REAL)
def test_the_twin_of_a_real_signature_counts_no_second_time(shared: Path, name: str) -> None:
    for fields in read_real(shared, name):
        nonce = bytes.fromhex(fields["nonce"])
        twin = {**fields, "evidence": b64encode(twin_of(b64decode(fields["evidence"]))).decode()}
        earlier = frozenset(entry.report.digest for entry in read_evidence(to_file(fields)))
        assert find_real_reasons(to_file(twin), nonce, earlier=earlier) == {"evidence-repeated"}
        assert find_real_reasons(to_file(fields, twin), nonce) == {"evidence-repeated"}
