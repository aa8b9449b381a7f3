"""A party's home on the command line: what opens it, who it makes of the caller, where its daemon is."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vetonet.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.party.home import Home
    from vetonet.party.keystore import Unlock
    from vetonet.party.order_client import OrderClient
    from vetonet.wire.status import RpcError

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


def enter(root: Path, passphrase_file: Path | None, key_file: Path | None) -> Home:
    """Return the home in a folder, opened.

    Raises:
        Failure, ConfigError: it is none, or does not open.
    """
    from vetonet.party.home import open_home, read_home_treaty

    read_home_treaty(root)  # before anybody is asked for a passphrase
    return open_home(root, read_unlock(passphrase_file, key_file), secrets.token_bytes)


def to_member(home: Home) -> Member:
    """Return the party as a participant that calls others."""
    from vetonet.cli.directory import Member

    return Member(
        treaty=home.treaty,
        name=home.settings.party_id,
        key=home.secrets.statement_key,
        credential=home.credential,
        secrets=home.secrets,
    )


@asynccontextmanager
async def reach_daemon(
    home: Home, *, party_id: str | None = None, address: str | None = None
) -> AsyncGenerator[OrderClient]:
    """Within, a party's running daemon can be asked; by default the home's own.

    Args:
        home: who asks.
        party_id: whose daemon.
        address: where it is, if not where the home says.

    Raises:
        Failure: nobody answers there.
    """
    from vetonet.party.home import read_daemon_address
    from vetonet.party.order_client import ORDER_POLICY, OrderClient
    from vetonet.wire.status import RpcError

    settings, name = home.settings, party_id or home.settings.party_id
    known = (
        read_daemon_address(home.root, settings) if name == settings.party_id else settings.peers.get(name)
    )
    place = address or known
    if place is None:
        raise Failure(f"the home names no address of {name}; give --address, or write it into party.toml")
    client = OrderClient.connect(
        place, party_id=name, credential=home.credential, rng=secrets.token_bytes, policy=ORDER_POLICY
    )
    try:
        yield client
    except RpcError as error:
        own_root = home.root if name == settings.party_id else None
        raise explain_silence(error, name, place, own_root) from error
    finally:
        await client.close()


def explain_silence(error: RpcError, name: str, place: str, own_root: Path | None) -> Failure:
    """Return why a daemon gave no answer, and what to do; ``own_root`` is the home that it should run on.

    Args:
        error: how the call ended.
        name: whose daemon.
        place: where it was asked.
        own_root: the caller's home where the daemon is its own, None where only its party can start it.
    """
    from grpc import StatusCode

    if error.code is StatusCode.DEADLINE_EXCEEDED:
        said = f"the daemon of {name} at {place} did not answer in time"
        hint = "what it signed it sends by itself; see `vetonet party status`"
    else:
        said = f"no daemon of {name} answers at {place}"
        hint = (
            f"start it with `vetonet party run {own_root}`"
            if own_root is not None
            else f"{name} has to start it, or give its --address"
        )
    return Failure(f"{said}; {hint}", code=Exit.INCONCLUSIVE, reason="rpc")
