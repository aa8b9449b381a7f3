"""What comes out of messages: parsed, held to what it claims, or refused."""

from __future__ import annotations

import pytest

from support.world import Council, make_council
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError
from vetonet.party.views import (
    CulpritsNamed,
    PartyStatus,
    ProposalStatus,
    read_event,
    read_proposal,
    read_status,
    status_message,
)
from vetonet.policy.quorum import Decision
from vetonet.v1 import coordinator_pb2, party_pb2, resources_pb2
from vetonet.voting.machine import begin
from vetonet.voting.state import Phase
from vetonet.wire.convert import proposal_message


@pytest.fixture(scope="module")
def council() -> Council:
    return make_council()


@pytest.fixture
def message(council: Council) -> resources_pb2.Proposal:
    proposal = council.sign_proposal()
    vote, _ = begin(proposal.data, 1, council.treaty, {}, proposal.statement.opens_ms)
    return proposal_message(vote, licence_leaf_index=None)


def test_a_proposal_is_read_with_its_statement_verified(
    council: Council, message: resources_pb2.Proposal
) -> None:
    view = read_proposal(message, council.treaty)
    assert (view.phase, view.decision, view.leaf_index) == (Phase.OPEN, Decision.PENDING, 1)
    assert view.licence_leaf_index is None
    assert view.proposal.data == message.statement


def test_a_proposal_under_another_name_is_refused(council: Council, message: resources_pb2.Proposal) -> None:
    message.name = "proposals/" + "00" * 16
    with pytest.raises(EncodingError):
        read_proposal(message, council.treaty)


def test_a_proposal_whose_statement_was_altered_is_refused(
    council: Council, message: resources_pb2.Proposal
) -> None:
    message.statement = message.statement[:-1] + bytes([message.statement[-1] ^ 1])
    with pytest.raises(InvalidSignatureError):
        read_proposal(message, council.treaty)


def test_an_unspecified_phase_is_refused(council: Council, message: resources_pb2.Proposal) -> None:
    message.phase = resources_pb2.PHASE_UNSPECIFIED
    with pytest.raises(EncodingError):
        read_proposal(message, council.treaty)


def test_an_empty_event_is_refused(council: Council) -> None:
    with pytest.raises(EncodingError):
        read_event(coordinator_pb2.ProposalEvent(sequence=1), council.treaty)


def test_a_request_for_shares_with_a_malformed_package_is_refused(council: Council) -> None:
    for commitments in ([], [b"x"], [bytes(66)]):
        package = coordinator_pb2.SigningPackage(message=b"m", commitments=commitments)
        asked = coordinator_pb2.SigningRequested(name="proposals/x", package=package)
        with pytest.raises(VetonetError):
            read_event(coordinator_pb2.ProposalEvent(signing_requested=asked), council.treaty)


HOSTILE = ("p1\x1b]0;owned\x07", "p1\nproposals/aaaa  licensed: 3 of 2 granted", "p9", "", "\u202ep1")
NAME = "proposals/" + "00" * 16


@pytest.mark.parametrize("party_id", HOSTILE)
def test_an_event_that_names_nobody_on_the_roster_is_refused(council: Council, party_id: str) -> None:
    package = coordinator_pb2.SigningPackage(message=b"m", commitments=list_commitments(council))
    asked = coordinator_pb2.SigningRequested(name=NAME, package=package, signers=["p1", party_id])
    named = coordinator_pb2.CulpritsNamed(name=NAME, party_ids=["p1", party_id], reason="silent")
    for event in (
        coordinator_pb2.ProposalEvent(signing_requested=asked),
        coordinator_pb2.ProposalEvent(culprits_named=named),
    ):
        with pytest.raises(UnknownPartyError):
            read_event(event, council.treaty)


@pytest.mark.parametrize("party_id", HOSTILE)
def test_a_ballot_of_nobody_on_the_roster_is_refused(
    council: Council, message: resources_pb2.Proposal, party_id: str
) -> None:
    message.ballots.add(party_id=party_id, choice=resources_pb2.CHOICE_GRANT)
    with pytest.raises(UnknownPartyError):
        read_proposal(message, council.treaty)


@pytest.mark.parametrize(
    "changes",
    [{"name": "proposals/x\x1b[2J"}, {"reason": "\x1b[31mfake"}, {"reason": "a\nb"}, {"reason": "a" * 129}],
)
def test_culprits_under_no_name_or_for_an_unprintable_reason_are_refused(
    council: Council, changes: dict[str, str]
) -> None:
    fields = {"name": NAME, "reason": "bad signature share"} | changes
    named = coordinator_pb2.CulpritsNamed(name=fields["name"], party_ids=["p1"], reason=fields["reason"])
    with pytest.raises(EncodingError):
        read_event(coordinator_pb2.ProposalEvent(culprits_named=named), council.treaty)


def test_culprits_of_the_roster_are_read(council: Council) -> None:
    named = coordinator_pb2.CulpritsNamed(name=NAME, party_ids=["p2", "p1"], reason="bad signature share")
    event = coordinator_pb2.ProposalEvent(sequence=7, culprits_named=named)
    expected = CulpritsNamed(sequence=7, name=NAME, party_ids=("p2", "p1"), reason="bad signature share")
    assert read_event(event, council.treaty) == expected


def list_commitments(council: Council) -> list[bytes]:
    ballot = council.sign_ballot("p1", council.sign_proposal()).statement
    return [ballot.commitments[0].to_bytes()]


def test_a_status_survives_the_wire() -> None:
    entry = ProposalStatus(
        name="proposals/x",
        decision=Decision.VETOED,
        phase=Phase.VETOED,
        missing=("p2",),
        unlogged_ballots=1,
    )
    status = PartyStatus(party_id="p1", epoch=3, checkpoint=b"note", proposals=(entry,))
    data = status_message(status).SerializeToString()
    assert read_status(party_pb2.PartyStatus.FromString(data)) == status


def test_a_status_with_an_unknown_decision_is_refused() -> None:
    with pytest.raises(EncodingError):
        read_status(party_pb2.PartyStatus(proposals=[party_pb2.ProposalStatus()]))
