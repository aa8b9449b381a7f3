"""Two slots of flash, of which the newer whole one counts (VN-17.15; ADR 0028).

A slot is a header and behind it the bytes. To save, the older slot's header is blanked, the bytes are
written, and then the header; each of the three is durable before the next begins. So a header that is whole
over bytes that do not match it never comes of a loss of power: that is damage, and it is refused instead of
passed over for older bytes.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final

from vetonet.errors import StorageError
from vetonet.storage.flash import BLOCK_BYTES, SLOTS, Flash

MAGIC: Final = b"VNCHIP1\0"
MAX_BYTES: Final = 2**21
_HEADER: Final = struct.Struct(">8sQQ32s")
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """What a slot holds: the ``number``-th save, whole."""

    index: int
    number: int
    data: bytes = field(repr=False)


class ChipStore:
    """The newest state of one chip, over any loss of power; see ``attester.chip.StateStore``."""

    __slots__ = ("_flash", "_newest")

    def __init__(self, flash: Flash) -> None:
        """Use a flash that nobody else writes."""
        self._flash: Final = flash
        self._newest: _Slot | None = None

    def load(self) -> bytes | None:
        """Return the newest bytes that are whole, or None where the first save never ended.

        Raises:
            StorageError: a slot is damaged, or the two do not belong together.
        """
        raw = [self._flash.read(index) for index in range(SLOTS)]
        whole = [slot for index in range(SLOTS) if (slot := _read_slot(index, raw[index])) is not None]
        if not whole and all(raw):
            raise StorageError("expected a whole slot of a chip's flash, found two that are not")
        if len(whole) == SLOTS and abs(whole[0].number - whole[1].number) != 1:
            raise StorageError("expected two saves that follow one another, found others: one slot is a copy")
        self._newest = max(whole, key=lambda slot: slot.number, default=None)
        return None if self._newest is None else self._newest.data

    def save(self, data: bytes) -> None:
        """These bytes are the newest, durably; a loss of power before that leaves those that were.

        Raises:
            StorageError: the flash cannot be written, or what it held is damaged.
            ValueError: more bytes than a slot takes.
        """
        if len(data) > MAX_BYTES:
            raise ValueError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
        if self._newest is None:
            self.load()
        before = self._newest
        index, number = (0, 1) if before is None else (1 - before.index, before.number + 1)
        self._write(index, number, data)
        self._newest = _Slot(index=index, number=number, data=data)

    def _write(self, index: int, number: int, data: bytes) -> None:
        """The three writes in their order."""
        self._flash.write(index, 0, b"")
        self._flash.sync()
        for block, start in enumerate(range(0, len(data), BLOCK_BYTES), start=1):
            self._flash.write(index, block, data[start : start + BLOCK_BYTES])
        self._flash.sync()
        self._flash.write(index, 0, _spell_header(number, data))
        self._flash.sync()


def _spell_header(number: int, data: bytes) -> bytes:
    header = _HEADER.pack(MAGIC, number, len(data), hashlib.sha256(data).digest())
    return header + hashlib.sha256(header).digest()


def _read_slot(index: int, raw: bytes) -> _Slot | None:
    """Return what a slot holds, or None where its save never ended.

    Raises:
        StorageError: its save ended, and it does not hold what was saved.
    """
    header, check = raw[: _HEADER.size], raw[_HEADER.size : _HEADER.size + _DIGEST_BYTES]
    if hashlib.sha256(header).digest() != check:
        return None
    magic, number, length, digest = _HEADER.unpack(header)
    data = raw[BLOCK_BYTES : BLOCK_BYTES + length]
    if magic != MAGIC or len(data) != length or hashlib.sha256(data).digest() != digest:
        raise StorageError(f"slot {index} of a chip's flash is damaged: save {number} is not what it was")
    return _Slot(index=index, number=number, data=data)
