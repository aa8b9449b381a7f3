"""An offline licence: all that a chip without a network needs to run, in one file (VN-17.10, RFD 032).

The file goes to the chip on a stick. It holds a licence, a lease of it, and under one cosigned checkpoint
the proofs that both are logged. The chip judges it as it judges anything: nothing in the file is believed
because it is in the file. An air-gapped chip sees no later checkpoint, so what stops it is the count; such
licences are cut small, by default in units of 1e18 FLOP a chip, and cost it 32 bytes of memory each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.attester.machine import step
from vetonet.attester.state import ChipState, Effect, Event, LeaseOffered, LicenceOffered, Outcome, Refused
from vetonet.crypto.merkle import HASH_BYTES, MAX_TREE_SIZE, ConsistencyProof, InclusionProof
from vetonet.crypto.merkle.proofs import MAX_CONSISTENCY_HASHES, MAX_INCLUSION_HASHES
from vetonet.encoding.record import MAX_STATEMENT_BYTES, Record, bstr, many, member, record, uint
from vetonet.errors import EncodingError
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.proof import LogProof
from vetonet.units import Milliseconds

MAX_OFFLINE_BYTES: Final = 2 * MAX_STATEMENT_BYTES + MAX_NOTE_BYTES + 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePlace(Record):
    """Where a leaf is in a tree, whose size and root stand elsewhere."""

    leaf_index: int = member(1, uint(MAX_TREE_SIZE - 1))
    hashes: tuple[bytes, ...] = member(2, many(bstr(HASH_BYTES), maximum=MAX_INCLUSION_HASHES))


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeExtension(Record):
    """That the tree of a checkpoint extends one of ``old_size`` leaves."""

    old_size: int = member(1, uint(MAX_TREE_SIZE))
    new_size: int = member(2, uint(MAX_TREE_SIZE))
    hashes: tuple[bytes, ...] = member(3, many(bstr(HASH_BYTES), maximum=MAX_CONSISTENCY_HASHES))

    def __post_init__(self) -> None:
        """Refuse sizes that no proof is between."""
        if not 1 <= self.old_size <= self.new_size:
            raise ValueError("expected a tree that extends one of at least one leaf")

    def to_proof(self) -> ConsistencyProof:
        """Return it as a chip takes it."""
        return ConsistencyProof(old_size=self.old_size, new_size=self.new_size, hashes=self.hashes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLicence(Record):
    """A licence and a lease of it for one chip, with everything that shows them.

    Attributes:
        licence, lease: as their quorums signed them.
        checkpoint: of the log that holds both, with its cosignatures.
        licence_place, lease_place: where they are in that log.
        member_place: where the chip's ueid is in the device set.
        device_count: how many leaves that set has.
        extension: that the checkpoint extends the newest one that the chip knows, where it knows one.
    """

    MAX_BYTES: ClassVar[int] = MAX_OFFLINE_BYTES

    licence: bytes = member(1, bstr(1, MAX_STATEMENT_BYTES))
    licence_place: TreePlace = member(2, record(TreePlace))
    lease: bytes = member(3, bstr(1, MAX_STATEMENT_BYTES))
    lease_place: TreePlace = member(4, record(TreePlace))
    checkpoint: bytes = member(5, bstr(1, MAX_NOTE_BYTES))
    member_place: TreePlace = member(6, record(TreePlace))
    device_count: int = member(7, uint(2**32))
    extension: TreeExtension | None = member(8, record(TreeExtension), optional=True)

    def __post_init__(self) -> None:
        """Refuse a chip outside the set."""
        if self.member_place.leaf_index >= self.device_count:
            raise ValueError(f"expected a place among {self.device_count} chips")

    def to_offers(self) -> tuple[LicenceOffered, LeaseOffered]:
        """Return it as a chip takes it."""
        consistency = None if self.extension is None else self.extension.to_proof()
        licence = LicenceOffered(
            data=self.licence,
            log_proof=self._prove(self.licence_place),
            membership=InclusionProof(
                leaf_index=self.member_place.leaf_index,
                tree_size=self.device_count,
                hashes=self.member_place.hashes,
            ),
            consistency=consistency,
        )
        return licence, LeaseOffered(
            data=self.lease, log_proof=self._prove(self.lease_place), consistency=consistency
        )

    def _prove(self, place: TreePlace) -> LogProof:
        return LogProof(leaf_index=place.leaf_index, hashes=place.hashes, checkpoint=self.checkpoint)


def pack_offline(licence: LicenceOffered, lease: LeaseOffered) -> OfflineLicence:
    """Return one file of two offers that stand under one checkpoint.

    Raises:
        ValueError: they stand under two, or one of the statements is too large.
    """
    if licence.log_proof.checkpoint != lease.log_proof.checkpoint:
        raise ValueError("expected a licence and a lease under one checkpoint")
    membership, known = licence.membership, licence.consistency
    return OfflineLicence(
        licence=licence.data,
        licence_place=_place(licence.log_proof),
        lease=lease.data,
        lease_place=_place(lease.log_proof),
        checkpoint=licence.log_proof.checkpoint,
        member_place=_place(membership),
        device_count=membership.tree_size,
        extension=None if known is None else _describe(known),
    )


def take_offline(chip: ChipState, data: bytes, now: Milliseconds) -> Outcome:
    """Return the chip after it was given the bytes of an offline licence, and what it said.

    Where it holds the licence already, only the lease is new. Where it refuses the licence, it is not asked
    about the lease.

    Raises:
        UnexpectedEventError: the chip has no power.
    """
    try:
        offline = OfflineLicence.from_bytes(data)
    except EncodingError as error:
        return chip, (Refused(reason="licence-malformed", detail=f"an offline licence: {error}"),)
    licence, lease = offline.to_offers()
    is_held = chip.licence is not None and chip.licence.signed.data == offline.licence
    events: tuple[Event, ...] = (lease,) if is_held else (licence, lease)
    told: tuple[Effect, ...] = ()
    for event in events:
        chip, effects = step(chip, event, now)
        told += effects
        if any(isinstance(effect, Refused) for effect in effects):
            break
    return chip, told


def _describe(proof: ConsistencyProof) -> TreeExtension:
    return TreeExtension(old_size=proof.old_size, new_size=proof.new_size, hashes=proof.hashes)


def _place(proof: LogProof | InclusionProof) -> TreePlace:
    return TreePlace(leaf_index=proof.leaf_index, hashes=proof.hashes)
