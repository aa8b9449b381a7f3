"""Where the commands read a log from, and whose keys make it count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.errors import ConfigError, EncodingError, RefusedError, StorageError, VerificationError

if TYPE_CHECKING:
    from vetonet.party.monitoring import LogSource
    from vetonet.storage import TileStore
    from vetonet.tlog.note import LogKey
    from vetonet.tlog.policy import LogPolicy
    from vetonet.tlog.policy_file import PolicyFile

DEFAULT_ADDRESS: Final = "127.0.0.1:7447"
"""Where a log of any leaves takes them, unless said otherwise."""

MAX_LEAF_BYTES: Final = 2**16 - 1
TILES_FOLDER: Final = "tiles"
CHECKPOINT: Final = "checkpoint"

vkey_option: Final = click.option(
    "--vkey", help="The log's verifier key: its signature alone counts. Get it from somebody you trust."
)
policy_option: Final = click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    help="Which logs and witnesses count, and how many of them (C2SP tlog-policy).",
)
treaty_option: Final = click.option(
    "--treaty",
    "treaty_path",
    type=click.Path(path_type=Path),
    help="The treaty whose log it is. Get it from somebody you trust.",
)


def open_log_source(text: str, stack: ExitStack) -> LogSource:
    """Return the log behind a URL, or the one in a folder.

    Raises:
        Failure, ConfigError: no such folder, or no plain URL.
    """
    from vetonet.party.http_log import HttpLog
    from vetonet.party.monitoring import StoredLog

    if "://" in text:
        return stack.enter_context(HttpLog(text))
    if not Path(text).is_dir():
        raise Failure(f"{text}: expected the URL of a log, or a folder with one")
    return StoredLog(open_tiles(Path(text)))


@contextmanager
def translated_log(log: str) -> Iterator[None]:
    """Within, what the log shows is at fault for every error.

    Raises:
        Failure: with 1, no such leaf, or not what was signed; with 4, nothing that can be read.
    """
    try:
        yield
    except (EncodingError, StorageError) as error:
        raise Failure(f"{log}: {error}", code=Exit.INVALID, reason=error.reason) from error
    except (RefusedError, VerificationError) as error:
        raise Failure(f"{log}: {error}", code=Exit.NEGATIVE, reason=error.reason) from error


def read_leaves(log: str, policy: LogPolicy) -> Iterator[bytes]:
    """Yield every leaf of the log at a URL or in a folder, measured against its newest checkpoint.

    Raises:
        Failure: with 1, not what these keys signed; with 2, no log; with 4, nothing that can be read.
    """
    from vetonet.tlog.policy import verify_cosigned
    from vetonet.tlog.tile_reader import TileReader

    with ExitStack() as stack, translated_log(log):
        source = open_log_source(log, stack)
        cosigned = verify_cosigned(source.read_checkpoint(), policy, allow_other_lines=True)
        size = cosigned.checkpoint.tree_size
        yield from TileReader(source.fetch).entries(0, size, size, root_hash=cosigned.checkpoint.root_hash)


def open_tiles(folder: Path) -> TileStore:
    """Return the tiles in a folder, or in the folder for them that a log keeps beside its journal."""
    from vetonet.storage import FileTileStore

    inner = folder / TILES_FOLDER
    is_nested = inner.is_dir() and not (folder / CHECKPOINT).exists()
    return FileTileStore(inner if is_nested else folder)


def choose_policy(
    *, vkey: str | None = None, policy_path: Path | None = None, treaty_path: Path | None = None
) -> LogPolicy:
    """Return what makes a checkpoint count, from the one option that says it.

    Raises:
        Failure: none of them, several, or one that is not usable.
    """
    from vetonet.cli.directory import read_treaty_file
    from vetonet.tlog.policy import LogPolicy

    if sum(option is not None for option in (vkey, policy_path, treaty_path)) != 1:
        raise Failure("expected one of --vkey, --policy and --treaty, which say whose keys count")
    if vkey is not None:
        return LogPolicy.unwitnessed(parse_vkey(vkey))
    if policy_path is not None:
        return read_policy_file(policy_path).policy
    return LogPolicy.under(read_treaty_file(treaty_path or Path()).statement)


def read_policy_file(path: Path) -> PolicyFile:
    """Return what a policy file says.

    Raises:
        Failure: unreadable, or not a policy.
    """
    from vetonet.tlog.policy_file import MAX_POLICY_BYTES, read_policy

    data = read_input(path, "a policy", maximum=MAX_POLICY_BYTES)
    try:
        return read_policy(data)
    except ConfigError as error:
        raise Failure(f"{path}: {error}", code=Exit.INVALID, reason=error.reason) from error


def parse_vkey(text: str) -> LogKey:
    """Return the key that a verifier key spells.

    Raises:
        Failure: it spells none.
    """
    from vetonet.tlog.note import LogKey

    try:
        return LogKey.from_vkey(text)
    except EncodingError as error:
        raise Failure(f"--vkey: {error}") from error
