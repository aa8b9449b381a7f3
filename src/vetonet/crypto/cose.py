"""COSE signing (RFC 9052): COSE_Sign1 and COSE_Sign over deterministic CBOR, verified over received bytes.

This module knows the RFC's structures; which of them a vetonet statement may use is narrower and stands in
``vetonet.crypto.statement``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

import cbor2

from vetonet.crypto.keys import PublicKey, SigningKey
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError

TAG_SIGN1: Final = b"\xd2"  # tag 18, RFC 9052 section 4.2
TAG_SIGN: Final = b"\xd8\x62"  # tag 98, RFC 9052 section 4.1
MAX_COSE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 256
_SMALL_HEADER_BYTES: Final = 128

_SIGN1_CONTEXT: Final = b"\x84\x6aSignature1"  # array of four, and the context string
_USUAL_HEAD: Final = TAG_SIGN1 + b"\x84\x58"
_USUAL_BYTES: Final = 96
_ONE_BYTE_SIZE: Final = 24  # sizes below stand in the head itself (RFC 8949 section 3)
_TWO_BYTE_SIZE: Final = 256
_FOUR_BYTE_SIZE: Final = 65_536
_SIGNATURE_PART: Final = 66

LABEL_ALG: Final = 1  # RFC 9052 section 3.1
LABEL_CRIT: Final = 2
LABEL_KID: Final = 4
LABEL_TYP: Final = 16  # RFC 9596

Header = Mapping[cbor.Item, cbor.Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """A parsed COSE_Sign1; nothing in it is trusted before ``verify``.

    Attributes:
        protected_bytes: the protected header as received, which is what was signed.
        protected: the same, parsed.
        unprotected: the unprotected header; nobody vouches for it.
        payload: the content.
        signature: as received.
    """

    protected_bytes: bytes
    protected: Header
    unprotected: Header
    payload: bytes
    signature: bytes

    def verify(self, key: PublicKey, *, external_aad: bytes = b"") -> None:
        """Hold that ``key`` signed exactly this protected header and payload.

        Raises:
            InvalidSignatureError: another algorithm, a critical header we do not know, or a bad signature.
        """
        if self.protected.get(LABEL_ALG) != key.algorithm or LABEL_CRIT in self.protected:
            msg = f"expected algorithm {key.algorithm.name} in the protected header and nothing critical"
            raise InvalidSignatureError(msg)
        key.verify(compute_sign1_input(self.protected_bytes, self.payload, external_aad), self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedSign1:
    """A parsed COSE_Sign1 whose payload travels apart; nothing in it is trusted yet.

    Attributes:
        protected_bytes: the protected header as received.
        protected: the same, parsed.
        unprotected: the unprotected header; nobody vouches for it.
        signature: as received.
    """

    protected_bytes: bytes
    protected: Header
    unprotected: Header
    signature: bytes

    def attach(self, payload: bytes) -> Sign1:
        """Return the whole with this payload, which is trusted only after its ``verify``."""
        return Sign1(
            protected_bytes=self.protected_bytes,
            protected=self.protected,
            unprotected=self.unprotected,
            payload=payload,
            signature=self.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signer's part of a COSE_Sign: its own protected header and signature."""

    protected_bytes: bytes
    protected: Header
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A parsed COSE_Sign: one payload, several signers; nothing in it is trusted before it is verified."""

    protected_bytes: bytes
    protected: Header
    payload: bytes
    signatures: tuple[Signature, ...]

    def verify(self, index: int, key: PublicKey) -> None:
        """Hold that ``key`` made the signature at ``index``.

        Raises:
            InvalidSignatureError: another algorithm, a critical header we do not know, or a bad signature.
        """
        entry = self.signatures[index]
        is_critical = LABEL_CRIT in self.protected or LABEL_CRIT in entry.protected
        if entry.protected.get(LABEL_ALG) != key.algorithm or is_critical:
            msg = f"expected algorithm {key.algorithm.name} in the signer's header and nothing critical"
            raise InvalidSignatureError(msg)
        message = compute_sign_input(self.protected_bytes, entry.protected_bytes, self.payload)
        key.verify(message, entry.signature)


def compute_sign1_input(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Return the Sig_structure of a COSE_Sign1 (RFC 9052 section 4.4)."""
    return _SIGN1_CONTEXT + _bstr(_signed_form(protected)) + _bstr(external_aad) + _bstr(payload)


def compute_sign_input(protected: bytes, signer_protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of one signer of a COSE_Sign (RFC 9052 section 4.4)."""
    head = b"\x85\x69Signature" + _bstr(_signed_form(protected)) + _bstr(_signed_form(signer_protected))
    return head + b"\x40" + _bstr(payload)


def build_sign1(payload: bytes, header: Header, signature: bytes) -> bytes:
    """Return the tagged COSE_Sign1 with this protected header and an empty unprotected one."""
    return TAG_SIGN1 + cbor.to_bytes([cbor.to_bytes(dict(header)), {}, payload, signature])


def sign1(payload: bytes, header: Header, key: SigningKey) -> bytes:
    """Return a tagged COSE_Sign1 by ``key``; ``header`` names its algorithm and key id."""
    message = compute_sign1_input(cbor.to_bytes(dict(header)), payload)
    return build_sign1(payload, header, key.sign(message))


def sign1_detached(payload: bytes, header: Header, unprotected: Header, key: SigningKey) -> bytes:
    """Return a tagged COSE_Sign1 by ``key`` over a payload that is not in it (RFC 9052 section 2)."""
    body = cbor.to_bytes(dict(header))
    signature = key.sign(compute_sign1_input(body, payload))
    return TAG_SIGN1 + cbor.to_bytes([body, dict(unprotected), None, signature])


def sign_many(payload: bytes, header: Header, keys: Sequence[SigningKey]) -> bytes:
    """Return a tagged COSE_Sign by all ``keys``, the signers in the order of their key ids."""
    body = cbor.to_bytes(dict(header))
    signed = {
        key.public_key: key.sign(compute_sign_input(body, _signer_bytes(key.public_key), payload))
        for key in keys
    }
    return build_sign(payload, header, signed)


def build_sign(payload: bytes, header: Header, signatures: Mapping[PublicKey, bytes]) -> bytes:
    """Return a tagged COSE_Sign of signatures made elsewhere, the signers in the order of their key ids."""
    body = cbor.to_bytes(dict(header))
    ordered = sorted(signatures.items(), key=lambda entry: entry[0].key_id)
    entries = [[_signer_bytes(key), {}, signature] for key, signature in ordered]
    return TAG_SIGN + cbor.to_bytes([body, {}, payload, entries])


def _signer_bytes(key: PublicKey) -> bytes:
    return cbor.to_bytes({LABEL_ALG: int(key.algorithm), LABEL_KID: key.key_id})


def parse_sign1(data: bytes, *, max_bytes: int = MAX_COSE_BYTES, tagged: bool = True) -> Sign1:
    """Return the COSE_Sign1 in ``data``.

    Args:
        data: untrusted bytes.
        max_bytes: the size above which nothing is read.
        tagged: whether tag 18 is demanded (statements) or must be absent (RFC 9052 allows both).

    Raises:
        EncodingError: not deterministic CBOR, not a COSE_Sign1, or the payload is detached.
    """
    array = _parse_array(data, TAG_SIGN1 if tagged else b"", max_bytes)
    protected, unprotected, payload, signature = array
    if type(payload) is not bytes or type(signature) is not bytes:
        msg = "expected a COSE_Sign1 with an attached payload and a signature"
        raise EncodingError(msg)
    return Sign1(
        protected_bytes=protected,
        protected=parse_header(protected),
        unprotected=unprotected,
        payload=payload,
        signature=signature,
    )


def parse_detached_sign1(data: bytes, *, max_bytes: int = MAX_COSE_BYTES) -> DetachedSign1:
    """Return the tagged COSE_Sign1 without payload in ``data``.

    Raises:
        EncodingError: not deterministic CBOR, not a COSE_Sign1, or the payload is attached.
    """
    protected, unprotected, payload, signature = _parse_array(data, TAG_SIGN1, max_bytes)
    if payload is not None or type(signature) is not bytes:
        msg = "expected a COSE_Sign1 with a detached payload and a signature"
        raise EncodingError(msg)
    return DetachedSign1(
        protected_bytes=protected,
        protected=parse_header(protected),
        unprotected=unprotected,
        signature=signature,
    )


class Sign1Parts(NamedTuple):
    """A COSE_Sign1 with an empty unprotected header, taken apart; nothing in it is trusted yet.

    Attributes:
        protected: the protected header as received.
        payload: the content.
        signature: as received.
        message: the Sig_structure that the signature must be over.
    """

    protected: bytes
    payload: bytes
    signature: bytes
    message: bytes


def split_sign1(data: bytes, *, max_bytes: int = MAX_COSE_BYTES) -> Sign1Parts:
    """Return the parts of a tagged COSE_Sign1 whose unprotected header is empty.

    Raises:
        EncodingError: not such a COSE_Sign1, or not deterministic CBOR.
    """
    parts = _split_usual_sign1(data) if len(data) <= max_bytes else None
    if parts is not None:
        parse_header(parts.protected)
        return parts
    parsed = parse_sign1(data, max_bytes=max_bytes)
    if parsed.unprotected:
        msg = "expected no unprotected header"
        raise EncodingError(msg)
    message = compute_sign1_input(parsed.protected_bytes, parsed.payload)
    return Sign1Parts(parsed.protected_bytes, parsed.payload, parsed.signature, message)


def _split_usual_sign1(data: bytes) -> Sign1Parts | None:
    """Return the parts of a Sign1 with the sizes that statements usually have; None sends it the long way.

    Reading these four heads by hand takes a tenth of the time of decoding and encoding them again, and a
    verifier reads many thousands. Each head is matched in its one spelling, so nothing else gets through:
    ``d2 84 | 58 n protected | a0 | 58 n payload, or 59 nn payload | 58 40 signature``.
    """
    if len(data) < _USUAL_BYTES or not data.startswith(_USUAL_HEAD) or data[3] < _ONE_BYTE_SIZE:
        return None
    map_at, end = 4 + data[3], len(data) - _SIGNATURE_PART
    middle = _build_usual_middle(end - map_at)
    if middle is None or not data.startswith(middle, map_at) or not data.startswith(b"\x58\x40", end):
        return None
    start = map_at + len(middle)
    message = _SIGN1_CONTEXT + data[2:map_at] + b"\x40" + data[map_at + 1 : end]
    return Sign1Parts(data[4:map_at], data[start:end], data[end + 2 :], message)


def _build_usual_middle(room: int) -> bytes | None:
    """Return the empty map and the head of a payload that together take ``room`` bytes."""
    if _TWO_BYTE_SIZE <= room - 4 < _FOUR_BYTE_SIZE:
        return b"\xa0\x59" + (room - 4).to_bytes(2, "big")
    return b"\xa0\x58%c" % (room - 3) if _ONE_BYTE_SIZE <= room - 3 < _TWO_BYTE_SIZE else None


def parse_sign(data: bytes, *, max_bytes: int = MAX_COSE_BYTES) -> Sign:
    """Return the tagged COSE_Sign in ``data``; the unprotected headers must be empty.

    Raises:
        EncodingError: not deterministic CBOR or not such a COSE_Sign.
    """
    protected, unprotected, payload, entries = _parse_array(data, TAG_SIGN, max_bytes)
    if type(payload) is not bytes or type(entries) is not list or unprotected:
        msg = "expected a COSE_Sign with an attached payload, signatures and no unprotected header"
        raise EncodingError(msg)
    if not 1 <= len(entries) <= MAX_SIGNATURES:
        msg = f"expected 1 to {MAX_SIGNATURES} signatures, got {len(entries)}"
        raise EncodingError(msg)
    signatures = tuple(_parse_signature(entry) for entry in entries)
    return Sign(
        protected_bytes=protected, protected=parse_header(protected), payload=payload, signatures=signatures
    )


def _parse_array(data: bytes, tag: bytes, max_bytes: int) -> list[cbor.Item]:
    if not data.startswith(tag):
        start = data[: len(tag)].hex() or "nothing"
        msg = f"not a signed statement: expected COSE after the tag {tag.hex()}, got {start}"
        raise EncodingError(msg)
    array = cbor.from_bytes(data[len(tag) :], max_bytes=max_bytes - len(tag))
    if type(array) is not list or [type(part) for part in array[:2]] != [bytes, dict] or len(array) != 4:  # noqa: PLR2004
        msg = "expected the four parts of a COSE structure (RFC 9052 section 4)"
        raise EncodingError(msg)
    return array


def _parse_signature(entry: cbor.Item) -> Signature:
    if type(entry) is not list or [type(part) for part in entry] != [bytes, dict, bytes] or entry[1]:
        msg = "expected a COSE_Signature without unprotected header"
        raise EncodingError(msg)
    return Signature(protected_bytes=entry[0], protected=parse_header(entry[0]), signature=entry[2])


def parse_header(data: bytes) -> Header:
    """Return the protected header; recipients take both spellings of the empty one (RFC 9052 section 3).

    Raises:
        EncodingError: not deterministic CBOR, or not a map.
    """
    return _parse_small_header(data) if len(data) <= _SMALL_HEADER_BYTES else _parse_header(data)


@lru_cache(maxsize=4096)
def _parse_small_header(data: bytes) -> Header:
    """Cached, because all headers of one signer are alike; bounded, because strangers send headers too."""
    return MappingProxyType(_parse_header(data))


def _parse_header(data: bytes) -> dict[cbor.Item, cbor.Item]:
    header = cbor.from_bytes(data, max_bytes=MAX_COSE_BYTES) if data else {}
    if type(header) is not dict:
        msg = f"expected the protected header to be a map, got {type(header).__name__}"
        raise EncodingError(msg)
    return header


def _signed_form(protected: bytes) -> bytes:
    """An encoded empty map is signed as a zero-length string (RFC 9052 section 4.4)."""
    return b"" if protected == b"\xa0" else protected


def _bstr(data: bytes) -> bytes:
    return cbor2.dumps(data)
