"""The charter of a council in which some members take others' places; everything else stays (VN-16.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Party, Terms, Treaty


def replace_members(present: Treaty, newcomers: Mapping[str, Party]) -> Terms:
    """Return the charter of the next epoch: each newcomer has every seat of the member whose place it takes.

    The witness of a member that leaves goes on as nobody's: it is one of those that the log began with
    (VN-16.2). An operator of a member that leaves is nobody's either.

    Args:
        present: the treaty in force.
        newcomers: who takes whose place, by the id of the member that leaves.

    Raises:
        ValueError: nobody comes, a member is none, or a newcomer has a name or key that is taken.
    """
    roster = [party.party_id for party in present.parties]
    strangers = sorted(set(newcomers) - set(roster))
    if strangers or not newcomers:
        raise ValueError(f"expected members of the council whose place is taken, got {strangers or 'none'}")
    names = {leaver: party.party_id for leaver, party in newcomers.items()}
    taken = sorted(set(names.values()) & set(roster))
    if taken:
        raise ValueError(f"{taken[0]} is a member already")
    terms = present.to_terms()
    return replace(
        terms,
        epoch=terms.epoch + 1,
        parties=tuple(newcomers.get(party.party_id, party) for party in terms.parties),
        actions=tuple(replace(rule, quorum=_rename_quorum(rule.quorum, names)) for rule in terms.actions),
        operators=tuple(
            replace(operator, party_id=None) if operator.party_id in names else operator
            for operator in terms.operators
        ),
        witnesses=tuple(
            replace(witness, party_id=None) if witness.party_id in names else witness
            for witness in terms.witnesses
        ),
    )


def plan_next_epoch(present: Treaty) -> Terms:
    """Return the charter of a refresh: only the epoch is new, so every group is dealt anew (VN-15.8)."""
    return replace(present.to_terms(), epoch=present.epoch + 1)


def _rename_quorum(quorum: Quorum, names: Mapping[str, str]) -> Quorum:
    return replace(
        quorum,
        expression=_rename(quorum.expression, names),
        veto_holders=_rename_all(quorum.veto_holders, names),
    )


def _rename(expression: Expression, names: Mapping[str, str]) -> Expression:
    match expression:
        case Threshold():
            return replace(expression, electorate=_rename_all(expression.electorate, names))
        case AllOf():
            return AllOf(parts=tuple(_rename(part, names) for part in expression.parts))
        case AnyOf():
            return AnyOf(parts=tuple(_rename(part, names) for part in expression.parts))


def _rename_all(party_ids: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(party_id, party_id) for party_id in party_ids)
