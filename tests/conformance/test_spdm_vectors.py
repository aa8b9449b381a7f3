"""The suites ``spdm`` and ``ecdsa-p384``: they pass what is right and see what is wrong."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from support.silicon import make_key, twin_of
from vetonet.cli.conformance import SUITES, ConformanceReport, conformance, read_published, run_conformance
from vetonet.errors import ConfigError

FOLDER = "vectors/nvidia-spdm"
SPDM, P384 = SUITES["spdm"], SUITES["ecdsa-p384"]


def copy(shared: Path, tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(shared / FOLDER / name, tmp_path / name)
    return tmp_path


def edit(path: Path, change: Any) -> ConformanceReport:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    return run_conformance(SPDM, path)


def test_all_published_evidence_conforms(shared: Path) -> None:
    report = run_conformance(SPDM, shared / FOLDER)
    assert report.failures == ()
    assert report.passed == 100
    assert all("sdk-claims" in line or "hopperCertChain" in line for line in report.not_judged)


def test_every_field_of_every_reading_is_judged(shared: Path) -> None:
    expected = shared / FOLDER / "expected-parse.json"
    fields = sum(len(source) - 1 for source in json.loads(expected.read_bytes()))
    report = run_conformance(SPDM, expected)
    assert (report.passed, report.failures) == (fields, ())


def test_every_published_p384_signature_verifies_and_no_altered_one(shared: Path) -> None:
    report = run_conformance(P384, shared / FOLDER)
    assert (report.passed, report.failures) == (126, ())


@pytest.mark.parametrize(
    "field",
    ["nonce", "signature_valid", "blocks", "msrscnt", "report_sha384", "leaf_subject", "chain", "other"],
)
def test_another_reading_fails_in_the_field_it_differs_in(shared: Path, tmp_path: Path, field: str) -> None:
    path = copy(shared, tmp_path, "gpu_evidence.json", "expected-parse.json") / "expected-parse.json"

    def change(sources: Any) -> None:
        del sources[1:]
        sources[0][field] = "other"

    assert [failure.case for failure in edit(path, change).failures] == [
        f"expected-parse.json: gpu_evidence.json#0 {field}"
    ]


def test_one_altered_measurement_or_opaque_field_fails(shared: Path, tmp_path: Path) -> None:
    path = copy(shared, tmp_path, "gpu_evidence.json", "expected-parse.json") / "expected-parse.json"

    def change(sources: Any) -> None:
        del sources[1:]
        sources[0]["measurements"]["63"] = "11" * 48
        del sources[0]["opaque"]["OPAQUE_FIELD_ID_FWID"]

    assert len(edit(path, change).failures) == 2


def test_a_twin_is_not_the_published_report(shared: Path, tmp_path: Path) -> None:
    """Its signature verifies, so the reading sees it by the digest of the whole report alone."""
    names = ("hopperAttestationReport.txt", "hopperCertChain.txt", "expected-parse.json")
    folder = copy(shared, tmp_path, *names)
    report = bytes.fromhex((folder / names[0]).read_text())
    (folder / names[0]).write_text(twin_of(report).hex())

    def change(sources: Any) -> None:
        del sources[:-1]

    assert [failure.case for failure in edit(folder / names[2], change).failures] == [
        f"expected-parse.json: {names[0]} report_sha384"
    ]


def test_a_file_that_a_reading_names_and_that_is_not_there_fails(shared: Path, tmp_path: Path) -> None:
    """Half of the files are no whole suite that passed."""
    names = ("hopperAttestationReport.txt", "hopperCertChain.txt", "expected-parse.json")
    folder = copy(shared, tmp_path, *names)
    failures = run_conformance(SPDM, folder).failures
    assert [failure.case for failure in failures] == [
        f"expected-parse.json: gpu_evidence.json#{place} is there" for place in range(4)
    ]
    assert "gpu_evidence.json is not beside it" in failures[0].detail


def test_a_report_without_its_chain_fails(shared: Path, tmp_path: Path) -> None:
    folder = copy(shared, tmp_path, "hopperAttestationReport.txt")
    for suite in (SPDM, P384):
        failed = [failure.case for failure in run_conformance(suite, folder).failures]
        assert failed == ["hopperAttestationReport.txt: malformed"]


def test_a_field_that_a_reading_leaves_out_fails(shared: Path, tmp_path: Path) -> None:
    path = copy(shared, tmp_path, "gpu_evidence.json", "expected-parse.json") / "expected-parse.json"

    def change(sources: Any) -> None:
        del sources[1:]
        source = sources[0]["source"]
        sources[0].clear()
        sources[0]["source"] = source

    report = edit(path, change)
    assert (report.passed, len(report.failures)) == (0, 10)
    assert report.failures[0].detail == "nonce is missing from the maker's reading"


@pytest.mark.parametrize("data", [b"[]", b"{}", b"[1]", b"{"])
def test_readings_of_nothing_are_malformed(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "expected-parse.json"
    path.write_bytes(data)
    failed = [failure.case for failure in run_conformance(SPDM, path).failures]
    assert failed == ["expected-parse.json: malformed"]


@pytest.mark.parametrize("source", ["gpu_evidence.json#9", "gpu_evidence.json#x", "gpu_evidence.json#-1"])
def test_a_reading_of_an_entry_that_is_not_there_is_malformed(
    shared: Path, tmp_path: Path, source: str
) -> None:
    path = copy(shared, tmp_path, "gpu_evidence.json", "expected-parse.json") / "expected-parse.json"
    report = edit(path, lambda sources: sources[0].update(source=source))
    assert [failure.case for failure in report.failures] == ["expected-parse.json: malformed"]


def test_altered_evidence_does_not_conform(shared: Path, tmp_path: Path) -> None:
    path = copy(shared, tmp_path, "gpu_evidence.json") / "gpu_evidence.json"
    report = edit(path, lambda entries: entries[0].update(driver_version="590.13"))
    assert [failure.case for failure in report.failures] == ["gpu_evidence.json: 0 is genuine"]


def test_an_altered_manifest_does_not_conform(shared: Path, tmp_path: Path) -> None:
    name = "1010_0200_882_96005E0001_PROD.swidtag"
    data = (shared / FOLDER / "rim" / name).read_bytes()
    (tmp_path / name).write_bytes(data.replace(b'index="63"', b'index="62"'))
    assert run_conformance(SPDM, tmp_path).failures != ()


def test_without_the_extra_one_line_says_that_manifests_are_not_judged(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vetonet.attestation.spdm.manifest_xml", None)
    rims = sorted(path.name for path in (shared / FOLDER / "rim").iterdir())
    copy(shared, tmp_path, "gpu_evidence.json", *(f"rim/{name}" for name in rims))
    result = CliRunner().invoke(conformance, ["spdm", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "24 passed, 0 failed\n")
    assert result.stderr.startswith(f"not judged: rim/{rims[0]} and 3 more: reading manifests needs ")
    assert result.stderr.count("\n") == 1
    result = CliRunner().invoke(conformance, ["spdm", str(tmp_path / "rim")])
    assert result.exit_code == 2
    assert f"{rims[0]} and 3 more: reading manifests needs " in result.stderr


def test_files_of_another_kind_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"arch": "HOPPER"}]')
    (tmp_path / "b.txt").write_text("words")
    for suite in (SPDM, P384):
        with pytest.raises(ConfigError, match="not recognised"):
            run_conformance(suite, tmp_path)
        with pytest.raises(ConfigError, match="not recognised"):
            suite.iter_cases({"testGroups": []})
    assert read_published(tmp_path / "b.txt")


def wycheproof(result: str, *, message: bytes = b"a message", is_raw: bool = False) -> dict[str, Any]:
    """A file as Wycheproof's ecdsa_secp384r1_sha384_test.json, or its P1363 twin, of one test."""
    key = make_key("wycheproof")
    signed = b"a message"
    signature = key.sign(signed) if is_raw else key.private_key.sign(signed, ec.ECDSA(hashes.SHA384()))
    test = {"tcId": 1, "msg": message.hex(), "sig": signature.hex(), "result": result}
    group = {
        "type": "EcdsaP1363Verify" if is_raw else "EcdsaVerify",
        "sha": "SHA-384",
        "publicKey": {"curve": "secp384r1"},
        "publicKeyDer": key.public_key.to_bytes().hex(),
        "tests": [test],
    }
    return {"testGroups": [group]}


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize(
    ("result", "message", "passed"),
    [
        ("valid", b"a message", 1),
        ("invalid", b"another", 1),
        ("invalid", b"a message", 0),
        ("valid", b"another", 0),
    ],
)
def test_a_wycheproof_file_of_p384_is_judged(
    tmp_path: Path, result: str, message: bytes, passed: int, *, is_raw: bool
) -> None:
    (tmp_path / "w.json").write_text(json.dumps(wycheproof(result, message=message, is_raw=is_raw)))
    assert run_conformance(P384, tmp_path).passed == passed
