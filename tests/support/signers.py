"""Parties as honest signers: they commit with all their seats, and sign what they are asked for."""

from __future__ import annotations

from typing import Final

from support.world import Council
from vetonet.crypto import frost
from vetonet.policy.action import ActionClass
from vetonet.service.coordinator import Coordinator
from vetonet.voting.signing import GroupCommitments, GroupShare, SigningRound, list_seats
from vetonet.voting.state import Voting

_NONCES: Final[dict[bytes, frost.SigningNonces]] = {}
"""Of whatever was committed to here, by the commitments; each signs once."""


def make_commitments(
    council: Council, party_id: str, action: ActionClass = ActionClass.RUN_GRANT
) -> tuple[GroupCommitments, ...]:
    """Return a party's fresh commitments for all its seats."""
    held = {entry.seat: entry.share for entry in council.key_shares[party_id]}
    made = []
    for seat in list_seats(council.treaty.statement, action, party_id):
        nonces, commitments = frost.commit(held[seat], council.rng)
        _NONCES[commitments.to_bytes()] = nonces
        made.append(GroupCommitments(group=seat[0], commitments=commitments))
    return tuple(made)


def make_shares(council: Council, party_id: str, asked: SigningRound) -> tuple[GroupShare, ...]:
    """Return a party's honest shares for an attempt, spending the nonces behind its commitments."""
    held = {entry.seat: entry.share for entry in council.key_shares[party_id]}
    made = []
    for session in asked.sessions:
        for commitments in session.package.commitments:
            seat = (session.group, int(commitments.identifier))
            if seat in held:
                nonces = _NONCES[commitments.to_bytes()]
                share = frost.sign(session.package, nonces, held[seat])
                made.append(GroupShare(group=session.group, share=share))
    return tuple(made)


def round_of(vote: Voting) -> SigningRound:
    """Return the attempt under way."""
    assert vote.signing is not None
    return vote.signing.under_way


def name_vote(vote: Voting) -> bytes:
    """Return the 16 bytes that name what is voted on."""
    return vote.digest[:16]


async def commit(coordinator: Coordinator, council: Council, vote: Voting, *party_ids: str) -> Voting:
    """These parties commit, in turn; return the vote after that."""
    for party_id in party_ids:
        commitments = make_commitments(council, party_id, vote.action)
        vote = await coordinator.submit_commitments(name_vote(vote), party_id, commitments, caller=None)
    return vote


async def submit(coordinator: Coordinator, council: Council, party_id: str, vote: Voting) -> Voting:
    """A signer hands in its honest shares of the attempt that this vote shows."""
    asked = round_of(vote)
    shares = make_shares(council, party_id, asked)
    return await coordinator.submit_shares(name_vote(vote), party_id, asked.attempt, shares, caller=None)
