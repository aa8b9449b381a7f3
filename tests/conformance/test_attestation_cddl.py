"""What chips emit against attestation.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.chip_evidence import make_evidence
from support.fleet import Fleet, make_fleet
from support.revocations import make_list
from vetonet.attestation.conflict import Conflict, ConflictKind
from vetonet.attestation.enrolment import (
    AliasEndorsement,
    DeviceEnrolment,
    DeviceRetirement,
    RetirementReason,
)
from vetonet.attestation.report import EAT_PROFILE, ComputeReport, ReportBatch, compute_batch
from vetonet.attester.interlock import TrafficRequested
from vetonet.attester.machine import step
from vetonet.attester.offline import OfflineLicence, pack_offline
from vetonet.attester.snapshots import Snapshots
from vetonet.attester.state import (
    CheckpointSeen,
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    Phase,
    PowerCycled,
    ReportSigned,
)
from vetonet.attester.tamper import TamperDetected
from vetonet.crypto.statement import read_unverified
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, compute_layout
from vetonet.policy.lease import find_number_at
from vetonet.policy.totals import Totals
from vetonet.units import MS_PER_HOUR, Precision, WorkloadClass

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "attestation.cddl"

FLEET = make_fleet()
_, REPORTS = FLEET.run(FLEET.chips[0])
LICENCE_ID = FLEET.licence.statement.licence_id
FREE, LICENSED = REPORTS[0].statement, REPORTS[1].statement
HIDING = make_fleet(totals=Totals.CONFIDENTIAL)
_, HIDDEN_REPORTS = HIDING.run(HIDING.chips[0], hours=1)
HIDDEN_FREE, HIDDEN = HIDDEN_REPORTS[0].statement, HIDDEN_REPORTS[1].statement

EMITTED: dict[str, tuple[str, Record]] = {
    "enrolment": ("device-enrolment", read_unverified(FLEET.enrolments[0], DeviceEnrolment)),
    "alias": ("alias-endorsement", read_unverified(FLEET.aliases[0], AliasEndorsement)),
    "alias with a quote": (
        "alias-endorsement",
        replace(read_unverified(FLEET.aliases[0], AliasEndorsement), platform=b"quote"),
    ),
    "retirement": (
        "device-retirement",
        DeviceRetirement(
            ueid=FLEET.chips[0].ueid, endorser_id="maker", owner="op1", reason=RetirementReason.DESTROYED
        ),
    ),
    "revocation list": ("revocation-list", make_list([FLEET.chips[0].ueid])),
    "first revocation list": ("revocation-list", make_list()),
    "conflict of enrolments": (
        "enrolment-conflict",
        Conflict(kind=ConflictKind.TWO_KEYS, first=b"one", second=b"other"),
    ),
    "conflict of boots": (
        "boot-conflict",
        Conflict(kind=ConflictKind.TWO_BOOTS, first=b"one", second=b"other", enrolment=b"chip"),
    ),
    "conflict of reports": (
        "report-conflict",
        Conflict(
            kind=ConflictKind.TWO_REPORTS,
            first=b"one",
            second=b"other",
            aliases=(b"a", b"b"),
            enrolment=b"chip",
        ),
    ),
    "idle report": ("unlicensed-report", FREE),
    "evidence": ("evidence", make_evidence()),
    "offline licence": (
        "offline-licence",
        pack_offline(FLEET.offer(FLEET.chips[0].ueid), FLEET.lease_offer()),
    ),
    "offline licence for a chip that knows the log": (
        "offline-licence",
        pack_offline(
            FLEET.offer(FLEET.chips[0].ueid, consistency=FLEET.log.consistency_proof(2, 3)),
            FLEET.lease_offer(),
        ),
    ),
    "licensed report": ("licensed-report", LICENSED),
    "full report": (
        "licensed-report",
        replace(LICENSED, model_digest=bytes(32), platform=b"quote", snapshots=(bytes(32),) * 8),
    ),
    "idle confidential report": ("unlicensed-confidential-report", HIDDEN_FREE),
    "licensed confidential report": ("licensed-confidential-report", HIDDEN),
    "full confidential report": (
        "licensed-confidential-report",
        replace(HIDDEN, model_digest=bytes(32), platform=b"quote", snapshots=(bytes(32),) * 8),
    ),
    "batch": ("report-batch", compute_batch(REPORTS[1:], operator_id="op1", licence_id=LICENCE_ID)),
    "idle batch": ("report-batch", compute_batch(REPORTS[:1], operator_id="op1", licence_id=None)),
}
OPTIONAL = {
    "device-enrolment": {6},
    "alias-endorsement": {5},
    "licensed-report": {-70018, -70019},
    "unlicensed-report": {-70018, -70019},
    "licensed-confidential-report": {-70018, -70019},
    "unlicensed-confidential-report": {-70018, -70019},
    "report-batch": {2},
    "offline-licence": {8},
}
REPORT_RULES = [rule for rule in OPTIONAL if rule.endswith("-report")]
each_statement = pytest.mark.parametrize(
    ("rule", "statement"), [pytest.param(*entry, id=name) for name, entry in EMITTED.items()]
)


@cache
def load(rule: str) -> Any:
    return pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")


def judge(rule: str, value: object) -> None:
    load(rule).validate_cbor(value if isinstance(value, bytes) else cbor.to_bytes(value))


def judge_report(claims: ComputeReport) -> None:
    # The tool stumbles over a choice between maps of groups, so each report is judged by its own rule.
    under = "unlicensed" if claims.licence_id is None else "licensed"
    judge(f"{under}-{'confidential-' if claims.is_confidential else ''}report", claims.to_bytes())


def refuse(rule: str, value: object) -> None:
    with pytest.raises(pycddl.ValidationError):
        judge(rule, value)


@each_statement
def test_what_chips_emit_fits_the_rules(rule: str, statement: Record) -> None:
    judge(rule, statement.to_bytes())


def test_every_report_of_a_busy_chip_fits_the_rules() -> None:
    chip = FLEET.lease(FLEET.chips[1])
    for hour in range(6):
        request = FLEET.request() if hour % 2 else FLEET.free_request()
        chip, _ = step(chip, request, chip.latest_ms)
        chip, effects = step(chip, IntervalEnded(), chip.latest_ms)
        (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
        judge_report(read_unverified(data, ComputeReport))


SMALL: dict[str, Any] = {
    "per_device_flop": 4 * 10**17,
    "lease_flop": 2 * 10**17,
    "lease_ms": 4 * MS_PER_HOUR,
}
BUSY = make_fleet(**SMALL)
BUSY_HIDING = make_fleet(**SMALL, totals=Totals.CONFIDENTIAL)
EXTRAS: dict[str, Callable[[Fleet, ChipState], Event]] = {
    "licence": lambda fleet, chip: fleet.offer(chip.ueid),
    "lease": lambda fleet, chip: fleet.lease_offer(
        find_number_at(fleet.licence.statement, chip.latest_ms) or 1
    ),
    "licensed": lambda fleet, _: fleet.request(flop=10**17, duration_ms=MS_PER_HOUR // 4),
    "small": lambda fleet, _: fleet.free_request(flop=10**16, precision=Precision.FP8),
    "serving": lambda fleet, _: fleet.free_request(
        flop=10**16, workload=WorkloadClass.INFERENCE, tokens=70_000, memory_digest=bytes(range(32))
    ),
    "traffic": lambda _fleet, _: TrafficRequested(size_bytes=10**12, duration_ms=MS_PER_HOUR),
    "checkpoint": lambda fleet, _: CheckpointSeen(data=fleet.sign_head()),
    "power": lambda _fleet, chip: PowerCycled(seed=chip.counter.to_bytes(32, "big")),
    "challenge": lambda _fleet, _: IntervalEnded(challenge=bytes(range(32))),
    "tampering": lambda _fleet, _: TamperDetected(),
}
"""What can happen to a chip beside the end of an interval; tampering comes late, for it ends all else."""


def live(seed: int, steps: int = 120) -> Iterator[tuple[Phase, tuple[Effect, ...]]]:
    """Yield the phases of a chip that everything happens to, in no order, and what it said."""
    drawn, fleet = random.Random(seed), BUSY_HIDING if seed % 3 == 0 else BUSY
    chip = replace(fleet.chips[seed % 4], snapshots=Snapshots(mean_gap_ms=MS_PER_HOUR // 3))
    chip = replace(chip, snapshots=chip.snapshots.begin(chip.latest_ms, chip.secret))
    names = [name for name in EXTRAS if name != "tampering"]
    for number in range(steps):
        which = "tampering" if number == steps - 20 else drawn.choice([*names, "report", "report"])
        event = EXTRAS[which](fleet, chip) if which in EXTRAS else IntervalEnded()
        pause_ms = drawn.choice([0, 1, MS_PER_HOUR // 4, MS_PER_HOUR, 30 * MS_PER_HOUR][: 4 + number // 90])
        phase = chip.phase
        chip, effects = step(chip, event, chip.latest_ms + pause_ms)
        yield phase, effects


def test_every_report_of_chips_to_which_everything_happens_fits_the_rules() -> None:
    """Every phase, every event, every boot: the CDDL tool judges each report that comes out of it."""
    seen: Counter[Phase] = Counter()
    said: Counter[str] = Counter()
    for seed in range(30):
        for phase, effects in live(seed):
            for data in [effect.data for effect in effects if isinstance(effect, ReportSigned)]:
                claims = read_unverified(data, ComputeReport)
                judge_report(claims)
                seen[phase] += 1
                said.update(name for name in MAY_BE_EMPTY if getattr(claims, name))
    assert set(seen) == set(Phase) - {Phase.OFF}
    assert set(said) == set(MAY_BE_EMPTY)
    assert sum(seen.values()) > 300


MAY_BE_EMPTY = (
    "licence_id",
    "out_of_set_bytes",
    "snapshots",
    "cumulative_tokens",
    "cumulative_cycles",
    "precision_flop",
    "tamper_count",
)


@each_statement
def test_an_unknown_label_does_not_fit(rule: str, statement: Record) -> None:
    for label in (0, 99, -1, 6_000, "extra"):
        refuse(rule, statement.to_item() | {label: 0})


@each_statement
def test_a_missing_field_does_not_fit(rule: str, statement: Record) -> None:
    item = statement.to_item()
    for label in set(item) - OPTIONAL.get(rule, set()):
        refuse(rule, {key: value for key, value in item.items() if key != label})


@each_statement
def test_a_field_of_another_kind_does_not_fit(rule: str, statement: Record) -> None:
    item = statement.to_item()
    for label in item:
        for value in (None, True, -(2**40), {"x": 1}):
            refuse(rule, item | {label: value})


@each_statement
def test_a_short_or_long_byte_string_does_not_fit(rule: str, statement: Record) -> None:
    item = statement.to_item()
    free = {
        ("device-enrolment", 1),
        *((rule, label) for rule in OPTIONAL if rule.endswith("-report") for label in (259, -70019)),
        ("offline-licence", 1),
        ("offline-licence", 3),
        ("offline-licence", 5),
        ("alias-endorsement", 5),
        *[("evidence", label) for label in (1, 2, 3)],
        *((f"{what}-conflict", label) for what in ("enrolment", "boot", "report") for label in (2, 3, 5)),
    }
    for label, value in item.items():
        if isinstance(value, bytes) and (rule, label) not in free:
            refuse(rule, item | {label: value[:-1]})
            refuse(rule, item | {label: value + b"\x00"})


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (10, [bytes(32)]),
        (10, [bytes(32)] * 3),
        (10, [bytes(31), bytes(32)]),
        (10, bytes(32)),
        (259, b""),
        (259, bytes(33)),
        (263, 5),
        (265, "tag:vetonet.example,2026:compute-report#1"),
        (-70001, 0),
        (-70005, 2**53 + 1),
        (-70007, "mining"),
        (-70008, "fp7"),
        (-70013, [bytes(32)] * 9),
        (-70013, [bytes(31)]),
        (-70014, 2**64),
        (-70017, 2**32 + 1),
        (-70018, bytes(33)),
        (-70019, b""),
        (-70019, bytes(513)),
    ],
)
def test_a_claim_out_of_range_does_not_fit(label: int, value: object) -> None:
    refuse("licensed-report", LICENSED.to_item() | {label: value})


@pytest.mark.parametrize(
    ("label", "value"),
    [(265, EAT_PROFILE), (-70020, bytes(32)), (-70020, bytes(34)), (-70021, 2), (-70021, True)],
)
def test_a_claim_of_a_confidential_report_out_of_range_does_not_fit(label: int, value: object) -> None:
    refuse("licensed-confidential-report", HIDDEN.to_item() | {label: value})


@pytest.mark.parametrize("label", [-70009, -70014, -70015, -70016])
def test_a_confidential_report_with_an_open_counter_does_not_fit(label: int) -> None:
    # VN-9.1
    for rule in REPORT_RULES:
        refuse(rule, HIDDEN.to_item() | {label: 0})


@pytest.mark.parametrize(("label", "value"), [(-70020, HIDDEN.flop_commitment), (-70021, 1)])
def test_an_open_report_with_a_claim_of_a_confidential_one_does_not_fit(label: int, value: object) -> None:
    # VN-9.1
    for rule in REPORT_RULES:
        refuse(rule, LICENSED.to_item() | {label: value})


def test_half_a_licence_does_not_fit() -> None:
    item = LICENSED.to_item()
    for label in (-70005, -70006):
        half = {key: value for key, value in item.items() if key != label}
        refuse("licensed-report", half)
        refuse("unlicensed-report", half)


def test_the_rules_know_every_word_of_the_code() -> None:
    item = LICENSED.to_item()
    for name in Precision:
        judge("licensed-report", item | {-70008: name.value})
        judge("peak-rate", {1: name.value, 2: 1})
    for reason in RetirementReason:
        judge("device-retirement", EMITTED["retirement"][1].to_item() | {4: reason.value})
    for workload in WorkloadClass:
        judge("licensed-report", item | {-70007: workload.value})


@pytest.mark.parametrize(
    "value", [{1: "bf16"}, {1: "bf16", 2: 0}, {1: "x", 2: 1}, {1: "bf16", 2: 1, 3: 1}, []]
)
def test_a_malformed_peak_rate_does_not_fit(value: object) -> None:
    refuse("peak-rate", value)


def test_the_rules_name_every_optional_field_too() -> None:
    for kind in (
        DeviceEnrolment,
        DeviceRetirement,
        AliasEndorsement,
        ComputeReport,
        ReportBatch,
        OfflineLicence,
    ):
        emitted = [statement for _, statement in EMITTED.values() if type(statement) is kind]
        labels = {label for statement in emitted for label in statement.to_item()}
        assert labels == {declared.label for declared in compute_layout(kind)}
