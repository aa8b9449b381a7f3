"""A signer's duty: to look at everything afresh, and to sign only what follows from it (VN-7.3, VN-14.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.statement import Statement
from vetonet.errors import RefusedError, VetonetError
from vetonet.party.ballot_box import BallotBox, is_over
from vetonet.party.grants import Grants
from vetonet.party.logview import LogView
from vetonet.party.memory import Task
from vetonet.party.ports import CoordinatorPort
from vetonet.party.status import Refusal
from vetonet.party.views import CommitmentsAsked, SigningAsked
from vetonet.party.withdrawals import Withdrawals
from vetonet.policy.action import ActionClass
from vetonet.units import Clock, Milliseconds
from vetonet.voting.ledger import Ledger
from vetonet.voting.machine import list_granting
from vetonet.voting.signer import review_lease, review_vote, verify_sessions
from vetonet.voting.signing import GroupCommitments, GroupShare, list_seats, list_signing_seats
from vetonet.voting.state import Voting
from vetonet.voting.tenure import list_consenting
from vetonet.wire.convert import parse_proposal_name

MAX_REFUSALS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What a review agreed to sign.

    Attributes:
        task: which signature of which run or motion.
        action: the class of action, which says which groups sign.
        statement: what is signed, derived by the party itself.
        consenting: the parties whose consent counts.
    """

    task: Task
    action: ActionClass
    statement: Statement
    consenting: frozenset[str]


class Duty:
    """Commits and signs for one party.

    Attributes:
        refusals: the newest things that were not given, oldest first.
    """

    __slots__ = (
        "_box", "_clock", "_coordinator", "_grants", "_look", "_party_id", "_withdrawals", "refusals",
    )  # fmt: skip

    def __init__(
        self,
        party_id: str,
        *,
        coordinator: CoordinatorPort,
        grants: Grants,
        box: BallotBox,
        withdrawals: Withdrawals,
        look: Callable[[], Awaitable[LogView]],
        clock: Clock,
    ) -> None:
        """Sign for this party.

        Args:
            party_id: whose duty it is.
            coordinator: who asks, and gets what is given.
            grants: the party's word.
            box: ballots that reached it directly.
            withdrawals: withdrawals that did.
            look: follows the log, compares it with what the peers were shown, and returns the view of it.
            clock: the party's own.
        """
        self._party_id, self._coordinator, self._grants = party_id, coordinator, grants
        self._box, self._withdrawals, self._look, self._clock = box, withdrawals, look, clock
        self.refusals: Final[deque[Refusal]] = deque(maxlen=MAX_REFUSALS)

    async def commit(self, asked: CommitmentsAsked) -> tuple[GroupCommitments, ...]:
        """Return the commitments that the coordinator now has, after reviewing what would be signed.

        Raises:
            RefusedError: a rule of VN-7.3 or VN-14.3 says no.
            LogForkedError: somebody was shown another log.
            VetonetError: the log or the coordinator fails.
        """
        try:
            view = await self._look()
            agreed, treaty = self._agree(view, asked), view.ledger.treaty
            seats = list_seats(treaty.statement, agreed.action, self._party_id)
            commitments = self._grants.commit(agreed.task, seats, treaty)
            await self._coordinator.submit_commitments(asked.name, asked.lease, commitments)
        except VetonetError as error:
            self._note_refusal(asked, error)
            raise
        return commitments

    async def answer(self, asked: SigningAsked) -> tuple[GroupShare, ...]:
        """Return the signature shares that the coordinator now has, after reviewing everything afresh.

        Raises:
            RefusedError: a rule of VN-7.3 or VN-14.3 says no, or the nonces are spent or gone.
            LogForkedError: somebody was shown another log.
            VetonetError: the log or the coordinator fails; no share left, or only for what was reviewed.
        """
        try:
            shares = self._sign(await self._look(), asked)
            await self._coordinator.submit_shares(asked.name, asked.lease, asked.attempt, shares)
        except VetonetError as error:
            self._note_refusal(asked, error)
            raise
        return shares

    def _sign(self, view: LogView, asked: SigningAsked) -> tuple[GroupShare, ...]:
        """Review, derive, compare and sign, without waiting for anything in between."""
        agreed, treaty = self._agree(view, asked), view.ledger.treaty
        verify_sessions(
            treaty.statement,
            agreed.action,
            agreed.statement,
            asked.sessions,
            consenting=agreed.consenting,
            party_id=self._party_id,
        )
        return self._grants.sign_shares(
            agreed.task,
            asked.attempt,
            statement=agreed.statement,
            sessions=asked.sessions,
            seats=list_signing_seats(treaty.statement, asked.sessions, self._party_id),
            treaty=treaty,
            now=self._clock(),
        )

    def _agree(self, view: LogView, asked: CommitmentsAsked | SigningAsked) -> Agreed:
        """Return what this party is ready to sign of what is asked for.

        Raises:
            RefusedError: nothing.
        """
        vote = find_vote(view.ledger, asked.name)
        return (
            self._agree_to_lease(view, vote, asked.lease) if asked.lease else self._agree_to_vote(view, vote)
        )

    def _agree_to_vote(self, view: LogView, vote: Voting) -> Agreed:
        now = self._clock()
        if is_over(vote, now):
            msg = f"no signature share: {vote.digest.hex()[:16]} is licensed, or the run's time is over"
            raise RefusedError(msg, clause="VN-7.3")
        statement = review_vote(
            view.ledger,
            vote.digest,
            party_id=self._party_id,
            direct_ballots=self._box.list_on(vote.digest),
            witnessed_ms=view.witnessed_ms,
            now=now,
        )
        consenting = frozenset(list_granting(vote))
        return Agreed(
            task=Task(digest=vote.digest), action=vote.action, statement=statement, consenting=consenting
        )

    def _agree_to_lease(self, view: LogView, vote: Voting, number: int) -> Agreed:
        lease = review_lease(
            view.ledger,
            vote.digest,
            number,
            party_id=self._party_id,
            direct=self._withdrawals.list_on(vote.digest),
            witnessed_ms=view.witnessed_ms,
            now=self._clock(),
        )
        return Agreed(
            task=Task(digest=vote.digest, lease=number, treaty_digest=lease.treaty_digest),
            action=ActionClass.LEASE_RENEWAL,
            statement=lease,
            consenting=frozenset(list_consenting(view.ledger.find_tenure(vote.digest))),
        )

    def _note_refusal(self, asked: CommitmentsAsked | SigningAsked, error: VetonetError) -> None:
        self.refusals.append(
            Refusal(
                at_ms=self._clock(),
                name=asked.name,
                attempt=asked.attempt,
                reason=error.reason,
                why=str(error),
                lease=asked.lease,
            )
        )


def find_vote(ledger: Ledger, name: str) -> Voting:
    """Return the vote that a resource name means.

    Raises:
        EncodingError: it is no such name.
        RefusedError: the log holds none of it, or several.
    """
    prefix = parse_proposal_name(name)
    matches = [vote for digest, vote in ledger.votes.items() if digest.startswith(prefix)]
    if len(matches) != 1:
        msg = f"expected one proposal {name} in the log, found {len(matches)}"
        raise RefusedError(msg, clause="VN-7.3")
    return matches[0]


def is_done(task: Task, ledger: Ledger, now: Milliseconds) -> bool:
    """Whether nothing can come of a signature any more: of a vote's, or of a lease's (VN-14.1, VN-16.8)."""
    vote = ledger.votes.get(task.digest)
    if vote is None:
        return False
    if not task.lease:
        return is_over(vote, now)
    return task.treaty_digest != ledger.treaty.payload_digest or now >= vote.matter.statement.ends_ms
