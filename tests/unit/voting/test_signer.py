"""What a party looks at before it lets a signature share go: where a veto binds (VN-7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import pytest

from support.floor import Floor
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.statement import Statement, compute_signing_input, sign
from vetonet.errors import ExpiredError, RefusedError, UnknownPartyError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import open_ballot
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.licence import Licence
from vetonet.policy.quorum import Choice, Denominator, Quorum, Recusal, VetoShare
from vetonet.voting.machine import derive, list_granting
from vetonet.voting.signer import review_vote, verify_sessions
from vetonet.voting.signing import GroupSession, choose_seats


@pytest.fixture
def floor() -> Floor:
    floor = Floor.open(make_council(5, 3, veto_holders=["p1"]))
    for party in ("p2", "p3", "p4"):
        floor.cast(party)
    return floor


def review(floor: Floor, **changes: object) -> Statement:
    arguments: dict[str, Any] = {
        "party_id": "p2",
        "direct_ballots": (),
        "witnessed_ms": floor.close_ms,
        "now": floor.close_ms,
    }
    return review_vote(floor.read_ledger(), floor.proposal.payload_digest, **(arguments | changes))


def ask(floor: Floor) -> tuple[GroupSession, ...]:
    """The window closes, all commit, and an attempt begins; return what is asked for."""
    floor.pass_time(floor.close_ms)
    floor.commit(*floor.signing.asked)
    return floor.round.sessions


def verify(
    floor: Floor,
    sessions: Sequence[GroupSession],
    *,
    party_id: str = "p2",
    statement: Statement | None = None,
    consenting: AbstractSet[str] | None = None,
) -> None:
    verify_sessions(
        floor.council.treaty.statement,
        floor.vote.action,
        derive(floor.vote) if statement is None else statement,
        sessions,
        consenting=frozenset(list_granting(floor.vote)) if consenting is None else consenting,
        party_id=party_id,
    )


def make_session(floor: Floor, *seats: tuple[str, int], message: bytes | None = None) -> GroupSession:
    """Return a session of group 0 by these seats: a party, and which of its key shares."""
    group = floor.council.treaty.statement.all_groups[0]
    shares = [floor.council.key_shares[name][place].share for name, place in seats]
    commitments = tuple(frost.commit(share, floor.council.rng)[1] for share in shares)
    bytes_to_sign = compute_signing_input(derive(floor.vote), group.key) if message is None else message
    package = frost.SigningPackage(message=bytes_to_sign, commitments=commitments)
    return GroupSession(group=group.index, package=package)


def test_a_party_agrees_to_the_licence_that_follows_from_the_log(floor: Floor) -> None:
    floor.pass_time(floor.close_ms)
    assert review(floor) == floor.signing.statement == derive(floor.vote)


def test_a_veto_that_reached_the_party_by_another_path_binds(floor: Floor) -> None:
    """VN-7.3, S2: the coordinator dropped it, the veto still holds."""
    veto = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO)
    with pytest.raises(RefusedError, match="p1 vetoed") as caught:
        review(floor, direct_ballots=(veto,))
    assert caught.value.clause == "VN-7.3"


def test_a_veto_beside_a_logged_grant_of_the_same_holder_binds() -> None:
    """Whoever signs both has equivocated; doubt means no."""
    floor = Floor.open(make_council(5, 3, veto_holders=["p2"]))
    for party in ("p2", "p3", "p4"):
        floor.cast(party)
    veto = floor.council.sign_ballot("p2", floor.proposal, Choice.VETO)
    with pytest.raises(RefusedError, match="p2 vetoed"):
        review(floor, direct_ballots=(veto,), party_id="p3")


@pytest.mark.parametrize("choice", list(Choice))
def test_a_party_without_a_veto_cannot_stop_a_licence_by_voting_past_the_log(
    floor: Floor, choice: Choice
) -> None:
    unlogged = floor.council.sign_ballot("p5", floor.proposal, choice)
    contradicting = floor.council.cast(floor.proposal, Choice.ABSTAIN)
    signed = open_ballot(sign(contradicting, floor.council.party_keys["p4"]), floor.council.treaty)
    review(floor, direct_ballots=(unlogged, signed))


def test_a_direct_ballot_that_is_in_the_log_is_no_obstacle(floor: Floor) -> None:
    ballots = tuple(logged.ballot for logged in floor.vote.ballots)
    review(floor, direct_ballots=ballots)


def test_a_late_direct_ballot_does_not_count(floor: Floor) -> None:
    late = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO, cast_ms=floor.close_ms)
    with pytest.raises(ExpiredError):
        review(floor, direct_ballots=(late,))


def test_no_share_before_the_window_is_over_by_the_partys_own_clock(floor: Floor) -> None:
    with pytest.raises(RefusedError, match="pending"):
        review(floor, now=floor.close_ms - 1)


def test_no_share_over_a_logged_veto(floor: Floor) -> None:
    ask(floor)
    veto = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO)
    floor.leaves.append(veto.data)
    with pytest.raises(RefusedError, match="vetoed"):
        review(floor)


def test_no_share_without_a_quorum_in_the_log(floor: Floor) -> None:
    ask(floor)
    del floor.leaves[4]
    with pytest.raises(RefusedError, match="expired"):
        review(floor)


def test_a_share_of_vetoes_binds_over_the_ballots_of_the_log_and_those_that_came_directly() -> None:
    """VN-4.3, VN-7.3: nobody alone can veto here, and two can; one of the two is not in the log."""
    share = VetoShare(numerator=2, denominator=5, of=Denominator.ELECTORATE)
    plain = Quorum.of_threshold(3, ("p1", "p2", "p3", "p4", "p5"))
    council = make_council(5, 3, quorums={ActionClass.RUN_GRANT: replace(plain, veto_share=share)})
    floor = Floor.open(council)
    for party in ("p1", "p2", "p3"):
        floor.cast(party)
    review(floor, direct_ballots=(council.sign_ballot("p4", floor.proposal, Choice.VETO),))
    floor.cast("p5", Choice.VETO)
    review(floor)
    with pytest.raises(RefusedError, match="p4 vetoed") as caught:
        review(floor, direct_ballots=(council.sign_ballot("p4", floor.proposal, Choice.VETO),))
    assert caught.value.clause == "VN-7.3"


def test_no_share_of_a_party_that_did_not_grant(floor: Floor) -> None:
    """VN-7.3: its consent is not there, whatever it is asked."""
    with pytest.raises(RefusedError, match="no grant of p5 counts"):
        review(floor, party_id="p5")


def test_no_share_of_the_operators_own_party() -> None:
    """VN-4.5."""
    council = make_council(5, 3)
    floor = Floor.open(council, council.sign_proposal(operator_id="op2"))
    for party in ("p1", "p2", "p3", "p4"):
        floor.cast(party)
    review(floor)
    with pytest.raises(RefusedError, match="no grant of p1 counts"):
        review(floor, party_id="p1")


def test_no_share_for_a_run_whose_band_a_linked_run_has_closed(floor: Floor) -> None:
    """VN-5.4, VN-7.3."""
    other = floor.council.sign_proposal(total_flop=10**27 - 10**24, per_device_flop=5 * 10**26)
    ledger = floor.read_ledger()
    licensed = Floor.open(floor.council, other)
    for party in ("p2", "p3", "p4"):
        licensed.cast(party)
    ask(licensed)
    for party in ("p2", "p3", "p4"):
        licensed.send_shares(party)
    with_other = replace(ledger, votes={**ledger.votes, other.payload_digest: licensed.vote})
    with pytest.raises(RefusedError, match="forbidden"):
        review_vote(
            with_other,
            floor.proposal.payload_digest,
            party_id="p2",
            direct_ballots=(),
            witnessed_ms=floor.close_ms,
            now=floor.close_ms,
        )


def test_no_second_licence_for_a_proposal(floor: Floor) -> None:
    ask(floor)
    for party in floor.round.signers:
        floor.send_shares(party)
    with pytest.raises(RefusedError, match="already"):
        review(floor)


def test_an_honest_request_is_answered(floor: Floor) -> None:
    sessions = ask(floor)
    for party in ("p2", "p3", "p4"):
        verify(floor, sessions, party_id=party)


def test_no_share_for_a_licence_with_other_content(floor: Floor) -> None:
    (session,) = ask(floor)
    derived = derive(floor.vote)
    assert isinstance(derived, Licence)
    forged = replace(derived, total_flop=derived.total_flop - 1)
    message = compute_signing_input(forged, floor.council.group.key)
    package = frost.SigningPackage(message=message, commitments=session.package.commitments)
    with pytest.raises(RefusedError, match="not the licence that follows") as caught:
        verify(floor, (replace(session, package=package),))
    assert caught.value.clause == "VN-7.3"


def test_no_share_for_a_message_that_is_no_statement(floor: Floor) -> None:
    """VN-7.3: a coordinator that asks for arbitrary bytes gets nothing."""
    seats = [("p2", 0), ("p3", 0), ("p4", 0)]
    verify(floor, (make_session(floor, *seats),))
    for message in (b"anything", derive(floor.vote).to_bytes()):
        with pytest.raises(RefusedError, match="not the licence"):
            verify(floor, (make_session(floor, *seats, message=message),))


def test_no_share_for_signers_that_did_not_grant(floor: Floor) -> None:
    """VN-7.3."""
    with pytest.raises(RefusedError, match="3 signers among the parties that consent"):
        verify(floor, (make_session(floor, ("p2", 0), ("p3", 0), ("p5", 0)),))


def test_no_share_with_fewer_or_more_signers_than_the_quorum(floor: Floor) -> None:
    floor.cast("p5")
    everybody = [("p2", 0), ("p3", 0), ("p4", 0), ("p5", 0)]
    for seats in (everybody[:2], everybody):
        with pytest.raises(RefusedError, match="3 signers"):
            verify(floor, (make_session(floor, *seats),))


def test_no_share_from_a_party_that_is_not_among_the_signers(floor: Floor) -> None:
    floor.cast("p5")
    with pytest.raises(RefusedError, match="p5 is not among the signers") as caught:
        verify(floor, ask(floor), party_id="p5")
    assert caught.value.culprit == "p5"


def test_no_share_for_a_participant_that_the_group_has_not(floor: Floor) -> None:
    """VN-7.3."""
    (session,) = ask(floor)
    first, *rest = session.package.commitments
    stranger = replace(first, identifier=frost.Identifier(9))
    package = frost.SigningPackage(message=session.package.message, commitments=(*rest, stranger))
    with pytest.raises(UnknownPartyError):
        verify(floor, (replace(session, package=package),))


def test_no_share_for_no_session_or_one_session_twice(floor: Floor) -> None:
    sessions = ask(floor)
    for wrong in ((), sessions * 2):
        with pytest.raises(RefusedError, match="one session for each group"):
            verify(floor, wrong)


def leaf(k: int, *names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=k, electorate=names, weights=weights, minority=False)


def open_floor(expression: Expression, *granting: str) -> Floor:
    """Return the floor of a council of four whose runs this expression grants, with these grants."""
    quorum = Quorum(
        expression=expression, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS
    )
    floor = Floor.open(make_council(4, quorums={ActionClass.RUN_GRANT: quorum}))
    for party in granting:
        floor.cast(party)
    return floor


def test_no_share_for_a_group_of_another_class_of_action() -> None:
    """VN-4.6: the default group of leases has no part in runs here."""
    floor = open_floor(leaf(3, "p1", "p2", "p3"), "p1", "p2", "p3")
    (session,) = ask(floor)
    (leases,) = floor.council.treaty.statement.list_groups(ActionClass.LEASE_RENEWAL)
    assert leases.index != session.group
    for group in (leases.index, 9):
        with pytest.raises(RefusedError, match=f"group {group} has no part in run-grant"):
            verify(floor, (replace(session, group=group),))


def test_no_share_where_a_group_that_must_sign_is_not_asked() -> None:
    """VN-7.3: else half of the signatures could wait for the other half, over another log."""
    floor = open_floor(AllOf(parts=(leaf(2, "p1", "p2", "p3"), leaf(1, "p4"))), "p1", "p2", "p4")
    sessions = ask(floor)
    for party in ("p1", "p2", "p4"):
        verify(floor, sessions, party_id=party)
    for session in sessions:
        with pytest.raises(RefusedError, match="not consent to run-grant"):
            verify(floor, (session,))


def test_sessions_in_another_group_than_their_own_are_refused() -> None:
    """VN-7.3."""
    floor = open_floor(AnyOf(parts=(leaf(2, "p1", "p2"), leaf(2, "p3", "p4"))), "p1", "p2", "p3", "p4")
    (session,) = ask(floor)
    assert session.group == 0
    with pytest.raises(RefusedError, match="not the licence that follows"):
        verify(floor, (replace(session, group=1),))


def test_one_seat_of_a_party_with_two_is_not_two_signers() -> None:
    """VN-4.1, VN-7.3: seats are counted, and all of them by parties that consent."""
    floor = open_floor(leaf(3, "p1", "p2", "p3", weights=(2, 1, 1)), "p1", "p2")
    sessions = ask(floor)
    assert [int(seat) for seat in sessions[0].package.identifiers] == [1, 2, 3]
    verify(floor, sessions, party_id="p1")
    with pytest.raises(RefusedError, match="3 signers"):
        verify(floor, (make_session(floor, ("p1", 0), ("p2", 0)),))
    with pytest.raises(RefusedError, match="3 signers"):
        verify(floor, (make_session(floor, ("p1", 0), ("p2", 0), ("p3", 0)),), party_id="p1")


def test_the_seats_that_sign_are_those_of_the_willing_and_no_more_than_needed(floor: Floor) -> None:
    group = floor.council.group
    assert choose_seats(group, ("p5", "p1", "p3", "p2")) == (1, 2, 3)
    assert choose_seats(group, ("p5", "p4", "stranger")) == (4, 5)
    assert choose_seats(group, ()) == ()
