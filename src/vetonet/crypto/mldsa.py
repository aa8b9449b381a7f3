"""ML-DSA-44 (FIPS 204) through OpenSSL: post-quantum signatures of witnesses; nothing else uses them yet."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from vetonet.errors import EncodingError, InvalidSignatureError

PUBLIC_KEY_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420
SEED_BYTES: Final = 32
MAX_CONTEXT_BYTES: Final = 255


def verify_mldsa44(public_key: bytes, message: bytes, signature: bytes, *, context: bytes = b"") -> None:
    """Hold that ``signature`` is this key's over ``message`` under the context (FIPS 204 algorithm 3).

    Args:
        public_key: 1,312 bytes.
        message: what was signed.
        signature: 2,420 bytes.
        context: up to 255 bytes that keep uses of a key apart; witnesses sign under the empty one.

    Raises:
        EncodingError: not a key, a context too long, or this build of OpenSSL has no ML-DSA.
        InvalidSignatureError: it is not.
    """
    if len(context) > MAX_CONTEXT_BYTES:
        msg = f"expected a context of at most {MAX_CONTEXT_BYTES} bytes, got {len(context)}"
        raise EncodingError(msg)
    key = _load_key(public_key)
    try:
        key.verify(signature, message, context)
    except InvalidSignature as error:
        msg = "the ML-DSA-44 signature does not verify"
        raise InvalidSignatureError(msg) from error


def _load_key(public_key: bytes) -> mldsa.MLDSA44PublicKey:
    try:
        return mldsa.MLDSA44PublicKey.from_public_bytes(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        msg = f"expected an ML-DSA-44 key of {PUBLIC_KEY_BYTES} bytes that OpenSSL can use: {error}"
        raise EncodingError(msg) from error
