"""Where something stands in a TOML file, and every mistake in one with its line.

The library that reads TOML says nothing of lines once a file is well-formed; people who wrote it need them.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias

from vetonet.errors import ConfigError

TomlPath: TypeAlias = tuple[str | int, ...]
"""Keys and indices from 0, as in the parsed document: ``("rule", 1, "when", "below-flop")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BETWEEN: Final = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')[ \t]*""")
# The longest first: a multi-line string may end in up to two quotes of its own.
_SCALAR: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}'''
    r"""|\'\'\'.*?'{3,5}"""
    r"""|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^,\]}#\n]+""",
    re.DOTALL,
)
_SYNTAX_ERROR: Final = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)


def locate(text: str, path: TomlPath) -> int:
    """Return the line, from 1, on which a key, table or item begins.

    For what is not there it is the line of the innermost table around it, so that a missing key is looked
    for where it is missing; that of the whole document is 1.

    Args:
        text: a document that ``tomllib`` reads.
        path: keys and indices from 0, as in the parsed document.

    Raises:
        ValueError: the text is no TOML.
    """
    lines = _index_lines(text)
    while path not in lines:
        path = path[:-1]
    return lines[path]


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return a parsed document.

    Args:
        text: the file's content.
        name: what the file is called in an error.

    Raises:
        ConfigError: not TOML; the message is ``name:line: what was expected and what came``.
    """
    try:
        document = tomllib.loads(text)
        _index_lines(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_ERROR.fullmatch(str(error))
        what, line = (found[1], found[2]) if found else (str(error), None)
        _refuse(name, int(line or text.rstrip().count("\n") + 1), what, error)
    except RecursionError as error:
        _refuse(name, 1, "lists and tables stand in each other more deeply than anybody reads", error)
    except ValueError as error:  # the library lets through what int() and datetime() say
        _refuse(name, 1, str(error), error)
    return document


class TomlMistakes:
    """Every mistake found in one document so far."""

    __slots__ = ("_found", "_name", "_text")

    def __init__(self, text: str, name: str) -> None:
        """Know of none yet; ``name`` is what the file is called in an error."""
        self._text, self._name = text, name
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, path: TomlPath, what: str) -> None:
        """One more mistake is known, at the line of this path: what was expected and what came."""
        self._found.append((locate(self._text, path), what))

    def refuse(self) -> None:
        """Nothing was wrong.

        Raises:
            ConfigError: something was; every mistake with its line, in the order of the file.
        """
        if self._found:
            ordered = sorted(self._found, key=lambda mistake: mistake[0])
            raise ConfigError("; ".join(f"{self._name}:{line}: {what}" for line, what in ordered))


def _refuse(name: str, line: int, what: str, cause: Exception) -> NoReturn:
    raise ConfigError(f"{name}:{line}: expected TOML, got: {' '.join(what.split())}") from cause


@lru_cache(maxsize=4)
def _index_lines(text: str) -> MappingProxyType[TomlPath, int]:
    scan = _Scan(text)
    scan.read_document()
    return MappingProxyType(scan.lines)


class _Scan:
    """One walk over a document; it knows where things are, not what they mean."""

    __slots__ = ("_at", "_last", "_text", "lines")

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._last: dict[TomlPath, int] = {}  # of each array of tables, the index of its last
        self.lines: dict[TomlPath, int] = {(): 1}

    def read_document(self) -> None:
        """``lines`` knows every key, table and item."""
        table: TomlPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._peek() == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
            self._skip(_BLANK)

    def _read_header(self) -> TomlPath:
        """Return the table that ``[a.b]`` or ``[[a.b]]`` opens."""
        line, is_array = self._line(), self._text.startswith("[[", self._at)
        for _ in range(1 + is_array):
            self._expect("[")
        path: TomlPath = ()
        *outer, own = self._read_keys()
        for key in outer:
            path = self._enter((*path, key), line)
        path = (*path, own)
        if is_array:
            self._last[path] = self._last.get(path, -1) + 1
        path = self._enter(path, line)
        self.lines[path] = line  # the header itself, even where a table inside stood before
        for _ in range(1 + is_array):
            self._expect("]")
        return path

    def _enter(self, path: TomlPath, line: int) -> TomlPath:
        """Return the table of that name, or the last of that name in an array of tables."""
        self.lines.setdefault(path, line)
        return (*path, self._last[path]) if path in self._last else path

    def _read_pair(self, table: TomlPath) -> None:
        """Read ``a.b = value``."""
        line, path = self._line(), table
        for key in self._read_keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._read_value(path)

    def _read_value(self, path: TomlPath) -> None:
        self._skip(_BLANK)
        opening = self._peek()
        if opening == "[":
            self._read_array(path)
        elif opening == "{":
            self._read_inline_table(path)
        else:
            self._match(_SCALAR)

    def _read_array(self, path: TomlPath) -> None:
        self._expect("[")
        self._skip(_BETWEEN)
        index = 0
        while self._peek() != "]":
            self.lines[*path, index] = self._line()
            self._read_value((*path, index))
            self._skip(_BETWEEN)
            index += 1
        self._expect("]")

    def _read_inline_table(self, path: TomlPath) -> None:
        self._expect("{")
        self._skip(_BETWEEN)
        while self._peek() != "}":
            self._read_pair(path)
            self._skip(_BETWEEN)
        self._expect("}")

    def _read_keys(self) -> tuple[str, ...]:
        """Return the parts of a dotted key, each as the library reads it."""
        keys = [self._read_key()]
        while self._peek() == ".":
            self._expect(".")
            keys.append(self._read_key())
        return tuple(keys)

    def _read_key(self) -> str:
        spelled = self._match(_KEY)[1]
        return next(iter(tomllib.loads(f"{spelled} = 0")))

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _skip(self, what: re.Pattern[str]) -> None:
        self._match(what)

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise ValueError(f"expected {mark!r} on line {self._line()}, got {self._peek()!r}")
        self._at += 1

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"expected a key or value on line {self._line()}, got {self._peek()!r}")
        self._at = found.end()
        return found
