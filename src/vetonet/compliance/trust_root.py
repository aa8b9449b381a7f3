"""The trust root: the one value that a verifier must get from somewhere it trusts (VN-10.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from vetonet.errors import ConfigError

FORMAT: Final = "vetonet trust root 1"
MAX_BYTES: Final = 4096
DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """The digest of the treaty; keys, quorum, makers and log all follow from it.

    Attributes:
        treaty_digest: SHA-256 of the treaty's statement, 32 bytes.
        treaty_name: for people only; nothing depends on it.
    """

    treaty_digest: bytes
    treaty_name: str

    def __post_init__(self) -> None:
        """Refuse a digest of another length."""
        if len(self.treaty_digest) != DIGEST_BYTES:
            msg = f"a treaty digest has {DIGEST_BYTES} bytes"
            raise ValueError(msg)

    def to_text(self) -> str:
        """Return the JSON file."""
        fields = {
            "format": FORMAT,
            "treaty_name": self.treaty_name,
            "treaty_sha256": self.treaty_digest.hex(),
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> TrustRoot:
        """Return the trust root that a JSON file states.

        Raises:
            ConfigError: not such a file.
        """
        try:
            fields: Any = json.loads(text) if len(text) <= MAX_BYTES else None
            if set(fields) != {"format", "treaty_name", "treaty_sha256"} or fields["format"] != FORMAT:
                raise ValueError  # noqa: TRY301  (one message for all ways in which it is not a trust root)
            return cls(
                treaty_digest=_read_hex(fields["treaty_sha256"]), treaty_name=str(fields["treaty_name"])
            )
        except (ValueError, TypeError, RecursionError) as error:
            msg = f'expected a trust root: JSON with format "{FORMAT}", treaty_name, treaty_sha256 in hex'
            raise ConfigError(msg) from error


def _read_hex(text: str) -> bytes:
    """Return the bytes of hex digits without anything between them.

    Raises:
        ValueError: other characters, or another length than a digest's.
    """
    if len(text) != 2 * DIGEST_BYTES:
        msg = "not a digest in hex"
        raise ValueError(msg)
    return bytes.fromhex(text)
