"""Who is at the other end: P-256 certificates that name a participant by its SPIFFE id, for mutual TLS.

The transport identity only decides who may ask; what counts as said is what a statement's signature says.
Certificates are P-256 because BoringSSL, which gRPC carries, does not take Ed25519 ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vetonet.errors import ConfigError
from vetonet.units import MS_PER_HOUR, MS_PER_S, Milliseconds
from vetonet.wire.identity import SCHEME, Identity, Role

__all__ = [
    "Authority",
    "Credential",
    "Identity",
    "Role",
    "channel_credentials",
    "generate_authority",
    "generate_request",
    "server_credentials",
]

DEFAULT_LIFETIME_MS: Final = 365 * 24 * MS_PER_HOUR
CLOCK_SKEW_MS: Final = MS_PER_HOUR
"""Certificates begin to hold this much earlier, so that a clock that is a little slow still takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A participant's certificate and key, and the authority whose certificates it accepts; all PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    authority_pem: bytes

    def __post_init__(self) -> None:
        """Refuse what is no PEM, a key of another certificate, and a certificate without an identity."""
        certificate, key = _load_certificate(self.certificate_pem), _load_key(self.key_pem)
        _load_certificate(self.authority_pem)
        if certificate.public_key() != key.public_key():
            msg = "the private key is not that of the certificate"
            raise ConfigError(msg)
        _read_identity(certificate)

    @property
    def identity(self) -> Identity:
        """Who the certificate names."""
        return _read_identity(_load_certificate(self.certificate_pem))


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority for one trust domain."""

    trust_domain: str
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no PEM and a key of another certificate."""
        if _load_certificate(self.certificate_pem).public_key() != _load_key(self.key_pem).public_key():
            msg = "the private key is not that of the authority's certificate"
            raise ConfigError(msg)

    def issue(
        self, role: Role, name: str, *, now: Milliseconds, lifetime_ms: Milliseconds = DEFAULT_LIFETIME_MS
    ) -> Credential:
        """Return a fresh key and its certificate for a participant.

        Args:
            role: what the participant is.
            name: its id in the treaty, or the coordinator's own.
            now: when the certificate begins to hold, save for ``CLOCK_SKEW_MS``.
            lifetime_ms: how long it holds from then.

        Raises:
            ConfigError: the name cannot be part of a SPIFFE id.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        return Credential(
            certificate_pem=self._certify(key.public_key(), role, name, now=now, lifetime_ms=lifetime_ms),
            key_pem=_key_to_pem(key),
            authority_pem=self.certificate_pem,
        )

    def certify(
        self,
        request_pem: bytes,
        role: Role,
        name: str,
        *,
        now: Milliseconds,
        lifetime_ms: Milliseconds = DEFAULT_LIFETIME_MS,
    ) -> bytes:
        """Return a certificate, in PEM, for the key of a request; whom it names, the caller says.

        Args:
            request_pem: as ``generate_request`` makes it; untrusted, and nothing but its key is taken.
            role: what the participant is.
            name: its id in the treaty.
            now: when the certificate begins to hold, save for ``CLOCK_SKEW_MS``.
            lifetime_ms: how long it holds from then.

        Raises:
            ConfigError: no request, not signed with its own key, of no P-256 key, or as ``issue``.
        """
        return self._certify(_load_request(request_pem), role, name, now=now, lifetime_ms=lifetime_ms)

    def _certify(
        self,
        key: ec.EllipticCurvePublicKey,
        role: Role,
        name: str,
        *,
        now: Milliseconds,
        lifetime_ms: Milliseconds,
    ) -> bytes:
        identity = Identity(trust_domain=self.trust_domain, role=role, name=name)
        issuer = _load_certificate(self.certificate_pem)
        builder = _start(identity.to_uri(), key, now=now, lifetime_ms=lifetime_ms)
        names = [x509.UniformResourceIdentifier(identity.to_uri()), x509.DNSName(identity.server_name)]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            builder.issuer_name(issuer.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(_load_key(self.key_pem), hashes.SHA256())
        )
        return _to_pem(certificate)


def generate_request(name: str) -> tuple[bytes, bytes]:
    """Return a fresh P-256 key and a request for its certificate (RFC 2986), both in PEM.

    Args:
        name: for people; whom the certificate will name, its issuer says.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(name)).sign(key, hashes.SHA256())
    return _key_to_pem(key), request.public_bytes(serialization.Encoding.PEM)


def generate_authority(
    trust_domain: str, *, now: Milliseconds, lifetime_ms: Milliseconds = 10 * DEFAULT_LIFETIME_MS
) -> Authority:
    """Return a fresh authority for this trust domain.

    Raises:
        ConfigError: the trust domain cannot be part of a SPIFFE id.
    """
    Identity(trust_domain=trust_domain, role=Role.COORDINATOR, name="any")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _start(f"{SCHEME}{trust_domain}", key.public_key(), now=now, lifetime_ms=lifetime_ms)
    certificate = (
        builder.issuer_name(_name(f"{SCHEME}{trust_domain}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(
        trust_domain=trust_domain, certificate_pem=_to_pem(certificate), key_pem=_key_to_pem(key)
    )


def server_credentials(credential: Credential) -> grpc.ServerCredentials:
    """Return what a server needs to show this certificate and to demand one of the same authority."""
    return grpc.ssl_server_credentials(
        [(credential.key_pem, credential.certificate_pem)],
        root_certificates=credential.authority_pem,
        require_client_auth=True,
    )


def channel_credentials(credential: Credential) -> grpc.ChannelCredentials:
    """Return what a client needs to show this certificate and to demand one of the same authority."""
    return grpc.ssl_channel_credentials(
        root_certificates=credential.authority_pem,
        private_key=credential.key_pem,
        certificate_chain=credential.certificate_pem,
    )


_AUTHORITY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _start(
    subject: str, key: ec.EllipticCurvePublicKey, *, now: Milliseconds, lifetime_ms: Milliseconds
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_to_datetime(now - CLOCK_SKEW_MS))
        .not_valid_after(_to_datetime(now + lifetime_ms))
    )


def _name(uri: str) -> x509.Name:
    # A common name holds at most 64 characters (RFC 5280 appendix A.1); the alternative name is what counts.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri.removeprefix(SCHEME)[-64:])])


def _to_datetime(time_ms: Milliseconds) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ms // MS_PER_S)


def _to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        msg = "expected a certificate in PEM"
        raise ConfigError(msg) from error


def _load_request(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(pem)
        is_own = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("expected a certificate request in PEM") from error
    if not is_own or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ConfigError("expected a certificate request of a P-256 key, signed with that key")
    return key


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        msg = "expected an unencrypted private key in PEM"
        raise ConfigError(msg) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        msg = "expected a P-256 private key"
        raise ConfigError(msg)
    return key


def _read_identity(certificate: x509.Certificate) -> Identity:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        msg = "expected a certificate with a SPIFFE id"
        raise ConfigError(msg) from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        msg = f"expected a certificate with one SPIFFE id, got {len(uris)}"
        raise ConfigError(msg)
    return Identity.from_uri(uris[0])
