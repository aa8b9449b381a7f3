"""Codecs that follow from annotations: every field is kept, and bytes of another shape are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from vetonet.encoding import cbor
from vetonet.encoding.record import Codec
from vetonet.encoding.shape import compute_codec, compute_members, from_map
from vetonet.errors import EncodingError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    number: int
    text: str | None = None

    def __post_init__(self) -> None:
        if self.number == 13:
            raise ValueError("unlucky")


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    is_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    data: bytes
    inner: Inner
    either: Inner | Other
    many: tuple[Inner, ...]
    counts: Mapping[Colour, int]
    marks: frozenset[bytes]
    level: Level
    derived: int = field(init=False, default=7)


OUTER = Outer(
    data=b"\x00",
    inner=Inner(number=1),
    either=Other(is_there=True),
    many=(Inner(number=2, text="two"), Inner(number=3)),
    counts={Colour.RED: 2, Colour.BLUE: 2**100},
    marks=frozenset({b"b", b"a"}),
    level=Level.HIGH,
)
CODEC = compute_codec(Outer, {})


def test_a_value_comes_back_as_it_went() -> None:
    item = CODEC.to_item(OUTER)
    assert CODEC.from_item(cbor.from_bytes(cbor.to_bytes(item), max_bytes=10**4)) == OUTER


def test_every_field_is_a_member_but_for_those_derived_or_left_out() -> None:
    names = {"data", "inner", "either", "many", "counts", "marks", "level"}
    assert compute_members(Outer, {}).keys() == names
    assert compute_members(Outer, {}, frozenset({"marks"})).keys() == names - {"marks"}


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("data", "text"),
        ("data", True),
        ("inner", {"number": 1}),
        ("inner", {"number": 1, "text": ["NoneType", None], "more": 1}),
        ("inner", {"number": 13, "text": ["NoneType", None]}),
        ("inner", {"number": -1, "text": ["NoneType", None]}),
        ("inner", {"number": True, "text": ["NoneType", None]}),
        ("inner", {"number": 1, "text": ["NoneType", 0]}),
        ("inner", {"number": 1, "text": None}),
        ("inner", {"number": 1, "text": ["str", "a\nb"]}),
        ("inner", [1]),
        ("either", ["Third", {}]),
        ("either", ["Other", {"is_there": 1}]),
        ("either", ["Other"]),
        ("many", {}),
        ("many", [0]),
        ("counts", [["blue", 1], ["red", 1]]),
        ("counts", [["red", 1], ["red", 1]]),
        ("counts", [["green", 1]]),
        ("counts", [["red"]]),
        ("counts", {"red": 1}),
        ("marks", [b"b", b"a"]),
        ("marks", [b"a", b"a"]),
        ("level", 3),
        ("level", "high"),
    ],
)
def test_an_item_of_another_shape_is_refused(name: str, item: Any) -> None:
    with pytest.raises(EncodingError):
        CODEC.from_item(CODEC.to_item(OUTER) | {name: item})


def test_a_map_lacks_no_member_and_has_no_other() -> None:
    item = CODEC.to_item(OUTER)
    for wrong in (
        {},
        item | {"more": 1},
        {key: value for key, value in item.items() if key != "data"},
        [item],
    ):
        with pytest.raises(EncodingError, match="expected a map"):
            from_map(wrong, compute_members(Outer, {}))


def test_a_type_without_a_codec_is_refused_before_anything_is_kept() -> None:
    for hint in (float, object, tuple[int, str], dict[str, int], Any):
        with pytest.raises(TypeError, match="no way to keep"):
            compute_codec(hint, {})


def test_a_special_codec_goes_before_what_annotations_say() -> None:
    doubled = Codec(lambda value: value * 2, lambda item: item // 2)
    assert compute_codec(Inner, {int: doubled}).to_item(Inner(number=4))["number"] == 8


def test_a_value_of_no_type_of_a_union_is_refused() -> None:
    with pytest.raises(EncodingError, match="expected one of"):
        compute_codec(Inner | Other, {}).to_item(3)
