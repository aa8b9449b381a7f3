"""Endorsements of PSA devices as CoMID templates in JSON: keys of instances, reference values of software.

This is the readable form in which makers and test suites keep a CoMID (draft-ietf-rats-corim) before it is
made CBOR. It is unsigned: whoever gives the file to the verifier answers for it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives import serialization

from vetonet.attestation.psa import HASH_SIZES, PsaComponent, PsaEndorsements
from vetonet.crypto.keys import PublicKey
from vetonet.errors import EncodingError, VetonetError

KEYS: Final = "attester-verification-keys"
REFERENCES: Final = "reference-values"
MAX_TRIPLES: Final = 10_000

_PAIR: Final = 2
_HASHES: Final = frozenset({"1", "7", "8", "sha-256", "sha-384", "sha-512"})
"""Of the IANA registry of named information hashes."""


def read_psa_endorsements(*documents: object, known: PsaEndorsements | None = None) -> PsaEndorsements:
    """Return what these parsed JSON documents endorse, together.

    Args:
        documents: in any order.
        known: what was endorsed before, and stays so.

    Raises:
        EncodingError: one is no CoMID template, or holds a triple that is not one of a PSA device; or they
            endorse two keys for one device, of which no order says which counts.
    """
    before = PsaEndorsements() if known is None else known
    keys, references = dict(before.keys), {name: list(found) for name, found in before.references.items()}
    for document in documents:
        triples = _get_mapping(_get_mapping(document, None), "triples")
        if not triples.keys() & {KEYS, REFERENCES}:
            raise EncodingError(f"expected a CoMID with {KEYS} or {REFERENCES}")
        for triple in _list(triples, KEYS):
            environment, key = _get_mapping(triple, "environment"), _read_key(triple)
            instance = _read_class(environment), _read_instance(environment)
            if keys.setdefault(instance, key) != key:
                raise EncodingError(f"two keys of instance {instance[1].hex()[:16]}: expected one")
        for triple in _list(triples, REFERENCES):
            components = references.setdefault(_read_class(_get_mapping(triple, "environment")), [])
            components += [
                _read_component(_get_mapping(entry, "value")) for entry in _list(triple, "measurements")
            ]
    return PsaEndorsements(keys=keys, references=references)


def decode_base64(text: object) -> bytes:
    """Return the bytes that text spells in base64, of either alphabet, padded or not.

    Raises:
        EncodingError: it is none.
    """
    if not isinstance(text, str):
        raise EncodingError(f"expected base64, got {type(text).__name__}")
    plain = text.rstrip("=")
    try:
        return b64decode(plain.translate({45: 43, 95: 47}) + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EncodingError("expected base64") from error


def _read_class(environment: Mapping[str, object]) -> bytes:
    return decode_base64(_get_mapping(_get_mapping(environment, "class"), "id").get("value"))


def _read_instance(environment: Mapping[str, object]) -> bytes:
    return decode_base64(_get_mapping(environment, "instance").get("value"))


def _read_key(triple: object) -> PublicKey:
    entries = _list(triple, "verification-keys")
    text = _get_mapping(entries[0], None).get("value") if len(entries) == 1 else None
    if not isinstance(text, str):
        raise EncodingError("expected one verification key of an instance")
    try:
        key = serialization.load_pem_public_key(text.encode())
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return PublicKey.from_bytes(spki)
    except VetonetError:
        raise
    except Exception as error:  # the library has many ways to refuse a key
        raise EncodingError(f"not a public key in PEM: {str(error)[:80]}") from error


def _read_component(value: Mapping[str, object]) -> PsaComponent:
    digests = _list(value, "digests")
    pair = digests[0] if len(digests) == 1 else None
    if not isinstance(pair, list) or len(pair) != _PAIR or str(pair[0]) not in _HASHES:
        raise EncodingError("expected one digest of a component, with its algorithm")
    measurement, signers = decode_base64(pair[1]), list(_iter_signers(value))
    if len(measurement) not in HASH_SIZES:
        raise EncodingError(f"a digest of {len(measurement)} bytes")
    version = value.get("version")
    stated = version.get("value") if isinstance(version, Mapping) else None
    return PsaComponent(
        kind=None,
        measurement=measurement,
        version=stated if isinstance(stated, str) else None,
        signer_id=signers[0] if signers else b"",
    )


def _iter_signers(value: Mapping[str, object]) -> Iterator[bytes]:
    for entry in _list(value, "cryptokeys"):
        yield decode_base64(_get_mapping(entry, None).get("value"))


def _get_mapping(parent: object, name: str | None) -> Mapping[str, object]:
    value = parent if name is None or not isinstance(parent, Mapping) else parent.get(name)
    if not isinstance(value, Mapping):
        raise EncodingError(f"expected an object as {name or 'CoMID'}, got {type(value).__name__}")
    return value


def _list(parent: object, name: str) -> Sequence[object]:
    value = _get_mapping(parent, None).get(name, [])
    if not isinstance(value, list) or len(value) > MAX_TRIPLES:
        raise EncodingError(f"expected a list as {name}")
    return value
