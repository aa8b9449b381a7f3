"""One chip's evidence out of the play, with all that a verifier needs to appraise it: for a first try."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.identity import DeviceCertificate, issue_root_certificate
from vetonet.attestation.reference_values import ReferenceValues
from vetonet.attestation.report import ComputeReport
from vetonet.cli.output import spell_command
from vetonet.compliance.bundle import Bundle
from vetonet.crypto.keys import EcdsaSigningKey
from vetonet.crypto.statement import S, read_kind, read_unverified

EVIDENCE_FILE: Final = "evidence.cbor"
ROOTS_FILE: Final = "roots.pem"
REFERENCE_FILE: Final = "reference.cose"
NONCE_FILE: Final = "nonce.txt"


def build_chip_files(bundle: Bundle, root: EcdsaSigningKey) -> Mapping[str, bytes]:
    """Return what the files hold of the chip that made a bundle's last report, by name.

    Args:
        bundle: the whole play's, verified.
        root: the maker's root key.
    """
    data = bundle.reports[-1]
    claims = read_unverified(data, ComputeReport)
    alias = _find_leaf(bundle, AliasEndorsement, lambda endorsed: endorsed.ueid == claims.ueid)
    enrolled = _find_leaf(bundle, DeviceEnrolment, lambda enrolment: _read_ueid(enrolment) == claims.ueid)
    enrolment = read_unverified(enrolled, DeviceEnrolment)
    validity = DeviceCertificate.from_bytes(enrolment.certificate)
    reference = _find_leaf(bundle, ReferenceValues, lambda values: values.model == enrolment.model)
    certificate = issue_root_certificate(
        root,
        endorser_id=enrolment.endorser_id,
        not_before_ms=validity.not_before_ms,
        not_after_ms=validity.not_after_ms,
        attester_kind=enrolment.attester_kind,
    )
    evidence = Evidence(report=data, alias=alias, certificate=enrolment.certificate)
    return {
        EVIDENCE_FILE: evidence.to_bytes(),
        ROOTS_FILE: ssl.DER_cert_to_PEM_cert(certificate).encode(),
        REFERENCE_FILE: reference,
        NONCE_FILE: f"{claims.challenge.hex()}\n".encode(),
    }


def spell_appraisal(folder: Path, files: Mapping[str, bytes]) -> str:
    """Return the command line that appraises the chip whose files lie in a folder."""
    evidence, roots, reference = (folder / name for name in (EVIDENCE_FILE, ROOTS_FILE, REFERENCE_FILE))
    nonce = files[NONCE_FILE].decode().strip()
    given = f"--roots {roots} --reference {reference} --nonce {nonce}"
    return f"{spell_command()} appraise eat {evidence} {given}"


def _find_leaf(bundle: Bundle, kind: type[S], is_wanted: Callable[[S], bool]) -> bytes:
    """Return the newest leaf that is such a statement."""
    return next(
        leaf
        for leaf in reversed(bundle.leaves)
        if read_kind(leaf) == kind.TYPE and is_wanted(read_unverified(leaf, kind))
    )


def _read_ueid(enrolment: DeviceEnrolment) -> bytes:
    return DeviceCertificate.from_bytes(enrolment.certificate).device_key.ueid
