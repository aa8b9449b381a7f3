"""A party's home before there is a treaty: its own keys first, all of a home when the treaty is founded.

::

    HOME/keystore             statement key, witness key and TLS key; later the key shares
    HOME/card.json            what the party hands out
    HOME/founding.cbor        from what the treaty's groups follow, once it is founded

The rest is as ``party.home`` has it, with ``treaty.cbor`` last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto import frost
from vetonet.crypto.keys import SigningKey, generate_ed25519
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError
from vetonet.party.card import Card
from vetonet.party.founding_ports import Derived
from vetonet.party.home import (
    AUTHORITY_FILE,
    CARD_FILE,
    CERTIFICATE_FILE,
    JOURNAL_FOLDER,
    MAX_PEM_BYTES,
    RULES_FILE,
    SAMPLE_RULES,
    SETTINGS_FILE,
    STATEMENT_KEY,
    TLS_KEY,
    TREATY_FILE,
    TRUST_ROOT_FILE,
    WITNESS_FOLDER,
    WITNESS_KEY,
    name_share,
)
from vetonet.party.home_settings import HomeSettings, require_own
from vetonet.party.keys import (
    PartySecrets,
    SeatShare,
    decode_signing_key,
    encode_signing_key,
    verify_secrets,
    verify_statement_key,
)
from vetonet.party.keystore import KEY_STORE_FILE, KeyStore, Unlock
from vetonet.party.secret_files import read_secret, read_settled, translated, write_secret
from vetonet.policy.founding import FoundingRecord, Position, SpoiltCeremony
from vetonet.policy.treaty import Terms, Treaty
from vetonet.units import Rng
from vetonet.voting.founding import verify_founding
from vetonet.wire.identity import Role
from vetonet.wire.pki import Credential, generate_request

FOUNDING_FILE: Final = "founding.cbor"
PENDING_SHARE: Final = "founding-{attempt}-share-{group}-{participant}"
"""A share of a treaty that not everybody signed yet; another attempt must not take its place."""

BEGUN_ATTEMPT: Final = "founding-begun-{charter}-{attempt}"
PENDING_RECORD: Final = "founding-{attempt}.cbor"
EVIDENCE_FILE: Final = "founding-{attempt}-evidence.cbor"

_BEGUN: Final = b"begun"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applicant:
    """A party that is about to found a treaty.

    Attributes:
        root: its home.
        store: opened.
        statement_key, witness_key: its own.
        credential: for mutual TLS; names it.
    """

    root: Path
    store: KeyStore
    statement_key: SigningKey = field(repr=False)
    witness_key: SigningKey = field(repr=False)
    credential: Credential = field(repr=False)

    @property
    def party_id(self) -> str:
        """Which party it is."""
        return self.credential.identity.name


def create_applicant(root: Path, party_id: str, unlock: Unlock, rng: Rng) -> Card:
    """Return the card of a party whose new keys the folder now holds, encrypted.

    Args:
        root: a new or empty folder.
        party_id: what the treaty is to call it.
        unlock: what will open its key store.
        rng: for the keys; the TLS key takes the system's.

    Raises:
        ConfigError: the folder is in use, or cannot be written.
    """
    with translated(root):
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise ConfigError(f"{root}: expected a new or empty folder, got one in use; give another")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    statement_key, witness_key = generate_ed25519(rng), generate_ed25519(rng)
    tls_key, request = generate_request(party_id)
    card = Card(
        party_id=party_id,
        statement_key=statement_key.public_key,
        witness_key=witness_key.public_key,
        request_pem=request,
    )
    store = KeyStore.create(root / KEY_STORE_FILE, unlock, rng)
    store.put(STATEMENT_KEY, encode_signing_key(statement_key))
    store.put(WITNESS_KEY, encode_signing_key(witness_key))
    store.put(TLS_KEY, tls_key)
    write_secret(root / CARD_FILE, card.to_text().encode())
    return card


def open_applicant(root: Path, invitation: Path, unlock: Unlock, rng: Rng) -> Applicant:
    """Return the party whose keys are in the folder.

    Args:
        root: as ``create_applicant`` left it.
        invitation: the folder with its certificate, as the convener handed it over.
        unlock: what opens its key store.
        rng: for the key store.

    Raises:
        ConfigError: it is none, is founded already, does not open, or the certificate is of another key.
    """
    if (root / TREATY_FILE).exists():
        raise ConfigError(f"{root}: this home has a treaty already; see `vetonet treaty show {root}`")
    store = KeyStore.open(root / KEY_STORE_FILE, unlock, rng)
    credential = Credential(
        certificate_pem=_read_pem(root, invitation, CERTIFICATE_FILE),
        key_pem=store.get(TLS_KEY),
        authority_pem=_read_pem(root, invitation, AUTHORITY_FILE),
    )
    if credential.identity.role is not Role.PARTY:
        raise ConfigError(f"{CERTIFICATE_FILE}: expected that of a party, got {credential.identity.to_uri()}")
    return Applicant(
        root=root,
        store=store,
        statement_key=decode_signing_key(store.get(STATEMENT_KEY), root / KEY_STORE_FILE),
        witness_key=decode_signing_key(store.get(WITNESS_KEY), root / KEY_STORE_FILE),
        credential=credential,
    )


def verify_applicant(applicant: Applicant, terms: Terms) -> None:
    """Hold that a charter names this party with its own keys.

    Raises:
        UnknownPartyError: it does not name it.
        ConfigError: it has other keys for it.
    """
    name = applicant.party_id
    if terms.find_party_by_id(name).key != applicant.statement_key.public_key:
        raise ConfigError(f"the charter has another statement key for {name} than this home")
    if terms.find_witness_of(name).key != applicant.witness_key.public_key:
        raise ConfigError(f"the charter has another witness key for {name} than this home")


class HomeMemory:
    """Keeps in a home what its party must not forget of a founding: attempts that it began, and shares."""

    __slots__ = ("_root", "_store")

    def __init__(self, applicant: Applicant) -> None:
        """Keep it in this party's home."""
        self._root, self._store = applicant.root, applicant.store

    def require_unused(self, position: Position) -> None:
        """This attempt was not begun here before.

        Raises:
            ConfigError: it was.
        """
        if _name_attempt(position) in self._store.names:
            raise ConfigError(
                f"attempt {position.attempt} at this charter was begun here before, and nothing may be "
                f"signed twice in one ceremony; agree with the others on --attempt {position.attempt + 1}"
            )

    def begin(self, position: Position) -> None:
        """It is on the disk that this attempt is used up.

        Raises:
            ConfigError: it was before, or it cannot be written.
        """
        self.require_unused(position)
        self._store.put(_name_attempt(position), _BEGUN)

    def keep(self, derived: Derived) -> None:
        """Shares and record are on the disk, under names of their attempt; the party may sign the treaty.

        Raises:
            ConfigError: they cannot be written.
        """
        for held in derived.key_shares:
            self._store.put(_name_pending(held, derived.record.attempt), held.share.to_bytes())
        path = self._root / PENDING_RECORD.format(attempt=derived.record.attempt)
        write_secret(path, derived.record.to_bytes())
        _sync(self._root)


def keep_evidence(root: Path, spoilt: SpoiltCeremony) -> Path:
    """Return the file that now holds what was signed in a ceremony that somebody spoilt.

    Raises:
        ConfigError: it cannot be written.
    """
    path = root / EVIDENCE_FILE.format(attempt=spoilt.attempt)
    write_secret(path, spoilt.to_bytes())
    return path


def recover(applicant: Applicant, treaty: Treaty, attempt: int) -> Derived:
    """Return what the home kept of an attempt whose treaty, as others have shown since, everybody signed.

    Raises:
        ConfigError: it kept nothing of this attempt.
        VetonetError: what it kept is not of this treaty.
    """
    path = applicant.root / PENDING_RECORD.format(attempt=attempt)
    with translated(path):
        record = FoundingRecord.from_bytes(read_secret(path, max_bytes=FoundingRecord.MAX_BYTES))
    seats = [
        (group.index, int(seat))
        for group in treaty.all_groups
        for seat in group.list_seats(applicant.party_id)
    ]
    shares = tuple(_read_pending(applicant, attempt, group, seat) for group, seat in seats)
    verify_founding(treaty, record)
    return Derived(treaty=treaty, key_shares=shares, record=record)


def settle(applicant: Applicant, treaty: Signed[Treaty], derived: Derived, settings: HomeSettings) -> None:
    """The folder is the party's home under the treaty, durably.

    Args:
        applicant: whose ``HomeMemory`` kept the shares.
        treaty: signed by all.
        derived: what it has of it.
        settings: to begin with.

    Raises:
        ConfigError: something cannot be written, or does not belong together.
    """
    identity = applicant.credential.identity
    secrets = PartySecrets(
        party_id=identity.name, statement_key=applicant.statement_key, key_shares=derived.key_shares
    )
    verify_secrets(secrets, treaty)
    require_own(settings, party_id=identity.name, trust_domain=identity.trust_domain)
    for held in derived.key_shares:
        name = name_share(held, treaty.statement.epoch)
        applicant.store.put(name, held.share.to_bytes(), replace=True)
    _write_home(applicant, treaty, settings, {FOUNDING_FILE: derived.record.to_bytes()})
    _forget_pending(applicant, derived)


def join(applicant: Applicant, treaty: Signed[Treaty], settings: HomeSettings) -> None:
    """The folder is the home of a party that is to come on a later roster; it follows the log from its start.

    Args:
        applicant: the party.
        treaty: the founding one, with which the log begins.
        settings: to begin with.

    Raises:
        ConfigError: something cannot be written, or the treaty has another key for this party.
    """
    identity = applicant.credential.identity
    require_own(settings, party_id=identity.name, trust_domain=identity.trust_domain)
    secrets = PartySecrets(party_id=identity.name, statement_key=applicant.statement_key, key_shares=())
    verify_statement_key(secrets, treaty.statement)
    _write_home(applicant, treaty, settings, {})


def _write_home(
    applicant: Applicant, treaty: Signed[Treaty], settings: HomeSettings, more: Mapping[str, bytes]
) -> None:
    root, terms = applicant.root, treaty.statement
    with translated(root):
        for folder in (root / JOURNAL_FOLDER, root / WITNESS_FOLDER):
            folder.mkdir(mode=0o700, exist_ok=True)
    trusted = TrustRoot(treaty_digest=treaty.payload_digest, treaty_name=terms.name)
    files = {
        CERTIFICATE_FILE: applicant.credential.certificate_pem,
        AUTHORITY_FILE: applicant.credential.authority_pem,
        SETTINGS_FILE: settings.to_text().encode(),
        RULES_FILE: SAMPLE_RULES.encode(),
        **more,
        TRUST_ROOT_FILE: trusted.to_text().encode(),
        TREATY_FILE: treaty.data,  # last: its presence says that all the rest is there
    }
    for name, data in files.items():
        _write_once(root / name, data)
    _sync(root)


def _read_pending(applicant: Applicant, attempt: int, group: int, participant: int) -> SeatShare:
    name = PENDING_SHARE.format(attempt=attempt, group=group, participant=participant)
    with translated(applicant.root / KEY_STORE_FILE):
        return SeatShare(group=group, share=frost.KeyShare.from_bytes(applicant.store.get(name)))


def _name_attempt(position: Position) -> str:
    return BEGUN_ATTEMPT.format(charter=position.charter.hex()[:32], attempt=position.attempt)


def _forget_pending(applicant: Applicant, derived: Derived) -> None:
    """What was kept in case of need is not kept twice."""
    attempt = derived.record.attempt
    for name in (_name_pending(held, attempt) for held in derived.key_shares):
        applicant.store.erase(name)
    path = applicant.root / PENDING_RECORD.format(attempt=attempt)
    with translated(path):
        path.unlink(missing_ok=True)


def _name_pending(held: SeatShare, attempt: int) -> str:
    return PENDING_SHARE.format(attempt=attempt, group=held.group, participant=int(held.share.identifier))


def _read_pem(root: Path, invitation: Path, name: str) -> bytes:
    path = root / name if (root / name).exists() else invitation / name
    with translated(path):
        return read_settled(path, max_bytes=MAX_PEM_BYTES)


def _write_once(path: Path, data: bytes) -> None:
    """The file has these bytes; what its owner put there before the founding stays."""
    if not path.exists():
        write_secret(path, data)


def _sync(folder: Path) -> None:
    with translated(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
