"""What each reason code of an appraisal says: its finding, and the trust value it gives to which claim.

One table, of which ``docs/reasons.md`` holds a copy. Codes that a verifier of bundles gives as well stand
in ``vetonet.attestation.reasons`` too, with the same finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vetonet.attestation.ear import (
    AFFIRMED,
    CONTRAINDICATED,
    CRYPTO_FAILED,
    UNKNOWN,
    UNRECOGNIZED,
    UNSAFE,
    Judgement,
    TrustClaim,
)
from vetonet.attestation.reasons import Finding


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason code amounts to.

    Attributes:
        finding: verified, missing, stale, mismatched or contraindicated.
        claim: which claim of the trust vector it speaks of, or None for every one.
        value: what it gives that claim (AR4SI section 2.3.4).
    """

    finding: Finding
    claim: TrustClaim | None
    value: int


_INSTANCE: Final = TrustClaim.INSTANCE_IDENTITY
_CONFIGURATION: Final = TrustClaim.CONFIGURATION
_EXECUTABLES: Final = TrustClaim.EXECUTABLES
_HARDWARE: Final = TrustClaim.HARDWARE

MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        # who made it, who signed it, for whom: where that fails nothing else counts
        "maker-unknown": Meaning(Finding.MISSING, None, CRYPTO_FAILED),
        "certificate-forged": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "certificate-unusable": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "alias-unendorsed": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "alias-forged": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "signer-unknown": Meaning(Finding.MISSING, None, CRYPTO_FAILED),
        "report-forged": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "evidence-signed": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        # what the signed claims are
        "profile-unknown": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "claim-missing": Meaning(Finding.MISSING, None, CRYPTO_FAILED),
        "claim-malformed": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        "nonce-count": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        # when
        "nonce-stale": Meaning(Finding.STALE, None, CRYPTO_FAILED),
        "nonce-fresh": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        # which chip
        "wrong-device": Meaning(Finding.MISMATCHED, _INSTANCE, UNKNOWN),
        "chip-recognised": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "wrong-boot": Meaning(Finding.MISMATCHED, _INSTANCE, UNKNOWN),
        "boot-recognised": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "certificate-expired": Meaning(Finding.MISMATCHED, _INSTANCE, UNKNOWN),
        "certificate-lapsed": Meaning(Finding.MISSING, _INSTANCE, UNKNOWN),
        "certificate-valid": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "certificate-current": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "device-revoked": Meaning(Finding.CONTRAINDICATED, _INSTANCE, CONTRAINDICATED),
        "revocation-stale": Meaning(Finding.STALE, _INSTANCE, UNKNOWN),
        "revocation-missing": Meaning(Finding.MISSING, _INSTANCE, UNKNOWN),
        "not-revoked": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        # which hardware
        "wrong-model": Meaning(Finding.MISMATCHED, _HARDWARE, UNKNOWN),
        "model-recognised": Meaning(Finding.VERIFIED, _HARDWARE, AFFIRMED),
        "kind-refused": Meaning(Finding.MISMATCHED, _HARDWARE, CONTRAINDICATED),
        "kind-accepted": Meaning(Finding.VERIFIED, _HARDWARE, AFFIRMED),
        "kind-unknown": Meaning(Finding.MISSING, _HARDWARE, UNKNOWN),
        "platform-missing": Meaning(Finding.MISSING, _HARDWARE, UNKNOWN),
        "platform-mismatched": Meaning(Finding.MISMATCHED, _HARDWARE, CONTRAINDICATED),
        "platform-unexpected": Meaning(Finding.MISMATCHED, _HARDWARE, CONTRAINDICATED),
        "platform-vouched": Meaning(Finding.VERIFIED, _HARDWARE, AFFIRMED),
        "platform-unasked": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "tampered": Meaning(Finding.CONTRAINDICATED, _HARDWARE, CONTRAINDICATED),
        "untampered": Meaning(Finding.VERIFIED, _HARDWARE, AFFIRMED),
        # what it counts
        "meter-mismatched": Meaning(Finding.MISMATCHED, TrustClaim.SOURCED_DATA, CONTRAINDICATED),
        "counters-agree": Meaning(Finding.VERIFIED, TrustClaim.SOURCED_DATA, AFFIRMED),
        "counters-hidden": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),  # of the data nothing is known
        # how it is set
        "debug-enabled": Meaning(Finding.CONTRAINDICATED, _CONFIGURATION, CONTRAINDICATED),
        "debug-disabled": Meaning(Finding.VERIFIED, _CONFIGURATION, AFFIRMED),
        # what it runs
        "unknown-firmware": Meaning(Finding.MISMATCHED, _EXECUTABLES, CONTRAINDICATED),
        "reference-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "component-unknown": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "component-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "component-mismatched": Meaning(Finding.MISMATCHED, _EXECUTABLES, UNRECOGNIZED),
        "component-outdated": Meaning(Finding.STALE, _EXECUTABLES, UNSAFE),
        "firmware-recognised": Meaning(Finding.VERIFIED, _EXECUTABLES, AFFIRMED),
        # PSA tokens
        "instance-unknown": Meaning(Finding.MISSING, None, CRYPTO_FAILED),
        "implementation-recognised": Meaning(Finding.VERIFIED, _HARDWARE, AFFIRMED),
        "lifecycle-unsecured": Meaning(Finding.CONTRAINDICATED, _INSTANCE, CONTRAINDICATED),
        "memory-exposed": Meaning(Finding.CONTRAINDICATED, TrustClaim.RUNTIME_OPAQUE, CONTRAINDICATED),
        "storage-exposed": Meaning(Finding.CONTRAINDICATED, TrustClaim.STORAGE_OPAQUE, CONTRAINDICATED),
        "lifecycle-secured": Meaning(Finding.VERIFIED, _INSTANCE, AFFIRMED),
        "memory-isolated": Meaning(Finding.VERIFIED, TrustClaim.RUNTIME_OPAQUE, AFFIRMED),
        "storage-sealed": Meaning(Finding.VERIFIED, TrustClaim.STORAGE_OPAQUE, AFFIRMED),
        # SPDM reports: the chain
        "chain-broken": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        # SPDM reports: one chip, one piece of evidence
        "evidence-repeated": Meaning(Finding.MISMATCHED, _INSTANCE, CONTRAINDICATED),
        "entry-mismatched": Meaning(Finding.MISMATCHED, _INSTANCE, CONTRAINDICATED),
        # SPDM reports: the firmware that holds the key
        "firmware-id-mismatched": Meaning(Finding.MISMATCHED, _EXECUTABLES, CONTRAINDICATED),
        "firmware-id-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "firmware-id-recognised": Meaning(Finding.VERIFIED, _EXECUTABLES, AFFIRMED),
        # SPDM reports: reference manifests and what they are compared with
        "rim-forged": Meaning(Finding.MISMATCHED, _EXECUTABLES, CRYPTO_FAILED),
        "rim-untrusted": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "rim-expired": Meaning(Finding.STALE, _EXECUTABLES, UNRECOGNIZED),
        "rim-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "measurement-mismatched": Meaning(Finding.MISMATCHED, _EXECUTABLES, CONTRAINDICATED),
        "measurement-endorsed": Meaning(Finding.VERIFIED, _EXECUTABLES, AFFIRMED),
    }
)
"""Every reason code that an appraisal may give, of whatever kind of evidence."""


def build_judgement(reason: str, detail: str) -> Judgement:
    """Return the judgement of a reason code of the table; another one is our own misuse (KeyError)."""
    meaning = MEANINGS[reason]
    return Judgement(
        reason=reason, finding=meaning.finding, claim=meaning.claim, value=meaning.value, detail=detail
    )
