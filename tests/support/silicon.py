"""A maker of GPUs and switches of our own: chips with chains of five certificates, reports, manifests."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from vetonet.attestation.ear import AttestationResult
from vetonet.attestation.maker_root import MakerRoot, RootRole, read_maker_roots
from vetonet.attestation.spdm.appraise_spdm import SpdmExpectations, appraise_entries, merge_results
from vetonet.attestation.spdm.evidence_entry import read_evidence
from vetonet.attestation.spdm.manifest import SignedManifest
from vetonet.attestation.spdm.opaque import Field
from vetonet.crypto.keys import Algorithm, EcdsaSigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng

P384_ORDER = int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)
ASKED = bytes.fromhex("a5" * 32)
FIRMWARE_ID = bytes.fromhex("f1" * 48)
DRIVER, VBIOS = "590.12", "96.00.A5.00.01"
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)
NOW = 1_780_000_000_000  # in May 2026
TOO_EARLY, TOO_LATE = 1_600_000_000_000, 2_100_000_000_000
MEASUREMENTS = tuple(bytes([index]) * 48 for index in range(64))
_COMPOSITE = (bytes.fromhex("3081ba020101"), bytes.fromhex("303d06096086480165030402020430"))


def make_key(name: str) -> EcdsaSigningKey:
    return generate_ecdsa(SeededRng(name.encode()), Algorithm.ES384)


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*, is_authority: bool) -> x509.KeyUsage:
    rest = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"),
        False,
    )
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=False,
        decipher_only=False,
        **rest,
    )


@dataclass(frozen=True, kw_only=True)
class Link:
    """How one certificate of a chain is made; what is None is left out."""

    name: str
    key: EcdsaSigningKey
    is_authority: bool | None = True
    path_length: int | None = None
    can_certify: bool = True
    start: datetime = START
    end: datetime = END
    issuer: str | None = None
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def certify(link: Link, by: Link) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(link.name))
        .issuer_name(name_of(link.issuer or by.name))
        .public_key(link.key.private_key.public_key())
        .serial_number(1 + int.from_bytes(link.key.public_key.key_id[:8], "big"))
        .not_valid_before(link.start)
        .not_valid_after(link.end)
        .add_extension(usage(is_authority=link.can_certify), critical=True)
    )
    if link.is_authority is not None:
        constraints = x509.BasicConstraints(ca=link.is_authority, path_length=link.path_length)
        builder = builder.add_extension(constraints, critical=True)
    for extension, is_critical in link.extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(by.key.private_key, hashes.SHA384(), ecdsa_deterministic=True)


def name_chip(
    product: str = "GH100", serial: str = "0001", maker: str = "NVIDIA"
) -> x509.SubjectAlternativeName:
    text = f"{maker}:{product}:{serial}".encode()
    value = bytes((0x0C, len(text))) + text
    return x509.SubjectAlternativeName(
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.412.274.1"), value)]
    )


def name_firmware(by: EcdsaSigningKey, digest: bytes = FIRMWARE_ID) -> x509.UnrecognizedExtension:
    head, middle = _COMPOSITE
    value = head + by.public_key.to_bytes() + middle + digest
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.23.133.5.4.1"), value)


def make_links(
    chip: str = "chip 1", *, product: str = "GH100", maker: str = "maker", digest: bytes = FIRMWARE_ID
) -> list[Link]:
    """The chip's own certificate first, the root last."""
    rom = make_key(f"rom of {chip}")
    named = ((name_chip(product, chip), False), (name_firmware(rom, digest), False))
    return [
        Link(
            name=f"{product} FMC {chip}",
            key=make_key(chip),
            is_authority=None,
            can_certify=False,
            extensions=named,
        ),
        Link(name=f"{product} ROM {chip}", key=rom),
        Link(name="provisioner", key=make_key(f"provisioner of {maker}")),
        Link(name="identity", key=make_key(f"identity of {maker}")),
        Link(name="root of devices", key=make_key(f"device root of {maker}")),
    ]


def build_chain(links: Sequence[Link]) -> tuple[x509.Certificate, ...]:
    issuers = (*links[1:], links[-1])
    return tuple(certify(link, by) for link, by in zip(links, issuers, strict=True))


def to_pem(chain: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)


def make_opaque(changes: Mapping[int, bytes | None] | None = None) -> bytes:
    fields: dict[int, bytes | None] = {
        Field.VBIOS_VERSION: bytes.fromhex("00a5009601000000"),
        Field.CHIP_SKU: b"885\0",
        Field.DRIVER_VERSION: DRIVER.encode() + b"\0",
        Field.MEASUREMENT_COUNTS: b"".join(count.to_bytes(4, "little") for count in range(64)),
        Field.FIRMWARE_ID: FIRMWARE_ID,
        Field.FEATURE_FLAG: b"\2\0",
        **(changes or {}),
    }
    return b"".join(
        int(kind).to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
        for kind, value in fields.items()
        if value is not None
    )


def make_record(measurements: Sequence[bytes]) -> bytes:
    return b"".join(
        bytes((index, 1, 51, 0, 1, 48, 0)) + value for index, value in enumerate(measurements, start=1)
    )


def make_report(
    key: EcdsaSigningKey,
    *,
    nonce: bytes = ASKED,
    measurements: Sequence[bytes] = MEASUREMENTS,
    opaque: bytes | None = None,
) -> bytes:
    record, fields = make_record(measurements), make_opaque() if opaque is None else opaque
    signed = (
        bytes.fromhex("11e001ff")
        + nonce
        + b"\0"
        + bytes.fromhex("11600000")
        + bytes([len(measurements)])
        + len(record).to_bytes(3, "little")
        + record
        + bytes(range(32))
        + len(fields).to_bytes(2, "little")
        + fields
    )
    return signed + key.sign(signed)


def twin_of(report: bytes) -> bytes:
    """The report with n - s for the s at its end: a signature that verifies as well."""
    return report[:-48] + (P384_ORDER - int.from_bytes(report[-48:], "big")).to_bytes(48, "big")


def make_fields(report: bytes, pem: bytes, **changes: Any) -> dict[str, Any]:
    """One entry of a file of evidence; a change to None leaves the field out."""
    fields = {
        "arch": "HOPPER",
        "certificate": b64encode(pem).decode(),
        "driver_version": DRIVER,
        "evidence": b64encode(report).decode(),
        "nonce": ASKED.hex(),
        "vbios_version": VBIOS,
        "version": "1.0",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def to_file(*entries: dict[str, Any]) -> bytes:
    return json.dumps(entries).encode()


@cache
def pem_of(chip: str = "chip 1", product: str = "GH100", maker: str = "maker") -> bytes:
    return to_pem(build_chain(make_links(chip, product=product, maker=maker)))


@cache
def good_entry(chip: str = "chip 1") -> bytes:
    return json.dumps(make_fields(make_report(make_key(chip)), pem_of(chip))).encode()


def good_fields(chip: str = "chip 1") -> dict[str, Any]:
    return dict(json.loads(good_entry(chip)))


def switch_fields(chip: str = "switch 1", **changes: Any) -> dict[str, Any]:
    dropped: dict[int, bytes | None] = {
        Field.DRIVER_VERSION: None,
        Field.FIRMWARE_ID: None,
        Field.VBIOS_VERSION: b"96.10.73.00.01",
    }
    report = make_report(make_key(chip), measurements=MEASUREMENTS[:31], opaque=make_opaque(dropped))
    pem = pem_of(chip, "LS_10")
    return make_fields(report, pem, arch="LS10", driver_version=None, vbios_version=None, **changes)


# ---------------------------------------------------------------- manifests


def make_manifest_links(maker: str = "maker") -> list[Link]:
    return [
        Link(name="signer", key=make_key(f"signer of {maker}"), is_authority=False, can_certify=False),
        Link(name="manifests", key=make_key(f"manifests of {maker}"), path_length=0),
        Link(name="root of manifests", key=make_key(f"manifest root of {maker}")),
    ]


def make_resource(index: int, allowed: Sequence[bytes], *, is_active: bool = True) -> str:
    digests = " ".join(f'n2:Hash{place}="{digest.hex()}"' for place, digest in enumerate(allowed))
    return (
        f'<Resource type="Measurement" index="{index}" active="{is_active}" alternatives="{len(allowed)}" '
        f'{digests} name="m{index}" size="48"/>'
    )


def make_swid(
    version: str,
    golden: Mapping[int, Sequence[bytes]],
    *,
    product: str = "GH100",
    inactive: Sequence[int] = (),
) -> str:
    resources = [make_resource(index, allowed) for index, allowed in golden.items()]
    resources += [make_resource(index, [bytes(48)], is_active=False) for index in inactive]
    return (
        '<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" '
        f'xmlns:n2="http://www.w3.org/2001/04/xmlenc#sha384" name="{product}">'
        f'<Meta colloquialVersion="{version}" product="{product}"/>'
        f"<Payload>{''.join(resources)}</Payload></SoftwareIdentity>"
    )


def sign_manifest(text: str, links: Sequence[Link] | None = None) -> bytes:
    from lxml import etree  # noqa: PLC0415  (an optional extra)
    from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod  # noqa: PLC0415
    from signxml.signer import XMLSigner  # noqa: PLC0415

    links = make_manifest_links() if links is None else links
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.ECDSA_SHA384,
        digest_algorithm=DigestAlgorithm.SHA384,
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_1,
    )
    chain = list(build_chain(links))
    signed = signer.sign(etree.fromstring(text.encode()), key=links[0].key.private_key, cert=chain)
    return bytes(etree.tostring(signed))


def read(data: bytes, name: str = "a.swidtag") -> SignedManifest:
    from vetonet.attestation.spdm.manifest_xml import read_manifest  # noqa: PLC0415  (an optional extra)

    return read_manifest(data, name)


GOLDEN_DRIVER = {index: [MEASUREMENTS[index]] for index in range(20, 40)}
GOLDEN_VBIOS = {index: [MEASUREMENTS[index]] for index in range(10)} | {12: [bytes(48), MEASUREMENTS[12]]}


@cache
def driver_manifest() -> bytes:
    return sign_manifest(make_swid(DRIVER, GOLDEN_DRIVER, inactive=(0, 1)))


@cache
def vbios_manifest() -> bytes:
    return sign_manifest(make_swid(VBIOS, GOLDEN_VBIOS, inactive=(10, 11)))


@cache
def good_manifests() -> tuple[SignedManifest, ...]:
    return read(driver_manifest(), "driver"), read(vbios_manifest(), "vbios")


# ---------------------------------------------------------------- appraisal


@cache
def roots_pem(maker: str = "maker") -> bytes:
    return to_pem(build_chain(make_links(maker=maker))[-1:])


@cache
def rim_roots_pem(maker: str = "maker") -> bytes:
    return to_pem(build_chain(make_manifest_links(maker))[-1:])


def pin(maker: str = "maker") -> tuple[MakerRoot, ...]:
    """What a verifier trusts this maker's two roots for."""
    vouching = tuple(replace(r, role=RootRole.MANIFESTS) for r in read_maker_roots(rim_roots_pem(maker)))
    return read_maker_roots(roots_pem(maker)) + vouching


def judge(data: bytes, **changes: Any) -> AttestationResult:
    """What a file of evidence is worth to a verifier who has everything; keywords change what it expects."""
    expected = {"nonce": ASKED, "roots": pin(), "now": NOW, "manifests": good_manifests(), **changes}
    return merge_results(appraise_entries(read_evidence(data), SpdmExpectations(**expected)))


def list_reasons(result: AttestationResult) -> list[str]:
    """The codes of everything that was not verified, each once."""
    return sorted({judgement.reason for judgement in result.failed})
