"""Judges this implementation by test vectors in the format of RFC 9591's own (appendix E), value by value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from vetonet.crypto.frost.aggregation import aggregate, verify_share
from vetonet.crypto.frost.group import (
    Scalar,
    h1,
    multiply_base,
    nonzero_scalar_from_bytes,
    scalar_from_bytes,
    scalar_to_bytes,
)
from vetonet.crypto.frost.keys import (
    GroupPublicKey,
    Identifier,
    KeyShare,
    PublicKeyPackage,
)
from vetonet.crypto.frost.nonces import (
    SigningCommitments,
    SigningNonces,
    commit,
    compute_nonce,
)
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.frost.signing import (
    SignatureShare,
    SigningPackage,
    compute_binding_factor_inputs,
    compute_transcript,
    sign,
)
from vetonet.errors import ConfigError, EncodingError, VerificationError, VetonetError

CIPHERSUITE: Final = "FROST(Ed25519, SHA-512)"

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A case's name, and what raises ``VerificationError`` when the value differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    """One participant's expected values of round one and two."""

    identifier: Identifier
    round1: Mapping[str, object]
    round2: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vectors:
    """A document, parsed."""

    min_signers: int
    max_signers: int
    coefficients: tuple[Scalar, ...]
    group_public_key: GroupPublicKey
    message: bytes
    shares: Mapping[Identifier, bytes]
    signers: tuple[_Signer, ...]
    signature: bytes

    def derive_key_share(self, identifier: Identifier) -> KeyShare:
        """Return a participant's key share, evaluated from the polynomial."""
        return KeyShare.from_signing_share(
            identifier=identifier,
            signing_share=evaluate(self.coefficients, identifier),
            group_public_key=self.group_public_key,
            min_signers=self.min_signers,
            max_signers=self.max_signers,
        )

    def derive_public_key_package(self) -> PublicKeyPackage:
        """Return the group's public values, derived from the polynomial."""
        return PublicKeyPackage(
            vss_commitment=tuple(map(multiply_base, self.coefficients)),
            identifiers=tuple(map(Identifier, range(1, self.max_signers + 1))),
        )

    def derive_signing_package(self) -> SigningPackage:
        """Return the signing package made of the expected commitments."""
        commitments = tuple(
            SigningCommitments.from_bytes(
                signer.identifier.to_bytes(2, "big")
                + _get_bytes(signer.round1, "hiding_nonce_commitment")
                + _get_bytes(signer.round1, "binding_nonce_commitment")
            )
            for signer in self.signers
        )
        return SigningPackage(message=self.message, commitments=commitments)


def iter_vector_cases(document: Mapping[str, object]) -> Iterator[Case]:
    """Return one case for each value of a test vector, every intermediate value included.

    Args:
        document: the vector's JSON, decoded.

    Returns:
        Pairs of a name and a function that raises VerificationError when our value differs.

    Raises:
        ConfigError: the vector is for another ciphersuite.
        EncodingError: it is not a vector.
    """
    config = document.get("config")
    if not isinstance(config, Mapping) or config.get("name") != CIPHERSUITE:
        raise ConfigError(f"not a test vector of {CIPHERSUITE}")
    return ((name, partial(_judge, thunk)) for name, thunk in _iter_cases(_parse(document)))


def _judge(thunk: Callable[[], None]) -> None:
    """Run one case; a value that our code refuses to work with is a failure like a wrong one."""
    try:
        thunk()
    except VerificationError:
        raise
    except (VetonetError, ValueError) as error:
        raise VerificationError(f"refused: {error}") from error


def _iter_cases(vectors: _Vectors) -> Iterator[Case]:
    """Yield the cases in the order of the protocol."""
    yield "group public key", partial(_compare_group_public_key, vectors)
    for identifier, expected in vectors.shares.items():
        yield (
            f"participant {identifier} share",
            partial(_compare_key_share, vectors, identifier, expected),
        )
    for signer in vectors.signers:
        for name, compute in _ROUND_ONE.items():
            field = name.replace(" ", "_")
            expected = _get_bytes(signer.round1, field)
            yield (
                f"participant {signer.identifier} {name}",
                partial(_compare_computed, compute, vectors, signer, expected),
            )
        yield (
            f"participant {signer.identifier} signature share",
            partial(
                _compare_computed,
                _sign,
                vectors,
                signer,
                _get_bytes(signer.round2, "sig_share"),
            ),
        )
        yield (
            f"participant {signer.identifier} share verifies",
            partial(_verify_share, vectors, signer),
        )
    yield "group commitment", partial(_compare_group_commitment, vectors)
    yield "signature", partial(_compare_signature, vectors)
    yield "signature verifies as Ed25519", partial(_verify_signature, vectors)


def _compute_nonce(which: str, vectors: _Vectors, signer: _Signer) -> bytes:
    signing_share = vectors.derive_key_share(signer.identifier).signing_share
    randomness = _get_bytes(signer.round1, f"{which}_nonce_randomness")
    return scalar_to_bytes(compute_nonce(signing_share, randomness))


def _commit(vectors: _Vectors, signer: _Signer) -> SigningNonces:
    stream = b"".join(
        _get_bytes(signer.round1, f"{which}_nonce_randomness") for which in ("hiding", "binding")
    )
    chunks = iter((stream[:32], stream[32:]))
    nonces, _ = commit(vectors.derive_key_share(signer.identifier), lambda _size: next(chunks))
    return nonces


def _compute_hiding_commitment(vectors: _Vectors, signer: _Signer) -> bytes:
    return _commit(vectors, signer).commitments.hiding.to_bytes()


def _compute_binding_commitment(vectors: _Vectors, signer: _Signer) -> bytes:
    return _commit(vectors, signer).commitments.binding.to_bytes()


def _compute_factor_input(vectors: _Vectors, signer: _Signer) -> bytes:
    package = vectors.derive_signing_package()
    inputs = compute_binding_factor_inputs(package, vectors.group_public_key)
    return inputs[package.identifiers.index(signer.identifier)]


def _compute_factor(vectors: _Vectors, signer: _Signer) -> bytes:
    return scalar_to_bytes(h1(_compute_factor_input(vectors, signer)))


def _sign(vectors: _Vectors, signer: _Signer) -> bytes:
    key_share = vectors.derive_key_share(signer.identifier)
    share = sign(vectors.derive_signing_package(), _commit(vectors, signer), key_share)
    return scalar_to_bytes(share.share)


_ROUND_ONE: Final[Mapping[str, Callable[[_Vectors, _Signer], bytes]]] = {
    "hiding nonce": partial(_compute_nonce, "hiding"),
    "binding nonce": partial(_compute_nonce, "binding"),
    "hiding nonce commitment": _compute_hiding_commitment,
    "binding nonce commitment": _compute_binding_commitment,
    "binding factor input": _compute_factor_input,
    "binding factor": _compute_factor,
}


def _compare_group_public_key(vectors: _Vectors) -> None:
    actual = vectors.derive_public_key_package().group_public_key.to_bytes()
    _require_equal(vectors.group_public_key.to_bytes(), actual)


def _compare_key_share(vectors: _Vectors, identifier: Identifier, expected: bytes) -> None:
    _require_equal(expected, scalar_to_bytes(vectors.derive_key_share(identifier).signing_share))


def _compare_computed(
    compute: Callable[[_Vectors, _Signer], bytes],
    vectors: _Vectors,
    signer: _Signer,
    expected: bytes,
) -> None:
    _require_equal(expected, compute(vectors, signer))


def _compare_group_commitment(vectors: _Vectors) -> None:
    transcript = compute_transcript(vectors.derive_signing_package(), vectors.group_public_key)
    _require_equal(vectors.signature[:32], transcript.group_commitment.to_bytes())


def _compare_signature(vectors: _Vectors) -> None:
    shares = [_expected_share(signer) for signer in vectors.signers]
    actual = aggregate(vectors.derive_signing_package(), shares, vectors.derive_public_key_package())
    _require_equal(vectors.signature, actual)


def _verify_share(vectors: _Vectors, signer: _Signer) -> None:
    package = vectors.derive_signing_package()
    verify_share(package, _expected_share(signer), vectors.derive_public_key_package())


def _verify_signature(vectors: _Vectors) -> None:
    vectors.group_public_key.verify_signature(vectors.message, vectors.signature)


def _expected_share(signer: _Signer) -> SignatureShare:
    share = scalar_from_bytes(_get_bytes(signer.round2, "sig_share"))
    return SignatureShare(identifier=signer.identifier, share=share)


def _require_equal(expected: bytes, actual: bytes) -> None:
    if expected != actual:
        raise VerificationError(f"expected {expected.hex()}, got {actual.hex()}")


def _parse(document: Mapping[str, object]) -> _Vectors:
    """Return the document's values, typed."""
    config, inputs = _get_mapping(document, "config"), _get_mapping(document, "inputs")
    coefficients = (
        inputs.get("group_secret_key"),
        *_get_list(inputs, "share_polynomial_coefficients"),
    )
    shares = _index_by_identifier(_get_list(inputs, "participant_shares"))
    try:
        return _Vectors(
            min_signers=int(str(config.get("MIN_PARTICIPANTS"))),
            max_signers=int(str(config.get("MAX_PARTICIPANTS"))),
            coefficients=tuple(nonzero_scalar_from_bytes(_to_bytes(item)) for item in coefficients),
            group_public_key=GroupPublicKey.from_bytes(_get_bytes(inputs, "verifying_key_key")),
            message=_get_bytes(inputs, "message"),
            shares={who: _get_bytes(entry, "participant_share") for who, entry in shares.items()},
            signers=_parse_signers(document),
            signature=_get_bytes(_get_mapping(document, "final_output"), "sig"),
        )
    except ValueError as error:
        raise EncodingError("the vector's participant counts are not integers") from error


def _parse_signers(document: Mapping[str, object]) -> tuple[_Signer, ...]:
    rounds = [
        _index_by_identifier(_get_list(_get_mapping(document, name), "outputs"))
        for name in ("round_one_outputs", "round_two_outputs")
    ]
    listed = _get_list(_get_mapping(document, "inputs"), "participant_list")
    if sorted(rounds[0]) != listed or sorted(rounds[1]) != listed:
        raise EncodingError("the vector's rounds are not of the participants it lists")
    return tuple(_Signer(identifier=who, round1=rounds[0][who], round2=rounds[1][who]) for who in rounds[0])


def _index_by_identifier(
    entries: Sequence[object],
) -> dict[Identifier, Mapping[str, object]]:
    """Return the entries by their identifier."""
    indexed: dict[Identifier, Mapping[str, object]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("identifier"), int):
            raise EncodingError("an entry of the vector has no identifier")
        try:
            indexed[Identifier(entry["identifier"])] = entry
        except ValueError as error:
            raise EncodingError(str(error)) from error
    return indexed


def _get_mapping(parent: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = parent.get(name)
    if not isinstance(value, Mapping):
        raise EncodingError(f"the vector has no object {name!r}")
    return value


def _get_list(parent: Mapping[str, object], name: str) -> Sequence[object]:
    value = parent.get(name)
    if not isinstance(value, list):
        raise EncodingError(f"the vector has no list {name!r}")
    return value


def _get_bytes(parent: Mapping[str, object], name: str) -> bytes:
    if name not in parent:
        raise EncodingError(f"the vector has no value {name!r}")
    return _to_bytes(parent[name])


def _to_bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise EncodingError("a value of the vector is not a string")
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise EncodingError("a value of the vector is not hexadecimal") from error
