"""A fleet has an element for each of its chips, or none at all."""

from __future__ import annotations

import pytest

from support.fleet import make_fleet
from support.world import NOW_MS, Council
from vetonet.attestation.report import ComputeReport, ReportBatch
from vetonet.attester.models import find_chip_model
from vetonet.attester.secure_element import SecureElement, SoftwareElement
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.pedersen import Commitment, verify_opening
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified
from vetonet.policy.totals import Totals
from vetonet.sim.fleet import Fleet, Operator
from vetonet.units import UNIT_FLOP, Precision, WorkloadClass

MADE = make_fleet()


def make_elements(count: int) -> list[SecureElement]:
    return [SoftwareElement(device_key=generate_ecdsa(SeededRng(bytes([n])))) for n in range(count)]


def build(count: int, elements: list[SecureElement]) -> Fleet:
    name, key = next(iter(MADE.council.operator_keys.items()))
    return Fleet.build(
        find_chip_model("H100"),
        count,
        maker=MADE.maker,
        operator=Operator(operator_id=name, key=key),
        treaty=MADE.council.treaty,
        rng=SeededRng(b"fleet"),
        elements=elements,
    )


HIDING = make_fleet(totals=Totals.CONFIDENTIAL).council


def build_running(council: Council, count: int = 3) -> Fleet:
    fleet = Fleet.build(
        find_chip_model("H100"),
        count,
        maker=MADE.maker,
        operator=Operator(operator_id="op1", key=council.operator_keys["op1"]),
        treaty=council.treaty,
        rng=SeededRng(b"running"),
    )
    fleet.power_on(SeededRng(b"power"), NOW_MS)
    return fleet


def work(fleet: Fleet, now: int) -> tuple[bytes, ...]:
    """Every chip but the first computes one unit more than the one before it, and all report."""
    fleet.work(
        lambda index: index * UNIT_FLOP,
        duration_ms=60_000,
        workload=WorkloadClass.TRAINING,
        precision=Precision.BF16,
        total_flop=10**20,
        licence_id=None,
        now=now,
    )
    return fleet.report(now + 60_000).reports


def test_a_fleet_keeps_what_opens_each_of_its_reports() -> None:
    # VN-17.18
    fleet = build_running(HIDING)
    reports = [*work(fleet, NOW_MS), *work(fleet, NOW_MS + 60_000)]
    claims = [read_unverified(data, ComputeReport) for data in reports]
    assert fleet.openings.keys() == {(each.ueid, each.counter) for each in claims}
    for each in claims:
        licence_id, opening = fleet.openings[each.ueid, each.counter]
        assert licence_id is None
        verify_opening(Commitment.from_bytes(each.commitment), opening)
    last = [fleet.openings[ueid, 2][1].value for ueid in fleet.device_set.ueids]
    assert last == [0, 2, 4]


def test_a_batch_of_confidential_reports_is_signed_as_any_other() -> None:
    fleet = build_running(HIDING)
    assert read_unverified(fleet.sign_batch(work(fleet, NOW_MS)), ReportBatch).report_count == 3


def test_a_fleet_under_open_totals_has_nothing_to_open() -> None:
    fleet = build_running(MADE.council)
    assert len(work(fleet, NOW_MS)) == 3
    assert not fleet.openings


def test_nobody_changes_the_openings_of_a_fleet_from_outside() -> None:
    with pytest.raises(TypeError):
        build_running(HIDING).openings[b"", 1] = None  # type: ignore[index]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_elements_than_of_chips_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"each of {count} chips, got 2"):
        build(count, make_elements(2))


def test_each_chip_has_the_key_of_one_element() -> None:
    elements = make_elements(2)
    expected = {element.public_key.ueid for element in elements}
    assert set(build(2, elements).device_set.ueids) == expected
    assert build(3, []).size == 3
