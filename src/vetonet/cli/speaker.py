"""Who says a party's word on the command line: this command itself, or the party's running daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from vetonet.cli.exits import Failure
from vetonet.cli.party_home import unlock_options

Command = TypeVar("Command", bound=Callable[..., Any])

DIRECT: Final = {
    "server": "--server",
    "peers": "--peer",
    "listen": "--listen",
    "insecure_loopback": "--insecure-loopback",
}
"""What means something only where this command speaks for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeChoice:
    """That the daemon of a home is to speak, and what opens the home."""

    home: Path
    passphrase_file: Path | None
    key_file: Path | None


def speaker_options(command: Command) -> Command:
    """Return the command with --dir and --party, and with --home as their alternative."""
    directory = click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path),
        help="The treaty directory, as `vetonet treaty new` writes it; with --party.",
    )
    party = click.option("--party", "party_id", help="Who speaks, as the treaty names it.")
    home = click.option(
        "--home",
        type=click.Path(path_type=Path),
        help="Instead of these: the home of a party, whose running daemon is to speak.",
    )
    return directory(party(home(unlock_options(command))))


def find_home(options: dict[str, Any]) -> HomeChoice | None:
    """Return the home that is to speak, or None; ``options`` keep what the other way needs.

    Raises:
        Failure: both ways or none.
    """
    home = options.pop("home")
    unlock = {name: options.pop(name) for name in ("passphrase_file", "key_file")}
    named = options["directory"], options["party_id"]
    if home is None and None not in named and not any(unlock.values()):
        return None
    if home is None or named != (None, None):
        raise Failure("expected --dir with --party, or --home with what opens it")
    context = click.get_current_context()
    given = [
        option
        for name, option in DIRECT.items()
        if name in options and context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise Failure(f"{', '.join(given)} goes with --dir alone; the daemon of --home has its own")
    return HomeChoice(home=home, **unlock)
