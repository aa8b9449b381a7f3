"""Step 15: the chips of a licence, and all that were enrolled before it, account for all its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.compliance.case import Case, Tally
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.errors import Problem
from vetonet.policy.licence import Licence
from vetonet.units import Milliseconds, format_time


def judge_coverage(case: Case, chain: Chain) -> Iterator[Problem]:
    """Step 15: the chips of a licence, and all that were enrolled before it, account for all its time."""
    longest_ms = case.record.treaty.statement.report_interval_ms
    for usage in chain.usages:
        duration_ms = usage.claims.window_end_ms - usage.claims.window_start_ms
        if duration_ms > longest_ms:
            detail = f"is about {duration_ms} ms, the treaty asks for one every {longest_ms} ms"
            yield about(usage, "interval-too-long", detail)
    yield from _judge_gaps(case, chain.device, chain.usages)


def conclude_coverage(case: Case, tally: Tally) -> Iterator[Problem]:
    """Yield the chips that never reported, and those of a licence that nobody enrolled."""
    devices = case.record.registry.devices
    for licence in case.record.licences.values():
        for ueid in sorted(case.list_members(licence) - devices.keys()):
            detail = f"chip {ueid.hex()[:16]} of licence {licence.licence_id} was never enrolled"
            yield Problem(reason="device-not-enrolled", detail=detail)
    for ueid in sorted(devices.keys() - tally.reporting):
        yield from _judge_gaps(case, devices[ueid], ())


def _judge_gaps(case: Case, device: EnrolledDevice, usages: Iterable[Usage]) -> Iterator[Problem]:
    """Yield the first gap of a chip in each licence for which it owes an account."""
    by_start = sorted(usages, key=_start_of)
    for licence in case.record.licences.values():
        if not _owes_account(case, licence, device.ueid):
            continue
        end = min(licence.expires_ms, case.due_ms)
        gap = _find_first_gap(by_start, licence.not_before_ms, end)
        if gap is not None:
            when = f"{format_time(gap[0])} to {format_time(gap[1])}"
            detail = f"chip {device.ueid.hex()[:16]} does not account for its time from {when}; overdue"
            yield Problem(reason="interval-uncovered", detail=detail, culprit=device.enrolment.owner)


def _owes_account(case: Case, licence: Licence, ueid: bytes) -> bool:
    """Whether a chip is one of a licence, or was in service when the log took that."""
    if ueid in case.list_members(licence):
        return True
    record, placed = case.record, case.record.licence_leaves[licence.licence_id]
    return record.enrolment_leaves[ueid] < placed <= record.retirement_leaves.get(ueid, placed)


def _start_of(usage: Usage) -> Milliseconds:
    return usage.claims.window_start_ms


def _find_first_gap(
    usages: Iterable[Usage], start: Milliseconds, end: Milliseconds
) -> tuple[Milliseconds, Milliseconds] | None:
    """Return the first part of [start, end) that no report covers, or None."""
    covered = start
    for usage in usages:
        if usage.claims.window_start_ms > covered:
            return (covered, min(usage.claims.window_start_ms, end)) if covered < end else None
        covered = max(covered, usage.claims.window_end_ms)
    return (covered, end) if covered < end else None
