"""Votes on motions: the quorum of their class decides them, and its groups sign (VN-4.6, VN-5.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.floor import Floor
from support.world import NOW_MS, Council, make_council
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import (
    EpochError,
    EquivocationError,
    ExpiredError,
    InvalidSignatureError,
    ProtocolError,
    RefusedError,
    UnexpectedEventError,
    UnknownPartyError,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import open_ballot
from vetonet.policy.motion import derive_resolution, open_motion, open_resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision, Quorum
from vetonet.units import MS_PER_HOUR
from vetonet.voting.ledger import Ledger, read_leaf
from vetonet.voting.machine import begin, derive, step
from vetonet.voting.signer import review_vote
from vetonet.voting.state import Conclude, OutcomeLogged, Phase

PATCH, SUSPENSION, CONFIRMATION, AMEND = (
    ActionClass.SECURITY_PATCH,
    ActionClass.EMERGENCY_SUSPENSION,
    ActionClass.SUSPENSION_CONFIRMATION,
    ActionClass.AMEND_RULES,
)
ROSTER = ("p1", "p2", "p3", "p4")


def found() -> Council:
    return make_council(
        4,
        3,
        quorums={
            SUSPENSION: Quorum.of_threshold(1, ("p1", "p2"), minority=True),
            CONFIRMATION: Quorum.of_threshold(3, ROSTER),
            PATCH: Quorum.of_threshold(2, ("p1", "p2", "p3"), ("p4",)),
            AMEND: Quorum.of_threshold(4, ROSTER),
        },
        suspension_ms=12 * MS_PER_HOUR,
    )


COUNCIL = found()


def license_run(council: Council) -> Floor:
    floor = Floor.open(council)
    for party in ("p1", "p2", "p3"):
        floor.cast(party)
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    for party in floor.round.signers:
        floor.send_shares(party)
    return floor


def decide(council: Council, action: ActionClass, *granting: str) -> Floor:
    floor = Floor.open(council, council.move("p1", action))
    for party in granting:
        floor.cast(party)
    floor.pass_time(floor.close_ms)
    return floor


def sign_round(floor: Floor) -> None:
    floor.commit(*floor.signing.asked)
    for party in floor.round.signers:
        floor.send_shares(party)


def test_a_motion_that_its_quorum_adopts_gives_a_resolution_and_no_licence() -> None:
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    sign_round(floor)
    assert floor.vote.phase is Phase.LICENSED
    assert floor.vote.licence is None
    assert floor.vote.resolution is not None
    assert floor.vote.resolution.statement == derive(floor.vote)
    assert open_resolution(floor.leaves[-1], COUNCIL.treaty, PATCH) == floor.vote.resolution
    read = floor.read_ledger().find(floor.proposal.payload_digest)
    assert (read.resolution, read.run) == (floor.vote.resolution, None)
    assert floor.read_ledger().licensed == {}
    with pytest.raises(ValueError, match="no proposal of a run"):
        _ = floor.vote.proposal


def test_the_quorum_of_one_class_does_not_decide_another() -> None:
    # VN-4.6: three of four grant runs, and amend nothing.
    assert decide(COUNCIL, AMEND, "p1", "p2", "p3").vote.phase is Phase.EXPIRED
    assert decide(COUNCIL, PATCH, "p1", "p2").vote.phase is Phase.SIGNING


def test_a_party_outside_the_electorate_of_a_class_does_not_count_there() -> None:
    # VN-4.2, VN-4.6: p4 has no say on patches but a veto.
    floor = decide(COUNCIL, PATCH, "p1", "p4")
    assert floor.vote.phase is Phase.EXPIRED
    vetoed = Floor.open(COUNCIL, COUNCIL.move("p1", PATCH))
    for party in ("p1", "p2", "p3"):
        vetoed.cast(party)
    vetoed.cast("p4", Choice.VETO)
    assert vetoed.pass_time(vetoed.close_ms) == (Conclude(decision=Decision.VETOED),)


def test_who_moves_may_grant_its_own_motion() -> None:
    # VN-4.5: recusal is for runs, which somebody profits from.
    floor = decide(COUNCIL, PATCH, "p1", "p2")
    sign_round(floor)
    assert floor.vote.resolution is not None


@pytest.mark.parametrize("action", [SUSPENSION, CONFIRMATION])
def test_what_holds_no_licence_cannot_be_suspended(action: ActionClass) -> None:
    # VN-5.6
    motion = COUNCIL.move("p2", action, ends_ms=NOW_MS + 2 * MS_PER_HOUR)
    with pytest.raises(RefusedError, match="which holds no licence") as caught:
        begin(motion.data, 1, COUNCIL.treaty, {}, NOW_MS)
    assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-5.6")


def test_a_licensed_run_can_be_suspended() -> None:
    # VN-5.6
    council = found()
    run = license_run(council)
    motion = council.move("p2", SUSPENSION, subject_digest=run.vote.digest, ends_ms=NOW_MS + 2 * MS_PER_HOUR)
    licensed = run.read_ledger().licensed
    assert set(licensed) == {run.vote.digest}
    floor = Floor.open(council, motion, licensed=licensed)
    floor.cast("p2")
    floor.pass_time(floor.close_ms, licensed)
    sign_round(floor)
    assert floor.vote.resolution is not None
    assert floor.vote.resolution.statement.subject_digest == run.vote.digest


def test_a_motion_outside_its_window_is_refused() -> None:
    # VN-5.3
    motion = COUNCIL.move("p3", PATCH)
    for now in (motion.statement.opens_ms - 1, motion.statement.closes_ms):
        with pytest.raises(ExpiredError) as caught:
            begin(motion.data, 1, COUNCIL.treaty, {}, now)
        assert (caught.value.culprit, caught.value.clause) == ("p3", "VN-5.3")


def test_a_ballot_counts_for_one_matter_only() -> None:
    # VN-6.2: replayed on another motion, on a run, and from a run.
    floor = Floor.open(COUNCIL, COUNCIL.move("p1", PATCH))
    run = Floor.open(COUNCIL)
    for source in (COUNCIL.move("p1", PATCH), COUNCIL.move("p1", AMEND), run.proposal):
        with pytest.raises(RefusedError) as caught:
            floor.receive(COUNCIL.sign_ballot("p2", source))
        assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-6.2")
    with pytest.raises(RefusedError):
        run.receive(COUNCIL.sign_ballot("p2", floor.proposal))
    assert (floor.vote.ballots, run.vote.ballots) == ((), ())


def test_a_ballot_of_another_treaty_epoch_or_roster_is_refused_before_it_is_counted() -> None:
    # VN-2.4
    motion = COUNCIL.move("p1", PATCH)
    for other in (
        make_council(4, 3, name="Another Treaty"),
        make_council(4, 3, epoch=2),
        make_council(5, 3),
    ):
        foreign = other.cast(motion, Choice.GRANT)
        assert foreign.proposal_digest == motion.payload_digest
        with pytest.raises(EpochError) as caught:
            open_ballot(sign(foreign, other.party_keys["p2"]), COUNCIL.treaty)
        assert caught.value.clause == "VN-2.4"


def test_a_second_different_ballot_on_a_motion_is_equivocation() -> None:
    # VN-6.4
    floor = Floor.open(COUNCIL, COUNCIL.move("p1", PATCH))
    floor.cast("p2")
    with pytest.raises(EquivocationError) as caught:
        floor.cast("p2", Choice.VETO)
    assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-6.4")


def forge(floor: Floor, signers: tuple[str, ...], **changes: object) -> bytes:
    motion = floor.proposal
    indices = [logged.leaf_index for logged in floor.vote.ballots]
    resolution = derive_resolution(
        COUNCIL.treaty, open_motion(motion.data, COUNCIL.treaty), floor.vote.leaf_index, indices
    )
    return COUNCIL.sign_by(replace(resolution, **changes), signers, PATCH)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"subject_digest": b"\x01" * 32}, {"ends_ms": NOW_MS + 2**40}])
def test_a_resolution_that_does_not_follow_from_its_ballots_is_refused(changes: dict[str, object]) -> None:
    # VN-7.6: k colluding signers can make a signature, not a resolution that follows from the log.
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    read_leaf(floor.read_ledger(), len(floor.leaves), forge(floor, ("p2", "p3")))
    with pytest.raises(RefusedError) as caught:
        read_leaf(floor.read_ledger(), len(floor.leaves), forge(floor, ("p2", "p3"), **changes))
    assert caught.value.clause == "VN-7.6"


def test_a_resolution_over_a_logged_veto_or_without_a_quorum_is_refused() -> None:
    # VN-7.6
    vetoed = Floor.open(COUNCIL, COUNCIL.move("p1", PATCH))
    for party in ("p2", "p3"):
        vetoed.cast(party)
    vetoed.cast("p4", Choice.VETO)
    lone = decide(COUNCIL, PATCH, "p2")
    for floor in (vetoed, lone):
        with pytest.raises(RefusedError) as caught:
            read_leaf(floor.read_ledger(), len(floor.leaves), forge(floor, ("p2", "p3")))
        assert caught.value.clause == "VN-7.6"


def test_a_licence_does_not_end_a_vote_on_a_motion() -> None:
    # VN-7.6
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    run = license_run(COUNCIL)
    assert run.vote.licence is not None
    with pytest.raises(RefusedError):
        step(floor.vote, OutcomeLogged(outcome=run.vote.licence, licensed={}), floor.close_ms)
    with pytest.raises(ProtocolError):
        read_leaf(Ledger(treaty=COUNCIL.treaty), 9, run.leaves[-1])


def test_a_resolution_stands_once() -> None:
    # VN-11.3
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    sign_round(floor)
    with pytest.raises((UnexpectedEventError, ProtocolError)):
        read_leaf(floor.read_ledger(), len(floor.leaves), floor.leaves[-1])


def test_the_groups_of_runs_cannot_sign_a_resolution_on_patches() -> None:
    # VN-4.6
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    resolution = derive(floor.vote)
    data = COUNCIL.sign_by(resolution, ROSTER, ActionClass.RUN_GRANT)
    with pytest.raises(UnknownPartyError):
        read_leaf(floor.read_ledger(), len(floor.leaves), data)
    with pytest.raises(InvalidSignatureError):
        COUNCIL.sign_by(resolution, ("p4",), PATCH)


def test_a_signer_reviews_a_motion_as_it_reviews_a_run() -> None:
    # VN-7.3
    floor = decide(COUNCIL, PATCH, "p2", "p3")
    ledger, digest = floor.read_ledger(), floor.vote.digest
    agreed = review_vote(
        ledger, digest, party_id="p2", direct_ballots=(), witnessed_ms=floor.close_ms, now=floor.close_ms
    )
    assert agreed == derive(floor.vote)
    veto = COUNCIL.sign_ballot("p4", floor.proposal, Choice.VETO)
    with pytest.raises(RefusedError, match="p4 vetoed"):
        review_vote(
            ledger,
            digest,
            party_id="p2",
            direct_ballots=(veto,),
            witnessed_ms=floor.close_ms,
            now=floor.close_ms,
        )
    with pytest.raises(RefusedError, match="no grant of p1 counts"):
        review_vote(
            ledger, digest, party_id="p1", direct_ballots=(), witnessed_ms=floor.close_ms, now=floor.close_ms
        )
    with pytest.raises(RefusedError, match="pending"):
        review_vote(
            ledger,
            digest,
            party_id="p2",
            direct_ballots=(),
            witnessed_ms=floor.close_ms,
            now=floor.close_ms - 1,
        )


def test_a_linked_run_does_not_stop_a_motion() -> None:
    # VN-5.4: only runs lie in bands.
    council = found()
    other: Signed[Proposal] = council.sign_proposal(total_flop=10**27 - 10**24, per_device_flop=5 * 10**26)
    licensed = {other.payload_digest: other.statement}
    floor = Floor.open(council, council.move("p1", PATCH), licensed=licensed)
    floor.cast("p2")
    floor.cast("p3")
    floor.pass_time(floor.close_ms, licensed)
    assert floor.vote.phase is Phase.SIGNING
