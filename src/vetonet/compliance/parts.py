"""The parts of a bundle file, written and read as a stream: nobody holds more of it than one part (VN-10.1).

The file is a CBOR sequence (RFC 8742) of parts ``[kind, bytes]`` in the order of their kinds. The trailer
with the SHA-256 of all before it tells an accident from a forgery: a file with a wrong one is refused, nobody
is accused. Every head is in its shortest form, so a bundle has one spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from vetonet.attestation.report import ComputeReport
from vetonet.confidential.usage import UsageProof
from vetonet.encoding import cbor
from vetonet.encoding.record import MAX_STATEMENT_BYTES
from vetonet.errors import EncodingError
from vetonet.tlog.log import MAX_LEAF_BYTES
from vetonet.tlog.note import MAX_NOTE_BYTES

MAGIC: Final = b"vetonet bundle 2"
_MAGIC_1: Final = b"vetonet bundle 1"
MAX_SET_BYTES: Final = 64 * 1024 * 1024
DIGEST_BYTES: Final = 32

_HEAD_BYTES: Final = 7  # an array of two, a small kind, and the head of up to 4 GiB of bytes
_WIDTHS: Final = {**dict.fromkeys(range(0x40, 0x58), 0), 0x58: 1, 0x59: 2, 0x5A: 4}
_SMALLEST: Final = {0: 0, 1: 24, 2: 256, 4: 65536}
"""How many bytes the length of a byte string takes by its first byte, and from which length on (RFC 8949)."""


class PartKind(IntEnum):
    """What a part holds; parts come in this order."""

    HEADER = 0
    LEAF = 1
    CHECKPOINT = 2
    DEVICE_SET = 3
    REPORT = 4
    PROOF = 5
    EXPORT = 6
    TRAILER = 7


MAX_BYTES: Final[Mapping[PartKind, int]] = MappingProxyType(
    {
        PartKind.HEADER: len(MAGIC),
        PartKind.LEAF: MAX_LEAF_BYTES,
        PartKind.CHECKPOINT: MAX_NOTE_BYTES,
        PartKind.DEVICE_SET: MAX_SET_BYTES,
        PartKind.REPORT: ComputeReport.MAX_BYTES,
        PartKind.PROOF: UsageProof.MAX_BYTES,
        PartKind.EXPORT: MAX_STATEMENT_BYTES,
        PartKind.TRAILER: DIGEST_BYTES,
    }
)
"""How large a part of each kind may be, so that no file makes its reader hold more."""

MAX_PARTS: Final[Mapping[PartKind, int]] = MappingProxyType(
    {
        PartKind.HEADER: 1,
        PartKind.CHECKPOINT: 4096,
        PartKind.DEVICE_SET: 4096,
        PartKind.PROOF: 8192,
        PartKind.EXPORT: 1,
        PartKind.TRAILER: 1,
    }
)
"""How many parts there may be that a verifier keeps until the end; leaves and reports have no bound."""

_PAIR: Final = 0x82  # an array of two
_KINDS: Final = tuple(PartKind)
_REQUIRED: Final = (PartKind.LEAF, PartKind.CHECKPOINT)


class Part(NamedTuple):
    """One part of a bundle, as read; nothing in it is trusted yet."""

    kind: PartKind
    content: bytes


def iter_bundle(parts: Iterable[tuple[PartKind, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a bundle file, part by part: the header, these parts, and the trailer.

    Args:
        parts: in the order of their kinds, without header and trailer.

    Raises:
        EncodingError: a part is larger than anyone reads, or out of order.
    """
    body, last = hashlib.sha256(), PartKind.HEADER
    for kind, content in chain([(PartKind.HEADER, MAGIC)], parts):
        if not last <= kind < PartKind.TRAILER or len(content) > MAX_BYTES[kind]:
            raise EncodingError(f"a {kind.name} part of {len(content)} bytes after a {last.name} part")
        spelled, last = spell_part(kind, content), kind
        body.update(spelled)
        yield spelled
    yield spell_part(PartKind.TRAILER, body.digest())


def spell_part(kind: PartKind, content: bytes) -> bytes:
    """Return the one spelling of a part."""
    return cbor.to_bytes([int(kind), content])


class PartReader:
    """Reads the parts of a bundle from chunks of bytes, cut anywhere; holds one part and one chunk.

    Attributes:
        digest: SHA-256 of the whole file, once all of it was read.
        exported_digest: SHA-256 of all before the export part, once that was read: what its signer signed.
    """

    def __init__(self, data: bytes | Iterable[bytes]) -> None:
        """Begin before the first part."""
        self.digest = b""
        self.exported_digest = b""
        self._chunks = iter((data,) if isinstance(data, bytes) else data)
        self._buffer, self._offset, self._before = b"", 0, 0
        self._hash, self._hashed = hashlib.sha256(), 0

    def __iter__(self) -> Iterator[Part]:
        """Yield every part but header and trailer.

        Raises:
            EncodingError: not a bundle, cut off, damaged, or not in its one spelling.
        """
        last, count = PartKind.HEADER, 0
        while last is not PartKind.TRAILER:
            place = self._before + self._offset
            self._fill(_HEAD_BYTES)
            kind, head_bytes, size = _read_head(self._buffer, self._offset, place)
            count = count + 1 if kind is last else 1
            if kind is not last or count > MAX_PARTS.get(kind, count):
                _verify_place(kind, last, count, place)
            part = self._take(kind, head_bytes, size)
            if kind is PartKind.LEAF or kind is PartKind.REPORT:  # most are, and need no more
                yield part
            else:
                self._note(part, place)
                if PartKind.HEADER < kind < PartKind.TRAILER:
                    yield part
            last = kind

    def _take(self, kind: PartKind, head_bytes: int, size: int) -> Part:
        if not self._fill(head_bytes + size):
            place = self._before + self._offset
            raise EncodingError(f"the bundle is damaged: cut off in the {kind.name} part at byte {place}")
        start = self._offset + head_bytes
        self._offset = start + size
        return Part(kind, self._buffer[start : self._offset])

    def _note(self, part: Part, place: int) -> None:
        """Hold what only one part of a kind says, and keep the digest of what an export is about."""
        match part.kind:
            case PartKind.HEADER:
                _verify_header(part)
            case PartKind.EXPORT:
                self.exported_digest = self._digest_up_to(place)
            case PartKind.TRAILER:
                self._verify_end(part, place)
            case _:
                pass

    def _verify_end(self, trailer: Part, place: int) -> None:
        """Hold that the file is whole and ends; a forger makes a new trailer, so this accuses nobody."""
        if trailer.content != self._digest_up_to(place):
            msg = "the bundle is damaged: its last part is not the SHA-256 of what stands before it"
            raise EncodingError(msg)
        end = self._before + self._offset
        self.digest = self._digest_up_to(end)
        if self._fill(1):
            raise EncodingError(f"the bundle is damaged: it goes on at byte {end}, after its end")

    def _digest_up_to(self, place: int) -> bytes:
        """Return SHA-256 of the file up to a place in the buffer that is not hashed yet."""
        with memoryview(self._buffer) as view:
            self._hash.update(view[self._hashed - self._before : place - self._before])
        self._hashed = place
        return self._hash.digest()

    def _fill(self, size: int) -> bool:
        """Whether so many bytes follow; takes as many chunks as that needs, and lets go of what was read."""
        have, fresh = len(self._buffer) - self._offset, []
        while have < size and (chunk := next(self._chunks, None)) is not None:
            fresh.append(chunk)
            have += len(chunk)
        if fresh:
            self._digest_up_to(self._before + self._offset)
            self._before += self._offset
            self._buffer, self._offset = b"".join((self._buffer[self._offset :], *fresh)), 0
        return have >= size


def _verify_place(kind: PartKind, last: PartKind, count: int, place: int) -> None:
    """Hold that a part may stand where it does: ``count`` of its kind so far, after one of kind ``last``."""
    if not place:
        if kind is not PartKind.HEADER:
            raise EncodingError("not a vetonet bundle: it does not begin with a header")
    elif kind < last or count > MAX_PARTS.get(kind, count):
        raise EncodingError(f"a {kind.name} part, number {count}, after a {last.name} part at byte {place}")
    else:
        for needed in _REQUIRED:
            if last < needed < kind:
                raise EncodingError(f"expected a {needed.name} part at byte {place}, got a {kind.name} part")


def _verify_header(part: Part) -> None:
    if part.content == _MAGIC_1:
        raise EncodingError("a vetonet bundle of version 1, which is not read any more: export it anew")
    if part.content != MAGIC:
        raise EncodingError("not a vetonet bundle: it does not begin with the header of version 2")


def _read_head(data: bytes, offset: int, place: int) -> tuple[PartKind, int, int]:
    """Return kind of the part at ``offset``, and the bytes of its head and of its content."""
    if len(data) < offset + 3 or data[offset] != _PAIR or data[offset + 1] > PartKind.TRAILER:
        raise EncodingError(f"not a vetonet bundle, or a damaged one: no part at byte {place}")
    kind, width = _KINDS[data[offset + 1]], _WIDTHS.get(data[offset + 2], -1)
    if width < 0 or len(data) < offset + 3 + width:
        raise EncodingError(f"the {kind.name} part at byte {place} is no byte string that we read")
    start = offset + 3
    size = int.from_bytes(data[start : start + width], "big") if width else data[offset + 2] - 0x40
    if size > MAX_BYTES[kind] or size < _SMALLEST[width]:
        msg = f"the {kind.name} part at byte {place} is too large, or its length is not in the shortest form"
        raise EncodingError(msg)
    return kind, 3 + width, size
