"""Whether the parties see how much was computed, or only that no limit was exceeded (VN-3.6)."""

from __future__ import annotations

from enum import StrEnum


class Totals(StrEnum):
    """What reports say of the FLOP that a chip counted.

    Where totals are confidential, a report carries a commitment, and operators prove bounds on their sums.
    """

    OPEN = "open"
    CONFIDENTIAL = "confidential"
