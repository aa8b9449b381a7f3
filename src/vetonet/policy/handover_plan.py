"""Plans of handovers as a treaty gives them: each party derives the same plan, and takes nobody's word.

A plan that somebody else wrote could name another group, or seats of strangers. One that is derived from the
present treaty and the decision cannot, so a party takes part only in a ceremony whose plan it derived itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.statement import Signed
from vetonet.encoding.record import DIGEST, Record, member, uint
from vetonet.errors import RefusedError, UnknownPartyError
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.expression import Threshold
from vetonet.policy.handover import CeremonyKind, Handover
from vetonet.policy.treaty import MAX_GROUPS, Group, Party, Treaty

_MAX_EPOCH: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyContext(Record):
    """The name of one attempt, and of the shares that come of it: its bytes are a plan's context (VN-15.1).

    Attributes:
        treaty_digest: of the treaty whose group is handed over.
        group: the group's index there.
        epoch: in which the shares will count; that of the treaty itself in a repair.
        attempt: rises with every attempt at the same; none is used twice.
    """

    treaty_digest: bytes = member(1, DIGEST)
    group: int = member(2, uint(MAX_GROUPS))
    epoch: int = member(3, uint(_MAX_EPOCH))
    attempt: int = member(4, uint(_MAX_EPOCH))


def choose_dealers(group: Group, *, without: AbstractSet[str] = frozenset()) -> tuple[int, ...]:
    """Return the first seats of a group that are enough to hand it over; more would gain nothing.

    Args:
        group: of the present treaty.
        without: parties that do not deal: those that cheated or were silent in earlier attempts (VN-15.5),
            and in a repair whoever lost its share.

    Raises:
        RefusedError: too few seats are left (VN-15.8).
    """
    willing = [number for number, owner in enumerate(group.leaf.seats, start=1) if owner not in without]
    needed = group.package.min_signers
    if len(willing) < needed:
        msg = f"group {group.index}: expected at least {needed} seats that deal, got {len(willing)}"
        raise RefusedError(msg, clause="VN-15.8")
    return tuple(willing[:needed])


def plan_resharing(
    present: Signed[Treaty],
    group: int,
    *,
    leaf: Threshold,
    parties: Sequence[Party],
    dealers: Iterable[int],
    attempt: int,
) -> CeremonyPlan:
    """Return the plan by which a group's key goes to the seats of another threshold.

    Args:
        present: the treaty whose group it is.
        group: its index there.
        leaf: the threshold that it shall stand for in the next treaty.
        parties: the roster of the next treaty.
        dealers: the seats that deal.
        attempt: the first is 1.

    Raises:
        UnknownPartyError: there is no such group, or a seat is that of nobody on either roster.
        ValueError: the dealers cannot hand the key over.
    """
    old = _find_group(present.statement, group)
    handover = _hand_over(CeremonyKind.RESHARING, old, dealers)
    return CeremonyPlan(
        context=_name(present, group, present.statement.epoch + 1, attempt),
        min_signers=leaf.min_grants,
        seats=leaf.seats,
        parties=_list_parties((*handover.owners, *leaf.seats), parties, present.statement.parties),
        handover=handover,
    )


def plan_refresh(
    present: Signed[Treaty], group: int, *, dealers: Iterable[int], attempt: int
) -> CeremonyPlan:
    """Return the plan by which a group's seats get new shares of the same key.

    Raises:
        UnknownPartyError: there is no such group.
        ValueError: the dealers cannot hand the key over.
    """
    old = _find_group(present.statement, group)
    return CeremonyPlan(
        context=_name(present, group, present.statement.epoch + 1, attempt),
        min_signers=old.leaf.min_grants,
        seats=old.leaf.seats,
        parties=_list_parties(old.leaf.seats, present.statement.parties),
        handover=_hand_over(CeremonyKind.REFRESH, old, dealers),
    )


def plan_repair(
    present: Signed[Treaty], group: int, *, lost: int, helpers: Iterable[int], attempt: int
) -> CeremonyPlan:
    """Return the plan by which helpers give one seat its share back.

    Raises:
        UnknownPartyError: there is no such group.
        ValueError: there is no such seat, or the helpers cannot repair its share.
    """
    old = _find_group(present.statement, group)
    handover = _hand_over(CeremonyKind.REPAIR, old, helpers, lost)
    return CeremonyPlan(
        context=_name(present, group, present.statement.epoch, attempt),
        min_signers=old.leaf.min_grants,
        seats=old.leaf.seats,
        parties=_list_parties((*handover.owners, old.find_owner(lost)), present.statement.parties),
        handover=handover,
    )


def _hand_over(kind: CeremonyKind, old: Group, dealers: Iterable[int], lost: int | None = None) -> Handover:
    return Handover(kind=kind, package=old.package, seats=old.leaf.seats, dealers=tuple(dealers), lost=lost)


def _name(present: Signed[Treaty], group: int, epoch: int, attempt: int) -> bytes:
    digest = present.payload_digest
    return CeremonyContext(treaty_digest=digest, group=group, epoch=epoch, attempt=attempt).to_bytes()


def _find_group(treaty: Treaty, index: int) -> Group:
    if not 0 <= index < len(treaty.groups):
        raise UnknownPartyError(f"no group {index} in a treaty of {len(treaty.groups)}")
    return treaty.all_groups[index]


def _list_parties(needed: Iterable[str], *rosters: Sequence[Party]) -> tuple[Party, ...]:
    """Return the parties of these names, sorted, each with the key that the first roster has for it."""
    known = {party.party_id: party for roster in reversed(rosters) for party in roster}
    names = sorted(set(needed))
    strangers = [name for name in names if name not in known]
    if strangers:
        msg = f"{strangers[0]!r} has a seat and is on neither roster"
        raise UnknownPartyError(msg, culprit=strangers[0])
    return tuple(known[name] for name in names)
