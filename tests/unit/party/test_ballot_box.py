"""Direct ballots: verified, bounded, and never lost while they can matter."""

from __future__ import annotations

import contextlib

import pytest

from support.world import Council, make_council
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError, ExpiredError, RefusedError, UnknownPartyError
from vetonet.party.ballot_box import MAX_EARLY_BALLOTS, BallotBox
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.voting.ledger import Ledger, read_leaf


@pytest.fixture(scope="module")
def council() -> Council:
    return make_council()


@pytest.fixture
def box(council: Council) -> BallotBox:
    return BallotBox(council.treaty)


@pytest.fixture(scope="module")
def proposal(council: Council) -> Signed[Proposal]:
    return council.sign_proposal()


@pytest.fixture
def empty(council: Council) -> Ledger:
    return Ledger(treaty=council.treaty)


@pytest.fixture
def ledger(empty: Ledger, proposal: Signed[Proposal]) -> Ledger:
    return read_leaf(empty, 1, proposal.data)


def test_a_ballot_is_kept_once(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    ballot = council.sign_ballot("p1", proposal, Choice.VETO)
    for _ in range(3):
        box.add(ballot.data, ledger, proposal.statement.opens_ms)
    assert box.list_on(proposal.payload_digest) == (ballot,)
    assert box.count_unlogged(ledger.find(proposal.payload_digest)) == 1


def test_a_logged_ballot_is_not_counted_as_unlogged(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    ballot = council.sign_ballot("p1", proposal)
    box.add(ballot.data, ledger, proposal.statement.opens_ms)
    after = read_leaf(ledger, 2, ballot.data)
    assert box.count_unlogged(after.find(proposal.payload_digest)) == 0


def test_a_flood_of_grants_does_not_crowd_out_a_veto(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    for _ in range(20):
        box.add(council.sign_ballot("p1", proposal).data, ledger, proposal.statement.opens_ms)
    box.add(council.sign_ballot("p1", proposal, Choice.VETO).data, ledger, proposal.statement.opens_ms)
    choices = [ballot.statement.choice for ballot in box.list_on(proposal.payload_digest)]
    assert choices == [Choice.GRANT, Choice.VETO]


def test_an_early_ballot_counts_once_its_proposal_is_known(
    council: Council, box: BallotBox, empty: Ledger, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    box.add(council.sign_ballot("p1", proposal).data, empty, proposal.statement.opens_ms)
    box.settle(ledger, proposal.statement.closes_ms)
    assert len(box.list_on(proposal.payload_digest)) == 1


def test_an_early_ballot_outside_the_window_is_let_go_when_that_is_known(
    council: Council, box: BallotBox, empty: Ledger, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    closes = proposal.statement.closes_ms
    box.add(council.sign_ballot("p1", proposal, cast_ms=closes).data, empty, closes - 1)
    box.add(council.sign_ballot("p2", proposal).data, empty, closes)
    box.settle(ledger, closes)
    assert box.list_on(proposal.payload_digest) == ()


def test_early_ballots_of_one_party_are_bounded_and_leave_room_for_others(
    council: Council, box: BallotBox, empty: Ledger, proposal: Signed[Proposal]
) -> None:
    opens = proposal.statement.opens_ms
    for number in range(MAX_EARLY_BALLOTS):
        strange = council.sign_ballot(
            "p1", proposal, Choice.ABSTAIN, proposal_digest=number.to_bytes(32, "big")
        )
        box.add(strange.data, empty, opens)
    with pytest.raises(RefusedError) as caught:
        box.add(council.sign_ballot("p1", proposal).data, empty, opens)
    assert caught.value.culprit == "p1"
    box.add(council.sign_ballot("p2", proposal).data, empty, opens)
    box.settle(empty, proposal.statement.ends_ms)
    box.add(council.sign_ballot("p1", proposal).data, empty, opens)


def test_ballots_that_expire_at_once_do_not_free_the_room_that_they_took(
    council: Council, box: BallotBox, empty: Ledger, proposal: Signed[Proposal]
) -> None:
    """Each veto that was taken stays on the disk: a peer must not have its room back by the minute."""
    opens, window_ms = proposal.statement.opens_ms, council.treaty.statement.window_ms

    def flood(now: int) -> int:
        taken = 0
        for _ in range(MAX_EARLY_BALLOTS + 1):
            strange = council.sign_ballot(
                "p1", proposal, Choice.VETO, proposal_digest=council.rng(32), expires_ms=opens + 1
            )
            with contextlib.suppress(RefusedError):
                box.add(strange.data, empty, now)
                taken += 1
        return taken

    assert flood(opens) == MAX_EARLY_BALLOTS
    box.settle(empty, opens + window_ms - 1)
    assert flood(opens + window_ms - 1) == 0
    box.settle(empty, opens + window_ms)
    assert flood(opens + window_ms) == MAX_EARLY_BALLOTS


def test_an_unfavourable_tally_lets_no_veto_go(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    box.add(council.sign_ballot("p1", proposal, Choice.VETO).data, ledger, proposal.statement.opens_ms)
    box.settle(ledger, proposal.statement.ends_ms - 1)
    assert len(box.list_on(proposal.payload_digest)) == 1
    box.settle(ledger, proposal.statement.ends_ms)
    assert box.list_on(proposal.payload_digest) == ()


def test_ballots_on_a_licensed_proposal_are_let_go(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    for leaf_index, ballot in enumerate(ballots.values(), start=2):
        box.add(ballot.data, ledger, proposal.statement.opens_ms)
        ledger = read_leaf(ledger, leaf_index, ballot.data)
    licensed = read_leaf(ledger, 4, council.sign_licence(proposal, ballots).data)
    box.settle(licensed, proposal.statement.closes_ms)
    assert box.list_on(proposal.payload_digest) == ()


def test_a_ballot_that_comes_after_the_close_is_refused_whatever_time_it_states(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    ballot = council.sign_ballot("p1", proposal, Choice.VETO)
    with pytest.raises(ExpiredError):
        box.add(ballot.data, ledger, proposal.statement.closes_ms)


def test_a_ballot_cast_outside_the_window_is_refused(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    ballot = council.sign_ballot("p1", proposal, cast_ms=proposal.statement.opens_ms - 1)
    with pytest.raises(ExpiredError):
        box.add(ballot.data, ledger, proposal.statement.opens_ms)


def test_what_is_no_ballot_of_this_treaty_is_refused(
    council: Council, box: BallotBox, ledger: Ledger, proposal: Signed[Proposal]
) -> None:
    other = make_council(rng=council.rng)
    strange = other.sign_ballot("p1", other.sign_proposal())
    with pytest.raises(UnknownPartyError):
        box.add(strange.data, ledger, proposal.statement.opens_ms)
    with pytest.raises(EncodingError):
        box.add(proposal.data, ledger, proposal.statement.opens_ms)
