"""A party's secrets, and the only way they get to a disk and back.

Each secret is a file in PEM (RFC 7468) that nobody but its owner may read; a file that others can read is
refused, because it may have been. The files are not encrypted: whoever reads the disk has the keys. The
store of ``party.keystore`` is.
"""

from __future__ import annotations

from base64 import b64decode, encodebytes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from vetonet.crypto import frost
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey, SigningKey
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.secret_files import read_secret, translated, write_secret
from vetonet.policy.treaty import Group, Treaty

STATEMENT_KEY_FILE: Final = "statement-key.pem"
KEY_SHARE_FILE: Final = "key-share-{group}-{participant}.pem"
MAX_GROUP_DIGITS: Final = 6
PARTY_ID_FILE: Final = "party-id"

_SHARE_BEGIN: Final = "-----BEGIN VETONET KEY SHARE-----\n"
_SHARE_END: Final = "-----END VETONET KEY SHARE-----\n"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeatShare:
    """The key share of one seat: which group it was dealt for, and the secret.

    Attributes:
        group: the group's index in the treaty of that epoch; a later treaty may count its groups otherwise.
    """

    group: int
    share: frost.KeyShare = field(repr=False)

    @property
    def seat(self) -> tuple[int, int]:
        """Index of the group, and the participant in it."""
        return (self.group, int(self.share.identifier))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartySecrets:
    """What makes a party that party: its name on the roster, its statement key and its key shares.

    Attributes:
        key_shares: one for each of its seats; none where it may vote but no group of it signs.
    """

    party_id: str
    statement_key: SigningKey = field(repr=False)
    key_shares: tuple[SeatShare, ...] = field(repr=False)

    def find_shares(self, treaty: Treaty) -> Mapping[tuple[int, int], frost.KeyShare]:
        """Return the key shares of this party's seats under a treaty: index of the group, and participant.

        Of several that are held, such as those of an earlier epoch, only the one counts that the treaty's
        group commits to; a seat whose share was lost is left out. The index under which a share was dealt
        says nothing: groups stand in order of first mention, and an amendment may change that (VN-16.5).
        """
        return {
            (group.index, int(seat)): held.share
            for group in treaty.all_groups
            for seat in group.list_seats(self.party_id)
            for held in self.key_shares
            if _is_share_of(held.share, group, seat)
        }

    def save(self, directory: Path) -> None:
        """The secrets are on disk below ``directory``, for their owner's eyes only.

        Raises:
            ConfigError: secrets are there already, or the directory cannot be written.
        """
        with translated(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_signing_key(directory / STATEMENT_KEY_FILE, self.statement_key)
        for held in self.key_shares:
            name = KEY_SHARE_FILE.format(group=held.group, participant=held.share.identifier)
            write_secret(directory / name, _armour(held.share.to_bytes()))
        write_secret(directory / PARTY_ID_FILE, f"{self.party_id}\n".encode())

    @classmethod
    def load(cls, directory: Path) -> PartySecrets:
        """Return the secrets that ``save`` put below ``directory``.

        Raises:
            ConfigError: a file is missing, malformed, or readable by others than its owner.
        """
        party_id = directory / PARTY_ID_FILE
        with translated(party_id):
            name = read_secret(party_id).decode().strip()
        statement_key = load_signing_key(directory / STATEMENT_KEY_FILE)
        shares = tuple(sorted(map(_load_share, _list_share_files(directory)), key=lambda held: held.seat))
        return cls(party_id=name, statement_key=statement_key, key_shares=shares)


def verify_statement_key(secrets: PartySecrets, treaty: Treaty) -> None:
    """Hold that a treaty names no other statement key for this party; it need not be on its roster yet.

    Raises:
        ConfigError: it does.
    """
    known = [party.key for party in treaty.parties if party.party_id == secrets.party_id]
    if known and known != [secrets.statement_key.public_key]:
        raise ConfigError(f"the treaty names another statement key for {secrets.party_id}")


def verify_secrets(secrets: PartySecrets, treaty: Signed[Treaty]) -> None:
    """Hold that these are the secrets of the party they name in this treaty, all shares there.

    Raises:
        UnknownPartyError: the roster has no such party.
        ConfigError: the treaty has another statement key for it, or another group or share.
    """
    terms, party_id = treaty.statement, secrets.party_id
    terms.find_party_by_id(party_id)
    verify_statement_key(secrets, terms)
    held = secrets.find_shares(terms)
    for group in terms.all_groups:
        for seat in group.list_seats(party_id):
            if (group.index, int(seat)) not in held:
                msg = f"{party_id} holds no key share of participant {seat} in group {group.index}"
                raise ConfigError(msg)


def _is_share_of(share: frost.KeyShare, group: Group, seat: frost.Identifier) -> bool:
    is_seat = share.identifier == seat
    return is_seat and group.package.compute_verifying_share(seat) == share.verifying_share


def encode_signing_key(key: SigningKey) -> bytes:
    """Return the key as PKCS #8 in PEM (RFC 5958).

    Raises:
        ConfigError: it is one that does not leave its element.
    """
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if isinstance(key, Ed25519SigningKey):
        private = ed25519.Ed25519PrivateKey.from_private_bytes(key.seed)
    elif isinstance(key, EcdsaSigningKey):
        private = key.private_key
    else:
        raise ConfigError("this signing key cannot be written down")
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def decode_signing_key(pem: bytes, source: Path) -> SigningKey:
    """Return the signing key that ``encode_signing_key`` wrote.

    Raises:
        ConfigError: it is malformed or of another algorithm; the message names ``source`` alone.
    """
    with translated(source):
        private = serialization.load_pem_private_key(pem, password=None)
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return Ed25519SigningKey(seed=private.private_bytes_raw())
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return EcdsaSigningKey(private_key=private)
    msg = f"{source}: expected an Ed25519, P-256 or P-384 key"
    raise ConfigError(msg)


def save_signing_key(path: Path, key: SigningKey) -> None:
    """The key is on disk as PKCS #8 in PEM (RFC 5958), for its owner's eyes only.

    Raises:
        ConfigError: the file exists, cannot be written, or the key is one that does not leave its element.
    """
    try:
        pem = encode_signing_key(key)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    write_secret(path, pem)


def load_signing_key(path: Path) -> SigningKey:
    """Return the signing key that ``save_signing_key`` wrote.

    Raises:
        ConfigError: it is missing, malformed, of another algorithm, or readable by others than its owner.
    """
    with translated(path):
        pem = read_secret(path)
    return decode_signing_key(pem, path)


def _list_share_files(directory: Path) -> list[Path]:
    with translated(directory):
        return list(directory.glob(KEY_SHARE_FILE.format(group="*", participant="*")))


def _load_share(path: Path) -> SeatShare:
    """Return the share in a file; its name says which group it was dealt for, the treaty which counts."""
    digits = path.stem.split("-")[2]
    if not digits.isascii() or not digits.isdigit() or len(digits) > MAX_GROUP_DIGITS:
        raise ConfigError(f"{path}: expected the name of a key share to hold the number of its group")
    with translated(path):
        share = frost.KeyShare.from_bytes(_unarmour(read_secret(path)))
    return SeatShare(group=int(digits), share=share)


def _armour(data: bytes) -> bytes:
    return (_SHARE_BEGIN + encodebytes(data).decode() + _SHARE_END).encode()


def _unarmour(data: bytes) -> bytes:
    text = data.decode()
    if not text.startswith(_SHARE_BEGIN) or not text.endswith(_SHARE_END):
        msg = "expected a key share in its armour"
        raise EncodingError(msg)
    body = b64decode(text.removeprefix(_SHARE_BEGIN).removesuffix(_SHARE_END))
    if _armour(body) != data:
        msg = "expected the one spelling of a key share's armour"
        raise EncodingError(msg)
    return body
