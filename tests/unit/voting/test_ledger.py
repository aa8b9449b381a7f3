from __future__ import annotations

import pytest

from support.coordination import endorse_alias, enrol_chip
from support.floor import Floor
from support.world import make_council
from vetonet.errors import ExpiredError, ProtocolError, RefusedError, VetonetError
from vetonet.policy.quorum import Choice
from vetonet.voting.ledger import Ledger, read_leaf, read_leaves
from vetonet.voting.state import Phase


@pytest.fixture
def licensed() -> Floor:
    floor = Floor.open(make_council(4, 3, veto_holders=["p4"]))
    for party in ("p1", "p2", "p3"):
        floor.cast(party)
    floor.cast("p4", Choice.ABSTAIN)
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    for party in ("p1", "p2", "p3"):
        floor.send_shares(party)
    return floor


def test_the_ledger_read_from_the_leaves_equals_what_the_coordinator_knows(licensed: Floor) -> None:
    vote = licensed.read_ledger().find(licensed.proposal.payload_digest)
    assert vote.phase is Phase.LICENSED
    assert vote.ballots == licensed.vote.ballots
    assert vote.licence == licensed.vote.licence


def test_a_licensed_run_is_listed_for_the_bands(licensed: Floor) -> None:
    assert licensed.read_ledger().licensed == {licensed.proposal.payload_digest: licensed.proposal.statement}


def test_leaves_in_another_order_are_an_inconsistent_record(licensed: Floor) -> None:
    """VN-11.3: no swap of two neighbours reads like the log itself."""
    expected = licensed.read_ledger()
    for index in range(1, len(licensed.leaves) - 1):
        swapped = list(licensed.leaves)
        swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
        try:
            found = read_leaves(Ledger(treaty=licensed.council.treaty), list(enumerate(swapped))[1:])
        except VetonetError:
            continue
        assert found != expected


@pytest.mark.parametrize("dropped", [2, 3, 4, 5])
def test_a_log_that_dropped_a_ballot_does_not_support_the_licence(licensed: Floor, dropped: int) -> None:
    """VN-7.6: also an abstention cannot vanish."""
    leaves = [leaf for index, leaf in enumerate(licensed.leaves) if index != dropped]
    with pytest.raises(RefusedError, match="does not follow"):
        read_leaves(Ledger(treaty=licensed.council.treaty), list(enumerate(leaves))[1:])


@pytest.mark.parametrize("index", [1, 2, 6])
def test_a_leaf_that_stands_twice_is_refused(licensed: Floor, index: int) -> None:
    ledger = licensed.read_ledger()
    with pytest.raises(ProtocolError):
        read_leaf(ledger, 7, licensed.leaves[index])


def test_a_ballot_without_its_proposal_is_refused(licensed: Floor) -> None:
    with pytest.raises(ProtocolError, match="no proposal"):
        read_leaf(Ledger(treaty=licensed.council.treaty), 1, licensed.leaves[2])


def test_a_veto_logged_after_the_licence_is_an_inconsistent_record() -> None:
    floor = Floor.open(make_council(4, 3, veto_holders=["p4"]))
    veto = floor.council.sign_ballot("p4", floor.proposal, Choice.VETO)
    for party in ("p1", "p2", "p3"):
        floor.cast(party)
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    for party in ("p1", "p2", "p3"):
        floor.send_shares(party)
    with pytest.raises(ExpiredError):
        read_leaf(floor.read_ledger(), 6, veto.data)


def test_a_leaf_of_another_treaty_is_refused(licensed: Floor) -> None:
    stranger = make_council(4, 3, name="Another Treaty")
    with pytest.raises(ProtocolError):
        read_leaf(licensed.read_ledger(), 7, stranger.sign_proposal().data)


def test_leaves_of_other_types_do_not_move_the_ledger(licensed: Floor) -> None:
    ledger = licensed.read_ledger()
    assert read_leaf(ledger, 7, endorse_alias(licensed.council, enrol_chip(licensed.council))) == ledger


def test_a_treaty_that_nobody_decided_is_refused_after_the_first_leaf(licensed: Floor) -> None:
    # VN-16.7
    ledger = licensed.read_ledger()
    with pytest.raises(RefusedError, match="no resolution"):
        read_leaf(ledger, 7, licensed.council.treaty.data)


def test_a_log_that_begins_with_another_treaty_is_refused(licensed: Floor) -> None:
    # VN-11.3
    other = make_council(name="Another")
    with pytest.raises(RefusedError, match="does not begin"):
        read_leaf(Ledger(treaty=licensed.council.treaty), 0, other.treaty.data)
