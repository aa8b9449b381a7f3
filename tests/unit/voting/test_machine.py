from __future__ import annotations

from dataclasses import replace

import pytest

from support.floor import Floor
from support.world import NOW_MS, make_council
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import (
    EpochError,
    EquivocationError,
    ExpiredError,
    RefusedError,
    UnexpectedEventError,
    UnknownPartyError,
)
from vetonet.policy.ballot import open_ballot
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.voting.machine import TABLE, begin, derive, step
from vetonet.voting.signing import GroupShare, RequestCommitments, RequestShares
from vetonet.voting.state import (
    CommitmentsReceived,
    Conclude,
    Event,
    OutcomeLogged,
    Phase,
    SharesReceived,
    TimePassed,
)


@pytest.fixture
def floor() -> Floor:
    return Floor.open(make_council(5, 3, veto_holders=["p1"]))


def grant(floor: Floor, *parties: str) -> None:
    for party in parties:
        floor.cast(party)


def sign_round(floor: Floor) -> tuple[object, ...]:
    """All that are asked commit, and those that are chosen sign."""
    floor.commit(*floor.signing.asked)
    return answer(floor)


def answer(floor: Floor) -> tuple[object, ...]:
    """The signers of the attempt under way sign."""
    effects: tuple[object, ...] = ()
    for party in floor.round.signers:
        effects = floor.send_shares(party)
    return effects


def run_of(floor: Floor) -> Signed[Proposal]:
    return floor.vote.proposal


def test_a_quorum_of_grants_gives_a_licence_that_the_group_key_verifies(floor: Floor) -> None:
    grant(floor, "p2", "p3", "p4")
    (asked,) = floor.pass_time(floor.close_ms)
    assert isinstance(asked, RequestCommitments)
    assert (asked.attempt, asked.party_ids) == (0, ("p2", "p3", "p4"))
    assert floor.commit("p2", "p3") == ()
    (request,) = floor.commit("p4")
    assert request == RequestShares(round=floor.round)
    effects = answer(floor)
    assert floor.vote.phase is Phase.LICENSED
    assert effects[-1] == Conclude(decision=Decision.GRANTED)
    assert floor.vote.licence is not None
    assert floor.vote.licence.statement == derive(floor.vote)
    assert floor.leaves[-1] == floor.vote.licence.data


def test_nothing_is_decided_before_the_window_closes(floor: Floor) -> None:
    grant(floor, "p1", "p2", "p3", "p4", "p5")
    assert floor.pass_time(floor.close_ms - 1) == ()
    assert floor.vote.decision is Decision.PENDING


def test_one_grant_too_few_expires(floor: Floor) -> None:
    grant(floor, "p2", "p3")
    floor.cast("p4", Choice.ABSTAIN)
    assert floor.pass_time(floor.close_ms) == (Conclude(decision=Decision.EXPIRED),)
    assert floor.vote.phase is Phase.EXPIRED


def test_a_lone_grant_does_not_pass_for_want_of_other_votes(floor: Floor) -> None:
    """Cosmos SDK #2482: a single yes passed because absent votes were not in the denominator."""
    grant(floor, "p2")
    floor.pass_time(floor.close_ms)
    assert floor.vote.decision is Decision.EXPIRED


def test_a_veto_of_a_holder_beats_any_number_of_grants(floor: Floor) -> None:
    grant(floor, "p2", "p3", "p4", "p5")
    floor.cast("p1", Choice.VETO)
    assert floor.pass_time(floor.close_ms) == (Conclude(decision=Decision.VETOED),)


def test_a_veto_of_a_party_without_veto_right_is_only_a_missing_grant(floor: Floor) -> None:
    grant(floor, "p1", "p2", "p3")
    floor.cast("p5", Choice.VETO)
    floor.pass_time(floor.close_ms)
    assert floor.vote.phase is Phase.SIGNING


def test_the_operators_own_party_cannot_grant() -> None:
    """VN-4.5; Vault #19214: a requester approved its own request."""
    council = make_council(5, 3)
    floor = Floor.open(council, council.sign_proposal(operator_id="op2"))
    grant(floor, "p1", "p2", "p3")
    floor.pass_time(floor.close_ms)
    assert floor.vote.phase is Phase.EXPIRED


def test_the_operators_own_party_can_still_veto() -> None:
    council = make_council(5, 3, veto_holders=["p1"])
    floor = Floor.open(council, council.sign_proposal(operator_id="op2"))
    grant(floor, "p2", "p3", "p4")
    floor.cast("p1", Choice.VETO)
    floor.pass_time(floor.close_ms)
    assert floor.vote.phase is Phase.VETOED


def test_the_same_ballot_again_is_no_news(floor: Floor) -> None:
    ballot = floor.cast("p2")
    assert floor.receive(ballot) == ()
    assert len(floor.vote.ballots) == 1


def test_a_second_different_ballot_is_equivocation_and_names_the_party(floor: Floor) -> None:
    """VN-6.4."""
    floor.cast("p2")
    with pytest.raises(EquivocationError, match="leaf 2") as caught:
        floor.cast("p2", Choice.ABSTAIN)
    assert caught.value.culprit == "p2"
    assert floor.vote.choices == {"p2": Choice.GRANT}


def test_a_ballot_that_arrives_at_the_close_is_late(floor: Floor) -> None:
    """VN-6.3."""
    ballot = floor.council.sign_ballot("p2", floor.proposal)
    with pytest.raises(ExpiredError, match="closed") as caught:
        floor.receive(ballot, now=floor.close_ms)
    assert caught.value.culprit == "p2"


@pytest.mark.parametrize("phase", [Phase.SIGNING, Phase.VETOED, Phase.EXPIRED, Phase.LICENSED])
def test_a_ballot_after_the_decision_is_late(phase: Phase) -> None:
    floor = Floor.open(make_council(3, 2, veto_holders=["p1"]))
    late = floor.council.sign_ballot("p3", floor.proposal)
    if phase is not Phase.EXPIRED:
        grant(floor, "p2")
        floor.cast("p1", Choice.VETO if phase is Phase.VETOED else Choice.GRANT)
    floor.pass_time(floor.close_ms)
    if phase is Phase.LICENSED:
        sign_round(floor)
    assert floor.vote.phase is phase
    with pytest.raises(ExpiredError, match="p3"):
        floor.receive(late, now=floor.close_ms)


@pytest.mark.parametrize("cast_ms", [NOW_MS - 1, NOW_MS + 3_600_000])
def test_a_ballot_that_says_it_was_cast_outside_the_window_is_refused(floor: Floor, cast_ms: int) -> None:
    ballot = floor.council.sign_ballot("p2", floor.proposal, cast_ms=cast_ms)
    with pytest.raises(ExpiredError, match="window"):
        floor.receive(ballot)


def test_a_ballot_that_expires_before_the_close_is_refused(floor: Floor) -> None:
    ballot = floor.council.sign_ballot("p2", floor.proposal, expires_ms=floor.close_ms - 1)
    with pytest.raises(ExpiredError, match="expires"):
        floor.receive(ballot)


def test_a_ballot_on_another_proposal_cannot_be_replayed_here(floor: Floor) -> None:
    """VN-6.2."""
    other = floor.council.sign_proposal()
    ballot = floor.council.sign_ballot("p2", other)
    with pytest.raises(RefusedError, match="expected") as caught:
        floor.receive(ballot)
    assert caught.value.clause == "VN-6.2"


def test_a_ballot_of_another_epoch_is_refused(floor: Floor) -> None:
    """VN-2.4."""
    ballot = floor.council.cast(floor.proposal, Choice.GRANT, epoch=2)
    with pytest.raises(EpochError, match="epoch 2"):
        open_ballot(sign(ballot, floor.council.party_keys["p2"]), floor.council.treaty)


def test_a_ballot_signed_by_an_operator_is_nobodys(floor: Floor) -> None:
    """VN-2.2."""
    ballot = floor.council.cast(floor.proposal, Choice.ABSTAIN)
    with pytest.raises(UnknownPartyError):
        open_ballot(sign(ballot, floor.council.operator_keys["op1"]), floor.council.treaty)


def ask(floor: Floor) -> Floor:
    """The first three of four granting parties are asked to sign."""
    grant(floor, "p1", "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    return floor


def received(party_id: str, shares: tuple[GroupShare, ...], attempt: int = 0) -> SharesReceived:
    return SharesReceived(party_id=party_id, attempt=attempt, shares=shares, leaf_index=9, licensed={})


def test_a_licence_that_rests_on_other_ballots_is_refused(floor: Floor) -> None:
    """VN-7.6: k colluding signers can make a signature, not a licence that follows from the log."""
    council = floor.council
    ballots = {party: council.sign_ballot(party, floor.proposal) for party in ("p2", "p3", "p4")}
    for ballot in ballots.values():
        floor.receive(ballot)
    forged = council.sign_licence(run_of(floor), ballots, total_flop=run_of(floor).statement.total_flop - 1)
    with pytest.raises(RefusedError) as caught:
        step(floor.vote, OutcomeLogged(outcome=forged, licensed={}), floor.close_ms)
    assert caught.value.clause == "VN-7.6"


def test_a_licence_over_a_logged_veto_is_refused(floor: Floor) -> None:
    council = floor.council
    ballots = {party: council.sign_ballot(party, floor.proposal) for party in ("p2", "p3", "p4")}
    for ballot in ballots.values():
        floor.receive(ballot)
    floor.cast("p1", Choice.VETO)
    licence = council.sign_licence(run_of(floor), ballots, ballot_leaf_indices=(2, 3, 4, 5))
    with pytest.raises(RefusedError):
        step(floor.vote, OutcomeLogged(outcome=licence, licensed={}), floor.close_ms)


def test_a_proposal_outside_its_window_is_refused() -> None:
    """VN-5.3."""
    council = make_council()
    proposal = council.sign_proposal()
    for now in (proposal.statement.opens_ms - 1, proposal.statement.closes_ms):
        with pytest.raises(ExpiredError):
            begin(proposal.data, 1, council.treaty, {}, now)


def test_a_proposal_in_the_forbidden_band_cannot_even_be_voted_on() -> None:
    """VN-5.5."""
    council = make_council()
    proposal = council.sign_proposal(total_flop=10**27, per_device_flop=10**27)
    with pytest.raises(RefusedError, match="forbidden"):
        begin(proposal.data, 1, council.treaty, {}, NOW_MS)


def test_linked_runs_that_sum_into_the_forbidden_band_are_refused() -> None:
    """VN-5.4: one long run declared as many short ones (Shavit section 5.1)."""
    council = make_council()
    earlier = council.sign_proposal(total_flop=6 * 10**26, per_device_flop=6 * 10**26)
    later = council.sign_proposal(total_flop=4 * 10**26, per_device_flop=4 * 10**26)
    licensed = {earlier.payload_digest: earlier.statement}
    with pytest.raises(RefusedError, match="linked"):
        begin(later.data, 5, council.treaty, licensed, NOW_MS)
    stranger = replace(earlier.statement, beneficial_owner="Somebody Else")
    begin(later.data, 5, council.treaty, {earlier.payload_digest: stranger}, NOW_MS)


def test_a_linked_run_licensed_during_the_vote_closes_the_band(floor: Floor) -> None:
    grant(floor, "p2", "p3", "p4")
    other = floor.council.sign_proposal(total_flop=10**27 - 10**24, per_device_flop=5 * 10**26)
    event = TimePassed(licensed={other.payload_digest: other.statement}, epoch=1)
    vote, effects = step(floor.vote, event, floor.close_ms)
    assert (vote.phase, effects) == (Phase.EXPIRED, (Conclude(decision=Decision.EXPIRED),))


def test_a_linked_run_licensed_during_the_signing_leaves_no_licence(floor: Floor) -> None:
    """VN-5.4: of two linked runs that close together and are forbidden together, one is licensed."""
    grant(floor, "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p2", "p3", "p4")
    licensed = license_rest_of_band(floor)
    assert floor.send_shares("p2", licensed=licensed) == ()
    floor.send_shares("p3", licensed=licensed)
    effects = floor.send_shares("p4", licensed=licensed)
    assert effects == (Conclude(decision=Decision.EXPIRED),)
    assert (floor.vote.phase, floor.vote.licence, floor.vote.signing) == (Phase.EXPIRED, None, None)


def test_who_did_not_sign_because_the_band_had_closed_is_not_named(floor: Floor) -> None:
    grant(floor, "p2", "p3", "p4", "p5")
    floor.pass_time(floor.close_ms)
    floor.commit("p2", "p3", "p4")
    effects = floor.pass_time(floor.round.deadline_ms, license_rest_of_band(floor))
    assert effects == (Conclude(decision=Decision.EXPIRED),)


def test_who_did_not_commit_because_the_band_had_closed_is_not_waited_for(floor: Floor) -> None:
    """VN-5.4."""
    grant(floor, "p2", "p3", "p4", "p5")
    floor.pass_time(floor.close_ms)
    effects = floor.pass_time(floor.signing.deadline_ms, license_rest_of_band(floor))
    assert effects == (Conclude(decision=Decision.EXPIRED),)


def license_rest_of_band(floor: Floor) -> dict[bytes, Proposal]:
    other = floor.council.sign_proposal(total_flop=10**27 - 10**24, per_device_flop=5 * 10**26)
    return {other.payload_digest: other.statement}


@pytest.mark.parametrize("phase", list(Phase))
def test_an_event_without_a_row_is_unexpected(floor: Floor, phase: Phase) -> None:
    probe = ask(Floor.open(floor.council))
    events: tuple[Event, ...] = (
        received("p1", probe.make_shares("p1")),
        CommitmentsReceived(party_id="p1", commitments=probe.make_commitments("p1")),
    )
    for event in events:
        if (phase, type(event)) not in TABLE:
            with pytest.raises(UnexpectedEventError, match=phase.value):
                step(replace(floor.vote, phase=phase), event, NOW_MS)


def test_every_phase_knows_what_to_do_with_time() -> None:
    assert all((phase, TimePassed) in TABLE for phase in Phase)
