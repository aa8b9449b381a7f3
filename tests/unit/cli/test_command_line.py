from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import click
import pytest

from support.command_line import COMMAND, Ended, finish, make_environment, vetonet
from vetonet.cli import main
from vetonet.errors import RefusedError

HEAVY = ("grpc", "cryptography", "nacl", "rich", "google.protobuf", "sqlite3", "cbor2")
Break = Callable[[Callable[[], object]], None]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    code = main.run(arguments)
    said = capsys.readouterr()
    return Ended(code=code, out=said.out, err=said.err)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Make ``vetonet broken`` call a function."""

    def install_command(function: Callable[[], object]) -> None:
        module = ModuleType("broken_command")
        module.broken = click.command("broken")(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "broken_command", module)
        entry = main.Entry(target="broken_command:broken", summary="Fails.")
        monkeypatch.setattr(main, "ENTRIES", {**main.ENTRIES, "broken": entry})

    return install_command


def list_imported(*arguments: str) -> set[str]:
    program = (
        "import sys; from vetonet.cli.main import run; code = run(sys.argv[1:]); "
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(finished.stderr.split())


def test_help_imports_nothing_heavy_and_names_every_command() -> None:
    imported = list_imported("--help")
    assert not imported & set(HEAVY)
    assert not {name for name in imported if name.startswith("vetonet.cli.")} - {
        "vetonet.cli.main",
        "vetonet.cli.exits",
        "vetonet.cli.output",
    }


@pytest.mark.parametrize("name", ["treaty", "serve", "propose", "vote", "watch", "verify", "replay"])
def test_the_help_of_a_command_imports_no_cryptography_and_no_network(name: str) -> None:
    assert not list_imported(name, "--help") & set(HEAVY)


@pytest.mark.parametrize("name", main.ENTRIES)
def test_every_command_is_there_and_says_what_it_does(name: str) -> None:
    command = main.cli.get_command(click.Context(main.cli), name)
    assert command is not None
    assert command.help


@pytest.mark.parametrize(
    "path",
    [
        *("", "treaty", "treaty new", "treaty show", "serve", "propose", "vote", "watch"),
        *("verify", "replay", "replay mlperf", "replay epoch"),
    ],
)
def test_every_help_shows_an_example(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, *path.split(), "--help")
    assert ended.code == 0
    assert f"Example:\n    vetonet {path}".rstrip() in ended.out


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, "--version")
    assert (ended.code, ended.out.startswith("vetonet "), ended.out.count("\n")) == (0, True, 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nonsense",), "nonsense"),
        (("verify",), "vetonet verify --help"),
        (("verify", "--nonsense"), "--nonsense"),
        (("vote", "perhaps", "abcd"), "perhaps"),
        (("propose", "--dir", "x", "--operator", "o", "--total-flop", "many"), "5.5e21"),
        (("serve", "--dir", "x", "--listen", "nowhere"), "HOST:PORT"),
        (("vote", "veto", "abcd", "--dir", "x", "--party", "P1"), "--reason"),
        (("vote", "grant", "abcd", "--dir", "x", "--party", "P1", "--reason", "scale"), "--reason"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run(capsys, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("Error: ")
    assert expected in ended.err


def test_a_mistake_is_one_json_object_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, "verify", "--json")
    error = json.loads(ended.err)["error"]
    assert (ended.code, ended.out) == (2, "")
    assert set(error) == {"reason", "message", "culprit"}
    assert error["reason"] == "usage"


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: vetonet" in ended.err


def test_a_refusal_names_its_culprit(install: Break, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> NoReturn:
        raise RefusedError("no,\nnever", culprit="P1")

    install(refuse)
    ended = run(capsys, "broken")
    assert (ended.code, ended.err) == (1, "Error: no, never\n")


def test_an_unexpected_exception_is_one_line_that_says_it_is_a_bug(
    install: Break, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NoReturn:
        raise ZeroDivisionError("secret")

    install(fail)
    ended = run(capsys, "broken")
    assert (ended.code, ended.err.count("\n")) == (70, 1)
    assert "a bug in vetonet: ZeroDivisionError at " in ended.err
    assert "secret" not in ended.err
    monkeypatch.setenv("VETONET_DEBUG", "1")
    assert "Traceback (most recent call last)" in run(capsys, "broken").err


def test_a_message_cannot_steer_the_terminal(install: Break, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> NoReturn:
        raise RefusedError("red \x1b[31m\u202e text")

    install(refuse)
    assert run(capsys, "broken").err == "Error: red ?[31m? text\n"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.Abort])
def test_an_interrupt_says_nothing(
    stop: type[BaseException], install: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> NoReturn:
        raise stop

    install(interrupt)
    ended = run(capsys, "broken")
    assert (ended.code, ended.out, ended.err) == (130, "", "")


def test_a_reader_that_goes_away_causes_no_complaint() -> None:
    receiving, sending = os.pipe()
    os.close(receiving)
    process = subprocess.Popen(
        [*COMMAND, "--help"], stdout=sending, stderr=subprocess.PIPE, text=True, env=make_environment()
    )
    os.close(sending)
    ended = finish(process)
    assert (ended.code, ended.err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, env=make_environment()
        )
        ended = finish(process)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cannot be written" in ended.err


def test_a_real_interrupt_ends_a_waiting_command_quietly(tmp_path: Path) -> None:
    program = (
        "import sys, time, types, click\n"
        "from vetonet.cli import main\n"
        "module = types.ModuleType('waiting')\n"
        "def wait():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "module.wait = click.command('wait')(wait)\n"
        "sys.modules['waiting'] = module\n"
        "main.ENTRIES = {'wait': main.Entry(target='waiting:wait', summary='Waits.')}\n"
        "sys.argv[1:] = ['wait']\n"
        "main.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert (ended.code, ended.err) == (130, "")


def test_no_colour_reaches_a_file() -> None:
    assert "\x1b" not in vetonet("--help").out
