"""A party's secrets in one file, encrypted at rest: statement key, witness key, key shares, decryption keys.

What it is good for: whoever gets the file, a copy of it or the disk has nothing without the passphrase or
the key file. What it is not: it cannot tell that an older copy of itself was put back, and a process that
holds an open store holds the secrets in its memory.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from vetonet.errors import ConfigError, EncodingError
from vetonet.party.keystore_format import (
    DEFAULT_COST,
    MAX_SECRETS,
    MAX_STORE_BYTES,
    MAX_STORED_SECRET_BYTES,
    Contents,
    KeyFile,
    Passphrase,
    ScryptCost,
    Seal,
    Unlock,
    open_store,
)
from vetonet.party.secret_files import locked_folder, read_secret, replace_secret, translated
from vetonet.units import Rng

__all__ = ["KEY_STORE_FILE", "KeyFile", "KeyStore", "Passphrase", "ScryptCost", "Unlock"]

KEY_STORE_FILE: Final = "keystore"


class KeyStore:
    """An open store: what it holds is what the file holds; not to be used by two threads at once."""

    __slots__ = ("_contents", "_digest", "_path", "_rng", "_seal")

    def __init__(self, path: Path, *, seal: Seal, contents: Contents, digest: bytes, rng: Rng) -> None:
        """Stand for a file that was just read or written; use ``create`` or ``open`` instead."""
        self._path, self._rng = path, rng
        self._seal, self._contents, self._digest = seal, contents, digest

    @classmethod
    def create(cls, path: Path, unlock: Unlock, rng: Rng, *, cost: ScryptCost = DEFAULT_COST) -> Self:
        """Return a new store that holds nothing, already on the disk.

        Args:
            path: where; its folder is made for the owner alone if it is not there.
            unlock: what will open it.
            rng: where salt and nonces come from, now and with every later write.
            cost: what guessing a passphrase costs; a key file needs none.

        Raises:
            ConfigError: something is there already, or the file cannot be written.
        """
        contents = Contents(secrets=())
        with _named(path):
            seal = Seal.generate(unlock, cost, rng)
            data = seal.close(contents, rng)
        with translated(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked_folder(path) as folder:
            with translated(path):
                is_taken = path.is_symlink() or path.exists()
            if is_taken:
                raise ConfigError(f"{path}: something is there already, and a key store is never overwritten")
            replace_secret(path, data, folder)
        return cls(path, seal=seal, contents=contents, digest=_digest(data), rng=rng)

    @classmethod
    def open(cls, path: Path, unlock: Unlock, rng: Rng = secrets.token_bytes) -> Self:
        """Return the store that the file holds.

        Raises:
            ConfigError: no such file, no store, open to others than its owner, or it does not open.
        """
        data = _read(path)
        with _named(path):
            seal, contents = open_store(data, unlock)
        return cls(path, seal=seal, contents=contents, digest=_digest(data), rng=rng)

    @property
    def names(self) -> tuple[str, ...]:
        """What the store holds secrets of, sorted."""
        return tuple(held.name for held in self._contents.secrets)

    def get(self, name: str) -> bytes:
        """Return the secret of that name.

        Raises:
            ConfigError: there is none.
        """
        secret = self._contents.find(name)
        if secret is None:
            raise ConfigError(f"{self._path}: holds no secret of the name {name!r}")
        return secret

    def put(self, name: str, secret: bytes, *, replace: bool = False) -> None:
        """The secret is on the disk under that name, whatever happens next.

        Args:
            name: 1 to 128 printable characters.
            secret: 1 to 16384 bytes.
            replace: whether it may take the place of another.

        Raises:
            ConfigError: the name is taken, name or secret are not such as can be kept, there is no room for
                more, or the file cannot be written; then the store is as it was.
        """
        if not replace and self._contents.find(name) is not None:
            raise ConfigError(f"{self._path}: holds a secret of the name {name!r} already")
        self._keep(self._seal, self._contents.put(name, secret))

    def erase(self, name: str) -> None:
        """The file holds no secret of that name any more, nor does this object.

        That is all that can be promised. The file is written anew and the old one's blocks are free, but not
        overwritten: an SSD writes elsewhere and clears old cells when it likes; a file system that copies on
        write (btrfs, ZFS, APFS), a snapshot, a journal, a backup or swap space may keep the old content for
        as long as they like; and the bytes stay in this process's memory until they are reused. What is left
        so is still encrypted under the old key: it takes the passphrase or key file to read it. Whoever must
        be sure that an old share is gone changes to a key file that lies on another medium, and destroys the
        key file of before (``change_unlock``), or destroys the medium.

        Raises:
            ConfigError: there is none, or the file cannot be written; then the store is as it was.
        """
        self.get(name)
        self._keep(self._seal, self._contents.erase(name))

    def change_unlock(self, new: Unlock, *, cost: ScryptCost = DEFAULT_COST) -> None:
        """The file opens with ``new`` and with nothing else; copies made before still open with the old.

        Raises:
            ConfigError: the file cannot be written; then it opens as it did.
        """
        with _named(self._path):
            seal = Seal.generate(new, cost, self._rng)
        self._keep(seal, self._contents)

    def __repr__(self) -> str:
        """Show where it is and how much it holds."""
        return f"KeyStore({str(self._path)!r}, {len(self._contents.secrets)} secrets)"

    def _keep(self, seal: Seal, contents: Contents) -> None:
        """The file holds these contents under this seal, and so does this object."""
        data = self._close(seal, contents)
        with locked_folder(self._path) as folder:
            if _digest(_read(self._path)) != self._digest:
                raise ConfigError(
                    f"{self._path}: somebody else changed it since it was opened; open it again"
                )
            replace_secret(self._path, data, folder)
        self._seal, self._contents, self._digest = seal, contents, _digest(data)

    def _close(self, seal: Seal, contents: Contents) -> bytes:
        try:
            return seal.close(contents, self._rng)
        except EncodingError:
            # Not chained: the message may quote a secret that was handed over as something else than bytes.
            msg = (
                f"{self._path}: expected a name of 1 to 128 printable characters, a secret of 1 to "
                f"{MAX_STORED_SECRET_BYTES} bytes, and at most {MAX_SECRETS} in {MAX_STORE_BYTES} bytes"
            )
            raise ConfigError(msg) from None


def _read(path: Path) -> bytes:
    with translated(path):
        return read_secret(path, max_bytes=MAX_STORE_BYTES)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What went wrong with a store says with which."""
    try:
        yield
    except EncodingError:
        raise ConfigError(f"{path}: not a key store that vetonet wrote and can open") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _digest(data: bytes) -> bytes:
    """Return what tells one state of the file from another; every write has a fresh nonce."""
    return hashlib.sha256(data).digest()
