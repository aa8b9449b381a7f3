"""Votes whose consent takes several groups, one of several, or parties of several seats (VN-4.2, VN-7.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.floor import Floor, spoil
from support.world import make_council
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Choice, Decision, Quorum, Recusal
from vetonet.voting.signing import MAX_STALLS, GroupShare, Stage
from vetonet.voting.state import Conclude, NameCulprits, Phase


def leaf(k: int, *names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=k, electorate=names, weights=weights, minority=False)


def close_with(expression: Expression, *granting: str, n: int = 5) -> Floor:
    """Return the floor after the close of a vote that this expression decides, with these grants."""
    quorum = Quorum(
        expression=expression, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS
    )
    floor = Floor.open(make_council(n, quorums={ActionClass.RUN_GRANT: quorum}))
    for party in granting:
        floor.cast(party)
    floor.pass_time(floor.close_ms)
    return floor


def answer(floor: Floor) -> None:
    for party in floor.round.signers:
        floor.send_shares(party)


def count_signatures(floor: Floor) -> int:
    assert floor.vote.licence is not None
    assert floor.read_ledger().find(floor.proposal.payload_digest).licence == floor.vote.licence
    return len(floor.vote.licence.signers)


MANY, KEY = leaf(2, "p1", "p2", "p3"), leaf(1, "p4")


def test_both_groups_sign_one_licence() -> None:
    floor = close_with(AllOf(parts=(MANY, KEY)), "p1", "p2", "p3", "p4")
    floor.commit("p2", "p3")
    assert floor.signing.stage is Stage.GATHERING
    floor.commit("p4")
    assert floor.round.signers == ("p2", "p3", "p4")
    assert [session.group for session in floor.round.sessions] == [0, 1]
    answer(floor)
    assert count_signatures(floor) == 2


def test_without_the_key_holders_grant_nothing_is_signed() -> None:
    # VN-4.2, VN-4.4: a veto by key needs no VETO: staying away is enough.
    for choice in (Choice.VETO, Choice.ABSTAIN, None):
        floor = Floor.open(make_council(4, quorums={ActionClass.RUN_GRANT: key_quorum()}))
        for party in ("p1", "p2", "p3"):
            floor.cast(party)
        if choice is not None:
            floor.cast("p4", choice)
        assert floor.pass_time(floor.close_ms) == (Conclude(decision=Decision.EXPIRED),)
        assert (floor.vote.phase, floor.vote.signing) == (Phase.EXPIRED, None)


def key_quorum() -> Quorum:
    return replace(Quorum.of_threshold(2, ("p1", "p2", "p3")), expression=AllOf(parts=(MANY, KEY)))


def test_a_key_holder_that_granted_and_does_not_sign_still_stops_the_licence() -> None:
    # VN-7.5: nobody can stand in for it, so the vote ends without one.
    floor = close_with(AllOf(parts=(MANY, KEY)), "p1", "p2", "p3", "p4")
    floor.commit("p1", "p2", "p3")
    assert floor.signing.stage is Stage.GATHERING
    assert floor.pass_time(floor.signing.deadline_ms) == (Conclude(decision=Decision.EXPIRED),)
    assert floor.vote.licence is None


def test_a_bad_key_holder_ends_it_at_once_and_is_named() -> None:
    # VN-7.4
    floor = close_with(AllOf(parts=(MANY, KEY)), "p1", "p2", "p4")
    floor.commit("p1", "p2", "p4")
    floor.send_shares("p1")
    floor.send_shares("p2")
    effects = floor.send_shares("p4", spoil(floor.make_shares("p4")))
    named = NameCulprits(party_ids=("p4",), reason="bad signature share")
    assert effects == (named, Conclude(decision=Decision.EXPIRED))


def test_a_bad_share_names_its_culprit_in_the_right_group() -> None:
    # VN-7.4: the same participant number in another group is somebody else.
    left, right = leaf(2, "p1", "p2", "p3"), leaf(2, "p3", "p4", "p5")
    floor = close_with(AllOf(parts=(left, right)), "p1", "p2", "p4", "p5")
    floor.commit("p1", "p2", "p4", "p5")
    assert [tuple(session.package.identifiers) for session in floor.round.sessions] == [(1, 2), (2, 3)]
    for party in ("p1", "p2", "p5"):
        floor.send_shares(party)
    named, *_ = floor.send_shares("p4", spoil(floor.make_shares("p4")))  # participant 2 of group 1
    assert named == NameCulprits(party_ids=("p4",), reason="bad signature share")


def test_two_bad_shares_in_two_groups_are_both_named_at_once() -> None:
    # VN-7.4
    left, right = leaf(2, "p1", "p2", "p3"), leaf(2, "p3", "p4", "p5")
    floor = close_with(AllOf(parts=(left, right)), "p1", "p2", "p3", "p4", "p5")
    floor.commit("p1", "p2", "p4", "p5")
    floor.send_shares("p1")
    floor.send_shares("p5")
    floor.send_shares("p2", spoil(floor.make_shares("p2")))
    named, *_ = floor.send_shares("p4", spoil(floor.make_shares("p4")))
    assert named == NameCulprits(party_ids=("p2", "p4"), reason="bad signature share")
    floor.commit("p1", "p3", "p5")
    answer(floor)
    assert count_signatures(floor) == 2


def test_a_party_in_two_groups_that_is_bad_in_one_is_named_once_and_left_out_of_both() -> None:
    # VN-7.4
    left, right = leaf(2, "p1", "p2", "p3"), leaf(2, "p3", "p4", "p5")
    floor = close_with(AllOf(parts=(left, right)), "p1", "p2", "p3", "p4", "p5")
    floor.commit("p1", "p3", "p4")
    assert floor.round.signers == ("p1", "p3", "p4")
    floor.send_shares("p1")
    floor.send_shares("p4")
    in_left, in_right = floor.make_shares("p3")
    named, *_ = floor.send_shares("p3", (in_left, *spoil((in_right,))))
    assert named == NameCulprits(party_ids=("p3",), reason="bad signature share")
    assert floor.signing.asked == ("p1", "p2", "p4", "p5")


def test_a_share_in_the_wrong_group_is_refused() -> None:
    # VN-7.4
    left, right = leaf(2, "p1", "p2", "p3"), leaf(2, "p3", "p4", "p5")
    floor = close_with(AllOf(parts=(left, right)), "p1", "p3", "p4")
    floor.commit("p1", "p3", "p4")
    in_left, in_right = floor.make_shares("p3")
    swapped = (
        GroupShare(group=in_left.group, share=in_right.share),
        GroupShare(group=in_right.group, share=in_left.share),
    )
    for wrong in ((in_left,), (in_right,), (in_right, in_left), swapped):
        with pytest.raises(RefusedError, match="for seats") as caught:
            floor.send_shares("p3", wrong)
        assert caught.value.clause == "VN-7.4"


EITHER = AnyOf(parts=(leaf(2, "p1", "p2"), leaf(2, "p3", "p4")))


def test_the_second_branch_signs_when_a_member_of_the_first_stalls() -> None:
    # VN-4.2, VN-7.5
    floor = close_with(EITHER, "p1", "p2", "p3", "p4")
    floor.commit("p1", "p2")
    assert [session.group for session in floor.round.sessions] == [0]
    floor.send_shares("p1")
    deadline = floor.round.deadline_ms
    named, *_ = floor.pass_time(deadline)
    assert named == NameCulprits(party_ids=("p2",), reason="no signature share in time")
    floor.commit("p1", "p3", "p4", now=deadline)
    assert [session.group for session in floor.round.sessions] == [1]
    answer(floor)
    assert count_signatures(floor) == 1
    assert floor.vote.phase is Phase.LICENSED


def test_the_second_branch_signs_at_once_where_the_first_does_not_commit() -> None:
    # VN-7.2: nobody who is away is waited for.
    floor = close_with(EITHER, "p1", "p2", "p3", "p4")
    floor.commit("p1", "p3", "p4")
    assert floor.round.signers == ("p3", "p4")
    answer(floor)
    assert count_signatures(floor) == 1


def test_a_stalling_member_that_always_commits_is_left_out_and_then_the_second_branch_signs() -> None:
    # VN-7.5: else whoever commits first could hold the first branch for ever.
    floor = close_with(EITHER, "p1", "p2", "p3", "p4")
    now = floor.close_ms
    for _ in range(MAX_STALLS):
        floor.commit("p1", "p2", now=now)
        floor.send_shares("p1")
        now = floor.round.deadline_ms
        floor.pass_time(now)
    assert floor.signing.excluded == {"p2"}
    floor.commit("p1", "p3", "p4", now=now)
    assert floor.round.signers == ("p3", "p4")
    answer(floor)
    assert floor.vote.phase is Phase.LICENSED


def test_when_both_branches_have_lost_a_member_it_expires() -> None:
    # VN-7.4
    floor = close_with(EITHER, "p1", "p2", "p3", "p4")
    floor.commit("p1", "p2")
    floor.send_shares("p1")
    floor.send_shares("p2", spoil(floor.make_shares("p2")))
    assert floor.vote.phase is Phase.SIGNING
    floor.commit("p3", "p4")
    floor.send_shares("p3")
    effects = floor.send_shares("p4", spoil(floor.make_shares("p4")))
    assert effects[-1] == Conclude(decision=Decision.EXPIRED)


WEIGHTED = leaf(3, "p1", "p2", "p3", weights=(2, 1, 1))


def test_a_party_with_two_seats_signs_with_two_shares() -> None:
    # VN-4.1, VN-7.2
    floor = close_with(WEIGHTED, "p1", "p3")
    floor.commit("p3")
    assert len(floor.make_commitments("p1")) == 2
    floor.commit("p1")
    assert floor.round.signers == ("p1", "p3")
    shares = floor.make_shares("p1")
    assert len(shares) == 2
    floor.send_shares("p1", shares)
    floor.send_shares("p3")
    assert count_signatures(floor) == 1


def test_half_of_the_seats_of_a_party_are_not_taken_for_all() -> None:
    # VN-7.4: a party signs with all its seats that are asked, or not at all.
    floor = close_with(WEIGHTED, "p1", "p3")
    one, two = floor.make_commitments("p1")
    for offered in ((one,), (two,), (two, one), (one, one)):
        with pytest.raises(RefusedError, match="commits for seats"):
            floor.commit("p1", commitments=offered)
    floor.commit("p1", "p3")
    first, second = floor.make_shares("p1")
    for shares in ((first,), (second,), (second, first)):
        with pytest.raises(RefusedError, match="for seats"):
            floor.send_shares("p1", shares)


def test_weight_and_not_the_number_of_parties_makes_the_quorum() -> None:
    # VN-4.1: p2 and p3 are two of three parties and two of four seats.
    floor = close_with(WEIGHTED, "p2", "p3")
    assert floor.vote.phase is Phase.EXPIRED


def test_one_bad_share_of_a_party_with_two_seats_names_the_party() -> None:
    # VN-7.4
    floor = close_with(WEIGHTED, "p1", "p2")
    floor.commit("p1", "p2")
    floor.send_shares("p2")
    first, second = floor.make_shares("p1")
    effects = floor.send_shares("p1", (first, *spoil((second,))))
    named = NameCulprits(party_ids=("p1",), reason="bad signature share")
    assert effects == (named, Conclude(decision=Decision.EXPIRED))
