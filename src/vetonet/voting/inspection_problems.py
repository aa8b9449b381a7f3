"""What the inspections of a log leave open or show, as of a time (VN-19).

The reader of leaves has no clock; whoever judges has one, and deadlines are judged here.
"""

from __future__ import annotations

from collections.abc import Iterator

from vetonet.errors import Problem
from vetonet.policy.transcript import SegmentOutcome
from vetonet.units import Milliseconds, format_time
from vetonet.voting.inspections import Inspections


def find_inspection_problems(inspections: Inspections, now: Milliseconds) -> tuple[Problem, ...]:
    """Return what the inspections of a log leave open or show, as of a time (VN-19.5, VN-19.8, VN-19.12)."""
    return (
        *_judge_disclosures(inspections, now),
        *_judge_spot_checks(inspections, now),
        *_judge_draws(inspections, now),
    )


def _judge_disclosures(inspections: Inspections, now: Milliseconds) -> Iterator[Problem]:
    for disclosure in inspections.disclosures.values():
        asked, operator = disclosure.challenge.statement, disclosure.proposal.operator_id
        run = asked.proposal_digest.hex()[:16]
        what = f"field {asked.field!r} of run {run}, asked for by {asked.challenger}"
        if disclosure.answer is None:
            is_due = now >= asked.deadline_ms
            told = f"was not shown by {format_time(asked.deadline_ms)}" if is_due else "is awaited until "
            told += "" if is_due else format_time(asked.deadline_ms)
            reason = "disclosure-overdue" if is_due else "disclosure-pending"
            yield Problem(reason=reason, detail=f"{what}, {told}", culprit=operator)
        for parent in disclosure.undeclared:
            detail = f"run {run} continues {parent.hex()[:16]} by its own account, which it did not declare"
            yield Problem(reason="lineage-undeclared", detail=detail, culprit=operator)


def _judge_spot_checks(inspections: Inspections, now: Milliseconds) -> Iterator[Problem]:
    for digest, check in inspections.samplings.items():
        asked, stated = check.challenge.statement, check.transcript
        what = f"part {stated.number} of the transcript of licence {stated.licence_id}"
        for finding in check.findings.values():
            if finding.outcome is SegmentOutcome.FAILED:
                detail = f"{finding.party_id} says that segment {finding.segment} of {what} does not hold"
                yield Problem(reason="spot-check-failed", detail=detail, culprit=stated.operator_id)
            elif finding.outcome is SegmentOutcome.WITHHELD:
                detail = f"{finding.party_id} says that it was not shown segment {finding.segment} of {what}"
                yield Problem(reason="spot-check-overdue", detail=detail, culprit=stated.operator_id)
        draw = inspections.find_draw(digest)
        is_aborted = draw is not None and draw.find_abort(now) is not None
        if asked.challenger not in check.findings and now >= asked.deadline_ms and not is_aborted:
            is_drawn, due = inspections.list_segments(digest) is not None, format_time(asked.deadline_ms)
            who = f"{asked.challenger} had found" if is_drawn else "chance had chosen"
            detail = f"{who} nothing of {what} by {due}"
            # Its own silence: had it been shown nothing, it could say so.
            yield Problem(reason="spot-check-overdue", detail=detail, culprit=asked.challenger)


def _judge_draws(inspections: Inspections, now: Milliseconds) -> Iterator[Problem]:
    """Only of spot checks: about what nobody asked for a party could keep all verdicts open (VN-19.12)."""
    for subject in inspections.samplings:
        draw = inspections.find_draw(subject)
        abort = None if draw is None else draw.find_abort(now)
        if abort is None or draw is None:
            continue
        told = [f"{', '.join(abort.silent)} did not commit"] if abort.silent else []
        told += [f"{', '.join(abort.withheld)} committed and did not show"] if abort.withheld else []
        yield Problem(
            reason="randomness-aborted", detail=f"round {draw.digest.hex()[:16]}: {'; '.join(told)}"
        )
