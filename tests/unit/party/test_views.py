"""What comes out of messages: parsed, held to what it claims, or refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.world import Council, make_council
from vetonet.crypto import frost
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError
from vetonet.party.views import (
    CommitmentsAsked,
    CulpritsNamed,
    PartyStatus,
    ProposalStatus,
    SigningAsked,
    read_event,
    read_proposal,
    read_status,
    status_message,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.quorum import Decision, Quorum
from vetonet.v1 import coordinator_pb2, party_pb2, resources_pb2
from vetonet.voting.machine import begin
from vetonet.voting.state import Phase
from vetonet.wire.convert import proposal_message

NAME = "proposals/" + "00" * 16


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


def test_a_motion_is_read_and_is_no_run() -> None:
    quorum = Quorum.of_threshold(2, ("p1", "p2", "p3"))
    council = make_council(quorums={ActionClass.SECURITY_PATCH: quorum})
    motion = council.move("p1", ActionClass.SECURITY_PATCH)
    vote, _ = begin(motion.data, 1, council.treaty, {}, motion.statement.opens_ms)
    view = read_proposal(proposal_message(vote, licence_leaf_index=None), council.treaty)
    assert (view.matter, view.run) == (motion, None)
    with pytest.raises(ValueError, match="no proposal of a run"):
        _ = view.proposal


def test_an_unspecified_phase_is_refused(council: Council, message: resources_pb2.Proposal) -> None:
    message.phase = resources_pb2.PHASE_UNSPECIFIED
    with pytest.raises(EncodingError):
        read_proposal(message, council.treaty)


def test_an_empty_event_is_refused(council: Council) -> None:
    with pytest.raises(EncodingError):
        read_event(coordinator_pb2.ProposalEvent(sequence=1), council.treaty)


def test_a_request_for_shares_with_a_malformed_package_is_refused(council: Council) -> None:
    good = list_commitments(council)
    for commitments in ([], [b"x"], [bytes(66)], [good[0][:-1]], good * 2):
        package = coordinator_pb2.SigningPackage(message=b"m", commitments=commitments)
        for sessions in ([(0, package)], [(0, make_package(council)), (1, package)]):
            asked = request_shares(*sessions)
            with pytest.raises(VetonetError):
                read_event(coordinator_pb2.ProposalEvent(signing_requested=asked), council.treaty)


def make_package(council: Council) -> coordinator_pb2.SigningPackage:
    return coordinator_pb2.SigningPackage(message=b"m", commitments=list_commitments(council))


def request_shares(
    *sessions: tuple[int, coordinator_pb2.SigningPackage], name: str = NAME, signers: Sequence[str] = ("p1",)
) -> coordinator_pb2.SigningRequested:
    return coordinator_pb2.SigningRequested(
        name=name,
        sessions=[coordinator_pb2.GroupSession(group=g, package=package) for g, package in sessions],
        signers=signers,
        attempt=2,
        deadline_ms=77,
        lease=3,
    )


def test_a_request_for_shares_is_read_with_a_session_for_each_group(council: Council) -> None:
    asked = request_shares((0, make_package(council)), (4, make_package(council)), signers=["p2", "p1"])
    event = read_event(coordinator_pb2.ProposalEvent(sequence=9, signing_requested=asked), council.treaty)
    assert isinstance(event, SigningAsked)
    assert [session.group for session in event.sessions] == [0, 4]
    assert event.sessions[0].package.message == b"m"
    assert (event.signers, event.lease, event.attempt, event.deadline_ms) == (("p2", "p1"), 3, 2, 77)


def test_a_request_to_commit_is_read(council: Council) -> None:
    asked = coordinator_pb2.CommitmentsRequested(
        name=NAME, attempt=1, party_ids=["p3", "p1"], deadline_ms=5, lease=2
    )
    event = coordinator_pb2.ProposalEvent(sequence=8, commitments_requested=asked)
    assert read_event(event, council.treaty) == CommitmentsAsked(
        sequence=8, name=NAME, lease=2, attempt=1, party_ids=("p3", "p1"), deadline_ms=5
    )


@pytest.mark.parametrize("name", ["", "proposals/x", NAME.upper(), NAME + "/leases/1"])
def test_a_request_under_no_name_is_refused(council: Council, name: str) -> None:
    for event in (
        coordinator_pb2.ProposalEvent(
            commitments_requested=coordinator_pb2.CommitmentsRequested(name=name, party_ids=["p1"])
        ),
        coordinator_pb2.ProposalEvent(
            signing_requested=request_shares((0, make_package(council)), name=name)
        ),
    ):
        with pytest.raises(EncodingError):
            read_event(event, council.treaty)


HOSTILE = ("p1\x1b]0;owned\x07", "p1\nproposals/aaaa  licensed: 3 of 2 granted", "p9", "", "\u202ep1")


@pytest.mark.parametrize("party_id", HOSTILE)
def test_a_request_to_nobody_on_the_roster_is_refused(council: Council, party_id: str) -> None:
    asked = request_shares((0, make_package(council)), signers=["p1", party_id])
    committing = coordinator_pb2.CommitmentsRequested(name=NAME, party_ids=["p1", party_id])
    for event in (
        coordinator_pb2.ProposalEvent(signing_requested=asked),
        coordinator_pb2.ProposalEvent(commitments_requested=committing),
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


@pytest.mark.parametrize("party_ids", [["p9"], ["p1", "p9"], []])
def test_a_culprit_who_left_the_roster_is_told_of(council: Council, party_ids: list[str]) -> None:
    """Else one notice from before a change of members keeps every later watcher from its news."""
    named = coordinator_pb2.CulpritsNamed(name=NAME, party_ids=party_ids, reason="silent")
    event = read_event(coordinator_pb2.ProposalEvent(sequence=7, culprits_named=named), council.treaty)
    assert event == CulpritsNamed(sequence=7, name=NAME, party_ids=tuple(party_ids), reason="silent")


@pytest.mark.parametrize(
    "party_ids",
    [
        ["p1\x1b]0;owned\x07"],
        ["p1", "p1\nlicensed"],
        [""],
        ["\u202ep1"],
        ["p" * 65],
        ["p1"] * (MAX_PARTIES + 1),
    ],
)
def test_culprits_such_as_no_roster_can_hold_are_refused(council: Council, party_ids: list[str]) -> None:
    named = coordinator_pb2.CulpritsNamed(name=NAME, party_ids=party_ids, reason="silent")
    with pytest.raises(EncodingError):
        read_event(coordinator_pb2.ProposalEvent(culprits_named=named), council.treaty)


def list_commitments(council: Council) -> list[bytes]:
    _, commitments = frost.commit(council.key_shares["p1"][0].share, council.rng)
    return [commitments.to_bytes()]


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
