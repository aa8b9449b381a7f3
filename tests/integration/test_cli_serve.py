from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from support.command_line import call, finish, served, start
from vetonet.cli import main
from vetonet.cli.exits import Exit


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("council") / "treaty"
    assert main.run(("treaty", "new", "--out", str(directory), "--parties", "3", "--window", "5m")) == Exit.OK
    return directory


def serve(council: Path, data: Path, *options: str) -> int:
    return main.run(
        ("serve", "--dir", str(council), "--data", str(data), "--listen", "127.0.0.1:0", *options)
    )


def test_a_journal_that_is_no_database_is_one_line(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"nothing of the kind" * 1000)
    assert serve(council, tmp_path, "--json") == Exit.INVALID
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert json.loads(said.err)["error"]["reason"] == "journal-corrupt"


def test_a_journal_that_cannot_be_written_is_one_line(
    council: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.sqlite3").mkdir()
    assert serve(council, tmp_path) in {Exit.USAGE, Exit.INVALID}
    assert capsys.readouterr().err.count("\n") == 1


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
    assert main.run((*arguments, "--insecure-loopback")) == Exit.USAGE
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
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well(
    number: signal.Signals, council: Path, tmp_path: Path
) -> None:
    process = start("serve", "--dir", council, "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving Trial treaty at 127.0.0.1:")
    process.send_signal(number)
    ended = finish(process)
    assert (ended.code, "Traceback" in ended.err) == (0, False)


def test_a_killed_server_has_lost_nothing_that_it_acknowledged(council: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = start("serve", "--dir", council, "--listen", "127.0.0.1:0", "--data", data, "--json")
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
