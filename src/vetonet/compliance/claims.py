"""Steps 7 to 16: one function for each claim, returning every problem that stands against it (VN-10.6)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.appraise import appraise, verify_chain
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.report import ENERGY_STEP_J, NO_DIGEST, ReportBatch, compute_batch_root
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.evidence import Evidence, Usage
from vetonet.compliance.public_record import PublicRecord
from vetonet.errors import Problem
from vetonet.policy.band import BandRule
from vetonet.policy.licence import Licence
from vetonet.units import MS_PER_S, Milliseconds

MAX_SHOWN: Final = 20
"""How many problems of one reason are listed one by one; the rest is counted in one line."""

ENERGY_SLACK_PERCENT: Final = 125
"""A chip may draw a little more than its thermal design power for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything the claims are judged on.

    Attributes:
        record: the public record.
        evidence: the reports.
        device_sets: the chips of each device set, by root.
        now: when the judgement is made.
    """

    record: PublicRecord = field(repr=False)
    evidence: Evidence = field(repr=False)
    device_sets: Mapping[bytes, DeviceSet] = field(repr=False)
    now: Milliseconds

    def iter_licensed(self) -> Iterator[tuple[Licence, Usage]]:
        """Yield the reports that name a licence of the log, with it."""
        licences = self.record.licences
        for usage in self.evidence.iter_usages():
            licence = None if usage.claims.licence_id is None else licences.get(usage.claims.licence_id)
            if licence is not None:
                yield licence, usage


def judge_record(case: Case) -> Iterator[Problem]:
    """Step 7: every leaf is one that the rules let in."""
    yield from case.record.problems


def judge_authority(case: Case) -> Iterator[Problem]:
    """Step 8: licensed work was done under a licence of the log, by its chips, in its window, as it says."""
    licences = case.record.licences
    if not licences:
        yield Problem(reason="nothing-to-judge", detail="the log holds no licence")
    for licence in licences.values():
        if licence.device_set_root not in case.device_sets:
            detail = f"the chips of licence {licence.licence_id} are not in the bundle"
            yield Problem(reason="device-set-missing", detail=detail)
    for usage in case.evidence.iter_usages():
        claimed = usage.claims.licence_id
        if claimed is not None and claimed not in licences:
            yield _about(
                usage, "licence-unknown", f"ran under licence {claimed}, which the log does not hold"
            )
    members = {root: frozenset(device_set.ueids) for root, device_set in case.device_sets.items()}
    for licence, usage in case.iter_licensed():
        yield from _judge_licensed_report(licence, usage, members.get(licence.device_set_root))


def _judge_licensed_report(
    licence: Licence, usage: Usage, members: frozenset[bytes] | None
) -> Iterator[Problem]:
    claims = usage.claims
    if members is not None and claims.ueid not in members:
        yield _about(usage, "device-not-in-set", f"is no chip of licence {licence.licence_id}")
    if claims.proposal_digest != licence.proposal_digest or claims.workload is not licence.workload:
        yield _about(usage, "other-workload", f"ran something else than licence {licence.licence_id} allows")
    if claims.precision is not licence.precision:
        yield _about(
            usage, "other-workload", f"computed in {claims.precision}, licensed is {licence.precision}"
        )
    if not licence.not_before_ms <= claims.window_start_ms < claims.window_end_ms <= licence.expires_ms:
        yield _about(usage, "outside-validity", f"ran outside the window of licence {licence.licence_id}")


def judge_genuineness(case: Case) -> Iterator[Problem]:
    """Step 9: every report is signed by an enrolled chip in a known state."""
    yield from case.evidence.forgeries
    for usage in case.evidence.iter_usages():
        alias = case.record.registry.find_alias(usage.report.signer.key_id)
        yield from appraise(usage.report, alias.device, alias.alias)


def judge_freshness(case: Case) -> Iterator[Problem]:
    """Step 10: every report names a checkpoint of this log, fresh enough, and the challenge that follows."""
    sizes = _compute_known_checkpoints(case.record)
    treaty_digest = case.record.treaty.payload_digest
    for chain in case.evidence.chains.values():
        newest = 0
        for usage in chain:
            claims = usage.claims
            if claims.window_end_ms > case.now:
                yield _about(usage, "ahead-of-clock", f"is about a time after the verifier's {case.now}")
            size = sizes.get(claims.checkpoint_digest)
            if claims.checkpoint_digest == NO_DIGEST:
                yield _about(usage, "checkpoint-missing", "was made before the chip saw any checkpoint")
                continue
            if size is None:
                yield _about(usage, "checkpoint-unknown", "names a checkpoint that is none of this log")
                continue
            if size < newest or size <= case.record.licence_leaves.get(claims.licence_id or -1, 0):
                yield _about(
                    usage, "checkpoint-stale", f"names the checkpoint of size {size}, older than it must be"
                )
            newest = max(newest, size)
            if claims.challenge != compute_challenge(
                treaty_digest, claims.checkpoint_digest, claims.window_start_ms
            ):
                yield _about(usage, "challenge-wrong", "answers another challenge")


def _compute_known_checkpoints(record: PublicRecord) -> Mapping[bytes, int]:
    sizes = range(1, record.checkpoint.tree_size + 1)
    return {record.log.checkpoint(size).digest: size for size in sizes}


def judge_continuity(case: Case) -> Iterator[Problem]:
    """Step 11: each chip's reports follow from one another: no gap, fork, replay or rollback."""
    for chain in case.evidence.chains.values():
        yield from verify_chain([usage.report for usage in chain])


def judge_publication(case: Case) -> Iterator[Problem]:
    """Step 12: the reports are those that the operators' batches in the log commit to."""
    waiting = _group_for_batches(case.evidence.iter_usages())
    grace_ms = case.record.treaty.statement.report_grace_ms
    for leaf_index, batch in case.record.batches:
        yield from _judge_batch(leaf_index, batch.statement, _take_batch(waiting, batch.statement))
    for usages in waiting.values():
        for usage in usages:
            deadline = usage.claims.window_end_ms + grace_ms
            reason = "report-pending" if case.now < deadline else "report-unpublished"
            yield _about(usage, reason, f"is in no batch of the log; due by {deadline}")


_Waiting = dict[tuple[str, int | None], list[Usage]]
"""Reports that no batch has claimed yet, by owner and licence, in the order of their beginnings."""


def _group_for_batches(usages: Iterable[Usage]) -> _Waiting:
    waiting: _Waiting = defaultdict(list)
    for usage in sorted(usages, key=_start_of):
        waiting[usage.device.enrolment.owner, usage.claims.licence_id].append(usage)
    return waiting


def _start_of(usage: Usage) -> Milliseconds:
    return usage.claims.window_start_ms


def _take_batch(waiting: _Waiting, batch: ReportBatch) -> list[Usage]:
    """Take the reports of a batch's operator and licence whose intervals lie in its window."""
    candidates = waiting[batch.operator_id, batch.licence_id]
    first = bisect_left(candidates, batch.window_start_ms, key=_start_of)
    last = bisect_left(candidates, batch.window_end_ms, key=_start_of)
    begun = candidates[first:last]
    inside = [usage for usage in begun if usage.claims.window_end_ms <= batch.window_end_ms]
    candidates[first:last] = [usage for usage in begun if usage.claims.window_end_ms > batch.window_end_ms]
    return inside


def _judge_batch(leaf_index: int, batch: ReportBatch, usages: Sequence[Usage]) -> Iterator[Problem]:
    missing = batch.report_count - len(usages)
    if missing > 0:
        detail = (
            f"{missing} of the {batch.report_count} reports of batch leaf {leaf_index} are not in the bundle"
        )
        yield Problem(reason="report-withheld", detail=detail, culprit=batch.operator_id)
    elif missing < 0 or compute_batch_root([usage.report for usage in usages]) != batch.root_hash:
        detail = f"the reports are not those that the batch in leaf {leaf_index} commits to"
        yield Problem(reason="batch-mismatch", detail=detail, culprit=batch.operator_id)


def judge_budget(case: Case) -> Iterator[Problem]:
    """Step 13: no licence and no chip of it used more than was allowed."""
    used: dict[int, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    for licence, usage in case.iter_licensed():
        used[licence.licence_id][usage.claims.ueid] += usage.flop or 0
    for licence_id, by_chip in used.items():
        yield from _judge_licence_budget(case.record.licences[licence_id], by_chip)


def _judge_licence_budget(licence: Licence, by_chip: Mapping[bytes, int]) -> Iterator[Problem]:
    total = sum(by_chip.values())
    if total > licence.total_flop:
        over = total - licence.total_flop
        detail = f"licence {licence.licence_id} allows {licence.total_flop} FLOP, {over} more were used"
        yield Problem(reason="budget-exceeded", detail=detail)
    for ueid, flop in by_chip.items():
        if flop > licence.per_device_flop:
            detail = f"chip {ueid.hex()[:16]} used {flop - licence.per_device_flop} FLOP more than its share"
            yield Problem(reason="device-budget-exceeded", detail=detail, culprit=ueid.hex())


def judge_coverage(case: Case) -> Iterator[Problem]:
    """Step 14: every enrolled chip accounts for all the time in which any licence of the log ran."""
    licences, treaty = case.record.licences.values(), case.record.treaty.statement
    for usage in case.evidence.iter_usages():
        duration_ms = usage.claims.window_end_ms - usage.claims.window_start_ms
        if duration_ms > treaty.report_interval_ms:
            detail = (
                f"is about {duration_ms} ms, the treaty asks for one every {treaty.report_interval_ms} ms"
            )
            yield _about(usage, "interval-too-long", detail)
    if not licences:
        return
    due = case.now - treaty.report_grace_ms - treaty.report_interval_ms
    start = min(licence.not_before_ms for licence in licences)
    end = min(max(licence.expires_ms for licence in licences), due)
    for ueid in sorted(case.record.registry.devices):
        missing = _find_first_gap(case.evidence.chains.get(ueid, ()), start, end)
        if missing is not None:
            detail = f"chip {ueid.hex()[:16]} does not account for its time from {missing} to {end}; overdue"
            owner = case.record.registry.find_device(ueid).enrolment.owner
            yield Problem(reason="interval-uncovered", detail=detail, culprit=owner)


def _find_first_gap(chain: Iterable[Usage], start: Milliseconds, end: Milliseconds) -> Milliseconds | None:
    """Return the first moment in [start, end) that no report covers, or None."""
    covered = start
    for usage in sorted(chain, key=lambda u: u.claims.window_start_ms):
        if usage.claims.window_start_ms <= covered:
            covered = max(covered, usage.claims.window_end_ms)
    return covered if covered < end else None


def judge_plausibility(case: Case) -> Iterator[Problem]:
    """Step 15: no chip did more than physics allows, or drew power that does not fit."""
    for usage in case.evidence.iter_usages():
        claims, peak = usage.claims, usage.device.find_peak(usage.claims.precision)
        duration_ms = claims.window_end_ms - claims.window_start_ms
        if usage.flop and (peak is None or usage.flop * MS_PER_S > peak * duration_ms):
            possible = "none" if peak is None else str(peak * duration_ms // MS_PER_S)
            yield _about(
                usage,
                "impossible-rate",
                f"claims {usage.flop} FLOP in {claims.precision}, possible: {possible}",
            )
        limit_w = usage.device.enrolment.tdp_w
        ceiling = (
            None if limit_w is None else limit_w * duration_ms * ENERGY_SLACK_PERCENT // (100 * MS_PER_S)
        )
        if ceiling is not None and claims.energy_j > ceiling + ENERGY_STEP_J:
            yield _about(
                usage, "implausible-energy", f"claims {claims.energy_j} J, its power allows {ceiling} J"
            )


def judge_aggregation(case: Case) -> Iterator[Problem]:
    """Step 16: what each owner ran without a licence stays, all together, below the first licensed band.

    Bands of licensed runs count their linked runs when the ledger is read (VN-5.4).
    """
    floors = [
        band.floor_flop for band in case.record.treaty.statement.bands if band.rule is not BandRule.FREE
    ]
    pools: dict[str, int] = defaultdict(int)
    for usage in case.evidence.iter_usages():
        if usage.claims.licence_id is None:
            pools[usage.device.enrolment.owner] += usage.flop or 0
    for owner, flop in sorted(pools.items()):
        if floors and flop >= floors[0]:
            detail = f"{owner} ran {flop} FLOP without a licence; from {floors[0]} on one is needed"
            yield Problem(reason="unlicensed-total", detail=detail, culprit=owner)


def shorten(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return at most ``MAX_SHOWN`` problems of each reason; the rest becomes one line with its count."""
    by_reason: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_reason[problem.reason].append(problem)
    return tuple(shown for reason, listed in by_reason.items() for shown in _shorten_one(reason, listed))


def _shorten_one(reason: str, listed: Sequence[Problem]) -> Iterator[Problem]:
    yield from listed[:MAX_SHOWN]
    if len(listed) > MAX_SHOWN:
        yield Problem(reason=reason, detail=f"and {len(listed) - MAX_SHOWN} more of the same kind")


def _about(usage: Usage, reason: str, what: str) -> Problem:
    claims = usage.claims
    return Problem(
        reason=reason,
        detail=f"report {claims.counter} of chip {claims.ueid.hex()[:16]} {what}",
        culprit=usage.device.enrolment.owner,
    )
