"""Small value types with their units; integers only, because they end up in signed statements."""

from __future__ import annotations

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
