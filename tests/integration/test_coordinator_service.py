"""The coordinator as the world meets it: gRPC over mutual TLS, SQLite below, any free port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.coordination import (
    CLOSE_MS,
    TIMEOUT_S,
    ManualClock,
    Site,
    endorse_alias,
    enrol_chip,
    identify,
    make_authority,
    make_request_id,
    name_of,
    read_real_time,
    serve_site,
    sign_batch,
    witness_locally,
)
from support.signers import make_commitments, make_shares, round_of
from support.world import NOW_MS, Council, make_council
from vetonet.crypto.merkle import compute_leaf_hash, verify_inclusion
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import (
    ConfigError,
    EncodingError,
    EpochError,
    EquivocationError,
    ExpiredError,
    ProtocolError,
    RefusedError,
    UnexpectedEventError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.licence import open_licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.service.coordinator import Coordinator
from vetonet.service.server import (
    COORDINATOR_SERVICE,
    LOG_SERVICE,
    CoordinatorServer,
    ServerSettings,
)
from vetonet.storage.group_commit import AsyncJournal
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.policy import verify_cosigned
from vetonet.tlog.proof import verify_log_proof
from vetonet.v1 import coordinator_pb2, log_pb2, resources_pb2
from vetonet.v1.coordinator_pb2_grpc import CoordinatorServiceStub
from vetonet.v1.log_pb2_grpc import LogServiceStub
from vetonet.wire import convert
from vetonet.wire.boundary import Limits
from vetonet.wire.channel import open_channel
from vetonet.wire.errors import (
    DeadlineError,
    NotFoundError,
    OverloadedError,
    WrongIdentityError,
)
from vetonet.wire.identity import Role
from vetonet.wire.pki import Authority, Credential, generate_authority
from vetonet.wire.status import RpcError, to_error

Scene = Callable[[Site, Council], Awaitable[None]]


def play(scene: Scene, directory: Path, council: Council | None = None, **settings: Any) -> None:
    """Run a scene against a fresh server."""
    chosen = council or make_council()

    async def main() -> None:
        async with serve_site(chosen, directory, **settings) as site, asyncio.timeout(60):
            await scene(site, chosen)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def refused(kind: type[VetonetError], match: str = "") -> AsyncIterator[None]:
    """Within, a call fails with what amounts to this error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    error = to_error(caught.value)
    assert isinstance(error, kind), repr(error)
    assert match in str(error)


async def propose(site: Site, council: Council, **changes: Any) -> Signed[Proposal]:
    """Log a fresh proposal of op1."""
    proposal = council.sign_proposal(**changes)
    request = coordinator_pb2.CreateProposalRequest(statement=proposal.data, request_id=make_request_id())
    message = await site.operator().CreateProposal(request, timeout=TIMEOUT_S)
    assert message.name == convert.proposal_name(proposal.payload_digest)
    return proposal


def ask_ballot(proposal: Signed[Proposal], data: bytes) -> coordinator_pb2.CastBallotRequest:
    """Return the request that casts this ballot."""
    name = convert.proposal_name(proposal.payload_digest)
    return coordinator_pb2.CastBallotRequest(parent=name, statement=data, request_id=make_request_id())


async def cast(site: Site, council: Council, proposal: Signed[Proposal], *party_ids: str) -> None:
    """Grant for these parties."""
    for party_id in party_ids:
        request = ask_ballot(proposal, council.sign_ballot(party_id, proposal).data)
        await site.party(party_id).CastBallot(request, timeout=TIMEOUT_S)


async def commit_all(
    site: Site, council: Council, proposal: Signed[Proposal], event: coordinator_pb2.CommitmentsRequested
) -> None:
    """All that are asked commit."""
    for party_id in event.party_ids:
        await site.party(party_id).SubmitCommitments(
            ask_commitments(council, proposal, party_id), timeout=TIMEOUT_S
        )


def ask_commitments(
    council: Council, proposal: Signed[Proposal], party_id: str
) -> coordinator_pb2.SubmitCommitmentsRequest:
    """Return the request with which a party commits."""
    return coordinator_pb2.SubmitCommitmentsRequest(
        name=convert.proposal_name(proposal.payload_digest),
        commitments=map(convert.commitments_message, make_commitments(council, party_id)),
        request_id=make_request_id(),
    )


async def sign_round(
    site: Site, council: Council, proposal: Signed[Proposal], event: coordinator_pb2.SigningRequested
) -> resources_pb2.Proposal:
    """Hand in every signer's shares of a requested round; return the last answer."""
    name = convert.proposal_name(proposal.payload_digest)
    asked = round_of(site.server.coordinator.view.find_vote(name_of(proposal)))
    assert tuple(map(convert.read_session, event.sessions)) == asked.sessions
    message = resources_pb2.Proposal()
    for party_id in event.signers:
        request = coordinator_pb2.SubmitSignatureSharesRequest(
            name=name,
            attempt=event.attempt,
            shares=map(convert.share_message, make_shares(council, party_id, asked)),
            request_id=make_request_id(),
        )
        message = await site.party(party_id).SubmitSignatureShares(request, timeout=TIMEOUT_S)
    return message


async def watch_until(
    stream: Any, kind: str, seen: list[coordinator_pb2.ProposalEvent] | None = None
) -> coordinator_pb2.ProposalEvent:
    """Return the next event of this kind."""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in stream:
            if seen is not None:
                seen.append(event)
            if event.WhichOneof("event") == kind:
                assert isinstance(event, coordinator_pb2.ProposalEvent)
                return event
    raise AssertionError(f"the stream ended without {kind}")


def test_a_proposal_becomes_a_licence_over_the_wire(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        policy = council.log_policy
        party = site.party("p1")
        treaty = await party.GetTreaty(coordinator_pb2.GetTreatyRequest(), timeout=TIMEOUT_S)
        assert treaty.statement == council.treaty.data
        stream = party.WatchProposal(coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS))
        proposal = await propose(site, council)
        for party_id in ("p1", "p2"):
            ballot = council.sign_ballot(party_id, proposal)
            receipt = await site.party(party_id).CastBallot(
                ask_ballot(proposal, ballot.data), timeout=TIMEOUT_S
            )
            verify_log_proof(ballot.data, convert.read_receipt(receipt), policy)
        site.clock.now = CLOSE_MS
        await site.server.coordinator.tick()
        committing = await watch_until(stream, "commitments_requested")
        assert list(committing.commitments_requested.party_ids) == ["p1", "p2"]
        await commit_all(site, council, proposal, committing.commitments_requested)
        asked = await watch_until(stream, "signing_requested")
        message = await sign_round(site, council, proposal, asked.signing_requested)
        assert message.phase == resources_pb2.PHASE_LICENSED
        assert message.licence_leaf_index == 4
        licence = await party.GetLicence(
            coordinator_pb2.GetLicenceRequest(name=message.name), timeout=TIMEOUT_S
        )
        checkpoint = verify_log_proof(
            licence.statement, convert.read_receipt(licence.receipt), policy
        ).checkpoint
        assert checkpoint.tree_size == 5
        assert open_licence(licence.statement, council.treaty).statement.ballot_leaf_indices == (2, 3)
        stream.cancel()

    play(scene, tmp_path)


def test_commitments_are_taken_from_their_own_party_only(tmp_path: Path) -> None:
    """VN-7.4: who commits, the certificate says."""

    async def scene(site: Site, council: Council) -> None:
        proposal = await propose(site, council)
        await cast(site, council, proposal, "p1", "p2")
        async with refused(UnexpectedEventError):
            request = ask_commitments(council, proposal, "p1")
            await site.party("p1").SubmitCommitments(request, timeout=TIMEOUT_S)
        site.clock.now = CLOSE_MS
        await site.server.coordinator.tick()
        async with refused(WrongIdentityError, "calls for party 'p1'"):
            request = ask_commitments(council, proposal, "p1")
            await site.party("p2").SubmitCommitments(request, timeout=TIMEOUT_S)
        async with refused(RefusedError, "p3 is not asked"):
            request = ask_commitments(council, proposal, "p3")
            await site.party("p3").SubmitCommitments(request, timeout=TIMEOUT_S)
        async with refused(WrongIdentityError):
            request = ask_commitments(council, proposal, "p1")
            await site.operator().SubmitCommitments(request, timeout=TIMEOUT_S)
        async with refused(EncodingError):
            request = ask_commitments(council, proposal, "p1")
            request.commitments[0].commitments = bytes(66)
            await site.party("p1").SubmitCommitments(request, timeout=TIMEOUT_S)
        vote = site.server.coordinator.view.find_vote(name_of(proposal))
        assert vote.signing is not None
        assert vote.signing.pool == {}

    play(scene, tmp_path)


def test_the_clock_alone_closes_a_vote(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        proposal = await propose(site, council)
        name = convert.proposal_name(proposal.payload_digest)
        stream = site.party("p1").WatchProposal(coordinator_pb2.WatchProposalRequest(name=name))
        site.clock.now = CLOSE_MS
        async with asyncio.timeout(TIMEOUT_S):
            async for event in stream:
                if event.proposal_updated.phase == resources_pb2.PHASE_EXPIRED:
                    break
        stream.cancel()

    play(scene, tmp_path, tick_s=0.01)


def test_proposals_come_in_pages(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        names = [convert.proposal_name((await propose(site, council)).payload_digest) for _ in range(5)]
        party, token, seen = site.party("p1"), "", []
        for expected in (2, 2, 1):
            request = coordinator_pb2.ListProposalsRequest(page_size=2, page_token=token)
            page = await party.ListProposals(request, timeout=TIMEOUT_S)
            assert len(page.proposals) == expected
            seen += [proposal.name for proposal in page.proposals]
            token = page.next_page_token
        assert (seen, token) == (names, "")
        one = await party.GetProposal(coordinator_pb2.GetProposalRequest(name=names[3]), timeout=TIMEOUT_S)
        assert one.name == names[3]
        for bad in ("x", "-1", "9" * 30):
            async with refused(EncodingError, "page token"):
                await party.ListProposals(
                    coordinator_pb2.ListProposalsRequest(page_token=bad), timeout=TIMEOUT_S
                )

    play(scene, tmp_path)


def test_a_fleet_is_logged_and_every_leaf_proven(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        policy = council.log_policy
        log, chips = site.log(), [enrol_chip(council) for _ in range(20)]
        statements = [chip.enrolment for chip in chips] + [endorse_alias(council, chip) for chip in chips]
        request = log_pb2.AppendStatementsRequest(statements=statements, request_id=make_request_id())
        answer = await log.AppendStatements(request, timeout=TIMEOUT_S)
        assert list(answer.leaf_indices) == list(range(1, 41))
        checkpoint = verify_cosigned(answer.checkpoint, policy).checkpoint
        assert checkpoint.tree_size == 41
        again = await log.AppendStatements(request, timeout=TIMEOUT_S)
        assert again == answer
        leaves = (await log.ListLeaves(log_pb2.ListLeavesRequest(start=1), timeout=TIMEOUT_S)).leaves
        assert list(leaves) == statements
        proof = await log.GetInclusionProof(
            log_pb2.GetInclusionProofRequest(leaf_index=7, tree_size=41), timeout=TIMEOUT_S
        )
        verify_inclusion(
            leaf_hash=compute_leaf_hash(statements[6]),
            leaf_index=7,
            tree_size=41,
            proof=tuple(proof.hashes),
            root_hash=checkpoint.root_hash,
        )
        batch = sign_batch(council)
        receipt = await log.AppendStatement(
            log_pb2.AppendStatementRequest(statement=batch, request_id=make_request_id()), timeout=TIMEOUT_S
        )
        verify_log_proof(batch, convert.read_receipt(receipt), policy)
        note = await log.GetCheckpoint(log_pb2.GetCheckpointRequest(), timeout=TIMEOUT_S)
        assert verify_cosigned(note.note, policy).checkpoint.tree_size == 42
        consistency = await log.GetConsistencyProof(
            log_pb2.GetConsistencyProofRequest(old_size=41, new_size=42), timeout=TIMEOUT_S
        )
        assert consistency.hashes

    play(scene, tmp_path)


def test_proofs_of_what_is_not_there_are_refused(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        log = site.log()
        for leaf_index, size in ((1, 1), (0, 9), (2**63, 2**63 + 1)):
            async with refused(RefusedError):
                await log.GetInclusionProof(
                    log_pb2.GetInclusionProofRequest(leaf_index=leaf_index, tree_size=size),
                    timeout=TIMEOUT_S,
                )
        for old, new in ((0, 1), (1, 9), (2, 1)):
            async with refused(RefusedError):
                await log.GetConsistencyProof(
                    log_pb2.GetConsistencyProofRequest(old_size=old, new_size=new), timeout=TIMEOUT_S
                )
        answer = await log.ListLeaves(log_pb2.ListLeavesRequest(start=2**63), timeout=TIMEOUT_S)
        assert not answer.leaves

    play(scene, tmp_path)


def test_bad_ballots_are_refused_with_their_reasons(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        first, second = await propose(site, council), await propose(site, council)
        party = site.party("p1")
        ballot = council.sign_ballot("p1", first)
        receipts = [
            await party.CastBallot(ask_ballot(first, ballot.data), timeout=TIMEOUT_S) for _ in range(2)
        ]
        assert receipts[0].leaf_index == receipts[1].leaf_index
        async with refused(EquivocationError, "p1 voted"):
            other = council.sign_ballot("p1", first, Choice.VETO)
            await party.CastBallot(ask_ballot(first, other.data), timeout=TIMEOUT_S)
        async with refused(RefusedError, "a ballot on proposal"):
            await party.CastBallot(ask_ballot(second, ballot.data), timeout=TIMEOUT_S)
        stranger = make_council(name="Strangers", rng=council.rng)
        async with refused(UnknownPartyError):
            data = stranger.sign_ballot("p1", stranger.sign_proposal()).data
            await party.CastBallot(ask_ballot(second, data), timeout=TIMEOUT_S)
        later = council.sign_proposal(second.statement)
        async with refused(EpochError, "epoch"):
            data = sign_with_epoch(council, later)
            await party.CastBallot(ask_ballot(second, data), timeout=TIMEOUT_S)
        async with refused(EncodingError):
            await party.CastBallot(ask_ballot(second, b""), timeout=TIMEOUT_S)
        async with refused(NotFoundError):
            await party.CastBallot(ask_ballot(council.sign_proposal(), ballot.data), timeout=TIMEOUT_S)
        site.clock.now = CLOSE_MS
        async with refused(ExpiredError, "after the vote closed"):
            data = council.sign_ballot("p1", second).data
            await party.CastBallot(ask_ballot(second, data), timeout=TIMEOUT_S)
        assert site.server.coordinator.view.tree_size == 4

    def sign_with_epoch(council: Council, proposal: Signed[Proposal]) -> bytes:
        return sign(council.cast(proposal, Choice.VETO, epoch=7), council.party_keys["p1"])

    play(scene, tmp_path)


def test_a_request_id_is_used_once_by_each_caller(tmp_path: Path) -> None:
    """VN-13.2."""

    async def scene(site: Site, council: Council) -> None:
        proposal = await propose(site, council)
        shared = make_request_id()

        async def vote(party_id: str, choice: Choice) -> Any:
            request = ask_ballot(proposal, council.sign_ballot(party_id, proposal, choice).data)
            request.request_id = shared
            return await site.party(party_id).CastBallot(request, timeout=TIMEOUT_S)

        assert (await vote("p1", Choice.ABSTAIN)).leaf_index == 2
        assert (await vote("p2", Choice.ABSTAIN)).leaf_index == 3
        assert (await vote("p2", Choice.ABSTAIN)).leaf_index == 3
        async with refused(ProtocolError, "already used"):
            await vote("p1", Choice.VETO)
        for bad in ("", "x", "{" + shared + "}", shared.upper() + " "):
            request = ask_ballot(proposal, council.sign_ballot("p3", proposal).data)
            request.request_id = bad
            async with refused(EncodingError, "request id"):
                await site.party("p3").CastBallot(request, timeout=TIMEOUT_S)

    play(scene, tmp_path)


def test_a_certificate_speaks_only_for_its_holder(tmp_path: Path) -> None:
    """VN-13.1."""

    async def scene(site: Site, council: Council) -> None:
        data = council.sign_proposal().data
        request = coordinator_pb2.CreateProposalRequest(statement=data, request_id=make_request_id())
        for stub in (site.party("p1"), site.operator("op2")):
            async with refused(WrongIdentityError, "calls for operator 'op1'"):
                await stub.CreateProposal(request, timeout=TIMEOUT_S)
        proposal = await propose(site, council)
        ballot = ask_ballot(proposal, council.sign_ballot("p1", proposal).data)
        for stub in (site.party("p2"), site.operator("op1")):
            async with refused(WrongIdentityError, "calls for party 'p1'"):
                await stub.CastBallot(ballot, timeout=TIMEOUT_S)
        async with refused(WrongIdentityError):
            await site.log("op2").AppendStatement(
                log_pb2.AppendStatementRequest(statement=sign_batch(council), request_id=make_request_id()),
                timeout=TIMEOUT_S,
            )
        assert site.server.coordinator.view.tree_size == 2

    play(scene, tmp_path)


async def fails_to_connect(stub: Any) -> None:
    """The server takes no call of this client."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetTreaty(coordinator_pb2.GetTreatyRequest(), timeout=TIMEOUT_S)
    error = to_error(caught.value)
    assert isinstance(error, RpcError)
    assert error.code is grpc.StatusCode.UNAVAILABLE


def test_a_client_of_another_authority_is_turned_away(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        mine, now = site.issue(Role.PARTY, "p1"), read_real_time()
        other = generate_authority("treaty.example", now=now).issue(Role.PARTY, "p1", now=now)
        forged = Credential(
            certificate_pem=other.certificate_pem, key_pem=other.key_pem, authority_pem=mine.authority_pem
        )
        await fails_to_connect(CoordinatorServiceStub(site.connect(Role.PARTY, "p1", credential=forged)))

    play(scene, tmp_path)


def test_an_expired_certificate_is_turned_away(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        old = site.authority.issue(Role.PARTY, "p1", now=read_real_time() - 7_200_000, lifetime_ms=3_600_000)
        await fails_to_connect(CoordinatorServiceStub(site.connect(Role.PARTY, "p1", credential=old)))

    play(scene, tmp_path)


def test_a_client_without_a_certificate_is_turned_away(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        server = identify(Role.COORDINATOR, "main")
        trust = grpc.ssl_channel_credentials(root_certificates=site.authority.certificate_pem)
        options = (("grpc.ssl_target_name_override", server.server_name),)
        bare = grpc.aio.secure_channel(site.server.address, trust, options=options)
        plain = open_channel(site.server.address, credential=None, server=None)
        site.channels += [bare, plain]
        for channel in (bare, plain):
            await fails_to_connect(CoordinatorServiceStub(channel))

    play(scene, tmp_path)


def test_a_server_that_is_somebody_else_is_not_believed(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        channel = open_channel(
            site.server.address,
            credential=site.issue(Role.PARTY, "p1"),
            server=identify(Role.COORDINATOR, "other"),
        )
        site.channels.append(channel)
        await fails_to_connect(CoordinatorServiceStub(channel))

    play(scene, tmp_path)


def test_a_caller_of_another_trust_domain_is_refused(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        other = Authority(
            trust_domain="other.example",
            certificate_pem=site.authority.certificate_pem,
            key_pem=site.authority.key_pem,
        ).issue(Role.PARTY, "p1", now=read_real_time())
        stub = CoordinatorServiceStub(site.connect(Role.PARTY, "p1", credential=other))
        async with refused(WrongIdentityError, "other.example"):
            await stub.GetTreaty(coordinator_pb2.GetTreatyRequest(), timeout=TIMEOUT_S)

    play(scene, tmp_path)


async def send_raw(channel: Any, method: str, data: bytes) -> bytes:
    """Send bytes as they are."""
    answer = await channel.unary_unary(f"/{method}")(data, timeout=TIMEOUT_S)
    assert isinstance(answer, bytes)
    return answer


def test_requests_that_are_oversize_truncated_or_unknown_are_refused(tmp_path: Path) -> None:
    """VN-13.3."""

    async def scene(site: Site, council: Council) -> None:
        channel: Any = site.connect(Role.OPERATOR, "op1")
        create = f"{COORDINATOR_SERVICE}/CreateProposal"
        good = coordinator_pb2.CreateProposalRequest(
            statement=council.sign_proposal().data, request_id=make_request_id()
        ).SerializeToString()
        async with refused(EncodingError, "at most 65536 bytes"):
            await send_raw(channel, create, good + bytes(65_536))
        async with refused(RpcError, "RESOURCE_EXHAUSTED"):
            await send_raw(channel, f"{LOG_SERVICE}/AppendStatements", bytes(4 * 1024 * 1024 + 1))
        async with refused(EncodingError, "truncated or malformed"):
            await send_raw(channel, create, good[:-1])
        async with refused(EncodingError, "CreateProposalRequest: a field"):
            await send_raw(channel, create, good + b"\x78\x01")
        async with refused(RpcError, "UNIMPLEMENTED"):
            await send_raw(channel, f"{COORDINATOR_SERVICE}/Conquer", b"")
        watch = channel.unary_stream(f"/{COORDINATOR_SERVICE}/WatchProposal")(b"\x78\x01", timeout=TIMEOUT_S)
        async with refused(EncodingError, "WatchProposalRequest"):
            await watch.read()
        assert site.server.coordinator.view.tree_size == 1
        assert await send_raw(channel, create, good)

    play(scene, tmp_path)


@pytest.mark.parametrize("cut", [1, 7, 40, 150])
def test_a_truncated_statement_in_a_whole_request_is_refused(tmp_path: Path, cut: int) -> None:
    async def scene(site: Site, council: Council) -> None:
        request = coordinator_pb2.CreateProposalRequest(
            statement=council.sign_proposal().data[:-cut], request_id=make_request_id()
        )
        async with refused(EncodingError):
            await site.operator().CreateProposal(request, timeout=TIMEOUT_S)

    play(scene, tmp_path)


def test_a_call_that_takes_too_long_is_ended_by_the_server_and_may_still_take_effect(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        view = site.server.coordinator.view
        request = coordinator_pb2.CreateProposalRequest(
            statement=council.sign_proposal().data, request_id=make_request_id()
        )
        async with site.server.coordinator._turns.lock:
            async with refused(DeadlineError, "0.5 s"):
                await site.operator().CreateProposal(request)
            assert view.tree_size == 1
        async with asyncio.timeout(TIMEOUT_S):
            while view.tree_size == 1:  # noqa: ASYNC110  (nobody is told: its caller is gone)
                await asyncio.sleep(0.01)
        await site.operator().CreateProposal(request)
        assert view.tree_size == 2

    play(scene, tmp_path, limits=Limits(rpc_timeout_s=0.5))


def test_an_error_that_is_not_ours_says_nothing_of_its_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Coordinator, *_: object, **__: object) -> None:
        del self
        raise ZeroDivisionError("secret contents")

    async def scene(site: Site, council: Council) -> None:
        monkeypatch.setattr(Coordinator, "create_proposal", fail)
        request = coordinator_pb2.CreateProposalRequest(
            statement=council.sign_proposal().data, request_id=make_request_id()
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await site.operator().CreateProposal(request, timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in str(caught.value)

    play(scene, tmp_path)
    assert "CreateProposal failed with ZeroDivisionError" in caplog.text


def test_a_watcher_resumes_where_its_stream_broke(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        first = await propose(site, council)
        party = site.party("p1")
        request = coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS)
        stream = party.WatchProposal(request)
        seen = await watch_until(stream, "proposal_updated")
        assert seen.proposal_updated.name == convert.proposal_name(first.payload_digest)
        heartbeat = await watch_until(stream, "heartbeat")
        assert heartbeat.sequence == seen.sequence
        stream.cancel()
        second = await propose(site, council)
        request.resume_sequence = seen.sequence
        resumed: list[coordinator_pb2.ProposalEvent] = []
        stream = party.WatchProposal(request)
        event = await watch_until(stream, "proposal_updated", resumed)
        stream.cancel()
        assert event.proposal_updated.name == convert.proposal_name(second.payload_digest)
        assert len(resumed) == 1
        request.resume_sequence = 2**63
        stream = party.WatchProposal(request)
        for _ in range(2):
            await watch_until(stream, "proposal_updated")
        stream.cancel()

    play(scene, tmp_path)


def test_a_watch_of_one_proposal_shows_only_that(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        await propose(site, council)
        wanted = await propose(site, council)
        name = convert.proposal_name(wanted.payload_digest)
        stream = site.party("p1").WatchProposal(coordinator_pb2.WatchProposalRequest(name=name))
        seen: list[coordinator_pb2.ProposalEvent] = []
        await watch_until(stream, "heartbeat", seen)
        stream.cancel()
        assert [event.proposal_updated.name for event in seen[:-1]] == [name]
        for unknown, kind in (("proposals/" + "0" * 32, NotFoundError), ("proposals", EncodingError)):
            async with refused(kind):
                stream = site.party("p1").WatchProposal(coordinator_pb2.WatchProposalRequest(name=unknown))
                await stream.read()

    play(scene, tmp_path)


def test_more_watchers_than_the_server_takes_are_turned_away(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        await propose(site, council)
        request = coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS)
        first = site.party("p1").WatchProposal(request)
        await first.read()
        async with refused(OverloadedError):
            await site.party("p2").WatchProposal(request).read()
        first.cancel()
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                second = site.party("p2").WatchProposal(request)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    assert await second.read()
                    break
        second.cancel()

    play(scene, tmp_path, max_watchers=1)


def test_many_watchers_all_learn_the_news(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        party = site.party("p1")
        request = coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS)
        streams = [party.WatchProposal(request) for _ in range(100)]
        await asyncio.gather(*(watch_until(stream, "heartbeat") for stream in streams))
        proposal = await propose(site, council)
        events = await asyncio.gather(*(watch_until(stream, "proposal_updated") for stream in streams))
        name = convert.proposal_name(proposal.payload_digest)
        assert {event.proposal_updated.name for event in events} == {name}
        for stream in streams:
            stream.cancel()

    play(scene, tmp_path)


def test_health_and_reflection_name_the_services(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        del council
        channel: Any = site.connect(Role.PARTY, "p1")
        health: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", COORDINATOR_SERVICE, LOG_SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        async for listing in stub.ServerReflectionInfo(iter([question]), timeout=TIMEOUT_S):
            names = {service.name for service in listing.list_services_response.service}
            assert {COORDINATOR_SERVICE, LOG_SERVICE} <= names

    play(scene, tmp_path)


def test_watchers_are_let_go_when_the_server_stops(tmp_path: Path) -> None:
    council = make_council()

    async def main() -> None:
        async with serve_site(council, tmp_path) as site:
            await propose(site, council)
            stream = site.party("p1").WatchProposal(
                coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS)
            )
            await stream.read()
            await site.server.stop()
            async with asyncio.timeout(TIMEOUT_S):
                assert await stream.read() is grpc.aio.EOF

    asyncio.run(main())


@contextlib.asynccontextmanager
async def serve_plain(council: Council, address: str) -> AsyncIterator[CoordinatorServer]:
    """Within, a coordinator over plaintext."""
    async with AsyncJournal(MemoryJournal()) as journal:
        coordinator = await Coordinator.start(
            journal,
            treaty_bytes=council.treaty.data,
            log_key=council.log_key,
            publishing=witness_locally(council),
            clock=ManualClock(),
        )
        try:
            server = await CoordinatorServer.start(
                coordinator, ServerSettings(address=address, credential=None, tick_s=None)
            )
            yield server
            await server.stop(0)
        finally:
            await coordinator.close()


def test_plaintext_is_served_on_loopback_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    council = make_council()

    async def main() -> None:
        async with (
            serve_plain(council, "127.0.0.1:0") as server,
            open_channel(server.address, credential=None, server=None) as channel,
        ):
            proposal = council.sign_proposal()
            request = coordinator_pb2.CreateProposalRequest(
                statement=proposal.data, request_id=make_request_id()
            )
            await CoordinatorServiceStub(channel).CreateProposal(request, timeout=TIMEOUT_S)
            leaves = await LogServiceStub(channel).ListLeaves(log_pb2.ListLeavesRequest(), timeout=TIMEOUT_S)
            assert list(leaves.leaves) == [council.treaty.data, proposal.data]

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "plaintext" in caplog.text


def test_plaintext_to_others_is_never_served() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="plaintext"):
            async with serve_plain(make_council(), "0.0.0.0:0"):
                pass

    asyncio.run(main())


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        second = tmp_path / "second"
        second.mkdir()
        with pytest.raises(ConfigError) as caught:
            async with serve_site(council, second, address=site.server.address):
                pass
        assert str(caught.value).splitlines() == [str(caught.value)]
        assert site.server.address in str(caught.value)

    play(scene, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        async def main() -> None:
            with pytest.raises(ConfigError, match=address):
                async with serve_plain(make_council(), address):
                    pass

        asyncio.run(main())


def test_an_address_of_another_machine_is_told_in_one_line() -> None:
    credential = make_authority().issue(Role.COORDINATOR, "main", now=read_real_time())

    async def main() -> None:
        async with AsyncJournal(MemoryJournal()) as journal:
            council = make_council()
            coordinator = await Coordinator.start(
                journal,
                treaty_bytes=council.treaty.data,
                log_key=council.log_key,
                publishing=witness_locally(council),
                clock=ManualClock(NOW_MS),
            )
            settings = ServerSettings(address="192.0.2.1:1", credential=credential)
            with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
                await CoordinatorServer.start(coordinator, settings)
            await coordinator.close()

    asyncio.run(main())


def test_a_watch_of_a_quiet_proposal_beats_however_busy_the_others_are(tmp_path: Path) -> None:
    async def scene(site: Site, council: Council) -> None:
        quiet = await propose(site, council)
        name = convert.proposal_name(quiet.payload_digest)
        stream = site.party("p1").WatchProposal(coordinator_pb2.WatchProposalRequest(name=name))

        async def keep_busy() -> None:
            while True:
                await propose(site, council)

        busy = asyncio.create_task(keep_busy())
        await watch_until(stream, "heartbeat")
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        stream.cancel()

    play(scene, tmp_path)
