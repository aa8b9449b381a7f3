"""What a chip's life is made of: phases, state, the events that move it, the effects it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from vetonet.attestation.firmware import Firmware
from vetonet.attestation.report import NO_DIGEST, DebugStatus
from vetonet.attester.account import OpeningTold
from vetonet.attester.holdings import Job, LicenceInUse, PastTreaty
from vetonet.attester.interlock import DataSent, Interlock, TrafficRequested
from vetonet.attester.meter import Meter
from vetonet.attester.models import ChipModel
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.snapshots import Snapshots, SnapshotTaken
from vetonet.attester.tamper import TamperCounted, TamperDetected
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.policy.treaty import Treaty
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.proof import LogProof
from vetonet.units import Flop, Milliseconds, Precision, WorkloadClass

MAX_PAST_TREATIES: Final = 16
"""How many treaties a chip remembers; licences of one before them it takes no more."""


class Phase(StrEnum):
    """What the gate lets through.

    A licence alone lets a chip do nothing: it works under it in LEASED only. In PAUSED, until the next lease,
    and in SPENT, until another licence, everything runs at the floor rate (VN-12.5); in TAMPERED for good.
    """

    OFF = "off"
    UNLICENSED = "unlicensed"
    LICENSED = "licensed"
    LEASED = "leased"
    PAUSED = "paused"
    SPENT = "spent"
    TAMPERED = "tampered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a chip learns from a checkpoint: what the log holds, and that it is no earlier (VN-17.14)."""

    checkpoint: Checkpoint
    proven_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipState:
    """One chip at one moment; all of it survives a loss of power.

    The chip holds the whole treaty from manufacture on, and with it the group keys, the epoch, the bands and
    the log key: nothing can replace it but what its own quorum decides (VN-12.7).

    Attributes:
        treaty: what the chip enforces.
        past: the newest treaties that it enforced before, oldest first.
        log_policy: what a checkpoint must have under that treaty.
        model: its public facts.
        certificate: its device certificate (DER).
        secure_element: keeps its device key, which signs nothing but alias endorsements.
        firmware: what it measured when it started.
        approved: the digests of the firmware that it may start with.
        fuses: the highest svn that it ever ran of each component; nothing lower starts any more.
        debug_status: its debug facilities (RFC 9711 section 4.2.9).
        alias_key: signs reports until the next start; None before the first.
        counter, previous_digest: number and digest of the newest report.
        secret: known to this chip alone, from manufacture on; its snapshots follow from it.
        meter: what it counted in its life.
        snapshots: when it takes them, and what it took in the open interval.
        interlock: its links and what went over them.
        tamper_count: how often it noticed tampering.
        last_licence_id: the highest id it ever accepted, or None.
        accepted: the proposals whose licences it accepted, by digest, and when each licence ends; those that
            ended are let go.
        licence: the licence accepted last, or None.
        checkpoint: the newest checkpoint of the log that it believes, or None.
        window_start_ms: when the open interval began.
        latest_ms: the latest time it knows, by its own clock or by the log; nothing earlier is accepted.
        job, interval_flop: what ran in the open interval, or None and 0.
    """

    treaty: Signed[Treaty] = field(repr=False)
    log_policy: LogPolicy = field(repr=False)
    model: ChipModel = field(repr=False)
    certificate: bytes = field(repr=False)
    secure_element: SecureElement = field(repr=False)
    secret: bytes = field(repr=False)
    firmware: Firmware
    approved: frozenset[bytes]
    fuses: Mapping[str, int] = field(default_factory=dict)
    past: tuple[PastTreaty, ...] = field(default=(), repr=False)
    debug_status: DebugStatus = DebugStatus.DISABLED_PERMANENTLY
    phase: Phase = Phase.OFF
    alias_key: SigningKey | None = field(default=None, repr=False)
    boot_count: int = 0
    counter: int = 0
    previous_digest: bytes = NO_DIGEST
    meter: Meter = field(default_factory=Meter)
    snapshots: Snapshots = field(default_factory=Snapshots)
    interlock: Interlock = field(default_factory=Interlock)
    tamper_count: int = 0
    last_licence_id: int | None = None
    accepted: Mapping[bytes, Milliseconds] = field(default_factory=dict, repr=False)
    licence: LicenceInUse | None = None
    checkpoint: Checkpoint | None = None
    window_start_ms: Milliseconds = 0
    latest_ms: Milliseconds = 0
    job: Job | None = None
    interval_flop: Flop = field(default=0, repr=False)

    @property
    def ueid(self) -> bytes:
        """The identity of the chip, which follows from its device key."""
        return self.secure_element.public_key.ueid

    @property
    def cumulative_flop(self) -> Flop:
        """Everything it ever computed."""
        return self.meter.total_flop

    def with_sighting(self, sighting: Sighting, now: Milliseconds) -> ChipState:
        """Return the chip after it was shown a checkpoint, whichever clock is ahead."""
        latest_ms = max(now, sighting.proven_ms)
        return replace(self, checkpoint=sighting.checkpoint, latest_ms=latest_ms)

    def with_treaty(self, treaty: Signed[Treaty], leaf_index: int) -> ChipState:
        """Return the chip under the treaty that the log holds at this leaf; what was before, it remembers."""
        past = (*self.past, PastTreaty(signed=self.treaty, end_leaf_index=leaf_index))
        held = None if self.licence is None else self.licence.licence.treaty_digest
        kept = tuple(
            treaty
            for place, treaty in enumerate(reversed(past))
            if place < MAX_PAST_TREATIES or treaty.signed.payload_digest == held
        )[::-1]  # the treaty of the licence in use stays, however long ago that was
        policy = LogPolicy.under(treaty.statement)
        return replace(self, treaty=treaty, log_policy=policy, past=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCycled:
    """The chip starts with a fresh alias key and measures its firmware; None where that did not change.

    Attributes:
        seed: 32 random bytes, for elements that draw none of their own.
        firmware: what it measures.
    """

    seed: bytes = field(repr=False)
    firmware: Firmware | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareOffered:
    """The operator hands in other firmware that the parties approved; the chip may start with it from now on.

    Attributes:
        reference: the maker's signed reference values of it.
        data: the resolution that approves them, signed by the quorum of the class of action.
        log_proof: that the resolution is a leaf of the log.
        inclusion: that the reference values are an earlier leaf, under the checkpoint of ``log_proof``.
        consistency: that the checkpoint of ``log_proof``, where newer, extends the newest one known.
    """

    reference: bytes = field(repr=False)
    data: bytes = field(repr=False)
    log_proof: LogProof = field(repr=False)
    inclusion: InclusionProof = field(repr=False)
    consistency: ConsistencyProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSeen:
    """A signed checkpoint of the log, and the proof that it extends the newest one the chip knows."""

    data: bytes = field(repr=False)
    consistency: ConsistencyProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceOffered:
    """The operator hands in a licence.

    Attributes:
        data: the signed licence.
        log_proof: that it is a leaf of the log.
        membership: that this chip's ueid is a leaf of the licence's device set.
        consistency: that the checkpoint of ``log_proof``, where newer, extends the newest one known.
    """

    data: bytes = field(repr=False)
    log_proof: LogProof = field(repr=False)
    membership: InclusionProof = field(repr=False)
    consistency: ConsistencyProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOffered:
    """The operator hands in a lease of the licence in use.

    Attributes:
        data: the signed lease.
        log_proof: that it is a leaf of the log.
        consistency: that the checkpoint of ``log_proof``, where newer, extends the newest one known.
    """

    data: bytes = field(repr=False)
    log_proof: LogProof = field(repr=False)
    consistency: ConsistencyProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatyAmended:
    """The operator hands in the treaty of the next epoch.

    Attributes:
        treaty: signed by all its parties.
        data: the resolution that puts it in force, signed by the quorum of the treaty before.
        log_proof: that the resolution is a leaf of the log.
        inclusion: that the treaty is a later leaf, under the checkpoint of ``log_proof``.
        consistency: that the checkpoint of ``log_proof``, where newer, extends the newest one known.
    """

    treaty: bytes = field(repr=False)
    data: bytes = field(repr=False)
    log_proof: LogProof = field(repr=False)
    inclusion: InclusionProof = field(repr=False)
    consistency: ConsistencyProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRequested:
    """The operator wants work done from ``now`` on.

    Attributes:
        flop: how much of it in this time.
        duration_ms: how long it may take.
        total_flop: the declared total of the whole job over all chips.
        licence_id: the licence to count it against, or None to run without one.
        tokens: how many tokens the work puts out; only inference does.
        memory_digest: of the weights that the chip holds meanwhile, as its memory engine hashes them, or None
            where they are those of before.
    """

    flop: Flop
    duration_ms: Milliseconds
    workload: WorkloadClass
    precision: Precision
    total_flop: Flop
    licence_id: int | None = None
    tokens: int = 0
    memory_digest: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a request for nothing, one that declares less than it asks for, and tokens of training."""
        if self.tokens < 0 or (self.tokens and self.workload is not WorkloadClass.INFERENCE):
            raise ValueError("expected tokens of inference alone")
        if self.flop < 1 or self.duration_ms < 1 or self.total_flop < self.flop:
            raise ValueError("expected some work, some time and a declared total that holds the work")

    def compute_tokens(self, done_flop: Flop) -> int:
        """Return the tokens of so much of the work, rounded up: a cut request still put out its last one."""
        return -(-self.tokens * done_flop // self.flop)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEnded:
    """Close the interval and report it.

    Attributes:
        challenge: a verifier's, or None for the public one (VN-9.2).
    """

    challenge: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEndorsed:
    """Publish this alias endorsement: without it nobody can read the chip's reports."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointTrusted:
    """The chip believes this checkpoint from now on."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceAccepted:
    """The chip runs under this licence from now on, whenever it has a lease."""

    licence_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAccepted:
    """The chip may run from this lease's start to its end."""

    licence_id: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareApproved:
    """The chip may start with the firmware of this digest from now on."""

    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatyAdopted:
    """The chip enforces the treaty of this epoch from now on."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """So much was computed, and metered, until ``end_ms``."""

    flop: Flop = field(repr=False)
    end_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """Less was computed than was asked for.

    Attributes:
        reason: ``budget-spent``, ``licence-ended``, ``lease-spent``, ``lease-ended``, ``licence-spent``,
            ``lease-lapsed``, ``tampered``, ``allowance-spent`` or ``above-peak``.
    """

    reason: str
    asked_flop: Flop = field(repr=False)
    allowed_flop: Flop = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done and nothing changed; ``reason`` is a code of ``refusals``."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSigned:
    """Hand out this report."""

    data: bytes = field(repr=False)


Event: TypeAlias = (
    PowerCycled
    | CheckpointSeen
    | LicenceOffered
    | LeaseOffered
    | TreatyAmended
    | FirmwareOffered
    | WorkRequested
    | TrafficRequested
    | IntervalEnded
    | TamperDetected
)
Effect: TypeAlias = (
    AliasEndorsed
    | CheckpointTrusted
    | LicenceAccepted
    | LeaseAccepted
    | TreatyAdopted
    | FirmwareApproved
    | WorkDone
    | DataSent
    | SnapshotTaken
    | TamperCounted
    | Throttled
    | Refused
    | OpeningTold
    | ReportSigned
)
Outcome: TypeAlias = tuple[ChipState, tuple[Effect, ...]]
