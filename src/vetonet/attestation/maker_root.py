"""Makers' root certificates as a verifier pins them: from a file of its own, never from the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from vetonet.attestation.identity import KIND_PREFIX
from vetonet.crypto.keys import PublicKey
from vetonet.errors import EncodingError, VetonetError

MAX_ROOTS_BYTES: Final = 256 * 1024
MAX_ROOTS: Final = 64
UNNAMED_KIND: Final = "unnamed"
_PEM: Final = b"-----BEGIN"


class RootRole(StrEnum):
    """What a verifier trusts a root for; a key that is trusted for both is two roots."""

    DEVICES = "devices"
    MANIFESTS = "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerRoot:
    """A maker that a verifier trusts.

    Attributes:
        key: what signs its chips' certificates; nothing else of the certificate counts.
        name: what the certificate calls the maker.
        subject: DER of the certificate's whole subject, by which others' certificates name their issuer.
        kind: what the maker says that its chips are, such as ``SIMULATED``.
        role: what it is trusted for: to certify chips, or to vouch for reference manifests.
    """

    key: PublicKey
    name: str
    subject: bytes
    kind: str = UNNAMED_KIND
    role: RootRole = RootRole.DEVICES


def read_maker_roots(data: bytes) -> tuple[MakerRoot, ...]:
    """Return the roots in a file: certificates in PEM, or a single one in DER; at most 64.

    Raises:
        EncodingError: too large, none, more than 64, or one that is no certificate of an authority with
            a key of an algorithm that vetonet has, or that did not sign itself as it stands.
    """
    if len(data) > MAX_ROOTS_BYTES:
        raise EncodingError(f"expected roots of at most {MAX_ROOTS_BYTES} bytes, got {len(data)}")
    certificates = _load_certificates(data)
    try:
        return tuple(_read_root(certificate) for certificate in certificates)
    except VetonetError:
        raise
    except x509.ExtensionNotFound as error:
        raise EncodingError("expected certificates of authorities, got one that does not say so") from error
    except Exception as error:  # any field may fail, when it is first read, with a class of its own
        raise EncodingError("a certificate with a field that cannot be read") from error


def read_issuer(certificate: bytes) -> bytes:
    """Return DER of the name that a certificate gives its issuer; nobody vouches for it.

    Raises:
        EncodingError: not a certificate.
    """
    try:
        return x509.load_der_x509_certificate(certificate).issuer.public_bytes()
    except Exception as error:  # as above
        raise EncodingError("not a certificate that can be read") from error


def _load_certificates(data: bytes) -> list[x509.Certificate]:
    is_text = data.lstrip().startswith(_PEM)
    try:
        found = x509.load_pem_x509_certificates(data) if is_text else [x509.load_der_x509_certificate(data)]
    except Exception as error:  # what the library says of its parser helps nobody
        why = "no whole certificate in this PEM" if is_text else "neither PEM nor one certificate in DER"
        raise EncodingError(why) from error
    if len(found) > MAX_ROOTS:
        raise EncodingError(f"expected at most {MAX_ROOTS} roots, got {len(found)}")
    return found


def _read_root(certificate: x509.Certificate) -> MakerRoot:
    _verify_own_signature(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca:
        raise EncodingError("expected the certificate of an authority, got one that may sign no certificates")
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return MakerRoot(
        key=PublicKey.from_bytes(spki),
        name=_find_name(certificate.subject),
        subject=certificate.subject.public_bytes(),
        kind=_find_kind(certificate.extensions),
    )


def _verify_own_signature(certificate: x509.Certificate) -> None:
    """Hold that a root is as it was issued: it was pinned for its key, but its name and kind are printed.

    Raises:
        EncodingError: it names another issuer than itself, or was altered.
    """
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise EncodingError("a root whose own signature does not hold") from error


def _find_name(subject: x509.Name) -> str:
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else "a maker without a name"


def _find_kind(extensions: x509.Extensions) -> str:
    """Return the kind that a root names among its alternative names, which a vetonet root does."""
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            uris = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
            named = [uri.removeprefix(KIND_PREFIX) for uri in uris if uri.startswith(KIND_PREFIX)]
            return named[0] if len(named) == 1 else UNNAMED_KIND
    return UNNAMED_KIND
