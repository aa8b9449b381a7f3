"""Steps 14 and 17: what chips, licences and owners used, against what they may."""

from __future__ import annotations

from collections.abc import Iterator

from vetonet.compliance.case import Case, Tally, sum_use
from vetonet.compliance.evidence import Chain
from vetonet.compliance.result import LicenceUse
from vetonet.errors import Problem
from vetonet.policy.band import BandRule


def judge_budget(case: Case, chain: Chain) -> Iterator[Problem]:
    """Step 14: no licence, no chip of it and no lease of that was used for more than was allowed."""
    use, ueid = sum_use(case, chain), chain.device.ueid
    for licence_id, flop in use.by_licence.items():
        over = flop - case.record.licences[licence_id].per_device_flop
        if over > 0:
            detail = f"chip {ueid.hex()[:16]} used {over} FLOP more than its share"
            yield Problem(reason="device-budget-exceeded", detail=detail, culprit=ueid.hex())
    for (licence_id, number), flop in use.by_lease.items():
        over = flop - case.record.licences[licence_id].lease_flop
        if over > 0:
            detail = f"chip {ueid.hex()[:16]} used {over} FLOP more than lease {number} allows"
            yield Problem(reason="lease-exceeded", detail=detail, culprit=ueid.hex())


def conclude_budget(case: Case, tally: Tally) -> Iterator[Problem]:
    """Yield the licences that all their chips together used for more than was allowed."""
    for licence_id, flop in sorted(tally.used.items()):
        licence = case.record.licences[licence_id]
        if flop > licence.total_flop:
            over = flop - licence.total_flop
            detail = f"licence {licence_id} allows {licence.total_flop} FLOP, {over} more were used"
            yield Problem(reason="budget-exceeded", detail=detail)


def compute_licence_uses(case: Case, tally: Tally) -> tuple[LicenceUse, ...]:
    """Return each licence of the log with what its reports account for, by rising id."""
    return tuple(
        LicenceUse(licence=licence, used_flop=tally.used.get(licence_id, 0))
        for licence_id, licence in sorted(case.record.licences.items())
    )


def judge_aggregation(case: Case, tally: Tally) -> Iterator[Problem]:
    """Step 17: what each owner ran without a licence stays, all together, below the first licensed band.

    Bands of licensed runs count their linked runs when the ledger is read (VN-5.4).
    """
    floors = [
        band.floor_flop for band in case.record.treaty.statement.bands if band.rule is not BandRule.FREE
    ]
    for owner, flop in sorted(tally.unlicensed.items()):
        if floors and flop and flop >= floors[0]:
            detail = f"{owner} ran {flop} FLOP without a licence; from {floors[0]} on one is needed"
            yield Problem(reason="unlicensed-total", detail=detail, culprit=owner)
