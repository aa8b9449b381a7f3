"""``vetonet party init``: take one party out of a trial's directory into a home of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command, warn
from vetonet.cli.parameters import ADDRESS, NAME
from vetonet.cli.party_home import read_unlock, unlock_options
from vetonet.cli.session import DEFAULT_ADDRESS as COORDINATOR_ADDRESS

if TYPE_CHECKING:
    from vetonet.party.home_settings import HomeSettings
    from vetonet.party.keystore import Unlock
    from vetonet.storage import Journal

DEFAULT_LISTEN: Final = "127.0.0.1:7450"


@click.command(
    epilog=examples(
        "vetonet party init p1 --from trial --party P1 --key-file p1.key",
        "vetonet party init p1 --from trial --party P1 --passphrase-file passphrase",
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "directory",
    required=True,
    type=click.Path(path_type=Path),
    help="The treaty directory, as `vetonet treaty new` writes it.",
)
@click.option("--party", "party_id", required=True, type=NAME, help="Which party, as the treaty names it.")
@unlock_options
@click.option(
    "--coordinator",
    type=ADDRESS,
    default=COORDINATOR_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the coordinator is.",
)
@click.option(
    "--listen",
    type=ADDRESS,
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the daemon is to take calls.",
)
@json_option
def init(
    *,
    home: Path,
    directory: Path,
    party_id: str,
    passphrase_file: Path | None,
    key_file: Path | None,
    coordinator: str,
    listen: str,
    as_json: bool,
) -> None:
    """Make HOME, a new or empty folder, the home of one party: secrets encrypted, rules to be written.

    What the party remembers in the treaty directory comes along. From then on use HOME alone: two memories of
    one party know nothing of each other. A key file that does not exist is made; keep it on another medium.
    """
    from vetonet.cli.directory import load_party
    from vetonet.party.home_settings import HomeSettings

    member = load_party(directory, party_id)
    settings = HomeSettings(
        party_id=party_id,
        trust_domain=member.credential.identity.trust_domain,
        coordinator=coordinator,
        listen=listen,
    )
    unlock = read_unlock(passphrase_file, key_file, is_new=True)
    remembered = settle(home, directory, settings, unlock)
    if key_file is not None and key_file.resolve().is_relative_to(home.resolve()):
        warn("the key file lies in the home that it opens; keep it on another medium")
    if (directory / "coordinator" / "data" / "witnesses" / party_id).exists():
        warn(f"the coordinator of this trial ran {party_id}'s witness itself: never run both with one key")
    if as_json:
        print_json({"home": str(home), "party": party_id, "remembered": remembered})
    else:
        print_line(f"{home} is the home of {party_id} now; {remembered} records of its memory came along")
        print_line(f"write its rules into {home / 'rules.toml'}, addresses into {home / 'party.toml'}")
        print_line(f"next: {spell_command()} party run {home}")


def settle(
    home: Path, directory: Path, settings: HomeSettings, unlock: Unlock, *, rules: str | None = None
) -> int:
    """Return how many records of the party's and its witness's memory came along into its new home.

    Raises:
        Failure, ConfigError: the folder is in use, or the party's files are not usable.
        StorageError: its memory cannot be read, or somebody is at it.
    """
    from vetonet.cli.directory import find_party_journal, load_party, load_witness
    from vetonet.party.home import JOURNAL_FOLDER, SAMPLE_RULES, WITNESS_FOLDER, Belongings, create_home
    from vetonet.storage import SqliteJournal

    member = load_party(directory, settings.party_id)
    _, _, witness_key = load_witness(directory, settings.party_id)
    if member.secrets is None:
        msg = "a party without secrets"
        raise ValueError(msg)
    belongings = Belongings(
        treaty=member.treaty,
        secrets=member.secrets,
        witness_key=witness_key,
        credential=member.credential,
        settings=settings,
        rules=SAMPLE_RULES if rules is None else rules,
    )
    journal = find_party_journal(directory, settings.party_id)
    folders = {journal: home / JOURNAL_FOLDER, journal.with_name(WITNESS_FOLDER): home / WITNESS_FOLDER}
    with ExitStack() as stack:
        # Locked from before the home exists until the end: nobody adds to a memory that is being copied.
        sources = {
            target: stack.enter_context(SqliteJournal.open(source))
            for source, target in folders.items()
            if source.is_dir()
        }
        create_home(home, belongings, unlock, secrets.token_bytes)
        return _carry(home, sources)


def _carry(home: Path, sources: Mapping[Path, Journal]) -> int:
    """Return how many records came along; a home that lacks some of its memory is none."""
    from vetonet.party.home import TREATY_FILE, copy_journal
    from vetonet.storage import SqliteJournal

    try:
        count = 0
        for target, source in sources.items():
            with SqliteJournal.open(target) as journal:
                count += copy_journal(source, journal)
    except BaseException:
        (home / TREATY_FILE).unlink(missing_ok=True)
        raise
    return count
