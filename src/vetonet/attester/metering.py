"""How much a chip computes in a piece of time: exact integers, peak and floor (VN-12.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vetonet.attestation.report import ENERGY_STEP_J
from vetonet.units import MS_PER_S, Flop, FlopPerS, Milliseconds

FLOOR_DIVISOR: Final = 100
"""A throttled chip runs at a hundredth of its peak (RFD 032: about 1 %): alive, and useless for the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done of a request.

    Attributes:
        flop: how much.
        duration_ms: how long it took.
        is_cut: whether something other than the peak rate held it back.
    """

    flop: Flop
    duration_ms: Milliseconds
    is_cut: bool


def compute_ceiling(rate: FlopPerS, duration_ms: Milliseconds) -> Flop:
    """Return what a rate gives in a time, rounded down."""
    return rate * duration_ms // MS_PER_S


def compute_licensed_work(
    flop: Flop, duration_ms: Milliseconds, *, peak: FlopPerS, left_flop: Flop, left_ms: Milliseconds
) -> Work:
    """Return the work that a licence still covers: it runs at an even rate until budget or time is over.

    Args:
        flop: what is asked for in ``duration_ms``.
        duration_ms: how long it may take.
        peak: the highest rate at this precision.
        left_flop: what is left of the chip's share.
        left_ms: what is left of the licence's time, at least 0.
    """
    asked = min(flop, compute_ceiling(peak, duration_ms))
    full_ms = min(duration_ms, left_ms)
    in_time = asked * full_ms // duration_ms
    done = min(in_time, left_flop)
    took_ms = full_ms if done == in_time else -(-done * duration_ms // asked)
    return Work(flop=done, duration_ms=took_ms, is_cut=done < asked)


def compute_unlicensed_work(
    flop: Flop,
    duration_ms: Milliseconds,
    *,
    peak: FlopPerS,
    left_flop: Flop | None,
    left_ms: Milliseconds | None = None,
) -> Work:
    """Return the work done without a licence: evenly up to the allowance, at the floor rate after it.

    Args:
        flop: what is asked for in ``duration_ms``.
        duration_ms: how long it may take.
        peak: the highest rate at this precision.
        left_flop: what is left of the allowance, or None where there is no limit.
        left_ms: how long it may go on at this rate, or None where that does not end.
    """
    whole = min(flop, compute_ceiling(peak, duration_ms))
    full_ms = duration_ms if left_ms is None else min(duration_ms, left_ms)
    asked = whole * full_ms // duration_ms
    if left_flop is None or asked <= left_flop:
        return Work(flop=asked, duration_ms=full_ms, is_cut=asked < whole)
    rest_ms = full_ms + -left_flop * full_ms // asked
    slow = min(asked - left_flop, compute_ceiling(peak, rest_ms) // FLOOR_DIVISOR)
    return Work(flop=left_flop + slow, duration_ms=full_ms, is_cut=left_flop + slow < whole)


def compute_energy_j(flop: Flop, *, peak: FlopPerS, tdp_w: int | None, step_j: int = ENERGY_STEP_J) -> int:
    """Return the energy of some work: time at peak times the design power, rounded up to whole steps.

    A model without published power counts 0, which says nothing.
    """
    return -(-flop * (tdp_w or 0) // (peak * step_j)) * step_j
