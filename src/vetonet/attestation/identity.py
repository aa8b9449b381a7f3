"""Device identity: X.509 certificates by the maker's root, in the one form that is accepted (VN-8.2).

The treaty pins the maker's root *key*, so a root of the same name proves nothing. Every byte of a device
certificate is signed or is the signature, and the signature has the low ``s`` only, so one certificate has
one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from vetonet.crypto.keys import Algorithm, EcdsaSigningKey, PublicKey
from vetonet.errors import AppraisalError, EncodingError, InvalidSignatureError, Problem, VetonetError
from vetonet.units import Milliseconds

MAX_CERTIFICATE_BYTES: Final = 4096
SERIAL_BYTES: Final = 16  # RFC 5280 section 4.1.2.2 allows 20; the first bit stays clear
MAX_SERIAL: Final = 64  # ub-serial-number of X.520
KIND_PREFIX: Final = "tag:vetonet.example,2026:attester-kind:"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALGORITHMS: Final = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: Algorithm.ES256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: Algorithm.ES384,
}
# AlgorithmIdentifier without parameters (RFC 5758 section 3.2).
_ALGORITHM_DER: Final = {
    Algorithm.ES256: bytes.fromhex("300a06082a8648ce3d040302"),
    Algorithm.ES384: bytes.fromhex("300a06082a8648ce3d040303"),
}
_SERIAL: Final = re.compile(rf"[A-Za-z0-9 '()+,./:=?-]{{1,{MAX_SERIAL}}}")  # a PrintableString (X.680)
_LONG_FORM: Final = 0x80
_MAX_ATTEMPTS: Final = 128
_HASHES: Final[Mapping[Algorithm, hashes.SHA256 | hashes.SHA384]] = {
    Algorithm.ES256: hashes.SHA256(),
    Algorithm.ES384: hashes.SHA384(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCertificate:
    """A parsed device certificate; nothing in it is trusted before ``verify_device_certificate``.

    Attributes:
        data: the DER as received.
        device_key: the P-256 or P-384 key it is about.
        serial: what the maker calls the chip: serialNumber (2.5.4.5) of the subject, not of the certificate.
        not_before_ms, not_after_ms: its validity, both ends included (RFC 5280 section 4.1.2.5).
        signed_bytes: the part that the maker signed.
        algorithm: how the maker says it signed; nothing but the maker's key confirms it.
        signature: DER of r and s (X9.62).
    """

    data: bytes = field(repr=False)
    device_key: PublicKey
    serial: str
    not_before_ms: Milliseconds
    not_after_ms: Milliseconds
    signed_bytes: bytes = field(repr=False)
    algorithm: Algorithm
    signature: bytes = field(repr=False)

    def is_valid_during(self, start_ms: Milliseconds, end_ms: Milliseconds) -> bool:
        """Whether its validity covers all of this time."""
        return self.not_before_ms <= start_ms and end_ms <= self.not_after_ms

    def verify_validity(self, now: Milliseconds) -> None:
        """Hold that it is valid at ``now``.

        Raises:
            AppraisalError: it is not, or not any more.
        """
        if not self.is_valid_during(now, now):
            _refuse("certificate-expired", f"a device certificate that is not valid at {now}")

    @classmethod
    def from_bytes(cls, data: bytes) -> DeviceCertificate:
        """Return the certificate that untrusted bytes spell.

        Raises:
            EncodingError: oversize, not a certificate, or another form than the one accepted.
            AppraisalError: a certificate, but not one for a device.
        """
        if len(data) > MAX_CERTIFICATE_BYTES:
            msg = f"expected a certificate of at most {MAX_CERTIFICATE_BYTES} bytes, got {len(data)}"
            raise EncodingError(msg)
        try:
            parsed = x509.load_der_x509_certificate(data)
            algorithm = _verify_form(parsed, data)
            _verify_extensions(parsed.extensions)
            return cls._of(parsed, data, algorithm)
        except VetonetError:
            raise
        except Exception as error:  # any field may fail, when it is first read, with a class of its own
            msg = "not a certificate that can be read"
            raise EncodingError(msg) from error

    @classmethod
    def _of(cls, parsed: x509.Certificate, data: bytes, algorithm: Algorithm) -> DeviceCertificate:
        spki = parsed.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        device_key = PublicKey.from_bytes(spki)
        if device_key.algorithm not in _HASHES:
            _refuse("certificate-unusable", "expected a P-256 or P-384 device key")
        return cls(
            data=data,
            device_key=device_key,
            serial=_read_serial(parsed.subject),
            not_before_ms=_to_ms(parsed.not_valid_before_utc),
            not_after_ms=_to_ms(parsed.not_valid_after_utc),
            signed_bytes=parsed.tbs_certificate_bytes,
            algorithm=algorithm,
            signature=parsed.signature,
        )


def verify_device_certificate(data: bytes, root_key: PublicKey) -> DeviceCertificate:
    """Return a certificate in which a maker vouches for a device key, whenever that may be valid.

    Whoever admits a chip asks ``verify_validity``; whoever reads its reports holds their times against
    ``is_valid_during``.

    Args:
        data: untrusted DER.
        root_key: the maker's root key, as the treaty pins it; never taken from a certificate.

    Raises:
        EncodingError: not a certificate of the one accepted form.
        InvalidSignatureError: another root signed it, or it was altered, or its signature has the high ``s``.
        AppraisalError: not a device certificate.
    """
    certificate = DeviceCertificate.from_bytes(data)
    if certificate.algorithm is not root_key.algorithm:
        msg = f"a certificate by {certificate.algorithm.name}, the maker's key is {root_key.algorithm.name}"
        raise InvalidSignatureError(msg)
    root_key.verify(certificate.signed_bytes, _to_fixed_width(certificate.signature, root_key))
    return certificate


def issue_device_certificate(
    device_key: PublicKey,
    root: EcdsaSigningKey,
    *,
    endorser_id: str,
    serial: str,
    not_before_ms: Milliseconds,
    not_after_ms: Milliseconds,
) -> bytes:
    """Return a device certificate (DER) by a maker's root key (ECDSA); equal arguments give equal bytes.

    Args:
        device_key: a P-256 or P-384 key.
        root: the maker's.
        endorser_id: the maker's name.
        serial: what the maker calls the chip and calls no other.
        not_before_ms: from when on it is valid, in whole seconds.
        not_after_ms: until when.

    Raises:
        ValueError: another kind of key, or a serial that no certificate carries.
    """
    if not _SERIAL.fullmatch(serial):
        raise ValueError(f"expected a serial of 1 to {MAX_SERIAL} characters of X.680's PrintableString")
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "vetonet device"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
        ]
    )
    builder = _start(device_key, name, endorser_id, not_before_ms, not_after_ms)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_compute_key_usage(is_root=False), critical=True)
    return _sign(builder, device_key, root)


def issue_root_certificate(
    root: EcdsaSigningKey,
    *,
    endorser_id: str,
    not_before_ms: Milliseconds,
    not_after_ms: Milliseconds,
    attester_kind: str | None = None,
) -> bytes:
    """Return the maker's self-signed root (DER): for other tools; the treaty pins only the key.

    It names the kind of attester that the maker vouches for, where that is given (see ``name_kind``).
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, endorser_id)])
    builder = _start(root.public_key, name, endorser_id, not_before_ms, not_after_ms)
    if attester_kind is not None:
        names = [x509.UniformResourceIdentifier(name_kind(attester_kind))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_compute_key_usage(is_root=True), critical=True)
    return _sign(builder, root.public_key, root)


def name_kind(attester_kind: str) -> str:
    """Return the URI by which a root certificate says, among its alternative names, what its chips are."""
    return KIND_PREFIX + attester_kind


def _verify_form(parsed: x509.Certificate, data: bytes) -> Algorithm:
    """Return the algorithm of a certificate whose outside has the one spelling; the inside is signed."""
    algorithm = _ALGORITHMS.get(parsed.signature_algorithm_oid)
    if algorithm is None:
        _refuse("certificate-unusable", "expected a certificate signed with ECDSA and SHA-256 or SHA-384")
    r, s = utils.decode_dss_signature(parsed.signature)
    signature = _der(0x03, b"\x00" + utils.encode_dss_signature(r, s))
    if _der(0x30, parsed.tbs_certificate_bytes + _ALGORITHM_DER[algorithm] + signature) != data:
        msg = "not the one spelling of this certificate"
        raise EncodingError(msg)
    return algorithm


def _verify_extensions(extensions: x509.Extensions) -> None:
    """Hold that the certificate is for a device that signs, and demands nothing that we do not know."""
    found = {extension.oid: extension.value for extension in extensions}
    constraints = found.get(x509.BasicConstraints.oid)
    usage = found.get(x509.KeyUsage.oid)
    if not isinstance(constraints, x509.BasicConstraints) or constraints.ca:
        _refuse("certificate-unusable", "expected basic constraints that say: no certificate authority")
    if (
        not isinstance(usage, x509.KeyUsage)
        or not usage.digital_signature
        or usage.key_cert_sign
        or usage.crl_sign
    ):
        _refuse("certificate-unusable", "expected a key usage of digital signatures and no certificates")
    known = {x509.BasicConstraints.oid, x509.KeyUsage.oid}
    if any(extension.critical and extension.oid not in known for extension in extensions):
        _refuse("certificate-unusable", "a critical extension that vetonet does not know")


def _read_serial(subject: x509.Name) -> str:
    """Return the one serial that a maker gives the chip (VN-17.2)."""
    found = [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    if len(found) != 1 or not _SERIAL.fullmatch(found[0]):
        _refuse("certificate-unusable", "expected exactly one serial number of the device in its subject")
    return found[0]


def _to_fixed_width(signature: bytes, key: PublicKey) -> bytes:
    """Return r || s, the form in which ``PublicKey.verify`` refuses the high ``s``."""
    half = len(key.point) // 2
    try:
        r, s = utils.decode_dss_signature(signature)
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")
    except (ValueError, OverflowError) as error:
        msg = "the certificate's signature is no ECDSA signature of this curve"
        raise InvalidSignatureError(msg) from error


def _start(
    key: PublicKey, subject: x509.Name, issuer: str, not_before_ms: Milliseconds, not_after_ms: Milliseconds
) -> x509.CertificateBuilder:
    public = serialization.load_der_public_key(key.to_bytes())
    if not isinstance(public, ec.EllipticCurvePublicKey):
        msg = "expected an ECDSA key"
        raise ValueError(msg)  # noqa: TRY004  (the wrong kind of key, not of argument)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .not_valid_before(_to_datetime(not_before_ms))
        .not_valid_after(_to_datetime(not_after_ms))
    )


def _sign(builder: x509.CertificateBuilder, key: PublicKey, root: EcdsaSigningKey) -> bytes:
    """Return the certificate with the first serial number whose signature has the low ``s``.

    The library cannot normalise ``s``. With deterministic nonces (RFC 6979) each serial number fixes the
    signature, so the search ends after two tries on average, always at the same number.
    """
    for attempt in range(_MAX_ATTEMPTS):
        seed = sha256(key.key_id + attempt.to_bytes(4, "big")).digest()
        unsigned = builder.serial_number(int.from_bytes(seed[:SERIAL_BYTES], "big") >> 1 or 1)
        signed = unsigned.sign(root.private_key, _HASHES[root.public_key.algorithm], ecdsa_deterministic=True)
        if _has_low_s(signed.signature, root.private_key.curve):
            return signed.public_bytes(serialization.Encoding.DER)
    msg = "no serial number gives a signature with the low s"  # as likely as 128 heads in a row
    raise ValueError(msg)


def _has_low_s(signature: bytes, curve: ec.EllipticCurve) -> bool:
    _, s = utils.decode_dss_signature(signature)
    return s <= curve.group_order // 2


def _compute_key_usage(*, is_root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _der(tag: int, content: bytes) -> bytes:
    """Return one DER element; its length in the shortest form (X.690 section 10.1)."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _to_datetime(point_ms: Milliseconds) -> datetime:
    return _EPOCH + timedelta(milliseconds=point_ms)


def _to_ms(point: datetime) -> Milliseconds:
    return (point - _EPOCH) // timedelta(milliseconds=1)


def _refuse(reason: str, detail: str) -> NoReturn:
    raise AppraisalError(detail, problems=(Problem(reason=reason, detail=detail),))
