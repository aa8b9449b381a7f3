"""What users type, read exactly: counts of FLOP, durations, points in time, names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

import click

from vetonet import units
from vetonet.units import MAX_FLOP, MS_PER_S, Flop, Milliseconds

MAX_COUNT: Final = 10**18
MAX_PORT: Final = 65_535

_NUMBER: Final = re.compile(r"\d{1,60}(?:\.\d{1,60})?(?:[eE]\+?\d{1,2})?", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\]")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHOWN_CHARS: Final = 60


def parse_flop(text: str) -> Flop:
    """Return the whole number above zero that a decimal spells, exactly; no float is ever in between.

    Raises:
        ValueError: not such a number, or more than any run can have.
    """
    value = _parse_whole(text)
    if not 0 < value <= MAX_FLOP:
        msg = f"expected a whole number of FLOP above 0, such as 5.5e21, got {show(text)}"
        raise ValueError(msg)
    return value


def parse_count(text: str) -> int:
    """Return the whole number above zero that a decimal such as ``512`` or ``405e9`` spells, exactly.

    Raises:
        ValueError: not such a number, or one that counts nothing real.
    """
    value = _parse_whole(text)
    if not 0 < value <= MAX_COUNT:
        msg = f"expected a whole number above 0, such as 512 or 405e9, got {show(text)}"
        raise ValueError(msg)
    return value


def _parse_whole(text: str) -> int:
    """Return the whole number that a decimal spells, or 0 where it spells none."""
    digits = text.strip().replace("_", "").replace(",", "")
    value = Fraction(digits) if _NUMBER.fullmatch(digits) else Fraction(0)
    return int(value) if value.denominator == 1 else 0


def parse_duration(text: str) -> Milliseconds:
    """Return the milliseconds that a duration such as ``90s``, ``10m`` or ``1h30m`` spells.

    Raises:
        ValueError: not such a duration, none at all, or more than a year.
    """
    try:
        return units.parse_duration(text.strip())
    except ValueError as error:
        raise ValueError(f"{error}, got {show(text)}") from error


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


def parse_name(text: str) -> str:
    """Return a name that can be a participant's id, a folder and part of a certificate.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(text):
        msg = f"expected a name of up to 64 letters, digits, dots, dashes and underscores, got {show(text)}"
        raise ValueError(msg)
    return text


def parse_address(text: str) -> str:
    """Return an address as ``host:port``; an IPv6 host stands in brackets.

    Raises:
        ValueError: no such address.
    """
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isascii() or not port.isdecimal() or int(port) > MAX_PORT:
        msg = f"expected HOST:PORT, such as 127.0.0.1:7443, got {show(text)}"
        raise ValueError(msg)
    return text


def show(text: str) -> str:
    """Return what a user typed as one short printable word in quotes."""
    return ascii(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")


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
FLOP: Final = _Parsed("flop", parse_flop)
DURATION: Final = _Parsed("duration", parse_duration)
TIME: Final = _Parsed("time", parse_time)
ADDRESS: Final = _Parsed("address", parse_address)
NAME: Final = _Parsed("name", parse_name)
