"""A party's home: everything its daemon needs, in one folder that only its owner may open.

::

    HOME/treaty.cbor          the treaty, signed by all its parties
    HOME/trust-root.json      the digest that names it
    HOME/successor-*.cbor     later treaties; which is in force, the log says
    HOME/keystore             statement key, witness key, TLS key and key shares, encrypted
    HOME/tls-certificate.pem  the party's certificate, and tls-authority.pem, whose others it takes
    HOME/party.toml           addresses
    HOME/rules.toml           what the daemon answers by itself
    HOME/journal/             what the party must not forget
    HOME/witness/             what its witness must not forget
    HOME/daemon-address       where the running daemon takes calls; gone when it ended in order
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.compliance.trust_root import MAX_BYTES as MAX_TRUST_ROOT_BYTES
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto import frost
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError, VetonetError
from vetonet.party.card import MAX_CARD_BYTES, Card
from vetonet.party.home_settings import MAX_SETTINGS_BYTES, HomeSettings, parse_settings, require_own
from vetonet.party.keys import (
    PartySecrets,
    SeatShare,
    decode_signing_key,
    encode_signing_key,
    verify_secrets,
    verify_statement_key,
)
from vetonet.party.keystore import KEY_STORE_FILE, KeyStore, Unlock
from vetonet.party.secret_files import read_settled, translated, write_secret
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.storage import Journal
from vetonet.units import Rng
from vetonet.wire.pki import Credential

TREATY_FILE: Final = "treaty.cbor"
TRUST_ROOT_FILE: Final = "trust-root.json"
SETTINGS_FILE: Final = "party.toml"
RULES_FILE: Final = "rules.toml"
CERTIFICATE_FILE: Final = "tls-certificate.pem"
AUTHORITY_FILE: Final = "tls-authority.pem"
JOURNAL_FOLDER: Final = "journal"
WITNESS_FOLDER: Final = "witness"
CARD_FILE: Final = "card.json"
ADDRESS_FILE: Final = "daemon-address"

STATEMENT_KEY: Final = "statement-key"
WITNESS_KEY: Final = "witness-key"
TLS_KEY: Final = "tls-key"
KEY_SHARE: Final = "key-share-{group}-{participant}-epoch-{epoch}"
ATTEMPT_SHARE: Final = KEY_SHARE + "-attempt-{attempt}"
_SHARE_NAME: Final = re.compile(
    r"key-share-(\d{1,3})-\d{1,5}-epoch-(\d{1,10})(?:-attempt-\d{1,5})?", re.ASCII
)
"""A share's name says which group and seat it is of and since which epoch: resharing leaves several."""

SUCCESSOR_FILE: Final = "successor-{epoch}-{digest}.cbor"

MAX_PEM_BYTES: Final = 64 * 1024
MAX_ADDRESS_BYTES: Final = 512
_PAGE: Final = 256

SAMPLE_RULES: Final = """\
# What this party's daemon answers by itself; a ballot that follows from a rule counts like any other.
# The first rule that holds decides; where none does, the default. "ask" leaves it to `vetonet vote`.
# Read once, when the daemon starts: it does not start with a mistake in here.
default = "ask"                      # ask, grant, abstain or veto; a veto here needs default-reason

# [[rule]]
# when = { workload = "inference", below-flop = "1e23" }   # FLOP with all linked runs
# decide = "grant"
#
# [[rule]]
# when = { at-least-flop = "1e26" }
# decide = "veto"
# reason = "scale"       # safety-case, information-missing, operator-record, treaty-breach, other
#
# Conditions: below-flop, at-least-flop, workload, precision, operator, beneficial-owner, band,
# at-least-devices, run-longer-than, has-lineage, action. A rule without action speaks of runs alone;
# motions are decided by a rule that names their class of action and nothing else:
#
# [[rule]]
# when = { action = "emergency-suspension" }
# decide = "grant"
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Home:
    """An opened home; what it holds belongs together.

    Attributes:
        root: the folder.
        settings: addresses.
        treaty: the founding one, with which the log begins.
        secrets: of the party.
        witness_key: what its witness cosigns with.
        credential: for mutual TLS.
        successors: treaties that may follow it, or do, by epoch; the log says which is in force.
    """

    root: Path
    settings: HomeSettings
    treaty: Signed[Treaty]
    secrets: PartySecrets = field(repr=False)
    witness_key: SigningKey = field(repr=False)
    credential: Credential = field(repr=False)
    successors: tuple[Signed[Treaty], ...] = ()

    @property
    def treaties(self) -> Mapping[bytes, Signed[Treaty]]:
        """Every treaty that is known here, by digest."""
        return {treaty.payload_digest: treaty for treaty in (self.treaty, *self.successors)}

    @property
    def known_parties(self) -> frozenset[str]:
        """Who is on the roster of one of them."""
        return _list_parties((self.treaty, *self.successors))

    @property
    def journal(self) -> Path:
        """Where the party's journal is."""
        return self.root / JOURNAL_FOLDER

    @property
    def witness_journal(self) -> Path:
        """Where its witness's journal is."""
        return self.root / WITNESS_FOLDER

    @property
    def rules(self) -> Path:
        """Where its rules are."""
        return self.root / RULES_FILE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Belongings:
    """What makes a home, before it is one.

    Attributes:
        treaty: in force.
        secrets, witness_key, credential: the party's.
        settings: to begin with.
        rules: the text of its rules.
    """

    treaty: Signed[Treaty]
    secrets: PartySecrets = field(repr=False)
    witness_key: SigningKey = field(repr=False)
    credential: Credential = field(repr=False)
    settings: HomeSettings
    rules: str = SAMPLE_RULES


def create_home(root: Path, belongings: Belongings, unlock: Unlock, rng: Rng) -> None:
    """The folder is the party's home; nothing that was there before was touched.

    Args:
        root: a new or empty folder.
        belongings: what goes in.
        unlock: what will open its key store.
        rng: for the key store.

    Raises:
        ConfigError: the folder is in use, cannot be written, or the belongings are not one party's.
    """
    _verify_together(belongings.secrets, belongings.witness_key, belongings.treaty)
    identity = belongings.credential.identity
    require_own(belongings.settings, party_id=identity.name, trust_domain=identity.trust_domain)
    with translated(root):
        is_used = root.exists() and (not root.is_dir() or any(root.iterdir()))
        if is_used:
            raise ConfigError(f"{root}: expected a new or empty folder, got one in use; give another")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (root / JOURNAL_FOLDER, root / WITNESS_FOLDER):
            folder.mkdir(mode=0o700)
    _fill_store(KeyStore.create(root / KEY_STORE_FILE, unlock, rng), belongings)
    trusted = TrustRoot(
        treaty_digest=belongings.treaty.payload_digest, treaty_name=belongings.treaty.statement.name
    )
    files = {
        CERTIFICATE_FILE: belongings.credential.certificate_pem,
        AUTHORITY_FILE: belongings.credential.authority_pem,
        SETTINGS_FILE: belongings.settings.to_text().encode(),
        RULES_FILE: belongings.rules.encode(),
        TRUST_ROOT_FILE: trusted.to_text().encode(),
        TREATY_FILE: belongings.treaty.data,  # last: its presence says that all the rest is there
    }
    for name, data in files.items():
        write_secret(root / name, data)


def open_home(root: Path, unlock: Unlock, rng: Rng) -> Home:
    """Return the home in a folder.

    Raises:
        ConfigError: it is none, something in it is missing or malformed, does not belong together, or the key
            store does not open.
    """
    treaty = read_home_treaty(root)
    settings = read_home_settings(root, treaty)
    store = KeyStore.open(root / KEY_STORE_FILE, unlock, rng)
    credential = Credential(
        certificate_pem=_read(root / CERTIFICATE_FILE, MAX_PEM_BYTES),
        key_pem=store.get(TLS_KEY),
        authority_pem=_read(root / AUTHORITY_FILE, MAX_PEM_BYTES),
    )
    require_own(settings, party_id=credential.identity.name, trust_domain=credential.identity.trust_domain)
    home = Home(
        root=root,
        settings=settings,
        treaty=treaty,
        secrets=_load_secrets(store, settings.party_id, root),
        witness_key=decode_signing_key(store.get(WITNESS_KEY), root / KEY_STORE_FILE),
        credential=credential,
        successors=read_successors(root),
    )
    verify_statement_key(home.secrets, treaty.statement)  # a share may be lost, or of a later epoch
    return home


def read_home_treaty(root: Path) -> Signed[Treaty]:
    """Return the treaty of a home, which is the one that its trust root names; needs no secret.

    Raises:
        ConfigError: no home, or another treaty.
    """
    path = _find_part(root, TREATY_FILE)
    data = _read(path, Treaty.MAX_BYTES)
    try:
        treaty = open_treaty(data)
    except VetonetError as error:
        raise ConfigError(f"{path}: expected a treaty signed by all its parties: {error}") from error
    trusted = TrustRoot.from_text(_read_text(root / TRUST_ROOT_FILE, MAX_TRUST_ROOT_BYTES))
    if treaty.payload_digest != trusted.treaty_digest:
        raise ConfigError(f"{path}: another treaty than the one that {TRUST_ROOT_FILE} trusts")
    return treaty


def _find_part(root: Path, name: str) -> Path:
    """Return where a home has a file without which it is none: a treaty's directory has a treaty, too.

    Raises:
        ConfigError: it has none.
    """
    path = root / name
    if not path.exists():
        raise ConfigError(f"{root}: expected a party's home with {name}; make one with `vetonet party init`")
    return path


def read_home_settings(root: Path, treaty: Signed[Treaty]) -> HomeSettings:
    """Return the addresses in a home; needs no secret.

    Raises:
        ConfigError: no home, or with mistakes.
    """
    path = _find_part(root, SETTINGS_FILE)
    roster = _list_parties((treaty, *read_successors(root)))
    if (root / CARD_FILE).exists():  # who came later is on the roster of a treaty that may not be there yet
        roster |= {Card.from_text(_read_text(root / CARD_FILE, MAX_CARD_BYTES)).party_id}
    return parse_settings(_read_text(path, MAX_SETTINGS_BYTES), str(path), roster=roster)


def read_successors(root: Path) -> tuple[Signed[Treaty], ...]:
    """Return the later treaties that are kept in a home, by epoch; needs no secret.

    Raises:
        ConfigError: one of the files is no treaty that all its parties signed.
    """
    found = []
    for path in sorted(root.glob(SUCCESSOR_FILE.format(epoch="*", digest="*"))):
        try:
            found.append(open_treaty(_read(path, Treaty.MAX_BYTES)))
        except VetonetError as error:
            raise ConfigError(f"{path}: expected a treaty signed by all its parties: {error}") from error
    return tuple(sorted(found, key=lambda treaty: treaty.statement.epoch))


def keep_successor(root: Path, treaty: Signed[Treaty]) -> Path:
    """Return where the home keeps a later treaty from now on.

    Raises:
        ConfigError: it cannot be written.
    """
    digest = treaty.payload_digest.hex()[:16]
    path = root / SUCCESSOR_FILE.format(epoch=treaty.statement.epoch, digest=digest)
    if not path.exists():
        write_secret(path, treaty.data)
    return path


def _list_parties(treaties: Iterable[Signed[Treaty]]) -> frozenset[str]:
    return frozenset(party.party_id for treaty in treaties for party in treaty.statement.parties)


def read_daemon_address(root: Path, settings: HomeSettings) -> str:
    """Return where the home's daemon takes calls if it runs: what it last said, or what it is to use."""
    path = root / ADDRESS_FILE
    if not path.exists():
        return settings.listen
    return _read_text(path, MAX_ADDRESS_BYTES).strip()


def copy_journal(source: Journal, target: Journal) -> int:
    """Return how many records of a party's or witness's memory the new journal now holds as well.

    Raises:
        StorageError: one of the two fails; nothing must be done with the new one then.
    """
    count = 0
    while page := source.read(count, _PAGE):
        target.append(tuple(stored.record for stored in page))
        count += len(page)
    return count


def name_share(held: SeatShare, epoch: int) -> str:
    """Return the name of a key share in the store."""
    return KEY_SHARE.format(group=held.group, participant=int(held.share.identifier), epoch=epoch)


def _fill_store(store: KeyStore, belongings: Belongings) -> None:
    secrets, epoch = belongings.secrets, belongings.treaty.statement.epoch
    store.put(STATEMENT_KEY, encode_signing_key(secrets.statement_key))
    store.put(WITNESS_KEY, encode_signing_key(belongings.witness_key))
    store.put(TLS_KEY, belongings.credential.key_pem)
    for held in secrets.key_shares:
        store.put(name_share(held, epoch), held.share.to_bytes())


def _load_secrets(store: KeyStore, party_id: str, root: Path) -> PartySecrets:
    """Return the party's secrets, with the key shares of every epoch that it still holds.

    Which of them counts, the treaty in force says: it commits to one of each seat.
    """
    return PartySecrets(
        party_id=party_id,
        statement_key=decode_signing_key(store.get(STATEMENT_KEY), root / KEY_STORE_FILE),
        key_shares=tuple(_load_shares(store, root)),
    )


def _load_shares(store: KeyStore, root: Path) -> Iterable[SeatShare]:
    return (held for _, _, held in list_named_shares(store, root))


def list_named_shares(store: KeyStore, root: Path) -> Iterable[tuple[str, int, SeatShare]]:
    """Return the key shares in a store, each with its name there and the epoch that it was dealt for.

    Raises:
        ConfigError: one is malformed.
    """
    for name in sorted(store.names):
        named = _SHARE_NAME.fullmatch(name)
        if named is not None:
            with translated(root / KEY_STORE_FILE):
                share = frost.KeyShare.from_bytes(store.get(name))
            yield name, int(named[2]), SeatShare(group=int(named[1]), share=share)


def _verify_together(secrets: PartySecrets, witness_key: SigningKey, treaty: Signed[Treaty]) -> None:
    verify_secrets(secrets, treaty)
    if treaty.statement.find_witness_of(secrets.party_id).key != witness_key.public_key:
        raise ConfigError(f"not the witness key that the treaty names for {secrets.party_id}")


def _read(path: Path, maximum: int) -> bytes:
    with translated(path):
        return read_settled(path, max_bytes=maximum)


def _read_text(path: Path, maximum: int) -> str:
    with translated(path):
        return _read(path, maximum).decode()
