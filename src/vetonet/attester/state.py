"""What a chip's life is made of: phases, state, the events that move it, the effects it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from vetonet.attestation.report import NO_DIGEST, DebugStatus
from vetonet.attester.models import ChipModel
from vetonet.attester.secure_element import SecureElement
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
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
    and in SPENT, until another licence, everything runs at the floor rate (VN-12.5).
    """

    OFF = "off"
    UNLICENSED = "unlicensed"
    LICENSED = "licensed"
    LEASED = "leased"
    PAUSED = "paused"
    SPENT = "spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseInUse:
    """A lease that this chip accepted, and what it used of it."""

    lease: Lease
    used_flop: Flop = 0

    @property
    def left_flop(self) -> Flop:
        """What is left of it for this chip."""
        return self.lease.flop - self.used_flop


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceInUse:
    """The licence that this chip accepted last, its leases, and what the chip used of its share.

    Attributes:
        signed: as the quorum signed it.
        used_flop: of this chip's share.
        leases: those that are accepted and not over, by rising number; the last may be yet to begin.
        newest_number: of the newest lease ever accepted, 0 before the first.
        leased_from_ms: when the first that was accepted begins, or None before it.
    """

    signed: Signed[Licence]
    used_flop: Flop = 0
    leases: tuple[LeaseInUse, ...] = ()
    newest_number: int = 0
    leased_from_ms: Milliseconds | None = None

    @property
    def licence(self) -> Licence:
        """What it allows."""
        return self.signed.statement

    @property
    def left_flop(self) -> Flop:
        """What is left of this chip's share."""
        return self.licence.per_device_flop - self.used_flop

    def is_over(self, now: Milliseconds) -> bool:
        """Whether its time is over or its share used up."""
        return now >= self.licence.expires_ms or not self.left_flop

    def find_lease(self, now: Milliseconds) -> LeaseInUse | None:
        """Return the lease that holds at ``now``, used up or not, or None where none does."""
        return next((used for used in self.leases if used.lease.starts_ms <= now < used.lease.ends_ms), None)

    def with_lease(self, lease: Lease) -> LicenceInUse:
        """Return it with one more lease, newer than all before."""
        return replace(
            self,
            leases=(*self.leases, LeaseInUse(lease=lease)),
            newest_number=lease.number,
            leased_from_ms=lease.starts_ms if self.leased_from_ms is None else self.leased_from_ms,
        )

    def compute_lapse_ms(self) -> Milliseconds:
        """Return when nothing holds any more that the chip has now: its leases as far as they adjoin."""
        if not self.leases:
            return self.licence.expires_ms
        lapse_ms = self.leases[0].lease.ends_ms
        for following in self.leases[1:]:
            if following.lease.starts_ms <= lapse_ms:
                lapse_ms = following.lease.ends_ms
        return lapse_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTreaty:
    """A treaty that this chip obeyed before; licences of its epoch live on (VN-16.8).

    Attributes:
        signed: as its parties signed it.
        end_leaf_index: where the log holds the treaty that replaced it.
    """

    signed: Signed[Treaty]
    end_leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the open interval is for; a report tells of one job, so another one needs another interval.

    Attributes:
        workload, precision: what is computed, and in which number format.
        lease: under which lease, or None without a licence; one interval lies in one lease.
    """

    workload: WorkloadClass
    precision: Precision
    lease: Lease | None

    @property
    def licence_id(self) -> int | None:
        """The id of its licence, or None."""
        return None if self.lease is None else self.lease.licence_id


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
        firmware_digest: what it measured when it started.
        debug_status: its debug facilities (RFC 9711 section 4.2.9).
        alias_key: signs reports until the next start; None before the first.
        counter, previous_digest: number and digest of the newest report.
        cumulative_flop: everything it ever computed.
        unlicensed_flop: how much of that without a licence.
        last_licence_id: the highest id it ever accepted, or None.
        accepted: the proposals whose licences it accepted, by digest, and when each licence ends; those that
            ended are let go.
        licence: the licence accepted last, or None.
        checkpoint: the newest checkpoint of the log that it believes, or None.
        window_start_ms: when the open interval began.
        latest_ms: the latest time it knows; nothing earlier is accepted.
        job, interval_flop: what ran in the open interval, or None and 0.
    """

    treaty: Signed[Treaty] = field(repr=False)
    log_policy: LogPolicy = field(repr=False)
    model: ChipModel = field(repr=False)
    certificate: bytes = field(repr=False)
    secure_element: SecureElement = field(repr=False)
    firmware_digest: bytes
    past: tuple[PastTreaty, ...] = field(default=(), repr=False)
    debug_status: DebugStatus = DebugStatus.DISABLED_PERMANENTLY
    phase: Phase = Phase.OFF
    alias_key: SigningKey | None = field(default=None, repr=False)
    boot_count: int = 0
    counter: int = 0
    previous_digest: bytes = NO_DIGEST
    cumulative_flop: Flop = 0
    unlicensed_flop: Flop = 0
    last_licence_id: int | None = None
    accepted: Mapping[bytes, Milliseconds] = field(default_factory=dict, repr=False)
    licence: LicenceInUse | None = None
    checkpoint: Checkpoint | None = None
    window_start_ms: Milliseconds = 0
    latest_ms: Milliseconds = 0
    job: Job | None = None
    interval_flop: Flop = 0

    @property
    def ueid(self) -> bytes:
        """The identity of the chip, which follows from its device key."""
        return self.secure_element.public_key.ueid

    def with_treaty(self, treaty: Signed[Treaty], leaf_index: int) -> ChipState:
        """Return the chip under the treaty that the log holds at this leaf; what was before, it remembers."""
        past = (*self.past, PastTreaty(signed=self.treaty, end_leaf_index=leaf_index))
        policy = LogPolicy.under(treaty.statement)
        return replace(self, treaty=treaty, log_policy=policy, past=past[-MAX_PAST_TREATIES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCycled:
    """The chip starts with a fresh alias key and measures its firmware; None where that did not change.

    Attributes:
        seed: 32 random bytes, for elements that draw none of their own.
        firmware_digest: what it measures.
    """

    seed: bytes = field(repr=False)
    firmware_digest: bytes | None = None


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
    """

    flop: Flop
    duration_ms: Milliseconds
    workload: WorkloadClass
    precision: Precision
    total_flop: Flop
    licence_id: int | None = None

    def __post_init__(self) -> None:
        """Refuse a request for nothing, and one that declares less than it asks for."""
        if self.flop < 1 or self.duration_ms < 1 or self.total_flop < self.flop:
            raise ValueError("expected some work, some time and a declared total that holds the work")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEnded:
    """Close the interval and report it.

    Attributes:
        challenge: a verifier's, or None for the public one (VN-9.2).
        out_of_set_bytes: traffic of the interval with chips outside the device set.
    """

    challenge: bytes | None = None
    out_of_set_bytes: int = 0


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
class TreatyAdopted:
    """The chip enforces the treaty of this epoch from now on."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """So much was computed, and metered, until ``end_ms``."""

    flop: Flop
    end_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """Less was computed than was asked for.

    Attributes:
        reason: ``budget-spent``, ``licence-ended``, ``lease-spent``, ``lease-ended``, ``licence-spent``,
            ``lease-lapsed``, ``allowance-spent`` or ``above-peak``.
    """

    reason: str
    asked_flop: Flop
    allowed_flop: Flop


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
    | WorkRequested
    | IntervalEnded
)
Effect: TypeAlias = (
    AliasEndorsed
    | CheckpointTrusted
    | LicenceAccepted
    | LeaseAccepted
    | TreatyAdopted
    | WorkDone
    | Throttled
    | Refused
    | ReportSigned
)
Outcome: TypeAlias = tuple[ChipState, tuple[Effect, ...]]
