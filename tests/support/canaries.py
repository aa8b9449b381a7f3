"""Finds planted values in bytes, however they are spelled there.

A canary is a value that must not get out: a text, a secret, a count. ``Net`` looks for all spellings of all
canaries at once, in one pass over the bytes; ``find_canary`` also looks into what the bytes wrap: compressed
streams, base64 and hex that hold more than the canary alone, percent-encoding, JSON escapes and Python's own.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, Self
from urllib.parse import quote, unquote_to_bytes

import numpy as np

KEY_BYTES: Final = 6
"""A spelling is looked up by its first six bytes, so none is shorter."""

MIN_CANARY_BYTES: Final = 8
"""A shorter text is in too much by chance."""

MIN_NUMBER: Final = 2**40
"""A smaller count has spellings that are in too much by chance."""

MAX_DEPTH: Final = 4
MAX_INFLATED_BYTES: Final = 1 << 22

_TABLE_SLACK: Final = 1 << 17
"""So many bits of canaries that are gone may stay in the table before it is made anew."""
_CHUNK_BYTES: Final = 1 << 20
_TABLE_BITS: Final = 20
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)
_KEY_MASK: Final = np.uint64((1 << 8 * KEY_BYTES) - 1)
_TABLE_SHIFT: Final = np.uint64(64 - _TABLE_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A value that must not get out, in every spelling that is looked for.

    Attributes:
        name: what it is, for the message of a failing test.
        spellings: how it would look, by the name of the encoding.
    """

    name: str
    spellings: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of_text(cls, name: str, text: str) -> Self:
        """Return the canary of a text.

        Raises:
            ValueError: it is so short that it is found by chance.
        """
        data = text.encode()
        spellings = {
            **_spell_bytes(data),
            "utf-16-le": text.encode("utf-16-le"),
            "utf-16-be": text.encode("utf-16-be"),
            "json": json.dumps(text)[1:-1].encode(),
            "percent": quote(text, safe="").encode(),
        }
        return cls(name=name, spellings=_distinct(data, spellings))

    @classmethod
    def of_secret(cls, name: str, secret: bytes) -> Self:
        """Return the canary of secret bytes; scalars are also numbers, so their decimals are looked for.

        Raises:
            ValueError: they are so few that they are found by chance.
        """
        numbers = {
            f"decimal-{order}": str(int.from_bytes(secret, order)).encode() for order in ("big", "little")
        }
        return cls(name=name, spellings=_distinct(secret, {**_spell_bytes(secret), **numbers}))

    @classmethod
    def of_number(cls, name: str, number: int) -> Self:
        """Return the canary of a count.

        Raises:
            ValueError: it is so small that it is found by chance.
        """
        if number < MIN_NUMBER:
            raise ValueError(f"a count below {MIN_NUMBER} is found by chance, got one in {name}")
        size = max(8, (number.bit_length() + 7) // 8)
        big, little = number.to_bytes(size, "big"), number.to_bytes(size, "little")
        spellings = {
            "decimal": str(number).encode(),
            "decimal-commas": f"{number:,}".encode(),
            "hex-digits": f"{number:x}".encode(),
            "HEX-digits": f"{number:X}".encode(),
            "varint": spell_varint(number),
            **_spell_double(number),
            **{f"big-endian {how}": data for how, data in _spell_bytes(big).items()},
            **{f"little-endian {how}": data for how, data in _spell_bytes(little).items()},
        }
        return cls(name=name, spellings=_distinct(big, spellings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A canary that got out.

    Attributes:
        canary: its name.
        spelling: in which encoding, and in what it was wrapped, the outermost first.
        offset: where it starts in the innermost wrapping.
    """

    canary: str
    spelling: str
    offset: int

    def __str__(self) -> str:
        """Return one line, without the value."""
        return f"{self.canary} as {self.spelling} at byte {self.offset}"


def spell_varint(number: int) -> bytes:
    """Return a number as protobuf spells it."""
    groups = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


class Net:
    """All spellings of many canaries, looked for in one pass.

    The first six bytes at each place are hashed into a table of bits; where that says perhaps, they are
    looked up.
    """

    def __init__(self, canaries: Iterable[Canary] = ()) -> None:
        """Look for these canaries."""
        self._by_key: dict[int, list[tuple[bytes, str, str]]] = {}
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._marked = 0
        self._unmarked: list[int] = []
        for canary in canaries:
            self.add(canary)

    def __len__(self) -> int:
        """Return how many spellings are looked for."""
        return sum(map(len, self._by_key.values()))

    def add(self, canary: Canary) -> None:
        """From now on this canary is looked for, too."""
        for how, spelling in canary.spellings.items():
            key = int.from_bytes(spelling[:KEY_BYTES], "little")
            self._unmarked.append(key)
            self._by_key.setdefault(key, []).append((spelling, canary.name, how))

    def _mark(self) -> None:
        """The table knows the keys that were added since the last search."""
        if self._marked > 4 * len(self._by_key) + _TABLE_SLACK:
            self._table[:] = False
            self._marked, self._unmarked = 0, list(self._by_key)
        slots = np.array(self._unmarked, dtype=np.uint64) * _HASH >> _TABLE_SHIFT
        self._table[slots.astype(np.intp)] = True
        self._marked += len(self._unmarked)
        self._unmarked = []

    def remove(self, canary: Canary) -> None:
        """From now on this canary is not looked for; its bits in the table cost a look, and stay."""
        for spelling in canary.spellings.values():
            key = int.from_bytes(spelling[:KEY_BYTES], "little")
            left = [entry for entry in self._by_key.get(key, ()) if entry[:2] != (spelling, canary.name)]
            if left:
                self._by_key[key] = left
            else:
                self._by_key.pop(key, None)

    def search(self, data: bytes) -> Iterator[Finding]:
        """Yield each spelling in these bytes."""
        if not self._by_key:
            return
        self._mark()
        for start in range(0, len(data), _CHUNK_BYTES):
            for offset in self._find_candidates(data[start : start + _CHUNK_BYTES + KEY_BYTES - 1]):
                place = start + offset
                key = int.from_bytes(data[place : place + KEY_BYTES], "little")
                for spelling, name, how in self._by_key.get(key, ()):
                    if data.startswith(spelling, place):
                        yield Finding(canary=name, spelling=how, offset=place)

    def _find_candidates(self, chunk: bytes) -> list[int]:
        places = len(chunk) - KEY_BYTES + 1
        if places <= 0:
            return []
        padded = chunk + bytes(8 - KEY_BYTES)
        words = np.ndarray(shape=(places,), dtype="<u8", buffer=padded, strides=(1,))
        slots = (words & _KEY_MASK) * _HASH >> _TABLE_SHIFT
        found: list[int] = np.flatnonzero(self._table[slots.astype(np.intp)]).tolist()
        return found

    def search_deep(self, data: bytes, *, thorough: bool = False) -> Iterator[Finding]:
        """Yield each spelling in these bytes and in whatever they wrap.

        Args:
            data: what got out.
            thorough: look for raw deflate streams, which have no magic number, at every byte and not only at
            the
                first, and for escapes also where there is no text.
        """
        seen, waiting = {hash(data)}, [(data, "", 0)]
        while waiting:
            piece, wrapped, depth = waiting.pop()
            for finding in self.search(piece):
                yield replace(finding, spelling=wrapped + finding.spelling)
            for how, inner in unwrap(piece, thorough=thorough) if depth < MAX_DEPTH else ():
                if hash(inner) not in seen:  # two ways often lead to the same bytes
                    seen.add(hash(inner))
                    waiting.append((inner, f"{wrapped}{how} > ", depth + 1))


def find_canary(data: bytes, canaries: Iterable[Canary]) -> tuple[Finding, ...]:
    """Return where these canaries are in the data, in any encoding, once for each spelling and wrapping."""
    findings = Net(canaries).search_deep(data, thorough=True)
    first: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.canary, finding.spelling), finding)
    return tuple(first.values())


# ---------------------------------------------------------------- spellings


def _spell_bytes(data: bytes) -> dict[str, bytes]:
    """Return the spellings that any bytes have; raw ones are also those in CBOR, protobuf and COSE."""
    return {
        "raw": data,
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        **{f"base64/{shift}": _spell_base64(data, shift, b"+/") for shift in range(3)},
        **{f"base64url/{shift}": _spell_base64(data, shift, b"-_") for shift in range(3)},
    }


def _spell_base64(data: bytes, shift: int, alphabet: bytes) -> bytes:
    """Return the characters that these bytes have in base64 after ``shift`` others, whatever follows."""
    encoded = base64.b64encode(bytes(shift) + data, altchars=alphabet)
    return encoded[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6]


def _spell_double(number: int) -> dict[str, bytes]:
    if number.bit_length() > 1000:
        return {}
    return {"double-be": struct.pack(">d", number), "double-le": struct.pack("<d", number)}


def _distinct(value: bytes, spellings: Mapping[str, bytes]) -> dict[str, bytes]:
    if len(value) < MIN_CANARY_BYTES:
        raise ValueError(f"a canary has at least {MIN_CANARY_BYTES} bytes, got {len(value)}")
    kept: dict[bytes, str] = {}
    for how, spelling in spellings.items():
        if len(spelling) >= KEY_BYTES and spelling.strip(b"\0"):
            kept.setdefault(spelling, how)
    return {how: spelling for spelling, how in kept.items()}


# ---------------------------------------------------------------- wrappings

_GZIP: Final = re.compile(rb"\x1f\x8b\x08")
_ZLIB: Final = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78][\x01\x5e\x9c\xda]")
_BLOCK_KINDS: Final = (0b000, 0b010, 0b100)
"""How a deflate stream begins: stored, with fixed or with dynamic codes (RFC 1951 section 3.2.3)."""
_HEX_RUN: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_BASE64_LINES: Final = re.compile(
    # Only from the start of a run, or this takes quadratic time.
    rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}\r?\n(?=[A-Za-z0-9+/_-])"
)
_GAP: Final = bytes(16)
"""Between two pieces, so that no canary is found that begins in one and ends in the next."""
_TEXT_RUN: Final = re.compile(rb"[\t\n\r -~]{16,}")
"""Where escapes are undone unless the search is thorough: in noise, whatever looks like one is none."""
_PERCENT: Final = re.compile(rb"%[0-9A-Fa-f]{2}")
_ESCAPE: Final = re.compile(rb"(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\[nrtbf\"'/\\]")
_LETTERS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_URL_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def unwrap(data: bytes, *, thorough: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield what these bytes wrap, with the name of the wrapping; all that is wrapped alike in one piece."""
    text = data if thorough else _GAP.join(_TEXT_RUN.findall(data))
    wrapped = (_inflate_streams(data, thorough=thorough), _decode_runs(data), _undo_escapes(text))
    yield from ((how, inner) for how, inner in chain(*wrapped) if len(inner) >= KEY_BYTES)


def _inflate_streams(data: bytes, *, thorough: bool) -> Iterator[tuple[str, bytes]]:
    for how, pattern, wbits in (("gzip", _GZIP, 31), ("zlib", _ZLIB, 15)):
        yield how, _inflate_all(data, (match.start() for match in pattern.finditer(data)), wbits)
    places = range(len(data) if thorough else min(1, len(data)))
    starts = (start for start in places if data[start] & 0b110 in _BLOCK_KINDS)
    yield "deflate", _inflate_all(data, starts, -15)


def _inflate_all(data: bytes, starts: Iterable[int], wbits: int) -> bytes:
    """Return what the streams that start at these places hold, as far as they are whole."""
    view, found, budget = memoryview(data), list[bytes](), MAX_INFLATED_BYTES + 4 * len(data)
    for start in starts:
        inner, read = _inflate(view[start:], wbits)
        budget -= read + len(inner)
        if len(inner) >= KEY_BYTES:
            found.append(inner)
        if budget < 0:  # nothing honest nests like that
            break
    return _GAP.join(found)


def _inflate(data: memoryview, wbits: int) -> tuple[bytes, int]:
    """Return what a stream that starts here holds, and how much was read to see that."""
    machine, taken, start, size = zlib.decompressobj(wbits), bytearray(), 0, 64
    while start < len(data) and len(taken) < MAX_INFLATED_BYTES and not machine.eof:
        try:
            taken += machine.decompress(data[start : start + size], MAX_INFLATED_BYTES)
        except zlib.error:  # what was whole before counts
            break
        start, size = start + size, 4096
    return bytes(taken), start


def _decode_runs(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what longer runs of hex and base64 hold; a canary alone in them is found as it stands."""
    if _BASE64_LINES.search(data):
        yield "lines", _BASE64_LINES.sub(lambda match: match[0].rstrip(b"\r\n"), data)
    yield "hex", _GAP.join(bytes.fromhex(match[0].decode()) for match in _HEX_RUN.finditer(data))
    runs = [match[0].translate(_URL_TO_STANDARD) for match in _BASE64_RUN.finditer(data)]
    for shift in range(4):
        parts = (run[shift : shift + (len(run) - shift) // 4 * 4] for run in runs)
        yield "base64", _GAP.join(map(base64.b64decode, parts))


def _undo_escapes(data: bytes) -> Iterator[tuple[str, bytes]]:
    if _PERCENT.search(data):
        yield "percent", unquote_to_bytes(data)
    if _ESCAPE.search(data):
        yield "escapes", _ESCAPE.sub(_read_escape, data)


def _read_escape(match: re.Match[bytes]) -> bytes:
    """Return what an escape of JSON or of Python's own spelling of bytes and texts stands for."""
    escape = match[0]
    if escape.startswith(rb"\u"):
        units = bytes.fromhex(escape.replace(rb"\u", b"").decode())
        return units.decode("utf-16-be", "replace").encode("utf-8", "replace")
    if escape.startswith(rb"\x"):
        return bytes.fromhex(escape[2:].decode())
    return _LETTERS.get(escape[1:], escape[1:])
