"""The bundle: one file with everything a verifier needs, and one spelling (VN-10.1).

``Bundle`` holds one in memory, for building and for tests; a verifier reads the parts as a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Final, TypeAlias

from vetonet.attestation.report import UEID_BYTES, ComputeReport
from vetonet.compliance.parts import MAX_SET_BYTES, PartKind, PartReader, iter_bundle
from vetonet.crypto.merkle import compute_leaf_hash, compute_root
from vetonet.crypto.statement import Claimed
from vetonet.encoding.record import Record, bstr, many, member
from vetonet.errors import EncodingError
from vetonet.tlog.checkpoint import SignedCheckpoint

MAX_SET_DEVICES: Final = 2**20

Place: TypeAlias = tuple[bytes, int, bytes]
"""Where a report stands among others: its chip, its count, and its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSet(Record):
    """The chips behind a device set root, so that a verifier can recompute it: their ueids, sorted."""

    MAX_BYTES: ClassVar[int] = MAX_SET_BYTES

    ueids: tuple[bytes, ...] = member(1, many(bstr(UEID_BYTES), minimum=1, maximum=MAX_SET_DEVICES))

    def __post_init__(self) -> None:
        """Refuse a set that is unsorted or names a chip twice."""
        if not is_rising(self.ueids):
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
        checkpoints: signed ones by rising size; the last is of just these leaves, earlier ones bound in time
            what they hold.
        device_sets: the chips of the licences that reports name, by rising root.
        reports: compute reports as signed, in the order of ``compute_place``, none twice.
        proofs: usage proofs as signed, by rising bytes, none twice.
        export: the statement of whoever vouches that all these parts are genuine, or None.
    """

    leaves: tuple[bytes, ...] = field(repr=False)
    checkpoints: tuple[bytes, ...] = field(repr=False)
    device_sets: tuple[DeviceSet, ...] = field(default=(), repr=False)
    reports: tuple[bytes, ...] = field(default=(), repr=False)
    proofs: tuple[bytes, ...] = field(default=(), repr=False)
    export: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a bundle without a treaty or checkpoint, and parts in another than the one order."""
        roots = [device_set.root_hash for device_set in self.device_sets]
        is_ordered = (
            is_rising(roots) and is_rising(self.proofs) and is_rising(map(compute_place, self.reports))
        )
        if not self.leaves or not self.checkpoints or not is_ordered:
            msg = "expected leaves, checkpoints, and device sets, reports and proofs in order, each once"
            raise EncodingError(msg)

    @property
    def checkpoint(self) -> bytes:
        """The checkpoint over all leaves."""
        return self.checkpoints[-1]

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the one spelling of this bundle, part by part."""
        return iter_bundle(self._parts())

    def to_bytes(self) -> bytes:
        """Return the one spelling of this bundle."""
        return b"".join(self.iter_bytes())

    def _parts(self) -> Iterator[tuple[PartKind, bytes]]:
        yield from ((PartKind.LEAF, leaf) for leaf in self.leaves)
        yield from ((PartKind.CHECKPOINT, checkpoint) for checkpoint in self.checkpoints)
        yield from ((PartKind.DEVICE_SET, device_set.to_bytes()) for device_set in self.device_sets)
        yield from ((PartKind.REPORT, report) for report in self.reports)
        yield from ((PartKind.PROOF, proof) for proof in self.proofs)
        if self.export is not None:
            yield PartKind.EXPORT, self.export

    @classmethod
    def from_bytes(cls, data: bytes | Iterable[bytes]) -> Bundle:
        """Return the bundle that a file spells, given whole or in chunks.

        Raises:
            EncodingError: not a bundle, damaged, or not in its one spelling.
        """
        parts: dict[PartKind, list[bytes]] = {kind: [] for kind in PartKind}
        for part in PartReader(data):
            parts[part.kind].append(part.content)
        return cls(
            leaves=tuple(parts[PartKind.LEAF]),
            checkpoints=tuple(parts[PartKind.CHECKPOINT]),
            device_sets=tuple(DeviceSet.from_bytes(content) for content in parts[PartKind.DEVICE_SET]),
            reports=tuple(parts[PartKind.REPORT]),
            proofs=tuple(parts[PartKind.PROOF]),
            export=next(iter(parts[PartKind.EXPORT]), None),
        )


def assemble_bundle(
    leaves: Iterable[bytes],
    checkpoint: bytes,
    device_sets: Iterable[DeviceSet] = (),
    reports: Iterable[bytes] = (),
    *,
    earlier: Iterable[bytes] = (),
    proofs: Iterable[bytes] = (),
) -> Bundle:
    """Return the bundle of these parts, put into the one order, each once.

    Args:
        leaves: all of the log, in order.
        checkpoint: signed, over just these leaves.
        device_sets: of its licences, in any order.
        reports: as signed, in any order.
        proofs: usage proofs as signed, in any order.
        earlier: more checkpoints of the log; those of its size are left out, and of two of one size one.

    Raises:
        EncodingError: there are no leaves, or something earlier is no checkpoint.
    """
    return Bundle(
        leaves=tuple(leaves),
        checkpoints=(*_arrange_checkpoints(earlier, checkpoint), checkpoint),
        device_sets=tuple(sorted(set(device_sets), key=lambda device_set: device_set.root_hash)),
        reports=tuple(sorted(set(reports), key=compute_place)),
        proofs=tuple(sorted(set(proofs))),
    )


def _arrange_checkpoints(earlier: Iterable[bytes], last: bytes) -> tuple[bytes, ...]:
    found: dict[int, bytes] = {}
    for data in sorted(earlier):
        found.setdefault(_read_size(data), data)
    size = _read_size(last) if found else 0
    return tuple(found[place] for place in sorted(found) if place < size)


def _read_size(checkpoint: bytes) -> int:
    return SignedCheckpoint.from_bytes(checkpoint).checkpoint.tree_size


def compute_place(report: bytes) -> Place:
    """Return where these bytes stand among a bundle's reports: by chip and count, as batches count them.

    What is no report stands before all that are.
    """
    try:
        claims = Claimed.from_bytes(report, ComputeReport).statement
    except EncodingError:
        return b"", 0, report
    return claims.ueid, claims.counter, report


def is_rising(values: Iterable[bytes] | Iterable[Place]) -> bool:
    """Whether each of these is more than the one before it."""
    pairs: Iterable[tuple[Any, Any]] = pairwise(values)
    return all(left < right for left, right in pairs)
