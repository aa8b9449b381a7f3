"""Files as commands take and leave them: capped when read, never half written, secrets for owners only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from vetonet.cli.exits import Exit, Failure

MAX_INPUT_BYTES: Final = 64 * 2**20
CHUNK_BYTES: Final = 2**20
PRIVATE_MODE: Final = 0o600
PRIVATE_FOLDER_MODE: Final = 0o700


def read_input(path: Path, what: str, *, maximum: int = MAX_INPUT_BYTES, code: Exit = Exit.INVALID) -> bytes:
    """Return the content of a file that a user named.

    Args:
        path: the file.
        what: what it should be, for the message: ``a bundle``.
        maximum: the size above which nothing is read.
        code: how the command ends if this fails.

    Raises:
        Failure: missing, a folder, no regular file, unreadable or too large.
    """
    with _opened(path, what, maximum, code) as file:
        return file.read(maximum)


def iter_input(
    path: Path, what: str, *, maximum: int = MAX_INPUT_BYTES, code: Exit = Exit.INVALID
) -> Iterator[bytes]:
    """Yield the content of a file that a user named, in chunks, so that it is never in memory.

    Raises:
        Failure: as ``read_input``, when the first chunk is taken, or unreadable later on.
    """
    with _opened(path, what, maximum, code) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _opened(path: Path, what: str, maximum: int, code: Exit) -> Iterator[IO[bytes]]:
    """Within, a regular file that is small enough can be read.

    Raises:
        Failure: as ``read_input``.
    """
    try:
        # A pipe without a writer would make open() wait for ever; for a regular file the flag means nothing.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            _require_regular(status, path, what, code)
            if status.st_size > maximum:
                raise _refuse(path, what, f"of at most {maximum} bytes, got {status.st_size}", code)
            yield file
    except IsADirectoryError as error:
        raise _refuse(path, what, "in a file, got a folder", code) from error
    except FileNotFoundError as error:
        raise _refuse(path, what, "in a file, but there is none", code) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _refuse(path, what, f"in a readable file, got: {why}", code) from error


def read_text_input(
    path: Path, what: str, *, maximum: int = MAX_INPUT_BYTES, code: Exit = Exit.INVALID
) -> str:
    """Return the content of a text file that a user named.

    Raises:
        Failure: as ``read_input``, or not UTF-8.
    """
    try:
        return read_input(path, what, maximum=maximum, code=code).decode()
    except UnicodeDecodeError as error:
        raise _refuse(
            path, what, f"in UTF-8 text, got byte 0x{error.object[error.start]:02x}", code
        ) from error


def write_output(path: Path, data: bytes) -> None:
    """The file holds these bytes, or is as it was.

    Raises:
        Failure: it cannot be written.
    """
    _write(path, (data,), mode=0o644)


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """The file holds these bytes one after another, or is as it was; they are never in memory together.

    Raises:
        Failure: it cannot be written; whatever else the chunks raise.
    """
    _write(path, chunks, mode=0o644)


def write_secret(path: Path, data: bytes) -> None:
    """The file holds these bytes and nobody but its owner can ever have read it.

    Raises:
        Failure: it cannot be written.
    """
    _write(path, (data,), mode=PRIVATE_MODE)


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """The folder is there.

    Raises:
        Failure: it cannot be made.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{path}: the folder cannot be made: {error.strerror}; give another place") from error


def require_empty(path: Path) -> None:
    """The folder is new or empty, so that nothing of anybody's is overwritten.

    Raises:
        Failure: it holds something, or is no folder.
    """
    try:
        is_used = path.exists() and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:
        raise Failure(f"{path}: cannot be looked at: {error.strerror}; give another place") from error
    if is_used:
        raise Failure(
            f"{path}: expected a new or empty folder, got one in use; give another, or move this away"
        )


def _require_regular(status: os.stat_result, path: Path, what: str, code: Exit) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _refuse(path, what, "in a file, got a folder", code)
    if not stat.S_ISREG(status.st_mode):
        raise _refuse(path, what, "in a regular file, got a device or a pipe; save it to a file first", code)


def _refuse(path: Path, what: str, expected: str, code: Exit) -> Failure:
    return Failure(f"{path}: expected {what} {expected}", code=code, reason="input")


def _write(path: Path, chunks: Iterable[bytes], *, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except IsADirectoryError as error:
        raise Failure(f"{path}: expected a file to write to, got a folder; give a name in it") from error
    except OSError as error:
        raise Failure(
            f"{path}: cannot be written: {error.strerror}; free some space, or give another place"
        ) from error
