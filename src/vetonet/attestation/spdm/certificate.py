"""One certificate of a chip's or a manifest's chain, parsed once; P-384 with SHA-384 throughout."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.x509.oid import SignatureAlgorithmOID

from vetonet.crypto.keys import Algorithm, PublicKey, verify_ecdsa_der
from vetonet.errors import EncodingError, VetonetError
from vetonet.units import Milliseconds

MAX_CERTIFICATE_BYTES: Final = 4096
MAX_CERTIFICATES: Final = 8
MAX_NAME_CHARS: Final = 200

COMPOSITE_DEVICE_ID: Final = x509.ObjectIdentifier("2.23.133.5.4.1")
DEVICE_INFO: Final = x509.ObjectIdentifier(
    "1.3.6.1.4.1.412.274.1"
)  # DSP0274 section 10.6.1: maker:product:serial

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN: Final = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid})
_ALGORITHM_DER: Final = bytes.fromhex("300a06082a8648ce3d040303")  # ecdsa-with-SHA384 (RFC 5758 section 3.2)
_LONG_FORM: Final = 0x80
_UTF8_STRING: Final = 0x0C


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate; nothing in it is trusted before its chain is verified.

    Attributes:
        data: the DER as received.
        subject, issuer: DER of the names.
        name: the subject for people (RFC 4514).
        key: what it certifies.
        not_before_ms, not_after_ms: its validity, both ends included.
        signed_bytes, signature: what the issuer signed, and DER of r and s.
        is_authority: whether it may issue certificates.
        path_length: how many authorities may stand below it, or None: any number.
        can_sign: whether its key may sign data.
        can_certify: whether its key may sign certificates.
        demands: critical extensions that we do not know.
        firmware_id: the digest of the firmware whose key this is, and the key of who measured it (DICE).
        chip: maker, product and serial number of the chip, or None.
    """

    data: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    name: str
    key: PublicKey
    not_before_ms: Milliseconds
    not_after_ms: Milliseconds
    signed_bytes: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    is_authority: bool
    path_length: int | None
    can_sign: bool
    can_certify: bool
    demands: tuple[str, ...]
    firmware_id: tuple[PublicKey, bytes] | None
    chip: tuple[str, str, str] | None

    @classmethod
    def from_bytes(cls, data: bytes) -> Certificate:
        """Return the certificate that untrusted DER spells.

        Raises:
            EncodingError: oversize, malformed, or by other algorithms than P-384 and SHA-384.
        """
        if len(data) > MAX_CERTIFICATE_BYTES:
            raise EncodingError(
                f"expected a certificate of at most {MAX_CERTIFICATE_BYTES} bytes, got {len(data)}"
            )
        try:
            parsed = x509.load_der_x509_certificate(data)
            _verify_form(parsed, data)
            return cls._of(parsed, data)
        except VetonetError:
            raise
        except Exception as error:  # any field may fail, when it is first read, with a class of its own
            raise EncodingError(f"not a certificate that can be read: {str(error)[:80]}") from error

    @classmethod
    def _of(cls, parsed: x509.Certificate, data: bytes) -> Certificate:
        extensions = {extension.oid: extension.value for extension in parsed.extensions}
        constraints, usage = extensions.get(x509.BasicConstraints.oid), extensions.get(x509.KeyUsage.oid)
        is_authority = isinstance(constraints, x509.BasicConstraints) and constraints.ca
        return cls(
            data=data,
            subject=parsed.subject.public_bytes(),
            issuer=parsed.issuer.public_bytes(),
            name=_to_plain(parsed.subject.rfc4514_string()),
            key=_read_key(parsed),
            not_before_ms=(parsed.not_valid_before_utc - _EPOCH) // timedelta(milliseconds=1),
            not_after_ms=(parsed.not_valid_after_utc - _EPOCH) // timedelta(milliseconds=1),
            signed_bytes=parsed.tbs_certificate_bytes,
            signature=parsed.signature,
            is_authority=is_authority,
            path_length=constraints.path_length if isinstance(constraints, x509.BasicConstraints) else None,
            can_sign=isinstance(usage, x509.KeyUsage) and usage.digital_signature,
            can_certify=isinstance(usage, x509.KeyUsage) and usage.key_cert_sign,
            demands=tuple(
                e.oid.dotted_string for e in parsed.extensions if e.critical and e.oid not in _KNOWN
            ),
            firmware_id=_read_firmware_id(extensions.get(COMPOSITE_DEVICE_ID)),
            chip=_read_chip(extensions.get(x509.SubjectAlternativeName.oid)),
        )

    def to_bytes(self) -> bytes:
        """Return the DER as received."""
        return self.data

    def is_valid_at(self, now: Milliseconds) -> bool:
        """Whether this time lies in its validity."""
        return self.not_before_ms <= now <= self.not_after_ms

    def verify_issued_by(self, issuer: PublicKey) -> None:
        """Hold that this key signed the certificate, with either s: makers' signatures have both.

        Raises:
            InvalidSignatureError: it did not.
        """
        verify_ecdsa_der(issuer, self.signed_bytes, self.signature)


def read_pem_chain(data: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM file, the chip's own first, in the one spelling of such a file.

    Raises:
        EncodingError: none, too many, another spelling, or one that is malformed.
    """
    if len(data) > 2 * MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES:
        raise EncodingError(f"expected at most {MAX_CERTIFICATES} certificates, got {len(data)} bytes")
    try:
        found = x509.load_pem_x509_certificates(data)
        spelled = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in found)
    except Exception as error:  # as above
        raise EncodingError(f"not certificates in PEM: {str(error)[:80]}") from error
    if spelled.removesuffix(b"\n") != data.removesuffix(b"\n"):
        raise EncodingError("not the one spelling of these certificates in PEM")
    if len(found) > MAX_CERTIFICATES:
        raise EncodingError(f"expected at most {MAX_CERTIFICATES} certificates, got {len(found)}")
    return tuple(
        Certificate.from_bytes(certificate.public_bytes(serialization.Encoding.DER)) for certificate in found
    )


def _verify_form(parsed: x509.Certificate, data: bytes) -> None:
    """Hold that the outside has the one spelling; the inside is signed."""
    if parsed.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA384:
        raise EncodingError("expected a certificate signed with ECDSA and SHA-384")
    if parsed.serial_number <= 0:  # RFC 5280 section 4.1.2.2; the library only warns
        raise EncodingError("expected a certificate with a positive serial number")
    r, s = utils.decode_dss_signature(parsed.signature)
    signature = _der(0x03, b"\x00" + utils.encode_dss_signature(r, s))
    if _der(0x30, parsed.tbs_certificate_bytes + _ALGORITHM_DER + signature) != data:
        raise EncodingError("not the one spelling of this certificate")


def _read_key(parsed: x509.Certificate) -> PublicKey:
    spki = parsed.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = PublicKey.from_bytes(spki)
    if key.algorithm is not Algorithm.ES384:
        raise EncodingError(f"expected a certificate of a P-384 key, got one for {key.algorithm.name}")
    return key


_COMPOSITE_HEAD: Final = bytes.fromhex("3081ba020101")
_FWID_HEAD: Final = bytes.fromhex("303d06096086480165030402020430")
_SPKI_BYTES: Final = 120


def _read_firmware_id(value: object) -> tuple[PublicKey, bytes] | None:
    """Return whose key measured the firmware, and its SHA-384, as a DICE composite device id holds them."""
    if not isinstance(value, x509.UnrecognizedExtension):
        return None
    key_end = len(_COMPOSITE_HEAD) + _SPKI_BYTES
    key, digest = value.value[len(_COMPOSITE_HEAD) : key_end], value.value[key_end + len(_FWID_HEAD) :]
    if value.value != _COMPOSITE_HEAD + key + _FWID_HEAD + digest or len(digest) != 48:  # noqa: PLR2004  (SHA-384)
        raise EncodingError("expected a DICE composite device id with one SHA-384 firmware id")
    return PublicKey.from_bytes(key), digest


def _read_chip(value: object) -> tuple[str, str, str] | None:
    """Return maker, product and serial number, where the alternative names hold the DMTF's device info."""
    names = list(value) if isinstance(value, x509.SubjectAlternativeName) else []
    for name in names:
        if isinstance(name, x509.OtherName) and name.type_id == DEVICE_INFO:
            text = name.value[2:].decode("utf-8", "replace")
            parts = _to_plain(text).split(":")
            if name.value[:2] == bytes((_UTF8_STRING, len(name.value) - 2)) and len(parts) == 3:  # noqa: PLR2004
                return parts[0], parts[1], parts[2]
            raise EncodingError("expected the chip as maker:product:serial")
    return None


def _to_plain(text: str) -> str:
    """Return text that cannot break a line or steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_NAME_CHARS])


def _der(tag: int, content: bytes) -> bytes:
    """Return one DER element; its length in the shortest form (X.690 section 10.1)."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(length)]) + length + content
