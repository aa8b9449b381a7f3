"""Checkpoints: the signed size and root of a log, as C2SP tlog-checkpoint spells them (VN-11.1)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import EMPTY_ROOT_HASH, HASH_BYTES, MAX_TREE_SIZE
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.note import LogKey, SignedNote, decode_base64, sign_note, verify_note, verify_utf8

MAX_ORIGIN_BYTES: Final = 255
_LINES: Final = 3
_MAX_DIGITS: Final = len(str(MAX_TREE_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log commits to: that its first ``tree_size`` leaves have this root.

    Attributes:
        origin: the identity of the log.
        tree_size: number of leaves.
        root_hash: root of the Merkle tree over them.
        extensions: opaque further lines of other people's logs; ours write none.
    """

    origin: str
    tree_size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be spelled, and a root of the empty tree that is not the hash of nothing."""
        verify_utf8("".join((self.origin, *self.extensions)))
        if not 1 <= len(self.origin.encode()) <= MAX_ORIGIN_BYTES:
            msg = f"expected an origin of 1 to {MAX_ORIGIN_BYTES} bytes, got {len(self.origin.encode())}"
            raise EncodingError(msg)
        if not all(line and min(line) >= " " for line in (self.origin, *self.extensions)):
            msg = "expected checkpoint lines that are not empty and hold no control characters"
            raise EncodingError(msg)
        if not 0 <= self.tree_size <= MAX_TREE_SIZE:
            msg = f"expected a tree size of 0 to {MAX_TREE_SIZE}, got {self.tree_size}"
            raise EncodingError(msg)
        if len(self.root_hash) != HASH_BYTES:
            msg = f"expected a root hash of {HASH_BYTES} bytes, got {len(self.root_hash)}"
            raise EncodingError(msg)
        if self.tree_size == 0 and self.root_hash != EMPTY_ROOT_HASH:
            msg = f"expected the root hash of the empty tree, got {self.root_hash.hex()}"
            raise EncodingError(msg)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: how a report names the newest checkpoint that its chip had seen."""
        return hashlib.sha256(self.to_text().encode()).digest()

    def to_text(self) -> str:
        """Return the note text that a log or witness signs."""
        lines = (self.origin, str(self.tree_size), b64encode(self.root_hash).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Return the checkpoint that a note text spells.

        Raises:
            EncodingError: it spells none, or not in the one accepted way.
        """
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < _LINES:
            msg = f"expected a checkpoint of at least {_LINES} lines, got {len(lines)}"
            raise EncodingError(msg)
        origin, size, root, *extensions = lines
        checkpoint = cls(
            origin=origin,
            tree_size=parse_decimal(size, what="tree size"),
            root_hash=decode_base64(root),
            extensions=tuple(extensions),
        )
        if checkpoint.to_text() != text:
            msg = "the checkpoint is not spelled in the one accepted way"
            raise EncodingError(msg)
        return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A note whose text is a checkpoint; its signatures are not verified yet.

    Attributes:
        note: the note.
        checkpoint: what its text says.
    """

    note: SignedNote
    checkpoint: Checkpoint = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a note with another text."""
        object.__setattr__(self, "checkpoint", Checkpoint.from_text(self.note.text))

    def to_bytes(self) -> bytes:
        """Return the one spelling of this signed checkpoint."""
        return self.note.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedCheckpoint:
        """Return the signed checkpoint that untrusted bytes spell.

        Raises:
            EncodingError: oversize, no checkpoint, or not spelled in the one accepted way.
        """
        return cls(note=SignedNote.from_bytes(data))


def sign_checkpoint(checkpoint: Checkpoint, signing_key: SigningKey) -> SignedCheckpoint:
    """Return the checkpoint signed by the log's Ed25519 key under the log's origin.

    Raises:
        EncodingError: the origin cannot be a key name, or the key is not Ed25519.
    """
    return SignedCheckpoint(
        note=sign_note(checkpoint.to_text(), name=checkpoint.origin, signing_key=signing_key)
    )


def verify_checkpoint(
    data: bytes, log_key: LogKey, *, origin: str | None = None, allow_other_lines: bool = False
) -> Checkpoint:
    """Return the checkpoint that the log has signed.

    Args:
        data: a signed checkpoint.
        log_key: the key of the log.
        origin: the identity of the log, where it is not the name of its key.
        allow_other_lines: pass over lines of unknown keys, such as witnesses, as C2SP asks of clients.
            Nothing covers those lines, so whatever must have one spelling refuses them.

    Raises:
        EncodingError: the bytes are not a signed checkpoint in its one spelling.
        InvalidSignatureError: another log's checkpoint, or one that this key did not sign.
    """
    signed = SignedCheckpoint.from_bytes(data)
    expected = log_key.name if origin is None else origin
    if signed.checkpoint.origin != expected:
        msg = f"expected a checkpoint of {expected!r}, got one of {signed.checkpoint.origin!r}"
        raise InvalidSignatureError(msg)
    verify_note(signed.note, log_key, allow_other_lines=allow_other_lines)
    return signed.checkpoint


def parse_decimal(text: str, *, what: str) -> int:
    """Return the number that decimal digits spell; whether there are leading zeros is for the caller to see.

    Raises:
        EncodingError: other characters, or more digits than the size of a tree can have.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        msg = f"expected a {what} in decimal digits, got {text[:_MAX_DIGITS]!r}"
        raise EncodingError(msg)
    return int(text)
