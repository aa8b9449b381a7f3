"""``vetonet appraise eat``: exit codes and what is printed, for evidence of ours and for PSA tokens."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from support.chip_evidence import (
    ALIAS,
    CHALLENGE,
    DEVICE,
    OTHER_ROOT,
    ROOT,
    certify,
    endorse,
    issue_pinned,
    make_claims,
    make_evidence,
    make_reference,
    report,
)
from support.firmware import PATCHED, UNKNOWN
from support.hiding import hide
from support.psa_tokens import OTHER_KEY, make_template, make_token
from support.revocations import make_list
from support.world import NOW_MS
from vetonet.attestation.revocation import RevocationReason, RevokedDevice
from vetonet.cli.main import run
from vetonet.crypto.statement import sign
from vetonet.units import MS_PER_HOUR, format_time

LATER = format_time(NOW_MS + 24 * MS_PER_HOUR)
VERAISON = Path("vectors/veraison")
COMID = "integration-tests/data/endorsements/comid-psa-{}.json"
PEM = ssl.DER_cert_to_PEM_cert(issue_pinned()).encode()
PSA_NONCE = "414a7c174141b3d0e9a1d28af31520f0d42299feac4007ded89d68ae6cd92f19"


def lay_out(folder: Path, **changes: bytes) -> dict[str, Path]:
    contents = {
        "evidence": make_evidence().to_bytes(),
        "roots": ssl.DER_cert_to_PEM_cert(issue_pinned()).encode(),
        "reference": sign(make_reference(), ROOT),
    } | changes
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def appraise(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path], *more: str, nonce: str = CHALLENGE.hex()
) -> tuple[int, str, str]:
    return appraise_psa(capsys, files, "--now", LATER, *more, nonce=nonce)


def appraise_psa(
    capsys: pytest.CaptureFixture[str], files: dict[str, Path], *more: str, nonce: str = CHALLENGE.hex()
) -> tuple[int, str, str]:
    given = ["--roots", str(files["roots"]), "--reference", str(files["reference"]), "--nonce", nonce]
    code = run(["appraise", "eat", str(files["evidence"]), *given, *more])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_good_evidence_is_affirming_and_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = appraise(capsys, lay_out(tmp_path))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "affirming"
    assert "chip of the kind 'SIMULATED', accepted because its root is pinned; --kind was not given" in out
    assert "accepted by name" not in out


def test_json_has_the_shape_of_an_ear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = appraise(capsys, lay_out(tmp_path), "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert list(found) == ["status", "trust_vector", "reasons"]
    assert found["status"] == "affirming"
    assert found["trust_vector"]["instance-identity"] == 2


def test_evidence_that_hides_its_counters_is_appraised_and_nothing_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # VN-17.10
    hidden = make_evidence(report=sign(hide(make_claims()), ALIAS)).to_bytes()
    code, out, _ = appraise(capsys, lay_out(tmp_path, evidence=hidden), "--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, found["status"], found["trust_vector"]["sourced-data"]) == (0, "affirming", 0)
    (entry,) = [reason for reason in found["reasons"] if reason["reason"] == "counters-hidden"]
    assert "commits to what it counted" in entry["detail"]


CONTRAINDICATED: dict[str, tuple[dict[str, bytes], str]] = {
    "debug-enabled": ({"evidence": make_evidence(report=report(debug_status=0)).to_bytes()}, CHALLENGE.hex()),
    "certificate-forged": (
        {"evidence": make_evidence(certificate=certify(root=OTHER_ROOT)).to_bytes()},
        CHALLENGE.hex(),
    ),
    "nonce-stale": ({}, "00" * 32),
}


@pytest.mark.parametrize("reason", CONTRAINDICATED)
def test_what_is_contraindicated_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    changes, nonce = CONTRAINDICATED[reason]
    code, out, _ = appraise(capsys, lay_out(tmp_path, **changes), "--json", nonce=nonce)
    found = json.loads(out)
    assert (code, found["status"]) == (1, "contraindicated")
    assert reason in [entry["reason"] for entry in found["reasons"]]


def test_a_stale_nonce_is_told_with_the_expected_one_both_in_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = appraise(capsys, lay_out(tmp_path), nonce="00" * 32)
    (row, rest) = [line.strip() for line in out.splitlines()[3:5]]
    assert row.endswith(f"answers another challenge: expected {'00' * 32}, got")
    assert rest == CHALLENGE.hex()


def test_firmware_that_nobody_vouches_for_is_a_warning_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = make_evidence(alias=endorse(firmware=UNKNOWN), report=report(firmware_digest=UNKNOWN.digest))
    code, out, _ = appraise(capsys, lay_out(tmp_path, evidence=evidence.to_bytes()))
    lines = out.splitlines()
    assert (code, lines[0]) == (3, "warning")
    assert lines[3].startswith("mismatched  component-mismatched")  # the worst stands first


def test_a_revoked_chip_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = RevokedDevice(ueid=DEVICE.public_key.ueid, reason=RevocationReason.CLONED)
    files = lay_out(
        tmp_path, clean=sign(make_list(), ROOT), revoked=sign(make_list(number=2, entries=(entry,)), ROOT)
    )
    clean = ("--revocation", str(files["clean"]))
    assert appraise(capsys, files, *clean)[0] == 0
    code, out, _ = appraise(capsys, files, *clean, "--revocation", str(files["revoked"]))
    assert code == 1
    assert "device-revoked" in out
    assert appraise(capsys, files, "--revocation", str(files["roots"]))[0] == 4


def test_all_reference_values_count_that_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = lay_out(tmp_path, second=sign(make_reference(PATCHED, 2), ROOT))
    code, out, _ = appraise(capsys, files, "--reference", str(files["second"]))
    assert code == 3
    assert "component-outdated" in out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evidence", b"no evidence"),
        ("evidence", make_evidence().to_bytes()[:-1]),
        ("evidence", make_evidence(report=b"no report").to_bytes()),
        ("roots", b"no root"),
        ("roots", certify()),
        ("reference", b"no reference values"),
        ("reference", sign(make_list(), ROOT)),
    ],
)
def test_a_file_that_is_not_what_it_should_be_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    code, out, err = appraise(capsys, lay_out(tmp_path, **{name: content}))
    assert (code, out) == (4, "")
    assert err.startswith(f"Error: {tmp_path / name}: expected ")
    assert len(err.splitlines()) == 1


FORGED = bytearray(sign(make_reference(), ROOT))
FORGED[-1] ^= 1


@pytest.mark.parametrize("content", [sign(make_reference(), OTHER_ROOT), bytes(FORGED)])
def test_reference_values_that_no_given_root_signed_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    files = lay_out(tmp_path, reference=content)
    code, out, _ = appraise(capsys, files, "--json")
    found = json.loads(out)
    told = {
        "reason": "reference-missing",
        "detail": f"{files['reference']} is signed by none of the given roots",
    }
    assert (code, found["status"]) == (3, "warning")
    assert told.items() <= found["reasons"][-1].items()


def test_a_wrong_roots_file_is_told_by_the_certificate_it_did_not_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, reason in (("maker", "certificate-forged"), ("another", "maker-unknown")):
        code, out, _ = appraise(capsys, lay_out(tmp_path, roots=issue_pinned(OTHER_ROOT, name)), "--json")
        assert code == 1
        assert [entry["reason"] for entry in json.loads(out)["reasons"]] == [reason, "reference-missing"]


def test_a_revocation_list_that_no_given_root_signed_does_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = lay_out(tmp_path, strange=sign(make_list(), OTHER_ROOT))
    code, out, _ = appraise(capsys, files, "--revocation", str(files["strange"]), "--json")
    missing = [entry for entry in json.loads(out)["reasons"] if entry["reason"] == "revocation-missing"]
    assert (code, len(missing)) == (1, 2)
    assert missing[-1]["detail"] == f"{files['strange']} is signed by none of the given roots"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (sign(make_reference(), ROOT), "reference values"),
        (sign(make_list(), ROOT), "a revocation list"),
        (report(), "a signed 'compute-report'"),
    ],
)
def test_a_statement_in_the_place_of_the_evidence_is_called_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, what: str
) -> None:
    files = lay_out(tmp_path, evidence=content)
    code, out, err = appraise(capsys, files)
    assert (code, out) == (4, "")
    assert (
        err == f"Error: {files['evidence']}: expected evidence of one chip: it holds {what}, not evidence\n"
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("evidence", b"", "expected evidence of one chip, but the file is empty"),
        ("evidence", PEM, "expected evidence of one chip, but the file is PEM"),
        ("evidence", b"{}", "expected evidence of one chip, but the file is JSON"),
        ("roots", b"", "expected root certificates, but the file is empty"),
        ("roots", b"roots\n", "expected root certificates, but the file is text"),
        ("roots", PEM[:99], "expected root certificates: no whole certificate in this PEM"),
        ("roots", b"\x30\x82", "expected root certificates: neither PEM nor one certificate in DER"),
        ("reference", PEM, "expected reference values, but the file is PEM"),
        (
            "reference",
            make_evidence().to_bytes(),
            "expected reference values: not a signed statement: expected COSE after the tag d2, got a3",
        ),
    ],
)
def test_a_file_of_another_form_is_told_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    files = lay_out(tmp_path, **{name: content})
    code, out, err = appraise(capsys, files)
    assert (code, out, err) == (4, "", f"Error: {files[name]}: {said}\n")


def test_a_file_that_is_not_there_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = lay_out(tmp_path) | {"evidence": tmp_path / "none"}
    assert appraise(capsys, files)[0] == 4


@pytest.mark.parametrize("nonce", ["", "zz", "0", "00" * 65])
def test_a_nonce_that_is_none_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nonce: str
) -> None:
    assert appraise(capsys, lay_out(tmp_path), nonce=nonce)[0] == 2


def test_a_kind_that_is_not_named_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert appraise(capsys, lay_out(tmp_path), "--kind", "TPM2")[0] == 1
    code, out, _ = appraise(capsys, lay_out(tmp_path), "--kind", "TPM2", "--kind", "SIMULATED")
    assert (code, "of the kind 'SIMULATED', which is accepted by name" in out) == (0, True)


@pytest.mark.parametrize("kind", ["simulated", "foo", ""])
def test_a_kind_that_nobody_knows_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    code, out, err = appraise(capsys, lay_out(tmp_path), "--kind", kind)
    assert (code, out) == (2, "")
    assert f"expected a kind of attester among SIMULATED, TPM2, got {kind!r}" in err


def test_nothing_affirms_hardware_because_software_keys_show_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = appraise(capsys, lay_out(tmp_path), "--json")
    (found,) = [entry for entry in json.loads(out)["reasons"] if entry["reason"].startswith("platform-")]
    assert (code, found["reason"], found["claim"]) == (0, "platform-unasked", "instance-identity")
    assert found["detail"] == "is by software keys: nothing vouches, and nothing is asked"


def test_a_published_psa_token_is_appraised(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = shared / VERAISON
    files = {
        "evidence": suite / "scheme/psa-iot/test/token/psa.good.cose",
        "roots": suite / COMID.format("ta"),
        "reference": suite / COMID.format("refval"),
    }
    assert appraise_psa(capsys, files, nonce=PSA_NONCE)[0] == 0
    assert appraise_psa(capsys, files, nonce="00" * 32)[0] == 1
    assert appraise_psa(capsys, files | {"roots": suite / COMID.format("refval")}, nonce=PSA_NONCE)[0] == 1
    assert appraise_psa(capsys, files | {"roots": files["evidence"]}, nonce=PSA_NONCE)[0] == 4


@pytest.mark.parametrize(
    ("option", "value"), [("--revocation", "list.cose"), ("--kind", "SIMULATED"), ("--now", LATER)]
)
def test_an_option_that_says_nothing_of_a_psa_token_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    files = lay_out(tmp_path, evidence=make_token(), **{"list.cose": sign(make_list(), ROOT)})
    given = str(files[value]) if option == "--revocation" else value
    code, out, err = appraise_psa(capsys, files, option, given)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: expected no {option} with a PSA token")


@pytest.mark.parametrize("name", ["roots", "reference"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [(b'{"triples": {}, "triples": {}}', "stands twice"), (b'{"triples": NaN}', "NaN is no number")],
)
def test_a_template_that_may_be_read_in_two_ways_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, expected: str
) -> None:
    templates = {"roots": make_template(), "reference": make_template()} | {name: content}
    code, out, err = appraise_psa(capsys, lay_out(tmp_path, evidence=make_token(), **templates))
    assert (code, out) == (4, "")
    assert err.startswith(f"Error: {tmp_path / name}: expected a CoMID template in JSON: not JSON: ")
    assert expected in err


@pytest.mark.parametrize(
    "content", [b"{}", b'{"triples": {"reference-values": [1]}}', make_template(OTHER_KEY)]
)
def test_the_template_that_is_wrong_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    good = {"evidence": make_token(), "roots": make_template(), "reference": make_template()}
    assert appraise_psa(capsys, lay_out(tmp_path, **good))[0] == 1  # of another nonce
    code, out, err = appraise_psa(capsys, lay_out(tmp_path, **good | {"reference": content}))
    assert (code, out) == (4, "")
    assert err.startswith(f"Error: {tmp_path / 'reference'}: expected a CoMID template in JSON: ")
