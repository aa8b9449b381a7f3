"""Which checkpoints count: the log's key, its witnesses, and how many of them must have cosigned (VN-11.5).

The policy of a treaty's log follows from the treaty; that of anybody's log can be read from a C2SP
tlog-policy file (``vetonet.tlog.policy_file``). Everyone who relies on a checkpoint, be it a chip, a party, a
monitor or a verifier, holds it to a policy by ``verify_cosigned``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from vetonet.crypto.keys import PublicKey
from vetonet.errors import ConfigError, EncodingError, InvalidSignatureError, WitnessQuorumError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.cosignature import Cosignature, WitnessKey, verify_cosignature
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote, verify_signature
from vetonet.units import MS_PER_S, Milliseconds

MAX_WITNESSES: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessGroup:
    """A group witnesses a checkpoint when at least ``threshold`` of its members do.

    Attributes:
        threshold: k, 1 to the number of members.
        members: witnesses, or groups again; nobody twice, at whatever depth.
        witnesses: every witness of the group, at whatever depth, in order.
    """

    threshold: int
    members: tuple[GroupMember, ...]
    witnesses: tuple[WitnessKey, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty group, a threshold out of range, and a witness that would count twice."""
        if not 1 <= self.threshold <= len(self.members):
            msg = f"expected a threshold of 1 to {len(self.members)} members, got {self.threshold}"
            raise EncodingError(msg)
        witnesses = tuple(witness for member in self.members for witness in _flatten(member))
        object.__setattr__(self, "witnesses", witnesses)
        materials = [witness.material for witness in witnesses]
        if len(set(materials)) < len(materials):
            msg = "expected each witness key once in a quorum, got one twice"
            raise EncodingError(msg)

    def is_met(self, names: AbstractSet[WitnessKey]) -> bool:
        """Whether these witnesses make the group."""
        return sum(_is_met(member, names) for member in self.members) >= self.threshold


GroupMember: TypeAlias = WitnessKey | WitnessGroup


class LogTerms(Protocol):
    """What a treaty says of its log; ``vetonet.policy.treaty.Treaty`` is one."""

    @property
    def log_origin(self) -> str:
        """The identity of the log."""
        ...

    @property
    def log_key(self) -> PublicKey:
        """The key that signs its checkpoints."""
        ...

    @property
    def witnesses(self) -> Sequence[WitnessTerms]:
        """Who may cosign them."""
        ...

    @property
    def witness_quorum(self) -> int:
        """How many of them must."""
        ...


class WitnessTerms(Protocol):
    """A witness as a treaty names it."""

    @property
    def name(self) -> str:
        """The name of its signature lines."""
        ...

    @property
    def key(self) -> PublicKey:
        """Its Ed25519 key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """What makes a checkpoint count.

    Attributes:
        log_keys: the logs that count, by a key that signs each; the name of a key is its log's origin, and a
            log that changes its key may stand here with both.
        quorum: who must have cosigned, or None for a log that counts unwitnessed.
        witnesses: every witness whose lines may stand under a checkpoint, in the order in which they do.
    """

    log_keys: tuple[LogKey, ...]
    quorum: GroupMember | None
    witnesses: tuple[WitnessKey, ...] = ()
    _by_line: dict[tuple[str, bytes], WitnessKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse keys that stand twice, too many, and a quorum of witnesses that are not listed."""
        needed = () if self.quorum is None else _flatten(self.quorum)
        if not self.witnesses:
            object.__setattr__(self, "witnesses", needed)
        keys = [key.public_key.point for key in self.log_keys] + [key.material for key in self.witnesses]
        if len(set(keys)) < len(keys) or len(self.witnesses) > MAX_WITNESSES:
            msg = f"expected every key once and at most {MAX_WITNESSES} witnesses"
            raise EncodingError(msg)
        if not set(needed) <= set(self.witnesses):
            msg = "expected a quorum of witnesses that the policy lists"
            raise EncodingError(msg)
        by_line = {(witness.name, witness.key_id): witness for witness in self.witnesses}
        object.__setattr__(self, "_by_line", by_line)

    @classmethod
    def under(cls, terms: LogTerms) -> LogPolicy:
        """Return the policy that a treaty sets: ``witness_quorum`` of its witnesses.

        Raises:
            EncodingError: an origin or name that cannot stand in a note.
        """
        members = tuple(WitnessKey.of_ed25519(witness.name, witness.key) for witness in terms.witnesses)
        log_key = LogKey(name=terms.log_origin, public_key=terms.log_key)
        quorum = WitnessGroup(threshold=terms.witness_quorum, members=members)
        return cls(log_keys=(log_key,), quorum=quorum)

    @classmethod
    def unwitnessed(cls, log_key: LogKey) -> LogPolicy:
        """Return the policy that asks for the log's signature alone."""
        return cls(log_keys=(log_key,), quorum=None)

    @property
    def log_key(self) -> LogKey:
        """The key of the log, for a policy that names exactly one.

        Raises:
            ConfigError: it names none, or several.
        """
        if len(self.log_keys) != 1:
            msg = f"expected a policy with one log, got {len(self.log_keys)}"
            raise ConfigError(msg)
        return self.log_keys[0]

    def find_log(self, signed: SignedCheckpoint) -> LogKey:
        """Return the key that must have signed a checkpoint: one of its log's, if possible with a line there.

        Raises:
            InvalidSignatureError: the policy knows no such log.
        """
        origin = signed.checkpoint.origin
        keys = [key for key in self.log_keys if key.name == origin]
        lines = {(line.name, line.key_id) for line in signed.note.signatures}
        present = [key for key in keys if (key.name, key.key_id) in lines]
        if keys:
            return (present or keys)[0]
        known = ", ".join(repr(key.name) for key in self.log_keys[:4]) or "none"
        msg = f"expected a checkpoint of {known}, got one of {origin!r}"
        raise InvalidSignatureError(msg)

    def find_witness(self, line: NoteSignature) -> WitnessKey | None:
        """Return the witness that a signature line names, or None where the policy lists no such key."""
        return self._by_line.get((line.name, line.key_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedCheckpoint:
    """A checkpoint that its log signed and enough witnesses cosigned; only ``verify_cosigned`` makes one.

    Attributes:
        checkpoint: what the log commits to.
        cosignatures: the verified ones, in the order of the policy's witnesses.
        data: the note as received.
    """

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]
    data: bytes = field(repr=False)


def verify_cosigned(data: bytes, policy: LogPolicy, *, allow_other_lines: bool = False) -> CosignedCheckpoint:
    """Return a checkpoint that a log of the policy signed and its quorum of witnesses cosigned (VN-11.5).

    Args:
        data: a signed checkpoint, untrusted.
        policy: which log and which witnesses count.
        allow_other_lines: pass over lines of unknown keys, in whatever order, as C2SP asks of clients of
            anybody's log. Without it every line must be covered: the log's, then each witness's at most once
            in the order of the policy, so that evidence cannot be respelled by adding or moving lines.

    Raises:
        EncodingError: not a signed checkpoint in its one spelling.
        InvalidSignatureError: another log's, a line of a known key that does not verify, or one that is not
            allowed.
        WitnessQuorumError: too few witnesses cosigned.
    """
    signed = SignedCheckpoint.from_bytes(data)
    log_key = policy.find_log(signed)
    verify_signature(signed.note, log_key)
    known = [(line, policy.find_witness(line)) for line in signed.note.signatures]
    cosignatures = tuple(
        verify_cosignature(signed.checkpoint, line, witness) for line, witness in known if witness is not None
    )
    if not allow_other_lines:
        _verify_order(signed, log_key, [witness for _, witness in known[1:]], policy)
    _verify_quorum({cosignature.witness for cosignature in cosignatures}, policy)
    return CosignedCheckpoint(checkpoint=signed.checkpoint, cosignatures=cosignatures, data=data)


def assemble_cosigned(
    signed: SignedCheckpoint, lines: Iterable[NoteSignature], policy: LogPolicy
) -> CosignedCheckpoint:
    """Return the log's checkpoint with these witnesses' lines below it, in the one order.

    Args:
        signed: as the log signed it.
        lines: what witnesses answered; lines of unknown keys, bad ones and repetitions are left out.
        policy: whose witnesses count.

    Raises:
        InvalidSignatureError: the log's own signature does not hold.
        WitnessQuorumError: the good lines do not make the quorum.
    """
    good: dict[WitnessKey, NoteSignature] = {}
    for line in lines:
        witness = policy.find_witness(line)
        if witness is not None and is_cosignature(signed.checkpoint, line, witness):
            good.setdefault(witness, line)
    ordered = tuple(good[witness] for witness in policy.witnesses if witness in good)
    note = SignedNote(text=signed.note.text, signatures=(*signed.note.signatures, *ordered))
    return verify_cosigned(note.to_bytes(), policy)


def compute_witnessed_ms(cosigned: CosignedCheckpoint, policy: LogPolicy) -> Milliseconds:
    """Return the latest time since which a quorum of witnesses cosigned this; 0 where none is needed."""
    newest_first = sorted(cosigned.cosignatures, key=lambda line: line.timestamp_s, reverse=True)
    counted: set[WitnessKey] = set()
    for line in newest_first:
        counted.add(line.witness)
        if policy.quorum is not None and is_quorum(policy.quorum, counted):
            return line.timestamp_s * MS_PER_S
    return 0


def is_cosignature(checkpoint: Checkpoint, line: NoteSignature, witness: WitnessKey) -> bool:
    """Whether a line is this witness's cosignature of this checkpoint."""
    try:
        verify_cosignature(checkpoint, line, witness)
    except InvalidSignatureError:
        return False
    return True


def _verify_order(
    signed: SignedCheckpoint, log_key: LogKey, rest: list[WitnessKey | None], policy: LogPolicy
) -> None:
    """The log's line comes first, then known witnesses, in the order of the policy, each at most once."""
    first = signed.note.signatures[0]
    ranks = [policy.witnesses.index(witness) for witness in rest if witness is not None]
    is_first_the_logs = (first.name, first.key_id) == (log_key.name, log_key.key_id)
    if not is_first_the_logs or len(ranks) < len(rest) or ranks != sorted(set(ranks)):
        msg = (
            f"expected the signature of {log_key.name}, then lines of its witnesses alone, each at most once "
            "and in the order of the policy"
        )
        raise InvalidSignatureError(msg)


def _verify_quorum(cosigned: AbstractSet[WitnessKey], policy: LogPolicy) -> None:
    if is_quorum(policy.quorum, cosigned) or policy.quorum is None:
        return
    names = ", ".join(sorted(witness.name for witness in cosigned)) or "none"
    raise WitnessQuorumError(f"expected {describe_quorum(policy.quorum)}, got cosignatures of {names}")


def is_quorum(quorum: GroupMember | None, witnesses: AbstractSet[WitnessKey]) -> bool:
    """Whether these witnesses are enough."""
    return quorum is None or _is_met(quorum, witnesses)


def describe_quorum(quorum: GroupMember) -> str:
    """Return in a few words who must cosign."""
    if isinstance(quorum, WitnessKey):
        return f"a cosignature of {quorum.name}"
    if all(isinstance(member, WitnessKey) for member in quorum.members):
        return f"cosignatures of {quorum.threshold} of {len(quorum.members)} witnesses"
    return f"{quorum.threshold} of {len(quorum.members)} groups of witnesses"


def _flatten(member: GroupMember) -> tuple[WitnessKey, ...]:
    return (member,) if isinstance(member, WitnessKey) else member.witnesses


def _is_met(member: GroupMember, names: AbstractSet[WitnessKey]) -> bool:
    return member in names if isinstance(member, WitnessKey) else member.is_met(names)
