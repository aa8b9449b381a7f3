"""Steps 14 and 17: what chips, licences and owners used, against what they may."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
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
            yield _tell_pool(case, operator_id, flop, floor)
    for owner, operator_ids in _list_shells(case, tally):
        flop = sum(tally.unlicensed[operator_id] for operator_id in operator_ids)
        if flop >= floor:
            yield _tell_owner(case, owner, operator_ids, flop, floor)


def _tell_pool(case: Case, operator_id: str, flop: Flop, floor: Flop) -> Problem:
    """Say that a pool reaches the band; what an earlier treaty allowed is no violation."""
    reason = "unlicensed-total" if _is_above_all(case, flop) else "pool-unproven"
    detail = f"{operator_id} ran {flop} FLOP without a licence; from {floor} on one is needed"
    return Problem(reason=reason, detail=detail, culprit=operator_id)


def _tell_owner(case: Case, owner: str, operator_ids: Sequence[str], flop: Flop, floor: Flop) -> Problem:
    """Say that pools reach the band together; it is a violation where the owner always stood behind them."""
    is_certain = _is_above_all(case, flop) and case.is_always_behind(owner, operator_ids)
    who = f"{owner}, who stands behind {', '.join(operator_ids)},"
    detail = f"{who} ran {flop} FLOP without a licence; from {floor} on one is needed"
    reason = "owner-total" if is_certain else "owner-pool-unproven"
    return Problem(reason=reason, detail=detail, culprit=owner)


def _is_above_all(case: Case, flop: Flop) -> bool:
    highest = case.highest_floor_flop
    return highest is not None and flop >= highest


def _list_shells(case: Case, tally: Tally) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Return who stands behind several operators with pools, by the newest treaty or by one before it."""
    newest = {name: operator.owner for name, operator in case.operators.items()}
    found = set[tuple[str, tuple[str, ...]]]()
    for treaty in case.record.treaties:
        owners = newest | {operator.operator_id: operator.owner for operator in treaty.statement.operators}
        behind: dict[str, list[str]] = defaultdict(list)
        for operator_id in sorted(name for name, flop in tally.unlicensed.items() if flop):
            behind[owners.get(operator_id, operator_id)].append(operator_id)
        found |= {(owner, tuple(names)) for owner, names in behind.items() if len(names) > 1}
    return sorted(found)
