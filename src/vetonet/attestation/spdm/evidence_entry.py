"""The file of evidence as the maker's tools write it: a list of entries in JSON, one for each chip.

What an entry says beside the signed report (architecture, versions, nonce) is nobody's word; it must agree
with the report. Fields that are not known here are passed over: nothing rests on them.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from vetonet.attestation.spdm.certificate import Certificate, read_pem_chain
from vetonet.attestation.spdm.message import NONCE_BYTES, MeasurementReport
from vetonet.encoding.json_strict import read_json
from vetonet.errors import EncodingError

MAX_EVIDENCE_BYTES: Final = 8 * 2**20
MAX_ENTRIES: Final = 256
FORMAT_VERSION: Final = "1.0"


class Architecture(StrEnum):
    """What an entry is about: a GPU, or a switch between GPUs."""

    HOPPER = "HOPPER"
    LS10 = "LS10"

    @property
    def product(self) -> str:
        """The product's name in the certificates of its chips."""
        return {Architecture.HOPPER: "GH100", Architecture.LS10: "LS_10"}[self]

    @property
    def has_driver(self) -> bool:
        """Whether a driver takes part in its measurements, and has reference values of its own."""
        return self is Architecture.HOPPER


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceEntry:
    """The evidence of one chip; nothing in it is trusted.

    Attributes:
        architecture: which kind of chip it is said to be.
        report: the signed measurements.
        chain: certificates, the chip's own first.
        nonce: what the report is said to answer.
        driver_version, vbios_version: what the report is said to hold, where that is said.
    """

    architecture: Architecture
    report: MeasurementReport
    chain: tuple[Certificate, ...]
    nonce: bytes
    driver_version: str | None = None
    vbios_version: str | None = None

    def __post_init__(self) -> None:
        """Refuse a chain of nothing."""
        if not self.chain:
            raise EncodingError("expected a chain of certificates, got none")


def read_evidence(data: bytes) -> tuple[EvidenceEntry, ...]:
    """Return the entries of a file.

    Raises:
        EncodingError: too large, no such file, no entry, or one that is malformed.
    """
    document = read_json(data, MAX_EVIDENCE_BYTES)
    if not isinstance(document, list) or not 1 <= len(document) <= MAX_ENTRIES:
        raise EncodingError(f"expected a list of 1 to {MAX_ENTRIES} entries")
    return tuple(_read_entry(fields, place) for place, fields in enumerate(document))


def _read_entry(fields: object, place: int) -> EvidenceEntry:
    if not isinstance(fields, Mapping):
        raise EncodingError(f"entry {place}: expected an object")
    try:
        _verify_version(fields)
        return EvidenceEntry(
            architecture=_read_architecture(fields),
            report=MeasurementReport.from_bytes(_read_base64(fields, "evidence")),
            chain=read_pem_chain(_read_base64(fields, "certificate")),
            nonce=parse_nonce(_read_text(fields, "nonce")),
            driver_version=_read_optional(fields, "driver_version"),
            vbios_version=_read_optional(fields, "vbios_version"),
        )
    except EncodingError as error:
        raise EncodingError(f"entry {place}: {error}") from error


def _verify_version(fields: Mapping[str, Any]) -> None:
    found = fields.get("version")
    if found != FORMAT_VERSION:
        raise EncodingError(f"expected version {FORMAT_VERSION}, got {str(found)[:40]!r}")


def parse_nonce(text: str) -> bytes:
    """Return the nonce that hexadecimal text spells.

    Raises:
        EncodingError: not 32 bytes.
    """
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_BYTES or nonce.hex() != text.lower():
        raise EncodingError(f"expected a nonce of {NONCE_BYTES} bytes in hexadecimal, got {text[:80]!r}")
    return nonce


def _read_architecture(fields: Mapping[str, Any]) -> Architecture:
    text = _read_text(fields, "arch")
    try:
        return Architecture(text)
    except ValueError as error:
        known = " or ".join(Architecture)
        raise EncodingError(f"expected arch {known}, got {text[:40]!r}") from error


def _read_text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise EncodingError(f"expected {name} as text, got {type(value).__name__}")
    return value


def _read_optional(fields: Mapping[str, Any], name: str) -> str | None:
    return _read_text(fields, name) if name in fields else None


def _read_base64(fields: Mapping[str, Any], name: str) -> bytes:
    text = _read_text(fields, name)
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise EncodingError(f"{name}: not base64") from error
    if b64encode(data).decode() != text:
        raise EncodingError(f"{name}: not the one spelling of its base64")
    return data
