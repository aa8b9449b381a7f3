"""The transcript of a proof: whatever was said so far decides every challenge (Fiat and Shamir).

It does the work of Merlin (merlin.cool) with SHA-512 in place of STROBE: each message goes in under a label,
label and message with their lengths, so that no two different conversations are the same bytes. Whoever
proves appends what the proof is about before proving; the verifier appends the same, and a proof about
something else finds other challenges and fails.
"""

from __future__ import annotations

import hashlib
from typing import Final

from vetonet.crypto import secp256k1

_DOMAIN: Final = b"vetonet/transcript/secp256k1/v1"
_START: Final = b"\x00"
_MESSAGE: Final = b"\x01"
_CHALLENGE: Final = b"\x02"
_OUTPUT: Final = b"\x03"
_LENGTH_BYTES: Final = 8


class Transcript:
    """A conversation so far: a chain of SHA-512 over labelled messages.

    It changes as messages go in. Provers and verifiers work on a copy, so one transcript serves both.
    """

    __slots__ = ("_state",)

    def __init__(self, label: bytes) -> None:
        """Start the conversation of a purpose; no two purposes share a label."""
        self._state = _compute_state(bytes(hashlib.sha512().digest_size), _START + _DOMAIN, label)

    def append(self, label: bytes, data: bytes) -> None:
        """From here on, every challenge depends on this message and its label."""
        self._state = _compute_state(self._state, _MESSAGE + _prefix(label), data)

    def compute_challenge(self, label: bytes) -> int:
        """Return a scalar in [1, n-1] that depends on all before; the label counts as said, too.

        512 bits are reduced, so the bias is below 2**-255.
        """
        self._state = _compute_state(self._state, _CHALLENGE, label)
        wide = int.from_bytes(_compute_state(self._state, _OUTPUT, b""), "big")
        return wide % (secp256k1.ORDER - 1) + 1

    def copy(self) -> Transcript:
        """Return a transcript that has heard the same and goes its own way from here."""
        twin = object.__new__(Transcript)
        twin._state = self._state
        return twin


def _compute_state(state: bytes, kind: bytes, data: bytes) -> bytes:
    return hashlib.sha512(state + kind + _prefix(data)).digest()


def _prefix(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data
