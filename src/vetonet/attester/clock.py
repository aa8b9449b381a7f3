"""A chip's time without a clock that anyone trusts: the log is the clock (VN-17.14).

A chip reads an oscillator of its own, which may drift, and which its operator may hold still or set forward.
Three things bound what that buys:

*Backward* is never taken: the latest time that a chip knows, by its oscillator or by the log, only rises.

*Forward* ends leases early, and whatever begins later needs a lease of that time, which nobody has signed.

*Held or slow* is found out by the log. A checkpoint carries the times at which witnesses cosigned it. Fewer
than a quorum of them lie, so of a quorum at least one wrote the true time, as its own clock has it: it is
later now than the earliest time of the latest quorum. Until a chip sees a checkpoint again it stops by count:
a lease allows so much and no more, and the next one comes with a checkpoint that contains it.
"""

from __future__ import annotations

from typing import Final

from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, compute_witnessed_ms
from vetonet.units import Milliseconds

MAX_DRIFT_PPM: Final = 100
"""What a chip's oscillator may gain or lose; crystals on boards keep within this from -40 to 85 Celsius."""

WITNESS_SKEW_MS: Final = 60_000
"""How far the clock of an honest witness may be ahead of the truth."""

_MILLION: Final = 10**6


def compute_proven_ms(cosigned: CosignedCheckpoint, policy: LogPolicy) -> Milliseconds:
    """Return the time before which this checkpoint cannot be shown, if a quorum of witnesses never lies."""
    return max(0, compute_witnessed_ms(cosigned, policy) - WITNESS_SKEW_MS)


def compute_overrun_ms(
    since_shown_ms: Milliseconds, *, age_ms: Milliseconds, skew_ms: Milliseconds = WITNESS_SKEW_MS
) -> Milliseconds:
    """Return how long after a time a chip may still believe that it has not come, in true time.

    That is for an oscillator within ``MAX_DRIFT_PPM`` that was set by the log alone, as late as it allows.

    Args:
        since_shown_ms: from when a checkpoint was shown to the chip up to that time, by its oscillator.
        age_ms: how old the cosignatures of that checkpoint were at most.
        skew_ms: how far the witnesses' clocks may be off, on top of what a chip takes off for it itself.
    """
    drift_ms = -(-since_shown_ms * MAX_DRIFT_PPM // (_MILLION - MAX_DRIFT_PPM))
    return age_ms + WITNESS_SKEW_MS + skew_ms + drift_ms
