"""What is signed about inspections against inspection.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.inspecting import Scene
from vetonet.crypto.statement import Statement, compute_digest
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, compute_layout
from vetonet.policy.segments import build_transcript
from vetonet.policy.specification import MAX_FIELDS, MAX_VALUE_BYTES, FieldName
from vetonet.policy.transcript import MAX_PARTS, MAX_SAMPLES, SegmentOutcome
from vetonet.voting.inspections import INSPECTION_KINDS

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "inspection.cddl"
SCENE = Scene.begin()
CHALLENGE, ABSENT = SCENE.ask(), SCENE.ask("safety-case")
TRANSCRIPT = SCENE.commit_transcript()
CHECK = SCENE.call_sampling(TRANSCRIPT)
ROUND = SCENE.open_round()


def draw() -> tuple[Statement, Statement]:
    """Return a commitment and a reveal of a round in the log."""
    SCENE.log(SCENE.by_party("p1", ROUND))
    digest, parts = compute_digest(ROUND), SCENE.contribute(ROUND)
    commitments = [part.commit(SCENE.inspections.rounds[digest].opened) for part in parts.values()]
    SCENE.log(*(SCENE.by_party(stated.party_id, stated) for stated in commitments))
    return commitments[0], parts["p1"].reveal(SCENE.inspections.rounds[digest])


COMMITMENT, REVEAL = draw()
EMITTED: dict[str, tuple[str, Record]] = {
    "disclosure-challenge": ("disclosure-challenge", CHALLENGE),
    "disclosure-answer": ("disclosure-answer", SCENE.answer(CHALLENGE)),
    "disclosure-answer of no field": ("disclosure-answer", SCENE.answer(ABSENT)),
    "transcript-commitment": ("transcript-commitment", TRANSCRIPT),
    "segment-challenge": ("segment-challenge", CHECK),
    "segment-finding": ("passed-finding", SCENE.find(CHECK)),
    "segment-finding in doubt": ("doubted-finding", SCENE.find(CHECK, SegmentOutcome.FAILED, segment=3)),
    "randomness-round": ("randomness-round", ROUND),
    "randomness-commitment": ("randomness-commitment", COMMITMENT),
    "randomness-reveal": ("randomness-reveal", REVEAL),
    "field-opening": ("field-opening", SCENE.specification.open_field("data")),
    "specification": ("specification", SCENE.specification),
    "segment": ("segment", build_transcript((b"a", b"b"), (b"c",), SCENE.rng).list_segments()[0]),
}
OPTIONAL = {"field-opening": {2}}
each_record = pytest.mark.parametrize(
    ("rule", "record"), [pytest.param(*entry, id=name) for name, entry in EMITTED.items()]
)


@cache
def load(rule: str) -> Any:
    return pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")


def judge(rule: str, value: object) -> None:
    load(rule).validate_cbor(value if isinstance(value, bytes) else cbor.to_bytes(value))


def refuse(rule: str, value: object) -> None:
    with pytest.raises(pycddl.ValidationError):
        judge(rule, value)


@each_record
def test_what_we_emit_fits_the_rules(rule: str, record: Record) -> None:
    judge(rule, record.to_bytes())


@each_record
def test_an_unknown_or_a_missing_label_does_not_fit(rule: str, record: Record) -> None:
    item = record.to_item()
    for label in (0, 99, -1, "extra"):
        refuse(rule, item | {label: 0})
    for label in item.keys() - OPTIONAL.get(rule, set()):
        refuse(rule, {key: value for key, value in item.items() if key != label})


@each_record
def test_a_field_of_another_kind_or_length_does_not_fit(rule: str, record: Record) -> None:
    item = record.to_item()
    for label, held in item.items():
        for value in (None, True, -(2**40), {"x": 1}):
            refuse(rule, item | {label: value})
        if isinstance(held, bytes) and rule not in {"field-opening", "specification-field"}:
            refuse(rule, item | {label: held + b"\x00"})
            refuse(rule, item | {label: held[:-1]})


def test_every_statement_about_inspections_is_among_the_rules() -> None:
    kinds = {record.TYPE for _, record in EMITTED.values() if isinstance(record, Statement)}
    assert kinds == INSPECTION_KINDS


def test_the_rules_name_every_optional_field_too() -> None:
    for kind in {type(record) for _, record in EMITTED.values()}:
        held = [record for _, record in EMITTED.values() if type(record) is kind]
        labels = {label for record in held for label in record.to_item()}
        assert labels == {declared.label for declared in compute_layout(kind)}


def test_a_finding_has_a_segment_where_it_doubts_and_only_there() -> None:
    # VN-19.8
    passed, failed = (
        SCENE.find(CHECK).to_item(),
        SCENE.find(CHECK, SegmentOutcome.FAILED, segment=3).to_item(),
    )
    judge("doubted-finding", failed | {5: "withheld"})
    refuse("passed-finding", passed | {6: 3})
    refuse("passed-finding", passed | {5: "failed"})
    refuse("doubted-finding", failed | {5: "passed"})


def test_a_path_of_another_length_does_not_fit() -> None:
    # VN-19.1
    item = SCENE.specification.open_field("data").to_item()
    path = item[4]
    assert isinstance(path, list)
    refuse("field-opening", item | {4: path[:-1]})
    refuse("field-opening", item | {4: [*path, bytes(32)]})


def test_the_bounds_are_those_of_the_code() -> None:
    text = RULES.read_text(encoding="utf-8")
    bounds = (
        f"(0..{MAX_VALUE_BYTES})",
        f"1..{MAX_SAMPLES}, ; how",
        f"1..{MAX_PARTS}, ; number",
        f"[{len(FieldName)}*{MAX_FIELDS} spec",
    )
    assert all(bound in text for bound in bounds)
    refuse("segment-challenge", replace(CHECK, sample_count=1).to_item() | {5: 0})
    refuse("transcript-commitment", TRANSCRIPT.to_item() | {6: 0})
