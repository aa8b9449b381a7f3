"""Laws of the encoding: there and back is the identity, and no second spelling gets in."""

from __future__ import annotations

from typing import Any

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.encoding import cbor
from vetonet.errors import EncodingError

KEYS = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=4), st.binary(max_size=4))
ATOMS = st.one_of(
    st.integers(cbor.MIN_INTEGER, cbor.MAX_INTEGER),
    st.binary(max_size=40),
    st.text(max_size=20),
    st.booleans(),
    st.none(),
)
ITEMS = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


def have_same_type_and_value(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(have_same_type_and_value, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(have_same_type_and_value(left[k], right[k]) for k in left)
    return bool(left == right)


@given(ITEMS)
def test_every_value_of_the_model_returns(value: object) -> None:
    data = cbor.to_bytes(value)
    assert have_same_type_and_value(cbor.from_bytes(data, max_bytes=len(data)), value)


@given(ITEMS)
def test_another_program_agrees_on_the_value_and_on_the_spelling(value: object) -> None:
    # cbor2's canonical mode orders keys by length first (RFC 7049), so only its reading is compared.
    data = cbor.to_bytes(value)
    assert have_same_type_and_value(cbor2.loads(data), value)


@given(st.dictionaries(KEYS, st.integers(0, 9), max_size=8))
def test_keys_stand_in_the_bytewise_order_of_their_encodings(value: dict[Any, int]) -> None:
    data = cbor.to_bytes(value)
    keys = list(cbor.from_bytes(data, max_bytes=10_000))
    assert [cbor.to_bytes(key) for key in keys] == sorted(cbor.to_bytes(key) for key in keys)
    shuffled = dict(reversed(value.items()))
    assert cbor.to_bytes(shuffled) == data


@given(st.binary(max_size=60))
def test_what_is_read_is_written_back_byte_for_byte(data: bytes) -> None:
    try:
        value = cbor.from_bytes(data, max_bytes=60)
    except EncodingError:
        return
    assert cbor.to_bytes(value) == data


@settings(max_examples=200)
@given(ITEMS, st.data())
def test_a_changed_spelling_is_another_value_or_refused(value: object, data: st.DataObject) -> None:
    encoded = bytearray(cbor.to_bytes(value))
    offset = data.draw(st.integers(0, len(encoded) - 1))
    encoded[offset] ^= data.draw(st.integers(1, 255))
    try:
        changed = cbor.from_bytes(bytes(encoded), max_bytes=10_000)
    except EncodingError:
        return
    assert not have_same_type_and_value(changed, value)
    assert cbor.to_bytes(changed) == bytes(encoded)


@given(ITEMS, st.binary(min_size=1, max_size=5))
def test_nothing_may_follow_or_be_missing(value: object, suffix: bytes) -> None:
    data = cbor.to_bytes(value)
    for wrong in (data + suffix, data[:-1]):
        try:
            changed = cbor.from_bytes(wrong, max_bytes=10_000)
        except EncodingError:
            continue
        raise AssertionError(f"{wrong.hex()} was read as {changed!r}")
