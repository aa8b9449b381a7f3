"""Steps 1 to 4: read the public record, and refuse a bundle that is not about this treaty's log (VN-10.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment, DeviceRetirement
from vetonet.attestation.reference_values import ReferenceValues
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ReportBatch
from vetonet.attestation.revocation import RevocationList
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.statement import CONFLICT, Signed, read_kind, read_unverified
from vetonet.errors import (
    ComplianceError,
    EncodingError,
    Problem,
    ProtocolError,
    RefusedError,
    VerificationError,
)
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned
from vetonet.voting.ledger import KINDS as VOTING_KINDS
from vetonet.voting.ledger import Ledger, read_leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicRecord:
    """What the log of a bundle says, read by the rules.

    Attributes:
        treaty: as pinned by the trust root.
        treaty_digests: of that one and of each that the log puts in force after it.
        checkpoint: signed by the treaty's log, over all the leaves.
        log: the leaves, for roots of earlier sizes.
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
        checkpoint_sizes: the size of each checkpoint that the log could sign so far, by its digest.
    """

    treaty: Signed[Treaty] = field(repr=False)
    treaty_digests: frozenset[bytes] = field(repr=False)
    checkpoint: Checkpoint
    log: Log = field(repr=False)
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
    checkpoint_sizes: Mapping[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute once what is asked for with every report."""
        votes = self.ledger.votes.values()
        granted = [vote.licence.statement for vote in votes if vote.licence is not None]
        object.__setattr__(self, "licences", {licence.licence_id: licence for licence in granted})
        sizes = range(1, self.checkpoint.tree_size + 1)
        known = {self.log.checkpoint(size).digest: size for size in sizes}
        object.__setattr__(self, "checkpoint_sizes", known)


def read_public_record(bundle: Bundle, trust_root: TrustRoot) -> PublicRecord:
    """Return what the log says, once it is certain whose log it is.

    Args:
        bundle: as read from the file.
        trust_root: whose treaty counts.

    Raises:
        EncodingError, VerificationError: not a bundle of this treaty, or not a log that its log key signed;
            such a bundle cannot be judged at all.
    """
    treaty = _open_pinned_treaty(bundle, trust_root)
    checkpoint = _verify_checkpoint(bundle, treaty).checkpoint
    log = _rebuild_log(bundle, checkpoint)
    reading = RecordReader(treaty)
    for leaf_index, data in enumerate(bundle.leaves[1:], start=1):
        reading.read_or_note(leaf_index, data)
    return PublicRecord(
        treaty=treaty,
        treaty_digests=frozenset(reading.treaty_digests),
        checkpoint=checkpoint,
        log=log,
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


def _open_pinned_treaty(bundle: Bundle, trust_root: TrustRoot) -> Signed[Treaty]:
    """Step 1: leaf 0 is the treaty that the trust root pins, signed by all its parties."""
    treaty = open_treaty(bundle.leaves[0])
    if treaty.payload_digest != trust_root.treaty_digest:
        detail = (
            f"the bundle is about treaty {treaty.payload_digest.hex()[:16]} ({treaty.statement.name!r}), "
            f"the trust root pins {trust_root.treaty_digest.hex()[:16]} ({trust_root.treaty_name!r})"
        )
        raise ComplianceError(detail, problems=(Problem(reason="other-treaty", detail=detail),))
    return treaty


def _verify_checkpoint(bundle: Bundle, treaty: Signed[Treaty]) -> CosignedCheckpoint:
    """Step 2: the treaty's log signed the checkpoint, its quorum of witnesses did, and nobody else."""
    return verify_cosigned(bundle.checkpoint, LogPolicy.under(treaty.statement))


def _rebuild_log(bundle: Bundle, checkpoint: Checkpoint) -> Log:
    """Step 3: the leaves are exactly those that the checkpoint commits to."""
    try:
        log = Log(checkpoint.origin, bundle.leaves)
    except RefusedError as error:
        msg = f"a leaf that no log of ours holds: {error}"
        raise EncodingError(msg) from error
    if log.checkpoint() != checkpoint:
        detail = (
            f"the {len(bundle.leaves)} leaves are not those of the checkpoint of size {checkpoint.tree_size}"
        )
        raise ComplianceError(detail, problems=(Problem(reason="other-log", detail=detail),))
    return log


class RecordReader:
    """Reads a log leaf by leaf by the rules; grows in place, because a log is long (VN-11.3, VN-11.8).

    Attributes:
        ledger: the votes.
        treaty_digests: of all treaties that were in force.
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
        """Step 4: read one leaf; one that breaks the rules is noted and passed over."""
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
