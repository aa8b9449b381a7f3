"""A coordinator killed, filled up or damaged: nothing acknowledged is lost, and it says what is wrong.

The server that dies is a child process; what it acknowledged is compared with what the next one serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.coordination import (
    CLOSE_MS,
    TIMEOUT_S,
    FailingJournal,
    ManualClock,
    Site,
    identify,
    make_authority,
    make_request_id,
    name_of,
    read_real_time,
    run_coordinator,
    serve_site,
)
from support.signers import make_commitments, make_shares, round_of
from support.world import Council, make_council
from vetonet.errors import ConfigError, StorageError
from vetonet.service.server import CoordinatorServer, ServerSettings
from vetonet.storage.journal import FullJournalError, PoisonedJournalError
from vetonet.storage.sqlite import JOURNAL_NAME
from vetonet.v1 import coordinator_pb2, log_pb2
from vetonet.v1.coordinator_pb2_grpc import CoordinatorServiceStub
from vetonet.v1.log_pb2_grpc import LogServiceStub
from vetonet.voting.state import Phase
from vetonet.wire import convert
from vetonet.wire.channel import open_channel
from vetonet.wire.identity import Role
from vetonet.wire.status import to_error

SERVER = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from support.coordination import witness_locally
from support.signers import make_commitments, make_shares, round_of
from support.world import NOW_MS, make_council
from vetonet.errors import VetonetError
from vetonet.service.server import ServerSettings, serve_coordinator
from vetonet.wire.pki import Credential

directory, certificates, uid = sys.argv[1:]
pem = {path.name: path.read_bytes() for path in Path(certificates).iterdir()}
council = make_council()
settings = ServerSettings(address="127.0.0.1:0", credential=Credential(**pem), tick_s=None)

async def main():
    serving = serve_coordinator(
        Path(directory), treaty_bytes=council.treaty.data, log_key=council.log_key,
        publishing=witness_locally(council), settings=settings,
        clock=lambda: NOW_MS,
    )
    async with serving as server:
        print(server.address, flush=True)
        await server.wait()

if int(uid):
    os.seteuid(int(uid))
try:
    asyncio.run(main())
except VetonetError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""
NOBODY = 65534
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The coordinator's certificate and key as files that every user may read."""
    directory = tmp_path_factory.mktemp("certificates")
    credential = make_authority().issue(Role.COORDINATOR, "main", now=read_real_time())
    for name in ("certificate_pem", "key_pem", "authority_pem"):
        (directory / name).write_bytes(getattr(credential, name))
    return directory


@contextlib.asynccontextmanager
async def spawn_server(
    directory: Path, certificates: Path, *, uid: int = 0
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Within, a server runs as a child process; gives it and the first line that it printed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(directory), str(certificates), str(uid)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), 60)
        yield child, line.decode().strip()
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child._transport.close()  # type: ignore[attr-defined]


def test_a_killed_server_loses_nothing_acknowledged(tmp_path: Path, certificates: Path) -> None:
    council, acknowledged = make_council(), dict[int, bytes]()
    credential = make_authority().issue(Role.OPERATOR, "op1", now=read_real_time())
    requests = [
        coordinator_pb2.CreateProposalRequest(
            statement=council.sign_proposal().data, request_id=make_request_id()
        )
        for _ in range(120)
    ]

    async def send(stub: Any, request: coordinator_pb2.CreateProposalRequest) -> None:
        message = await stub.CreateProposal(request, timeout=TIMEOUT_S)
        acknowledged[message.leaf_index] = request.statement

    @contextlib.asynccontextmanager
    async def run_server() -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
        server = identify(Role.COORDINATOR, "main")
        async with (
            spawn_server(tmp_path, certificates) as (child, address),
            open_channel(address, credential=credential, server=server) as channel,
        ):
            yield child, channel

    async def run_until_killed(count: int) -> None:
        """Send everything at once, and kill the server as soon as it has acknowledged so much of it."""
        async with run_server() as (child, channel):
            stub = CoordinatorServiceStub(channel)
            calls = [asyncio.create_task(send(stub, request)) for request in requests]
            for call in asyncio.as_completed(calls):
                await call
                if len(acknowledged) >= count:
                    break
            child.send_signal(signal.SIGKILL)
            await asyncio.gather(*calls, return_exceptions=True)
            assert await child.wait() == -signal.SIGKILL

    async def list_leaves(channel: grpc.aio.Channel) -> dict[int, bytes]:
        answer = await LogServiceStub(channel).ListLeaves(log_pb2.ListLeavesRequest(), timeout=TIMEOUT_S)
        return dict(enumerate(answer.leaves))

    async def main() -> None:
        await run_until_killed(5)
        await run_until_killed(len(acknowledged) + 10)
        async with run_server() as (_, channel):
            assert acknowledged.items() <= (await list_leaves(channel)).items()
            stub = CoordinatorServiceStub(channel)
            await asyncio.gather(*(send(stub, request) for request in requests))
            served = await list_leaves(channel)
        assert len(served) == 1 + len(requests)
        assert served == {0: council.treaty.data, **acknowledged}

    asyncio.run(main())


async def fill(site: Site, council: Council) -> tuple[list[bytes], grpc.aio.AioRpcError]:
    """Propose until the server cannot store any more; return what it acknowledged and how it refused."""
    stub, acknowledged = site.operator(), list[bytes]()
    while True:
        data = council.sign_proposal().data
        request = coordinator_pb2.CreateProposalRequest(statement=data, request_id=make_request_id())
        try:
            await stub.CreateProposal(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return acknowledged, error
        acknowledged.append(data)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    council = make_council()

    async def main() -> None:
        async with serve_site(council, tmp_path, max_bytes=120 * 1024) as site:
            acknowledged, failure = await fill(site, council)
            error = to_error(failure)
            assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (type(error), error.reason) == (StorageError, "journal-full")
            assert acknowledged
            view = site.server.coordinator.view
            assert view.list_leaves(1, limit=10**6, max_bytes=10**9) == tuple(acknowledged)
            before = view.checkpoint()
            assert (await fill(site, council))[0] == []
        async with serve_site(council, tmp_path) as site:
            assert site.server.coordinator.view.checkpoint() == before
            request = coordinator_pb2.CreateProposalRequest(
                statement=council.sign_proposal().data, request_id=make_request_id()
            )
            answer = await site.operator().CreateProposal(request, timeout=TIMEOUT_S)
            # The last one refused may be durable all the same: its caller cannot know and may try again.
            assert answer.leaf_index in {len(acknowledged) + 1, len(acknowledged) + 2}
            logged = site.server.coordinator.view.list_leaves(1, limit=10**6, max_bytes=10**9)
            assert logged[: len(acknowledged)] == tuple(acknowledged)

    asyncio.run(main())


async def open_and_close(council: Council, directory: Path) -> None:
    """Start a server and stop it."""
    async with serve_site(council, directory):
        pass


@pytest.mark.parametrize("damage", ["overwritten", "header", "middle", "empty-schema"])
def test_a_corrupt_database_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    council, path = make_council(), tmp_path / JOURNAL_NAME
    asyncio.run(open_and_close(council, tmp_path))
    content = bytearray(path.read_bytes())
    match damage:
        case "overwritten":
            content = bytearray(b"not a database" * 100)
        case "header":
            content[:16] = bytes(16)
        case "middle":
            content[4096 + 100 : 2 * 4096] = b"\xff" * 3996
        case _:
            content[100:4096] = bytes(3996)
    path.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        asyncio.run(open_and_close(council, tmp_path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_journal_without_its_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        asyncio.run(open_and_close(make_council(), tmp_path / "missing"))


def test_a_second_coordinator_on_one_directory_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with serve_site(make_council(), tmp_path):
            with pytest.raises(StorageError):
                await open_and_close(make_council(), tmp_path)

    asyncio.run(main())


def test_a_directory_of_another_treaty_is_refused(tmp_path: Path) -> None:
    asyncio.run(open_and_close(make_council(), tmp_path))
    with pytest.raises(ConfigError, match="another treaty"):
        asyncio.run(open_and_close(make_council(name="Other"), tmp_path))


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that other users reach; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


def test_a_read_only_database_is_refused_in_one_line(public_directory: Path) -> None:
    council = make_council()
    asyncio.run(open_and_close(council, public_directory))
    public = public_directory / "certificates"
    public.mkdir(mode=0o755)
    credential = make_authority().issue(Role.COORDINATOR, "main", now=read_real_time())
    for name in ("certificate_pem", "key_pem", "authority_pem"):
        (public / name).write_bytes(getattr(credential, name))
    (public_directory / JOURNAL_NAME).chmod(0o444)
    (public_directory / "journal.lock").chmod(0o666)
    public_directory.chmod(0o555)

    async def main() -> str:
        uid = NOBODY if os.geteuid() == 0 else 0
        async with spawn_server(public_directory, public, uid=uid) as (_, line):
            return line

    line = asyncio.run(main())
    assert line.startswith("StorageError: ")
    assert f"{JOURNAL_NAME}: expected a writable file" in line


def test_a_restart_while_signing_asks_everybody_to_commit_anew(tmp_path: Path) -> None:
    council = make_council()

    async def main() -> None:
        async with serve_site(council, tmp_path) as site:
            proposal = council.sign_proposal()
            await site.operator().CreateProposal(
                coordinator_pb2.CreateProposalRequest(statement=proposal.data, request_id=make_request_id()),
                timeout=TIMEOUT_S,
            )
            name = convert.proposal_name(proposal.payload_digest)
            for party_id in ("p1", "p2"):
                ballot = council.sign_ballot(party_id, proposal).data
                await site.party(party_id).CastBallot(
                    coordinator_pb2.CastBallotRequest(
                        parent=name, statement=ballot, request_id=make_request_id()
                    ),
                    timeout=TIMEOUT_S,
                )
            site.clock.now = CLOSE_MS
            await site.server.coordinator.tick()
            await commit_all(site, council, name)
            first = await read_signing(site, 0)
        async with serve_site(council, tmp_path) as site:
            site.clock.now = CLOSE_MS
            await site.server.coordinator.tick()
            await commit_all(site, council, name)
            second = await read_signing(site, first.sequence)
            assert second.sequence > first.sequence
            used = [set(event.signing_requested.sessions[0].package.commitments) for event in (first, second)]
            assert not used[0] & used[1]
            asked = round_of(site.server.coordinator.view.find_vote(name_of(proposal)))
            for party_id in asked.signers:
                shares = map(convert.share_message, make_shares(council, party_id, asked))
                await site.party(party_id).SubmitSignatureShares(
                    coordinator_pb2.SubmitSignatureSharesRequest(
                        name=name, attempt=asked.attempt, shares=shares, request_id=make_request_id()
                    ),
                    timeout=TIMEOUT_S,
                )
            assert site.server.coordinator.view.find_vote(name_of(proposal)).phase is Phase.LICENSED

    asyncio.run(main())


async def commit_all(site: Site, council: Council, name: str) -> None:
    """Two parties commit."""
    for party_id in ("p1", "p2"):
        commitments = map(convert.commitments_message, make_commitments(council, party_id))
        await site.party(party_id).SubmitCommitments(
            coordinator_pb2.SubmitCommitmentsRequest(
                name=name, commitments=commitments, request_id=make_request_id()
            ),
            timeout=TIMEOUT_S,
        )


async def read_signing(site: Site, resume_sequence: int) -> coordinator_pb2.ProposalEvent:
    """Return the first request for shares after this sequence."""
    stream = site.party("p1").WatchProposal(
        coordinator_pb2.WatchProposalRequest(name=convert.ALL_PROPOSALS, resume_sequence=resume_sequence)
    )
    async with asyncio.timeout(TIMEOUT_S):
        async for event in stream:
            if event.WhichOneof("event") == "signing_requested":
                stream.cancel()
                assert isinstance(event, coordinator_pb2.ProposalEvent)
                return event
    raise AssertionError("the stream ended")


def test_health_says_so_once_the_journal_takes_in_nothing_any_more() -> None:
    council, journal = make_council(), FailingJournal()

    async def ask(address: str) -> int:
        async with grpc.aio.insecure_channel(address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
            return int(answer.status)

    async def main() -> None:
        settings = ServerSettings(address="127.0.0.1:0", credential=None, tick_s=None)
        async with run_coordinator(council, journal, ManualClock()) as coordinator:
            server = await CoordinatorServer.start(coordinator, settings)
            await coordinator.publisher.wait_for(1)  # else it might be its checkpoint that finds no room
            data = council.sign_proposal().data
            for error in (FullJournalError("no room"), PoisonedJournalError("an append ended who knows how")):
                assert await ask(server.address) == health_pb2.HealthCheckResponse.SERVING
                journal.errors.append(error)
                with pytest.raises(type(error)):
                    await coordinator.create_proposal(data, request_id="r", caller=None)
            assert await ask(server.address) == health_pb2.HealthCheckResponse.NOT_SERVING
            await server.stop(0)

    asyncio.run(main())
