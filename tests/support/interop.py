"""Other people's implementations, as far as they are installed: ``.ci/install-interop`` puts them there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VETONET_INTEROP", ROOT / ".interop")) / "bin"
MODULE = Path(os.environ.get("VETONET_XMOD", "/usr/share/gocode/src/golang.org/x/mod"))
"""Where Debian's golang-golang-x-mod-dev puts golang.org/x/mod."""

SOURCE = ROOT / "tests" / "interop" / "notelog"


def find(name: str) -> Path | None:
    """One of their programs, or None where it is not installed."""
    path = BIN / name
    return path if path.is_file() else None


def why_no_go() -> str | None:
    """Why no Go program can be built, or None where one can."""
    if find("go") is None:
        return "no Go toolchain in .interop; run .ci/install-interop"
    if not (MODULE / "sumdb" / "tlog").is_dir():
        return "golang.org/x/mod is not installed (Debian: golang-golang-x-mod-dev)"
    return None


def build_notelog(folder: Path) -> Path:
    """The program in ``tests/interop/notelog``, built in a folder."""
    source, program = folder / "source", folder / "notelog"
    shutil.copytree(SOURCE, source)
    settings = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    places = {"GOCACHE": str(BIN.parent / "go-cache"), "GOPATH": str(folder / "path"), "HOME": str(folder)}
    environment = {**os.environ, **settings, **places}
    for arguments in (
        ("mod", "edit", "-replace", f"golang.org/x/mod={MODULE}"),
        ("build", "-o", str(program), "."),
    ):
        built = subprocess.run(
            [str(find("go")), *arguments], cwd=source, env=environment, capture_output=True, check=False
        )
        assert built.returncode == 0, built.stderr.decode()
    return program
