"""``vetonet explain``: the verdict of ``verify`` in words for somebody who knows no cryptography."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.bundles import Scene, altered, make_compliant_scene, make_confidential_scene, make_scene
from support.command_line import Ended, call
from vetonet.cli.exits import Exit
from vetonet.cli.explain_words import WORDS
from vetonet.cli.output import COLUMNS
from vetonet.compliance.export import sign_export
from vetonet.compliance.result import Claim
from vetonet.units import format_time


def explain(folder: Path, scene: Scene, data: bytes | None = None) -> Ended:
    bundle, root = folder / "run.bundle", folder / "trust-root.json"
    bundle.write_bytes(scene.bundle().to_bytes() if data is None else data)
    root.write_text(scene.trust_root.to_text())
    return call("explain", bundle, "--trust-root", root, "--at", format_time(scene.judged_ms))


@pytest.fixture(scope="module")
def compliant(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return explain(tmp_path_factory.mktemp("explained"), make_compliant_scene())


def test_every_claim_has_words() -> None:
    assert {claim.value for claim in Claim} <= WORDS.keys()


def test_a_run_in_order_is_proven_claim_by_claim(compliant: Ended) -> None:
    assert (compliant.code, compliant.err) == (Exit.OK, "")
    assert compliant.out.startswith("COMPLIANT   Test Treaty, judged as of ")
    for number, claim in enumerate(Claim, start=1):
        assert f"{number}. {WORDS[claim.value].question} PROVEN ({claim.value})" in compliant.out
    assert compliant.out.count("   Not proven: ") == len(Claim)


def test_it_says_by_whom(compliant: Ended) -> None:
    text = " ".join(compliant.out.split())
    assert "signed by all of its 3 parties: p1, p2, p3" in text
    assert "3 of its 3 witnesses vouch for just these entries, where 2 must: those of p1, p2, p3" in text
    assert "To license a run: it takes the grants of at least 2 of the 3 parties" in text
    assert "granted by p1, p2, and signed by enough of them together" in text
    assert "2 chips of op1, registered with the signatures of op1 and of the maker maker" in text
    assert "6e18 FLOP in all on 2 chips" in text


def test_it_says_what_no_bundle_proves(compliant: Ended) -> None:
    said = compliant.out.split("WHAT NO SUCH FILE PROVES")[1]
    assert "which data and which model" in said
    assert "no registered chip computed" in said
    assert "of kind SIMULATED are programs" in said


def test_no_line_is_longer_than_a_hundred_characters(compliant: Ended) -> None:
    assert max(map(len, compliant.out.splitlines())) <= COLUMNS == 100


def test_no_word_of_the_trade_goes_without_a_gloss(compliant: Ended) -> None:
    before, words = compliant.out.split("THE WORDS")
    assert "FLOP: a floating-point operation" in words
    for jargon in ("Merkle", "COSE", "FROST", "nonce", "digest", "Bulletproof", "Pedersen", "inclusion"):
        assert jargon.lower() not in before.lower()


def test_the_same_bundle_is_explained_in_the_same_words(compliant: Ended, tmp_path: Path) -> None:
    assert explain(tmp_path, make_compliant_scene()).out == compliant.out


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    scene = make_confidential_scene()
    scene.run()
    scene.prove()
    return explain(tmp_path_factory.mktemp("hidden"), scene)


def test_a_hidden_total_is_told_by_its_limits_and_who_proves_them(hidden: Ended) -> None:
    text = " ".join(hidden.out.split())
    assert hidden.code == Exit.OK
    assert "over 6 reports of 2 chips" in text
    assert "op1 proves that it is at most 6e18 FLOP, what the licence allows" in text
    assert "what its chips can do in the time they worked" in text
    assert "what the energy they report can buy" in text
    assert "its chips report" not in text, "that would be the count"


def test_where_counts_are_hidden_it_says_what_is_not_proven_for_that(hidden: Ended) -> None:
    text = " ".join(hidden.out.split())
    assert "Counts: sealed by the chips" in text
    assert "Not proven: How much was computed. What a single chip computed, or all in one lease" in text
    assert "By the reports in this file, all chips of each licence together computed no more than it" in text
    assert "What a report that is missing would add" in text
    assert "and each chip in each lease" not in text, "only open totals show that"
    assert "sealed count: a number that nobody can read or change" in text
    assert max(map(len, hidden.out.splitlines())) <= COLUMNS


def test_a_hidden_total_that_nobody_proves_is_said_to_be_open(tmp_path: Path) -> None:
    scene = make_confidential_scene()
    scene.run()
    ended = explain(tmp_path, scene)
    assert ended.code == Exit.INCONCLUSIVE
    assert "nothing proves that it is within what the licence allows" in " ".join(ended.out.split())
    assert "OPEN (budget)" in ended.out


def test_it_says_who_answers_for_the_file(compliant: Ended, tmp_path: Path) -> None:
    assert "This file: signed by nobody" in compliant.out
    scene = make_compliant_scene()
    signed = sign_export(scene.bundle(), scene.council.operator_keys["op1"])
    assert "This file: signed by op1, who answers" in explain(tmp_path, scene, signed.to_bytes()).out


def test_what_is_missing_is_said_beside_its_claim_and_accuses_nobody(tmp_path: Path) -> None:
    scene = make_compliant_scene()
    scene.reports.pop()
    ended = explain(tmp_path, scene)
    assert ended.code == Exit.INCONCLUSIVE
    assert "accuses nobody" in ended.out
    assert "OPEN (publication)" in ended.out
    assert "   Missing: 1 of the 2 reports of batch leaf" in ended.out
    assert "PROVEN (record)" in ended.out


def test_what_was_broken_is_said_beside_its_claim(tmp_path: Path) -> None:
    scene = make_scene()
    scene.run(lambda report: altered(cumulative_flop=(report.cumulative_flop or 0) * 2)(report))
    ended = explain(tmp_path, scene)
    assert ended.code == Exit.NEGATIVE
    assert "A rule of the treaty was broken" in ended.out
    assert "BROKEN (budget)" in ended.out
    assert "   Against it: " in ended.out
    assert "(budget-exceeded)" in ended.out


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_what_is_no_bundle_is_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    scene = make_compliant_scene()
    ended = explain(tmp_path, scene, scene.bundle().to_bytes()[:cut])
    assert (ended.code, ended.out, ended.err.count("\n")) == (Exit.INVALID, "", 1)


def test_a_bundle_of_another_treaty_is_refused(tmp_path: Path) -> None:
    scene = make_compliant_scene()
    (tmp_path / "run.bundle").write_bytes(scene.bundle().to_bytes())
    other = scene.trust_root.to_text().replace(scene.trust_root.treaty_digest.hex(), "11" * 32)
    (tmp_path / "root.json").write_text(other)
    ended = call("explain", tmp_path / "run.bundle", "--trust-root", tmp_path / "root.json")
    assert ended.code == Exit.INVALID
    assert "under this trust root" in ended.err
