"""Runs ``vetonet`` as a user does: a process of its own, its exit code, its two outputs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vetonet.cli import main

COMMAND: Final = (sys.executable, "-m", "vetonet.cli.main")
ROOT: Final = Path(__file__).resolve().parents[2]
TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)


def make_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a user without any special wishes; compiled code is kept aside."""
    special = {"VETONET_DEBUG", "NO_COLOR", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in special}
    return {**kept, "PYTHONPYCACHEPREFIX": str(ROOT / ".pytest_cache" / "compiled"), **changes}


def start(*arguments: str | Path, **changes: str) -> subprocess.Popen[str]:
    """Return a command that has begun."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=make_environment(**changes),
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Return how a command that was started ended."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return Ended(code=process.returncode, out=out, err=err)


def vetonet(*arguments: str | Path, **changes: str) -> Ended:
    """Return how a command ended; keywords are environment variables."""
    return finish(start(*arguments, **changes))


def call(*arguments: str | Path) -> Ended:
    """Return how a command ended that ran in this process: the same, without starting Python anew."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run([str(argument) for argument in arguments])
    return Ended(code=code, out=out.getvalue(), err=err.getvalue())


@contextmanager
def served(directory: Path, *options: str | Path) -> Iterator[str]:
    """Within, the coordinator of a treaty directory runs; yields its address."""
    with running("serve", "--dir", directory, "--listen", "127.0.0.1:0", *options) as ready:
        yield ready["address"]


@contextmanager
def running(*arguments: str | Path) -> Iterator[dict[str, Any]]:
    """Within, a command that serves runs; yields what it says when it is ready."""
    process = start(*arguments, "--json")
    try:
        if process.stdout is None:
            raise ValueError("started with a pipe")
        ready = process.stdout.readline()
        if not ready:
            raise AssertionError(f"{arguments[0]} did not begin: {finish(process).err}")
        yield json.loads(ready)
    finally:
        process.terminate()
        finish(process)
