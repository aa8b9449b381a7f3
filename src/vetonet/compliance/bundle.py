"""The bundle: one file with everything a verifier needs, and one spelling (VN-10.1).

The file is a CBOR sequence (RFC 8742) of parts ``[kind, bytes]``: a header, all leaves of the log in order,
a checkpoint over them, the device sets, the reports, and a trailer with the SHA-256 of all before it. The
trailer tells an accident from a forgery: a file with a wrong one is refused, nobody is accused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import ClassVar, Final

from vetonet.attestation.report import UEID_BYTES
from vetonet.crypto.merkle import compute_leaf_hash, compute_root
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, bstr, many, member
from vetonet.errors import EncodingError

MAGIC: Final = b"vetonet bundle 1"
MAX_PART_BYTES: Final = 64 * 1024 * 1024
MAX_SET_DEVICES: Final = 2**20


class PartKind(IntEnum):
    """What a part holds; parts come in this order."""

    HEADER = 0
    LEAF = 1
    CHECKPOINT = 2
    DEVICE_SET = 3
    REPORT = 4
    TRAILER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSet(Record):
    """The chips behind a device set root, so that a verifier can recompute it: their ueids, sorted."""

    MAX_BYTES: ClassVar[int] = MAX_PART_BYTES

    ueids: tuple[bytes, ...] = member(1, many(bstr(UEID_BYTES), minimum=1, maximum=MAX_SET_DEVICES))

    def __post_init__(self) -> None:
        """Refuse a set that is unsorted or names a chip twice."""
        if not _is_rising(self.ueids):
            msg = "expected rising ueids, each once"
            raise ValueError(msg)

    @property
    def root_hash(self) -> bytes:
        """The Merkle root over the ueids, as a proposal states it (RFC 9162 section 2.1.1)."""
        return compute_root(compute_leaf_hash(ueid) for ueid in self.ueids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle file holds; nothing in it is trusted yet.

    Attributes:
        leaves: the whole log, from leaf 0, which is the treaty.
        checkpoint: a signed checkpoint of just these leaves.
        device_sets: the chips of the licences that reports name, by rising root.
        reports: compute reports as signed, by rising bytes, none twice.
    """

    leaves: tuple[bytes, ...] = field(repr=False)
    checkpoint: bytes = field(repr=False)
    device_sets: tuple[DeviceSet, ...] = field(repr=False)
    reports: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a bundle without a treaty, and parts in another than the one order."""
        roots = [device_set.root_hash for device_set in self.device_sets]
        if not self.leaves or not _is_rising(roots) or not _is_rising(self.reports):
            msg = "expected leaves, and device sets and reports in rising order without repetition"
            raise EncodingError(msg)

    def to_bytes(self) -> bytes:
        """Return the one spelling of this bundle."""
        body = b"".join(_spell(kind, content) for kind, content in self._parts())
        return body + _spell(PartKind.TRAILER, hashlib.sha256(body).digest())

    def _parts(self) -> Iterator[tuple[PartKind, bytes]]:
        yield PartKind.HEADER, MAGIC
        yield from ((PartKind.LEAF, leaf) for leaf in self.leaves)
        yield PartKind.CHECKPOINT, self.checkpoint
        yield from ((PartKind.DEVICE_SET, device_set.to_bytes()) for device_set in self.device_sets)
        yield from ((PartKind.REPORT, report) for report in self.reports)

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """Return the bundle that a file spells.

        Raises:
            EncodingError: not a bundle, damaged, or not in its one spelling.
        """
        parts: dict[PartKind, list[bytes]] = {kind: [] for kind in PartKind}
        for kind, content in _read_parts(data):
            parts[kind].append(content)
        if parts[PartKind.HEADER] != [MAGIC] or len(parts[PartKind.CHECKPOINT]) != 1:
            msg = "expected a vetonet bundle, version 1, with one checkpoint"
            raise EncodingError(msg)
        _verify_trailer(data, parts[PartKind.TRAILER])
        return cls(
            leaves=tuple(parts[PartKind.LEAF]),
            checkpoint=parts[PartKind.CHECKPOINT][0],
            device_sets=tuple(DeviceSet.from_bytes(content) for content in parts[PartKind.DEVICE_SET]),
            reports=tuple(parts[PartKind.REPORT]),
        )


def assemble_bundle(
    leaves: Iterable[bytes], checkpoint: bytes, device_sets: Iterable[DeviceSet], reports: Iterable[bytes]
) -> Bundle:
    """Return the bundle of these parts, put into the one order.

    Raises:
        EncodingError: there are no leaves.
    """
    return Bundle(
        leaves=tuple(leaves),
        checkpoint=checkpoint,
        device_sets=tuple(sorted(set(device_sets), key=lambda device_set: device_set.root_hash)),
        reports=tuple(sorted(set(reports))),
    )


def _is_rising(values: Iterable[bytes]) -> bool:
    return all(left < right for left, right in pairwise(values))


def _spell(kind: PartKind, content: bytes) -> bytes:
    return cbor.to_bytes([int(kind), content])


def _read_parts(data: bytes) -> Iterator[tuple[PartKind, bytes]]:
    """Yield the parts of a CBOR sequence, in order; every head is in its shortest form."""
    offset, last = 0, PartKind.HEADER
    while offset < len(data):
        kind, start, end = _read_head(data, offset)
        if kind < last or (last is PartKind.TRAILER):
            msg = f"a {kind.name} part at byte {offset}, after a {last.name} part"
            raise EncodingError(msg)
        yield kind, data[start:end]
        offset, last = end, kind


def _read_head(data: bytes, offset: int) -> tuple[PartKind, int, int]:
    """Return kind, start and end of the part at ``offset``."""
    head = data[offset : offset + 11]
    if len(head) < 3 or head[0] != 0x82 or head[1] > max(PartKind):  # noqa: PLR2004  (array of two, small kind)
        msg = f"not a vetonet bundle: no part at byte {offset}"
        raise EncodingError(msg)
    width = {**dict.fromkeys(range(0x40, 0x58), 0), 0x58: 1, 0x59: 2, 0x5A: 4}.get(head[2], -1)
    if width < 0 or len(head) < 3 + width:
        msg = f"not a vetonet bundle: the part at byte {offset} is no byte string that we read"
        raise EncodingError(msg)
    size = int.from_bytes(head[3 : 3 + width], "big") if width else head[2] - 0x40
    start = offset + 3 + width
    if start + size > len(data) or size > MAX_PART_BYTES or size < {0: 0, 1: 24, 2: 256, 4: 65536}[width]:
        msg = f"the part at byte {offset} is cut off, too large, or its length is not in the shortest form"
        raise EncodingError(msg)
    return PartKind(head[1]), start, start + size


def _verify_trailer(data: bytes, trailers: list[bytes]) -> None:
    """Hold that the file is whole; who forges a bundle makes a new trailer, so this accuses nobody."""
    size = len(_spell(PartKind.TRAILER, bytes(32)))
    if trailers != [hashlib.sha256(data[:-size]).digest()]:
        msg = "the bundle is damaged: its last part is not the SHA-256 of what stands before it"
        raise EncodingError(msg)
