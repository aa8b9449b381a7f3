"""Step 19: nobody is accused by what others may have made (VN-10.7).

A bundle is put together by anybody, who may leave out, double, reorder, cut and add. So a violation names
somebody only where something that just this one signed stands behind it; any other is lowered to a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from vetonet.compliance.result import REASONS, ClaimResult, Verdict
from vetonet.errors import Problem


class Basis(Enum):
    """What a violation rests on that its culprit signed."""

    REPORT = auto()
    LOG = auto()
    EXPORT = auto()
    BATCH_AND_EXPORT = auto()
    PROOF = auto()


BASES: Final[Mapping[str, Basis]] = MappingProxyType(
    {
        "maker-equivocated": Basis.LOG,
        "lineage-undeclared": Basis.LOG,
        "report-forged": Basis.EXPORT,
        "batch-mismatch": Basis.BATCH_AND_EXPORT,
        "proof-invalid": Basis.PROOF,
    }
)
"""On what each violation rests; where nothing is said, on genuine reports of its culprit's chips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who signed something that this bundle holds, so that a violation may name them.

    Attributes:
        reports: chips with genuine reports, their operators, and who stands behind those.
        log: whom the log itself convicts, by a conflict or by an answer of their own.
        exporter: who signed all parts of the bundle, or None.
        proofs: whose usage proofs there are.
    """

    reports: AbstractSet[str]
    log: AbstractSet[str]
    exporter: str | None
    proofs: AbstractSet[str]

    def vouch_for(self, problem: Problem) -> bool:
        """Whether the one whom a violation names signed what it rests on."""
        match BASES.get(problem.reason, Basis.REPORT):
            case Basis.REPORT:
                return problem.culprit in self.reports
            case Basis.LOG:
                return problem.culprit in self.log
            case Basis.EXPORT | Basis.BATCH_AND_EXPORT:
                return self.exporter is not None and problem.culprit == self.exporter
            case Basis.PROOF:
                return problem.culprit in self.proofs


def judge_guard(results: Iterable[ClaimResult], signers: Signers) -> tuple[ClaimResult, ...]:
    """Step 19: a violation names nobody who did not sign what it rests on; else it is a doubt.

    Args:
        results: of the other claims.
        signers: who signed what this bundle holds.

    Returns:
        The same results, each accusation that nothing proves lowered to ``accusation-unproven``.
    """
    return tuple(replace(result, problems=_guard_all(result.problems, signers)) for result in results)


def _guard_all(problems: Sequence[Problem], signers: Signers) -> tuple[Problem, ...]:
    """Return the problems of one claim; the line that counts the rest of a reason goes as those before it."""
    named = {problem.reason for problem in problems if problem.culprit is not None}
    proven = {problem.reason for problem in problems if signers.vouch_for(problem)}
    return tuple(
        _guard(problem, signers, is_rest_lowered=problem.reason in named - proven) for problem in problems
    )


def _guard(problem: Problem, signers: Signers, *, is_rest_lowered: bool) -> Problem:
    if REASONS[problem.reason] is not Verdict.VIOLATION:
        return problem
    if problem.reason == "report-forged":  # whoever vouches for all parts answers for a forged one
        return replace(problem, culprit=signers.exporter)
    if signers.vouch_for(problem) or (problem.culprit is None and not is_rest_lowered):
        return problem
    who = problem.culprit or "anybody"
    detail = f"{problem.reason}: {problem.detail}; nothing that {who} signed proves it"
    return replace(problem, reason="accusation-unproven", detail=detail)
