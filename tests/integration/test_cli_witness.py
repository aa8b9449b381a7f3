"""``vetonet witness`` as its operator runs it: keys, a ready line, signals, kills, and plain refusals."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.command_line import call, finish, start
from support.histories import ORIGIN, History, make_history
from vetonet.cli.exits import Exit
from vetonet.party.keys import load_signing_key
from vetonet.tlog.add_checkpoint import AddCheckpoint, parse_cosignatures
from vetonet.tlog.cosignature import WitnessKey, verify_cosignature
from vetonet.tlog.witness import StaleCheckpointError, UnknownLogError
from vetonet.wire.http_witness import HttpWitness

NAME = "witness.example/w1"
LOG = make_history()


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("council") / "treaty"
    assert call("treaty", "new", "--out", directory, "--parties", "3").code == Exit.OK
    return directory


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "witness-key.pem"
    assert call("witness", "key", "--out", path, "--name", NAME).code == Exit.OK
    return path


def follow(key: Path, data: Path, log: History = LOG) -> tuple[str | Path, ...]:
    """Return the options of a witness of one log."""
    return ("--name", NAME, "--key", key, "--data", data, "--log-vkey", log.log_key.to_vkey())


@contextmanager
def witnessing(*options: str | Path, end: signal.Signals = signal.SIGTERM) -> Iterator[Any]:
    """Within, a witness runs; yields what it said when it was ready. It is ended by a signal."""
    process = start("witness", "run", "--listen", "127.0.0.1:0", "--json", *options)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            raise AssertionError(f"the witness did not begin: {finish(process).err}")
        yield json.loads(ready)
        process.send_signal(end)
    finally:
        ended = finish(process)
    assert ended.code == (-end if end is signal.SIGKILL else 0), ended.err
    assert "Traceback" not in ended.err


def ask(url: str, request: AddCheckpoint) -> bytes:
    with HttpWitness(url) as client:
        return asyncio.run(client.add_checkpoint(request))


def test_a_new_key_is_for_its_owner_alone_and_known_by_its_verifier_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = call("witness", "key", "--out", path, "--name", NAME, "--json")
    expected = WitnessKey.of_ed25519(NAME, load_signing_key(path).public_key).to_vkey()
    assert made.value == {"name": NAME, "vkey": expected, "key": str(path)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    again = call("witness", "key", "--out", key, "--name", NAME)
    assert (again.code, again.err.count("\n"), key.read_bytes()) == (Exit.USAGE, 1, before)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "x" * 256])
def test_a_name_that_cannot_stand_in_a_note_gets_no_key(name: str, tmp_path: Path) -> None:
    refused = call("witness", "key", "--out", tmp_path / "key.pem", "--name", name)
    assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
    assert not (tmp_path / "key.pem").exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_witness_goes_on_where_it_was_however_it_ended(
    end: signal.Signals, key: Path, tmp_path: Path
) -> None:
    options = follow(key, tmp_path / "memory")
    with witnessing(*options, end=end) as ready:
        request = LOG.ask(0, 7)
        (line,) = parse_cosignatures(ask(ready["url"], request))
        witness = WitnessKey.from_vkey(ready["vkey"])
        verify_cosignature(request.signed.checkpoint, line, witness)
        assert (ready["name"], ready["origins"]) == (NAME, [ORIGIN])
    with witnessing(*options) as ready:
        with pytest.raises(StaleCheckpointError) as caught:
            ask(ready["url"], LOG.fork(2).ask(0, 9))
        assert caught.value.known_size == 7
        ask(ready["url"], LOG.ask(7, 9))


def test_a_party_witnesses_the_log_of_its_treaty(council: Path) -> None:
    with witnessing("--dir", council, "--party", "P2") as ready:
        assert ready["name"].endswith("/witness/P2")
        assert len(ready["origins"]) == 1
        with pytest.raises(UnknownLogError):
            ask(ready["url"], LOG.ask(0, 3))
    assert (council / "parties" / "P2" / "witness" / "journal.sqlite3").exists()


def test_people_read_name_logs_and_key(key: Path, tmp_path: Path) -> None:
    process = start("witness", "run", "--listen", "127.0.0.1:0", *follow(key, tmp_path / "memory"))
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 0
    assert first.startswith(f"witness {NAME} of {ORIGIN} at http://127.0.0.1:")
    assert second.startswith(f"its verifier key: {NAME}+")


def test_the_origin_of_a_log_can_be_given_beside_its_key(key: Path, tmp_path: Path) -> None:
    named = ("--log", "go.sum database tree", LOG.log_key.to_vkey())
    with witnessing("--name", NAME, "--key", key, "--data", tmp_path / "memory", *named) as ready:
        assert ready["origins"] == ["go.sum database tree"]


def test_two_witnesses_on_one_memory_are_refused(key: Path, tmp_path: Path) -> None:
    options = follow(key, tmp_path / "memory")
    with witnessing(*options):
        second = call("witness", "run", "--listen", "127.0.0.1:0", "--json", *options)
    assert second.code == Exit.USAGE
    assert json.loads(second.err)["error"]["reason"] == "journal-locked"


def test_a_memory_of_another_log_is_refused_with_a_way_out(key: Path, tmp_path: Path) -> None:
    with witnessing(*follow(key, tmp_path / "memory")) as ready:
        ask(ready["url"], LOG.ask(0, 3))
    other = follow(key, tmp_path / "memory", make_history(origin="vetonet.example/other"))
    refused = call("witness", "run", "--listen", "127.0.0.1:0", *other)
    assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
    assert "trust its key again" in refused.err


def test_options_that_do_not_belong_together_are_one_line(council: Path, key: Path, tmp_path: Path) -> None:
    data = tmp_path / "memory"
    full = follow(key, data)
    for options in (
        (),
        ("--dir", council),
        ("--party", "P1"),
        ("--name", NAME, "--key", key),
        ("--dir", council, "--party", "P1", "--name", NAME),
        ("--dir", council, *full),
        full[:6],
        (*full, "--log-vkey", "nonsense"),
        ("--dir", council, "--party", "P9"),
        ("--dir", tmp_path, "--party", "P1"),
        ("--name", NAME, "--key", tmp_path / "none.pem", *full[4:]),
        (*full, "--listen", "nonsense"),
        (*full, "--listen", "192.0.2.1:1"),
    ):
        refused = call("witness", "run", *options)
        assert (refused.code, refused.out, refused.err.count("\n")) == (Exit.USAGE, "", 1), options
