"""What a TPM 2.0 says on its own: quotes and certified counts, in the one form that is accepted (VN-17.1).

The device key is the TPM's restricted signing key: it signs structures that the TPM itself made, and of
what comes from outside only what the TPM hashed and what does not begin like such a structure. So whatever
begins with ``TPM_GENERATED`` under this key is the TPM's own word. (TPM 2.0 Library, part 1 section 23.3,
part 2 section 10.12.)

Template, measured register and counter are fixed by the protocol, hence so is every size in an attestation:
each is read with one expression, and any other shape is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import ClassVar, Final, NoReturn

from vetonet.crypto.keys import Algorithm, PublicKey
from vetonet.encoding.record import Record, bstr, member
from vetonet.errors import AppraisalError, EncodingError, Problem

FIRMWARE_PCR: Final = 8
"""The first register that the firmware of a host leaves alone; a TPM Reset alone clears it."""

COUNTER_INDEX: Final = 0x0180_5641
COUNTER_BYTES: Final = 8
COUNTER_ATTRIBUTES: Final = 0x0204_0014
"""TPM2_NT_COUNTER, AUTHWRITE, AUTHREAD, NO_DA: nothing that sets it back, not even defining it anew."""

KEY_ATTRIBUTES: Final = 0x0005_0472
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign."""

_GENERATED: Final = 0xFF54_4347
_ATTEST_NV: Final = 0x8014
_ATTEST_QUOTE: Final = 0x8018
_SHA256: Final = 0x000B
_SHA256_BYTES: Final = 32
_NAME_BYTES: Final = 34
_ENDORSEMENT: Final = 0x4000_000B
_POLICY_PCR: Final = 0x017F
_WRITTEN: Final = 0x2000_0000
_SELECTION: Final = (1 << FIRMWARE_PCR).to_bytes(3, "little")

_HEAD: Final = Struct(">IHH34sH32sQIIBQ")
_QUOTE: Final = Struct(">IHB3sH32s")
_COUNT: Final = Struct(">H34sHHQ")
_NV_PUBLIC: Final = Struct(">IHIHH")
_KEY_HEAD: Final = bytes.fromhex("0023000b") + KEY_ATTRIBUTES.to_bytes(4, "big") + bytes(2)
_KEY_SCHEME: Final = bytes.fromhex("00100018000b00030010")  # no cipher, ECDSA with SHA-256, P-256, no KDF


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmEvidence(Record):
    """An attestation as the TPM made it, and its signature in our form; nothing in it is trusted yet.

    Attributes:
        attest: the bytes of a TPMS_ATTEST.
        signature: ``r || s`` over them, with the low ``s``.
    """

    MAX_BYTES: ClassVar[int] = 512

    attest: bytes = member(1, bstr(1, 256))
    signature: bytes = member(2, bstr(64))


def compute_pcr(firmware_digest: bytes) -> bytes:
    """Return what the firmware register holds after one extension since the reset."""
    return sha256(bytes(_SHA256_BYTES) + firmware_digest).digest()


def compute_pcr_digest(firmware_digest: bytes) -> bytes:
    """Return what a quote of that one register says (part 3 section 18.4)."""
    return sha256(compute_pcr(firmware_digest)).digest()


def compute_alias_policy(firmware_digest: bytes) -> bytes:
    """Return the policy of a key that is usable only while this firmware, alone, is measured (PolicyPCR)."""
    selected = (1).to_bytes(4, "big") + _SHA256.to_bytes(2, "big") + bytes([len(_SELECTION)]) + _SELECTION
    start = bytes(_SHA256_BYTES) + _POLICY_PCR.to_bytes(4, "big")
    return sha256(start + selected + compute_pcr_digest(firmware_digest)).digest()


def compute_signer_name(key: PublicKey) -> bytes:
    """Return the qualified name of a device key: of our template, a primary of the endorsement hierarchy.

    Raises:
        AppraisalError: not a P-256 key.
    """
    if key.algorithm is not Algorithm.ES256:
        _refuse(f"expected a P-256 device key in a TPM, got {key.algorithm.name}")
    half = len(key.point) // 2
    size = half.to_bytes(2, "big")
    public = _KEY_HEAD + _KEY_SCHEME + size + key.point[:half] + size + key.point[half:]
    return _name_of(_ENDORSEMENT.to_bytes(4, "big") + _name_of(public))


def compute_counter_name(attributes: int = COUNTER_ATTRIBUTES) -> bytes:
    """Return the name of the counter once it counted: its handle and everything that it allows."""
    return _name_of(_NV_PUBLIC.pack(COUNTER_INDEX, _SHA256, attributes | _WRITTEN, 0, COUNTER_BYTES))


def verify_quote(data: bytes, key: PublicKey, *, nonce: bytes, firmware_digest: bytes) -> None:
    """The TPM of this device key says in a quote that this firmware, alone, was measured.

    Args:
        data: untrusted bytes of a ``TpmEvidence``.
        key: the device key.
        nonce: what the quote must be over.
        firmware_digest: what must have been measured.

    Raises:
        EncodingError: not such evidence.
        InvalidSignatureError: the device key did not sign it.
        AppraisalError: it is another attestation, over another nonce, or of something else.
    """
    rest = _read_attest(data, key, nonce, kind=_ATTEST_QUOTE)
    if len(rest) != _QUOTE.size:
        raise EncodingError(f"expected a quote of {_QUOTE.size} bytes, got {len(rest)}")
    expected = (1, _SHA256, len(_SELECTION), _SELECTION, _SHA256_BYTES, compute_pcr_digest(firmware_digest))
    if _QUOTE.unpack(rest) != expected:
        _refuse(f"the quote is not of firmware {firmware_digest.hex()[:16]} in register {FIRMWARE_PCR}")


def read_count(data: bytes, key: PublicKey, *, nonce: bytes) -> int:
    """Return what the TPM of this device key says that its monotonic counter stands at.

    Args:
        data: untrusted bytes of a ``TpmEvidence``.
        key: the device key.
        nonce: what the certification must be over.

    Raises:
        EncodingError, InvalidSignatureError, AppraisalError: as ``verify_quote``; another index, or one of
            other attributes, is no counter.
    """
    rest = _read_attest(data, key, nonce, kind=_ATTEST_NV)
    if len(rest) != _COUNT.size:
        raise EncodingError(f"expected a certified counter of {_COUNT.size} bytes, got {len(rest)}")
    name_bytes, name, offset, size, count = _COUNT.unpack(rest)
    if (name_bytes, name, offset, size) != (_NAME_BYTES, compute_counter_name(), 0, COUNTER_BYTES):
        _refuse("what is certified is not the whole of the one counter that nothing sets back")
    return int(count)


def _read_attest(data: bytes, key: PublicKey, nonce: bytes, *, kind: int) -> bytes:
    """Return what follows the head that every attestation has; the numbers are those of VN-17.1."""
    evidence = TpmEvidence.from_bytes(data)
    # (1) the device key signed it
    key.verify(evidence.attest, evidence.signature)
    if len(evidence.attest) < _HEAD.size:
        raise EncodingError(f"expected an attestation of more than {_HEAD.size} bytes")
    magic, tag, name_bytes, name, nonce_bytes, extra, *_clock, safe, _version = _HEAD.unpack_from(
        evidence.attest
    )
    # (2) the TPM made it itself, as the attestation that is wanted
    if (magic, tag) != (_GENERATED, kind):
        _refuse(f"expected a TPM's own attestation of type {kind:#06x}, got {magic:#010x} {tag:#06x}")
    # (3) with a key of the template
    if (name_bytes, name) != (_NAME_BYTES, compute_signer_name(key)):
        _refuse("the attestation names another signer than the restricted device key")
    # (4) over this nonce
    if (nonce_bytes, extra) != (len(nonce), nonce):
        _refuse("the attestation is over another nonce")
    if safe > 1:
        raise EncodingError("expected yes or no, spelled 1 or 0")
    return evidence.attest[_HEAD.size :]


def _name_of(public: bytes) -> bytes:
    """Return the name of an entity: which hash, and its digest (part 1 section 16)."""
    return _SHA256.to_bytes(2, "big") + sha256(public).digest()


def _refuse(detail: str) -> NoReturn:
    raise AppraisalError(detail, problems=(Problem(reason="platform-mismatched", detail=detail),))
