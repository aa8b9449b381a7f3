"""Public and signing keys of the three algorithms that statements use, each with one spelling.

Ed25519 follows libsodium's rule: small-order and non-canonical keys are refused when they are parsed, so
they can never be enrolled (OpenSSL would accept signatures under them). ECDSA signatures are fixed-width
``r || s`` with the low ``s`` only: the twin of a signature is refused, yet a signature is still never an
identity or a replay key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final, Protocol

import nacl.bindings as sodium
import nacl.exceptions
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from vetonet.encoding.record import parsed
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.units import Rng

KEY_ID_BYTES: Final = 32
MAX_KEY_BYTES: Final = 128
UEID_RAND: Final = b"\x01"  # RFC 9711 section 4.2.1.1: type byte of a UEID that is random or a hash


class Algorithm(IntEnum):
    """COSE algorithm numbers (IANA COSE registry); the polymorphic ones, which cwt and pycose read too."""

    EDDSA = -8
    ES256 = -7
    ES384 = -35


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What is fixed for an algorithm: its SPKI prefix, and the curve where it is ECDSA."""

    spki_prefix: bytes
    point_bytes: int
    curve: ec.EllipticCurve | None = None
    hash: hashes.HashAlgorithm | None = None
    order: int = 0


# DER of SubjectPublicKeyInfo up to the key itself: RFC 8410 section 4; RFC 5480 section 2.
_FAMILIES: Final = {
    Algorithm.EDDSA: _Family(spki_prefix=bytes.fromhex("302a300506032b6570032100"), point_bytes=32),
    Algorithm.ES256: _Family(
        spki_prefix=bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
        point_bytes=64,
        curve=ec.SECP256R1(),
        hash=hashes.SHA256(),
        order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    Algorithm.ES384: _Family(
        spki_prefix=bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004"),
        point_bytes=96,
        curve=ec.SECP384R1(),
        hash=hashes.SHA384(),
        order=int(
            "ffffffffffffffffffffffffffffffffffffffffffffffff"
            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            16,
        ),
    ),
}


_ECDSA_BY_CURVE: Final = {family.curve.name: alg for alg, family in _FAMILIES.items() if family.curve}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key that is valid for its algorithm.

    Attributes:
        algorithm: how signatures under it are made.
        point: 32 bytes for Ed25519, x || y (64 or 96 bytes) for ECDSA.
    """

    algorithm: Algorithm
    point: bytes
    key_id: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a key that is malformed, of small order, or not on its curve (VN-2.3)."""
        family = _FAMILIES[self.algorithm]
        if len(self.point) != family.point_bytes:
            msg = f"expected a key of {family.point_bytes} bytes, got {len(self.point)}"
            raise EncodingError(msg)
        _verify_point(self.algorithm, self.point)
        object.__setattr__(self, "key_id", hashlib.sha256(self.to_bytes()).digest())

    @property
    def ueid(self) -> bytes:
        """The universal entity identifier that follows from this key (RFC 9711 section 4.2.1), 33 bytes."""
        return UEID_RAND + self.key_id

    def to_bytes(self) -> bytes:
        """Return the DER SubjectPublicKeyInfo."""
        return _FAMILIES[self.algorithm].spki_prefix + self.point

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Return the key that a DER SubjectPublicKeyInfo holds.

        Raises:
            EncodingError: another algorithm or spelling, or an invalid point.
        """
        for algorithm, family in _FAMILIES.items():
            if data.startswith(family.spki_prefix):
                return _parsed(algorithm, data[len(family.spki_prefix) :])
        msg = "expected the SubjectPublicKeyInfo of an Ed25519, P-256 or P-384 key"
        raise EncodingError(msg)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Hold that ``signature`` is this key's over ``message``.

        Raises:
            InvalidSignatureError: it is not.
        """
        if self.algorithm is Algorithm.EDDSA:
            verify_ed25519(self.point, message, signature)
        else:
            _verify_ecdsa(self, message, signature)


PUBLIC_KEY: Final = parsed(PublicKey.to_bytes, PublicKey.from_bytes, maximum=MAX_KEY_BYTES)
"""How a record carries a public key."""


@lru_cache(maxsize=4096)
def _parsed(algorithm: Algorithm, point: bytes) -> PublicKey:
    # Rosters and registries name the same keys again and again; the point check costs as much as a signature.
    return PublicKey(algorithm=algorithm, point=point)


def _verify_point(algorithm: Algorithm, point: bytes) -> None:
    family = _FAMILIES[algorithm]
    if family.curve is None:
        if not sodium.crypto_core_ed25519_is_valid_point(point):
            msg = "not a usable Ed25519 key: small order, non-canonical or off the curve"
            raise EncodingError(msg)
        return
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(family.curve, b"\x04" + point)
    except ValueError as error:
        msg = f"not a point of {family.curve.name}"
        raise EncodingError(msg) from error


def verify_ed25519(point: bytes, message: bytes, signature: bytes) -> None:
    """Hold that a 64-byte signature is valid under the Ed25519 key ``point`` (RFC 8032, libsodium's rule).

    Raises:
        InvalidSignatureError: it is not.
    """
    if len(signature) != sodium.crypto_sign_BYTES or len(point) != sodium.crypto_sign_PUBLICKEYBYTES:
        msg = f"expected a signature of 64 bytes, got {len(signature)}"
        raise InvalidSignatureError(msg)
    try:
        sodium.crypto_sign_open(signature + message, point)
    except nacl.exceptions.BadSignatureError as error:
        msg = "the Ed25519 signature does not verify"
        raise InvalidSignatureError(msg) from error


def _verify_ecdsa(key: PublicKey, message: bytes, signature: bytes) -> None:
    family = _FAMILIES[key.algorithm]
    if int.from_bytes(signature[family.point_bytes // 2 :], "big") > family.order // 2:
        msg = "expected an ECDSA signature with the low s, got its twin"
        raise InvalidSignatureError(msg)
    verify_ecdsa_raw(key, message, signature)


def verify_ecdsa_raw(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Hold that ``r || s`` is valid under ``key``, low ``s`` or high (RFC 9053 section 2.1).

    For formats of others; our own statements go through ``PublicKey.verify``, which takes the low ``s`` only.

    Raises:
        InvalidSignatureError: it is not.
    """
    half = _FAMILIES[key.algorithm].point_bytes // 2
    if len(signature) != 2 * half:
        msg = f"expected r || s of {2 * half} bytes, got {len(signature)}"
        raise InvalidSignatureError(msg)
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    verify_ecdsa_der(key, message, utils.encode_dss_signature(r, s))


def verify_ecdsa_der(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Hold that a DER-encoded ECDSA signature (X9.62) is valid under ``key``; certificates use this form.

    Raises:
        InvalidSignatureError: it is not.
    """
    try:
        _load_ecdsa(key).verify(signature, message, ec.ECDSA(_hash_of(key.algorithm)))
    except InvalidSignature as error:
        msg = f"the {key.algorithm.name} signature does not verify"
        raise InvalidSignatureError(msg) from error


@lru_cache(maxsize=4096)
def _load_ecdsa(key: PublicKey) -> ec.EllipticCurvePublicKey:
    curve = _FAMILIES[key.algorithm].curve
    if curve is None:
        msg = f"{key.algorithm.name} is not ECDSA"
        raise ValueError(msg)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + key.point)


def _hash_of(algorithm: Algorithm) -> hashes.HashAlgorithm:
    chosen = _FAMILIES[algorithm].hash
    if chosen is None:
        msg = f"{algorithm.name} is not ECDSA"
        raise ValueError(msg)
    return chosen


def build_low_s(algorithm: Algorithm, r: int, s: int) -> bytes:
    """Return an ECDSA signature as ``PublicKey.verify`` takes it: ``r || s``, with the low ``s``."""
    family = _FAMILIES[algorithm]
    half = family.point_bytes // 2
    return r.to_bytes(half, "big") + min(s, family.order - s).to_bytes(half, "big")


class SigningKey(Protocol):
    """Whatever can sign: software keys here, a secure element behind the same port."""

    @property
    def public_key(self) -> PublicKey:
        """The key under which signatures verify."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message`` in the form ``PublicKey.verify`` takes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ed25519SigningKey:
    """An Ed25519 key in software; the seed never leaves through ``repr``."""

    seed: bytes = field(repr=False)
    public_key: PublicKey = field(init=False)
    _secret: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the public key from the 32-byte seed (RFC 8032 section 5.1.5)."""
        if len(self.seed) != sodium.crypto_sign_SEEDBYTES:
            msg = "an Ed25519 seed has 32 bytes"
            raise ValueError(msg)
        point, secret = sodium.crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "public_key", PublicKey(algorithm=Algorithm.EDDSA, point=point))
        object.__setattr__(self, "_secret", secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over ``message``."""
        return sodium.crypto_sign(message, self._secret)[: sodium.crypto_sign_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EcdsaSigningKey:
    """A P-256 or P-384 key in software, with deterministic nonces (RFC 6979)."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    public_key: PublicKey = field(init=False)

    def __post_init__(self) -> None:
        """Derive the public key; another curve is our own misuse."""
        numbers = self.private_key.public_key().public_numbers()
        algorithm = _ECDSA_BY_CURVE.get(self.private_key.curve.name)
        if algorithm is None:
            msg = f"expected a P-256 or P-384 key, got one on {self.private_key.curve.name}"
            raise ValueError(msg)
        half = _FAMILIES[algorithm].point_bytes // 2
        point = numbers.x.to_bytes(half, "big") + numbers.y.to_bytes(half, "big")
        object.__setattr__(self, "public_key", PublicKey(algorithm=algorithm, point=point))

    def sign(self, message: bytes) -> bytes:
        """Return ``r || s`` over ``message``, with the low ``s``."""
        scheme = ec.ECDSA(_hash_of(self.public_key.algorithm), deterministic_signing=True)
        r, s = utils.decode_dss_signature(self.private_key.sign(message, scheme))
        return build_low_s(self.public_key.algorithm, r, s)


def generate_ed25519(rng: Rng) -> Ed25519SigningKey:
    """Return a fresh Ed25519 signing key drawn from ``rng``."""
    return Ed25519SigningKey(seed=rng(sodium.crypto_sign_SEEDBYTES))


def generate_ecdsa(rng: Rng, algorithm: Algorithm = Algorithm.ES256) -> EcdsaSigningKey:
    """Return a fresh ECDSA signing key drawn from ``rng`` (FIPS 186-5 A.2.1: extra random bits)."""
    family = _FAMILIES[algorithm]
    if family.curve is None:
        msg = f"{algorithm.name} is not ECDSA"
        raise ValueError(msg)
    wide = int.from_bytes(rng(family.point_bytes // 2 + 8), "big")
    return EcdsaSigningKey(private_key=ec.derive_private_key(wide % (family.order - 1) + 1, family.curve))
