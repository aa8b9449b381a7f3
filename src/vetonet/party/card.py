"""A party's card: what it hands out before there is a treaty, so that a charter can name it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from vetonet.crypto.keys import PublicKey
from vetonet.errors import ConfigError, EncodingError
from vetonet.policy.plan import NAME_RULE, is_name

FORMAT: Final = "vetonet party card 1"
MAX_CARD_BYTES: Final = 16 * 1024

_PARTY: Final = "party"
_STATEMENT_KEY: Final = "statement_key"
_WITNESS_KEY: Final = "witness_key"
_REQUEST: Final = "certificate_request"
_KEYS: Final = frozenset({"format", _PARTY, _STATEMENT_KEY, _WITNESS_KEY, _REQUEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The public half of a party; its owner answers for it by the way it hands it over.

    Attributes:
        party_id: what the treaty is to call it.
        statement_key: what it signs with.
        witness_key: what its witness cosigns with.
        request_pem: a request for its TLS certificate (RFC 2986).
    """

    party_id: str
    statement_key: PublicKey
    witness_key: PublicKey
    request_pem: bytes

    def __post_init__(self) -> None:
        """Refuse what can be no party's name, and one key for two purposes."""
        if not is_name(self.party_id):
            raise ValueError(f"expected {NAME_RULE}, got {self.party_id[:80]!r}")
        if self.statement_key == self.witness_key:
            raise ValueError("expected another key for the witness than for statements")

    def to_text(self) -> str:
        """Return the JSON file."""
        fields = {
            "format": FORMAT,
            _PARTY: self.party_id,
            _STATEMENT_KEY: self.statement_key.to_bytes().hex(),
            _WITNESS_KEY: self.witness_key.to_bytes().hex(),
            _REQUEST: self.request_pem.decode("ascii"),
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Card:
        """Return the card that a JSON file states.

        Raises:
            ConfigError: not such a file.
        """
        try:
            fields: Any = json.loads(text) if len(text) <= MAX_CARD_BYTES else None
            if set(fields) != _KEYS or fields["format"] != FORMAT:
                raise ValueError  # noqa: TRY301  (one message for all ways in which it is no card)
            return cls(
                party_id=fields[_PARTY],
                statement_key=PublicKey.from_bytes(bytes.fromhex(fields[_STATEMENT_KEY])),
                witness_key=PublicKey.from_bytes(bytes.fromhex(fields[_WITNESS_KEY])),
                request_pem=fields[_REQUEST].encode("ascii"),
            )
        except (ValueError, TypeError, AttributeError, RecursionError, EncodingError) as error:
            msg = f'expected a card as `vetonet party card` writes it: JSON with format "{FORMAT}"'
            raise ConfigError(msg) from error
