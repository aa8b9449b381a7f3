"""What is asked of a witness and what it answers, byte for byte (C2SP tlog-witness, ``add-checkpoint``)."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.merkle import EMPTY_ROOT_HASH, HASH_BYTES, MAX_TREE_SIZE
from vetonet.errors import EncodingError, ProofError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.note import MAX_NOTE_BYTES, NoteSignature, SignedNote, decode_base64

MAX_PROOF_LINES: Final = 63
"""A client sends no more; the depth of the largest tree."""

MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 8 * 1024
"""A note and the longest proof, of 63 lines with 45 bytes each."""

MAX_RESPONSE_BYTES: Final = MAX_NOTE_BYTES

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
"""Of an answer that tells the size of the newest checkpoint that was cosigned."""

_OLD: Final = "old "
_MAX_DIGITS: Final = len(str(MAX_TREE_SIZE))
_MIN_LINES: Final = 3  # of a checkpoint: origin, size, root


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """What a witness is asked: to cosign a checkpoint that grew from one it cosigned before.

    Attributes:
        old_size: the size of the newest checkpoint that the witness is thought to have cosigned, or 0.
        signed: the checkpoint, its signatures not verified yet.
        proof: the hashes of the consistency proof from the old size to the checkpoint's, lowest first.
    """

    old_size: int
    signed: SignedCheckpoint
    proof: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an old size above the checkpoint's, too many hashes and what is no hash."""
        if not 0 <= self.old_size <= self.signed.checkpoint.tree_size:
            msg = f"expected an old size of 0 to {self.signed.checkpoint.tree_size}, got {self.old_size}"
            raise EncodingError(msg)
        if len(self.proof) > MAX_PROOF_LINES or any(len(value) != HASH_BYTES for value in self.proof):
            msg = f"expected at most {MAX_PROOF_LINES} proof lines with a hash of {HASH_BYTES} bytes each"
            raise EncodingError(msg)

    def to_bytes(self) -> bytes:
        """Return the body of the request."""
        hashes = "".join(f"{b64encode(value).decode()}\n" for value in self.proof)
        return f"{_OLD}{self.old_size}\n{hashes}\n".encode() + self.signed.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> AddCheckpoint:
        """Return the request that an untrusted body spells; no signature in it is verified.

        Raises:
            EncodingError: oversize, no request, or not spelled in the one accepted way.
            ProofError: an otherwise well-formed checkpoint gives a tree without leaves another root than the
                hash of nothing.
        """
        if len(data) > MAX_REQUEST_BYTES:
            msg = f"expected a request of at most {MAX_REQUEST_BYTES} bytes, got {len(data)}"
            raise EncodingError(msg)
        head, separator, note = data.partition(b"\n\n")
        if not separator:
            msg = "expected an old size, proof lines, an empty line and a signed checkpoint"
            raise EncodingError(msg)
        old_size, proof = _parse_head(head)
        return cls(old_size=old_size, proof=proof, signed=_parse_checkpoint(SignedNote.from_bytes(note)))


def parse_known_size(data: bytes) -> int:
    """Return the size that a witness told as that of the newest checkpoint it cosigned.

    Raises:
        EncodingError: anything but one line with a tree size.
    """
    text = data.decode("ascii", "replace")
    if not text.endswith("\n"):
        msg = f"expected a tree size and a newline, got {text[:_MAX_DIGITS]!r}"
        raise EncodingError(msg)
    return _parse_size(text.removesuffix("\n"))


def parse_cosignatures(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines that a witness answered, none of them verified.

    Raises:
        EncodingError: oversize, or anything but one or more lines in their one spelling.
    """
    if len(data) > MAX_RESPONSE_BYTES:
        msg = f"expected signature lines of at most {MAX_RESPONSE_BYTES} bytes, got {len(data)}"
        raise EncodingError(msg)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        msg = f"expected signature lines in UTF-8, got another byte at offset {error.start}"
        raise EncodingError(msg) from error
    if not text.endswith("\n"):
        msg = "expected signature lines, each ended by a newline"
        raise EncodingError(msg)
    return tuple(NoteSignature.from_line(line) for line in text.removesuffix("\n").split("\n"))


def _parse_head(head: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Return the old size and the proof that the lines before the empty one spell."""
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        msg = f"expected an old size and proof lines in ASCII, got another byte at offset {error.start}"
        raise EncodingError(msg) from error
    if len(lines) > MAX_PROOF_LINES:
        msg = f"expected at most {MAX_PROOF_LINES} proof lines, got {len(lines)}"
        raise EncodingError(msg)
    return _parse_old_size(first), tuple(decode_base64(line) for line in lines)


def _parse_old_size(line: str) -> int:
    if not line.startswith(_OLD):
        msg = f"expected a line that begins with old and a space, got {line[:_MAX_DIGITS]!r}"
        raise EncodingError(msg)
    return _parse_size(line.removeprefix(_OLD))


def _parse_size(digits: str) -> int:
    is_decimal = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    if not is_decimal or str(int(digits)) != digits or int(digits) > MAX_TREE_SIZE:
        msg = f"expected a tree size in decimal digits, got {digits[:_MAX_DIGITS]!r}"
        raise EncodingError(msg)
    return int(digits)


def _parse_checkpoint(note: SignedNote) -> SignedCheckpoint:
    """Return the checkpoint; a wrong root of the empty tree is not a fault of spelling but of proof."""
    try:
        return SignedCheckpoint(note=note)
    except EncodingError as error:
        if not _has_false_empty_root(note.text):
            raise
        msg = "the root of a tree without leaves is the hash of nothing, got another"
        raise ProofError(msg) from error


def _has_false_empty_root(text: str) -> bool:
    lines = text.split("\n")
    if len(lines) < _MIN_LINES or lines[1] != "0":
        return False
    try:
        is_hash = len(decode_base64(lines[2])) == HASH_BYTES
        lines[2] = b64encode(EMPTY_ROOT_HASH).decode()
        Checkpoint.from_text("\n".join(lines))
    except EncodingError:
        return False
    return is_hash
