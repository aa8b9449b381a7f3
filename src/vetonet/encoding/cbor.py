"""Deterministic CBOR (RFC 8949 section 4.2.1): one value, one spelling, both ways.

The value model is small on purpose: integers up to 128 bits, byte strings, text, booleans, null, arrays
and maps. Floats, other simple values and every tag but the bignum are refused, so two programs can never
disagree on what was signed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NoReturn, TypeAlias

import cbor2

from vetonet.errors import EncodingError

Item: TypeAlias = Any
"""A decoded CBOR item: int, bytes, str, bool, None, list or dict of those."""

MAX_DEPTH: Final = 16
MAX_INTEGER: Final = 2**128 - 1
MIN_INTEGER: Final = -(2**64)

_ATOMS: Final = frozenset({bytes, str, bool, type(None)})
_NEGATIVE_RANK: Final = 2**64


@dataclass(frozen=True, slots=True)
class Tagged:
    """An item under a tag (RFC 8949 section 3.4): for foreign formats that have some; nothing of ours has."""

    number: int
    content: Item


def _refuse_tag(*_: object) -> NoReturn:
    """Refuse a tag that our value model does not have, before its content is interpreted."""
    msg = "a CBOR tag that vetonet does not use"
    raise EncodingError(msg)


# cbor2 would compile regular expressions, build dates and share references for these; none is ours.
_NO_TAGS: Final[dict[int, Any]] = dict.fromkeys(
    (0, 1, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)


def to_bytes(value: Item) -> bytes:
    """Return the one encoding of a value.

    Args:
        value: integers in [-2**64, 2**128), bytes, text, booleans, None, and lists, tuples, dicts of those.

    Returns:
        The deterministic encoding: shortest heads, definite lengths, map keys in bytewise order.

    Raises:
        EncodingError: the value has a type, size or depth outside the model.
    """
    return _dumps(_arranged(value, MAX_DEPTH))


def from_bytes(data: bytes, *, max_bytes: int) -> Item:
    """Return the value that ``data`` spells, if it spells it in the one accepted way.

    Args:
        data: untrusted bytes.
        max_bytes: the size above which nothing is read.

    Returns:
        The value; arrays are lists, maps are dicts.

    Raises:
        EncodingError: too large, malformed, trailing bytes, another spelling, or outside the value model.
    """
    if len(data) > max_bytes:
        msg = f"expected at most {max_bytes} bytes of CBOR, got {len(data)}"
        raise EncodingError(msg)
    value = _loads(data)
    if not _is_arranged(value, MAX_DEPTH) or _dumps(value) != data:
        msg = "not deterministic CBOR (RFC 8949 section 4.2.1): not the one spelling of a value we know"
        raise EncodingError(msg)
    return value


def from_foreign_bytes(data: bytes, *, max_bytes: int) -> Item:
    """Return the value that others' bytes spell: as ``from_bytes``, but map keys may stand in any order.

    For formats that do not demand one order, such as the tokens of other attesters; nothing of ours is so.
    No key stands twice, heads are the shortest and lengths definite, so what was read is all there was.

    Raises:
        EncodingError: as ``from_bytes``, the order of keys aside.
    """
    if len(data) > max_bytes:
        raise EncodingError(f"expected at most {max_bytes} bytes of CBOR, got {len(data)}")
    value = _loads(data)
    if not _is_in_model(value, MAX_DEPTH) or _dumps(value) != data:
        raise EncodingError("not CBOR that we read: a key twice, a longer head, or a value outside our model")
    return value


def to_tagged_bytes(value: Item) -> bytes:
    """Return the one encoding of a value of a foreign format that has tags, each given as ``Tagged``.

    Raises:
        EncodingError: as ``to_bytes``.
    """
    return _dumps(_retagged(value))


def from_tagged_bytes(data: bytes, *, max_bytes: int, tags: Collection[int]) -> Item:
    """Return the value that ``data`` spells in the one accepted way: as ``from_bytes``, with these tags.

    Raises:
        EncodingError: as ``from_bytes``, or with another tag.
    """
    if len(data) > max_bytes:
        raise EncodingError(f"expected at most {max_bytes} bytes of CBOR, got {len(data)}")
    value = _untagged(_loads(data), tags, MAX_DEPTH)
    if to_tagged_bytes(value) != data:
        raise EncodingError("not deterministic CBOR (RFC 8949 section 4.2.1), its tags aside")
    return value


def _untagged(value: Item, tags: Collection[int], depth: int) -> Item:
    """Return the value with each of these tags as ``Tagged``, and no other; keys are left for the encoder."""
    if not depth:
        raise EncodingError(f"CBOR nested deeper than {MAX_DEPTH}")
    if isinstance(value, cbor2.CBORTag):
        if value.tag not in tags:
            raise EncodingError(f"the CBOR tag {value.tag}, expected one of {sorted(tags)}")
        return Tagged(number=value.tag, content=_untagged(value.value, tags, depth - 1))
    if isinstance(value, list | tuple):  # under a tag the library returns what cannot be changed
        return [_untagged(item, tags, depth - 1) for item in value]
    if isinstance(value, Mapping):
        return {key: _untagged(item, tags, depth - 1) for key, item in value.items()}
    return value


def _retagged(value: Item, depth: int = MAX_DEPTH) -> Item:
    """Return the value as the library encodes it, every part of it in the model and in key order."""
    if isinstance(value, Tagged) and depth:
        return cbor2.CBORTag(value.number, _retagged(value.content, depth - 1))
    if isinstance(value, tuple | list) and depth:
        return [_retagged(item, depth - 1) for item in value]
    if isinstance(value, dict) and depth:
        order = _arranged(dict.fromkeys(value), 1)
        return {key: _retagged(value[key], depth - 1) for key in order}
    return _arranged(value, 0)


def compute_key_order(key: Item) -> bytes:
    """Return the bytes by which map keys are sorted: their own encoding (RFC 8949 section 4.2.1)."""
    return _dumps(key)


def _loads(data: bytes) -> Item:
    try:
        return cbor2.loads(data, max_depth=MAX_DEPTH + 2, allow_indefinite=False, semantic_decoders=_NO_TAGS)
    except EncodingError:
        raise
    except Exception as error:  # cbor2 also leaks RecursionError, ValueError, TypeError and OverflowError
        msg = f"not CBOR: {_one_line(error)}"
        raise EncodingError(msg) from error


def _dumps(value: Item) -> bytes:
    try:
        return cbor2.dumps(value)
    except Exception as error:  # the same: every failure of the library is an encoding error here
        msg = f"cannot be encoded: {_one_line(error)}"
        raise EncodingError(msg) from error


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _is_arranged(value: Item, depth: int) -> bool:
    """Whether the value lies in the model and its maps are in key order."""
    kind = type(value)
    if kind is int:
        return bool(MIN_INTEGER <= value <= MAX_INTEGER)
    if kind is dict:
        return depth > 0 and _has_ordered_keys(value) and _are_arranged(value.values(), depth - 1)
    if kind is list:
        return depth > 0 and _are_arranged(value, depth - 1)
    return kind in _ATOMS


def _are_arranged(items: Iterable[Item], depth: int) -> bool:
    for item in items:
        kind = type(item)  # most items are leaves, and a call for each would cost the most
        if kind is int:
            if not MIN_INTEGER <= item <= MAX_INTEGER:
                return False
        elif kind not in _ATOMS and not _is_arranged(item, depth):
            return False
    return True


def _is_in_model(value: Item, depth: int) -> bool:
    """Whether the value lies in the model, whatever the order of its map keys."""
    kind = type(value)
    if kind is int:
        return bool(MIN_INTEGER <= value <= MAX_INTEGER)
    if kind is dict:
        inside = value.values()
        return depth > 0 and all(map(_is_key, value)) and all(_is_in_model(v, depth - 1) for v in inside)
    if kind is list:
        return depth > 0 and all(_is_in_model(item, depth - 1) for item in value)
    return kind in _ATOMS


def _has_ordered_keys(mapping: dict[Item, Item]) -> bool:
    """Whether the keys are allowed, all different, and in the bytewise order of their encodings."""
    last = -1
    for key in mapping:
        if type(key) is not int:
            return _has_ordered_mixed_keys(mapping)
        # Major type 0 sorts before major type 1, each by magnitude, so -1 follows every 64-bit natural.
        rank = key if key >= 0 else _NEGATIVE_RANK - key
        if rank <= last or not MIN_INTEGER <= key < _NEGATIVE_RANK:
            return False
        last = rank
    return True


def _has_ordered_mixed_keys(mapping: dict[Item, Item]) -> bool:
    if not all(_is_key(key) for key in mapping):
        return False
    keys = [_dumps(key) for key in mapping]
    return all(left < right for left, right in pairwise(keys))


def _is_key(key: Item) -> bool:
    return type(key) in {str, bytes} or (type(key) is int and MIN_INTEGER <= key < _NEGATIVE_RANK)


def _arranged(value: Item, depth: int) -> Item:
    """Return the value with every map in key order, or refuse it."""
    if isinstance(value, tuple | list) and depth:
        return [_arranged(item, depth - 1) for item in value]
    if isinstance(value, dict) and depth:
        ordered = sorted(value.items(), key=lambda pair: compute_key_order(pair[0]))
        arranged = {key: _arranged(item, depth - 1) for key, item in ordered}
        return arranged if _has_ordered_keys(arranged) else _refuse(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if MIN_INTEGER <= value <= MAX_INTEGER else _refuse(value)
    if type(value) in _ATOMS:
        return value
    return _refuse(value)


def _refuse(value: Item) -> NoReturn:
    msg = f"{type(value).__name__} outside the CBOR value model of vetonet"
    raise EncodingError(msg)
