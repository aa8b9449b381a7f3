"""The opaque data of a measurement report: the maker's own fields, each a type, a length and a value.

DSP0274 leaves their content to the maker. The numbers and forms here are those of the maker's published
verifier (nvtrust); fields that it does not name are kept and mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from vetonet.errors import EncodingError

HEADER_BYTES: Final = 4
COUNT_BYTES: Final = 4
VBIOS_BYTES: Final = 8


class Field(IntEnum):
    """The fields that an appraisal or a conformance suite reads."""

    DRIVER_VERSION = 3
    VBIOS_VERSION = 6
    MEASUREMENT_COUNTS = 12
    CHIP_SKU = 15
    PROJECT = 17
    PROJECT_SKU = 18
    FIRMWARE_ID = 20
    PROTECTED_PCIE_STATUS = 21
    OPAQUE_DATA_VERSION = 34
    FEATURE_FLAG = 36


FEATURES: Final[Mapping[int, str]] = MappingProxyType({0: "SPT", 1: "MPT", 2: "PPCIE"})
"""How a chip says that it is used: alone, among several, or with switches (the maker's names)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueData:
    """The maker's fields of one report.

    Attributes:
        fields: the value of each type, in the order of the report; no type twice.
    """

    fields: Mapping[int, bytes]

    @classmethod
    def from_bytes(cls, data: bytes) -> OpaqueData:
        """Return the fields that untrusted bytes hold.

        Raises:
            EncodingError: a field that is cut, or that stands there twice.
        """
        fields, start = dict[int, bytes](), 0
        while start < len(data):
            kind, value = _read_field(data, start)
            if kind in fields:
                raise EncodingError(f"opaque data: expected each field once, got field {kind} again")
            fields[kind] = value
            start += HEADER_BYTES + len(value)
        return cls(fields=MappingProxyType(fields))

    def to_bytes(self) -> bytes:
        """Return the fields as the report holds them."""
        return b"".join(
            kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
            for kind, value in self.fields.items()
        )

    @property
    def firmware_id(self) -> bytes | None:
        """The digest of the firmware that holds the attestation key; switches do not report it."""
        return self.fields.get(Field.FIRMWARE_ID)

    @property
    def driver_version(self) -> str | None:
        """The driver's version, such as ``590.12``; switches have none."""
        return _read_text(self.fields.get(Field.DRIVER_VERSION))

    @property
    def vbios_version(self) -> str | None:
        """The version of the chip's boot firmware, such as ``96.00.A5.00.01``.

        A GPU gives it as two little-endian numbers, a switch as text.
        """
        value = self.fields.get(Field.VBIOS_VERSION)
        if value is None or len(value) != VBIOS_BYTES:
            return _read_text(value)
        digits = (*reversed(value[:COUNT_BYTES]), value[COUNT_BYTES])
        return ".".join(f"{digit:02X}" for digit in digits)

    @property
    def feature(self) -> str | None:
        """How the chip is joined to others, by the maker's name; None where it does not say."""
        value = self.fields.get(Field.FEATURE_FLAG)
        return None if value is None else FEATURES.get(int.from_bytes(value, "little"))

    @property
    def measurement_counts(self) -> tuple[int, ...]:
        """How often each measurement was extended, by its index."""
        value = self.fields.get(Field.MEASUREMENT_COUNTS, b"")
        starts = range(0, len(value) - len(value) % COUNT_BYTES, COUNT_BYTES)
        return tuple(int.from_bytes(value[start : start + COUNT_BYTES], "little") for start in starts)


def _read_field(data: bytes, start: int) -> tuple[int, bytes]:
    header = data[start : start + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        raise EncodingError(
            f"opaque data: expected a field of {HEADER_BYTES} bytes or more, got {len(header)}"
        )
    kind, size = int.from_bytes(header[:2], "little"), int.from_bytes(header[2:], "little")
    value = data[start + HEADER_BYTES : start + HEADER_BYTES + size]
    if len(value) != size:
        raise EncodingError(f"opaque data: expected {size} bytes in field {kind}, got {len(value)}")
    return kind, value


def _read_text(value: bytes | None) -> str | None:
    """Return text that may end in a zero byte, its unprintable characters replaced."""
    if value is None:
        return None
    text = value.split(b"\0")[0].decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
