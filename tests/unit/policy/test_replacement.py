"""Charters in which newcomers take members' places, and plans of what becomes of the groups (VN-16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.world import make_council
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.quorum import Quorum
from vetonet.policy.replacement import plan_next_epoch, replace_members
from vetonet.policy.succession import verify_succession
from vetonet.policy.succession_plan import Succession, plan_succession
from vetonet.policy.treaty import Party, Terms

NAMES = ("p1", "p2", "p3", "p4", "p5")
SMALL = Quorum.of_threshold(2, ("p1", "p2"), ("p5",))
COUNCIL = make_council(5, 3, ("p1", "p5"), quorums={ActionClass.ROSTER_CHANGE: SMALL})
PRESENT = COUNCIL.treaty
TREATY = PRESENT.statement


def party(name: str) -> Party:
    return Party(party_id=name, key=generate_ed25519(SeededRng(b"party").spawn(name)).public_key)


P6, P7 = party("p6"), party("p7")
NEXT = replace_members(TREATY, {"p5": P6})


def plan(terms: Terms = NEXT, attempt: int = 1, without: frozenset[str] = frozenset()) -> Succession:
    return plan_succession([PRESENT], terms, attempt, without=without)


def list_ceremonies(succession: Succession) -> list[CeremonyPlan]:
    return [entry for entry in succession.plans if isinstance(entry, CeremonyPlan)]


def test_a_newcomer_has_every_seat_and_the_veto_of_the_member_whose_place_it_takes() -> None:
    # VN-16.3
    assert NEXT.epoch == TREATY.epoch + 1
    assert [entry.party_id for entry in NEXT.parties] == ["p1", "p2", "p3", "p4", "p6"]
    assert NEXT.find_quorum(ActionClass.RUN_GRANT).veto_holders == ("p1", "p6")
    for leaf, was in zip(NEXT.leaves, TREATY.leaves, strict=True):
        assert leaf.seats == tuple("p6" if name == "p5" else name for name in was.seats)
        assert leaf.min_grants == was.min_grants


def test_who_left_runs_no_witness_and_no_operator_but_both_go_on() -> None:
    # VN-16.2
    assert [(w.name, w.key) for w in NEXT.witnesses] == [(w.name, w.key) for w in TREATY.witnesses]
    assert "p5" not in {witness.party_id for witness in NEXT.witnesses}
    assert "p5" not in {operator.party_id for operator in NEXT.operators}
    assert [o.key for o in NEXT.operators] == [o.key for o in TREATY.operators]


@pytest.mark.parametrize(
    "newcomers",
    [
        {},
        {"p9": P6},
        {"p5": TREATY.parties[0]},
        {"p5": replace(P6, party_id="p4")},
        {"p5": replace(P6, key=TREATY.parties[0].key)},
        {"p4": P6, "p5": P6},
        {"p5": replace(P6, party_id=TREATY.log_origin)},
    ],
)
def test_a_place_of_nobody_and_a_name_or_key_that_is_taken_are_refused(newcomers: dict[str, Party]) -> None:
    with pytest.raises(ValueError, match=r"member|twice|under two names|without duplicates"):
        replace_members(TREATY, newcomers)


def test_a_group_whose_seats_stay_is_kept_and_every_other_is_dealt_to_its_new_seats() -> None:
    # VN-16.4
    succession = plan()
    assert len(succession.plans) == len(NEXT.leaves) > 1
    for leaf, entry, source in zip(NEXT.leaves, succession.plans, succession.sources, strict=True):
        group = TREATY.all_groups[source]
        if leaf == group.leaf:
            assert entry == group.package
        else:
            assert isinstance(entry, CeremonyPlan)
            assert entry.handover is not None
            assert (entry.seats, entry.handover.package) == (leaf.seats, group.package)
    assert any(not isinstance(entry, CeremonyPlan) for entry in succession.plans)


def test_in_a_refresh_every_group_is_dealt_anew_to_the_seats_that_it_has() -> None:
    # VN-15.8
    terms = plan_next_epoch(TREATY)
    succession = plan(terms)
    assert terms.leaves == TREATY.leaves
    assert len(list_ceremonies(succession)) == len(TREATY.leaves)
    for entry, group in zip(list_ceremonies(succession), TREATY.all_groups, strict=True):
        assert entry.handover is not None
        assert (entry.seats, entry.handover.package) == (group.leaf.seats, group.package)


def test_who_leaves_takes_no_part_unless_the_others_are_too_few() -> None:
    # VN-15.8
    assert "p5" not in {entry.party_id for entry in plan().parties}
    few = plan(replace_members(TREATY, {"p3": P6, "p4": P7}), without=frozenset({"p5"}))
    owners = {name for entry in list_ceremonies(few) if entry.handover for name in entry.handover.owners}
    assert owners & {"p3", "p4"}
    assert "p5" not in owners
    assert {entry.party_id for entry in few.parties} >= {"p6", "p7", *owners}


def test_too_few_that_deal_are_refused() -> None:
    with pytest.raises(RefusedError):
        plan(without=frozenset({"p2", "p3", "p4"}))


def test_another_epoch_and_other_classes_of_action_are_refused() -> None:
    # VN-16.1
    with pytest.raises(RefusedError, match="epoch"):
        plan(replace(NEXT, epoch=NEXT.epoch + 1))
    with pytest.raises(RefusedError, match="classes"):
        plan(replace(NEXT, actions=NEXT.actions[:-1], suspension_ms=NEXT.suspension_ms))


@pytest.mark.parametrize("attempt", [0, -1, 2**16 + 1])
def test_an_attempt_out_of_range_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        plan(attempt=attempt)


def test_whoever_has_another_charter_attempt_or_dealers_is_at_another_position() -> None:
    other = replace_members(TREATY, {"p5": P7})
    places = [plan(), plan(attempt=2), plan(other), plan(without=frozenset({"p2"}))]
    assert len({place.position.charter for place in places}) == len(places)
    assert plan().position == places[0].position
    assert places[0].position.charter != compute_digest(NEXT)


def test_no_two_attempts_share_a_ceremony() -> None:
    # VN-15.1
    digests = [entry.compute_digest() for n in (1, 2) for entry in list_ceremonies(plan(attempt=n))]
    assert len(set(digests)) == len(digests) > 1


def test_a_successor_that_does_not_keep_the_keys_is_refused_before_anybody_signs_it() -> None:
    # VN-16.4
    succession, others = (
        plan(),
        make_council(5, 3, ("p1", "p5"), quorums={ActionClass.ROSTER_CHANGE: SMALL}, rng=SeededRng(b"other")),
    )
    foreign = NEXT.to_treaty(others.treaty.statement.groups)
    with pytest.raises(RefusedError):
        succession.verify(foreign)
    with pytest.raises(RefusedError):
        verify_succession([TREATY], foreign, ActionClass.ROSTER_CHANGE)
    succession.verify(NEXT.to_treaty(TREATY.groups))
