"""Exact numbers out of untrusted text, and refusals that name the line.

Training compute does not fit a float without loss (3.8e+25 is not a float), so every number goes from its
decimal spelling to an integer or a fraction without ever being one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from vetonet.errors import ConfigError

MAX_TEXT_BYTES: Final = 64 * 2**20
"""A larger file is refused: the largest MLPerf result log published so far is below 20 MB."""

_MAX_EXPONENT: Final = 60
_CHARS_SHOWN: Final = 60
_PRINTABLE_BITS: Final = 200
"""Python refuses to print integers of thousands of digits; nobody wants to read them either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a user's file a value stands."""

    name: str
    line: int

    def refuse(self, *, expected: str, got: object) -> ConfigError:
        """Return the error of this place in one line: ``NAME:LINE: expected ..., got ...``."""
        return ConfigError(f"{_one_line(self.name)}:{self.line}: expected {expected}, got {show(got)}")


def _one_line(name: str) -> str:
    """Return a file name that cannot break the line of a message."""
    return name if name.isprintable() else ascii(name)[1:-1]


def show(value: object) -> str:
    """Return a value of the user's as one short printable line."""
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        text = str(value)
    elif isinstance(value, str):
        text = ascii(value[: _CHARS_SHOWN + 1])
    elif isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    elif isinstance(value, int) and value.bit_length() > _PRINTABLE_BITS:
        text = "a number of more than 60 digits"
    else:
        text = ascii(value)
    return text if len(text) <= _CHARS_SHOWN else text[: _CHARS_SHOWN - 3] + "..."


def text_from_bytes(data: bytes, *, name: str) -> str:
    """Return the text of a file that is UTF-8 and not too large; a byte order mark is dropped.

    Raises:
        ConfigError: the file is too large or not UTF-8; the line of the first bad byte is named.

    """
    if len(data) > MAX_TEXT_BYTES:
        raise Place(name=name, line=1).refuse(
            expected=f"a file of at most {MAX_TEXT_BYTES} bytes", got=f"{len(data)} bytes"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        bad = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "the end"
        raise Place(name=name, line=line).refuse(expected="UTF-8 text", got=bad) from error


def json_object_from_text(text: str, place: Place) -> dict[str, object]:
    """Return one JSON object with decimals kept exact.

    Raises:
        ConfigError: not JSON, not an object, a member named twice, NaN, Infinity, or nested too deeply.

    """
    try:
        value: object = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique_members
        )
    except json.JSONDecodeError as error:
        at = Place(name=place.name, line=place.line + error.lineno - 1)
        raise at.refuse(expected="a JSON object", got=f"{error.msg} at column {error.colno}") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise place.refuse(expected="a JSON object", got=str(error)) from error
    if not isinstance(value, dict):
        raise place.refuse(expected="a JSON object", got=value)
    return value


def _refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise ValueError(f"the constant {name}")


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of an object, each named once."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object that names a member twice")
    return members


def decimal_from_text(text: str, place: Place, what: str) -> Decimal:
    """Return the number that a cell or a quoted value spells.

    Raises:
        ConfigError: not a finite decimal number of sensible size.

    """
    try:
        value = Decimal(text.strip())
    except ArithmeticError as error:
        raise place.refuse(expected=f"{what} as a number", got=text) from error
    return _require_sane(value, place, what)


def fraction_from(value: object, place: Place, what: str) -> Fraction:
    """Return an exact fraction from a decoded JSON number.

    Raises:
        ConfigError: not a number, not finite, or of absurd size.

    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise place.refuse(expected=f"{what} as a number", got=value)
    return Fraction(_require_sane(Decimal(value), place, what))


def integer_from(value: object, place: Place, what: str, *, low: int, high: int) -> int:
    """Return a whole number within [low, high] from a decoded JSON number; 1152.0 is whole.

    Raises:
        ConfigError: not a number, not whole, or out of range.

    """
    fraction = fraction_from(value, place, what)
    if fraction.denominator != 1 or not low <= fraction <= high:
        raise place.refuse(expected=f"{what} as a whole number from {low} to {high}", got=value)
    return int(fraction)


def _require_sane(value: Decimal, place: Place, what: str) -> Decimal:
    """Return the value unless expanding its exponent would exhaust memory."""
    if not value.is_finite() or (value and abs(value.adjusted()) > _MAX_EXPONENT):
        raise place.refuse(expected=f"{what} as a finite number below 1e{_MAX_EXPONENT}", got=value)
    return value or Decimal(0)
