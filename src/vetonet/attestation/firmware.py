"""What a chip's firmware is made of, as it was measured when the chip started (VN-17)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from vetonet.encoding.record import DIGEST, Record, many, member, record, tstr, uint

MAX_COMPONENTS: Final = 16
MAX_SVN: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareComponent(Record):
    """One measured component.

    Attributes:
        name: the maker's, such as ``bootloader``.
        digest: SHA-256 of what was measured.
        svn: its security version number; it rises when an older version must not run any more.
        version: for people.
    """

    name: str = member(1, tstr(32))
    digest: bytes = member(2, DIGEST)
    svn: int = member(3, uint(MAX_SVN))
    version: str = member(4, tstr(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware(Record):
    """All components that a chip measures when it starts, by rising name, none twice.

    Its digest is what an alias endorsement and every report state; the components travel beside.
    """

    MAX_BYTES: ClassVar[int] = 4096

    components: tuple[FirmwareComponent, ...] = member(
        1, many(record(FirmwareComponent), minimum=1, maximum=MAX_COMPONENTS)
    )

    def __post_init__(self) -> None:
        """Refuse components out of order, or two of one name."""
        names = [component.name for component in self.components]
        if not all(left < right for left, right in pairwise(names)):
            raise ValueError("expected components by rising name, each once")

    @property
    def digest(self) -> bytes:
        """SHA-256 over the one spelling of all components: one byte elsewhere gives another."""
        return _compute_digest(self)

    def find_component(self, name: str) -> FirmwareComponent | None:
        """Return the component of this name, or None where there is none."""
        return next((component for component in self.components if component.name == name), None)


@lru_cache(maxsize=256)
def _compute_digest(firmware: Firmware) -> bytes:
    """Chips are many and firmware is not: a verifier of a hundred thousand reports computes it once."""
    return hashlib.sha256(firmware.to_bytes()).digest()
