"""Flat layouts: records whose canonical bytes form a regular language, read by one compiled expression.

A record without nested records is a map head and then, for each label in key order, the label and one of the
canonical spellings of its codec. All of that is regular, so one ``fullmatch`` holds at once what the general
way establishes by decoding, walking and encoding again: one spelling, known labels, their order, types and
sizes. What no expression says in few words, such as the exact maximum of a number, ``read`` holds afterwards.

Nothing is refused here: bytes that are not of the language go the general way, which says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, Final, TypeAlias

from vetonet.encoding import cbor
from vetonet.errors import EncodingError

Read: TypeAlias = Callable[[bytes], Any]
Put: TypeAlias = Callable[[Any, Any], None]

MAX_SIZES: Final = 512
"""Strings of more sizes than this are not flat: an alternative for each would cost more than it saves."""

MAX_TEXT_BYTES: Final = 256
"""The same for texts, which have as many sizes as they have bytes."""

MAX_EXPRESSION_BYTES: Final = 4096
"""The same for an array, whose entries are written out for each count."""

_REMEMBERED_TEXTS: Final = 256
_BIGNUM_BYTES: Final = range(9, 17)  # between what a plain head holds and the 128 bits of our value model

# The least value of each width with its spellings: shortest heads only (RFC 8949 section 4.2.1).
_NATURALS: Final = (
    (0, rb"[\x00-\x17]"),
    (24, rb"\x18[\x18-\xff]"),
    (2**8, rb"\x19(?!\x00).{2}"),
    (2**16, rb"\x1a(?!\x00{2}).{4}"),
    (2**32, rb"\x1b(?!\x00{4}).{8}"),
)
_TAG_BIGNUM: Final = b"\xc2"  # RFC 8949 section 3.4.3: its bytes have no leading zero

# How many bytes precede the argument of a number, by the length of its spelling; a bignum has two heads.
_NATURAL_HEADS: Final = (0, 0, *[1] * 8, *[2] * (2 + _BIGNUM_BYTES.stop))

_BYTES: Final = 2  # the major types (RFC 8949 section 3.1)
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5

_MOST_IN_HEAD: Final = 23  # what the first byte of a head holds by itself
_MOST_IN_BYTE: Final = 255
_MOST_IN_TWO_BYTES: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """All canonical encodings of what a codec takes, as an expression without capturing groups.

    Attributes:
        lead: what stands before the part that is read.
        body: the part.
        read: turns the part into the value, or raises EncodingError or UnicodeDecodeError where the codec
            would refuse it; None where the part is the value.
    """

    lead: bytes = b""
    body: bytes
    read: Read | None = None

    @property
    def expression(self) -> bytes:
        """One item, the part to read as its only group."""
        return self.lead + b"(" + self.body + b")"

    def then(self, convert: Callable[[Any], Any]) -> Spelling:
        """Return the same spelling of what ``convert`` makes of its values."""
        read = self.read
        whole = convert if read is None else lambda part: convert(read(part))
        return Spelling(lead=self.lead, body=self.body, read=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatMember:
    """One member of a record: its label, how it is spelled, whether None leaves it out, and its setter."""

    label: int
    spelling: Spelling
    optional: bool
    put: Put


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatLayout:
    """The compiled form of a record class.

    Attributes:
        expression: one group for each member, which takes part where the member is there.
        heads: the head of the map, by how many members are absent.
        optional: which groups belong to the members that may be.
        reads: the setter of each member, and what turns its part into the value; a member that is left out
            has no part.
    """

    expression: re.Pattern[bytes]
    heads: Sequence[bytes]
    optional: Sequence[int]
    reads: Sequence[tuple[Put, Read | None]]

    def split(self, data: bytes) -> Sequence[bytes | None] | None:
        """Return the part of each member, None for one left out; or only None for no such record."""
        match = self.expression.fullmatch(data)
        if match is None:
            return None
        parts = match.groups()
        # The expression lets each head go with any choice of optional members; their count decides.
        absent = [parts[at] for at in self.optional].count(None)
        return parts if data.startswith(self.heads[absent]) else None


def compile_layout(members: Sequence[FlatMember]) -> FlatLayout:
    """Return the layout of a record whose members are these, in key order."""
    optional = tuple(at for at, member in enumerate(members) if member.optional)
    heads = tuple(_head(_MAP, len(members) - absent) for absent in range(len(optional) + 1))
    expression = b"(?:" + _any_literal(heads) + b")" + b"".join(map(_express, members))
    return FlatLayout(
        expression=re.compile(expression, re.DOTALL),
        heads=heads,
        optional=optional,
        reads=tuple((member.put, member.spelling.read) for member in members),
    )


def _express(member: FlatMember) -> bytes:
    entry = re.escape(cbor.to_bytes(member.label)) + member.spelling.expression
    return b"(?:" + entry + b")?" if member.optional else entry


def spell_natural(maximum: int) -> Spelling:
    """Return the spelling of the integers from 0 to ``maximum``."""
    widths = [expression for least, expression in _NATURALS if least <= maximum]
    widths += [_express_bignum(size) for size in _BIGNUM_BYTES if 2 ** (8 * (size - 1)) <= maximum]

    heads, convert = _NATURAL_HEADS, int.from_bytes  # at hand: half of a report's members are numbers

    def read(part: bytes) -> int:
        value = convert(part[heads[len(part)] :], "big")
        if value <= maximum:
            return value
        msg = f"expected an integer up to {maximum}"
        raise EncodingError(msg)

    return Spelling(body=b"|".join(widths), read=read)


def _express_bignum(size: int) -> bytes:
    return re.escape(_TAG_BIGNUM + _head(_BYTES, size)) + rb"(?!\x00).{%d}" % size


def spell_bytes(minimum: int, maximum: int) -> Spelling | None:
    """Return the spelling of the byte strings of these sizes, or None where they are too many."""
    if maximum - minimum >= MAX_SIZES or maximum > _MOST_IN_TWO_BYTES:
        return None
    if minimum == maximum:
        return Spelling(lead=re.escape(_head(_BYTES, minimum)), body=b".{%d}" % minimum)
    return Spelling(body=_express_string(_BYTES, minimum, maximum), read=_cut_head)


def spell_text(maximum: int, narrow: Callable[[str], str]) -> Spelling | None:
    """Return the spelling of the texts of 1 to ``maximum`` characters, or None where they are too many.

    Args:
        maximum: in characters, of which each takes one to four bytes.
        narrow: returns a text, or raises for one with too many characters or with the wrong ones.
    """
    if 4 * maximum > MAX_TEXT_BYTES:
        return None

    @lru_cache(maxsize=_REMEMBERED_TEXTS)  # profiles and names are the same in all statements of a kind
    def read(part: bytes) -> str:
        return narrow(str(_cut_head(part), "utf-8"))

    return Spelling(body=_express_string(_TEXT, 1, 4 * maximum), read=read)


def spell_choice(values: Mapping[str, Any]) -> Spelling:
    """Return the spelling of these texts, each standing for its value."""
    by_spelling = {cbor.to_bytes(text): value for text, value in values.items()}
    return Spelling(body=_any_literal(by_spelling), read=by_spelling.__getitem__)


def spell_array(entry: Spelling, minimum: int, maximum: int) -> Spelling | None:
    """Return the spelling of the arrays of so many entries, or None where it is too long."""
    counts = range(minimum, maximum + 1)
    if maximum > _MOST_IN_HEAD or len(entry.expression) * len(counts) > MAX_EXPRESSION_BYTES:
        return None
    one = b"(?:" + entry.lead + b"(?:" + entry.body + b"))"
    body = _either(re.escape(_head(_ARRAY, count)) + one + b"{%d}" % count for count in counts)
    return Spelling(body=body, read=_compile_array(entry))


def _compile_array(entry: Spelling) -> Read:
    # No item's spelling begins another's (RFC 8949 section 3), so behind the head of an array that matched
    # the expression is found exactly where its entries stand.
    find_parts, read = re.compile(entry.expression, re.DOTALL).findall, entry.read
    if read is None:
        return lambda part: tuple(find_parts(part, 1))
    return lambda part: tuple([read(found) for found in find_parts(part, 1)])


@cache
def _express_string(major: int, minimum: int, maximum: int) -> bytes:
    """Return the expression for strings of these sizes: branches by width of head, then by size."""
    sizes = groupby(range(minimum, maximum + 1), key=lambda size: _head(major, size)[:-1])
    return _either(re.escape(start) + _express_sizes(major, alike) for start, alike in sizes)


def _express_sizes(major: int, sizes: Iterable[int]) -> bytes:
    return b"(?:" + _either(re.escape(_head(major, n)[-1:]) + b".{%d}" % n for n in sizes) + b")"


def _cut_head(part: bytes) -> bytes:
    """Return the content of a string by the length of its spelling, which is the shortest there is."""
    if len(part) <= 1 + _MOST_IN_HEAD:
        return part[1:]
    return part[2:] if len(part) <= 2 + _MOST_IN_BYTE else part[3:]


def _head(major: int, argument: int) -> bytes:
    """Return the shortest head with this argument, at most 16 bits wide (RFC 8949 section 3)."""
    if argument <= _MOST_IN_HEAD:
        return bytes([major << 5 | argument])
    width = 1 if argument <= _MOST_IN_BYTE else 2
    return bytes([major << 5 | _MOST_IN_HEAD + width]) + argument.to_bytes(width, "big")


def _any_literal(literals: Iterable[bytes]) -> bytes:
    return _either(map(re.escape, literals))


def _either(expressions: Iterable[bytes]) -> bytes:
    return b"|".join(expressions)
