"""Records: frozen dataclasses with one CBOR spelling, declared field by field.

A record names a label and a codec for each field; from that follow its canonical bytes, its strict parser
and the claim that nothing unknown is accepted. The matching CDDL stands in ``proto/``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar, final

from vetonet.encoding import cbor
from vetonet.encoding.flat import (
    FlatLayout,
    FlatMember,
    Spelling,
    compile_layout,
    spell_array,
    spell_bytes,
    spell_choice,
    spell_natural,
    spell_text,
)
from vetonet.errors import EncodingError

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
R = TypeVar("R", bound="Record")

MAX_STATEMENT_BYTES: Final = 16 * 1024
DIGEST_BYTES: Final = 32
MS_PER_S: Final = 1_000
MAX_DATE_S: Final = 2**40


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one kind of value becomes a CBOR item and back.

    Both directions refuse, with EncodingError, what the other would: nothing is signed that nobody can read.

    Attributes:
        to_item, from_item: the two directions.
        spelling: the canonical bytes of what ``from_item`` takes, where an expression can tell them.
    """

    to_item: Callable[[T], cbor.Item]
    from_item: Callable[[cbor.Item], T]
    spelling: Spelling | None = None


def member(label: int, codec: Codec[Any], *, optional: bool = False) -> Any:
    """Declare a field: its map label, its codec, and whether the label is left out for None."""
    metadata = {"label": label, "codec": codec, "optional": optional}
    default = None if optional else dataclasses.MISSING
    return dataclasses.field(default=default, metadata=metadata)


class _Member(NamedTuple):
    label: int
    name: str
    codec: Codec[Any]
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A frozen value with one spelling; subclasses are frozen slots dataclasses, all fields ``member``s."""

    MAX_BYTES: ClassVar[int] = MAX_STATEMENT_BYTES

    def __post_init__(self) -> None:
        """Hold the rules between fields; a record without any has nothing to refuse."""

    def to_item(self) -> dict[int, cbor.Item]:
        """Return the map of labels to items, in key order.

        Raises:
            EncodingError: a field holds a value that its codec refuses.
        """
        pairs = ((m, getattr(self, m.name)) for m in compute_layout(type(self)))
        return {m.label: _encoded(self, m, value) for m, value in pairs if not (m.optional and value is None)}

    def to_bytes(self) -> bytes:
        """Return the one spelling of this record.

        Raises:
            EncodingError: a field holds a value that its codec refuses, or the record is too large to read.
        """
        data = cbor.to_bytes(self.to_item())
        if len(data) > self.MAX_BYTES:
            msg = f"{type(self).__name__} of {len(data)} bytes, more than the {self.MAX_BYTES} anyone accepts"
            raise EncodingError(msg)
        return data

    @final
    @classmethod
    def from_item(cls, item: cbor.Item) -> Self:
        """Return the record that a decoded map holds.

        Raises:
            EncodingError: not a map, an unknown or missing label, or a field that is refused.
        """
        if type(item) is not dict:
            msg = f"{cls.__name__}: expected a map, got {type(item).__name__}"
            raise EncodingError(msg)
        layout = compute_layout(cls)
        fields, reading = {}, ""
        try:
            for label, reading, codec, _ in layout:
                if label in item:
                    fields[reading] = codec.from_item(item[label])
        except EncodingError as error:
            msg = f"{cls.__name__}.{reading}: {error}"
            raise EncodingError(msg) from error
        if len(fields) != len(item) or len(fields) < len(layout):
            _refuse_labels(cls, item)
        try:
            return cls(**fields)
        except ValueError as error:
            msg = f"{cls.__name__}: {error}"
            raise EncodingError(msg) from error

    @final
    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the record that untrusted bytes spell.

        Raises:
            EncodingError: oversize, not deterministic CBOR, or not this record.
        """
        flat = read_flat(cls, data)
        return cls.from_item(cbor.from_bytes(data, max_bytes=cls.MAX_BYTES)) if flat is None else flat


def compute_layout(cls: type[Record]) -> tuple[_Member, ...]:
    """Return the members of a record class in key order (RFC 8949 section 4.2.1)."""
    hashable: Any = cls  # mypy judges a class by the __hash__ of its instances
    return _compute_layout(hashable)


@cache
def _compute_layout(cls: type[Record]) -> tuple[_Member, ...]:
    members = [
        _Member(field.metadata["label"], field.name, field.metadata["codec"], field.metadata["optional"])
        for field in dataclasses.fields(cls)
    ]
    return tuple(sorted(members, key=lambda m: cbor.compute_key_order(m.label)))


def read_flat(cls: type[R], data: bytes) -> R | None:
    """Return the record that bytes spell, if its class is flat and they do; None sends them the general way.

    Decoding, walking and encoding again costs two thirds of verifying the signature around it, and a
    verifier reads many thousands of reports; one expression holds the same at a fifth of that (ADR 0012).
    """
    hashable: Any = cls
    layout = _compile_flat(hashable)
    parts = layout.split(data) if layout is not None and len(data) <= cls.MAX_BYTES else None
    if layout is None or parts is None:
        return None
    blank = object.__new__(cls)
    try:
        # What the generated __init__ does, without naming every field anew.
        for (put, read), part in zip(layout.reads, parts, strict=True):
            put(blank, part if read is None or part is None else read(part))
        blank.__post_init__()
    except (EncodingError, ValueError):  # the general way refuses it too, and its message names the field
        return None
    return blank


@cache
def _compile_flat(cls: type[Record]) -> FlatLayout | None:
    """Return the compiled layout of a class, or None where one of its codecs has no spelling."""
    members = [
        FlatMember(
            label=m.label, spelling=m.codec.spelling, optional=m.optional, put=getattr(cls, m.name).__set__
        )
        for m in compute_layout(cls)
        if m.codec.spelling is not None
    ]
    return compile_layout(members) if len(members) == len(compute_layout(cls)) else None


def _encoded(holder: Record, declared: _Member, value: object) -> cbor.Item:
    try:
        return declared.codec.to_item(value)
    except EncodingError as error:
        msg = f"{type(holder).__name__}.{declared.name}: {error}"
        raise EncodingError(msg) from error


def _refuse_labels(cls: type[Record], item: dict[cbor.Item, cbor.Item]) -> None:
    """Raise unless exactly the declared labels are there, the optional ones at will."""
    layout = compute_layout(cls)
    unknown = [label for label in item if label not in {m.label for m in layout}]
    missing = [m.name for m in layout if m.label not in item and not m.optional]
    if unknown:
        msg = f"{cls.__name__}: unknown field {unknown[0]!r}"
        raise EncodingError(msg[:160])
    if missing:
        msg = f"{cls.__name__}: missing field {missing[0]}"
        raise EncodingError(msg)


def _expected(what: str, item: cbor.Item) -> EncodingError:
    got = f"{len(item)} bytes" if isinstance(item, bytes) else f"{type(item).__name__} {str(item)[:40]!r}"
    return EncodingError(f"expected {what}, got {got}")


def uint(maximum: int = 2**64 - 1) -> Codec[int]:
    """A natural number up to ``maximum``."""

    def parse(item: cbor.Item) -> int:
        if type(item) is int and 0 <= item <= maximum:
            return item
        raise _expected(f"an integer from 0 to {maximum}", item)

    return Codec(parse, parse, spell_natural(maximum))


def flag() -> Codec[bool]:
    """True or false."""

    def parse(item: cbor.Item) -> bool:
        if type(item) is bool:
            return item
        raise _expected("true or false", item)

    return Codec(parse, parse)


def bstr(minimum: int, maximum: int | None = None) -> Codec[bytes]:
    """A byte string of ``minimum`` to ``maximum`` bytes, or of exactly ``minimum``."""
    most = minimum if maximum is None else maximum

    def parse(item: cbor.Item) -> bytes:
        if type(item) is bytes and minimum <= len(item) <= most:
            return item
        raise _expected(f"a byte string of {minimum} to {most} bytes", item)

    return Codec(parse, parse, spell_bytes(minimum, most))


def tstr(maximum: int = 128) -> Codec[str]:
    """Printable text of 1 to ``maximum`` characters, without control or formatting characters."""

    def parse(item: cbor.Item) -> str:
        if type(item) is str and 1 <= len(item) <= maximum and item.isprintable():
            return item
        raise _expected(f"printable text of 1 to {maximum} characters", item)

    return Codec(parse, parse, spell_text(maximum, parse))


def numeric_date() -> Codec[int]:
    """A CWT NumericDate (RFC 8392 section 2): whole seconds on the wire, milliseconds in memory."""
    seconds = uint(MAX_DATE_S)

    def unparse(value: int) -> cbor.Item:
        if value % MS_PER_S:
            raise _expected("whole seconds", value)
        return seconds.to_item(value // MS_PER_S)

    spelling = spell_natural(MAX_DATE_S).then(lambda value: value * MS_PER_S)
    return Codec(unparse, lambda item: seconds.from_item(item) * MS_PER_S, spelling)


def one_of(kind: type[E]) -> Codec[E]:
    """A member of an enumeration, by its value."""
    members = {member.value: member for member in kind}

    def parse(item: cbor.Item) -> E:
        if type(item) is str and item in members:
            return members[item]
        raise _expected("one of " + ", ".join(members), item)

    return Codec(lambda value: kind(value).value, parse, spell_choice(members))


def many(codec: Codec[T], *, maximum: int, minimum: int = 0) -> Codec[tuple[T, ...]]:
    """An array of ``minimum`` to ``maximum`` items of one kind."""

    def is_fitting(count: int) -> bool:
        return minimum <= count <= maximum

    def unparse(value: tuple[T, ...]) -> cbor.Item:
        if is_fitting(len(value)):
            return [codec.to_item(entry) for entry in value]
        raise _expected(f"{minimum} to {maximum} items", value)

    def parse(item: cbor.Item) -> tuple[T, ...]:
        if type(item) is list and is_fitting(len(item)):
            return tuple([codec.from_item(entry) for entry in item])
        raise _expected(f"an array of {minimum} to {maximum} items", item)

    spelling = None if codec.spelling is None else spell_array(codec.spelling, minimum, maximum)
    return Codec(unparse, parse, spelling)


def record(cls: type[R]) -> Codec[R]:
    """A nested record."""
    return Codec(lambda value: value.to_item(), cls.from_item)


def parsed(to_bytes: Callable[[T], bytes], from_bytes: Callable[[bytes], T], *, maximum: int) -> Codec[T]:
    """A value of another format that travels as a byte string, such as a public key."""
    outer = bstr(1, maximum)
    return Codec(lambda value: outer.to_item(to_bytes(value)), lambda item: from_bytes(outer.from_item(item)))


DIGEST: Final = bstr(DIGEST_BYTES)
