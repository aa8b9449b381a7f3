from __future__ import annotations

import pytest

from vetonet.cli.parameters import parse_address, parse_name, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000_000),
        ("2027-01-15T09:00:00.250+01:00", 1_800_000_000_250),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_times_have_zones(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "2027-01-15", "2027-01-15T08:00:00", "1800000000", "1960-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a time with its zone"):
        parse_time(text)


@pytest.mark.parametrize("text", ["P1", "alfa.bravo_c-4", "x" * 64])
def test_names_can_be_folders_and_certificates(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "a/b", "a b", "é", "-x", "x" * 65, "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        parse_name(text)


@pytest.mark.parametrize("text", ["127.0.0.1:7443", "[::1]:0", "host.example:65535"])
def test_addresses_are_host_and_port(text: str) -> None:
    assert parse_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "7443", "host", "host:", ":7443", "host:65536", "host:-1", "a b:1", "::1:7443"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)
