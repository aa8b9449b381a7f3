"""Judges our reading of entity attestation tokens by the examples of RFC 9711 and the PSA tokens of Veraison.

An example is a claims set in CBOR beside the diagnostic notation that it was made from. A PSA case is a set
of claims, of which a token is made with the suite's own key where there is none, and the result that another
verifier comes to; where that publishes none the token must be refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from vetonet.attestation.ear import AttestationResult, Tier
from vetonet.attestation.eat import NONCE, PROFILE, UEID, read_claims_set
from vetonet.attestation.psa import (
    BOOT_SEED,
    CLIENT_ID,
    COMPONENTS,
    IMPLEMENTATION_ID,
    LIFECYCLE,
    VERIFIER_URI,
    appraise_psa,
    read_psa_claims,
)
from vetonet.attestation.psa_endorsements import decode_base64, read_psa_endorsements
from vetonet.crypto import cose
from vetonet.crypto.keys import EcdsaSigningKey
from vetonet.encoding import cbor
from vetonet.encoding.diagnostic import read_diagnostic
from vetonet.encoding.json_strict import read_json
from vetonet.errors import ConfigError, EncodingError, VerificationError

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VetonetError`` where our result is not the expected one."""

SCHEME: Final = "PSA_IOT"
MAX_JSON_BYTES: Final = 2**20
DATA: Final = "integration-tests/data"
EXPECTED_AS: Final[Mapping[str, str]] = {"psa.multinonce.json": "psa.noident.json"}
"""The result of claims that is published under another name, as the suite pairs them."""

_LABELS: Final[Mapping[str, int]] = {
    "eat-profile": PROFILE,
    "psa-client-id": CLIENT_ID,
    "psa-security-lifecycle": LIFECYCLE,
    "psa-implementation-id": IMPLEMENTATION_ID,
    "psa-boot-seed": BOOT_SEED,
    "psa-software-components": COMPONENTS,
    "psa-instance-id": UEID,
    "psa-verification-service-indicator": VERIFIER_URI,
    "psa-nonce": NONCE,
}
_PARTS: Final[Mapping[str, int]] = {
    "measurement-type": 1,
    "measurement-value": 2,
    "version": 4,
    "signer-id": 5,
    "measurement-description": 6,
}
_PLAIN: Final = frozenset({PROFILE, CLIENT_ID, LIFECYCLE, VERIFIER_URI})
_HASHED: Final = frozenset({2, 5})
_SESSION: Final = re.compile(r"session nonce \(([0-9a-f]{64})\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of a suite, and what stands around it.

    Attributes:
        name: of the file.
        folder: of the folder that it lies in.
        data: its content.
        find: the content of another file, named from any folder above this one; None where there is none.
    """

    name: str
    folder: str
    data: bytes = field(repr=False)
    find: Callable[[str], bytes | None] = field(repr=False)

    @property
    def stem(self) -> str:
        """The name without what follows its last dot."""
        return self.name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        """What follows the last dot of the name."""
        return self.name.rpartition(".")[2]

    def read(self, name: str) -> bytes:
        """Return the content of another file.

        Raises:
            ConfigError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise ConfigError(f"not recognised: {name} is not beside it")
        return found

    def read_json(self, name: str) -> Any:
        """Return another file's JSON document.

        Raises:
            ConfigError: there is none.
            EncodingError: it is not JSON.
        """
        return _parse_json(self.read(name))


def iter_eat_cases(document: object) -> Iterator[Case]:
    """Return the cases of one file.

    Raises:
        ConfigError: nothing that this suite judges.
        EncodingError: such a file, but malformed.
    """
    if not isinstance(document, PublishedFile):
        raise ConfigError("not recognised: no file of a suite")
    match document.suffix, document.folder:
        case "cbor", _ if document.find(f"{document.stem}.diag") is not None:
            return _iter_example(document)
        case "json", "claims" if document.name.startswith("psa."):
            return _iter_claims(document)
        case "json", "results" if document.name in {"psa.badcrypto.json", "psa.freshness-fail.json"}:
            return _iter_result(document)
        case "cose" | "cbor", _ if document.data.startswith(cose.TAG_SIGN1):
            return _iter_token(document)
        case _:
            raise ConfigError("not recognised: no claims set with its notation, no PSA token or claims")


def _iter_example(document: PublishedFile) -> Iterator[Case]:
    text = document.read(f"{document.stem}.diag").decode("utf-8", "replace")

    def judge() -> None:
        expected, read = read_diagnostic(text), read_claims_set(document.data).to_item()
        if read != expected:
            raise VerificationError(f"read {read!r}"[:200])

    yield "reads as its notation says", judge


def _iter_claims(document: PublishedFile) -> Iterator[Case]:
    """The claims in a token of the suite's own, signed by its good key."""
    claims = _parse_json(document.data)
    token = sign_token(build_claims(claims), read_jwk(document.read(f"{DATA}/keys/ec.p256.jwk")))
    nonce = _list_nonces(claims)[-1]
    name = EXPECTED_AS.get(document.name, document.name)
    expected = document.find(f"{DATA}/results/{name}")
    yield "the token made of it", lambda: _judge(document, token, nonce, expected)


def _iter_result(document: PublishedFile) -> Iterator[Case]:
    """The good claims, signed by another key or asked for with another nonce."""
    is_forged = document.name == "psa.badcrypto.json"
    claims = document.read_json(f"{DATA}/claims/psa.good.json")
    key = read_jwk(document.read(f"{DATA}/keys/{'ec.p256.alt' if is_forged else 'ec.p256'}.jwk"))
    stated = _SESSION.search(document.data.decode("utf-8", "replace"))
    nonce = bytes.fromhex(stated[1]) if stated else _list_nonces(claims)[-1]
    token = sign_token(build_claims(claims), key)
    yield "the token that it is about", lambda: _judge(document, token, nonce, document.data)


def _iter_token(document: PublishedFile) -> Iterator[Case]:
    """A token as published: what it says, and what it is worth."""
    written = document.find(f"{document.stem}.json")
    payload = cose.parse_sign1(document.data).payload
    claims = read_psa_claims(payload)
    if written is not None:
        stated = build_claims(_parse_json(written))
        yield "says what its claims file says", lambda: _compare_claims(payload, stated)
    expected = document.find(f"{DATA}/results/{document.stem}.json")
    yield "appraised", lambda: _judge(document, document.data, claims.nonce, expected)
    if expected is not None:
        stale = bytes(len(claims.nonce))
        yield "appraised with another nonce", lambda: _judge(document, document.data, stale, None)


def _judge(document: PublishedFile, token: bytes, nonce: bytes, expected: bytes | None) -> None:
    """Hold that a token comes to the published result, or that without one it is refused."""
    endorsements = read_psa_endorsements(
        document.read_json(f"{DATA}/endorsements/comid-psa-ta.json"),
        document.read_json(f"{DATA}/endorsements/comid-psa-refval.json"),
    )
    result = appraise_psa(token, endorsements, nonce)
    if expected is None:
        if result.status is not Tier.CONTRAINDICATED:
            raise VerificationError(f"expected a refusal, got {result.status}")
        return
    ear = _parse_json(expected).get(SCHEME, {})
    wanted = (ear.get("ear.status"), ear.get("ear.trustworthiness-vector"))
    got = _to_published(result)
    if got != wanted:
        raise VerificationError(f"expected {wanted}, got {got}")


def _to_published(result: AttestationResult) -> tuple[str, dict[str, int]]:
    return result.status.value, {claim.value: value for claim, value in result.trust_vector.items()}


def _compare_claims(payload: bytes, stated: Mapping[int, cbor.Item]) -> None:
    read, written = read_psa_claims(payload), read_psa_claims(cbor.to_bytes(dict(stated)))
    if read != written:
        raise VerificationError(f"read {read}, its claims file says {written}"[:300])


def build_claims(document: Mapping[str, Any]) -> dict[int, cbor.Item]:
    """Return the claims that a suite writes in JSON: names for labels, base64 for bytes.

    Raises:
        EncodingError: an unknown name or value.
    """
    lifecycle = document.get("psa-security-lifecycle")
    if "psa-profile" in document and type(lifecycle) is int:
        # Of the first profile, whose lifecycle the suite writes as an ordinal.
        renamed = {name.replace("psa-profile", "eat-profile"): value for name, value in document.items()}
        return build_claims(renamed | {"psa-security-lifecycle": lifecycle << 12})
    if not document.keys() <= _LABELS.keys():
        raise EncodingError("claims with a name that this suite does not know")
    return {_LABELS[name]: _build_claim(_LABELS[name], value) for name, value in document.items()}


def _build_claim(label: int, value: Any) -> cbor.Item:
    if label in _PLAIN:
        return value
    if label == COMPONENTS:
        return [_build_component(entry) for entry in value] if isinstance(value, list) else value
    return [decode_base64(part) for part in value] if isinstance(value, list) else decode_base64(value)


def _build_component(entry: Any) -> dict[int, cbor.Item]:
    if not isinstance(entry, dict) or not entry.keys() <= _PARTS.keys():
        raise EncodingError("a component with a name that this suite does not know")
    parts = {_PARTS[name]: part for name, part in entry.items()}
    return {label: decode_base64(part) if label in _HASHED else part for label, part in parts.items()}


def _list_nonces(claims: Mapping[str, Any]) -> list[bytes]:
    stated = claims.get("psa-nonce", "")
    return [decode_base64(part) for part in (stated if isinstance(stated, list) else [stated])]


def sign_token(claims: Mapping[int, cbor.Item], key: EcdsaSigningKey) -> bytes:
    """Return the token of these claims by this key, as attesters of the suite make them."""
    header = {cose.LABEL_ALG: int(key.public_key.algorithm)}
    return cose.sign1(cbor.to_bytes(dict(claims)), header, key)


def read_jwk(data: bytes) -> EcdsaSigningKey:
    """Return the P-256 signing key in a JSON Web Key.

    Raises:
        EncodingError: it holds none.
    """
    number = int.from_bytes(decode_base64(_parse_json(data).get("d")), "big")
    try:
        return EcdsaSigningKey(private_key=ec.derive_private_key(number, ec.SECP256R1()))
    except ValueError as error:
        raise EncodingError("not a P-256 key") from error


def _parse_json(data: bytes) -> dict[str, Any]:
    parsed = read_json(data, MAX_JSON_BYTES)
    if not isinstance(parsed, dict):
        raise EncodingError("expected a JSON object")
    return parsed
