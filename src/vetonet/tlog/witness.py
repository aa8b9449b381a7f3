"""The rules of a witness, without I/O: which checkpoint it may cosign, and which never (C2SP tlog-witness).

A witness remembers, for each log that it knows, the newest checkpoint that it cosigned, and cosigns another
only with a proof that the log has grown from there. Whatever the order of requests, all that an honest
witness ever cosigned of one log is one history. ``judge_checkpoint`` is the whole of it; the driver
(``vetonet.party.witness``) makes the effects durable before it signs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from vetonet.crypto.merkle import EMPTY_ROOT_HASH, HASH_BYTES, MAX_TREE_SIZE, verify_consistency
from vetonet.errors import EncodingError, EquivocationError, InvalidSignatureError, ProofError, RefusedError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.note import (
    MAX_NOTE_BYTES,
    LogKey,
    NoteSignature,
    SignedNote,
    decode_base64,
    verify_signature,
)

MAX_PROOF_LINES: Final = 63
"""A client sends no more; the depth of the largest tree."""

MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 8 * 1024
"""A note and the longest proof, of 63 lines with 45 bytes each."""

MAX_RESPONSE_BYTES: Final = MAX_NOTE_BYTES
_OLD: Final = "old "
_MAX_DIGITS: Final = len(str(MAX_TREE_SIZE))
_PARTS_OF_A_CONFLICT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two checkpoints of one log that a witness could not fit into one history; both are signed by the log.

    Attributes:
        known: the newest that the witness had cosigned.
        offered: what it was then asked to cosign.
    """

    known: SignedCheckpoint
    offered: SignedCheckpoint

    @property
    def is_split_view(self) -> bool:
        """Whether the two alone prove that the log lied: one size, two roots."""
        known, offered = self.known.checkpoint, self.offered.checkpoint
        is_one_place = (known.origin, known.tree_size) == (offered.origin, offered.tree_size)
        return is_one_place and known.root_hash != offered.root_hash

    def to_bytes(self) -> bytes:
        """Return both signed checkpoints with an empty line between them."""
        return self.known.to_bytes() + b"\n" + self.offered.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Conflict:
        """Return the two checkpoints that the bytes spell; their signatures are not verified.

        Raises:
            EncodingError: not two signed checkpoints in their one spelling.
        """
        parts = data.split(b"\n\n")  # neither a checkpoint nor a signature line is empty
        if len(parts) != _PARTS_OF_A_CONFLICT:
            msg = "expected two signed checkpoints with an empty line between them"
            raise EncodingError(msg)
        known = SignedCheckpoint.from_bytes(b"\n\n".join(parts[:2]) + b"\n")
        return cls(known=known, offered=SignedCheckpoint.from_bytes(b"\n\n".join(parts[2:])))


class UnknownLogError(RefusedError):
    """The witness does not know the log of this origin."""

    reason = "unknown-log"


class StaleCheckpointError(RefusedError):
    """The request starts from another checkpoint than the newest that the witness cosigned.

    Attributes:
        known_size: the size of the newest one, 0 where there is none; a proof from there may succeed.
        conflict: the two checkpoints, where they cannot both be of one tree, or None.
    """

    reason = "stale-checkpoint"

    def __init__(self, message: str, *, known_size: int, conflict: Conflict | None = None) -> None:
        super().__init__(message)
        self.known_size: Final = known_size
        self.conflict: Final = conflict


class SplitViewError(EquivocationError):
    """The log has signed another root for the size of the newest checkpoint.

    Attributes:
        conflict: the proof, or None where only the witness at the other end has it.
    """

    reason = "split-view"

    def __init__(self, message: str, *, culprit: str, conflict: Conflict | None = None) -> None:
        super().__init__(message, culprit=culprit)
        self.conflict: Final = conflict


class UnprovenCheckpointError(ProofError):
    """The consistency proof does not lead from the newest checkpoint to the one offered.

    Anybody can send a wrong proof, so this alone accuses nobody.

    Attributes:
        conflict: the two checkpoints, for whoever looks into it, or None where there was no earlier one.
    """

    reason = "unproven-checkpoint"

    def __init__(self, message: str, *, conflict: Conflict | None = None) -> None:
        super().__init__(message)
        self.conflict: Final = conflict


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """What a witness knows: the logs that it follows, and how far it has followed each.

    Attributes:
        logs: the keys that are trusted for each origin; one of them must have signed.
        newest: the newest checkpoint that was cosigned of each log, as it was signed.
    """

    logs: Mapping[str, tuple[LogKey, ...]]
    newest: Mapping[str, SignedCheckpoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take copies that nobody changes.

        Raises:
            ValueError: a log without a key.
        """
        if not all(self.logs.values()):
            raise ValueError("a log that a witness follows has at least one key")
        object.__setattr__(self, "logs", MappingProxyType(dict(self.logs)))
        object.__setattr__(self, "newest", MappingProxyType(dict(self.newest)))

    def find_keys(self, origin: str) -> tuple[LogKey, ...]:
        """Return the keys that are trusted for a log.

        Raises:
            UnknownLogError: the witness does not follow it.
        """
        keys = self.logs.get(origin)
        if keys is None:
            msg = f"unknown log: expected one of {len(self.logs)} known origins, got {origin!r}"
            raise UnknownLogError(msg)
        return keys


Outcome: TypeAlias = tuple[WitnessState, tuple[AddCheckpoint, ...]]
"""The next state, and the requests that a driver makes durable before that state counts or it signs."""


class WitnessPort(Protocol):
    """A witness as whoever needs its word sees it: in this process, or over HTTP."""

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        """Return the witness's signature lines over the checkpoint, each ended by a newline.

        They are not verified: ``parse_cosignatures`` reads them, and the witness's key must hold for them.

        Raises:
            StaleCheckpointError: it cosigned another size last, and says which.
            SplitViewError: it cosigned another root of this size.
            UnprovenCheckpointError: the consistency proof does not verify.
            UnknownLogError, InvalidSignatureError, EncodingError: it knows no such log, or no key of its
                that signed, or cannot read the request.
            VetonetError: it cannot be reached, cannot keep what it would sign, or answers nonsense.
        """
        ...


def judge_checkpoint(state: WitnessState, request: AddCheckpoint) -> Outcome:
    """Return the state after a request that may be granted; the checkpoint may then be cosigned.

    What is returned to be kept has lost the lines of unknown keys: nobody can fill a witness with them. The
    newest checkpoint again asks for nothing to be kept, and gets a cosignature with a new time.

    Raises:
        UnknownLogError: a log that the witness does not follow.
        InvalidSignatureError: no trusted key of the log signed, or a line of one does not verify.
        StaleCheckpointError: the old size is not that of the newest checkpoint.
        SplitViewError: the newest checkpoint again, with another root.
        UnprovenCheckpointError: the proof does not verify.
    """
    offered = request.signed.checkpoint
    trusted = _keep_trusted(request.signed.note, state.find_keys(offered.origin))
    accepted = replace(request, signed=SignedCheckpoint(note=trusted))
    known = state.newest.get(offered.origin)
    _verify_old_size(accepted, known)
    _verify_same_root(accepted, known)
    _verify_growth(accepted, known)
    if known is not None and known.checkpoint.tree_size == offered.tree_size:
        return state, ()
    return replace(state, newest={**state.newest, offered.origin: accepted.signed}), (accepted,)


def parse_cosignatures(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines that a witness answered, none of them verified.

    Raises:
        EncodingError: oversize, or anything but lines in their one spelling.
    """
    if len(data) > MAX_RESPONSE_BYTES:
        msg = f"expected signature lines of at most {MAX_RESPONSE_BYTES} bytes, got {len(data)}"
        raise EncodingError(msg)
    note = SignedNote.from_bytes(b"\n\n" + data)
    return note.signatures


def _keep_trusted(note: SignedNote, keys: tuple[LogKey, ...]) -> SignedNote:
    """Return the note with the first line of each trusted key that has one; every such line verifies."""
    lines: list[NoteSignature] = []
    for key in keys:
        own = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if own:
            verify_signature(note, key)
            lines.append(own[0])
    if not lines:
        names = ", ".join(f"{key.name}+{key.key_id.hex()}" for key in keys)
        msg = f"no signature by a trusted key of the log: expected one of {names}"
        raise InvalidSignatureError(msg)
    return SignedNote(text=note.text, signatures=tuple(lines))


def _verify_old_size(request: AddCheckpoint, known: SignedCheckpoint | None) -> None:
    known_size = 0 if known is None else known.checkpoint.tree_size
    if request.old_size == known_size:
        return
    origin = request.signed.checkpoint.origin
    conflict = None if known is None else Conflict(known=known, offered=request.signed)
    msg = f"log {origin!r}: expected the old size {known_size} of the newest cosigned, got {request.old_size}"
    raise StaleCheckpointError(
        msg,
        known_size=known_size,
        conflict=conflict if conflict is not None and conflict.is_split_view else None,
    )


def _verify_same_root(request: AddCheckpoint, known: SignedCheckpoint | None) -> None:
    if known is None:
        return
    conflict = Conflict(known=known, offered=request.signed)
    if conflict.is_split_view:
        seen, offered = known.checkpoint, request.signed.checkpoint
        msg = (
            f"log {offered.origin!r} signed two roots for size {offered.tree_size}: expected "
            f"{seen.root_hash.hex()}, got {offered.root_hash.hex()}"
        )
        raise SplitViewError(msg, culprit=offered.origin, conflict=conflict)


def _verify_growth(request: AddCheckpoint, known: SignedCheckpoint | None) -> None:
    """From no leaves every tree grows, so there the proof is empty; ``verify_consistency`` has no such case."""
    offered = request.signed.checkpoint
    old = known.checkpoint if known is not None else None
    try:
        if request.old_size == 0:
            _verify_no_proof(request)
        else:
            verify_consistency(
                old_size=request.old_size,
                old_root=old.root_hash if old is not None else EMPTY_ROOT_HASH,
                new_size=offered.tree_size,
                new_root=offered.root_hash,
                proof=request.proof,
            )
    except ProofError as error:
        msg = (
            f"log {offered.origin!r}: the consistency proof from size {request.old_size} to "
            f"{offered.tree_size} does not verify: {error}"
        )
        conflict = None if known is None else Conflict(known=known, offered=request.signed)
        raise UnprovenCheckpointError(msg, conflict=conflict) from error


def _verify_no_proof(request: AddCheckpoint) -> None:
    if request.proof:
        msg = f"expected no hashes from size 0, got {len(request.proof)}"
        raise ProofError(msg)


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
    digits = line.removeprefix(_OLD)
    is_decimal = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    if not line.startswith(_OLD) or not is_decimal or str(int(digits)) != digits:
        msg = f"expected a line with old and a size in decimal digits, got {line[:32]!r}"
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
    if len(lines) < 3 or lines[1] != "0":  # noqa: PLR2004  (origin, size, root)
        return False
    try:
        is_hash = len(decode_base64(lines[2])) == HASH_BYTES
        lines[2] = b64encode(EMPTY_ROOT_HASH).decode()
        Checkpoint.from_text("\n".join(lines))
    except EncodingError:
        return False
    return is_hash
