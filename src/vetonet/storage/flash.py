"""Flash behind a port: two slots of blocks, of which nothing is durable before a sync.

``FlashMemory`` is the one for the simulator and for tests: it tells every operation to whoever asked, who may
cut the power there, and then leaves of the writes since the last sync what that one chose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from vetonet.errors import StorageError

BLOCK_BYTES: Final = 4096
SLOTS: Final = 2
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700

Place: TypeAlias = tuple[int, int]
"""Slot and number of a block."""


class Flash(Protocol):
    """A small device of blocks."""

    def read(self, slot: int) -> bytes:
        """Return all blocks of a slot, one after the other; none where nothing was ever written.

        Raises:
            StorageError: it cannot be read.
        """
        ...

    def write(self, slot: int, block: int, data: bytes) -> None:
        """The block holds these bytes, and zeros behind them, unless the power is lost before a sync.

        Raises:
            StorageError: it cannot be written.
        """
        ...

    def sync(self) -> None:
        """Whatever was written is durable.

        Raises:
            StorageError: nobody can tell.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One primitive operation; ``place`` is None for a sync."""

    place: Place | None = None

    def __str__(self) -> str:
        """Return ``write 1.0`` (slot and block) or ``sync``."""
        return "sync" if self.place is None else f"write {self.place[0]}.{self.place[1]}"


class FlashMemory:
    """Flash that lives as long as the object, and loses what was not synced with the power.

    ``before`` is told of every operation before it is done, and may raise instead.
    """

    __slots__ = ("_blocks", "_pending", "before")

    def __init__(self, before: Callable[[Operation], None] = lambda _: None) -> None:
        """Start blank."""
        self.before = before
        self._blocks: dict[Place, bytes] = {}
        self._pending: list[tuple[Place, bytes]] = []

    def read(self, slot: int) -> bytes:
        """Return all blocks of a slot, as whoever wrote them sees them."""
        seen = {**self._blocks, **dict(self._pending)}
        count = max((block + 1 for place, block in seen if place == slot), default=0)
        return b"".join(seen.get((slot, block), bytes(BLOCK_BYTES)) for block in range(count))

    def write(self, slot: int, block: int, data: bytes) -> None:
        """The block holds these bytes, and zeros behind them, unless the power is lost before a sync."""
        self.before(Operation(place=(slot, block)))
        self._pending.append(((slot, block), _padded(data)))

    def sync(self) -> None:
        """Whatever was written is durable."""
        self.before(Operation())
        self._blocks |= dict(self._pending)
        self._pending.clear()

    @property
    def pending(self) -> int:
        """How many writes a loss of power may undo."""
        return len(self._pending)

    def lose_power(self, kept: Sequence[int] = (), torn: int | None = None) -> None:
        """Of the writes since the last sync those numbered in ``kept`` came through, and half of ``torn``."""
        for index, (place, data) in enumerate(self._pending):
            if index == torn:
                before = self._blocks.get(place, bytes(BLOCK_BYTES))
                self._blocks[place] = data[: BLOCK_BYTES // 2] + before[BLOCK_BYTES // 2 :]
            elif index in kept:
                self._blocks[place] = data
        self._pending.clear()

    def copy(self) -> FlashMemory:
        """Return another flash with the same content: what an attacker takes and puts back."""
        other = FlashMemory()
        other._blocks, other._pending = dict(self._blocks), list(self._pending)
        return other

    def flip(self, slot: int, offset: int, mask: int = 1) -> None:
        """Some bits of one durable byte are others."""
        block, within = divmod(offset, BLOCK_BYTES)
        data = bytearray(self._blocks[slot, block])
        data[within] ^= mask
        self._blocks[slot, block] = bytes(data)


class FlashFiles:
    """Flash in two files of a directory, readable by their owner only."""

    __slots__ = ("_directory", "_touched")

    def __init__(self, directory: Path) -> None:
        """Use this directory, made where there is none.

        Raises:
            StorageError: it cannot be made.
        """
        self._directory: Final = directory
        self._touched: set[int] = set()
        try:
            directory.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{directory}: expected a directory for a chip: {error.strerror}") from error

    def read(self, slot: int) -> bytes:
        """Return all blocks of a slot.

        Raises:
            StorageError: the file is there and cannot be read.
        """
        try:
            with suppress(FileNotFoundError):
                return self._path(slot).read_bytes()
        except OSError as error:
            raise self._explain(slot, error) from error
        return b""

    def write(self, slot: int, block: int, data: bytes) -> None:
        """The block holds these bytes, and zeros behind them, unless the power is lost before a sync.

        Raises:
            StorageError: the file cannot be written.
        """
        self._touched.add(slot)
        try:
            descriptor = os.open(self._path(slot), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.seek(block * BLOCK_BYTES)
                file.write(_padded(data))
        except OSError as error:
            raise self._explain(slot, error) from error

    def sync(self) -> None:
        """Whatever was written is durable, and so are the names of new files.

        Raises:
            StorageError: the system reports an error; what was written may be lost or not.
        """
        for slot in sorted(self._touched):
            try:
                _sync(self._path(slot), os.O_RDONLY)
                _sync(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                raise self._explain(slot, error) from error
        self._touched.clear()

    def _path(self, slot: int) -> Path:
        return self._directory / f"slot-{slot}"

    def _explain(self, slot: int, error: OSError) -> StorageError:
        return StorageError(f"{self._path(slot)}: expected a chip's flash to be there: {error.strerror}")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _padded(data: bytes) -> bytes:
    if len(data) > BLOCK_BYTES:
        raise ValueError(f"expected at most {BLOCK_BYTES} bytes of a block, got {len(data)}")
    return data.ljust(BLOCK_BYTES, b"\0")
