"""``vetonet monitor`` and ``vetonet verify-evidence``: what is caught, what is written, how both end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.bundles import enrol, make_compliant_scene
from support.chip_evidence import make_evidence
from support.published import lay_out
from support.world import make_council
from vetonet.attestation.conflict import Conflict, ConflictKind
from vetonet.cli import main
from vetonet.cli.exits import Exit
from vetonet.crypto.keys import generate_ecdsa
from vetonet.tlog.fork import ForkEvidence
from vetonet.tlog.log import Log
from vetonet.tlog.policy_file import write_policy

COUNCIL = make_council(7, 5)
ORIGIN = COUNCIL.treaty.statement.log_origin


def publish(folder: Path, *names: str, **signed: Any) -> Path:
    return lay_out(folder, COUNCIL, [COUNCIL.treaty.data, *(name.encode() for name in names)], **signed)


@pytest.fixture
def treaty(tmp_path: Path) -> Path:
    path = tmp_path / "treaty.cbor"
    path.write_bytes(COUNCIL.treaty.data)
    return path


@pytest.fixture
def evidence(tmp_path: Path, treaty: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What a monitor writes that sees two histories."""
    here, there = publish(tmp_path / "here", "a", "b"), publish(tmp_path / "there", "a", "x", "c")
    arguments = ("monitor", str(here), "--treaty", str(treaty), "--view", str(there), "--once", "--json")
    assert main.run((*arguments, "--evidence", str(tmp_path / "found"))) == Exit.NEGATIVE
    said = json.loads(capsys.readouterr().out)
    assert said["problems"][-1]["culprit"] == ORIGIN
    return Path(said["evidence"])


def look(log: Path | str, treaty: Path, *options: str) -> int:
    return main.run(("monitor", str(log), "--treaty", str(treaty), "--once", *options))


def judge(evidence: Path, *options: str | Path) -> int:
    return main.run(("verify-evidence", str(evidence), *map(str, options)))


# --- monitor ------------------------------------------------------------------------------------------------


def test_an_honest_log_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = make_compliant_scene()
    leaves = [scene.log.leaf(index) for index in range(scene.log.tree_size)]
    folder = lay_out(tmp_path / "log", scene.council, leaves)
    (tmp_path / "treaty").write_bytes(scene.council.treaty.data)
    assert look(folder, tmp_path / "treaty") == Exit.OK
    size = scene.log.tree_size
    assert capsys.readouterr().out == f"tree size {size} cosigned by the quorum; leaves read: {size}\n"


def test_a_leaf_that_breaks_the_rules_is_told_with_its_index(
    tmp_path: Path, treaty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(publish(tmp_path / "log", "a"), treaty) == Exit.NEGATIVE
    assert capsys.readouterr().out.startswith("inconsistent-record: leaf 1: ")


def test_a_rollback_is_caught_with_a_state_and_not_without(tmp_path: Path, treaty: Path) -> None:
    leaves = [COUNCIL.treaty.data]
    state = str(tmp_path / "state")
    publish(tmp_path / "long", "a", "b")
    assert look(tmp_path / "long", treaty, "--state", state) == Exit.NEGATIVE  # for its leaves
    short = lay_out(tmp_path / "short", COUNCIL, leaves)
    assert look(short, treaty) == Exit.OK
    assert look(short, treaty, "--state", state) == Exit.INCONCLUSIVE


def test_a_view_that_does_not_answer_leaves_it_open(
    tmp_path: Path, treaty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = publish(tmp_path / "log")
    (tmp_path / "empty").mkdir()
    assert look(log, treaty, "--view", str(tmp_path / "empty")) == Exit.INCONCLUSIVE
    assert "empty: checkpoint: expected a file of the log, found none" in capsys.readouterr().err


@pytest.mark.parametrize("quorum", ["4", "8", "0"])
def test_a_quorum_below_the_treatys_is_refused(tmp_path: Path, treaty: Path, quorum: str) -> None:
    assert look(publish(tmp_path / "log"), treaty, "--quorum", quorum) == Exit.USAGE


def test_a_log_that_too_few_witnesses_cosigned_is_not_believed(
    tmp_path: Path, treaty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = publish(tmp_path / "log", witness_ids=COUNCIL.party_ids[:5])
    assert look(log, treaty) == Exit.OK
    assert look(log, treaty, "--quorum", "6") == Exit.INCONCLUSIVE
    assert "expected cosignatures of 6 of 7 witnesses" in capsys.readouterr().err


@pytest.mark.parametrize("log", ["nowhere", "http://", "http://127.0.0.1:1"])
def test_a_log_that_is_not_there_is_said_in_one_line(
    treaty: Path, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(log, treaty) in (Exit.USAGE, Exit.INCONCLUSIVE)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_once_and_listen_do_not_go_together(tmp_path: Path, treaty: Path) -> None:
    assert look(publish(tmp_path / "log"), treaty, "--listen", "127.0.0.1:0") == Exit.USAGE


# --- verify-evidence ----------------------------------------------------------------------------------------


def test_evidence_convicts_by_the_treaty_alone(
    evidence: Path, treaty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(evidence, "--treaty", treaty) == Exit.OK
    said = capsys.readouterr().out
    assert said.startswith(f"the evidence holds: {ORIGIN} signed two histories\n")
    assert "log.example/treaty/witness/p7" in said
    assert judge(evidence, "--treaty", treaty, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["culprits"][0] == ORIGIN


def test_evidence_convicts_by_a_policy_file_as_well(evidence: Path, tmp_path: Path) -> None:
    (tmp_path / "log.policy").write_bytes(write_policy(COUNCIL.log_policy))
    assert judge(evidence, "--policy", tmp_path / "log.policy") == Exit.OK


def test_evidence_convicts_the_log_for_whoever_knows_its_key_alone(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of witnesses that this reader does not know stand in nobody's way, and convict nobody."""
    vkey = COUNCIL.log_policy.log_key.to_vkey()
    assert judge(evidence, "--vkey", vkey, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["culprits"] == [ORIGIN]
    (tmp_path / "log.policy").write_text(f"log {vkey}\nquorum none\n")
    assert judge(evidence, "--policy", tmp_path / "log.policy") == Exit.OK
    assert "which no honest one does: none" in capsys.readouterr().out


@pytest.mark.parametrize("vkey", ["", "nothing", COUNCIL.log_policy.witnesses[0].to_vkey()])
def test_a_key_that_is_no_logs_is_refused(evidence: Path, vkey: str) -> None:
    assert judge(evidence, "--vkey", vkey) == Exit.USAGE


def test_evidence_against_another_log_does_not_hold(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").write_bytes(make_council(7, 5, log_origin="other.example/log").treaty.data)
    assert judge(evidence, "--treaty", tmp_path / "other") == Exit.NEGATIVE
    assert "does not hold" in capsys.readouterr().err


def test_two_checkpoints_of_one_history_convict_nobody(evidence: Path, treaty: Path) -> None:
    found = ForkEvidence.from_bytes(evidence.read_bytes())
    evidence.write_bytes(replace(found, second=found.first, hashes=()).to_bytes())
    assert judge(evidence, "--treaty", treaty) == Exit.NEGATIVE


def test_no_change_of_one_byte_leaves_evidence_that_holds(evidence: Path, treaty: Path) -> None:
    """Each ends with 1 or 4, and the reason is said; none with a bug."""
    data = evidence.read_bytes()
    ended = set()
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 0x01
        evidence.write_bytes(bytes(changed))
        ended.add(judge(evidence, "--treaty", treaty))
    assert ended == {Exit.NEGATIVE, Exit.INVALID}


@pytest.mark.parametrize("data", [b"", b"\x00", b"no evidence"])
def test_what_is_no_evidence_is_unreadable(evidence: Path, treaty: Path, data: bytes) -> None:
    evidence.write_bytes(data)
    assert judge(evidence, "--treaty", treaty) == Exit.INVALID
    evidence.unlink()
    assert judge(evidence, "--treaty", treaty) == Exit.INVALID


def test_somebody_has_to_say_whose_keys_count(evidence: Path, treaty: Path, tmp_path: Path) -> None:
    assert judge(evidence) == Exit.USAGE
    assert judge(evidence, "--treaty", treaty, "--policy", treaty) == Exit.USAGE
    (tmp_path / "bad.policy").write_bytes(b"log nothing\n")
    assert judge(evidence, "--policy", tmp_path / "bad.policy") == Exit.INVALID


# --- verify-evidence of conflicts (VN-17.4) -----------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xa0"])
def test_what_is_no_evidence_is_told_both_kinds_that_there_are(
    tmp_path: Path, treaty: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert judge(tmp_path / "file", "--treaty", treaty) == Exit.INVALID
    assert "expected evidence of two histories, or a conflict of signed statements" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--treaty", "treaty")])
def test_a_chip_s_evidence_is_sent_to_its_own_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    (tmp_path / "evidence.cbor").write_bytes(make_evidence().to_bytes())
    assert judge(tmp_path / "evidence.cbor", *options) == Exit.INVALID
    assert "got one chip's evidence; use vetonet appraise eat" in capsys.readouterr().err


def write_conflict(folder: Path, *, flip: int = 0) -> tuple[Path, Path]:
    """A file with two enrolments of one serial, and the treaty."""
    scene = make_compliant_scene()
    clone = replace(scene.chips[0], device_key=generate_ecdsa(scene.council.rng))
    side = Log(scene.log.origin, [scene.log.leaf(0)])
    enrol(scene.council, clone, side, serial=f"Test Chip-{scene.chips[0].ueid.hex()[2:14]}")
    first, second = sorted((scene.log.leaf(3), side.leaf(1)))
    data = Conflict(kind=ConflictKind.TWO_KEYS, first=first, second=second).to_bytes()
    (folder / "conflict").write_bytes(data[:-1] + bytes([data[-1] ^ flip]))
    (folder / "treaty").write_bytes(scene.council.treaty.data)
    return folder / "conflict", folder / "treaty"


def test_a_conflict_convicts_a_maker_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conflict, treaty = write_conflict(tmp_path)
    assert judge(conflict, "--treaty", treaty) == Exit.OK
    assert capsys.readouterr().out.startswith("the evidence holds: maker 'maker' enrolled the serial ")
    assert judge(conflict, "--treaty", treaty, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["culprits"] == ["maker"]


def test_an_altered_conflict_convicts_nobody(tmp_path: Path) -> None:
    """VN-17.4"""
    conflict, treaty = write_conflict(tmp_path, flip=1)
    assert judge(conflict, "--treaty", treaty) == Exit.NEGATIVE


def test_a_conflict_is_judged_by_a_treaty_only(tmp_path: Path) -> None:
    """VN-17.4"""
    conflict, _ = write_conflict(tmp_path)
    assert judge(conflict) == Exit.USAGE
