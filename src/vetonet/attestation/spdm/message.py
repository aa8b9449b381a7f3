"""A measurement report as SPDM 1.1 spells it (DSP0274): request, response, and a signature over both.

::

    GET_MEASUREMENTS   version 1, code 1, parameters 2, nonce 32, slot 1
    MEASUREMENTS       version 1, code 1, parameters 2, blocks 1, length 3, record, nonce 32,
                       opaque length 2, opaque data
    signature          r 48, s 48 (P-384 over SHA-384 of everything before it)

Numbers are little-endian. Only one shape is accepted: all measurements, signed, by the certificate in slot 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha384
from typing import Final

from vetonet.attestation.spdm.opaque import OpaqueData
from vetonet.errors import EncodingError

MAX_REPORT_BYTES: Final = 64 * 1024
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 96
DIGEST_BYTES: Final = 48

_REQUEST: Final = bytes.fromhex("11e001ff")  # version 1.1, GET_MEASUREMENTS, signed, all of them
_RESPONSE: Final = bytes.fromhex("11600000")  # version 1.1, MEASUREMENTS
_SLOT: Final = b"\x00"
_BLOCK_HEADER_BYTES: Final = 7
_DMTF: Final = 1
_RAW: Final = 0x80  # DSP0274 table 45: the value is no digest
_ENDIAN: Final = "little"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementReport:
    """One signed report; nothing in it is trusted before its signature is verified.

    Attributes:
        nonce: what the verifier asked with.
        responder_nonce: what the chip added, so that it never signs the same twice.
        measurements: SHA-384 digests; the first is measurement 0 of the maker, index 1 of SPDM.
        kinds: the DMTF type of each measurement.
        opaque: the maker's own fields.
        signed_bytes: request and response, over which the signature is.
        signature: r || s.
    """

    nonce: bytes
    responder_nonce: bytes
    measurements: tuple[bytes, ...]
    kinds: tuple[int, ...]
    opaque: OpaqueData
    signed_bytes: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What identifies this evidence: SHA-384 of what is signed.

        Never of the signature: with r || s, r || (n - s) is a signature too, and silicon emits both forms.
        """
        return sha384(self.signed_bytes).digest()

    def to_bytes(self) -> bytes:
        """Return the report as received."""
        return self.signed_bytes + self.signature

    @classmethod
    def from_bytes(cls, data: bytes) -> MeasurementReport:
        """Return the report that untrusted bytes spell.

        Raises:
            EncodingError: too long, cut, longer than it says, or another shape than the one accepted.
        """
        if len(data) > MAX_REPORT_BYTES:
            raise EncodingError(f"expected a report of at most {MAX_REPORT_BYTES} bytes, got {len(data)}")
        start = _expect(data, 0, _REQUEST, "a request for all measurements, signed")
        nonce = _cut(data, start, NONCE_BYTES, "the request's nonce")
        start = _expect(data, start + NONCE_BYTES, _SLOT, "the certificate in slot 0")
        start = _expect(data, start, _RESPONSE, "a response of measurements")
        record, count, start = _cut_record(data, start)
        responder_nonce = _cut(data, start, NONCE_BYTES, "the response's nonce")
        start += NONCE_BYTES
        size = int.from_bytes(_cut(data, start, 2, "the length of the opaque data"), _ENDIAN)
        opaque = _cut(data, start + 2, size, "opaque data")
        end = start + 2 + size
        signature = _cut(data, end, SIGNATURE_BYTES, "the signature")
        if len(data) != end + SIGNATURE_BYTES:
            raise EncodingError(f"expected a report of {end + SIGNATURE_BYTES} bytes, got {len(data)}")
        blocks = _read_blocks(record, count)
        return cls(
            nonce=nonce,
            responder_nonce=responder_nonce,
            measurements=tuple(value for _, value in blocks),
            kinds=tuple(kind for kind, _ in blocks),
            opaque=OpaqueData.from_bytes(opaque),
            signed_bytes=data[:end],
            signature=signature,
        )


def _cut_record(data: bytes, start: int) -> tuple[bytes, int, int]:
    """Return the measurement record, how many blocks it holds, and where it ends."""
    count = _cut(data, start, 1, "the number of measurements")[0]
    size = int.from_bytes(_cut(data, start + 1, 3, "the length of the measurements"), _ENDIAN)
    return _cut(data, start + 4, size, "measurements"), count, start + 4 + size


def _read_blocks(record: bytes, count: int) -> list[tuple[int, bytes]]:
    """Return type and digest of each block; the indices are 1, 2, ... without a gap."""
    blocks, start = list[tuple[int, bytes]](), 0
    for index in range(1, count + 1):
        kind, value = _read_block(record, start, index)
        blocks.append((kind, value))
        start += _BLOCK_HEADER_BYTES + len(value)
    if start != len(record):
        raise EncodingError(f"expected {count} measurements in {start} bytes, got {len(record)}")
    return blocks


def _read_block(record: bytes, start: int, index: int) -> tuple[int, bytes]:
    header = _cut(record, start, _BLOCK_HEADER_BYTES, f"the head of measurement {index}")
    expected = bytes((index, _DMTF)) + (DIGEST_BYTES + 3).to_bytes(2, _ENDIAN)
    size = DIGEST_BYTES.to_bytes(2, _ENDIAN)
    if header[:4] != expected or header[5:] != size or header[4] & _RAW:
        raise EncodingError(
            f"expected measurement {index} as a DMTF digest of {DIGEST_BYTES} bytes, got head {header.hex()}"
        )
    value = _cut(record, start + _BLOCK_HEADER_BYTES, DIGEST_BYTES, f"measurement {index}")
    return header[4], value


def _expect(data: bytes, start: int, expected: bytes, what: str) -> int:
    """Return where these bytes, which must stand here, end."""
    found = _cut(data, start, len(expected), what)
    if found != expected:
        raise EncodingError(f"expected {what} ({expected.hex()}), got {found.hex()}")
    return start + len(expected)


def _cut(data: bytes, start: int, size: int, what: str) -> bytes:
    found = data[start : start + size]
    if len(found) != size:
        raise EncodingError(f"expected {what} of {size} bytes at byte {start}, got {len(found)}")
    return found
