"""One process at a time in a data directory, held by the operating system and gone with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from vetonet.errors import StorageError
from vetonet.storage.journal import LockedJournalError

LOCK_NAME: Final = "journal.lock"


class DirectoryLock:
    """An exclusive ``flock`` on a file in the directory; killing the holder frees it."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        """Own a descriptor that is already locked."""
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> Self:
        """The directory belongs to the caller until ``release``.

        Raises:
            LockedJournalError: another opener has it, in this process or another.
            StorageError: there is no such directory, or no file can be made in it.
        """
        try:
            if not directory.is_dir():
                raise StorageError(f"{directory}: expected a data directory, found none; create it first")
            descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            what = f"{directory}: expected a writable data directory, but {LOCK_NAME} cannot be opened in it"
            raise StorageError(f"{what}: {error.strerror}") from error
        _lock(descriptor, directory)
        return cls(descriptor)

    def release(self) -> None:
        """The directory is free for the next opener; a second call changes nothing.

        Raises:
            StorageError: the system reports an error; the lock is gone all the same.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            os.close(descriptor)
        except OSError as error:
            raise StorageError(f"{LOCK_NAME}: expected the lock to close, but: {error.strerror}") from error


def _lock(descriptor: int, directory: Path) -> None:
    """Lock the open file or close it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        what = f"{directory}: expected a data directory that is not in use, but another process has it open"
        raise LockedJournalError(f"{what}; stop that one or choose another directory") from error
    except OSError as error:
        os.close(descriptor)
        raise StorageError(f"{directory}: {LOCK_NAME} cannot be locked: {error.strerror}") from error
