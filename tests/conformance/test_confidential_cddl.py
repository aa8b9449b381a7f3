"""What operators say of hidden totals against confidential.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.hidden_totals import build_chips, expect_idle_work, expect_run, hand_over
from vetonet.confidential.proving import attach_proof
from vetonet.confidential.usage import MAX_LICENCE_ID, MAX_PROOF_BYTES, MAX_REPORTS
from vetonet.crypto.pedersen import MAX_VALUE
from vetonet.encoding import cbor

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "confidential.cddl"
CHIPS = build_chips(1, 2)
POOLS = expect_idle_work({"acme": CHIPS, "brook": build_chips(3, prefix="b")}, {"brook": "acme"})
RECORDS: dict[str, tuple[str, dict[int, Any]]] = {
    "licence": ("usage-proof", attach_proof(expect_run(CHIPS).to_claim("acme"), bytes(820)).to_item()),
    "pool": ("usage-proof", attach_proof(POOLS[0].to_claim("acme"), bytes(688)).to_item()),
    "owner": ("usage-proof", attach_proof(POOLS[-1].to_claim("brook"), bytes(688)).to_item()),
    "sum": ("sum-opening", hand_over("acme", CHIPS).to_item()),
    "part": ("sum-opening", hand_over("acme", CHIPS, licence_id=17).to_item()),
}
each_record = pytest.mark.parametrize("name", sorted(RECORDS))


def judge(rule: str, item: Any) -> None:
    schema = pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")
    schema.validate_cbor(cbor.to_bytes(item))


@each_record
def test_what_is_said_fits_the_rules(name: str) -> None:
    judge(*RECORDS[name])


@each_record
def test_another_or_a_missing_field_does_not_fit(name: str) -> None:
    rule, item = RECORDS[name]
    for changed in (
        {**item, 11: 0},
        {k: v for k, v in item.items() if k != 1},
        {**item, 1: bytes(31)},
        {**item, 2: ""},
        {**item, 4: -1},
        {**item, 5: "x"},
    ):
        with pytest.raises(pycddl.ValidationError):
            judge(rule, changed)


@pytest.mark.parametrize(
    "change",
    [
        {7: 0},
        {8: bytes(32)},
        {9: []},
        {9: [{1: "budget", 2: 1}] * 4},
        {9: [{1: "price", 2: 1}]},
        {9: [{1: "pool", 2: -1}]},
        {9: [{1: "pool"}]},
        {10: b""},
        {10: bytes(MAX_PROOF_BYTES + 1)},
    ],
)
def test_a_field_out_of_its_range_does_not_fit(change: dict[int, Any]) -> None:
    rule, item = RECORDS["pool"]
    with pytest.raises(pycddl.ValidationError):
        judge(rule, {**item, **change})


def test_the_bounds_are_those_of_the_code() -> None:
    text = RULES.read_text(encoding="utf-8")
    for bound in (f"0..{MAX_LICENCE_ID}", f"1..{MAX_REPORTS}", f"(1..{MAX_PROOF_BYTES})", f"0..{MAX_VALUE}"):
        assert bound in text
