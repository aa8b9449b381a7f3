"""What a key ceremony emits against ceremony.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.ceremony import Table, kind_of, make_cast, make_repair
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, compute_layout
from vetonet.policy.ceremony import CeremonyComplaint, CeremonyDisclosure

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "ceremony.cddl"

CAST = make_cast(3, seats=("p1", "p2", "p1", "p3"))
TABLE = Table.seat(CAST).run()
CEREMONY = CAST.plan.compute_digest()
SENT = {kind_of(data): data for _, _, data in TABLE.sent}
REPAIR = make_repair()
SUMS = next(data for _, _, data in Table.seat(REPAIR).run().sent if kind_of(data) == "ceremony-sums")
EMITTED: dict[str, Record] = {kind: CAST.open(data) for kind, data in SENT.items()} | {
    "ceremony-plan": REPAIR.plan,
    "ceremony-sums": REPAIR.open(SUMS),
    "ceremony-complaint": CeremonyComplaint(
        ceremony=CEREMONY, hpke_seeds=(bytes(32),), sealed=(SENT["ceremony-shares"],)
    ),
    "ceremony-disclosure": CeremonyDisclosure(ceremony=CEREMONY, statements=tuple(SENT.values())),
}
SEALED = 4
MAY_BE_EMPTY = {("ceremony-round-one", 2), ("ceremony-round-one", 3)}
OPTIONAL = {("ceremony-plan", 5)}
each_statement = pytest.mark.parametrize("rule", sorted(EMITTED))


@cache
def load(rule: str) -> Any:
    return pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")


def judge(rule: str, value: object) -> None:
    load(rule).validate_cbor(cbor.to_bytes(value))


def refuse(rule: str, value: object) -> None:
    with pytest.raises(pycddl.ValidationError):
        judge(rule, value)


def test_the_rules_are_those_of_every_kind() -> None:
    assert len(EMITTED) == 8
    lines = RULES.read_text(encoding="utf-8").splitlines()
    assert {line.split(" ")[0] for line in lines if line.startswith("ceremony-")} == set(EMITTED)


@each_statement
def test_what_we_emit_fits_the_rules(rule: str) -> None:
    judge(rule, EMITTED[rule].to_item())


@each_statement
def test_an_unknown_or_a_missing_field_does_not_fit(rule: str) -> None:
    item = EMITTED[rule].to_item()
    assert set(item) == {declared.label for declared in compute_layout(type(EMITTED[rule]))}
    for label in (0, 99, -1, "extra"):
        refuse(rule, item | {label: 0})
    for label in item:
        if (rule, label) in OPTIONAL:
            continue
        refuse(rule, {key: value for key, value in item.items() if key != label})


@each_statement
def test_a_field_of_another_kind_or_size_does_not_fit(rule: str) -> None:
    item = EMITTED[rule].to_item()
    for label, field in item.items():
        unfit: tuple[object, ...] = (None, True, -1, {"x": 1}, b"")
        for value in unfit if (rule, label) in MAY_BE_EMPTY else (*unfit, []):
            refuse(rule, item | {label: value})
        if isinstance(field, bytes) and rule != "ceremony-plan" and label != SEALED:
            refuse(rule, item | {label: field[:-1]})
            refuse(rule, item | {label: field + b"\x00"})


@pytest.mark.parametrize(
    ("rule", "label", "value"),
    [
        ("ceremony-plan", 2, 0),
        ("ceremony-plan", 2, 129),
        ("ceremony-plan", 4, [{1: "p1", 2: bytes(43)}]),
        ("ceremony-round-one", 2, [bytes(35)]),
        ("ceremony-round-one", 3, [bytes(31)]),
        ("ceremony-round-one", 2, [bytes(4165)]),
        ("ceremony-shares", 4, bytes(83)),
        ("ceremony-disclosure", 2, [b""]),
    ],
)
def test_a_part_of_another_size_does_not_fit(rule: str, label: int, value: object) -> None:
    refuse(rule, EMITTED[rule].to_item() | {label: value})
