"""Reads a reference manifest: a SWID tag (ISO/IEC 19770-2) in XML with an enveloped signature.

Nothing outside the file is ever read and nothing in it expands: document types, entities, processing
instructions and other encodings than UTF-8 are refused before the parser sees them. What is read is what the
signature covers. The signature itself is judged by signxml, which is an extra of the package (``rim``).
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from vetonet.attestation.spdm.certificate import MAX_CERTIFICATES, Certificate
from vetonet.attestation.spdm.manifest import GoldenMeasurement, Manifest, SignedManifest
from vetonet.attestation.spdm.message import DIGEST_BYTES
from vetonet.errors import EncodingError, VerificationError

MAX_MANIFEST_BYTES: Final = 2**20
MAX_MEASUREMENTS: Final = 256
MAX_ALTERNATIVES: Final = 256

_SWID: Final = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
_HASH: Final = "{http://www.w3.org/2001/04/xmlenc#sha384}Hash"
_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_CERTIFICATE: Final = ".//{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_DECLARATION: Final = re.compile(
    rb"""\s*<\?xml version=(['"])1\.0\1(?: encoding=(['"])(?i:utf-8)\2)?\s*\?>"""
)
_COMMENT_START, _COMMENT_END = b"<!--", b"-->"
_FORBIDDEN: Final = (b"<!", b"<?", b"\0")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)


def read_manifest(data: bytes, name: str) -> SignedManifest:
    """Return the manifest in a file, and what its own signature says of it.

    Raises:
        EncodingError: too large, not XML of this kind, or something in it is malformed.
    """
    root = _parse(data)
    chain = _read_chain(root)
    try:
        signed = _verify_signature(data, chain[0])
    except VerificationError as error:
        return SignedManifest(name=name, manifest=None, fault=str(error), chain=chain)
    return SignedManifest(name=name, manifest=_read_manifest(signed), chain=chain)


def _make_parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def _parse(data: bytes) -> etree._Element:
    if len(data) > MAX_MANIFEST_BYTES:
        raise EncodingError(f"expected a manifest of at most {MAX_MANIFEST_BYTES} bytes, got {len(data)}")
    declared = _DECLARATION.match(data)
    bare = _drop_comments(data[declared.end() :] if declared else data)
    for mark in _FORBIDDEN:
        if mark in bare:
            raise EncodingError(
                f"expected a manifest without {mark.decode()!r}: no document type, no entities"
            )
    try:
        root = etree.fromstring(data.strip(), _make_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise EncodingError(f"not XML: {_say(error)}") from error
    if root is None or root.tag != f"{_SWID}SoftwareIdentity":
        raise EncodingError("expected a SWID tag (SoftwareIdentity)")
    return root


def _drop_comments(data: bytes) -> bytes:
    """Return what stands outside of comments, in one pass; one that does not end stays, and is refused."""
    kept, place = list[bytes](), 0
    while (start := data.find(_COMMENT_START, place)) >= 0:
        end = data.find(_COMMENT_END, start + len(_COMMENT_START))
        if end < 0:
            break
        kept.append(data[place:start])
        place = end + len(_COMMENT_END)
    return b"".join((*kept, data[place:]))


def _read_chain(root: etree._Element) -> tuple[Certificate, ...]:
    """Return the certificates in the signature, the signer's first."""
    signatures = root.findall(f".//{_SIGNATURE}")
    if len(signatures) != 1 or signatures[0].getparent() is not root:
        raise EncodingError(f"expected one signature in the manifest, got {len(signatures)}")
    found = signatures[0].findall(_CERTIFICATE)
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise EncodingError(f"expected 1 to {MAX_CERTIFICATES} certificates, got {len(found)}")
    return tuple(Certificate.from_bytes(_read_base64(element.text or "")) for element in found)


def _verify_signature(data: bytes, signer: Certificate) -> etree._Element:
    """Return what the signature covers.

    Whether the signer's certificate is anybody's, and valid now, is not asked here; signxml gets the time at
    which its validity begins, and no other: next to it there may be none.

    Raises:
        VerificationError: the signature does not hold, or covers something else than the manifest.
    """
    certificate = x509.load_der_x509_certificate(signer.data)
    config = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=frozenset({SignatureMethod.ECDSA_SHA384}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA384}),
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        found = XMLVerifier().verify(
            etree.fromstring(data.strip(), _make_parser()), x509_cert=certificate, expect_config=config
        )
    except Exception as error:  # whatever it raises on hostile input, the signature was not verified
        raise VerificationError(f"the signature does not hold: {_say(error)}") from error
    signed = found.signed_xml if isinstance(found, VerifyResult) else None
    if signed is None or signed.tag != f"{_SWID}SoftwareIdentity":
        raise VerificationError("the signature covers something else than the manifest")
    return signed


def _say(error: Exception) -> str:
    """Return what a library says of hostile input, in one short line."""
    said = " ".join(str(error).split())[:120]
    return "".join(c if c.isprintable() else "?" for c in said) or type(error).__name__


def _read_manifest(signed: etree._Element) -> Manifest:
    metas, payloads = signed.findall(f"{_SWID}Meta"), signed.findall(f"{_SWID}Payload")
    if len(metas) != 1 or len(payloads) != 1:
        raise EncodingError(f"expected one Meta and one Payload, got {len(metas)} and {len(payloads)}")
    resources = payloads[0].findall(f"{_SWID}Resource")
    if len(resources) > MAX_MEASUREMENTS:
        raise EncodingError(f"expected at most {MAX_MEASUREMENTS} measurements, got {len(resources)}")
    found = [_read_resource(resource) for resource in resources]
    if len({index for index, _ in found}) != len(found):
        raise EncodingError("expected each measurement once")
    active = tuple(golden for _, golden in found if golden is not None)
    if not active:
        raise EncodingError("expected at least one active measurement")
    return Manifest(
        product=_read_attribute(metas[0], "product"),
        version=_read_attribute(metas[0], "colloquialVersion"),
        measurements=active,
    )


def _read_resource(resource: etree._Element) -> tuple[int, GoldenMeasurement | None]:
    """Return the index of one measurement, and what it may be where it counts."""
    if _read_attribute(resource, "type") != "Measurement":
        raise EncodingError("expected resources of type Measurement")
    index, count = _read_number(resource, "index"), _read_number(resource, "alternatives")
    if _read_number(resource, "size") != DIGEST_BYTES or not 1 <= count <= MAX_ALTERNATIVES:
        raise EncodingError(
            f"measurement {index}: expected 1 to {MAX_ALTERNATIVES} digests of {DIGEST_BYTES} bytes"
        )
    allowed = tuple(_read_digest(resource, f"{_HASH}{place}") for place in range(count))
    match _read_attribute(resource, "active"):
        case "True":
            return index, GoldenMeasurement(index=index, allowed=allowed)
        case "False":
            return index, None
        case other:
            raise EncodingError(f"measurement {index}: expected active True or False, got {other[:40]!r}")


def _read_attribute(element: etree._Element, name: str) -> str:
    value = element.get(name)
    if not isinstance(value, str) or not value.isprintable():
        raise EncodingError(f"expected {name} in a manifest's {etree.QName(element).localname}")
    return value


def _read_number(element: etree._Element, name: str) -> int:
    text = _read_attribute(element, name)
    if not _NUMBER.fullmatch(text):
        raise EncodingError(f"expected {name} as a number, got {text[:40]!r}")
    return int(text)


def _read_digest(element: etree._Element, name: str) -> bytes:
    text = _read_attribute(element, name)
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise EncodingError(f"expected a digest of {DIGEST_BYTES} bytes, got {text[:40]!r}")
    return digest


def _read_base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise EncodingError("expected a certificate in base64") from error
