"""The private specification of a run as files: what an operator writes, and what it has to keep."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input, read_text_input, write_secret
from vetonet.cli.parameters import show
from vetonet.errors import VetonetError

if TYPE_CHECKING:
    from vetonet.policy.specification import Specification

MAX_FILE_BYTES: Final = 2**20
ID_CHARS: Final = 16


def draw_up_specification(path: Path | None, parents: Sequence[bytes]) -> Specification:
    """Return the specification that a file of TOML says, salted anew; without a file it has no content.

    The field ``lineage`` is what the proposal declares, unless the file says more.

    Raises:
        Failure: unreadable, or not fields of text.
    """
    from vetonet.policy.specification import FieldName, Specification

    values = {} if path is None else _read_fields(path)
    values.setdefault(FieldName.LINEAGE.value, "\n".join(parent.hex() for parent in parents).encode())
    try:
        specification = Specification.generate(values, secrets.token_bytes)
        specification.to_bytes()
    except (ValueError, VetonetError) as error:
        raise _refuse(path or Path("--specification"), str(error)) from error
    return specification


def write_specification(specification: Specification, folder: Path, digest: bytes) -> Path:
    """Return the file in which an operator now keeps the specification of a proposal, for itself alone.

    Raises:
        Failure: it cannot be written.
    """
    path = find_specification(folder, digest)
    write_secret(path, specification.to_bytes())
    return path


def find_specification(folder: Path, digest: bytes) -> Path:
    """Return where an operator keeps the specification of a proposal."""
    return folder / f"specification-{digest.hex()[:ID_CHARS]}.cbor"


def load_specification(path: Path) -> Specification:
    """Return the specification that an operator kept.

    Raises:
        Failure: unreadable, or no such file.
    """
    from vetonet.policy.specification import Specification

    try:
        return Specification.from_bytes(read_input(path, "a private specification", maximum=MAX_FILE_BYTES))
    except VetonetError:
        # Not chained: a parser's message may quote what it read.
        message = f"{path}: expected a specification as `vetonet propose` keeps it"
        raise Failure(message, code=Exit.INVALID, reason="input") from None


def _read_fields(path: Path) -> dict[str, bytes]:
    try:
        table = tomllib.loads(read_text_input(path, "a specification", maximum=MAX_FILE_BYTES))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refuse(path, f"not TOML: {error}") from error
    if not table:
        raise _refuse(path, "got a file with no field in it")
    return {name: _spell(path, name, value) for name, value in table.items()}


def _spell(path: Path, name: str, value: object) -> bytes:
    """Return a field's content: text, or one text in each line."""
    lines = value if isinstance(value, list) else [value]
    texts = [line for line in lines if isinstance(line, str)]
    if len(texts) < len(lines):
        raise _refuse(path, f"field {show(name)} is neither text nor a list of texts")
    return "\n".join(texts).encode()


def _refuse(path: Path, why: str) -> Failure:
    expected = 'expected private fields as text: data = "..."'
    return Failure(f"{path}: {expected}; {why}", code=Exit.INVALID, reason="input")
