"""Steps 1 to 4: read the public record, and refuse a bundle that is not about this treaty's log (VN-10.4)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment, DeviceRetirement
from vetonet.attestation.reference_values import ReferenceValues
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ReportBatch
from vetonet.attestation.revocation import RevocationList
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.merkle import MerkleEdge, compute_leaf_hash
from vetonet.crypto.statement import CONFLICT, Signed, read_kind, read_unverified
from vetonet.errors import (
    ComplianceError,
    EncodingError,
    Problem,
    ProofError,
    ProtocolError,
    UnknownPartyError,
    VerificationError,
)
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.treaty import Operator, Treaty, open_treaty
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.clock import WitnessClock, compute_latest_s
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned
from vetonet.units import MS_PER_S, Milliseconds
from vetonet.voting.ledger import KINDS as VOTING_KINDS
from vetonet.voting.ledger import Ledger, read_leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicRecord:
    """What the log of a bundle says, read by the rules.

    Attributes:
        treaty: as pinned by the trust root.
        treaties: that one and each that the log puts in force after it, in order.
        treaty_digests: of all of them.
        checkpoint: signed by the treaty's log, over all the leaves.
        checkpoint_sizes: the size of each checkpoint that the log could sign so far, by its digest.
        latest_ms: by when there was a log of at least this size, by rising size (VN-11.9).
        ledger: the votes.
        registry: the chips.
        batches: the operators' report batches with their leaf indices.
        licence_leaves: where each licence stands, by licence id.
        lease_leaves: where each lease stands, by licence id and number.
        enrolment_leaves: where each chip was enrolled, by ueid.
        retirement_leaves: where each chip that is out of service was retired, by ueid.
        alias_leaves: where each alias key was endorsed, by its key id.
        problems: leaves that the rules would not have let in; nobody is accused of them.
        licences: the licences in the log, by licence id.
    """

    treaty: Signed[Treaty] = field(repr=False)
    treaties: tuple[Signed[Treaty], ...] = field(repr=False)
    treaty_digests: frozenset[bytes] = field(repr=False)
    checkpoint: Checkpoint
    checkpoint_sizes: Mapping[bytes, int] = field(repr=False)
    latest_ms: tuple[tuple[int, Milliseconds], ...] = field(repr=False)
    ledger: Ledger = field(repr=False)
    registry: Registry = field(repr=False)
    batches: tuple[tuple[int, Signed[ReportBatch]], ...] = field(default=(), repr=False)
    licence_leaves: Mapping[int, int] = field(default_factory=dict)
    lease_leaves: Mapping[tuple[int, int], int] = field(default_factory=dict)
    enrolment_leaves: Mapping[bytes, int] = field(default_factory=dict, repr=False)
    retirement_leaves: Mapping[bytes, int] = field(default_factory=dict, repr=False)
    alias_leaves: Mapping[bytes, int] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()

    licences: Mapping[int, Licence] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute once what is asked for with every report."""
        votes = self.ledger.votes.values()
        granted = [vote.licence.statement for vote in votes if vote.licence is not None]
        object.__setattr__(self, "licences", {licence.licence_id: licence for licence in granted})

    def find_latest_ms(self, leaf_index: int) -> Milliseconds | None:
        """Return the time after which a leaf was not made, by the first checkpoint that holds it, or None."""
        place = bisect_right(self.latest_ms, leaf_index, key=_size_of)
        return self.latest_ms[place][1] if place < len(self.latest_ms) else None

    def find_operator_by_key(self, key: PublicKey) -> Operator:
        """Return the operator whose key this is, in the first treaty that names it.

        Raises:
            UnknownPartyError: no operator's.
        """
        for treaty in self.treaties:
            for operator in treaty.statement.operators:
                if operator.key == key:
                    return operator
        raise UnknownPartyError(f"no treaty of the log names an operator with key {key.key_id.hex()[:16]}")


def _size_of(entry: tuple[int, Milliseconds]) -> int:
    return entry[0]


class LogReader:
    """Reads the leaves and checkpoints of a bundle one by one, and holds none of them."""

    def __init__(self, trust_root: TrustRoot) -> None:
        """Begin before leaf 0."""
        self._trust_root = trust_root
        self._edge = MerkleEdge()
        self._reading: RecordReader | None = None
        self._treaty: Signed[Treaty] | None = None
        self._sizes: dict[bytes, int] = {}
        self._checkpoint: Checkpoint | None = None
        self._latest_ms: list[tuple[int, Milliseconds]] = []

    def read_leaf(self, data: bytes) -> None:
        """Take the next leaf.

        Raises:
            EncodingError, VerificationError: it is leaf 0 and not the treaty that is pinned.
        """
        leaf_index = self._edge.size
        if self._treaty is None or self._reading is None:
            self._treaty = _open_pinned_treaty(data, self._trust_root)
            self._reading = RecordReader(self._treaty)
        else:
            self._reading.read_or_note(leaf_index, data)
        self._edge.append(compute_leaf_hash(data))
        origin = self._treaty.statement.log_origin
        size, root_hash = self._edge.size, self._edge.root_hash
        self._sizes[Checkpoint(origin=origin, tree_size=size, root_hash=root_hash).digest] = size

    def read_checkpoint(self, data: bytes) -> None:
        """Step 2: every checkpoint is signed by the treaty's log and its quorum of witnesses, by nobody else.

        Raises:
            EncodingError, VerificationError: something else, or not larger than the one before.
        """
        if self._treaty is None:
            raise EncodingError("a checkpoint without any leaf")
        cosigned = verify_cosigned(data, LogPolicy.under(self._treaty.statement))
        size = cosigned.checkpoint.tree_size
        if self._checkpoint is not None and size <= self._checkpoint.tree_size:
            raise EncodingError(f"a checkpoint of size {size} after one that is as large")
        if self._sizes.get(cosigned.checkpoint.digest) != size:
            detail = f"the {self._edge.size} leaves are not those of the checkpoint of size {size}"
            raise ComplianceError(detail, problems=(Problem(reason="other-log", detail=detail),))
        self._checkpoint = cosigned.checkpoint
        latest_ms = _find_latest_ms(cosigned, self._treaty.statement)
        if latest_ms is not None:
            self._latest_ms.append((size, latest_ms))

    def conclude(self) -> PublicRecord:
        """Step 3: the leaves are exactly those that the last checkpoint commits to.

        Raises:
            EncodingError, ComplianceError: it is of a smaller log, or there is none.
        """
        reading, treaty, checkpoint = self._reading, self._treaty, self._checkpoint
        if reading is None or treaty is None or checkpoint is None:
            raise EncodingError("a bundle without a treaty and a checkpoint")
        if checkpoint.tree_size != self._edge.size:
            detail = (
                f"the {self._edge.size} leaves are not those of the checkpoint of size {checkpoint.tree_size}"
            )
            raise ComplianceError(detail, problems=(Problem(reason="other-log", detail=detail),))
        return PublicRecord(
            treaty=treaty,
            treaties=tuple(reading.treaties),
            treaty_digests=frozenset(reading.treaty_digests),
            checkpoint=checkpoint,
            checkpoint_sizes=self._sizes,
            latest_ms=tuple(self._latest_ms),
            ledger=reading.ledger,
            registry=reading.registry,
            batches=tuple(reading.batches),
            licence_leaves=reading.licence_leaves,
            lease_leaves=reading.lease_leaves,
            enrolment_leaves=reading.enrolment_leaves,
            retirement_leaves=reading.retirement_leaves,
            alias_leaves=reading.alias_leaves,
            problems=tuple(reading.problems),
        )


def read_public_record(bundle: Bundle, trust_root: TrustRoot) -> PublicRecord:
    """Return what the log of a bundle in memory says, once it is certain whose log it is.

    Raises:
        EncodingError, VerificationError: not a bundle of this treaty, or not a log that its log key signed;
            such a bundle cannot be judged at all.
    """
    reader = LogReader(trust_root)
    for leaf in bundle.leaves:
        reader.read_leaf(leaf)
    for checkpoint in bundle.checkpoints:
        reader.read_checkpoint(checkpoint)
    return reader.conclude()


def _open_pinned_treaty(data: bytes, trust_root: TrustRoot) -> Signed[Treaty]:
    """Step 1: leaf 0 is the treaty that the trust root pins, signed by all its parties."""
    treaty = open_treaty(data)
    if treaty.payload_digest != trust_root.treaty_digest:
        detail = (
            f"the bundle is about treaty {treaty.payload_digest.hex()[:16]} ({treaty.statement.name!r}), "
            f"the trust root pins {trust_root.treaty_digest.hex()[:16]} ({trust_root.treaty_name!r})"
        )
        raise ComplianceError(detail, problems=(Problem(reason="other-treaty", detail=detail),))
    return treaty


def _find_latest_ms(cosigned: CosignedCheckpoint, treaty: Treaty) -> Milliseconds | None:
    """Return when no leaf of a checkpoint was made any more, None where too few said when (VN-11.9)."""
    clock = WitnessClock.under(LogPolicy.under(treaty), max_colluding=treaty.max_colluding)
    try:
        return compute_latest_s([cosigned], clock) * MS_PER_S
    except ProofError:
        return None


class RecordReader:
    """Reads a log leaf by leaf by the rules; grows in place, because a log is long (VN-11.3, VN-11.8).

    Attributes:
        ledger: the votes.
        treaties: all that were in force, in order.
        treaty_digests: of all of them.
        registry: the chips.
        batches: the operators' report batches with their leaf indices.
        licence_leaves, enrolment_leaves, retirement_leaves: where each stands, by licence id or ueid.
        alias_leaves: where each alias key was endorsed, by its key id.
        lease_leaves: where each lease stands, by licence id and number.
        problems: leaves that the rules would not have let in.
    """

    def __init__(self, treaty: Signed[Treaty]) -> None:
        """Begin after leaf 0, which is the treaty."""
        self.ledger = Ledger(treaty=treaty)
        self.treaties = [treaty]
        self.treaty_digests = {treaty.payload_digest}
        self.registry = Registry()
        self.batches: list[tuple[int, Signed[ReportBatch]]] = []
        self.licence_leaves: dict[int, int] = {}
        self.lease_leaves: dict[tuple[int, int], int] = {}
        self.enrolment_leaves: dict[bytes, int] = {}
        self.retirement_leaves: dict[bytes, int] = {}
        self.alias_leaves: dict[bytes, int] = {}
        self.problems: list[Problem] = []

    def read_or_note(self, leaf_index: int, data: bytes) -> None:
        """Step 4: each leaf is read by the rules; one that breaks them makes the record inconsistent."""
        try:
            self._read(leaf_index, data)
        except (EncodingError, ProtocolError, VerificationError) as error:
            problem = Problem(reason="inconsistent-record", detail=f"leaf {leaf_index}: {error}")
            self.problems.append(problem)

    def _read(self, leaf_index: int, data: bytes) -> None:
        kind, terms = read_kind(data), self.ledger.treaty.statement
        if kind in VOTING_KINDS:
            self._read_vote(kind, leaf_index, data)
        elif kind == DeviceEnrolment.TYPE:
            # A leaf has no time of its own: reports are held against the validity of the certificate.
            device = self.registry.read_enrolment(data, terms)
            self.enrolment_leaves[device.ueid] = leaf_index
        elif kind == DeviceRetirement.TYPE:
            retired = self.registry.read_retirement(data, terms)
            self.retirement_leaves[retired.statement.ueid] = leaf_index
        elif kind == AliasEndorsement.TYPE:
            alias = self.registry.read_alias(data)
            self.alias_leaves[alias.statement.alias.key_id] = leaf_index
        elif kind == ReferenceValues.TYPE:
            self.registry.read_reference(data, terms, leaf_index)
        elif kind == RevocationList.TYPE:
            self.registry.read_revocation_list(data, terms, leaf_index)
        elif kind == CONFLICT:
            self.registry.read_conflict(data, terms, leaf_index)
        elif kind == ReportBatch.TYPE:
            self.batches.append((leaf_index, self.registry.read_batch(data, terms)))
        else:
            msg = f"a leaf of unknown type {kind!r}"
            raise EncodingError(msg)

    def _read_vote(self, kind: str, leaf_index: int, data: bytes) -> None:
        before = self.ledger.licensed.keys()
        self.ledger = read_leaf(self.ledger, leaf_index, data)
        if self.ledger.treaty.payload_digest not in self.treaty_digests:
            self.treaties.append(self.ledger.treaty)
            self.treaty_digests.add(self.ledger.treaty.payload_digest)
        if kind == Lease.TYPE:
            lease = read_unverified(data, Lease)  # which the ledger has just verified
            self.lease_leaves[lease.licence_id, lease.number] = leaf_index
        if kind == Resolution.TYPE:
            decided = read_unverified(data, Resolution)  # likewise
            self.registry.approve_reference(decided.subject_digest, decided.action, leaf_index)
        for digest in self.ledger.licensed.keys() - before:
            licence = self.ledger.find(digest).licence
            if licence is not None:
                self.licence_leaves[licence.statement.licence_id] = leaf_index
