"""A fleet of simulated chips that meters recorded work, of training or serving, and signs what it metered."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.manufacture import Maker
from vetonet.attester.models import ChipModel
from vetonet.cli.founding import Founded, found_treaty
from vetonet.crypto.statement import Signed
from vetonet.errors import VerificationError
from vetonet.policy.plan import TreatyPlan
from vetonet.sim.azure import ServingWorkload
from vetonet.sim.fleet import Fleet, Operator
from vetonet.sim.mlperf import MlperfWorkload, iter_intervals
from vetonet.units import MS_PER_HOUR, Flop, Milliseconds, Precision, WorkloadClass

OPERATOR_ID: Final = "op1"
MAKER_ID: Final = "maker1"
CERTIFICATE_MARGIN_MS: Final = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the chips signed.

    Attributes:
        reports: name and bytes of each report; the name is made of ueid and counter.
        flop: what all chips together state, read from their verified reports.
        tokens: what they state that they put out as inference.
        throttled: how often a chip did less than was recorded, by reason code.
    """

    reports: tuple[tuple[str, bytes], ...] = field(repr=False)
    flop: Flop
    tokens: int
    throttled: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One interval of a job: what each chip does in it, by its number."""

    start_ms: Milliseconds
    end_ms: Milliseconds
    flop_of: Callable[[int], Flop]
    tokens_of: Callable[[int], int] = lambda _: 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """Recorded work, whatever it was for."""

    name: str
    workload: WorkloadClass
    chip: ChipModel
    chips: int
    precision: Precision
    flop: Flop
    pieces: tuple[_Piece, ...]

    @property
    def start_ms(self) -> Milliseconds:
        return self.pieces[0].start_ms

    @property
    def stop_ms(self) -> Milliseconds:
        return self.pieces[-1].end_ms


def meter_workload(workload: MlperfWorkload, interval_ms: Milliseconds) -> Metered:
    """Return what a fleet of the run's chips signs when each does its recorded share, interval by interval.

    The chips enforce a treaty made up for the purpose, under which a run of this size needs no licence: what
    a licence does to a chip is the business of the demonstration, here the meters are.

    Args:
        workload: the recorded run.
        interval_ms: how often the chips report.

    Raises:
        VerificationError: a report does not verify under the key that its chip endorsed.
    """
    job = _Job(
        name=workload.benchmark,
        workload=WorkloadClass.TRAINING,
        chip=workload.chip,
        chips=workload.chips,
        precision=workload.precision,
        flop=workload.flop,
        pieces=tuple(
            _Piece(start_ms=interval.start_ms, end_ms=interval.end_ms, flop_of=interval.flop_of)
            for interval in iter_intervals(workload, interval_ms)
        ),
    )
    return _meter(job)


def meter_serving(workload: ServingWorkload) -> Metered:
    """Return what a fleet signs that serves a recorded trace, under a treaty like that of ``meter_workload``.

    Raises:
        VerificationError: a report does not verify under the key that its chip endorsed.
    """
    job = _Job(
        name="a trace of inference",
        workload=WorkloadClass.INFERENCE,
        chip=workload.chip,
        chips=workload.chips,
        precision=workload.precision,
        flop=workload.flop,
        pieces=tuple(
            _Piece(
                start_ms=interval.start_ms,
                end_ms=interval.end_ms,
                flop_of=interval.flop_of,
                tokens_of=interval.generated_of,
            )
            for interval in workload.iter_intervals()
        ),
    )
    return _meter(job)


def _meter(job: _Job) -> Metered:
    founded = _found(job)
    fleet = _build_fleet(job, founded)
    endorsements = fleet.power_on(secrets.token_bytes, job.start_ms)
    reports: list[bytes] = []
    throttled: dict[str, int] = {}
    for piece in job.pieces:
        reports += _run_piece(fleet, job, piece, throttled)
    opened = _verify(founded, fleet, endorsements, reports)
    newest = _find_newest(opened)
    return Metered(
        reports=tuple(map(_name, opened)),
        flop=sum(claims.counters.flop for claims in newest),
        tokens=sum(claims.counters.tokens for claims in newest),
        throttled=throttled,
    )


def _found(job: _Job) -> Founded:
    plan = TreatyPlan.of_threshold(
        name=f"Replay of {job.name}",
        party_ids=("P1", "P2"),
        min_grants=2,
        licensed_flop=job.flop + 1,
        operators=((OPERATOR_ID, None),),
        maker_ids=(MAKER_ID,),
    )
    return found_treaty(plan, lambda _: secrets.token_bytes, job.start_ms)


def _build_fleet(job: _Job, founded: Founded) -> Fleet:
    maker = Maker(
        endorser_id=MAKER_ID,
        root=founded.makers[MAKER_ID],
        not_before_ms=job.start_ms - CERTIFICATE_MARGIN_MS,
        not_after_ms=job.stop_ms + CERTIFICATE_MARGIN_MS,
    )
    return Fleet.build(
        job.chip,
        job.chips,
        maker=maker,
        operator=Operator(operator_id=OPERATOR_ID, key=founded.operators[OPERATOR_ID]),
        treaty=founded.treaty,
        rng=secrets.token_bytes,
    )


def _run_piece(fleet: Fleet, job: _Job, piece: _Piece, throttled: dict[str, int]) -> tuple[bytes, ...]:
    """Return the reports of one interval, in which each chip did its share."""
    done = fleet.work(
        piece.flop_of,
        duration_ms=piece.end_ms - piece.start_ms,
        workload=job.workload,
        precision=job.precision,
        total_flop=job.flop,
        licence_id=None,
        now=piece.start_ms,
        tokens_of=piece.tokens_of,
    )
    for reason, count in [*done.refused.items(), *done.throttled.items()]:
        throttled[reason] = throttled.get(reason, 0) + count
    return fleet.report(piece.end_ms).reports


def _verify(
    founded: Founded,
    fleet: Fleet,
    endorsements: Sequence[bytes],
    reports: Sequence[bytes],
) -> list[Signed[ComputeReport]]:
    """Return the reports, each verified under the alias key of an enrolled chip."""
    registry = Registry()
    for data in fleet.enrolments:
        registry.read_enrolment(data, founded.treaty.statement)
    for data in endorsements:
        registry.read_alias(data)
    opened = [open_report(data, registry.aliases) for data in reports]
    if {report.statement.ueid for report in opened} - set(registry.devices):
        msg = "a report of a chip that nobody enrolled"
        raise VerificationError(msg)
    return opened


def _name(report: Signed[ComputeReport]) -> tuple[str, bytes]:
    return f"{report.statement.ueid.hex()[:16]}-{report.statement.counter:06}", report.data


def _find_newest(opened: Sequence[Signed[ComputeReport]]) -> list[ComputeReport]:
    """Return each chip's newest report."""
    newest: dict[bytes, ComputeReport] = {}
    for report in opened:
        claims = report.statement
        if claims.ueid not in newest or claims.counter > newest[claims.ueid].counter:
            newest[claims.ueid] = claims
    return list(newest.values())
