"""The digest chain of a journal: each record's digest covers the record and, through the one before, all.

A changed, swapped, inserted or removed record breaks the chain at its own sequence. The chain cannot show
that the newest records are missing: a shortened journal is a valid journal. What is lost at the end is
found by whoever holds a later head, which for vetonet is the transparency log and its witnesses.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

DIGEST_BYTES: Final = 32
GENESIS: Final = bytes(DIGEST_BYTES)
"""The digest before the first record."""

_DOMAIN: Final = b"vetonet-journal-record-v1"
_FRAME: Final = struct.Struct(">qqQQQ")


def compute_digest(
    previous: bytes,
    *,
    sequence: int,
    kind: str,
    request_id: str | None,
    payload: bytes,
    recorded_at_ms: int,
) -> bytes:
    """Return SHA-256 over the domain, the previous digest and the one spelling of the record.

    Every variable part is preceded by its length, so two different records never spell the same bytes; a
    missing request id has length 0, which a given one never has.

    Args:
        previous: the digest of the record before, or ``GENESIS``.
        sequence: the place of the record.
        kind: what the payload is.
        request_id: the idempotency key or None.
        payload: the bytes.
        recorded_at_ms: milliseconds since the Unix epoch.
    """
    name, request = kind.encode(), (request_id or "").encode()
    frame = _FRAME.pack(sequence, recorded_at_ms, len(name), len(request), len(payload))
    return hashlib.sha256(b"".join((_DOMAIN, previous, frame, name, request, payload))).digest()
