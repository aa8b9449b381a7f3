"""How an appraisal ends: each status has its exit code, and every judgement its line."""

from __future__ import annotations

import pytest

from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import AttestationResult, Tier
from vetonet.cli.appraise_output import STATUS_EXITS, print_judgements
from vetonet.cli.exits import Exit


def test_every_status_has_its_exit_code_and_only_affirming_is_good() -> None:
    assert set(STATUS_EXITS) == set(Tier)
    assert [status for status, code in STATUS_EXITS.items() if code is Exit.OK] == [Tier.AFFIRMING]


def test_what_weighs_most_is_printed_first(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = (
        build_judgement("chip-recognised", "is good"),
        build_judgement("report-forged", "is\nforged \x1b[1m"),
    )
    print_judgements(AttestationResult(judgements=(good, bad)))
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["finding", "reason", "claim", "value", "the", "evidence"]
    assert first.split() == ["mismatched", "report-forged", "all", "99", "is", "forged", "?[1m"]
    assert second.split()[:4] == ["verified", "chip-recognised", "instance-identity", "2"]
