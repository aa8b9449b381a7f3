"""Standing consent: a party withdraws what it granted, or gives it again, while the run goes on (VN-14.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, member, one_of, uint
from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import verify_treaty_reference
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS


class Standing(StrEnum):
    """Where a party stands on a run that holds a licence."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent(Statement):
    """That a party withdraws its consent to a licensed run, or gives it (again).

    Attributes:
        proposal_digest: the run.
        number: from 1, one more with each statement of this party on this run, so that none can be replayed.
        stated_ms: when the party says so.
        reason: why it withdraws, else None.
    """

    TYPE: ClassVar[str] = "consent"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    proposal_digest: bytes = member(3, DIGEST)
    number: int = member(4, uint(2**31))
    standing: Standing = member(5, one_of(Standing))
    stated_ms: int = member(6, uint(MAX_TIME_MS))
    reason: VetoReason | None = member(7, one_of(VetoReason), optional=True)

    def __post_init__(self) -> None:
        """Refuse a withdrawal without a reason, and a reason without one (VN-14.2)."""
        if (self.standing is Standing.WITHDRAWN) != (self.reason is not None):
            raise ValueError("expected a reason with a withdrawal and only there")
        if not self.number:
            raise ValueError("expected statements to be numbered from 1")


def open_consent(data: bytes, treaty: Signed[Treaty]) -> Signed[Consent]:
    """Return what a party of this treaty says of its consent, under this treaty and epoch.

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
    """
    signed = open_statement(data, Consent, treaty.statement.party_keys)
    verify_treaty_reference(signed.statement, treaty)
    return signed
