"""Making a licence, or the next lease, by group size: a signer's work, the coordinator's, and what is sent.

Everything that crosses the wire is spelled and read here as it is there; only gRPC, the disk and the other
parties' machines are left out. Thresholds are two thirds, rounded up; ``council`` is nine of fifteen, the
five permanent members among them, by two groups. Everybody grants and commits, and the first that are enough
sign. The signer measured is ``p1``; in ``council`` it holds a seat in both groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from reference import measure_bare_verification_s, note_bare_verifications

from support.floor import Floor
from support.tenancy import Tenancy
from support.world import Council, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Statement
from vetonet.party.grants import Grants
from vetonet.party.keys import PartySecrets
from vetonet.party.logview import LogView
from vetonet.party.memory import PartyMemory, Task
from vetonet.party.views import SigningAsked, read_event
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, Threshold
from vetonet.policy.lease import compute_signable_ms, derive_lease, open_lease
from vetonet.policy.licence import open_licence
from vetonet.policy.quorum import Quorum
from vetonet.storage import MemoryJournal
from vetonet.tlog.log import Log
from vetonet.units import Milliseconds
from vetonet.v1 import coordinator_pb2
from vetonet.voting.machine import derive, list_granting
from vetonet.voting.signer import review_lease, review_vote, verify_sessions
from vetonet.voting.signing import (
    RequestShares,
    Signing,
    Stage,
    begin_signing,
    list_requests,
    list_seats,
    list_signing_seats,
    take_commitments,
    take_shares,
)
from vetonet.voting.state import Voting
from vetonet.voting.tenure import list_consenting
from vetonet.wire.convert import (
    commitments_message,
    commitments_requested,
    proposal_message,
    proposal_name,
    read_commitments,
    read_share,
    share_message,
    signing_requested,
)

SCENES = ["5", "15", "50", "100", "council", "lease-15", "lease-council"]
ME = "p1"
REQUEST_ID = "0" * 36  # as long as a UUID
SEQUENCE = 2**33  # as large as a coordinator's
ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A statement that a council is to sign, and what its log holds.

    Attributes:
        council: with every key in hand.
        vote: on the run.
        task: what is signed, as a party remembers it.
        statement: what is signed.
        consenting: the parties that are asked.
        read: how many leaves a signer has read before it is asked.
        leaves: the log.
        checkpoint: of all leaves, cosigned by every party's witness.
        now: when the statement may be signed.
    """

    council: Council
    vote: Voting
    task: Task
    statement: Statement
    consenting: tuple[str, ...]
    read: int
    leaves: tuple[bytes, ...]
    checkpoint: bytes
    now: Milliseconds

    @property
    def action(self) -> ActionClass:
        """The class of action, which says which groups sign."""
        return ActionClass.LEASE_RENEWAL if self.task.lease else ActionClass.RUN_GRANT

    def open_view(self) -> LogView:
        """Return what a signer knows of the log before it is asked."""
        view = LogView(self.council.treaty)
        log = Log(self.council.treaty.statement.log_origin, self.leaves)
        view.advance(self.leaves[: self.read], self.council.sign_head(log, self.read))
        return view

    def review(self, view: LogView, party_id: str) -> Statement:
        """Return what a party agrees to sign, by the log as it sees it."""
        if self.task.lease:
            return review_lease(
                view.ledger,
                self.task.digest,
                self.task.lease,
                party_id=party_id,
                direct=(),
                witnessed_ms=view.witnessed_ms,
                now=self.now,
            )
        return review_vote(
            view.ledger,
            self.task.digest,
            party_id=party_id,
            direct_ballots=(),
            witnessed_ms=view.witnessed_ms,
            now=self.now,
        )

    def open_signed(self, data: bytes) -> Statement:
        """Return the statement that the groups signed, their signatures verified."""
        treaty = self.council.treaty
        if self.task.lease:
            return open_lease(data, treaty).statement
        return open_licence(data, treaty).statement


def make_bench_council(name: str) -> Council:
    """Return the council of a scene."""
    if name != "council":
        size = int(name)
        return make_council(size, -(-2 * size // 3))
    everybody = tuple(f"p{number}" for number in range(1, 16))
    permanent = everybody[:5]
    nine, five = make_leaf(9, everybody), make_leaf(5, permanent)
    plain = Quorum.of_threshold(9, everybody, permanent)
    quorum = replace(plain, expression=AllOf(parts=(nine, five)))
    return make_council(15, quorums=dict.fromkeys((ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL), quorum))


def make_leaf(min_grants: int, electorate: tuple[str, ...]) -> Threshold:
    """Return a threshold without weights."""
    return Threshold(min_grants=min_grants, electorate=electorate, weights=(), minority=False)


def make_licence_scene(council: Council) -> Scene:
    """Return a vote that closed with everybody's grant; a signer has read its log up to the proposal."""
    floor = Floor.open(council)
    for party_id in council.party_ids:
        floor.cast(party_id)
    log = Log(council.treaty.statement.log_origin, floor.leaves)
    return Scene(
        council=council,
        vote=floor.vote,
        task=Task(digest=floor.vote.digest),
        statement=derive(floor.vote),
        consenting=list_granting(floor.vote),
        read=1,
        leaves=tuple(floor.leaves),
        checkpoint=council.sign_head(log, timestamp_s=floor.close_ms // 1000),
        now=floor.close_ms,
    )


def make_lease_scene(council: Council) -> Scene:
    """Return a run at the end of its first lease; a signer has read its log, and gets a newer checkpoint."""
    tenancy = Tenancy.begin(council, council.party_ids)
    tenancy.log(tenancy.sign_lease(1, council.party_ids).data)
    signable_ms = compute_signable_ms(tenancy.licence, 2)
    log = Log(council.treaty.statement.log_origin, tenancy.leaves)
    return Scene(
        council=council,
        vote=tenancy.ledger.find(tenancy.digest),
        task=Task(digest=tenancy.digest, lease=2),
        statement=derive_lease(council.treaty, tenancy.tenure.licence, 2),
        consenting=list_consenting(tenancy.tenure),
        read=len(tenancy.leaves),
        leaves=tuple(tenancy.leaves),
        checkpoint=council.sign_head(log, timestamp_s=signable_ms // 1000),
        now=signable_ms,
    )


@cache
def make_scene(name: str) -> Scene:
    """Return the scene of this name."""
    council = make_bench_council(name.removeprefix("lease-"))
    return make_lease_scene(council) if name.startswith("lease-") else make_licence_scene(council)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A party at its work, with the same nonces each time."""

    scene: Scene
    party_id: str
    view: LogView
    grants: Grants

    @classmethod
    def open(cls, scene: Scene, party_id: str, view: LogView) -> Signer:
        """Return a party that has looked up its key shares, as it does once an epoch."""
        council = scene.council
        secrets = PartySecrets(
            party_id=party_id,
            statement_key=council.party_keys[party_id],
            key_shares=council.key_shares[party_id],
        )
        grants = Grants(secrets, PartyMemory.open(MemoryJournal()), SeededRng(party_id.encode()))
        signer = cls(scene=scene, party_id=party_id, view=view, grants=grants)
        grants.commit(Task(digest=bytes(32)), signer.list_my_seats(), council.treaty)
        return signer

    def list_my_seats(self) -> tuple[tuple[int, int], ...]:
        """Return the seats that may be asked for."""
        return list_seats(self.scene.council.treaty.statement, self.scene.action, self.party_id)

    def follow(self) -> None:
        """The log is read up to the newest checkpoint: every new leaf, and who cosigned."""
        self.view.advance(self.scene.leaves[self.view.tree_size :], self.scene.checkpoint)

    def commit(self) -> bytes:
        """Return the commitments to hand in, after a review."""
        scene = self.scene
        scene.review(self.view, self.party_id)
        commitments = self.grants.commit(scene.task, self.list_my_seats(), scene.council.treaty)
        request = coordinator_pb2.SubmitCommitmentsRequest(
            name=proposal_name(scene.task.digest),
            commitments=map(commitments_message, commitments),
            request_id=REQUEST_ID,
            lease=scene.task.lease,
        )
        return request.SerializeToString()

    def sign(self, event: bytes) -> bytes:
        """Return the shares to hand in for a request as received, after looking at everything afresh."""
        scene, treaty = self.scene, self.scene.council.treaty
        asked = read_event(coordinator_pb2.ProposalEvent.FromString(event), treaty)
        assert isinstance(asked, SigningAsked)
        self.follow()
        statement = scene.review(self.view, self.party_id)
        verify_sessions(
            treaty.statement,
            scene.action,
            statement,
            asked.sessions,
            consenting=frozenset(scene.consenting),
            party_id=self.party_id,
        )
        shares = self.grants.sign_shares(
            scene.task,
            asked.attempt,
            statement=statement,
            sessions=asked.sessions,
            seats=list_signing_seats(treaty.statement, asked.sessions, self.party_id),
            treaty=treaty,
            now=scene.now,
        )
        request = coordinator_pb2.SubmitSignatureSharesRequest(
            name=asked.name,
            attempt=asked.attempt,
            shares=map(share_message, shares),
            request_id=REQUEST_ID,
            lease=asked.lease,
        )
        return request.SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """All that is sent for one signature.

    Attributes:
        asked: everybody is asked to commit.
        commitments: what each party hands in, in order.
        signing: the signers are asked for their shares; everybody who watches learns it.
        shares: what each signer hands in, in order.
        answer: the proposal as it stands, which every call returns.
    """

    asked: bytes
    commitments: dict[str, bytes]
    signing: bytes
    shares: dict[str, bytes]
    answer: bytes

    def list_sent_by(self, party_id: str) -> list[bytes]:
        """Return what one party sends."""
        return [made[party_id] for made in (self.commitments, self.shares) if party_id in made]

    def list_received_by(self, party_id: str) -> list[bytes]:
        """Return what one party receives: the two requests, and the answers to its calls."""
        return [self.asked, self.signing] + [self.answer] * len(self.list_sent_by(party_id))


def gather(scene: Scene, commitments: dict[str, bytes]) -> tuple[Signing, bytes, bytes]:
    """Return the making of a signature when all have committed, and the two requests that were sent."""
    signing = begin_signing(
        scene.council.treaty.statement, scene.action, scene.statement, scene.consenting, scene.now
    )
    asked, request = spell_requests(scene, None, signing), b""
    for party_id, data in commitments.items():
        message = coordinator_pb2.SubmitCommitmentsRequest.FromString(data)
        entries = tuple(map(read_commitments, message.commitments))
        following = take_commitments(signing, party_id, entries, scene.now)
        request = spell_requests(scene, signing, following) or request
        signing = following
    return signing, asked, request


def spell_requests(scene: Scene, before: Signing | None, signing: Signing) -> bytes:
    """Return the event that asks for what was not asked for before, or nothing."""
    event = b""
    for asked in list_requests(before, signing):
        message = coordinator_pb2.ProposalEvent(sequence=SEQUENCE)
        digest, lease = scene.task.digest, scene.task.lease
        if isinstance(asked, RequestShares):
            message.signing_requested.CopyFrom(signing_requested(digest, lease, asked.round))
        else:
            message.commitments_requested.CopyFrom(commitments_requested(digest, lease, asked))
        event = message.SerializeToString()
    return event


def coordinate(scene: Scene, exchange: Exchange) -> bytes:
    """Return the signed statement: the coordinator's whole part, from its first request to the last share."""
    signing, _, _ = gather(scene, exchange.commitments)
    for party_id, data in exchange.shares.items():
        message = coordinator_pb2.SubmitSignatureSharesRequest.FromString(data)
        shares = tuple(map(read_share, message.shares))
        signing, _ = take_shares(signing, party_id, message.attempt, shares, scene.now)
    assert signing.stage is Stage.SIGNED
    assert scene.open_signed(signing.data) == scene.statement
    return signing.data


@cache
def make_exchange(name: str) -> Exchange:
    """Return all that is sent in a scene; the parties look at one view, as all of theirs are alike."""
    scene = make_scene(name)
    view = scene.open_view()
    signers = {party_id: Signer.open(scene, party_id, view) for party_id in scene.consenting}
    signers[ME].follow()
    commitments = {party_id: signer.commit() for party_id, signer in signers.items()}
    signing, asked, request = gather(scene, commitments)
    shares = {party_id: signers[party_id].sign(request) for party_id in signing.under_way.signers}
    answer = proposal_message(scene.vote, licence_leaf_index=None).SerializeToString()
    return Exchange(asked=asked, commitments=commitments, signing=request, shares=shares, answer=answer)


def open_signer(name: str) -> Signer:
    """Return the signer that is measured, before it has followed the log."""
    scene = make_scene(name)
    return Signer.open(scene, ME, scene.open_view())


def measure(
    benchmark: BenchmarkFixture, work: Callable[[Signer], object], prepare: Callable[[], Signer]
) -> object:
    """A part of the signer's work is done so many times; what comes of it the last time is returned."""
    bare_s = measure_bare_verification_s()
    made: object = benchmark.pedantic(work, setup=lambda: ((prepare(),), {}), rounds=ROUNDS)
    note_bare_verifications(benchmark, bare_s)
    return made


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.benchmark(group="licence-follow")
def test_following_the_log_to_the_close(benchmark: BenchmarkFixture, name: str) -> None:
    """Every ballot and every cosignature; for a lease the cosignatures alone."""
    scene = make_scene(name)
    measure(benchmark, Signer.follow, lambda: open_signer(name))
    benchmark.extra_info["bytes"] = sum(map(len, scene.leaves[scene.read :])) + len(scene.checkpoint)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.benchmark(group="licence-commit")
def test_committing(benchmark: BenchmarkFixture, name: str) -> None:
    """The first review, and nonces for each seat."""

    def prepare() -> Signer:
        signer = open_signer(name)
        signer.follow()
        return signer

    assert measure(benchmark, Signer.commit, prepare) == make_exchange(name).commitments[ME]


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.benchmark(group="licence-share")
def test_signing(benchmark: BenchmarkFixture, name: str) -> None:
    """The request read, the checkpoint and the review again, and a share for each seat."""
    exchange = make_exchange(name)

    def prepare() -> Signer:
        signer = open_signer(name)
        signer.follow()
        signer.commit()
        return signer

    made = measure(benchmark, lambda signer: signer.sign(exchange.signing), prepare)
    assert made == exchange.shares[ME]
    sent, received = exchange.list_sent_by(ME), exchange.list_received_by(ME)
    benchmark.extra_info["messages sent"] = len(sent)
    benchmark.extra_info["bytes sent"] = sum(map(len, sent))
    benchmark.extra_info["messages received"] = len(received)
    benchmark.extra_info["bytes received"] = sum(map(len, received))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.benchmark(group="licence-coordinator")
def test_coordinating(benchmark: BenchmarkFixture, name: str) -> None:
    """All commitments and shares taken, aggregated, and the signature verified."""
    scene, exchange, bare_s = make_scene(name), make_exchange(name), measure_bare_verification_s()
    data = benchmark.pedantic(coordinate, args=(scene, exchange), rounds=ROUNDS)
    note_bare_verifications(benchmark, bare_s)
    messages = [
        message
        for party_id in scene.consenting
        for message in exchange.list_sent_by(party_id) + exchange.list_received_by(party_id)
    ]
    benchmark.extra_info["parties"] = len(scene.consenting)
    benchmark.extra_info["signers"] = len(exchange.shares)
    benchmark.extra_info["messages in all"] = len(messages)
    benchmark.extra_info["bytes in all"] = sum(map(len, messages))
    benchmark.extra_info["bytes of the signed statement"] = len(data)
