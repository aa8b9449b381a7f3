"""What a chip does about tampering: it tells, and slows down for good (VN-17.13).

Tampering is made evident here, not impossible: a mesh over the die, a light or voltage sensor sees some of
it. A chip that noticed any keeps metering and reporting, at the floor rate, and destroys nothing. Nothing
that can be sent to it ends that, for whoever could send it would be worth bribing: such a chip is inspected,
retired and replaced.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TamperDetected:
    """A sensor of the chip saw that somebody opened or probed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TamperCounted:
    """The chip knows of so many, over its whole life."""

    tamper_count: int
