"""A trial's witnesses, all in one process: what makes a council of one machine work, and proves nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vetonet.cli.directory import load_witness, read_treaty
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.output import warn
from vetonet.cli.session import read_clock
from vetonet.units import MS_PER_S

if TYPE_CHECKING:
    from vetonet.tlog.witness import WitnessPort

WITNESS_FOLDER: Final = "witnesses"


def open_trial_witnesses(directory: Path, data: Path, stack: ExitStack) -> dict[str, WitnessPort]:
    """Return the witness of each party whose key is in a treaty directory, by the name of its key.

    Args:
        directory: of the treaty.
        data: where each witness gets a folder of its own.
        stack: closes their journals.

    Raises:
        Failure, ConfigError: a key is missing or not usable.
        StorageError: a journal cannot be opened.
    """
    from vetonet.party.witness import LocalWitness, Witness
    from vetonet.storage import SqliteJournal
    from vetonet.tlog.policy import LogPolicy
    from vetonet.tlog.witness import trust_by_name

    treaty = read_treaty(directory).statement
    warn(
        "one process holds the keys of coordinator and witnesses: this proves nothing, it is for trials only"
    )
    witnesses: dict[str, WitnessPort] = {}
    for party in treaty.parties:
        _, terms, key = load_witness(directory, party.party_id)
        folder = data / WITNESS_FOLDER / party.party_id
        make_folder(folder, mode=PRIVATE_FOLDER_MODE)
        witness = Witness.open(
            stack.enter_context(SqliteJournal.open(folder)),
            name=terms.name,
            signing_key=key,
            logs=trust_by_name((LogPolicy.under(treaty).log_key,)),
        )
        witnesses[terms.name] = LocalWitness(witness, clock_s=lambda: read_clock() // MS_PER_S)
    return witnesses
