"""Holds docs/reasons.md and the code together: every reason code stands there once, with its verdict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from vetonet.attestation.appraisal_reasons import MEANINGS
from vetonet.attestation.reasons import REASONS as ATTESTATION_REASONS
from vetonet.attestation.reasons import Finding
from vetonet.attester.refusals import REFUSALS
from vetonet.attester.state import Throttled
from vetonet.compliance.result import REASONS, Claim, Verdict
from vetonet.policy.ballot import VetoReason

DOCUMENT: Final = Path(__file__).resolve().parents[3] / "docs" / "reasons.md"
ROW: Final = re.compile(r"^\| `([a-z-]+)` \|(?: ([A-Z]+) \|)? ([A-Z][^|]+\.) \|$", re.MULTILINE)
JUDGED_ROW: Final = re.compile(
    r"^\| `([a-z-]+)` \| ([a-z]+) \| ([a-z-]+) \| (\d+) \| [A-Z][^|]+\. \|$", re.MULTILINE
)
ANY_ROW: Final = re.compile(r"^\| `", re.MULTILINE)
QUOTED: Final = re.compile(r"``([a-z-]+)``")


def _read_section(title: str) -> str:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"\n## {title}\n" in text
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _list_rows(title: str) -> list[tuple[str, str]]:
    """Return the reason and the verdict, if any, of each row of a section, all of which have a sentence."""
    section = _read_section(title)
    rows = [(reason, verdict) for reason, verdict, _ in ROW.findall(section)]
    assert len(rows) == len(ANY_ROW.findall(section))
    return rows


def test_every_reason_of_a_verifier_is_told_once_with_its_verdict() -> None:
    told = _list_rows("Of a verifier")
    assert sorted(told) == sorted((reason, verdict.value) for reason, verdict in REASONS.items())


def test_the_reasons_of_a_verifier_stand_claim_by_claim_in_the_order_of_judgement() -> None:
    headings = re.findall(r"^### (\w+)$", _read_section("Of a verifier"), re.MULTILINE)
    assert [heading.lower() for heading in headings] == [claim.value for claim in Claim]


def test_every_reason_of_an_appraisal_is_told_once_with_what_it_gives_to_which_claim() -> None:
    section = _read_section("Of an appraisal")
    told = JUDGED_ROW.findall(section)
    assert len(told) == len(ANY_ROW.findall(section))
    assert told == [
        (reason, meaning.finding.value, meaning.claim.value if meaning.claim else "all", str(meaning.value))
        for reason, meaning in MEANINGS.items()
    ]


def test_a_reason_of_both_an_appraisal_and_a_verifier_has_one_finding() -> None:
    shared = MEANINGS.keys() & ATTESTATION_REASONS.keys()
    assert {reason: MEANINGS[reason].finding for reason in shared} == {
        reason: ATTESTATION_REASONS[reason] for reason in shared
    }


def test_what_better_evidence_could_cure_proves_nothing() -> None:
    assert Finding.VERIFIED not in ATTESTATION_REASONS.values()
    for reason, finding in ATTESTATION_REASONS.items():
        assert (REASONS[reason] is Verdict.INCONCLUSIVE) == finding.is_curable


@pytest.mark.parametrize(
    ("title", "reasons"),
    [
        ("Of a chip that refuses", REFUSALS),
        ("Of a chip that throttles", frozenset(QUOTED.findall(Throttled.__doc__ or ""))),
        ("Of a veto", frozenset(reason.value for reason in VetoReason)),
    ],
)
def test_every_reason_of_chips_and_parties_is_told_once(title: str, reasons: frozenset[str]) -> None:
    assert reasons
    assert sorted(_list_rows(title)) == sorted((reason, "") for reason in reasons)


def test_a_row_without_a_sentence_is_found() -> None:
    assert not ROW.findall("| `scale` | |")
    assert ROW.findall("| `scale` | Too large. |") == [("scale", "", "Too large.")]
