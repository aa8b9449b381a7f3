"""``verify_bundle``: the whole judgement, offline, in numbered steps (VN-10).

It is a fold: leaf by leaf, then chip by chip. What is kept grows with the log, the chips and the licences,
not with the reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from vetonet.attestation.appraise import appraise_chain
from vetonet.compliance.authority import conclude_authority, judge_authority
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.case import Case, Found, Tally, sum_use
from vetonet.compliance.coverage import conclude_coverage, judge_coverage
from vetonet.compliance.evidence import Chain, Mapper, iter_groups, measure, open_groups
from vetonet.compliance.findings import Findings
from vetonet.compliance.freshness import judge_freshness
from vetonet.compliance.genuineness import conclude_genuineness, judge_genuineness
from vetonet.compliance.identity import find_maker_problems
from vetonet.compliance.parts import Part, PartKind, PartReader
from vetonet.compliance.plausibility import judge_plausibility
from vetonet.compliance.public_record import LogReader
from vetonet.compliance.publication import Publication
from vetonet.compliance.result import Claim, ClaimResult, ComplianceResult
from vetonet.compliance.totals import (
    compute_licence_uses,
    conclude_budget,
    judge_aggregation,
    judge_budget,
)
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError, Problem
from vetonet.units import Milliseconds


def judge_record(case: Case, tally: Tally) -> Iterator[Problem]:
    """Step 8: every leaf is one that the rules let in."""
    yield from case.record.problems
    yield from find_maker_problems(case.record, tally.ends.keys())


def judge_continuity(case: Case, chain: Chain) -> Iterator[Problem]:
    """Step 12: each chip's reports follow from one another: no gap, fork, replay or rollback."""
    del case
    yield from appraise_chain([usage.report for usage in chain.usages])


CHIP_JUDGES: Final[Mapping[Claim, Callable[[Case, Chain], Iterable[Found]]]] = MappingProxyType(
    {
        Claim.AUTHORITY: judge_authority,
        Claim.GENUINENESS: judge_genuineness,
        Claim.FRESHNESS: judge_freshness,
        Claim.CONTINUITY: judge_continuity,
        Claim.BUDGET: judge_budget,
        Claim.COVERAGE: judge_coverage,
        Claim.PLAUSIBILITY: judge_plausibility,
    }
)
"""What is judged of each chip's reports, by claim."""

JUDGES: Final[Mapping[Claim, Callable[[Case, Tally], Iterable[Problem]]]] = MappingProxyType(
    {
        Claim.RECORD: judge_record,
        Claim.AUTHORITY: conclude_authority,
        Claim.GENUINENESS: conclude_genuineness,
        Claim.BUDGET: conclude_budget,
        Claim.COVERAGE: conclude_coverage,
        Claim.AGGREGATION: judge_aggregation,
    }
)
"""What is judged when all reports were read, by claim; a test holds that no claim is without a judge."""


def verify_bundle(
    data: bytes | Iterable[bytes], trust_root: TrustRoot, now: Milliseconds, *, mapper: Mapper = map
) -> ComplianceResult:
    """Return what a bundle proves; anybody with the same three inputs gets the same result.

    Args:
        data: the bundle file, untrusted, whole or in chunks that are cut anywhere.
        trust_root: the treaty to judge by.
        now: when the judgement is made; deadlines depend on it.
        mapper: how the checking of signatures is spread: ``map``, or the ``map`` of a thread pool.

    Raises:
        EncodingError: not a bundle, or damaged.
        VerificationError: a bundle of another treaty or of another log; it cannot be judged at all.
    """
    reader = PartReader(data)
    parts = _Parts(iter(reader))
    case = _read_case(parts, trust_root, now)  # steps 1 to 4
    judgement = Judgement(case)
    judgement.read_reports(parts.take(PartKind.REPORT), mapper)  # steps 5 and 6, and the chips' part of 7 to 16
    parts.finish()
    claims = judgement.conclude()  # steps 7 to 17
    return ComplianceResult(
        claims=claims,
        bundle_digest=reader.digest,
        treaty_digest=case.record.treaty.payload_digest,
        root_hash=case.record.checkpoint.root_hash,
        tree_size=case.record.checkpoint.tree_size,
        judged_at_ms=now,
        period_ms=case.period_ms,
        licences=compute_licence_uses(case, judgement.tally),
        report_count=judgement.tally.report_count,
    )


class _Parts:
    """The parts of a bundle with a look ahead, so that each kind can be taken by itself."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._next = next(parts, None)

    def take(self, kind: PartKind) -> Iterator[bytes]:
        """Yield the contents of the next parts, as far as they are of this kind."""
        while self._next is not None and self._next.kind is kind:
            content = self._next.content
            self._next = next(self._parts, None)
            yield content

    def finish(self) -> None:
        """Hold that nothing is left."""
        if self._next is not None:
            raise EncodingError(f"a {self._next.kind.name} part that nobody reads")


def _read_case(parts: _Parts, trust_root: TrustRoot, now: Milliseconds) -> Case:
    log = LogReader(trust_root)
    for leaf in parts.take(PartKind.LEAF):
        log.read_leaf(leaf)
    for checkpoint in parts.take(PartKind.CHECKPOINT):
        log.read_checkpoint(checkpoint)
    record = log.conclude()
    wanted = {licence.device_set_root for licence in record.licences.values()}
    return Case.of(record, dict(_read_sets(parts.take(PartKind.DEVICE_SET), wanted)), now)


def _read_sets(contents: Iterable[bytes], wanted: set[bytes]) -> Iterator[tuple[bytes, DeviceSet]]:
    """Yield the device sets that a licence of the log names, by their roots, which must rise."""
    last = b""
    for content in contents:
        device_set = DeviceSet.from_bytes(content)
        root = device_set.root_hash
        if root <= last:
            raise EncodingError("expected the device sets by rising root, each once")
        last = root
        if root in wanted:
            yield root, device_set


class Judgement:
    """The judgement as far as it got; grows in place, chip by chip.

    Attributes:
        tally: what is kept of the chips.
    """

    def __init__(self, case: Case) -> None:
        """Begin before the first report."""
        self.tally = Tally()
        self._case = case
        self._publication = Publication(case.record, case.now)
        self._findings = {claim: Findings() for claim in Claim} | {
            Claim.PUBLICATION: self._publication.findings
        }

    def read_reports(self, reports: Iterable[bytes], mapper: Mapper) -> None:
        """Take all reports, in the order of a bundle.

        Raises:
            EncodingError: they are in another order, or one stands twice.
        """
        genuineness = self._findings[Claim.GENUINENESS]
        groups = iter_groups(self._count(reports), genuineness.note)
        registry = self._case.record.registry
        for opened in open_groups(groups, registry.aliases, mapper):
            genuineness.note_all(result for result in opened if isinstance(result, Problem))
            genuine = (result for result in opened if isinstance(result, Signed))
            chain, strays = measure(genuine, registry, self._publication.take)
            genuineness.note_all(strays)
            if chain is not None:
                self._judge_chip(chain)

    def _count(self, reports: Iterable[bytes]) -> Iterator[bytes]:
        for data in reports:
            self.tally.report_count += 1
            yield data

    def _judge_chip(self, chain: Chain) -> None:
        self.tally.count(chain, sum_use(self._case, chain))
        for claim, judge in CHIP_JUDGES.items():
            self._findings[claim].note_all(judge(self._case, chain))

    def conclude(self) -> tuple[ClaimResult, ...]:
        """Return the results of all claims, once every report was taken."""
        committed = self._publication.judge_publication()
        for claim, judge in JUDGES.items():
            self._findings[claim].note_all(judge(self._case, self.tally))
        return tuple(
            ClaimResult(claim=claim, problems=findings.decide(committed))
            for claim, findings in self._findings.items()
        )
