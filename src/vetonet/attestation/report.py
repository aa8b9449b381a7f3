"""Compute reports: what a chip says about one interval, as an EAT (RFC 9711), and batches of them (VN-9).

A report that parses is well formed, nothing more. Whether it is genuine says ``open_report``, whether its
chip is in order ``appraise``, and whether reports follow from one another ``appraise_chain``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from itertools import islice
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from vetonet.crypto.merkle import compute_leaf_hash, compute_root
from vetonet.crypto.statement import Keys, Signed, Statement, open_statement, open_statements
from vetonet.encoding.record import DIGEST, bstr, many, member, one_of, tstr, uint
from vetonet.errors import RefusedError
from vetonet.units import MAX_FLOP, MAX_TIME_MS, Flop, Precision, WorkloadClass

EAT_PROFILE: Final = "tag:vetonet.example,2026:compute-report#2"
"""The profile of an open report (RFC 9711 section 6): all claims below but those of a confidential one."""

CONFIDENTIAL_PROFILE: Final = "tag:vetonet.example,2026:compute-report#3"
"""The profile of a report whose counters stay in the chip: in their place, a commitment (VN-9.1)."""

PROFILES: Final[Mapping[str, frozenset[str]]] = {
    EAT_PROFILE: frozenset({"cumulative_flop", "cumulative_tokens", "cumulative_cycles", "precision_flop"}),
    CONFIDENTIAL_PROFILE: frozenset({"flop_commitment", "activity"}),
}
"""The claims that each profile has and the other has not."""

UEID_BYTES: Final = 33
MAX_MODEL_BYTES: Final = 32  # RFC 9711 section 4.2.4 limits hwmodel to this
MAX_COUNTER: Final = 2**53
MAX_BATCH: Final = 2**32
ENERGY_STEP_J: Final = 1_000
CONFIDENTIAL_ENERGY_STEP_J: Final = 100_000
"""A confidential report rounds energy up to this: what a chip of 700 W uses in 143 s."""
CONFIDENTIAL_TRAFFIC_STEP_BYTES: Final = 10**9
"""A confidential report rounds traffic up to this: what the links outside a fixed set carry in a second."""
COMMITMENT_BYTES: Final = 33
NO_DIGEST: Final = bytes(32)
MAX_SNAPSHOTS: Final = 8
CYCLES_PER_MS: Final = 10**6
"""The metering clock is a nominal one of 1 GHz: makers' core clocks differ and move, and say nothing here."""
MAX_TAMPERS: Final = 2**32
MAX_PLATFORM_BYTES: Final = 512
CHUNK: Final = 512


class DebugStatus(IntEnum):
    """The debug facilities of a chip (RFC 9711 section 4.2.9)."""

    ENABLED = 0
    DISABLED = 1
    DISABLED_SINCE_BOOT = 2
    DISABLED_PERMANENTLY = 3
    DISABLED_FULLY_AND_PERMANENTLY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCounters:
    """What a chip counted in its life, as an open report says it; see ``ComputeReport``."""

    flop: Flop
    tokens: int
    cycles: int
    precision_flop: Flop


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeReport(Statement):
    """The claims of one chip about one interval, signed by its alias key (EAT, RFC 9711).

    The interval is [window_start_ms, window_end_ms) and holds one job: one workload class, one precision, one
    licence or none. The treaty decides of which profile a report is: open, with the counters of the chip's
    life, or confidential, with a commitment to the account of this interval and nothing to compute it from.

    Attributes:
        nonces: the verifier's challenge and the digest of the newest checkpoint the chip knows (eat_nonce).
        debug_status: see ``DebugStatus`` (dbgstat).
        boot_count: how often the chip has started (bootcount); each start has its own alias key.
        hw_model: the model name in ASCII (hwmodel).
        counter: 1 for the first report of the chip, then one more each time, over all boots.
        previous_digest: SHA-256 of the previous report as signed, ``NO_DIGEST`` before the first.
        licence_id, proposal_digest: what the chip ran under; both or neither.
        cumulative_flop: all that the chip computed in its life, whatever the precision or licence; open only.
        energy_j: of the interval, rounded up to whole kilojoules, in a confidential report to whole steps of
            ``CONFIDENTIAL_ENERGY_STEP_J``: coarse on purpose.
        out_of_set_bytes: traffic of the interval with whatever is outside the chip's fixed set (VN-17.12); in
            a confidential report in whole steps of ``CONFIDENTIAL_TRAFFIC_STEP_BYTES``.
        firmware_digest: what the chip measured when it started.
        snapshots: salted digests of the weights held at unpredictable times of the interval (VN-17.11).
        cumulative_tokens: all that the chip put out as inference in its life; open only.
        cumulative_cycles: all cycles of the metering clock in which the chip computed in its life; open only.
        precision_flop: the part of ``cumulative_flop`` in this report's precision; open only.
        tamper_count: how often the chip noticed that somebody opened or probed it (VN-17.13).
        model_digest: of whatever is said elsewhere about the model; nothing of it stands in a report.
        platform: the secure element's own evidence for this report, where it makes any (VN-17.1).
        flop_commitment: a Pedersen commitment to the units of ``UNIT_FLOP`` on the account of this interval,
            after it: the FLOP of this licence on this chip, or all that it did without one (VN-17.18);
            confidential only. Whether it is a point of the curve says whoever adds commitments up.
        activity: 1 where the chip computed anything in the interval, 0 where it was idle; confidential only.
    """

    TYPE: ClassVar[str] = "compute-report"
    MAX_BYTES: ClassVar[int] = 2048

    nonces: tuple[bytes, ...] = member(10, many(bstr(32), minimum=2, maximum=2))
    ueid: bytes = member(256, bstr(UEID_BYTES))
    hw_model: bytes = member(259, bstr(1, MAX_MODEL_BYTES))
    debug_status: int = member(263, uint(max(DebugStatus)))
    profile: str = member(265, tstr(64))
    boot_count: int = member(267, uint(2**32))
    counter: int = member(-70001, uint(MAX_COUNTER))
    previous_digest: bytes = member(-70002, DIGEST)
    window_start_ms: int = member(-70003, uint(MAX_TIME_MS))
    window_end_ms: int = member(-70004, uint(MAX_TIME_MS))
    licence_id: int | None = member(-70005, uint(2**53), optional=True)
    proposal_digest: bytes | None = member(-70006, DIGEST, optional=True)
    workload: WorkloadClass = member(-70007, one_of(WorkloadClass))
    precision: Precision = member(-70008, one_of(Precision))
    cumulative_flop: int | None = member(-70009, uint(MAX_FLOP), optional=True)
    energy_j: int = member(-70010, uint(2**48))
    out_of_set_bytes: int = member(-70011, uint(2**63))
    firmware_digest: bytes = member(-70012, DIGEST)
    snapshots: tuple[bytes, ...] = member(-70013, many(DIGEST, maximum=MAX_SNAPSHOTS))
    cumulative_tokens: int | None = member(-70014, uint(), optional=True)
    cumulative_cycles: int | None = member(-70015, uint(), optional=True)
    precision_flop: int | None = member(-70016, uint(MAX_FLOP), optional=True)
    tamper_count: int = member(-70017, uint(MAX_TAMPERS))
    model_digest: bytes | None = member(-70018, DIGEST, optional=True)
    platform: bytes | None = member(-70019, bstr(1, MAX_PLATFORM_BYTES), optional=True)
    flop_commitment: bytes | None = member(-70020, bstr(COMMITMENT_BYTES), optional=True)
    activity: int | None = member(-70021, uint(1), optional=True)

    def __post_init__(self) -> None:
        """Refuse an empty interval, counter zero, half a licence, a predecessor of the first (VN-9.1)."""
        if self.profile == EAT_PROFILE:
            _verify_open(self)
        elif self.profile == CONFIDENTIAL_PROFILE:
            _verify_confidential(self)
        else:
            raise ValueError(f"expected the profile {EAT_PROFILE} or {CONFIDENTIAL_PROFILE}")
        if self.window_start_ms >= self.window_end_ms:
            msg = "expected an interval that ends after it starts"
            raise ValueError(msg)
        if self.counter < 1 or (self.counter == 1) != (self.previous_digest == NO_DIGEST):
            msg = "expected a counter from 1 and a previous report exactly after the first"
            raise ValueError(msg)
        if (self.licence_id is None) != (self.proposal_digest is None):
            msg = "expected a licence with its proposal, or neither"
            raise ValueError(msg)

    @property
    def is_confidential(self) -> bool:
        """Whether the counters stayed in the chip."""
        return self.flop_commitment is not None

    @property
    def counters(self) -> OpenCounters:
        """What the chip counted in its life.

        Raises:
            ValueError: a confidential report does not say; whoever asks has to ask ``is_confidential`` first.
        """
        flop, tokens, cycles = self.cumulative_flop, self.cumulative_tokens, self.cumulative_cycles
        if flop is None or tokens is None or cycles is None or self.precision_flop is None:
            raise ValueError("a confidential report has no open counters")
        return OpenCounters(flop=flop, tokens=tokens, cycles=cycles, precision_flop=self.precision_flop)

    @property
    def commitment(self) -> bytes:
        """The commitment to the account of this interval, as bytes that nobody read yet.

        Raises:
            ValueError: an open report has none.
        """
        if self.flop_commitment is None:
            raise ValueError("an open report commits to nothing")
        return self.flop_commitment

    @property
    def is_idle(self) -> bool:
        """Whether a confidential report says that the chip computed nothing in the interval.

        Raises:
            ValueError: an open report says it only together with the one before it.
        """
        if self.activity is None:
            raise ValueError("an open report is idle where its counter stands still")
        return self.activity == 0

    @property
    def challenge(self) -> bytes:
        """What the verifier asked with: the report is no older."""
        return self.nonces[0]

    @property
    def checkpoint_digest(self) -> bytes:
        """The newest checkpoint the chip knew (``NO_DIGEST`` where none): no older either."""
        return self.nonces[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBatch(Statement):
    """An operator's commitment to all reports of one window; this is what goes into the log (VN-9.4).

    Attributes:
        operator_id: whose chips reported.
        licence_id: the licence of all these reports, or None for work without one.
        window_start_ms, window_end_ms: every report's interval lies inside.
        report_count: how many reports.
        root_hash: RFC 9162 root over the reports as signed, sorted by ueid and counter.
    """

    TYPE: ClassVar[str] = "report-batch"

    operator_id: str = member(1, tstr(64))
    licence_id: int | None = member(2, uint(2**53), optional=True)
    window_start_ms: int = member(3, uint(MAX_TIME_MS))
    window_end_ms: int = member(4, uint(MAX_TIME_MS))
    report_count: int = member(5, uint(MAX_BATCH))
    root_hash: bytes = member(6, DIGEST)

    def __post_init__(self) -> None:
        """Refuse a batch of nothing and a window that does not pass."""
        if self.report_count < 1 or self.window_start_ms >= self.window_end_ms:
            msg = "expected at least one report and a window that ends after it starts"
            raise ValueError(msg)


T = TypeVar("T")
Opened: TypeAlias = list[Signed[ComputeReport]]
Mapper: TypeAlias = Callable[
    [Callable[[Sequence[bytes]], list[Any]], Iterable[Sequence[bytes]]], Iterable[list[Any]]
]
"""``map``, or the ``map`` of a pool of threads: libsodium lets them verify at the same time."""


def _verify_open(claims: ComputeReport) -> None:
    """An open report has all counters and nothing of a confidential one (VN-9.1)."""
    if (
        claims.cumulative_flop is None
        or claims.cumulative_tokens is None
        or claims.cumulative_cycles is None
        or claims.precision_flop is None
        or claims.flop_commitment is not None
        or claims.activity is not None
    ):
        raise ValueError("expected all counters of an open report, and no commitment")
    if claims.energy_j % ENERGY_STEP_J:
        raise ValueError("expected energy in whole kilojoules")


def _verify_confidential(claims: ComputeReport) -> None:
    """A confidential report has no counter, but a commitment in their place, and coarse figures (VN-9.1)."""
    if (
        claims.flop_commitment is None
        or claims.activity is None
        or claims.cumulative_flop is not None
        or claims.cumulative_tokens is not None
        or claims.cumulative_cycles is not None
        or claims.precision_flop is not None
    ):
        raise ValueError("expected the commitment of a confidential report, and no counters")
    if (
        claims.energy_j % CONFIDENTIAL_ENERGY_STEP_J
        or claims.out_of_set_bytes % CONFIDENTIAL_TRAFFIC_STEP_BYTES
    ):
        raise ValueError("expected energy in whole steps of 100 kJ and traffic in whole gigabytes")


def compute_report_digest(data: bytes) -> bytes:
    """Return what the next report of the chip names as its predecessor: SHA-256 of the report as signed."""
    return sha256(data).digest()


def open_report(data: bytes, aliases: Keys) -> Signed[ComputeReport]:
    """Return a report that one of these alias keys signed.

    Raises:
        EncodingError: not a report.
        UnknownPartyError: no such alias key.
        InvalidSignatureError: the signature does not verify.
    """
    return open_statement(data, ComputeReport, aliases)


def open_reports(items: Iterable[bytes], aliases: Keys, *, mapper: Mapper = map) -> Opened:
    """Return all reports, in their order, after verifying each; the first bad one ends it.

    Args:
        items: untrusted bytes of one report each.
        aliases: the keys that may sign, by key id.
        mapper: how the work is spread; the ``map`` of a thread pool uses more than one core.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_report``.
    """

    def open_chunk(chunk: Sequence[bytes]) -> Opened:
        return open_statements(chunk, ComputeReport, aliases)

    return [report for chunk in mapper(open_chunk, _chunks(items)) for report in chunk]


def map_chunks(function: Callable[[bytes], T], items: Iterable[bytes], mapper: Mapper) -> list[T]:
    """Return what ``function`` makes of each item, in order; the work goes out in chunks worth a thread."""

    def apply(chunk: Sequence[bytes]) -> list[T]:
        return [function(data) for data in chunk]

    return [result for chunk in mapper(apply, _chunks(items)) for result in chunk]


def compute_batch_order(reports: Iterable[Signed[ComputeReport]]) -> Opened:
    """Return the reports as a batch counts them: by ueid, counter, and bytes where a chip forked."""
    return sorted(reports, key=lambda report: (report.statement.ueid, report.statement.counter, report.data))


def compute_batch_root(reports: Iterable[Signed[ComputeReport]]) -> bytes:
    """Return the Merkle root over the reports as signed, in batch order (RFC 9162 section 2.1.1)."""
    return compute_root(compute_leaf_hash(report.data) for report in compute_batch_order(reports))


def compute_batch(
    reports: Sequence[Signed[ComputeReport]], *, operator_id: str, licence_id: int | None
) -> ReportBatch:
    """Return the batch of these reports, its window as narrow as they allow.

    Raises:
        RefusedError: no report, one report twice, or a report under another licence.
    """
    _verify_members(reports, licence_id)
    return ReportBatch(
        operator_id=operator_id,
        licence_id=licence_id,
        window_start_ms=min(report.statement.window_start_ms for report in reports),
        window_end_ms=max(report.statement.window_end_ms for report in reports),
        report_count=len(reports),
        root_hash=compute_batch_root(reports),
    )


def _verify_members(reports: Sequence[Signed[ComputeReport]], licence_id: int | None) -> None:
    if not reports or len({report.data for report in reports}) < len(reports):
        msg = "expected at least one report and none twice"
        raise RefusedError(msg, clause="VN-9.4")
    for report in reports:
        if report.statement.licence_id != licence_id:
            msg = f"a report under licence {report.statement.licence_id} in a batch of licence {licence_id}"
            raise RefusedError(msg, culprit=report.statement.ueid.hex(), clause="VN-9.4")


def _chunks(items: Iterable[bytes]) -> Iterable[Sequence[bytes]]:
    source = iter(items)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
