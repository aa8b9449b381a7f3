"""The bytes of a key store: an open header, and everything else encrypted under a passphrase or a key file.

A passphrase becomes a key by scrypt (RFC 7914), which costs whoever guesses memory and time; the bytes of a
key file are random and need no such thing. HKDF-SHA256 (RFC 5869) makes of either the key for
ChaCha20-Poly1305 (RFC 8439), and a value that stands in the header and commits to that key: an AEAD alone
lets one ciphertext open under many keys, and so many passphrases be tried at once (Len, Grubbs and
Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021). The header is the associated data.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Self, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vetonet.encoding.record import Record, bstr, many, member, one_of, record, tstr, uint
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.secret_files import MAX_SECRET_BYTES, read_secret, translated, write_secret
from vetonet.units import Rng

FORMAT_VERSION: Final = 1
MAX_STORE_BYTES: Final = 2**20
MAX_STORED_SECRET_BYTES: Final = 16 * 1024
MAX_SECRETS: Final = 1024
MAX_SCRYPT_LOG2_N: Final = 20
MAX_SCRYPT_R: Final = 64
MAX_SCRYPT_P: Final = 16
MAX_SCRYPT_BYTES: Final = 256 * 2**20
MIN_PASSPHRASE_BYTES: Final = 8
MAX_PASSPHRASE_BYTES: Final = 1024
MIN_KEY_FILE_BYTES: Final = 32
MIN_DIFFERENT_BYTES: Final = 8
"""Of 32 random bytes, fewer are different once in 10**33 draws; zeros and repeated text are."""

_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_INFO: Final = b"vetonet key store, format 1: encryption key and commitment"
_REFUSED: Final = "does not open with this passphrase or key file, or was altered"


class _Unlocking:
    """What opens a store; its bytes are shown to nobody."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the bytes: they are worth every key in the store."""
        return f"{type(self).__name__}(<redacted>)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Passphrase(_Unlocking):
    """What a person types, as UTF-8 bytes; nothing is trimmed or normalised here."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is too short to be one, or too long to be typed."""
        if not MIN_PASSPHRASE_BYTES <= len(self.secret) <= MAX_PASSPHRASE_BYTES:
            msg = f"expected a passphrase of {MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES} bytes"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KeyFile(_Unlocking):
    """The content of a key file: at least 32 bytes that a machine drew at random."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is too short, or plainly not random."""
        if not MIN_KEY_FILE_BYTES <= len(self.secret) <= MAX_SECRET_BYTES:
            msg = f"expected a key file of {MIN_KEY_FILE_BYTES} to {MAX_SECRET_BYTES} bytes"
            raise ValueError(msg)
        if len(set(self.secret)) < MIN_DIFFERENT_BYTES:
            msg = "expected a key file of random bytes, got the same few over and over"
            raise ValueError(msg)

    @classmethod
    def create(cls, path: Path, rng: Rng) -> Self:
        """Return a new key file, already on the disk for its owner alone; it belongs on another medium.

        Raises:
            ConfigError: it is there already, or cannot be written.
        """
        made = cls(rng(MIN_KEY_FILE_BYTES))
        write_secret(path, made.secret)
        return made

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the content of a key file that only its owner may open.

        Raises:
            ConfigError: missing, a link, open to others, too short or too long, or plainly not random.
        """
        with translated(path):
            secret = read_secret(path)
        try:
            return cls(secret)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None


Unlock: TypeAlias = Passphrase | KeyFile
"""What opens a store."""


class Kdf(StrEnum):
    """How the encryption key follows from what opens the store."""

    SCRYPT = "scrypt"
    KEY_FILE = "hkdf-sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptCost(Record):
    """The parameters of scrypt (RFC 7914 section 2): n = 2**log2_n, r and p.

    What a file asks for is capped before it is granted: memory is 128 n r bytes, time goes with 128 n r p.
    """

    log2_n: int = member(1, uint(MAX_SCRYPT_LOG2_N))
    r: int = member(2, uint(MAX_SCRYPT_R))
    p: int = member(3, uint(MAX_SCRYPT_P))

    def __post_init__(self) -> None:
        """Refuse parameters that RFC 7914 does not allow, and such as would exhaust a machine."""
        if min(self.log2_n, self.r, self.p) < 1 or self.log2_n >= 16 * self.r:
            msg = "expected scrypt parameters with 1 < n < 2**(16 r), and r and p above zero"
            raise ValueError(msg)
        if 128 * (self.r * self.p << self.log2_n) > MAX_SCRYPT_BYTES:
            msg = f"expected scrypt parameters with 128 n r p of at most {MAX_SCRYPT_BYTES}"
            raise ValueError(msg)


DEFAULT_COST: Final = ScryptCost(log2_n=16, r=8, p=1)
"""64 MiB and 0.16 s on one core of a 2024 server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Record):
    """What stands in the open: enough to derive the key, and which key it must be."""

    version: int = member(1, uint(2**16))
    kdf: Kdf = member(2, one_of(Kdf))
    cost: ScryptCost | None = member(3, record(ScryptCost), optional=True)
    salt: bytes = member(4, bstr(_SALT_BYTES))
    nonce: bytes = member(5, bstr(_NONCE_BYTES))
    commitment: bytes = member(6, bstr(_KEY_BYTES))

    def __post_init__(self) -> None:
        """Refuse another version, and parameters of a function that is not used."""
        if self.version != FORMAT_VERSION:
            msg = f"expected format {FORMAT_VERSION}, got {self.version}"
            raise ValueError(msg)
        if (self.kdf is Kdf.SCRYPT) != (self.cost is not None):
            msg = "expected scrypt parameters with scrypt and only there"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedStore(Record):
    """A whole store as it lies on the disk."""

    MAX_BYTES: ClassVar[int] = MAX_STORE_BYTES

    header: Header = member(1, record(Header))
    ciphertext: bytes = member(2, bstr(_TAG_BYTES, MAX_STORE_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NamedSecret(Record):
    """A secret and what it is called."""

    name: str = member(1, tstr(128))
    secret: bytes = member(2, bstr(1, MAX_STORED_SECRET_BYTES))

    def __repr__(self) -> str:
        """Show the name only."""
        return f"NamedSecret(name={self.name!r}, secret=<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Record):
    """What a store holds, in the order of the names, each once."""

    MAX_BYTES: ClassVar[int] = MAX_STORE_BYTES - 1024

    secrets: tuple[NamedSecret, ...] = member(1, many(record(NamedSecret), maximum=MAX_SECRETS))

    def __post_init__(self) -> None:
        """Refuse a name that stands twice, and another order: one content has one spelling."""
        if any(left.name >= right.name for left, right in pairwise(self.secrets)):
            msg = "expected secrets in the order of their names, each once"
            raise ValueError(msg)

    def find(self, name: str) -> bytes | None:
        """Return the secret of that name, or None where there is none."""
        return next((held.secret for held in self.secrets if held.name == name), None)

    def put(self, name: str, secret: bytes) -> Contents:
        """Return what is held once this name stands for this secret."""
        others = self.erase(name).secrets
        held = sorted((*others, NamedSecret(name=name, secret=secret)), key=lambda held: held.name)
        return replace(self, secrets=tuple(held))

    def erase(self, name: str) -> Contents:
        """Return what is held without that name."""
        return replace(self, secrets=tuple(held for held in self.secrets if held.name != name))


class _Keys(NamedTuple):
    """What HKDF gives: the key that encrypts, and the value that commits to it."""

    encryption: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seal:
    """What a store is closed with: the key that one unlocking gives, and how it was derived."""

    kdf: Kdf
    cost: ScryptCost | None
    salt: bytes
    keys: _Keys = field(repr=False)

    @classmethod
    def generate(cls, unlock: Unlock, cost: ScryptCost, rng: Rng) -> Seal:
        """Return a new seal that opens with ``unlock``; a key file needs no cost.

        Raises:
            ConfigError: this machine has not the memory that the cost asks for.
        """
        kdf = Kdf.SCRYPT if isinstance(unlock, Passphrase) else Kdf.KEY_FILE
        used, salt = cost if kdf is Kdf.SCRYPT else None, rng(_SALT_BYTES)
        return cls(kdf=kdf, cost=used, salt=salt, keys=_derive_keys(unlock, used, salt))

    def close(self, contents: Contents, rng: Rng) -> bytes:
        """Return a store with these contents, under a fresh nonce.

        Raises:
            EncodingError: the contents are more than a store holds.
        """
        header = Header(
            version=FORMAT_VERSION,
            kdf=self.kdf,
            cost=self.cost,
            salt=self.salt,
            nonce=rng(_NONCE_BYTES),
            commitment=self.keys.commitment,
        )
        cipher = ChaCha20Poly1305(self.keys.encryption)
        ciphertext = cipher.encrypt(header.nonce, contents.to_bytes(), header.to_bytes())
        return SealedStore(header=header, ciphertext=ciphertext).to_bytes()


def open_store(data: bytes, unlock: Unlock) -> tuple[Seal, Contents]:
    """Return what a store holds, and the seal that it was closed with.

    Raises:
        EncodingError: it is no store, or asks for more memory or time than anyone grants.
        ConfigError: it does not open, which says nothing of why.
    """
    sealed = SealedStore.from_bytes(data)
    header = sealed.header
    if isinstance(unlock, Passphrase) != (header.kdf is Kdf.SCRYPT):
        raise ConfigError(_REFUSED)
    keys = _derive_keys(unlock, header.cost, header.salt)
    if not hmac.compare_digest(keys.commitment, header.commitment):
        raise ConfigError(_REFUSED)
    try:
        plain = ChaCha20Poly1305(keys.encryption).decrypt(header.nonce, sealed.ciphertext, header.to_bytes())
        contents = Contents.from_bytes(plain)
    except (InvalidTag, EncodingError):
        raise ConfigError(_REFUSED) from None  # not chained: a parser's message may quote what it read
    return Seal(kdf=header.kdf, cost=header.cost, salt=header.salt, keys=keys), contents


def _derive_keys(unlock: Unlock, cost: ScryptCost | None, salt: bytes) -> _Keys:
    secret = unlock.secret if cost is None else _stretch(unlock.secret, cost, salt)
    hkdf = HKDF(algorithm=hashes.SHA256(), length=2 * _KEY_BYTES, salt=salt, info=_INFO)
    derived = hkdf.derive(secret)
    return _Keys(encryption=derived[:_KEY_BYTES], commitment=derived[_KEY_BYTES:])


def _stretch(secret: bytes, cost: ScryptCost, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=_KEY_BYTES, n=2**cost.log2_n, r=cost.r, p=cost.p)
    try:
        return scrypt.derive(secret)
    except MemoryError:
        needed = 128 * cost.r << cost.log2_n
        raise ConfigError(f"deriving its key takes {needed} bytes of memory, which are not free") from None
