"""Why a chip says no: every reason code, each of which names one rule (VN-12)."""

from __future__ import annotations

from typing import Final

REFUSALS: Final = frozenset(
    {
        "clock-behind",
        "tampered",
        # a checkpoint
        "checkpoint-malformed",
        "checkpoint-forged",
        "checkpoint-unwitnessed",
        "checkpoint-stale",
        "log-fork",
        # a licence
        "licence-malformed",
        "licence-forged",
        "wrong-epoch",
        "licence-expired",
        "licence-replayed",
        "licence-superseded",
        "not-in-device-set",
        "not-in-log",
        # a lease
        "lease-malformed",
        "lease-forged",
        "other-licence",
        "lease-replayed",
        "lease-altered",
        "lease-expired",
        "lease-not-due",
        # a treaty of another epoch
        "resolution-malformed",
        "resolution-forged",
        "other-resolution",
        "treaty-malformed",
        "treaty-unsigned",
        "epoch-skipped",
        "log-replaced",
        "no-successor",
        # other firmware, and a start with it
        "reference-malformed",
        "reference-forged",
        "other-model",
        "firmware-unapproved",
        "firmware-rolled-back",
        # work
        "unknown-precision",
        "work-too-long",
        "licence-required",
        "no-licence",
        "licence-spent",
        "licence-not-started",
        "no-lease",
        "lease-spent",
        "lease-ended",
        "other-workload",
        "other-precision",
        "total-above-licence",
        "interval-open",
        # a report
        "interval-empty",
    }
)
"""Every reason for which a chip says no."""
