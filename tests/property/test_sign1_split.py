"""The quick way into a Sign1 accepts exactly what the long way accepts, and finds the same in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vetonet.crypto import cose
from vetonet.encoding import cbor
from vetonet.errors import EncodingError

HEADER = {1: -8, 4: bytes(32), 16: "application/vetonet.x+cbor"}


def build(protected: bytes, unprotected: dict[Any, Any], payload: bytes, signature: bytes) -> bytes:
    return cose.TAG_SIGN1 + cbor.to_bytes([protected, unprotected, payload, signature])


USUAL = build(cbor.to_bytes(HEADER), {}, bytes(300), bytes(64))
SHORT = build(cbor.to_bytes(HEADER), {}, bytes(40), bytes(64))

sizes = st.sampled_from([0, 1, 23, 24, 25, 63, 64, 65, 255, 256, 257, 65_535, 65_536])
structures = st.builds(
    build,
    st.sampled_from(
        [b"", cbor.to_bytes({1: -8}), cbor.to_bytes(HEADER), cbor.to_bytes({1: -8, 4: bytes(250)})]
    ),
    st.sampled_from([{}, {}, {}, {4: b"x"}]),
    sizes.map(bytes),
    st.sampled_from([b"", bytes(63), bytes(64), bytes(65), bytes(96)]),
)


def read_the_long_way(data: bytes) -> tuple[bytes, ...] | None:
    try:
        parsed = cose.parse_sign1(data, max_bytes=70_000)
    except EncodingError:
        return None
    if parsed.unprotected:
        return None
    message = cose.compute_sign1_input(parsed.protected_bytes, parsed.payload)
    return parsed.protected_bytes, parsed.payload, parsed.signature, message


def read(data: bytes) -> tuple[bytes, ...] | None:
    try:
        return cose.split_sign1(data, max_bytes=70_000)
    except EncodingError:
        return None


@given(structures)
def test_every_structure_is_read_alike(data: bytes) -> None:
    assert read(data) == read_the_long_way(data)


@given(
    st.sampled_from([USUAL, SHORT]),
    st.integers(min_value=0, max_value=len(SHORT)),
    st.binary(max_size=3),
    st.integers(min_value=0, max_value=3),
)
@example(SHORT, len(SHORT), b"", 0)
@example(USUAL, 2, b"", 0)
def test_every_damaged_structure_is_read_alike(data: bytes, offset: int, put: bytes, cut: int) -> None:
    damaged = data[:offset] + put + data[offset + cut :]
    assert read(damaged) == read_the_long_way(damaged)


def test_every_single_changed_byte_is_read_alike() -> None:
    for data in (USUAL, SHORT):
        for offset in range(len(data)):
            for flip in (0x01, 0x20, 0x80):
                changed = data[:offset] + bytes([data[offset] ^ flip]) + data[offset + 1 :]
                assert read(changed) == read_the_long_way(changed)


def test_an_oversize_structure_is_refused() -> None:
    assert cose.split_sign1(USUAL, max_bytes=len(USUAL)).payload == bytes(300)
    with pytest.raises(EncodingError):
        cose.split_sign1(USUAL, max_bytes=len(USUAL) - 1)
