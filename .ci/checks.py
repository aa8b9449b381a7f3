"""Runs every check of the house, the tests last, and says which of them failed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PYTHON = sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command that must exit 0."""

    name: str
    command: tuple[str, ...]


# mypy refuses a folder without a Python file.
TYPED = [
    name for name in ("src", "tests", "benchmarks", "simulations", ".ci") if any((ROOT / name).rglob("*.py"))
]

LINT = (
    Check(name="ruff check", command=(str(BIN / "ruff"), "check", ".")),
    Check(name="ruff format", command=(str(BIN / "ruff"), "format", "--check", ".")),
    Check(name="mypy", command=(str(BIN / "mypy"), *TYPED)),
    Check(name="import contracts", command=(str(BIN / "lint-imports"), "--no-logo")),
    Check(name="buf lint", command=(str(BIN / "buf"), "lint")),
    Check(name="buf format", command=(str(BIN / "buf"), "format", "--diff", "--exit-code")),
    Check(name="generated code", command=(PYTHON, ".ci/generate.py", "--verify")),
)


def make_environment() -> dict[str, str]:
    """Return the environment of every check: its caches stay below the repository."""
    return {**os.environ, "BUF_CACHE_DIR": str(ROOT / ".venv" / "buf-cache"), "PYTHONDONTWRITEBYTECODE": "1"}


def run_quietly(check: Check) -> bool:
    """Return whether the check passed, after one line about it and, if it failed, all it said."""
    started = time.monotonic()
    finished = subprocess.run(
        check.command,
        cwd=ROOT,
        env=make_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = finished.returncode == 0
    print(f"{'ok    ' if passed else 'FAILED'} {check.name} ({time.monotonic() - started:.1f} s)", flush=True)
    if not passed:
        print(finished.stdout.rstrip(), flush=True)
    return passed


def run_tests(workers: str, arguments: Sequence[str]) -> bool:
    """Return whether pytest passed; what it prints goes straight through."""
    command = (PYTHON, "-m", "pytest", "-n", workers, "--dist", "worksteal", *arguments)
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Return 0 when all passed. Then the last line printed is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lint-only", action="store_true", help="leave out the tests")
    parser.add_argument("--workers", default="2", help="how many processes run the tests")
    parser.add_argument("pytest", nargs="*", help="more arguments for pytest")
    options = parser.parse_args(arguments)
    failed = [check.name for check in LINT if not run_quietly(check)]
    if not options.lint_only and not run_tests(options.workers, options.pytest):
        failed.append("pytest")
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
