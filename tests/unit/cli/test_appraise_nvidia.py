"""``vetonet appraise nvidia-spdm``: exit codes, the JSON it prints, and one line for whatever is wrong."""

from __future__ import annotations

import base64
import builtins
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from support.silicon import (
    ASKED,
    DRIVER,
    GOLDEN_DRIVER,
    build_chain,
    driver_manifest,
    good_fields,
    make_fields,
    make_key,
    make_links,
    make_manifest_links,
    make_report,
    make_swid,
    pem_of,
    rim_roots_pem,
    roots_pem,
    sign_manifest,
    to_file,
    to_pem,
    twin_of,
    vbios_manifest,
)
from vetonet.cli import main
from vetonet.cli.exits import Exit

AT = "2026-05-01T00:00:00Z"
RIMS = ("--rim", "driver.swidtag", "--rim", "vbios.swidtag")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roots.pem").write_bytes(roots_pem())
    (tmp_path / "rim-roots.pem").write_bytes(rim_roots_pem())
    (tmp_path / "driver.swidtag").write_bytes(driver_manifest())
    (tmp_path / "vbios.swidtag").write_bytes(vbios_manifest())
    (tmp_path / "evidence.json").write_bytes(to_file(good_fields(), good_fields("chip 2")))
    return tmp_path


def appraise(*options: str, nonce: str = ASKED.hex(), roots: str = "roots.pem") -> int:
    command = ("appraise", "nvidia-spdm", "evidence.json", "--nonce", nonce, "--now", AT)
    return main.run((*command, "--roots", roots, "--rim-roots", "rim-roots.pem", *options))


def read_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_good_evidence_is_affirmed(capsys: pytest.CaptureFixture[str]) -> None:
    assert appraise(*RIMS, "--json") == Exit.OK
    said = read_json(capsys)
    assert said["status"] == "affirming"
    assert said["trust_vector"]["executables"] == 2
    assert [entry["status"] for entry in said["entries"]] == ["affirming", "affirming"]
    assert [entry["chip"] for entry in said["entries"]] == ["NVIDIA:GH100:chip 1", "NVIDIA:GH100:chip 2"]
    assert {"status", "trust_vector", "reasons"} <= said["entries"][0].keys()
    assert said["entries"][0]["vbios_version"] == "96.00.A5.00.01"


@pytest.mark.parametrize("is_fitting", [True, False])
def test_a_manifest_that_is_no_use_is_named_with_the_reason(
    *, is_fitting: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(2025, 1, 1, tzinfo=UTC))
    swid = make_swid(DRIVER if is_fitting else "545.00", GOLDEN_DRIVER)
    (folder / "driver.swidtag").write_bytes(sign_manifest(swid, links))
    (folder / "vbios.swidtag").write_bytes(sign_manifest(swid, make_manifest_links("other")))
    (folder / "evidence.json").write_bytes(to_file(good_fields()))
    assert appraise(*RIMS, "--json") == Exit.INCONCLUSIVE
    said = [(found["reason"], found["detail"]) for found in read_json(capsys)["reasons"]]
    assert sum(reason.startswith("rim-") for reason, _ in said) == 4
    expired = "driver.swidtag: its certificate ended on 2025-01-01; use --now to judge as of then"
    assert ("rim-expired", expired) in said
    assert any(reason == "rim-untrusted" and detail.startswith("vbios.swidtag: ") for reason, detail in said)


def test_an_old_manifest_beside_good_ones_takes_nothing_from_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(2025, 1, 1, tzinfo=UTC))
    (folder / "old.swidtag").write_bytes(sign_manifest(make_swid("545.00", GOLDEN_DRIVER), links))
    assert appraise(*RIMS, "--rim", "old.swidtag") == Exit.OK
    assert "old.swidtag" not in capsys.readouterr().out


def test_the_guide_names_every_key_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text.split("| `appraise nvidia-spdm --json` |")[1].split("\n\n")[0]
    appraise(*RIMS, "--json")
    said = read_json(capsys)
    keys = {*said, *said["entries"][0]}
    assert [key for key in keys if f"`{key}`" not in table] == []


def test_one_entry_has_no_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "evidence.json").write_bytes(to_file(good_fields()))
    assert appraise(*RIMS, "--json") == Exit.OK
    assert "entries" not in read_json(capsys)


def test_without_reference_values_it_warns(capsys: pytest.CaptureFixture[str]) -> None:
    assert appraise() == Exit.INCONCLUSIVE
    said = capsys.readouterr().out
    assert said.startswith("warning\n")
    assert "no manifest of driver 590.12 on GH100; trusted ones are of: none" in said


def test_a_stale_nonce_is_contraindicated(capsys: pytest.CaptureFixture[str]) -> None:
    assert appraise(*RIMS, "--json", nonce="00" * 32) == Exit.NEGATIVE
    reasons = {reason["reason"] for reason in read_json(capsys)["reasons"] if reason["finding"] != "verified"}
    assert reasons == {"nonce-stale"}


def test_the_worst_entry_decides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = make_fields(make_report(make_key("chip 3")), pem_of("chip 2"))
    (folder / "evidence.json").write_bytes(to_file(good_fields(), forged))
    assert appraise(*RIMS, "--json") == Exit.NEGATIVE
    said = read_json(capsys)
    assert [entry["status"] for entry in said["entries"]] == ["affirming", "contraindicated"]


def test_without_roots_the_pinned_ones_count(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("appraise", "nvidia-spdm", "evidence.json", "--nonce", ASKED.hex(), "--json")
    assert main.run(command) == Exit.NEGATIVE
    assert "maker-unknown" in capsys.readouterr().out


@pytest.mark.parametrize("rim_roots", [(), ("--rim-roots", "roots.pem")])
def test_a_root_of_chips_vouches_for_no_manifest(
    folder: Path, capsys: pytest.CaptureFixture[str], rim_roots: tuple[str, ...]
) -> None:
    (folder / "roots.pem").write_bytes(roots_pem() + rim_roots_pem())
    command = ("appraise", "nvidia-spdm", "evidence.json", "--nonce", ASKED.hex(), "--now", AT, "--json")
    assert main.run((*command, "--roots", "roots.pem", *rim_roots, *RIMS)) == Exit.INCONCLUSIVE
    assert {"rim-untrusted", "rim-missing"} == {
        reason["reason"] for reason in read_json(capsys)["reasons"] if reason["finding"] != "verified"
    }


def test_earlier_evidence_counts_no_second_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = make_report(make_key("chip 1"))
    (folder / "twin.json").write_bytes(to_file(make_fields(twin_of(report), pem_of())))
    assert appraise(*RIMS, "--earlier", "twin.json") == Exit.NEGATIVE
    assert "evidence-repeated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "data", "options", "expected"),
    [
        ("evidence.json", b"{}", (), "evidence.json: expected evidence of GPUs or switches: expected a list"),
        ("evidence.json", to_file(good_fields())[:-40], (), "evidence of GPUs or switches: not JSON"),
        ("driver.swidtag", b"<a/>", RIMS, "driver.swidtag: expected a signed reference manifest"),
        ("roots.pem", b"x", (), "roots.pem: expected root certificates"),
        ("earlier.json", b"[]", ("--earlier", "earlier.json"), "earlier.json: expected evidence"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], name: str, data: bytes, options: tuple[str, ...], expected: str
) -> None:
    Path(name).write_bytes(data)
    assert appraise(*options) == Exit.INVALID
    said = capsys.readouterr()
    assert said.out == ""
    assert expected in said.err
    assert said.err.count("\n") == 1


def test_a_serial_number_that_is_not_positive_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = build_chain(make_links())
    number = chain[0].serial_number.to_bytes(8, "big")
    leaf = chain[0].public_bytes(Encoding.DER)
    assert leaf.count(number) == 1
    altered = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
    negative = base64.encodebytes(leaf.replace(number, b"\x80" + number[1:])).replace(b"\n", b"")
    lines = [negative[start : start + 64] for start in range(0, len(negative), 64)]
    body = b"-----BEGIN CERTIFICATE-----\n" + b"\n".join(lines) + b"\n-----END CERTIFICATE-----\n"
    fields = make_fields(make_report(make_key("chip 1")), to_pem(chain).replace(altered, body))
    (folder / "evidence.json").write_bytes(to_file(fields))
    filters = list(warnings.filters)
    assert appraise() == Exit.INVALID
    assert warnings.filters == filters  # what is silenced is silenced for one command only
    said = capsys.readouterr()
    assert "positive serial number" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("as_json", [("--json",), ()])
def test_a_name_that_is_not_text_is_shown_escaped(folder: Path, as_json: tuple[str, ...]) -> None:
    name = os.fsdecode(b"\xff.swidtag")
    (folder / name).write_bytes(driver_manifest())
    said = run_alone(*as_json, "--rim", name, "--rim", "vbios.swidtag")
    assert (said.returncode, said.stderr) == (Exit.OK, b"")
    assert rb"\udcff.swidtag" in said.stdout
    if as_json:
        endorsed = [reason["detail"] for reason in json.loads(said.stdout)["reasons"]]
        assert r"entry 0: driver 590.12: all 20 measurements of \udcff.swidtag" in endorsed
    (folder / name).write_bytes(b"<a/>")
    for options in (("--rim", name), ("--earlier", name)):
        said = run_alone(*as_json, *options)
        assert (said.returncode, said.stdout, said.stderr.count(b"\n")) == (Exit.INVALID, b"", 1)
        assert rb"\udcff.swidtag" in said.stderr


def run_alone(*options: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, whose output takes UTF-8 only."""
    command = ("appraise", "nvidia-spdm", "evidence.json", "--nonce", ASKED.hex(), "--now", AT)
    roots = ("--roots", "roots.pem", "--rim-roots", "rim-roots.pem")
    return subprocess.run(
        [sys.executable, "-m", "vetonet.cli.main", *command, *roots, *options],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"},
        timeout=120,
    )


def test_a_file_that_is_not_there_is_unreadable(folder: Path) -> None:
    (folder / "evidence.json").unlink()
    assert appraise() == Exit.INVALID


def test_a_nonce_that_is_none_is_a_mistake_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert appraise(nonce="00") == Exit.USAGE
    assert "--nonce: expected a nonce of 32 bytes" in capsys.readouterr().err


def test_without_the_extra_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.endswith("manifest_xml"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert appraise(*RIMS) == Exit.USAGE
    assert capsys.readouterr().err == (
        "Error: reading --rim needs more than is installed: .venv/bin/pip install -e '.[rim]'\n"
    )


def test_the_published_evidence_is_genuine_but_for_reference_values(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the shared manifests none is of a version that runs on these chips (docs/nvidia-spdm.md)."""
    vectors = shared / "vectors" / "nvidia-spdm"
    nonce = json.loads((vectors / "gpu_evidence.json").read_bytes())[0]["nonce"]
    rims = [option for path in sorted((vectors / "rim").iterdir()) for option in ("--rim", str(path))]
    for name, count in (("gpu_evidence.json", 4), ("switch_evidence.json", 2)):
        command = ("appraise", "nvidia-spdm", str(vectors / name), "--nonce", nonce, "--json")
        for options in ((), (*rims, "--now", "2025-01-01T00:00:00Z")):
            assert main.run((*command, *options)) == Exit.INCONCLUSIVE
            said = read_json(capsys)
            assert len(said["entries"]) == count
            failed = {reason["reason"] for reason in said["reasons"] if reason["finding"] != "verified"}
            assert failed == {"rim-missing"}
