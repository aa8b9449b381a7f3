"""From one treaty to the next: what a decision may change, and what stays (VN-16).

Two classes of action change a treaty. A change of the roster leaves the rules as they are, and the key of
every group, so that chips go on as before; an amendment of the rules leaves the roster and the groups. A
refresh of key shares is a change of the roster in which nobody leaves.

Resharing cannot take an old share back: a threshold of old shares that were never erased still is the key.
That parties erase them is an assumption; its bound is enforced here, over all epochs of a key (VN-16.6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from vetonet.crypto import frost
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Group, Treaty

_LOG: Final = ("log_origin", "log_key", "witness_quorum", "max_colluding")
_RULES: Final = (
    "name",
    "bands",
    "window_ms",
    "signing_ms",
    "report_interval_ms",
    "report_grace_ms",
    "endorsers",
    "lease_ms",
    "suspension_ms",
    "refresh_ms",
    "totals",
)
"""What a change of the roster leaves as it is, besides the rules inside the quorums."""

_SHOWN_CHARACTERS: Final = 60


def verify_succession(history: Sequence[Treaty], successor: Treaty, action: ActionClass) -> None:
    """Hold that a decision of this class may put the successor in the place of the present treaty.

    That the decision was taken, and that all parties of the successor signed it, others verify.

    Args:
        history: every treaty so far, the present one last.
        successor: what is to follow it.
        action: the class of action that was decided.

    Raises:
        RefusedError: it may not; the clause says by which rule of VN-16.
        ValueError: there is no treaty to follow.
    """
    if not history:
        raise ValueError("a treaty that follows none is founded, not changed")
    present = history[-1]
    if successor.epoch != present.epoch + 1:
        raise _refuse("VN-16.1", "epoch", present.epoch + 1, successor.epoch)
    _verify_log(present, successor)
    match action:
        case ActionClass.ROSTER_CHANGE:
            _verify_rules_stay(present, successor)
            _verify_keys_stay(present, successor)
        case ActionClass.AMEND_RULES:
            _verify_roster_stays(present, successor)
        case _:
            raise _refuse("VN-16.1", "action", "roster-change or amend-rules", action.value)
    for treaty in history:
        _verify_bound(treaty, successor)


def _verify_log(present: Treaty, successor: Treaty) -> None:
    """The log, who vouches for it, and how many must, stay: else nobody could compare two checkpoints."""
    for name in _LOG:
        _require_same("VN-16.2", name, getattr(present, name), getattr(successor, name))
    before, after = (
        [(witness.name, witness.key) for witness in treaty.witnesses] for treaty in (present, successor)
    )
    names = [name for name, _ in before], [name for name, _ in after]
    _require_same("VN-16.2", "witnesses", *names)
    for (name, key), (_, other) in zip(before, after, strict=True):
        _require_same("VN-16.2", f"key of witness {name}", key, other)
    roster = {party.party_id for party in successor.parties}
    for old, new in zip(present.witnesses, successor.witnesses, strict=True):
        if old.party_id is not None and old.party_id not in roster:
            _require_same("VN-16.2", f"party of witness {old.name}, whose party left", None, new.party_id)


def _verify_rules_stay(present: Treaty, successor: Treaty) -> None:
    """A change of the roster moves people, not rules."""
    for name in _RULES:
        _require_same("VN-16.3", name, getattr(present, name), getattr(successor, name))
    before, after = (
        [
            (operator.operator_id, operator.key.key_id.hex(), operator.beneficial_owner)
            for operator in treaty.operators
        ]
        for treaty in (present, successor)
    )
    _require_same("VN-16.3", "operators", before, after)
    classes = [[rule.action.value for rule in treaty.actions] for treaty in (present, successor)]
    _require_same("VN-16.3", "classes of action", *classes)
    staying = {party.party_id for party in present.parties} & {party.party_id for party in successor.parties}
    for old, new in zip(present.actions, successor.actions, strict=True):
        _verify_quorum_stays(old.action, old.quorum, new.quorum, staying)


def _verify_quorum_stays(action: ActionClass, old: Quorum, new: Quorum, staying: set[str]) -> None:
    """Who decides may change, and how many; how they decide, and who of those that stay may veto, may not."""
    _require_same("VN-16.3", f"share of vetoes in {action}", old.veto_share, new.veto_share)
    _require_same("VN-16.3", f"recusal in {action}", old.recusal, new.recusal)
    holders = [sorted(staying.intersection(quorum.veto_holders)) for quorum in (old, new)]
    _require_same("VN-16.3", f"veto holders in {action} among those that stay", *holders)
    shapes = [_draw_shape(quorum.expression) for quorum in (old, new)]
    _require_same("VN-16.3", f"form of the quorum in {action}", *shapes)


def _draw_shape(expression: Expression) -> str:
    """Return an expression without its people and numbers."""
    match expression:
        case Threshold():
            return "minority" if expression.minority else "threshold"
        case AllOf():
            return f"all({', '.join(map(_draw_shape, expression.parts))})"
        case AnyOf():
            return f"any({', '.join(map(_draw_shape, expression.parts))})"


def _verify_keys_stay(present: Treaty, successor: Treaty) -> None:
    """Each class of action has the groups that it had, in order, under their old keys (VN-16.4)."""
    before, after = _index_by_leaf(present), _index_by_leaf(successor)
    for old, new in zip(present.actions, successor.actions, strict=True):
        groups = [before[leaf] for leaf in old.quorum.leaves], [after[leaf] for leaf in new.quorum.leaves]
        _require_same("VN-16.4", f"number of groups in {old.action}", *map(len, groups))
        for was, now in zip(*groups, strict=True):
            keys = (was.key.key_id.hex(), now.key.key_id.hex())
            _require_same("VN-16.4", f"key of group {was.index} in {old.action}", *keys)


def _verify_roster_stays(present: Treaty, successor: Treaty) -> None:
    """An amendment moves rules, not people: each threshold it uses has the group that it had (VN-16.5)."""
    _require_same("VN-16.5", "roster", present.parties, successor.parties)
    before = {group.leaf: group.package for group in present.all_groups}
    for group in successor.all_groups:
        known = before.get(group.leaf)
        if known is None:
            came = f"{group.leaf.min_grants} of {', '.join(group.leaf.seats)}"
            raise _refuse("VN-16.5", f"group {group.index}", "a threshold that has a group", came)
        digests = (_compute_digest(known), _compute_digest(group.package))
        _require_same("VN-16.5", f"public values of group {group.index}", *digests)


def _verify_bound(past: Treaty, successor: Treaty) -> None:
    """Fewer seats of a past epoch have left a group than could sign for it (VN-16.6)."""
    for group in successor.all_groups:
        for old in past.all_groups:
            if old.key == group.key:
                _verify_leavers(past.epoch, old, group)


def _verify_leavers(epoch: int, old: Group, group: Group) -> None:
    staying = set(group.leaf.seats)
    left = [party_id for party_id in old.leaf.seats if party_id not in staying]
    bound = old.package.min_signers
    if len(left) >= bound:
        names = ", ".join(dict.fromkeys(left))
        raise RefusedError(
            f"group {group.index}: expected fewer than {bound} seats of epoch {epoch} to have left, got "
            f"{len(left)} ({names}): as many old shares are the key, unless they were erased; it takes a new "
            "key",
            clause="VN-16.6",
        )


def _index_by_leaf(treaty: Treaty) -> Mapping[Threshold, Group]:
    return {group.leaf: group for group in treaty.all_groups}


def _compute_digest(package: frost.PublicKeyPackage) -> str:
    return hashlib.sha256(package.to_bytes()).hexdigest()


def _require_same(clause: str, what: str, before: object, after: object) -> None:
    if before != after:
        raise _refuse(clause, what, before, after)


def _refuse(clause: str, what: str, expected: object, came: object) -> RefusedError:
    shown = [str(value).replace("\n", " ")[:_SHOWN_CHARACTERS] for value in (expected, came)]
    return RefusedError(f"{what}: expected {shown[0]}, got {shown[1]}", clause=clause)
