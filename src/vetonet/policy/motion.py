"""Motions: what a party asks the others to decide besides runs, and what the quorum signs of it (VN-5.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, bstr, member, one_of, tstr, uint
from vetonet.errors import RefusedError
from vetonet.policy.action import IMPOSSIBLE, REQUIRED, ActionClass
from vetonet.policy.consent import open_decided
from vetonet.policy.licence import LEAF_INDICES, MAX_LEAF_INDEX
from vetonet.policy.proposal import verify_treaty_reference
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS, MS_PER_S, Milliseconds

MOVABLE: Final = tuple(action for action in ActionClass if action not in {*REQUIRED, *IMPOSSIBLE})
"""Runs are proposed by operators and leases follow from licences; a party moves what else can be decided."""

SUSPENDING: Final = frozenset({ActionClass.EMERGENCY_SUSPENSION, ActionClass.SUSPENSION_CONFIRMATION})
"""What stops a run that holds a licence; the subject is its proposal."""

AMENDING: Final = frozenset({ActionClass.AMEND_RULES, ActionClass.ROSTER_CHANGE})
"""What puts another treaty in force; the subject is that treaty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion(Statement):
    """What a party wants decided.

    Attributes:
        mover: the party; the signature must be its own.
        action: which class of action it is, and so whose consent it takes.
        subject_digest: what it is about: the proposal of the licence to stop, the treaty to put in force, the
            firmware or the reference values to approve.
        opens_ms, closes_ms: the voting window.
        ends_ms: when what is decided lapses.
        text: for people, or None.
        serial: makes two otherwise equal motions different.
    """

    TYPE: ClassVar[str] = "motion"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    mover: str = member(3, tstr(64))
    action: ActionClass = member(4, one_of(ActionClass))
    subject_digest: bytes = member(5, DIGEST)
    opens_ms: int = member(6, uint(MAX_TIME_MS))
    closes_ms: int = member(7, uint(MAX_TIME_MS))
    ends_ms: int = member(8, uint(MAX_TIME_MS))
    text: str | None = member(9, tstr(512), optional=True)
    serial: bytes = member(10, bstr(16))

    def __post_init__(self) -> None:
        """Refuse what nobody can move, and times out of order (VN-5.6)."""
        if self.action not in MOVABLE:
            raise ValueError(f"expected an action that a party can move, got {self.action}")
        if not self.opens_ms < self.closes_ms < self.ends_ms:
            got = f"{self.opens_ms}, {self.closes_ms}, {self.ends_ms}"
            raise ValueError(f"expected opens < closes < ends in ms, got {got}")
        if self.closes_ms % MS_PER_S:
            raise ValueError("expected the vote to close on a whole second, as witnesses state time")

    def is_open_at(self, now: Milliseconds) -> bool:
        """Whether the voting window is open at ``now``."""
        return self.opens_ms <= now < self.closes_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution(Statement):
    """What the quorum of a class of action decided; every field follows from the log (VN-7.1)."""

    TYPE: ClassVar[str] = "resolution"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    action: ActionClass = member(3, one_of(ActionClass))
    motion_digest: bytes = member(4, DIGEST)
    motion_leaf_index: int = member(5, uint(MAX_LEAF_INDEX))
    ballot_leaf_indices: tuple[int, ...] = member(6, LEAF_INDICES)
    subject_digest: bytes = member(7, DIGEST)
    issued_ms: int = member(8, uint(MAX_TIME_MS))
    ends_ms: int = member(9, uint(MAX_TIME_MS))

    def __post_init__(self) -> None:
        """Refuse what could not have been derived: order of times and of leaves."""
        indices = self.ballot_leaf_indices
        if list(indices) != sorted(set(indices)) or self.motion_leaf_index >= min(indices, default=0):
            raise ValueError("expected the motion before its ballots, and their leaf indices to rise")
        if self.action not in MOVABLE or self.issued_ms >= self.ends_ms:
            raise ValueError("expected an action that a party can move, and an end after the issue")


def open_motion(data: bytes, treaty: Signed[Treaty]) -> Signed[Motion]:
    """Return a motion that a party of this treaty signed and that this treaty can decide (VN-5.6).

    Raises:
        EncodingError: not a motion.
        UnknownPartyError: no party of the treaty signed it.
        EpochError: it names another treaty or epoch.
        RefusedError: nobody can decide it, it lasts longer than the treaty allows, or signs for another.
    """
    terms = treaty.statement
    signed = open_statement(data, Motion, terms.party_keys)
    verify_treaty_reference(signed.statement, treaty)
    motion, signer_id = signed.statement, terms.find_party(signed.signer).party_id
    if motion.mover != signer_id:
        raise RefusedError(
            f"a motion of {motion.mover!r} signed by {signer_id!r}", culprit=signer_id, clause="VN-5.6"
        )
    terms.find_quorum(motion.action)
    window_ms = motion.closes_ms - motion.opens_ms
    if window_ms > terms.window_ms:
        msg = f"expected a voting window of at most {terms.window_ms} ms, got {window_ms} ms"
        raise RefusedError(msg, culprit=signer_id, clause="VN-5.3")
    lasting = motion.ends_ms - motion.closes_ms
    if motion.action is ActionClass.EMERGENCY_SUSPENSION and lasting > terms.suspension_ms:
        msg = f"a suspension of {lasting} ms, expected at most {terms.suspension_ms} unless it is confirmed"
        raise RefusedError(msg, culprit=signer_id, clause="VN-14.4")
    return signed


def derive_resolution(
    treaty: Signed[Treaty],
    motion: Signed[Motion],
    motion_leaf_index: int,
    ballot_leaf_indices: Sequence[int],
) -> Resolution:
    """Return the one resolution that an adopted motion gives; every signer derives it alone and compares."""
    asked = motion.statement
    return Resolution(
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        action=asked.action,
        motion_digest=motion.payload_digest,
        motion_leaf_index=motion_leaf_index,
        ballot_leaf_indices=tuple(sorted(ballot_leaf_indices)),
        subject_digest=asked.subject_digest,
        issued_ms=asked.closes_ms,
        ends_ms=asked.ends_ms,
    )


def open_resolution(data: bytes, treaty: Signed[Treaty], action: ActionClass) -> Signed[Resolution]:
    """Return a resolution that the quorum of its class of action signed under this treaty and epoch.

    Raises:
        EncodingError: not a resolution.
        UnknownPartyError: another group's.
        InvalidSignatureError: a threshold signature does not verify, or one that must be there is not.
        EpochError: it names another treaty or epoch.
        RefusedError: it is about another class of action, or one that nobody can decide.
    """
    signed = open_decided(data, Resolution, treaty.statement, action)
    verify_treaty_reference(signed.statement, treaty)
    if signed.statement.action is not action:
        raise RefusedError(f"a resolution on {signed.statement.action}, expected {action}", clause="VN-7.8")
    return signed
