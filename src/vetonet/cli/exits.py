"""How every command ends: one table of exit codes, and one plain line for whatever went wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import click

from vetonet.errors import (
    ConfigError,
    EncodingError,
    InvalidSignatureError,
    ProtocolError,
    StorageError,
    VerificationError,
    VetonetError,
)

DEBUG: Final = "VETONET_DEBUG"
TLS_WORDS: Final = ("handshake", "certificate_verify_failed", "ssl routines")
"""What gRPC says, among much else, where one side does not accept the certificate of the other."""


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    NEGATIVE = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final[Mapping[Exit, str]] = MappingProxyType(
    {
        Exit.OK: "done, and the outcome is the one asked for",
        Exit.NEGATIVE: "done, and the answer is no: vetoed, refused, expired, VIOLATION, a failed case",
        Exit.USAGE: "the command, a setting or the treaty directory is not usable as it is",
        Exit.INCONCLUSIVE: "nobody can tell: INCONCLUSIVE, or a server that gives no answer",
        Exit.INVALID: "a file cannot be read, or is not what it should be",
        Exit.BUG: "a bug in vetonet",
        Exit.INTERRUPTED: "interrupted from the keyboard",
        Exit.BROKEN_PIPE: "whoever read the output stopped reading",
    }
)

_BY_REASON: Final[Mapping[str, Exit]] = MappingProxyType(
    {
        "rpc": Exit.INCONCLUSIVE,
        "http": Exit.INCONCLUSIVE,
        "overloaded": Exit.INCONCLUSIVE,
        "not-found": Exit.USAGE,
        "wrong-identity": Exit.USAGE,
        "journal-corrupt": Exit.INVALID,
        "tile-corrupt": Exit.INVALID,
        "tile-missing": Exit.INVALID,
    }
)
_BY_CLASS: Final[tuple[tuple[type[VetonetError], Exit], ...]] = (
    (ConfigError, Exit.USAGE),
    (StorageError, Exit.USAGE),
    (EncodingError, Exit.INVALID),
    (VerificationError, Exit.INVALID),
    (ProtocolError, Exit.NEGATIVE),
)
_NEXT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rpc": "see that `vetonet serve` runs there and that --server and --dir belong together",
        "http": "see that the URL is right and that its server runs",
        "overloaded": "try again in a moment",
        "not-found": "list what there is with `vetonet watch`",
        "wrong-identity": "use the directory of the treaty that the server serves",
        "wrong-epoch": "use the directory of the treaty that the server serves",
        "journal-locked": "--data names another one",
        "journal-corrupt": "restore the data directory from a copy, or begin a new one with another --data",
        "journal-full": "free some space on the disk and start again; nothing acknowledged is lost",
    }
)


class Failure(click.ClickException):
    """A command cannot go on; one plain line says why.

    Attributes:
        reason: the stable machine-readable code.
        culprit: who is at fault, or None where nobody can be named.
    """

    def __init__(
        self, message: str, *, code: Exit = Exit.USAGE, reason: str = "usage", culprit: str | None = None
    ) -> None:
        super().__init__(to_one_line(message))
        self.code: Final = code
        self.reason: Final = reason
        self.culprit: Final = culprit

    def to_plain(self) -> dict[str, dict[str, str | None]]:
        """Return what ``--json`` prints about the failure."""
        return {"error": {"reason": self.reason, "message": self.message, "culprit": self.culprit}}


def to_one_line(text: str) -> str:
    """Return a message that cannot break its line or steer a terminal, its runs of blanks folded."""
    return to_plain(" ".join(text.split()))


def to_plain(text: str) -> str:
    """Return a text that cannot break its line or steer a terminal; what is printable stays as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def compute_exit(error: VetonetError) -> Exit:
    """Return the exit code of an error of the tree."""
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), Exit.USAGE)


def to_failure(error: VetonetError) -> Failure:
    """Return what a user sees of an error of the tree: its message, and what to do next where we know."""
    hint = _NEXT.get(error.reason)
    message = f"{error}; {hint}" if hint else str(error)
    if error.reason == "rpc":
        message = _say_unanswered(str(error))
    return Failure(message, code=compute_exit(error), reason=error.reason, culprit=_name_culprit(error))


def _say_unanswered(said: str) -> str:
    """Return in plain words why no answer came; gRPC's own are for whoever looks for a bug."""
    plain, _, detail = said.partition(": ")
    if any(word in detail.casefold() for word in TLS_WORDS):
        plain, hint = (
            "this certificate is not accepted here",
            "is --dir the directory of this server's treaty?",
        )
        message = f"{plain}: {hint}"
    else:
        message = f"{plain}; {_NEXT['rpc']}"
    return f"{message} ({detail})" if detail and os.environ.get(DEBUG) else message


def _name_culprit(error: VetonetError) -> str | None:
    if isinstance(error, ProtocolError):
        return error.culprit
    if isinstance(error, InvalidSignatureError) and error.culprits:
        return ", ".join(error.culprits)
    return None
