"""``verify_bundle``: the whole judgement, offline, in numbered steps (VN-10).

It is a fold: leaf by leaf, then chip by chip. What is kept grows with the log, the chips and the licences,
not with the reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from vetonet.attestation.appraise import appraise_chain
from vetonet.compliance.authority import conclude_authority, judge_authority
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.case import Case, Found, Tally, sum_use
from vetonet.compliance.coverage import conclude_coverage, judge_coverage
from vetonet.compliance.evidence import Chain, Mapper, iter_groups, measure, open_groups
from vetonet.compliance.export import open_export
from vetonet.compliance.findings import Findings
from vetonet.compliance.freshness import judge_freshness
from vetonet.compliance.genuineness import conclude_genuineness, judge_genuineness
from vetonet.compliance.guard import Signers, judge_guard
from vetonet.compliance.hidden import CLAIMS, HiddenAccounts
from vetonet.compliance.identity import find_maker_problems
from vetonet.compliance.inspection import judge_inspection
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
from vetonet.confidential.judging import ProvenTotal, UsageJudgement
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
        Claim.INSPECTION: judge_inspection,
    }
)
"""What is judged when all reports were read; the batches judge the publication, the guard comes last."""


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
    judgement.read_reports(parts.take(PartKind.REPORT), mapper)  # steps 5 and 6, and 7 to 16 chip by chip
    proofs = tuple(_read_rising(parts.take(PartKind.PROOF)))
    exporter = _read_exporter(parts, reader, case)
    claims, totals = judgement.conclude(proofs, exporter)  # steps 7 to 19
    return ComplianceResult(
        claims=claims,
        bundle_digest=reader.digest,
        treaty_digest=case.record.treaty.payload_digest,
        root_hash=case.record.checkpoint.root_hash,
        tree_size=case.record.checkpoint.tree_size,
        judged_at_ms=now,
        period_ms=case.period_ms,
        licences=compute_licence_uses(case, judgement.tally, judgement.hidden.licence_ids),
        report_count=judgement.tally.report_count,
        totals=totals,
        exporter=exporter,
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


def _read_rising(contents: Iterable[bytes]) -> Iterator[bytes]:
    last = b""
    for content in contents:
        if content <= last:
            raise EncodingError("expected the usage proofs by rising bytes, each once")
        last = content
        yield content


def _read_exporter(parts: _Parts, reader: PartReader, case: Case) -> str | None:
    """Return who signed the bundle, or None; reads it to its end."""
    exporter = None
    for content in parts.take(PartKind.EXPORT):
        exporter = open_export(content, reader.exported_digest, case.record.treaties)
    return exporter


class Judgement:
    """The judgement as far as it got; grows in place, chip by chip.

    Attributes:
        tally: what is kept of the chips.
        hidden: the accounts that confidential reports commit to.
    """

    def __init__(self, case: Case) -> None:
        """Begin before the first report."""
        self.tally = Tally()
        self.hidden = HiddenAccounts()
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
        record = self._case.record
        for opened in open_groups(groups, record.registry.aliases, mapper):
            genuineness.note_all(result for result in opened if isinstance(result, Problem))
            genuine = (result for result in opened if isinstance(result, Signed))
            chain, strays = measure(genuine, record, self._publication.take)
            genuineness.note_all(strays)
            self.tally.signers.update(stray.culprit for stray in strays if stray.culprit is not None)
            if chain is not None:
                self._judge_chip(chain)

    def _count(self, reports: Iterable[bytes]) -> Iterator[bytes]:
        for data in reports:
            self.tally.report_count += 1
            yield data

    def _judge_chip(self, chain: Chain) -> None:
        use = sum_use(chain)
        self.tally.count(chain, use)
        self._findings[Claim.BUDGET].note_all(judge_budget(self._case, chain, use))
        self._findings[Claim.BUDGET].note_all(self.hidden.count(chain))
        for claim, judge in CHIP_JUDGES.items():
            self._findings[claim].note_all(judge(self._case, chain))

    def conclude(
        self, proofs: Sequence[bytes], exporter: str | None
    ) -> tuple[tuple[ClaimResult, ...], tuple[ProvenTotal, ...]]:
        """Return the results of all claims, once every report was taken, and what is proven of hidden totals.

        Args:
            proofs: the usage proofs of the bundle, untrusted.
            exporter: who signed the bundle, or None.
        """
        committed = self._publication.judge_publication()
        usage = self.hidden.judge(self._case, proofs)
        for problem in usage.problems:
            self._findings[CLAIMS.get(problem.reason, Claim.BUDGET)].note(problem)
        for claim, judge in JUDGES.items():
            self._findings[claim].note_all(judge(self._case, self.tally))
        results = tuple(
            ClaimResult(claim=claim, problems=findings.decide(committed))
            for claim, findings in self._findings.items()
        )
        return judge_guard(results, self._list_signers(usage, exporter)), usage.totals

    def _list_signers(self, usage: UsageJudgement, exporter: str | None) -> Signers:
        record, operators = self._case.record, self._case.operators
        signed = self.tally.signers
        behind = {operators[name].owner for name in signed if name in operators}
        answers = record.ledger.inspections.disclosures.values()
        return Signers(
            reports=signed | behind,
            log={logged.conviction.endorser_id for logged in record.registry.convictions}
            | {asked.proposal.operator_id for asked in answers if asked.answer is not None},
            exporter=exporter,
            proofs={problem.culprit for problem in usage.problems if problem.culprit is not None},
        )
