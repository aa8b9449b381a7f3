"""How the groups of a quorum come to sign one statement: commitments, then shares (VN-7.2, 7.4, 7.5).

FROST takes two rounds (RFC 9591 section 5). Signers commit afresh for every attempt, so one that restarted
simply commits again; an attempt begins as soon as those that committed are enough, so nobody who is away is
waited for. Who spoils an attempt is named, and each failed attempt brings somebody closer to being left out
for good, so it ends. The scheme follows ROAST (Ruffing et al. 2022), with one attempt at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Statement, attach_signatures, compute_signing_input
from vetonet.errors import EquivocationError, InvalidSignatureError, RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.treaty import Group, Treaty
from vetonet.units import Milliseconds

GATHERING_TIMES: Final = 3
"""How many signing times an attempt waits for enough signers to commit."""

MAX_STALLS: Final = 2
"""A signer that committed and stayed silent so often is not asked again."""


class Stage(StrEnum):
    """Where the making of a signature stands."""

    GATHERING = "gathering"
    SIGNING = "signing"
    SIGNED = "signed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCommitments:
    """What one seat of a group commits to for one attempt."""

    group: int
    commitments: frost.SigningCommitments


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShare:
    """What one seat of a group signed."""

    group: int
    share: frost.SignatureShare


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSession:
    """What the chosen seats of one group sign, under which commitments."""

    group: int
    package: frost.SigningPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRound:
    """One attempt: who signs what.

    Attributes:
        attempt: from 0, one more with each attempt.
        signers: the parties asked.
        sessions: one for each group that must sign, in the order of the treaty.
        deadline_ms: after this the silent are left out of the next attempt.
        shares: what came so far, by party.
    """

    attempt: int
    signers: tuple[str, ...]
    sessions: tuple[GroupSession, ...]
    deadline_ms: Milliseconds
    shares: Mapping[str, tuple[GroupShare, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCommitments:
    """Ask these parties to commit to nonces for the next attempt.

    Attributes:
        attempt: from 0.
        party_ids: those that are asked.
        deadline_ms: until when enough of them must have.
    """

    attempt: int
    party_ids: tuple[str, ...]
    deadline_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShares:
    """Ask the signers of this round for their shares."""

    round: SigningRound


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The making of one signature so far.

    Attributes:
        treaty: whose groups sign.
        action: the class of action, which says which groups.
        statement: what is signed.
        consenting: the parties whose share may be asked for.
        stage: where it stands.
        attempt: how many attempts have failed.
        pool: commitments that wait for an attempt, by party.
        round: the attempt under way, in SIGNING.
        stalls: how often each party committed and stayed silent.
        excluded: parties that are not asked again.
        deadline_ms: in GATHERING, until when enough must have committed.
        data: the signed statement, in SIGNED.
    """

    treaty: Treaty = field(repr=False)
    action: ActionClass
    statement: Statement
    consenting: tuple[str, ...]
    stage: Stage = Stage.GATHERING
    attempt: int = 0
    pool: Mapping[str, tuple[GroupCommitments, ...]] = field(default_factory=dict)
    round: SigningRound | None = None
    stalls: Mapping[str, int] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    deadline_ms: Milliseconds
    data: bytes = field(default=b"", repr=False)

    @property
    def asked(self) -> tuple[str, ...]:
        """The parties that may still commit."""
        return tuple(party for party in self.consenting if party not in self.excluded)

    @property
    def awaited(self) -> tuple[str, ...]:
        """Those of them that have not committed yet.

        The others are not asked again: new commitments would make void those that may already be in use.
        """
        return tuple(party for party in self.asked if party not in self.pool)

    @property
    def under_way(self) -> SigningRound:
        """The attempt under way.

        Raises:
            ValueError: there is none.
        """
        if self.round is None:
            raise ValueError(f"no attempt is under way: {self.stage}")
        return self.round


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Who spoilt an attempt, and how; nobody where none did."""

    party_ids: tuple[str, ...] = ()
    reason: str = ""


def begin_signing(
    treaty: Treaty, action: ActionClass, statement: Statement, consenting: Iterable[str], now: Milliseconds
) -> Signing:
    """Return the making of a signature, now asking these parties to commit; FAILED where they are too few."""
    signing = Signing(
        treaty=treaty,
        action=action,
        statement=statement,
        consenting=tuple(consenting),
        deadline_ms=now + GATHERING_TIMES * treaty.signing_ms,
    )
    return _end_if_hopeless(signing)


def list_seats(treaty: Treaty, action: ActionClass, party_id: str) -> tuple[tuple[int, int], ...]:
    """Return the seats of a party in the groups of a class of action: index of the group, and participant."""
    groups = treaty.list_groups(action)
    return tuple((group.index, int(seat)) for group in groups for seat in group.list_seats(party_id))


def take_commitments(
    signing: Signing, party_id: str, commitments: tuple[GroupCommitments, ...], now: Milliseconds
) -> Signing:
    """Return the making with these commitments in the pool; an attempt begins once they are enough.

    While an attempt is under way they wait for the next one: that begins without asking anybody again.

    Raises:
        RefusedError: the party is not asked, or these are not commitments of all its seats.
    """
    if party_id not in signing.asked:
        raise RefusedError(f"{party_id} is not asked to commit now", culprit=party_id, clause="VN-7.4")
    seats = [(entry.group, int(entry.commitments.identifier)) for entry in commitments]
    expected = list_seats(signing.treaty, signing.action, party_id)
    if tuple(seats) != expected:
        msg = f"{party_id} commits for seats {seats}, expected {list(expected)}"
        raise RefusedError(msg, culprit=party_id, clause="VN-7.4")
    following = replace(signing, pool={**signing.pool, party_id: commitments})
    return _ask_when_enough(following, now) if signing.stage is Stage.GATHERING else following


def take_shares(
    signing: Signing, party_id: str, attempt: int, shares: tuple[GroupShare, ...], now: Milliseconds
) -> tuple[Signing, Blame]:
    """Return the making with these shares: the last ones give the signature, or name who spoilt it (VN-7.4).

    Raises:
        RefusedError: the party is not asked, not for this attempt, or not for these seats.
        EquivocationError: it sent other shares for the same attempt before.
    """
    under_way = signing.under_way
    if attempt != under_way.attempt or party_id not in under_way.signers:
        asked = f"one of {', '.join(under_way.signers)} for attempt {under_way.attempt}"
        msg = f"a share of {party_id} for attempt {attempt}, expected {asked}"
        raise RefusedError(msg, culprit=party_id, clause="VN-7.4")
    _verify_seats(signing, party_id, shares)
    if under_way.shares.get(party_id, shares) != shares:
        msg = f"{party_id} sent two different shares for attempt {attempt}"
        raise EquivocationError(msg, culprit=party_id, clause="VN-7.4")
    collected = replace(under_way, shares={**under_way.shares, party_id: shares})
    following = replace(signing, round=collected)
    if len(collected.shares) < len(collected.signers):
        return following, Blame()
    return _complete(following, now)


def pass_time(signing: Signing, now: Milliseconds) -> tuple[Signing, Blame]:
    """Return the making at ``now``: the silent are passed over, and waiting has an end (VN-7.5)."""
    if signing.stage is Stage.GATHERING and now >= signing.deadline_ms:
        return replace(signing, stage=Stage.FAILED), Blame()
    if signing.stage is not Stage.SIGNING or now < signing.under_way.deadline_ms:
        return signing, Blame()
    silent = tuple(party for party in signing.under_way.signers if party not in signing.under_way.shares)
    stalls = {**signing.stalls, **{party: signing.stalls.get(party, 0) + 1 for party in silent}}
    given_up = frozenset(party for party, count in stalls.items() if count >= MAX_STALLS)
    following = replace(signing, stalls=stalls, excluded=signing.excluded | given_up)
    return _try_again(following, now), Blame(party_ids=silent, reason="no signature share in time")


def choose_seats(group: Group, signers: Iterable[str]) -> tuple[frost.Identifier, ...]:
    """Return the participants that sign for a group: the first seats of these parties that are enough."""
    willing = frozenset(signers)
    seats = [number for number, owner in enumerate(group.leaf.seats, start=1) if owner in willing]
    return tuple(frost.Identifier(number) for number in seats[: group.leaf.min_grants])


def list_requests(before: Signing | None, signing: Signing) -> tuple[RequestCommitments | RequestShares, ...]:
    """Return what signers are asked for now that they were not asked for before."""
    is_new = before is None or before.attempt != signing.attempt
    if signing.stage is Stage.SIGNING and (before is None or is_new or before.stage is Stage.GATHERING):
        return (RequestShares(round=signing.under_way),)
    if signing.stage is Stage.GATHERING and is_new:
        asked = RequestCommitments(
            attempt=signing.attempt, party_ids=signing.awaited, deadline_ms=signing.deadline_ms
        )
        return (asked,)
    return ()


def _ask_when_enough(signing: Signing, now: Milliseconds) -> Signing:
    """An attempt begins with the first signers that make the expression hold."""
    ready = frozenset(signing.pool)
    leaves = signing.treaty.find_quorum(signing.action).expression.select(ready)
    if leaves is None:
        return signing
    groups = [group for group in signing.treaty.list_groups(signing.action) if group.leaf in leaves]
    chosen = {group.index: choose_seats(group, ready) for group in groups}
    owners = {group.leaf.seats[seat - 1] for group in groups for seat in chosen[group.index]}
    signers = tuple(party for party in signing.consenting if party in owners)
    message = {group.index: compute_signing_input(signing.statement, group.key) for group in groups}
    sessions = tuple(
        GroupSession(
            group=group.index,
            package=frost.SigningPackage(
                message=message[group.index], commitments=_collect(signing, group.index, chosen[group.index])
            ),
        )
        for group in groups
    )
    asked = SigningRound(
        attempt=signing.attempt,
        signers=signers,
        sessions=sessions,
        deadline_ms=now + signing.treaty.signing_ms,
    )
    left = {party: commitments for party, commitments in signing.pool.items() if party not in owners}
    return replace(signing, stage=Stage.SIGNING, round=asked, pool=left)


def _collect(
    signing: Signing, group: int, seats: tuple[frost.Identifier, ...]
) -> tuple[frost.SigningCommitments, ...]:
    offered = {
        entry.commitments.identifier: entry.commitments
        for commitments in signing.pool.values()
        for entry in commitments
        if entry.group == group
    }
    return tuple(offered[seat] for seat in seats)


def list_signing_seats(
    treaty: Treaty, sessions: Iterable[GroupSession], party_id: str
) -> tuple[tuple[int, int], ...]:
    """Return the seats with which a party takes part in these sessions."""
    groups = treaty.all_groups
    return tuple(
        (session.group, int(identifier))
        for session in sessions
        for identifier in session.package.identifiers
        if groups[session.group].find_owner(identifier) == party_id
    )


def _verify_seats(signing: Signing, party_id: str, shares: tuple[GroupShare, ...]) -> None:
    seats = tuple((entry.group, int(entry.share.identifier)) for entry in shares)
    expected = list_signing_seats(signing.treaty, signing.under_way.sessions, party_id)
    if seats != expected:
        msg = f"shares of {party_id} for seats {list(seats)}, expected {list(expected)}"
        raise RefusedError(msg, culprit=party_id, clause="VN-7.4")


def _complete(signing: Signing, now: Milliseconds) -> tuple[Signing, Blame]:
    """All shares are there: the signatures hold, or those are named whose share is bad."""
    signatures: dict[PublicKey, bytes] = {}
    culprits: list[str] = []
    groups = signing.treaty.all_groups
    for session in signing.under_way.sessions:
        group = groups[session.group]
        try:
            signatures[group.key] = _aggregate(signing, session, group)
        except InvalidSignatureError as error:
            culprits += [group.find_owner(int(identifier)) for identifier in error.culprits]
    if culprits:
        spoilt = replace(signing, excluded=signing.excluded | set(culprits))
        named = Blame(party_ids=tuple(dict.fromkeys(culprits)), reason="bad signature share")
        return _try_again(spoilt, now), named
    data = attach_signatures(signing.statement, signatures)
    return replace(signing, stage=Stage.SIGNED, round=None, data=data), Blame()


def _aggregate(signing: Signing, session: GroupSession, group: Group) -> bytes:
    given = [entry for shares in signing.under_way.shares.values() for entry in shares]
    shares = tuple(entry.share for entry in given if entry.group == session.group)
    return frost.aggregate(session.package, shares, group.package)


def _try_again(signing: Signing, now: Milliseconds) -> Signing:
    """Everybody who is still asked commits afresh, but for those whose commitments no attempt has used."""
    following = replace(
        signing,
        stage=Stage.GATHERING,
        attempt=signing.attempt + 1,
        round=None,
        pool={party: kept for party, kept in signing.pool.items() if party not in signing.excluded},
        deadline_ms=now + GATHERING_TIMES * signing.treaty.signing_ms,
    )
    hopeful = _end_if_hopeless(following)
    return hopeful if hopeful.stage is Stage.FAILED else _ask_when_enough(hopeful, now)


def _end_if_hopeless(signing: Signing) -> Signing:
    """With those left that may be asked the expression cannot hold: it has ended."""
    expression = signing.treaty.find_quorum(signing.action).expression
    is_possible = expression.select(frozenset(signing.asked)) is not None
    return signing if is_possible else replace(signing, stage=Stage.FAILED)
