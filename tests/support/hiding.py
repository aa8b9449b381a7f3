"""Reports as a chip under confidential totals would have made them, from open ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vetonet.attestation.report import (
    CONFIDENTIAL_ENERGY_STEP_J,
    CONFIDENTIAL_PROFILE,
    CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    EAT_PROFILE,
    PROFILES,
    ComputeReport,
)
from vetonet.crypto.pedersen import Opening, commit

COMMITMENT = commit(Opening(value=7, blinding=bytes(31) + b"\x01")).to_bytes()


def hide(claims: ComputeReport, **changes: Any) -> ComputeReport:
    """Return the claims without their counters, with some of what is left changed."""
    fields: dict[str, Any] = dict.fromkeys(PROFILES[EAT_PROFILE]) | {
        "profile": CONFIDENTIAL_PROFILE,
        "energy_j": -(-claims.energy_j // CONFIDENTIAL_ENERGY_STEP_J) * CONFIDENTIAL_ENERGY_STEP_J,
        "out_of_set_bytes": -(-claims.out_of_set_bytes // CONFIDENTIAL_TRAFFIC_STEP_BYTES)
        * CONFIDENTIAL_TRAFFIC_STEP_BYTES,
        "flop_commitment": COMMITMENT,
        "activity": 1 if claims.energy_j else 0,
    }
    return replace(claims, **(fields | changes))
