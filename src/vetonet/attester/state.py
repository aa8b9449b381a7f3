"""What a chip's life is made of: phases, state, the events that move it, the effects it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from vetonet.attestation.report import NO_DIGEST, DebugStatus
from vetonet.attester.models import ChipModel
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.policy.licence import Licence
from vetonet.policy.treaty import Treaty
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.proof import LogProof
from vetonet.units import Flop, Milliseconds, Precision, WorkloadClass


class Phase(StrEnum):
    """What the gate lets through; in SPENT that is the floor rate, until another licence comes."""

    OFF = "off"
    UNLICENSED = "unlicensed"
    LICENSED = "licensed"
    SPENT = "spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceInUse:
    """The licence that this chip accepted last, and what it used of its share."""

    signed: Signed[Licence]
    used_flop: Flop = 0

    @property
    def licence(self) -> Licence:
        """What it allows."""
        return self.signed.statement

    @property
    def left_flop(self) -> Flop:
        """What is left of this chip's share."""
        return self.licence.per_device_flop - self.used_flop


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the open interval is for; a report tells of one job, so another one needs another interval.

    Attributes:
        workload, precision: what is computed, and in which number format.
        licence: under which licence, or None.
    """

    workload: WorkloadClass
    precision: Precision
    licence: Licence | None

    @property
    def licence_id(self) -> int | None:
        """The id of its licence, or None."""
        return None if self.licence is None else self.licence.licence_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipState:
    """One chip at one moment; all of it survives a loss of power.

    The chip holds the whole treaty from manufacture on, and with it the group key, the epoch, the bands and
    the log key: nothing that an operator says later can replace them.

    Attributes:
        treaty: what the chip enforces.
        model: its public facts.
        certificate: its device certificate (DER).
        device_key: signs nothing but alias endorsements.
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
    model: ChipModel = field(repr=False)
    certificate: bytes = field(repr=False)
    device_key: SigningKey = field(repr=False)
    firmware_digest: bytes
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
        return self.device_key.public_key.ueid


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCycled:
    """The chip starts with a fresh alias key and measures its firmware; None where that did not change."""

    alias_key: SigningKey = field(repr=False)
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
    """The chip runs under this licence from now on."""

    licence_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """So much was computed, and metered, until ``end_ms``."""

    flop: Flop
    end_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """Less was computed than was asked for.

    Attributes:
        reason: ``budget-spent``, ``licence-ended``, ``licence-spent``, ``allowance-spent`` or ``above-peak``.
    """

    reason: str
    asked_flop: Flop
    allowed_flop: Flop


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done and nothing changed; ``reason`` is a code of ``REFUSALS``."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSigned:
    """Hand out this report."""

    data: bytes = field(repr=False)


Event: TypeAlias = PowerCycled | CheckpointSeen | LicenceOffered | WorkRequested | IntervalEnded
Effect: TypeAlias = (
    AliasEndorsed | CheckpointTrusted | LicenceAccepted | WorkDone | Throttled | Refused | ReportSigned
)
Outcome: TypeAlias = tuple[ChipState, tuple[Effect, ...]]

REFUSALS: Final = frozenset(
    {
        "clock-behind",
        # a checkpoint
        "checkpoint-malformed",
        "checkpoint-forged",
        "checkpoint-unwitnessed",
        "checkpoint-stale",
        "log-fork",
        # a licence
        "licence-malformed",
        "licence-forged",
        "wrong-epoch",
        "licence-expired",
        "licence-replayed",
        "licence-superseded",
        "not-in-device-set",
        "not-in-log",
        # work
        "unknown-precision",
        "licence-required",
        "no-licence",
        "licence-spent",
        "licence-not-started",
        "other-workload",
        "other-precision",
        "total-above-licence",
        "interval-open",
        # a report
        "interval-empty",
    }
)
"""Every reason for which a chip says no."""
