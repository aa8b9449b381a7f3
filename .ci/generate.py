"""Writes src/vetonet/v1 from proto/; with --verify, says whether what is committed is what proto/ gives."""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto"
COMMITTED = ROOT / "src" / "vetonet" / "v1"
DOCSTRING = '"""Generated from proto/ by `make generate`; never edited by hand."""\n'
GENERATOR_SERIES = "1.74"


class GenerationError(Exception):
    """The generated code could not be made."""


def find_generator_version() -> str | None:
    """Return the version of grpcio-tools, or None where it has no wheel (Python 3.14)."""
    try:
        return metadata.version("grpcio-tools")
    except metadata.PackageNotFoundError:
        return None


def generate(destination: Path) -> None:
    """Leave the package vetonet.v1 in destination/vetonet/v1.

    Raises:
        GenerationError: when protoc refuses a file.
    """
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    if not sources:
        msg = "there is no .proto file below proto/"
        raise GenerationError(msg)
    scripts = Path(sys.executable).parent
    command = [
        sys.executable,
        *("-m", "grpc_tools.protoc"),
        *("-I", str(PROTO)),
        *(f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")),
        *(f"--{kind}_out={destination}" for kind in ("python", "grpc_python")),
        *(f"--{kind}_out=readable_stubs:{destination}" for kind in ("mypy", "mypy_grpc")),
        *sources,
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise GenerationError(finished.stderr.strip())
    package = destination / "vetonet" / "v1"
    (package / "__init__.py").write_text(DOCSTRING, encoding="utf-8")


def list_differences(generated: Path, committed: Path) -> Iterator[str]:
    """Yield a line for each file that is missing, superfluous or different."""
    wanted = {path.name for path in generated.iterdir()}
    present = {path.name for path in committed.iterdir() if path.suffix in {".py", ".pyi"}}
    for name in sorted(wanted | present):
        if name not in present:
            yield f"{name}: missing"
        elif name not in wanted:
            yield f"{name}: not generated from any .proto file"
        elif not filecmp.cmp(generated / name, committed / name, shallow=False):
            yield f"{name}: differs from what proto/ gives"


def verify(generated: Path) -> int:
    """Return 0 when the committed package is what proto/ gives, 1 after saying what is not."""
    if not COMMITTED.is_dir():
        print("src/vetonet/v1: missing; run `make generate` and commit the result")
        return 1
    problems = list(list_differences(generated, COMMITTED))
    for problem in problems:
        print(problem)
    if problems:
        print("run `make generate` and commit the result")
    return 1 if problems else 0


def install(generated: Path) -> int:
    """Put the generated package in place of the committed one."""
    shutil.rmtree(COMMITTED, ignore_errors=True)
    shutil.copytree(generated, COMMITTED)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 done, 1 stale, 2 cannot generate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verify", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    version = find_generator_version()
    if version is None and options.verify:
        print(f"not judged: grpcio-tools {GENERATOR_SERIES} has no wheel for this Python")
        return 0
    if version is None or not version.startswith(f"{GENERATOR_SERIES}."):
        print(
            f"needs grpcio-tools {GENERATOR_SERIES}, found {version}; use Python 3.11 to 3.13",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as directory:
        try:
            generate(Path(directory))
        except GenerationError as error:
            print(error, file=sys.stderr)
            return 2
        generated = Path(directory) / "vetonet" / "v1"
        return verify(generated) if options.verify else install(generated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
