"""The public challenge: anybody can recompute it, nobody could know it before its checkpoint (VN-9.2).

It bounds a report's time from below without a verifier that is always there. A verifier's own secret
challenge, which also proves that the chip answered *it*, is what ``vetonet appraise eat`` asks for.
"""

from __future__ import annotations

import hashlib
from typing import Final

from vetonet.units import Milliseconds

_DOMAIN: Final = b"vetonet challenge 1\n"


def compute_challenge(treaty_digest: bytes, checkpoint_digest: bytes, window_start_ms: Milliseconds) -> bytes:
    """Return the challenge of one interval, 32 bytes: SHA-256 over treaty, checkpoint and start."""
    moment = window_start_ms.to_bytes(8, "big")
    return hashlib.sha256(_DOMAIN + treaty_digest + checkpoint_digest + moment).digest()
