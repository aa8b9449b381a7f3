"""Who must grant, as a treaty's file says it: groups of names, thresholds, vetoes by rule and by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from vetonet.party.toml_lines import TomlPath
from vetonet.party.toml_reading import Document, spell_path, spell_value, suggest
from vetonet.policy.action import IMPOSSIBLE, ActionClass
from vetonet.policy.expression import MAX_DEPTH, MAX_PARTIES, MAX_WEIGHT, AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Denominator, Quorum, Recusal, VetoShare

EVERYBODY: Final = "parties"
"""The group that every treaty has."""

_ACTION_KEYS: Final = ("quorum", "veto", "key-veto", "veto-share", "min-ballots", "recusal")
_BRANCHES: Final[Mapping[str, type[AllOf | AnyOf]]] = {"all-of": AllOf, "any-of": AnyOf}
_KINDS: Final = ("threshold", *_BRANCHES)
_SHARE: Final = re.compile(r"(\d{1,3})/(\d{1,3})", re.ASCII)

Names: TypeAlias = tuple[str, ...]
Weights: TypeAlias = tuple[int, ...]
T = TypeVar("T")


class QuorumReading:
    """Reads the quorums of one document; what it cannot read, it notes there and returns as None."""

    __slots__ = ("_document", "_groups", "_roster")

    def __init__(self, document: Document, roster: Names | None) -> None:
        self._document = document
        self._roster = roster
        self._groups: dict[str, Names | None] = {EVERYBODY: roster}

    def read_groups(self, table: Mapping[str, Any]) -> None:
        """Take the groups of names that the quorums may mention."""
        if len(table) > MAX_PARTIES:
            self._document.refuse(("groups",), f"expected at most {MAX_PARTIES} groups, got {len(table)}")
            return
        for key, value in table.items():
            path = ("groups", key)
            if key == EVERYBODY:
                self._document.refuse(path, f"expected another name: the group {key!r} is the whole roster")
            elif not isinstance(value, list):
                self._document.require_kind(value, path, list)
                self._groups[key] = None
            else:
                self._groups[key] = self._read_members(value, path)

    def read_actions(self, tables: Mapping[str, Any]) -> dict[ActionClass, Quorum]:
        """Return who decides what, in the order of the classes; what could not be read is left out."""
        known = {action.value: action for action in ActionClass}
        self._document.require_known(tables, ("action",), [k for k in known if known[k] not in IMPOSSIBLE])
        quorums, references = dict[str, Quorum | None](), dict[str, str]()
        for key in (name for name in tables if name in known and known[name] not in IMPOSSIBLE):
            path = ("action", key)
            table = self._document.require_kind(tables[key], path, dict)
            if table is not None and "same-as" in table:
                references[key] = self._read_reference(table, path, tables)
            else:
                quorums[key] = None if table is None else self._read_quorum(table, path)
        found = quorums | {key: quorums.get(target) for key, target in references.items()}
        return {action: quorum for key, action in known.items() if (quorum := found.get(key)) is not None}

    def _read_reference(self, table: Mapping[str, Any], path: TomlPath, tables: Mapping[str, Any]) -> str:
        """Return the action whose quorum this one shares; only one that has a quorum itself will do."""
        self._document.require_known(table, path, ("same-as",))
        target = self._document.take(table, path, "same-as", str)
        able = [k for k, value in tables.items() if isinstance(value, dict) and "same-as" not in value]
        if target is not None and target not in able:
            hint = suggest(target, able) if able else "none has"
            reason = f"expected an action with a quorum of its own, got {spell_value(target)}; {hint}"
            self._document.refuse((*path, "same-as"), reason)
        return target or ""

    def _read_quorum(self, table: Mapping[str, Any], path: TomlPath) -> Quorum | None:
        document = self._document
        count = len(document.mistakes)
        document.require_known(table, path, (*_ACTION_KEYS, "same-as"))
        inner = document.take(table, path, "quorum", dict)
        expression = None if inner is None else self._read_expression(inner, (*path, "quorum"))
        keyed = self._read_optional_members(table, path, "key-veto")
        holders = self._read_optional_members(table, path, "veto")
        share = document.take_optional(table, path, "veto-share", dict)
        read_share = None if share is None else self._read_share(share, (*path, "veto-share"))
        ballots = document.take_optional(table, path, "min-ballots", int) or 0
        recusal = self._read_word(table, path, "recusal", Recusal) if "recusal" in table else Recusal.GRANTS
        if ballots < 0:
            document.refuse((*path, "min-ballots"), f"expected 0 ballots or more, got {ballots}")
        if expression is None or recusal is None or len(document.mistakes) > count:
            return None
        return self._build(
            path,
            lambda: Quorum(
                expression=add_key_vetoes(expression, keyed),
                veto_holders=holders,
                veto_share=read_share,
                min_ballots=ballots,
                recusal=recusal,
            ),
        )

    def _read_optional_members(self, table: Mapping[str, Any], path: TomlPath, key: str) -> Names:
        return (self._read_members(table[key], (*path, key)) or ()) if key in table else ()

    def _read_members(self, value: object, path: TomlPath) -> Names | None:
        """Return the names of an array, or of the group that a text names."""
        if isinstance(value, str):
            if value not in self._groups:
                near = f"one party is [{spell_value(value)}]" if value in (self._roster or ()) else ""
                near = near or suggest(value, list(self._groups))
                self._document.refuse(path, f"expected the name of a group, got {spell_value(value)}; {near}")
            return self._groups.get(value)
        if not isinstance(value, list):
            expected = "names in brackets, or the name of a group"
            self._document.refuse(
                path, f"expected {expected} as {spell_path(path)}, got {spell_value(value)}"
            )
            return None
        names = self._document.read_list(value, path, str)
        return None if names is None else self._require_roster(names, lambda index: (*path, index), path)

    def _require_roster(
        self, names: Names, locate_name: Callable[[int], TomlPath], path: TomlPath
    ) -> Names | None:
        """Return names that are all on the roster, each once; None where some are not, or none came."""
        count, seen = len(self._document.mistakes), set[str]()
        if not names:
            self._document.refuse(path, f"expected at least one party in {spell_path(path)}, got none")
        for index, name in enumerate(names):
            if self._roster is not None and name not in self._roster:
                hint = suggest(name, self._roster)
                reason = f"expected a party of the roster, got {spell_value(name)}; {hint}"
                self._document.refuse(locate_name(index), reason)
            elif name in seen:
                reason = f"expected each party once, got {spell_value(name)} once more"
                self._document.refuse(locate_name(index), reason)
            seen.add(name)
        return names if len(self._document.mistakes) == count else None

    def _read_expression(self, table: Mapping[str, Any], path: TomlPath, depth: int = 1) -> Expression | None:
        if depth > MAX_DEPTH:
            self._document.refuse(path, f"expected thresholds nested at most {MAX_DEPTH} deep")
            return None
        kinds = [kind for kind in _KINDS if kind in table]
        if len(kinds) != 1:
            got = " and ".join(kinds) or ", ".join(map(spell_value, table)) or "an empty table"
            expected = f"expected one of threshold, all-of and any-of in {spell_path(path)}"
            self._document.refuse(path, f"{expected}, got {got}")
            return None
        if kinds[0] == "threshold":
            return self._read_threshold(table, path)
        return self._read_branch(table, path, kinds[0], depth)

    def _read_branch(
        self, table: Mapping[str, Any], path: TomlPath, kind: str, depth: int
    ) -> Expression | None:
        self._document.require_known(table, path, (kind,))
        inner = (*path, kind)
        parts = self._document.read_list(table[kind], inner, dict)
        if parts is None:
            return None
        read = [self._read_expression(part, (*inner, i), depth + 1) for i, part in enumerate(parts)]
        whole = tuple(part for part in read if part is not None)
        if len(whole) < len(read):
            return None
        return self._build(inner, lambda: _BRANCHES[kind](parts=whole))

    def _read_threshold(self, table: Mapping[str, Any], path: TomlPath) -> Expression | None:
        document = self._document
        document.require_known(table, path, ("threshold", "of", "weights", "minority"))
        min_grants = document.take(table, path, "threshold", int)
        is_minority = document.take_optional(table, path, "minority", bool) or False
        if ("of" in table) == ("weights" in table):
            got = "both" if "of" in table else "neither"
            reason = f"expected either of (who counts) or weights (who counts how much), got {got}"
            document.refuse(path, f"{reason} in {spell_path(path)}")
            return None
        weights: Weights = ()
        if "of" in table:
            electorate = self._read_members(table["of"], (*path, "of"))
        else:
            electorate, weights = self._read_weights(table, path)
        if min_grants is None or electorate is None:
            return None
        return self._build(
            path,
            lambda: Threshold(
                min_grants=min_grants, electorate=electorate, weights=weights, minority=is_minority
            ),
        )

    def _read_weights(self, table: Mapping[str, Any], path: TomlPath) -> tuple[Names | None, Weights]:
        inner = (*path, "weights")
        weights = self._document.take(table, path, "weights", dict)
        if weights is None:
            return None, ()
        names = self._require_roster(tuple(weights), lambda index: (*inner, tuple(weights)[index]), inner)
        for name, weight in weights.items():
            if type(weight) is not int or not 1 <= weight <= MAX_WEIGHT:
                reason = f"expected from 1 to {MAX_WEIGHT} seats, got {spell_value(weight)}"
                self._document.refuse((*inner, name), reason)
                names = None
        return names, tuple(weights.values())

    def _read_share(self, table: Mapping[str, Any], path: TomlPath) -> VetoShare | None:
        self._document.require_known(table, path, ("at-least", "of"))
        text = self._document.take(table, path, "at-least", str)
        of = self._read_word(table, path, "of", Denominator)
        spelled = None if text is None else _SHARE.fullmatch(text)
        if text is not None and spelled is None:
            reason = f'expected a share such as "1/3", got {spell_value(text)}'
            self._document.refuse((*path, "at-least"), reason)
        if spelled is None or of is None:
            return None
        numerator, denominator = int(spelled[1]), int(spelled[2])
        return self._build(
            (*path, "at-least"), lambda: VetoShare(numerator=numerator, denominator=denominator, of=of)
        )

    def _read_word(
        self, table: Mapping[str, Any], path: TomlPath, key: str, kind: Callable[[str], T]
    ) -> T | None:
        return read_word(self._document, table, path, key, kind)

    def _build(self, path: TomlPath, make: Callable[[], T]) -> T | None:
        """Return what the policy makes of the parts, or None where it refuses them."""
        try:
            return make()
        except ValueError as error:
            self._document.refuse(path, str(error))
            return None


def read_word(
    document: Document, table: Mapping[str, Any], path: TomlPath, key: str, kind: Callable[[str], T]
) -> T | None:
    """Return the member of an enumeration that a key names, or None where it names none."""
    word = document.take(table, path, key, str)
    if word is None:
        return None
    try:
        return kind(word)
    except ValueError:
        known: Iterable[Any] = kind  # type: ignore[assignment]
        hint = suggest(word, [member.value for member in known])
        document.refuse((*path, key), f"unknown {key} {spell_value(word)}; {hint}")
        return None


def add_key_vetoes(expression: Expression, holders: Names) -> Expression:
    """Return the expression without which nobody licenses: it, and the own key of each holder."""
    if not holders:
        return expression
    parts = expression.parts if isinstance(expression, AllOf) else (expression,)
    return AllOf(parts=(*parts, *map(make_own_key, holders)))


def make_own_key(party_id: str) -> Threshold:
    """Return the threshold that one party alone is, with a key of its own."""
    return Threshold(min_grants=1, electorate=(party_id,), weights=(), minority=False)
