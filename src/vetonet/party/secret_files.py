"""Files that only their owner may open: read or refused, written once or replaced whole."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm

from vetonet.errors import ConfigError, EncodingError

MAX_SECRET_BYTES: Final = 4096

_PUBLIC_KEY: Final = b"-----BEGIN PUBLIC KEY-----"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Foreign errors name the file and the kind of mistake, never what the file holds.

    Raises:
        ConfigError: in the place of every error that a file or a parser can give.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path}: {error.strerror or 'cannot be used'}"
        raise ConfigError(msg) from error
    except (ValueError, TypeError, EncodingError, UnsupportedAlgorithm):
        # Not chained: a parser's message may quote what it read.
        msg = f"{path}: not a secret that vetonet wrote"
        raise ConfigError(msg) from None


def write_secret(path: Path, data: bytes) -> None:
    """The file exists with these bytes, durably, and nobody else could ever open it.

    Raises:
        ConfigError: it is there already, or cannot be written.
    """
    with translated(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def read_secret(path: Path, *, max_bytes: int = MAX_SECRET_BYTES) -> bytes:
    """Return the bytes of a file that nobody but its owner may open; links are not followed.

    Raises:
        OSError: it cannot be opened; see ``translated``.
        ConfigError: it is no regular file, too large, a public key, or others may open it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            msg = f"{path}: expected a file of at most {max_bytes} bytes"
            raise ConfigError(msg)
        data = file.read(max_bytes)
        if data.startswith(_PUBLIC_KEY):
            raise ConfigError(f"{path}: expected a private key, got a public one")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            msg = (
                f"{path}: others than its owner may open this secret (mode {mode:04o}); run: chmod 600 {path}"
            )
            raise ConfigError(msg)
        return data


def read_settled(path: Path, *, max_bytes: int) -> bytes:
    """Return the bytes of a file that is no secret, but that nobody else may have written.

    Raises:
        OSError: it cannot be opened; see ``translated``.
        ConfigError: it is no regular file, too large, or anybody may write it.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            raise ConfigError(f"{path}: expected a file of at most {max_bytes} bytes")
        if status.st_mode & stat.S_IWOTH:
            raise ConfigError(f"{path}: anybody may write this file; run: chmod o-w {path}")
        return file.read(max_bytes)


@contextmanager
def locked_folder(path: Path) -> Iterator[int]:
    """Within, no other caller of this function writes beside ``path``; yields the folder's descriptor.

    Raises:
        ConfigError: there is no such folder, or another writer is at it.
    """
    with translated(path):
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with translated(path):
            _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)  # and with it goes the lock


def replace_secret(path: Path, data: bytes, folder: int) -> None:
    """The file holds these bytes, durably, or is as it was: a crash leaves no mixture.

    Args:
        path: the file; it need not be there.
        data: its new content.
        folder: the descriptor of its folder, locked by ``locked_folder``.

    Raises:
        ConfigError: it cannot be written. If only the folder cannot be made durable, nobody knows which of
            the two the file will hold after a power cut.
    """
    temporary = path.with_name(f".{path.name}.new")
    with translated(path):
        temporary.unlink(missing_ok=True)  # of a writer that crashed: the lock says that none is at work
        try:
            write_secret(temporary, data)
            temporary.replace(path)
        except (OSError, ConfigError):
            with suppress(OSError):
                temporary.unlink()
            raise
        os.fsync(folder)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        msg = f"{path}: another writer is at it; try again when that one is done"
        raise ConfigError(msg) from error
