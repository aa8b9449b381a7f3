"""Step 7: which batch of the log commits to which reports (VN-9.4, VN-10.5).

What a batch commits to, its operator cannot take back; a report that no batch of the bundle's log commits to
may have come later than the log ends. Other steps accuse only over committed reports. Reports come in the
order in which batches hash them, so of each batch only the right edge of its tree is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.report import ComputeReport, ReportBatch
from vetonet.compliance.findings import Findings
from vetonet.compliance.public_record import PublicRecord
from vetonet.crypto.merkle import MerkleEdge, compute_leaf_hash
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time


@dataclass(slots=True)
class _Open:
    """A batch of the log, and the reports that fell into its window so far."""

    leaf_index: int
    batch: ReportBatch
    edge: MerkleEdge = field(default_factory=MerkleEdge)


@dataclass(slots=True)
class _Windows:
    """The batches of one operator and licence, by rising windows, which do not overlap."""

    starts: list[Milliseconds] = field(default_factory=list)
    batches: list[_Open] = field(default_factory=list)


class Publication:
    """How the reports and the batches of the log fit together; grows in place, report by report."""

    __slots__ = ("_batches", "_grace_ms", "_now", "_windows", "findings")

    def __init__(self, record: PublicRecord, now: Milliseconds) -> None:
        """Begin with the batches of the log and no report."""
        self.findings = Findings()
        self._now, self._grace_ms = now, record.treaty.statement.report_grace_ms
        self._batches = [_Open(leaf_index, signed.statement) for leaf_index, signed in record.batches]
        self._windows: dict[tuple[str, int | None], _Windows] = defaultdict(_Windows)
        for opened in sorted(self._batches, key=lambda opened: opened.batch.window_start_ms):
            windows = self._windows[opened.batch.operator_id, opened.batch.licence_id]
            windows.starts.append(opened.batch.window_start_ms)
            windows.batches.append(opened)

    def take(self, report: Signed[ComputeReport], device: EnrolledDevice) -> int | None:
        """Count a genuine report into the batch whose window holds its interval; return that batch's leaf."""
        claims, owner = report.statement, device.enrolment.owner
        windows = self._windows.get((owner, claims.licence_id))
        place = -1 if windows is None else bisect_right(windows.starts, claims.window_start_ms) - 1
        if windows is not None and place >= 0:
            opened = windows.batches[place]
            if claims.window_end_ms <= opened.batch.window_end_ms:
                opened.edge.append(compute_leaf_hash(report.data))
                return opened.leaf_index
        self.findings.note(self._tell_unpublished(claims, owner))
        return None

    def _tell_unpublished(self, claims: ComputeReport, owner: str) -> Problem:
        deadline = claims.window_end_ms + self._grace_ms
        reason = "report-pending" if self._now < deadline else "report-unpublished"
        detail = (
            f"report {claims.counter} of chip {claims.ueid.hex()[:16]} is in no batch of the log; "
            f"due by {format_time(deadline)}"
        )
        return Problem(reason=reason, detail=detail, culprit=owner)

    def judge_publication(self) -> frozenset[int]:
        """Step 13: the reports are those that the operators' batches in the log commit to.

        Returns:
            The leaves of the batches that commit to just the reports in their windows, once all were taken.
        """
        found = {opened.leaf_index: tuple(_compare(opened)) for opened in self._batches}
        for problems in found.values():
            self.findings.note_all(problems)
        return frozenset(leaf_index for leaf_index, problems in found.items() if not problems)


def _compare(opened: _Open) -> Iterator[Problem]:
    leaf_index, batch, edge = opened.leaf_index, opened.batch, opened.edge
    missing = batch.report_count - edge.size
    if missing > 0:
        detail = (
            f"{missing} of the {batch.report_count} reports of batch leaf {leaf_index} are not in the bundle"
        )
        yield Problem(reason="report-withheld", detail=detail, culprit=batch.operator_id)
    elif missing < 0:
        detail = f"{-missing} reports more than batch leaf {leaf_index} counts for its window"
        yield Problem(reason="report-unpublished", detail=detail, culprit=batch.operator_id)
    elif edge.root_hash != batch.root_hash:
        detail = f"the reports are not those that batch leaf {leaf_index} commits to"
        yield Problem(reason="batch-mismatch", detail=detail, culprit=batch.operator_id)
