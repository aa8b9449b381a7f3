"""The stable reason codes of attestation, and what each amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Finding(StrEnum):
    """What one look at evidence came to.

    MISSING and STALE may still be cured, by handing in what is absent or asking anew. MISMATCHED never is,
    because two things that cannot both be true lie on the table; CONTRAINDICATED says that the thing itself
    is bad, by the word of whoever would know: revoked, open to debuggers, tampered with.
    """

    VERIFIED = "verified"
    MISSING = "missing"
    STALE = "stale"
    MISMATCHED = "mismatched"
    CONTRAINDICATED = "contraindicated"

    @property
    def is_curable(self) -> bool:
        """Whether better evidence of the same chip could still make it good."""
        return self in {Finding.MISSING, Finding.STALE}


REASONS: Final[Mapping[str, Finding]] = MappingProxyType(
    {
        # the maker's certificate
        "certificate-expired": Finding.MISMATCHED,
        "certificate-unusable": Finding.MISMATCHED,
        # one report against its chip
        "wrong-device": Finding.MISMATCHED,
        "wrong-boot": Finding.MISMATCHED,
        "wrong-model": Finding.MISMATCHED,
        "unknown-firmware": Finding.MISMATCHED,
        "reference-missing": Finding.MISSING,
        "component-unknown": Finding.MISSING,
        "component-missing": Finding.MISSING,
        "component-mismatched": Finding.MISMATCHED,
        "component-outdated": Finding.STALE,
        "debug-enabled": Finding.CONTRAINDICATED,
        "tampered": Finding.CONTRAINDICATED,
        "certificate-lapsed": Finding.MISSING,
        # whether its maker still vouches for the chip, and the log for its key
        "device-retired": Finding.MISMATCHED,
        "device-revoked": Finding.CONTRAINDICATED,
        "device-cloned": Finding.CONTRAINDICATED,
        "device-undated": Finding.MISSING,
        "revocation-stale": Finding.STALE,
        "revocation-missing": Finding.MISSING,
        "maker-equivocated": Finding.MISMATCHED,
        # what the secure element says on its own
        "kind-unknown": Finding.MISSING,
        "platform-missing": Finding.MISSING,
        "platform-mismatched": Finding.MISMATCHED,
        "platform-unexpected": Finding.MISMATCHED,
        "counter-fork": Finding.MISMATCHED,
        "counter-rollback": Finding.MISMATCHED,
        # a report against the peak rate of its chip
        "impossible-rate": Finding.MISMATCHED,
        "impossible-traffic": Finding.MISMATCHED,
        # the reports of one chip against each other
        "report-gap": Finding.MISSING,
        "report-replayed": Finding.MISMATCHED,
        "report-fork": Finding.MISMATCHED,
        "report-reordered": Finding.MISMATCHED,
        "window-gap": Finding.MISSING,
        "window-overlap": Finding.MISMATCHED,
        "meter-rollback": Finding.MISMATCHED,
        "meter-mismatched": Finding.MISMATCHED,
        "boot-rollback": Finding.MISMATCHED,
        # reports against the batch in the log
        "batch-mismatch": Finding.MISMATCHED,
    }
)
"""Every reason code about evidence of a chip."""
