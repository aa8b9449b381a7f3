"""A file of evidence is a list of entries in JSON; whatever else comes is refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.silicon import ASKED, good_fields, pem_of, switch_fields, to_file
from vetonet.attestation.spdm.evidence_entry import (
    MAX_EVIDENCE_BYTES,
    Architecture,
    EvidenceEntry,
    parse_nonce,
    read_evidence,
)
from vetonet.attestation.spdm.message import MeasurementReport
from vetonet.errors import EncodingError


def changed(**changes: Any) -> bytes:
    fields = {**good_fields(), **changes}
    return to_file({name: value for name, value in fields.items() if value is not None})


def test_a_file_holds_its_entries_in_order() -> None:
    entries = read_evidence(to_file(good_fields(), switch_fields()))
    assert [entry.architecture for entry in entries] == [Architecture.HOPPER, Architecture.LS10]
    assert [len(entry.report.measurements) for entry in entries] == [64, 31]
    assert [entry.driver_version for entry in entries] == ["590.12", None]


def test_a_field_that_is_not_known_is_passed_over() -> None:
    assert read_evidence(changed(uuid="GPU-1")) == read_evidence(to_file(good_fields()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (to_file(good_fields()).decode().encode("utf-16"), "not JSON"),
        (to_file(good_fields()).decode().encode("utf-32-le"), "not JSON"),
        (to_file(good_fields()).decode().encode("utf-8-sig"), "not JSON"),
        (changed(other=float("nan")), "not JSON: NaN is no number"),
        (changed(other=[float("-inf")]), "not JSON: -Infinity is no number"),
        (b"{}", "expected a list of 1 to 256 entries"),
        (b"[]", "expected a list of 1 to 256 entries"),
        (b"[1]", "entry 0: expected an object"),
        (b'[{"arch": "HOPPER", "arch": "LS10"}]', "stands twice"),
        (changed(version="2.0"), "expected version 1.0, got '2.0'"),
        (changed(version=None), "expected version 1.0, got 'None'"),
        (changed(arch="AMPERE"), "expected arch HOPPER or LS10, got 'AMPERE'"),
        (changed(nonce=None), "expected nonce as text"),
        (changed(nonce=7), "expected nonce as text, got int"),
        (changed(nonce="00"), "expected a nonce of 32 bytes"),
        (changed(evidence="AAAA"), "entry 0: expected a request"),
        (changed(evidence="A"), "evidence: not base64"),
        (changed(evidence="AB=="), "evidence: not the one spelling"),
        (changed(certificate="AAAA"), "not certificates in PEM"),
        (changed(certificate=None), "expected certificate as text"),
        (changed(driver_version=5), "expected driver_version as text"),
        (json.dumps([good_fields()] * 257).encode(), "expected a list of 1 to 256 entries"),
        (b" " * (MAX_EVIDENCE_BYTES + 1), "at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_else_comes_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(EncodingError, match=expected):
        read_evidence(data)


def test_the_entry_that_is_malformed_is_named() -> None:
    with pytest.raises(EncodingError, match="entry 1: expected an object"):
        read_evidence(json.dumps([good_fields(), 1]).encode())


def test_a_nonce_has_one_spelling() -> None:
    assert parse_nonce(ASKED.hex()) == parse_nonce(ASKED.hex().upper()) == ASKED
    for text in ("", "zz", ASKED.hex()[2:], ASKED.hex() + "00", " " + ASKED.hex()):
        with pytest.raises(EncodingError, match="expected a nonce of 32 bytes"):
            parse_nonce(text)


def test_an_entry_without_a_certificate_is_none() -> None:
    report = MeasurementReport.from_bytes(read_evidence(to_file(good_fields()))[0].report.to_bytes())
    with pytest.raises(EncodingError, match="expected a chain"):
        EvidenceEntry(architecture=Architecture.HOPPER, report=report, chain=(), nonce=ASKED)
    assert pem_of().count(b"BEGIN") == 5
