"""PSA tokens of a device of our own, and what its maker says of it."""

from __future__ import annotations

import base64
import json
from typing import Any

from vetonet.attestation.eat import NONCE, PROFILE, UEID
from vetonet.attestation.psa import (
    BOOT_SEED,
    CLIENT_ID,
    COMPONENTS,
    IMPLEMENTATION_ID,
    LIFECYCLE,
    PSA_PROFILE,
    PsaComponent,
    PsaEndorsements,
)
from vetonet.attestation.vectors_eat import sign_token
from vetonet.crypto.keys import EcdsaSigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor

KEY = generate_ecdsa(SeededRng(b"psa device"))
OTHER_KEY = generate_ecdsa(SeededRng(b"another psa device"))
IMPLEMENTATION = b"implementation of our own, no. 1"
INSTANCE = KEY.public_key.ueid
ASKED = bytes.fromhex("a5") * 32
LOADER = bytes.fromhex("1d") * 32
SIGNER = bytes.fromhex("51") * 32
SECURED = 0x3000

CLAIMS: dict[Any, cbor.Item] = {
    PROFILE: PSA_PROFILE,
    CLIENT_ID: -1,
    LIFECYCLE: SECURED,
    IMPLEMENTATION_ID: IMPLEMENTATION,
    BOOT_SEED: bytes(32),
    COMPONENTS: [{1: "BL", 2: LOADER, 4: "2.1.0", 5: SIGNER}],
    NONCE: ASKED,
    UEID: INSTANCE,
}
ENDORSED = PsaEndorsements(
    keys={(IMPLEMENTATION, INSTANCE): KEY.public_key},
    references={
        IMPLEMENTATION: (PsaComponent(kind="BL", measurement=LOADER, version="2.1.0", signer_id=SIGNER),)
    },
)


def make_token(changes: dict[Any, cbor.Item] | None = None, key: EcdsaSigningKey = KEY) -> bytes:
    """A token of these claims with some changed; None leaves one out."""
    claims = {**CLAIMS, **(changes or {})}
    return sign_token({label: value for label, value in claims.items() if value is not None}, key)


def make_template(key: EcdsaSigningKey = KEY) -> bytes:
    """A CoMID in JSON, by which ``key`` is that of our device."""
    der = base64.encodebytes(key.public_key.to_bytes()).decode()
    triple = {
        "environment": {
            "class": {"id": {"type": "bytes", "value": base64.b64encode(IMPLEMENTATION).decode()}},
            "instance": {"type": "ueid", "value": base64.b64encode(INSTANCE).decode()},
        },
        "verification-keys": [{"value": f"-----BEGIN PUBLIC KEY-----\n{der}-----END PUBLIC KEY-----\n"}],
    }
    return json.dumps({"triples": {"attester-verification-keys": [triple]}}).encode()
