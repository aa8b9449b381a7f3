"""ML-DSA-44 (FIPS 204) through OpenSSL: post-quantum signatures of witnesses; nothing else uses them yet."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from vetonet.errors import EncodingError, InvalidSignatureError

PUBLIC_KEY_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420
SEED_BYTES: Final = 32


def verify_mldsa44(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Hold that ``signature`` is this key's over ``message``, under the empty context.

    Args:
        public_key: 1,312 bytes.
        message: what was signed.
        signature: 2,420 bytes.

    Raises:
        EncodingError: not a key, or this build of OpenSSL has no ML-DSA.
        InvalidSignatureError: it is not.
    """
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as error:
        msg = "the ML-DSA-44 signature does not verify"
        raise InvalidSignatureError(msg) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        msg = f"expected an ML-DSA-44 key of {PUBLIC_KEY_BYTES} bytes that OpenSSL can use: {error}"
        raise EncodingError(msg) from error
