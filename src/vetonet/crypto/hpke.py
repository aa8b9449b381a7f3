"""HPKE (RFC 9180): bytes that only the holder of one X25519 key can read.

A thin layer over the library's DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 in base mode: it
says nothing of the sender, so what is sealed travels inside a signed statement. The library draws the
encapsulated key itself and takes no randomness from its caller, so the same call seals to other bytes each
time: whoever must send the same twice keeps what it sealed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import x25519

from vetonet.errors import EncodingError, VerificationError
from vetonet.units import Rng

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 32 + 16
"""What sealing adds: the encapsulated key and the tag."""

_FIELD_PRIME: Final = 2**255 - 19
_LENGTH_BYTES: Final = 8
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_SMALL_ORDER: Final = frozenset(
    value.to_bytes(KEY_BYTES, "little")
    for value in (
        0,
        1,
        _FIELD_PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
"""The points of order 1, 2, 4 and 8 on the curve and its twist, each in its one spelling.

Every secret takes them to zero (RFC 7748 section 6.1), which a trial exchange would find as well, at the
price of forty microseconds: in a ceremony everybody looks at a key of each participant for each other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HpkePublicKey:
    """An X25519 public key in its one spelling, not of small order (RFC 7748 section 6.1).

    Attributes:
        encoded: its 32 bytes.
    """

    encoded: bytes

    def __post_init__(self) -> None:
        """Refuse another length, a second spelling of a point, and points that every secret maps to zero.

        Raises:
            EncodingError: for any of these.
        """
        if len(self.encoded) != KEY_BYTES:
            msg = f"expected an X25519 key of {KEY_BYTES} bytes, got {len(self.encoded)}"
            raise EncodingError(msg)
        if int.from_bytes(self.encoded, "little") >= _FIELD_PRIME:
            raise EncodingError("an X25519 key that is not the one spelling of its point")
        if self.encoded in _SMALL_ORDER:
            raise EncodingError("an X25519 key of small order")

    def seal(self, plaintext: bytes, *, info: bytes, aad: bytes) -> bytes:
        """Return bytes that only the holder of this key opens, and only with the same ``info`` and ``aad``.

        Args:
            plaintext: what to seal.
            info: names the use, as a protocol does once.
            aad: what this message is bound to.

        Returns:
            The encapsulated key and the ciphertext, ``OVERHEAD_BYTES`` longer than the plaintext.
        """
        return _SUITE.encrypt(plaintext, _load(self), _bind(info, aad))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HpkePrivateKey:
    """An X25519 private key; secret.

    Attributes:
        seed: its 32 bytes.
        public_key: what others seal to.
    """

    seed: bytes = field(repr=False)
    public_key: HpkePublicKey = field(init=False)

    def __post_init__(self) -> None:
        """Refuse another length.

        Raises:
            EncodingError: the key has another length.
        """
        if len(self.seed) != KEY_BYTES:
            msg = f"expected a private key of {KEY_BYTES} bytes, got {len(self.seed)}"
            raise EncodingError(msg)
        encoded = x25519.X25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        object.__setattr__(self, "public_key", HpkePublicKey(encoded=encoded))

    def __eq__(self, other: object) -> bool:
        """Return True for the same key, in time that does not depend on where two keys differ."""
        if not isinstance(other, HpkePrivateKey):
            return NotImplemented
        return hmac.compare_digest(self.seed, other.seed)

    def __hash__(self) -> int:
        """Return a hash of the public key only."""
        return hash(self.public_key)

    def open(self, sealed: bytes, *, info: bytes, aad: bytes) -> bytes:
        """Return what was sealed to this key under the same ``info`` and ``aad``.

        Raises:
            VerificationError: it was sealed to another key or for another use, or altered since.
        """
        key = x25519.X25519PrivateKey.from_private_bytes(self.seed)
        try:
            return _SUITE.decrypt(sealed, key, _bind(info, aad))
        except (InvalidTag, ValueError) as error:
            raise VerificationError("the sealed bytes do not open with this key for this use") from error


def generate_hpke_key(rng: Rng) -> HpkePrivateKey:
    """Return a fresh private key drawn from ``rng``."""
    return HpkePrivateKey(seed=rng(KEY_BYTES))


def _load(key: HpkePublicKey) -> x25519.X25519PublicKey:
    return x25519.X25519PublicKey.from_public_bytes(key.encoded)


def _bind(info: bytes, aad: bytes) -> bytes:
    """Return both in one string that splits in one way only.

    The library's public interface takes no ``aad``. A key schedule over ``info`` binds a single message as
    strongly: another ``info`` gives another key (RFC 9180 section 5.1).
    """
    return len(info).to_bytes(_LENGTH_BYTES, "big") + info + aad
