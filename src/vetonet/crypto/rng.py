"""Reproducible randomness for simulations and tests; production passes ``secrets.token_bytes``."""

from __future__ import annotations

import hashlib
from typing import Final

BLOCK_BYTES: Final = 64


class SeededRng:
    """A deterministic byte stream: SHA-512 over (seed, counter), the same on every platform.

    Never use it where secrets matter outside a simulation: whoever knows the seed knows every key.
    """

    __slots__ = ("_buffer", "_counter", "_seed")

    def __init__(self, seed: bytes) -> None:
        """Start the stream of this seed."""
        self._seed = hashlib.sha512(b"vetonet-seeded-rng-v1" + seed).digest()
        self._counter = 0
        self._buffer = b""

    def __call__(self, size: int) -> bytes:
        """Return the next ``size`` bytes of the stream."""
        missing = max(0, size - len(self._buffer))
        start, self._counter = self._counter, self._counter - (-missing // BLOCK_BYTES)
        blocks = map(self._compute_block, range(start, self._counter))
        stream = self._buffer + b"".join(blocks)
        taken, self._buffer = stream[:size], stream[size:]
        return taken

    def _compute_block(self, counter: int) -> bytes:
        return hashlib.sha512(self._seed + counter.to_bytes(8, "big")).digest()

    def spawn(self, name: str) -> SeededRng:
        """Return an independent stream named below this one; the order of spawning does not matter."""
        return SeededRng(self._seed + b"/" + name.encode())

    def __repr__(self) -> str:
        """Hide the seed: it is worth every key drawn from it."""
        return "SeededRng(<redacted>)"
