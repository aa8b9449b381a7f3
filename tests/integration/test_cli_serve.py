from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from support.command_line import call, finish, running, served, start
from support.readiness import wait_for_log
from vetonet.cli import main
from vetonet.cli.exits import Exit


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("council") / "treaty"
    assert main.run(("treaty", "new", "--out", str(directory), "--parties", "3", "--window", "5m")) == Exit.OK
    return directory


def serve(council: Path, data: Path, *options: str) -> int:
    place = ("--dir", str(council), "--data", str(data), "--listen", "127.0.0.1:0")
    return main.run(("serve", *place, "--trial-witnesses", *options))


def last_line(said: str) -> str:
    """What went wrong, below the warning that these are witnesses for a trial."""
    warning, error = said.splitlines()
    assert warning.startswith("Warning: one process holds the keys")
    return error


def test_a_journal_that_is_no_database_is_one_line(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"nothing of the kind" * 1000)
    assert serve(council, tmp_path, "--json") == Exit.INVALID
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(last_line(said.err))["error"]["reason"] == "journal-corrupt"


def test_a_journal_that_cannot_be_written_is_one_line(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.sqlite3").mkdir()
    assert serve(council, tmp_path) in {Exit.USAGE, Exit.INVALID}
    assert last_line(capsys.readouterr().err).startswith("Error: ")


def test_a_data_folder_that_is_a_file_is_one_line(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").touch()
    assert serve(council, tmp_path / "data") == Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_plaintext_to_other_machines_is_refused(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("serve", "--dir", str(council), "--data", str(tmp_path), "--listen", "0.0.0.0:0")
    assert main.run((*arguments, "--insecure-loopback", "--trial-witnesses")) == Exit.USAGE
    assert "loopback addresses only" in capsys.readouterr().err.splitlines()[-1]


def test_the_journal_of_another_treaty_is_refused(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(council, "--data", tmp_path / "data"):
        pass
    other = tmp_path / "other"
    assert main.run(("treaty", "new", "--out", str(other), "--parties", "3")) == Exit.OK
    capsys.readouterr()
    assert serve(other, tmp_path / "data") == Exit.USAGE
    assert last_line(capsys.readouterr().err).startswith("Error: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well(
    number: signal.Signals, council: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    process = start("serve", "--dir", council, "--listen", "127.0.0.1:0", "--data", data, "--trial-witnesses")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving Trial treaty at 127.0.0.1:")
    process.send_signal(number)
    ended = finish(process)
    assert (ended.code, "Traceback" in ended.err) == (0, False)


def test_a_killed_server_has_lost_nothing_that_it_acknowledged(council: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = ("--listen", "127.0.0.1:0", "--data", data, "--trial-witnesses", "--json")
    process = start("serve", "--dir", council, *options)
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    proposed = call(
        *("propose", "--dir", council, "--server", address, "--operator", "op1", "--total-flop", "5.5e21"),
        *("--chips", "4", "--duration", "1h", "--json"),
    )
    process.kill()
    finish(process)
    with served(council, "--data", data) as again:
        listed = call("watch", "--dir", council, "--server", again, "--json")
    assert [entry["name"] for entry in listed.value["proposals"]] == [proposed.value["name"]]


def test_without_certificates_everybody_is_warned(council: Path, tmp_path: Path) -> None:
    with served(council, "--data", tmp_path / "data", "--insecure-loopback") as address:
        plain = ("watch", "--once", "--dir", council, "--server", address)
        open_minded = call(*plain, "--insecure-loopback")
        strict = call(*plain)
    assert (open_minded.code, open_minded.out) == (0, "no proposals yet\n")
    assert open_minded.err.startswith("Warning: no certificates")
    assert strict.code == 3


def test_a_coordinator_without_its_witnesses_does_not_begin(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VN-11.6: nothing could leave it."""
    place = ("serve", "--dir", str(council), "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert main.run((*place, "--witness", "P1=http://127.0.0.1:1")) == Exit.USAGE
    assert "expected at least 2 of the treaty's 3 witnesses, got 1" in capsys.readouterr().err
    assert main.run((*place, "--witness", "P9=http://127.0.0.1:1")) == Exit.USAGE
    assert "expected PARTY=URL of one of P1, P2, P3" in capsys.readouterr().err


def test_everybody_reads_the_log_that_a_coordinator_shows(council: Path, tmp_path: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--log-listen", "127.0.0.1:0", "--data", tmp_path / "data")
    with running("serve", "--dir", council, *options, "--trial-witnesses") as ready:
        treaty = ("--treaty", council / "treaty.cbor")
        judged = call("monitor", wait_for_log(ready["log"], 1), *treaty, "--once", "--json")
        assert (judged.code, judged.value["read_size"]) == (0, 1)
    assert call("log", "fsck", tmp_path / "data", *treaty).code == 0
