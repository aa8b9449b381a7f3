"""What a party looks at before it lets a signature share go: the place where a veto binds (VN-7.3).

A coordinator can drop, delay and reorder; it cannot make an honest party sign over a veto that is in the log
or that reached the party by any other path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import NoReturn

from vetonet.crypto.statement import Signed, Statement, compute_signing_input
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, verify_ballot_for
from vetonet.policy.lease import Lease, compute_signable_ms, derive_lease
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.proposal import verify_band
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.standing import Consent
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds, format_time
from vetonet.voting.ledger import Ledger
from vetonet.voting.machine import decide, derive, list_granting
from vetonet.voting.signing import GroupSession, list_signing_seats
from vetonet.voting.state import Voting
from vetonet.voting.tenure import find_due_number, find_obstacle, list_consenting


def review_vote(
    ledger: Ledger,
    digest: bytes,
    *,
    party_id: str,
    direct_ballots: Iterable[Signed[Ballot]],
    witnessed_ms: Milliseconds,
    now: Milliseconds,
) -> Licence | Resolution:
    """Return the licence or resolution that this party agrees to sign.

    Args:
        ledger: read by the party itself from leaves under a checkpoint it verified.
        digest: of the proposal or motion that the coordinator says was granted.
        party_id: who reviews.
        direct_ballots: ballots on it that reached the party other than through the log.
        witnessed_ms: the time at or after which a quorum of witnesses cosigned that checkpoint.
        now: the party's own clock.

    Raises:
        RefusedError: a rule of VN-7.3 says no; the message says which.
    """
    vote = ledger.find(digest)
    _verify_witnessed(vote.matter.statement.closes_ms, witnessed_ms)
    _verify_tally(ledger, vote, now)
    _verify_direct_ballots(vote, direct_ballots)
    if party_id not in list_granting(vote):
        _refuse(f"no grant of {party_id} counts here", party_id)
    return derive(vote)


def review_lease(
    ledger: Ledger,
    digest: bytes,
    number: int,
    *,
    party_id: str,
    direct: Iterable[Signed[Consent]],
    witnessed_ms: Milliseconds,
    now: Milliseconds,
) -> Lease:
    """Return the lease that this party agrees to sign.

    Args:
        ledger: read by the party itself from leaves under a checkpoint it verified.
        digest: of the proposal that is licensed.
        number: which lease the coordinator says is due.
        party_id: who reviews.
        direct: withdrawals that reached the party other than through the log.
        witnessed_ms: the time at or after which a quorum of witnesses cosigned that checkpoint.
        now: the party's own clock.

    Raises:
        RefusedError: a rule of VN-14.3 says no; the message says which.
    """
    tenure = ledger.find_tenure(digest)
    roster = {party.key: party.party_id for party in tenure.treaty.statement.parties}
    for consent in direct:
        voter = roster.get(consent.signer)
        if voter is None:
            continue  # it left: what the log never held of it binds nobody under this treaty
        known = tenure.standings.get(voter)
        if known is None or known.statement.number < consent.statement.number:
            tenure = replace(tenure, standings={**tenure.standings, voter: consent})
    if find_due_number(tenure, now) != number:
        _refuse(f"lease {number} is not due by this party's clock", None)
    _verify_witnessed(compute_signable_ms(tenure.licence.statement, number), witnessed_ms)
    obstacle = find_obstacle(tenure, now)
    if obstacle is not None:
        _refuse(obstacle, None)
    if party_id not in list_consenting(tenure):
        _refuse(f"{party_id} does not consent to this run", party_id)
    return derive_lease(tenure.treaty, tenure.licence, number)


def verify_sessions(
    treaty: Treaty,
    action: ActionClass,
    statement: Statement,
    sessions: Sequence[GroupSession],
    *,
    consenting: AbstractSet[str],
    party_id: str,
) -> None:
    """Hold that what is asked for is this statement, by enough groups, each signed by parties that consent.

    Args:
        treaty: whose groups sign.
        action: the class of action that the statement is of.
        statement: what the party agrees to sign, derived by itself.
        sessions: what the coordinator wants signed.
        consenting: the parties whose consent counts.
        party_id: who is asked.

    Raises:
        RefusedError: it is something else, or somebody signs who must not (VN-7.3).
    """
    groups = {group.index: group for group in treaty.list_groups(action)}
    if len({session.group for session in sessions}) < len(sessions) or not sessions:
        _refuse("expected one session for each group that signs", None)
    for session in sessions:
        group = groups.get(session.group)
        if group is None:
            _refuse(f"group {session.group} has no part in {action}", None)
        if session.package.message != compute_signing_input(statement, group.key):
            _refuse(f"the package is not the {statement.TYPE} that follows from the log", None)
        seats = session.package.identifiers
        if (
            len(seats) != group.leaf.min_grants
            or not {group.find_owner(seat) for seat in seats} <= consenting
        ):
            _refuse(f"expected {group.leaf.min_grants} signers among the parties that consent", None)
    leaves = frozenset(groups[session.group].leaf for session in sessions)
    if not treaty.find_quorum(action).expression.is_signed_by(leaves):
        _refuse(f"these groups together are not consent to {action}", None)
    if not list_signing_seats(treaty, sessions, party_id):
        _refuse(f"{party_id} is not among the signers", party_id)


def _verify_witnessed(needed_ms: Milliseconds, witnessed_ms: Milliseconds) -> None:
    """The checkpoint is not one of before: a quorum of witnesses cosigned it then or later (VN-7.9).

    Else a coordinator could log a veto, give its holder a receipt, and show everybody else the checkpoint of
    before it.
    """
    if witnessed_ms < needed_ms:
        expected = f"expected at {format_time(needed_ms)} or later"
        _refuse(f"a quorum of witnesses cosigned this log at {format_time(witnessed_ms)}, {expected}", None)


def _verify_tally(ledger: Ledger, vote: Voting, now: Milliseconds) -> None:
    """The window is over by the party's own clock, the log grants, and nothing was signed yet."""
    if vote.treaty.payload_digest != ledger.treaty.payload_digest:
        _refuse(f"the vote was under epoch {vote.treaty.statement.epoch}, which is over", None)
    if vote.outcome is not None:
        _refuse(f"the log already holds a {vote.outcome.statement.TYPE} for this", None)
    decision = decide(vote, now)
    if decision is not Decision.GRANTED:
        _refuse(f"the ballots in the log say {decision}, not granted", None)
    if vote.run is not None:
        verify_band(vote.run, vote.treaty.statement, ledger.licensed)


def _verify_direct_ballots(vote: Voting, direct_ballots: Iterable[Signed[Ballot]]) -> None:
    """No veto that binds reached the party by another path, whatever the log says of its author (VN-7.3).

    Only such vetoes count here: if any ballot that the log lacks stopped a licence, every party could veto by
    sending its ballot to its peers alone. A share of vetoes binds as the treaty counts it, over the ballots
    of the log and those that came directly together.
    """
    direct: dict[str, Choice] = {}
    for ballot in direct_ballots:
        voter = vote.treaty.statement.find_party(ballot.signer).party_id
        verify_ballot_for(ballot, vote.matter, voter)
        if ballot.statement.choice is Choice.VETO:
            direct[voter] = Choice.VETO
    if direct and vote.quorum.is_vetoed({**vote.choices, **direct}, vote.recused):
        names = ", ".join(sorted(direct))
        _refuse(f"{names} vetoed; the log does not say so, but a signed ballot does", None)


def _refuse(why: str, culprit: str | None) -> NoReturn:
    msg = f"no signature share: {why}"
    raise RefusedError(msg, culprit=culprit, clause="VN-7.3")
