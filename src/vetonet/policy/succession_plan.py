"""How the groups of one treaty become those of the next: each is kept as it is, or dealt to other seats.

Every party derives the same plans from the treaty in force and the charter of the next, so nobody takes part
in a handover that somebody else wrote (VN-15.8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, compute_digest
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.expression import Threshold
from vetonet.policy.founding import MAX_ATTEMPT, Position
from vetonet.policy.handover_plan import choose_dealers, plan_resharing
from vetonet.policy.succession import verify_succession
from vetonet.policy.treaty import Group, Party, Terms, Treaty

GroupPlan: TypeAlias = CeremonyPlan | frost.PublicKeyPackage
"""The ceremony that hands a group over, or the group itself where its seats stay."""

_CONTEXT: Final = b"vetonet-succession-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """What the parties of two treaties are about to do.

    Attributes:
        history: every treaty so far, the one in force last.
        terms: the charter of the next.
        attempt: which of the council's attempts it is, from 1.
        position: by which all see that they are about to do the same.
        plans: what becomes of each group of the next treaty, in its order.
        sources: the index that each of those groups has in the treaty in force.
    """

    history: tuple[Signed[Treaty], ...]
    terms: Terms
    attempt: int
    position: Position
    plans: tuple[GroupPlan, ...]
    sources: tuple[int, ...]

    @property
    def present(self) -> Signed[Treaty]:
        """The treaty in force."""
        return self.history[-1]

    @property
    def parties(self) -> tuple[Party, ...]:
        """Who takes part: the members of the next treaty, and who deals and leaves."""
        known = {party.party_id: party for party in self.terms.parties}
        for plan in self.plans:
            if isinstance(plan, CeremonyPlan):
                known |= {party.party_id: party for party in plan.parties if party.party_id not in known}
        return tuple(known.values())

    def verify(self, successor: Treaty) -> None:
        """Hold that what came of it may follow the treaty in force.

        Raises:
            RefusedError: it may not (VN-16).
        """
        history = [treaty.statement for treaty in self.history]
        verify_succession(history, successor, ActionClass.ROSTER_CHANGE)


def plan_succession(
    history: Sequence[Signed[Treaty]],
    terms: Terms,
    attempt: int,
    *,
    without: AbstractSet[str] = frozenset(),
) -> Succession:
    """Return what there is to do for a change of the roster; where no seats change, it is a refresh of all.

    Members that leave deal only where the others are too few: they decide by their ballots, and can hold up
    nothing else.

    Args:
        history: every treaty so far, the one in force last.
        terms: the charter of the next.
        attempt: rises with every attempt at the same; none is used twice.
        without: members that do not deal, as they were silent or cheated in an earlier attempt.

    Raises:
        RefusedError: the charter does not follow the treaty in force, or too few are left that deal.
        ValueError: no such attempt, or no treaty.
    """
    if not history or not 1 <= attempt <= MAX_ATTEMPT:
        raise ValueError(f"expected a treaty in force and an attempt from 1 to {MAX_ATTEMPT}, got {attempt}")
    present = history[-1]
    if terms.epoch != present.statement.epoch + 1:
        expected = present.statement.epoch + 1
        raise RefusedError(f"epoch: expected {expected}, got {terms.epoch}", clause="VN-16.1")
    sources = _find_sources(present.statement, terms)
    return Succession(
        history=tuple(history),
        terms=terms,
        attempt=attempt,
        position=_find_position(present, terms, attempt, without),
        plans=_plan_groups(present, terms, sources, attempt, without),
        sources=tuple(sources[leaf].index for leaf in terms.leaves),
    )


def _plan_groups(
    present: Signed[Treaty],
    terms: Terms,
    sources: Mapping[Threshold, Group],
    attempt: int,
    without: AbstractSet[str],
) -> tuple[GroupPlan, ...]:
    is_refresh = all(sources[leaf].leaf == leaf for leaf in terms.leaves)
    leavers = {p.party_id for p in present.statement.parties} - {p.party_id for p in terms.parties}
    return tuple(
        source.package
        if not is_refresh and leaf == source.leaf and index == source.index
        else plan_resharing(
            present,
            source.index,
            leaf=leaf,
            parties=terms.parties,
            dealers=_choose_dealers(source, leavers, without),
            attempt=attempt,
        )
        for index, leaf in enumerate(terms.leaves)
        for source in (sources[leaf],)
    )


def _find_position(
    present: Signed[Treaty], terms: Terms, attempt: int, without: AbstractSet[str]
) -> Position:
    """Return what is equal for all that go from the same treaty to the same charter by the same dealers."""
    left_out = b"".join(hashlib.sha256(name.encode()).digest() for name in sorted(without))
    parts = (_CONTEXT, present.payload_digest, compute_digest(terms), attempt.to_bytes(4, "big"), left_out)
    return Position(charter=hashlib.sha256(b"".join(parts)).digest(), attempt=attempt)


def _find_sources(present: Treaty, terms: Terms) -> dict[Threshold, Group]:
    """Return the group whose key each threshold of the next treaty takes over (VN-16.4)."""
    groups = {group.leaf: group for group in present.all_groups}
    sources: dict[Threshold, Group] = {}
    classes = [[rule.action for rule in one.actions] for one in (present, terms)]
    if classes[0] != classes[1]:
        raise RefusedError("classes of action: expected those of the treaty in force", clause="VN-16.3")
    for old, new in zip(present.actions, terms.actions, strict=True):
        if len(old.quorum.leaves) != len(new.quorum.leaves):
            raise RefusedError(f"number of groups in {old.action}: expected as before", clause="VN-16.4")
        for was, now in zip(old.quorum.leaves, new.quorum.leaves, strict=True):
            group = groups[was]
            if sources.setdefault(now, group) is not group:
                raise RefusedError("one threshold cannot take over the keys of two groups", clause="VN-16.4")
    return sources


def _choose_dealers(source: Group, leavers: AbstractSet[str], without: AbstractSet[str]) -> tuple[int, ...]:
    try:
        return choose_dealers(source, without=leavers | without)
    except RefusedError:
        return choose_dealers(source, without=without)
