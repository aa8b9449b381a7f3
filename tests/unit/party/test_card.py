"""Cards: the one thing that a party hands out before there is a treaty."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError
from vetonet.party.card import MAX_CARD_BYTES, Card
from vetonet.wire.pki import generate_request

RNG = SeededRng(b"card")
STATEMENT, WITNESS = generate_ed25519(RNG).public_key, generate_ed25519(RNG).public_key
CARD = Card(
    party_id="P1", statement_key=STATEMENT, witness_key=WITNESS, request_pem=generate_request("P1")[1]
)


def test_a_card_reads_back_as_it_was_written() -> None:
    assert Card.from_text(CARD.to_text()) == CARD


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"format": "vetonet party card 2"}, id="another format"),
        pytest.param({"party": "../P1"}, id="a name that leaves its folder"),
        pytest.param({"party": 1}, id="a number for a name"),
        pytest.param({"statement_key": "00"}, id="no key"),
        pytest.param({"statement_key": 7}, id="a number for a key"),
        pytest.param({"witness_key": STATEMENT.to_bytes().hex()}, id="one key for two purposes"),
        pytest.param({"certificate_request": None}, id="no request"),
        pytest.param({"certificate_request": "\u20ac"}, id="a request that is not ASCII"),
        pytest.param({"tls_key": "secret"}, id="more than a card has"),
    ],
)
def test_what_is_no_card_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps(json.loads(CARD.to_text()) | changes)
    with pytest.raises(ConfigError, match="expected a card"):
        Card.from_text(text)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "7", " " * (MAX_CARD_BYTES + 1), "[" * 10_000])
def test_a_text_that_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a card"):
        Card.from_text(text)
