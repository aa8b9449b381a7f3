"""Codecs that follow from annotations: for state that one program keeps for itself and that is never signed.

A record states a label for each field, because strangers read it for years. What a chip keeps in its own
flash changes with its firmware, and the danger there is a field that nobody thought of: so the shape is read
off the classes, every field of them, and a type that has no codec is refused before anything is kept.
Members are named, so that bytes of another shape are refused and never half read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from vetonet.encoding import cbor
from vetonet.encoding.record import Codec, Record, bstr, flag, one_of, record, tstr, uint
from vetonet.errors import EncodingError

MAX_BYTES: Final = 2**20
MAX_TEXT: Final = 1024
MAX_ITEMS: Final = 2**16

Codecs: TypeAlias = Mapping[Any, Codec[Any]]
"""Codecs of types whose annotations do not say how they are kept, such as keys."""

_PLAIN: Final[Codecs] = {
    bool: flag(),
    int: uint(cbor.MAX_INTEGER),
    bytes: bstr(0, MAX_BYTES),
    str: tstr(MAX_TEXT),
    NoneType: Codec(lambda _: None, lambda item: _expect(NoneType, item)),
}


def compute_codec(hint: Any, special: Codecs) -> Codec[Any]:
    """Return the codec of everything that an annotation allows.

    Args:
        hint: a type, a union, or a tuple, frozen set or mapping of such.
        special: codecs by type, before everything else.

    Raises:
        TypeError: a type in it has no codec; ``special`` must name it.
    """
    known = special.get(hint) or _PLAIN.get(hint)
    if known is not None:
        return known
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _any_of(inner, special)
    if origin is tuple and inner[1:] == (Ellipsis,):
        return _sequence(compute_codec(inner[0], special), tuple)
    if origin is frozenset:
        return _sequence(compute_codec(inner[0], special), frozenset)
    if origin is Mapping:
        return _mapping(*(compute_codec(part, special) for part in inner))
    return _of_class(hint, special)


def compute_members(
    cls: type[Any], special: Codecs, left_out: frozenset[str] = frozenset()
) -> dict[str, Codec[Any]]:
    """Return the codec of every field of a dataclass, but for those that are left out or derived."""
    hints = get_type_hints(cls)
    kept = (field.name for field in dataclasses.fields(cls) if field.init and field.name not in left_out)
    return {name: compute_codec(hints[name], special) for name in kept}


def to_map(value: object, members: Mapping[str, Codec[Any]]) -> dict[str, cbor.Item]:
    """Return the fields of a value as a map of names to items.

    Raises:
        EncodingError: a field holds a value that its codec refuses.
    """
    return {name: codec.to_item(getattr(value, name)) for name, codec in members.items()}


def from_map(item: cbor.Item, members: Mapping[str, Codec[Any]]) -> dict[str, Any]:
    """Return the fields that a map holds: all of them, and no other.

    Raises:
        EncodingError: not such a map, or a field that its codec refuses.
    """
    if type(item) is not dict or item.keys() != members.keys():
        raise EncodingError(f"expected a map of {', '.join(members)}"[:200])
    return {name: codec.from_item(item[name]) for name, codec in members.items()}


def _of_class(hint: Any, special: Codecs) -> Codec[Any]:
    if isinstance(hint, type) and issubclass(hint, Record):
        return record(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return one_of(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _numbered(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass(hint, special)
    raise TypeError(f"no way to keep a {hint!r}")


def _dataclass(cls: type[Any], special: Codecs) -> Codec[Any]:
    members = compute_members(cls, special)

    def parse(item: cbor.Item) -> Any:
        return _made(cls, from_map(item, members))

    return Codec(lambda value: to_map(value, members), parse)


def _any_of(hints: tuple[Any, ...], special: Codecs) -> Codec[Any]:
    """One of several types: a pair of the type's name and the item, so that none is taken for another."""
    choices = {_name_of(hint): (hint, compute_codec(hint, special)) for hint in hints}

    def unparse(value: Any) -> cbor.Item:
        for name, (hint, codec) in choices.items():
            if isinstance(value, get_origin(hint) or hint):
                return [name, codec.to_item(value)]
        raise EncodingError(f"expected one of {', '.join(choices)}, got {type(value).__name__}")

    def parse(item: cbor.Item) -> Any:
        match item:
            case [str() as name, inner] if name in choices:
                return choices[name][1].from_item(inner)
            case _:
                raise EncodingError(f"expected the name of one of {', '.join(choices)} and its item")

    return Codec(unparse, parse)


def _sequence(codec: Codec[Any], kind: Callable[..., Any]) -> Codec[Any]:
    """Several of one type; a set by rising spelling, which is the only order it has."""

    def unparse(value: Any) -> cbor.Item:
        items = [codec.to_item(entry) for entry in value]
        return sorted(items, key=cbor.to_bytes) if kind is frozenset else items

    def parse(item: cbor.Item) -> Any:
        if type(item) is not list or len(item) > MAX_ITEMS:
            raise EncodingError(f"expected an array of at most {MAX_ITEMS} items")
        found = kind(codec.from_item(entry) for entry in item)
        if len(found) < len(item) or unparse(found) != item:
            raise EncodingError("expected the items in order and none twice")
        return found

    return Codec(unparse, parse)


def _mapping(keys: Codec[Any], values: Codec[Any]) -> Codec[Any]:
    """Pairs by rising spelling of the key: keys need not be what CBOR map keys may be here."""

    def unparse(value: Mapping[Any, Any]) -> cbor.Item:
        pairs = [[keys.to_item(key), values.to_item(entry)] for key, entry in value.items()]
        return sorted(pairs, key=cbor.to_bytes)

    def parse(item: cbor.Item) -> dict[Any, Any]:
        if type(item) is not list or len(item) > MAX_ITEMS:
            raise EncodingError(f"expected an array of at most {MAX_ITEMS} pairs")
        found: dict[Any, Any] = {}
        for pair in item:
            if type(pair) is not list or len(pair) != 2:  # noqa: PLR2004 - a pair
                raise EncodingError("expected pairs")
            found[keys.from_item(pair[0])] = values.from_item(pair[1])
        if len(found) < len(item) or unparse(found) != item:
            raise EncodingError("expected the pairs in order and no key twice")
        return found

    return Codec(unparse, parse)


def _numbered(kind: type[Enum]) -> Codec[Any]:
    numbers = uint()

    def parse(item: cbor.Item) -> Any:
        try:
            return kind(numbers.from_item(item))
        except ValueError as error:
            raise EncodingError(f"{item} is no {kind.__name__}") from error

    return Codec(lambda value: numbers.to_item(value.value), parse)


def _made(cls: type[Any], fields: dict[str, Any]) -> Any:
    try:
        return cls(**fields)
    except ValueError as error:
        raise EncodingError(f"{cls.__name__}: {error}") from error


def _expect(kind: type[Any], item: cbor.Item) -> Any:
    if type(item) is not kind:
        raise EncodingError(f"expected {kind.__name__}, got {type(item).__name__}")
    return item


def _name_of(hint: Any) -> str:
    return str(getattr(get_origin(hint) or hint, "__name__", hint))
