"""Step 7: which batch of the log commits to which reports (VN-9.4, VN-10.5).

What a batch commits to, its operator cannot take back; a report that no batch of the bundle's log commits to
may have come later than the log ends. Other steps accuse only over committed reports.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vetonet.attestation.report import ReportBatch, compute_batch_root
from vetonet.compliance.evidence import Evidence, Usage, about
from vetonet.compliance.public_record import PublicRecord
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """How the reports and the batches of the log fit together.

    Attributes:
        committed: for each report that a batch commits to, by its bytes, the leaf of that batch.
        problems: batches whose reports are not all there, or others, and reports in no batch.
    """

    committed: Mapping[bytes, int] = field(repr=False)
    problems: tuple[Problem, ...]


def match_batches(record: PublicRecord, evidence: Evidence, now: Milliseconds) -> Publication:
    """Return which reports the batches of the log commit to, and where they do not fit."""
    waiting = _group(evidence.iter_usages())
    committed: dict[bytes, int] = {}
    problems: list[Problem] = []
    for leaf_index, signed in record.batches:
        usages, batch = _take(waiting, signed.statement), signed.statement
        found = tuple(_compare(leaf_index, batch, usages))
        problems += found
        if not found:
            committed |= {usage.report.data: leaf_index for usage in usages}
    problems += _list_unpublished(waiting, record.treaty.statement.report_grace_ms, now)
    return Publication(committed=committed, problems=tuple(problems))


_Waiting = dict[tuple[str, int | None], list[Usage]]
"""Reports that no batch has claimed yet, by owner and licence, in the order of their beginnings."""


def _group(usages: Iterable[Usage]) -> _Waiting:
    waiting: _Waiting = defaultdict(list)
    for usage in sorted(usages, key=_start_of):
        waiting[usage.device.enrolment.owner, usage.claims.licence_id].append(usage)
    return waiting


def _start_of(usage: Usage) -> Milliseconds:
    return usage.claims.window_start_ms


def _take(waiting: _Waiting, batch: ReportBatch) -> list[Usage]:
    """Take the reports of a batch's operator and licence whose intervals lie in its window."""
    candidates = waiting[batch.operator_id, batch.licence_id]
    first = bisect_left(candidates, batch.window_start_ms, key=_start_of)
    last = bisect_left(candidates, batch.window_end_ms, key=_start_of)
    begun = candidates[first:last]
    candidates[first:last] = [usage for usage in begun if usage.claims.window_end_ms > batch.window_end_ms]
    return [usage for usage in begun if usage.claims.window_end_ms <= batch.window_end_ms]


def _compare(leaf_index: int, batch: ReportBatch, usages: Sequence[Usage]) -> Iterator[Problem]:
    missing = batch.report_count - len(usages)
    if missing > 0:
        detail = (
            f"{missing} of the {batch.report_count} reports of batch leaf {leaf_index} are not in the bundle"
        )
        yield Problem(reason="report-withheld", detail=detail, culprit=batch.operator_id)
    elif missing < 0:
        detail = f"{-missing} reports more than batch leaf {leaf_index} counts for its window"
        yield Problem(reason="report-unpublished", detail=detail, culprit=batch.operator_id)
    elif compute_batch_root([usage.report for usage in usages]) != batch.root_hash:
        detail = f"the reports are not those that batch leaf {leaf_index} commits to"
        yield Problem(reason="batch-mismatch", detail=detail, culprit=batch.operator_id)


def _list_unpublished(waiting: _Waiting, grace_ms: Milliseconds, now: Milliseconds) -> Iterator[Problem]:
    for usages in waiting.values():
        for usage in usages:
            deadline = usage.claims.window_end_ms + grace_ms
            reason = "report-pending" if now < deadline else "report-unpublished"
            yield about(usage, reason, f"is in no batch of the log; due by {format_time(deadline)}")
