"""Signed notes and their keys, as C2SP signed-note and golang.org/x/mod/sumdb/note spell them.

A note is text followed by an empty line and signature lines. A signature line names its key twice, by name
and by a four-byte key id, so that a reader can pass over keys that it does not know. Here every note, line
and key has one spelling: what is read is written again and compared.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from vetonet.crypto.keys import Algorithm, PublicKey, SigningKey
from vetonet.errors import EncodingError, InvalidSignatureError

MAX_NOTE_BYTES: Final = 128 * 1024
"""Room for the 16 signatures that every reader must take, post-quantum ones of nearly 5 kB included."""

MAX_NAME_BYTES: Final = 255
KEY_ID_BYTES: Final = 4
MAX_KEY_TYPE: Final = 0xFE
"""0xff announces a longer type, which nobody here reads."""

KEY_TYPE_ED25519: Final = 1  # signature type identifier of C2SP signed-note
_DASH: Final = "\N{EM DASH} "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line, whether or not its key is known.

    Attributes:
        name: name of the key.
        key_id: the four bytes that tell keys of one name apart.
        signature: what the key made of the text, in the form of its algorithm.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        """Refuse a name that would break the line, a key id of another length and an empty signature."""
        verify_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            msg = f"signature of {self.name!r}: expected a key id of {KEY_ID_BYTES} bytes and a signature"
            raise EncodingError(msg)

    def to_line(self) -> str:
        """Return the line, without its newline."""
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.signature).decode()}"

    @classmethod
    def from_line(cls, line: str) -> NoteSignature:
        """Return the signature that a line without its newline spells.

        Raises:
            EncodingError: it is no signature line, or not spelled in the one accepted way.
        """
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH):
            msg = "expected a signature line, which begins with an em dash and a space"
            raise EncodingError(msg)
        blob = decode_base64(encoded)
        return cls(name=name, key_id=blob[:KEY_ID_BYTES], signature=blob[KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text and the signatures below it, none of them verified yet.

    Attributes:
        text: lines that end in a newline each; what is signed.
        signatures: the lines below the text, in order.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        """Refuse a text without its last newline or with control characters, and a note nobody signed."""
        _verify_text(self.text)
        if not self.signatures:
            msg = "expected at least one signature line, got none"
            raise EncodingError(msg)

    def to_bytes(self) -> bytes:
        """Return the one spelling of this note."""
        lines = "".join(f"{signature.to_line()}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedNote:
        """Return the note that untrusted bytes spell; its signatures are not verified.

        Raises:
            EncodingError: oversize, no note, or not spelled in the one accepted way.
        """
        if len(data) > MAX_NOTE_BYTES:
            msg = f"expected a note of at most {MAX_NOTE_BYTES} bytes, got {len(data)}"
            raise EncodingError(msg)
        head, separator, tail = _decode_utf8(data).rpartition("\n\n")
        if not separator or not tail.endswith("\n"):
            msg = "expected a text, an empty line and signature lines, each ended by a newline"
            raise EncodingError(msg)
        lines = tail.removesuffix("\n").split("\n")
        note = cls(text=f"{head}\n", signatures=tuple(NoteSignature.from_line(line) for line in lines))
        if note.to_bytes() != data:
            msg = "the note is not spelled in the one accepted way"
            raise EncodingError(msg)
        return note


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key as notes name it, whatever its type: what a vkey spells (C2SP signed-note).

    Attributes:
        name: name of the key.
        key_type: what signatures under it are made over: 1 for a log, 4 and 6 for witnesses.
        material: the public key itself.
    """

    name: str
    key_type: int
    material: bytes

    def __post_init__(self) -> None:
        """Refuse a name that would break a signature line, and a key without bytes."""
        verify_name(self.name)
        if not self.material or not 0 < self.key_type <= MAX_KEY_TYPE:
            msg = f"verifier key of {self.name!r}: expected a type of 1 to {MAX_KEY_TYPE} and a key"
            raise EncodingError(msg)

    @property
    def key_id(self) -> bytes:
        """The four bytes that mark this key's signature lines."""
        named = self.name.encode() + b"\n" + bytes((self.key_type,)) + self.material
        return sha256(named).digest()[:KEY_ID_BYTES]

    def to_text(self) -> str:
        """Return the vkey: name, key id and key, joined by plus signs."""
        encoded = b64encode(bytes((self.key_type,)) + self.material).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def from_text(cls, vkey: str) -> VerifierKey:
        """Return the key that a vkey spells.

        Raises:
            EncodingError: malformed, or a key id that does not match.
        """
        match = _VKEY.fullmatch(vkey)
        blob = decode_base64(match[3]) if match else b""
        if match is None or not blob:
            msg = "expected a verifier key: name, key id and key joined by plus signs"
            raise EncodingError(msg)
        key = cls(name=match[1], key_type=blob[0], material=blob[1:])
        if key.to_text() != vkey:
            msg = f"verifier key of {key.name!r}: expected key id {key.key_id.hex()}, got {match[2]}"
            raise EncodingError(msg)
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    """The Ed25519 key of a log, under the name by which its signature lines go.

    Attributes:
        name: name of the key; by custom the origin of the log.
        public_key: an Ed25519 key.
    """

    name: str
    public_key: PublicKey

    def __post_init__(self) -> None:
        """Refuse a name that would break a signature line and a key of another algorithm."""
        verify_name(self.name)
        if self.public_key.algorithm is not Algorithm.EDDSA:
            msg = f"a log key is Ed25519, got {self.public_key.algorithm.name}"
            raise EncodingError(msg)

    @property
    def verifier_key(self) -> VerifierKey:
        """The key as notes name it."""
        return VerifierKey(name=self.name, key_type=KEY_TYPE_ED25519, material=self.public_key.point)

    @property
    def key_id(self) -> bytes:
        """The four bytes that mark this key's signature lines."""
        return self.verifier_key.key_id

    def to_vkey(self) -> str:
        """Return the verifier key: name, key id and key, joined by plus signs."""
        return self.verifier_key.to_text()

    @classmethod
    def from_vkey(cls, vkey: str) -> LogKey:
        """Return the key that a verifier key spells.

        Raises:
            EncodingError: malformed, another algorithm, a key id that does not match, or an unusable key.
        """
        key = VerifierKey.from_text(vkey)
        if key.key_type != KEY_TYPE_ED25519:
            msg = f"expected the Ed25519 verifier key of a log (type 1), got type {key.key_type}"
            raise EncodingError(msg)
        return cls(name=key.name, public_key=PublicKey(algorithm=Algorithm.EDDSA, point=key.material))


def sign_note(text: str, *, name: str, signing_key: SigningKey) -> SignedNote:
    """Return the text signed by an Ed25519 key under this name.

    Raises:
        EncodingError: the text or the name cannot be part of a note, or the key is not Ed25519.
    """
    _verify_text(text)  # nothing is signed that could not be published
    key = LogKey(name=name, public_key=signing_key.public_key)
    signature = NoteSignature(name=name, key_id=key.key_id, signature=signing_key.sign(text.encode()))
    return SignedNote(text=text, signatures=(signature,))


def verify_note(note: SignedNote, key: LogKey, *, allow_other_lines: bool = False) -> None:
    """The key has signed the text of this note.

    Args:
        note: the note.
        key: the key that must have signed.
        allow_other_lines: pass over lines of unknown keys. They are not covered by any signature, so a note
            that lets them pass can be spelled in many ways; evidence must not be.

    Raises:
        InvalidSignatureError: no line of this key, one that does not verify, or a line that is not allowed.
    """
    if not allow_other_lines and len(note.signatures) != 1:
        msg = f"expected the one signature by {key.name}, got {len(note.signatures)} lines"
        raise InvalidSignatureError(msg)
    verify_signature(note, key)


def verify_signature(note: SignedNote, key: LogKey) -> None:
    """The key has signed the text of this note, and every line that says so holds.

    Raises:
        InvalidSignatureError: no line of this key, or one that does not verify.
    """
    key_id = key.key_id
    own = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key_id)]
    if not own:
        msg = f"expected a signature by {key.name}+{key_id.hex()}, got none"
        raise InvalidSignatureError(msg, culprits=(key.name,))
    for line in own:
        _verify_line(line, key, note.text)


def decode_base64(text: str) -> bytes:
    """Return the bytes that standard base64 spells, in its one spelling (RFC 4648 section 4).

    Raises:
        EncodingError: another alphabet, missing padding, or bits set that no byte carries.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error, and text that is not ASCII
        msg = "expected standard base64"
        raise EncodingError(msg) from error
    if binascii.b2a_base64(data, newline=False).decode() != text:
        msg = "expected the one spelling of base64"
        raise EncodingError(msg)
    return data


def verify_utf8(text: str) -> None:
    """The text can be written as UTF-8, which a string parsed from JSON need not be.

    Raises:
        EncodingError: it holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"expected text that is valid Unicode, got half a character at offset {error.start}"
        raise EncodingError(msg) from error


def _verify_line(line: NoteSignature, key: LogKey, text: str) -> None:
    try:
        key.public_key.verify(text.encode(), line.signature)
    except InvalidSignatureError as error:
        msg = f"the signature by {key.name}+{key.key_id.hex()} does not verify"
        raise InvalidSignatureError(msg, culprits=(key.name,)) from error


def _verify_text(text: str) -> None:
    verify_utf8(text)
    if not text.endswith("\n") or _CONTROL.search(text):
        msg = "expected a note text that ends in a newline and holds no other control character"
        raise EncodingError(msg)


def verify_name(name: str) -> None:
    """The text can name a key in a note.

    Raises:
        EncodingError: empty, too long, or with a space, plus sign or control character.
    """
    verify_utf8(name)
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES:
        msg = f"expected a key name of 1 to {MAX_NAME_BYTES} bytes, got {len(name.encode())}"
        raise EncodingError(msg)
    if "+" in name or _CONTROL.search(name) or any(character.isspace() for character in name):
        msg = f"expected a key name without spaces and plus signs, got {name!r}"
        raise EncodingError(msg)


def _decode_utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        msg = f"expected UTF-8, got another byte at offset {error.start}"
        raise EncodingError(msg) from error
