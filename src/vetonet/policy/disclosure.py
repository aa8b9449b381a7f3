"""Selective disclosure: a party asks for one private field of a run, and its operator shows it (VN-19)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, bstr, member, record, tstr, uint
from vetonet.errors import RefusedError
from vetonet.policy.proposal import (
    PartyStatement,
    Proposal,
    find_ancestors,
    open_own,
    verify_treaty_reference,
)
from vetonet.policy.specification import NAME, FieldOpening, is_about, require_askable, verify_field
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS, MS_PER_HOUR, spell_duration

MIN_ANSWER_MS: Final = 4 * MS_PER_HOUR
"""Nobody has to answer sooner: somebody has to read the challenge and to decide what to say with it."""

MAX_ANSWER_MS: Final = 30 * 24 * MS_PER_HOUR
"""A challenge leaves a verdict open while it waits, so it waits for a month at most."""

_DIGEST: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureChallenge(PartyStatement):
    """That a party wants to see one field of a run's private specification.

    Attributes:
        challenger: the party; the signature must be its own.
        proposal_digest: whose specification.
        field: the name of the field.
        stated_ms: when the party says so.
        deadline_ms: until when it wants the answer.
        serial: makes two otherwise equal challenges different.
    """

    TYPE: ClassVar[str] = "disclosure-challenge"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    challenger: str = member(3, tstr(64))
    proposal_digest: bytes = member(4, DIGEST)
    field: str = member(5, NAME)
    stated_ms: int = member(6, uint(MAX_TIME_MS))
    deadline_ms: int = member(7, uint(MAX_TIME_MS))
    serial: bytes = member(8, bstr(16))

    def __post_init__(self) -> None:
        """Refuse a deadline that nobody could meet, and one that keeps a verdict open for ever (VN-19.3)."""
        verify_answer_time(self.stated_ms, self.deadline_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureAnswer(Statement):
    """What an operator shows to a challenge; from then on everybody who reads the log has it.

    Attributes:
        operator_id: who proposed the run; the signature must be this operator's.
        challenge_digest: of the challenge.
        opening: the field, or that there is none; or another one that has the place of its name.
    """

    TYPE: ClassVar[str] = "disclosure-answer"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    operator_id: str = member(3, tstr(64))
    challenge_digest: bytes = member(4, DIGEST)
    opening: FieldOpening = member(5, record(FieldOpening))


def verify_answer_time(stated_ms: int, deadline_ms: int) -> None:
    """Hold that a deadline leaves time enough to answer, and not for ever.

    Raises:
        ValueError: it does not.
    """
    if not MIN_ANSWER_MS <= deadline_ms - stated_ms <= MAX_ANSWER_MS:
        least, most = spell_duration(MIN_ANSWER_MS), spell_duration(MAX_ANSWER_MS)
        msg = f"expected {least} to {most} to answer, got {deadline_ms - stated_ms:,} ms"
        raise ValueError(msg)


def open_disclosure_challenge(data: bytes, treaty: Signed[Treaty]) -> Signed[DisclosureChallenge]:
    """Return a challenge that a party of this treaty signed for itself (VN-19.3).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party as the challenger, or a field that nobody could deny.
    """
    signed = open_own(
        data, DisclosureChallenge, treaty, name=lambda stated: stated.challenger, clause="VN-19.3"
    )
    require_askable(signed.statement.field)
    return signed


def open_disclosure_answer(
    data: bytes, treaty: Signed[Treaty], challenge: DisclosureChallenge, proposal: Proposal
) -> Signed[DisclosureAnswer]:
    """Return an answer to this challenge by the run's operator, which the proposal bears out (VN-19.4).

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is no operator of the treaty.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: another operator's, or about another field.
        ProofError: what it shows is not what the operator committed to.
    """
    signed = open_statement(data, DisclosureAnswer, treaty.statement.operator_keys)
    verify_treaty_reference(signed.statement, treaty)
    answer, signer = signed.statement, treaty.statement.find_operator_by_key(signed.signer).operator_id
    if not signer == answer.operator_id == proposal.operator_id:
        expected = f"expected that of {proposal.operator_id!r}"
        msg = f"an answer of {answer.operator_id!r} signed by {signer!r}, {expected}"
        raise RefusedError(msg, culprit=signer, clause="VN-19.4")
    if not is_about(answer.opening, challenge.field):
        msg = f"an answer about field {answer.opening.name!r}, expected {challenge.field!r}"
        raise RefusedError(msg, culprit=signer, clause="VN-19.4")
    verify_field(answer.opening, proposal.specification_digest)
    return signed


def find_undeclared_parents(
    value: bytes, proposal: Proposal, licensed: Mapping[bytes, Proposal]
) -> tuple[bytes, ...]:
    """Return the licensed runs that a lineage field names and the proposal does not lead to (VN-19.5).

    Args:
        value: of the field ``lineage``; every word of 64 hexadecimal digits in it that is the digest of a
            licensed proposal is taken as one.
        proposal: the run that has this specification.
        licensed: the runs that held a licence when it was proposed, by digest.
    """
    named = (bytes.fromhex(word.decode()) for word in _DIGEST.findall(value))
    declared = find_ancestors(proposal, licensed)
    return tuple(dict.fromkeys(d for d in named if d in licensed and d not in declared))
