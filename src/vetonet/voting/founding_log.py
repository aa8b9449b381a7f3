"""Ceremonies to the log and back: what of them becomes leaves, and a founding read from a log's leaves.

Leaves are untrusted here. What is no statement of one of the charter's ceremonies by one of its participants
is passed over: anybody among the parties can have such a thing logged, and it must not spoil what is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.crypto.statement import peek, read_unverified
from vetonet.errors import EncodingError, RefusedError, VetonetError
from vetonet.policy.ceremony import (
    MAX_CEREMONY_BYTES,
    PUBLIC_KINDS,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyRound1,
    read_ceremony,
)
from vetonet.policy.founding import (
    MAX_TRANSCRIPT,
    FoundingRecord,
    GroupTranscript,
    SpoiltCeremony,
    plan_ceremonies,
)
from vetonet.policy.treaty import Terms, Treaty
from vetonet.tlog.log import MAX_LEAF_BYTES
from vetonet.voting.ceremony_transcript import CeremonyAbortedError, CeremonyTranscript
from vetonet.voting.founding import read_group, verify_founding

MAX_GATHERED_ATTEMPT: Final = 1_024
"""Up to which attempt a founding is looked for in a log; a statement names its attempt by a digest only."""

_COMPLETE: Final = (CeremonyRound1.TYPE, CeremonyEcho.TYPE, CeremonyDone.TYPE)


def list_statements(kept: FoundingRecord | GroupTranscript | SpoiltCeremony) -> tuple[bytes, ...]:
    """Return the leaves that a log is to hold of what was kept.

    Raises:
        EncodingError, RefusedError: as ``choose_leaves``.
    """
    if isinstance(kept, FoundingRecord):
        return choose_leaves(data for part in kept.transcripts for data in part.statements)
    return choose_leaves(kept.statements)


def choose_leaves(statements: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return what of a ceremony's statements becomes leaves, each once: all but what is sealed (VN-15.11).

    A disclosure that is too large for a leaf gives the statements that it discloses: each of them stands on
    its own signature.

    Raises:
        EncodingError: one of them is no statement of a ceremony.
        RefusedError: one of them is too large for a leaf.
    """
    leaves = dict.fromkeys(leaf for data in statements for leaf in _unfold(data) if _is_public(leaf))
    largest = max(map(len, leaves), default=0)
    if largest > MAX_LEAF_BYTES:
        msg = f"a statement of {largest} bytes; a leaf has at most {MAX_LEAF_BYTES}"
        raise RefusedError(msg, clause="VN-15.11")
    return tuple(leaves)


def gather_founding(treaty: Treaty, leaves: Iterable[bytes]) -> FoundingRecord:
    """Return the record of a treaty's founding as a log's leaves have it; ``verify_founding`` judges it.

    Of several attempts it is the one that gave the treaty's groups, else the last. What is logged of a
    ceremony after everybody's word that it is done comes too late to be part of it.

    Args:
        treaty: the first of the log.
        leaves: all of them, in order.

    Raises:
        RefusedError: they hold nothing of any attempt.
    """
    terms = treaty.to_terms()
    found: dict[int, list[GroupTranscript]] = {}
    for logged in _find_ceremonies(terms, leaves):
        nothing = [GroupTranscript(statements=())] * len(terms.leaves)
        statements = tuple(_until_complete(logged.plan, logged.statements))[:MAX_TRANSCRIPT]
        found.setdefault(logged.attempt, nothing)[logged.group] = GroupTranscript(statements=statements)
    if not found:
        msg = f"the log holds nothing of the founding of {treaty.name!r}"
        raise RefusedError(msg, clause="VN-15.11")
    records = [
        FoundingRecord(attempt=attempt, transcripts=tuple(transcripts))
        for attempt, transcripts in found.items()
    ]
    return next((record for record in records if _holds(treaty, record)), records[-1])


def gather_spoilt(terms: Terms, leaves: Iterable[bytes]) -> tuple[SpoiltCeremony, ...]:
    """Return the ceremonies of a charter that gave no group, as far as a log's leaves go.

    ``judge_spoilt`` says through whom.
    """
    spoilt = []
    for logged in _find_ceremonies(terms, leaves):
        try:
            read_group(logged.plan, _until_complete(logged.plan, logged.statements))
        except CeremonyAbortedError:
            statements = logged.statements[:MAX_TRANSCRIPT]
            spoilt.append(SpoiltCeremony(attempt=logged.attempt, group=logged.group, statements=statements))
        except VetonetError:
            continue  # every statement is right, and yet they make no key: that shows nobody's guilt
    return tuple(spoilt)


def gather_ceremony(plan: CeremonyPlan, leaves: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return what a log's leaves hold of the ceremony of a plan that the reader has, such as a handover's.

    ``read_group`` judges it. As in a founding, nothing after everybody's word that it is done counts.
    """
    logged = _choose_own(plan, _group_by_plan(leaves).get(plan.compute_digest(), ()))
    return tuple(_until_complete(plan, logged))[:MAX_TRANSCRIPT]


@dataclass(frozen=True, slots=True, kw_only=True)
class _LoggedCeremony:
    """What a log holds of one ceremony of a charter."""

    attempt: int
    group: int
    plan: CeremonyPlan = field(repr=False)
    statements: tuple[bytes, ...] = field(repr=False)


def _find_ceremonies(terms: Terms, leaves: Iterable[bytes]) -> Iterator[_LoggedCeremony]:
    """Yield what there is of each attempt at each group, in order."""
    unclaimed = _group_by_plan(leaves)
    for attempt in range(1, MAX_GATHERED_ATTEMPT + 1):
        if not unclaimed:
            return
        for group, plan in enumerate(plan_ceremonies(terms, attempt)):
            statements = _choose_own(plan, unclaimed.pop(plan.compute_digest(), ()))
            if statements:
                yield _LoggedCeremony(attempt=attempt, group=group, plan=plan, statements=statements)


def _group_by_plan(leaves: Iterable[bytes]) -> dict[bytes, Sequence[bytes]]:
    """Return the leaves that are statements of ceremonies, by the digest of the plan that each names."""
    found: dict[bytes, list[bytes]] = {}
    for data in leaves:
        try:
            if _is_public(data):
                found.setdefault(read_ceremony(data), []).append(data)
        except EncodingError:
            continue  # a log holds much else
    return {digest: tuple(dict.fromkeys(statements)) for digest, statements in found.items()}


def _choose_own(plan: CeremonyPlan, logged: Sequence[bytes]) -> tuple[bytes, ...]:
    transcript = CeremonyTranscript.begin(plan)
    return tuple(data for data in logged if _belongs(transcript, data))


def _belongs(transcript: CeremonyTranscript, data: bytes) -> bool:
    """Whether it is a participant's statement of this ceremony, all that it discloses included."""
    try:
        transcript.add(data)
    except CeremonyAbortedError:
        return True  # what it discloses is the proof of an equivocation
    except VetonetError:
        return False
    return True


def _until_complete(plan: CeremonyPlan, statements: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the statements up to the last without which the ceremony would not be complete."""
    missing = {(kind, key_id) for kind in _COMPLETE for key_id in plan.keys}
    for data in statements:
        if not missing:
            return
        envelope = peek(data)
        missing.discard((envelope.kind, envelope.key_id or b""))
        yield data


def _holds(treaty: Treaty, record: FoundingRecord) -> bool:
    try:
        verify_founding(treaty, record)
    except VetonetError:
        return False
    return True


def _unfold(data: bytes) -> Iterable[bytes]:
    is_large = len(data) > MAX_LEAF_BYTES
    if is_large and peek(data, max_bytes=MAX_CEREMONY_BYTES).kind == CeremonyDisclosure.TYPE:
        return read_unverified(data, CeremonyDisclosure).statements
    return (data,)


def _is_public(data: bytes) -> bool:
    read_ceremony(data)
    return peek(data, max_bytes=MAX_CEREMONY_BYTES).kind in PUBLIC_KINDS
