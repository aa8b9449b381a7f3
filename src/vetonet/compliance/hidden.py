"""Confidential totals: which sums of commitments the proofs of a bundle hold within their bounds (VN-18).

Only the last commitment of each chip on each account counts, so sums cost nothing that grows with reports.
What one chip did of its share or of a lease stays in the chip, whose gate keeps those ceilings (VN-12).

A treaty may be amended from open to confidential totals and back, and not all chips follow at once. What
open reports say and no commitment holds is then taken off what the hidden totals may reach.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from vetonet.compliance.case import Case
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.compliance.result import Claim
from vetonet.compliance.stated import StatedWork, book
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

    __slots__ = ("_accounts", "_marks", "_stated")

    def __init__(self) -> None:
        """Begin without any."""
        self._accounts: dict[int | None, dict[str, list[ChipAccount]]] = defaultdict(dict)
        self._marks: set[bytes] = set()
        self._stated = StatedWork()

    @property
    def licence_ids(self) -> frozenset[int]:
        """The licences of which some use is hidden, or not known for another reason."""
        return frozenset(self._list_licences()) | self._stated.unknown_ids

    def _list_licences(self) -> list[int]:
        return sorted(licence_id for licence_id in self._accounts if licence_id is not None)

    def count(self, chain: Chain) -> Iterator[Problem]:
        """Count in one chip; yield its commitments that another report has, or that are no commitments."""
        for usage in chain.usages:
            if usage.claims.is_confidential and self._is_known(usage.claims.commitment):
                yield about(usage, "blinding-reused", "has the commitment of another report")
        owner = chain.device.enrolment.owner
        for licence_id, booking in book(chain).items():
            self._stated.count(licence_id, owner, booking)
            held = booking.list_held()
            if not held:
                continue
            if not _is_point(held[-1].claims.commitment):
                yield about(held[-1], "commitment-malformed", "commits to nothing: its bytes spell no point")
            account = sum_intervals(chain.device.ueid, map(_to_interval, held))
            self._accounts[licence_id].setdefault(owner, []).append(account)

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
                stated_flop=self._stated.sum_most(licence_id),
                parts=self._sum_by_owner(licence_id),
            )
            for licence_id in self._list_licences()
        )
        if case.licensed_floor_flop is None:
            return licences
        return (
            *licences,
            *expect_pools(
                digest,
                licensed_floor_flop=case.licensed_floor_flop,
                pools=self._sum_by_owner(None),
                owners={name: operator.owner for name, operator in case.operators.items()},
                stated_flop=self._stated.list_most(None),
            ),
        )

    def _sum_by_owner(self, licence_id: int | None) -> Mapping[str, AccountTotal]:
        found = self._accounts.get(licence_id, {})
        return {owner: sum_chips(accounts) for owner, accounts in found.items()}

    def _sum(self, licence_id: int) -> AccountTotal:
        found = self._accounts[licence_id].values()
        return sum_chips(account for accounts in found for account in accounts)

    def judge(self, case: Case, proofs: Iterable[bytes]) -> UsageJudgement:
        """Return which totals the proofs of a bundle show (VN-18.8)."""
        keys = {name: operator.key for name, operator in case.operators.items()}
        digest = case.record.treaty.payload_digest
        judged = judge_usage(proofs, self.list_expected(case), treaty_digest=digest, operators=keys)
        return replace(judged, problems=(*judged.problems, *self._stated.list_unproven(case)))


def _to_interval(usage: Usage) -> Interval:
    claims, device = usage.claims, usage.device
    return Interval(
        start_ms=claims.window_start_ms,
        end_ms=claims.window_end_ms,
        commitment=claims.flop_commitment or b"",
        is_idle=claims.is_idle if claims.is_confidential else usage.flop == 0,
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
