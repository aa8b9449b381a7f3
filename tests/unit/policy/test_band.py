"""Bands: every total lies in exactly one, and rules never loosen (VN-3.3)."""

from __future__ import annotations

import pytest

from vetonet.errors import EncodingError
from vetonet.policy.band import Band, BandRule, find_band, verify_bands
from vetonet.units import MAX_FLOP

FREE, LICENSED, FORBIDDEN = BandRule.FREE, BandRule.LICENSED, BandRule.FORBIDDEN


def make_bands(*edges: tuple[int, BandRule]) -> tuple[Band, ...]:
    return tuple(Band(name=f"b{i}", floor_flop=floor, rule=rule) for i, (floor, rule) in enumerate(edges))


BANDS = make_bands((0, FREE), (10**24, LICENSED), (10**25, LICENSED), (10**27, FORBIDDEN))


@pytest.mark.parametrize(
    ("total_flop", "name"),
    [
        (0, "b0"),
        (10**24 - 1, "b0"),
        (10**24, "b1"),
        (10**25 - 1, "b1"),
        (10**25, "b2"),
        (10**27 - 1, "b2"),
        (10**27, "b3"),
        (MAX_FLOP, "b3"),
        (10 * MAX_FLOP, "b3"),
    ],
)
def test_a_floor_belongs_to_its_own_band(total_flop: int, name: str) -> None:
    verify_bands(BANDS)
    assert find_band(BANDS, total_flop).name == name


def test_one_band_can_hold_everything() -> None:
    for rule in BandRule:
        bands = make_bands((0, rule))
        verify_bands(bands)
        assert find_band(bands, 10**30).rule is rule


@pytest.mark.parametrize(
    "bands",
    [
        pytest.param((), id="none"),
        pytest.param(make_bands((1, FREE)), id="gap at the bottom"),
        pytest.param(make_bands((0, FREE), (0, LICENSED)), id="two at one floor"),
        pytest.param(make_bands((0, FREE), (9, LICENSED), (8, LICENSED)), id="falling"),
        pytest.param(make_bands((0, LICENSED), (9, FREE)), id="larger is freer"),
        pytest.param(make_bands((0, FREE), (8, FORBIDDEN), (9, LICENSED)), id="forbidden below licensed"),
        pytest.param((BANDS[0], Band(name="b0", floor_flop=9, rule=LICENSED)), id="name twice"),
    ],
)
def test_bands_that_leave_doubt_are_refused(bands: tuple[Band, ...]) -> None:
    # VN-3.3
    with pytest.raises(ValueError, match="expected bands"):
        verify_bands(bands)


@pytest.mark.parametrize(
    ("label", "value"),
    [(1, ""), (1, "x" * 33), (2, -1), (2, MAX_FLOP + 1), (2, 1.5), (3, "open"), (3, ""), (4, 0)],
)
def test_a_malformed_band_is_refused(label: int, value: object) -> None:
    with pytest.raises(EncodingError):
        Band.from_item(BANDS[0].to_item() | {label: value})
