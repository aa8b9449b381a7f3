"""Ballots: one party's word on one proposal, bound to the treaty, the epoch and the window (VN-6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, member, one_of, uint
from vetonet.errors import ExpiredError, RefusedError
from vetonet.policy.motion import Motion
from vetonet.policy.proposal import Proposal, verify_treaty_reference
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS


class VetoReason(StrEnum):
    """Why a party says no; a veto without a reason is not accepted (reasoned vetoes, MIRI III)."""

    SCALE = "scale"
    SAFETY_CASE = "safety-case"
    INFORMATION = "information-missing"
    OPERATOR = "operator-record"
    TREATY = "treaty-breach"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot(Statement):
    """One party's choice on one proposal.

    Attributes:
        proposal_digest: of the proposal's statement.
        cast_ms: when the party says it voted.
        expires_ms: after this the ballot counts for nothing.
        reason: for a VETO, else None.
    """

    TYPE: ClassVar[str] = "ballot"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    proposal_digest: bytes = member(3, DIGEST)
    choice: Choice = member(4, one_of(Choice))
    cast_ms: int = member(5, uint(MAX_TIME_MS))
    expires_ms: int = member(6, uint(MAX_TIME_MS))
    reason: VetoReason | None = member(7, one_of(VetoReason), optional=True)

    def __post_init__(self) -> None:
        """Refuse a veto without reason, and a reason without veto (VN-6.1)."""
        if (self.choice is Choice.VETO) != (self.reason is not None):
            msg = "expected a reason with a veto and only there"
            raise ValueError(msg)
        if self.cast_ms >= self.expires_ms:
            msg = "expected a ballot to be cast before it expires"
            raise ValueError(msg)


def open_ballot(data: bytes, treaty: Signed[Treaty]) -> Signed[Ballot]:
    """Return a ballot that a party of this treaty signed under this treaty and epoch.

    Raises:
        EncodingError: not a ballot.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
    """
    signed = open_statement(data, Ballot, treaty.statement.party_keys)
    verify_treaty_reference(signed.statement, treaty)
    return signed


def verify_ballot_for(
    ballot: Signed[Ballot], proposal: Signed[Proposal] | Signed[Motion], party_id: str
) -> None:
    """Hold that a ballot is about this proposal and was cast and counts within its window (VN-6.2, VN-6.3).

    Raises:
        RefusedError: it is about another proposal.
        ExpiredError: it was cast outside the voting window, or expires before that closes.
    """
    cast, window = ballot.statement, proposal.statement
    if cast.proposal_digest != proposal.payload_digest:
        named, expected = cast.proposal_digest.hex()[:16], proposal.payload_digest.hex()[:16]
        msg = f"a ballot on proposal {named}, expected {expected}"
        raise RefusedError(msg, culprit=party_id, clause="VN-6.2")
    if not window.is_open_at(cast.cast_ms):
        msg = f"a ballot cast at {cast.cast_ms}, not in the window {window.opens_ms} to {window.closes_ms}"
        raise ExpiredError(msg, culprit=party_id, clause="VN-6.3")
    if cast.expires_ms < window.closes_ms:
        msg = f"a ballot that expires at {cast.expires_ms}, before the window closes at {window.closes_ms}"
        raise ExpiredError(msg, culprit=party_id, clause="VN-6.3")
