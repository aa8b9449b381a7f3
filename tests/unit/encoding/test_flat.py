"""Flat layouts: which codecs have a spelling, what an expression accepts, and what it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from vetonet.encoding.flat import (
    MAX_SIZES,
    MAX_TEXT_BYTES,
    FlatLayout,
    FlatMember,
    Spelling,
    compile_layout,
    spell_array,
    spell_bytes,
    spell_choice,
    spell_natural,
    spell_text,
)
from vetonet.encoding.record import Codec, Record, bstr, many, member, parsed, read_flat, record, tstr, uint
from vetonet.errors import EncodingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Record):
    number: int = member(1, uint(9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Record):
    inner: Inner = member(1, record(Inner))


def put(_: object, value: object) -> None:
    pytest.fail(f"a split sets nothing, and yet {value!r}")


def make_layout(*, required: int, optional: int = 0, spelling: Spelling | None = None) -> FlatLayout:
    """The optional members have the last labels."""
    return compile_layout(
        [
            FlatMember(
                label=label, spelling=spelling or spell_natural(9), optional=label >= required, put=put
            )
            for label in range(required + optional)
        ]
    )


@pytest.mark.parametrize(
    "codec",
    [
        record(Inner),
        many(record(Inner), maximum=2),
        parsed(str.encode, bytes.decode, maximum=3),
        bstr(0, MAX_SIZES),
        bstr(65_536),
        tstr(MAX_TEXT_BYTES // 4 + 1),
        many(bstr(32), maximum=24),
        many(tstr(64), maximum=4),
    ],
)
def test_a_codec_beyond_a_short_expression_has_no_spelling(codec: Codec[Any]) -> None:
    assert codec.spelling is None


def test_a_class_with_one_such_codec_goes_the_general_way() -> None:
    nested = Nested(inner=Inner(number=3))
    assert read_flat(Nested, nested.to_bytes()) is None
    assert Nested.from_bytes(nested.to_bytes()) == nested


def test_a_layout_gives_each_part_without_what_is_known_of_it() -> None:
    layout = make_layout(required=2, spelling=spell_bytes(2, 2))
    assert layout.split(b"\xa2\x00\x42ab\x01\x42\n\x00") == (b"ab", b"\n\x00")


def test_an_absent_member_is_none_and_counted_in_the_head() -> None:
    layout = make_layout(required=1, optional=2)
    assert layout.split(b"\xa3\x00\x01\x01\x02\x02\x03") == (b"\x01", b"\x02", b"\x03")
    assert layout.split(b"\xa2\x00\x01\x02\x03") == (b"\x01", None, b"\x03")
    assert layout.split(b"\xa1\x00\x01") == (b"\x01", None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa3\x00\x01",
        b"\xa1\x00\x01\x01\x02",
        b"\xa2\x01\x02\x02\x03",
        b"\xa2\x02\x03\x00\x01",
        b"\xa2\x00\x01\x00\x01",
        b"\xb8\x01\x00\x01",
        b"\xbf\x00\x01\xff",
        b"\xa1\x00\x01\x00",
        b"\xa1\x18\x00\x01",
        b"\xa1\x00\x18\x01",
    ],
)
def test_another_head_label_order_or_length_is_no_such_record(data: bytes) -> None:
    assert make_layout(required=1, optional=2).split(data) is None


def test_a_number_over_its_maximum_matches_and_is_refused_when_read() -> None:
    spelling = spell_natural(9)
    assert spelling.read is not None
    assert spelling.read(b"\x09") == 9
    with pytest.raises(EncodingError):
        spelling.read(b"\x0a")


def test_text_is_narrowed_after_it_is_decoded() -> None:
    def refuse_b(text: str) -> str:
        if text == "b":
            raise EncodingError(text)
        return text

    spelling = spell_text(2, refuse_b)
    assert spelling is not None
    assert spelling.read is not None
    assert spelling.read(b"\x62\xc3\xa9") == "\xe9"
    for _ in range(2):
        with pytest.raises(EncodingError):
            spelling.read(b"\x61b")
        with pytest.raises(UnicodeDecodeError):
            spelling.read(b"\x61\xff")


def test_a_choice_is_one_of_its_texts_and_no_beginning_of_one() -> None:
    layout = make_layout(required=1, spelling=spell_choice({"red": 1, "reddish": 2}))
    assert layout.split(b"\xa1\x00\x67reddish") == (b"\x67reddish",)
    assert layout.split(b"\xa1\x00\x64redd") is None
    assert layout.split(b"\xa1\x00\x43red") is None


def test_an_array_is_read_entry_by_entry_also_where_an_entry_looks_like_a_head() -> None:
    entry = spell_bytes(2, 2)
    assert entry is not None
    spelling = spell_array(entry, 0, 2)
    assert spelling is not None
    assert spelling.read is not None
    assert [spelling.read(part) for part in (b"\x80", b"\x82\x42\x42\x42\x42\x82\x42")] == [
        (),
        (b"BB", b"\x82B"),
    ]
