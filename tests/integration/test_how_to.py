"""The how-to documents, run line by line in an empty folder: what they show is what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_SOCKETS: Final = "vetonet demo"
ELLIPSIS: Final = "..."

NO_NETWORK: Final = """
import socket
class _Forbidden(socket.socket):
    def __init__(self, *arguments, **named):
        raise RuntimeError("this is to work without a network")
socket.socket = _Forbidden
"""


def read_commands(document: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the console blocks with the lines that it should print."""
    for block in BLOCK.findall(document):
        shown: list[str] = []
        command = ""
        for line in block.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            else:
                shown.append(line)
        yield command, shown


def is_shown(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Return whether what is shown is what was printed, ``...`` standing for any lines."""
    pattern = [r"(?:.*\n)*" if line == ELLIPSIS else re.escape(line.rstrip()) + r" *\n" for line in shown]
    return re.fullmatch("".join(pattern), "".join(f"{line}\n" for line in printed)) is not None


def make_environment(folder: Path, *, is_offline: bool) -> dict[str, str]:
    """Return an environment with our ``vetonet`` first; offline, no socket can be made in it."""
    tools = folder / ("offline" if is_offline else "online")
    tools.mkdir(exist_ok=True)
    (tools / "vetonet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vetonet.cli.main "$@"\n')
    (tools / "vetonet").chmod(0o755)
    (tools / "sitecustomize.py").write_text(NO_NETWORK if is_offline else "")
    return {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": f"{tools}:{ROOT / 'src'}",
        "COLUMNS": "200",
    }


def run(command: str, folder: Path, environment: dict[str, str], status: int) -> tuple[list[str], int]:
    """Return what a line printed, and its exit code; ``$?`` in it is that of the line before."""
    program = f"(exit {status})\n{command}"
    done = subprocess.run(
        ["/bin/bash", "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return (done.stdout + done.stderr).splitlines(), done.returncode


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docs" / "how-to").glob("*.md")))
def test_every_command_of_a_how_to_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    folder, status = tmp_path / "empty", 0
    folder.mkdir()
    for command, shown in read_commands((ROOT / "docs" / "how-to" / name).read_text(encoding="utf-8")):
        is_offline = not command.startswith(NEEDS_SOCKETS)
        environment = make_environment(tmp_path, is_offline=is_offline)
        printed, status = run(command, folder, environment, status)
        assert is_shown(shown, printed), f"$ {command}\n" + "\n".join(printed)


def test_a_how_to_that_shows_something_else_is_found() -> None:
    assert is_shown(["a", ELLIPSIS, "b"], ["a", "x", "y", "b"])
    assert is_shown([ELLIPSIS, "b", ELLIPSIS], ["a", "b"])
    assert is_shown([], [])
    assert not is_shown(["a", ELLIPSIS, "b"], ["a", "x", "y"])
    assert not is_shown(["a"], ["a", "b"])
    assert not is_shown([], ["a"])


def test_offline_means_that_no_socket_can_be_made(tmp_path: Path) -> None:
    environment = make_environment(tmp_path, is_offline=True)
    printed, status = run(
        f'"{sys.executable}" -c "import socket; socket.socket()"', tmp_path, environment, status=0
    )
    assert status == 1
    assert "this is to work without a network" in printed[-1]
