"""A call that changes the log and the idempotency key that its caller gave it (VN-13.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request id stands for, from its first use on.

    Attributes:
        request_id: unique among all callers.
        digest: of everything that is asked for, also of what the log holds already.
    """

    request_id: str
    digest: bytes

    @classmethod
    def over(cls, request_id: str, method: str, parts: Iterable[bytes]) -> Self:
        """Return the request to have this method done with these parts, in this order."""
        digest = hashlib.sha256()
        for part in (method.encode(), *parts):
            digest.update(len(part).to_bytes(_LENGTH_BYTES, "big"))
            digest.update(part)
        return cls(request_id=request_id, digest=digest.digest())
