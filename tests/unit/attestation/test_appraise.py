"""Appraisal: one report against its chip, and a chip's reports against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from support.fleet import drive, make_fleet
from support.hiding import hide
from vetonet.attestation.appraise import appraise, appraise_chain, verify_chain, verify_report
from vetonet.attestation.reasons import REASONS, Finding
from vetonet.attestation.report import (
    CYCLES_PER_MS,
    ComputeReport,
    compute_report_digest,
    open_report,
)
from vetonet.attestation.report_rules import Subject
from vetonet.attester.machine import step
from vetonet.attester.state import IntervalEnded, PowerCycled, ReportSigned
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import AppraisalError, Problem
from vetonet.units import MS_PER_HOUR

FLEET = make_fleet()
CHIP = FLEET.chips[0]
LATER, REPORTS = FLEET.run(CHIP, hours=4)
KNOWN = FLEET.registry.find_alias(REPORTS[0].signer.key_id)
OTHER = FLEET.registry.find_alias(FLEET.run(FLEET.chips[1], hours=0)[1][0].signer.key_id)
KEY = CHIP.alias_key
assert KEY is not None

Chain = Sequence[Signed[ComputeReport]]


def sign_changed(index: int, **changes: Any) -> Signed[ComputeReport]:
    """A report that the chip's own key signed over other claims."""
    return sign_claims(replace(REPORTS[index].statement, **changes))


def sign_claims(claims: ComputeReport) -> Signed[ComputeReport]:
    assert KEY is not None
    return open_report(sign(claims, KEY), FLEET.registry.aliases)


def reasons_of(problems: Sequence[Problem]) -> list[str]:
    return [problem.reason for problem in problems]


def test_honest_reports_have_no_problems() -> None:
    for report in REPORTS:
        assert appraise(report, KNOWN.device, KNOWN.alias, firmware=()) == ()
        verify_report(report, KNOWN.device, KNOWN.alias, firmware=())
    assert appraise_chain(REPORTS) == ()
    verify_chain(REPORTS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ueid": FLEET.chips[1].ueid}, "wrong-device"),
        ({"boot_count": 2}, "wrong-boot"),
        ({"hw_model": b"NVIDIA H200 SXM"}, "wrong-model"),
        ({"firmware_digest": bytes(32)}, "unknown-firmware"),
        ({"debug_status": 0}, "debug-enabled"),
        ({"debug_status": 1}, "debug-enabled"),
    ],
)
def test_a_wrong_claim_has_its_reason_code(change: dict[str, Any], reason: str) -> None:
    found = appraise(sign_changed(1, **change), KNOWN.device, KNOWN.alias, firmware=())
    assert reasons_of(found) == [reason]
    assert found[0].culprit == "op1"
    assert not REASONS[reason].is_curable


def test_a_subject_has_nothing_that_nobody_named() -> None:
    assert all(field.default is MISSING and field.kw_only for field in fields(Subject))


@pytest.mark.parametrize("status", [2, 3, 4])
def test_debugging_disabled_since_boot_is_enough(status: int) -> None:
    # RFC 9711 section 4.2.9
    assert appraise(sign_changed(1, debug_status=status), KNOWN.device, KNOWN.alias, firmware=()) == ()


def test_a_report_of_one_chip_under_the_alias_of_another_is_refused() -> None:
    assert reasons_of(appraise(REPORTS[1], OTHER.device, OTHER.alias, firmware=())) == ["wrong-device"]
    assert reasons_of(appraise(REPORTS[1], KNOWN.device, OTHER.alias, firmware=())) == ["wrong-device"]


def test_what_is_wrong_with_the_firmware_of_a_boot_is_told_of_each_of_its_reports() -> None:
    found = (("component-outdated", "runs bootloader with svn 1, expected 2"),)  # VN-17.7
    told = appraise(REPORTS[1], KNOWN.device, KNOWN.alias, firmware=found)
    assert reasons_of(told) == ["component-outdated"]
    assert "runs bootloader" in told[0].detail


def test_all_problems_of_a_report_are_told_at_once() -> None:
    report = sign_changed(1, boot_count=9, debug_status=0, firmware_digest=bytes(32))
    with pytest.raises(AppraisalError) as caught:
        verify_report(report, KNOWN.device, KNOWN.alias, firmware=())
    assert reasons_of(caught.value.problems) == ["wrong-boot", "unknown-firmware", "debug-enabled"]


FORK = sign_changed(
    2,
    cumulative_flop=REPORTS[1].statement.counters.flop,
    precision_flop=REPORTS[1].statement.counters.precision_flop,
)
ROLLED_BACK_METER = sign_changed(2, cumulative_flop=0, precision_flop=0)
ROLLED_BACK_BOOT = sign_changed(2, boot_count=0)
OVERLAPPING = sign_changed(2, window_start_ms=REPORTS[1].statement.window_end_ms - 1)
SKIPPING = sign_changed(
    2,
    window_start_ms=REPORTS[1].statement.window_end_ms + 1,
    cumulative_cycles=REPORTS[2].statement.counters.cycles - CYCLES_PER_MS,
)
MISCOUNTS: dict[str, dict[str, int]] = {
    "more in one precision than in all": {"cumulative_flop": REPORTS[2].statement.counters.flop - 1},
    "less in all precisions than in all": {
        "precision_flop": REPORTS[2].statement.counters.precision_flop - 1
    },
    "more cycles than time": {"cumulative_cycles": REPORTS[2].statement.counters.cycles + 1},
    "work in no cycle": {"cumulative_cycles": REPORTS[1].statement.counters.cycles},
}
ROLLBACKS: dict[str, dict[str, int]] = {
    "tokens": {"cumulative_tokens": 6},
    "cycles": {"cumulative_cycles": REPORTS[1].statement.counters.cycles - 1},
    "tampering": {"tamper_count": 0},
    "one precision": {"precision_flop": REPORTS[1].statement.counters.precision_flop - 1},
    "the total": {"cumulative_flop": REPORTS[1].statement.counters.flop - 1},
}
FOREIGN = FLEET.run(FLEET.chips[1], hours=4)[1]

BROKEN_CHAINS: dict[str, tuple[Callable[[], Chain], list[str]]] = {
    "the first is missing": (lambda: REPORTS[1:], ["report-gap"]),
    "one in the middle is missing": (lambda: [*REPORTS[:2], *REPORTS[3:]], ["report-gap"]),
    "two gaps": (lambda: [REPORTS[0], REPORTS[2], REPORTS[4]], ["report-gap", "report-gap"]),
    "one twice": (lambda: [*REPORTS[:2], *REPORTS[1:]], ["report-replayed"]),
    "two with one counter": (lambda: [*REPORTS[:3], FORK, *REPORTS[3:]], ["report-fork"]),
    "another one in its place": (lambda: [*REPORTS[:2], FORK, *REPORTS[3:]], ["report-fork"]),
    "out of order": (lambda: [REPORTS[0], REPORTS[2], REPORTS[1]], ["report-gap", "report-reordered"]),
    "an old one again": (lambda: [*REPORTS[:4], REPORTS[1]], ["report-reordered"]),
    "the meter falls": (lambda: [*REPORTS[:2], ROLLED_BACK_METER], ["meter-rollback"]),
    "the boot count falls": (lambda: [*REPORTS[:2], ROLLED_BACK_BOOT], ["boot-rollback"]),
    "windows overlap": (lambda: [*REPORTS[:2], OVERLAPPING], ["window-overlap"]),
    "time is left out": (lambda: [*REPORTS[:2], SKIPPING], ["window-gap"]),
    "another chip's": (lambda: [*REPORTS[:2], FOREIGN[2]], ["wrong-device"]),
}


@pytest.mark.parametrize("change", MISCOUNTS.values(), ids=MISCOUNTS)
def test_counters_that_contradict_each_other_are_mismatched(change: dict[str, int]) -> None:
    # VN-17.10, requirement 8
    found = appraise_chain([*REPORTS[:2], sign_changed(2, **change)])
    assert reasons_of(found) == ["meter-mismatched"]


@pytest.mark.parametrize("change", ROLLBACKS.values(), ids=ROLLBACKS)
def test_every_counter_that_falls_is_a_rollback(change: dict[str, int]) -> None:
    # VN-17.10
    before = sign_changed(1, cumulative_tokens=7, tamper_count=1)
    after = sign_changed(2, **({"cumulative_tokens": 7, "tamper_count": 1} | change))
    assert "meter-rollback" in reasons_of(appraise_chain([REPORTS[0], before, after]))


def test_more_in_one_precision_than_in_all_shows_in_a_single_report() -> None:
    # VN-17.10
    report = sign_changed(2, precision_flop=REPORTS[2].statement.counters.flop + 1)
    assert reasons_of(appraise(report, KNOWN.device, KNOWN.alias, firmware=())) == ["meter-mismatched"]


def sign_hidden(number: int, **changes: Any) -> Signed[ComputeReport]:
    """The report of this number as the chip had made it under confidential totals."""
    return sign_claims(hide(REPORTS[number].statement, **changes))


def link(reports: Sequence[Signed[ComputeReport]]) -> list[Signed[ComputeReport]]:
    """The same reports, each naming the one before it."""
    linked = [reports[0]]
    for report in reports[1:]:
        digest = compute_report_digest(linked[-1].data)
        linked.append(sign_claims(replace(report.statement, previous_digest=digest)))
    return linked


def test_of_what_is_hidden_a_chain_says_nothing() -> None:
    """VN-17.10."""
    assert appraise_chain(link([sign_hidden(number) for number in range(len(REPORTS))])) == ()
    for report in (sign_hidden(1), sign_hidden(1, activity=0)):
        assert appraise(report, KNOWN.device, KNOWN.alias, firmware=()) == ()


def test_what_is_not_hidden_is_held_against_a_confidential_report_as_well() -> None:
    chain = [REPORTS[0], sign_hidden(1, tamper_count=1), sign_hidden(2, tamper_count=0)]
    assert reasons_of(appraise_chain(link(chain))) == ["meter-rollback"]
    chain = [REPORTS[0], sign_hidden(1), sign_hidden(2, boot_count=0)]
    assert reasons_of(appraise_chain(link(chain))) == ["boot-rollback"]
    assert "report-fork" in reasons_of(appraise_chain([*REPORTS[:2], sign_hidden(2), sign_hidden(3)]))


def test_counters_that_are_open_again_must_not_be_below_those_before_they_were_hidden() -> None:
    """VN-17.10: between two open reports nothing is said of how much came to them, but nothing falls."""
    between = [REPORTS[0], REPORTS[1], sign_hidden(2)]
    assert appraise_chain(link([*between, REPORTS[3]])) == ()
    low = sign_changed(3, cumulative_flop=REPORTS[1].statement.counters.flop - 1)
    assert reasons_of(appraise_chain(link([*between, low]))) == ["meter-rollback"]
    low = sign_changed(3, precision_flop=REPORTS[1].statement.counters.precision_flop - 1)
    assert reasons_of(appraise_chain(link([*between, low]))) == ["meter-rollback"]
    low = sign_changed(3, cumulative_cycles=0)
    assert reasons_of(appraise_chain(link([*between, low]))) == ["meter-rollback"]


def test_over_a_hidden_report_the_total_is_not_held_against_the_precisions() -> None:
    # Another precision may have been used in the report that says none.
    later = sign_changed(3, precision_flop=REPORTS[1].statement.counters.precision_flop)
    assert appraise_chain(link([*REPORTS[:2], sign_hidden(2), later])) == ()


def test_over_a_gap_the_total_is_not_held_against_the_precisions() -> None:
    # Another precision may have been used in the report that is missing.
    later = sign_changed(3, precision_flop=REPORTS[3].statement.counters.precision_flop - 1)
    assert reasons_of(appraise_chain([*REPORTS[:2], later])) == ["report-gap"]


def test_a_chip_that_noticed_tampering_is_contraindicated() -> None:
    # VN-17.13, requirement 10
    (found,) = appraise(sign_changed(1, tamper_count=2), KNOWN.device, KNOWN.alias, firmware=())
    assert REASONS[found.reason] is Finding.CONTRAINDICATED


@pytest.mark.parametrize(
    ("make", "expected"), [pytest.param(*entry, id=name) for name, entry in BROKEN_CHAINS.items()]
)
def test_a_broken_chain_has_its_reason_codes(make: Callable[[], Chain], expected: list[str]) -> None:
    found = appraise_chain(make())
    assert reasons_of(found) == expected
    with pytest.raises(AppraisalError) as caught:
        verify_chain(make())
    assert caught.value.problems == found


def test_missing_evidence_is_told_apart_from_contradiction() -> None:
    missing = {reason for reason, finding in REASONS.items() if finding is Finding.MISSING}
    assert missing == {
        "report-gap",
        "window-gap",
        "certificate-lapsed",
        "kind-unknown",
        "platform-missing",
        "component-missing",
        "component-unknown",
        "reference-missing",
        "device-undated",
        "revocation-missing",
    }


def test_every_reason_that_tests_expect_is_in_the_table() -> None:
    assert {reason for _, expected in BROKEN_CHAINS.values() for reason in expected} <= set(REASONS)


def test_a_rolled_back_state_forks_the_chain() -> None:
    # The chip's state is copied, time passes, the copy is put back: two reports with one counter.
    one, _ = FLEET.run(CHIP, hours=1)
    first = drive(one, (FLEET.request(), one.latest_ms))[0]
    _, ran = step(first, IntervalEnded(), first.latest_ms)
    _, hidden = step(one, IntervalEnded(), first.latest_ms)
    both = [FLEET.open(effect.data) for effect in (*ran, *hidden) if isinstance(effect, ReportSigned)]
    assert reasons_of(appraise_chain([*FLEET.run(CHIP, hours=1)[1], *both])) == ["report-fork"]


def test_a_chain_goes_on_over_a_loss_of_power_in_the_middle_of_an_interval() -> None:
    chip, reports = FLEET.run(CHIP, hours=1)
    alias = generate_ed25519(SeededRng(b"boot 2"))
    chip, _ = drive(chip, (FLEET.request(), chip.latest_ms))
    chip, _ = drive(chip, (PowerCycled(seed=alias.seed), chip.latest_ms + MS_PER_HOUR))
    _, effects = step(chip, IntervalEnded(), chip.latest_ms)
    (signed,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    report = open_report(signed, {alias.public_key.key_id: alias.public_key})
    assert appraise_chain([*reports, report]) == ()
    assert (report.statement.boot_count, report.statement.counter) == (2, 3)
    assert report.statement.counters.flop == 2 * reports[1].statement.counters.flop


def test_no_reports_break_nothing() -> None:
    assert appraise_chain([]) == ()
