"""The client of the coordinator and its log, for parties and operators alike; it believes proofs, not words.

Every receipt is verified under the treaty's log key before the caller sees it, so whoever gets one knows that
the log committed to the statement, and whoever gets ``ProofError`` knows that it did not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Self

import grpc.aio

from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError, EpochError, ProofError, RefusedError
from vetonet.party.calls import Caller, CallPolicy, Sleep, is_retryable
from vetonet.party.log_client import split_batches
from vetonet.party.views import (
    LoggedLease,
    LoggedLicence,
    ProposalView,
    WatchEvent,
    read_event,
    read_proposal,
)
from vetonet.policy.lease import open_lease
from vetonet.policy.licence import open_licence
from vetonet.policy.matter import read_treaty_reference
from vetonet.policy.treaty import Treaty
from vetonet.tlog.policy import LogPolicy, verify_cosigned
from vetonet.tlog.proof import LogProof, verify_log_proof
from vetonet.units import Rng
from vetonet.v1 import (
    coordinator_pb2,
    coordinator_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    resources_pb2,
)
from vetonet.voting.signing import GroupCommitments, GroupShare
from vetonet.wire.channel import open_channel
from vetonet.wire.convert import (
    ALL_PROPOSALS,
    commitments_message,
    proposal_name,
    read_receipt,
    share_message,
)
from vetonet.wire.identity import Identity
from vetonet.wire.pki import Credential
from vetonet.wire.status import RpcError, to_error

DEFAULT_POLICY: Final = CallPolicy()
MAX_FETCHED_LEAVES: Final = 2**22
"""A log that claims to have grown by more since it was last followed is not believed."""

MAX_LEAVES_PER_PAGE: Final = 4_096


class CoordinatorClient:
    """All that a coordinator serves, as values; one for each coordinator and caller."""

    def __init__(self, channel: grpc.aio.Channel, treaty: Signed[Treaty], caller: Caller) -> None:
        """Speak over this channel; the client owns it from now on.

        Args:
            channel: to the coordinator.
            treaty: what everything that comes back must hold under.
            caller: how calls are made.
        """
        self._treaty = treaty
        self._treaties = {treaty.payload_digest: treaty}
        self._policy = LogPolicy.under(treaty.statement)
        self._caller = caller
        self._channel = channel
        self._coordinator: coordinator_pb2_grpc.CoordinatorServiceAsyncStub
        self._log: log_pb2_grpc.LogServiceAsyncStub
        self._coordinator = coordinator_pb2_grpc.CoordinatorServiceStub(channel)
        self._log = log_pb2_grpc.LogServiceStub(channel)

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        treaty: Signed[Treaty],
        credential: Credential | None,
        server: Identity | None,
        rng: Rng,
        policy: CallPolicy = DEFAULT_POLICY,
        sleep: Sleep = asyncio.sleep,
    ) -> Self:
        """Return a client of the coordinator at ``host:port``; nothing is sent before the first call.

        Args:
            address: ``host:port``.
            treaty: what everything that comes back must hold under.
            credential: the caller's certificate, or None for plaintext, on a loopback address only.
            server: who must answer; None only for plaintext.
            rng: for request ids and pauses.
            policy: deadlines and retries.
            sleep: how to wait.

        Raises:
            ConfigError: plaintext to another machine, or no identity for the server.
        """
        channel = open_channel(address, credential=credential, server=server)
        return cls(channel, treaty, Caller(policy, rng=rng, sleep=sleep))

    async def close(self) -> None:
        """The channel is closed."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The channel is closed."""
        await self.close()

    def adopt(self, treaty: Signed[Treaty]) -> None:
        """Another treaty is in force; what was made under earlier ones is still read."""
        self._treaty = treaty
        self._treaties[treaty.payload_digest] = treaty

    async def create_proposal(self, statement: bytes) -> ProposalView:
        """Return the proposal, or motion, that this signed statement is, its vote open.

        Raises:
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = coordinator_pb2.CreateProposalRequest(
            statement=statement, request_id=self._caller.generate_request_id()
        )
        view = self._view(await self._caller.call(self._coordinator.CreateProposal, request))
        if view.matter.data != statement:
            msg = "the coordinator answered with another proposal"
            raise EncodingError(msg)
        return view

    async def get_proposal(self, name: str) -> ProposalView:
        """Return one proposal as the coordinator sees it.

        Raises:
            NotFoundError: it knows none of this name.
            VetonetError: as every call.
        """
        request = coordinator_pb2.GetProposalRequest(name=name)
        view = self._view(await self._caller.call(self._coordinator.GetProposal, request))
        if view.name != name:
            msg = f"asked for {name}, got {view.name}"
            raise EncodingError(msg)
        return view

    async def list_proposals(self) -> tuple[ProposalView, ...]:
        """Return all proposals in the order of the log, page by page.

        Raises:
            VetonetError: as every call.
        """
        views: list[ProposalView] = []
        token = ""
        while True:
            request = coordinator_pb2.ListProposalsRequest(page_token=token)
            answer = await self._caller.call(self._coordinator.ListProposals, request)
            views += (self._view(message) for message in answer.proposals)
            token = answer.next_page_token
            if not token:
                return tuple(views)
            if not answer.proposals:
                msg = "the coordinator lists pages without proposals"
                raise EncodingError(msg)

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> LogProof:
        """Return the proof, verified, that this ballot is in the log.

        Raises:
            EncodingError, InvalidSignatureError, ProofError: the receipt does not hold: not logged.
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = coordinator_pb2.CastBallotRequest(
            parent=proposal_name(proposal_digest),
            statement=statement,
            request_id=self._caller.generate_request_id(),
        )
        return self._verified(statement, await self._caller.call(self._coordinator.CastBallot, request))

    async def submit_commitments(
        self, name: str, lease: int, commitments: Sequence[GroupCommitments]
    ) -> ProposalView:
        """Return the proposal after the coordinator took these commitments.

        Raises:
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = coordinator_pb2.SubmitCommitmentsRequest(
            name=name,
            lease=lease,
            commitments=map(commitments_message, commitments),
            request_id=self._caller.generate_request_id(),
        )
        return self._view(await self._caller.call(self._coordinator.SubmitCommitments, request))

    async def submit_shares(
        self, name: str, lease: int, attempt: int, shares: Sequence[GroupShare]
    ) -> ProposalView:
        """Return the proposal after the coordinator took these signature shares.

        Raises:
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = coordinator_pb2.SubmitSignatureSharesRequest(
            name=name,
            lease=lease,
            attempt=attempt,
            shares=map(share_message, shares),
            request_id=self._caller.generate_request_id(),
        )
        return self._view(await self._caller.call(self._coordinator.SubmitSignatureShares, request))

    async def get_licence(self, proposal_digest: bytes) -> LoggedLicence:
        """Return a proposal's licence, verified under the group key and the log key.

        Raises:
            NotFoundError: there is none.
            ProofError: it is of another proposal, or not in the log.
            VetonetError: as every call.
        """
        request = coordinator_pb2.GetLicenceRequest(name=proposal_name(proposal_digest))
        answer = await self._caller.call(self._coordinator.GetLicence, request)
        licence = open_licence(answer.statement, self._treaty)
        if licence.statement.proposal_digest != proposal_digest:
            msg = "the coordinator answered with the licence of another proposal"
            raise ProofError(msg)
        return LoggedLicence(licence=licence, proof=self._verified(answer.statement, answer.receipt))

    async def amend_treaty(self, statement: bytes) -> LogProof:
        """Return the proof, verified, that this treaty is in the log, and so in force.

        Raises:
            EncodingError, InvalidSignatureError, ProofError: the receipt does not hold: not logged.
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = coordinator_pb2.AmendTreatyRequest(
            statement=statement, request_id=self._caller.generate_request_id()
        )
        return self._verified(statement, await self._caller.call(self._coordinator.AmendTreaty, request))

    async def get_lease(self, proposal_digest: bytes) -> LoggedLease:
        """Return the newest lease of a run, verified under the groups that renew and the log key.

        Raises:
            NotFoundError: there is none.
            ProofError: it is of another run, or not in the log.
            VetonetError: as every call.
        """
        request = coordinator_pb2.GetLeaseRequest(name=proposal_name(proposal_digest))
        answer = await self._caller.call(self._coordinator.GetLease, request)
        lease = open_lease(answer.statement, self._treaty)
        if lease.statement.proposal_digest != proposal_digest:
            msg = "the coordinator answered with the lease of another run"
            raise ProofError(msg)
        return LoggedLease(lease=lease, proof=self._verified(answer.statement, answer.receipt))

    async def watch(
        self, name: str = ALL_PROPOSALS, *, resume_sequence: int = 0
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what changes, for ever; a broken stream is resumed where it broke.

        Args:
            name: a proposal's, or all.
            resume_sequence: of the last event seen, or 0 to begin with how things stand.

        Raises:
            RpcError: as many attempts in a row as the policy allows brought nothing.
            VetonetError: the coordinator's refusal, or an event that does not hold.
        """
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._watch_once(name, resume_sequence)) as events:
                    async for event in events:
                        failures, resume_sequence = 0, event.sequence
                        yield event
            except (grpc.RpcError, RpcError) as error:
                failures += 1
                if failures >= self._caller.policy.attempts or not is_retryable(error):
                    raise (to_error(error) if isinstance(error, grpc.RpcError) else error) from error
            await self._caller.pause(failures)

    async def append_statements(self, statements: Sequence[bytes]) -> tuple[LogProof, ...]:
        """Return the proof, verified, of each of these statements, all of them now in the log.

        Raises:
            EncodingError, InvalidSignatureError, ProofError: a receipt does not hold: not logged.
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        request = log_pb2.AppendStatementsRequest(
            statements=statements, request_id=self._caller.generate_request_id()
        )
        answer = await self._caller.call(self._log.AppendStatements, request)
        return await self._place_all(statements, answer.leaf_indices, answer.checkpoint)

    async def record_ceremony(self, statements: Sequence[bytes]) -> tuple[LogProof, ...]:
        """Return the proof, verified, of each statement of a ceremony, all of them now in the log (VN-15.11).

        Args:
            statements: as ``voting.founding_log.choose_leaves`` gives them; those that the log holds do no
                harm.

        Raises:
            EncodingError, InvalidSignatureError, ProofError: a receipt does not hold: not logged.
            VetonetError: the coordinator's refusal, or ``RpcError``.
        """
        proofs: list[LogProof] = []
        for batch in split_batches(statements):
            request = coordinator_pb2.RecordCeremonyRequest(
                statements=batch, request_id=self._caller.generate_request_id()
            )
            answer = await self._caller.call(self._coordinator.RecordCeremony, request)
            proofs += await self._place_all(batch, answer.leaf_indices, answer.checkpoint)
        return tuple(proofs)

    async def get_checkpoint(self) -> bytes:
        """Return the newest checkpoint, its signature and its quorum of cosignatures verified.

        Raises:
            InvalidSignatureError: it is not the treaty's log's.
            WitnessQuorumError: too few witnesses vouch for it.
            VetonetError: as every call.
        """
        answer = await self._caller.call(self._log.GetCheckpoint, log_pb2.GetCheckpointRequest())
        self._size_of(answer.note)
        return answer.note

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        """Return the leaves from ``start`` up to ``end``; whether they are the log's, a checkpoint says.

        Raises:
            ProofError: the coordinator does not hand out all of them.
            RefusedError: they are more than a follower can hold.
            VetonetError: as every call.
        """
        if end - start > MAX_FETCHED_LEAVES:
            msg = f"expected at most {MAX_FETCHED_LEAVES} leaves at a time, got {end - start} to fetch"
            raise RefusedError(msg)
        leaves: list[bytes] = []
        while start + len(leaves) < end:
            limit = min(end - start - len(leaves), MAX_LEAVES_PER_PAGE)
            request = log_pb2.ListLeavesRequest(start=start + len(leaves), limit=limit)
            answer = await self._caller.call(self._log.ListLeaves, request)
            if not 0 < len(answer.leaves) <= limit:
                msg = f"asked for at most {limit} leaves, got {len(answer.leaves)}"
                raise ProofError(msg)
            leaves += answer.leaves
        return tuple(leaves)

    async def get_inclusion_proof(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the path of a leaf; whether it holds, ``verify_inclusion`` says.

        Raises:
            VetonetError: as every call.
        """
        request = log_pb2.GetInclusionProofRequest(leaf_index=leaf_index, tree_size=tree_size)
        answer = await self._caller.call(self._log.GetInclusionProof, request)
        return InclusionProof(leaf_index=leaf_index, tree_size=tree_size, hashes=tuple(answer.hashes))

    async def get_consistency_proof(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that one size extends the other; ``verify_consistency`` says whether it holds.

        Raises:
            VetonetError: as every call.
        """
        request = log_pb2.GetConsistencyProofRequest(old_size=old_size, new_size=new_size)
        answer = await self._caller.call(self._log.GetConsistencyProof, request)
        return ConsistencyProof(old_size=old_size, new_size=new_size, hashes=tuple(answer.hashes))

    async def _watch_once(self, name: str, resume_sequence: int) -> AsyncGenerator[WatchEvent, None]:
        request = coordinator_pb2.WatchProposalRequest(name=name, resume_sequence=resume_sequence)
        stream = self._coordinator.WatchProposal(request)
        messages = aiter(stream)
        try:
            while True:
                async with asyncio.timeout(self._caller.policy.watch_idle_s):
                    message = await anext(messages, None)
                if message is None:
                    raise RpcError("the coordinator ended the watch", code=grpc.StatusCode.UNAVAILABLE)
                yield self._read_event(message)
        except TimeoutError as error:
            msg = "the coordinator sent neither news nor a heartbeat"
            raise RpcError(msg, code=grpc.StatusCode.DEADLINE_EXCEEDED) from error
        finally:
            stream.cancel()

    async def _place_all(
        self, statements: Sequence[bytes], leaf_indices: Sequence[int], checkpoint: bytes
    ) -> tuple[LogProof, ...]:
        if len(leaf_indices) != len(statements):
            msg = f"expected {len(statements)} leaf indices, got {len(leaf_indices)}"
            raise ProofError(msg)
        pairs = zip(statements, leaf_indices, strict=True)
        return tuple(
            await asyncio.gather(*(self._place(data, leaf_index, checkpoint) for data, leaf_index in pairs))
        )

    async def _place(self, statement: bytes, leaf_index: int, checkpoint: bytes) -> LogProof:
        inclusion = await self.get_inclusion_proof(leaf_index, self._size_of(checkpoint))
        proof = LogProof(leaf_index=leaf_index, hashes=inclusion.hashes, checkpoint=checkpoint)
        verify_log_proof(statement, proof, self._policy)
        return proof

    def _view(self, message: resources_pb2.Proposal) -> ProposalView:
        return read_proposal(message, self._find_treaty(message.statement))

    def _read_event(self, message: coordinator_pb2.ProposalEvent) -> WatchEvent:
        is_shown = message.WhichOneof("event") == "proposal_updated"
        treaty = self._find_treaty(message.proposal_updated.statement) if is_shown else self._treaty
        return read_event(message, treaty)

    def _find_treaty(self, statement: bytes) -> Signed[Treaty]:
        """Return the treaty that a proposal or motion was made under.

        Raises:
            EncodingError: it is neither.
            EpochError: this client knows no such treaty; whoever follows the log does.
        """
        named = read_treaty_reference(statement)
        if named not in self._treaties:
            msg = f"a proposal under treaty {named.hex()[:16]}, which this client does not know"
            raise EpochError(msg, clause="VN-2.4")
        return self._treaties[named]

    def _verified(self, statement: bytes, receipt: resources_pb2.Receipt) -> LogProof:
        proof = read_receipt(receipt)
        verify_log_proof(statement, proof, self._policy)
        return proof

    def _size_of(self, checkpoint: bytes) -> int:
        return verify_cosigned(checkpoint, self._policy).checkpoint.tree_size
