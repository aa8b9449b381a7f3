"""What each reason code of this evidence says; what other evidence shares with it stands in one place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from vetonet.attestation.appraisal_reasons import MEANINGS as COMMON
from vetonet.attestation.appraisal_reasons import Meaning
from vetonet.attestation.ear import (
    AFFIRMED,
    CONTRAINDICATED,
    CRYPTO_FAILED,
    UNRECOGNIZED,
    Judgement,
    TrustClaim,
)
from vetonet.attestation.reasons import Finding

_EXECUTABLES: Final = TrustClaim.EXECUTABLES
SHARED: Final = (
    "maker-unknown",
    "certificate-forged",
    "certificate-unusable",
    "certificate-expired",
    "certificate-valid",
    "report-forged",
    "evidence-signed",
    "nonce-stale",
    "nonce-fresh",
    "wrong-model",
    "model-recognised",
)
"""Codes that mean here what they mean for any chip."""

MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        **{reason: COMMON[reason] for reason in SHARED},
        # the chain
        "chain-broken": Meaning(Finding.MISMATCHED, None, CRYPTO_FAILED),
        # one chip, one piece of evidence
        "evidence-repeated": Meaning(Finding.MISMATCHED, TrustClaim.INSTANCE_IDENTITY, CONTRAINDICATED),
        "entry-mismatched": Meaning(Finding.MISMATCHED, TrustClaim.INSTANCE_IDENTITY, CONTRAINDICATED),
        # the firmware that holds the key
        "firmware-id-mismatched": Meaning(Finding.MISMATCHED, _EXECUTABLES, CONTRAINDICATED),
        "firmware-id-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "firmware-id-recognised": Meaning(Finding.VERIFIED, _EXECUTABLES, AFFIRMED),
        # reference manifests and what they are compared with
        "rim-forged": Meaning(Finding.MISMATCHED, _EXECUTABLES, CRYPTO_FAILED),
        "rim-untrusted": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "rim-expired": Meaning(Finding.STALE, _EXECUTABLES, UNRECOGNIZED),
        "rim-missing": Meaning(Finding.MISSING, _EXECUTABLES, UNRECOGNIZED),
        "measurement-mismatched": Meaning(Finding.MISMATCHED, _EXECUTABLES, CONTRAINDICATED),
        "measurement-endorsed": Meaning(Finding.VERIFIED, _EXECUTABLES, AFFIRMED),
    }
)
"""Every reason code that an appraisal of an SPDM report may give."""


def build_judgement(reason: str, detail: str) -> Judgement:
    """Return the judgement of a reason code of the table; another one is our own misuse (KeyError)."""
    meaning = MEANINGS[reason]
    return Judgement(
        reason=reason, finding=meaning.finding, claim=meaning.claim, value=meaning.value, detail=detail
    )
