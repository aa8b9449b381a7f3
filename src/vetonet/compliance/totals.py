"""Steps 14 and 17: what chips, licences and owners used, against what they may."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from vetonet.compliance.case import Case, ChipUse, Tally
from vetonet.compliance.evidence import Chain
from vetonet.compliance.result import LicenceUse
from vetonet.errors import Problem
from vetonet.units import Flop


def judge_budget(case: Case, chain: Chain, use: ChipUse) -> Iterator[Problem]:
    """Step 14: no licence, no chip of it and no lease of that was used for more than was allowed."""
    ueid = chain.device.ueid
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


def compute_licence_uses(case: Case, tally: Tally, hidden: AbstractSet[int]) -> tuple[LicenceUse, ...]:
    """Return each licence of the log with what its reports account for, by rising id.

    Args:
        case: whose licences.
        tally: what was counted.
        hidden: the licences of which some use is hidden, so that nobody can say how much it was.
    """
    is_hidden = case.record.treaty.statement.is_confidential
    return tuple(
        LicenceUse(
            licence=licence,
            used_flop=None if is_hidden or licence_id in hidden else tally.used.get(licence_id, 0),
        )
        for licence_id, licence in sorted(case.record.licences.items())
    )


def judge_aggregation(case: Case, tally: Tally) -> Iterator[Problem]:
    """Step 17: work without a licence stays below the first licensed band, also added up over shells.

    Bands of licensed runs count their linked runs when the ledger is read (VN-5.4).
    """
    floor = case.licensed_floor_flop
    if floor is None:
        return
    for operator_id, flop in sorted(tally.unlicensed.items()):
        if flop and flop >= floor:
            detail = f"{operator_id} ran {flop} FLOP without a licence; from {floor} on one is needed"
            yield Problem(reason="unlicensed-total", detail=detail, culprit=operator_id)
    for owner, pools in sorted(_group_pools(case, tally).items()):
        flop = sum(pools.values())
        if len(pools) > 1 and flop >= floor:
            names = ", ".join(sorted(pools))
            detail = (
                f"{owner}, who stands behind {names}, ran {flop} FLOP without a licence; from {floor} on "
                "one is needed"
            )
            yield Problem(reason="owner-total", detail=detail, culprit=owner)


def _group_pools(case: Case, tally: Tally) -> Mapping[str, Mapping[str, Flop]]:
    """Return the pools that are not empty, by who stands behind their operators."""
    pools: dict[str, dict[str, Flop]] = defaultdict(dict)
    operators = case.operators
    for operator_id, flop in tally.unlicensed.items():
        if flop:
            owner = operators[operator_id].owner if operator_id in operators else operator_id
            pools[owner][operator_id] = flop
    return pools
