"""Laws of CoRIM bytes: any bytes give a value or an EncodingError, and a value has one spelling (VN-17.6)."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.firmware import make_reference
from vetonet.attestation.corim import MAX_NUMBER, Corim
from vetonet.attestation.firmware import MAX_SVN, Firmware, FirmwareComponent
from vetonet.encoding import cbor
from vetonet.errors import EncodingError

GOOD = make_reference().corim.to_bytes()

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
components = st.builds(
    FirmwareComponent,
    name=names,
    digest=st.binary(min_size=32, max_size=32),
    svn=st.integers(0, MAX_SVN),
    version=names,
)
firmwares = st.lists(components, min_size=1, max_size=6, unique_by=lambda part: part.name).map(
    lambda parts: Firmware(components=tuple(sorted(parts, key=lambda part: part.name)))
)
corims = st.builds(Corim, vendor=names, model=names, number=st.integers(0, MAX_NUMBER), firmware=firmwares)

atoms = st.one_of(
    st.integers(-3, 2**70), st.binary(max_size=8), st.text(max_size=8), st.booleans(), st.none()
)


def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.integers(-3, 9), st.text(max_size=3))
    tagged = st.builds(cbor.Tagged, st.sampled_from([2**16, 501, 506, 552, 553]), inner)
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3), tagged)


items = st.recursive(atoms, nest, max_leaves=12)


@given(corims)
def test_a_corim_that_was_written_is_read_again(corim: Corim) -> None:
    assert Corim.from_bytes(corim.to_bytes()) == corim


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(lambda tail: b"\xd9\x01\xf5\xa2" + tail)))
def test_any_bytes_give_a_corim_or_an_encoding_error(data: bytes) -> None:
    with contextlib.suppress(EncodingError):
        assert Corim.from_bytes(data).to_bytes() == data


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_corim_with_one_byte_changed_is_another_or_none(place: int, change: int) -> None:
    data = GOOD[:place] + bytes([GOOD[place] ^ change]) + GOOD[place + 1 :]
    with contextlib.suppress(EncodingError):
        found = Corim.from_bytes(data)
        assert found.to_bytes() == data != GOOD
        assert found != Corim.from_bytes(GOOD)


@given(items)
def test_tagged_items_have_one_spelling(item: Any) -> None:
    data = cbor.to_tagged_bytes(item)
    tags = (2**16, 501, 506, 552, 553)
    assert cbor.to_tagged_bytes(cbor.from_tagged_bytes(data, max_bytes=10_000, tags=tags)) == data


@given(items)
def test_a_tag_that_was_not_asked_for_is_refused(item: Any) -> None:
    data = cbor.to_tagged_bytes(cbor.Tagged(501, item))
    for read in (cbor.from_bytes, lambda d, **k: cbor.from_tagged_bytes(d, tags=(506,), **k)):
        try:
            read(data, max_bytes=10_000)
        except EncodingError:
            continue
        raise AssertionError("a foreign tag was read")


@given(st.binary(max_size=60))
def test_any_bytes_give_a_tagged_item_or_an_encoding_error(data: bytes) -> None:
    with contextlib.suppress(EncodingError):
        assert cbor.to_tagged_bytes(cbor.from_tagged_bytes(data, max_bytes=60, tags=(501, 506))) == data
