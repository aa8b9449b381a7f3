"""Judges our COSE_Sign1 by the examples of the COSE working group, at the level of RFC 9052.

RFC 9052 and RFC 9053 allow more than a vetonet statement does. Only here, so that every vector gets the
verdict it asks for: the tag may be absent where the vector says that it was removed (RFC 9052 section 2),
the algorithm may stand in the unprotected header, and ``s`` of an ECDSA signature may be high.
Statements stay narrower, see ``vetonet.crypto.statement``.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.crypto import cose
from vetonet.crypto.keys import Algorithm, PublicKey, verify_ecdsa_raw
from vetonet.errors import ConfigError, EncodingError, InvalidSignatureError, VerificationError, VetonetError

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VerificationError`` where our verdict is not the vector's."""

_ALGORITHMS: Final = {
    ("EC", "P-256"): Algorithm.ES256,
    ("EC", "P-384"): Algorithm.ES384,
    ("EC2", "P-256"): Algorithm.ES256,
    ("EC2", "P-384"): Algorithm.ES384,
    ("OKP", "Ed25519"): Algorithm.EDDSA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vector:
    """One example, parsed.

    Attributes:
        data: the COSE structure.
        key: whose signature it should be.
        external_aad: what is signed but not carried.
        to_be_signed: the expected Sig_structure, where the example states it.
        is_tagged: whether the structure begins with a tag.
        is_valid: whether it should verify.
    """

    data: bytes
    key: PublicKey
    external_aad: bytes
    to_be_signed: bytes | None
    is_tagged: bool
    is_valid: bool


def iter_sign1_cases(document: object) -> Iterator[Case]:
    """Return the one case of a COSE working group example.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: no example of a COSE_Sign1, or one by an algorithm that vetonet does not have.
        EncodingError: such an example, but malformed.
    """
    fields = document if isinstance(document, Mapping) else {}
    inputs = fields.get("input")
    if not isinstance(inputs, Mapping) or not isinstance(inputs.get("sign0"), Mapping):
        msg = "not recognised: no COSE_Sign1 example, it has no input.sign0"
        raise ConfigError(msg)
    vector, name = _parse(fields, inputs, inputs["sign0"]), str(fields.get("title", "untitled"))
    return iter([(name, lambda: _judge(vector))])


def _judge(vector: _Vector) -> None:
    try:
        _verify(vector)
    except VetonetError as refusal:
        if vector.is_valid:
            msg = f"a valid COSE_Sign1 was refused: {refusal}"
            raise VerificationError(msg) from refusal
        return
    if not vector.is_valid:
        msg = "an invalid COSE_Sign1 was accepted"
        raise VerificationError(msg)


def _verify(vector: _Vector) -> None:
    """Hold that the structure carries the key's signature over the Sig_structure the example expects."""
    parsed = cose.parse_sign1(vector.data, tagged=vector.is_tagged)
    twice = parsed.protected.keys() & parsed.unprotected.keys()
    algorithm = {**parsed.unprotected, **parsed.protected}.get(cose.LABEL_ALG)
    if twice or algorithm != vector.key.algorithm or cose.LABEL_CRIT in parsed.protected:
        msg = f"expected {vector.key.algorithm.name}, no label in both headers and nothing critical"
        raise InvalidSignatureError(msg)
    message = cose.compute_sign1_input(parsed.protected_bytes, parsed.payload, vector.external_aad)
    if vector.is_valid and vector.to_be_signed not in {None, message}:
        msg = f"the bytes to be signed differ: {message.hex()}"
        raise VerificationError(msg)
    if vector.key.algorithm is Algorithm.EDDSA:
        vector.key.verify(message, parsed.signature)
    else:
        verify_ecdsa_raw(vector.key, message, parsed.signature)


def _parse(
    fields: Mapping[str, object], inputs: Mapping[str, object], signer: Mapping[str, object]
) -> _Vector:
    intermediates = _get_mapping(fields, "intermediates", default={})
    failures = _get_mapping(inputs, "failures", default={})
    stated = intermediates.get("ToBeSign_hex")
    return _Vector(
        key=_parse_key(_get_mapping(signer, "key")),
        data=_from_hex(_get_mapping(fields, "output").get("cbor")),
        external_aad=_from_hex(signer.get("external", "")),
        to_be_signed=None if stated is None else _from_hex(stated),
        is_tagged="RemoveCBORTag" not in failures,
        is_valid=not fields.get("fail", False),
    )


def _parse_key(key: Mapping[str, object]) -> PublicKey:
    algorithm = _ALGORITHMS.get((str(key.get("kty")), str(key.get("crv"))))
    if algorithm is None:
        msg = f"not recognised: no algorithm of ours for a {key.get('kty')} key on {key.get('crv')}"
        raise ConfigError(msg)
    names = ("x",) if algorithm is Algorithm.EDDSA else ("x", "y")
    return PublicKey(algorithm=algorithm, point=b"".join(_parse_coordinate(key, name) for name in names))


def _parse_coordinate(key: Mapping[str, object], name: str) -> bytes:
    if f"{name}_hex" in key:
        return _from_hex(key[f"{name}_hex"])
    text = key.get(name)
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)) if isinstance(text, str) else _refuse(name)
    except (binascii.Error, ValueError) as error:
        msg = f"coordinate {name} of an example's key is not base64"
        raise EncodingError(msg) from error


def _get_mapping(
    parent: Mapping[str, object], name: str, *, default: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    value = parent.get(name, default)
    if not isinstance(value, Mapping):
        msg = f"a COSE_Sign1 example without {name}"
        raise EncodingError(msg)
    return value


def _from_hex(value: object) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else _refuse("a hexadecimal value")
    except ValueError as error:
        msg = "a value of a COSE_Sign1 example is not hexadecimal"
        raise EncodingError(msg) from error


def _refuse(name: str) -> bytes:
    msg = f"a COSE_Sign1 example without {name}"
    raise EncodingError(msg)
