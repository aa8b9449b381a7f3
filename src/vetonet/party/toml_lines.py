"""On which line of a TOML text a value stands: ``tomllib`` says so of mistakes of syntax alone.

The scanner below reads only what ``tomllib`` has accepted, so it knows where things end, not what is right.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

MAX_STEPS: Final = 16
"""Places below this depth have the line of what they are in; it bounds what a nested text costs."""

_BLANK: Final = " \t\r\n"
_BARE_END: Final = frozenset(" \t\r\n=.,[]{}#")


def locate(text: str, path: Path) -> int:
    """Return the line, from 1, on which the value at ``path`` begins, or else the nearest part around it.

    Args:
        text: TOML that ``tomllib`` reads.
        path: keys and, in arrays, indices from 0; for a table, its header's line.
    """
    lines = _list_lines(text)
    return next((lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines), 1)


@lru_cache(maxsize=4)
def _list_lines(text: str) -> dict[Path, int]:
    scanner = _Scanner(text)
    # What tomllib does not read ends the walk: the places found so far will do.
    with suppress(IndexError, RecursionError, ValueError):
        scanner.scan()
    return scanner.lines


class _Scanner:
    """A walk over a TOML text that notes the line of every place it passes."""

    __slots__ = ("at", "counts", "lines", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [index + 1 for index, character in enumerate(text) if character == "\n"]
        self.lines: dict[Path, int] = {}
        self.counts: Counter[Path] = Counter()

    def scan(self) -> None:
        """Note every place of the text."""
        table: Path = ()
        while self._skip_blank():
            if self.text[self.at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)

    def _read_header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        start = self.at
        self.at += 2 if is_array else 1
        keys = self._read_keys()
        self.at = self.text.index("]", self.at) + (2 if is_array else 1)
        path = self._resolve((), keys[:-1])
        path = (*path, keys[-1])
        if is_array:
            self._note(path, start)
            path = (*path, self.counts[path])
            self.counts[path[:-1]] += 1
        else:
            path = self._resolve((), keys)
        self._note(path, start)
        return path

    def _resolve(self, table: Path, keys: Path) -> Path:
        """Return where keys lead: an array of tables stands for its newest."""
        path = table
        for key in keys:
            path = (*path, key)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return path

    def _read_pair(self, table: Path) -> None:
        start, path = self.at, table
        for key in self._read_keys():
            path = (*path, key)
            self._note(path, start)
        self.at = self.text.index("=", self.at) + 1
        self._skip_blank()
        self._read_value(path)

    def _read_value(self, path: Path) -> None:
        """Pass one value, and note what is inside."""
        opening = self.text[self.at]
        if opening in "\"'":
            self._read_string()
        elif opening == "[":
            self._read_items(path, "]")
        elif opening == "{":
            self._read_items(path, "}")
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _read_items(self, path: Path, closing: str) -> None:
        """Pass an array, or an inline table."""
        self.at += 1
        index = 0
        while self._skip_blank() and self.text[self.at] != closing:
            if self.text[self.at] == ",":
                self.at += 1
            elif closing == "}":
                self._read_pair(path)
            else:
                self._note((*path, index), self.at)
                self._read_value((*path, index))
                index += 1
        self.at += 1

    def _read_string(self) -> None:
        quote = self.text[self.at]
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            if self.at >= len(self.text):
                raise ValueError("expected the end of a string")
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(mark)
        # Up to two quotes may stand directly before the three that close: """a"""""
        while len(mark) > 1 and self.text.startswith(quote, self.at):
            self.at += 1

    def _read_keys(self) -> Path:
        """Pass a dotted key, and return its parts."""
        keys: list[str] = []
        while True:
            self._skip_blank()
            keys.append(self._read_key())
            self._skip_blank()
            if self.text[self.at] != ".":
                return tuple(keys)
            self.at += 1

    def _read_key(self) -> str:
        start = self.at
        if self.text[self.at] in "\"'":
            self._read_string()
            return str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
        while self.text[self.at] not in _BARE_END:
            self.at += 1
        if self.at == start:
            raise ValueError("expected a key")
        return self.text[start : self.at]

    def _skip_blank(self) -> bool:
        """Pass blanks and comments; return whether anything follows."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self.at = self.text.find("\n", self.at) % (len(self.text) + 1)
            elif self.text[self.at] in _BLANK:
                self.at += 1
            else:
                return True
        return False

    def _note(self, path: Path, at: int) -> None:
        if len(path) <= MAX_STEPS:
            self.lines.setdefault(path, bisect_right(self.starts, at) + 1)
