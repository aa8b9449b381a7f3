"""Counts and durations as people write them, read exactly or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.units import (
    MAX_DURATION_MS,
    MAX_FLOP,
    parse_count,
    parse_duration,
    parse_flop,
    spell_duration,
    spell_flop,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e22", 10**22),
        ("5.5e21", 55 * 10**20),
        ("3.8E+25", 38 * 10**24),
        ("5503765708800000000000", 5503765708800000000000),
        ("1_000,000", 10**6),
        ("1.0", 1),
    ],
)
def test_flop_are_read_exactly(text: str, expected: int) -> None:
    assert parse_flop(text) == expected


@given(st.integers(min_value=1, max_value=MAX_FLOP))
def test_every_count_is_read_as_it_is_printed(flop: int) -> None:
    assert parse_flop(str(flop)) == flop
    assert parse_flop(spell_flop(flop)) == flop


@pytest.mark.parametrize("spelled", ["1e22", "5.5e21", "99", "100", "1e3", "100000000000001", "1.00001e20"])
def test_a_count_is_spelled_as_short_as_it_can_be(spelled: str) -> None:
    assert spell_flop(parse_flop(spelled)) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1.5",
        "1e-3",
        "nan",
        "inf",
        "1e99",
        "0x10",
        "1e",
        "5.5e21 FLOP",
        "1/2",
        "1e999999999",
        "\u0661",
    ],
)
def test_what_is_no_count_of_flop_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a whole number of FLOP above 0, such as 5\.5e21, got"):
        parse_flop(text)


def test_more_flop_than_any_run_can_have_are_refused() -> None:
    assert parse_flop(str(MAX_FLOP)) == MAX_FLOP
    with pytest.raises(ValueError, match="expected a whole number"):
        parse_flop(str(MAX_FLOP + 1))


@pytest.mark.parametrize(("text", "expected"), [("405e9", 405 * 10**9), ("512", 512)])
def test_counts_are_read_exactly(text: str, expected: int) -> None:
    assert parse_count(text) == expected


@pytest.mark.parametrize("text", ["0", "1e19", "-5", "half"])
def test_what_counts_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 512"):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90_000),
        ("10m", 600_000),
        ("1h", 3_600_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("30d", 2_592_000_000),
    ],
)
def test_durations_have_units(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "90", "s", "0s", "1.5h", "-1h", "1h ago", "367d", "1w", "9" * 30 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=MAX_DURATION_MS))
def test_every_duration_is_read_as_it_is_spelled(duration_ms: int) -> None:
    assert parse_duration(spell_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize("spelled", ["90d", "1h30m", "1m30s", "250ms", "1d1ms"])
def test_a_duration_is_spelled_in_its_largest_units(spelled: str) -> None:
    assert spell_duration(parse_duration(spelled)) == spelled


def test_no_time_at_all_is_spelled_so() -> None:
    assert spell_duration(0) == "0s"
