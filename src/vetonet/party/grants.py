"""A party's own word: the ballots it signs, the nonces it commits to, the shares it gives.

Nonces live in memory only, each used once or never: a daemon that restarts has lost them, and commits to new
ones when it is asked again. What it signed with them it remembers on disk (``memory``) before a share leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, Statement, compute_digest, read_unverified, sign
from vetonet.errors import RefusedError
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import GivenShare, PartyMemory, Task, read_ballot
from vetonet.policy.ballot import Ballot, VetoReason, open_ballot
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds, Rng
from vetonet.voting.signing import GroupCommitments, GroupSession, GroupShare
from vetonet.voting.state import Voting
from vetonet.voting.tenure_state import Tenure

MAX_UNSPENT: Final = 4
"""So many sets of nonces are kept for one task; each is used once or never."""

Seat = tuple[int, int]
"""Index of a group, and the participant in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    sessions: tuple[GroupSession, ...]
    shares: tuple[GroupShare, ...]


class Grants:
    """Signs ballots and shares: of a matter one ballot and one licence, with a nonce one message."""

    __slots__ = ("_answers", "_epoch", "_logged", "_memory", "_nonces", "_rng", "_secrets", "_shares")

    def __init__(self, secrets: PartySecrets, memory: PartyMemory, rng: Rng) -> None:
        """Begin with what the memory holds, and without any nonce."""
        self._secrets: Final = secrets
        self._memory: Final = memory
        self._rng = rng
        self._epoch = b""
        self._shares: Mapping[Seat, frost.KeyShare] = {}
        self._logged: set[bytes] = set()
        self._nonces: dict[Task, deque[dict[Seat, frost.SigningNonces]]] = {}
        self._answers: dict[tuple[Task, int], _Answer] = {}

    def sign_ballot(
        self, vote: Voting, choice: Choice, reason: VetoReason | None, now: Milliseconds
    ) -> bytes:
        """Return this party's ballot; the very same bytes again while nobody has said that it is logged.

        Raises:
            RefusedError: the party has voted on this proposal, or signed another ballot on it.
            StorageError: the ballot could not be made durable, so it must not leave.
        """
        earlier = self._memory.own_ballots.get(vote.digest)
        if earlier is not None:
            return self._repeat(earlier, choice, reason)
        ballot = Ballot(
            treaty_digest=vote.treaty.payload_digest,
            epoch=vote.treaty.statement.epoch,
            proposal_digest=vote.digest,
            choice=choice,
            cast_ms=now,
            expires_ms=vote.matter.statement.ends_ms,
            reason=reason,
        )
        data = sign(ballot, self._secrets.statement_key)
        self._memory.keep_ballot(open_ballot(data, vote.treaty), now)
        return data

    def sign_consent(
        self, tenure: Tenure, standing: Standing, reason: VetoReason | None, now: Milliseconds
    ) -> bytes:
        """Return this party's word on its consent; the very same bytes again until the log holds it.

        What the log did not take before an epoch ended it never will, so its number is free again (VN-14.2).

        Raises:
            RefusedError: it said just that last, or a withdrawal comes without a reason.
            StorageError: it could not be made durable, so it must not leave.
        """
        party_id, known = self._secrets.party_id, tenure.standings.get(self._secrets.party_id)
        number = 1 if known is None else known.statement.number + 1
        if known is not None and known.statement.standing is standing:
            raise RefusedError(
                f"{party_id} has said so already: {standing}", culprit=party_id, clause="VN-14.2"
            )
        said = self._memory.own_consents.get((tenure.digest, number))
        if said is not None and _is_under(tenure.treaty, said):
            return self._repeat_consent(said, standing)
        try:
            consent = Consent(
                treaty_digest=tenure.treaty.payload_digest,
                epoch=tenure.treaty.statement.epoch,
                proposal_digest=tenure.digest,
                number=number,
                standing=standing,
                stated_ms=now,
                reason=reason,
            )
        except ValueError as error:
            raise RefusedError(str(error), culprit=party_id, clause="VN-14.2") from error
        data = sign(consent, self._secrets.statement_key)
        self._memory.keep_consent(tenure.digest, number, data, now)
        return data

    def mark_logged(self, digest: bytes) -> None:
        """The ballot on this matter is in the log: voting again is refused from now on."""
        self._logged.add(digest)

    def commit(
        self, task: Task, seats: Iterable[Seat], treaty: Signed[Treaty]
    ) -> tuple[GroupCommitments, ...]:
        """Return fresh commitments of these seats; the newest few that were given for the task stay good.

        A coordinator may have begun with those of before when it is asked again, as after a lost connection.

        Raises:
            RefusedError: the key share of a seat under this treaty was lost.
        """
        pairs = {seat: frost.commit(self._find_share(seat, treaty), self._rng) for seat in seats}
        held = self._nonces.setdefault(task, deque(maxlen=MAX_UNSPENT))
        held.append({seat: nonces for seat, (nonces, _) in pairs.items()})
        return tuple(
            GroupCommitments(group=group, commitments=commitments)
            for (group, _), (_, commitments) in pairs.items()
        )

    def sign_shares(
        self,
        task: Task,
        attempt: int,
        *,
        statement: Statement,
        sessions: Sequence[GroupSession],
        seats: Iterable[Seat],
        treaty: Signed[Treaty],
        now: Milliseconds,
    ) -> tuple[GroupShare, ...]:
        """Return the shares of these seats over sessions that were found to be this statement's.

        The same sessions again get the same shares; other ones for the same attempt are refused, because
        their nonces are spent. Another statement of the same task is refused in every attempt: a coordinator
        could log a ballot late and so derive a second licence from the same votes (VN-7.3).

        Raises:
            RefusedError: the nonces are spent or gone, or another statement of the task was signed.
            ProtocolError: a package has not this party's commitments.
            StorageError: what was signed could not be made durable, so no share leaves.
        """
        answer = self._answers.get((task, attempt))
        if answer is not None and answer.sessions == tuple(sessions):
            return answer.shares
        mine = tuple(seats)
        nonces = self._take_nonces(task, attempt, sessions, mine)
        given = GivenShare(
            digest=task.digest,
            lease=task.lease,
            treaty_digest=task.treaty_digest,
            attempt=attempt,
            statement_digest=compute_digest(statement),
            commitments=tuple(nonces[seat].commitments for seat in mine),
        )
        self._memory.keep_share(given, now)
        shares = tuple(self._sign(sessions, seat, nonces[seat], treaty) for seat in mine)
        self._answers[task, attempt] = _Answer(sessions=tuple(sessions), shares=shares)
        return shares

    def forget(self, is_over: Callable[[Task], bool]) -> None:
        """The nonces and shares of tasks that are over are gone for good; that the party voted is not."""
        self._nonces = {task: held for task, held in self._nonces.items() if not is_over(task)}
        self._answers = {key: past for key, past in self._answers.items() if not is_over(key[0])}

    def _take_nonces(
        self, task: Task, attempt: int, sessions: Sequence[GroupSession], seats: tuple[Seat, ...]
    ) -> dict[Seat, frost.SigningNonces]:
        """Return the nonces that these sessions are about; whatever comes of it, they are given once."""
        asked = {
            (session.group, int(commitments.identifier)): commitments
            for session in sessions
            for commitments in session.package.commitments
        }
        for held in tuple(self._nonces.get(task, ())):
            if all(seat in held and held[seat].commitments == asked.get(seat) for seat in seats):
                self._nonces[task].remove(held)
                return held
        msg = f"no signature share: the nonces of attempt {attempt} are gone or spent"
        raise RefusedError(msg, clause="VN-7.3")

    def _sign(
        self,
        sessions: Sequence[GroupSession],
        seat: Seat,
        nonces: frost.SigningNonces,
        treaty: Signed[Treaty],
    ) -> GroupShare:
        (session,) = (session for session in sessions if session.group == seat[0])
        share = frost.sign(session.package, nonces, self._find_share(seat, treaty))
        return GroupShare(group=seat[0], share=share)

    def _find_share(self, seat: Seat, treaty: Signed[Treaty]) -> frost.KeyShare:
        """Return the share of a seat under the treaty in force; which it is, is looked up once an epoch."""
        if self._epoch != treaty.payload_digest:
            self._shares, self._epoch = self._secrets.find_shares(treaty.statement), treaty.payload_digest
        if seat not in self._shares:
            msg = f"no signature share: the key share of participant {seat[1]} in group {seat[0]} was lost"
            raise RefusedError(msg, culprit=self._secrets.party_id, clause="VN-7.3")
        return self._shares[seat]

    def _repeat_consent(self, said: bytes, standing: Standing) -> bytes:
        """A number is used once: what stands under it goes to the log first, whatever is wanted now."""
        if read_unverified(said, Consent).standing is not standing:
            msg = f"{self._secrets.party_id} said the opposite before, and the log does not hold that yet"
            raise RefusedError(msg, culprit=self._secrets.party_id, clause="VN-14.2")
        return said

    def _repeat(self, earlier: bytes, choice: Choice, reason: VetoReason | None) -> bytes:
        said = read_ballot(earlier)
        if said.proposal_digest in self._logged or (said.choice, said.reason) != (choice, reason):
            msg = f"{self._secrets.party_id} already signed a ballot on this proposal: {said.choice}"
            raise RefusedError(msg, culprit=self._secrets.party_id, clause="VN-6.4")
        return earlier


def _is_under(treaty: Signed[Treaty], said: bytes) -> bool:
    return read_unverified(said, Consent).treaty_digest == treaty.payload_digest
