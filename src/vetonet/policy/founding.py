"""Founding: the ceremonies that a charter asks for, and what is kept of them (VN-3, VN-15)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto.statement import compute_digest
from vetonet.encoding.record import Record, bstr, many, member, record, uint
from vetonet.errors import ProtocolError
from vetonet.policy.ceremony import MAX_CEREMONY_BYTES, CeremonyPlan
from vetonet.policy.expression import MAX_PARTIES, Threshold
from vetonet.policy.treaty import MAX_GROUPS, Terms

MAX_ATTEMPT: Final = 2**16
MAX_TRANSCRIPT: Final = 5 * MAX_PARTIES
"""Each participant's round 1, echo, word that it is done, complaint, and the proof of somebody's guilt."""

_CONTEXT: Final = b"vetonet-founding-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What a party is about to found: everybody must be at the same."""

    charter: bytes
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTranscript(Record):
    """What was signed in the ceremony of one group, as received; the sealed shares are not there."""

    MAX_BYTES: ClassVar[int] = 4 * MAX_CEREMONY_BYTES

    statements: tuple[bytes, ...] = member(1, many(bstr(1, MAX_CEREMONY_BYTES), maximum=MAX_TRANSCRIPT))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoiltCeremony(Record):
    """What was signed in a ceremony that gave no group: with the charter it shows anybody through whom."""

    MAX_BYTES: ClassVar[int] = 4 * MAX_CEREMONY_BYTES

    attempt: int = member(1, uint(MAX_ATTEMPT))
    group: int = member(2, uint(MAX_GROUPS))
    statements: tuple[bytes, ...] = member(3, many(bstr(1, MAX_CEREMONY_BYTES), maximum=MAX_TRANSCRIPT))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundingRecord(Record):
    """From what the groups of a treaty follow, for anybody who has the treaty.

    Attributes:
        attempt: which of the council's attempts it was.
        transcripts: of each group's ceremony, in the order of the treaty.
    """

    MAX_BYTES: ClassVar[int] = 32 * MAX_CEREMONY_BYTES

    attempt: int = member(1, uint(MAX_ATTEMPT))
    transcripts: tuple[GroupTranscript, ...] = member(2, many(record(GroupTranscript), maximum=MAX_GROUPS))


class FoundingAbortedError(ProtocolError):
    """There will be no treaty from this attempt.

    Attributes:
        named: through whom; whether that is guilt or silence, the message says.
        spoilt: the ceremony that was spoilt, if one was; it shows anybody by whom.
    """

    reason = "founding-aborted"

    def __init__(self, named: tuple[str, ...], why: str, *, spoilt: SpoiltCeremony | None = None) -> None:
        super().__init__(f"{', '.join(named)}: {why}", culprit=named[0] if len(named) == 1 else None)
        self.named: Final = named
        self.spoilt: Final = spoilt


def plan_ceremonies(terms: Terms, attempt: int) -> tuple[CeremonyPlan, ...]:
    """Return the ceremony of each threshold's group, in the order of the treaty.

    A context says of which charter, group and attempt it is, so nothing signed in one can stand in another
    (VN-15.1).

    Raises:
        ValueError: no such attempt.
    """
    if not 1 <= attempt <= MAX_ATTEMPT:
        raise ValueError(f"expected an attempt from 1 to {MAX_ATTEMPT}, got {attempt}")
    digest = compute_digest(terms)
    return tuple(_plan(terms, leaf, digest, index, attempt) for index, leaf in enumerate(terms.leaves))


def _plan(terms: Terms, leaf: Threshold, digest: bytes, index: int, attempt: int) -> CeremonyPlan:
    return CeremonyPlan(
        context=_CONTEXT + digest + index.to_bytes(4, "big") + attempt.to_bytes(4, "big"),
        min_signers=leaf.min_grants,
        seats=leaf.seats,
        parties=tuple(party for party in terms.parties if party.party_id in leaf.electorate),
    )


def list_differing(positions: Mapping[str, Position], own: str) -> tuple[str, ...]:
    """Return who is about to found something else than the others.

    The others are whoever stands at what more than half of all do; where there is no such thing, the party
    that asks can only go by what it has itself.

    Args:
        positions: everybody's, by party id.
        own: who asks.
    """
    (common, count), *_ = Counter(positions.values()).most_common(1)
    expected = common if 2 * count > len(positions) else positions[own]
    return tuple(party_id for party_id, position in positions.items() if position != expected)
