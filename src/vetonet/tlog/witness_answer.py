"""How a witness answers, whatever carries the answer: the statuses and bodies of C2SP tlog-witness."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, StorageError, VetonetError
from vetonet.tlog.add_checkpoint import SIZE_MEDIA_TYPE
from vetonet.tlog.witness import SplitViewError, StaleCheckpointError, UnknownLogError

TEXT_MEDIA_TYPE: Final = "text/plain; charset=utf-8"
MAX_LINE_CHARS: Final = 512

STATUSES: Final[Mapping[type[VetonetError], int]] = MappingProxyType(
    {
        EncodingError: 400,
        InvalidSignatureError: 403,
        UnknownLogError: 404,
        StaleCheckpointError: 409,
        SplitViewError: 409,
        ProofError: 422,
        StorageError: 503,
        VetonetError: 500,
    }
)
"""What a refusal is answered with; an error that is not here is answered as the nearest class above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness answers.

    Attributes:
        status: an HTTP status.
        body: signature lines, a size, or one line for people.
        media_type: which of them it is.
    """

    status: int
    body: bytes
    media_type: str = TEXT_MEDIA_TYPE


def answer_granted(lines: bytes) -> Answer:
    """Return the answer that carries signature lines."""
    return Answer(status=200, body=lines)


def answer_refused(error: VetonetError) -> Answer:
    """Return the answer that says why there is no cosignature."""
    status = find_status(type(error))
    if isinstance(error, StaleCheckpointError):
        return Answer(status=status, body=f"{error.known_size}\n".encode(), media_type=SIZE_MEDIA_TYPE)
    line = " ".join(str(error).split())[:MAX_LINE_CHARS]
    return Answer(status=status, body=f"{line}\n".encode(errors="replace"))


def find_status(kind: type[VetonetError]) -> int:
    """Return the status for a class of errors."""
    return next(STATUSES[above] for above in kind.__mro__ if above in STATUSES)


def name_log(origin: str) -> str:
    """Return how a URL of a witness names a log: SHA-256 of its origin, in hexadecimal."""
    return hashlib.sha256(origin.encode()).hexdigest()
