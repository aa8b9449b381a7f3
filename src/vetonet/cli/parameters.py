"""What users type, read exactly: counts of FLOP, durations, points in time, names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

import click

from vetonet.units import MS_PER_S, Milliseconds, parse_count, parse_duration, parse_flop, show
from vetonet.wire.address import parse_address

__all__ = [
    "ADDRESS",
    "COUNT",
    "DECIMAL",
    "DURATION",
    "FLOP",
    "NAME",
    "TIME",
    "parse_address",
    "parse_decimal",
    "parse_name",
    "parse_time",
    "show",
]

_DECIMAL: Final = re.compile(r"\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse_time(text: str) -> Milliseconds:
    """Return the point in time, in milliseconds since the Unix epoch, that ISO 8601 text with a zone spells.

    Raises:
        ValueError: not such a time, or one without a zone.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.year < 1970:  # noqa: PLR2004  (the Unix epoch)
        msg = f"expected a time with its zone, such as 2027-01-15T08:00:00Z, got {show(text)}"
        raise ValueError(msg)
    elapsed = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * MS_PER_S + elapsed.microseconds // MS_PER_S


def parse_decimal(text: str) -> Fraction:
    """Return the number, 0 or above, that a decimal such as ``0.1`` or ``30`` spells, exactly.

    Raises:
        ValueError: not such a number.
    """
    if not _DECIMAL.fullmatch(text.strip()):
        raise ValueError(f"expected a decimal number of 0 or above, such as 0.1 or 30, got {show(text)}")
    return Fraction(text.strip())


def parse_name(text: str) -> str:
    """Return a name that can be a participant's id, a folder and part of a certificate.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(text):
        msg = f"expected a name of up to 64 letters, digits, dots, dashes and underscores, got {show(text)}"
        raise ValueError(msg)
    return text


class _Parsed(click.ParamType[Any]):
    """A parameter that one of the functions above reads."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or end in one line that names the parameter."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


COUNT: Final = _Parsed("count", parse_count)
DECIMAL: Final = _Parsed("number", parse_decimal)
FLOP: Final = _Parsed("flop", parse_flop)
DURATION: Final = _Parsed("duration", parse_duration)
TIME: Final = _Parsed("time", parse_time)
ADDRESS: Final = _Parsed("address", parse_address)
NAME: Final = _Parsed("name", parse_name)
