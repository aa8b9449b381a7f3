"""Records and their codecs: every edge of every kind of field, the same in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from vetonet.encoding import cbor
from vetonet.encoding.record import (
    DIGEST,
    Codec,
    Record,
    bstr,
    compute_layout,
    flag,
    many,
    member,
    numeric_date,
    one_of,
    parsed,
    record,
    tstr,
    uint,
)
from vetonet.errors import EncodingError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Record):
    number: int = member(1, uint(9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Record):
    """One field of each kind, its labels chosen so that key order is not declaration order."""

    private: int = member(-1, uint())
    late: bytes = member(24, bstr(2))
    name: str = member(1, tstr(4))
    colour: Colour | None = member(2, one_of(Colour), optional=True)
    inner: Inner = member(3, record(Inner))

    def __post_init__(self) -> None:
        if self.name == "evil":
            msg = "no evil"
            raise ValueError(msg)


def make_outer(**changes: Any) -> Outer:
    fields: dict[str, Any] = {"private": 5, "late": b"xy", "name": "n", "inner": Inner(number=1)}
    return Outer(**(fields | changes))


# kind, codec, (value, item) pairs that correspond, values refused on encoding, items refused on decoding
EDGES: list[tuple[str, Codec[Any], list[tuple[Any, Any]], list[Any], list[Any]]] = [
    (
        "uint",
        uint(7),
        [(0, 0), (7, 7)],
        [-1, 8, True, "1", 1.0, None],
        [-1, 8, True, False, "1", b"1", None, [], {}, 2**64],
    ),
    ("uint64", uint(), [(2**64 - 1, 2**64 - 1)], [2**64], [2**64]),
    ("flag", flag(), [(True, True), (False, False)], [0, 1, None], [0, 1, None, "true", b"\x01"]),
    (
        "bstr",
        bstr(2, 3),
        [(b"ab", b"ab"), (b"abc", b"abc")],
        [b"a", b"abcd", "ab", bytearray(b"ab")],
        [b"", b"a", b"abcd", "ab", 2, None, [1, 2]],
    ),
    ("bstr of one size", bstr(2), [(b"ab", b"ab")], [b"a", b"abc"], [b"a", b"abc"]),
    ("digest", DIGEST, [(bytes(32), bytes(32))], [bytes(31), bytes(33)], [bytes(31), bytes(33), b""]),
    (
        "tstr",
        tstr(3),
        [("a", "a"), ("\u6c34a ", "\u6c34a ")],
        ["", "abcd", b"a", Colour.RED],
        ["", "abcd", b"a", 1, None, "a\n", "\x00", "\u202e", "\u200b", "\u2028", "\x7f", "\ue000", "\xa0"],
    ),
    (
        "numeric date",
        numeric_date(),
        [(0, 0), (1000, 1), (2**40 * 1000, 2**40)],
        [1, 999, 1001, -1000, 2**40 * 1000 + 1000],
        [-1, 2**40 + 1, 1.5, "1", None],
    ),
    (
        "one of",
        one_of(Colour),
        [(Colour.RED, "red")],
        [],
        ["RED", "Red", "green", "", b"red", 0, None, ["red"]],
    ),
    (
        "many",
        many(uint(5), minimum=1, maximum=2),
        [((1,), [1]), ((5, 0), [5, 0])],
        [(), (1, 2, 3), (6,)],
        [[], [1, 2, 3], [6], [None], 1, {}, {1: 1}, b"\x01", "1", None],
    ),
    (
        "parsed",
        parsed(str.encode, bytes.decode, maximum=3),
        [("abc", b"abc")],
        ["", "abcd"],
        [b"", b"abcd", "abc", None],
    ),
    (
        "record",
        record(Inner),
        [(Inner(number=3), {1: 3})],
        [Inner(number=10)],
        [{}, {1: 10}, {2: 3}, {1: 3, 2: 0}, {"1": 3}, [], [[1, 3]], 3, None, b"\xa1\x01\x03"],
    ),
]


@pytest.mark.parametrize(("codec", "pairs"), [pytest.param(e[1], e[2], id=e[0]) for e in EDGES])
def test_what_a_codec_takes_it_returns(codec: Codec[Any], pairs: list[tuple[Any, Any]]) -> None:
    for value, item in pairs:
        assert codec.to_item(value) == item
        assert codec.from_item(item) == value


@pytest.mark.parametrize(("codec", "values"), [pytest.param(e[1], e[3], id=e[0]) for e in EDGES if e[3]])
def test_what_nobody_could_decode_is_not_encoded(codec: Codec[Any], values: list[Any]) -> None:
    for value in values:
        with pytest.raises(EncodingError):
            codec.to_item(value)


@pytest.mark.parametrize(("codec", "items"), [pytest.param(e[1], e[4], id=e[0]) for e in EDGES])
def test_a_codec_refuses_every_other_item(codec: Codec[Any], items: list[Any]) -> None:
    for item in items:
        with pytest.raises(EncodingError):
            codec.from_item(item)


def test_a_record_returns_from_its_bytes() -> None:
    for outer in (make_outer(), make_outer(colour=Colour.BLUE)):
        assert Outer.from_bytes(outer.to_bytes()) == outer


def test_labels_come_in_key_order_whatever_the_declaration() -> None:
    assert [m.label for m in compute_layout(Outer)] == [1, 2, 3, 24, -1]
    assert list(make_outer(colour=Colour.RED).to_item()) == [1, 2, 3, 24, -1]


def test_an_absent_optional_field_is_left_out_and_never_null() -> None:
    item = make_outer().to_item()
    assert 2 not in item
    with pytest.raises(EncodingError, match=r"Outer\.colour"):
        Outer.from_item(item | {2: None})


@pytest.mark.parametrize("label", [1, 3, 24, -1])
def test_a_missing_field_is_named(label: int) -> None:
    item = make_outer(colour=Colour.RED).to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Outer.from_item(item)


@pytest.mark.parametrize("label", [0, 4, -2, "1", b"\x01", 2**64 - 1])
def test_an_unknown_field_is_refused(label: object) -> None:
    with pytest.raises(EncodingError, match="unknown field"):
        Outer.from_item(make_outer().to_item() | {label: 0})


def test_an_unknown_field_cannot_hide_behind_an_absent_optional_one() -> None:
    item = make_outer().to_item() | {7: 0}
    assert len(item) == len(compute_layout(Outer))
    with pytest.raises(EncodingError, match="unknown field 7"):
        Outer.from_item(item)


@pytest.mark.parametrize("item", [None, 1, "a", b"", [], [1], True])
def test_something_other_than_a_map_is_no_record(item: object) -> None:
    with pytest.raises(EncodingError, match="expected a map"):
        Outer.from_item(item)


def test_the_records_own_rule_is_an_encoding_error_when_parsing() -> None:
    item = make_outer().to_item() | {1: "evil"}
    with pytest.raises(EncodingError, match="no evil"):
        Outer.from_item(item)
    with pytest.raises(ValueError, match="no evil"):
        make_outer(name="evil")


def test_a_field_outside_its_range_is_named_when_encoding() -> None:
    with pytest.raises(EncodingError, match=r"Outer\.inner: Inner\.number"):
        make_outer(inner=Inner(number=10)).to_bytes()


def test_bytes_in_another_key_order_are_refused() -> None:
    one, two = cbor.to_bytes(1) + cbor.to_bytes("n"), cbor.to_bytes(-1) + cbor.to_bytes(5)
    rest = cbor.to_bytes(3) + cbor.to_bytes({1: 1}) + cbor.to_bytes(24) + cbor.to_bytes(b"xy")
    assert Outer.from_bytes(b"\xa4" + one + rest + two) == make_outer()
    with pytest.raises(EncodingError):
        Outer.from_bytes(b"\xa4" + two + one + rest)


def test_a_record_too_large_to_be_read_is_not_written() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Wide(Record):
        data: bytes = member(1, bstr(0, 10**6))

    head = len(Wide(data=bytes(1000)).to_bytes()) - 1000
    largest = Wide(data=bytes(Wide.MAX_BYTES - head))
    assert Wide.from_bytes(largest.to_bytes()) == largest
    with pytest.raises(EncodingError, match="anyone accepts"):
        Wide(data=bytes(Wide.MAX_BYTES - head + 1)).to_bytes()
    with pytest.raises(EncodingError, match="expected at most"):
        Wide.from_bytes(cbor.to_bytes({1: bytes(Wide.MAX_BYTES)}))


def test_messages_quote_no_more_than_a_line_of_hostile_input() -> None:
    hostile = ["x" * 10_000, [["\n"] * 500], "\x1b[2J" * 99, 10**30, {"k" * 3000: 1}]
    for item in hostile:
        for target in (item, make_outer().to_item() | {1: item}):
            with pytest.raises(EncodingError) as caught:
                Outer.from_item(target)
            assert len(str(caught.value)) < 250
            assert str(caught.value).isprintable()


def test_an_unknown_label_is_quoted_in_one_line() -> None:
    with pytest.raises(EncodingError) as caught:
        Outer.from_item(make_outer().to_item() | {"\n" * 1000: 1})
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()
