"""What a home keeps of a change of members, or of a repair: new shares beside old ones, later only those."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.founding_ports import Derived
from vetonet.party.home import ATTEMPT_SHARE, Home, keep_successor, list_named_shares, name_share
from vetonet.party.keys import PartySecrets, SeatShare
from vetonet.party.keystore import KeyStore
from vetonet.party.secret_files import read_secret, translated, write_secret
from vetonet.policy.founding import FoundingRecord, Position
from vetonet.policy.treaty import Treaty
from vetonet.voting.ceremony_state import Keep
from vetonet.voting.founding_log import choose_leaves
from vetonet.voting.ledger import Ledger

BEGUN: Final = "ceremony-begun-{name}"
RECORD_FILE: Final = "succession-{epoch}-{attempt}.cbor"
"""From what the groups of a later treaty follow, as ``founding.cbor`` has it for the first."""

_BEGUN: Final = b"begun"


class SuccessionMemory:
    """Keeps in a home what its party must not forget of a change of members."""

    __slots__ = ("_attempt", "_epoch", "_root", "_store")

    def __init__(self, root: Path, store: KeyStore, *, epoch: int, attempt: int) -> None:
        """Keep it in this home, for the treaty of this epoch."""
        self._root, self._store, self._epoch, self._attempt = root, store, epoch, attempt

    def begin(self, position: Position) -> None:
        """It is on the disk that this attempt is used up.

        Raises:
            ConfigError: it was before, or it cannot be written.
        """
        begin_once(self._store, position.charter, position.attempt)

    def keep_group(self, index: int, kept: Keep) -> None:
        """New shares of a group are on the disk beside the old ones, under a name of their attempt.

        Raises:
            ConfigError: they cannot be written.
        """
        for share in kept.key_shares:
            name = ATTEMPT_SHARE.format(
                group=index, participant=int(share.identifier), epoch=self._epoch, attempt=self._attempt
            )
            self._store.put(name, share.to_bytes())

    def keep(self, derived: Derived) -> None:
        """What was signed is on the disk, and so are the shares; the party may sign the treaty.

        Raises:
            ConfigError: a share is missing, or it cannot be written.
        """
        kept = [
            (entry.seat, entry.share.to_bytes()) for _, _, entry in list_named_shares(self._store, self._root)
        ]
        missing = [e.seat for e in derived.key_shares if (e.seat, e.share.to_bytes()) not in kept]
        if missing:
            raise ConfigError(f"{self._root}: the new share of seat {missing[0]} was not kept")
        path = self._root / RECORD_FILE.format(epoch=self._epoch, attempt=self._attempt)
        write_secret(path, derived.record.to_bytes())

    def settle(self, treaty: Signed[Treaty]) -> Path:
        """Return where the home keeps the treaty that all signed.

        Raises:
            ConfigError: it cannot be written.
        """
        return keep_successor(self._root, treaty)


def list_recorded(root: Path, epoch: int) -> tuple[bytes, ...]:
    """Return what a home kept of what was signed for the groups of the treaty of this epoch, to be logged.

    Raises:
        ConfigError: a record cannot be read, or is none.
        RefusedError: a statement is too large for a leaf.
    """
    statements: list[bytes] = []
    for path in sorted(root.glob(RECORD_FILE.format(epoch=epoch, attempt="*"))):
        with translated(path):
            data = read_secret(path, max_bytes=FoundingRecord.MAX_BYTES)
        try:
            kept = FoundingRecord.from_bytes(data)
            statements += (data for shown in kept.transcripts for data in shown.statements)
        except EncodingError as error:
            raise ConfigError(f"{path}: expected the record of a change of members: {error}") from error
    return choose_leaves(statements)


def list_unlogged(root: Path, ledger: Ledger) -> tuple[bytes, ...]:
    """Return what of it for the treaty in force the log lacks, as after a kill of whoever logged that.

    Raises:
        ConfigError, RefusedError: as ``list_recorded``.
    """
    recorded = list_recorded(root, ledger.treaty.statement.epoch)
    return tuple(data for data in recorded if not ledger.ceremonies.holds(data))


def begin_once(store: KeyStore, digest: bytes, attempt: int) -> None:
    """It is on the disk that this attempt at a ceremony is used up: nothing is signed twice in one (VN-15.4).

    Raises:
        ConfigError: it was before, or it cannot be written.
    """
    name = BEGUN.format(name=digest.hex()[:32])
    if name in store.names:
        raise ConfigError(
            f"attempt {attempt} at this was begun here before, and nothing may be signed twice in one "
            f"ceremony; agree with the others on --attempt {attempt + 1}"
        )
    store.put(name, _BEGUN)


def erase_superseded(home: Home, store: KeyStore, treaty: Treaty) -> tuple[str, ...]:
    """Return the names of the key shares that were erased: those that no group of this treaty knows.

    Shares of later epochs stay: what they are good for, a later decision says (VN-15.10).

    Args:
        home: whose they are.
        store: its key store, opened now.
        treaty: in force, as the log shows.

    Raises:
        ConfigError: the store cannot be written; what was erased is gone all the same.
    """
    erased = []
    for name, epoch, held in list(list_named_shares(store, home.root)):
        alone = PartySecrets(
            party_id=home.settings.party_id,
            statement_key=home.secrets.statement_key,
            key_shares=(held,),
        )
        if epoch <= treaty.epoch and not alone.find_shares(treaty):
            store.erase(name)
            erased.append(name)
    return tuple(erased)


def keep_repaired(store: KeyStore, treaty: Treaty, group: int, share: frost.KeyShare) -> None:
    """A share that was lost is on the disk again, having been found to be that of the treaty's group.

    Raises:
        ConfigError: it is another, or cannot be written.
    """
    known = treaty.all_groups[group].package.compute_verifying_share(share.identifier)
    if share.verifying_share != known:
        raise ConfigError(
            f"group {group}: the repaired share is not the one that the treaty's group commits to"
        )
    held = SeatShare(group=group, share=share)
    store.put(name_share(held, treaty.epoch), share.to_bytes(), replace=True)
