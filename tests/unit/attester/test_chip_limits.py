"""What a chip keeps and takes at the ends of its ranges: it never gets where it cannot report any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.fleet import make_fleet, tell
from vetonet.attester.gate import MAX_TOKENS, MAX_WORK_MS
from vetonet.attester.machine import step
from vetonet.attester.state import MAX_PAST_TREATIES, IntervalEnded, ReportSigned
from vetonet.units import MAX_TIME_MS, WorkloadClass

FLEET = make_fleet()
CHIP = FLEET.chips[0]
SERVING = replace(FLEET.free_request(), workload=WorkloadClass.INFERENCE)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: replace(SERVING, tokens=MAX_TOKENS + 1),
        lambda: replace(SERVING, tokens=2**64),
        lambda: replace(SERVING, duration_ms=MAX_WORK_MS + 1),
        lambda: replace(SERVING, duration_ms=2**50),
    ],
)
def test_work_that_no_report_could_state_is_refused_and_the_chip_reports_on(request_of) -> None:  # type: ignore[no-untyped-def]
    # VN-17.10
    chip, effects = step(CHIP, request_of(), CHIP.latest_ms)
    assert (tell(effects), chip) == (["work-too-long"], CHIP)
    _, effects = step(chip, IntervalEnded(), chip.latest_ms + 1_000)
    assert isinstance(effects[-1], ReportSigned)


def test_work_past_the_end_of_time_is_refused() -> None:
    late = MAX_TIME_MS - SERVING.duration_ms + 1
    _, effects = step(replace(CHIP, latest_ms=late), SERVING, late)
    assert tell(effects) == ["work-too-long"]


def test_a_chip_keeps_the_treaty_of_its_licence_however_many_follow() -> None:
    # VN-12.2, VN-17.15: what it keeps it must be able to read again
    chip = FLEET.license(CHIP)
    for place in range(MAX_PAST_TREATIES + 5):
        treaty = chip.treaty.statement
        later = replace(
            chip.treaty, statement=replace(treaty, epoch=treaty.epoch + 1), payload=bytes([place])
        )
        chip = chip.with_treaty(later, place + 100)
    assert chip.licence is not None
    named = chip.licence.licence.treaty_digest
    assert named in {past.signed.payload_digest for past in chip.past}
    assert len(chip.past) == MAX_PAST_TREATIES + 1
