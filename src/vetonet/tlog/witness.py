"""The rules of a witness, without I/O: which checkpoint it may cosign, and which never (C2SP tlog-witness).

A witness remembers, for each log that it knows, the newest checkpoint that it cosigned, and cosigns another
only with a proof that the log has grown from there. Whatever the order of requests, all that an honest
witness ever cosigned of one log is one history. ``judge_checkpoint`` is the whole of it; the driver
(``vetonet.party.witness``) makes the effects durable before it signs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from vetonet.crypto.merkle import verify_consistency
from vetonet.errors import EncodingError, EquivocationError, InvalidSignatureError, ProofError, RefusedError
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote, verify_signature

_PARTS_OF_A_CONFLICT: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two checkpoints of one log that a witness could not fit into one history; both are signed by the log.

    With equal sizes the two alone are evidence. Else the proof that came with the second may make it so:
    ``vetonet.tlog.fork.build_fork_evidence`` tells.

    Attributes:
        known: the newest that the witness had cosigned.
        request: what it was then asked to cosign, and with which proof.
    """

    known: SignedCheckpoint
    request: AddCheckpoint

    @property
    def offered(self) -> SignedCheckpoint:
        """The second checkpoint."""
        return self.request.signed

    @property
    def is_split_view(self) -> bool:
        """Whether the two alone prove that the log lied: one size, two roots."""
        known, offered = self.known.checkpoint, self.offered.checkpoint
        is_one_place = (known.origin, known.tree_size) == (offered.origin, offered.tree_size)
        return is_one_place and known.root_hash != offered.root_hash

    def to_bytes(self) -> bytes:
        """Return the known checkpoint, an empty line, and the request."""
        return self.known.to_bytes() + b"\n" + self.request.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Conflict:
        """Return what the bytes spell; no signature is verified.

        Raises:
            EncodingError, ProofError: not a checkpoint and a request in their one spelling.
        """
        parts = data.split(b"\n\n", 2)  # neither a checkpoint nor a signature line is empty
        if len(parts) != _PARTS_OF_A_CONFLICT:
            msg = "expected a signed checkpoint, an empty line and a request"
            raise EncodingError(msg)
        known = SignedCheckpoint.from_bytes(b"\n\n".join(parts[:2]) + b"\n")
        return cls(known=known, request=AddCheckpoint.from_bytes(parts[2]))


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

    def __init__(self, message: str, *, culprit: str | None, conflict: Conflict | None = None) -> None:
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

        They are not verified: ``parse_cosignatures`` reads them, and whoever relies on them verifies them.

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
    """Return the state after a request that may be granted, so that it may be cosigned (VN-11.7).

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


def trust_by_name(keys: Iterable[LogKey]) -> dict[str, tuple[LogKey, ...]]:
    """Return the keys that are trusted for each origin, where the name of a key is its log's origin."""
    logs: dict[str, tuple[LogKey, ...]] = {}
    for key in keys:
        logs[key.name] = (*logs.get(key.name, ()), key)
    return logs


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
    """The old size is that of the newest checkpoint; a second root is kept even where the size is stale."""
    known_size = 0 if known is None else known.checkpoint.tree_size
    if request.old_size == known_size:
        return
    conflict = None if known is None else Conflict(known=known, request=request)
    msg = (
        f"log {request.signed.checkpoint.origin!r}: expected the old size {known_size} of the newest "
        f"checkpoint that was cosigned, got {request.old_size}"
    )
    proof = conflict if conflict is not None and conflict.is_split_view else None
    raise StaleCheckpointError(msg, known_size=known_size, conflict=proof)


def _verify_same_root(request: AddCheckpoint, known: SignedCheckpoint | None) -> None:
    if known is None:
        return
    conflict = Conflict(known=known, request=request)
    if conflict.is_split_view:
        seen, offered = known.checkpoint, request.signed.checkpoint
        msg = (
            f"log {offered.origin!r} signed two roots for size {offered.tree_size}: expected "
            f"{seen.root_hash.hex()}, got {offered.root_hash.hex()}"
        )
        raise SplitViewError(msg, culprit=offered.origin, conflict=conflict)


def _verify_growth(request: AddCheckpoint, known: SignedCheckpoint | None) -> None:
    """The offered tree extends the known one; from no leaves every tree grows, and the proof is empty."""
    offered = request.signed.checkpoint
    conflict = None
    try:
        if known is None or request.old_size == 0:
            _verify_no_proof(request)
        else:
            conflict = Conflict(known=known, request=request)
            _verify_extends(known.checkpoint, request)
    except ProofError as error:
        msg = (
            f"log {offered.origin!r}: the consistency proof from size {request.old_size} to "
            f"{offered.tree_size} does not verify: {error}"
        )
        raise UnprovenCheckpointError(msg, conflict=conflict) from error


def _verify_extends(known: Checkpoint, request: AddCheckpoint) -> None:
    offered = request.signed.checkpoint
    verify_consistency(
        old_size=known.tree_size,
        old_root=known.root_hash,
        new_size=offered.tree_size,
        new_root=offered.root_hash,
        proof=request.proof,
    )


def _verify_no_proof(request: AddCheckpoint) -> None:
    if request.proof:
        msg = f"expected no hashes from size 0, got {len(request.proof)}"
        raise ProofError(msg)
