"""Revocation lists: which of its chips a maker no longer vouches for, and until when it says so (VN-17.3).

A list holds every chip that the maker ever revoked, so the newest one says all, also to somebody without the
log. It ends: without a current list nobody knows that a chip is *not* revoked, and doubt means no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from vetonet.attestation.report import UEID_BYTES
from vetonet.attestation.trust_anchors import Maker, MakerStatement, open_by_maker
from vetonet.crypto.statement import Keys, Signed, open_statement
from vetonet.encoding.record import Record, bstr, many, member, one_of, record, uint
from vetonet.errors import EquivocationError, RefusedError
from vetonet.units import MAX_TIME_MS, MS_PER_HOUR, Milliseconds

MAX_LIST_AGE_MS: Final = 90 * 24 * MS_PER_HOUR
"""How long a list may count: as often as registers are renewed (MIRI draft treaty, article V)."""
MAX_ENTRIES: Final = 1024


class RevocationReason(StrEnum):
    """Why a maker no longer vouches for a chip."""

    KEY_EXPOSED = "key-exposed"
    CLONED = "cloned"
    TAMPERED = "tampered"
    DEFECTIVE = "defective"
    LOST = "lost"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedDevice(Record):
    """One chip that its maker no longer vouches for."""

    ueid: bytes = member(1, bstr(UEID_BYTES))
    reason: RevocationReason = member(2, one_of(RevocationReason))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList(MakerStatement):
    """All chips that a maker ever revoked, none included; signed by its root key.

    Attributes:
        number: 1 for its first list, then one more each time.
        issued_ms: from when on it counts.
        expires_ms: until when, the end excluded; without a later list nothing of this maker counts then.
        entries: the chips, by rising ueid.
    """

    TYPE: ClassVar[str] = "revocation-list"
    MAX_BYTES: ClassVar[int] = 2**16 - 1  # what fits into one leaf

    number: int = member(2, uint(2**32))
    issued_ms: int = member(3, uint(MAX_TIME_MS))
    expires_ms: int = member(4, uint(MAX_TIME_MS))
    entries: tuple[RevokedDevice, ...] = member(5, many(record(RevokedDevice), maximum=MAX_ENTRIES))

    def __post_init__(self) -> None:
        """Refuse number 0, a life that is empty or too long, and chips out of order or twice."""
        if self.number < 1 or not 0 < self.expires_ms - self.issued_ms <= MAX_LIST_AGE_MS:
            raise ValueError("expected a number from 1 and a life of at most 90 days")
        ueids = [entry.ueid for entry in self.entries]
        if ueids != sorted(set(ueids)):
            raise ValueError("expected each chip once, by rising ueid")

    def find_reason(self, ueid: bytes) -> RevocationReason | None:
        """Return why a chip is revoked, or None where it is not."""
        return next((entry.reason for entry in self.entries if entry.ueid == ueid), None)

    def is_current(self, now: Milliseconds) -> bool:
        """Whether it counts at this time."""
        return self.issued_ms <= now < self.expires_ms


def open_revocation_list(data: bytes, root_keys: Keys) -> Signed[RevocationList]:
    """Return a list that one of these root keys signed.

    Raises:
        EncodingError: not a revocation list.
        UnknownPartyError: none of these keys signed it.
        InvalidSignatureError: the signature does not verify.
    """
    return open_statement(data, RevocationList, root_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRegister:
    """The revocation lists of a log: the newest of each maker, and since which leaf each chip is revoked."""

    newest: Mapping[str, Signed[RevocationList]] = field(default_factory=dict)
    since: Mapping[tuple[str, bytes], int] = field(default_factory=dict)

    def read(self, data: bytes, makers: Sequence[Maker], leaf_index: int) -> RevocationRegister:
        """Return the register with the list that a leaf holds.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_by_maker``.
            RefusedError: the number is not the next, it was issued before the list before it, or it lacks a
                chip of that.
            EquivocationError: the maker signed two lists of one number.
        """
        signed = open_by_maker(data, RevocationList, makers, "VN-17.3")
        claimed = signed.statement.endorser_id
        _verify_next(signed.statement, self.newest.get(claimed))
        places = {(claimed, entry.ueid): leaf_index for entry in signed.statement.entries}
        return RevocationRegister(
            newest={**self.newest, claimed: signed}, since={**places, **self.since}
        )  # what was revoked before keeps its leaf

    def find_newest(self, endorser_id: str) -> RevocationList | None:
        """Return a maker's newest list, or None where the log holds none."""
        signed = self.newest.get(endorser_id)
        return None if signed is None else signed.statement

    def find_leaf(self, endorser_id: str, ueid: bytes) -> int | None:
        """Return since which leaf a maker's chip is revoked, or None; no maker revokes another's."""
        return self.since.get((endorser_id, ueid))


def _verify_next(later: RevocationList, signed: Signed[RevocationList] | None) -> None:
    culprit, number = later.endorser_id, 0 if signed is None else signed.statement.number
    what = f"revocation list {later.number} of {culprit!r}"
    if signed is not None and later.number == number and later != signed.statement:
        raise EquivocationError(f"two lists: {what}", culprit=culprit, clause="VN-17.3")
    if later.number != number + 1:
        msg = f"{what}, expected number {number + 1}"
        raise RefusedError(msg, culprit=culprit, clause="VN-17.3")
    if signed is None:
        return
    missing = sorted({e.ueid for e in signed.statement.entries} - {e.ueid for e in later.entries})
    if missing:
        msg = f"{what} lacks the revoked chip {missing[0].hex()[:16]} of the list before it"
        raise RefusedError(msg, culprit=culprit, clause="VN-17.3")
    if later.issued_ms < signed.statement.issued_ms:
        msg = f"{what} was issued before the list before it"
        raise RefusedError(msg, culprit=culprit, clause="VN-17.3")
