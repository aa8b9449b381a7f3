"""One chip's evidence with what a verifier holds it against, each part of it changed at will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from support.firmware import FIRMWARE
from support.firmware import make_reference as make_reference_of
from support.fleet import make_fleet
from support.revocations import make_list
from support.world import NOW_MS
from vetonet.attestation.appraise_evidence import Expectations, appraise_evidence
from vetonet.attestation.ear import AttestationResult
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.firmware import Firmware
from vetonet.attestation.identity import issue_device_certificate, issue_root_certificate
from vetonet.attestation.maker_root import MakerRoot, read_maker_roots
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.reference_values import ReferenceValues, open_reference_values
from vetonet.attestation.report import ComputeReport
from vetonet.attestation.revocation import RevocationList, open_revocation_list
from vetonet.crypto import cose
from vetonet.crypto.keys import EcdsaSigningKey, SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign
from vetonet.encoding import cbor
from vetonet.units import MS_PER_HOUR

YEAR_MS = 8766 * MS_PER_HOUR
LATER_MS = NOW_MS + 24 * MS_PER_HOUR
ROOT = generate_ecdsa(SeededRng(b"root of the maker"))
OTHER_ROOT = generate_ecdsa(SeededRng(b"root of another"))
DEVICE = generate_ecdsa(SeededRng(b"device"))
OTHER_DEVICE = generate_ecdsa(SeededRng(b"other device"))
ALIAS = generate_ed25519(SeededRng(b"alias"))
OTHER_ALIAS = generate_ed25519(SeededRng(b"other alias"))
CHALLENGE = bytes.fromhex("c4") * 32


def open_list(listed: RevocationList | None = None, root: EcdsaSigningKey = ROOT) -> Signed[RevocationList]:
    data = sign(listed or make_list(), root)
    return open_revocation_list(data, {root.public_key.key_id: root.public_key})


@cache
def make_claims() -> ComputeReport:
    """What an honest chip reports after an hour of work."""
    fleet = make_fleet()
    report = fleet.run(fleet.chips[0], hours=1)[1][1].statement
    return replace(report, nonces=(CHALLENGE, report.checkpoint_digest), ueid=DEVICE.public_key.ueid)


def certify(
    device: EcdsaSigningKey = DEVICE, root: EcdsaSigningKey = ROOT, name: str = "maker", **changes: Any
) -> bytes:
    validity: dict[str, Any] = {
        "serial": "CHIP-0001",
        "not_before_ms": NOW_MS - YEAR_MS,
        "not_after_ms": NOW_MS + YEAR_MS,
    } | changes
    return issue_device_certificate(device.public_key, root, endorser_id=name, **validity)


def endorse(device: SigningKey = DEVICE, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "ueid": DEVICE.public_key.ueid,
        "alias": ALIAS.public_key,
        "boot_count": make_claims().boot_count,
        "firmware": FIRMWARE,
    }
    return sign(AliasEndorsement(**(fields | changes)), device)


def report(alias: SigningKey = ALIAS, **changes: Any) -> bytes:
    return sign(replace(make_claims(), **changes), alias)


def report_raw(change: Callable[[dict[Any, Any]], object], alias: SigningKey = ALIAS) -> bytes:
    """A report that the chip's own key signed over claims that are no report."""
    item: dict[Any, Any] = dict(make_claims().to_item())
    change(item)
    return sign_payload(cbor.to_bytes(item), alias)


def sign_payload(payload: bytes, alias: SigningKey = ALIAS) -> bytes:
    return cose.sign1(payload, cose.parse_sign1(report(alias)).protected, alias)


def make_evidence(**changes: bytes) -> Evidence:
    return Evidence(**({"report": report(), "alias": endorse(), "certificate": certify()} | changes))


def pin(root: EcdsaSigningKey = ROOT, name: str = "maker", kind: str | None = SIMULATED) -> MakerRoot:
    (pinned,) = read_maker_roots(issue_pinned(root, name, kind))
    return pinned


def issue_pinned(root: EcdsaSigningKey = ROOT, name: str = "maker", kind: str | None = SIMULATED) -> bytes:
    return issue_root_certificate(
        root,
        endorser_id=name,
        not_before_ms=NOW_MS - YEAR_MS,
        not_after_ms=NOW_MS + YEAR_MS,
        attester_kind=kind,
    )


def make_reference(firmware: Firmware = FIRMWARE, number: int = 1) -> ReferenceValues:
    return make_reference_of(firmware, number=number, model=make_claims().hw_model.decode())


def open_reference(
    firmware: Firmware = FIRMWARE, number: int = 1, root: EcdsaSigningKey = ROOT
) -> Signed[ReferenceValues]:
    data = sign(make_reference(firmware, number), root)
    return open_reference_values(data, {root.public_key.key_id: root.public_key})


def expect(**changes: Any) -> Expectations:
    fields: dict[str, Any] = {
        "challenge": CHALLENGE,
        "now": LATER_MS,
        "kinds": frozenset({SIMULATED}),
        "references": (open_reference(),),
        "revocations": (open_list(),),
    }
    return Expectations(**(fields | changes))


def judge(
    evidence: Evidence | None = None,
    roots: tuple[MakerRoot, ...] | None = None,
    expected: Expectations | None = None,
) -> AttestationResult:
    return appraise_evidence(evidence or make_evidence(), roots or (pin(),), expected or expect())
