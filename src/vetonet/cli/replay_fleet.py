"""A fleet of simulated chips that meters a recorded run and signs what it metered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.manufacture import Maker
from vetonet.cli.founding import Founded, found_treaty
from vetonet.crypto.statement import Signed
from vetonet.errors import VerificationError
from vetonet.policy.plan import TreatyPlan
from vetonet.sim.fleet import Fleet, Operator
from vetonet.sim.mlperf import MlperfWorkload, WorkloadInterval, iter_intervals
from vetonet.units import MS_PER_HOUR, Flop, Milliseconds, WorkloadClass

OPERATOR_ID: Final = "op1"
MAKER_ID: Final = "maker1"
CERTIFICATE_MARGIN_MS: Final = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the chips signed.

    Attributes:
        reports: name and bytes of each report; the name is made of ueid and counter.
        flop: what all chips together state, read from their verified reports.
        throttled: how often a chip did less than was recorded, by reason code.
    """

    reports: tuple[tuple[str, bytes], ...] = field(repr=False)
    flop: Flop
    throttled: dict[str, int]


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
    founded = _found(workload)
    fleet = _build_fleet(workload, founded)
    endorsements = fleet.power_on(secrets.token_bytes, workload.start_ms)
    reports: list[bytes] = []
    throttled: dict[str, int] = {}
    for interval in iter_intervals(workload, interval_ms):
        reports += _run_interval(fleet, workload, interval, throttled)
    opened = _verify(founded, fleet, endorsements, reports)
    return Metered(reports=tuple(map(_name, opened)), flop=_sum_meters(opened), throttled=throttled)


def _found(workload: MlperfWorkload) -> Founded:
    plan = TreatyPlan.of_threshold(
        name=f"Replay of {workload.benchmark}",
        party_ids=("P1", "P2"),
        min_grants=2,
        licensed_flop=workload.flop + 1,
        operators=((OPERATOR_ID, None),),
        maker_ids=(MAKER_ID,),
    )
    return found_treaty(plan, lambda _: secrets.token_bytes, workload.start_ms)


def _build_fleet(workload: MlperfWorkload, founded: Founded) -> Fleet:
    maker = Maker(
        endorser_id=MAKER_ID,
        root=founded.makers[MAKER_ID],
        not_before_ms=workload.start_ms - CERTIFICATE_MARGIN_MS,
        not_after_ms=workload.stop_ms + CERTIFICATE_MARGIN_MS,
    )
    return Fleet.build(
        workload.chip,
        workload.chips,
        maker=maker,
        operator=Operator(operator_id=OPERATOR_ID, key=founded.operators[OPERATOR_ID]),
        treaty=founded.treaty,
        rng=secrets.token_bytes,
    )


def _run_interval(
    fleet: Fleet, workload: MlperfWorkload, interval: WorkloadInterval, throttled: dict[str, int]
) -> tuple[bytes, ...]:
    """Return the reports of one interval, in which each chip did its share."""
    done = fleet.work(
        interval.flop_of,
        duration_ms=interval.end_ms - interval.start_ms,
        workload=WorkloadClass.TRAINING,
        precision=workload.precision,
        total_flop=workload.flop,
        licence_id=None,
        now=interval.start_ms,
    )
    for reason, count in [*done.refused.items(), *done.throttled.items()]:
        throttled[reason] = throttled.get(reason, 0) + count
    return fleet.report(interval.end_ms).reports


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


def _sum_meters(opened: Sequence[Signed[ComputeReport]]) -> Flop:
    """Return the sum over chips of what each one's newest report states."""
    newest: dict[bytes, ComputeReport] = {}
    for report in opened:
        claims = report.statement
        if claims.ueid not in newest or claims.counter > newest[claims.ueid].counter:
            newest[claims.ueid] = claims
    return sum(claims.cumulative_flop for claims in newest.values())
