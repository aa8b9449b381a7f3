"""The durations of a treaty that leaves them open; a module of its own, as a command's help states them."""

from __future__ import annotations

from typing import Final

from vetonet.units import MS_PER_HOUR

DEFAULT_WINDOW_MS: Final = MS_PER_HOUR
DEFAULT_SIGNING_MS: Final = 30_000
DEFAULT_REPORT_INTERVAL_MS: Final = 10 * 60_000
DEFAULT_REPORT_GRACE_MS: Final = 5 * 60_000
DEFAULT_LEASE_MS: Final = MS_PER_HOUR
