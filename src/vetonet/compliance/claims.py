"""Steps 8 to 17: one function for each claim, returning every problem that stands against it (VN-10.6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.appraisal_policy import Found
from vetonet.attestation.appraise import appraise, appraise_chain
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.platform import appraise_platform
from vetonet.attestation.reference_values import find_firmware_problems
from vetonet.attestation.registry import KnownAlias
from vetonet.attestation.report import ENERGY_STEP_J, NO_DIGEST, ComputeReport
from vetonet.attester.interlock import OUTSIDE_BYTES_PER_S
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.evidence import Evidence, Usage, about
from vetonet.compliance.identity import find_identity_problems, find_maker_problems
from vetonet.compliance.public_record import PublicRecord
from vetonet.compliance.publication import Publication
from vetonet.compliance.result import LicenceUse
from vetonet.errors import Problem
from vetonet.policy.band import BandRule
from vetonet.policy.lease import find_number_at
from vetonet.policy.licence import Licence
from vetonet.units import MS_PER_S, Milliseconds, format_time

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
        publication: which of them the batches of the log commit to.
        device_sets: the chips of each device set, by root.
        now: when the judgement is made.
    """

    record: PublicRecord = field(repr=False)
    evidence: Evidence = field(repr=False)
    publication: Publication = field(repr=False)
    device_sets: Mapping[bytes, DeviceSet] = field(repr=False)
    now: Milliseconds

    @property
    def due_ms(self) -> Milliseconds:
        """Up to when everything must be accounted for by now: an interval and its grace ago."""
        treaty = self.record.treaty.statement
        return self.now - treaty.report_grace_ms - treaty.report_interval_ms

    @property
    def period_ms(self) -> tuple[Milliseconds, Milliseconds] | None:
        """The time about which the verdict is: when licences ran, as far as it is due; None where none is."""
        licences = self.record.licences.values()
        start = min((licence.not_before_ms for licence in licences), default=self.now)
        end = min(max((licence.expires_ms for licence in licences), default=start), self.due_ms)
        return (start, end) if start < end else None

    def list_members(self, licence: Licence) -> tuple[bytes, ...]:
        """Return the ueids of a licence's chips, or nothing where the bundle lacks its device set."""
        device_set = self.device_sets.get(licence.device_set_root)
        return () if device_set is None else device_set.ueids

    def iter_licensed(self) -> Iterator[tuple[Licence, Usage]]:
        """Yield the reports that name a licence of the log, with it."""
        licences = self.record.licences
        for usage in self.evidence.iter_usages():
            licence = None if usage.claims.licence_id is None else licences.get(usage.claims.licence_id)
            if licence is not None:
                yield licence, usage


def judge_record(case: Case) -> Iterator[Problem]:
    """Step 8: every leaf is one that the rules let in."""
    yield from case.record.problems
    yield from find_maker_problems(case.record)


def judge_authority(case: Case) -> Iterator[Problem]:
    """Step 9: licensed work was done under a licence and a lease of the log, by its chips, as it says."""
    licences = case.record.licences
    if case.period_ms is None or not case.evidence.chains:
        detail = "the bundle holds no report, or no licence of which any time is due"
        yield Problem(reason="nothing-to-judge", detail=detail)
    for licence in licences.values():
        if len(case.list_members(licence)) != licence.device_count:
            detail = f"the {licence.device_count} chips of licence {licence.licence_id} are not in the bundle"
            yield Problem(reason="device-set-missing", detail=detail)
    for usage in case.evidence.iter_usages():
        claimed = usage.claims.licence_id
        if claimed is not None and claimed not in licences:
            is_committed = usage.report.data in case.publication.committed
            reason = "licence-unknown" if is_committed else "licence-not-shown"
            yield about(usage, reason, f"ran under licence {claimed}, which this log does not hold")
    members = {root: frozenset(device_set.ueids) for root, device_set in case.device_sets.items()}
    for licence, usage in case.iter_licensed():
        yield from _judge_licensed_report(licence, usage, members.get(licence.device_set_root))
        yield from _judge_lease(case, licence, usage)


def _judge_licensed_report(
    licence: Licence, usage: Usage, members: frozenset[bytes] | None
) -> Iterator[Problem]:
    claims = usage.claims
    if members is not None and claims.ueid not in members:
        yield about(usage, "device-not-in-set", f"is no chip of licence {licence.licence_id}")
    if claims.proposal_digest != licence.proposal_digest or claims.workload is not licence.workload:
        yield about(usage, "other-workload", f"ran something else than licence {licence.licence_id} allows")
    if claims.precision is not licence.precision:
        yield about(
            usage, "other-workload", f"computed in {claims.precision}, licensed is {licence.precision}"
        )
    if not licence.not_before_ms <= claims.window_start_ms < claims.window_end_ms <= licence.expires_ms:
        yield about(usage, "outside-validity", f"ran outside the window of licence {licence.licence_id}")


def _judge_lease(case: Case, licence: Licence, usage: Usage) -> Iterator[Problem]:
    """The interval lies in one lease, which the log holds: consent to the run was kept (VN-12.5)."""
    claims, licence_id = usage.claims, licence.licence_id
    number = find_number_at(licence, claims.window_start_ms)
    if number is None:
        return  # outside the window of the licence, which is said already
    if find_number_at(licence, claims.window_end_ms - 1) != number:
        yield about(usage, "outside-lease", f"does not lie in one lease of licence {licence_id}")
    elif (licence_id, number) not in case.record.lease_leaves:
        is_committed = usage.report.data in case.publication.committed
        reason = "outside-lease" if is_committed else "lease-not-shown"
        yield about(usage, reason, f"ran in lease {number} of licence {licence_id}, which is not in this log")


def judge_genuineness(case: Case) -> Iterator[Problem]:
    """Step 10: every report is signed by an enrolled chip in a known state."""
    yield from case.evidence.forgeries
    firmware: dict[bytes, tuple[Found, ...]] = {}
    for usage in case.evidence.iter_usages():
        key_id = usage.report.signer.key_id
        known = case.record.registry.find_alias(key_id)
        if key_id not in firmware:  # once for all reports of a boot
            firmware[key_id] = tuple(_judge_boot(case.record, known))
        yield from appraise(usage.report, known.device, known.alias, firmware=firmware[key_id])
    for chain in case.evidence.chains.values():
        yield from _judge_platform(case, chain)
    yield from find_identity_problems(case.record, case.evidence, case.publication, case.now)


def _judge_boot(record: PublicRecord, known: KnownAlias) -> Iterator[Found]:
    """Yield what is wrong with the firmware of a boot, by what counted when the log took its alias key."""
    enrolment, boot = known.device.enrolment, known.alias.statement
    leaf_index = record.alias_leaves[boot.alias.key_id]
    references = record.registry.references
    accepted = references.list_accepted(enrolment.endorser_id, enrolment.model, leaf_index)
    return find_firmware_problems(boot.firmware, accepted)


def _judge_platform(case: Case, chain: Sequence[Usage]) -> Iterator[Problem]:
    """The chips' secure elements say what their kinds must say, and count on with each report (VN-17.1)."""
    registry = case.record.registry
    signers = {usage.report.signer.key_id for usage in chain}
    aliases = {key_id: registry.find_alias(key_id).alias for key_id in signers}
    yield from appraise_platform([usage.report for usage in chain], chain[0].device, aliases)


def judge_freshness(case: Case) -> Iterator[Problem]:
    """Step 11: every report names a checkpoint of this log, fresh enough, and the challenge that follows."""
    sizes = case.record.checkpoint_sizes
    for chain in case.evidence.chains.values():
        newest = 0
        for usage in chain:
            claims = usage.claims
            if claims.window_end_ms > case.now:
                yield about(usage, "ahead-of-clock", f"is about a time after {format_time(case.now)}")
            if not _is_public_challenge(case.record, claims):
                yield about(usage, "challenge-unknown", "answers a challenge that only its verifier knows")
            yield from _judge_checkpoint(case, usage, sizes, newest)
            newest = max(newest, sizes.get(claims.checkpoint_digest, 0))


def _is_public_challenge(record: PublicRecord, claims: ComputeReport) -> bool:
    """Whether a report answers the challenge of its interval, under whatever treaty its chip was then."""
    return any(
        claims.challenge == compute_challenge(digest, claims.checkpoint_digest, claims.window_start_ms)
        for digest in record.treaty_digests
    )


def _judge_checkpoint(case: Case, usage: Usage, sizes: Mapping[bytes, int], newest: int) -> Iterator[Problem]:
    """The log is the clock: a report is later than its checkpoint and earlier than its batch."""
    claims = usage.claims
    size, batch_leaf = sizes.get(claims.checkpoint_digest), case.publication.committed.get(usage.report.data)
    if claims.checkpoint_digest == NO_DIGEST and claims.licence_id is None and not usage.flop:
        return  # an idle chip that has not seen the log yet says nothing that needs a clock
    if claims.checkpoint_digest == NO_DIGEST:
        yield about(usage, "checkpoint-missing", "was made before the chip saw any checkpoint")
    elif size is None and batch_leaf is None:
        yield about(usage, "checkpoint-not-shown", "names a checkpoint that this log does not hold (yet)")
    elif size is None or (batch_leaf is not None and size > batch_leaf):
        yield about(usage, "checkpoint-unknown", "names a checkpoint that the log did not have by then")
    elif size < newest or size <= _find_newest_permission(case.record, claims):
        yield about(usage, "checkpoint-stale", f"names the checkpoint of size {size}, older than it must be")


def _find_newest_permission(record: PublicRecord, claims: ComputeReport) -> int:
    """Return the leaf of the licence or lease that a chip had seen when it did this; 0 for none needed."""
    if claims.licence_id is None:
        return 0
    licence = record.licences.get(claims.licence_id)
    number = 0 if licence is None else find_number_at(licence, claims.window_start_ms) or 0
    placed = record.licence_leaves.get(claims.licence_id, 0)
    return max(placed, record.lease_leaves.get((claims.licence_id, number), 0))


def judge_continuity(case: Case) -> Iterator[Problem]:
    """Step 12: each chip's reports follow from one another: no gap, fork, replay or rollback."""
    for chain in case.evidence.chains.values():
        yield from appraise_chain([usage.report for usage in chain])


def judge_publication(case: Case) -> Iterator[Problem]:
    """Step 13: the reports are those that the operators' batches in the log commit to."""
    yield from case.publication.problems


def judge_budget(case: Case) -> Iterator[Problem]:
    """Step 14: no licence, no chip of it and no lease of that was used for more than was allowed."""
    for licence_id, by_chip in _sum_by_licence(case).items():
        yield from _judge_licence_budget(case.record.licences[licence_id], by_chip)
    for (licence_id, number, ueid), flop in _sum_by_lease(case).items():
        over = flop - case.record.licences[licence_id].lease_flop
        if over > 0:
            detail = f"chip {ueid.hex()[:16]} used {over} FLOP more than lease {number} allows"
            yield Problem(reason="lease-exceeded", detail=detail, culprit=ueid.hex())


def compute_licence_uses(case: Case) -> tuple[LicenceUse, ...]:
    """Return each licence of the log with what its reports account for, by rising id."""
    used = _sum_by_licence(case)
    return tuple(
        LicenceUse(licence=licence, used_flop=sum(used.get(licence_id, {}).values()))
        for licence_id, licence in sorted(case.record.licences.items())
    )


def _sum_by_licence(case: Case) -> Mapping[int, Mapping[bytes, int]]:
    used: dict[int, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    for licence, usage in case.iter_licensed():
        used[licence.licence_id][usage.claims.ueid] += usage.flop or 0
    return used


def _sum_by_lease(case: Case) -> Mapping[tuple[int, int, bytes], int]:
    """Return what each chip used of each lease, as its intervals say, whether the log holds that or not."""
    used: dict[tuple[int, int, bytes], int] = defaultdict(int)
    for licence, usage in case.iter_licensed():
        number = find_number_at(licence, usage.claims.window_start_ms)
        if number is not None:
            used[licence.licence_id, number, usage.claims.ueid] += usage.flop or 0
    return used


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
    """Step 15: the chips of a licence, and all that were enrolled before it, account for all its time."""
    treaty = case.record.treaty.statement
    for usage in case.evidence.iter_usages():
        duration_ms = usage.claims.window_end_ms - usage.claims.window_start_ms
        if duration_ms > treaty.report_interval_ms:
            detail = (
                f"is about {duration_ms} ms, the treaty asks for one every {treaty.report_interval_ms} ms"
            )
            yield about(usage, "interval-too-long", detail)
    for licence in case.record.licences.values():
        yield from _judge_licence_coverage(case, licence)


def _judge_licence_coverage(case: Case, licence: Licence) -> Iterator[Problem]:
    record = case.record
    members = set(case.list_members(licence))
    for ueid in sorted(members - record.registry.devices.keys()):
        detail = f"chip {ueid.hex()[:16]} of licence {licence.licence_id} was never enrolled"
        yield Problem(reason="device-not-enrolled", detail=detail)
    placed = record.licence_leaves[licence.licence_id]
    retired = {ueid for ueid, leaf_index in record.retirement_leaves.items() if leaf_index < placed}
    enrolled = {ueid for ueid, leaf_index in record.enrolment_leaves.items() if leaf_index < placed} - retired
    end = min(licence.expires_ms, case.due_ms)
    for ueid in sorted(enrolled | (members & record.registry.devices.keys())):
        gap = _find_first_gap(case.evidence.chains.get(ueid, ()), licence.not_before_ms, end)
        if gap is not None:
            when = f"{format_time(gap[0])} to {format_time(gap[1])}"
            detail = f"chip {ueid.hex()[:16]} does not account for its time from {when}; overdue"
            owner = record.registry.find_device(ueid).enrolment.owner
            yield Problem(reason="interval-uncovered", detail=detail, culprit=owner)


def _find_first_gap(
    chain: Iterable[Usage], start: Milliseconds, end: Milliseconds
) -> tuple[Milliseconds, Milliseconds] | None:
    """Return the first part of [start, end) that no report covers, or None."""
    covered = start
    for usage in sorted(chain, key=lambda u: u.claims.window_start_ms):
        if usage.claims.window_start_ms > covered:
            return (covered, min(usage.claims.window_start_ms, end)) if covered < end else None
        covered = max(covered, usage.claims.window_end_ms)
    return (covered, end) if covered < end else None


def judge_plausibility(case: Case) -> Iterator[Problem]:
    """Step 16: no chip did more than physics allows, or drew power that does not fit."""
    for usage in case.evidence.iter_usages():
        claims, peak = usage.claims, usage.device.find_peak(usage.claims.precision)
        duration_ms = claims.window_end_ms - claims.window_start_ms
        if usage.flop and (peak is None or usage.flop * MS_PER_S > peak * duration_ms):
            possible = "none" if peak is None else str(peak * duration_ms // MS_PER_S)
            yield about(
                usage,
                "impossible-rate",
                f"claims {usage.flop} FLOP in {claims.precision}, possible: {possible}",
            )
        limit_w = usage.device.enrolment.tdp_w
        ceiling = (
            None if limit_w is None else limit_w * duration_ms * ENERGY_SLACK_PERCENT // (100 * MS_PER_S)
        )
        if ceiling is not None and claims.energy_j > ceiling + ENERGY_STEP_J:
            yield about(
                usage, "implausible-energy", f"claims {claims.energy_j} J, its power allows {ceiling} J"
            )
        yield from _judge_traffic(usage)


def _judge_traffic(usage: Usage) -> Iterator[Problem]:
    """The interlock lets no more out than its rate, so who tells of more has none (VN-17.12)."""
    claims = usage.claims
    ceiling = OUTSIDE_BYTES_PER_S * (claims.window_end_ms - claims.window_start_ms) // MS_PER_S
    if claims.out_of_set_bytes > ceiling:
        detail = f"claims {claims.out_of_set_bytes} bytes outside its set, its links allow {ceiling}"
        yield about(usage, "impossible-traffic", detail)


def judge_aggregation(case: Case) -> Iterator[Problem]:
    """Step 17: what each owner ran without a licence stays, all together, below the first licensed band.

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
        if floors and flop and flop >= floors[0]:
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
