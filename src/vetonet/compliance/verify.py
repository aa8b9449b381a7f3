"""``verify_bundle``: the whole judgement, offline, in numbered steps (VN-10)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from vetonet.attestation.report import Mapper
from vetonet.compliance import claims
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.claims import Case
from vetonet.compliance.evidence import open_evidence
from vetonet.compliance.public_record import read_public_record
from vetonet.compliance.publication import match_batches
from vetonet.compliance.result import Claim, ClaimResult, ComplianceResult
from vetonet.compliance.trust_root import TrustRoot
from vetonet.errors import Problem
from vetonet.units import Milliseconds

JUDGES: Final[Mapping[Claim, Callable[[Case], Iterable[Problem]]]] = MappingProxyType(
    {
        Claim.RECORD: claims.judge_record,
        Claim.AUTHORITY: claims.judge_authority,
        Claim.GENUINENESS: claims.judge_genuineness,
        Claim.FRESHNESS: claims.judge_freshness,
        Claim.CONTINUITY: claims.judge_continuity,
        Claim.PUBLICATION: claims.judge_publication,
        Claim.BUDGET: claims.judge_budget,
        Claim.COVERAGE: claims.judge_coverage,
        Claim.PLAUSIBILITY: claims.judge_plausibility,
        Claim.AGGREGATION: claims.judge_aggregation,
    }
)
"""The judge of each claim; a test holds that no claim is without one."""


def verify_bundle(
    data: bytes, trust_root: TrustRoot, now: Milliseconds, *, mapper: Mapper = map
) -> ComplianceResult:
    """Return what a bundle proves; anybody with the same three inputs gets the same result.

    Args:
        data: the bundle file, untrusted.
        trust_root: the treaty to judge by.
        now: when the judgement is made; deadlines depend on it.
        mapper: how the checking of signatures is spread: ``map``, or the ``map`` of a thread pool.

    Raises:
        EncodingError: not a bundle, or damaged.
        VerificationError: a bundle of another treaty or of another log; it cannot be judged at all.
    """
    bundle = Bundle.from_bytes(data)
    record = read_public_record(bundle, trust_root)  # steps 1 to 4
    evidence = open_evidence(bundle.reports, record, mapper=mapper)  # steps 5 and 6
    case = Case(
        record=record,
        evidence=evidence,
        publication=match_batches(record, evidence, now),  # step 7
        device_sets={device_set.root_hash: device_set for device_set in bundle.device_sets},
        now=now,
    )
    results = tuple(  # steps 8 to 17
        ClaimResult(claim=claim, problems=claims.shorten(judge(case))) for claim, judge in JUDGES.items()
    )
    return ComplianceResult(
        claims=results,
        bundle_digest=hashlib.sha256(data).digest(),
        treaty_digest=record.treaty.payload_digest,
        root_hash=record.checkpoint.root_hash,
        tree_size=record.checkpoint.tree_size,
        judged_at_ms=now,
        period_ms=case.period_ms,
        licences=claims.compute_licence_uses(case),
        report_count=len(bundle.reports),
    )
