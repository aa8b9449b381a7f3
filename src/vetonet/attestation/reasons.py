"""The stable reason codes of attestation, and what each amounts to: missing evidence or a contradiction."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Finding(StrEnum):
    """What a problem amounts to for whoever gives a verdict.

    MISSING may still be cured by handing in what is absent; CONTRADICTION never is, because two things that
    cannot both be true lie on the table.
    """

    MISSING = "missing"
    CONTRADICTION = "contradiction"


REASONS: Final[Mapping[str, Finding]] = MappingProxyType(
    {
        # the maker's certificate
        "certificate-expired": Finding.CONTRADICTION,
        "certificate-unusable": Finding.CONTRADICTION,
        # one report against its chip
        "wrong-device": Finding.CONTRADICTION,
        "wrong-boot": Finding.CONTRADICTION,
        "wrong-model": Finding.CONTRADICTION,
        "unknown-firmware": Finding.CONTRADICTION,
        "debug-enabled": Finding.CONTRADICTION,
        "certificate-lapsed": Finding.MISSING,
        # a report against the peak rate of its chip
        "impossible-rate": Finding.CONTRADICTION,
        # the reports of one chip against each other
        "report-gap": Finding.MISSING,
        "report-replayed": Finding.CONTRADICTION,
        "report-fork": Finding.CONTRADICTION,
        "report-reordered": Finding.CONTRADICTION,
        "window-gap": Finding.MISSING,
        "window-overlap": Finding.CONTRADICTION,
        "meter-rollback": Finding.CONTRADICTION,
        "boot-rollback": Finding.CONTRADICTION,
        # reports against the batch in the log
        "batch-mismatch": Finding.CONTRADICTION,
    }
)
"""Every reason code about evidence of a chip."""
