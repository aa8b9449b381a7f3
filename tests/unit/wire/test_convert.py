"""Messages and values: the same there and back, and nothing malformed comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.floor import Floor
from support.world import make_council
from vetonet.errors import EncodingError, ProtocolError
from vetonet.policy.quorum import Choice, Decision
from vetonet.tlog.proof import LogProof
from vetonet.v1 import coordinator_pb2, resources_pb2
from vetonet.voting.signing import RequestCommitments
from vetonet.voting.state import NameCulprits, Phase
from vetonet.wire import convert


@pytest.fixture
def signing_floor() -> Floor:
    """A vote in which an attempt at the signature is under way."""
    floor = Floor.open(make_council())
    for party_id in ("p1", "p2"):
        floor.cast(party_id)
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2")
    return floor


@given(st.binary(min_size=16, max_size=16))
def test_a_proposals_name_has_one_spelling(digest: bytes) -> None:
    assert convert.parse_proposal_name(convert.proposal_name(digest)) == digest


@pytest.mark.parametrize(
    "name",
    [
        "",
        "proposals/",
        "proposals/-",
        "proposals/" + "a" * 30,
        "proposals/" + "a" * 34,
        "proposals/" + "A" * 32,
        "proposals/" + " a" * 16,
        "a" * 32,
        "proposals/" + "x" * 32,
        "proposals/" + "a" * 32 + "/ballots",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(EncodingError, match="expected a name"):
        convert.parse_proposal_name(name)


def test_a_proposal_shows_how_its_vote_stands() -> None:
    floor = Floor.open(make_council())
    floor.cast("p2", Choice.ABSTAIN)
    floor.cast("p1", Choice.GRANT)
    message = convert.proposal_message(floor.vote, licence_leaf_index=None)
    assert message.name == convert.proposal_name(floor.proposal.payload_digest)
    assert (message.statement, message.leaf_index, message.closes_ms) == (
        floor.proposal.data,
        1,
        floor.close_ms,
    )
    assert [(b.party_id, convert.read_choice(b), b.leaf_index) for b in message.ballots] == [
        ("p2", Choice.ABSTAIN, 2),
        ("p1", Choice.GRANT, 3),
    ]
    assert (convert.read_phase(message), convert.read_decision(message)) == (Phase.OPEN, Decision.PENDING)
    assert not message.HasField("licence_leaf_index")


def test_an_etag_changes_with_the_proposal_and_only_then() -> None:
    floor = Floor.open(make_council())
    first = convert.proposal_message(floor.vote, licence_leaf_index=None).etag
    assert convert.proposal_message(floor.vote, licence_leaf_index=None).etag == first
    assert convert.proposal_message(floor.vote, licence_leaf_index=9).etag != first
    floor.cast("p1")
    assert convert.proposal_message(floor.vote, licence_leaf_index=None).etag != first


def test_every_phase_decision_and_choice_has_a_number_of_its_own() -> None:
    for table, kind in (
        (convert.PHASES, Phase),
        (convert.DECISIONS, Decision),
        (convert.CHOICES, Choice),
    ):
        assert set(table) == set(kind)
        numbers = set(table.values())
        assert len(numbers) == len(table)
        assert 0 not in numbers


def test_a_number_that_means_nothing_is_refused() -> None:
    with pytest.raises(EncodingError):
        convert.read_phase(resources_pb2.Proposal())
    with pytest.raises(EncodingError):
        convert.read_decision(resources_pb2.Proposal())
    with pytest.raises(EncodingError):
        convert.read_choice(resources_pb2.BallotSummary())


def test_a_request_for_shares_comes_back(signing_floor: Floor) -> None:
    asked = signing_floor.round
    message = convert.signing_requested(signing_floor.proposal.payload_digest, 3, asked)
    assert tuple(map(convert.read_session, message.sessions)) == asked.sessions
    assert (tuple(message.signers), message.attempt, message.lease) == (("p1", "p2"), 0, 3)
    assert message.deadline_ms == asked.deadline_ms


def test_a_request_to_commit_says_who_is_asked_for_what() -> None:
    asked = RequestCommitments(attempt=2, party_ids=("p3", "p1"), deadline_ms=9)
    message = convert.commitments_requested(bytes(32), 4, asked)
    assert (tuple(message.party_ids), message.attempt, message.deadline_ms) == (("p3", "p1"), 2, 9)
    assert (message.name, message.lease) == (convert.proposal_name(bytes(32)), 4)


def test_a_malformed_signing_package_is_refused(signing_floor: Floor) -> None:
    good = convert.signing_requested(bytes(32), 0, signing_floor.round).sessions[0].package
    for commitments, kind in (
        ([b"x"], EncodingError),
        ([], ProtocolError),
        ([good.commitments[0]] * 2, ProtocolError),
    ):
        package = coordinator_pb2.SigningPackage(message=good.message, commitments=commitments)
        with pytest.raises(kind):
            convert.read_session(coordinator_pb2.GroupSession(group=0, package=package))


def test_commitments_and_shares_come_back_with_their_group(signing_floor: Floor) -> None:
    for entry in signing_floor.make_commitments("p1"):
        there = replace(entry, group=7)
        assert convert.read_commitments(convert.commitments_message(there)) == there
    for share in signing_floor.make_shares("p1"):
        assert convert.read_share(convert.share_message(share)) == share


def test_malformed_commitments_and_shares_are_refused(signing_floor: Floor) -> None:
    (entry,) = signing_floor.make_commitments("p1")
    data = entry.commitments.to_bytes()
    for wrong in (b"", data[:-1], data + b"\x00", bytes(66), b"\x00\x00" + data[2:]):
        with pytest.raises(EncodingError):
            convert.read_commitments(coordinator_pb2.GroupCommitments(commitments=wrong))
    (share,) = signing_floor.make_shares("p1")
    data = share.share.to_bytes()
    for wrong in (b"", data[:-1], data + b"\x00", data[:2] + b"\xff" * 32):
        with pytest.raises(EncodingError):
            convert.read_share(coordinator_pb2.GroupShare(share=wrong))


def test_a_receipt_comes_back() -> None:
    proof = LogProof(leaf_index=3, hashes=(bytes(32), b"x" * 32), checkpoint=b"note")
    assert convert.read_receipt(convert.receipt_message(proof)) == proof


@pytest.mark.parametrize(
    "receipt",
    [
        resources_pb2.Receipt(leaf_index=2**63, checkpoint=b"note"),
        resources_pb2.Receipt(hashes=[b"short"], checkpoint=b"note"),
        resources_pb2.Receipt(hashes=[bytes(32)] * 64, checkpoint=b"note"),
        resources_pb2.Receipt(),
    ],
)
def test_a_receipt_out_of_bounds_is_refused(receipt: resources_pb2.Receipt) -> None:
    with pytest.raises(EncodingError):
        convert.read_receipt(receipt)


def test_culprits_are_named() -> None:
    message = convert.culprits_named(bytes(32), NameCulprits(party_ids=("p1", "p2"), reason="silent"))
    assert (tuple(message.party_ids), message.reason) == (("p1", "p2"), "silent")


def test_a_message_with_an_unknown_field_is_refused_wherever_it_is() -> None:
    unknown = b"\xf2\x7f\x01x"  # field 2046, one byte
    outer = coordinator_pb2.GetProposalRequest.FromString(b"\x0a\x01a" + unknown)
    with pytest.raises(EncodingError, match="GetProposalRequest"):
        convert.require_known_fields(outer)
    inner = resources_pb2.Receipt(leaf_index=1).SerializeToString() + unknown
    nested = resources_pb2.Licence.FromString(b"\x12" + bytes([len(inner)]) + inner)
    with pytest.raises(EncodingError, match="Licence"):
        convert.require_known_fields(nested)
    convert.require_known_fields(resources_pb2.Licence(receipt=resources_pb2.Receipt(leaf_index=1)))
