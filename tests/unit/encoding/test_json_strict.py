"""JSON has one meaning here, whoever else may read it otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from vetonet.encoding.json_strict import MAX_DEPTH, read_json
from vetonet.errors import EncodingError

MAX_BYTES = 100_000


def nest(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, -2.5, true, null], "b": {"a": ""}}', {"a": [1, -2.5, True, None], "b": {"a": ""}}),
        (b' "\xc3\xa9" ', "é"),
        (b"[]" + b" " * (MAX_BYTES - 2), []),
        (b"1e308", 1e308),
    ],
)
def test_a_value_is_read(data: bytes, value: Any) -> None:
    assert read_json(data, MAX_BYTES) == value


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not JSON"),
        (b"1 2", "not JSON"),
        (b"\xff", "not JSON"),
        (b"\xef\xbb\xbf1", "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        (b'{"a": 1, "a": 1}', "stands twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "stands twice"),
        (b"NaN", "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"1e309", "too large"),
        (b"9" * 5000, "not JSON"),
        (b"[" * 90_000, "not JSON"),
        (b" " * (MAX_BYTES + 1), "expected JSON of at most 100000 bytes, got 100001"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_has_no_meaning_or_two_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(EncodingError, match=expected):
        read_json(data, MAX_BYTES)


def test_values_nest_up_to_a_depth() -> None:
    assert read_json(nest(MAX_DEPTH), MAX_BYTES)
    for depth in (MAX_DEPTH + 1, 500, 40_000):
        with pytest.raises(EncodingError):
            read_json(nest(depth), MAX_BYTES)
    with pytest.raises(EncodingError, match="at most 64 deep"):
        read_json(b'{"a": ' * 65 + b"1" + b"}" * 65, MAX_BYTES)
