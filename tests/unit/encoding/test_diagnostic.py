"""CBOR diagnostic notation, as far as published examples use it."""

from __future__ import annotations

from typing import Any

import pytest

from vetonet.encoding.diagnostic import read_diagnostic
from vetonet.errors import EncodingError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-70001", -70001),
        ('"a\\"b\\u00e9"', 'a"bé'),
        ("h''", b""),
        ("h'00 FF\n1a'", b"\x00\xff\x1a"),
        ("[]", []),
        ("[1, [true, false], null]", [1, [True, False], None]),
        ("{ / eat_nonce / 10: h'ab', 1: {} }", {10: b"\xab", 1: {}}),
        ("{1: 2,}", {1: 2}),
    ],
)
def test_what_examples_use_is_read(text: str, value: Any) -> None:
    assert read_diagnostic(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ only a comment /",
        "1 2",
        "[1 2]",
        "[1",
        "{1 2}",
        "{1: 2",
        "{[1]: 2}",
        "{1:}",
        "h'0'",
        "h'0g'",
        '"open',
        '"\\x"',
        "/ open",
        "1.5",
        "undefined",
        "'text'",
        "9" * 41,
        "[" * 17 + "]" * 17,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        read_diagnostic(text)
