"""Device certificates: one accepted form, one spelling, the pinned root key and nothing else (VN-8.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from vetonet.attestation.identity import (
    MAX_CERTIFICATE_BYTES,
    DeviceCertificate,
    issue_device_certificate,
    issue_root_certificate,
    verify_device_certificate,
)
from vetonet.crypto.keys import Algorithm, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.errors import AppraisalError, EncodingError, InvalidSignatureError, VetonetError

RNG = SeededRng(b"identity")
ROOTS = {algorithm: generate_ecdsa(RNG, algorithm) for algorithm in (Algorithm.ES256, Algorithm.ES384)}
ROOT, OTHER_ROOT, DEVICE = ROOTS[Algorithm.ES256], generate_ecdsa(RNG), generate_ecdsa(RNG)
FIRST_MS, LAST_MS = 1_700_000_000_000, 1_900_000_000_000
SERIAL = "Test Chip-000001"
VALIDITY: dict[str, Any] = {
    "endorser_id": "maker",
    "not_before_ms": FIRST_MS,
    "not_after_ms": LAST_MS,
}
CERTIFICATE = issue_device_certificate(DEVICE.public_key, ROOT, serial=SERIAL, **VALIDITY)
ORDER = ec.SECP256R1().group_order


def build(
    *,
    key: Any = None,
    ca: bool | None = False,
    signs: bool = True,
    certifies: bool = False,
    extra: x509.ExtensionType | None = None,
    algorithm: Any = None,
) -> bytes:
    """A certificate by the root that is off in one way."""
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    public: Any = key or serialization.load_der_public_key(DEVICE.public_key.to_bytes())
    for serial in range(1, 100):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public)
        builder = builder.not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        builder = builder.not_valid_after(datetime(2030, 1, 1, tzinfo=UTC)).serial_number(serial)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=signs,
                key_cert_sign=certifies,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        signed = builder.sign(ROOT.private_key, algorithm or hashes.SHA256(), ecdsa_deterministic=True)
        if utils.decode_dss_signature(signed.signature)[1] <= ORDER // 2:
            return signed.public_bytes(serialization.Encoding.DER)
    raise AssertionError


@pytest.mark.parametrize("algorithm", list(ROOTS))
def test_a_device_certificate_yields_the_key_it_is_about(algorithm: Algorithm) -> None:
    root = ROOTS[algorithm]
    data = issue_device_certificate(DEVICE.public_key, root, serial=SERIAL, **VALIDITY)
    certificate = verify_device_certificate(data, root.public_key)
    assert certificate.device_key == DEVICE.public_key
    for now in (FIRST_MS, LAST_MS):
        certificate.verify_validity(now)


def test_issuing_twice_gives_the_same_bytes() -> None:
    assert issue_device_certificate(DEVICE.public_key, ROOT, serial=SERIAL, **VALIDITY) == CERTIFICATE


def test_every_issued_certificate_has_the_low_s() -> None:
    for index in range(12):
        key = generate_ecdsa(SeededRng(bytes([index]))).public_key
        data = issue_device_certificate(key, ROOT, serial=SERIAL, **VALIDITY)
        assert verify_device_certificate(data, ROOT.public_key).device_key == key


@pytest.mark.parametrize("now", [FIRST_MS - 1, LAST_MS + 1])
def test_a_certificate_outside_its_validity_is_refused(now: int) -> None:
    with pytest.raises(AppraisalError) as caught:
        verify_device_certificate(CERTIFICATE, ROOT.public_key).verify_validity(now)
    assert [problem.reason for problem in caught.value.problems] == ["certificate-expired"]


def test_a_root_of_the_same_name_with_another_key_is_refused() -> None:
    forged = issue_device_certificate(DEVICE.public_key, OTHER_ROOT, serial=SERIAL, **VALIDITY)
    with pytest.raises(InvalidSignatureError):
        verify_device_certificate(forged, ROOT.public_key)


def test_a_root_on_another_curve_is_refused() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_device_certificate(CERTIFICATE, ROOTS[Algorithm.ES384].public_key)


def test_every_changed_byte_is_refused() -> None:
    for offset in range(len(CERTIFICATE)):
        for flip in (0x01, 0x80):
            changed = bytearray(CERTIFICATE)
            changed[offset] ^= flip
            with pytest.raises(VetonetError):
                verify_device_certificate(bytes(changed), ROOT.public_key)


@pytest.mark.parametrize("size", [0, 1, 2, 100, len(CERTIFICATE) - 1])
def test_a_cut_certificate_is_refused(size: int) -> None:
    with pytest.raises(EncodingError):
        DeviceCertificate.from_bytes(CERTIFICATE[:size])


def test_a_certificate_with_trailing_bytes_is_refused() -> None:
    with pytest.raises(EncodingError):
        DeviceCertificate.from_bytes(CERTIFICATE + b"\x00")


def test_an_oversize_certificate_is_refused_unread() -> None:
    with pytest.raises(EncodingError, match="at most"):
        DeviceCertificate.from_bytes(bytes(MAX_CERTIFICATE_BYTES + 1))


def test_the_twin_of_a_signature_is_refused() -> None:
    parsed = DeviceCertificate.from_bytes(CERTIFICATE)
    r, s = utils.decode_dss_signature(parsed.signature)
    twin = utils.encode_dss_signature(r, ORDER - s)
    ROOT.private_key.public_key().verify(twin, parsed.signed_bytes, ec.ECDSA(hashes.SHA256()))
    body = parsed.signed_bytes + bytes.fromhex("300a06082a8648ce3d040302")
    body += bytes([3, len(twin) + 1, 0]) + twin
    with pytest.raises(InvalidSignatureError):
        verify_device_certificate(b"\x30\x82" + len(body).to_bytes(2, "big") + body, ROOT.public_key)


UNUSABLE: dict[str, dict[str, Any]] = {
    "a certificate authority": {"ca": True},
    "no basic constraints": {"ca": None},
    "no digital signatures": {"signs": False},
    "may sign certificates": {"certifies": True, "ca": True},
    "an unknown critical extension": {"extra": x509.InhibitAnyPolicy(0)},
    "a P-384 device key": {"key": ec.derive_private_key(5, ec.SECP384R1()).public_key()},
    "signed with SHA-512": {"algorithm": hashes.SHA512()},
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in UNUSABLE.items()])
def test_a_certificate_that_is_not_for_a_device_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AppraisalError) as caught:
        verify_device_certificate(build(**change), ROOT.public_key)
    assert [problem.reason for problem in caught.value.problems] == ["certificate-unusable"]


def test_a_key_that_vetonet_does_not_use_is_refused() -> None:
    key = ec.derive_private_key(5, ec.SECP256K1()).public_key()
    with pytest.raises(EncodingError):
        verify_device_certificate(build(key=key), ROOT.public_key)


def test_a_root_certificate_is_no_device_certificate() -> None:
    root = issue_root_certificate(ROOT, **VALIDITY)
    with pytest.raises(AppraisalError):
        verify_device_certificate(root, ROOT.public_key)


def test_the_chain_verifies_with_a_tool_that_is_not_ours() -> None:
    device = x509.load_der_x509_certificate(CERTIFICATE)
    root = x509.load_der_x509_certificate(issue_root_certificate(ROOT, **VALIDITY))
    device.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)


def test_a_device_key_may_be_p_384() -> None:
    device = generate_ecdsa(RNG, Algorithm.ES384)
    for root in ROOTS.values():
        data = issue_device_certificate(device.public_key, root, serial=SERIAL, **VALIDITY)
        certificate = verify_device_certificate(data, root.public_key)
        assert (certificate.device_key, certificate.serial) == (device.public_key, SERIAL)


@pytest.mark.parametrize("serial", ["", "x" * 65, "a_b", "ä", "a\n"])
def test_a_serial_that_no_certificate_carries_is_refused(serial: str) -> None:
    """VN-17.2"""
    with pytest.raises(ValueError, match="serial"):
        issue_device_certificate(DEVICE.public_key, ROOT, serial=serial, **VALIDITY)
