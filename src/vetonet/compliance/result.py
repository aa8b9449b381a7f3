"""What a verifier says: a verdict for each claim, with reasons, and the inputs it rests on (VN-10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from vetonet.attestation.reasons import REASONS as ATTESTATION_REASONS
from vetonet.attestation.reasons import Finding
from vetonet.confidential.judging import ProvenTotal
from vetonet.errors import Problem
from vetonet.policy.licence import Licence
from vetonet.units import Flop, Milliseconds


class Verdict(StrEnum):
    """COMPLIANT is proven; VIOLATION is proven too; all else is INCONCLUSIVE."""

    COMPLIANT = "COMPLIANT"
    INCONCLUSIVE = "INCONCLUSIVE"
    VIOLATION = "VIOLATION"


class Claim(StrEnum):
    """What is claimed, in the order of the steps of VN-10."""

    RECORD = "record"
    AUTHORITY = "authority"
    GENUINENESS = "genuineness"
    FRESHNESS = "freshness"
    CONTINUITY = "continuity"
    PUBLICATION = "publication"
    BUDGET = "budget"
    COVERAGE = "coverage"
    PLAUSIBILITY = "plausibility"
    AGGREGATION = "aggregation"
    INSPECTION = "inspection"
    GUARD = "guard"


def _judge_finding(finding: Finding) -> Verdict:
    """Return what a finding about one chip proves: nothing, as long as better evidence could cure it."""
    return Verdict.INCONCLUSIVE if finding.is_curable else Verdict.VIOLATION


REASONS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **{reason: _judge_finding(finding) for reason, finding in ATTESTATION_REASONS.items()},
        # record: what the log holds is nobody's confession, so it never accuses
        "inconsistent-record": Verdict.INCONCLUSIVE,
        # authority
        "nothing-to-judge": Verdict.INCONCLUSIVE,
        "licence-unknown": Verdict.VIOLATION,
        "licence-not-shown": Verdict.INCONCLUSIVE,
        "outside-validity": Verdict.VIOLATION,
        "outside-lease": Verdict.VIOLATION,
        "lease-not-shown": Verdict.INCONCLUSIVE,
        "device-not-in-set": Verdict.VIOLATION,
        "other-workload": Verdict.VIOLATION,
        "device-set-missing": Verdict.INCONCLUSIVE,
        # genuineness
        "report-forged": Verdict.VIOLATION,
        "signer-unknown": Verdict.INCONCLUSIVE,
        "report-malformed": Verdict.INCONCLUSIVE,
        "other-profile": Verdict.INCONCLUSIVE,
        # freshness
        # freshness
        "checkpoint-unknown": Verdict.VIOLATION,
        "checkpoint-missing": Verdict.INCONCLUSIVE,
        "checkpoint-stale": Verdict.VIOLATION,
        "reported-ahead": Verdict.VIOLATION,
        "checkpoint-not-shown": Verdict.INCONCLUSIVE,
        "challenge-unknown": Verdict.INCONCLUSIVE,
        "ahead-of-clock": Verdict.INCONCLUSIVE,
        # publication
        "report-withheld": Verdict.INCONCLUSIVE,
        "report-unpublished": Verdict.INCONCLUSIVE,
        "report-pending": Verdict.INCONCLUSIVE,
        # budget
        "budget-exceeded": Verdict.VIOLATION,
        "device-budget-exceeded": Verdict.VIOLATION,
        "lease-exceeded": Verdict.VIOLATION,
        "budget-unproven": Verdict.INCONCLUSIVE,
        "sum-mismatched": Verdict.INCONCLUSIVE,
        "proof-misplaced": Verdict.INCONCLUSIVE,
        "proof-invalid": Verdict.VIOLATION,
        "blinding-reused": Verdict.INCONCLUSIVE,
        "commitment-malformed": Verdict.INCONCLUSIVE,
        # coverage
        "interval-uncovered": Verdict.INCONCLUSIVE,
        "device-not-enrolled": Verdict.INCONCLUSIVE,
        "interval-too-long": Verdict.INCONCLUSIVE,
        # plausibility
        "implausible-energy": Verdict.INCONCLUSIVE,
        "energy-too-low": Verdict.INCONCLUSIVE,
        "rate-unproven": Verdict.INCONCLUSIVE,
        "energy-unproven": Verdict.INCONCLUSIVE,
        # aggregation
        "unlicensed-total": Verdict.VIOLATION,
        "owner-total": Verdict.VIOLATION,
        "pool-unproven": Verdict.INCONCLUSIVE,
        "owner-pool-unproven": Verdict.INCONCLUSIVE,
        # inspection
        "disclosure-pending": Verdict.INCONCLUSIVE,
        "disclosure-overdue": Verdict.INCONCLUSIVE,
        "lineage-undeclared": Verdict.VIOLATION,
        "spot-check-failed": Verdict.INCONCLUSIVE,
        "spot-check-overdue": Verdict.INCONCLUSIVE,
        "randomness-aborted": Verdict.INCONCLUSIVE,
        # guard
        "accusation-unproven": Verdict.INCONCLUSIVE,
    }
)
"""Every reason code that a verifier may give, and the verdict it leads to."""

_RANK: Final = {Verdict.COMPLIANT: 0, Verdict.INCONCLUSIVE: 1, Verdict.VIOLATION: 2}


def compute_verdict(problems: Iterable[Problem]) -> Verdict:
    """Return the verdict that problems lead to: the worst; none at all is COMPLIANT."""
    return max(
        (REASONS[problem.reason] for problem in problems), key=_RANK.__getitem__, default=Verdict.COMPLIANT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """The verdict on one claim and every problem that stands against it."""

    claim: Claim
    problems: tuple[Problem, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the problems' verdicts."""
        return compute_verdict(self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceUse:
    """A licence of the log and the FLOP that the reports of the bundle account for under it.

    Attributes:
        licence: the licence.
        used_flop: how much was used of it, or None where that is hidden.
    """

    licence: Licence
    used_flop: Flop | None

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "licence_id": self.licence.licence_id,
            "device_count": self.licence.device_count,
            "total_flop": self.licence.total_flop,
            "used_flop": self.used_flop,
            "not_before_ms": self.licence.not_before_ms,
            "expires_ms": self.licence.expires_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceResult:
    """What a verifier found, and on what.

    Attributes:
        claims: one result for each ``Claim``, in its order.
        bundle_digest, treaty_digest: SHA-256 of what was judged and of the treaty it was judged by.
        root_hash, tree_size: the log that was read.
        judged_at_ms: the ``now`` that was given.
        period_ms: from when up to when the licences of the log ran and everything was due; what lies outside
            was not judged. None where nothing was due.
        licences: the licences in the log, by rising id, with what was used of them.
        report_count: how many reports were judged.
        totals: the hidden totals, and what the proofs of the bundle show of them.
        exporter: who signed that all parts are genuine, or None where nobody did.
    """

    claims: tuple[ClaimResult, ...]
    bundle_digest: bytes
    treaty_digest: bytes
    root_hash: bytes
    tree_size: int
    judged_at_ms: Milliseconds
    period_ms: tuple[Milliseconds, Milliseconds] | None
    licences: tuple[LicenceUse, ...]
    report_count: int
    totals: tuple[ProvenTotal, ...] = ()
    exporter: str | None = None

    @property
    def licence_ids(self) -> tuple[int, ...]:
        """The ids of the licences in the log."""
        return tuple(use.licence.licence_id for use in self.licences)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all claims."""
        return compute_verdict(self.problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of the steps."""
        return tuple(problem for result in self.claims for problem in result.problems)

    def to_plain(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "verdict": self.verdict.value,
            "claims": [_claim_to_plain(result) for result in self.claims],
            "bundle_sha256": self.bundle_digest.hex(),
            "treaty_sha256": self.treaty_digest.hex(),
            "log_root": self.root_hash.hex(),
            "tree_size": self.tree_size,
            "judged_at_ms": self.judged_at_ms,
            "period_ms": None if self.period_ms is None else list(self.period_ms),
            "licence_ids": list(self.licence_ids),
            "licences": [use.to_plain() for use in self.licences],
            "report_count": self.report_count,
            "totals": [_total_to_plain(total) for total in self.totals],
            "exporter": self.exporter,
        }


def _total_to_plain(total: ProvenTotal) -> dict[str, Any]:
    expected = total.expected
    return {
        "name": expected.name,
        "licence_id": expected.licence_id,
        "owner": expected.owner,
        "operator_ids": list(expected.operator_ids),
        "chip_count": expected.total.chip_count,
        "report_count": expected.total.report_count,
        "proven_by": total.operator_id,
        "proven_units": {bound.kind.value: bound.units for bound in total.bounds},
        "missing": [kind.value for kind in total.missing],
    }


def _claim_to_plain(result: ClaimResult) -> dict[str, Any]:
    problems = [_problem_to_plain(problem) for problem in result.problems]
    return {"claim": result.claim.value, "verdict": result.verdict.value, "problems": problems}


def _problem_to_plain(problem: Problem) -> dict[str, Any]:
    """Whom a problem concerns is a culprit only where it proves a violation; else it is who can cure it."""
    verdict = REASONS[problem.reason]
    return {
        "reason": problem.reason,
        "verdict": verdict.value,
        "detail": problem.detail,
        "concerns": problem.culprit,
        "culprit": problem.culprit if verdict is Verdict.VIOLATION else None,
    }
