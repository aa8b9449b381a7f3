"""A measurement report is read in its one shape, or refused with what was expected and what came."""

from __future__ import annotations

import pytest

from support.silicon import ASKED, MEASUREMENTS, make_key, make_opaque, make_report, twin_of
from vetonet.attestation.spdm.message import MAX_REPORT_BYTES, MeasurementReport
from vetonet.attestation.spdm.opaque import Field, OpaqueData
from vetonet.errors import EncodingError

REPORT = make_report(make_key("chip 1"))
RESPONSE = 37
RECORD = RESPONSE + 8
OPAQUE_LENGTH = RECORD + 64 * 55 + 32


def altered(place: int, value: int, data: bytes = REPORT) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def test_a_report_holds_what_was_put_in() -> None:
    report = MeasurementReport.from_bytes(REPORT)
    assert report.nonce == ASKED
    assert report.responder_nonce == bytes(range(32))
    assert report.measurements == MEASUREMENTS
    assert report.opaque.driver_version == "590.12"
    assert report.opaque.vbios_version == "96.00.A5.00.01"
    assert report.opaque.feature == "PPCIE"
    assert report.opaque.measurement_counts == tuple(range(64))
    assert report.signed_bytes + report.signature == REPORT == report.to_bytes()


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (0, 0x12, "expected a request for all measurements, signed"),
        (1, 0xE1, "expected a request for all measurements, signed"),
        (2, 0x00, "expected a request for all measurements, signed"),
        (3, 0x00, "expected a request for all measurements, signed"),
        (36, 1, "expected the certificate in slot 0"),
        (RESPONSE, 0x10, "expected a response of measurements"),
        (RESPONSE + 3, 1, "expected a response of measurements"),
        (RESPONSE + 4, 63, "expected 63 measurements in 3465 bytes, got 3520"),
        (RESPONSE + 4, 65, "expected the head of measurement 65"),
        (RESPONSE + 6, 0xFF, "expected measurements of"),
        (RECORD, 2, "expected measurement 1 as a DMTF digest"),
        (RECORD + 1, 2, "expected measurement 1 as a DMTF digest"),
        (RECORD + 2, 52, "expected measurement 1 as a DMTF digest"),
        (RECORD + 4, 0x81, "expected measurement 1 as a DMTF digest"),
        (RECORD + 5, 32, "expected measurement 1 as a DMTF digest"),
        (OPAQUE_LENGTH, 0, "expected a report of"),
        (OPAQUE_LENGTH, 0xFF, "expected opaque data of"),
    ],
)
def test_another_shape_is_refused(place: int, value: int, expected: str) -> None:
    with pytest.raises(EncodingError, match=expected):  # VN-17.16
        MeasurementReport.from_bytes(altered(place, value))


def test_no_cut_and_no_longer_report_is_read() -> None:
    for size in range(len(REPORT)):
        with pytest.raises(EncodingError):
            MeasurementReport.from_bytes(REPORT[:size])
    with pytest.raises(
        EncodingError, match=f"expected a report of {len(REPORT)} bytes, got {len(REPORT) + 1}"
    ):
        MeasurementReport.from_bytes(REPORT + b"\0")
    with pytest.raises(EncodingError, match="at most"):
        MeasurementReport.from_bytes(bytes(MAX_REPORT_BYTES + 1))


def test_a_signature_is_no_part_of_what_identifies_evidence() -> None:
    report, twin = MeasurementReport.from_bytes(REPORT), MeasurementReport.from_bytes(twin_of(REPORT))
    assert report.signature != twin.signature
    assert report.digest == twin.digest


def test_opaque_fields_stand_once_and_whole() -> None:
    data = make_opaque()
    assert OpaqueData.from_bytes(data).to_bytes() == data
    for cut in (data[:-1], data + b"\0", data + b"\1\0\2\0\0"):
        with pytest.raises(EncodingError, match="opaque data: expected"):
            OpaqueData.from_bytes(cut)
    with pytest.raises(EncodingError, match="got field 6 again"):
        OpaqueData.from_bytes(data + b"\6\0\0\0")


def test_a_switch_gives_its_version_as_text_and_no_firmware_id() -> None:
    opaque = OpaqueData(fields={Field.VBIOS_VERSION: b"96.10.73.00.01"})
    assert opaque.vbios_version == "96.10.73.00.01"
    assert (opaque.firmware_id, opaque.driver_version, opaque.feature) == (None, None, None)
    assert OpaqueData(fields={}).vbios_version is None


def test_a_version_cannot_break_its_line() -> None:
    assert OpaqueData(fields={Field.DRIVER_VERSION: b"5\n\x1b[1m\xff\0tail"}).driver_version == "5??[1m\ufffd"


def test_an_unknown_feature_has_no_name() -> None:
    assert OpaqueData(fields={Field.FEATURE_FLAG: b"\7\0"}).feature is None
