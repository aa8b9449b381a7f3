"""Bands: how much compute needs whose consent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from vetonet.encoding.record import Record, member, one_of, tstr, uint
from vetonet.units import MAX_FLOP


class BandRule(StrEnum):
    """What a band demands of a run whose total lies in it."""

    FREE = "free"
    LICENSED = "licensed"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band(Record):
    """Totals from ``floor_flop`` up to the next band's floor follow ``rule``; the floor itself is inside."""

    name: str = member(1, tstr(32))
    floor_flop: int = member(2, uint(MAX_FLOP))
    rule: BandRule = member(3, one_of(BandRule))


def verify_bands(bands: tuple[Band, ...]) -> None:
    """Hold that the bands cover every total once, from 0 up, with rules that never loosen (VN-3.3).

    Raises:
        ValueError: they do not.
    """
    floors = [band.floor_flop for band in bands]
    if not bands or floors[0] != 0 or any(low >= high for low, high in pairwise(floors)):
        msg = f"expected bands that start at 0 FLOP and rise, got floors {floors}"
        raise ValueError(msg)
    strictness = [tuple(BandRule).index(band.rule) for band in bands]
    if strictness != sorted(strictness) or len({band.name for band in bands}) < len(bands):
        msg = "expected bands with different names whose rules never loosen as the total grows"
        raise ValueError(msg)


def find_band(bands: tuple[Band, ...], total_flop: int) -> Band:
    """Return the band in which a total lies."""
    return next(band for band in reversed(bands) if total_flop >= band.floor_flop)
