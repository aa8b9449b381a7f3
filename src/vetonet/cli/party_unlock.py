"""What opens a party's key store: a file with a passphrase, a key file, or whoever sits at the terminal."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vetonet.cli.exits import Failure

if TYPE_CHECKING:
    from vetonet.party.keystore import Unlock

Command = TypeVar("Command", bound=Callable[..., Any])

NEWLINE: Final = b"\n"


def unlock_options(command: Command) -> Command:
    """Return the command with the two ways of opening a key store."""
    passphrase = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        help="A file with the passphrase of the key store.  [default: ask for it]",
    )
    key = click.option(
        "--key-file", type=click.Path(path_type=Path), help="The key file that opens the key store instead."
    )
    return passphrase(key(command))


def read_unlock(passphrase_file: Path | None, key_file: Path | None, *, is_new: bool = False) -> Unlock:
    """Return what opens a key store; a key file that is not there is made where the store is new.

    Raises:
        Failure: both ways or none, or a passphrase that cannot be one.
        ConfigError: a file is missing, open to others, or not what it should be.
    """
    from vetonet.party.keystore import KeyFile
    from vetonet.party.secret_files import read_secret, translated

    if passphrase_file is not None and key_file is not None:
        raise Failure("--passphrase-file and --key-file both open the key store; give one of them")
    if key_file is not None:
        if is_new and not key_file.exists():
            return KeyFile.create(key_file, secrets.token_bytes)
        return KeyFile.read(key_file)
    if passphrase_file is None:
        return _to_passphrase(_ask(is_new=is_new), "the passphrase")
    with translated(passphrase_file):
        data = read_secret(passphrase_file)
    return _to_passphrase(data.removesuffix(NEWLINE), str(passphrase_file))


def _ask(*, is_new: bool) -> bytes:
    if not sys.stdin.isatty():
        raise Failure("nobody is there to type the passphrase; give --passphrase-file or --key-file")
    typed: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    return typed.encode()


def _to_passphrase(data: bytes, source: str) -> Unlock:
    from vetonet.party.keystore import Passphrase

    try:
        return Passphrase(data)
    except ValueError:
        from vetonet.party.keystore_format import MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_BYTES

        expected = f"{MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES} bytes"
        raise Failure(f"{source}: expected a passphrase of {expected}") from None
