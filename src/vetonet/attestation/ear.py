"""What an appraisal says: an EAR-shaped result with the trust vector of AR4SI (draft-ietf-rats-ear, -ar4si).

Every rule of an appraisal policy leaves a ``Judgement``, also one that was satisfied. The vector holds the
worst value of each claim, the status is the tier of the worst claim, and nothing that was not looked at
counts as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vetonet.attestation.reasons import Finding


class TrustClaim(StrEnum):
    """The eight things that a trust vector speaks of (AR4SI section 2.3.4)."""

    INSTANCE_IDENTITY = "instance-identity"
    CONFIGURATION = "configuration"
    EXECUTABLES = "executables"
    FILE_SYSTEM = "file-system"
    HARDWARE = "hardware"
    RUNTIME_OPAQUE = "runtime-opaque"
    STORAGE_OPAQUE = "storage-opaque"
    SOURCED_DATA = "sourced-data"


class Tier(StrEnum):
    """How far evidence can be relied on (AR4SI section 2.3.2)."""

    NONE = "none"
    AFFIRMING = "affirming"
    WARNING = "warning"
    CONTRAINDICATED = "contraindicated"


_RANK: Final = {Tier.AFFIRMING: 0, Tier.NONE: 1, Tier.WARNING: 2, Tier.CONTRAINDICATED: 3}
"""Worse is higher; a claim of which nothing is known keeps a result from being affirming."""

NO_CLAIM: Final = 0
AFFIRMED: Final = 2
UNSAFE: Final = 32
UNRECOGNIZED: Final = 33
CONTRAINDICATED: Final = 96
UNKNOWN: Final = 97
CRYPTO_FAILED: Final = 99
"""Values of AR4SI section 2.3.4 that mean the same, or nearly, in every claim; 97 is "not recognised"."""

EVERY_CLAIM: Final = "all"
"""How a judgement about every claim is printed."""

_MAX_VALUE: Final = 127
_TIERS: Final = ((96, Tier.CONTRAINDICATED), (32, Tier.WARNING), (2, Tier.AFFIRMING))


def find_tier(value: int) -> Tier:
    """Return the tier of one trust vector value, -128 to 127 (AR4SI section 2.3.2).

    Raises:
        ValueError: outside that range.
    """
    if not -_MAX_VALUE - 1 <= value <= _MAX_VALUE:
        raise ValueError(f"expected a trust value from -128 to 127, got {value}")
    # Negative values mirror the positive ones, one further from zero: -2 is affirming and so is -32.
    size = value if value >= 0 else -value - (value < -AFFIRMED)
    return next((tier for least, tier in _TIERS if size >= least), Tier.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one rule made of the evidence.

    Attributes:
        reason: its stable code, such as ``component-mismatched``.
        finding: verified, missing, stale, mismatched or contraindicated.
        claim: which claim of the trust vector it speaks of; None for every one, as of forged evidence.
        value: the value it gives that claim (AR4SI).
        detail: one line for people.
    """

    reason: str
    finding: Finding
    claim: TrustClaim | None
    value: int
    detail: str

    def __post_init__(self) -> None:
        """Refuse a good value for a bad finding, and a bad one for a good finding."""
        if (self.finding is Finding.VERIFIED) != (find_tier(self.value) is Tier.AFFIRMING):
            raise ValueError(f"{self.reason}: {self.finding} and the value {self.value} disagree")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationResult:
    """What one piece of evidence is worth (RFC 9334 section 8.4).

    Attributes:
        judgements: of all rules, in the order of the policy; at least one.
    """

    judgements: tuple[Judgement, ...]

    def __post_init__(self) -> None:
        """Refuse a result of no look at all."""
        if not self.judgements:
            raise ValueError("expected at least one judgement")

    @property
    def trust_vector(self) -> Mapping[TrustClaim, int]:
        """The worst value given to each claim; 0 where no rule spoke of it."""
        vector = dict.fromkeys(TrustClaim, NO_CLAIM)
        for judgement in self.judgements:
            for claim in vector if judgement.claim is None else (judgement.claim,):
                vector[claim] = _find_worse(vector[claim], judgement.value)
        return MappingProxyType(vector)

    @property
    def status(self) -> Tier:
        """The tier of the worst claim that a rule spoke of."""
        return max((find_tier(judgement.value) for judgement in self.judgements), key=_RANK.__getitem__)

    @property
    def worst_first(self) -> tuple[Judgement, ...]:
        """All judgements, those that weigh most first."""
        return tuple(sorted(self.judgements, key=lambda entry: _RANK[find_tier(entry.value)], reverse=True))

    @property
    def failed(self) -> tuple[Judgement, ...]:
        """Everything but what was verified."""
        return tuple(entry for entry in self.judgements if entry.finding is not Finding.VERIFIED)

    def to_plain(self) -> dict[str, object]:
        """Return what is printed as JSON: ``status``, ``trust_vector``, ``reasons``."""
        return {
            "status": self.status.value,
            "trust_vector": {claim.value: value for claim, value in self.trust_vector.items()},
            "reasons": [
                {
                    "reason": entry.reason,
                    "finding": entry.finding.value,
                    "claim": EVERY_CLAIM if entry.claim is None else entry.claim.value,
                    "value": entry.value,
                    "detail": entry.detail,
                }
                for entry in self.judgements
            ],
        }


def _find_worse(known: int, new: int) -> int:
    """Return the worse of two values of one claim; a first value replaces "no claim"."""
    if known == NO_CLAIM:
        return new
    return max(known, new, key=lambda value: (_RANK[find_tier(value)], abs(value)))
