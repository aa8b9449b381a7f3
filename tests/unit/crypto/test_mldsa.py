"""ML-DSA-44 through OpenSSL: only this key's signature over this message and context verifies."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from vetonet.crypto.mldsa import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify_mldsa44
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError

SIGNER = mldsa.MLDSA44PrivateKey.from_seed_bytes(SeededRng(b"mldsa")(32))
KEY = SIGNER.public_key().public_bytes_raw()
MESSAGE = b"what was signed"
SIGNATURE = SIGNER.sign(MESSAGE)


def test_a_signature_verifies_under_its_key() -> None:
    assert (len(KEY), len(SIGNATURE)) == (PUBLIC_KEY_BYTES, SIGNATURE_BYTES)
    verify_mldsa44(KEY, MESSAGE, SIGNATURE)
    verify_mldsa44(KEY, b"", SIGNER.sign(b""))


def test_another_message_is_refused() -> None:
    for message in (b"", MESSAGE + b"\0", MESSAGE[:-1]):
        with pytest.raises(InvalidSignatureError, match="ML-DSA-44"):
            verify_mldsa44(KEY, message, SIGNATURE)


def test_another_key_is_refused() -> None:
    other = mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
    with pytest.raises(InvalidSignatureError):
        verify_mldsa44(other, MESSAGE, SIGNATURE)


def test_a_context_belongs_to_the_signature() -> None:
    signature = SIGNER.sign(MESSAGE, b"context")
    verify_mldsa44(KEY, MESSAGE, signature, context=b"context")
    for context in (b"", b"other", b"context\0"):
        with pytest.raises(InvalidSignatureError):
            verify_mldsa44(KEY, MESSAGE, signature, context=context)
    with pytest.raises(InvalidSignatureError):
        verify_mldsa44(KEY, MESSAGE, SIGNATURE, context=b"context")


def test_a_context_has_at_most_255_bytes() -> None:
    longest = bytes(255)
    verify_mldsa44(KEY, MESSAGE, SIGNER.sign(MESSAGE, longest), context=longest)
    with pytest.raises(EncodingError, match="at most 255 bytes, got 256"):
        verify_mldsa44(KEY, MESSAGE, SIGNATURE, context=bytes(256))


@pytest.mark.parametrize(
    "signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(SIGNATURE_BYTES), SIGNATURE[::-1]]
)
def test_a_signature_of_another_length_or_content_is_refused(signature: bytes) -> None:
    with pytest.raises(InvalidSignatureError):
        verify_mldsa44(KEY, MESSAGE, signature)


@pytest.mark.parametrize("offset", range(0, SIGNATURE_BYTES, 97))
def test_a_flipped_bit_is_refused(offset: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[offset] ^= 1 << offset % 8
    with pytest.raises(InvalidSignatureError):
        verify_mldsa44(KEY, MESSAGE, bytes(changed))


@pytest.mark.parametrize("key", [b"", KEY[:-1], KEY + b"\0", bytes(32)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(EncodingError, match="1312 bytes"):
        verify_mldsa44(key, MESSAGE, SIGNATURE)
