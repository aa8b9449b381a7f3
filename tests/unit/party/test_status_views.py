"""What a daemon says of what it knows: the record to everybody, its own troubles to nobody else."""

from __future__ import annotations

import pytest

from support.world import NOW_MS, make_council
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError
from vetonet.party.memory import PartyMemory
from vetonet.party.status import (
    LicenceStatus,
    PartyStatus,
    Refusal,
    describe_tenure,
    describe_vote,
    read_status,
    status_message,
)
from vetonet.party.unlogged import list_unlogged
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.standing import Consent, Standing
from vetonet.storage import MemoryJournal
from vetonet.units import MS_PER_HOUR
from vetonet.v1 import party_pb2
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.state import Phase

COUNCIL = make_council(4, 3, ("p1",))
PROPOSAL = COUNCIL.sign_proposal()
OWN = COUNCIL.sign_proposal(operator_id="op2")


def ledger(*leaves: bytes) -> Ledger:
    return read_leaves(Ledger(treaty=COUNCIL.treaty), enumerate(leaves, start=1))


def licensed() -> Ledger:
    ballots = {party: COUNCIL.sign_ballot(party, PROPOSAL) for party in ("p1", "p2", "p3")}
    licence = COUNCIL.sign_licence(PROPOSAL, ballots)
    return ledger(PROPOSAL.data, *(ballot.data for ballot in ballots.values()), licence.data)


def test_an_open_vote_says_who_may_vote_and_what_it_lacks() -> None:
    told = ledger(PROPOSAL.data, COUNCIL.sign_ballot("p2", PROPOSAL).data)
    entry = describe_vote(told.votes[PROPOSAL.payload_digest], NOW_MS, unlogged_ballots=2)
    assert (entry.decision, entry.phase) == (Decision.PENDING, Phase.OPEN)
    assert (entry.missing, entry.may_vote) == (("p1", "p3", "p4"), ("p1", "p3", "p4"))
    (short,) = entry.short
    assert (short.min_grants, short.seat_count, short.missing_seats) == (3, 4, 2)
    assert short.parties == ("p1", "p3", "p4")
    assert (entry.unlogged_ballots, entry.closes_ms) == (2, PROPOSAL.statement.closes_ms)


def test_once_a_vote_is_closed_nobody_may_vote_and_nobody_can_fill_a_seat() -> None:
    told = ledger(PROPOSAL.data, COUNCIL.sign_ballot("p2", PROPOSAL).data)
    entry = describe_vote(told.votes[PROPOSAL.payload_digest], PROPOSAL.statement.closes_ms)
    assert (entry.phase, entry.may_vote) == (Phase.EXPIRED, ())
    assert [(short.missing_seats, short.parties) for short in entry.short] == [(2, ())]


def test_the_operators_own_party_may_vote_but_fills_no_seat() -> None:
    entry = describe_vote(ledger(OWN.data).votes[OWN.payload_digest], NOW_MS)
    assert "p1" in entry.may_vote
    assert entry.short[0].parties == ("p2", "p3", "p4")


def test_a_licensed_run_lacks_nothing() -> None:
    told = licensed()
    entry = describe_vote(told.votes[PROPOSAL.payload_digest], NOW_MS)
    assert (entry.phase, entry.short, entry.may_vote) == (Phase.LICENSED, (), ())


def test_a_licence_says_why_no_lease_can_be_signed() -> None:
    told, starts_ms = licensed(), PROPOSAL.statement.starts_ms
    tenure = told.tenures[PROPOSAL.payload_digest]
    assert describe_tenure(tenure, starts_ms).obstacle == ""
    assert describe_tenure(tenure, PROPOSAL.statement.ends_ms).obstacle == "the run is over"
    withdrawn = read_leaves(told, [(6, withdraw(1))]).tenures[PROPOSAL.payload_digest]
    entry = describe_tenure(withdrawn, starts_ms)
    assert (entry.obstacle, entry.lease) == ("consent is not kept: p2 withdrew", 0)


def make_status() -> PartyStatus:
    told = ledger(PROPOSAL.data, OWN.data, COUNCIL.sign_ballot("p2", PROPOSAL, Choice.VETO).data)
    return PartyStatus(
        party_id="p1",
        epoch=1,
        checkpoint=b"note",
        proposals=tuple(describe_vote(told.votes[digest], NOW_MS) for digest in told.order),
        licences=(
            LicenceStatus(
                licence_id=7,
                name="proposals/" + "0" * 32,
                expires_ms=NOW_MS + MS_PER_HOUR,
                lease=2,
                lease_ends_ms=NOW_MS,
                obstacle="somebody withdrew",
            ),
        ),
        undelivered=("p3",),
        refusals=(
            Refusal(at_ms=NOW_MS, name="proposals/x", attempt=1, reason="refused", why="because", lease=3),
        ),
    )


def test_a_status_comes_back_as_it_went() -> None:
    status = make_status()
    data = status_message(status).SerializeToString()
    assert read_status(party_pb2.PartyStatus.FromString(data)) == status


def test_others_see_the_record_and_nothing_of_the_partys_own() -> None:
    """VN-13.4."""
    public = make_status().for_others()
    assert (public.undelivered, public.refusals) == ((), ())
    assert [entry.statement for entry in public.proposals] == [b"", b""]
    assert [entry.short for entry in public.proposals] == [entry.short for entry in make_status().proposals]


def test_a_class_of_action_that_nobody_knows_is_refused() -> None:
    message = status_message(make_status())
    message.proposals[0].action = "world-peace"
    with pytest.raises(EncodingError, match="expected a class of action"):
        read_status(message)


def withdraw(number: int, party_id: str = "p2") -> bytes:
    said = Consent(
        treaty_digest=COUNCIL.treaty.payload_digest,
        epoch=1,
        proposal_digest=PROPOSAL.payload_digest,
        number=number,
        standing=Standing.WITHDRAWN,
        stated_ms=PROPOSAL.statement.starts_ms,
        reason=VetoReason.OTHER,
    )
    return sign(said, COUNCIL.party_keys[party_id])


def test_a_withdrawal_that_is_in_no_log_is_to_be_said_again_while_the_run_goes_on() -> None:
    memory, told, now = PartyMemory.open(MemoryJournal()), licensed(), PROPOSAL.statement.starts_ms
    memory.keep_consent(PROPOSAL.payload_digest, 1, withdraw(1), now)
    (entry,) = list_unlogged(told, memory, "p2", now)
    assert entry.digest == PROPOSAL.payload_digest
    assert isinstance(entry.said, Consent)
    assert list_unlogged(told, memory, "p2", PROPOSAL.statement.ends_ms) == ()
    assert list_unlogged(read_leaves(told, [(6, withdraw(1))]), memory, "p2", now) == ()
