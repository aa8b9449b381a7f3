"""Deterministic CBOR: what is in the model has one spelling, everything else is refused."""

from __future__ import annotations

from enum import IntEnum

import cbor2
import pytest

from vetonet.encoding import cbor
from vetonet.errors import EncodingError

# RFC 8949 appendix A, the examples that lie in our value model, as (value, encoding).
RFC_8949_EXAMPLES = [
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (18446744073709551616, "c249010000000000000000"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
]

ANOTHER_SPELLING = {
    "head longer than needed": "1800",
    "16-bit head for a byte": "190018",
    "32-bit head for 16 bits": "1a00000100",
    "64-bit head for 32 bits": "1b0000000000010000",
    "long head of a negative integer": "3800",
    "long head of a byte string": "580100",
    "long head of text": "780161",
    "long head of an array": "980101",
    "long head of a map": "b8010102",
    "indefinite byte string": "5f4101ff",
    "indefinite text": "7f6161ff",
    "indefinite array": "9f01ff",
    "indefinite map": "bf0102ff",
    "map keys out of order": "a203040102",
    "text key before a shorter integer key": "a2616101182a02",
    "negative key before 24": "a22001181802",
    "longer text key first": "a262616101616202",
    "map key twice": "a201020103",
    "map key twice, equal values": "a201020102",
    "text key twice": "a2616101616101",
    "bignum for a small integer": "c24101",
    "bignum for 64 bits": "c248ffffffffffffffff",
    "bignum with a leading zero": "c24a00010000000000000000",
    "empty bignum": "c240",
    "bignum tag with a long head": "d80249010000000000000000",
    "indefinite bignum": "c25f49010000000000000000ff",
    "trailing byte": "0000",
    "trailing break": "00ff",
    "one-byte simple value for true": "f815",
}

OUTSIDE_THE_MODEL = {
    "negative bignum": "c349010000000000000000",
    "integer above 128 bits": "c251010000000000000000000000000000000000",
    "half float": "f93c00",
    "negative zero": "f98000",
    "not a number": "f97e00",
    "infinity": "f97c00",
    "single float": "fa47c35000",
    "double float": "fb3ff199999999999a",
    "undefined": "f7",
    "simple value 0": "e0",
    "simple value 16": "f0",
    "simple value 255": "f8ff",
    "date text": "c074323031332d30332d32315432303a30343a30305a",
    "epoch date": "c11a514b67b0",
    "decimal fraction": "c48221196ab3",
    "bigfloat": "c5822003",
    "embedded CBOR": "d818456449455446",
    "URI": "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "regular expression": "d82362612b",
    "MIME message": "d824656161616161",
    "UUID": "d82550c000000000000000000000000000000000",
    "set": "d9010283010203",
    "string reference namespace": "d90100826161d81900",
    "string reference": "d81900",
    "shareable that holds itself": "d81c81d81d00",
    "shared reference": "d81d00",
    "IPv4 address": "d83444c0a80101",
    "IP network": "d9010544c0a80101",
    "complex number": "d9a7f8820102",
    "self-described CBOR": "d9d9f700",
    "COSE_Sign1 inside": "d28440a04040",
    "unknown tag": "d9270f00",
    "tag inside an array": "81c100",
    "tag as a map value": "a101c100",
    "array as a map key": "a18001",
    "map as a map key": "a1a001",
    "true as a map key": "a1f501",
    "null as a map key": "a1f601",
    "float as a map key": "a1f93c0001",
    "bignum as a map key": "a1c24901000000000000000001",
    "bignum as a map key beside text": "a2616101c24901000000000000000002",
    "false beside zero as keys": "a20001f402",
}

MALFORMED = {
    "nothing": "",
    "head cut short": "19",
    "byte string cut short": "4201",
    "text cut short": "6261",
    "array cut short": "8201",
    "map without its value": "a101",
    "map without its second pair": "a20102",
    "array longer than memory": "9bffffffffffffffff",
    "byte string longer than memory": "5bffffffffffffffff",
    "map longer than memory": "bbffffffffffffffff",
    "reserved additional information": "1c",
    "reserved array length": "9e",
    "break alone": "ff",
    "tag alone": "c2",
    "text that is not UTF-8": "62c328",
    "overlong UTF-8": "62c080",
    "surrogate in UTF-8": "63eda080",
    "reserved simple value": "f818",
}


def _hex(table: dict[str, str]) -> list[object]:
    return [pytest.param(bytes.fromhex(text), id=name) for name, text in table.items()]


@pytest.mark.parametrize(("value", "encoding"), RFC_8949_EXAMPLES)
def test_rfc_8949_examples_read_and_write(value: object, encoding: str) -> None:
    assert cbor.to_bytes(value).hex() == encoding
    assert cbor.from_bytes(bytes.fromhex(encoding), max_bytes=64) == value


@pytest.mark.parametrize("data", _hex(ANOTHER_SPELLING))
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        cbor.from_bytes(data, max_bytes=64)


@pytest.mark.parametrize("data", _hex(OUTSIDE_THE_MODEL))
def test_an_item_outside_the_model_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        cbor.from_bytes(data, max_bytes=64)


@pytest.mark.parametrize("data", _hex(MALFORMED))
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        cbor.from_bytes(data, max_bytes=64)


@pytest.mark.parametrize(
    "content",
    [0, "a", b"ab", [], [1, 2], {}, ["a", "b"], bytes(16), b"\x01" * 17, "2020-01-01", [1, b"\x01"]],
    ids=repr,
)
def test_no_tag_but_the_bignum_is_read(content: object) -> None:
    for tag in (*range(3, 600), 1004, 1040, 43000, 43001, 55799, 2**32, 2**64 - 1):
        with pytest.raises(EncodingError):
            cbor.from_bytes(cbor2.dumps(cbor2.CBORTag(tag, content)), max_bytes=64)


@pytest.mark.parametrize("opener", [b"\x81", b"\xa1\x00"])
def test_nesting_ends_at_sixteen_containers(opener: bytes) -> None:
    value = cbor.from_bytes(opener * cbor.MAX_DEPTH + b"\x01", max_bytes=64)
    assert cbor.to_bytes(value) == opener * cbor.MAX_DEPTH + b"\x01"
    for depth in (17, 18, 19, 1000, 100_000):
        with pytest.raises(EncodingError):
            cbor.from_bytes(opener * depth + b"\x01", max_bytes=10**6)


def test_a_value_nested_too_deeply_is_not_written() -> None:
    value: object = 1
    for _ in range(cbor.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(EncodingError):
        cbor.to_bytes(value)


def test_a_value_that_holds_itself_is_not_written() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(EncodingError):
        cbor.to_bytes(loop)


def test_size_is_bounded_before_anything_is_read() -> None:
    data = cbor.to_bytes(bytes(100))
    assert cbor.from_bytes(data, max_bytes=len(data)) == bytes(100)
    with pytest.raises(EncodingError, match="at most 101 bytes"):
        cbor.from_bytes(data, max_bytes=len(data) - 1)


@pytest.mark.parametrize("value", [2**128 - 1, 2**64, 2**64 - 1, -(2**64), -(2**63)])
def test_integers_up_to_the_limits_return(value: int) -> None:
    assert cbor.from_bytes(cbor.to_bytes(value), max_bytes=64) == value


@pytest.mark.parametrize("value", [2**128, -(2**64) - 1, 10**100])
def test_integers_beyond_the_limits_are_refused_both_ways(value: int) -> None:
    with pytest.raises(EncodingError):
        cbor.to_bytes(value)
    with pytest.raises(EncodingError):
        cbor.from_bytes(cbor2.dumps(value), max_bytes=64)


def test_map_keys_come_in_bytewise_order_of_their_encodings() -> None:
    keys = [0, 23, 24, 255, 256, 2**64 - 1, -1, -24, -25, -(2**64), b"", b"z", b"aa", "", "z", "aa"]
    data = cbor.to_bytes(dict.fromkeys(reversed(keys), 0))
    assert list(cbor.from_bytes(data, max_bytes=200)) == keys
    assert data[2:3] == b"\x00", "the shortest natural number is first"


def test_a_negative_key_follows_every_natural_number() -> None:
    assert cbor.to_bytes({-1: 0, 24: 0}).hex() == "a2181800" + "2000"


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        object(),
        {1, 2},
        bytearray(b"a"),
        memoryview(b"a"),
        "\ud800",
        {(1, 2): 3},
        {None: 1},
        {True: 1},
        {1.0: 1},
        {2**64: 1},
        {"a": 1, 2**64: 2},
        {"a": 1, -(2**64) - 1: 2},
        [[[float("nan")]]],
        cbor2.CBORTag(1, 0),
        cbor2.undefined,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_outside_the_model_are_not_written(value: object) -> None:
    with pytest.raises(EncodingError):
        cbor.to_bytes(value)


def test_integer_enumerations_are_written_as_integers_and_tuples_as_arrays() -> None:
    class Colour(IntEnum):
        RED = 7

    assert cbor.to_bytes((Colour.RED, (1,))).hex() == "82078101"


def test_messages_are_one_short_line() -> None:
    for text in (*MALFORMED.values(), *OUTSIDE_THE_MODEL.values()):
        with pytest.raises(EncodingError) as caught:
            cbor.from_bytes(bytes.fromhex(text), max_bytes=64)
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)
