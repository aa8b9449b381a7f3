"""A treaty directory: what ``treaty new`` writes and every other command reads.

::

    DIR/treaty.cbor           the treaty, signed by all its parties
    DIR/trust-root.json       what a verifier must get from somebody it trusts
    DIR/authority/            issues the TLS certificates
    DIR/coordinator/          log key and TLS material of the server
    DIR/parties/ID/           statement key, key share, witness key and TLS material of a party
    DIR/operators/ID/         statement key and TLS material of an operator
    DIR/makers/ID/            root key of a chip maker

For a trial all of it stands side by side. A participant needs its own folder, ``treaty.cbor`` and
``trust-root.json`` only, so in earnest each keeps its own.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import (
    PRIVATE_FOLDER_MODE,
    make_folder,
    read_input,
    read_text_input,
    require_empty,
    write_output,
    write_secret,
)
from vetonet.cli.founding import COORDINATOR_ID, Founded
from vetonet.cli.parameters import show
from vetonet.compliance.trust_root import MAX_BYTES as MAX_TRUST_ROOT_BYTES
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError, VetonetError
from vetonet.party.keys import PartySecrets, load_signing_key, save_signing_key, verify_secrets
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.policy.witnessing import Witness
from vetonet.wire.identity import Identity, Role
from vetonet.wire.pki import Credential

TREATY_FILE: Final = "treaty.cbor"
TRUST_ROOT_FILE: Final = "trust-root.json"
STATEMENT_KEY_FILE: Final = "statement-key.pem"
LOG_KEY_FILE: Final = "log-key.pem"
WITNESS_KEY_FILE: Final = "witness-key.pem"
ROOT_KEY_FILE: Final = "root-key.pem"
CERTIFICATE_FILE: Final = "tls-certificate.pem"
TLS_KEY_FILE: Final = "tls-key.pem"
AUTHORITY_FILE: Final = "tls-authority.pem"
JOURNAL_FOLDER: Final = "journal"
FOLDERS: Final = {Role.PARTY: "parties", Role.OPERATOR: "operators", Role.COORDINATOR: "coordinator"}
MAX_PEM_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One participant of a treaty, as its folder makes it.

    Attributes:
        treaty: the treaty.
        name: the participant's id.
        key: its statement key; the coordinator's is the log key.
        credential: for mutual TLS.
        secrets: of a party, else None.
    """

    treaty: Signed[Treaty]
    name: str
    key: SigningKey = field(repr=False)
    credential: Credential = field(repr=False)
    secrets: PartySecrets | None = field(default=None, repr=False)

    @property
    def server(self) -> Identity:
        """Who must answer when this participant calls the coordinator."""
        domain = self.credential.identity.trust_domain
        return Identity(trust_domain=domain, role=Role.COORDINATOR, name=COORDINATOR_ID)


def write_directory(root: Path, founded: Founded) -> None:
    """The directory holds the founded treaty and everybody's secrets, each for its owner's eyes only.

    Raises:
        Failure: the directory is in use, or cannot be written.
        ConfigError: a secret cannot be written.
    """
    require_empty(root)
    make_folder(root)
    for (role, name), credential in founded.credentials.items():
        write_credential(folder_of(root, role, name), credential)
    authority = make_private(root / "authority")
    write_output(authority / AUTHORITY_FILE, founded.authority.certificate_pem)
    write_secret(authority / TLS_KEY_FILE, founded.authority.key_pem)
    save_signing_key(root / "coordinator" / LOG_KEY_FILE, founded.log_key)
    for name, secrets in founded.parties.items():
        secrets.save(folder_of(root, Role.PARTY, name))
    for name, key in founded.witnesses.items():
        save_signing_key(folder_of(root, Role.PARTY, name) / WITNESS_KEY_FILE, key)
    for name, key in founded.operators.items():
        save_signing_key(folder_of(root, Role.OPERATOR, name) / STATEMENT_KEY_FILE, key)
    for name, root_key in founded.makers.items():
        save_signing_key(make_private(root / "makers" / name) / ROOT_KEY_FILE, root_key)
    write_output(root / TRUST_ROOT_FILE, founded.trust_root.to_text().encode())
    write_output(
        root / TREATY_FILE, founded.treaty.data
    )  # last: its presence says that all the rest is there


def read_treaty_file(path: Path) -> Signed[Treaty]:
    """Return the treaty in a file; whether it is the right one, its digest must say.

    Raises:
        Failure: unreadable, not a treaty, or not signed by all its parties.
    """
    data = read_input(path, "a treaty", maximum=Treaty.MAX_BYTES)
    try:
        return open_treaty(data)
    except VetonetError as error:
        if _is_trust_root(data):
            what = f"a trust root, which only names a treaty; give {TREATY_FILE} or the directory"
            raise Failure(f"{path}: {what}", code=Exit.INVALID, reason=error.reason) from error
        message = f"{path}: expected a treaty signed by all its parties: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _is_trust_root(data: bytes) -> bool:
    try:
        TrustRoot.from_text(data.decode())
    except (ConfigError, UnicodeDecodeError):
        return False
    return True


def read_treaty(root: Path) -> Signed[Treaty]:
    """Return the treaty of a directory, which is the one that its trust root names.

    Raises:
        Failure: no treaty directory, or another treaty than the trust root names.
    """
    if not (root / TREATY_FILE).exists():
        raise Failure(
            f"{root}: expected a treaty directory with {TREATY_FILE}; make one with `vetonet treaty new`"
        )
    treaty = read_treaty_file(root / TREATY_FILE)
    trusted = read_trust_root(root / TRUST_ROOT_FILE)
    if treaty.payload_digest != trusted.treaty_digest:
        got, expected = treaty.payload_digest.hex()[:16], trusted.treaty_digest.hex()[:16]
        raise Failure(
            f"{root / TREATY_FILE}: treaty {got}, but {TRUST_ROOT_FILE} trusts {expected}; get the right one"
        )
    return treaty


def read_trust_root(path: Path) -> TrustRoot:
    """Return the trust root in a file.

    Raises:
        Failure: unreadable, or not a trust root.
    """
    text = read_text_input(path, "a trust root", maximum=MAX_TRUST_ROOT_BYTES, code=_code_of(path))
    try:
        return TrustRoot.from_text(text)
    except ConfigError as error:
        raise Failure(f"{path}: {error}", code=Exit.INVALID, reason=error.reason) from error


def _code_of(path: Path) -> Exit:
    """What is there and unusable is invalid; what is missing is a mistake of the user."""
    return Exit.INVALID if path.exists() else Exit.USAGE


def load_coordinator(root: Path) -> Member:
    """Return the coordinator of a treaty directory.

    Raises:
        Failure, ConfigError: its files are missing, malformed, open to others, or those of another treaty.
    """
    treaty, folder = read_treaty(root), root / FOLDERS[Role.COORDINATOR]
    key = load_signing_key(folder / LOG_KEY_FILE)
    if key.public_key != treaty.statement.log_key:
        raise Failure(f"{folder / LOG_KEY_FILE}: not the log key that the treaty names; get the right one")
    return Member(treaty=treaty, name=COORDINATOR_ID, key=key, credential=_read_credential(folder))


def load_operator(root: Path, operator_id: str) -> Member:
    """Return an operator of a treaty directory.

    Raises:
        Failure, ConfigError: no such operator, or its files are not usable.
    """
    treaty = read_treaty(root)
    _require_known(operator_id, [operator.operator_id for operator in treaty.statement.operators], "operator")
    folder = folder_of(root, Role.OPERATOR, operator_id)
    key = load_signing_key(folder / STATEMENT_KEY_FILE)
    if key.public_key != treaty.statement.find_operator(operator_id).key:
        raise Failure(f"{folder / STATEMENT_KEY_FILE}: not the key that the treaty names for {operator_id}")
    return Member(treaty=treaty, name=operator_id, key=key, credential=_read_credential(folder))


def load_party(root: Path, party_id: str) -> Member:
    """Return a party of a treaty directory.

    Raises:
        Failure, ConfigError: no such party, or its files are not usable.
    """
    treaty = read_treaty(root)
    _require_known(party_id, [party.party_id for party in treaty.statement.parties], "party")
    folder = folder_of(root, Role.PARTY, party_id)
    secrets = PartySecrets.load(folder)
    verify_secrets(secrets, treaty)
    credential = _read_credential(folder)
    return Member(
        treaty=treaty, name=party_id, key=secrets.statement_key, credential=credential, secrets=secrets
    )


def find_party_journal(root: Path, party_id: str) -> Path:
    """Return where a party keeps what it must not forget."""
    return folder_of(root, Role.PARTY, party_id) / JOURNAL_FOLDER


def load_witness(root: Path, party_id: str) -> tuple[Signed[Treaty], Witness, SigningKey]:
    """Return the witness that a party of a treaty directory runs: the treaty, what it says, and the key.

    Raises:
        Failure, ConfigError: no such party, no witness of it, or its key file is not usable.
    """
    treaty = read_treaty(root)
    _require_known(party_id, [party.party_id for party in treaty.statement.parties], "party")
    witness, path = treaty.statement.find_witness_of(party_id), folder_of(root, Role.PARTY, party_id)
    key = load_signing_key(path / WITNESS_KEY_FILE)
    if key.public_key != witness.key:
        raise Failure(f"{path / WITNESS_KEY_FILE}: not the witness key that the treaty names for {party_id}")
    return treaty, witness, key


def load_any(root: Path) -> Member:
    """Return whoever's secrets are in the directory, to look on: the first operator or party that is there.

    Raises:
        Failure, ConfigError: nobody's are, or they are not usable.
    """
    treaty = read_treaty(root).statement
    for party in treaty.parties:
        # A convener's directory has folders of parties, too, but nobody's keys in them.
        if (folder_of(root, Role.PARTY, party.party_id) / STATEMENT_KEY_FILE).exists():
            return load_party(root, party.party_id)
    for operator in treaty.operators:
        if folder_of(root, Role.OPERATOR, operator.operator_id).is_dir():
            return load_operator(root, operator.operator_id)
    raise Failure(
        f"{root}: expected the folder of a party or an operator in it, to look on with its certificate"
    )


def _require_known(name: str, known: list[str], what: str) -> None:
    if name not in known:
        raise Failure(f"the treaty names no {what} {show(name)}; it names {', '.join(known) or 'none'}")


def folder_of(root: Path, role: Role, name: str) -> Path:
    """Return where a participant's files are."""
    return root / FOLDERS[role] if role is Role.COORDINATOR else root / FOLDERS[role] / name


def make_private(folder: Path) -> Path:
    """Return the folder, which is there for its owner alone.

    Raises:
        Failure: it cannot be made.
    """
    make_folder(folder, mode=PRIVATE_FOLDER_MODE)
    return folder


def write_credential(folder: Path, credential: Credential) -> None:
    """The folder holds this TLS material.

    Raises:
        Failure: it cannot be written.
    """
    make_private(folder)
    write_output(folder / CERTIFICATE_FILE, credential.certificate_pem)
    write_secret(folder / TLS_KEY_FILE, credential.key_pem)
    write_output(folder / AUTHORITY_FILE, credential.authority_pem)


def _read_credential(folder: Path) -> Credential:
    key_path = folder / TLS_KEY_FILE
    certificate = _read_pem(folder / CERTIFICATE_FILE, "a certificate")
    key = _read_pem(key_path, "a private key")
    _require_private(key_path)
    authority = _read_pem(folder / AUTHORITY_FILE, "a certificate")
    try:
        return Credential(certificate_pem=certificate, key_pem=key, authority_pem=authority)
    except ConfigError as error:
        raise Failure(f"{folder}: TLS material that cannot be used: {error}", reason=error.reason) from error


def _read_pem(path: Path, what: str) -> bytes:
    return read_input(path, what, maximum=MAX_PEM_BYTES, code=Exit.USAGE)


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Failure(f"{path}: others may open this secret (mode {mode:04o}); run: chmod 600 {path}")
