"""A TOML document read key by key, with every mistake noted where it stands instead of the first one raised.

The dependencies of the core hold no schema library: one would name the place of a mistake, but not its line,
and what a treaty may say is one screen of rules.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, TypeVar

from vetonet.party.toml_lines import TomlPath, locate

MAX_FILE_CHARS: Final = 256 * 1024
MAX_MISTAKES: Final = 100
MAX_REASON: Final = 500
MAX_ITEMS: Final = 256
MAX_LISTED: Final = 16
MAX_WHOLE: Final = 10**40

T = TypeVar("T")

_SHOWN: Final = 60
_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")
_KINDS: Final[Mapping[type, str]] = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "an array in brackets",
    dict: "a table",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mistake:
    """What is wrong on one line: what came, and what would be right."""

    line: int
    reason: str

    def __str__(self) -> str:
        """Return ``line: reason``."""
        return f"{self.line}: {self.reason}"


class TooManyMistakesError(Exception):
    """Reading goes no further; it never leaves the module that reads a whole document."""


class Document:
    """A TOML text that has been parsed, and the mistakes found in it so far.

    Attributes:
        root: the table that the text spells; empty where it is no TOML, which is the first mistake then.
        mistakes: what was found, in the order of finding.
    """

    __slots__ = ("_text", "mistakes", "root")

    def __init__(self, text: str) -> None:
        self._text = text
        self.mistakes: list[Mistake] = []
        self.root: dict[str, Any] = {}
        if len(text) > MAX_FILE_CHARS:
            reason = f"expected at most {MAX_FILE_CHARS} characters, got {len(text)}"
            self.mistakes.append(Mistake(line=1, reason=reason))
            return
        try:
            # Decimal, because 1e23 is no float: the nearest one is 8,388,608 less.
            self.root = tomllib.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            self.mistakes.append(_to_mistake(text, error))

    def refuse(self, path: TomlPath, reason: str) -> None:
        """Note a mistake at a place.

        Raises:
            TooManyMistakesError: there are ``MAX_MISTAKES`` now, and one more would be no news.
        """
        line = locate(self._text, path)
        self.mistakes.append(Mistake(line=line, reason=_to_printable(reason[:MAX_REASON])))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise TooManyMistakesError

    def take(self, table: Mapping[str, Any], path: TomlPath, key: str, kind: type[T]) -> T | None:
        """Return the value of a key that must be there, or None where it is missing or of another kind."""
        if key not in table:
            where = f" in {spell_path(path)}" if path else ""
            self.refuse(path, f"expected the key {key!r}{where}, {_KINDS[kind]}")
            return None
        return self.take_optional(table, path, key, kind)

    def take_optional(self, table: Mapping[str, Any], path: TomlPath, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, or None where it is left out or of another kind."""
        return self.require_kind(table[key], (*path, key), kind) if key in table else None

    def require_kind(self, value: object, path: TomlPath, kind: type[T]) -> T | None:
        """Return a value of a kind, or None where it is of another."""
        if type(value) is kind:
            return value
        self.refuse(path, f"expected {spell_path(path)} as {_KINDS[kind]}, got {spell_value(value)}")
        return None

    def read_list(self, value: object, path: TomlPath, kind: type[T]) -> tuple[T, ...] | None:
        """Return the items of an array, all of one kind, or None where any is not, or they are too many."""
        items = self.require_kind(value, path, list)
        if items is None:
            return None
        if len(items) > MAX_ITEMS:
            self.refuse(path, f"expected at most {MAX_ITEMS} in {spell_path(path)}, got {len(items)}")
            return None
        read = [self.require_kind(item, (*path, index), kind) for index, item in enumerate(items)]
        kept = tuple(item for item in read if item is not None)
        return kept if len(kept) == len(read) else None

    def require_known(self, table: Mapping[str, Any], path: TomlPath, known: Collection[str]) -> None:
        """Refuse every key that a table cannot have, and say which one was meant."""
        for key in table:
            if key not in known:
                self.refuse((*path, key), f"unknown key {spell_value(key)}; {suggest(key, known)}")

    def read_whole(self, value: object, path: TomlPath) -> int | None:
        """Return the whole number that a number such as ``5.5e21`` is, exactly; or None where it is none."""
        number = value if type(value) is int else _to_whole(value) if type(value) is Decimal else None
        if number is None or not 0 <= number <= MAX_WHOLE:
            expected = "a whole number from 0, such as 1e22"
            self.refuse(path, f"expected {spell_path(path)} as {expected}, got {spell_value(value)}")
            return None
        return number


def suggest(word: str, known: Collection[str]) -> str:
    """Return what to write instead of a word that is not known."""
    # Two letters exchanged can halve the likeness that difflib sees: below its usual 0.6.
    forms = (word[:_SHOWN], word[:_SHOWN].casefold())
    near = [match for form in forms for match in get_close_matches(form, known, 1, 0.5)]
    listed = ", ".join([*islice(known, MAX_LISTED), *(["..."] if len(known) > MAX_LISTED else [])])
    return f"did you mean {near[0]!r}?" if near else f"expected one of {listed}"


def spell_path(path: TomlPath) -> str:
    """Return a place as its file spells it, with items counted from 1."""
    spelled = ""
    for step in path:
        spelled += f" no. {step + 1}" if isinstance(step, int) else f".{step}" if spelled else step
    return _shorten(spelled)


def spell_value(value: object) -> str:
    """Return a value that came, on one short line of printable ASCII."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return ascii(_shorten(value))
    if isinstance(value, int) and abs(value) >= MAX_WHOLE:
        return "a far larger number"
    return _shorten(str(value))


def _to_printable(text: str) -> str:
    """Return a text that cannot break its line or steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _to_whole(value: Decimal) -> int | None:
    """Return the integer that a decimal is, without ever writing out a huge exponent."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_SHOWN or value.adjusted() > _SHOWN:
        return None
    numerator, denominator = value.as_integer_ratio()
    return numerator if denominator == 1 else None


def _to_mistake(text: str, error: Exception) -> Mistake:
    """Return the one mistake of a text that is no TOML."""
    said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    place = _AT_LINE.search(said)
    line = int(place[1]) if place and place[1] else max(text.count("\n", 0, len(text.rstrip())) + 1, 1)
    if not isinstance(error, tomllib.TOMLDecodeError):
        line = 1
    return Mistake(line=line, reason=_to_printable(f"this is no TOML: {_AT_LINE.sub('', said)}"))
