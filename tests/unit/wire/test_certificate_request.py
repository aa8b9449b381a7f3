"""Certificates for keys that their owner made: whom they name, the issuer says, not the request."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from vetonet.errors import ConfigError
from vetonet.wire.pki import Credential, Role, generate_authority, generate_request

NOW_MS = 1_800_000_000_000
AUTHORITY = generate_authority("treaty-test", now=NOW_MS)
KEY, REQUEST = generate_request("P1")


def certify(request: bytes, name: str = "P1") -> bytes:
    return AUTHORITY.certify(request, Role.PARTY, name, now=NOW_MS)


def spell(request: x509.CertificateSigningRequest) -> bytes:
    return request.public_bytes(serialization.Encoding.PEM)


def test_a_certified_request_is_the_credential_of_its_key() -> None:
    credential = Credential(
        certificate_pem=certify(REQUEST), key_pem=KEY, authority_pem=AUTHORITY.certificate_pem
    )
    assert credential.identity.to_uri() == "spiffe://treaty-test/party/P1"


def test_a_certificate_names_whom_the_issuer_says_whatever_the_request_asks_for() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://treaty-test/party/P2")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(asked, critical=False).sign(key, hashes.SHA256())
    pem = certify(spell(request))
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://treaty-test/party/P1"
    ]


def test_the_key_of_another_does_not_fit_a_certificate() -> None:
    with pytest.raises(ConfigError):
        Credential(
            certificate_pem=certify(REQUEST),
            key_pem=generate_request("P1")[0],
            authority_pem=AUTHORITY.certificate_pem,
        )


@pytest.mark.parametrize(
    "data", [b"", b"-----BEGIN CERTIFICATE REQUEST-----", KEY, AUTHORITY.certificate_pem]
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        certify(data)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_a_request_of_another_kind_of_key_is_refused(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    algorithm = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    with pytest.raises(ConfigError, match="P-256"):
        certify(spell(request))


def test_a_request_signed_with_another_key_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(REQUEST).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1  # within the signature, which stands last (RFC 2986 section 4.2)
    with pytest.raises(ConfigError):
        certify(spell(x509.load_der_x509_csr(bytes(der))))


def test_a_name_that_can_be_no_identity_is_refused() -> None:
    with pytest.raises(ConfigError):
        certify(REQUEST, "P1/../P2")
