"""A party's daemon: follows the log itself, votes, and signs only what it would have licensed (VN-7.3).

It trusts no server. What the log holds it learns from leaves under signed checkpoints; what its peers voted
it also learns from them directly; what its peers were shown it compares with what it was shown. Time and
randomness are given to it, and every step can be made one by one, so a demonstration or a test can drive it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from vetonet.crypto.statement import Signed, peek
from vetonet.errors import EquivocationError, ExpiredError, ProofError, RefusedError, VetonetError
from vetonet.party.ballot_box import BallotBox
from vetonet.party.calls import Sleep
from vetonet.party.duty import Duty, is_done
from vetonet.party.grants import Grants
from vetonet.party.keys import PartySecrets, verify_statement_key
from vetonet.party.logview import LogView
from vetonet.party.memory import PartyMemory
from vetonet.party.peer import Peer
from vetonet.party.ports import CoordinatorPort
from vetonet.party.recall import adopt, recall
from vetonet.party.status import PartyStatus, Refusal, describe_tenure, describe_vote
from vetonet.party.unlogged import Unlogged, list_unlogged
from vetonet.party.views import CommitmentsAsked, SigningAsked, WatchEvent
from vetonet.party.withdrawals import Withdrawals
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing
from vetonet.policy.treaty import Treaty
from vetonet.tlog.proof import LogProof
from vetonet.units import Clock, Rng
from vetonet.voting.ledger import Ledger
from vetonet.voting.signing import GroupCommitments, GroupShare
from vetonet.voting.state import Voting

RECONNECT_PAUSE_S: Final = 1.0


class PartyDaemon:
    """One party's part in every vote and licence.

    What it must not forget (its ballots, the vetoes it was told of, what it signed) is in its journal before
    anybody hears of it, so a daemon that is killed anywhere goes on as the one it was.
    """

    def __init__(
        self,
        *,
        secrets: PartySecrets,
        treaty: Signed[Treaty],
        coordinator: CoordinatorPort,
        memory: PartyMemory,
        peers: Mapping[str, Peer],
        clock: Clock,
        rng: Rng,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Begin with an empty view of the log.

        Args:
            secrets: the party's.
            treaty: the founding one, with which the log begins; which is in force, the log says.
            coordinator: whom nobody trusts.
            memory: what this party did before, durable.
            peers: the other parties' daemons by party id; one that is left out is never told anything.
            clock: milliseconds since the Unix epoch, by the party's own clock.
            rng: for nonces.
            sleep: how ``run`` waits between connections.

        Raises:
            ConfigError: the treaty names another statement key for this party.
        """
        verify_statement_key(secrets, treaty.statement)
        self._party_id: Final = secrets.party_id
        self._in_force, self._coordinator = treaty.payload_digest, coordinator
        self._peers = {name: peer for name, peer in peers.items() if name != secrets.party_id}
        self._clock, self._sleep = clock, sleep
        self._view = LogView(treaty)
        self._memory = memory
        self._box = BallotBox(treaty)
        self._withdrawals = Withdrawals(treaty)
        recall(memory, self._box, self._withdrawals)
        self._grants = Grants(secrets, memory, rng)
        self._duty = Duty(
            secrets.party_id,
            coordinator=coordinator,
            grants=self._grants,
            box=self._box,
            withdrawals=self._withdrawals,
            look=self._look,
            clock=clock,
        )
        self._undelivered: dict[tuple[str, bytes], bytes] = {}
        self._following = asyncio.Lock()

    @property
    def party_id(self) -> str:
        """Whose daemon it is."""
        return self._party_id

    @property
    def view(self) -> LogView:
        """The log as this party verified it."""
        return self._view

    @property
    def ledger(self) -> Ledger:
        """What the log amounted to when it was last followed."""
        return self._view.ledger

    @property
    def signed(self) -> frozenset[bytes]:
        """What this party signed a ballot on, in the log or not yet, by digest."""
        return frozenset(self._memory.own_ballots)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The newest shares that were not given, oldest first."""
        return tuple(self._duty.refusals)

    @property
    def undelivered(self) -> frozenset[str]:
        """Peers that could not be told of a ballot yet; every ``sync`` tries again."""
        return frozenset(name for name, _ in self._undelivered)

    async def sync(self) -> Ledger:
        """Return the ledger after following the log to its newest checkpoint.

        Raises:
            LogForkedError: the log signed two histories; nothing of it is believed any more.
            ProofError, RefusedError: what the coordinator shows is not what the log signed.
            VetonetError: a leaf that the rules forbid, or the coordinator cannot be reached.
        """
        async with self._following:
            await self._follow()
        await self._redeliver()
        return self._view.ledger

    async def vote(
        self, proposal_digest: bytes, choice: Choice, reason: VetoReason | None = None
    ) -> LogProof:
        """Return the proof that this party's ballot is in the log; the peers were told directly before.

        Where the coordinator failed to log it, the same vote may be called again and sends the same ballot.

        Args:
            proposal_digest: what is voted on.
            choice: grant, veto or abstain.
            reason: for a veto, why.

        Raises:
            RefusedError: the party has voted on this proposal.
            ExpiredError: its window is not open by the party's clock.
            ProtocolError: the log has no such proposal.
            ProofError: the coordinator's receipt does not hold; the ballot is not in the log.
            VetonetError: the coordinator refuses it, or cannot be reached.
        """
        await self.sync()
        vote = self._view.ledger.find(proposal_digest)
        data = self._sign_ballot(vote, choice, reason)
        self._undelivered |= {(name, proposal_digest): data for name in self._list_peers()}
        await self._redeliver()
        receipt = await self._coordinator.cast_ballot(proposal_digest, data)
        self._grants.mark_logged(proposal_digest)
        return receipt

    async def state_consent(
        self, proposal_digest: bytes, standing: Standing, reason: VetoReason | None = None
    ) -> LogProof:
        """Return the proof that this party's word on its consent to a licensed run is in the log.

        A withdrawal binds this party at once, and is handed to the peers before the log has it: whatever
        becomes of it there, it binds honest signers (VN-14.3).

        Raises:
            RefusedError: the party said just that last.
            ProtocolError: the run holds no licence.
            ProofError: the coordinator's receipt does not hold; the statement is not in the log.
            VetonetError: the coordinator refuses it, or cannot be reached.
        """
        ledger = await self.sync()
        data = self._grants.sign_consent(ledger.find_tenure(proposal_digest), standing, reason, self._clock())
        if standing is Standing.WITHDRAWN:
            self._withdrawals.restore(data)
            self._undelivered |= {(name, proposal_digest): data for name in self._list_peers()}
            await self._redeliver()
        return await self._coordinator.cast_ballot(proposal_digest, data)

    def receive_ballot(self, data: bytes) -> None:
        """A ballot or a withdrawal that reached this party directly is kept; from now on it counts here.

        Raises:
            EncodingError, VerificationError, ProtocolError: it is not one that can count.
            StorageError: it could not be made durable, so nobody may count on it.
        """
        now, ledger = self._clock(), self._view.ledger
        if peek(data).kind == Consent.TYPE:
            withdrawal = self._withdrawals.add(data, ledger)
            if withdrawal is not None:
                self._memory.keep_direct(withdrawal.data, now)
            return
        kept = self._box.add(data, ledger, now)
        if kept.ballot.statement.choice is Choice.VETO:
            self._memory.keep_direct(kept.ballot.data, now)

    async def commit(self, asked: CommitmentsAsked) -> tuple[GroupCommitments, ...]:
        """Return the commitments that the coordinator now has; see ``Duty.commit``.

        Raises:
            VetonetError: they were not given.
        """
        return await self._duty.commit(asked)

    async def answer(self, asked: SigningAsked) -> tuple[GroupShare, ...]:
        """Return the signature shares that the coordinator now has; see ``Duty.answer``.

        Raises:
            VetonetError: they were not given.
        """
        return await self._duty.answer(asked)

    async def compare_views(self) -> None:
        """No peer that answers was shown a log that contradicts this party's.

        A peer that is away or lies proves nothing, so it holds nothing up; two signed checkpoints do.

        Raises:
            LogForkedError: the log signed two histories.
            ProofError: the coordinator keeps leaves back that the log signed towards a peer.
            VetonetError: following the log further failed.
        """
        answers = await asyncio.gather(
            *(self._peers[name].get_status() for name in self._list_peers()), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, PartyStatus) and answer.checkpoint:
                await self._compare(answer.checkpoint)
            elif isinstance(answer, BaseException) and not isinstance(answer, VetonetError):
                raise answer

    def get_status(self) -> PartyStatus:
        """Return what this party knows, from the log as it last followed it."""
        ledger, now = self._view.ledger, self._clock()
        return PartyStatus(
            party_id=self._party_id,
            epoch=ledger.treaty.statement.epoch,
            checkpoint=self._view.signed_checkpoint,
            proposals=tuple(
                describe_vote(
                    ledger.votes[digest],
                    now,
                    unlogged_ballots=self._box.count_unlogged(ledger.votes[digest]),
                )
                for digest in ledger.order
            ),
            licences=tuple(
                describe_tenure(ledger.tenures[digest], now)
                for digest in ledger.order
                if digest in ledger.tenures
            ),
            undelivered=tuple(sorted(self.undelivered)),
            refusals=self.refusals,
        )

    def list_unlogged(self) -> tuple[Unlogged, ...]:
        """Return what this party signed and the log does not hold, as far as saying it again can help.

        Such things are left where the party was killed, or the coordinator failed it, between the two.
        """
        return list_unlogged(self._view.ledger, self._memory, self._party_id, self._clock())

    async def run(self) -> None:
        """Follow the coordinator's news and answer what it asks, for ever; reconnects whenever it must.

        Raises:
            EquivocationError: the log signed two histories: somebody has to look.
        """
        while True:
            try:
                async with contextlib.aclosing(self._coordinator.watch()) as events:
                    async for event in events:
                        await self._react(event)
            except EquivocationError:
                raise
            except VetonetError:
                await self._sleep(RECONNECT_PAUSE_S)

    async def _react(self, event: WatchEvent) -> None:
        try:
            if isinstance(event, CommitmentsAsked):
                if self._party_id in event.party_ids:
                    await self.commit(event)
            elif isinstance(event, SigningAsked):
                if self._party_id in event.signers:
                    await self.answer(event)
            else:
                await self.sync()
        except EquivocationError:
            raise
        except VetonetError:
            if not isinstance(event, CommitmentsAsked | SigningAsked):
                raise
            # kept among the refusals

    async def _follow(self) -> None:
        signed = await self._coordinator.get_checkpoint()
        if self._view.stands_at(signed):
            self._settle()
            return
        size = self._view.confront(signed).tree_size
        new_leaves = await self._coordinator.fetch_leaves(self._view.tree_size, size)
        try:
            self._view.advance(new_leaves, signed)
        except ProofError:
            await self._investigate(signed, size)
            raise
        self._settle()

    async def _investigate(self, signed: bytes, size: int) -> None:
        """Either the leaves were wrong, or the log rewrote what this party already has: that is provable.

        Raises:
            LogForkedError: it rewrote it.
        """
        try:
            history = await self._coordinator.fetch_leaves(0, size)
        except VetonetError:
            return  # the first error says enough
        self._view.confront(signed, history)

    def _settle(self) -> None:
        """What the log now says about this party's own ballots, and about those it was handed, is noted."""
        ledger, now = self._view.ledger, self._clock()
        if ledger.treaty.payload_digest != self._in_force:
            self._in_force = ledger.treaty.payload_digest
            self._coordinator.adopt(ledger.treaty)
            adopt((*ledger.predecessors, ledger.treaty), self._memory, self._box, self._withdrawals)
        self._box.settle(ledger, now)
        self._withdrawals.settle(ledger)
        self._grants.forget(lambda task: is_done(task, ledger, now))
        self._undelivered = {
            key: data
            for key, data in self._undelivered.items()
            if now < ledger.find(key[1]).matter.statement.ends_ms
        }

    def list_callers(self) -> frozenset[str]:
        """Return who is on the roster of the treaty in force, as far as the log was followed."""
        return frozenset(party.party_id for party in self.ledger.treaty.statement.parties)

    def _list_peers(self) -> list[str]:
        """Return the peers that are on the roster: who left is told nothing."""
        return sorted(self.list_callers() & set(self._peers))

    async def _redeliver(self) -> None:
        """Every peer that can be reached has the ballots it was not told of yet."""
        pending = list(self._undelivered.items())
        await asyncio.gather(*(self._deliver(name, digest, data) for (name, digest), data in pending))

    async def _deliver(self, name: str, proposal_digest: bytes, data: bytes) -> None:
        try:
            await self._peers[name].deliver_ballot(data)
        except VetonetError:
            return  # it is away, or refuses: the next sync tries again while the window is open
        self._undelivered.pop((name, proposal_digest), None)

    def _sign_ballot(self, vote: Voting, choice: Choice, reason: VetoReason | None) -> bytes:
        now, asked = self._clock(), vote.matter.statement
        if (choice is Choice.VETO) != (reason is not None):
            msg = "a veto needs a reason, and nothing else has one"
            raise RefusedError(msg, culprit=self._party_id, clause="VN-6.1")
        if not asked.is_open_at(now):
            msg = f"no vote at {now}: the window runs from {asked.opens_ms} to {asked.closes_ms}"
            raise ExpiredError(msg, culprit=self._party_id, clause="VN-6.3")
        logged = vote.find_ballot(self._party_id)
        if logged is not None:
            msg = f"{self._party_id} voted {logged.ballot.statement.choice} in leaf {logged.leaf_index}"
            raise RefusedError(msg, culprit=self._party_id, clause="VN-6.4")
        return self._grants.sign_ballot(vote, choice, reason, now)

    async def _look(self) -> LogView:
        """Return the log as it is, once it was compared with what the peers were shown."""
        await self.sync()
        await self.compare_views()
        return self._view

    async def _compare(self, signed: bytes) -> None:
        if self._view.stands_at(signed):
            return
        try:
            seen = self._view.confront(signed)
        except EquivocationError:
            raise
        except VetonetError:
            return  # not a checkpoint of this log: the peer cannot prove anything by it
        if seen.tree_size <= self._view.tree_size:
            return
        await self.sync()
        if self._view.confront(signed).tree_size > self._view.tree_size:
            msg = f"the log signed {seen.tree_size} leaves, the coordinator shows {self._view.tree_size}"
            raise ProofError(msg)
