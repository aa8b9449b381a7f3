"""Step 7: a batch commits to the reports of its operator, licence and window (VN-9.4, VN-10.5).

What a batch commits to, its operator cannot take back; a report that no batch of the bundle's log commits to
may have come later than the log ends. Other steps accuse only over committed reports. Reports come in the
order in which batches hash them, so of each batch only the right edge of its tree is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, TypeAlias

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.report import ComputeReport, ReportBatch
from vetonet.compliance.findings import Findings
from vetonet.compliance.public_record import PublicRecord
from vetonet.crypto.merkle import MerkleEdge, compute_leaf_hash
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time


class _Window:
    """A batch of the log, and the edge of the tree of the reports that fell into its window so far."""

    __slots__ = ("batch", "edge", "leaf_index")

    def __init__(self, leaf_index: int, batch: ReportBatch) -> None:
        self.leaf_index, self.batch, self.edge = leaf_index, batch, MerkleEdge()


_Windows: TypeAlias = tuple[list[Milliseconds], list[_Window]]
"""The starts of one operator's and licence's batches, which do not overlap, and those, both rising."""


_NONE: Final[_Windows] = ([], [])


class Publication:
    """How the reports and the batches of the log fit together; grows in place, report by report."""

    __slots__ = ("_batches", "_grace_ms", "_now", "_windows", "findings")

    def __init__(self, record: PublicRecord, now: Milliseconds) -> None:
        """Begin with the batches of the log and no report."""
        self.findings = Findings()
        self._now, self._grace_ms = now, record.treaty.statement.report_grace_ms
        self._batches = [_Window(leaf_index, signed.statement) for leaf_index, signed in record.batches]
        self._windows: dict[tuple[str, int | None], _Windows] = defaultdict(lambda: ([], []))
        for window in sorted(self._batches, key=lambda window: window.batch.window_start_ms):
            starts, windows = self._windows[window.batch.operator_id, window.batch.licence_id]
            starts.append(window.batch.window_start_ms)
            windows.append(window)

    def take(self, report: Signed[ComputeReport], device: EnrolledDevice) -> int | None:
        """Count a genuine report into the batch whose window holds its interval; return that batch's leaf."""
        claims, owner = report.statement, device.enrolment.owner
        starts, windows = self._windows.get((owner, claims.licence_id), _NONE)
        place = bisect_right(starts, claims.window_start_ms) - 1
        if place >= 0 and claims.window_end_ms <= windows[place].batch.window_end_ms:
            windows[place].edge.append(compute_leaf_hash(report.data))
            return windows[place].leaf_index
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
        found = {window.leaf_index: tuple(_compare(window)) for window in self._batches}
        for problems in found.values():
            self.findings.note_all(problems)
        return frozenset(leaf_index for leaf_index, problems in found.items() if not problems)


def _compare(window: _Window) -> Iterator[Problem]:
    leaf_index, batch, edge = window.leaf_index, window.batch, window.edge
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
