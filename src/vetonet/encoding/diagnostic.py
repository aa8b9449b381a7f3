"""CBOR diagnostic notation (RFC 8949 section 8), as far as published examples use it: for reading those."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from vetonet.encoding.cbor import MAX_DEPTH, Item
from vetonet.errors import EncodingError

_TOKEN: Final = re.compile(
    r"""\s+|/[^/]*/|(?P<bytes>h'(?:\s*[0-9a-fA-F]\s*[0-9a-fA-F])*\s*')|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]{1,40}(?![0-9]))"""
    r"|(?P<word>true|false|null)|(?P<mark>[{}\[\]:,])"
)
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_END: Final = ("", "")


def read_diagnostic(text: str) -> Item:
    """Return the value that diagnostic notation describes: maps, arrays, text, bytes, integers, words.

    Raises:
        EncodingError: anything else, or nested deeper than CBOR of ours.
    """
    tokens = _split(text)
    value = _read(tokens, MAX_DEPTH)
    if tokens:
        raise EncodingError("more than one value in diagnostic notation")
    return value


def _split(text: str) -> list[tuple[str, str]]:
    """Return the kind and spelling of each token, the last one first; blanks and comments are gone."""
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise EncodingError(f"not diagnostic notation: {text[place : place + 20]!r}")
        if match.lastgroup:
            found.append((match.lastgroup, match.group()))
        place = match.end()
    return found[::-1]


def _read(tokens: list[tuple[str, str]], depth: int) -> Item:
    kind, spelling = tokens.pop() if tokens else _END
    match kind, spelling:
        case "bytes", _:
            return bytes.fromhex("".join(spelling[2:-1].split()))
        case "text", _:
            return _read_text(spelling)
        case "number", _:
            return int(spelling)
        case "word", _:
            return _WORDS[spelling]
        case "mark", "[" if depth:
            return _read_until(tokens, "]", lambda: _read(tokens, depth - 1))
        case "mark", "{" if depth:
            return dict(_read_until(tokens, "}", lambda: _read_pair(tokens, depth - 1)))
        case _:
            raise EncodingError(f"expected a value in diagnostic notation, got {spelling or 'its end'!r}")


def _read_text(spelling: str) -> str:
    try:
        return str(json.loads(spelling))
    except ValueError as error:
        raise EncodingError("text with an escape that is none") from error


def _read_pair(tokens: list[tuple[str, str]], depth: int) -> tuple[Item, Item]:
    key = _read(tokens, depth)
    if isinstance(key, list | dict) or not tokens or tokens.pop()[1] != ":":
        raise EncodingError("expected a key and a colon in diagnostic notation")
    return key, _read(tokens, depth)


def _read_until(tokens: list[tuple[str, str]], closing: str, read: Callable[[], Item]) -> list[Item]:
    found: list[Item] = []
    while tokens and tokens[-1] != ("mark", closing):
        found.append(read())
        if tokens and tokens[-1] == ("mark", ","):
            tokens.pop()
        elif not tokens or tokens[-1] != ("mark", closing):
            raise EncodingError(f"expected a comma or {closing!r} in diagnostic notation")
    if not tokens:
        raise EncodingError(f"expected {closing!r} in diagnostic notation")
    tokens.pop()
    return found
