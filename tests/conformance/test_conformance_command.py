"""``vetonet conformance``: all shared vectors pass, and whatever is wrong is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vetonet.cli.conformance import SUITES, ConformanceReport, Suite, conformance, read_json, run_conformance
from vetonet.errors import ConfigError, EncodingError, ProofError

# RFC 9052 appendix C.2.1 in the format of the COSE working group's examples.
SIGN1 = {
    "title": "example",
    "input": {
        "sign0": {
            "key": {
                "kty": "EC",
                "crv": "P-256",
                "x": "usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8",
                "y": "IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4",
            }
        }
    },
    "output": {
        "cbor": "d28443a10126a10442313154546869732069732074686520636f6e74656e742e5840"
        "8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e"
        "2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"
    },
}
# RFC 8032 section 7.1, test 2, in the format of Wycheproof.
ED25519 = {
    "testGroups": [
        {
            "type": "EddsaVerify",
            "publicKey": {"curve": "edwards25519"},
            "publicKeyDer": "302a300506032b6570032100"
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "tests": [
                {
                    "tcId": 7,
                    "comment": "one byte",
                    "msg": "72",
                    "sig": "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                    "result": "valid",
                }
            ],
        }
    ]
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(conformance, [str(argument) for argument in arguments])


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def make_vector(**changes: object) -> dict[str, object]:
    """A Wycheproof file with one field of its only test changed."""
    document = json.loads(json.dumps(ED25519))
    document["testGroups"][0]["tests"][0] |= changes
    return dict(document)


@pytest.mark.parametrize(
    ("suite", "folder", "passed", "not_judged"),
    [
        ("frost", "frost-rfc9591", 23, 1),
        ("cose-sign1", "cose-wg", 10, 4),
        ("ed25519", "wycheproof", 151, 9),
        ("ecdsa-p256", "wycheproof", 484, 9),
        ("mldsa44", "wycheproof", 180, 9),
        ("merkle", "merkle-proofs", 92, 0),
        ("merkle", "c2sp-tlog", 114, 5),
        ("checkpoint", "c2sp-tlog", 9, 6),
        ("tlog-proof", "c2sp-tlog", 6, 6),
        ("eat", "eat-rfc9711", 3, 2),
        ("eat", "veraison", 13, 31),
    ],
)
def test_all_shared_vectors_pass(shared: Path, suite: str, folder: str, passed: int, not_judged: int) -> None:
    report = run_conformance(SUITES[suite], shared / "vectors" / folder)
    assert report.failures == ()
    assert (report.passed, len(report.not_judged)) == (passed, not_judged)
    assert run(suite, shared / "vectors" / folder).stdout == f"{passed} passed, 0 failed\n"


@pytest.mark.parametrize("suite", SUITES)
def test_a_folder_without_vectors_of_the_suite_is_not_recognised(shared: Path, suite: str) -> None:
    folder = "frost-rfc9591" if suite == "witness" else "witness-protocol"
    result = run(suite, shared / "vectors" / folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: not recognised")
    assert len(result.stderr.splitlines()) == 1


def test_a_failure_has_a_line_and_the_closing_line_is_last(tmp_path: Path) -> None:
    write(tmp_path / "a.json", make_vector(result="invalid"))
    write(tmp_path / "b.json", ED25519)
    result = run("ed25519", tmp_path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "FAILED a.json: tcId 7: one byte: an invalid signature was accepted",
        "1 passed, 1 failed",
    ]


def test_json_says_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a.json", make_vector(result="invalid"))
    write(tmp_path / "b.json", [])
    result = run("ed25519", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "suite": "ed25519",
        "passed": 0,
        "failed": 1,
        "failures": [{"case": "a.json: tcId 7: one byte", "detail": "an invalid signature was accepted"}],
        "not_judged": ["b.json: not recognised: no Wycheproof file, it has no testGroups"],
    }
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, 1),
        ({"result": "acceptable"}, 1),
        ({"msg": "73", "result": "acceptable"}, 1),
        ({"msg": "73", "result": "invalid"}, 1),
        ({"msg": "73"}, 0),
        ({"sig": ""}, 0),
        ({"sig": "", "result": "invalid"}, 1),
        ({"result": "perhaps"}, 0),
        ({"result": None}, 0),
        ({"msg": "7"}, 0),
        ({"sig": None}, 0),
        ({"msg": 72}, 0),
    ],
)
def test_a_wycheproof_vector_is_judged(tmp_path: Path, changes: dict[str, object], passed: int) -> None:
    report = run_conformance(SUITES["ed25519"], write(tmp_path / "v.json", make_vector(**changes)))
    assert (report.passed, len(report.failures)) == (passed, 1 - passed)


def test_a_group_of_another_curve_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    group = ED25519["testGroups"][0]
    other = group | {"publicKey": {"curve": "edwards448"}}
    path = write(tmp_path / "v.json", {"testGroups": [group, other]})
    with pytest.raises(ConfigError, match="not EddsaVerify on edwards25519"):
        run_conformance(SUITES["ed25519"], path)


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        (lambda d: d.update(fail=False), 1),
        (lambda d: d.update(fail=True), 0),
        (lambda d: d["input"]["sign0"].update(external="00"), 0),
        (lambda d: (d.update(fail=True), d["input"]["sign0"].update(external="00")), 1),
        (lambda d: d["output"].update(cbor=d["output"]["cbor"][2:]), 0),
        (
            lambda d: (
                d["input"].update(failures={"RemoveCBORTag": 1}),
                d["output"].update(cbor=d["output"]["cbor"][2:]),
            ),
            1,
        ),
        (lambda d: d["input"].update(failures={"RemoveCBORTag": 1}), 0),
        (lambda d: d.update(intermediates={"ToBeSign_hex": "84"}), 0),
        (lambda d: d["output"].update(cbor="zz"), 0),
        (lambda d: d["output"].pop("cbor"), 0),
        (lambda d: d.pop("output"), 0),
        (lambda d: d["input"]["sign0"].pop("key"), 0),
        (lambda d: d["input"]["sign0"]["key"].pop("x"), 0),
        (lambda d: d["input"]["sign0"]["key"].update(x="\u00fc"), 0),
        (lambda d: d["input"]["sign0"]["key"].update(x="AAAA"), 0),
    ],
)
def test_a_cose_vector_is_judged(tmp_path: Path, change: Callable[[object], object], passed: int) -> None:
    document = json.loads(json.dumps(SIGN1))
    change(document)
    report = run_conformance(SUITES["cose-sign1"], write(tmp_path / "v.json", document))
    assert (report.passed, len(report.failures)) == (passed, 1 - passed)


def test_an_algorithm_that_is_not_ours_is_not_judged(tmp_path: Path) -> None:
    write(tmp_path / "a.json", SIGN1)
    document = json.loads(json.dumps(SIGN1))
    document["input"]["sign0"]["key"]["crv"] = "P-521"
    write(tmp_path / "b.json", document)
    result = run("cose-sign1", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "1 passed, 0 failed\n")
    assert result.stderr == "not judged: b.json: not recognised: no algorithm of ours for a EC key on P-521\n"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nul", '{"a": \x00}', "\ufeff{}"])
def test_a_file_that_is_not_json_is_not_recognised(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(text, encoding="utf-8")
    for suite in SUITES:
        result = run(suite, path)
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "document", [None, 1, "a", [], {}, [[]], [{}], {"input": 1}, {"testGroups": [1]}, {"config": []}]
)
def test_a_document_of_no_known_kind_is_not_recognised(tmp_path: Path, document: object) -> None:
    path = write(tmp_path / "v.json", document)
    for suite in SUITES:
        assert run(suite, path).exit_code == 2


def test_an_empty_folder_is_not_recognised(tmp_path: Path) -> None:
    assert run("frost", tmp_path).exit_code == 2


def test_an_unknown_suite_or_a_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    assert run("rot13", tmp_path).exit_code == 2
    assert run("frost", tmp_path / "nothing").exit_code == 2
    assert run("frost").exit_code == 2


def test_a_crash_is_a_failed_case_and_no_traceback(tmp_path: Path) -> None:
    def crash() -> None:
        raise TypeError("unhashable")

    def refuse() -> None:
        raise ProofError("wrong root")

    def iter_cases(_document: object) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "crashes", crash
        yield "fails", refuse
        yield "passes", lambda: None

    report = run_conformance(Suite(iter_cases=iter_cases, read=read_json), write(tmp_path / "v.json", {}))
    assert str(report) == "1 passed, 2 failed"
    assert [str(failure) for failure in report.failures] == [
        "FAILED v.json: crashes: crashed: TypeError: unhashable",
        "FAILED v.json: fails: wrong root",
    ]


def test_a_malformed_vector_of_the_right_kind_is_a_failed_case(tmp_path: Path) -> None:
    def iter_cases(_document: object) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "passes", lambda: None
        raise EncodingError("cut short")

    report = run_conformance(Suite(iter_cases=iter_cases, read=read_json), write(tmp_path / "v.json", {}))
    assert (report.passed, [str(failure) for failure in report.failures]) == (
        0,
        ["FAILED v.json: malformed: cut short"],
    )


def test_the_closing_line_has_one_form() -> None:
    assert str(ConformanceReport(passed=0)) == "0 passed, 0 failed"
