"""The ciphersuite FROST(Ed25519, SHA-512): scalars, group elements and hashes (RFC 9591, section 6.1).

Scalars are Python integers modulo the group order, and Python integers are variable-time: whoever can
measure the signer finely enough may learn about its nonces and key share. Elements are computed by
libsodium, whose multiplications are constant-time. The threat model says who is let near a signer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Final, NewType

from nacl import bindings

from vetonet.errors import EncodingError, ProtocolError
from vetonet.units import Rng

Scalar = NewType("Scalar", int)
"""An integer from 0 to ORDER - 1."""

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup of edwards25519 (RFC 8032, section 5.1)."""

SCALAR_BYTES: Final = 32
ELEMENT_BYTES: Final = 32
CONTEXT_STRING: Final = b"FROST-ED25519-SHA512-v1"

_IDENTITY: Final = b"\x01" + bytes(31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A member of the prime-order group other than the identity, in its one canonical spelling.

    Construction refuses everything else, so code that holds an element need not ask again: libsodium's
    addition tests the curve equation only and would accept small and mixed order.
    """

    encoded: bytes

    def __post_init__(self) -> None:
        """Refuse identity, small order, mixed order, off the curve and non-canonical (RFC 9591, 3.1).

        Raises:
            EncodingError: the bytes are not such an element.
        """
        if not isinstance(self.encoded, bytes) or len(self.encoded) != ELEMENT_BYTES:
            raise EncodingError("a group element has exactly 32 bytes")
        if not bindings.crypto_core_ed25519_is_valid_point(self.encoded):
            raise EncodingError("the bytes are not an element of the prime-order group")

    @classmethod
    def from_bytes(cls, data: bytes) -> Element:
        """Return the element that these 32 bytes spell (DeserializeElement).

        Raises:
            EncodingError: they spell none, or the identity.
        """
        return cls(encoded=data)

    def to_bytes(self) -> bytes:
        """Return the 32 bytes of RFC 8032, section 5.1.2 (SerializeElement)."""
        return self.encoded


def scalar_from_bytes(data: bytes) -> Scalar:
    """Return the scalar that 32 little-endian bytes spell (DeserializeScalar).

    Raises:
        EncodingError: wrong length, or not below the group order.
    """
    if len(data) != SCALAR_BYTES:
        raise EncodingError("a scalar has exactly 32 bytes")
    value = int.from_bytes(data, "little")
    if value >= ORDER:
        raise EncodingError("the scalar is not below the group order")
    return Scalar(value)


def nonzero_scalar_from_bytes(data: bytes) -> Scalar:
    """Return the scalar that the bytes spell, where zero would give a secret away or hide one.

    Raises:
        EncodingError: wrong length, not below the group order, or zero.
    """
    value = scalar_from_bytes(data)
    if value == 0:
        raise EncodingError("the scalar is zero")
    return value


def scalar_to_bytes(scalar: int) -> bytes:
    """Return the 32 little-endian bytes of a scalar (SerializeScalar)."""
    return scalar.to_bytes(SCALAR_BYTES, "little")


def generate_scalar(rng: Rng) -> Scalar:
    """Return a uniformly random non-zero scalar, by wide reduction (RFC 9591, appendix D)."""
    scalar = int.from_bytes(generate_bytes(rng, 48), "little") % ORDER
    return Scalar(scalar) if scalar else generate_scalar(rng)


def generate_bytes(rng: Rng, size: int) -> bytes:
    """Return ``size`` random bytes.

    Raises:
        ValueError: the source of randomness gave another number of bytes.
    """
    data = rng(size)
    if len(data) != size:
        raise ValueError("the source of randomness gave a wrong number of bytes")
    return data


def multiply_base(scalar: int) -> Element:
    """Return the generator times a non-zero scalar (ScalarBaseMult).

    libsodium ignores bit 255 of the scalar and fails at a zero one. Scalars are below 2^253, and zero is
    refused here.

    Raises:
        ValueError: the scalar is zero or not below the order.
    """
    return _trusted(bindings.crypto_scalarmult_ed25519_base_noclamp(_multiplier(scalar)))


def multiply(scalar: int, element: Element) -> Element:
    """Return an element times a non-zero scalar (ScalarMult).

    Raises:
        ValueError: the scalar is zero or not below the order.
    """
    return _trusted(bindings.crypto_scalarmult_ed25519_noclamp(_multiplier(scalar), element.encoded))


def sum_elements(elements: Iterable[Element]) -> Element:
    """Return the sum of one or more elements.

    Raises:
        ProtocolError: they cancel out to the identity.
    """
    return _refuse_identity(reduce(bindings.crypto_core_ed25519_add, (item.encoded for item in elements)))


def hash_to_scalar(tag: bytes, data: bytes) -> Scalar:
    """Return SHA-512(context string || tag || data) reduced modulo the group order."""
    return _reduce(CONTEXT_STRING + tag + data)


def h1(data: bytes) -> Scalar:
    """Return the binding factor of an encoded input."""
    return hash_to_scalar(b"rho", data)


def h2(data: bytes) -> Scalar:
    """Return the challenge; without a context string, so that it equals Ed25519's (RFC 8032, 5.1.7)."""
    return _reduce(data)


def h3(data: bytes) -> Scalar:
    """Return the nonce for randomness and a secret."""
    return hash_to_scalar(b"nonce", data)


def h4(data: bytes) -> bytes:
    """Return the digest of a message."""
    return hashlib.sha512(CONTEXT_STRING + b"msg" + data).digest()


def h5(data: bytes) -> bytes:
    """Return the digest of an encoded list of commitments."""
    return hashlib.sha512(CONTEXT_STRING + b"com" + data).digest()


def _reduce(data: bytes) -> Scalar:
    return Scalar(int.from_bytes(hashlib.sha512(data).digest(), "little") % ORDER)


def _multiplier(scalar: int) -> bytes:
    if not 0 < scalar < ORDER:
        raise ValueError("a multiplier is not zero and below the group order")
    return scalar.to_bytes(SCALAR_BYTES, "little")


def _refuse_identity(encoded: bytes) -> Element:
    if encoded == _IDENTITY:
        raise ProtocolError("group elements cancel out to the identity")
    return _trusted(encoded)


def _trusted(encoded: bytes) -> Element:
    """Return an element that libsodium computed from elements, so it needs no second look."""
    element = object.__new__(Element)
    object.__setattr__(element, "encoded", encoded)
    return element
