"""The bounds of a hidden total, as whole units that anybody computes from public values (VN-18.1, VN-18.3).

A chip commits to whole units, rounded down. So the committed sum never exceeds the true one, no honest run
is ever refused, and the true sum exceeds the committed one by less than one unit for each chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vetonet.crypto.pedersen import MAX_VALUE
from vetonet.encoding.record import Record, member, one_of, uint
from vetonet.units import MS_PER_S, UNIT_FLOP, Flop, FlopPerS, Milliseconds

MAX_EFFICIENCY: Final = 2
"""How many times more FLOP a joule buys at best than at full load and thermal design power.

An assumption, wide on purpose: chips gain by running slower and cooler, and none is known to gain so much.
"""


class BoundKind(StrEnum):
    """What a total is held against, in the order in which bounds stand in a proof."""

    BUDGET = "budget"
    RATE = "rate"
    ENERGY = "energy"
    POOL = "pool"


LICENCE_KINDS: Final = (BoundKind.BUDGET, BoundKind.RATE, BoundKind.ENERGY)
POOL_KINDS: Final = (BoundKind.POOL,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound(Record):
    """The most that a total may be, in units of ``UNIT_FLOP``."""

    kind: BoundKind = member(1, one_of(BoundKind))
    units: int = member(2, uint(MAX_VALUE))


def compute_units(limit_flop: Flop) -> int:
    """Return the most whole units that a total of ``limit_flop`` can be committed as.

    A limit beyond 64 bits becomes the largest that range proofs can speak about: 1.8e34 FLOP.
    """
    return min(limit_flop // UNIT_FLOP, MAX_VALUE)


def compute_rate_flop(*, peak_flop_per_s: FlopPerS, duration_ms: Milliseconds) -> Flop:
    """Return the most FLOP that one interval of one chip can hold at the peak rate of its precision."""
    return peak_flop_per_s * duration_ms // MS_PER_S


def compute_energy_flop(*, peak_flop_per_s: FlopPerS, tdp_w: int, energy_j: int) -> Flop:
    """Return the most FLOP that this energy can have bought: ``MAX_EFFICIENCY`` times peak over power.

    Raises:
        ValueError: a thermal design power of nothing.
    """
    if tdp_w < 1:
        msg = f"expected a thermal design power of at least 1 W, got {tdp_w}"
        raise ValueError(msg)
    return MAX_EFFICIENCY * peak_flop_per_s * energy_j // tdp_w


def compute_licence_bounds(
    *, total_flop: Flop, rate_flop: Flop, energy_flop: Flop | None, stated_flop: Flop = 0
) -> tuple[Bound, ...]:
    """Return what the total of a licence is held against (VN-18.3).

    Args:
        total_flop: the ceiling that the licence states.
        rate_flop: the most that its chips can have computed in the time they worked.
        energy_flop: the most that the energy they drew can have bought; None where a chip's power is unknown.
        stated_flop: what open reports took of the ceiling that no commitment holds.
    """
    bounds = [(BoundKind.BUDGET, max(total_flop - stated_flop, 0)), (BoundKind.RATE, rate_flop)]
    if energy_flop is not None:
        bounds.append((BoundKind.ENERGY, energy_flop))
    return tuple(Bound(kind=kind, units=compute_units(flop)) for kind, flop in bounds)


def compute_pool_bounds(licensed_floor_flop: Flop, stated_flop: Flop = 0) -> tuple[Bound, ...]:
    """Return what a pool without a licence is held against: it stays below the first licensed band (VN-18.3).

    Args:
        licensed_floor_flop: where the first band that is not free begins; a pool reaches at most one less.
        stated_flop: what open reports took of it that no commitment holds.
    """
    left_flop = max(licensed_floor_flop - 1 - stated_flop, 0)
    return (Bound(kind=BoundKind.POOL, units=compute_units(left_flop)),)


def verify_kinds(bounds: Sequence[Bound], *, is_licence: bool) -> None:
    """Hold that bounds are of the kinds that go with what is proven, each once, in order (VN-18.4).

    Raises:
        ValueError: they are not.
    """
    allowed = LICENCE_KINDS if is_licence else POOL_KINDS
    kinds = [bound.kind for bound in bounds]
    if kinds != [kind for kind in allowed if kind in kinds] or kinds[:1] != [allowed[0]]:
        wanted = ", ".join(allowed)
        msg = f"expected bounds of kinds {wanted}, each at most once, in this order, from {allowed[0]} on"
        raise ValueError(msg)
