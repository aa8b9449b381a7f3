"""Confidential totals: which sums of commitments the proofs of a bundle hold within their bounds (VN-18).

Only the last commitment of each chip on each account counts, so sums cost nothing that grows with reports.
What one chip did of its share or of a lease stays in the chip, whose gate keeps those ceilings (VN-12).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from vetonet.compliance.case import Case
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.compliance.result import Claim
from vetonet.confidential.accounts import AccountTotal, ChipAccount, Interval, sum_chips, sum_intervals
from vetonet.confidential.expectation import ExpectedTotal, expect_licence, expect_pools
from vetonet.confidential.judging import UsageJudgement, judge_usage
from vetonet.crypto.pedersen import Commitment
from vetonet.errors import Problem, VetonetError

_MARK: Final = slice(1, 9)
"""Eight bytes of a commitment are enough to know it again: nobody but a chip can make two alike."""

CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType(
    {
        "rate-unproven": Claim.PLAUSIBILITY,
        "energy-unproven": Claim.PLAUSIBILITY,
        "pool-unproven": Claim.AGGREGATION,
        "owner-pool-unproven": Claim.AGGREGATION,
    }
)
"""The claim against which a problem with hidden totals stands; where none is named, the budget."""


class HiddenAccounts:
    """The accounts that confidential reports commit to; grows in place, chip by chip."""

    __slots__ = ("_accounts", "_marks")

    def __init__(self) -> None:
        """Begin without any."""
        self._accounts: dict[tuple[int | None, str], list[ChipAccount]] = defaultdict(list)
        self._marks: set[bytes] = set()

    @property
    def licence_ids(self) -> frozenset[int]:
        """The licences of which some use is hidden."""
        return frozenset(licence_id for licence_id, _ in self._accounts if licence_id is not None)

    def count(self, chain: Chain) -> Iterator[Problem]:
        """Count in one chip; yield its commitments that another report has, or that are no commitments."""
        booked: dict[int | None, list[Usage]] = defaultdict(list)
        for usage in chain.usages:
            licence_id = usage.claims.licence_id
            if not usage.claims.is_confidential:
                continue
            if self._is_known(usage.claims.commitment):
                yield about(usage, "blinding-reused", "has the commitment of another report")
            if licence_id is None or usage.licence is not None:
                booked[licence_id].append(usage)
        for licence_id, usages in booked.items():
            if not _is_point(usages[-1].claims.commitment):
                yield about(
                    usages[-1], "commitment-malformed", "commits to nothing: its bytes spell no point"
                )
            account = sum_intervals(chain.device.ueid, map(_to_interval, usages))
            self._accounts[licence_id, chain.device.enrolment.owner].append(account)

    def _is_known(self, commitment: bytes) -> bool:
        mark = commitment[_MARK]
        known = mark in self._marks
        self._marks.add(mark)
        return known

    def list_expected(self, case: Case) -> tuple[ExpectedTotal, ...]:
        """Return what is to be proven: of each licence, each operator's pool and each owner's (VN-18.3)."""
        digest = case.record.treaty.payload_digest
        proposers = _list_proposers(case)
        licences = tuple(
            expect_licence(
                digest,
                operator_id=proposers[licence_id],
                licence_id=licence_id,
                total_flop=case.record.licences[licence_id].total_flop,
                total=self._sum(licence_id),
            )
            for licence_id in sorted(self.licence_ids)
        )
        pools = {
            owner: sum_chips(found)
            for (licence_id, owner), found in self._accounts.items()
            if licence_id is None
        }
        if case.licensed_floor_flop is None:
            return licences
        return (
            *licences,
            *expect_pools(
                digest,
                licensed_floor_flop=case.licensed_floor_flop,
                pools=pools,
                owners={name: operator.owner for name, operator in case.operators.items()},
            ),
        )

    def _sum(self, licence_id: int) -> AccountTotal:
        found = (accounts for (known, _), accounts in self._accounts.items() if known == licence_id)
        return sum_chips(account for accounts in found for account in accounts)

    def judge(self, case: Case, proofs: Iterable[bytes]) -> UsageJudgement:
        """Return which totals the proofs of a bundle show (VN-18.8)."""
        keys = {name: operator.key for name, operator in case.operators.items()}
        digest = case.record.treaty.payload_digest
        return judge_usage(proofs, self.list_expected(case), treaty_digest=digest, operators=keys)


def _to_interval(usage: Usage) -> Interval:
    claims, device = usage.claims, usage.device
    return Interval(
        start_ms=claims.window_start_ms,
        end_ms=claims.window_end_ms,
        commitment=claims.commitment,
        is_idle=not usage.has_worked,
        peak_flop_per_s=device.find_peak(claims.precision) or 0,
        energy_j=claims.energy_j,
        tdp_w=device.enrolment.tdp_w,
    )


def _is_point(commitment: bytes) -> bool:
    try:
        Commitment.from_bytes(commitment)
    except VetonetError:
        return False
    return True


def _list_proposers(case: Case) -> Mapping[int, str]:
    votes = case.record.ledger.votes.values()
    pairs = ((vote.licence, vote.run) for vote in votes)
    return {
        licence.statement.licence_id: run.operator_id
        for licence, run in pairs
        if licence is not None and run is not None
    }
