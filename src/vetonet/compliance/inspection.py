"""Step 18: what the inspections of the log leave open, and what they show (VN-19)."""

from __future__ import annotations

from collections.abc import Iterator

from vetonet.compliance.case import Case, Tally
from vetonet.errors import Problem
from vetonet.voting.inspection_problems import find_inspection_problems


def judge_inspection(case: Case, tally: Tally) -> Iterator[Problem]:
    """Step 18: what parties asked for in the log was shown, late or not, and shows no breach."""
    del tally
    yield from find_inspection_problems(case.record.ledger.inspections, case.now)
