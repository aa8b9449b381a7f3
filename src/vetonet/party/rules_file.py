"""A party's own rules as a TOML file that people write: read whole or refused, every mistake with its line.

default = "ask"                    # or grant, abstain, veto; a veto here needs default-reason

[[rule]]
when = { workload = "inference", below-flop = "1e23" }
decide = "grant"

[[rule]]
when = { operator = ["lab-a"], at-least-flop = "1e26" }
decide = "veto"
reason = "scale"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from vetonet.errors import ConfigError
from vetonet.party.secret_files import read_settled
from vetonet.party.toml_lines import TomlMistakes, TomlPath, parse_toml
from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import MAX_DEVICES
from vetonet.policy.quorum import Choice
from vetonet.policy.rules import (
    ASK,
    MAX_NAMES,
    MAX_RULES,
    RUN_GRANT,
    Answer,
    Conditions,
    Rule,
    Rules,
    find_covered,
)
from vetonet.policy.treaty import Treaty
from vetonet.units import Precision, WorkloadClass, parse_duration, parse_flop, show

MAX_RULES_BYTES: Final = 64 * 1024
MAX_SHOWN_WORDS: Final = 16
ASK_WORD: Final = "ask"

_ANSWERS: Final = (ASK_WORD, *(choice.value for choice in Choice))
_REASONS: Final = tuple(reason.value for reason in VetoReason)
_RULE_KEYS: Final = ("when", "decide", "reason")
_TOP_KEYS: Final = ("default", "default-reason", "rule")

E = TypeVar("E", bound=StrEnum)
ParseWord: TypeAlias = Callable[[str], str]


class _Known(NamedTuple):
    """Names outside the file; None where anything goes."""

    actions: Collection[str]
    operators: Collection[str] | None
    bands: Collection[str] | None


class _Reading:
    """One file as it is read; mistakes are gathered, and what is returned then is thrown away."""

    __slots__ = ("known", "mistakes")

    def __init__(self, mistakes: TomlMistakes, known: _Known) -> None:
        self.mistakes, self.known = mistakes, known

    def expect(self, path: TomlPath, what: str, got: object) -> None:
        """Note a value that is not what it should be."""
        self.mistakes.add(path, f"expected {what}, got {_describe(got)}")

    def expect_keys(self, path: TomlPath, table: Mapping[str, Any], known: Collection[str]) -> None:
        """Note every key that nobody knows."""
        for key in table:
            if key not in known:
                self.mistakes.add((*path, key), f"expected one of {', '.join(known)}, got {show(key)}")

    def read_word(self, path: TomlPath, value: object, words: Collection[str]) -> str | None:
        """Return one of these words."""
        if isinstance(value, str) and value in words:
            return value
        self.expect(path, _either(words), value)
        return None

    def read_parsed(
        self, path: TomlPath, value: object, parse: Callable[[str], int], what: str
    ) -> int | None:
        """Return a quantity that stands in quotes, so that no float is ever in between."""
        if not isinstance(value, str):
            self.expect(path, what, value)
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.mistakes.add(path, str(error))
            return None

    def read_names(self, path: TomlPath, value: object, parse: ParseWord) -> tuple[str, ...]:
        """Return a list of names, or the one name that stands for itself."""
        if isinstance(value, str):
            return self._read_name(path, value, parse)
        if not isinstance(value, list) or not 0 < len(value) <= MAX_NAMES:
            self.expect(path, f"a name in quotes, or a list of 1 to {MAX_NAMES} such names", value)
            return ()
        names = tuple(
            name for i, item in enumerate(value) for name in self._read_name((*path, i), item, parse)
        )
        for i, item in enumerate(value):
            if item in value[:i]:
                self.expect((*path, i), "each name once", item)
        return names

    def _read_name(self, path: TomlPath, value: object, parse: ParseWord) -> tuple[str, ...]:
        try:
            if isinstance(value, str):
                return (parse(value),)
            self.expect(path, "a name in quotes", value)
        except ValueError as error:
            self.mistakes.add(path, str(error))
        return ()


Parse: TypeAlias = Callable[[_Reading, TomlPath, Any], Any]


def read_rules(path: Path, *, actions: Collection[str] = (RUN_GRANT,), treaty: Treaty | None = None) -> Rules:
    """Return the rules in a file; see ``parse_rules``.

    Raises:
        ConfigError: as ``parse_rules``, or it cannot be read, is too large, or anybody may write it.
    """
    try:
        data = read_settled(path, max_bytes=MAX_RULES_BYTES)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: expected UTF-8, got byte 0x{data[error.start]:02x}") from error
    except ValueError as error:
        raise ConfigError(f"{show(str(path))}: {error}") from error
    return parse_rules(text, str(path), actions=actions, treaty=treaty)


def parse_rules(
    text: str, name: str, *, actions: Collection[str] = (RUN_GRANT,), treaty: Treaty | None = None
) -> Rules:
    """Return the rules that a text states.

    Args:
        text: TOML.
        name: what the file is called in an error.
        actions: the action classes that rules may speak of.
        treaty: if given, operators and bands must be its own: a rule for a name that is misspelt never holds.

    Raises:
        ConfigError: anything in it is unknown, ambiguous or missing: ``name:line: what was expected and what
            came``, for each mistake.
    """
    document, mistakes = parse_toml(text, name), TomlMistakes(text, name)
    known = _Known(
        actions=tuple(actions),
        operators=None if treaty is None else tuple(operator.operator_id for operator in treaty.operators),
        bands=None if treaty is None else tuple(band.name for band in treaty.bands),
    )
    reading = _Reading(mistakes, known)
    reading.expect_keys((), document, _TOP_KEYS)
    default = _read_answer(reading, (), document, ("default", "default-reason"))
    rules = _read_list(reading, document.get("rule", []))
    mistakes.refuse()
    return Rules(default=default, rules=rules)


def _read_list(reading: _Reading, tables: object) -> tuple[Rule, ...]:
    """Return the rules that can be read; those that never decide are mistakes too."""
    if not isinstance(tables, list) or len(tables) > MAX_RULES:
        reading.expect(("rule",), f"at most {MAX_RULES} tables [[rule]]", tables)
        return ()
    read = [_read_rule(reading, ("rule", index), table) for index, table in enumerate(tables)]
    rules = {index: rule for index, rule in enumerate(read) if rule is not None}
    places = tuple(rules)
    for later, earlier in find_covered(rule.when for rule in rules.values()):
        what = f"expected a rule that can decide, but rule {places[earlier] + 1} holds wherever this one does"
        reading.mistakes.add(("rule", places[later]), what)
    return tuple(rules.values())


def _read_rule(reading: _Reading, path: TomlPath, table: object) -> Rule | None:
    if not isinstance(table, dict):
        reading.expect(path, "a table [[rule]]", table)
        return None
    reading.expect_keys(path, table, _RULE_KEYS)
    answer = _read_answer(reading, path, table, ("decide", "reason"))
    when = _read_conditions(reading, (*path, "when"), table.get("when"))
    return None if when is None else Rule(when=when, answer=answer)


def _read_answer(reading: _Reading, path: TomlPath, table: dict[str, Any], keys: tuple[str, str]) -> Answer:
    """Return the answer that two keys spell, what is decided and why; ``ASK`` where that is a mistake."""
    before, (decide, why) = len(reading.mistakes), keys
    word = reading.read_word((*path, decide), table.get(decide), _ANSWERS)
    reason = reading.read_word((*path, why), table[why], _REASONS) if why in table else None
    if word == Choice.VETO and why not in table:
        reading.expect((*path, decide), f"{why} with a veto: one of {', '.join(_REASONS)}", None)
    elif word not in {None, Choice.VETO} and why in table:
        reading.expect((*path, why), f"{why} with a veto only", word)
    if word is None or word == ASK_WORD or len(reading.mistakes) > before:
        return ASK
    return Answer(choice=Choice(word), reason=None if reason is None else VetoReason(reason))


def _read_conditions(reading: _Reading, path: TomlPath, table: object) -> Conditions | None:
    before = len(reading.mistakes)
    if not isinstance(table, dict):
        reading.expect(path, 'a table of conditions, such as { below-flop = "1e23" }', table)
        return None
    reading.expect_keys(path, table, _CONDITIONS)
    values = {
        field: parse(reading, (*path, key), table[key])
        for key, (field, parse) in _CONDITIONS.items()
        if key in table
    }
    if len(reading.mistakes) > before:
        return None
    try:
        when = Conditions(**values)
    except ValueError as error:
        reading.mistakes.add(path, str(error))
        return None
    if when.actions and RUN_GRANT not in when.actions and not when.are_met_by_motion(when.actions[0]):
        what = f"expected action alone where it is not {RUN_GRANT}: of a motion no run is known"
        reading.mistakes.add(path, what)
        return None
    return when


def _read_flop(reading: _Reading, path: TomlPath, value: object) -> int | None:
    return reading.read_parsed(path, value, parse_flop, 'FLOP in quotes, such as "1e23"')


def _read_duration(reading: _Reading, path: TomlPath, value: object) -> int | None:
    return reading.read_parsed(path, value, parse_duration, 'a duration in quotes, such as "90d"')


def _read_devices(reading: _Reading, path: TomlPath, value: object) -> int | None:
    if type(value) is int and 0 < value <= MAX_DEVICES:
        return value
    reading.expect(path, f"a whole number from 1 to {MAX_DEVICES}, without quotes", value)
    return None


def _read_flag(reading: _Reading, path: TomlPath, value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    reading.expect(path, "true or false", value)
    return None


def _read_members(kind: type[E]) -> Parse:
    """Return how members of an enumeration are read, by their values."""
    words = [member.value for member in kind]

    def read(reading: _Reading, path: TomlPath, value: object) -> tuple[E, ...]:
        return tuple(kind(name) for name in reading.read_names(path, value, _one_of(words)))

    return read


def _read_operators(reading: _Reading, path: TomlPath, value: object) -> tuple[str, ...]:
    return reading.read_names(path, value, _one_of(reading.known.operators, maximum=64))


def _read_owners(reading: _Reading, path: TomlPath, value: object) -> tuple[str, ...]:
    return reading.read_names(path, value, _one_of(None, maximum=128))


def _read_bands(reading: _Reading, path: TomlPath, value: object) -> tuple[str, ...]:
    return reading.read_names(path, value, _one_of(reading.known.bands, maximum=32))


def _read_actions(reading: _Reading, path: TomlPath, value: object) -> tuple[str, ...]:
    return reading.read_names(path, value, _one_of(reading.known.actions))


def _one_of(words: Collection[str] | None, *, maximum: int = 64) -> ParseWord:
    """Return what reads one of these words; where there are none to choose from, any printable name."""

    def parse(text: str) -> str:
        if words is not None and text not in words:
            raise ValueError(f"expected {_either(words)}, got {show(text)}")
        if not 0 < len(text) <= maximum or not text.isprintable():
            raise ValueError(f"expected a printable name of 1 to {maximum} characters, got {show(text)}")
        return text

    return parse


_CONDITIONS: Final[Mapping[str, tuple[str, Parse]]] = MappingProxyType(
    {
        "below-flop": ("below_flop", _read_flop),
        "at-least-flop": ("at_least_flop", _read_flop),
        "workload": ("workloads", _read_members(WorkloadClass)),
        "precision": ("precisions", _read_members(Precision)),
        "operator": ("operators", _read_operators),
        "beneficial-owner": ("beneficial_owners", _read_owners),
        "band": ("bands", _read_bands),
        "at-least-devices": ("at_least_devices", _read_devices),
        "run-longer-than": ("run_longer_than_ms", _read_duration),
        "has-lineage": ("has_lineage", _read_flag),
        "action": ("actions", _read_actions),
    }
)


def _either(words: Collection[str]) -> str:
    shown = ", ".join(tuple(words)[:MAX_SHOWN_WORDS]) + (", ..." if len(words) > MAX_SHOWN_WORDS else "")
    return f"one of {shown}" if len(words) > 1 else shown or "no name at all"


def _describe(value: object) -> str:
    """Return what stands in the file, in a few words."""
    if isinstance(value, str):
        return show(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        # An integer in base 16 may be too long for Python to write in base 10.
        return (
            f"the number {value}"
            if isinstance(value, float) or abs(value) < 2**64
            else "a number out of range"
        )
    kinds = {type(None): "nothing", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")
