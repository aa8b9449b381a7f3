"""Small value types with their units; integers only, because they end up in signed statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final, TypeAlias

Rng: TypeAlias = Callable[[int], bytes]
"""Randomness as an argument: a count of bytes in, that many random bytes out."""

Flop: TypeAlias = int
"""A count of floating-point operations (never a rate)."""

FlopPerS: TypeAlias = int
"""A rate in floating-point operations per second."""

Milliseconds: TypeAlias = int
"""Milliseconds; as a point in time, since the Unix epoch."""

Clock: TypeAlias = Callable[[], Milliseconds]
"""The present as an argument, for what runs on its own."""

MAX_FLOP: Final = 2**127
"""Counts above this are refused as nonsense: 1.7e38 is 10 trillion times the largest known run."""

UNIT_FLOP: Final = 10**15
"""What hidden counts are counted in, rounded down (VN-18.1): a second of one large chip at full speed."""

MAX_TIME_MS: Final = 2**48
"""No point in time that a statement names is later; that is in the year 10889."""

MS_PER_S: Final = 1_000
MS_PER_HOUR: Final = 3_600_000

MAX_DURATION_MS: Final = 366 * 24 * MS_PER_HOUR
MAX_COUNT: Final = 10**18

_NUMBER: Final = re.compile(r"\d{1,60}(?:\.\d{1,60})?(?:[eE]\+?\d{1,2})?", re.ASCII)
_DURATION: Final = re.compile(r"(?:\d{1,12}(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNITS_MS: Final = {"ms": 1, "s": MS_PER_S, "m": 60_000, "h": MS_PER_HOUR, "d": 24 * MS_PER_HOUR}
_SHOWN_CHARS: Final = 60


def format_time(point_ms: Milliseconds) -> str:
    """Return a point in time as ISO 8601 in UTC; the bare number where no calendar reaches it."""
    try:
        whole = datetime.fromtimestamp(point_ms // MS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{point_ms} ms"
    return f"{whole}Z" if point_ms % MS_PER_S == 0 else f"{whole}.{point_ms % MS_PER_S:03d}Z"


class Precision(StrEnum):
    """The number format a matrix unit computes in; peak rates differ per precision."""

    FP64 = "fp64"
    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    FP4 = "fp4"
    INT8 = "int8"


class WorkloadClass(StrEnum):
    """What compute is used for; both are metered and both can be vetoed."""

    TRAINING = "training"
    INFERENCE = "inference"


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


def spell_flop(flop: Flop) -> str:
    """Return the shortest decimal that ``parse_flop`` reads as exactly this count."""
    plain = str(flop)
    digits = plain.rstrip("0")
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    scientific = f"{digits[:1]}{fraction}e{len(plain) - 1}"
    return min(plain, scientific, key=len)


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
    is_spelled = _DURATION.fullmatch(text.strip())
    parts = _DURATION_PART.findall(text) if is_spelled else []
    duration = sum(int(count) * _UNITS_MS[unit] for count, unit in parts)
    if not 0 < duration <= MAX_DURATION_MS:
        msg = f"expected a duration of at most a year, such as 90s, 10m, 1h or 30d, got {show(text)}"
        raise ValueError(msg)
    return duration


def spell_duration(duration_ms: Milliseconds) -> str:
    """Return what ``parse_duration`` reads as exactly these milliseconds, such as ``1h30m``."""
    parts, rest = [], duration_ms
    for unit, size in sorted(_UNITS_MS.items(), key=lambda pair: -pair[1]):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def show(text: str) -> str:
    """Return what a user typed as one short printable word in quotes."""
    return ascii(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")
