"""The coordinator: the imperative shell around the votes' machine, with its ports for journal and clock.

For every event the pure step comes first, then the durable append, then the new state counts, then the
watchers learn. Where the append fails the state is not adopted, so nothing is ever acknowledged that a
restart would lose. What is appended is published behind that, and no proof, leaf or licence leaves before
witnesses vouch for it (``publishing``). A call counts as of its arrival, however long it then waits for its
turn, and turns are taken in the order of arrival: so a vote closes only after every ballot that came in time.
Nobody trusts a coordinator: it can stall, but everything it says can be verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Self

from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import Signed, peek
from vetonet.errors import ConfigError, RefusedError, StorageError, UnknownPartyError, VetonetError
from vetonet.policy.ballot import open_ballot
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.matter import open_matter
from vetonet.policy.motion import Motion, Resolution
from vetonet.policy.standing import Consent, open_consent
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.service.bulletin import Bulletin, Changed
from vetonet.service.history import CHECKPOINT, LEAF, START, History, require_leaf_sizes
from vetonet.service.inspecting import Inspecting, are_inspections
from vetonet.service.intake import Intake
from vetonet.service.journalling import (
    JournalPort,
    append,
    make_record,
    read_history,
)
from vetonet.service.leasing import Leasing
from vetonet.service.public_view import PublicView
from vetonet.service.publishing import Publisher, Publishing
from vetonet.service.recording import Recording
from vetonet.service.request import Request
from vetonet.service.tiling import LogTiles
from vetonet.service.turns import Turns
from vetonet.service.votes import Votes
from vetonet.storage.journal import PoisonedJournalError, Record
from vetonet.storage.tile_store import TileStore
from vetonet.tlog.policy import CosignedCheckpoint
from vetonet.tlog.proof import LogProof
from vetonet.units import Clock, Milliseconds
from vetonet.voting.signing import GroupCommitments, GroupShare
from vetonet.voting.state import (
    BallotReceived,
    CommitmentsReceived,
    Voting,
)
from vetonet.wire.errors import NotFoundError
from vetonet.wire.identity import Identity, Role, require_caller

MAX_BATCH: Final = 1_024


class Coordinator:
    """One treaty's votes and log, over one journal.

    Attributes:
        bulletin: what watchers follow.
        stuck: set once the journal takes in nothing any more, until somebody restarts the coordinator.
        view: what anybody may read.
        publisher: lets the log out, checkpoint by checkpoint.
    """

    __slots__ = (
        "_clock", "_history", "_inspecting", "_intake", "_journal", "_leasing", "_recording", "_tiles",
        "_turns", "_votes",
        "bulletin", "publisher", "stuck", "view",
    )  # fmt: skip

    def __init__(
        self,
        *,
        history: History,
        journal: JournalPort,
        log_key: SigningKey,
        publishing: Publishing,
        tiles: TileStore | None,
        clock: Clock,
    ) -> None:
        """Take over what a journal says, and begin to publish; use ``start`` instead."""
        self.bulletin: Final = Bulletin(incarnation=history.record_count)
        self.stuck: Final = asyncio.Event()
        self.view: Final = PublicView(history)
        self._history, self._journal, self._clock = history, journal, clock
        self._turns = Turns()
        self._intake = Intake(history, self._turns, self._store)
        self._inspecting = Inspecting(history, self._store)
        self._tiles = None if tiles is None else LogTiles(history.log, tiles, history.published)
        for digest in history.ledger.order:
            self.bulletin.post(digest, Changed())
        self.publisher: Final = Publisher(
            history.log,
            log_key=log_key,
            policy=history.policy,
            publishing=publishing,
            prepare=self._write_tiles,
            store=self._store_checkpoint,
            newest=history.published,
        )
        growth = self.publisher.notice_growth
        self._votes = Votes(history, self.view, self.bulletin, store=self._store, announce_growth=growth)
        self._leasing = Leasing(history, self.bulletin, store=self._store, announce_growth=growth)
        self._recording = Recording(history, store=self._store, announce_growth=growth)
        self.publisher.start(on_failure=self.stuck.set)

    @property
    def treaty(self) -> Signed[Treaty]:
        """The treaty in force."""
        return self._history.ledger.treaty

    @classmethod
    async def start(
        cls,
        journal: JournalPort,
        *,
        treaty_bytes: bytes,
        log_key: SigningKey,
        publishing: Publishing,
        clock: Clock,
        tiles: TileStore | None = None,
    ) -> Self:
        """Everything that the journal acknowledged counts; a new journal begins with the treaty as leaf 0.

        Args:
            journal: closed by ``close``; nobody else appends to it.
            treaty_bytes: the founding treaty as its parties signed it; the journal says what followed it.
            log_key: signs checkpoints; the one that the treaty names.
            publishing: which witnesses are asked to cosign them, and how often.
            clock: milliseconds since the Unix epoch.
            tiles: where the log is also kept as tiles, for others to serve, or None.

        Raises:
            EncodingError, InvalidSignatureError: not a treaty.
            ConfigError: the log key is not the treaty's, or the journal is another treaty's.
            StorageError: the journal cannot be read or written, or breaks the rules.
        """
        treaty = open_treaty(treaty_bytes)
        if log_key.public_key != treaty.statement.log_key:
            raise ConfigError("expected the log key that the treaty names, got another")
        history = await read_history(journal, treaty)
        leaves = () if history.log.tree_size else (treaty.data,)
        records = [make_record(LEAF, data, clock()) for data in leaves] + [make_record(START, b"", clock())]
        require_leaf_sizes(leaves)
        await append(journal, history, records)
        history.adopt(records)
        return cls(
            history=history, journal=journal, log_key=log_key, publishing=publishing, tiles=tiles, clock=clock
        )

    async def close(self) -> None:
        """Whatever was under way has ended, watchers are let go, and the journal is closed.

        Raises:
            StorageError: the journal could not be closed.
        """
        self.bulletin.close()
        await self.publisher.stop()
        await self._turns.settle()
        async with self._intake.lock, self._turns.lock:
            await self._journal.close()

    async def create_proposal(self, data: bytes, *, request_id: str, caller: Identity | None) -> Voting:
        """The proposal or motion is logged and its vote open; the same again changes nothing.

        Args:
            data: the proposal as its operator signed it, or the motion as its party did.
            request_id: the idempotency key, unique among all callers.
            caller: who sent it, or None where there are no certificates.

        Raises:
            WrongIdentityError: the caller is not the operator, or the party that moves.
            EncodingError, ProtocolError, InvalidSignatureError: the rules of VN-5 say no.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
            WitnessQuorumError: it is logged and its vote open, but nobody can read it yet; retry.
        """
        arrived = self._clock()
        matter = open_matter(data, self.treaty)
        if isinstance(matter.statement, Motion):
            require_caller(caller, Role.PARTY, matter.statement.mover)
        else:
            require_caller(caller, Role.OPERATOR, matter.statement.operator_id)
        request = Request.over(request_id, "create proposal", (data,))
        vote = await self._turns.run(self._votes.open(matter.payload_digest, data, request, arrived))
        await self.publisher.wait_for(vote.leaf_index + 1)
        return vote

    async def cast_ballot(
        self, name: bytes, data: bytes, *, request_id: str, caller: Identity | None
    ) -> LogProof:
        """The ballot is logged; return the proof. The same ballot again gets the proof of the first.

        While a run goes on, what a party says of its consent to it comes the same way (VN-14.2).

        Args:
            name: the first 16 bytes of the digest of the proposal that the caller means.
            data: the ballot, or the statement of consent, as its party signed it.
            request_id: the idempotency key, unique among all callers.
            caller: who sent it, or None where there are no certificates.

        Raises:
            NotFoundError: there is no such proposal.
            WrongIdentityError: the caller is not the party.
            EncodingError, ProtocolError, InvalidSignatureError: the rules of VN-6 say no.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
            WitnessQuorumError: it is logged and counts, but cannot be proven yet; retry.
        """
        arrived = self._clock()
        digest = self.view.find_vote(name).digest
        if peek(data).kind == Consent.TYPE:
            return await self._state_consent(digest, data, request_id, caller, arrived)
        ballot = open_ballot(data, self.treaty)
        party_id = self.treaty.statement.find_party(ballot.signer).party_id
        require_caller(caller, Role.PARTY, party_id)
        request = Request.over(request_id, "cast ballot", (name, data))
        vote = await self._turns.run(
            self._votes.advance(
                digest,
                lambda place: BallotReceived(ballot=ballot, leaf_index=place),
                arrived,
                request=request,
            )
        )
        logged = vote.find_ballot(party_id)
        if logged is None:
            raise StorageError(f"the ballot of {party_id} was not counted; retry")
        return await self.prove(logged.leaf_index)

    async def _state_consent(
        self, digest: bytes, data: bytes, request_id: str, caller: Identity | None, arrived: Milliseconds
    ) -> LogProof:
        consent = open_consent(data, self.treaty)
        require_caller(caller, Role.PARTY, self.treaty.statement.find_party(consent.signer).party_id)
        if consent.statement.proposal_digest != digest:
            raise RefusedError("a statement of consent to another run than the one named", clause="VN-14.2")
        request = Request.over(request_id, "state consent", (data,))
        place = await self._turns.run(self._leasing.state_consent(consent, request, arrived))
        return await self.prove(place)

    async def get_lease(self, name: bytes) -> tuple[Signed[Lease], LogProof]:
        """Return the newest lease of a run with the proof that it is logged and witnessed: never without.

        Raises:
            NotFoundError: there is no such proposal, or no lease for it.
            ProtocolError: the run holds no licence.
            WitnessQuorumError: no quorum of witnesses vouches for it in time (VN-11.6).
        """
        lease = self._leasing.find_lease(self.view.find_vote(name).digest)
        leaf_index = None if lease is None else self._history.find_leaf(lease.data)
        if lease is None or leaf_index is None:
            raise NotFoundError(f"no lease for proposal {name.hex()} yet")
        return lease, await self.prove(leaf_index)

    async def amend_treaty(self, data: bytes, *, request_id: str, caller: Identity | None) -> LogProof:
        """Another treaty is in force, because the present one's quorum decided so; return the proof (VN-16).

        Args:
            data: the successor, signed by all its parties.
            request_id: the idempotency key, unique among all callers.
            caller: who sent it, or None where there are no certificates.

        Raises:
            WrongIdentityError, UnknownPartyError: the caller is no party of the present treaty or the other.
            EncodingError, InvalidSignatureError: not a treaty that all its parties signed.
            RefusedError, ExpiredError: nobody decided that, or it is no successor.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
            WitnessQuorumError: it is logged and in force, but cannot be proven yet; retry.
        """
        arrived, successor = self._clock(), open_treaty(data)
        _require_party(caller, self.treaty.statement, successor.statement)
        request = Request.over(request_id, "amend treaty", (data,))
        return await self.prove(await self._turns.run(self._votes.amend(successor, request, arrived)))

    async def prove(self, leaf_index: int) -> LogProof:
        """Return the proof of a leaf, waiting for the checkpoint that covers it.

        Raises:
            RefusedError: there is no such leaf.
            WitnessQuorumError: no quorum of witnesses vouches for it in time (VN-11.6).
        """
        if leaf_index < self.view.tree_size:
            await self.publisher.wait_for(leaf_index + 1)
        return self.view.prove(leaf_index)

    async def get_licence(self, name: bytes) -> tuple[Signed[Licence] | Signed[Resolution], LogProof]:
        """Return a licence, or a resolution, with the proof that it is logged and witnessed: never without.

        Raises:
            NotFoundError: there is no such proposal, or no licence for it.
            WitnessQuorumError: no quorum of witnesses vouches for it in time (VN-11.6).
        """
        outcome, leaf_index = self.view.find_outcome(name)
        return outcome, await self.prove(leaf_index)

    async def submit_commitments(
        self,
        name: bytes,
        party_id: str,
        commitments: tuple[GroupCommitments, ...],
        *,
        caller: Identity | None,
        lease: int = 0,
    ) -> Voting:
        """A signer's commitments are taken in; once there are enough, shares are asked for.

        Neither these nor shares are journalled: an attempt does not outlive a restart, all commit anew.

        Args:
            name: the first 16 bytes of the digest of the proposal or motion.
            party_id: who commits; on a server with certificates the caller.
            commitments: with all its seats.
            caller: who sent them, or None where there are no certificates.
            lease: the number of the lease that is to be signed, 0 for the licence or resolution itself.

        Raises:
            NotFoundError: there is no such proposal.
            UnexpectedEventError: no signature is being made.
            RefusedError: the rules of VN-7 say no.
        """
        require_caller(caller, Role.PARTY, party_id)
        digest, arrived = self.view.find_vote(name).digest, self._clock()
        if lease:
            await self._turns.run(self._leasing.commit(digest, lease, party_id, commitments, arrived))
            return self.view.find_vote(name)
        received = CommitmentsReceived(party_id=party_id, commitments=commitments)
        return await self._turns.run(self._votes.advance(digest, lambda _: received, arrived))

    async def submit_shares(
        self,
        name: bytes,
        party_id: str,
        attempt: int,
        shares: tuple[GroupShare, ...],
        *,
        caller: Identity | None,
        lease: int = 0,
    ) -> Voting:
        """The shares are taken in; the last of an attempt make the licence, logged before anyone sees it.

        Args:
            name: the first 16 bytes of the digest of the proposal or motion.
            party_id: who signed; on a server with certificates the caller.
            attempt: which attempt the shares are for.
            shares: of the seats that take part.
            caller: who sent them, or None where there are no certificates.
            lease: the number of the lease that is signed, 0 for the licence or resolution itself.

        Raises:
            NotFoundError: there is no such proposal.
            UnexpectedEventError: no signature is being made.
            ProtocolError: the rules of VN-7 say no.
            StorageError: the licence could not be made durable; the shares may be sent again.
            WitnessQuorumError: the licence is logged, but nobody can read it yet; retry.
        """
        require_caller(caller, Role.PARTY, party_id)
        digest, arrived = self.view.find_vote(name).digest, self._clock()
        if lease:
            await self._turns.run(
                self._leasing.share(digest, lease, party_id, attempt=attempt, shares=shares, now=arrived)
            )
            return self.view.find_vote(name)
        vote = await self._turns.run(self._votes.collect(digest, party_id, attempt, shares, arrived))
        if vote.outcome is not None:
            await self.get_licence(name)  # which is there once it is published
        return vote

    async def append_statements(
        self, statements: Sequence[bytes], *, request_id: str, caller: Identity | None
    ) -> tuple[int, ...]:
        """All statements are logged, in order; those that were already, are not again.

        Args:
            statements: enrolments, alias endorsements and report batches, signed; or what is about
                inspections.
            request_id: the idempotency key of the whole, unique among all callers.
            caller: who sent them, or None where there are no certificates.

        Returns:
            The leaf index of each.

        Raises:
            WrongIdentityError: the caller is not the operator or party whose statement one is.
            EncodingError, ProtocolError, VerificationError: one breaks VN-8, VN-9 or VN-19; none is in.
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        arrived = self._clock()
        _require_batch(statements)
        request = Request.over(request_id, "append statements", statements)
        try:
            if are_inspections(statements):
                return await self._turns.run(self._inspecting.log(statements, request, caller, arrived))
            return await self._turns.finish(self._intake.log(statements, request, caller, arrived))
        finally:
            self.publisher.notice_growth()  # also where only a proof against somebody was logged

    async def record_ceremony(
        self, statements: Sequence[bytes], *, request_id: str, caller: Identity | None
    ) -> tuple[int, ...]:
        """What was signed in a ceremony is logged, in order; what was already, is not again (VN-15.11).

        Args:
            statements: signed by participants; nothing that is sealed.
            request_id: the idempotency key of the whole, unique among all callers.
            caller: who sent them, or None where there are no certificates.

        Returns:
            The leaf index of each.

        Raises:
            WrongIdentityError: the caller is no party of the treaty in force.
            EncodingError, RefusedError, UnknownPartyError, InvalidSignatureError: one has no place in the
                log; none is in.
            RequestConflictError: the request id was used for something else.
            StorageError: they could not be made durable.
        """
        arrived = self._clock()
        _require_party(caller, self.treaty.statement)
        _require_batch(statements)
        request = Request.over(request_id, "record ceremony", statements)
        return await self._turns.run(self._recording.log(statements, request, arrived))

    async def record_founding(self, statements: Sequence[bytes]) -> None:
        """What was signed when the treaty was founded is logged, as far as it is not; before anybody calls.

        Raises:
            EncodingError, RefusedError, UnknownPartyError, InvalidSignatureError: one has no place there.
            StorageError: they could not be made durable.
        """
        for start in range(0, len(statements), MAX_BATCH):
            batch = statements[start : start + MAX_BATCH]
            await self._turns.run(self._recording.log(batch, None, self._clock()))

    async def tick(self) -> None:
        """Every vote and lease that is due has moved on: windows closed, leases begun, the silent replaced.

        Raises:
            VetonetError: a vote could not move on; the others did, and the next tick tries again.
        """
        now, failure = self._clock(), None
        needed_ms = max(self._votes.docket.find_needed_ms(now), self._leasing.find_needed_ms(now))
        await self.publisher.refresh(needed_ms)
        for digest in self._votes.docket.list_due(now, self.publisher.witnessed_ms):
            try:
                await self._turns.run(self._votes.advance(digest, self._votes.let_time_pass, now))
            except VetonetError as error:
                failure = error
        for digest in self._leasing.list_ready(now, self.publisher.witnessed_ms):
            try:
                await self._turns.run(self._leasing.tick(digest, now))
            except VetonetError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _store(self, records: Sequence[Record]) -> None:
        try:
            await append(self._journal, self._history, records)
        except PoisonedJournalError:
            self.stuck.set()
            raise

    async def _store_checkpoint(self, cosigned: CosignedCheckpoint) -> None:
        """What leaves is durable first: no restart may know less than the world does (VN-11.6)."""
        await self._turns.run(self._append_checkpoint(cosigned))
        if self._tiles is not None:
            await asyncio.to_thread(self._tiles.write_checkpoint, cosigned)

    async def _write_tiles(self) -> None:
        if self._tiles is not None:
            await asyncio.to_thread(self._tiles.catch_up, self.view.tree_size)

    async def _append_checkpoint(self, cosigned: CosignedCheckpoint) -> None:
        records = (make_record(CHECKPOINT, cosigned.data, self._clock()),)
        await self._store(records)
        self._history.adopt(records)
        for digest in self._votes.docket.take_published():  # watchers learn of a licence now, and not before
            self.bulletin.post(digest, Changed())


def _require_party(caller: Identity | None, *treaties: Treaty) -> None:
    """The caller is a party of one of these treaties; without certificates (None) only signatures count.

    Raises:
        WrongIdentityError: its certificate is no party's.
        UnknownPartyError: none of them names it.
    """
    if caller is None:
        return
    require_caller(caller, Role.PARTY, caller.name)  # the role; the name is the certificate's own
    if not any(caller.name == party.party_id for treaty in treaties for party in treaty.parties):
        msg = f"expected a party of the treaty as the caller, got {caller.name!r}"
        raise UnknownPartyError(msg, culprit=caller.name, clause="VN-13.1")


def _require_batch(statements: Sequence[bytes]) -> None:
    """So many statements may be logged at once, and each fits into the log.

    Raises:
        RefusedError: none, too many, or one that does not fit.
    """
    if not 0 < len(statements) <= MAX_BATCH:
        raise RefusedError(f"expected 1 to {MAX_BATCH} statements, got {len(statements)}")
    require_leaf_sizes(statements)
