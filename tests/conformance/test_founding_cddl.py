"""What is kept of a founding against founding.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.charters import hold_ceremonies
from vetonet.encoding import cbor
from vetonet.policy.founding import MAX_ATTEMPT, MAX_TRANSCRIPT, SpoiltCeremony
from vetonet.policy.treaty import MAX_GROUPS

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "founding.cddl"
KEPT = hold_ceremonies()
SIGNED = KEPT.transcripts[0]
RECORDS = {
    "founding-record": KEPT.to_item(),
    "group-transcript": SIGNED.to_item(),
    "spoilt-ceremony": SpoiltCeremony(attempt=1, group=0, statements=SIGNED.statements).to_item(),
}
each_rule = pytest.mark.parametrize("rule", sorted(RECORDS))


def judge(rule: str, item: Any) -> None:
    schema = pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")
    schema.validate_cbor(cbor.to_bytes(item))


@each_rule
def test_what_is_kept_fits_the_rules(rule: str) -> None:
    judge(rule, RECORDS[rule])


@each_rule
def test_another_or_a_missing_field_does_not_fit(rule: str) -> None:
    item = RECORDS[rule]
    for changed in (
        {**item, 4: 0},
        {k: v for k, v in item.items() if k != 1},
        {**item, 1: "x"},
        {**item, 1: -1},
    ):
        with pytest.raises(pycddl.ValidationError):
            judge(rule, changed)


def test_the_bounds_are_those_of_the_code() -> None:
    text = RULES.read_text(encoding="utf-8")
    for bound in (f"0..{MAX_ATTEMPT},", f"[0*{MAX_GROUPS} group", f"[0*{MAX_TRANSCRIPT} bstr"):
        assert bound in text
