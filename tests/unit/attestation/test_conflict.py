"""Two signed things that cannot both be true: whom they convict, and whom not (VN-17.2, VN-17.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.firmware import FIRMWARE
from support.fleet import MODEL, drive, make_fleet
from vetonet.attestation.conflict import (
    Conflict,
    ConflictKind,
    Conviction,
    DeviceConflictError,
    build_report_conflict,
    find_enrolment_conflict,
    verify_conflict,
)
from vetonet.attestation.enrolment import open_alias, open_enrolment
from vetonet.attestation.registry import Registry
from vetonet.attester.machine import step
from vetonet.attester.manufacture import describe, manufacture
from vetonet.attester.state import AliasEndorsed, IntervalEnded, PowerCycled, ReportSigned
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_kind, sign_jointly
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    ProofError,
    RefusedError,
    UnknownPartyError,
    VerificationError,
    VetonetError,
)

FLEET = make_fleet()
COUNCIL, CHIP = FLEET.council, FLEET.chips[0]
TREATY = COUNCIL.treaty.statement
MAKERS = {"maker": COUNCIL.endorser_root.public_key}
OWNERS = {name: key.public_key for name, key in COUNCIL.operator_keys.items()}
DEVICE = open_enrolment(FLEET.enrolments[0], endorser_keys=MAKERS, operator_keys=OWNERS)
ALIAS = open_alias(FLEET.aliases[0], DEVICE)


def judge(conflict: Conflict) -> Conviction:
    return verify_conflict(conflict, endorser_keys=MAKERS, operator_keys=OWNERS)


def enrol_again(owner: str = "op2", **changes: Any) -> bytes:
    """The same key, signed for once more by maker and owner."""
    again = replace(describe(CHIP, FLEET.maker, owner=owner, site="Elsewhere"), **changes)
    return sign_jointly(again, (COUNCIL.endorser_root, COUNCIL.operator_keys[owner]))


def clone_serial() -> bytes:
    """Another key under the serial of the chip."""
    other = manufacture(
        MODEL,
        FLEET.maker,
        COUNCIL.treaty,
        SeededRng(b"second of one serial"),
        firmware=FIRMWARE,
        serial=DEVICE.enrolment.serial,
    )
    enrolment = describe(other, FLEET.maker, owner="op1", site="Here")
    return sign_jointly(enrolment, (COUNCIL.endorser_root, COUNCIL.operator_keys["op1"]))


def fork_reports() -> tuple[bytes, bytes]:
    """What a chip signs whose state is copied and put back."""
    chip, _ = FLEET.run(CHIP, hours=1)
    worked = drive(chip, (FLEET.request(), chip.latest_ms))[0]
    _, ran = step(worked, IntervalEnded(), worked.latest_ms)
    _, hidden = step(chip, IntervalEnded(), worked.latest_ms)
    one, other = (e.data for e in (*ran, *hidden) if isinstance(e, ReportSigned))
    return one, other


def fork_boots() -> tuple[bytes, bytes]:
    """Two alias endorsements of one boot: the clone starts as often as the chip."""
    found = []
    for seed in (b"a" * 32, b"b" * 32):
        _, effects = step(CHIP, PowerCycled(seed=seed), CHIP.latest_ms + 1)
        found += [effect.data for effect in effects if isinstance(effect, AliasEndorsed)]
    return found[0], found[1]


def conflict_of_reports(one: bytes, other: bytes) -> Conflict:
    return build_report_conflict(DEVICE, (FLEET.open(one), ALIAS), (FLEET.open(other), ALIAS))


def conflict_of_enrolments(other: bytes) -> Conflict:
    second = open_enrolment(other, endorser_keys=MAKERS, operator_keys=OWNERS)
    found = find_enrolment_conflict(DEVICE, second)
    assert found is not None
    return found


def conflict_of_boots() -> Conflict:
    first, second = sorted(fork_boots())
    return Conflict(kind=ConflictKind.TWO_BOOTS, first=first, second=second, enrolment=FLEET.enrolments[0])


CONFLICTS: dict[str, tuple[Callable[[], Conflict], str]] = {
    "two keys": (lambda: conflict_of_enrolments(clone_serial()), "maker"),
    "two owners": (lambda: conflict_of_enrolments(enrol_again()), "maker"),
    "two boots": (conflict_of_boots, CHIP.ueid.hex()),
    "two reports": (lambda: conflict_of_reports(*fork_reports()), CHIP.ueid.hex()),
}
each_conflict = pytest.mark.parametrize(
    ("build", "culprit"), [pytest.param(*entry, id=name) for name, entry in CONFLICTS.items()]
)


@each_conflict
def test_a_conflict_convicts_offline_with_nothing_but_the_treatys_keys(
    build: Callable[[], Conflict], culprit: str
) -> None:
    conflict = Conflict.from_bytes(build().to_bytes())
    assert judge(conflict).culprit == culprit
    assert read_kind(conflict.to_bytes()) == "conflict"


@each_conflict
def test_a_conflict_with_an_altered_byte_is_refused(build: Callable[[], Conflict], culprit: str) -> None:
    """VN-17.4: one bit, anywhere, convicts nobody."""
    del culprit
    data = build().to_bytes()
    for place in range(0, len(data), 7):
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(VetonetError):
            judge(Conflict.from_bytes(altered))


@each_conflict
def test_a_conflict_convicts_only_of_what_it_says(build: Callable[[], Conflict], culprit: str) -> None:
    """VN-17.4"""
    del culprit
    conflict = build()
    for kind in ConflictKind:
        if kind is not conflict.kind:
            with pytest.raises((VetonetError, ValueError)):
                judge(replace(conflict, kind=kind))


@each_conflict
def test_keys_of_another_maker_of_the_same_name_convict_nobody(
    build: Callable[[], Conflict], culprit: str
) -> None:
    """VN-17.4"""
    del culprit
    with pytest.raises(VerificationError):
        verify_conflict(build(), endorser_keys={"maker": OWNERS["op1"]}, operator_keys=OWNERS)
    with pytest.raises(UnknownPartyError):
        verify_conflict(build(), endorser_keys={}, operator_keys=OWNERS)


@each_conflict
def test_a_conflict_has_one_spelling(build: Callable[[], Conflict], culprit: str) -> None:
    """VN-17.4"""
    del culprit
    item = build().to_item()
    with pytest.raises(EncodingError):
        Conflict.from_item(item | {2: item[3], 3: item[2]})
    with pytest.raises(EncodingError):
        Conflict.from_item(item | {3: item[2]})


def test_two_reports_of_two_counters_convict_nobody() -> None:
    """VN-17.4: a chip that goes on has done nothing wrong."""
    _, reports = FLEET.run(CHIP, hours=2)
    with pytest.raises(ProofError, match="two counters"):
        judge(conflict_of_reports(reports[0].data, reports[1].data))


def test_an_alias_that_signed_neither_report_does_not_belong_there() -> None:
    """VN-17.4"""
    conflict = conflict_of_reports(*fork_reports())
    aliases = tuple(sorted((*(conflict.aliases or ()), fork_boots()[0])))
    with pytest.raises(ProofError, match="not exactly those"):
        judge(replace(conflict, aliases=aliases))


def test_reports_of_two_chips_convict_nobody() -> None:
    """VN-17.4"""
    conflict = conflict_of_reports(*fork_reports())
    with pytest.raises(VetonetError):
        judge(replace(conflict, enrolment=FLEET.enrolments[1]))


def test_whoever_corrects_a_site_is_refused_but_not_convicted() -> None:
    """VN-8.3"""
    registry = make_registry()
    with pytest.raises(EquivocationError) as caught:
        registry.read_enrolment(enrol_again(owner="op1"), TREATY)
    assert not isinstance(caught.value, DeviceConflictError)


# ------------------------------------------------------------------ what the registry does


def make_registry(*conflicts: Conflict) -> Registry:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], TREATY)
    for index, conflict in enumerate(conflicts, start=3):
        registry.read_conflict(conflict.to_bytes(), TREATY, index)
    return registry


@pytest.mark.parametrize(
    ("again", "kind", "clause"),
    [
        pytest.param(clone_serial, ConflictKind.TWO_KEYS, "VN-17.2", id="serial cloned"),
        pytest.param(enrol_again, ConflictKind.TWO_OWNERS, "VN-8.3", id="chip sold on"),
    ],
)
def test_a_second_enrolment_is_refused_with_the_proof_against_its_maker(
    again: Callable[[], bytes], kind: ConflictKind, clause: str
) -> None:
    """VN-17.2"""
    registry = make_registry()
    with pytest.raises(DeviceConflictError) as caught:
        registry.read_enrolment(again(), TREATY)
    assert (caught.value.culprit, caught.value.clause) == ("maker", clause)
    assert judge(caught.value.conflict).kind is kind
    assert list(registry.devices) == [CHIP.ueid]


def test_the_same_device_twice_is_refused() -> None:
    """VN-8.3"""
    with pytest.raises(RefusedError, match="registered already"):
        make_registry().read_enrolment(FLEET.enrolments[0], TREATY)


def test_two_alias_keys_for_one_boot_are_refused_with_the_proof_against_the_chip() -> None:
    """VN-17.4"""
    registry = make_registry()
    first, second = fork_boots()
    registry.read_alias(first)
    with pytest.raises(DeviceConflictError) as caught:
        registry.read_alias(second)
    assert judge(caught.value.conflict).culprit == CHIP.ueid.hex()


def test_a_second_proof_of_the_same_is_refused() -> None:
    """VN-17.4: else anybody fills the log with what it knows."""
    with pytest.raises(RefusedError, match="convicts of this already"):
        make_registry(conflict_of_boots(), conflict_of_reports(*fork_reports()))


def test_a_cloned_chip_endorses_no_key_any_more() -> None:
    """VN-17.4"""
    registry = make_registry(conflict_of_reports(*fork_reports()))
    found = registry.find_cloning(DEVICE)
    assert found is not None
    assert found.leaf_index == 3
    with pytest.raises(RefusedError) as caught:
        registry.read_alias(FLEET.aliases[0])
    assert caught.value.clause == "VN-17.4"


def test_an_unregistered_chip_endorses_no_key() -> None:
    """VN-8.3"""
    with pytest.raises(UnknownPartyError):
        Registry().read_alias(FLEET.aliases[0])


def test_an_enrolment_under_another_serial_than_the_certificates_is_refused() -> None:
    """VN-17.2"""
    with pytest.raises(RefusedError) as caught:
        Registry().read_enrolment(enrol_again(owner="op1", serial="Another-1"), TREATY)
    assert (caught.value.culprit, caught.value.clause) == ("maker", "VN-17.2")
