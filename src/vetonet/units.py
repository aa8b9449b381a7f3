"""Small value types with their units; integers only, because they end up in signed statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
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

MAX_TIME_MS: Final = 2**48
"""No point in time that a statement names is later; that is in the year 10889."""

MS_PER_S: Final = 1_000
MS_PER_HOUR: Final = 3_600_000

MAX_DURATION_MS: Final = 366 * 24 * MS_PER_HOUR
"""No window, interval or lease is longer."""

_UNITS_MS: Final = {"d": 24 * MS_PER_HOUR, "h": MS_PER_HOUR, "m": 60_000, "s": MS_PER_S, "ms": 1}
_DURATION: Final = re.compile(r"(?:\d{1,12}(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+)(ms|s|m|h|d)", re.ASCII)


def format_time(point_ms: Milliseconds) -> str:
    """Return a point in time as ISO 8601 in UTC; the bare number where no calendar reaches it."""
    try:
        whole = datetime.fromtimestamp(point_ms // MS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{point_ms} ms"
    return f"{whole}Z" if point_ms % MS_PER_S == 0 else f"{whole}.{point_ms % MS_PER_S:03d}Z"


def parse_duration(text: str) -> Milliseconds:
    """Return the milliseconds that a duration such as ``90s``, ``10m`` or ``1h30m`` spells.

    Raises:
        ValueError: not such a duration, none at all, or more than 366 days.
    """
    parts = _DURATION_PART.findall(text) if _DURATION.fullmatch(text) else []
    duration = sum(int(count) * _UNITS_MS[unit] for count, unit in parts)
    if not 0 < duration <= MAX_DURATION_MS:
        raise ValueError("expected a duration of at most a year, such as 90s, 10m, 1h or 30d")
    return duration


def spell_duration(duration_ms: Milliseconds) -> str:
    """Return the shortest text that ``parse_duration`` reads as this duration; ``0s`` for none."""
    spelled, rest = "", duration_ms
    for unit, size in _UNITS_MS.items():
        count, rest = divmod(rest, size)
        spelled += f"{count}{unit}" if count else ""
    return spelled or "0s"


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
