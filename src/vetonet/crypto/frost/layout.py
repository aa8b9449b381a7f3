"""Fixed byte layouts with one spelling: big-endian 16-bit counts, then 32-byte scalars and elements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vetonet.crypto.frost.group import (
    ELEMENT_BYTES,
    SCALAR_BYTES,
    Element,
    Scalar,
    nonzero_scalar_from_bytes,
    scalar_from_bytes,
)
from vetonet.errors import EncodingError

COUNT_BYTES: Final = 2
MAX_COUNT: Final = 2**16 - 1


def count_to_bytes(count: int) -> bytes:
    """Return a count, or an identifier, in two bytes."""
    return count.to_bytes(COUNT_BYTES, "big")


class LayoutReader:
    """Takes fields off the front of received bytes; each one is refused when it is cut short."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self._data = bytes(data)
        self._offset = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            EncodingError: fewer are left.
        """
        field = self._data[self._offset : self._offset + size]
        if len(field) != size:
            raise EncodingError("the bytes end early")
        self._offset += size
        return field

    def take_count(self) -> int:
        """Return the next count.

        Raises:
            EncodingError: the bytes end early.
        """
        return int.from_bytes(self.take(COUNT_BYTES), "big")

    def take_scalar(self) -> Scalar:
        """Return the next scalar, which may be zero.

        Raises:
            EncodingError: it is not below the group order, or the bytes end early.
        """
        return scalar_from_bytes(self.take(SCALAR_BYTES))

    def take_nonzero_scalar(self) -> Scalar:
        """Return the next scalar.

        Raises:
            EncodingError: it is zero or not below the group order, or the bytes end early.
        """
        return nonzero_scalar_from_bytes(self.take(SCALAR_BYTES))

    def take_elements(self, count: int) -> tuple[Element, ...]:
        """Return the next ``count`` elements; the length is looked at before the costly decoding.

        Raises:
            EncodingError: one of them is no element, or the bytes end early.
        """
        field = self.take(count * ELEMENT_BYTES)
        starts = range(0, len(field), ELEMENT_BYTES)
        return tuple(Element(encoded=field[start : start + ELEMENT_BYTES]) for start in starts)

    def finish(self) -> None:
        """Hold only when every byte was taken.

        Raises:
            EncodingError: bytes are left.
        """
        if self._offset != len(self._data):
            raise EncodingError("bytes follow the last field")


@contextmanager
def refuse_malformed() -> Iterator[None]:
    """Turn a value's own complaint, ``ValueError``, into an ``EncodingError`` while parsing."""
    try:
        yield
    except ValueError as error:
        raise EncodingError(str(error)) from error
