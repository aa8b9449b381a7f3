"""Appraisals: one report of a bundle against its chip, one chip's evidence from its file, one PSA token."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from support.chip_evidence import expect, judge, make_evidence, pin
from support.fleet import make_fleet
from support.psa_tokens import ASKED, ENDORSED, make_token
from vetonet.attestation.appraise import appraise
from vetonet.attestation.ear import Tier
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.psa import appraise_psa


@pytest.mark.benchmark(group="appraise one report of a bundle")
def test_appraise_report(benchmark: BenchmarkFixture) -> None:
    fleet = make_fleet()
    report = fleet.run(fleet.chips[0], hours=1)[1][1]
    known = fleet.registry.find_alias(report.signer.key_id)
    assert benchmark(appraise, report, known.device, known.alias, firmware=()) == ()


@pytest.mark.benchmark(group="appraise the evidence of one chip")
def test_appraise_evidence(benchmark: BenchmarkFixture) -> None:
    data, roots, expected = make_evidence().to_bytes(), (pin(),), expect()
    result = benchmark(lambda: judge(Evidence.from_bytes(data), roots, expected))
    assert result.status is Tier.AFFIRMING


@pytest.mark.benchmark(group="appraise a PSA token")
def test_appraise_psa_token(benchmark: BenchmarkFixture) -> None:
    token = make_token()
    assert benchmark(appraise_psa, token, ENDORSED, ASKED).status is Tier.AFFIRMING
