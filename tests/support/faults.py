"""Makes one system call of one operation fail, or kills the process in it, by strace."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYSCALLS = (
    *(
        "openat",
        "creat",
        "close",
        "write",
        "pwrite64",
        "writev",
        "fsync",
        "fdatasync",
        "ftruncate",
        "fallocate",
    ),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat"),
)
"""Those that can lose something; reading is not among them."""

ACTIONS = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
TIMEOUT_S = 30
_CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = "resumed>"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call: the ``ordinal``-th of its name in any one thread."""

    syscall: str
    ordinal: int
    action: str

    def __str__(self) -> str:
        return f"{self.syscall} #{self.ordinal} {self.action}"

    @property
    def option(self) -> str:
        """As strace is told."""
        return f"inject={self.syscall}:{self.action}:when={self.ordinal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """How a process ended that was struck.

    Attributes:
        code: its exit code, negative for a signal.
        said: what it sent, line by line.
        errors: its standard error.
        trace: what strace wrote.
    """

    code: int
    said: tuple[str, ...]
    errors: str
    trace: str

    @property
    def was_hit(self) -> bool:
        """Whether the fault came to pass."""
        return "(INJECTED)" in self.trace or self.code == -9

    def find(self, word: str) -> list[str]:
        """What follows this word in the lines that begin with it."""
        return [line.removeprefix(f"{word} ") for line in self.said if line.startswith(f"{word} ")]


def why_not() -> str | None:
    """Why no fault can be injected here, or None where it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    tried = subprocess.run(
        [strace, "-e", "inject=close:error=EIO:when=999", "true"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "strace may not trace processes here"


def strike(kind: str, folder: Path, fault: Fault | None = None) -> Struck:
    """Run the operation with this fault, or with none."""
    here, there = socket.socketpair()
    command = (sys.executable, "-m", "support.fault_child", kind, str(folder), str(there.fileno()))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        here,
        subprocess.Popen(
            command, pass_fds=[there.fileno()], stderr=subprocess.PIPE, env=environment
        ) as child,
    ):
        there.close()
        here.settimeout(TIMEOUT_S)
        lines = here.makefile("r")
        if lines.readline() != "ready\n":
            raise AssertionError(f"the process did not begin: {child.communicate()[1].decode()}")
        trace = folder.with_name(f"{folder.name}.trace")
        tracer = _attach(child.pid, trace, fault)
        here.send(b"!")
        said = tuple(line.rstrip("\n") for line in lines)
        _, errors = child.communicate(timeout=TIMEOUT_S)
        tracer.communicate(timeout=TIMEOUT_S)
        lines.close()
    return Struck(code=child.returncode, said=said, errors=errors.decode(), trace=trace.read_text())


def list_faults(struck: Struck, folder: Path, *, is_whole: bool) -> Iterator[Fault]:
    """Yield a fault for every call on a file in the folder that a run without one made; or for a few of them.

    Args:
        struck: the run.
        folder: what its files are below.
        is_whole: every call, else the first and the last of each name.
    """
    found: dict[str, set[int]] = {name: set() for name in SYSCALLS}
    seen: Counter[tuple[str, str]] = Counter()
    for line in struck.trace.splitlines():
        call = _CALL.match(line)
        if call is None or _RESUMED in line:
            continue
        seen[call["thread"], call["name"]] += 1
        if str(folder) in call["rest"]:
            found[call["name"]].add(seen[call["thread"], call["name"]])
    for name, ordinals in found.items():
        ordered = sorted(ordinals)
        chosen = ordered if is_whole else sorted({*ordered[:1], *ordered[-1:]})
        yield from (Fault(name, ordinal, action) for ordinal in chosen for action in ACTIONS)


def _attach(pid: int, trace: Path, fault: Fault | None) -> subprocess.Popen[bytes]:
    """A tracer of all threads of the process, once it is attached."""
    names = ",".join(f"?{name}" for name in SYSCALLS)
    options = ["-f", "-y", "-e", f"trace={names}", "-o", str(trace), "-p", str(pid)]
    injected = [] if fault is None else ["-e", fault.option]
    tracer = subprocess.Popen([shutil.which("strace") or "", *options, *injected], stderr=subprocess.PIPE)
    assert tracer.stderr
    said = tracer.stderr.readline()
    if b"attached" not in said:
        raise AssertionError(f"strace did not attach: {said.decode()}")
    return tracer
