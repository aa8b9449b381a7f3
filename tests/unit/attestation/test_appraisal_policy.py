"""Policies of rules: all speak, and one without rules is refused."""

from __future__ import annotations

import pytest

from support.chip_evidence import expect, judge, make_evidence, report
from vetonet.attestation.appraisal_policy import AppraisalPolicy
from vetonet.attestation.report_rules import REPORT_RULES, DebuggingOff, OfThisBoot, Subject


def test_a_policy_without_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="empty policy accepts everything"):
        AppraisalPolicy(rules=())  # VN-17.9


def test_a_policy_is_a_rule_of_another() -> None:
    both: AppraisalPolicy[Subject] = AppraisalPolicy(rules=(OfThisBoot(), DebuggingOff()))
    expected = expect(rules=(AppraisalPolicy(rules=(both,)),))
    result = judge(make_evidence(report=report(debug_status=0)), expected=expected)
    assert [entry.reason for entry in result.failed] == ["debug-enabled", "debug-enabled"]
    assert [entry.reason for entry in result.judgements][-2:] == ["boot-recognised", "debug-enabled"]


def test_every_report_of_a_bundle_is_asked_what_a_single_one_is() -> None:
    single = {type(rule).__name__ for rule in expect().policy.rules}
    bundled = {type(rule).__name__ for rule in REPORT_RULES.rules}
    assert bundled <= single
    assert single - bundled >= {"AnswersChallenge", "CertifiedNow", "OfAcceptedKind", "NotRevoked"}
