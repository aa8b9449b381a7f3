"""One chip's evidence in one file: a report, and what holds it against a maker's root (VN-17.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.identity import (
    MAX_CERTIFICATE_BYTES,
    DeviceCertificate,
    verify_device_certificate,
)
from vetonet.attestation.maker_root import MakerRoot, read_issuer
from vetonet.attestation.report import ComputeReport
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Signed, Verified, open_statement, verify_statement
from vetonet.encoding.record import MAX_STATEMENT_BYTES, Record, bstr, member
from vetonet.errors import AppraisalError, InvalidSignatureError, Problem, UnknownPartyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Record):
    """What one chip hands to a verifier that has no log at hand.

    Attributes:
        report: the report as signed by the chip's alias key.
        alias: the endorsement of that key, as signed by the device key.
        certificate: DER of the maker's certificate of the device key.
    """

    MAX_BYTES: ClassVar[int] = 32 * 1024

    report: bytes = member(1, bstr(1, MAX_STATEMENT_BYTES))
    alias: bytes = member(2, bstr(1, MAX_STATEMENT_BYTES))
    certificate: bytes = member(3, bstr(1, MAX_CERTIFICATE_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEvidence:
    """Evidence whose signatures hold from the pinned root down; what it says is not yet judged.

    Attributes:
        root: the maker.
        certificate: what the maker says of the chip.
        alias: what the chip says of its boot.
        report: the signer and the bytes of the claims.
    """

    root: MakerRoot
    certificate: DeviceCertificate
    alias: Signed[AliasEndorsement]
    report: Verified = field(repr=False)

    @property
    def name(self) -> str:
        """The chip, for people."""
        return f"chip {self.certificate.device_key.ueid.hex()[:16]} of {self.root.name}"


def open_evidence(evidence: Evidence, roots: Sequence[MakerRoot]) -> OpenedEvidence:
    """Return evidence after verifying every signature, from one of the pinned roots down to the claims.

    Raises:
        EncodingError: a part is not what it should be at all.
        AppraisalError: a signature does not hold, or nobody known vouches; ``problems`` says which.
    """
    root, certificate = _verify_certificate(evidence.certificate, roots)
    alias = _open_alias(evidence.alias, certificate.device_key)
    return OpenedEvidence(
        root=root,
        certificate=certificate,
        alias=alias,
        report=_verify_report(evidence.report, alias.statement.alias),
    )


def _verify_certificate(data: bytes, roots: Sequence[MakerRoot]) -> tuple[MakerRoot, DeviceCertificate]:
    """Step 1: a pinned root signed the device certificate; another of the same name proves nothing."""
    for root in roots:
        try:
            return root, verify_device_certificate(data, root.key)
        except InvalidSignatureError:
            continue
    issuer = read_issuer(data)
    namesake = next((root for root in roots if root.subject == issuer), None)
    if namesake is None:
        raise _refuse(
            "maker-unknown", "no given root signed the device certificate, or bears its issuer's name"
        )
    raise _refuse(
        "certificate-forged", f"the device certificate names {namesake.name!r}, which did not sign it"
    )


def _open_alias(data: bytes, device_key: PublicKey) -> Signed[AliasEndorsement]:
    """Step 2: the chip's own device key signed the alias endorsement."""
    try:
        return open_statement(data, AliasEndorsement, {device_key.key_id: device_key})
    except UnknownPartyError as error:
        raise _refuse(
            "alias-unendorsed", "the alias endorsement is by another key than the certified one"
        ) from error
    except InvalidSignatureError as error:
        raise _refuse("alias-forged", "the signature of the alias endorsement does not hold") from error


def _verify_report(data: bytes, alias: PublicKey) -> Verified:
    """Step 3: the endorsed alias key signed the report."""
    try:
        return verify_statement(data, ComputeReport, {alias.key_id: alias})
    except UnknownPartyError as error:
        raise _refuse("signer-unknown", "the report is by another key than the endorsed one") from error
    except InvalidSignatureError as error:
        raise _refuse("report-forged", "the signature of the report does not hold") from error


def _refuse(reason: str, detail: str) -> AppraisalError:
    return AppraisalError(detail, problems=(Problem(reason=reason, detail=detail),))
