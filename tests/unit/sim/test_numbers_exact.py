"""Exact numbers, and refusals of one line."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from vetonet.errors import ConfigError
from vetonet.sim.numbers_exact import (
    MAX_TEXT_BYTES,
    Place,
    decimal_from_text,
    fraction_from,
    integer_from,
    show,
    text_from_bytes,
)

HERE = Place(name="f", line=3)


def test_a_count_beyond_floats_stays_exact() -> None:
    assert int(decimal_from_text("3.8e+25", HERE, "flop")) == 38 * 10**24
    assert int(float("3.8e+25")) != 38 * 10**24


@pytest.mark.parametrize(
    "text", ["", "x", "NaN", "inf", "-Infinity", "1e61", "1e-61", "1e99999999999999999999"]
)
def test_a_cell_that_is_no_sensible_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^f:3: expected flop"):
        decimal_from_text(text, HERE, "flop")


def test_zero_may_have_any_exponent() -> None:
    assert fraction_from(Decimal("0e999999"), HERE, "x") == 0


@pytest.mark.parametrize("value", [True, "1", None, 1.5, [1]])
def test_a_value_that_is_no_decoded_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="as a number"):
        fraction_from(value, HERE, "x")


def test_a_whole_decimal_is_an_integer() -> None:
    assert integer_from(Decimal("1152.0"), HERE, "x", low=0, high=2_000) == 1_152
    with pytest.raises(ConfigError, match="whole number from 0 to 2000"):
        integer_from(Decimal("1152.5"), HERE, "x", low=0, high=2_000)


def test_bytes_that_are_not_utf8_are_refused_at_their_line() -> None:
    with pytest.raises(ConfigError, match=r"^f:3: expected UTF-8 text, got 'byte 0xff'"):
        text_from_bytes(b"a\nb\n\xff\n", name="f")
    with pytest.raises(ConfigError, match=r"^f:1: expected UTF-8 text"):
        text_from_bytes(b"\xe2\x82", name="f")


def test_a_byte_order_mark_is_dropped() -> None:
    assert text_from_bytes(b"\xef\xbb\xbfa", name="f") == "a"


def test_a_file_beyond_the_cap_is_refused() -> None:
    with pytest.raises(ConfigError, match="a file of at most"):
        text_from_bytes(bytes(MAX_TEXT_BYTES + 1), name="f")


@pytest.mark.parametrize(
    "value", ["a\nb" * 100, 10**4_000, Decimal("1" * 500), {"a": 1}, Fraction(1, 3), "\ud800"]
)
def test_values_are_shown_in_one_short_line(value: object) -> None:
    shown = show(value)
    assert len(shown) <= 60
    assert shown.isprintable()


def test_a_file_name_cannot_break_the_line_of_a_message() -> None:
    assert str(Place(name="a\nb", line=1).refuse(expected="x", got=1)) == "a\\nb:1: expected x, got 1"
