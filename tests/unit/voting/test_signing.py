"""How a granted vote comes to its signature: commitments, shares, and who spoils them (VN-7.2, 7.4, 7.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.floor import Floor, spoil
from support.world import make_council
from vetonet.errors import (
    EquivocationError,
    RefusedError,
)
from vetonet.policy.quorum import Choice, Decision
from vetonet.voting.machine import step
from vetonet.voting.signing import GATHERING_TIMES, MAX_STALLS, GroupShare, RequestCommitments
from vetonet.voting.state import Conclude, NameCulprits, Phase, SharesReceived


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


def test_a_bad_share_names_its_signer_and_the_next_attempt_succeeds_without_it(floor: Floor) -> None:
    """VN-7.4, VN-7.5."""
    grant(floor, "p1", "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    floor.send_shares("p1")
    floor.send_shares("p2", spoil(floor.make_shares("p2")))
    named, asked = floor.send_shares("p3")
    assert named == NameCulprits(party_ids=("p2",), reason="bad signature share")
    assert isinstance(asked, RequestCommitments)
    assert (asked.attempt, asked.party_ids) == (1, ("p1", "p3", "p4"))
    assert floor.signing.excluded == {"p2"}
    with pytest.raises(RefusedError, match="p2 is not asked"):
        floor.commit("p2")
    sign_round(floor)
    assert floor.vote.phase is Phase.LICENSED


def test_a_silent_signer_is_replaced_after_the_deadline(floor: Floor) -> None:
    """VN-7.5."""
    grant(floor, "p1", "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3", "p4")
    assert floor.round.signers == ("p1", "p2", "p3")
    floor.send_shares("p1")
    floor.send_shares("p2")
    deadline = floor.round.deadline_ms
    assert floor.pass_time(deadline - 1) == ()
    effects = floor.pass_time(deadline)
    assert effects[0] == NameCulprits(party_ids=("p3",), reason="no signature share in time")
    assert floor.signing.excluded == frozenset()
    floor.commit("p1", "p2", now=deadline)
    assert floor.round.signers == ("p1", "p2", "p4")
    answer(floor)
    assert floor.vote.phase is Phase.LICENSED


def test_without_enough_honest_signers_the_proposal_expires_and_no_licence_exists(floor: Floor) -> None:
    grant(floor, "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p2", "p3", "p4")
    floor.send_shares("p2")
    floor.send_shares("p3")
    effects = floor.send_shares("p4", spoil(floor.make_shares("p4")))
    assert effects[0] == NameCulprits(party_ids=("p4",), reason="bad signature share")
    assert effects[-1] == Conclude(decision=Decision.EXPIRED)
    assert floor.vote.phase is Phase.EXPIRED
    assert floor.vote.licence is None


def test_every_bad_signer_costs_one_attempt_and_the_licence_comes_with_the_honest_rest() -> None:
    """VN-7.4: n - k bad signers cannot hold it up for longer than n - k attempts."""
    floor = Floor.open(make_council(7, 4))
    grant(floor, *(f"p{i}" for i in range(1, 8)))
    floor.pass_time(floor.close_ms)
    for attempt, bad in enumerate(("p1", "p2", "p3")):
        assert floor.signing.attempt == attempt
        floor.commit(*floor.signing.asked)
        assert bad in floor.round.signers
        for party in floor.round.signers:
            shares = floor.make_shares(party)
            floor.send_shares(party, spoil(shares) if party == bad else shares)
    assert floor.signing.excluded == {"p1", "p2", "p3"}
    sign_round(floor)
    assert floor.vote.phase is Phase.LICENSED


def test_one_bad_signer_more_and_the_proposal_expires() -> None:
    """VN-7.4, S1: k - 1 honest signers sign nothing."""
    floor = Floor.open(make_council(7, 4))
    grant(floor, *(f"p{i}" for i in range(1, 8)))
    floor.pass_time(floor.close_ms)
    for bad in ("p1", "p2", "p3", "p4"):
        floor.commit(*floor.signing.asked)
        for party in floor.round.signers:
            shares = floor.make_shares(party)
            floor.send_shares(party, spoil(shares) if party == bad else shares)
    assert (floor.vote.phase, floor.vote.licence) == (Phase.EXPIRED, None)


def test_a_signer_that_stalls_again_and_again_is_left_out_and_the_licence_comes_with_k_honest_ones() -> None:
    """VN-7.5: a signer that always commits first and never signs holds up two attempts, not all of them."""
    floor = Floor.open(make_council(5, 3))
    grant(floor, "p1", "p2", "p3", "p4")
    now = floor.close_ms
    floor.pass_time(now)
    for stalls in range(1, MAX_STALLS + 1):
        floor.commit("p1", *(party for party in ("p2", "p3") if party not in floor.signing.pool), now=now)
        assert "p1" in floor.round.signers
        for party in floor.round.signers[1:]:
            floor.send_shares(party)
        now = floor.round.deadline_ms
        named, *_ = floor.pass_time(now)
        assert named == NameCulprits(party_ids=("p1",), reason="no signature share in time")
        assert floor.signing.stalls["p1"] == stalls
    assert floor.signing.excluded == {"p1"}
    with pytest.raises(RefusedError, match="p1 is not asked"):
        floor.commit("p1", now=now)
    floor.commit("p2", "p3", "p4", now=now)
    answer(floor)
    assert floor.vote.phase is Phase.LICENSED


def test_when_nobody_commits_in_time_the_proposal_expires_and_nobody_is_named(floor: Floor) -> None:
    """VN-7.5."""
    grant(floor, "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p2", "p3")
    deadline = floor.close_ms + GATHERING_TIMES * floor.council.treaty.statement.signing_ms
    assert floor.signing.deadline_ms == deadline
    assert floor.pass_time(deadline - 1) == ()
    assert floor.pass_time(deadline) == (Conclude(decision=Decision.EXPIRED),)
    assert (floor.vote.phase, floor.vote.licence, floor.vote.signing) == (Phase.EXPIRED, None, None)


def test_each_attempt_uses_commitments_that_no_attempt_used_before() -> None:
    """VN-7.2."""
    floor = Floor.open(make_council(5, 3))
    grant(floor, "p1", "p2", "p3", "p4", "p5")
    now = floor.close_ms
    floor.pass_time(now)
    seen: set[bytes] = set()
    attempts = 0
    while floor.vote.signing is not None:
        floor.commit(*(party for party in floor.signing.asked if party not in floor.signing.pool), now=now)
        used = {c.to_bytes() for session in floor.round.sessions for c in session.package.commitments}
        assert not used & seen
        seen |= used
        attempts, now = attempts + 1, floor.round.deadline_ms
        floor.pass_time(now)
    assert attempts >= MAX_STALLS
    assert len(seen) == 3 * attempts


def test_commitments_that_come_while_an_attempt_is_under_way_wait_for_the_next(floor: Floor) -> None:
    """VN-7.5: whoever spoils an attempt gains nobody the time of asking again."""
    grant(floor, "p1", "p2", "p3", "p4", "p5")
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    before = floor.round
    assert floor.commit("p4", "p5") == ()
    assert floor.round == before
    floor.send_shares("p2")
    floor.send_shares("p3")
    _, asked = floor.send_shares("p1", spoil(floor.make_shares("p1")))
    assert set(floor.signing.pool) == {"p4", "p5"}
    assert isinstance(asked, RequestCommitments)
    assert asked.party_ids == ("p2", "p3")
    floor.commit("p2")
    assert floor.round.signers == ("p2", "p4", "p5")


def test_a_commitment_of_a_party_that_did_not_grant_is_refused(floor: Floor) -> None:
    """VN-7.4."""
    grant(floor, "p1", "p2", "p3")
    floor.cast("p4", Choice.ABSTAIN)
    floor.pass_time(floor.close_ms)
    for party in ("p4", "p5"):
        with pytest.raises(RefusedError, match=f"{party} is not asked") as caught:
            floor.commit(party)
        assert (caught.value.culprit, caught.value.clause) == (party, "VN-7.4")


def test_commitments_for_other_seats_are_refused(floor: Floor) -> None:
    """VN-7.4: else a party could spoil another's signature."""
    grant(floor, "p1", "p2", "p3")
    floor.pass_time(floor.close_ms)
    own, borrowed = floor.make_commitments("p2"), floor.make_commitments("p3")
    elsewhere = tuple(replace(entry, group=1) for entry in own)
    for offered in (borrowed, (), own * 2, own + borrowed, elsewhere):
        with pytest.raises(RefusedError, match="p2 commits for seats") as caught:
            floor.commit("p2", commitments=offered)
        assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-7.4")
    assert floor.signing.pool == {}


def test_a_share_before_an_attempt_begins_is_refused(floor: Floor) -> None:
    """VN-7.4."""
    shares = ask(Floor.open(floor.council)).make_shares("p1")
    grant(floor, "p1", "p2", "p3")
    floor.pass_time(floor.close_ms)
    with pytest.raises(RefusedError, match="none is under way") as caught:
        step(floor.vote, received("p1", shares), floor.close_ms)
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-7.4")


def ask(floor: Floor) -> Floor:
    """The first three of four granting parties are asked to sign."""
    grant(floor, "p1", "p2", "p3", "p4")
    floor.pass_time(floor.close_ms)
    floor.commit("p1", "p2", "p3")
    return floor


def received(party_id: str, shares: tuple[GroupShare, ...], attempt: int = 0) -> SharesReceived:
    return SharesReceived(party_id=party_id, attempt=attempt, shares=shares, leaf_index=9, licensed={})


def test_a_share_of_a_party_that_was_not_asked_is_refused(floor: Floor) -> None:
    ask(floor)
    honest = floor.make_shares("p1")
    with pytest.raises(RefusedError, match="p4"):
        floor.send_shares("p4", honest)


def test_a_share_for_another_attempt_is_refused(floor: Floor) -> None:
    ask(floor)
    with pytest.raises(RefusedError, match="attempt 1"):
        step(floor.vote, received("p1", floor.make_shares("p1"), attempt=1), floor.close_ms)


def test_a_share_for_an_attempt_that_is_over_is_refused(floor: Floor) -> None:
    """VN-7.5: an answer that comes too late changes nothing of the attempt that follows."""
    late = ask(floor).make_shares("p1")
    deadline = floor.round.deadline_ms
    floor.pass_time(deadline)
    floor.commit("p2", "p3", "p4", now=deadline)
    assert floor.round.attempt == 1
    before = floor.vote
    with pytest.raises(RefusedError, match="attempt 0"):
        step(floor.vote, received("p1", late), deadline)
    assert floor.vote == before


def test_a_share_under_another_participants_identifier_is_refused(floor: Floor) -> None:
    ask(floor)
    own, others = floor.make_shares("p1"), floor.make_shares("p2")
    elsewhere = tuple(replace(entry, group=1) for entry in own)
    for shares in (others, own + others, own * 2, (), elsewhere):
        with pytest.raises(RefusedError, match="for seats") as caught:
            floor.send_shares("p1", shares)
        assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-7.4")


def test_two_different_shares_of_one_signer_are_equivocation(floor: Floor) -> None:
    ask(floor)
    shares = floor.make_shares("p1")
    floor.send_shares("p1", shares)
    assert floor.send_shares("p1", shares) == ()
    with pytest.raises(EquivocationError) as caught:
        floor.send_shares("p1", spoil(shares))
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-7.4")
