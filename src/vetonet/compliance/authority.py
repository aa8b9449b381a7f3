"""Step 9: licensed work names a licence and a lease of the log, by a chip of its set, and is what it says."""

from __future__ import annotations

from collections.abc import Iterator

from vetonet.compliance.case import Case, Found, Tally
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.compliance.findings import Undecided
from vetonet.errors import Problem
from vetonet.policy.lease import find_number_at
from vetonet.policy.licence import Licence


def judge_authority(case: Case, chain: Chain) -> Iterator[Found]:
    """Step 9: licensed work was done under a licence and a lease of the log, by its chips, as it says."""
    for usage in chain.usages:
        licence = usage.licence
        if licence is not None:
            yield from _judge_licensed_report(case, licence, usage)
            yield from _judge_lease(case, licence, usage)
        elif usage.claims.licence_id is not None:
            what = f"ran under licence {usage.claims.licence_id}, which this log does not hold"
            yield by_commitment(usage, "licence-unknown", "licence-not-shown", what)


def conclude_authority(case: Case, tally: Tally) -> Iterator[Problem]:
    """Yield what is missing altogether: anything to judge, or the chips of a licence."""
    if case.period_ms is None or not tally.reporting:
        detail = "the bundle holds no report, or no licence of which any time is due"
        yield Problem(reason="nothing-to-judge", detail=detail)
    for licence in case.record.licences.values():
        if len(case.list_members(licence)) != licence.device_count:
            detail = f"the {licence.device_count} chips of licence {licence.licence_id} are not in the bundle"
            yield Problem(reason="device-set-missing", detail=detail)


def by_commitment(usage: Usage, committed: str, otherwise: str, what: str) -> Found:
    """Return a problem whose reason depends on whether a batch of the log commits to the report."""
    if usage.batch_leaf is None:
        return about(usage, otherwise, what)
    return Undecided(
        batch_leaf=usage.batch_leaf,
        committed=about(usage, committed, what),
        otherwise=about(usage, otherwise, what),
    )


def _judge_licensed_report(case: Case, licence: Licence, usage: Usage) -> Iterator[Problem]:
    claims, members = usage.claims, case.members.get(licence.device_set_root)
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


def _judge_lease(case: Case, licence: Licence, usage: Usage) -> Iterator[Found]:
    """The interval lies in one lease, which the log holds: consent to the run was kept (VN-12.5)."""
    claims, licence_id = usage.claims, licence.licence_id
    number = usage.lease_number
    if number is None:
        return  # outside the window of the licence, which is said already
    if find_number_at(licence, claims.window_end_ms - 1) != number:
        yield about(usage, "outside-lease", f"does not lie in one lease of licence {licence_id}")
    elif (licence_id, number) not in case.record.lease_leaves:
        what = f"ran in lease {number} of licence {licence_id}, which is not in this log"
        yield by_commitment(usage, "outside-lease", "lease-not-shown", what)
