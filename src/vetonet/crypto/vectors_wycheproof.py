"""Judges our signature verification by the vectors of Project Wycheproof (schemas ``*_verify_schema_v1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from vetonet.crypto.keys import Algorithm, PublicKey, verify_ecdsa_der, verify_ecdsa_raw
from vetonet.crypto.mldsa import verify_mldsa44
from vetonet.errors import ConfigError, EncodingError, VerificationError, VetonetError

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VerificationError`` where our verdict is not the vector's."""

Verify: TypeAlias = Callable[[PublicKey, bytes, bytes], None]
Fields: TypeAlias = Mapping[str, object]
ReadTest: TypeAlias = Callable[[Fields, Fields], Callable[[], None]]
"""Turns a group and one of its tests into a call that verifies, and raises where the signature is refused."""

_RESULTS: Final = ("valid", "invalid", "acceptable")


def iter_ed25519_cases(document: object) -> Iterator[Case]:
    """Return one case for each test of a Wycheproof Ed25519 file.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    groups = _select_groups(document, {"type": "EddsaVerify"}, curve="edwards25519")
    return _iter_cases(groups, partial(_read_test, Algorithm.EDDSA, PublicKey.verify))


def iter_ecdsa_p256_cases(document: object) -> Iterator[Case]:
    """Return one case for each test of a Wycheproof file for ECDSA on P-256 with SHA-256 and DER signatures.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    groups = _select_groups(document, {"type": "EcdsaVerify", "sha": "SHA-256"}, curve="secp256r1")
    return _iter_cases(groups, partial(_read_test, Algorithm.ES256, verify_ecdsa_der))


def iter_ecdsa_p384_cases(document: object) -> Iterator[Case]:
    """Return one case for each test of a Wycheproof file for ECDSA on P-384 with SHA-384.

    Signatures are in DER, or r || s (IEEE P1363), which is what SPDM has.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    try:
        wanted = {"type": "EcdsaP1363Verify", "sha": "SHA-384"}
        groups, verify = _select_groups(document, wanted, curve="secp384r1"), verify_ecdsa_raw
    except ConfigError:
        wanted = {"type": "EcdsaVerify", "sha": "SHA-384"}
        groups, verify = _select_groups(document, wanted, curve="secp384r1"), verify_ecdsa_der
    return _iter_cases(groups, partial(_read_test, Algorithm.ES384, verify))


def iter_mldsa44_cases(document: object) -> Iterator[Case]:
    """Return one case for each test of a Wycheproof file for ML-DSA-44 verification, contexts included.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    groups = _select_groups(document, {"type": "MlDsaVerify"})
    if not isinstance(document, Mapping) or document.get("algorithm") != "ML-DSA-44":
        msg = "not recognised: a Wycheproof file of another parameter set than ML-DSA-44"
        raise ConfigError(msg)
    return _iter_cases(groups, _read_mldsa44_test)


def _select_groups(
    document: object, wanted: Mapping[str, str], *, curve: str | None = None
) -> tuple[Fields, ...]:
    """Return the groups of a file, all of one kind; a group of another kind is not passed over in silence."""
    groups = document.get("testGroups") if isinstance(document, Mapping) else None
    if not isinstance(groups, list) or not groups or not all(isinstance(group, Mapping) for group in groups):
        msg = "not recognised: no Wycheproof file, it has no testGroups"
        raise ConfigError(msg)
    for group in groups:
        key = group.get("publicKey")
        is_on_curve = curve is None or (isinstance(key, Mapping) and key.get("curve") == curve)
        if {name: group.get(name) for name in wanted} != dict(wanted) or not is_on_curve:
            where = f" on {curve}" if curve else ""
            msg = f"not recognised: a test group that is not {wanted['type']}{where}"
            raise ConfigError(msg)
    return tuple(groups)


def _iter_cases(groups: Sequence[Fields], read_test: ReadTest) -> Iterator[Case]:
    """Return the cases of all groups, every test read before the first is handed out."""
    return iter([case for group in groups for case in _read_group(group, read_test)])


def _read_group(group: Fields, read_test: ReadTest) -> Iterator[Case]:
    tests = group.get("tests")
    if not isinstance(tests, list) or not all(isinstance(test, Mapping) for test in tests):
        msg = "a Wycheproof group without tests"
        raise EncodingError(msg)
    for test in tests:
        result = test.get("result")
        if result not in _RESULTS:
            msg = f"a Wycheproof test with the result {str(result)[:40]!r}"
            raise EncodingError(msg)
        yield _name(test), partial(_judge, read_test(group, test), str(result))


def _read_test(algorithm: Algorithm, verify: Verify, group: Fields, test: Fields) -> Callable[[], None]:
    spki = _read_bytes(group, "publicKeyDer")
    message, signature = _read_bytes(test, "msg"), _read_bytes(test, "sig")
    return partial(_verify_under, spki, algorithm, verify, message, signature)


def _read_mldsa44_test(group: Fields, test: Fields) -> Callable[[], None]:
    key, message, signature = (
        _read_bytes(fields, name) for fields, name in ((group, "publicKey"), (test, "msg"), (test, "sig"))
    )
    context = _read_bytes(test, "ctx") if "ctx" in test else b""
    return partial(verify_mldsa44, key, message, signature, context=context)


def _verify_under(
    spki: bytes, algorithm: Algorithm, verify: Verify, message: bytes, signature: bytes
) -> None:
    """Verify as a user would: the key is parsed first, and may already be refused."""
    key = PublicKey.from_bytes(spki)
    if key.algorithm is not algorithm:
        msg = f"a key for {key.algorithm.name} among vectors for {algorithm.name}"
        raise EncodingError(msg)
    verify(key, message, signature)


def _judge(attempt: Callable[[], None], result: str) -> None:
    try:
        attempt()
    except VetonetError as refusal:
        if result == "valid":
            msg = f"a valid signature was refused: {refusal}"
            raise VerificationError(msg) from refusal
        return
    if result == "invalid":
        msg = "an invalid signature was accepted"
        raise VerificationError(msg)


def _name(test: Mapping[str, object]) -> str:
    comment = test.get("comment")
    return f"tcId {test.get('tcId')}" + (f": {comment}" if comment else "")


def _read_bytes(fields: Mapping[str, object], name: str) -> bytes:
    value = fields.get(name)
    try:
        return bytes.fromhex(value) if isinstance(value, str) else _refuse(name)
    except ValueError as error:
        msg = f"{name} of a Wycheproof vector is not hexadecimal"
        raise EncodingError(msg) from error


def _refuse(name: str) -> bytes:
    msg = f"a Wycheproof vector without {name}"
    raise EncodingError(msg)
