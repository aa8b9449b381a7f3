"""The gRPC services over a coordinator: protobuf in, domain call, protobuf out.

The boundary around them parses, caps, times, and verifies that the caller is of our trust domain.
"""

# ruff: noqa: N802  (methods are named as in proto/)

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from vetonet.errors import EncodingError
from vetonet.service.bulletin import Asked, Bulletin, Changed, Notice
from vetonet.service.coordinator import Coordinator
from vetonet.service.log_reading import CoordinatorLogReader, LogReadServicer
from vetonet.v1 import (
    coordinator_pb2,
    coordinator_pb2_grpc,
    log_pb2,
    resources_pb2,
)
from vetonet.voting.signing import RequestCommitments, SigningRound
from vetonet.voting.state import NameCulprits, Voting
from vetonet.wire import convert
from vetonet.wire.boundary import Context, read_caller
from vetonet.wire.errors import OverloadedError
from vetonet.wire.identity import Identity

MAX_PAGE: Final = 100
_CALLER_CHARS: Final = 16


class CoordinatorServicer(coordinator_pb2_grpc.CoordinatorServiceServicer):
    """Proposals, ballots, signatures and licences."""

    def __init__(
        self, coordinator: Coordinator, *, trust_domain: str | None, heartbeat_s: float, max_watchers: int
    ) -> None:
        """Serve this coordinator; ``trust_domain`` is None on a server without certificates."""
        self._coordinator, self._trust_domain = coordinator, trust_domain
        self._heartbeat_s, self._max_watchers = heartbeat_s, max_watchers
        self._watchers = 0

    async def GetTreaty(
        self, request: coordinator_pb2.GetTreatyRequest, context: Context
    ) -> resources_pb2.Treaty:
        """Return the treaty in force."""
        del request, context
        return resources_pb2.Treaty(statement=self._coordinator.treaty.data)

    async def CreateProposal(
        self, request: coordinator_pb2.CreateProposalRequest, context: Context
    ) -> resources_pb2.Proposal:
        """The proposal is logged and its vote open."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        request_id = scope_request_id(request.request_id, caller)
        vote = await self._coordinator.create_proposal(
            request.statement, request_id=request_id, caller=caller
        )
        return self._show(vote)

    async def GetProposal(
        self, request: coordinator_pb2.GetProposalRequest, context: Context
    ) -> resources_pb2.Proposal:
        """Return one proposal."""
        del context
        return self._show(self._coordinator.view.find_vote(convert.parse_proposal_name(request.name)))

    async def ListProposals(
        self, request: coordinator_pb2.ListProposalsRequest, context: Context
    ) -> coordinator_pb2.ListProposalsResponse:
        """Return a page of proposals in the order of the log."""
        del context
        start = _parse_page_token(request.page_token)
        size = min(request.page_size or MAX_PAGE, MAX_PAGE)
        votes = self._coordinator.view.list_votes(start, size + 1)
        token = str(start + size) if len(votes) > size else ""
        return coordinator_pb2.ListProposalsResponse(
            proposals=[self._show(vote) for vote in votes[:size]], next_page_token=token
        )

    async def CastBallot(
        self, request: coordinator_pb2.CastBallotRequest, context: Context
    ) -> resources_pb2.Receipt:
        """The ballot is logged; the receipt proves it."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        name = convert.parse_proposal_name(request.parent)
        request_id = scope_request_id(request.request_id, caller)
        proof = await self._coordinator.cast_ballot(
            name, request.statement, request_id=request_id, caller=caller
        )
        return convert.receipt_message(proof)

    async def WatchProposal(
        self, request: coordinator_pb2.WatchProposalRequest, context: Context
    ) -> AsyncGenerator[coordinator_pb2.ProposalEvent, None]:
        """Yield what the watcher has not seen, then what comes, with heartbeats in between."""
        del context
        digest = self._parse_watched(request.name)
        with self._admit_watcher():
            async for event in self._follow(digest, request.resume_sequence):
                yield event

    async def SubmitCommitments(
        self, request: coordinator_pb2.SubmitCommitmentsRequest, context: Context
    ) -> resources_pb2.Proposal:
        """The commitments are taken in."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        scope_request_id(request.request_id, caller)
        name = convert.parse_proposal_name(request.name)
        commitments = tuple(map(convert.read_commitments, request.commitments))
        seats = [(entry.group, int(entry.commitments.identifier)) for entry in commitments]
        party_id = self._coordinator.view.find_owner(seats)
        vote = await self._coordinator.submit_commitments(
            name, party_id, commitments, caller=caller, lease=request.lease
        )
        return self._show(vote)

    async def SubmitSignatureShares(
        self, request: coordinator_pb2.SubmitSignatureSharesRequest, context: Context
    ) -> resources_pb2.Proposal:
        """The shares are taken in."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        scope_request_id(request.request_id, caller)
        name = convert.parse_proposal_name(request.name)
        shares = tuple(map(convert.read_share, request.shares))
        party_id = self._coordinator.view.find_owner(
            [(entry.group, int(entry.share.identifier)) for entry in shares]
        )
        vote = await self._coordinator.submit_shares(
            name, party_id, request.attempt, shares, caller=caller, lease=request.lease
        )
        return self._show(vote)

    async def GetLicence(
        self, request: coordinator_pb2.GetLicenceRequest, context: Context
    ) -> resources_pb2.Licence:
        """Return a licence with the proof that it is logged."""
        del context
        licence, proof = await self._coordinator.get_licence(convert.parse_proposal_name(request.name))
        return convert.licence_message(licence, proof)

    async def AmendTreaty(
        self, request: coordinator_pb2.AmendTreatyRequest, context: Context
    ) -> resources_pb2.Receipt:
        """Another treaty is in force; the receipt proves that it is logged."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        request_id = scope_request_id(request.request_id, caller)
        proof = await self._coordinator.amend_treaty(request.statement, request_id=request_id, caller=caller)
        return convert.receipt_message(proof)

    async def GetLease(
        self, request: coordinator_pb2.GetLeaseRequest, context: Context
    ) -> resources_pb2.Lease:
        """Return the newest lease with the proof that it is logged."""
        del context
        lease, proof = await self._coordinator.get_lease(convert.parse_proposal_name(request.name))
        return resources_pb2.Lease(statement=lease.data, receipt=convert.receipt_message(proof))

    async def RecordCeremony(
        self, request: coordinator_pb2.RecordCeremonyRequest, context: Context
    ) -> coordinator_pb2.RecordCeremonyResponse:
        """What was signed in a ceremony is logged, or none of it is."""
        caller = read_caller(context, trust_domain=self._trust_domain)
        leaf_indices = await self._coordinator.record_ceremony(
            list(request.statements), request_id=scope_request_id(request.request_id, caller), caller=caller
        )
        cosigned = await self._coordinator.publisher.wait_for(max(leaf_indices) + 1)
        return coordinator_pb2.RecordCeremonyResponse(leaf_indices=leaf_indices, checkpoint=cosigned.data)

    def _show(self, vote: Voting) -> resources_pb2.Proposal:
        view = self._coordinator.view
        shown = view.as_published(vote)
        return convert.proposal_message(shown, licence_leaf_index=view.find_licence_leaf(shown))

    def _parse_watched(self, name: str) -> bytes | None:
        if name == convert.ALL_PROPOSALS:
            return None
        prefix = convert.parse_proposal_name(name)
        return self._coordinator.view.find_vote(prefix).digest

    @contextlib.contextmanager
    def _admit_watcher(self) -> Iterator[None]:
        if self._watchers >= self._max_watchers:
            raise OverloadedError(f"{self._watchers} watchers are all that this server takes")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def _follow(
        self, digest: bytes | None, resume_sequence: int
    ) -> AsyncGenerator[coordinator_pb2.ProposalEvent, None]:
        bulletin, read_time = self._coordinator.bulletin, asyncio.get_running_loop().time
        # A sequence that we never gave is somebody else's: begin with how things stand.
        seen = resume_sequence if resume_sequence <= bulletin.last_sequence else 0
        spoken_at = read_time()
        while not bulletin.is_closed:
            notices, seen = bulletin.list_after(seen, digest), bulletin.last_sequence
            for notice in notices:
                yield self._tell(notice)
            if read_time() - spoken_at >= self._heartbeat_s:
                yield coordinator_pb2.ProposalEvent(sequence=seen, heartbeat=coordinator_pb2.Heartbeat())
            elif not notices:
                await self._wait(bulletin, seen, until=spoken_at + self._heartbeat_s)
                continue
            spoken_at = read_time()

    @staticmethod
    async def _wait(bulletin: Bulletin, seen: int, *, until: float) -> None:
        """Something was posted, or it is time to say that nothing was."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await bulletin.wait_beyond(seen)

    def _tell(self, notice: Notice) -> coordinator_pb2.ProposalEvent:
        event = coordinator_pb2.ProposalEvent(sequence=notice.sequence)
        digest, view = notice.proposal_digest, self._coordinator.view
        match notice.news:
            case Changed():
                event.proposal_updated.CopyFrom(self._show(view.find_vote(digest[: convert.NAME_BYTES])))
            case Asked(lease=lease, request=RequestCommitments() as request):
                event.commitments_requested.CopyFrom(convert.commitments_requested(digest, lease, request))
            case Asked(lease=lease, request=SigningRound() as request):
                event.signing_requested.CopyFrom(convert.signing_requested(digest, lease, request))
            case NameCulprits() as named:
                event.culprits_named.CopyFrom(convert.culprits_named(digest, named))
        return event


class LogServicer(LogReadServicer):
    """A treaty's log: appends of what is no vote, leaves, checkpoints and proofs."""

    def __init__(self, coordinator: Coordinator, *, trust_domain: str | None) -> None:
        """Serve this coordinator's log; ``trust_domain`` is None on a server without certificates."""
        super().__init__(CoordinatorLogReader(coordinator))
        self._coordinator, self._trust_domain = coordinator, trust_domain

    async def AppendStatement(
        self, request: log_pb2.AppendStatementRequest, context: Context
    ) -> resources_pb2.Receipt:
        """The statement is logged; the receipt proves it."""
        (leaf_index,) = await self._append([request.statement], request.request_id, context)
        return convert.receipt_message(await self._coordinator.prove(leaf_index))

    async def AppendStatements(
        self, request: log_pb2.AppendStatementsRequest, context: Context
    ) -> log_pb2.AppendStatementsResponse:
        """All statements are logged, or none is."""
        leaf_indices = await self._append(list(request.statements), request.request_id, context)
        cosigned = await self._coordinator.publisher.wait_for(max(leaf_indices) + 1)
        return log_pb2.AppendStatementsResponse(leaf_indices=leaf_indices, checkpoint=cosigned.data)

    async def _append(self, statements: list[bytes], request_id: str, context: Context) -> tuple[int, ...]:
        caller = read_caller(context, trust_domain=self._trust_domain)
        return await self._coordinator.append_statements(
            statements, request_id=scope_request_id(request_id, caller), caller=caller
        )


def scope_request_id(request_id: str, caller: Identity | None) -> str:
    """Return the id under which a request is stored: one caller's never meets another's (VN-13.2).

    Raises:
        EncodingError: the request id is not a UUID in its usual spelling.
    """
    try:
        is_uuid = str(uuid.UUID(request_id)) == request_id
    except ValueError:
        is_uuid = False
    if not is_uuid:
        raise EncodingError(f"expected a request id like {uuid.UUID(int=0)}, got {request_id[:40]!r}")
    who = "" if caller is None else caller.to_uri()
    return f"{hashlib.sha256(who.encode()).hexdigest()[:_CALLER_CHARS]}.{request_id}"


def _parse_page_token(token: str) -> int:
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > len(str(2**63)):
        raise EncodingError("expected a page token from an earlier response")
    return int(token)
