"""Deciding a vote: the quorum rule alone, one counted ballot, and a party's whole review before it signs."""

from __future__ import annotations

import pytest
from nacl.signing import SigningKey
from pytest_benchmark.fixture import BenchmarkFixture

from support.floor import Floor
from support.world import NOW_MS, make_council
from vetonet.policy.ballot import open_ballot
from vetonet.policy.quorum import Choice, Quorum
from vetonet.voting.machine import step
from vetonet.voting.signer import review_vote, verify_sessions
from vetonet.voting.state import BallotReceived

SIZES = [7, 15, 100]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.benchmark(group="decide")
def test_decide(benchmark: BenchmarkFixture, size: int) -> None:
    electorate = tuple(f"p{number}" for number in range(size))
    quorum = Quorum.of_threshold(size // 2 + 1, electorate, electorate[:2])
    choices = dict.fromkeys(electorate, Choice.GRANT)
    benchmark(quorum.decide, choices, recused=frozenset(electorate[-1:]), is_closed=True)


@pytest.mark.benchmark(group="ballot")
def test_open_and_count_a_ballot(benchmark: BenchmarkFixture) -> None:
    floor = Floor.open(make_council(7, 5))
    data = floor.council.sign_ballot("p1", floor.proposal).data

    def count() -> None:
        event = BallotReceived(ballot=open_ballot(data, floor.council.treaty), leaf_index=2)
        step(floor.vote, event, NOW_MS)

    benchmark(count)


@pytest.mark.benchmark(group="ballot")
def test_review_a_signing_request_from_the_whole_log(benchmark: BenchmarkFixture) -> None:
    floor = Floor.open(make_council(7, 5))
    for number in range(1, 8):
        floor.cast(f"p{number}")
    floor.pass_time(floor.close_ms)
    floor.commit(*floor.signing.asked)
    sessions, action = floor.round.sessions, floor.vote.action
    consenting = frozenset(floor.signing.consenting)

    def review() -> None:
        statement = review_vote(
            floor.read_ledger(),
            floor.proposal.payload_digest,
            party_id="p1",
            direct_ballots=(),
            witnessed_ms=floor.close_ms,
            now=floor.close_ms,
        )
        terms = floor.council.treaty.statement
        verify_sessions(terms, action, statement, sessions, consenting=consenting, party_id="p1")

    benchmark(review)


@pytest.mark.benchmark(group="ballot")
def test_reference_bare_verification(benchmark: BenchmarkFixture) -> None:
    key = SigningKey(bytes(32))
    signed = key.sign(b"a ballot of the usual size".ljust(440, b"."))
    benchmark(key.verify_key.verify, signed)
